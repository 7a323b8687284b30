/* Chosen by meson on x86-64: the SSE 4.2 instruction where the processor has it. */
#include "journal/crc32c.h"
#include "journal/crc32c_table.h"

#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t fast(uint32_t crc, bulla_bytes bytes)
{
	uint64_t state = ~crc;
	size_t i = 0;

	for (; i + 8 <= bytes.n; i += 8) {
		uint64_t word;

		bulla_copy(&word, bytes.p + i, 8);
		state = _mm_crc32_u64(state, word);
	}
	for (; i < bytes.n; i++)
		state = _mm_crc32_u8((uint32_t)state, bytes.p[i]);
	return ~(uint32_t)state;
}

uint32_t bulla_crc32c(uint32_t crc, bulla_bytes bytes)
{
	return __builtin_cpu_supports("sse4.2") ? fast(crc, bytes) : bulla_crc32c_slow(crc, bytes);
}
