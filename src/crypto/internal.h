#pragma once
/* Inside crypto/ only. */
#include "base/bytes.h"

#include <openssl/err.h>
#include <openssl/evp.h>

/* Raise, and empty libcrypto's error queue: it is not a second error trail. */
#define CRYPTO_FAIL(code, literal) (ERR_clear_error(), BULLA_FAIL(code, literal))

/* A public key of this kind ("EC", "RSA") from libcrypto's parameters; NULL when they make none. Owned by the caller. */
EVP_PKEY *bulla_key_from_params(const char *kind, OSSL_PARAM *params);

/* The key in an RSA SubjectPublicKeyInfo (RFC 3279 section 2.3.1: rsaEncryption, NULL) of at most BULLA_SPKI_MAX bytes in
 * its one DER form: modulus odd, exponent odd, at least 3 and of at most 8 bytes. Owned by the caller. BULLA_E_FORMAT,
 * BULLA_E_UNSUPPORTED for another kind. Read here, as libcrypto's decoder costs twice what a verification does. */
BULLA_CHECK bulla_rc bulla_rsa_public(bulla_bytes spki, EVP_PKEY **ret);

/* That form written into ret_memory (BULLA_SPKI_MAX bytes), *ret a view of it. Numbers are big-endian. BULLA_E_LIMIT. */
BULLA_CHECK bulla_rc bulla_rsa_spki(bulla_bytes modulus, bulla_bytes exponent, uint8_t *ret_memory, bulla_bytes *ret);
