#pragma once
/* Signature keys: ES256 and ES384 to sign, those and RSA to verify. Keys are heap objects; one thread uses a key at a time
 * (it keeps its libcrypto contexts). kid = digest(SPKI) (protocol.md section 1). */
#include "base/buf.h"
#include "base/bytes.h"

/* COSE algorithm numbers (RFC 9053, RFC 8230, RFC 8812). */
enum bulla_sign_alg {
	BULLA_ES256 = -7,   /* P-256, SHA-256; signature r||s, 64 bytes */
	BULLA_ES384 = -35,  /* P-384, SHA-384; 96 bytes */
	BULLA_ES512 = -36,  /* P-521, SHA-512; 132 bytes; verify only */
	BULLA_PS256 = -37,  /* RSASSA-PSS, SHA-256, salt 32; verify only */
	BULLA_PS384 = -38,  /* RSASSA-PSS, SHA-384, salt 48; verify only */
	BULLA_PS512 = -39,  /* RSASSA-PSS, SHA-512, salt 64; verify only */
	BULLA_RS256 = -257, /* RSASSA-PKCS1-v1_5, SHA-256; verify only */
	BULLA_RS384 = -258,
	BULLA_RS512 = -259,
};

enum bulla_key_type { BULLA_KEY_P256, BULLA_KEY_P384, BULLA_KEY_P521, BULLA_KEY_RSA };

#define BULLA_ES256_SIZE 64
#define BULLA_ES384_SIZE 96
#define BULLA_SIGNATURE_MAX 132 /* of the elliptic-curve kinds */
#define BULLA_SPKI_MAX 1024

struct bulla_sign_key;   /* private key, with its public half */
struct bulla_verify_key; /* public key */

/* A new key from libcrypto's generator; alg is ES256 or ES384. */
BULLA_CHECK bulla_rc bulla_sign_key_new(enum bulla_sign_alg alg, struct bulla_sign_key **ret);

/* PKCS#8 DER (unencrypted; the caller keeps the file private). Import accepts P-256 and P-384 only. */
BULLA_CHECK bulla_rc bulla_sign_key_import(bulla_bytes pkcs8, struct bulla_sign_key **ret);
BULLA_CHECK bulla_rc bulla_sign_key_export(const struct bulla_sign_key *key, struct bulla_buf *ret);

/* Frees; NULL is allowed. Returns NULL. */
struct bulla_sign_key *bulla_sign_key_free(struct bulla_sign_key *key);

/* What it signs with: ES256 or ES384. */
enum bulla_sign_alg bulla_sign_key_alg(const struct bulla_sign_key *key);
/* SubjectPublicKeyInfo DER, and its digest; borrowed from the key. */
bulla_bytes bulla_sign_key_spki(const struct bulla_sign_key *key);
const bulla_digest *bulla_sign_key_kid(const struct bulla_sign_key *key);
/* 64 for ES256, 96 for ES384. */
size_t bulla_sign_key_size(const struct bulla_sign_key *key);

/* Signs the concatenation of count parts; writes bulla_sign_key_size() bytes, r||s big-endian. */
BULLA_CHECK bulla_rc bulla_sign_parts(struct bulla_sign_key *key, const bulla_bytes *parts, size_t count, uint8_t *ret);
BULLA_CHECK bulla_rc bulla_sign(struct bulla_sign_key *key, bulla_bytes message, uint8_t *ret);

/* Public key from SubjectPublicKeyInfo DER (named curves P-256/384/521, RSA 2048..8192; re-encoding must give the same
 * bytes), from coordinates (big-endian, each of the curve's size), from RSA numbers (big-endian). BULLA_E_FORMAT,
 * BULLA_E_UNSUPPORTED for other kinds. */
BULLA_CHECK bulla_rc bulla_verify_key_spki(bulla_bytes spki, struct bulla_verify_key **ret);
BULLA_CHECK bulla_rc bulla_verify_key_point(enum bulla_key_type type, bulla_bytes x, bulla_bytes y,
	struct bulla_verify_key **ret);
BULLA_CHECK bulla_rc bulla_verify_key_rsa(bulla_bytes modulus, bulla_bytes exponent, struct bulla_verify_key **ret);
struct bulla_verify_key *bulla_verify_key_free(struct bulla_verify_key *key);

/* Kind of the key, its SPKI, and SHA-256 of that; borrowed from the key. */
enum bulla_key_type bulla_verify_key_type(const struct bulla_verify_key *key);
bulla_bytes bulla_verify_key_der(const struct bulla_verify_key *key); /* SPKI DER, borrowed */
const bulla_digest *bulla_verify_key_kid(const struct bulla_verify_key *key);

/* Checks a signature (raw r||s, or RSA octets) over the concatenation of count parts. The caller names the algorithm: it
 * never comes from the message. BULLA_E_SIGNATURE when it does not verify or has another length, BULLA_E_ARGUMENT when
 * key and algorithm do not belong together. */
BULLA_CHECK bulla_rc bulla_verify_parts(struct bulla_verify_key *key, enum bulla_sign_alg alg, const bulla_bytes *parts,
	size_t count, bulla_bytes signature);
BULLA_CHECK bulla_rc bulla_verify(struct bulla_verify_key *key, enum bulla_sign_alg alg, bulla_bytes message,
	bulla_bytes signature);

/* The same with the signature in DER (X.509, TPM): Ecdsa-Sig-Value, or RSA octets. */
BULLA_CHECK bulla_rc bulla_verify_der(struct bulla_verify_key *key, enum bulla_sign_alg alg, bulla_bytes message,
	bulla_bytes signature);

/* For BULLA_AUTO_SIGN_KEY and BULLA_AUTO_VERIFY_KEY. */
static inline void bulla_sign_key_cleanup(struct bulla_sign_key **key)
{
	bulla_sign_key_free(*key);
}
static inline void bulla_verify_key_cleanup(struct bulla_verify_key **key)
{
	bulla_verify_key_free(*key);
}
#define BULLA_AUTO_SIGN_KEY __attribute__((cleanup(bulla_sign_key_cleanup))) struct bulla_sign_key *
#define BULLA_AUTO_VERIFY_KEY __attribute__((cleanup(bulla_verify_key_cleanup))) struct bulla_verify_key *
