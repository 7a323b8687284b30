#pragma once
/* COSE_Sign1 (RFC 9052 section 4.2). What we make: untagged array of 4, protected header {1: alg, 3: content type, 4: kid},
 * unprotected empty, payload inside. The key is always the caller's choice, never the message's. */
#include "base/buf.h"
#include "crypto/sign.h"

/* Content type of our signed and MACed things: BULLA_CONTENT("receipt"). */
#define BULLA_CONTENT(kind) "application/bulla-" kind "+cbor;v=1"

/* A parsed COSE_Sign1: views into the message. */
struct bulla_sign1 {
	bulla_bytes protected_raw; /* content of the protected bstr */
	bulla_bytes unprotected;   /* the unprotected map, encoded */
	bulla_bytes payload;       /* content of the payload bstr */
	bulla_bytes signature;
	bulla_bytes content_type; /* text, empty when absent */
	bulla_bytes kid;          /* empty when absent */
	int64_t alg;              /* as the message says: to be compared, never obeyed */
};

/* Parses, with or without tag 18. Header labels other than 1, 3, 4 are refused in the protected header (BULLA_E_FORMAT);
 * the unprotected map is only skipped: whoever cares checks it. Deterministic CBOR only. */
BULLA_CHECK bulla_rc bulla_sign1_parse(bulla_bytes message, struct bulla_sign1 *ret);

/* Verifies over the received bytes: Sig_structure ["Signature1", protected, aad, payload]. BULLA_E_SIGNATURE, also when the
 * message's alg is not `alg`. */
BULLA_CHECK bulla_rc bulla_sign1_verify(const struct bulla_sign1 *sign1, struct bulla_verify_key *key,
	enum bulla_sign_alg alg, bulla_bytes aad);

/* One of ours: parse, exactly our header form with this content type and the key's kid, empty unprotected, verify.
 * BULLA_E_FORMAT for another content type, BULLA_E_SIGNATURE for another kid. The payload is a view into message. */
BULLA_CHECK bulla_rc bulla_sign1_open(bulla_bytes message, const char *content_type, struct bulla_verify_key *key,
	bulla_bytes *ret_payload);

/* Looks without verifying: content type must match; the kid to choose a trusted key by, and the payload. */
BULLA_CHECK bulla_rc bulla_sign1_peek(bulla_bytes message, const char *content_type, bulla_digest *ret_kid,
	bulla_bytes *ret_payload);

/* Makes one of ours; appends to ret. */
BULLA_CHECK bulla_rc bulla_sign1_make(struct bulla_sign_key *key, const char *content_type, bulla_bytes payload,
	struct bulla_buf *ret);
