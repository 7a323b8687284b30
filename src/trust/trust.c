#include "trust/trust.h"

#include "base/mem.h"
#include "cose/binder.h"
#include "crypto/hash.h"
#include "manifest/pcr.h"
#include "wire/cbor.h"

#define ANCHORS_MAX 64
#define SKEW_MS 60000

struct bulla_trust {
	const struct bulla_manifest *manifest;
	struct bulla_attest_anchor anchors[ANCHORS_MAX];
	size_t anchor_count;
	uint32_t tees;
	uint64_t generation;
};

/* Accepted images of one agent, in the verifier's form. */
struct references {
	struct bulla_attest_reference list[BULLA_TRUST_IMAGES];
	struct bulla_attest_value values[BULLA_TRUST_IMAGES][BULLA_IMAGE_VALUES];
	size_t count;
};

static bulla_rc read_tees(struct bulla_trust *trust)
{
	size_t cursor = 0;
	bulla_bytes word;
	bulla_rc rc;

	while ((rc = bulla_list_next(trust->manifest->tees, &cursor, &word)) == BULLA_OK) {
		enum bulla_tee tee = bulla_tee_from_name(word);

		if (tee == BULLA_TEE_NONE)
			return BULLA_FAIL(BULLA_E_FORMAT, "the manifest accepts a TEE that this version does not know");
		trust->tees |= BULLA_TEE_BIT(tee);
	}
	return rc == BULLA_E_NOT_FOUND ? BULLA_OK : rc;
}

static bulla_rc read_anchors(struct bulla_trust *trust)
{
	struct bulla_attest_anchors vendors = bulla_attest_vendor_anchors();

	if (vendors.count + trust->manifest->anchor_count > ANCHORS_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "the manifest has too many anchors");
	for (size_t i = 0; i < vendors.count; i++)
		trust->anchors[trust->anchor_count++] = vendors.list[i];
	for (size_t i = 0; i < trust->manifest->anchor_count; i++) {
		const struct bulla_anchor *from = &trust->manifest->anchors[i];
		enum bulla_tee tee = bulla_tee_from_name(from->tee);

		if (tee == BULLA_TEE_NONE)
			return BULLA_FAIL(BULLA_E_FORMAT, "the manifest has an anchor of an unknown TEE");
		trust->anchors[trust->anchor_count++] = (struct bulla_attest_anchor){
			.tee = (uint8_t)tee, .assurance = from->assurance, .how = from->how, .id = from->id, .key = from->key};
	}
	return BULLA_OK;
}

bulla_rc bulla_trust_new(const struct bulla_manifest *manifest, struct bulla_trust **ret)
{
	void *memory = NULL;
	bulla_rc rc;

	BULLA_TRY(bulla_alloc(1, sizeof(struct bulla_trust), &memory));
	struct bulla_trust *trust = memory;
	trust->manifest = manifest;
	for (size_t i = 0; i < 8; i++) /* caches never mix manifests */
		trust->generation = trust->generation << 8 | manifest->digest.b[i];
	rc = read_tees(trust);
	rc = rc == BULLA_OK ? read_anchors(trust) : rc;
	if (rc != BULLA_OK) {
		bulla_trust_free(trust);
		return rc;
	}
	*ret = trust;
	return BULLA_OK;
}

struct bulla_trust *bulla_trust_free(struct bulla_trust *trust)
{
	bulla_free(trust);
	return NULL;
}

static bulla_rc read_image(const struct bulla_image *image, struct references *ret)
{
	struct bulla_attest_value *values;

	if (ret->count == BULLA_TRUST_IMAGES)
		return BULLA_FAIL(BULLA_E_LIMIT, "an agent has too many accepted images");
	values = ret->values[ret->count];
	for (size_t i = 0; i < image->count; i++) {
		enum bulla_claim claim = bulla_claim_from_name(image->values[i].claim);

		if (claim == BULLA_CLAIM_COUNT)
			return BULLA_FAIL(BULLA_E_FORMAT, "the manifest measures something that this version does not know");
		values[i] = (struct bulla_attest_value){(uint16_t)claim, (uint16_t)image->values[i].index, image->values[i].value};
	}
	ret->list[ret->count++] = (struct bulla_attest_reference){values, image->count};
	return BULLA_OK;
}

