#include "judge/judge.h"

#include "crypto/hash.h"
#include "attest/foreign.h"
#include "base/mem.h"
#include "manifest/pcr.h"

#define IMAGES_MAX 16
#define ANCHORS_MAX 64
#define SKEW_MS 60000

/* The images accepted for one agent, as the appraiser wants them. */
struct references {
	struct bulla_attest_reference list[IMAGES_MAX];
	struct bulla_attest_value values[IMAGES_MAX][BULLA_IMAGE_VALUES];
	size_t count;
};

static void add_image(const struct bulla_image *image, struct references *ret)
{
	struct bulla_attest_value *values = ret->values[ret->count];

	for (size_t i = 0; i < image->count; i++)
		values[i] = (struct bulla_attest_value){.claim = (uint16_t)bulla_claim_from_name(image->values[i].claim),
			.index = (uint16_t)image->values[i].index, .value = image->values[i].value};
	ret->list[ret->count++] = (struct bulla_attest_reference){.values = values, .count = image->count};
}

static bulla_rc read_images(const struct bulla_agent *agent, bulla_bytes tee, struct references *ret)
{
	struct bulla_image image;
	size_t cursor = 0;

	ret->count = 0;
	while (ret->count < IMAGES_MAX && bulla_image_next(agent->images, &cursor, &image) == BULLA_OK)
		if (bulla_bytes_eq(image.tee, tee))
			add_image(&image, ret);
	return ret->count > 0 ? BULLA_OK : BULLA_FAIL(BULLA_E_MEASUREMENT, "no image of this TEE is accepted for the agent");
}

static bulla_rc read_anchors(const struct bulla_manifest *manifest, struct bulla_attest_anchor list[ANCHORS_MAX],
	struct bulla_attest_anchors *ret)
{
	struct bulla_attest_anchors vendors = bulla_attest_vendor_anchors();
	size_t count = 0;

	for (size_t i = 0; i < vendors.count && count < ANCHORS_MAX; i++)
		list[count++] = vendors.list[i];
	for (size_t i = 0; i < manifest->anchor_count; i++) {
		const struct bulla_anchor *anchor = &manifest->anchors[i];

		if (count == ANCHORS_MAX)
			return BULLA_FAIL(BULLA_E_LIMIT, "too many anchors");
		list[count++] = (struct bulla_attest_anchor){.tee = (uint8_t)bulla_tee_from_name(anchor->tee),
			.assurance = anchor->assurance, .how = anchor->how, .id = anchor->id, .key = anchor->key};
	}
	*ret = (struct bulla_attest_anchors){list, count};
	return BULLA_OK;
}

static void read_policy(const struct bulla_manifest *manifest, const struct references *references,
	struct bulla_attest_policy *ret)
{
	bulla_bytes name;
	size_t cursor = 0;

	bulla_attest_policy_init(ret);
	ret->tees = 0;
	while (bulla_list_next(manifest->tees, &cursor, &name) == BULLA_OK)
		ret->tees |= BULLA_TEE_BIT(bulla_tee_from_name(name));
	ret->tees &= ~BULLA_TEE_BIT(BULLA_TEE_NONE);
	ret->assurance = manifest->assurance;
	ret->generation = manifest->epoch;
	ret->max_age_ms = (int64_t)manifest->max_age_ms;
	ret->skew_ms = SKEW_MS;
	ret->references = references->list;
	ret->reference_count = references->count;
}

/* What the evidence must be bound to, and the memory the binding points into. */
struct bound {
	uint8_t binder[BULLA_BINDER_BYTES];
	uint8_t bundles[BULLA_MAX_AGENTS * sizeof(bulla_digest)];
	struct bulla_attest_binding binding;
};

/* Evidence of sessions and releases carries the challenge and no key. The key of boot evidence is the broker's business: it
 * comes with the request, and its digest is in the binder. */
