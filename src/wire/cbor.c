#include "wire/cbor.h"

#include "wire/text.h"

/* Major types, RFC 8949 section 3.1. */
enum major { UINT = 0, NEGATIVE = 1, BYTES = 2, TEXT = 3, ARRAY = 4, MAP = 5, TAG = 6, SIMPLE = 7 };

enum { SIMPLE_FALSE = 20, SIMPLE_TRUE = 21, SIMPLE_NULL = 22, FLOAT_16 = 25, FLOAT_64 = 27, INDEFINITE = 31 };

#define BREAK 0xff

/* --- reader: heads --- */

/* Passed by value, in two registers: heads are read for every item of every step. */
struct head {
	uint64_t argument; /* for SIMPLE with info > 24: the bits of the float */
	uint8_t size;      /* bytes of the head itself */
	uint8_t major;
	uint8_t info;   /* 0..27, or INDEFINITE */
	uint8_t failed; /* bulla_rc; the rest is undefined unless it is BULLA_OK */
};

_Static_assert(BULLA_RC_COUNT <= UINT8_MAX, "a bulla_rc fits into struct head");

static struct head failed(bulla_rc rc)
{
	return (struct head){.failed = (uint8_t)rc};
}

/* Arguments that follow the first byte: 1, 2, 4 or 8 bytes, and only where a shorter form does not suffice. */
static struct head read_argument(const uint8_t *p, size_t left, struct head head)
{
	size_t size = (size_t)1 << (head.info - 24);
	uint64_t value = 0;

	if (left < 1 + size)
		return failed(BULLA_FAIL(BULLA_E_TRUNCATED, "the CBOR ends inside a head"));
	for (size_t i = 1; i <= size; i++)
		value = value << 8 | p[i];
	if (head.major == SIMPLE) {
		if (size == 1) /* simple values above 31 are assigned to nothing we read */
			return failed(BULLA_FAIL(BULLA_E_FORMAT, "the CBOR holds an unknown simple value"));
	} else if (size == 1 ? value < 24 : value >> (4 * size) == 0) {
		return failed(BULLA_FAIL(BULLA_E_FORMAT, "a CBOR head is not in its shortest form"));
	}
	head.argument = value;
	head.size = (uint8_t)(1 + size);
	return head;
}

static struct head peek_head(const bulla_cbor_rd *r)
{
	size_t left = bulla_rd_left(&r->rd);
	struct head head = {.size = 1};
	const uint8_t *p;

	if (left == 0)
		return failed(BULLA_FAIL(BULLA_E_TRUNCATED, "the CBOR ends where an item must follow"));
	p = r->rd.p + r->rd.at;
	head.major = p[0] >> 5;
	head.info = p[0] & 31;
	head.argument = head.info;
	if (head.info < 24 || head.info == INDEFINITE)
		return head;
	if (head.info > 27)
		return failed(BULLA_FAIL(BULLA_E_FORMAT, "a CBOR head is reserved"));
	return read_argument(p, left, head);
}

/* Head of a definite item of this major type. */
static struct head peek_major(const bulla_cbor_rd *r, enum major major)
{
	struct head head = peek_head(r);

	if (head.failed != BULLA_OK)
		return head;
	if (head.major != major)
		return failed(BULLA_FAIL(BULLA_E_FORMAT, "a CBOR item has another type than it must have"));
	if (head.info == INDEFINITE)
		return failed(BULLA_FAIL(BULLA_E_FORMAT, "a CBOR item has indefinite length"));
	return head;
}

static enum bulla_cbor_type simple_type(uint8_t info)
{
	if (info == SIMPLE_FALSE || info == SIMPLE_TRUE)
		return BULLA_CBOR_BOOL;
	if (info == SIMPLE_NULL)
		return BULLA_CBOR_NULL;
	return info >= FLOAT_16 && info <= FLOAT_64 ? BULLA_CBOR_FLOAT : BULLA_CBOR_OTHER;
}