/* The images that all hosted agents accept: they must accept the same ones. */
static bulla_rc read_images(const struct bulla_manifest *manifest, const struct bulla_instance *instance,
	struct references *ret)
{
	const struct bulla_agent *first = NULL;
	struct bulla_image image;
	size_t cursor = 0;
	bulla_rc rc;

	for (size_t i = 0; i + sizeof(bulla_handle) <= instance->agents.n; i += sizeof(bulla_handle)) {
		const struct bulla_agent *agent;
		bulla_handle handle;

		bulla_copy(handle.b, instance->agents.p + i, sizeof(handle.b));
		agent = bulla_manifest_agent(manifest, &handle);
		if (agent == NULL)
			return BULLA_FAIL(BULLA_E_NOT_FOUND, "the instance hosts an agent that is not in the manifest");
		if (first != NULL && !bulla_bytes_eq(first->images, agent->images))
			return BULLA_FAIL(BULLA_E_MEASUREMENT, "the instance hosts agents that accept different images");
		first = first == NULL ? agent : first;
	}
	if (first == NULL)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "the instance hosts no agent");
	while ((rc = bulla_image_next(first->images, &cursor, &image)) == BULLA_OK)
		BULLA_TRY(read_image(&image, ret));
	return rc == BULLA_E_NOT_FOUND ? BULLA_OK : rc;
}

static bulla_rc make_binder(const struct bulla_instance *instance, const bulla_digest *kid,
	uint8_t ret[BULLA_BINDER_BYTES])
{
	struct bulla_binder binder = {
		.tee = instance->tee,
		.purpose = instance->purpose == BULLA_PURPOSE_SESSION ? BULLA_BYTES_LITERAL("session") : BULLA_BYTES_LITERAL("boot"),
		.channel = instance->channel,
		.key = *kid,
		.agents = instance->agents,
		.manifest = instance->manifest,
	};

	bulla_copy(binder.challenge.b, instance->challenge, sizeof(binder.challenge.b));
	return bulla_binder_make(&binder, ret);
}

static struct bulla_attest_policy make_policy(const struct bulla_trust *trust, const struct references *references)
{
	struct bulla_attest_policy policy;

	bulla_attest_policy_init(&policy);
	policy.tees = trust->tees;
	policy.assurance = trust->manifest->assurance;
	policy.generation = trust->generation;
	policy.max_age_ms = (int64_t)trust->manifest->max_age_ms;
	policy.skew_ms = SKEW_MS;
	policy.references = references->list;
	policy.reference_count = references->count;
	return policy;
}

/* Boot evidence shows the RSA key that `channel` is the digest of; session evidence shows none. */
static bulla_rc check_public_key(const struct bulla_instance *instance, const struct bulla_attest_result *result)
{
	const struct bulla_attest_claim *key = bulla_attest_find(result, BULLA_CLAIM_PUBLIC_KEY, 0);
	bulla_digest digest;

	if (instance->purpose == BULLA_PURPOSE_SESSION)
		return key == NULL || key->bytes.n == 0 ? BULLA_OK : BULLA_FAIL(BULLA_E_BINDER, "session evidence shows a key");
	if (key == NULL)
		return BULLA_FAIL(BULLA_E_BINDER, "boot evidence shows no key");
	bulla_sha256(key->bytes, &digest);
	if (!bulla_digest_eq(&digest, &instance->channel))
		return BULLA_FAIL(BULLA_E_BINDER, "boot evidence shows another key");
	return BULLA_OK;
}

static bulla_rc appraise(const struct bulla_trust *trust, const struct bulla_instance *instance, const bulla_digest *kid,
	struct bulla_trust_time time, struct bulla_attest_cache *cache, struct bulla_attest_result *result)
{
	const struct bulla_attest_anchors anchors = {trust->anchors, trust->anchor_count};
	const struct bulla_attest_collateral collateral = {.certificate_count = 0};
	uint8_t binder[BULLA_BINDER_BYTES], bundles[32 * BULLA_MAX_AGENTS];
	bulla_wr w = bulla_wr_fixed(bundles, sizeof(bundles));
	struct references references = {.count = 0};
	struct bulla_attest_policy policy;
	bulla_bytes bundle_data;

