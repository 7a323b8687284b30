#include "wire/messages.h"

/* --- descriptors --- */

#define FIELD(message, number, field, kind, type) \
	{#field, (number) << 3 | (type), (uint16_t)offsetof(struct bulla_msg_##message, field), kind},
#define MESSAGE_BEGIN(message) static const struct bulla_msg_field message##_fields[] = {
#define U64(message, number, field) FIELD(message, number, field, BULLA_MSG_U64, BULLA_PB_VARINT)
#define BYTES(message, number, field) FIELD(message, number, field, BULLA_MSG_BYTES, BULLA_PB_BYTES)
#define LIST(message, number, field) FIELD(message, number, field, BULLA_MSG_LIST, BULLA_PB_BYTES)
#define MESSAGE_END(message) \
	}; \
	const struct bulla_msg_desc bulla_msg_##message##_desc = {#message, sizeof(struct bulla_msg_##message), \
		message##_fields, sizeof(message##_fields) / sizeof(message##_fields[0])};
#include "wire/messages.def"
#undef MESSAGE_BEGIN
#undef U64
#undef BYTES
#undef LIST
#undef MESSAGE_END

const struct bulla_msg_desc *bulla_msg_desc_at(size_t index)
{
	static const struct bulla_msg_desc *const descs[] = {
#define MESSAGE_BEGIN(message) &bulla_msg_##message##_desc,
#define U64(message, number, field)
#define BYTES(message, number, field)
#define LIST(message, number, field)
#define MESSAGE_END(message)
#include "wire/messages.def"
	};

	return index < sizeof(descs) / sizeof(descs[0]) ? descs[index] : NULL;
}

/* --- encode --- */

/* The field of msg that a descriptor row names. */
static const void *field_of(const void *msg, const struct bulla_msg_field *field)
{
	return (const uint8_t *)msg + field->offset;
}

static void write_bytes(bulla_wr *w, uint32_t tag, bulla_bytes bytes)
{
	bulla_pb_wr_varint(w, tag);
	bulla_pb_wr_varint(w, bytes.n);
	bulla_wr_bytes(w, bytes);
}

static void write_list(bulla_wr *w, uint32_t tag, const struct bulla_pb_list *list)
{
	struct bulla_pb_iter iter;
	bulla_bytes item;

	if (list->count > BULLA_MAX_MESSAGE_ITEMS) {
		bulla_wr_fail(w, BULLA_FAIL(BULLA_E_LIMIT, "a list of a message is too long"));
	} else if (list->items == NULL && list->tag == tag) {
		bulla_wr_bytes(w, list->raw);
	} else {
		for (iter = bulla_pb_list_begin(list); bulla_pb_list_next(&iter, &item);)
			write_bytes(w, tag, item);
	}
}

void bulla_msg_encode(const struct bulla_msg_desc *desc, const void *msg, bulla_wr *w)
{
	for (const struct bulla_msg_field *field = desc->fields; field < desc->fields + desc->count; field++) {
		const void *p = field_of(msg, field);

		if (field->kind == BULLA_MSG_LIST) {
			write_list(w, field->tag, p);
		} else if (field->kind == BULLA_MSG_BYTES) {
			if (((const bulla_bytes *)p)->n > 0)
				write_bytes(w, field->tag, *(const bulla_bytes *)p);
		} else if (*(const uint64_t *)p != 0) {
			bulla_pb_wr_varint(w, field->tag);
			bulla_pb_wr_varint(w, *(const uint64_t *)p);
		}
	}
}

static size_t bytes_size(uint32_t tag, size_t size)
{
	return bulla_pb_varint_size(tag) + bulla_pb_varint_size(size) + size;
}

static size_t list_size(uint32_t tag, const struct bulla_pb_list *list)
{
	struct bulla_pb_iter iter;
	bulla_bytes item;
	size_t size = 0;

	if (list->items == NULL && list->tag == tag)
		return list->raw.n;
	for (iter = bulla_pb_list_begin(list); bulla_pb_list_next(&iter, &item);)
		size += bytes_size(tag, item.n);
	return size;
}

