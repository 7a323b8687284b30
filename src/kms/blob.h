#pragma once
/* CiphertextBlob of bulla-kms: "BKB" | version 1 | key uuid 16 | material id 32 | salt 32 | commitment 32 | AES-256-GCM
 * text and tag. Key of the text = kdf(material, "key-blob", salt): used once, nonce zero; additional data: everything
 * before the text, then the encryption context's canonical form. The commitment = kdf(material, "key-blob-commit",
 * salt) makes one blob open under one material only. */
#include "base/buf.h"
#include "base/secret.h"
#include "base/sys.h"
#include "kms/context.h"

#define BULLA_KMS_BLOB_HEADER 116
#define BULLA_KMS_BLOB_MAX 6144
#define BULLA_KMS_PLAIN_MAX 4096
#define BULLA_KMS_UUID 16

/* The current key material of a wrapping key. */
struct bulla_kms_material {
	uint8_t uuid[BULLA_KMS_UUID];
	bulla_digest id;
	bulla_secret secret;
};

/* Which key and material a blob names; BULLA_E_FORMAT when it is none of ours. */
BULLA_CHECK bulla_rc bulla_kms_blob_read(bulla_bytes blob, uint8_t ret_uuid[BULLA_KMS_UUID],
	bulla_digest *ret_material);

/* Appends a blob. plain: 1 to BULLA_KMS_PLAIN_MAX bytes. */
BULLA_CHECK bulla_rc bulla_kms_blob_seal(const struct bulla_kms_material *material,
	const struct bulla_kms_context *context, const struct bulla_random *random,
	bulla_bytes plain, struct bulla_buf *ret);

/* Appends the plain text to a wiping buffer. BULLA_E_KEY_CONTEXT for whatever does not fit: AWS tells no difference
 * either.
 */
BULLA_CHECK bulla_rc bulla_kms_blob_open(const struct bulla_kms_material *material,
	const struct bulla_kms_context *context, bulla_bytes blob,
	struct bulla_buf *ret);