bulla_rc bulla_cbor_rd_peek(const bulla_cbor_rd *r, enum bulla_cbor_type *ret_type)
{
	static const enum bulla_cbor_type types[] = {BULLA_CBOR_UINT, BULLA_CBOR_NEGATIVE, BULLA_CBOR_BYTES,
		BULLA_CBOR_TEXT, BULLA_CBOR_ARRAY, BULLA_CBOR_MAP, BULLA_CBOR_TAG};
	uint8_t first;

	if (bulla_rd_left(&r->rd) == 0)
		return BULLA_FAIL(BULLA_E_TRUNCATED, "the CBOR ends where an item must follow");
	first = r->rd.p[r->rd.at];
	*ret_type = first >> 5 == SIMPLE ? simple_type(first & 31) : types[first >> 5];
	return BULLA_OK;
}

/* --- reader: single items --- */

bulla_rc bulla_cbor_rd_uint(bulla_cbor_rd *r, uint64_t *ret)
{
	return bulla_cbor_rd_uint_max(r, UINT64_MAX, ret);
}

bulla_rc bulla_cbor_rd_uint_max(bulla_cbor_rd *r, uint64_t max, uint64_t *ret)
{
	struct head head = peek_major(r, UINT);

	BULLA_TRY((bulla_rc)head.failed);
	if (head.argument > max)
		return BULLA_FAIL(BULLA_E_LIMIT, "a CBOR integer is too large");
	*ret = head.argument;
	r->rd.at += head.size;
	return BULLA_OK;
}

bulla_rc bulla_cbor_rd_u32(bulla_cbor_rd *r, uint32_t *ret)
{
	uint64_t value;

	BULLA_TRY(bulla_cbor_rd_uint_max(r, UINT32_MAX, &value));
	*ret = (uint32_t)value;
	return BULLA_OK;
}

bulla_rc bulla_cbor_rd_int(bulla_cbor_rd *r, int64_t *ret)
{
	struct head head = peek_head(r);

	BULLA_TRY((bulla_rc)head.failed);
	if (head.major > NEGATIVE || head.info == INDEFINITE)
		return BULLA_FAIL(BULLA_E_FORMAT, "a CBOR item is no integer");
	if (head.argument > INT64_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "a CBOR integer is too large");
	*ret = head.major == UINT ? (int64_t)head.argument : -1 - (int64_t)head.argument;
	r->rd.at += head.size;
	return BULLA_OK;
}

static bulla_rc read_string(bulla_cbor_rd *r, enum major major, size_t max, bulla_bytes *ret)
{
	struct head head = peek_major(r, major);

	BULLA_TRY((bulla_rc)head.failed);
	if (head.argument > max)
		return BULLA_FAIL(BULLA_E_LIMIT, "a CBOR string is too long");
	if (head.argument > bulla_rd_left(&r->rd) - head.size)
		return BULLA_FAIL(BULLA_E_TRUNCATED, "the CBOR ends inside a string");
	*ret = bulla_bytes_of(r->rd.p + r->rd.at + head.size, (size_t)head.argument);
	r->rd.at += head.size + (size_t)head.argument;
	return BULLA_OK;
}

bulla_rc bulla_cbor_rd_bytes(bulla_cbor_rd *r, bulla_bytes *ret)
{
	return read_string(r, BYTES, SIZE_MAX, ret);
}

bulla_rc bulla_cbor_rd_bytes_max(bulla_cbor_rd *r, size_t max, bulla_bytes *ret)
{
	return read_string(r, BYTES, max, ret);
}

bulla_rc bulla_cbor_rd_copy(bulla_cbor_rd *r, size_t size, uint8_t *ret)
{
	bulla_cbor_rd next = *r;
	bulla_bytes view;

	BULLA_TRY(read_string(&next, BYTES, SIZE_MAX, &view));
	BULLA_TRY(bulla_bytes_copy_exact(view, size, ret));
	*r = next;
	return BULLA_OK;
}

bulla_rc bulla_cbor_rd_digest(bulla_cbor_rd *r, bulla_digest *ret)
{
	return bulla_cbor_rd_copy(r, sizeof(ret->b), ret->b);
}

bulla_rc bulla_cbor_rd_text(bulla_cbor_rd *r, size_t max, bulla_bytes *ret)
{
	bulla_cbor_rd next = *r;
	bulla_bytes text;

	BULLA_TRY(read_string(&next, TEXT, max, &text));
	if (!bulla_text_is_utf8(text))
		return BULLA_FAIL(BULLA_E_FORMAT, "a CBOR text is not UTF-8");
	*ret = text;
	*r = next;
	return BULLA_OK;
}

