/* Chosen by meson on x86-64: the SSE 4.2 instruction where the processor has it, three at a time where it multiplies
 * without carry. */
#include "journal/crc32c.h"
#include "journal/crc32c_table.h"

#include <nmmintrin.h>
#include <wmmintrin.h>

#define LANE ((size_t)1024) /* bytes of each of three streams */

/* x^(8 n - 33) mod P, bits reflected: a state times that, reduced, is the state n zero bytes later. */
#define PAST_ONE 0x170076faU   /* n = LANE */
#define PAST_TWO 0xa51b6135U   /* n = 2 LANE */

__attribute__((target("sse4.2"))) static uint64_t word(uint64_t state, const uint8_t *p)
{
	uint64_t word;

	bulla_copy(&word, p, 8);
	return _mm_crc32_u64(state, word);
}

__attribute__((target("sse4.2"))) static uint32_t one_lane(uint32_t state, bulla_bytes bytes)
{
	uint64_t wide = state;
	size_t i = 0;

	for (; i + 8 <= bytes.n; i += 8)
		wide = word(wide, bytes.p + i);
	for (; i < bytes.n; i++)
		wide = _mm_crc32_u8((uint32_t)wide, bytes.p[i]);
	return (uint32_t)wide;
}

__attribute__((target("sse4.2,pclmul"))) static uint64_t past(uint64_t state, uint32_t factor)
{
	__m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)state), _mm_cvtsi64_si128((int64_t)factor), 0);

	return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

/* The instruction takes three cycles and begins one each: three streams, put together where they end. */
__attribute__((target("sse4.2,pclmul"))) static uint32_t three_lanes(uint32_t state, bulla_bytes *bytes)
{
	uint64_t a = state;

	while (bytes->n >= 3 * LANE) {
		uint64_t b = 0, c = 0;

		for (size_t i = 0; i < LANE; i += 8) {
			a = word(a, bytes->p + i);
			b = word(b, bytes->p + LANE + i);
			c = word(c, bytes->p + 2 * LANE + i);
		}
		a = past(a, PAST_TWO) ^ past(b, PAST_ONE) ^ c;
		*bytes = bulla_bytes_of(bytes->p + 3 * LANE, bytes->n - 3 * LANE);
	}
	return (uint32_t)a;
}

uint32_t bulla_crc32c(uint32_t crc, bulla_bytes bytes)
{
	uint32_t state = ~crc;

	if (!__builtin_cpu_supports("sse4.2"))
		return bulla_crc32c_slow(crc, bytes);
	if (__builtin_cpu_supports("pclmul"))
		state = three_lanes(state, &bytes);
	return ~one_lane(state, bytes);
}
