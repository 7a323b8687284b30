#pragma once
/* Keys of people, as files: a private one in ~/.config/bulla (0600), its public half in the project's keys/NAME.pub. */
#include "base/secret.h"
#include "crypto/ecdh.h"
#include "crypto/sign.h"

/* What a person holds: ES256 to sign (approvals, start records), X25519 to receive (HPKE). */
struct keyfile {
	struct bulla_sign_key *sign;
	bulla_secret receive;
	uint8_t receive_public[BULLA_X25519_SIZE];
};

/* Its public half: views into the bytes it was read from. */
struct public_key {
	bulla_bytes spki;
	bulla_bytes hpke;
};

#define KEYFILE_MAX 1024

/* Makes and writes a new key: the file must not exist. BULLA_E_EXISTS, BULLA_E_IO. Format: CBOR [1, h'PKCS#8', h'X25519'].
 * The public half goes to the terminal's or project's side as one line of base64url of CBOR [1, h'SPKI', h'X25519']. */
BULLA_CHECK bulla_rc keyfile_make(const char *path, struct keyfile *ret);
BULLA_CHECK bulla_rc keyfile_read(const char *path, struct keyfile *ret);
void keyfile_done(struct keyfile *key);

/* Writes the public half as text into ret (appended, no newline); parses one. */
BULLA_CHECK bulla_rc keyfile_public(const struct keyfile *key, struct bulla_buf *ret);
BULLA_CHECK bulla_rc public_key_parse(bulla_bytes text, struct bulla_buf *memory, struct public_key *ret);
