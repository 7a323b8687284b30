#pragma once
/* Commit tokens: the ledger's signature over the fact that a slot is filled by a receipt. Batched as a rule. */
#include "receipt/auth.h"
#include "receipt/position.h"

#define BULLA_TOKEN_VERSION 1
#define BULLA_TOKEN_BYTES 158

struct bulla_token {
	struct bulla_slot slot;
	bulla_digest receipt;
	uint64_t sequence; /* of the commit in the ledger */
	uint64_t time_ms;
	bulla_digest head; /* ledger head: chain hash of the last durable batch */
};

/* Writes the payload; exactly BULLA_TOKEN_BYTES. */
void bulla_token_write(bulla_wr *w, const struct bulla_token *token);
BULLA_CHECK bulla_rc bulla_token_decode(bulla_bytes payload, struct bulla_token *ret);
void bulla_token_digest(const struct bulla_token *token, bulla_digest *ret);

/* Token record: [1, h'payload', auth]. */
struct bulla_token_record {
	struct bulla_token token;
	bulla_digest digest;
	bulla_bytes payload; /* borrowed */
	struct bulla_auth auth;
};
#define BULLA_TOKEN_RECORD_MAX (BULLA_TOKEN_BYTES + 64 + 32 * BULLA_BATCH_LEVELS + 32)

/* The token's payload with what authenticates it. Decoded: payload and auth borrow from bytes, nothing is verified yet. */
void bulla_token_record_write(bulla_wr *w, const struct bulla_token *token, const struct bulla_auth *auth);
BULLA_CHECK bulla_rc bulla_token_record_decode(bulla_bytes bytes, struct bulla_token_record *ret);
