#pragma once
/* Attempts that ran here: a permit runs once (protocol.md section 9). Two generations of marks. When the younger is full the
 * older is forgotten, and with it goes every permit that the ledger gave before the last of those: it is refused unseen. So
 * memory is bounded, nothing runs twice, and a host that keeps a permit back while thousands of later ones run here loses
 * that attempt. */
#include "base/bytes.h"
#include "base/limits.h"

#define BULLA_USED_GENERATION (BULLA_MAX_USED_PERMITS / 2) /* attempts */

struct bulla_used_generation {
	uint64_t *marks; /* places of an open hash, half of them used at most; 0: free */
	uint32_t count;
	uint64_t last; /* the largest sequence among its permits */
};

struct bulla_used {
	struct bulla_used_generation young, old;
	uint64_t forgotten; /* permits up to this sequence are refused */
};

/* No permit used. BULLA_E_MEMORY; done in any case. */
BULLA_CHECK bulla_rc bulla_used_init(struct bulla_used *used);
void bulla_used_done(struct bulla_used *used);

/* Must this permit be refused? attempt: digest of its position; sequence: the permit's. */
bool bulla_used_has(const struct bulla_used *used, const bulla_digest *attempt, uint64_t sequence);

/* Remembers it. */
void bulla_used_add(struct bulla_used *used, const bulla_digest *attempt, uint64_t sequence);
