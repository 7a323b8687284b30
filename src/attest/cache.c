#include "attest/cache.h"

void bulla_attest_cache_init(struct bulla_attest_cache *ret)
{
	*ret = (struct bulla_attest_cache){0};
}

bool bulla_attest_cache_has(struct bulla_attest_cache *cache, const bulla_digest *key, int64_t now_ms)
{
	for (size_t i = 0; i < BULLA_ATTEST_CACHE_SIZE; i++) {
		struct bulla_attest_cache_entry *entry = &cache->entries[i];

		if (entry->used != 0 && now_ms <= entry->not_after_ms && bulla_digest_eq(&entry->key, key)) {
			entry->used = ++cache->clock;
			cache->hits++;
			return true;
		}
	}
	cache->misses++;
	return false;
}

void bulla_attest_cache_put(struct bulla_attest_cache *cache, const bulla_digest *key, int64_t not_after_ms)
{
	struct bulla_attest_cache_entry *oldest = &cache->entries[0];

	for (size_t i = 1; i < BULLA_ATTEST_CACHE_SIZE && oldest->used != 0; i++)
		if (cache->entries[i].used < oldest->used)
			oldest = &cache->entries[i];
	*oldest = (struct bulla_attest_cache_entry){*key, not_after_ms, ++cache->clock};
}
