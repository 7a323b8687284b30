#pragma once
/* Heap with a limit per allocation and scope cleanup. Everything that allocates goes through here. */
#include "base/bytes.h"

/* No single allocation is larger: 64 MiB (hard limit of a blob is streamed, not allocated). */
#define BULLA_ALLOC_MAX ((size_t)64 << 20)

/* Zeroed memory for count objects of size bytes; BULLA_E_MEMORY when there is none, BULLA_E_LIMIT above the limit. */
BULLA_CHECK bulla_rc bulla_alloc(size_t count, size_t size, void **ret);

/* size bytes of undefined content, for what is written before it is read; errors as bulla_alloc. */
BULLA_CHECK bulla_rc bulla_alloc_bytes(size_t size, void **ret);

/* NULL is allowed. */
void bulla_free(void *p);

/* Allocations since process start; the "no malloc in 10,000 steps" test reads it. */
uint64_t bulla_alloc_count(void);

/* Fault hook of tests: the nth allocation from now on fails (1 = the next); 0 switches it off. Per thread. */
void bulla_alloc_fail_nth(uint64_t nth);

/* Cleanup of a plain heap pointer at the end of its scope: BULLA_AUTO_FREE char *text = NULL; */
static inline void bulla_free_cleanup(void *pointer)
{
	bulla_free(*(void **)pointer);
}
#define BULLA_AUTO_FREE __attribute__((cleanup(bulla_free_cleanup)))

/* Hand over ownership: return bulla_take(&local); leaves NULL behind. */
#define bulla_take(pointer) \
	__extension__({ \
		__auto_type bulla_taken_ = *(pointer); \
		*(pointer) = NULL; \
		bulla_taken_; \
	})