bulla_rc bulla_cbor_rd_bool(bulla_cbor_rd *r, bool *ret)
{
	struct head head = peek_major(r, SIMPLE);

	BULLA_TRY((bulla_rc)head.failed);
	if (simple_type(head.info) != BULLA_CBOR_BOOL)
		return BULLA_FAIL(BULLA_E_FORMAT, "a CBOR item is no truth value");
	*ret = head.info == SIMPLE_TRUE;
	r->rd.at += head.size;
	return BULLA_OK;
}

bulla_rc bulla_cbor_rd_null(bulla_cbor_rd *r)
{
	struct head head = peek_major(r, SIMPLE);

	BULLA_TRY((bulla_rc)head.failed);
	if (head.info != SIMPLE_NULL)
		return BULLA_FAIL(BULLA_E_FORMAT, "a CBOR item is not null");
	r->rd.at += head.size;
	return BULLA_OK;
}

/* --- reader: arrays, tags, maps --- */

bulla_rc bulla_cbor_rd_array(bulla_cbor_rd *r, size_t max, size_t *ret_count)
{
	struct head head = peek_major(r, ARRAY);

	BULLA_TRY((bulla_rc)head.failed);
	if (head.argument > max)
		return BULLA_FAIL(BULLA_E_LIMIT, "a CBOR array is too long");
	if (head.argument > bulla_rd_left(&r->rd) - head.size)
		return BULLA_FAIL(BULLA_E_TRUNCATED, "the CBOR ends inside an array");
	*ret_count = (size_t)head.argument;
	r->rd.at += head.size;
	return BULLA_OK;
}

bulla_rc bulla_cbor_rd_tag(bulla_cbor_rd *r, uint64_t *ret)
{
	struct head head = peek_major(r, TAG);

	BULLA_TRY((bulla_rc)head.failed);
	*ret = head.argument;
	r->rd.at += head.size;
	return BULLA_OK;
}

static void map_begin(struct bulla_cbor_map *map, size_t count, bool indefinite)
{
	map->left = count;
	map->key = 0;
	map->key_size = 0;
	map->indefinite = indefinite;
	map->foreign_count = 0;
}

bulla_rc bulla_cbor_rd_map(bulla_cbor_rd *r, size_t max, struct bulla_cbor_map *ret_map)
{
	struct head head = peek_head(r);

	BULLA_TRY((bulla_rc)head.failed);
	if (head.major != MAP)
		return BULLA_FAIL(BULLA_E_FORMAT, "a CBOR item is no map");
	if (head.info == INDEFINITE) {
		if (!r->options.indefinite_top_map || r->rd.at != 0)
			return BULLA_FAIL(BULLA_E_FORMAT, "a CBOR map has indefinite length");
		map_begin(ret_map, max, true);
	} else {
		if (head.argument > max)
			return BULLA_FAIL(BULLA_E_LIMIT, "a CBOR map is too long");
		if (head.argument > (bulla_rd_left(&r->rd) - head.size) / 2)
			return BULLA_FAIL(BULLA_E_TRUNCATED, "the CBOR ends inside a map");
		map_begin(ret_map, (size_t)head.argument, false);
	}
	r->rd.at += head.size;
	return BULLA_OK;
}

bool bulla_cbor_map_more(bulla_cbor_rd *r, struct bulla_cbor_map *map)
{
	if (!map->indefinite)
		return map->left > 0;
	if (bulla_rd_left(&r->rd) == 0 || r->rd.p[r->rd.at] != BREAK)
		return true;
	r->rd.at++;
	map->indefinite = false;
	map->left = 0;
	return false;
}

static bulla_bytes encoded_key(const bulla_cbor_rd *r, size_t at)
{
	bulla_cbor_rd key = *r;
	struct head head;
	size_t size;

	key.rd.at = at;
	head = peek_head(&key);
	if (head.failed != BULLA_OK) /* cannot be: it was read before */
		return (bulla_bytes){NULL, 0};
	size = head.size + (head.major == TEXT || head.major == BYTES ? (size_t)head.argument : 0);
	return bulla_bytes_of(r->rd.p + at, size);
}

