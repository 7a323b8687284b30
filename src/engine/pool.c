#include "engine/pool.h"

#include "base/mem.h"

/* Large blocks are not hoarded beyond this. */
#define KEEP_BYTES ((size_t)1 << 20)
#define SMALL_BYTES ((size_t)4 << 10)

/* What is larger than the largest class is allocated and freed each time. */
#define HUGE_CLASS UINT8_MAX
#define HUGE_MOST ((size_t)64 << 20)

/* Whole block of a class: 2^k, then 5/4, 6/4, 7/4 of it. */
static size_t class_size(unsigned class_no)
{
	size_t base = (size_t)1 << (BULLA_POOL_LEAST + class_no / 4);

	return base + base / 4 * (class_no % 4);
}

static uint8_t class_of(size_t size)
{
	unsigned class_no = 0;

	if (size > (size_t)1 << BULLA_POOL_LEAST)
		class_no = 4 * (63U - (unsigned)__builtin_clzll(size) - BULLA_POOL_LEAST);
	while (class_size(class_no) < size)
		class_no++;
	return (uint8_t)class_no;
}

static bulla_rc take_huge(struct bulla_pool *pool, size_t size, struct bulla_block **ret)
{
	void *p;

	if (size > HUGE_MOST)
		return BULLA_FAIL(BULLA_E_LIMIT, "a block larger than any that is asked for");
	BULLA_TRY(bulla_alloc(1, sizeof(**ret) + size, &p));
	*ret = p;
	(*ret)->next = NULL;
	(*ret)->size = (uint32_t)size;
	(*ret)->class_no = HUGE_CLASS;
	pool->used += size;
	return BULLA_OK;
}

bulla_rc bulla_pool_take(struct bulla_pool *pool, size_t size, struct bulla_block **ret)
{
	uint8_t class_no;
	struct bulla_block *block;

	if (size > ((size_t)1 << BULLA_POOL_MOST) - sizeof(*block))
		return take_huge(pool, size, ret);
	class_no = class_of(size + sizeof(*block));
	block = pool->free[class_no];
	if (block) {
		pool->free[class_no] = block->next;
		pool->kept -= class_size(class_no);
	} else {
		void *p;

		BULLA_TRY(bulla_alloc_bytes(class_size(class_no), &p));
		block = p;
		block->class_no = class_no;
	}
	pool->used += class_size(class_no);
	block->next = NULL;
	block->size = (uint32_t)size;
	*ret = block;
	return BULLA_OK;
}

bulla_rc bulla_pool_copy(struct bulla_pool *pool, bulla_bytes bytes, struct bulla_block **ret)
{
	BULLA_TRY(bulla_pool_take(pool, bytes.n, ret));
	bulla_copy((*ret)->data, bytes.p, bytes.n);
	return BULLA_OK;
}

void bulla_pool_give(struct bulla_pool *pool, struct bulla_block *block)
{
	size_t size;

	if (!block)
		return;
	if (block->class_no == HUGE_CLASS) {
		pool->used -= block->size;
		bulla_free(block);
		return;
	}
	size = class_size(block->class_no);
	pool->used -= size;
	if (pool->kept + size > KEEP_BYTES && size > SMALL_BYTES) {
		bulla_free(block);
		return;
	}
	block->next = pool->free[block->class_no];
	pool->free[block->class_no] = block;
	pool->kept += size;
}

void bulla_pool_done(struct bulla_pool *pool)
{
	for (unsigned i = 0; i < BULLA_POOL_CLASSES; i++)
		while (pool->free[i]) {
			struct bulla_block *block = pool->free[i];

			pool->free[i] = block->next;
			bulla_free(block);
		}
	pool->kept = 0;
}
