#include "attest/ear.h"

#include "wire/cbor.h"
#include "wire/json.h"
#include "wire/text.h"

#define DEFAULT_PROFILE "tag:github.com,2023:veraison/ear"
#define BODY_MAX 65536
#define NONCE_MAX 1024 /* bytes: more than any evidence has */

/* AR4SI section 2.3 */
#define NO_CLAIM 0
#define CRYPTO_FAILED 99
#define RECOGNIZED 2
#define UNRECOGNIZED_INSTANCE 97
#define APPROVED_CONFIG 2
#define UNSAFE_CONFIG 32
#define UNSUPPORTABLE_CONFIG 96
#define APPROVED_BOOT 3
#define UNRECOGNIZED_CODE 33
#define GENUINE 2
#define UNSAFE_HARDWARE 32
#define CONTRAINDICATED_HARDWARE 96
#define ENCRYPTED_RUNTIME 2
#define VISIBLE_RUNTIME 96

static bool state_is(const struct bulla_attest_result *result, enum bulla_factor factor, enum bulla_factor_state state)
{
	return result->factors[factor].state == (unsigned)state;
}

static bool failed(const struct bulla_attest_result *result, enum bulla_factor factor)
{
	return state_is(result, factor, BULLA_FACTOR_FAILED);
}

static bool any_failed(const struct bulla_attest_result *result, const uint8_t *factors, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (failed(result, factors[i]))
			return true;
	return false;
}

static int8_t hardware(const struct bulla_attest_result *result)
{
	static const uint8_t tcb[] = {BULLA_FACTOR_SNP_TCB_MINIMUM, BULLA_FACTOR_SNP_TCB_ORDER, BULLA_FACTOR_SNP_MITIGATIONS,
		BULLA_FACTOR_SNP_PLATFORM, BULLA_FACTOR_TCB_LEVEL, BULLA_FACTOR_TCB_STATUS, BULLA_FACTOR_TCB_ADVISORIES,
		BULLA_FACTOR_TCB_EVALUATION, BULLA_FACTOR_TDX_MODULE, BULLA_FACTOR_QE_LEVEL};

	if (result->assurance < BULLA_ASSURANCE_HARDWARE || failed(result, BULLA_FACTOR_REVOCATION))
		return CONTRAINDICATED_HARDWARE;
	if (any_failed(result, tcb, sizeof(tcb)) || state_is(result, BULLA_FACTOR_TCB_LEVEL, BULLA_FACTOR_NOT_CHECKED))
		return UNSAFE_HARDWARE;
	return GENUINE;
}

static int8_t configuration(const struct bulla_attest_result *result)
{
	static const uint8_t rules[] = {BULLA_FACTOR_SNP_MIGRATION, BULLA_FACTOR_SNP_GUEST_POLICY, BULLA_FACTOR_SNP_VMPL,
		BULLA_FACTOR_SNP_ABI, BULLA_FACTOR_TDX_ATTRIBUTES, BULLA_FACTOR_TDX_SERVICE_TD, BULLA_FACTOR_TDX_XFAM,
		BULLA_FACTOR_SGX_ATTRIBUTES, BULLA_FACTOR_MANIFEST, BULLA_FACTOR_BUNDLES, BULLA_FACTOR_REQUIRED};

	if (failed(result, BULLA_FACTOR_DEBUG) || failed(result, BULLA_FACTOR_PSA_LIFECYCLE))
		return UNSUPPORTABLE_CONFIG;
	return any_failed(result, rules, sizeof(rules)) ? UNSAFE_CONFIG : APPROVED_CONFIG;
}

static int8_t executables(const struct bulla_attest_result *result)
{
	if (failed(result, BULLA_FACTOR_MEASUREMENT))
		return UNRECOGNIZED_CODE;
	return state_is(result, BULLA_FACTOR_MEASUREMENT, BULLA_FACTOR_HELD) ? APPROVED_BOOT : NO_CLAIM;
}

static int8_t identity(const struct bulla_attest_result *result)
{
	if (failed(result, BULLA_FACTOR_PLATFORM_ALLOWED))
		return UNRECOGNIZED_INSTANCE;
	return state_is(result, BULLA_FACTOR_PLATFORM_ALLOWED, BULLA_FACTOR_HELD) ? RECOGNIZED : NO_CLAIM;
}

static int8_t runtime(const struct bulla_attest_result *result)
{
	const struct bulla_attest_claim *debug = bulla_attest_find(result, BULLA_CLAIM_DEBUG, 0);

	if (result->assurance < BULLA_ASSURANCE_HARDWARE || (debug != NULL && debug->number != 0))
		return VISIBLE_RUNTIME;
	return result->tee == BULLA_TEE_PSA || result->tee == BULLA_TEE_NITROTPM ? NO_CLAIM : ENCRYPTED_RUNTIME;
}

