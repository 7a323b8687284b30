#include "base/bytes.h"

#include <string.h>

bulla_bytes bulla_bytes_str(const char *text)
{
	return (bulla_bytes){(const uint8_t *)text, strlen(text)};
}

bool bulla_bytes_eq(bulla_bytes a, bulla_bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool bulla_bytes_eq_str(bulla_bytes a, const char *text)
{
	return bulla_bytes_eq(a, bulla_bytes_str(text));
}

int bulla_bytes_cmp(bulla_bytes a, bulla_bytes b)
{
	size_t shorter = a.n < b.n ? a.n : b.n;
	int order = shorter == 0 ? 0 : memcmp(a.p, b.p, shorter);

	if (order != 0)
		return order;
	return (a.n > b.n) - (a.n < b.n);
}

bool bulla_bytes_eq_ct(bulla_bytes a, bulla_bytes b)
{
	volatile uint8_t diff = 0;

	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		diff = (uint8_t)(diff | (a.p[i] ^ b.p[i]));
	return diff == 0;
}

bool bulla_bytes_is_zero_ct(bulla_bytes a)
{
	volatile uint64_t any = 0;
	uint64_t words[8];
	size_t i = 0;

	/* whole blocks first (paddings are kilobytes); volatile once per block keeps the compiler from leaving early */
	for (; a.n - i >= sizeof(words); i += sizeof(words)) {
		memcpy(words, a.p + i, sizeof(words));
		any = any | words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] | words[7];
	}
	for (; i < a.n; i++)
		any = any | a.p[i];
	return any == 0;
}

void bulla_move(void *ret, const void *from, size_t size)
{
	if (size > 0)
		memmove(ret, from, size);
}

void bulla_zero(void *p, size_t size)
{
	if (size > 0)
		memset(p, 0, size);
}

void bulla_wipe(void *p, size_t size)
{
	if (size > 0)
		explicit_bzero(p, size);
}

bulla_rc bulla_bytes_copy_exact(bulla_bytes from, size_t size, uint8_t *ret)
{
	if (from.n != size)
		return BULLA_FAIL(BULLA_E_FORMAT, "a field has another size than it must have");
	bulla_copy(ret, from.p, size);
	return BULLA_OK;
}
