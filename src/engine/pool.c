#include "engine/pool.h"

#include "base/mem.h"

/* Large blocks are not hoarded beyond this. */
#define KEEP_BYTES ((size_t)4 << 20)
#define SMALL_LOG 14

static uint8_t class_of(size_t size)
{
	uint8_t class_log = BULLA_POOL_LEAST;

	while (((size_t)1 << class_log) < size)
		class_log++;
	return class_log;
}

bulla_rc bulla_pool_take(struct bulla_pool *pool, size_t size, struct bulla_block **ret)
{
	uint8_t class_log;
	struct bulla_block *block;

	if (size > ((size_t)1 << BULLA_POOL_MOST) - sizeof(*block))
		return BULLA_FAIL(BULLA_E_LIMIT, "a block larger than the largest class");
	class_log = class_of(size + sizeof(*block));
	block = pool->free[class_log];
	if (block) {
		pool->free[class_log] = block->next;
		pool->kept -= (size_t)1 << class_log;
	} else {
		void *p;

		BULLA_TRY(bulla_alloc(1, (size_t)1 << class_log, &p));
		block = p;
		block->class_log = class_log;
	}
	pool->used += (size_t)1 << class_log;
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
	size = (size_t)1 << block->class_log;
	pool->used -= size;
	if (pool->kept + size > KEEP_BYTES && block->class_log > SMALL_LOG) {
		bulla_free(block);
		return;
	}
	block->next = pool->free[block->class_log];
	pool->free[block->class_log] = block;
	pool->kept += size;
}

void bulla_pool_done(struct bulla_pool *pool)
{
	for (unsigned i = 0; i <= BULLA_POOL_MOST; i++)
		while (pool->free[i]) {
			struct bulla_block *block = pool->free[i];

			pool->free[i] = block->next;
			bulla_free(block);
		}
	pool->kept = 0;
}
