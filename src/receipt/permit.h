#pragma once
/* The broker's word that one instance may run one attempt of one slot, on these committed parents (protocol.md
 * section 9). COSE_Mac0 under the session's key from broker to instance; the kid is the session id. */
#include "base/secret.h"
#include "receipt/position.h"

#define BULLA_SESSION_ID_BYTES 16
#define BULLA_WRAPPED_SECRET_BYTES 48 /* crypto/aead.h bulla_key_wrap */

#define BULLA_PERMIT_VERSION 1

struct bulla_permit {
	struct bulla_position position;
	uint32_t tries_left;   /* after this attempt: 0 = a failure fills the slot */
	bulla_digest instance; /* kid of the instance that may run it */
	bulla_digest manifest; /* the run's */
	bulla_bytes parents;   /* 32 bytes each, in the plan's order: a receipt's digest; for a for_each: root of its items' */
	uint8_t run_secret[BULLA_WRAPPED_SECRET_BYTES]; /* receipt/run_secret.h */
	uint64_t time_ms;      /* the broker's clock when it was given */
	uint64_t expires_ms;   /* by the broker's clock */
	uint64_t epoch;        /* of the run's manifest */
	uint64_t sequence;     /* of its record in the ledger: later permits have larger ones */
};

/* Largest COSE_Mac0 of a permit (64 parents). */
#define BULLA_PERMIT_MAX 2560

/* Makes the COSE_Mac0. BULLA_E_LIMIT for more than BULLA_MAX_PARENTS parents. */
BULLA_CHECK bulla_rc bulla_permit_make(const struct bulla_permit *permit,
	const uint8_t session[BULLA_SESSION_ID_BYTES], bulla_secret key, struct bulla_buf *ret);

/* Session id of a permit whose MAC is not checked yet: to find the key. */
BULLA_CHECK bulla_rc bulla_permit_session(bulla_bytes mac0, uint8_t ret[BULLA_SESSION_ID_BYTES]);

/* Checks the MAC (BULLA_E_MAC), then decodes; ret->parents borrows from mac0. */
BULLA_CHECK bulla_rc bulla_permit_open(bulla_bytes mac0, const uint8_t session[BULLA_SESSION_ID_BYTES],
	bulla_secret key, struct bulla_permit *ret);

/* The payload alone. */
void bulla_permit_write(bulla_wr *w, const struct bulla_permit *permit);
BULLA_CHECK bulla_rc bulla_permit_decode(bulla_bytes payload, struct bulla_permit *ret);

/* Root over the parents as it stands in the receipt: root(list of 32-byte digests). */
BULLA_CHECK bulla_rc bulla_parents_root(bulla_bytes parents, bulla_digest *ret);
