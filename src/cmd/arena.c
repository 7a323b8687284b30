#include "cmd/arena.h"

#include "base/mem.h"

#define BLOCK_SIZE ((size_t)65536)

struct arena_block {
	struct arena_block *next;
	size_t n;
	size_t size;
	_Alignas(16) uint8_t memory[];
};

void arena_init(struct arena *arena, size_t max)
{
	*arena = (struct arena){.max = max};
}

void arena_done(struct arena *arena)
{
	while (arena->blocks != NULL) {
		struct arena_block *block = arena->blocks;

		arena->blocks = block->next;
		bulla_free(block);
	}
	arena->used = 0;
}

static bulla_rc add_block(struct arena *arena, size_t size)
{
	size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
	void *p = NULL;

	BULLA_TRY(bulla_alloc(sizeof(struct arena_block) + room, 1, &p));
	struct arena_block *block = (struct arena_block *)p;
	block->size = room;
	block->next = arena->blocks;
	arena->blocks = block;
	return BULLA_OK;
}

bulla_rc arena_alloc(struct arena *arena, size_t size, void **ret)
{
	size_t rounded = (size + 15) & ~(size_t)15;

	if (size > arena->max || rounded > arena->max - arena->used)
		return BULLA_FAIL(BULLA_E_LIMIT, "the project is too large");
	if (arena->blocks == NULL || arena->blocks->size - arena->blocks->n < rounded)
		BULLA_TRY(add_block(arena, rounded));
	*ret = arena->blocks->memory + arena->blocks->n;
	arena->blocks->n += rounded;
	arena->used += rounded;
	return BULLA_OK;
}

bulla_rc arena_text(struct arena *arena, bulla_bytes bytes, const char **ret)
{
	void *p = NULL;

	BULLA_TRY(arena_alloc(arena, bytes.n + 1, &p));
	bulla_copy(p, bytes.p, bytes.n);
	*ret = (const char *)p;
	return BULLA_OK;
}