static bulla_rc check_unique(const bulla_cbor_rd *r, struct bulla_cbor_map *map, bulla_bytes key, size_t at)
{
	if (map->foreign_count == BULLA_CBOR_FOREIGN_KEYS)
		return BULLA_FAIL(BULLA_E_LIMIT, "a CBOR map has too many keys");
	for (size_t i = 0; i < map->foreign_count; i++) {
		if (bulla_bytes_eq(encoded_key(r, map->foreign[i]), key))
			return BULLA_FAIL(BULLA_E_DUPLICATE, "a CBOR map holds a key twice");
	}
	if (at > UINT32_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "the CBOR is too long");
	map->foreign[map->foreign_count++] = (uint32_t)at;
	return BULLA_OK;
}

/* A key was read from r up to next: its place in the map's order. RFC 8949 section 4.2.1 */
static bulla_rc accept_key(const bulla_cbor_rd *r, const bulla_cbor_rd *next, struct bulla_cbor_map *map)
{
	bulla_bytes key = bulla_bytes_of(r->rd.p + r->rd.at, next->rd.at - r->rd.at);

	if (map->left == 0)
		return BULLA_FAIL(BULLA_E_LIMIT, "a CBOR map is too long");
	if (r->options.unordered_keys) {
		BULLA_TRY(check_unique(r, map, key, r->rd.at));
	} else if (map->key_size > 0) {
		int order = bulla_bytes_cmp(bulla_bytes_of(r->rd.p + map->key, map->key_size), key);

		if (order == 0)
			return BULLA_FAIL(BULLA_E_DUPLICATE, "a CBOR map holds a key twice");
		if (order > 0)
			return BULLA_FAIL(BULLA_E_FORMAT, "the keys of a CBOR map are not in order");
	}
	map->key = r->rd.at;
	map->key_size = key.n;
	map->left--;
	return BULLA_OK;
}

bulla_rc bulla_cbor_rd_key_int(bulla_cbor_rd *r, struct bulla_cbor_map *map, int64_t *ret)
{
	bulla_cbor_rd next = *r;
	int64_t key;

	BULLA_TRY(bulla_cbor_rd_int(&next, &key));
	BULLA_TRY(accept_key(r, &next, map));
	*ret = key;
	*r = next;
	return BULLA_OK;
}

bulla_rc bulla_cbor_rd_key_text(bulla_cbor_rd *r, struct bulla_cbor_map *map, bulla_bytes *ret)
{
	bulla_cbor_rd next = *r;
	bulla_bytes key;

	BULLA_TRY(bulla_cbor_rd_text(&next, SIZE_MAX, &key));
	BULLA_TRY(accept_key(r, &next, map));
	*ret = key;
	*r = next;
	return BULLA_OK;
}

/* --- reader: fixed schemas --- */

bulla_rc bulla_cbor_rd_expect_int(bulla_cbor_rd *r, int64_t value)
{
	bulla_cbor_rd next = *r;
	int64_t found;

	BULLA_TRY(bulla_cbor_rd_int(&next, &found));
	if (found != value)
		return BULLA_FAIL(BULLA_E_FORMAT, "a CBOR integer is not the one it must be");
	*r = next;
	return BULLA_OK;
}

bulla_rc bulla_cbor_rd_expect_tag(bulla_cbor_rd *r, uint64_t tag)
{
	bulla_cbor_rd next = *r;
	uint64_t found;

	BULLA_TRY(bulla_cbor_rd_tag(&next, &found));
	if (found != tag)
		return BULLA_FAIL(BULLA_E_FORMAT, "a CBOR tag is not the one it must be");
	*r = next;
	return BULLA_OK;
}

bulla_rc bulla_cbor_rd_expect_text(bulla_cbor_rd *r, const char *text)
{
	bulla_cbor_rd next = *r;
	bulla_bytes found;

	BULLA_TRY(read_string(&next, TEXT, SIZE_MAX, &found));
	if (!bulla_bytes_eq_str(found, text))
		return BULLA_FAIL(BULLA_E_FORMAT, "a CBOR text is not the one it must be");
	*r = next;
	return BULLA_OK;
}

static bulla_rc expect_count(bulla_cbor_rd *r, enum major major, size_t count)
{
	struct head head = peek_major(r, major);

	BULLA_TRY((bulla_rc)head.failed);
	if (head.argument != count)
		return BULLA_FAIL(BULLA_E_FORMAT, "a CBOR array or map has another length than it must have");
	r->rd.at += head.size;
	return BULLA_OK;
}

bulla_rc bulla_cbor_rd_expect_array(bulla_cbor_rd *r, size_t count)
{
	return expect_count(r, ARRAY, count);
}

