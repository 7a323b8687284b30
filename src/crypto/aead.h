#pragma once
/* AES-256-GCM (NIST SP 800-38D), 96-bit nonce, 128-bit tag. The cipher and one context per direction and thread are kept:
 * no call allocates or fetches. */
#include "base/secret.h"

#define BULLA_AEAD_KEY_SIZE 32
#define BULLA_AEAD_NONCE_SIZE 12
#define BULLA_AEAD_TAG_SIZE 16

/* The nonce of keys that are used once. */
extern const uint8_t bulla_aead_nonce_zero[BULLA_AEAD_NONCE_SIZE];

/* Writes plain.n + 16 bytes (ciphertext, tag) to ret. ret may be plain.p itself, no other overlap. On failure ret is
 * wiped. BULLA_E_CRYPTO, BULLA_E_LIMIT above BULLA_ALLOC_MAX. */
BULLA_CHECK bulla_rc bulla_aead_seal(bulla_secret key, const uint8_t nonce[BULLA_AEAD_NONCE_SIZE], bulla_bytes aad,
	bulla_bytes plain, uint8_t *ret);

/* Writes sealed.n - 16 bytes to ret (which may be sealed.p itself). BULLA_E_MAC when the tag is wrong: ret is then wiped. */
BULLA_CHECK bulla_rc bulla_aead_open(bulla_secret key, const uint8_t nonce[BULLA_AEAD_NONCE_SIZE], bulla_bytes aad,
	bulla_bytes sealed, uint8_t *ret);

/* Frees this thread's contexts, which hold the last keys: for a thread that ends before its program does. */
void bulla_aead_done(void);

/* seal and open of a 32-byte key under another key that is used once: nonce 0, no AAD; 48 bytes sealed. */
#define BULLA_WRAPPED_SIZE 48
BULLA_CHECK bulla_rc bulla_key_wrap(bulla_secret kek, bulla_secret key, uint8_t ret[BULLA_WRAPPED_SIZE]);
BULLA_CHECK bulla_rc bulla_key_unwrap(bulla_secret kek, bulla_bytes wrapped, bulla_secret *ret);
