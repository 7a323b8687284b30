#pragma once
/* COSE_Mac0 (RFC 9052 section 6.2) with HMAC 256/256 (alg 5). Untagged array of 4, protected header {1: 5, 3: content type,
 * 4: kid}, unprotected empty. The kid names the session (16 bytes) whose MAC key made it: public, for look-up. */
#include "base/buf.h"
#include "base/secret.h"
#include "cose/sign1.h"

/* Makes one; appends to ret. kid may be empty: then label 4 is absent. */
BULLA_CHECK bulla_rc bulla_mac0_make(bulla_secret key, const char *content_type, bulla_bytes kid, bulla_bytes payload,
	struct bulla_buf *ret);

/* Parse, exactly our header form with this content type and kid, verify in constant time. BULLA_E_MAC, BULLA_E_FORMAT. The
 * payload is a view into message. */
BULLA_CHECK bulla_rc bulla_mac0_open(bulla_bytes message, const char *content_type, bulla_bytes kid, bulla_secret key,
	bulla_bytes *ret_payload);

/* Looks without verifying: content type must match; the kid to find the session by (view), and the payload. */
BULLA_CHECK bulla_rc bulla_mac0_peek(bulla_bytes message, const char *content_type, bulla_bytes *ret_kid,
	bulla_bytes *ret_payload);

/* Any COSE_Mac0 with or without tag 17, of others: views, the tag in place of the signature. As bulla_sign1_parse. */
BULLA_CHECK bulla_rc bulla_mac0_parse(bulla_bytes message, struct bulla_sign1 *ret);

/* Verifies over the received bytes with a key that is not ours to hide; HMAC 256/256 only. BULLA_E_MAC. */
BULLA_CHECK bulla_rc bulla_mac0_verify(const struct bulla_sign1 *mac0, bulla_bytes key);