void bulla_ear_vector(const struct bulla_attest_result *result, int8_t ret[BULLA_AR4SI_COUNT])
{
	bool proved = state_is(result, BULLA_FACTOR_SIGNATURE, BULLA_FACTOR_HELD);

	for (unsigned i = 0; i < BULLA_AR4SI_COUNT; i++)
		ret[i] = proved ? NO_CLAIM : CRYPTO_FAILED;
	if (!proved)
		return;
	ret[BULLA_AR4SI_INSTANCE_IDENTITY] = identity(result);
	ret[BULLA_AR4SI_CONFIGURATION] = configuration(result);
	ret[BULLA_AR4SI_EXECUTABLES] = executables(result);
	ret[BULLA_AR4SI_HARDWARE] = hardware(result);
	ret[BULLA_AR4SI_RUNTIME_OPAQUE] = runtime(result);
}

enum bulla_ear_tier bulla_ear_status(const struct bulla_attest_result *result)
{
	int8_t vector[BULLA_AR4SI_COUNT], worst = 0;

	bulla_ear_vector(result, vector);
	for (unsigned i = 0; i < BULLA_AR4SI_COUNT; i++)
		worst = vector[i] > worst ? vector[i] : worst;
	/* a wrong nonce, a wrong binder or stale evidence have no place in the vector */
	if (!result->accepted || worst >= BULLA_EAR_CONTRAINDICATED)
		return BULLA_EAR_CONTRAINDICATED;
	if (worst >= BULLA_EAR_WARNING)
		return BULLA_EAR_WARNING;
	return worst >= BULLA_EAR_AFFIRMING ? BULLA_EAR_AFFIRMING : BULLA_EAR_NONE;
}

const char *bulla_ear_tier_name(enum bulla_ear_tier tier)
{
	switch (tier) {
	case BULLA_EAR_AFFIRMING:
		return "affirming";
	case BULLA_EAR_WARNING:
		return "warning";
	case BULLA_EAR_CONTRAINDICATED:
		return "contraindicated";
	case BULLA_EAR_NONE:
		break;
	}
	return "none";
}

static const char *const state_names[] = {"none", "held", "failed", "not-checked"};

static const char *profile_of(const struct bulla_ear_about *about)
{
	return about->profile != NULL ? about->profile : DEFAULT_PROFILE;
}

static const char *submodule_of(const struct bulla_attest_result *result, const struct bulla_ear_about *about)
{
	return about->submodule != NULL ? about->submodule : bulla_tee_name(result->tee);
}

/* ---- JWT ---- */
static void json_vector(bulla_json_wr *j, const struct bulla_attest_result *result)
{
	static const char *const names[BULLA_AR4SI_COUNT] = {"instance-identity", "configuration", "executables",
		"file-system", "hardware", "runtime-opaque", "storage-opaque", "sourced-data"};
	int8_t vector[BULLA_AR4SI_COUNT];

	bulla_ear_vector(result, vector);
	bulla_json_wr_name(j, "ear.trustworthiness-vector");
	bulla_json_wr_object(j);
	for (unsigned i = 0; i < BULLA_AR4SI_COUNT; i++) {
		bulla_json_wr_name(j, names[i]);
		bulla_json_wr_int(j, vector[i]);
	}
	bulla_json_wr_object_end(j);
}

static void json_submodule(bulla_json_wr *j, const struct bulla_attest_result *result, const char *policy)
{
	bulla_json_wr_object(j);
	bulla_json_wr_name(j, "ear.status");
	bulla_json_wr_str(j, bulla_ear_tier_name(bulla_ear_status(result)));
	json_vector(j, result);
	if (policy != NULL) {
		bulla_json_wr_name(j, "ear.appraisal-policy-id");
		bulla_json_wr_str(j, policy);
	}
	bulla_json_wr_name(j, "bulla.assurance");
	bulla_json_wr_str(j, bulla_assurance_name(result->assurance));
	bulla_json_wr_name(j, "bulla.factors");
	bulla_json_wr_object(j);
	for (unsigned i = 0; i < BULLA_FACTOR_COUNT; i++) {
		if (result->factors[i].state == BULLA_FACTOR_NONE)
			continue;
		bulla_json_wr_name(j, bulla_factor_name(i));
		bulla_json_wr_str(j, state_names[result->factors[i].state & 3]);
	}
	bulla_json_wr_object_end(j);
	bulla_json_wr_object_end(j);
}

