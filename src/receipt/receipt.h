#pragma once
/* Receipts: what a step took, did and gave, signed by who did it (protocol.md section 9). The payload has one shape and
 * one length, so that a contract can rebuild the very bytes that were signed. */
#include "receipt/auth.h"
#include "receipt/position.h"

enum bulla_executor {
	BULLA_EXECUTOR_AGENT = 1,  /* an enclave instance; kid = its receipt key */
	BULLA_EXECUTOR_PARTY = 2,  /* a signal's answer; kid = the party's key */
	BULLA_EXECUTOR_CLOCK = 3,  /* sleep, time-out; kid = ledger key */
	BULLA_EXECUTOR_BROKER = 4, /* lost attempts, erased run; kid = ledger key */
};

enum bulla_reuse {
	BULLA_REUSE_NONE = 0,   /* no agent process: party, clock, broker */
	BULLA_REUSE_FRESH = 1,  /* a process of its own */
	BULLA_REUSE_REUSED = 2, /* a long-lived process that served other steps before */
};

#define BULLA_RECEIPT_VERSION 1
#define BULLA_RECEIPT_BYTES 330

struct bulla_receipt {
	struct bulla_position position;
	bulla_digest manifest;
	uint8_t executor;          /* enum bulla_executor */
	uint8_t reuse;             /* enum bulla_reuse */
	uint8_t outcome;           /* wire/kinds.h: an index into the plan's outcomes, or a failure class */
	bulla_digest agent;        /* bundle digest of the agent; zero unless executor AGENT */
	bulla_digest kid;          /* digest(SPKI) of the key that signs */
	bulla_digest parents;      /* root(list of the permit's parents, 32 bytes each) */
	bulla_digest inputs;       /* root(list of pairs) in the plan's order */
	bulla_digest outputs;      /* the same of what was sealed; a failure: its one failure envelope */
	bulla_digest capabilities; /* root(list of digests of the capabilities used) */
	uint64_t time_ms;          /* broker time in the permit; a party's own clock; the broker's clock */
};

/* One envelope in inputs' and outputs' roots: envelope digest, then commitment. */
struct bulla_pair {
	bulla_digest envelope;
	bulla_digest commitment;
};
#define BULLA_PAIR_BYTES 64

/* Writes the payload; exactly BULLA_RECEIPT_BYTES. */
void bulla_receipt_write(bulla_wr *w, const struct bulla_receipt *receipt);

/* BULLA_E_VERSION for another version, BULLA_E_FORMAT for anything that this writer would not write. */
BULLA_CHECK bulla_rc bulla_receipt_decode(bulla_bytes payload, struct bulla_receipt *ret);

/* The receipt's digest: digest(payload). What permits, commits and tokens name. */
void bulla_receipt_digest(const struct bulla_receipt *receipt, bulla_digest *ret);

/* A receipt record: what is stored, sent and put into bundles.
 *   [1, h'payload', auth, h'outputs', h'lengths']
 * outputs: the pairs under the outputs' root in the plan's order (BULLA_PAIR_BYTES each), unsigned but checked against
 * it. lengths: 4 bytes big endian per list that the step's output feeds to a for_each, in the plan's order. */
struct bulla_receipt_record {
	struct bulla_receipt receipt;
	bulla_digest digest;  /* digest(payload) */
	bulla_bytes payload;  /* borrowed */
	struct bulla_auth auth;
	bulla_bytes outputs;  /* borrowed */
	bulla_bytes lengths;  /* borrowed */
};

/* Largest record without its outputs and lengths. */
#define BULLA_RECEIPT_RECORD_BYTES (BULLA_RECEIPT_BYTES + 64 + 32 * BULLA_BATCH_LEVELS + 48)

/* Writes a record. payload: BULLA_RECEIPT_BYTES as signed. */
void bulla_receipt_record_write(bulla_wr *w, bulla_bytes payload, const struct bulla_auth *auth, bulla_bytes outputs,
	bulla_bytes lengths);

/* Decodes a record; checks that outputs are the pairs under the receipt's outputs' root (BULLA_E_GRAPH) and the form of
 * everything, but no signature. Views borrow from bytes. */
BULLA_CHECK bulla_rc bulla_receipt_record_decode(bulla_bytes bytes, struct bulla_receipt_record *ret);

/* Checks the record's signature by this key, whose kid must be the receipt's. BULLA_E_SIGNATURE. */
BULLA_CHECK bulla_rc bulla_receipt_record_verify(const struct bulla_receipt_record *record,
	struct bulla_verify_key *key);

/* The whole COSE_Sign1 of a record that was signed alone (on-chain use); BULLA_E_UNSUPPORTED for a batched one. */
BULLA_CHECK bulla_rc bulla_receipt_cose(const struct bulla_receipt_record *record, bulla_wr *w);

/* Number of pairs in a view, and one of them. */
static inline size_t bulla_pairs_count(bulla_bytes pairs)
{
	return pairs.n / BULLA_PAIR_BYTES;
}
BULLA_CHECK bulla_rc bulla_pairs_get(bulla_bytes pairs, size_t index, struct bulla_pair *ret);

/* root(list of pairs). */
void bulla_pairs_root(const struct bulla_pair *pairs, size_t count, bulla_digest *ret);
