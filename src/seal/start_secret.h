#pragma once
/* The run secret in a start record, sealed to the broker's day key (protocol.md section 8): `enc` and 48 bytes. */
#include "receipt/start.h"
#include "seal/hpke.h"

/* Seals to the day key's public key, bound to the start's tenant, workflow, manifest, run, party and day key (their fields
 * must be set). Appends to ret. */
BULLA_CHECK bulla_rc bulla_start_secret_seal(const struct bulla_start *start, enum bulla_kem kem, bulla_bytes day_public,
	bulla_secret run_secret, const struct bulla_random *random, struct bulla_buf *ret);

/* Opens start->secret. BULLA_E_MAC, BULLA_E_FORMAT. */
BULLA_CHECK bulla_rc bulla_start_secret_open(const struct bulla_start *start, enum bulla_kem kem, bulla_secret day_private,
	bulla_secret *ret);
