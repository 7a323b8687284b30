/* Nested lists of a manifest: they stay encoded and are walked where they lie. */
#include "manifest/lists.h"

#include "manifest/manifest.h"

enum { TEE_MAX = 16, CLAIM_MAX = 32, VALUE_MAX = 64 };

void bulla_list_write_text(bulla_wr *w, const bulla_bytes *items, size_t count)
{
	bulla_cbor_wr_array(w, count);
	for (size_t i = 0; i < count; i++)
		bulla_cbor_wr_text(w, items[i]);
}

void bulla_list_write_bytes(bulla_wr *w, const bulla_bytes *items, size_t count)
{
	bulla_cbor_wr_array(w, count);
	for (size_t i = 0; i < count; i++)
		bulla_cbor_wr_bytes(w, items[i]);
}

static bulla_rc read_item(bulla_cbor_rd *r, bulla_bytes *ret)
{
	enum bulla_cbor_type type;

	BULLA_TRY(bulla_cbor_rd_peek(r, &type));
	if (type == BULLA_CBOR_TEXT)
		return bulla_cbor_rd_text(r, BULLA_LIST_ITEM_MAX, ret);
	return bulla_cbor_rd_bytes_max(r, BULLA_LIST_ITEM_MAX, ret);
}

/* A reader at item number *cursor, given as an offset: 0 stands for the first. */
static bulla_rc list_at(bulla_bytes list, size_t cursor, bulla_cbor_rd *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(list);
	size_t count;

	BULLA_TRY(bulla_cbor_rd_array(&r, list.n, &count));
	if (cursor > r.rd.at)
		BULLA_TRY(bulla_rd_skip(&r.rd, cursor - r.rd.at));
	if (bulla_cbor_rd_left(&r) == 0)
		return BULLA_E_NOT_FOUND;
	*ret = r;
	return BULLA_OK;
}

bulla_rc bulla_list_next(bulla_bytes list, size_t *cursor, bulla_bytes *ret)
{
	bulla_cbor_rd r;
	bulla_rc rc = list_at(list, *cursor, &r);

	if (rc != BULLA_OK)
		return rc;
	BULLA_TRY(read_item(&r, ret));
	*cursor = r.rd.at;
	return BULLA_OK;
}

bulla_rc bulla_list_read(bulla_cbor_rd *r, enum bulla_cbor_type type, size_t max, bulla_bytes *ret)
{
	bulla_cbor_rd at = *r;
	bulla_bytes item;
	size_t count;

	BULLA_TRY(bulla_cbor_rd_array(&at, max, &count));
	for (size_t i = 0; i < count; i++) {
		if (type == BULLA_CBOR_TEXT)
			BULLA_TRY(bulla_cbor_rd_text(&at, BULLA_LIST_ITEM_MAX, &item));
		else
			BULLA_TRY(read_item(&at, &item));
	}
	*ret = (bulla_bytes){r->rd.p + r->rd.at, at.rd.at - r->rd.at};
	*r = at;
	return BULLA_OK;
}

/* --- images --- */

void bulla_images_write(bulla_wr *w, const struct bulla_image *images, size_t count)
{
	bulla_cbor_wr_array(w, count);
	for (size_t i = 0; i < count; i++) {
		bulla_cbor_wr_array(w, 2);
		bulla_cbor_wr_text(w, images[i].tee);
		bulla_cbor_wr_array(w, images[i].count);
		for (size_t k = 0; k < images[i].count; k++) {
			bulla_cbor_wr_array(w, 3);
			bulla_cbor_wr_text(w, images[i].values[k].claim);
			bulla_cbor_wr_uint(w, images[i].values[k].index);
			bulla_cbor_wr_bytes(w, images[i].values[k].value);
		}
	}
}

static bulla_rc read_value(bulla_cbor_rd *r, struct bulla_image_value *value)
{
	BULLA_TRY(bulla_cbor_rd_expect_array(r, 3));
	BULLA_TRY(bulla_cbor_rd_text(r, CLAIM_MAX, &value->claim));
	BULLA_TRY(bulla_cbor_rd_u32(r, &value->index));
	return bulla_cbor_rd_bytes_max(r, VALUE_MAX, &value->value);
}

static bulla_rc read_image(bulla_cbor_rd *r, struct bulla_image *image)
{
	BULLA_TRY(bulla_cbor_rd_expect_array(r, 2));
	BULLA_TRY(bulla_cbor_rd_text(r, TEE_MAX, &image->tee));
	BULLA_TRY(bulla_cbor_rd_array(r, BULLA_IMAGE_VALUES, &image->count));
	if (image->tee.n == 0 || image->count == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "an accepted image has no TEE or no value: it would accept anything");
	for (size_t i = 0; i < image->count; i++)
		BULLA_TRY(read_value(r, &image->values[i]));
	return BULLA_OK;
}

bulla_rc bulla_images_read(bulla_cbor_rd *r, size_t max, bulla_bytes *ret)
{
	bulla_cbor_rd at = *r;
	struct bulla_image image;
	size_t count;

	BULLA_TRY(bulla_cbor_rd_array(&at, max, &count));
	for (size_t i = 0; i < count; i++)
		BULLA_TRY(read_image(&at, &image));
	*ret = (bulla_bytes){r->rd.p + r->rd.at, at.rd.at - r->rd.at};
	*r = at;
	return BULLA_OK;
}

bulla_rc bulla_image_next(bulla_bytes images, size_t *cursor, struct bulla_image *ret)
{
	bulla_cbor_rd r;
	bulla_rc rc = list_at(images, *cursor, &r);

	if (rc != BULLA_OK)
		return rc;
	BULLA_TRY(read_image(&r, ret));
	*cursor = r.rd.at;
	return BULLA_OK;
}
