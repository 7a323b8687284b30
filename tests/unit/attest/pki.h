#pragma once
/* Certificates of our own for the tests, good and bad. Made with libcrypto directly: bad ones must be possible. */
#include <openssl/x509.h>

#include "base/buf.h"
#include "crypto/sign.h"

struct pki_extension {
	const char *oid; /* dotted */
	bulla_bytes value;
};

struct pki_spec {
	const char *cn;
	int64_t not_before, not_after;
	bool ca, plain; /* plain: neither basicConstraints nor keyUsage */
	int pathlen;    /* -1: none */
	bool no_cert_sign, no_signature;
	const char *critical; /* dotted OID of an unknown critical extension */
	const struct pki_extension *extensions;
	size_t extension_count;
	int serial;
};

struct pki_cert {
	EVP_PKEY *key;
	X509 *x509;
	uint8_t der[4096];
	size_t size;
};

EVP_PKEY *pki_key(const char *curve); /* "P-384", "P-256"; NULL: RSA-2048 */

/* Makes *ret with a key of its own (owned), signed by issuer (NULL: by itself). RSA issuers sign PSS with SHA-384. */
void pki_make(const struct pki_spec *spec, EVP_PKEY *key, const struct pki_cert *issuer, struct pki_cert *ret);
void pki_free(struct pki_cert *cert);
bulla_bytes pki_der(const struct pki_cert *cert);
bulla_digest pki_digest(const struct pki_cert *cert);
bulla_digest pki_key_digest(const struct pki_cert *cert);

/* Raw r || s over message, SHA-384 for P-384, SHA-256 for P-256. */
void pki_sign(EVP_PKEY *key, bulla_bytes message, uint8_t *ret, size_t half);
struct bulla_sign_key *pki_sign_key(EVP_PKEY *key);
/* x || y */
void pki_point(EVP_PKEY *key, uint8_t *ret, size_t half);

/* A CRL of issuer over the serials. */
size_t pki_crl(const struct pki_cert *issuer, int64_t from, int64_t to, const int *serials, size_t count, uint8_t *ret,
	size_t size);
