#pragma once
/* A set of non-zero numbers of fixed capacity: the open streams of a connection. Open addressing, no tombstones. */
#include "base/bytes.h"

struct bulla_idset {
	uint32_t *slots; /* 0: free */
	uint32_t mask;
	uint32_t count, max;
};

/* Room for max numbers (1 to 65536). */
BULLA_CHECK bulla_rc bulla_idset_init(struct bulla_idset *set, uint32_t max);
void bulla_idset_done(struct bulla_idset *set);

/* Whether it is in. */
bool bulla_idset_has(const struct bulla_idset *set, uint32_t id);

/* BULLA_E_LIMIT when full, BULLA_E_DUPLICATE when it is in, BULLA_E_ARGUMENT for 0. */
BULLA_CHECK bulla_rc bulla_idset_add(struct bulla_idset *set, uint32_t id);

/* False when it was not in. */
bool bulla_idset_remove(struct bulla_idset *set, uint32_t id);