	BULLA_TRY(read_images(trust->manifest, instance, &references));
	BULLA_TRY(make_binder(instance, kid, binder));
	BULLA_TRY(bulla_pcr_bundle_data(trust->manifest, instance->agents, &w));
	BULLA_TRY(bulla_wr_end(&w, &bundle_data));
	policy = make_policy(trust, &references);
	bool session = instance->purpose == BULLA_PURPOSE_SESSION;
	const struct bulla_attest_binding binding = {
		.binder = BULLA_EXPECT_BYTES(BULLA_BYTES_ARRAY(binder)),
		.nonce = session ? BULLA_EXPECT_BYTES(BULLA_BYTES_ARRAY(instance->challenge)) : BULLA_EXPECT_ANYTHING,
		.public_key = BULLA_EXPECT_ANYTHING, /* compared by check_public_key: only its digest is known */
		.manifest = BULLA_EXPECT_BYTES(bulla_bytes_digest(&instance->manifest)),
		.bundles = BULLA_EXPECT_BYTES(bundle_data),
	};
	const struct bulla_attest_time when = {.now_ms = time.audit ? (int64_t)instance->time_ms : time.now_ms,
		.clock = time.audit ? BULLA_CLOCK_AUDIT : BULLA_CLOCK_ONLINE};
	BULLA_TRY(bulla_attest_appraise(instance->evidence, &collateral, &anchors, &policy, &binding, when, cache, result));
	return check_public_key(instance, result);
}

bulla_rc bulla_trust_instance(const struct bulla_trust *trust, const struct bulla_instance *instance,
	struct bulla_trust_time time, struct bulla_attest_cache *cache, struct bulla_attest_result *ret_appraisal,
	struct bulla_trusted *ret)
{
	struct bulla_attest_result own;
	struct bulla_attest_result *result = ret_appraisal == NULL ? &own : ret_appraisal;
	const struct bulla_attest_claim *made;
	bulla_digest kid;

	if (!bulla_digest_eq(&instance->manifest, &trust->manifest->digest))
		return BULLA_FAIL(BULLA_E_EPOCH_OLD, "the instance was made for another manifest");
	bulla_instance_kid(instance, &kid);
	BULLA_TRY(appraise(trust, instance, &kid, time, cache, result));
	made = bulla_attest_find(result, BULLA_CLAIM_TIME, 0);
	*ret = (struct bulla_trusted){
		.kid = kid,
		.tee = (enum bulla_tee)result->tee,
		.assurance = (enum bulla_assurance)result->assurance,
		.time_ms = made == NULL ? result->time_ms : (int64_t)made->number,
		.valid_to_ms = result->valid_to_ms,
	};
	return BULLA_OK;
}

static bulla_rc check_birth(const struct bulla_trust *trust, bulla_bytes record, const struct bulla_instance *instance,
	const struct bulla_birth *peeked, struct bulla_birth *ret)
{
	const struct bulla_agent *agent = bulla_manifest_agent(trust->manifest, &peeked->agent);
	BULLA_AUTO_VERIFY_KEY key = NULL;

	if (agent == NULL || !bulla_instance_hosts(instance, &peeked->agent))
		return BULLA_FAIL(BULLA_E_KEY_CONTEXT, "the birth is of an agent that its instance does not host");
	struct bulla_birth_expected expected = {
		.tenant = trust->manifest->tenant,
		.agent = peeked->agent,
		.epoch = trust->manifest->epoch,
		.manifest = trust->manifest->digest,
		.wrapping_key = agent->wrapping_key,
		.policy_form = agent->policy_form,
	};
	bulla_sha256(instance->evidence, &expected.evidence);
	BULLA_TRY(bulla_verify_key_spki(instance->receipt_key, &key));
	return bulla_birth_verify(record, &expected, key, ret);
}

bulla_rc bulla_trust_birth(const struct bulla_trust *trust, bulla_bytes record, bulla_bytes instance_record,
	struct bulla_attest_cache *cache, struct bulla_birth *ret)
{
	struct bulla_instance instance;
	struct bulla_trusted trusted;
	struct bulla_birth peeked;

	BULLA_TRY(bulla_birth_peek(record, &peeked));
	BULLA_TRY(bulla_instance_decode(instance_record, &instance));
	BULLA_TRY(bulla_trust_instance(trust, &instance, (struct bulla_trust_time){.audit = true}, cache, NULL, &trusted));
	if (!bulla_digest_eq(&trusted.kid, &peeked.signer))
		return BULLA_FAIL(BULLA_E_BIRTH_MISSING, "the birth was signed by another instance than the one shown");
	return check_birth(trust, record, &instance, &peeked, ret);
}
