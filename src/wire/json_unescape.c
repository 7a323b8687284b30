#include "wire/json_unescape.h"

static uint32_t hex4(const uint8_t *p)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++)
		value = value << 4 | (uint32_t)(p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
	return value;
}

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

static int unicode_escape(struct bulla_json_unescape *u)
{
	uint32_t point;

	if (u->n - u->at < 6)
		return -1;
	point = hex4(u->p + u->at + 2);
	u->at += 6;
	if (point >= 0xd800 && point <= 0xdbff && u->n - u->at >= 6) {
		point = 0x10000 + ((point - 0xd800) << 10) + ((hex4(u->p + u->at + 2) - 0xdc00) & 0x3ff);
		u->at += 6;
	}
	return put(u, point);
}

int bulla_json_unescape_escape(struct bulla_json_unescape *u)
{
	if (u->n - u->at < 2)
		return -1;
	switch (u->p[u->at + 1]) {
	case 'u':
		return unicode_escape(u);
	case 'b':
		u->at += 2;
		return '\b';
	case 'f':
		u->at += 2;
		return '\f';
	case 'n':
		u->at += 2;
		return '\n';
	case 'r':
		u->at += 2;
		return '\r';
	case 't':
		u->at += 2;
		return '\t';
	default: /* quote, backslash, slash stand for themselves */
		u->at += 2;
		return u->p[u->at - 1];
	}
}
