#include "wire/json.h"

#include "wire/json_unescape.h"
#include "wire/text.h"

/* --- scanning: one pass over text, which checks everything --- */

/* Names of the objects that are open, innermost last: offsets of their first quotes, and hashes to compare first. */
struct names {
	size_t count, max;
	uint32_t *hash, *at;
};

struct scan {
	bulla_rd rd;
	struct names *names; /* NULL: the text was checked before, do not look for duplicates */
};

static bulla_rc scan_value(struct scan *s, unsigned depth);

/* The next byte, 0 at the end: no rule below takes a 0. */
static uint8_t peek(const bulla_rd *r)
{
	return r->at < r->n ? r->p[r->at] : 0;
}

static void skip_space(bulla_rd *r)
{
	for (uint8_t c = peek(r); c == ' ' || c == '\n' || c == '\r' || c == '\t'; c = peek(r))
		r->at++;
}

static bulla_rc unexpected(const bulla_rd *r)
{
	if (r->at >= r->n)
		return BULLA_FAIL(BULLA_E_TRUNCATED, "the JSON ends early");
	return BULLA_FAIL(BULLA_E_FORMAT, "the JSON holds a character that may not be there");
}

static bulla_rc scan_literal(bulla_rd *r, bulla_bytes literal)
{
	size_t size = literal.n < bulla_rd_left(r) ? literal.n : bulla_rd_left(r);

	for (size_t i = 0; i < size; i++) {
		if (r->p[r->at + i] != literal.p[i])
			return BULLA_FAIL(BULLA_E_FORMAT, "the JSON holds an unknown word");
	}
	return bulla_rd_skip(r, literal.n);
}

static bulla_rc scan_digits(bulla_rd *r)
{
	if (peek(r) < '0' || peek(r) > '9')
		return unexpected(r);
	while (peek(r) >= '0' && peek(r) <= '9')
		r->at++;
	return BULLA_OK;
}

/* RFC 8259 section 6 */
static bulla_rc scan_number(bulla_rd *r)
{
	if (peek(r) == '-')
		r->at++;
	if (peek(r) == '0')
		r->at++;
	else
		BULLA_TRY(scan_digits(r));
	if (peek(r) == '.') {
		r->at++;
		BULLA_TRY(scan_digits(r));
	}
	if (peek(r) == 'e' || peek(r) == 'E') {
		r->at++;
		if (peek(r) == '+' || peek(r) == '-')
			r->at++;
		BULLA_TRY(scan_digits(r));
	}
	return BULLA_OK;
}

static bulla_rc scan_escape(bulla_rd *r)
{
	struct bulla_json_unescape u = {.p = r->p, .n = r->n, .at = r->at};
	bool good = bulla_json_unescape_escape(&u) >= 0;

	r->at = u.at;
	return good ? BULLA_OK : unexpected(r);
}

/* How many of the next bytes are plain: ASCII, and no quote, backslash or control character. Eight at a time (a byte of a
 * word is below n if and only if word - n in each byte borrows there, where no byte has its top bit). */
static size_t plain_run(const bulla_rd *r)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
	size_t at = r->at;

	for (uint64_t word; r->n - at >= sizeof(word); at += sizeof(word)) {
		uint64_t quote, slash;

		bulla_copy(&word, r->p + at, sizeof(word));
		quote = word ^ ones * '"';
		slash = word ^ ones * '\\';
		if (((word | (word - ones * 0x20) | (quote - ones) | (slash - ones)) & tops) != 0)
			break;
	}
	return at - r->at;
}

static bulla_rc scan_string(bulla_rd *r)
{
	size_t begin = ++r->at;
	uint8_t any = 0;

	r->at += plain_run(r);
	for (uint8_t c = peek(r); c != '"'; c = peek(r)) {
		if (c < 0x20)
			return unexpected(r);
		if (c == '\\') {
			BULLA_TRY(scan_escape(r));
		} else {
			any |= c;
			r->at++;
		}
		r->at += plain_run(r);
	}
	if (any >= 0x80 && !bulla_text_is_utf8(bulla_bytes_of(r->p + begin, r->at - begin))) {
		r->at = begin - 1;
		return BULLA_FAIL(BULLA_E_FORMAT, "a string of the JSON is not UTF-8");
	}
	r->at++;
	return BULLA_OK;
}

