#pragma once
/* The enclave's side of the KMS API: bodies of requests and answers; the caller carries the HTTP bytes over its TLS
 * connection (a relay, ALPN http/1.1). The same against AWS KMS and bulla-kms. Without a credential the request is not
 * signed: bulla-kms accepts that for requests with attestation and for GetKeyPolicy, as far as the key's policy does.
 */
#include "base/secret.h"
#include "kms/context.h"
#include "kms/sigv4.h"
#include "wire/json.h"

struct bulla_rsa_key; /* crypto/rsa.h */

struct bulla_kms_call {
	bulla_bytes host;   /* Host header */
	bulla_bytes key_id; /* wrapping key id of the manifest: ARN or uuid, text */
	const struct bulla_kms_context *context;
	bulla_bytes document;                          /* attestation document; its public_key is the RSA key */
	/* bulla_kms_sigv4_sign with its credential; NULL: not signed. A pointer, so that enclaves, which have no credential, do
	 * not carry the code. */
	bulla_rc (*sign)(struct bulla_http_message *request, const struct bulla_kms_credential *credential, int64_t wall_ms,
		struct bulla_buf *scratch);
	const struct bulla_kms_credential *credential;
	int64_t wall_ms;
};

/* A whole HTTP request. */
BULLA_CHECK bulla_rc bulla_kms_write_generate(const struct bulla_kms_call *call, struct bulla_buf *ret);
BULLA_CHECK bulla_rc bulla_kms_write_decrypt(const struct bulla_kms_call *call, bulla_bytes blob,
	struct bulla_buf *ret);
BULLA_CHECK bulla_rc bulla_kms_write_get_policy(const struct bulla_kms_call *call, struct bulla_buf *ret);

/* The answer to generate or decrypt: checks that KeyId names key_id, that there is no Plaintext, opens
 * CiphertextForRecipient: exactly 32 bytes. ret_blob: CiphertextBlob appended (generate only; NULL for decrypt). AWS
 * errors become: AccessDenied BULLA_E_DENIED; InvalidCiphertext, IncorrectKey BULLA_E_KEY_CONTEXT; NotFound
 * BULLA_E_NOT_FOUND; another KeyId BULLA_E_KEY_SUBSTITUTED; bulla-kms's own names of evidence errors (x-bulla-error)
 * the error of that name. */
BULLA_CHECK bulla_rc bulla_kms_read_key(const struct bulla_http_message *response, struct bulla_rsa_key *key,
	bulla_bytes key_id, struct bulla_buf *ret_blob, bulla_secret *ret_seed);

/* Policy text of the answer to get_policy, appended to ret. */
BULLA_CHECK bulla_rc bulla_kms_read_policy(const struct bulla_http_message *response, struct bulla_buf *ret);

/* --- parts of these, for kms/owner.h --- */

/* A whole HTTP request for this X-Amz-Target, signed as call says. */
BULLA_CHECK bulla_rc bulla_kms_write_call(const struct bulla_kms_call *call, const char *target, bulla_bytes body,
	struct bulla_buf *ret);

/* The answer's object, or its error as above. */
BULLA_CHECK bulla_rc bulla_kms_read_root(const struct bulla_http_message *response, bulla_json *ret);

/* A string, unescaped, appended to ret: at most max bytes. */
BULLA_CHECK bulla_rc bulla_kms_read_string(bulla_json value, size_t max, struct bulla_buf *ret);
