#pragma once
/* How a run begins: the start record is the starting party's signed receipt of step `input` (protocol.md section 8), and
 * the broker's day key, to which the run secret in it is sealed. */
#include "receipt/auth.h"
#include "receipt/position.h"
#include "receipt/receipt.h"

/* HPKE enc (32; hybrid 1120), the starter's sealed secret (32 + 16), the wrapped run secret (32 + 16): seal/start_secret.h. */
#define BULLA_SEALED_SECRET_MAX 1216
#define BULLA_LINK_ID_BYTES 16
#define BULLA_START_VERSION 1

struct bulla_start {
	bulla_handle tenant;
	bulla_digest workflow;
	bulla_digest manifest;
	bulla_run_id run;
	bulla_digest party;   /* kid of the starter */
	bulla_bytes inputs;   /* pairs, BULLA_PAIR_BYTES each: whole and parts in the plan's order; borrowed */
	bulla_bytes lengths;  /* as in a receipt record; borrowed */
	bulla_bytes links;    /* link ids, BULLA_LINK_ID_BYTES each; borrowed */
	bulla_digest day_key; /* digest of the day key's public key */
	bulla_bytes secret;   /* run secret sealed to it: opaque here (seal/); borrowed */
	uint64_t time_ms;     /* the starter's clock */
};

/* Limits: BULLA_MAX_FLOW_ITEMS + 4096 pairs, 64 links, 16 lists. */
BULLA_CHECK bulla_rc bulla_start_write(bulla_wr *w, const struct bulla_start *start);
BULLA_CHECK bulla_rc bulla_start_decode(bulla_bytes payload, struct bulla_start *ret);

/* Start record: [1, h'payload', auth]. Its digest stands where a parent's receipt digest stands. */
struct bulla_start_record {
	struct bulla_start start;
	bulla_digest digest;
	bulla_bytes payload;
	struct bulla_auth auth;
};
void bulla_start_record_write(bulla_wr *w, bulla_bytes payload, const struct bulla_auth *auth);
BULLA_CHECK bulla_rc bulla_start_record_decode(bulla_bytes bytes, struct bulla_start_record *ret);
BULLA_CHECK bulla_rc bulla_start_record_verify(const struct bulla_start_record *record,
	struct bulla_verify_key *party);

/* The broker's day key: COSE_Sign1 by the ledger key, kind "day-key". Starts sealed to it are taken until ends_ms. */
struct bulla_day_key {
	uint8_t suite;        /* enum bulla_suite of manifest.h */
	bulla_bytes public_key; /* HPKE; borrowed */
	uint64_t begins_ms;
	uint64_t ends_ms;
};
#define BULLA_DAY_KEY_MAX 1600

/* COSE_Sign1 by the ledger key, appended. Open: public_key borrows from sign1; BULLA_E_SIGNATURE, BULLA_E_FORMAT,
 * BULLA_E_VERSION. */
BULLA_CHECK bulla_rc bulla_day_key_make(const struct bulla_day_key *day, struct bulla_sign_key *ledger,
	struct bulla_buf *ret);
BULLA_CHECK bulla_rc bulla_day_key_open(bulla_bytes sign1, struct bulla_verify_key *ledger,
	struct bulla_day_key *ret);
