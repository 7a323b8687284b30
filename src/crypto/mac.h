#pragma once
/* HMAC-SHA-256 (RFC 2104). Nothing allocates. */
#include "base/secret.h"
#include "crypto/hash.h"

/* An unfinished HMAC; the state after init may be copied to use one key for many messages. Wiped by end. */
struct bulla_hmac {
	struct bulla_sha256 inner;
	struct bulla_sha256 outer;
};

/* Any key length (RFC 2104 section 2). Key bytes are not kept. */
void bulla_hmac_init(struct bulla_hmac *hmac, bulla_bytes key);
void bulla_hmac_add(struct bulla_hmac *hmac, bulla_bytes bytes);
void bulla_hmac_end(struct bulla_hmac *hmac, bulla_digest *ret);

/* HMAC-SHA-256 of the concatenation of count parts. */
void bulla_mac_parts(bulla_secret key, const bulla_bytes *parts, size_t count, bulla_digest *ret);
void bulla_mac(bulla_secret key, bulla_bytes message, bulla_digest *ret);

/* Constant-time check of a 32-byte tag; BULLA_E_MAC when it differs or has another length. */
BULLA_CHECK bulla_rc bulla_mac_verify_parts(bulla_secret key, const bulla_bytes *parts, size_t count, bulla_bytes tag);
BULLA_CHECK bulla_rc bulla_mac_verify(bulla_secret key, bulla_bytes message, bulla_bytes tag);
