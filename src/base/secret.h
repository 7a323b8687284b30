#pragma once
/* Keys live here and nowhere else: one guarded, locked slab per process. A secret is a handle; its bytes are seen only
 * while crypto/ works with them. Slots hold up to 64 bytes, are wiped when freed, never dumped, and empty after fork. */
#include "base/bytes.h"

#define BULLA_SECRET_MAX 64

/* Slot index + 1; 0 is "no secret". Copying the handle does not copy the secret: one owner frees it. */
typedef struct bulla_secret {
	uint32_t slot;
} bulla_secret;

#define BULLA_SECRET_NONE ((bulla_secret){0})

/* Maps and locks `slots` slots (once per process). BULLA_E_LOCK when memory cannot be locked: a hard failure.
 * BULLA_E_STATE when called twice. */
BULLA_CHECK bulla_rc bulla_secret_slab_init(uint32_t slots);

/* Wipes and unmaps everything. */
void bulla_secret_slab_done(void);

/* Slots in use and in all. */
uint32_t bulla_secret_slab_used(void);
uint32_t bulla_secret_slab_size(void);

/* A new secret of size bytes (1..64) with content copied from bytes / zeroed and open for writing through *ret_p.
 * BULLA_E_LIMIT when all slots are in use. */
BULLA_CHECK bulla_rc bulla_secret_new(bulla_bytes bytes, bulla_secret *ret);
BULLA_CHECK bulla_rc bulla_secret_alloc(size_t size, bulla_secret *ret, uint8_t **ret_p);

/* The bytes; borrowed until the secret is freed. For crypto/, seal/ and tests. Aborts on a handle that is not live, and
 * when the slot's canary was overwritten: both are bugs. */
bulla_bytes bulla_secret_view(bulla_secret secret);

/* Wipes and frees; the handle becomes none. None is allowed. */
void bulla_secret_free(bulla_secret *secret);

/* Hand over: leaves none behind. */
static inline bulla_secret bulla_secret_take(bulla_secret *secret)
{
	bulla_secret taken = *secret;

	*secret = BULLA_SECRET_NONE;
	return taken;
}

#define BULLA_AUTO_SECRET __attribute__((cleanup(bulla_secret_free))) bulla_secret
