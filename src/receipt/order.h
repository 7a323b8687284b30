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

struct bulla_order {
	uint8_t kind;
	bulla_handle tenant;
	bulla_digest manifest; /* the run's; of a revocation: the one whose approver signs */
	bulla_run_id run;      /* zero in a revocation */
	bulla_bytes subject;   /* empty unless it revokes; borrowed */
	uint64_t time_ms;
};

void bulla_order_write(bulla_wr *w, const struct bulla_order *order);
BULLA_CHECK bulla_rc bulla_order_decode(bulla_bytes payload, struct bulla_order *ret);

BULLA_CHECK bulla_rc bulla_order_make(const struct bulla_order *order, struct bulla_sign_key *key,
	struct bulla_buf *ret);

/* Kid and content before the signature is checked: to find the key. */
BULLA_CHECK bulla_rc bulla_order_peek(bulla_bytes sign1, bulla_digest *ret_kid, struct bulla_order *ret);
BULLA_CHECK bulla_rc bulla_order_open(bulla_bytes sign1, struct bulla_verify_key *key, struct bulla_order *ret);
