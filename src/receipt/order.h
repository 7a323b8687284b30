#pragma once
/* Orders: a party's cancel or erase of a run, an approver's revocation. COSE_Sign1, kind "order". */
#include "receipt/auth.h"
#include "receipt/position.h"

enum bulla_order_kind {
	BULLA_ORDER_CANCEL = 1,             /* a run: only `undo` steps get permits */
	BULLA_ORDER_ERASE = 2,              /* a run: its secret is destroyed */
	BULLA_ORDER_REVOKE_INSTANCE = 3,    /* subject: kid, 32 bytes */
	BULLA_ORDER_REVOKE_EPOCH = 4,       /* subject: epoch, 8 bytes big endian */
	BULLA_ORDER_REVOKE_MEASUREMENT = 5, /* subject: the measurement, 32 to 64 bytes */
};

#define BULLA_ORDER_VERSION 1
#define BULLA_ORDER_MAX 512
#define BULLA_ORDER_SUBJECT_MAX 64

struct bulla_order {
	uint8_t kind;
	bulla_handle tenant;
	bulla_digest manifest; /* the run's; of a revocation: the one whose approver signs */
	bulla_run_id run;      /* zero in a revocation */
	bulla_bytes subject;   /* empty unless it revokes; borrowed */
	uint64_t time_ms;
};

/* The payload alone; the decoded subject borrows from it. BULLA_E_FORMAT, also for a subject that is not of the kind. */
void bulla_order_write(bulla_wr *w, const struct bulla_order *order);
BULLA_CHECK bulla_rc bulla_order_decode(bulla_bytes payload, struct bulla_order *ret);

/* COSE_Sign1 by the orderer's key, appended to ret. BULLA_E_FORMAT for a subject that is not of the kind. */
BULLA_CHECK bulla_rc bulla_order_make(const struct bulla_order *order, struct bulla_sign_key *key,
	struct bulla_buf *ret);

/* What a receipt's or a bundle's entry of it shows: SHA-256 of the payload. */
BULLA_CHECK bulla_rc bulla_order_digest(const struct bulla_order *order, bulla_digest *ret);

/* What a revocation may be about. Parts that are not there, or not known, are NULL. */
struct bulla_revocable {
	const bulla_digest *instance; /* kid of its receipt key */
	const bulla_digest *image;    /* SHA-256 of what the instance's evidence measured of its image */
	const bulla_digest *bundle;   /* of the agent */
	uint64_t epoch;               /* of the manifest that the instance was attested under */
	uint64_t run_epoch;           /* of the run's manifest, or of the agent's */
};

/* Does this revocation say so? epoch: of the manifest whose approver signed it. A measurement (an image's, an agent's
 * bundle) is revoked up to that epoch: a newer one that names it again lifts that. Instances and epochs never come back. */
bool bulla_order_revokes(const struct bulla_order *order, uint64_t epoch, const struct bulla_revocable *what);

/* Kid and content before the signature is checked: to find the key. */
BULLA_CHECK bulla_rc bulla_order_peek(bulla_bytes sign1, bulla_digest *ret_kid, struct bulla_order *ret);
BULLA_CHECK bulla_rc bulla_order_open(bulla_bytes sign1, struct bulla_verify_key *key, struct bulla_order *ret);
