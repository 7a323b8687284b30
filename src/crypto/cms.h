#pragma once
/* CMS EnvelopedData (RFC 5652) as AWS KMS makes it for `Recipient`: one RSAES-OAEP-SHA-256 recipient, AES-256-CBC. Written
 * in exactly AWS's BER (indefinite lengths), read in AWS's two forms and in DER. */
#include "base/buf.h"
#include "base/sys.h"
#include "crypto/rsa.h"

#define BULLA_CMS_MAX 8192

/* Seals plain (1..4096 bytes) to an RSA-2048 SPKI; the key id in the message is digest(SPKI). Appends to ret. */
BULLA_CHECK bulla_rc bulla_cms_seal(bulla_bytes spki, bulla_bytes plain, const struct bulla_random *random,
	struct bulla_buf *ret);

/* Opens into a wiping buffer (appended). Everything that fails after parsing gives the same BULLA_E_CRYPTO: no padding
 * oracle. BULLA_E_FORMAT for another form. */
BULLA_CHECK bulla_rc bulla_cms_open(struct bulla_rsa_key *key, bulla_bytes message, struct bulla_buf *ret);
