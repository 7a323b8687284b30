#include "wire/json_unescape.h"

/* The UTF-8 form of a code point: first byte returned, the others pending. */
static int put(struct bulla_json_unescape *u, uint32_t point)
{
	static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
	uint8_t more = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;

	for (uint8_t i = 0; i < more; i++)
		u->pending[i] = (uint8_t)(0x80 | (point >> (6 * (more - 1 - i)) & 0x3f));
	u->pending_count = more;
	u->pending_at = 0;
	return (int)(lead[more] | point >> (6 * more));
}

/* Moves over c when it is next. */
static bool take(struct bulla_json_unescape *u, uint8_t c)
{
	bool is = u->at < u->n && u->p[u->at] == c;

	u->at += is;
	return is;
}

/* Four hexadecimal digits; where one is none it stops there. */
static bool take_unit(struct bulla_json_unescape *u, uint32_t *ret)
{
	*ret = 0;
	for (int i = 0; i < 4; i++, u->at++) {
		uint8_t c = u->at < u->n ? u->p[u->at] : 0, low = c | 0x20;

		if ((c < '0' || c > '9') && (low < 'a' || low > 'f'))
			return false;
		*ret = *ret << 4 | (uint32_t)(c <= '9' ? c - '0' : low - 'a' + 10);
	}
	return true;
}

/* Behind "\u": surrogates only in pairs, because nothing else has a form in UTF-8. */
static int unicode_escape(struct bulla_json_unescape *u)
{
	uint32_t point, low;

	if (!take_unit(u, &point) || (point >= 0xdc00 && point <= 0xdfff))
		return -1;
	if (point >= 0xd800 && point <= 0xdbff) {
		if (!take(u, '\\') || !take(u, 'u') || !take_unit(u, &low) || low < 0xdc00 || low > 0xdfff)
			return -1;
		point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
	}
	return put(u, point);
}

int bulla_json_unescape_escape(struct bulla_json_unescape *u)
{
	static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";

	u->at++;
	for (size_t i = 0; i < sizeof(letters) - 1; i++)
		if (take(u, (uint8_t)letters[i]))
			return meant[i];
	return take(u, 'u') ? unicode_escape(u) : -1;
}
