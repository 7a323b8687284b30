#pragma once
/* The operating system's randomness through libcrypto: the one place where RAND is called. */
#include "base/secret.h"
#include "base/sys.h"

/* The real random table (base/sys.h); BULLA_E_RANDOM when the source fails. Static. */
const struct bulla_random *bulla_random_os(void);

/* size random bytes from the given table. */
BULLA_CHECK bulla_rc bulla_random_fill(const struct bulla_random *random, uint8_t *ret, size_t size);

/* Randomness fetched ahead, some 500 bytes at a time: a fetch costs more than the bytes (it takes a lock and asks for the
 * process id). They wait among the secrets: locked, wiped as they are given out, gone after a fork (a forked process that
 * asks is aborted). Larger amounts come from the source at once. The table is at pool->table; one thread. */
#define BULLA_RANDOM_CELLS 8

struct bulla_random_pool {
	struct bulla_random table;
	const struct bulla_random *source;
	bulla_secret cells[BULLA_RANDOM_CELLS];
	uint8_t *bytes[BULLA_RANDOM_CELLS];
	size_t cell, at; /* the first byte that was not given out */
};

/* source: borrowed. Fetches nothing yet. */
void bulla_random_pool_init(struct bulla_random_pool *pool, const struct bulla_random *source);
void bulla_random_pool_done(struct bulla_random_pool *pool);

/* A fresh secret of size bytes (1..64). */
BULLA_CHECK bulla_rc bulla_random_secret(const struct bulla_random *random, size_t size, bulla_secret *ret);
