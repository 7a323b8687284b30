#pragma once
/* The run secret in a start record (protocol.md section 8): `enc`, then 48 bytes with a secret of the starter, sealed to the
 * broker's day key by HPKE; then 48 bytes with the run secret, wrapped under a key of that secret and of this start alone. A
 * starter repeats the first part in the starts that it makes under one day key (for at most an hour), so that neither side
 * does public-key work per run; the run secrets are random all the same. */
#include "receipt/start.h"
#include "seal/hpke.h"

#define BULLA_START_SEALER_MS 3600000 /* a starter makes a new one then */

/* A starter's secret and its sealed form. Owned: bulla_start_sealer_done. */
struct bulla_start_sealer {
	const struct bulla_kem *kem;
	bulla_secret secret;
	uint8_t sealed[BULLA_HPKE_ENC_MAX + 48];
	size_t size;
};

/* start->tenant, party and day_key are set: the sealed secret is bound to them. */
BULLA_CHECK bulla_rc bulla_start_sealer_new(const struct bulla_start *start, const struct bulla_kem *kem, bulla_bytes day_public,
	const struct bulla_random *random, struct bulla_start_sealer *ret);
void bulla_start_sealer_done(struct bulla_start_sealer *sealer);

/* Appends what goes into start->secret: bound to the start's tenant, workflow, manifest, run, party, day key and inputs
 * (their fields must be set). */
BULLA_CHECK bulla_rc bulla_start_secret_seal(const struct bulla_start *start, const struct bulla_start_sealer *sealer,
	bulla_secret run_secret, struct bulla_buf *ret);

/* The first part of start->secret, and what it stands for under this day key: equal digests have the same starter's secret,
 * so that the broker opens each once. BULLA_E_TRUNCATED. */
BULLA_CHECK bulla_rc bulla_start_sealed_digest(const struct bulla_start *start, const struct bulla_kem *kem, bulla_digest *ret);

/* Opens the starter's secret. BULLA_E_MAC, BULLA_E_TRUNCATED, BULLA_E_TRAILING. */
BULLA_CHECK bulla_rc bulla_start_sealed_open(const struct bulla_start *start, const struct bulla_kem *kem, bulla_secret day_private,
	bulla_secret *ret);

/* Opens the run secret with the starter's. BULLA_E_MAC, BULLA_E_TRUNCATED, BULLA_E_TRAILING. */
BULLA_CHECK bulla_rc bulla_start_secret_open(const struct bulla_start *start, const struct bulla_kem *kem, bulla_secret starter,
	bulla_secret *ret);
