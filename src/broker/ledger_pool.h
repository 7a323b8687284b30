#pragma once
/* Objects of one size by number (1..; 0 is none), in chunks that never move. After warm-up nothing is allocated. */
#include "base/bytes.h"

#define LEDGER_POOL_CHUNKS 1024

struct ledger_pool {
	size_t size;
	uint32_t chunk_bits, max, used, free_head, made; /* a chunk has 2^chunk_bits objects */
	void *chunks[LEDGER_POOL_CHUNKS];
};

/* Objects of size bytes (>= 4), at most max of them. Allocates nothing yet. */
void ledger_pool_init(struct ledger_pool *pool, size_t size, uint32_t max);
void ledger_pool_done(struct ledger_pool *pool);

/* A zeroed object and its number; BULLA_E_LIMIT, BULLA_E_MEMORY. */
BULLA_CHECK bulla_rc ledger_pool_take(struct ledger_pool *pool, uint32_t *ret_number, void **ret);
void ledger_pool_give(struct ledger_pool *pool, uint32_t number);

/* The object with this number; NULL for 0. */
void *ledger_pool_at(const struct ledger_pool *pool, uint32_t number);
