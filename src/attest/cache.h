#pragma once
/* Certificates whose signature was verified before: keyed by issuer key, certificate hash and policy generation, and
 * forgotten when the certificate expires. Saves the public-key operation only; names, dates, CA bits and revocation are
 * checked each time. Fixed memory, oldest use goes first. Not shared between threads. */
#include "attest/attest.h"

#define BULLA_ATTEST_CACHE_SIZE 256

struct bulla_attest_cache_entry {
	bulla_digest key; /* SHA-256(issuer SPKI || certificate || generation) */
	int64_t not_after_ms;
	uint64_t used;
};

struct bulla_attest_cache {
	struct bulla_attest_cache_entry entries[BULLA_ATTEST_CACHE_SIZE];
	uint64_t clock;  /* counts uses */
	uint64_t hits, misses;
};

/* Empty. It holds digests only and owns nothing. */
void bulla_attest_cache_init(struct bulla_attest_cache *ret);

/* True when this key was put before and has not expired at now_ms. */
bool bulla_attest_cache_has(struct bulla_attest_cache *cache, const bulla_digest *key, int64_t now_ms);
void bulla_attest_cache_put(struct bulla_attest_cache *cache, const bulla_digest *key, int64_t not_after_ms);
