#pragma once
/* The run secret in a permit: bulla_key_wrap under kdf(wrapping key of the session, "run", position).
 * Used by broker and TEE only; no host program links this object. */
#include "base/secret.h"
#include "receipt/permit.h"

/* Under a key of this position alone, derived from the session's wrapping key: PROTOCOL.md section 9, permit. */
BULLA_CHECK bulla_rc bulla_run_secret_wrap(bulla_secret wrapping_key, const struct bulla_position *position,
	bulla_secret run_secret, uint8_t ret[BULLA_WRAPPED_SECRET_BYTES]);

/* BULLA_E_MAC when it was not wrapped under this key for this position. *ret: the caller frees it. */
BULLA_CHECK bulla_rc bulla_run_secret_unwrap(bulla_secret wrapping_key, const struct bulla_position *position,
	const uint8_t wrapped[BULLA_WRAPPED_SECRET_BYTES], bulla_secret *ret);
