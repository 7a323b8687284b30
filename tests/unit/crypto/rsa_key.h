#pragma once
/* One RSA key for all cases of a program: making one takes a tenth of a second. */
#include "crypto/rsa.h"
#include "slab.h"

static struct bulla_rsa_key *key;

static inline int up(void **state)
{
	return slab_up(state) == 0 && bulla_rsa_key_new(&key) == BULLA_OK ? 0 : -1;
}

static inline int down(void **state)
{
	key = bulla_rsa_key_free(key);
	return slab_down(state);
}