static uint32_t hash_name(const bulla_rd *r, size_t at)
{
	struct bulla_json_unescape u = bulla_json_unescape_of(r->p, r->n, at);
	uint32_t hash = 0x811c9dc5; /* FNV-1a: only a first sieve */

	for (int c = bulla_json_unescape_next(&u); c >= 0; c = bulla_json_unescape_next(&u))
		hash = (hash ^ (uint32_t)c) * 0x01000193;
	return hash;
}

static bool same_name(const bulla_rd *r, size_t a, size_t b)
{
	struct bulla_json_unescape u = bulla_json_unescape_of(r->p, r->n, a), v = bulla_json_unescape_of(r->p, r->n, b);
	int c, d;

	do {
		c = bulla_json_unescape_next(&u);
		d = bulla_json_unescape_next(&v);
	} while (c == d && c >= 0);
	return c == d;
}

/* A name begins at offset at; names of its object are those from index first on. */
static bulla_rc add_name(struct scan *s, size_t first, size_t at)
{
	struct names *names = s->names;
	uint32_t hash = hash_name(&s->rd, at);

	if (names->count == names->max)
		return BULLA_FAIL(BULLA_E_LIMIT, "the JSON has too many names in open objects");
	for (size_t i = first; i < names->count; i++) {
		if (names->hash[i] == hash && same_name(&s->rd, names->at[i], at))
			return BULLA_FAIL(BULLA_E_DUPLICATE, "an object of the JSON has a name twice");
	}
	names->hash[names->count] = hash;
	names->at[names->count++] = (uint32_t)at;
	return BULLA_OK;
}

/* A name and its colon; *ret_size is the size of the name with its quotes. */
static bulla_rc scan_name(struct scan *s, size_t first, size_t *ret_size)
{
	bulla_rd *r = &s->rd;
	size_t at = r->at, size;

	if (peek(r) != '"')
		return unexpected(r);
	BULLA_TRY(scan_string(r));
	size = r->at - at;
	if (s->names != NULL) {
		bulla_rc rc = add_name(s, first, at);

		r->at = rc == BULLA_OK ? r->at : at; /* the name is what is wrong */
		BULLA_TRY(rc);
	}
	skip_space(r);
	if (peek(r) != ':')
		return unexpected(r);
	r->at++;
	skip_space(r);
	*ret_size = size;
	return BULLA_OK;
}

/* Behind an element: at the next one, or past the end. */
static bulla_rc scan_separator(bulla_rd *r, uint8_t close, bool *ret_end)
{
	uint8_t c;

	skip_space(r);
	c = peek(r);
	if (c != ',' && c != close)
		return unexpected(r);
	r->at++;
	if (c == ',')
		skip_space(r);
	*ret_end = c == close;
	return BULLA_OK;
}

/* Object or array; depth: levels that may still open inside. */
static bulla_rc scan_container(struct scan *s, bool object, unsigned depth)
{
	size_t first = s->names != NULL ? s->names->count : 0, name_size;
	bulla_rd *r = &s->rd;
	uint8_t close = object ? '}' : ']';
	bool end = false;

	if (depth == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "the JSON is nested too deeply");
	r->at++;
	skip_space(r);
	if (peek(r) == close) {
		r->at++;
		return BULLA_OK;
	}
	while (!end) {
		if (object)
			BULLA_TRY(scan_name(s, first, &name_size));
		BULLA_TRY(scan_value(s, depth - 1));
		BULLA_TRY(scan_separator(r, close, &end));
	}
	if (s->names != NULL)
		s->names->count = first;
	return BULLA_OK;
}

static bulla_rc scan_value(struct scan *s, unsigned depth)
{
	bulla_rd *r = &s->rd;

	switch (peek(r)) {
	case '{':
		return scan_container(s, true, depth);
	case '[':
		return scan_container(s, false, depth);
	case '"':
		return scan_string(r);
	case 't':
		return scan_literal(r, BULLA_BYTES_LITERAL("true"));
	case 'f':
		return scan_literal(r, BULLA_BYTES_LITERAL("false"));
	case 'n':
		return scan_literal(r, BULLA_BYTES_LITERAL("null"));
	default:
		return scan_number(r);
	}
}