bulla_rc bulla_cbor_rd_expect_map(bulla_cbor_rd *r, size_t count)
{
	return expect_count(r, MAP, count);
}

/* --- reader: whole items --- */

static bulla_rc skip_item(bulla_cbor_rd *r, unsigned depth);

static bulla_rc skip_array(bulla_cbor_rd *r, unsigned depth)
{
	size_t count;

	BULLA_TRY(bulla_cbor_rd_array(r, SIZE_MAX, &count));
	for (size_t i = 0; i < count; i++)
		BULLA_TRY(skip_item(r, depth));
	return BULLA_OK;
}

static bulla_rc skip_map(bulla_cbor_rd *r, unsigned depth)
{
	struct bulla_cbor_map map;

	BULLA_TRY(bulla_cbor_rd_map(r, SIZE_MAX, &map));
	while (bulla_cbor_map_more(r, &map)) {
		bulla_cbor_rd next = *r;

		if (next.rd.at < next.rd.n && next.rd.p[next.rd.at] >> 5 > TEXT) /* keys of ours and of AWS are scalars */
			return BULLA_FAIL(BULLA_E_FORMAT, "a key of a CBOR map is neither a number nor a string");
		BULLA_TRY(skip_item(&next, depth));
		BULLA_TRY(accept_key(r, &next, &map));
		*r = next;
		BULLA_TRY(skip_item(r, depth));
	}
	return BULLA_OK;
}

static bulla_rc skip_simple(bulla_cbor_rd *r)
{
	enum bulla_cbor_type type;
	struct head head = peek_major(r, SIMPLE);

	BULLA_TRY((bulla_rc)head.failed);
	type = simple_type(head.info);
	if (type == BULLA_CBOR_OTHER || (type == BULLA_CBOR_FLOAT && !r->options.floats))
		return BULLA_FAIL(BULLA_E_FORMAT, "the CBOR holds a value that may not be there");
	r->rd.at += head.size;
	return BULLA_OK;
}

static bulla_rc skip_scalar(bulla_cbor_rd *r)
{
	struct head head = peek_head(r);

	BULLA_TRY((bulla_rc)head.failed);
	if (head.info == INDEFINITE)
		return BULLA_FAIL(BULLA_E_FORMAT, "a CBOR item has indefinite length");
	r->rd.at += head.size;
	return BULLA_OK;
}

/* depth: levels that may still open below this item. */
static bulla_rc skip_item(bulla_cbor_rd *r, unsigned depth)
{
	bulla_bytes ignored;

	if (bulla_rd_left(&r->rd) == 0)
		return BULLA_FAIL(BULLA_E_TRUNCATED, "the CBOR ends where an item must follow");
	switch (r->rd.p[r->rd.at] >> 5) {
	case BYTES:
		return bulla_cbor_rd_bytes(r, &ignored);
	case TEXT:
		return bulla_cbor_rd_text(r, SIZE_MAX, &ignored);
	case SIMPLE:
		return skip_simple(r);
	case UINT:
	case NEGATIVE:
		return skip_scalar(r);
	default:
		break;
	}
	if (depth == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "the CBOR is nested too deeply");
	if (r->rd.p[r->rd.at] >> 5 == ARRAY)
		return skip_array(r, depth - 1);
	if (r->rd.p[r->rd.at] >> 5 == MAP)
		return skip_map(r, depth - 1);
	BULLA_TRY(skip_scalar(r));
	return skip_item(r, depth - 1);
}

bulla_rc bulla_cbor_rd_skip(bulla_cbor_rd *r, bulla_bytes *ret_raw)
{
	bulla_cbor_rd next = *r;

	BULLA_TRY(skip_item(&next, BULLA_MAX_CBOR_DEPTH));
	*ret_raw = bulla_bytes_of(r->rd.p + r->rd.at, next.rd.at - r->rd.at);
	r->rd.at = next.rd.at;
	return BULLA_OK;
}

bulla_rc bulla_cbor_rd_end(const bulla_cbor_rd *r)
{
	return bulla_rd_end(&r->rd);
}

bulla_rc bulla_cbor_check(bulla_bytes bytes)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(bytes);
	bulla_bytes ignored;

	BULLA_TRY(bulla_cbor_rd_skip(&r, &ignored));
	return bulla_cbor_rd_end(&r);
}