size_t bulla_msg_size(const struct bulla_msg_desc *desc, const void *msg)
{
	size_t size = 0;

	for (const struct bulla_msg_field *field = desc->fields; field < desc->fields + desc->count; field++) {
		const void *p = field_of(msg, field);

		if (field->kind == BULLA_MSG_LIST)
			size += list_size(field->tag, p);
		else if (field->kind == BULLA_MSG_BYTES)
			size += ((const bulla_bytes *)p)->n > 0 ? bytes_size(field->tag, ((const bulla_bytes *)p)->n) : 0;
		else if (*(const uint64_t *)p != 0)
			size += bulla_pb_varint_size(field->tag) + bulla_pb_varint_size(*(const uint64_t *)p);
	}
	return size;
}

/* --- decode --- */

static bulla_rc read_bytes(bulla_rd *r, bulla_bytes *ret)
{
	uint64_t size;

	BULLA_TRY(bulla_pb_rd_varint(r, &size));
	return bulla_rd_bytes(r, size, ret);
}

/* r stands behind the first element's tag, which began at offset begin. */
static bulla_rc read_list(bulla_rd *r, size_t begin, uint32_t tag, struct bulla_pb_list *ret)
{
	struct bulla_pb_list list = {.tag = tag};
	bulla_bytes item;
	uint64_t next;
	size_t at;

	do {
		BULLA_TRY(read_bytes(r, &item));
		if (++list.count > BULLA_MAX_MESSAGE_ITEMS)
			return BULLA_FAIL(BULLA_E_LIMIT, "a list of a message is too long");
		at = r->at;
		if (bulla_rd_left(r) == 0)
			break;
		BULLA_TRY(bulla_pb_rd_varint(r, &next));
	} while (next == tag);
	r->at = at;
	list.raw = bulla_bytes_of(r->p + begin, at - begin);
	*ret = list;
	return BULLA_OK;
}

static bulla_rc read_field(bulla_rd *r, size_t begin, const struct bulla_msg_field *field, void *ret)
{
	if (field->kind == BULLA_MSG_LIST)
		return read_list(r, begin, field->tag, ret);
	if (field->kind == BULLA_MSG_BYTES) {
		BULLA_TRY(read_bytes(r, ret));
		if (((bulla_bytes *)ret)->n == 0)
			return BULLA_FAIL(BULLA_E_FORMAT, "a field of a message is empty instead of absent");
		return BULLA_OK;
	}
	BULLA_TRY(bulla_pb_rd_varint(r, ret));
	if (*(uint64_t *)ret == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a field of a message is zero instead of absent");
	return BULLA_OK;
}

static bulla_rc read_fields(const struct bulla_msg_desc *desc, bulla_bytes bytes, void *ret)
{
	const struct bulla_msg_field *field = desc->fields, *end = desc->fields + desc->count;
	bulla_rd r = bulla_rd_of(bytes);
	uint64_t tag, last = UINT64_MAX;

	for (; bulla_rd_left(&r) > 0; last = tag) {
		size_t begin = r.at;

		BULLA_TRY(bulla_pb_rd_varint(&r, &tag));
		if (tag == last)
			return BULLA_FAIL(BULLA_E_DUPLICATE, "a message holds a field twice");
		while (field < end && field->tag < tag)
			field++;
		if (field == end || field->tag != tag)
			return BULLA_FAIL(BULLA_E_FORMAT, "a message holds an unknown field, or fields out of order");
		BULLA_TRY(read_field(&r, begin, field, (uint8_t *)ret + field->offset));
		field++;
	}
	return BULLA_OK;
}

bulla_rc bulla_msg_decode(const struct bulla_msg_desc *desc, bulla_bytes bytes, void *ret)
{
	bulla_rc rc;

	bulla_zero(ret, desc->size);
	rc = read_fields(desc, bytes, ret);
	if (rc != BULLA_OK)
		bulla_zero(ret, desc->size);
	BULLA_TRY(rc);
	return BULLA_OK;
}
