#pragma once
/* Inside crypto/: the two forms of an ECDSA signature. */
#include "base/bytes.h"

#define ECDSA_DER_MAX 144

/* r||s (two halves of raw.n / 2 bytes, at most 66 each) as DER Ecdsa-Sig-Value; returns its size. */
size_t bulla_ecdsa_to_der(bulla_bytes raw, uint8_t ret[ECDSA_DER_MAX]);

/* Strict DER to r||s with halves of `half` bytes; BULLA_E_SIGNATURE for any other form. */
BULLA_CHECK bulla_rc bulla_ecdsa_from_der(bulla_bytes der, size_t half, uint8_t *ret);
