#pragma once
/* Protobuf wire form in one canonical way: fields in the order of their numbers, shortest varints, absent instead of
 * zero or empty. Every protobuf library writes small messages so; only this form is read. */
#include "base/limits.h"
#include "base/rd.h"
#include "base/wr.h"

/* Wire types that we use: https://protobuf.dev/programming-guides/encoding/ */
enum bulla_pb_type { BULLA_PB_VARINT = 0, BULLA_PB_BYTES = 2 };

/* A repeated field. To encode: items and count. Decoded: items is NULL, raw holds the elements with their tags and
 * lengths, checked; walk them with bulla_pb_list_begin. A decoded list may be encoded again as it is. */
struct bulla_pb_list {
	const bulla_bytes *items;
	size_t count;
	bulla_bytes raw;
	uint32_t tag; /* of raw */
};

struct bulla_pb_iter {
	const struct bulla_pb_list *list;
	size_t index;
	bulla_rd rd;
};

/* For encoding; items are borrowed. */
static inline struct bulla_pb_list bulla_pb_list_of(const bulla_bytes *items, size_t count)
{
	return (struct bulla_pb_list){.items = items, .count = count};
}

/* for (iter = bulla_pb_list_begin(&list); bulla_pb_list_next(&iter, &item);) — works for both forms of a list. */
struct bulla_pb_iter bulla_pb_list_begin(const struct bulla_pb_list *list);
bool bulla_pb_list_next(struct bulla_pb_iter *iter, bulla_bytes *ret_item);

/* The element with this index (< count), in time proportional to it. */
bulla_bytes bulla_pb_list_at(const struct bulla_pb_list *list, size_t index);

/* Views of all elements into ret_items[max]; BULLA_E_LIMIT when there are more. */
BULLA_CHECK bulla_rc bulla_pb_list_items(const struct bulla_pb_list *list, size_t max, bulla_bytes *ret_items);

/* Varints, shortest form only: BULLA_E_TRUNCATED, BULLA_E_FORMAT. Tags and most sizes have one byte: in line. */
BULLA_CHECK bulla_rc bulla_pb_rd_long_varint(bulla_rd *r, uint64_t *ret);
BULLA_CHECK static inline bulla_rc bulla_pb_rd_varint(bulla_rd *r, uint64_t *ret)
{
	if (bulla_rd_left(r) == 0 || r->p[r->at] >= 0x80)
		return bulla_pb_rd_long_varint(r, ret);
	*ret = r->p[r->at++];
	return BULLA_OK;
}
void bulla_pb_wr_varint(bulla_wr *w, uint64_t value);
static inline size_t bulla_pb_varint_size(uint64_t value)
{
	return (size_t)(63 - __builtin_clzll(value | 1)) / 7 + 1;
}

/* Field number and wire type as on the wire. */
static inline uint32_t bulla_pb_tag(uint32_t number, enum bulla_pb_type type)
{
	return number << 3 | (uint32_t)type;
}
