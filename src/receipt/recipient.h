#pragma once
/* What an enclave shows to have a key released to it, where its evidence has no place for a public key and no time of its own:
 * all but Nitro (PROTOCOL.md section 5). A CMW record (RFC 9999) that stands where a Nitro document would:
 * Recipient.AttestationDocument. */
#include "base/buf.h"
#include "receipt/instance.h"

#define BULLA_RECIPIENT_TYPE "application/vnd.bulla.recipient+cbor"
#define BULLA_RECIPIENT_SALT 32
#define BULLA_RECIPIENT_SPKI_MAX 1024

struct bulla_recipient {
	bulla_bytes spki;                   /* RSA-2048: to what is released */
	uint8_t salt[BULLA_RECIPIENT_SALT]; /* random, another one for each call */
	struct bulla_instance instance;     /* purpose "release" */
};

/* The binder's challenge: SHA-256("bulla/1 release" || channel || salt). channel is that of the connection which carries the
 * call (channel/binding.h): both sides made it, so the evidence is no older than the connection. */
void bulla_release_challenge(const bulla_digest *channel, const uint8_t salt[BULLA_RECIPIENT_SALT], uint8_t ret[32]);

/* CMW [type, bstr .cbor [1, h'spki', h'salt', instance record], 4 (evidence)], appended to ret; scratch is cleared and used.
 * BULLA_E_LIMIT. */
BULLA_CHECK bulla_rc bulla_recipient_write(const struct bulla_recipient *recipient, struct bulla_buf *scratch,
	struct bulla_buf *ret);

/* Is it one by its type? Then what is wrong with it is its own fault. */
bool bulla_recipient_is(bulla_bytes message);

/* Views into message. The purpose is any: who releases compares. */
BULLA_CHECK bulla_rc bulla_recipient_decode(bulla_bytes message, struct bulla_recipient *ret);
