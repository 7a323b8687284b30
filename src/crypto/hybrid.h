#pragma once
/* MLKEM768-X25519 (KEM id 0x647a, "X-Wing": draft-connolly-cfrg-xwing-kem, hpkewg/hpke-pq). The private key is its 32-byte
 * seed. Needs ML-KEM-768 in libcrypto (3.5 or later), asked for at run time. */
#include "base/secret.h"
#include "base/sys.h"

#define BULLA_HYBRID_PUBLIC_SIZE 1216
#define BULLA_HYBRID_ENC_SIZE 1120

/* True when libcrypto has ML-KEM-768. Every other call here gives BULLA_E_UNSUPPORTED where it has not. */
bool bulla_hybrid_available(void);

/* DeriveKeyPair: the seed from input keying material of 32 bytes or more. */
BULLA_CHECK bulla_rc bulla_hybrid_derive(bulla_secret ikm, bulla_secret *ret_seed);

/* Public key: ML-KEM encapsulation key (1184), then X25519 public key (32). */
BULLA_CHECK bulla_rc bulla_hybrid_public(bulla_secret seed, uint8_t ret_public[BULLA_HYBRID_PUBLIC_SIZE]);

/* Encapsulate and decapsulate: a shared secret of 32 bytes. */
BULLA_CHECK bulla_rc bulla_hybrid_encap(bulla_bytes public_key, const struct bulla_random *random,
	uint8_t ret_enc[BULLA_HYBRID_ENC_SIZE], bulla_secret *ret);
BULLA_CHECK bulla_rc bulla_hybrid_decap(bulla_secret seed, bulla_bytes enc, bulla_secret *ret);