static void json_nonce(bulla_json_wr *j, bulla_bytes nonce)
{
	uint8_t memory[(NONCE_MAX + 2) / 3 * 4];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes text;

	bulla_text_wr_base64url(&w, nonce);
	if (bulla_wr_end(&w, &text) != BULLA_OK) {
		bulla_wr_fail(j->w, BULLA_E_LIMIT);
		return;
	}
	bulla_json_wr_name(j, "eat_nonce");
	bulla_json_wr_string(j, text);
}

static void write_json(bulla_wr *w, const struct bulla_attest_result *result, const struct bulla_ear_about *about)
{
	bulla_json_wr j = bulla_json_wr_of(w);

	bulla_json_wr_object(&j);
	bulla_json_wr_name(&j, "eat_profile");
	bulla_json_wr_str(&j, profile_of(about));
	bulla_json_wr_name(&j, "iat");
	bulla_json_wr_int(&j, about->issued_s);
	if (about->expires_s > 0) {
		bulla_json_wr_name(&j, "exp");
		bulla_json_wr_int(&j, about->expires_s);
	}
	bulla_json_wr_name(&j, "ear.verifier-id");
	bulla_json_wr_object(&j);
	bulla_json_wr_name(&j, "developer");
	bulla_json_wr_str(&j, about->developer);
	bulla_json_wr_name(&j, "build");
	bulla_json_wr_str(&j, about->build);
	bulla_json_wr_object_end(&j);
	if (about->nonce.n > 0)
		json_nonce(&j, about->nonce);
	bulla_json_wr_name(&j, "submods");
	bulla_json_wr_object(&j);
	bulla_json_wr_name(&j, submodule_of(result, about));
	json_submodule(&j, result, about->policy);
	bulla_json_wr_object_end(&j);
	bulla_json_wr_object_end(&j);
}

bulla_rc bulla_ear_jwt(const struct bulla_attest_result *result, const struct bulla_ear_about *about,
	struct bulla_sign_key *key, struct bulla_buf *ret)
{
	static const char es256[] = "{\"alg\":\"ES256\",\"typ\":\"JWT\"}", es384[] = "{\"alg\":\"ES384\",\"typ\":\"JWT\"}";
	const char *header = bulla_sign_key_alg(key) == BULLA_ES384 ? es384 : es256;
	uint8_t signature[BULLA_ES384_SIZE];
	BULLA_AUTO_BUF body;
	bulla_bytes json, text, ignored;

	bulla_buf_init(&body, BODY_MAX);
	bulla_wr b = bulla_wr_buf(&body);
	write_json(&b, result, about);
	BULLA_TRY(bulla_wr_end(&b, &json));
	bulla_wr w = bulla_wr_buf(ret);
	bulla_text_wr_base64url(&w, bulla_bytes_str(header));
	bulla_text_wr(&w, ".");
	bulla_text_wr_base64url(&w, json);
	BULLA_TRY(bulla_wr_end(&w, &text));
	BULLA_TRY(bulla_sign(key, text, signature));
	w = bulla_wr_buf(ret);
	bulla_text_wr(&w, ".");
	bulla_text_wr_base64url(&w, bulla_bytes_of(signature, bulla_sign_key_size(key)));
	return bulla_wr_end(&w, &ignored);
}

/* ---- CWT ---- */
#define CWT_EXP 4
#define CWT_IAT 6
#define CWT_NONCE 10
#define CWT_PROFILE 265
#define CWT_SUBMODS 266
#define EAR_STATUS 1000
#define EAR_VECTOR 1001
#define EAR_POLICY 1003
#define EAR_VERIFIER 1004
#define BULLA_ASSURANCE_KEY (-80001)
#define BULLA_FACTORS_KEY (-80002)

static unsigned count_factors(const struct bulla_attest_result *result)
{
	unsigned count = 0;

	for (unsigned i = 0; i < BULLA_FACTOR_COUNT; i++)
		count += result->factors[i].state != BULLA_FACTOR_NONE;
	return count;
}

