#include "crypto/ecdh.h"

#include "crypto/internal.h"

#include <openssl/evp.h>

static EVP_PKEY *private_key(bulla_secret secret)
{
	bulla_bytes bytes = bulla_secret_view(secret);

	return EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, bytes.p, bytes.n);
}

bulla_rc bulla_x25519_public(bulla_secret secret, uint8_t ret[BULLA_X25519_SIZE])
{
	EVP_PKEY *key = private_key(secret);
	size_t size = BULLA_X25519_SIZE;
	int done = key != NULL && EVP_PKEY_get_raw_public_key(key, ret, &size) == 1;

	EVP_PKEY_free(key);
	if (!done)
		return CRYPTO_FAIL(BULLA_E_CRYPTO, "an X25519 public key cannot be computed");
	return BULLA_OK;
}

static bool derive(EVP_PKEY *key, EVP_PKEY *peer, uint8_t *ret)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	size_t size = BULLA_X25519_SIZE;
	bool done = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
		EVP_PKEY_derive(ctx, ret, &size) == 1 && size == BULLA_X25519_SIZE;

	EVP_PKEY_CTX_free(ctx);
	return done;
}

bulla_rc bulla_x25519(bulla_secret secret, bulla_bytes peer, bulla_secret *ret)
{
	BULLA_AUTO_SECRET shared = BULLA_SECRET_NONE;
	EVP_PKEY *mine, *other;
	uint8_t *p = NULL;
	bool done;

	if (peer.n != BULLA_X25519_SIZE)
		return BULLA_FAIL(BULLA_E_FORMAT, "an X25519 public key has 32 bytes");
	BULLA_TRY(bulla_secret_alloc(BULLA_X25519_SIZE, &shared, &p));
	mine = private_key(secret);
	other = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, peer.p, peer.n);
	done = mine != NULL && other != NULL && derive(mine, other, p);
	EVP_PKEY_free(mine);
	EVP_PKEY_free(other);
	/* RFC 7748 section 6.1: a zero result means a point of small order; libcrypto refuses it too */
	if (!done || bulla_bytes_is_zero_ct(bulla_bytes_of(p, BULLA_X25519_SIZE)))
		return CRYPTO_FAIL(BULLA_E_CRYPTO, "X25519 gave no shared secret");
	*ret = bulla_secret_take(&shared);
	return BULLA_OK;
}