static bulla_rc bind_to(const struct bulla_manifest *manifest, const struct bulla_instance *instance, struct bound *ret)
{
	bulla_wr w = bulla_wr_fixed(ret->bundles, sizeof(ret->bundles));
	bulla_bytes bundles;
	bool boot = instance->purpose == BULLA_PURPOSE_BOOT;

	BULLA_TRY(bulla_instance_binder(instance, ret->binder));
	BULLA_TRY(bulla_pcr_bundle_data(manifest, instance->agents, &w));
	BULLA_TRY(bulla_wr_end(&w, &bundles));
	ret->binding = (struct bulla_attest_binding){
		.binder = BULLA_EXPECT_BYTES(BULLA_BYTES_ARRAY(ret->binder)),
		.nonce = boot ? BULLA_EXPECT_ANYTHING : BULLA_EXPECT_BYTES(BULLA_BYTES_ARRAY(instance->challenge)),
		.public_key = boot ? BULLA_EXPECT_ANYTHING : BULLA_EXPECT_BYTES(bulla_bytes_of(NULL, 0)),
		.manifest = BULLA_EXPECT_BYTES(bulla_bytes_digest(&manifest->digest)),
		.bundles = BULLA_EXPECT_BYTES(bundles),
	};
	return BULLA_OK;
}

static bulla_rc judge_for(const struct bulla_manifest *manifest, const struct bulla_instance *instance,
	const struct bulla_agent *agent, const struct bulla_attest_anchors *anchors,
	const struct bulla_attest_collateral *collateral, const struct bound *bound,
	struct bulla_attest_time time, struct bulla_attest_cache *cache, struct bulla_attest_result *ret)
{
	struct bulla_attest_policy policy;
	struct references references;

	BULLA_TRY(read_images(agent, instance->tee, &references));
	read_policy(manifest, &references, &policy);
	return bulla_attest_appraise(instance->evidence, collateral, anchors, &policy, &bound->binding, time, cache, ret);
}

void bulla_judge_image(const struct bulla_attest_result *result, bulla_digest *ret)
{
	const struct bulla_attest_claim *claim = bulla_attest_find(result, BULLA_CLAIM_PCR, 0);

	*ret = (bulla_digest){{0}};
	if (claim == NULL)
		claim = bulla_attest_find(result, BULLA_CLAIM_MEASUREMENT, 0);
	if (claim != NULL)
		bulla_sha256(claim->bytes, ret);
}

bulla_rc bulla_judge_instance(const struct bulla_manifest *manifest, const struct bulla_instance *instance,
	struct bulla_judge_time time, struct bulla_attest_cache *cache, struct bulla_attest_result *ret_result)
{
	struct bulla_attest_anchor list[ANCHORS_MAX];
	struct bulla_attest_anchors anchors;

	BULLA_TRY(read_anchors(manifest, list, &anchors));
	return bulla_judge_instance_by(manifest, instance, &anchors, time, cache, ret_result);
}

static bulla_rc judge_all(const struct bulla_manifest *manifest, const struct bulla_instance *instance,
	const struct bulla_attest_anchors *anchors, const struct bulla_attest_collateral *collateral,
	struct bulla_attest_time at, struct bulla_attest_cache *cache, struct bulla_attest_result *ret_result)
{
	struct bulla_attest_result mine;
	struct bound bound;

	BULLA_TRY(bind_to(manifest, instance, &bound));
	for (size_t i = 0; i < instance->agents.n; i += sizeof(bulla_handle)) {
		const struct bulla_agent *agent;
		bulla_handle handle;

		bulla_copy(handle.b, instance->agents.p + i, sizeof(handle));
		agent = bulla_manifest_agent(manifest, &handle);
		if (agent == NULL)
			return BULLA_FAIL(BULLA_E_NOT_FOUND, "the manifest has no such agent");
		BULLA_TRY(judge_for(manifest, instance, agent, anchors, collateral, &bound, at, cache,
			ret_result != NULL ? ret_result : &mine));
	}
	return BULLA_OK;
}

/* What came with the evidence: a certificate table, or TCB info and lists. Judged with it, not believed. */
static bulla_rc open_collateral(bulla_bytes bytes, const struct bulla_attest_anchors *anchors, struct bulla_foreign **ret)
{
	void *p = NULL;

	*ret = NULL;
	if (bytes.n == 0)
		return BULLA_OK;
	BULLA_TRY(bulla_alloc(1, sizeof(struct bulla_foreign), &p));
	*ret = p;
	BULLA_TRY(bulla_foreign_init(*ret));
	BULLA_TRY(bulla_foreign_collateral(*ret, bytes));
	return bulla_foreign_ready(*ret, anchors);
}

/* Claims that view collateral are kept in the result: it outlives decoded collateral, and what was lent. A claim that were
 * dropped instead would be absent for a key's policy, which may deny by it: the host has the choice of the encoding. */
