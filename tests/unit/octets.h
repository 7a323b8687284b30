#pragma once
/* Big-endian numbers in a row of octets, as TPMs speak. */
#include <stddef.h>
#include <stdint.h>

static inline void put_be(uint8_t *p, size_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
}

static inline uint32_t be(const uint8_t *p, size_t size)
{
	uint32_t value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | p[i];
	return value;
}
