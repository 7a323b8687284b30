#pragma once
/* The instance's MACed word to the broker that an attempt ended in this receipt (protocol.md section 9). COSE_Mac0
 * under the session's key from instance to broker; the kid is the session id. */
#include "receipt/permit.h"

/* Lists of one step's output that for_each steps iterate over. */
#define BULLA_COMMIT_LISTS 16

struct bulla_commit {
	struct bulla_position position;
	bulla_digest receipt; /* digest of the receipt's payload */
	uint8_t outcome;
	bulla_bytes lengths;  /* 4 bytes big endian per list, in the plan's order (as in the receipt record) */
};

#define BULLA_COMMIT_MAX 384

/* Appends the COSE_Mac0 under the session's key. BULLA_E_LIMIT for more than BULLA_COMMIT_LISTS lists. Session: the id in
 * one whose MAC is not checked yet, to find the key. */
BULLA_CHECK bulla_rc bulla_commit_make(const struct bulla_commit *commit,
	const uint8_t session[BULLA_SESSION_ID_BYTES], bulla_secret key, struct bulla_buf *ret);
BULLA_CHECK bulla_rc bulla_commit_session(bulla_bytes mac0, uint8_t ret[BULLA_SESSION_ID_BYTES]);

/* Checks the MAC (BULLA_E_MAC), then decodes; ret->lengths borrows from mac0. */
BULLA_CHECK bulla_rc bulla_commit_open(bulla_bytes mac0, const uint8_t session[BULLA_SESSION_ID_BYTES],
	bulla_secret key, struct bulla_commit *ret);

/* The payload alone; the decoded lengths borrow from it. BULLA_E_FORMAT, BULLA_E_VERSION. */
void bulla_commit_write(bulla_wr *w, const struct bulla_commit *commit);
BULLA_CHECK bulla_rc bulla_commit_decode(bulla_bytes payload, struct bulla_commit *ret);
