#include "wire/jcs.h"

#include "base/mem.h"
#include "wire/json_unescape.h"
#include "wire/text.h"

/* Exception to doc/STYLE.md line 50: snprintf and strtod, because libc converts doubles correctly and we would not. No
 * program of ours calls setlocale, so both work in the C locale. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_MAX 1024

/* --- numbers: ECMA-262, Number::toString --- */

/* One more in the last digit of d.ddde[+-]dd; false when that would need another digit. */
static bool step_up(char *text)
{
	char *last = text;

	while (last[1] != 'e')
		last++;
	for (; last >= text; last--) {
		if (*last == '.')
			continue;
		if (*last < '9') {
			++*last;
			return true;
		}
		*last = '0';
	}
	return false;
}

/* Prints number (> 0) with the fewest digits that read back as it. Where the nearest decimal of some length does not,
 * the next one above may: at a power of two the numbers above are twice as far apart as those below. */
static void print_shortest(double number, char *ret_text, size_t size)
{
	for (int precision = 0; precision < 17; precision++) {
		(void)snprintf(ret_text, size, "%.*e", precision, number); /* d.ddde[+-]dd */
		if (strtod(ret_text, NULL) == number || precision == 16)
			return;
		if (step_up(ret_text) && strtod(ret_text, NULL) == number)
			return;
	}
}

/* Digits without trailing zeros; the value is 0.DIGITS * 10^*ret_point. Returns their count. */
static size_t shortest_digits(double number, uint8_t ret_digits[17], int *ret_point)
{
	size_t count = 0;
	char text[40];
	char *p = text;

	print_shortest(number, text, sizeof(text));
	for (; *p != 'e'; p++) {
		if (*p != '.')
			ret_digits[count++] = (uint8_t)*p;
	}
	*ret_point = 1 + (int)strtol(p + 1, NULL, 10);
	while (count > 1 && ret_digits[count - 1] == '0')
		count--;
	return count;
}

static void write_zeros(bulla_wr *w, int count)
{
	for (int i = 0; i < count; i++)
		bulla_wr_u8(w, '0');
}

static void write_exponent(bulla_wr *w, const uint8_t *digits, size_t count, int point)
{
	bulla_wr_u8(w, digits[0]);
	if (count > 1) {
		bulla_wr_u8(w, '.');
		bulla_wr_bytes(w, (bulla_bytes){digits + 1, count - 1});
	}
	bulla_text_wr(w, point > 0 ? "e+" : "e-");
	bulla_text_wr_uint(w, (uint64_t)(point > 0 ? point - 1 : 1 - point));
}

void bulla_jcs_number(double number, bulla_wr *w)
{
	uint8_t digits[17];
	int point = 0;
	size_t count;

	if (!isfinite(number)) {
		bulla_wr_fail(w, BULLA_FAIL(BULLA_E_LIMIT, "a JSON number is out of range"));
		return;
	}
	if (number == 0) {
		bulla_wr_u8(w, '0');
		return;
	}
	if (number < 0)
		bulla_wr_u8(w, '-');
	count = shortest_digits(fabs(number), digits, &point);
	if (point > 21 || point < -5) {
		write_exponent(w, digits, count, point);
	} else if (point <= 0) {
		bulla_text_wr(w, "0.");
		write_zeros(w, -point);
		bulla_wr_bytes(w, (bulla_bytes){digits, count});
	} else if ((size_t)point >= count) {
		bulla_wr_bytes(w, (bulla_bytes){digits, count});
		write_zeros(w, point - (int)count);
	} else {
		bulla_wr_bytes(w, (bulla_bytes){digits, (size_t)point});
		bulla_wr_u8(w, '.');
		bulla_wr_bytes(w, (bulla_bytes){digits + point, count - (size_t)point});
	}
}

static void write_number(bulla_json value, bulla_wr *w)
{
	char text[NUMBER_MAX + 1];

	if (value.raw.n > NUMBER_MAX) {
		bulla_wr_fail(w, BULLA_FAIL(BULLA_E_LIMIT, "a JSON number is too long"));
		return;
	}
	bulla_copy(text, value.raw.p, value.raw.n);
	text[value.raw.n] = 0;
	bulla_jcs_number(strtod(text, NULL), w);
}

/* --- strings --- */

static void write_string(bulla_json value, bulla_wr *w)
{
	struct bulla_json_unescape u = bulla_json_unescape_of(value.raw.p, value.raw.n, 0);
	static const char digits[] = "0123456789abcdef";

	bulla_wr_u8(w, '"');
	for (int c = bulla_json_unescape_next(&u); c >= 0; c = bulla_json_unescape_next(&u)) {
		if (c == '"' || c == '\\') {
			bulla_wr_u8(w, '\\');
			bulla_wr_u8(w, (uint8_t)c);
		} else if (c >= 0x20) {
			bulla_wr_u8(w, (uint8_t)c);
		} else if (c == '\b' || c == '\t' || c == '\n' || c == '\f' || c == '\r') {
			bulla_wr_u8(w, '\\');
			bulla_wr_u8(w, (uint8_t)"btn.fr"[c - '\b']);
		} else {
			bulla_text_wr(w, "\\u00");
			bulla_wr_u8(w, (uint8_t)digits[c >> 4]);
			bulla_wr_u8(w, (uint8_t)digits[c & 15]);
		}
	}
	bulla_wr_u8(w, '"');
}

