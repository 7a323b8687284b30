#pragma once
/* Group set-up and tear-down with a secret slab; the tear-down fails when a test leaked a secret. */
#include "base/secret.h"
#include "test.h"

static inline int slab_up(void **state)
{
	(void)state;
	return bulla_secret_slab_init(64) == BULLA_OK ? 0 : -1;
}

static inline int slab_down(void **state)
{
	uint32_t used = bulla_secret_slab_used();

	(void)state;
	bulla_secret_slab_done();
	return used == 0 ? 0 : -1;
}
