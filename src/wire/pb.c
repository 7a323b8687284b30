#include "wire/pb.h"

struct bulla_pb_iter bulla_pb_list_begin(const struct bulla_pb_list *list)
{
	return (struct bulla_pb_iter){.list = list, .rd = bulla_rd_of(list->raw)};
}

bool bulla_pb_list_next(struct bulla_pb_iter *iter, bulla_bytes *ret_item)
{
	uint64_t tag, size;

	if (iter->index >= iter->list->count)
		return false;
	if (iter->list->items != NULL) {
		*ret_item = iter->list->items[iter->index++];
		return true;
	}
	if (bulla_pb_rd_varint(&iter->rd, &tag) != BULLA_OK || bulla_pb_rd_varint(&iter->rd, &size) != BULLA_OK ||
		bulla_rd_bytes(&iter->rd, size, ret_item) != BULLA_OK)
		return false; /* cannot be: decoding checked it */
	iter->index++;
	return true;
}

bulla_bytes bulla_pb_list_at(const struct bulla_pb_list *list, size_t index)
{
	struct bulla_pb_iter iter = bulla_pb_list_begin(list);
	bulla_bytes item = {NULL, 0};

	if (list->items != NULL)
		return index < list->count ? list->items[index] : item;
	for (size_t i = 0; i <= index; i++) {
		if (!bulla_pb_list_next(&iter, &item))
			return (bulla_bytes){NULL, 0};
	}
	return item;
}

bulla_rc bulla_pb_list_items(const struct bulla_pb_list *list, size_t max, bulla_bytes *ret_items)
{
	struct bulla_pb_iter iter = bulla_pb_list_begin(list);

	if (list->count > max)
		return BULLA_FAIL(BULLA_E_LIMIT, "a list of a message is too long");
	for (size_t i = 0; i < list->count; i++) {
		if (!bulla_pb_list_next(&iter, &ret_items[i]))
			return BULLA_FAIL(BULLA_E_TRUNCATED, "a list of a message ends early");
	}
	return BULLA_OK;
}

bulla_rc bulla_pb_rd_long_varint(bulla_rd *r, uint64_t *ret)
{
	const uint8_t *p = r->p + r->at;
	size_t left = bulla_rd_left(r), size = 0;
	uint64_t value = 0;

	do {
		if (size == left)
			return BULLA_FAIL(BULLA_E_TRUNCATED, "a message ends inside a number");
		if (size == 9 && p[9] > 1)
			return BULLA_FAIL(BULLA_E_FORMAT, "a number of a message has more than 64 bits");
		value |= (uint64_t)(p[size] & 0x7f) << (7 * size);
	} while (p[size++] & 0x80);
	if (size > 1 && p[size - 1] == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a number of a message is not in its shortest form");
	*ret = value;
	r->at += size;
	return BULLA_OK;
}

void bulla_pb_wr_varint(bulla_wr *w, uint64_t value)
{
	uint8_t out[10];
	size_t size = 0;

	if (value < 0x80) {
		bulla_wr_u8(w, (uint8_t)value);
		return;
	}
	for (; value >= 0x80; value >>= 7)
		out[size++] = (uint8_t)(value | 0x80);
	out[size++] = (uint8_t)value;
	bulla_wr_bytes(w, (bulla_bytes){out, size});
}

