#include "cose/sign1.h"

#include "cose/header.h"
#include "crypto/hash.h"

#define TAG_SIGN1 18

bulla_rc bulla_sign1_parse(bulla_bytes message, struct bulla_sign1 *ret)
{
	return bulla_cose_message_parse(message, TAG_SIGN1, ret);
}

bulla_rc bulla_sign1_verify(const struct bulla_sign1 *sign1, struct bulla_verify_key *key, enum bulla_sign_alg alg,
	bulla_bytes aad)
{
	uint8_t memory[COSE_PREFIX_MAX];
	bulla_bytes parts[2] = {{NULL, 0}, sign1->payload};

	if (sign1->alg != (int64_t)alg)
		return BULLA_FAIL(BULLA_E_SIGNATURE, "a signature's algorithm is not the demanded one");
	BULLA_TRY(bulla_cose_prefix("Signature1", sign1->protected_raw, aad, sign1->payload.n, memory, &parts[0]));
	return bulla_verify_parts(key, alg, parts, 2, sign1->signature);
}

static bulla_rc alg_of(const struct bulla_verify_key *key, enum bulla_sign_alg *ret)
{
	switch (bulla_verify_key_type(key)) {
	case BULLA_KEY_P256:
		*ret = BULLA_ES256;
		return BULLA_OK;
	case BULLA_KEY_P384:
		*ret = BULLA_ES384;
		return BULLA_OK;
	case BULLA_KEY_P521:
	case BULLA_KEY_RSA:
		break;
	}
	return BULLA_FAIL(BULLA_E_ARGUMENT, "our signatures are ES256 or ES384");
}

bulla_rc bulla_sign1_open(bulla_bytes message, const char *content_type, struct bulla_verify_key *key,
	bulla_bytes *ret_payload)
{
	struct bulla_sign1 sign1;
	struct cose_message ours;
	enum bulla_sign_alg alg;

	BULLA_TRY(alg_of(key, &alg));
	BULLA_TRY(bulla_cose_message_ours(message, content_type, &ours));
	if (!bulla_bytes_eq(ours.header.kid, bulla_bytes_digest(bulla_verify_key_kid(key))))
		return BULLA_FAIL(BULLA_E_SIGNATURE, "a thing is signed by another key");
	BULLA_TRY(bulla_sign1_parse(message, &sign1));
	BULLA_TRY(bulla_sign1_verify(&sign1, key, alg, (bulla_bytes){NULL, 0}));
	*ret_payload = sign1.payload;
	return BULLA_OK;
}

bulla_rc bulla_sign1_peek(bulla_bytes message, const char *content_type, bulla_digest *ret_kid, bulla_bytes *ret_payload)
{
	struct cose_message ours;

	BULLA_TRY(bulla_cose_message_ours(message, content_type, &ours));
	BULLA_TRY(bulla_bytes_copy_exact(ours.header.kid, sizeof(ret_kid->b), ret_kid->b));
	*ret_payload = ours.payload;
	return BULLA_OK;
}

static void write_message(bulla_wr *w, bulla_bytes protected_raw, bulla_bytes payload, bulla_bytes signature)
{
	bulla_cbor_wr_array(w, 4);
	bulla_cbor_wr_bytes(w, protected_raw);
	bulla_cbor_wr_map(w, 0);
	bulla_cbor_wr_bytes(w, payload);
	bulla_cbor_wr_bytes(w, signature);
}

bulla_rc bulla_sign1_make(struct bulla_sign_key *key, const char *content_type, bulla_bytes payload,
	struct bulla_buf *ret)
{
	const struct cose_header header = {bulla_sign_key_alg(key), bulla_bytes_str(content_type),
		bulla_bytes_digest(bulla_sign_key_kid(key))};
	uint8_t header_bytes[COSE_HEADER_MAX], memory[COSE_PREFIX_MAX], signature[BULLA_SIGNATURE_MAX];
	bulla_wr head = bulla_wr_fixed(header_bytes, sizeof(header_bytes)), out = bulla_wr_buf(ret);
	bulla_bytes parts[2] = {{NULL, 0}, payload}, protected_raw, written;

	bulla_cose_header_write(&head, &header);
	BULLA_TRY(bulla_wr_end(&head, &protected_raw));
	BULLA_TRY(bulla_cose_prefix("Signature1", protected_raw, (bulla_bytes){NULL, 0}, payload.n, memory, &parts[0]));
	BULLA_TRY(bulla_sign_parts(key, parts, 2, signature));
	write_message(&out, protected_raw, payload, bulla_bytes_of(signature, bulla_sign_key_size(key)));
	return bulla_wr_end(&out, &written);
}