static bulla_rc keep_claims(struct bulla_attest_result *result, bulla_bytes memory)
{
	bulla_rc rc = BULLA_OK;

	for (size_t i = 0; i < result->claim_count; i++) {
		bulla_bytes *bytes = &result->claims[i].bytes;
		uint8_t *copy = result->kept + result->kept_size;

		if (bytes->p == NULL || bytes->p < memory.p || bytes->p >= memory.p + memory.n)
			continue;
		if (bytes->n > sizeof(result->kept) - result->kept_size) {
			*bytes = (bulla_bytes){NULL, 0};
			rc = BULLA_FAIL(BULLA_E_LIMIT, "evidence has more claims than a result keeps");
			continue;
		}
		bulla_copy(copy, bytes->p, bytes->n);
		result->kept_size += bytes->n;
		*bytes = bulla_bytes_of(copy, bytes->n);
	}
	return rc;
}

static bulla_rc keep_all(struct bulla_attest_result *result, const struct bulla_foreign *foreign, bulla_bytes collateral)
{
	bulla_rc decoded = keep_claims(result, bulla_bytes_of(foreign->memory.p, foreign->memory.cap));
	bulla_rc rc = keep_claims(result, collateral);

	return decoded == BULLA_OK ? rc : decoded;
}

bulla_rc bulla_judge_instance_by(const struct bulla_manifest *manifest, const struct bulla_instance *instance,
	const struct bulla_attest_anchors *anchors, struct bulla_judge_time time, struct bulla_attest_cache *cache,
	struct bulla_attest_result *ret_result)
{
	const struct bulla_attest_time at = {
		.now_ms = time.now_ms, .clock = time.online ? BULLA_CLOCK_ONLINE : BULLA_CLOCK_AUDIT};
	const struct bulla_attest_collateral none = {.certificate_count = 0};
	struct bulla_foreign *foreign = NULL;
	bulla_rc rc;

	if (!bulla_digest_eq(&instance->manifest, &manifest->digest))
		return BULLA_FAIL(BULLA_E_EPOCH_OLD, "the instance was attested under another manifest");
	if (instance->agents.n == 0)
		return BULLA_FAIL(BULLA_E_EVIDENCE_POLICY, "the instance hosts no agent");
	rc = open_collateral(instance->collateral, anchors, &foreign);
	if (rc == BULLA_OK)
		rc = judge_all(manifest, instance, anchors, foreign != NULL ? &foreign->collateral : &none, at, cache, ret_result);
	if (foreign != NULL) {
		bulla_rc kept = ret_result != NULL ? keep_all(ret_result, foreign, instance->collateral) : BULLA_OK;

		rc = rc == BULLA_OK ? kept : rc;
		bulla_foreign_done(foreign);
	}
	bulla_free(foreign);
	return rc;
}

static bulla_rc judge_under(const struct bulla_attest_policy *policy, const struct bulla_manifest *manifest,
	const struct bulla_instance *instance, const struct bulla_attest_anchors *anchors, const struct bulla_foreign *foreign,
	struct bulla_judge_time time, struct bulla_attest_cache *cache)
{
	const struct bulla_attest_time at = {
		.now_ms = time.now_ms, .clock = time.online ? BULLA_CLOCK_ONLINE : BULLA_CLOCK_AUDIT};
	struct bulla_attest_result result;
	struct bound bound;

	BULLA_TRY(bind_to(manifest, instance, &bound));
	return bulla_attest_appraise(instance->evidence, foreign != NULL ? &foreign->collateral : NULL, anchors, policy,
		&bound.binding, at, cache, &result);
}

bulla_rc bulla_judge_instance_under(const struct bulla_attest_policy *policy, const struct bulla_manifest *manifest,
	const struct bulla_instance *instance, struct bulla_judge_time time, struct bulla_attest_cache *cache)
{
	struct bulla_attest_anchor list[ANCHORS_MAX];
	struct bulla_attest_anchors anchors;
	struct bulla_foreign *foreign = NULL;

	BULLA_TRY(read_anchors(manifest, list, &anchors));
	bulla_rc rc = open_collateral(instance->collateral, &anchors, &foreign);
	if (rc == BULLA_OK)
		rc = judge_under(policy, manifest, instance, &anchors, foreign, time, cache);
	if (foreign != NULL)
		bulla_foreign_done(foreign);
	bulla_free(foreign);
	return rc;
}