/* --- order of members: RFC 8785 section 3.2.3 --- */

/* The next code point; -1 at the end. */
static int32_t next_point(struct bulla_json_unescape *u)
{
	int c = bulla_json_unescape_next(u), more = c < 0xc0 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	int32_t point = more == 0 ? c : c & (0x3f >> more);

	for (; more > 0; more--)
		point = point << 6 | (bulla_json_unescape_next(u) & 0x3f);
	return point;
}

/* Code points ordered as their UTF-16 forms are: those beyond 0xffff are pairs that begin with 0xd800..0xdbff. */
static int64_t order_of(int32_t point)
{
	if (point < 0)
		return -1;
	if (point >= 0x10000)
		return INT64_C(0xd80000000) + point;
	return (int64_t)point << 20;
}

static bool is_before(bulla_json a, bulla_json b)
{
	struct bulla_json_unescape u = bulla_json_unescape_of(a.raw.p, a.raw.n, 0);
	struct bulla_json_unescape v = bulla_json_unescape_of(b.raw.p, b.raw.n, 0);
	int32_t c, d;

	do {
		c = next_point(&u);
		d = next_point(&v);
	} while (c == d && c >= 0);
	return order_of(c) < order_of(d);
}

struct member {
	bulla_json name, value;
};

/* Lets the member at index root sink to its place in the heap of count members. */
static void sink(struct member *members, size_t root, size_t count)
{
	for (size_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
		struct member swap = members[root];

		if (child + 1 < count && is_before(members[child].name, members[child + 1].name))
			child++;
		if (!is_before(members[root].name, members[child].name))
			return;
		members[root] = members[child];
		members[child] = swap;
		root = child;
	}
}

static void sort(struct member *members, size_t count)
{
	for (size_t i = count / 2; i > 0; i--)
		sink(members, i - 1, count);
	for (size_t i = count; i > 1; i--) {
		struct member last = members[i - 1];

		members[i - 1] = members[0];
		members[0] = last;
		sink(members, 0, i - 1);
	}
}

/* --- values --- */

static void write_value(bulla_json value, bulla_wr *w, unsigned depth);

static bulla_rc write_object(bulla_json value, bulla_wr *w, unsigned depth)
{
	struct bulla_json_iter iter = bulla_json_begin(value);
	size_t count = bulla_json_count(value);
	BULLA_AUTO_FREE void *memory = NULL;
	struct member *members;

	BULLA_TRY(bulla_alloc(count + 1, sizeof(*members), &memory));
	members = memory;
	for (size_t i = 0; i < count; i++) {
		if (!bulla_json_next(&iter, &members[i].name, &members[i].value))
			return BULLA_FAIL(BULLA_E_FORMAT, "a JSON object ends early");
	}
	sort(members, count);
	bulla_wr_u8(w, '{');
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			bulla_wr_u8(w, ',');
		write_string(members[i].name, w);
		bulla_wr_u8(w, ':');
		write_value(members[i].value, w, depth);
	}
	bulla_wr_u8(w, '}');
	return BULLA_OK;
}

static void write_array(bulla_json value, bulla_wr *w, unsigned depth)
{
	struct bulla_json_iter iter = bulla_json_begin(value);
	bulla_json name, item;

	bulla_wr_u8(w, '[');
	for (size_t i = 0; bulla_json_next(&iter, &name, &item); i++) {
		if (i > 0)
			bulla_wr_u8(w, ',');
		write_value(item, w, depth);
	}
	bulla_wr_u8(w, ']');
}

/* depth: levels that may still open. */
static void write_value(bulla_json value, bulla_wr *w, unsigned depth)
{
	enum bulla_json_type type = bulla_json_type(value);
	bulla_rc rc;

	if (w->rc != BULLA_OK)
		return;
	if (depth == 0 && (type == BULLA_JSON_OBJECT || type == BULLA_JSON_ARRAY)) {
		bulla_wr_fail(w, BULLA_FAIL(BULLA_E_FORMAT, "the JSON is nested too deeply"));
	} else if (type == BULLA_JSON_OBJECT) {
		rc = write_object(value, w, depth - 1);
		if (rc != BULLA_OK)
			bulla_wr_fail(w, rc);
	} else if (type == BULLA_JSON_ARRAY) {
		write_array(value, w, depth - 1);
	} else if (type == BULLA_JSON_STRING) {
		write_string(value, w);
	} else if (type == BULLA_JSON_NUMBER) {
		write_number(value, w);
	} else {
		bulla_wr_bytes(w, value.raw);
	}
}

void bulla_jcs_write(bulla_json value, bulla_wr *w)
{
	write_value(value, w, BULLA_MAX_JSON_DEPTH);
}
