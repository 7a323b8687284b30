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
