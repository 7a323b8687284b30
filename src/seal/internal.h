#pragma once
/* Inside seal/: what sealing and opening share. */
#include "base/checks.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"
#include "crypto/random.h"
#include "seal/envelope.h"

#define BULLA_PATH_NAMES 32
#define BULLA_ENVELOPE_VERSION 1
#define BULLA_ENVELOPE_ALG 3 /* A256GCM of RFC 9053 */
#define BULLA_ENVELOPE_SALT 32

/* A path as the next item: names and indices only, at most BULLA_PATH_MAX bytes. */
BULLA_CHECK bulla_rc bulla_path_read(bulla_cbor_rd *r, bulla_bytes *ret);

/* Payload bytes of the class that `size` falls into; 0 in *ret_class for exact. BULLA_E_LIMIT. */
BULLA_CHECK bulla_rc bulla_padding_class(struct bulla_padding_rule rule, size_t size, uint32_t *ret_class);

/* digest(padded) without making it: salt, length, payload, zeros. */
void bulla_padding_digest(bulla_bytes salt, bulla_bytes payload, uint32_t class_size, bulla_digest *ret);

/* Size of padded bytes of a payload in its class. */
size_t bulla_padding_size(size_t payload, uint32_t class_size);

/* Writes padded bytes (bulla_padding_size of them). */
void bulla_padding_write(bulla_bytes salt, bulla_bytes payload, uint32_t class_size, uint8_t *ret);

/* kek = kdf(secret || run secret, "wrap", [position, digest(core)]). */
BULLA_CHECK bulla_rc bulla_envelope_kek(bulla_secret secret, bulla_secret run_secret, const struct bulla_position *position,
	bulla_bytes core, bulla_secret *ret);

/* CBOR [position, digest]: context of content keys and keks. */
#define BULLA_ENVELOPE_CONTEXT (1 + BULLA_POSITION_BYTES + 34)
BULLA_CHECK bulla_rc bulla_envelope_context(const struct bulla_position *position, const bulla_digest *digest,
	uint8_t memory[BULLA_ENVELOPE_CONTEXT], bulla_bytes *ret);
