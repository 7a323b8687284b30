#include "seal/birth.h"

#include "base/checks.h"
#include "crypto/ecdh.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"
#include "wire/cbor.h"

#define VERSION 1
#define CONTENT BULLA_CONTENT("birth")
#define WRAPPING_KEY_MAX 2048 /* characters of a key id or ARN (AWS KMS) */
#define BODY_MAX 3840
#define POLICY_FORM_MAX 2

/* --- keys of a seed --- */

bulla_rc bulla_agent_keys_derive(bulla_secret seed, const struct bulla_kem *kem, struct bulla_agent_keys *ret)
{
	BULLA_AUTO_SECRET ikm = BULLA_SECRET_NONE, state = BULLA_SECRET_NONE;

	if (bulla_secret_view(seed).n != BULLA_SEED_SIZE)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "an agent's seed has 32 bytes");
	BULLA_TRY(bulla_kdf(seed, BULLA_LABEL_AGENT_KEM, (bulla_bytes){NULL, 0}, &ikm));
	BULLA_TRY(bulla_kdf(seed, BULLA_LABEL_AGENT_STATE, (bulla_bytes){NULL, 0}, &state));
	BULLA_TRY(bulla_hpke_derive(kem, ikm, &ret->private_key, ret->public_key));
	ret->kem = kem;
	ret->public_size = kem->public_size;
	ret->state = bulla_secret_take(&state);
	return BULLA_OK;
}

void bulla_agent_keys_done(struct bulla_agent_keys *keys)
{
	if (keys == NULL)
		return;
	bulla_secret_free(&keys->private_key);
	bulla_secret_free(&keys->state);
}

/* --- the record --- */

static void write_body(bulla_wr *w, const struct bulla_birth *birth)
{
	bulla_cbor_wr_array(w, 12);
	bulla_cbor_wr_uint(w, VERSION);
	bulla_cbor_wr_bytes(w, bulla_handle_view(&birth->tenant));
	bulla_cbor_wr_bytes(w, bulla_handle_view(&birth->agent));
	bulla_cbor_wr_uint(w, birth->epoch);
	bulla_cbor_wr_digest(w, &birth->manifest);
	bulla_cbor_wr_uint(w, birth->kem);
	bulla_cbor_wr_bytes(w, birth->public_key);
	bulla_cbor_wr_digest(w, &birth->blob);
	bulla_cbor_wr_text(w, birth->wrapping_key);
	bulla_cbor_wr_uint(w, birth->policy_form);
	bulla_cbor_wr_digest(w, &birth->policy);
	bulla_cbor_wr_digest(w, &birth->evidence);
}

static bulla_rc read_kem(bulla_cbor_rd *r, struct bulla_birth *birth)
{
	BULLA_TRY(bulla_cbor_rd_uint(r, &birth->kem));
	if (birth->kem != BULLA_KEM_NUMBER_X25519 && birth->kem != BULLA_KEM_NUMBER_HYBRID)
		return BULLA_FAIL(BULLA_E_FORMAT, "a birth record names a KEM that is not known");
	BULLA_TRY(bulla_cbor_rd_bytes_max(r, BULLA_HPKE_PUBLIC_MAX, &birth->public_key));
	if (birth->public_key.n != (birth->kem == BULLA_KEM_NUMBER_X25519 ? BULLA_X25519_SIZE : BULLA_HPKE_PUBLIC_MAX))
		return BULLA_FAIL(BULLA_E_FORMAT, "a birth record's public key is not of its KEM's size");
	return BULLA_OK;
}

static bulla_rc read_form(bulla_cbor_rd *r, uint64_t *ret)
{
	BULLA_TRY(bulla_cbor_rd_uint_max(r, POLICY_FORM_MAX, ret));
	if (*ret == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a birth record names no form of policy");
	return BULLA_OK;
}

static bulla_rc read_body(bulla_bytes payload, struct bulla_birth *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(payload);
	struct bulla_birth birth = {.epoch = 0};

	BULLA_TRY(bulla_cbor_rd_expect_array(&r, 12));
	BULLA_TRY(bulla_cbor_rd_expect_int(&r, VERSION));
	BULLA_TRY(bulla_cbor_rd_copy(&r, sizeof(birth.tenant.b), birth.tenant.b));
	BULLA_TRY(bulla_cbor_rd_copy(&r, sizeof(birth.agent.b), birth.agent.b));
	BULLA_TRY(bulla_cbor_rd_uint(&r, &birth.epoch));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &birth.manifest));
	BULLA_TRY(read_kem(&r, &birth));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &birth.blob));
	BULLA_TRY(bulla_cbor_rd_text(&r, WRAPPING_KEY_MAX, &birth.wrapping_key));
	BULLA_TRY(read_form(&r, &birth.policy_form));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &birth.policy));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &birth.evidence));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	*ret = birth;
	return BULLA_OK;
}

