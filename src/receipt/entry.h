#pragma once
/* The ledger's record of one run, for bundles and for `verify`: entries in the ledger's order, and a signed head over
 * all entries of that run. A run's entries are numbered from 0 without gap; the head says how many there are. */
#include "receipt/auth.h"
#include "receipt/position.h"

enum bulla_entry_kind {
	BULLA_ENTRY_START = 1,    /* digest: start record; who: starter's kid */
	BULLA_ENTRY_PERMIT = 2,   /* who: instance kid; digest: root(parents); other: tries left */
	BULLA_ENTRY_COMMIT = 3,   /* digest: receipt; who: instance kid; filled: 1 unless a failure with tries left */
	BULLA_ENTRY_GIVEN_UP = 4, /* attempt ended without receipt: by the host, or expired */
	BULLA_ENTRY_CLOCK = 5,    /* digest: clock receipt; who: ledger kid */
	BULLA_ENTRY_PARTY = 6,    /* digest: the party's receipt; who: party kid */
	BULLA_ENTRY_ORDER = 7,    /* digest: order's payload; who: party kid; other: enum bulla_order_kind */
	BULLA_ENTRY_LOST = 8,     /* digest: the broker's receipt that fills the slot */
	BULLA_ENTRY_REVOKE = 9,   /* of no run, shown in all: digest: order's payload; who: approver's kid; other: the epoch of the
	                           * manifest whose approver signed */
};

#define BULLA_ENTRY_BYTES 116

struct bulla_entry {
	uint8_t kind;
	uint8_t outcome;    /* of commits, clock and party receipts */
	uint8_t filled;     /* 1: this entry filled its slot */
	uint32_t step;      /* 0 for START, ORDER and REVOKE */
	uint32_t item;
	uint32_t attempt;
	uint64_t sequence;  /* of the whole ledger */
	uint64_t time_ms;
	uint64_t other;
	bulla_digest digest;
	bulla_digest who;
};

/* Fixed shape: [kind, h'outcome', h'filled', h'step', h'item', h'attempt', h'sequence', h'time', h'other', h'digest',
 * h'who']; exactly BULLA_ENTRY_BYTES. */
void bulla_entry_write(bulla_wr *w, const struct bulla_entry *entry);
BULLA_CHECK bulla_rc bulla_entry_decode(bulla_bytes bytes, struct bulla_entry *ret);

/* Signed head of a run's entries: COSE_Sign1 by the ledger key, kind "run-head". */
struct bulla_run_head {
	bulla_handle tenant;
	bulla_run_id run;
	uint64_t count;     /* entries */
	bulla_digest root;  /* root(list of entries) */
	uint64_t sequence;  /* of the whole ledger when this was signed */
	uint64_t time_ms;
	bulla_digest head;  /* chain hash of the whole ledger */
	uint8_t state;      /* enum bulla_run_state */
};
#define BULLA_RUN_HEAD_MAX 384

/* COSE_Sign1 by the ledger key, appended. Open: BULLA_E_SIGNATURE, BULLA_E_FORMAT, BULLA_E_VERSION. */
BULLA_CHECK bulla_rc bulla_run_head_make(const struct bulla_run_head *head, struct bulla_sign_key *ledger,
	struct bulla_buf *ret);
BULLA_CHECK bulla_rc bulla_run_head_open(bulla_bytes sign1, struct bulla_verify_key *ledger,
	struct bulla_run_head *ret);
