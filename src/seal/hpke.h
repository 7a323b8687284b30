#pragma once
/* HPKE (RFC 9180), base mode, HKDF-SHA256, AES-256-GCM, over one of two KEMs: DHKEM(X25519, HKDF-SHA256) and, where
 * libcrypto is 3.5 or later, MLKEM768-X25519. Single-shot: one context seals one message or exports one secret. */
#include "base/secret.h"
#include "base/sys.h"

/* Numbers of KEMs (RFC 9180 section 7.1) */
#define BULLA_KEM_NUMBER_X25519 0x0020u
#define BULLA_KEM_NUMBER_HYBRID 0x647au

/* One KEM: its number, sizes of a public key and of `enc`, and its functions; the two of hpke.c that
 * call encap and decap have checked the sizes. */
struct bulla_kem {
	uint16_t id, public_size, enc_size;
	bulla_rc (*derive)(bulla_secret ikm, bulla_secret *ret_private);
	bulla_rc (*public_of)(bulla_secret private_key, uint8_t *ret_public);
	bulla_rc (*encap)(bulla_bytes public_key, const struct bulla_random *random, uint8_t *ret_enc, bulla_secret *ret);
	bulla_rc (*decap)(bulla_secret private_key, bulla_bytes enc, bulla_secret *ret);
};
extern const struct bulla_kem bulla_kem_x25519; /* suite `classic` */
extern const struct bulla_kem bulla_kem_hybrid; /* suite `hybrid`; BULLA_E_UNSUPPORTED where libcrypto has no ML-KEM */

#define BULLA_HPKE_PRIVATE_SIZE 32 /* of both: an X25519 key, or the hybrid's seed */
#define BULLA_HPKE_PUBLIC_MAX 1216
#define BULLA_HPKE_ENC_MAX 1120
#define BULLA_HPKE_EXPORT_SIZE 32

/* KEM of a manifest's suite (1 classic, 2 hybrid); BULLA_E_UNSUPPORTED for another number, and for hybrid where libcrypto
 * cannot do it: never a silent downgrade. */
BULLA_CHECK bulla_rc bulla_kem_of_suite(uint64_t suite, const struct bulla_kem **ret);

/* DeriveKeyPair (RFC 9180 section 4): the private key, and the public one into ret_public (kem->public_size bytes). */
BULLA_CHECK bulla_rc bulla_hpke_derive(const struct bulla_kem *kem, bulla_secret ikm, bulla_secret *ret_private,
	uint8_t ret_public[BULLA_HPKE_PUBLIC_MAX]);

/* A fresh key pair: DeriveKeyPair of 32 random bytes. */
BULLA_CHECK bulla_rc bulla_hpke_new(const struct bulla_kem *kem, const struct bulla_random *random, bulla_secret *ret_private,
	uint8_t ret_public[BULLA_HPKE_PUBLIC_MAX]);

/* The public key of a private one. */
BULLA_CHECK bulla_rc bulla_hpke_public(const struct bulla_kem *kem, bulla_secret private_key,
	uint8_t ret_public[BULLA_HPKE_PUBLIC_MAX]);

/* Seal (section 6.1): ret_enc gets kem->enc_size bytes, ret_sealed plain.n + 16. */
BULLA_CHECK bulla_rc bulla_hpke_seal(const struct bulla_kem *kem, bulla_bytes public_key, bulla_bytes info, bulla_bytes aad,
	bulla_bytes plain, const struct bulla_random *random, uint8_t ret_enc[BULLA_HPKE_ENC_MAX], uint8_t *ret_sealed);

/* Open; ret gets sealed.n - 16 bytes. BULLA_E_MAC when it does not open, BULLA_E_CRYPTO, BULLA_E_FORMAT for wrong sizes. */
BULLA_CHECK bulla_rc bulla_hpke_open(const struct bulla_kem *kem, bulla_secret private_key, bulla_bytes enc, bulla_bytes info,
	bulla_bytes aad, bulla_bytes sealed, uint8_t *ret);

/* SendExport and ReceiveExport (section 6.2), 32 bytes. */
BULLA_CHECK bulla_rc bulla_hpke_send_export(const struct bulla_kem *kem, bulla_bytes public_key, bulla_bytes info,
	bulla_bytes context, const struct bulla_random *random, uint8_t ret_enc[BULLA_HPKE_ENC_MAX], bulla_secret *ret);
BULLA_CHECK bulla_rc bulla_hpke_receive_export(const struct bulla_kem *kem, bulla_secret private_key, bulla_bytes enc,
	bulla_bytes info, bulla_bytes context, bulla_secret *ret);