static bulla_rc scan_whole(struct scan *s, bulla_json *ret)
{
	size_t begin, end;

	skip_space(&s->rd);
	begin = s->rd.at;
	BULLA_TRY(scan_value(s, BULLA_MAX_JSON_DEPTH));
	end = s->rd.at;
	skip_space(&s->rd);
	BULLA_TRY(bulla_rd_end(&s->rd));
	*ret = (bulla_json){bulla_bytes_of(s->rd.p + begin, end - begin)};
	return BULLA_OK;
}

static bulla_rc scan_text(bulla_bytes text, struct names *names, bulla_json *ret, size_t *ret_at)
{
	struct scan s = {.rd = bulla_rd_of(text), .names = names};
	bulla_rc rc = scan_whole(&s, ret);

	*ret_at = rc == BULLA_E_TRUNCATED ? text.n : s.rd.at;
	return rc;
}

/* Apart, so that small documents do not pay for the large tables. */
__attribute__((noinline)) static bulla_rc scan_many_names(bulla_bytes text, bulla_json *ret, size_t *ret_at)
{
	uint32_t hash[BULLA_MAX_JSON_NAMES], at[BULLA_MAX_JSON_NAMES];
	struct names names = {.max = BULLA_MAX_JSON_NAMES, .hash = hash, .at = at};

	return scan_text(text, &names, ret, ret_at);
}

bulla_rc bulla_json_parse(bulla_bytes text, bulla_json *ret)
{
	size_t ignored;

	return bulla_json_parse_at(text, ret, &ignored);
}

bulla_rc bulla_json_parse_at(bulla_bytes text, bulla_json *ret, size_t *ret_at)
{
	uint32_t hash[64], at[64];
	struct names names = {.max = 64, .hash = hash, .at = at};
	bulla_rc rc;

	*ret_at = 0;
	if (text.n > UINT32_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "the JSON is too long");
	rc = scan_text(text, &names, ret, ret_at);
	if (rc == BULLA_E_LIMIT)
		rc = scan_many_names(text, ret, ret_at);
	return rc;
}

enum bulla_json_type bulla_json_type(bulla_json value)
{
	switch (value.raw.n > 0 ? value.raw.p[0] : 'n') {
	case '{':
		return BULLA_JSON_OBJECT;
	case '[':
		return BULLA_JSON_ARRAY;
	case '"':
		return BULLA_JSON_STRING;
	case 't':
	case 'f':
		return BULLA_JSON_BOOL;
	case 'n':
		return BULLA_JSON_NULL;
	default:
		return BULLA_JSON_NUMBER;
	}
}

/* --- into objects and arrays: values are checked, so failures below cannot be; they end the walk --- */

struct bulla_json_iter bulla_json_begin(bulla_json value)
{
	struct bulla_json_iter iter = {.rd = bulla_rd_of(value.raw), .object = bulla_json_type(value) == BULLA_JSON_OBJECT};

	if (!iter.object && bulla_json_type(value) != BULLA_JSON_ARRAY) {
		iter.rd.at = iter.rd.n;
		return iter;
	}
	iter.rd.at = 1;
	skip_space(&iter.rd);
	return iter;
}

static bulla_rc next_item(struct bulla_json_iter *iter, bulla_json *ret_name, bulla_json *ret_item)
{
	struct scan s = {.rd = iter->rd};
	bulla_json name = {{NULL, 0}}, item;
	size_t at = s.rd.at, name_size;
	bool end;

	if (iter->object) {
		BULLA_TRY(scan_name(&s, 0, &name_size));
		name.raw = bulla_bytes_of(s.rd.p + at, name_size);
	}
	at = s.rd.at;
	BULLA_TRY(scan_value(&s, BULLA_MAX_JSON_DEPTH));
	item.raw = bulla_bytes_of(s.rd.p + at, s.rd.at - at);
	BULLA_TRY(scan_separator(&s.rd, iter->object ? '}' : ']', &end));
	if (end)
		s.rd.at = s.rd.n;
	iter->rd = s.rd;
	*ret_name = name;
	*ret_item = item;
	return BULLA_OK;
}

