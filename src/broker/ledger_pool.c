#include "broker/ledger_pool.h"

#include "base/mem.h"

void ledger_pool_init(struct ledger_pool *pool, size_t size, uint32_t max)
{
	uint32_t per_chunk = (max + LEDGER_POOL_CHUNKS - 1) / LEDGER_POOL_CHUNKS;

	*pool = (struct ledger_pool){.size = size, .chunk_bits = 6, .max = max};
	while ((UINT32_C(1) << pool->chunk_bits) < per_chunk)
		pool->chunk_bits++;
}

void ledger_pool_done(struct ledger_pool *pool)
{
	for (size_t i = 0; i < LEDGER_POOL_CHUNKS; i++)
		bulla_free(pool->chunks[i]);
	*pool = (struct ledger_pool){0};
}

void *ledger_pool_at(const struct ledger_pool *pool, uint32_t number)
{
	if (number == 0)
		return NULL;
	number--;
	return (uint8_t *)pool->chunks[number >> pool->chunk_bits] + (number & ((UINT32_C(1) << pool->chunk_bits) - 1)) * pool->size;
}

bulla_rc ledger_pool_take(struct ledger_pool *pool, uint32_t *ret_number, void **ret)
{
	uint32_t number = pool->free_head;

	if (number != 0) {
		bulla_copy(&pool->free_head, ledger_pool_at(pool, number), sizeof(uint32_t));
	} else {
		void **chunk = &pool->chunks[pool->made >> pool->chunk_bits];

		if (pool->made == pool->max)
			return BULLA_FAIL(BULLA_E_LIMIT, "a table of the ledger is full");
		if (*chunk == NULL)
			BULLA_TRY(bulla_alloc((size_t)1 << pool->chunk_bits, pool->size, chunk));
		number = ++pool->made;
	}
	pool->used++;
	*ret = ledger_pool_at(pool, number);
	bulla_zero(*ret, pool->size);
	*ret_number = number;
	return BULLA_OK;
}

void ledger_pool_give(struct ledger_pool *pool, uint32_t number)
{
	void *object = ledger_pool_at(pool, number);

	if (object == NULL)
		return;
	bulla_copy(object, &pool->free_head, sizeof(uint32_t));
	pool->free_head = number;
	pool->used--;
}
