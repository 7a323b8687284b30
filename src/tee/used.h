#pragma once
/* Attempts that ran here: a permit runs once (protocol.md section 9). A set of attempts, each forgotten when its permit
 * has expired: after that the expiry refuses it. */
#include "base/bytes.h"

struct bulla_used_entry {
	uint64_t mark;       /* 0: free */
	uint64_t expires_ms;
};

struct bulla_used {
	struct bulla_used_entry *entries;
	uint32_t size, count; /* size: a power of two */
};

/* Room for the first attempts; doubles up to BULLA_MAX_USED_PERMITS places. */
BULLA_CHECK bulla_rc bulla_used_init(struct bulla_used *used);
void bulla_used_done(struct bulla_used *used);

/* attempt: digest of its position. */
bool bulla_used_has(const struct bulla_used *used, const bulla_digest *attempt);

/* Adds it. now_ms: what expired before goes when room is needed. BULLA_E_BUSY when all places hold attempts whose permits
 * still live. */
BULLA_CHECK bulla_rc bulla_used_add(struct bulla_used *used, const bulla_digest *attempt, uint64_t expires_ms,
	uint64_t now_ms);
