#include "crypto/random.h"

#include <openssl/err.h>
#include <openssl/rand.h>

#define RAND_CHUNK ((size_t)1 << 20)

static bulla_rc os_fill(void *ctx, uint8_t *ret, size_t size)
{
	(void)ctx;
	while (size > 0) {
		size_t some = size < RAND_CHUNK ? size : RAND_CHUNK;

		if (RAND_bytes(ret, (int)some) != 1) {
			ERR_clear_error();
			return BULLA_FAIL(BULLA_E_RANDOM, "the random source failed");
		}
		ret += some;
		size -= some;
	}
	return BULLA_OK;
}

static const struct bulla_random os_random = {NULL, os_fill};

const struct bulla_random *bulla_random_os(void)
{
	return &os_random;
}

/* --- fetched ahead --- */

static void free_cells(struct bulla_random_pool *pool)
{
	for (size_t i = 0; i < BULLA_RANDOM_CELLS; i++)
		bulla_secret_free(&pool->cells[i]);
	pool->cell = BULLA_RANDOM_CELLS;
	pool->at = 0;
}

static bulla_rc fetch_cells(struct bulla_random_pool *pool)
{
	uint8_t bytes[BULLA_RANDOM_CELLS * BULLA_SECRET_MAX];
	bulla_rc rc = BULLA_OK;

	free_cells(pool);
	BULLA_TRY(bulla_random_fill(pool->source, bytes, sizeof(bytes)));
	for (size_t i = 0; i < BULLA_RANDOM_CELLS && rc == BULLA_OK; i++) {
		rc = bulla_secret_alloc(BULLA_SECRET_MAX, &pool->cells[i], &pool->bytes[i]);
		if (rc == BULLA_OK)
			bulla_copy(pool->bytes[i], bytes + i * BULLA_SECRET_MAX, BULLA_SECRET_MAX);
	}
	bulla_wipe(bytes, sizeof(bytes));
	if (rc != BULLA_OK) {
		free_cells(pool);
		return rc;
	}
	pool->cell = 0;
	return BULLA_OK;
}

static bulla_rc pool_fill(void *ctx, uint8_t *ret, size_t size)
{
	struct bulla_random_pool *pool = ctx;
	bulla_bytes cell;

	if (size > BULLA_SECRET_MAX)
		return bulla_random_fill(pool->source, ret, size);
	if (pool->cell < BULLA_RANDOM_CELLS && pool->at + size > BULLA_SECRET_MAX) {
		bulla_secret_free(&pool->cells[pool->cell++]); /* the rest of it is not used */
		pool->at = 0;
	}
	if (pool->cell == BULLA_RANDOM_CELLS)
		BULLA_TRY(fetch_cells(pool));
	cell = bulla_secret_view(pool->cells[pool->cell]); /* aborts where a fork has emptied it */
	bulla_copy(ret, cell.p + pool->at, size);
	bulla_wipe(pool->bytes[pool->cell] + pool->at, size);
	pool->at += size;
	return BULLA_OK;
}

void bulla_random_pool_init(struct bulla_random_pool *pool, const struct bulla_random *source)
{
	*pool = (struct bulla_random_pool){.table = {pool, pool_fill}, .source = source, .cell = BULLA_RANDOM_CELLS};
}

void bulla_random_pool_done(struct bulla_random_pool *pool)
{
	free_cells(pool);
}

bulla_rc bulla_random_fill(const struct bulla_random *random, uint8_t *ret, size_t size)
{
	BULLA_TRY(random->fill(random->ctx, ret, size));
	return BULLA_OK;
}

bulla_rc bulla_random_secret(const struct bulla_random *random, size_t size, bulla_secret *ret)
{
	BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE;
	uint8_t *p = NULL;

	BULLA_TRY(bulla_secret_alloc(size, &secret, &p));
	BULLA_TRY(bulla_random_fill(random, p, size));
	*ret = bulla_secret_take(&secret);
	return BULLA_OK;
}
