#pragma once
/* Borrowed bytes and fixed-size public values. memcpy and memcmp live here and nowhere else (doc/STYLE.md line 49). */
#include "base/rc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A borrowed view. {NULL, 0} is the empty view. Passed by value. */
typedef struct bulla_bytes {
	const uint8_t *p;
	size_t n;
} bulla_bytes;

/* SHA-256 output; also any other public 32-byte value that is compared and stored as one. */
typedef struct bulla_digest {
	uint8_t b[32];
} bulla_digest;

/* View of a string literal or of an array, without a terminating zero. */
#define BULLA_BYTES_LITERAL(literal) ((bulla_bytes){(const uint8_t *)("" literal), sizeof(literal) - 1})
#define BULLA_BYTES_ARRAY(array) ((bulla_bytes){(const uint8_t *)(array), sizeof(array)})

/* A view of n bytes at p, which stay the caller's. */
static inline bulla_bytes bulla_bytes_of(const void *p, size_t n)
{
	return (bulla_bytes){(const uint8_t *)p, n};
}

/* View of a zero-terminated string without its zero. */
bulla_bytes bulla_bytes_str(const char *text);

/* View of a digest's 32 bytes; borrowed. */
static inline bulla_bytes bulla_bytes_digest(const bulla_digest *digest)
{
	return (bulla_bytes){digest->b, sizeof(digest->b)};
}

/* Equality of public bytes; not constant-time. */
bool bulla_bytes_eq(bulla_bytes a, bulla_bytes b);
bool bulla_bytes_eq_str(bulla_bytes a, const char *text);
static inline bool bulla_digest_eq(const bulla_digest *a, const bulla_digest *b)
{
	return __builtin_memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

/* Lexicographic order of public bytes: < 0, 0, > 0. */
int bulla_bytes_cmp(bulla_bytes a, bulla_bytes b);

/* Equality in time that depends on the lengths only: for MACs and secrets. */
bool bulla_bytes_eq_ct(bulla_bytes a, bulla_bytes b);

/* True when every byte is zero; constant-time in the content. */
bool bulla_bytes_is_zero_ct(bulla_bytes a);

/* Copies size bytes; the regions must not overlap. size 0 is allowed with any pointers. */
static inline void bulla_copy(void *ret, const void *from, size_t size)
{
	if (size > 0)
		__builtin_memcpy(ret, from, size); /* in line: most sizes are small and known */
}

/* Moves size bytes; the regions may overlap. */
void bulla_move(void *ret, const void *from, size_t size);

/* Sets size bytes to zero; may be optimised away where the memory is dead. Use bulla_wipe for secrets. */
void bulla_zero(void *p, size_t size);

/* Sets size bytes to zero, for certain. */
void bulla_wipe(void *p, size_t size);

/* Copies bytes of exactly size into ret; BULLA_E_FORMAT when the length differs. */
BULLA_CHECK bulla_rc bulla_bytes_copy_exact(bulla_bytes from, size_t size, uint8_t *ret);
