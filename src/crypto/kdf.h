#pragma once
/* The one key derivation (protocol.md section 1) and the HKDF (RFC 5869, SHA-256) under it. Nothing allocates on the heap;
 * results are slots of the secret slab, owned by the caller. */
#include "base/secret.h"
#include "crypto/labels.h"

#define BULLA_KEY_SIZE 32

/* kdf(secret, label, context, 32): HKDF-Expand(HKDF-Extract("", secret), "bulla/1 " label 0x00 context, 32). context is
 * the CBOR encoding the protocol names for the label; empty bytes mean "no context" and are not CBOR null. */
BULLA_CHECK bulla_rc bulla_kdf(bulla_secret secret, enum bulla_label label, bulla_bytes context, bulla_secret *ret);

/* The same from first || second, for secrets that protocol.md writes as a concatenation. second may be none: then 32 zero
 * bytes stand in its place. */
BULLA_CHECK bulla_rc bulla_kdf2(bulla_secret first, bulla_secret second, enum bulla_label label, bulla_bytes context,
	bulla_secret *ret);

/* The same into public bytes of any size up to 64 (salts of parts, commitments: values that are not keys). */
BULLA_CHECK bulla_rc bulla_kdf_bytes(bulla_secret secret, enum bulla_label label, bulla_bytes context, size_t size,
	uint8_t *ret);

/* HKDF-Extract of the concatenation of count parts; 32 bytes. */
BULLA_CHECK bulla_rc bulla_hkdf_extract(bulla_bytes salt, const bulla_bytes *parts, size_t count, bulla_secret *ret);

/* HKDF-Expand with the concatenation of count parts as info; size 1..64 bytes (BULLA_E_ARGUMENT beyond). */
BULLA_CHECK bulla_rc bulla_hkdf_expand(bulla_secret prk, const bulla_bytes *parts, size_t count, size_t size,
	bulla_secret *ret);
