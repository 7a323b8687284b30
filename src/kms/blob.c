#include "kms/blob.h"

#include "base/rd.h"
#include "crypto/aead.h"
#include "crypto/kdf.h"
#include "crypto/random.h"

#define SALT 32
#define COMMITMENT 32

bulla_rc bulla_kms_blob_read(bulla_bytes blob, uint8_t ret_uuid[BULLA_KMS_UUID], bulla_digest *ret_material)
{
	bulla_rd r = bulla_rd_of(blob);
	bulla_bytes magic;

	if (blob.n <= BULLA_KMS_BLOB_HEADER + BULLA_AEAD_TAG_SIZE || blob.n > BULLA_KMS_BLOB_MAX)
		return BULLA_FAIL(BULLA_E_FORMAT, "a ciphertext blob has another size");
	BULLA_TRY(bulla_rd_bytes(&r, 4, &magic));
	if (!bulla_bytes_eq(magic, BULLA_BYTES_LITERAL("BKB\x01")))
		return BULLA_FAIL(BULLA_E_FORMAT, "not a ciphertext blob of this broker");
	BULLA_TRY(bulla_rd_copy(&r, BULLA_KMS_UUID, ret_uuid));
	return bulla_rd_digest(&r, ret_material);
}

/* kdf contexts are CBOR: a byte string of 32. */
#define SALT_CONTEXT (2 + SALT)
static void salt_context(const uint8_t salt[SALT], uint8_t ret[SALT_CONTEXT])
{
	ret[0] = 0x58;
	ret[1] = SALT;
	bulla_copy(ret + 2, salt, SALT);
}

static bulla_rc text_key(const struct bulla_kms_material *material, const uint8_t salt[SALT], bulla_secret *ret)
{
	uint8_t context[SALT_CONTEXT];

	salt_context(salt, context);
	return bulla_kdf(material->secret, BULLA_LABEL_KEY_BLOB, BULLA_BYTES_ARRAY(context), ret);
}

/* Header and context: what the ciphertext is bound to. */
static bulla_rc additional(bulla_bytes header, const struct bulla_kms_context *context, struct bulla_buf *ret)
{
	bulla_wr w = bulla_wr_buf(ret);
	bulla_bytes ignored;

	bulla_wr_bytes(&w, header);
	bulla_kms_context_write(&w, context);
	return bulla_wr_end(&w, &ignored);
}

#define ADDITIONAL_MAX (BULLA_KMS_BLOB_HEADER + 4 + BULLA_KMS_CONTEXT_MAX * (8 + 2 * BULLA_KMS_CONTEXT_BYTES))

static bulla_rc write_header(const struct bulla_kms_material *material, const uint8_t salt[SALT],
	uint8_t ret[BULLA_KMS_BLOB_HEADER])
{
	bulla_wr w = bulla_wr_fixed(ret, BULLA_KMS_BLOB_HEADER);
	uint8_t commitment[COMMITMENT], context[SALT_CONTEXT];
	bulla_bytes ignored;

	salt_context(salt, context);
	BULLA_TRY(bulla_kdf_bytes(material->secret, BULLA_LABEL_KEY_BLOB_COMMIT, BULLA_BYTES_ARRAY(context), COMMITMENT,
		commitment));
	bulla_wr_bytes(&w, BULLA_BYTES_LITERAL("BKB\x01"));
	bulla_wr_bytes(&w, BULLA_BYTES_ARRAY(material->uuid));
	bulla_wr_digest(&w, &material->id);
	bulla_wr_bytes(&w, bulla_bytes_of(salt, SALT));
	bulla_wr_bytes(&w, BULLA_BYTES_ARRAY(commitment));
	return bulla_wr_end(&w, &ignored);
}

bulla_rc bulla_kms_blob_seal(const struct bulla_kms_material *material, const struct bulla_kms_context *context,
	const struct bulla_random *random, bulla_bytes plain, struct bulla_buf *ret)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;
	BULLA_AUTO_BUF aad;
	uint8_t header[BULLA_KMS_BLOB_HEADER], salt[SALT];

	bulla_buf_init(&aad, ADDITIONAL_MAX);
	if (plain.n == 0 || plain.n > BULLA_KMS_PLAIN_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "a wrapping key wraps 1 to 4096 bytes");
	BULLA_TRY(bulla_random_fill(random, salt, sizeof(salt)));
	BULLA_TRY(write_header(material, salt, header));
	BULLA_TRY(additional(BULLA_BYTES_ARRAY(header), context, &aad));
	BULLA_TRY(text_key(material, salt, &key));
	BULLA_TRY(bulla_buf_reserve(ret, sizeof(header) + plain.n + BULLA_AEAD_TAG_SIZE));
	BULLA_TRY(bulla_buf_append(ret, BULLA_BYTES_ARRAY(header)));
	BULLA_TRY(bulla_aead_seal(key, bulla_aead_nonce_zero, bulla_buf_view(&aad), plain, ret->p + ret->n));
	ret->n += plain.n + BULLA_AEAD_TAG_SIZE;
	return BULLA_OK;
}

static bulla_rc unseal(const struct bulla_kms_material *material, const struct bulla_kms_context *context,
	bulla_bytes blob, struct bulla_buf *ret)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;
	BULLA_AUTO_BUF aad;
	uint8_t expected[BULLA_KMS_BLOB_HEADER];
	bulla_bytes header = {blob.p, BULLA_KMS_BLOB_HEADER};
	bulla_bytes text = {blob.p + BULLA_KMS_BLOB_HEADER, blob.n - BULLA_KMS_BLOB_HEADER};
	const uint8_t *salt = blob.p + BULLA_KMS_BLOB_HEADER - COMMITMENT - SALT;

	bulla_buf_init(&aad, ADDITIONAL_MAX);
	BULLA_TRY(write_header(material, salt, expected));
	if (!bulla_bytes_eq_ct(BULLA_BYTES_ARRAY(expected), header))
		return BULLA_FAIL(BULLA_E_KEY_CONTEXT, "a ciphertext blob of another key material");
	BULLA_TRY(additional(header, context, &aad));
	BULLA_TRY(text_key(material, salt, &key));
	BULLA_TRY(bulla_buf_reserve(ret, text.n));
	BULLA_TRY(bulla_aead_open(key, bulla_aead_nonce_zero, bulla_buf_view(&aad), text, ret->p + ret->n));
	ret->n += text.n - BULLA_AEAD_TAG_SIZE;
	return BULLA_OK;
}

bulla_rc bulla_kms_blob_open(const struct bulla_kms_material *material, const struct bulla_kms_context *context,
	bulla_bytes blob, struct bulla_buf *ret)
{
	uint8_t uuid[BULLA_KMS_UUID];
	bulla_digest id;
	bulla_rc rc;

	BULLA_TRY(bulla_kms_blob_read(blob, uuid, &id));
	rc = unseal(material, context, blob, ret);
	if (rc == BULLA_E_MAC)
		return BULLA_FAIL(BULLA_E_KEY_CONTEXT, "a ciphertext blob does not open in this context");
	return rc;
}