/* Factors by their numbers: 1 held, 2 failed, 3 not checked. */
static void cbor_submodule(bulla_wr *w, const struct bulla_attest_result *result, const char *policy)
{
	int8_t vector[BULLA_AR4SI_COUNT];

	bulla_ear_vector(result, vector);
	bulla_cbor_wr_map(w, policy != NULL ? 5 : 4);
	bulla_cbor_wr_uint(w, EAR_STATUS);
	bulla_cbor_wr_uint(w, bulla_ear_status(result));
	bulla_cbor_wr_uint(w, EAR_VECTOR);
	bulla_cbor_wr_map(w, BULLA_AR4SI_COUNT);
	for (unsigned i = 0; i < BULLA_AR4SI_COUNT; i++) {
		bulla_cbor_wr_uint(w, i);
		bulla_cbor_wr_int(w, vector[i]);
	}
	if (policy != NULL) {
		bulla_cbor_wr_uint(w, EAR_POLICY);
		bulla_cbor_wr_str(w, policy);
	}
	bulla_cbor_wr_int(w, BULLA_ASSURANCE_KEY);
	bulla_cbor_wr_str(w, bulla_assurance_name(result->assurance));
	bulla_cbor_wr_int(w, BULLA_FACTORS_KEY);
	bulla_cbor_wr_map(w, count_factors(result));
	for (unsigned i = 0; i < BULLA_FACTOR_COUNT; i++) {
		if (result->factors[i].state == BULLA_FACTOR_NONE)
			continue;
		bulla_cbor_wr_uint(w, i);
		bulla_cbor_wr_uint(w, result->factors[i].state);
	}
}

static void write_cbor(bulla_wr *w, const struct bulla_attest_result *result, const struct bulla_ear_about *about)
{
	bulla_cbor_wr_map(w, 4u + (about->expires_s > 0) + (about->nonce.n > 0));
	if (about->expires_s > 0) {
		bulla_cbor_wr_uint(w, CWT_EXP);
		bulla_cbor_wr_int(w, about->expires_s);
	}
	bulla_cbor_wr_uint(w, CWT_IAT);
	bulla_cbor_wr_int(w, about->issued_s);
	if (about->nonce.n > 0) {
		bulla_cbor_wr_uint(w, CWT_NONCE);
		bulla_cbor_wr_bytes(w, about->nonce);
	}
	bulla_cbor_wr_uint(w, CWT_PROFILE);
	bulla_cbor_wr_str(w, profile_of(about));
	bulla_cbor_wr_uint(w, CWT_SUBMODS);
	bulla_cbor_wr_map(w, 1);
	bulla_cbor_wr_str(w, submodule_of(result, about));
	cbor_submodule(w, result, about->policy);
	bulla_cbor_wr_uint(w, EAR_VERIFIER);
	bulla_cbor_wr_map(w, 2);
	bulla_cbor_wr_uint(w, 0);
	bulla_cbor_wr_str(w, about->developer);
	bulla_cbor_wr_uint(w, 1);
	bulla_cbor_wr_str(w, about->build);
}

static bulla_rc sign_cose(struct bulla_sign_key *key, bulla_bytes protected_raw, bulla_bytes payload, uint8_t *ret)
{
	uint8_t memory[48];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes head;

	/* RFC 9052 section 4.4 */
	bulla_cbor_wr_array(&w, 4);
	bulla_cbor_wr_str(&w, "Signature1");
	bulla_cbor_wr_bytes(&w, protected_raw);
	bulla_cbor_wr_bytes(&w, (bulla_bytes){NULL, 0});
	bulla_cbor_wr_bytes_head(&w, payload.n);
	BULLA_TRY(bulla_wr_end(&w, &head));
	return bulla_sign_parts(key, (bulla_bytes[]){head, payload}, 2, ret);
}

bulla_rc bulla_ear_cwt(const struct bulla_attest_result *result, const struct bulla_ear_about *about,
	struct bulla_sign_key *key, struct bulla_buf *ret)
{
	uint8_t header_memory[8], signature[BULLA_ES384_SIZE];
	bulla_wr h = bulla_wr_fixed(header_memory, sizeof(header_memory));
	BULLA_AUTO_BUF body;
	bulla_bytes payload, header, ignored;

	bulla_buf_init(&body, BODY_MAX);
	bulla_wr b = bulla_wr_buf(&body);
	write_cbor(&b, result, about);
	BULLA_TRY(bulla_wr_end(&b, &payload));
	bulla_cbor_wr_map(&h, 1);
	bulla_cbor_wr_uint(&h, 1);
	bulla_cbor_wr_int(&h, bulla_sign_key_alg(key));
	BULLA_TRY(bulla_wr_end(&h, &header));
	BULLA_TRY(sign_cose(key, header, payload, signature));
	bulla_wr w = bulla_wr_buf(ret);
	bulla_cbor_wr_tag(&w, 18);
	bulla_cbor_wr_array(&w, 4);
	bulla_cbor_wr_bytes(&w, header);
	bulla_cbor_wr_map(&w, 0);
	bulla_cbor_wr_bytes(&w, payload);
	bulla_cbor_wr_bytes(&w, bulla_bytes_of(signature, bulla_sign_key_size(key)));
	return bulla_wr_end(&w, &ignored);
}
