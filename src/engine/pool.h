#pragma once
/* Blocks of memory in size classes that are kept when they are freed: after warm-up nothing is allocated. One owner. */
#include "base/bytes.h"

#define BULLA_POOL_LEAST 7 /* smallest class: 2^7 bytes; four classes to each doubling */
#define BULLA_POOL_MOST 21 /* largest class: 2^21 bytes */
#define BULLA_POOL_CLASSES (4 * (BULLA_POOL_MOST - BULLA_POOL_LEAST) + 1)

struct bulla_block {
	struct bulla_block *next; /* free list, or the owner's list */
	uint32_t size;            /* bytes in use */
	uint8_t class_no;
	_Alignas(16) uint8_t data[];
};

struct bulla_pool {
	struct bulla_block *free[BULLA_POOL_CLASSES];
	size_t kept; /* bytes in free blocks */
	size_t used; /* bytes in blocks that are given out */
};

/* A block with room for size bytes, size set, content undefined. BULLA_E_MEMORY; BULLA_E_LIMIT: more than 64 MiB. */
BULLA_CHECK bulla_rc bulla_pool_take(struct bulla_pool *pool, size_t size, struct bulla_block **ret);

/* The same with a copy of bytes in it. */
BULLA_CHECK bulla_rc bulla_pool_copy(struct bulla_pool *pool, bulla_bytes bytes, struct bulla_block **ret);

/* Gives a block back; NULL is allowed. */
void bulla_pool_give(struct bulla_pool *pool, struct bulla_block *block);

/* Frees what is kept. */
void bulla_pool_done(struct bulla_pool *pool);

/* Borrowed from the block; nothing for NULL. */
static inline bulla_bytes bulla_block_view(const struct bulla_block *block)
{
	return block ? (bulla_bytes){block->data, block->size} : (bulla_bytes){NULL, 0};
}
