#pragma once
/* Memory of one command: everything that a project file becomes lives and dies together. */
#include "base/bytes.h"

struct arena_block;

struct arena {
	struct arena_block *blocks;
	size_t used; /* bytes handed out */
	size_t max;  /* never more */
};

/* An empty arena that hands out at most max bytes. */
void arena_init(struct arena *arena, size_t max);
void arena_done(struct arena *arena);

/* Zeroed memory, aligned for any object; valid until arena_done. BULLA_E_LIMIT, BULLA_E_MEMORY. */
BULLA_CHECK bulla_rc arena_alloc(struct arena *arena, size_t size, void **ret);

/* A zero-terminated copy. */
BULLA_CHECK bulla_rc arena_text(struct arena *arena, bulla_bytes bytes, const char **ret);
