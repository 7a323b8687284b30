/* The low-level SHA interface is marked deprecated but is the only one that keeps its state on the stack: no allocation and
 * no fetch per call, which the hot path needs (doc/bench.md). */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/hash.h"

#include <openssl/sha.h>

_Static_assert(sizeof(SHA256_CTX) <= sizeof(struct bulla_sha256), "the state must fit");
_Static_assert(_Alignof(SHA256_CTX) <= _Alignof(struct bulla_sha256), "the state must be aligned");

static SHA256_CTX *state_of(struct bulla_sha256 *hash)
{
	return (SHA256_CTX *)(void *)hash->state;
}

void bulla_sha256_init(struct bulla_sha256 *hash)
{
	SHA256_Init(state_of(hash));
}

void bulla_sha256_add(struct bulla_sha256 *hash, bulla_bytes bytes)
{
	if (bytes.n > 0)
		SHA256_Update(state_of(hash), bytes.p, bytes.n);
}

void bulla_sha256_end(struct bulla_sha256 *hash, bulla_digest *ret)
{
	SHA256_Final(ret->b, state_of(hash));
	bulla_wipe(hash, sizeof(*hash));
}

void bulla_sha256(bulla_bytes bytes, bulla_digest *ret)
{
	bulla_sha256_parts(&bytes, 1, ret);
}

void bulla_sha256_parts(const bulla_bytes *parts, size_t count, bulla_digest *ret)
{
	struct bulla_sha256 hash;

	bulla_sha256_init(&hash);
	for (size_t i = 0; i < count; i++)
		bulla_sha256_add(&hash, parts[i]);
	bulla_sha256_end(&hash, ret);
}

void bulla_sha384_parts(const bulla_bytes *parts, size_t count, uint8_t ret[BULLA_SHA384_SIZE])
{
	SHA512_CTX state;

	SHA384_Init(&state);
	for (size_t i = 0; i < count; i++)
		if (parts[i].n > 0)
			SHA384_Update(&state, parts[i].p, parts[i].n);
	SHA384_Final(ret, &state);
	bulla_wipe(&state, sizeof(state));
}

void bulla_sha512_parts(const bulla_bytes *parts, size_t count, uint8_t ret[BULLA_SHA512_SIZE])
{
	SHA512_CTX state;

	SHA512_Init(&state);
	for (size_t i = 0; i < count; i++)
		if (parts[i].n > 0)
			SHA512_Update(&state, parts[i].p, parts[i].n);
	SHA512_Final(ret, &state);
	bulla_wipe(&state, sizeof(state));
}

void bulla_sha384(bulla_bytes bytes, uint8_t ret[BULLA_SHA384_SIZE])
{
	bulla_sha384_parts(&bytes, 1, ret);
}

void bulla_sha512(bulla_bytes bytes, uint8_t ret[BULLA_SHA512_SIZE])
{
	bulla_sha512_parts(&bytes, 1, ret);
}
