#include "cmd/plain.h"

static bool is_control(uint8_t c)
{
	return (c < 32 && c != '\t') || c == 127;
}

/* U+0080 to U+009F: terminals take U+009B for ESC [. */
static bool is_c1(bulla_bytes text, size_t i)
{
	return text.p[i] == 0xc2 && i + 1 < text.n && text.p[i + 1] >= 0x80 && text.p[i + 1] <= 0x9f;
}

void plain_print(bulla_bytes text, bool lines, FILE *out)
{
	for (size_t i = 0; i < text.n; i++) {
		bool c1 = is_c1(text, i);

		fputc((lines && text.p[i] == '\n') || !(c1 || is_control(text.p[i])) ? text.p[i] : '?', out);
		i += c1;
	}
}
