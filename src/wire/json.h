#pragma once
/* JSON (RFC 8259), strict: well-formed UTF-8, no lone surrogates, no name twice in an object (compared unescaped), depth
 * up to BULLA_MAX_JSON_DEPTH. Text is checked once as a whole by bulla_json_parse; after that a value is a view of its
 * own text ("raw slice"), so that a field can be sealed, hashed or handed on exactly as it stands. No allocation. */
#include "base/limits.h"
#include "base/rd.h"
#include "base/wr.h"

/* One value: its text without space around it. */
typedef struct bulla_json {
	bulla_bytes raw;
} bulla_json;

enum bulla_json_type {
	BULLA_JSON_OBJECT,
	BULLA_JSON_ARRAY,
	BULLA_JSON_STRING,
	BULLA_JSON_NUMBER,
	BULLA_JSON_BOOL,
	BULLA_JSON_NULL,
};

/* text is exactly one value, with space around it at most. BULLA_E_TRUNCATED, BULLA_E_FORMAT, BULLA_E_TRAILING,
 * BULLA_E_DUPLICATE; BULLA_E_LIMIT when more than BULLA_MAX_JSON_NAMES names are in objects that are open at once (this
 * bounds the search for duplicates: 16 KiB to 32 KiB of stack, and that many comparisons per name).
 * The functions below want values that came from here; they stay inside raw whatever it holds. */
BULLA_CHECK bulla_rc bulla_json_parse(bulla_bytes text, bulla_json *ret);
/* The same; *ret_at (always written) is the offset in text at which it failed: its end when it ends early, the second name
 * when one is there twice. */
BULLA_CHECK bulla_rc bulla_json_parse_at(bulla_bytes text, bulla_json *ret, size_t *ret_at);

/* By its first character: a value that was parsed has one. */
enum bulla_json_type bulla_json_type(bulla_json value);

/* --- into objects and arrays --- */

/* Walks the members of an object or the elements of an array; anything else has none.
 * for (iter = bulla_json_begin(value); bulla_json_next(&iter, &name, &item);) — name is a string, empty in arrays. */
struct bulla_json_iter {
	bulla_rd rd;
	bool object;
};

/* Members of an object, elements of an array, in order; none for other values. next: false at the end; names only for
 * members, views of the text. */
struct bulla_json_iter bulla_json_begin(bulla_json value);
bool bulla_json_next(struct bulla_json_iter *iter, bulla_json *ret_name, bulla_json *ret_item);

/* Members or elements. */
size_t bulla_json_count(bulla_json value);

/* The member with this name (plain UTF-8). BULLA_E_FORMAT: no object; BULLA_E_NOT_FOUND. */
BULLA_CHECK bulla_rc bulla_json_get(bulla_json object, bulla_bytes name, bulla_json *ret);
BULLA_CHECK bulla_rc bulla_json_get_str(bulla_json object, const char *name, bulla_json *ret);

/* The value at a path of names: risk.grade is {"risk", "grade"}. An empty path is the value itself. */
BULLA_CHECK bulla_rc bulla_json_select(bulla_json value, const bulla_bytes *path, size_t count, bulla_json *ret);

/* --- scalars: BULLA_E_FORMAT for another type --- */

/* A number without fraction and exponent; BULLA_E_LIMIT outside min..max. */
BULLA_CHECK bulla_rc bulla_json_int(bulla_json value, int64_t min, int64_t max, int64_t *ret);
BULLA_CHECK bulla_rc bulla_json_bool(bulla_json value, bool *ret);

/* The characters of a string, unescaped, at most max bytes; BULLA_E_LIMIT (ret is then undefined). */
BULLA_CHECK bulla_rc bulla_json_string(bulla_json value, size_t max, uint8_t *ret, size_t *ret_size);
/* The same as a view; BULLA_E_UNSUPPORTED for a string with escapes. */
BULLA_CHECK bulla_rc bulla_json_string_view(bulla_json value, bulla_bytes *ret);
/* Is it a string of these characters? */
bool bulla_json_string_is(bulla_json value, bulla_bytes text);

/* --- writer: commas and escapes are its business, order is the caller's; errors stick in w --- */

typedef struct bulla_json_wr {
	bulla_wr *w;
	uint64_t used; /* bit per level: something was written there */
	uint8_t depth;
} bulla_json_wr;

/* A value of JSON goes to w; commas and nesting are kept here, errors stick in w. */
static inline bulla_json_wr bulla_json_wr_of(bulla_wr *w)
{
	return (bulla_json_wr){.w = w};
}

/* Begin and end of an object, of an array. */
void bulla_json_wr_object(bulla_json_wr *j);
void bulla_json_wr_object_end(bulla_json_wr *j);
void bulla_json_wr_array(bulla_json_wr *j);
void bulla_json_wr_array_end(bulla_json_wr *j);
/* Name of the next value. */
void bulla_json_wr_name(bulla_json_wr *j, const char *name);
/* The caller vouches for valid UTF-8; otherwise BULLA_E_FORMAT sticks. */
void bulla_json_wr_string(bulla_json_wr *j, bulla_bytes text);
void bulla_json_wr_str(bulla_json_wr *j, const char *text);
void bulla_json_wr_base64(bulla_json_wr *j, bulla_bytes bytes);
void bulla_json_wr_hex(bulla_json_wr *j, bulla_bytes bytes);
void bulla_json_wr_int(bulla_json_wr *j, int64_t value);
void bulla_json_wr_bool(bulla_json_wr *j, bool value);
void bulla_json_wr_null(bulla_json_wr *j);
/* A value that is JSON already. */
void bulla_json_wr_raw(bulla_json_wr *j, bulla_json value);

/* A string with quotes and the escapes of RFC 8785 section 3.2.2.2, outside any writer. */
void bulla_json_quote(bulla_wr *w, bulla_bytes text);
