#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>

static _Atomic uint64_t allocations; /* a counter, no state: allow-listed (architecture section 10, rule 5) */
static _Thread_local uint64_t fail_in;

/* How a product is allocated: calloc, or malloc for undefined content. */
static void *plain(size_t count, size_t size)
{
	return malloc(count * size);
}

static bulla_rc allocate(void *(*how)(size_t count, size_t size), size_t count, size_t size, void **ret)
{
	void *p;

	if (size == 0 || count == 0 || count > BULLA_ALLOC_MAX / size)
		return BULLA_FAIL(BULLA_E_LIMIT, "an allocation of this size is never right");
	atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
	if (fail_in > 0 && --fail_in == 0)
		return BULLA_FAIL(BULLA_E_MEMORY, "no memory (test)");
	p = how(count, size);
	if (p == NULL)
		return BULLA_FAIL(BULLA_E_MEMORY, "no memory");
	*ret = p;
	return BULLA_OK;
}

bulla_rc bulla_alloc(size_t count, size_t size, void **ret)
{
	return allocate(calloc, count, size, ret);
}

bulla_rc bulla_alloc_bytes(size_t size, void **ret)
{
	return allocate(plain, 1, size, ret);
}

void bulla_free(void *p)
{
	free(p);
}

uint64_t bulla_alloc_count(void)
{
	return atomic_load_explicit(&allocations, memory_order_relaxed);
}

void bulla_alloc_fail_nth(uint64_t nth)
{
	fail_in = nth;
}