bulla_rc bulla_birth_make(const struct bulla_birth *birth, struct bulla_sign_key *key, struct bulla_buf *ret)
{
	uint8_t memory[BODY_MAX];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_birth back;
	bulla_bytes payload;

	write_body(&w, birth);
	BULLA_TRY(bulla_wr_end(&w, &payload));
	BULLA_TRY(read_body(payload, &back)); /* nothing is signed that would not be read */
	return bulla_sign1_make(key, CONTENT, payload, ret);
}

bulla_rc bulla_birth_peek(bulla_bytes record, struct bulla_birth *ret)
{
	struct bulla_birth birth;
	bulla_bytes payload;
	bulla_digest kid;

	if (record.n > BULLA_BIRTH_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "a birth record is too long");
	BULLA_TRY(bulla_sign1_peek(record, CONTENT, &kid, &payload));
	BULLA_TRY(read_body(payload, &birth));
	birth.signer = kid;
	*ret = birth;
	return BULLA_OK;
}

static bulla_rc check_context(const struct bulla_birth *birth, const struct bulla_birth_expected *expected)
{
	if (!BULLA_CHECK_ON(BIRTH_CONTEXT))
		return BULLA_OK;
	if (!bulla_handle_eq(&birth->tenant, &expected->tenant) || !bulla_handle_eq(&birth->agent, &expected->agent))
		return BULLA_FAIL(BULLA_E_KEY_CONTEXT, "a birth record is of another agent");
	if (birth->epoch != expected->epoch || !bulla_digest_eq(&birth->manifest, &expected->manifest))
		return BULLA_FAIL(BULLA_E_KEY_CONTEXT, "a birth record is of another epoch or manifest");
	return BULLA_OK;
}

bulla_rc bulla_birth_verify(bulla_bytes record, const struct bulla_birth_expected *expected, struct bulla_verify_key *signer,
	struct bulla_birth *ret)
{
	struct bulla_birth birth;
	bulla_bytes payload;

	BULLA_TRY(bulla_birth_peek(record, &birth));
	if (BULLA_CHECK_ON(BIRTH_SIGNATURE) && bulla_sign1_open(record, CONTENT, signer, &payload) != BULLA_OK)
		return BULLA_FAIL(BULLA_E_KEY_SUBSTITUTED, "a birth record's signature is not of the attested instance");
	if (BULLA_CHECK_ON(BIRTH_EVIDENCE) && !bulla_digest_eq(&birth.evidence, &expected->evidence))
		return BULLA_FAIL(BULLA_E_KEY_SUBSTITUTED, "a birth record names other evidence than was appraised");
	BULLA_TRY(check_context(&birth, expected));
	if (BULLA_CHECK_ON(BIRTH_WRAPPING_KEY) && !bulla_bytes_eq(birth.wrapping_key, expected->wrapping_key))
		return BULLA_FAIL(BULLA_E_KEY_POLICY, "a birth record names another wrapping key than the manifest");
	if (BULLA_CHECK_ON(BIRTH_POLICY) && birth.policy_form != expected->policy_form)
		return BULLA_FAIL(BULLA_E_KEY_POLICY, "a birth record names another form of policy than the manifest");
	*ret = birth;
	return BULLA_OK;
}

bulla_rc bulla_birth_check_keys(const struct bulla_birth *birth, const struct bulla_agent_keys *keys,
	const bulla_digest *blob)
{
	bool same = birth->kem == keys->kem->id &&
		bulla_bytes_eq(birth->public_key, bulla_bytes_of(keys->public_key, keys->public_size));

	if (BULLA_CHECK_ON(BIRTH_PUBLIC_KEY) && !same)
		return BULLA_FAIL(BULLA_E_KEY_SUBSTITUTED, "the agent's key is not the one of its birth record");
	if (BULLA_CHECK_ON(BIRTH_BLOB) && !bulla_digest_eq(&birth->blob, blob))
		return BULLA_FAIL(BULLA_E_KEY_SUBSTITUTED, "the key blob is not the one of the birth record");
	return BULLA_OK;
}