bool bulla_json_next(struct bulla_json_iter *iter, bulla_json *ret_name, bulla_json *ret_item)
{
	uint8_t c = peek(&iter->rd);

	if (iter->rd.at >= iter->rd.n || c == '}' || c == ']')
		return false;
	return next_item(iter, ret_name, ret_item) == BULLA_OK;
}

size_t bulla_json_count(bulla_json value)
{
	struct bulla_json_iter iter = bulla_json_begin(value);
	bulla_json name, item;
	size_t count = 0;

	while (bulla_json_next(&iter, &name, &item))
		count++;
	return count;
}

bulla_rc bulla_json_get(bulla_json object, bulla_bytes name, bulla_json *ret)
{
	struct bulla_json_iter iter = bulla_json_begin(object);
	bulla_json found, item;

	if (bulla_json_type(object) != BULLA_JSON_OBJECT)
		return BULLA_FAIL(BULLA_E_FORMAT, "a JSON value is no object");
	while (bulla_json_next(&iter, &found, &item)) {
		if (bulla_json_string_is(found, name)) {
			*ret = item;
			return BULLA_OK;
		}
	}
	return BULLA_FAIL(BULLA_E_NOT_FOUND, "a JSON object has no such member");
}

bulla_rc bulla_json_get_str(bulla_json object, const char *name, bulla_json *ret)
{
	return bulla_json_get(object, bulla_bytes_str(name), ret);
}

bulla_rc bulla_json_select(bulla_json value, const bulla_bytes *path, size_t count, bulla_json *ret)
{
	for (size_t i = 0; i < count; i++)
		BULLA_TRY(bulla_json_get(value, path[i], &value));
	*ret = value;
	return BULLA_OK;
}

/* --- scalars --- */

bulla_rc bulla_json_int(bulla_json value, int64_t min, int64_t max, int64_t *ret)
{
	if (bulla_json_type(value) != BULLA_JSON_NUMBER)
		return BULLA_FAIL(BULLA_E_FORMAT, "a JSON value is no number");
	return bulla_text_int(value.raw, min, max, ret);
}

bulla_rc bulla_json_bool(bulla_json value, bool *ret)
{
	if (bulla_json_type(value) != BULLA_JSON_BOOL)
		return BULLA_FAIL(BULLA_E_FORMAT, "a JSON value is no truth value");
	*ret = value.raw.p[0] == 't';
	return BULLA_OK;
}

bulla_rc bulla_json_string(bulla_json value, size_t max, uint8_t *ret, size_t *ret_size)
{
	struct bulla_json_unescape u = bulla_json_unescape_of(value.raw.p, value.raw.n, 0);
	size_t n = 0;

	if (bulla_json_type(value) != BULLA_JSON_STRING)
		return BULLA_FAIL(BULLA_E_FORMAT, "a JSON value is no string");
	for (int c = bulla_json_unescape_next(&u); c >= 0; c = bulla_json_unescape_next(&u)) {
		if (n == max)
			return BULLA_FAIL(BULLA_E_LIMIT, "a JSON string is too long");
		ret[n++] = (uint8_t)c;
	}
	*ret_size = n;
	return BULLA_OK;
}

bulla_rc bulla_json_string_view(bulla_json value, bulla_bytes *ret)
{
	if (bulla_json_type(value) != BULLA_JSON_STRING || value.raw.n < 2)
		return BULLA_FAIL(BULLA_E_FORMAT, "a JSON value is no string");
	for (size_t i = 1; i + 1 < value.raw.n; i++) {
		if (value.raw.p[i] == '\\')
			return BULLA_FAIL(BULLA_E_UNSUPPORTED, "a JSON string has escapes where plain characters are wanted");
	}
	*ret = bulla_bytes_of(value.raw.p + 1, value.raw.n - 2);
	return BULLA_OK;
}

bool bulla_json_string_is(bulla_json value, bulla_bytes text)
{
	struct bulla_json_unescape u = bulla_json_unescape_of(value.raw.p, value.raw.n, 0);

	if (bulla_json_type(value) != BULLA_JSON_STRING)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (bulla_json_unescape_next(&u) != text.p[i])
			return false;
	}
	return bulla_json_unescape_next(&u) < 0;
}
