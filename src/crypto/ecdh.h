#pragma once
/* X25519 (RFC 7748). Private keys are 32 bytes in the secret slab. */
#include "base/secret.h"

#define BULLA_X25519_SIZE 32

/* The public key of a private key. */
BULLA_CHECK bulla_rc bulla_x25519_public(bulla_secret secret, uint8_t ret[BULLA_X25519_SIZE]);

/* The shared secret; BULLA_E_CRYPTO when it is zero (a point of small order), BULLA_E_FORMAT unless 32 bytes. */
BULLA_CHECK bulla_rc bulla_x25519(bulla_secret secret, bulla_bytes peer, bulla_secret *ret);
