#include "wire/text.h"

/* Length of the well-formed sequence at p (RFC 3629 section 4), 0 when there is none. */
static size_t utf8_sequence(const uint8_t *p, size_t n)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t size = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

	if (p[0] < 0xc2 || p[0] > 0xf4 || n < size)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < size; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return size;
}

bool bulla_text_is_utf8(bulla_bytes text)
{
	for (size_t i = 0; i < text.n;) {
		size_t size = text.p[i] < 0x80 ? 1 : utf8_sequence(text.p + i, text.n - i);

		if (size == 0)
			return false;
		i += size;
	}
	return true;
}
