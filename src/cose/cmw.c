#include "cose/cmw.h"

#include "base/limits.h"
#include "wire/cbor.h"
#include "wire/json.h"
#include "wire/text.h"

#define MEDIA_TYPE_MAX 255
#define LABEL_MAX 64
#define TYPE_LABEL "__cmwc_t"

static bulla_rc read_type(bulla_cbor_rd *r, struct bulla_cmw *record)
{
	enum bulla_cbor_type type;

	BULLA_TRY(bulla_cbor_rd_peek(r, &type));
	if (type == BULLA_CBOR_UINT)
		return bulla_cbor_rd_uint_max(r, UINT16_MAX, &record->content_format);
	bulla_cbor_rd next = *r;
	BULLA_TRY(bulla_cbor_rd_text(&next, MEDIA_TYPE_MAX, &record->media_type));
	if (record->media_type.n == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a wrapped message has an empty media type");
	*r = next;
	return BULLA_OK;
}

bulla_rc bulla_cmw_rd(bulla_cbor_rd *r, struct bulla_cmw *ret)
{
	struct bulla_cmw record = {.ind = 0};
	size_t count;

	BULLA_TRY(bulla_cbor_rd_array(r, 3, &count));
	if (count < 2)
		return BULLA_FAIL(BULLA_E_FORMAT, "a wrapped message has two or three parts");
	BULLA_TRY(read_type(r, &record));
	BULLA_TRY(bulla_cbor_rd_bytes_max(r, BULLA_MAX_EVIDENCE, &record.value));
	if (count == 3) {
		bulla_cbor_rd next = *r;

		BULLA_TRY(bulla_cbor_rd_uint_max(&next, UINT32_MAX, &record.ind));
		if (record.ind == 0)
			return BULLA_FAIL(BULLA_E_FORMAT, "a wrapped message says that it holds nothing");
		*r = next;
	}
	*ret = record;
	return BULLA_OK;
}

bulla_rc bulla_cmw_parse(bulla_bytes message, struct bulla_cmw *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(message);
	struct bulla_cmw record;

	BULLA_TRY(bulla_cmw_rd(&r, &record));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	*ret = record;
	return BULLA_OK;
}

void bulla_cmw_write(bulla_wr *w, const struct bulla_cmw *record)
{
	bulla_cbor_wr_array(w, record->ind != 0 ? 3 : 2);
	if (record->media_type.n > 0)
		bulla_cbor_wr_text(w, record->media_type);
	else
		bulla_cbor_wr_uint(w, record->content_format);
	bulla_cbor_wr_bytes(w, record->value);
	if (record->ind != 0)
		bulla_cbor_wr_uint(w, record->ind);
}

void bulla_cmw_write_json(bulla_wr *w, const struct bulla_cmw *record)
{
	bulla_wr_u8(w, '[');
	if (record->media_type.n > 0)
		bulla_json_quote(w, record->media_type);
	else
		bulla_text_wr_uint(w, record->content_format);
	bulla_text_wr(w, ",\"");
	bulla_text_wr_base64url(w, record->value);
	bulla_wr_u8(w, '"');
	if (record->ind != 0) {
		bulla_wr_u8(w, ',');
		bulla_text_wr_uint(w, record->ind);
	}
	bulla_wr_u8(w, ']');
}

static bulla_rc read_item(bulla_cbor_rd *r, struct bulla_cmw_item *item)
{
	enum bulla_cbor_type type;

	BULLA_TRY(bulla_cbor_rd_peek(r, &type));
	if (type != BULLA_CBOR_ARRAY)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "collections inside collections are not read");
	return bulla_cmw_rd(r, &item->record);
}

bulla_rc bulla_cmw_collection_parse(bulla_bytes message, bulla_bytes *ret_type, struct bulla_cmw_item *ret_items,
	size_t *ret_count)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(message);
	struct bulla_cmw_item items[BULLA_CMW_ITEMS];
	bulla_bytes type = {NULL, 0}, label;
	struct bulla_cbor_map map;
	size_t count = 0;

	BULLA_TRY(bulla_cbor_rd_map(&r, BULLA_CMW_ITEMS + 1, &map));
	while (bulla_cbor_map_more(&r, &map)) {
		BULLA_TRY(bulla_cbor_rd_key_text(&r, &map, &label));
		if (label.n == 0 || label.n > LABEL_MAX)
			return BULLA_FAIL(BULLA_E_FORMAT, "a label of a collection is empty or too long");
		if (bulla_bytes_eq_str(label, TYPE_LABEL)) {
			BULLA_TRY(bulla_cbor_rd_text(&r, MEDIA_TYPE_MAX, &type));
			continue;
		}
		if (count == BULLA_CMW_ITEMS)
			return BULLA_FAIL(BULLA_E_LIMIT, "a collection has too many items");
		items[count].label = label;
		BULLA_TRY(read_item(&r, &items[count++]));
	}
	BULLA_TRY(bulla_cbor_rd_end(&r));
	if (count == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a collection is empty");
	for (size_t i = 0; i < count; i++)
		ret_items[i] = items[i];
	*ret_type = type;
	*ret_count = count;
	return BULLA_OK;
}

/* RFC 8949 section 4.2.1: text keys of less than 24 bytes and more sort by their encoding: shorter first. */
static bool before(bulla_bytes a, bulla_bytes b)
{
	return a.n != b.n ? a.n < b.n : bulla_bytes_cmp(a, b) < 0;
}

void bulla_cmw_collection_write(bulla_wr *w, bulla_bytes type, const struct bulla_cmw_item *items, size_t count)
{
	const bulla_bytes type_label = bulla_bytes_str(TYPE_LABEL);
	bulla_bytes last = {NULL, 0};
	bool type_due = type.n > 0;

	if (count == 0 || count > BULLA_CMW_ITEMS)
		bulla_wr_fail(w, BULLA_E_ARGUMENT);
	bulla_cbor_wr_map(w, count + (type_due ? 1 : 0));
	for (size_t i = 0; i <= count; i++) {
		if (type_due && (i == count || before(type_label, items[i].label))) {
			bulla_cbor_wr_text(w, type_label);
			bulla_cbor_wr_text(w, type);
			type_due = false;
		}
		if (i == count)
			break;
		if (!before(last, items[i].label) || bulla_bytes_eq(items[i].label, type_label))
			bulla_wr_fail(w, BULLA_E_ARGUMENT);
		last = items[i].label;
		bulla_cbor_wr_text(w, items[i].label);
		bulla_cmw_write(w, &items[i].record);
	}
}

void bulla_cmw_collection_write_json(bulla_wr *w, const struct bulla_cmw_item *items, size_t count)
{
	bulla_bytes last = {NULL, 0};

	if (count == 0 || count > BULLA_CMW_ITEMS)
		bulla_wr_fail(w, BULLA_E_ARGUMENT);
	for (size_t i = 0; i < count; i++) {
		if (!before(last, items[i].label) || bulla_bytes_eq_str(items[i].label, TYPE_LABEL))
			bulla_wr_fail(w, BULLA_E_ARGUMENT);
		last = items[i].label;
		bulla_wr_u8(w, i == 0 ? '{' : ',');
		bulla_json_quote(w, items[i].label);
		bulla_wr_u8(w, ':');
		bulla_cmw_write_json(w, &items[i].record);
	}
	bulla_wr_u8(w, '}');
}
