#pragma once
/* How a signed record says who signed it: alone (COSE_Sign1 over the payload), or as one of a batch (COSE_Sign1 of a
 * kind of its own over root(list of payload digests), and an inclusion proof). Used by receipts, start records and
 * commit tokens. The key is never taken from the record: the verifier names it. */
#include "base/rd.h"
#include "base/wr.h"
#include "crypto/sign.h"
#include "wire/cbor.h"

#define BULLA_AUTH_SIGNATURE_BYTES 64

/* Receipts or tokens that one signature may cover: paths have at most 12 hashes. */
#define BULLA_BATCH_MAX 4096u
#define BULLA_BATCH_LEVELS 12

/* What a signature is for. Its content type is application/bulla-<kind>+cbor;v=1. The other signed things (order,
 * day-key, run-head, manifest, birth, link) are whole COSE_Sign1 of cose/sign1.h and need no row here. */
enum bulla_signed {
	BULLA_SIGNED_RECEIPT,  /* "receipt": an agent's, a party's answer, the broker's clock */
	BULLA_SIGNED_RECEIPTS, /* "receipts": a batch of them */
	BULLA_SIGNED_START,    /* "start" */
	BULLA_SIGNED_STARTS,   /* "starts" */
	BULLA_SIGNED_TOKEN,    /* "token" */
	BULLA_SIGNED_TOKENS,   /* "tokens" */
	BULLA_SIGNED_COUNT
};

struct bulla_auth {
	bool batched;
	uint8_t signature[BULLA_AUTH_SIGNATURE_BYTES]; /* r || s */
	uint32_t index, count;                         /* batched: which of how many */
	bulla_bytes path;                              /* batched: 32 bytes per hash; borrowed */
};

/* CBOR: [h'signature'] or [h'signature', index, count, h'path']. */
void bulla_auth_write(bulla_wr *w, const struct bulla_auth *auth);
BULLA_CHECK bulla_rc bulla_auth_read(bulla_cbor_rd *r, struct bulla_auth *ret);

/* Signs one payload alone: fills *ret (not batched). The bytes signed are those of COSE_Sign1 with protected header
 * {1: -7, 3: content type, 4: kid} and no external data. */
BULLA_CHECK bulla_rc bulla_auth_sign(struct bulla_sign_key *key, enum bulla_signed kind, bulla_bytes payload,
	struct bulla_auth *ret);

/* Checks auth over a payload in one call. single: the kind of a lone signature; the batch's kind is the next one.
 * BULLA_E_SIGNATURE. */
BULLA_CHECK bulla_rc bulla_auth_verify(const struct bulla_auth *auth, struct bulla_verify_key *key,
	enum bulla_signed single, bulla_bytes payload);

/* The COSE_Sign1 (untagged) of a lone signature by the key with this kid. */
BULLA_CHECK bulla_rc bulla_auth_write_sign1(bulla_wr *w, const struct bulla_auth *auth, const bulla_digest *kid,
	enum bulla_signed kind, bulla_bytes payload);

/* --- batches --- */

/* The root that the batch signature in auth must cover, from a payload's digest. Verifiers of many remember
 * (kid, root, signature) of batches they checked: one signature check per batch. */
BULLA_CHECK bulla_rc bulla_auth_root(const struct bulla_auth *auth, const bulla_digest *payload, bulla_digest *ret_root);

/* Checks a signature over a batch's root; kind: RECEIPTS, STARTS, TOKENS. The signed payload is CBOR [1, h'root']. */
BULLA_CHECK bulla_rc bulla_batch_verify(struct bulla_verify_key *key, enum bulla_signed kind, const bulla_digest *root,
	const uint8_t signature[BULLA_AUTH_SIGNATURE_BYTES]);

/* A batch in the making: add payload digests, sign once, take each one's proof. Memory: 96 bytes per place, allocated
 * once. A batch of one is signed as a batch, too. */
struct bulla_batch;
BULLA_CHECK bulla_rc bulla_batch_new(uint32_t max, struct bulla_batch **ret);
struct bulla_batch *bulla_batch_free(struct bulla_batch *batch);
void bulla_batch_clear(struct bulla_batch *batch);
uint32_t bulla_batch_count(const struct bulla_batch *batch);

/* Adds digest(payload); BULLA_E_LIMIT when full, BULLA_E_STATE after signing. *ret_index is its place. */
BULLA_CHECK bulla_rc bulla_batch_add(struct bulla_batch *batch, const bulla_digest *payload, uint32_t *ret_index);

/* Signs all that was added; kind: RECEIPTS, STARTS or TOKENS. Then bulla_batch_auth may be asked, until clear. */
BULLA_CHECK bulla_rc bulla_batch_sign(struct bulla_batch *batch, struct bulla_sign_key *key, enum bulla_signed kind);

/* Auth of one member; its path is borrowed from the batch and valid until the next call. */
BULLA_CHECK bulla_rc bulla_batch_auth(struct bulla_batch *batch, uint32_t index, struct bulla_auth *ret);
