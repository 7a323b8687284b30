#pragma once
/* RSA-2048 with OAEP-SHA-256 (RFC 8017, MGF1-SHA-256, no label): what KMS `Recipient` demands. */
#include "base/secret.h"
#include "base/sys.h"

#define BULLA_RSA_SIZE 256

struct bulla_rsa_key;

/* A new 2048-bit key: 0.1 s and more, so a helper thread makes it. */
BULLA_CHECK bulla_rc bulla_rsa_key_new(struct bulla_rsa_key **ret);
/* A 2048-bit key from PKCS#8 DER. */
BULLA_CHECK bulla_rc bulla_rsa_key_import(bulla_bytes pkcs8, struct bulla_rsa_key **ret);
struct bulla_rsa_key *bulla_rsa_key_free(struct bulla_rsa_key *key);

/* SubjectPublicKeyInfo DER; borrowed. */
bulla_bytes bulla_rsa_key_spki(const struct bulla_rsa_key *key);

/* Encrypts up to 64 bytes to the holder of an RSA-2048 key. BULLA_E_FORMAT when spki is no RSA-2048 key. */
BULLA_CHECK bulla_rc bulla_rsa_seal(bulla_bytes spki, bulla_secret plain, uint8_t ret[BULLA_RSA_SIZE]);

/* BULLA_E_CRYPTO when it does not open, for whatever reason. The plain text has 1..64 bytes. */
BULLA_CHECK bulla_rc bulla_rsa_open(struct bulla_rsa_key *key, bulla_bytes sealed, bulla_secret *ret);

/* For BULLA_AUTO_RSA_KEY. */
static inline void bulla_rsa_key_cleanup(struct bulla_rsa_key **key)
{
	bulla_rsa_key_free(*key);
}
#define BULLA_AUTO_RSA_KEY __attribute__((cleanup(bulla_rsa_key_cleanup))) struct bulla_rsa_key *
