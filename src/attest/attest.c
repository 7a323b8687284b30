#include "attest/attest.h"

#include "attest/run.h"
#include "base/limits.h"
#include "cose/cmw.h"

#define DEFAULT_AGE_MS (300 * 1000)
#define DEFAULT_SKEW_MS (60 * 1000)
#define ANCHORS_MAX 64
#define LEAST 4 /* bytes that tell what they are; any fewer are a piece of it */

void bulla_attest_policy_init(struct bulla_attest_policy *ret)
{
	*ret = (struct bulla_attest_policy){.strict = true, .max_age_ms = DEFAULT_AGE_MS, .skew_ms = DEFAULT_SKEW_MS};
}

const struct bulla_attest_claim *bulla_attest_find(const struct bulla_attest_result *result, enum bulla_claim id,
	unsigned index)
{
	for (size_t i = 0; i < result->claim_count; i++)
		if (result->claims[i].id == id && result->claims[i].index == index)
			return &result->claims[i];
	return NULL;
}

static bool any_forgotten(const struct bulla_attest_binding *binding)
{
	return binding->binder.how == BULLA_EXPECT_FORGOTTEN || binding->nonce.how == BULLA_EXPECT_FORGOTTEN ||
		binding->public_key.how == BULLA_EXPECT_FORGOTTEN || binding->manifest.how == BULLA_EXPECT_FORGOTTEN ||
		binding->bundles.how == BULLA_EXPECT_FORGOTTEN;
}

static bulla_rc check_arguments(const struct bulla_attest_anchors *anchors, const struct bulla_attest_policy *policy,
	const struct bulla_attest_binding *binding, struct bulla_attest_time time)
{
	if (policy->tees == 0 || policy->assurance == BULLA_ASSURANCE_NONE || policy->max_age_ms <= 0)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "the policy names no TEE, no assurance or no age");
	if (policy->reference_count == 0 && !policy->any_measurement)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "the policy names no measurement");
	if (any_forgotten(binding))
		return BULLA_FAIL(BULLA_E_ARGUMENT, "an expected binding is missing");
	if (time.clock == BULLA_CLOCK_FORGOTTEN || time.now_ms <= 0)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "the time of verification is missing");
	if (anchors->count == 0 || anchors->count > ANCHORS_MAX)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "no trust anchor is given, or too many");
	return BULLA_OK;
}

/* RFC 9999 record: an array of two, or of three whose first item is a media type or a number (a COSE message has bytes there). */
static bool is_record(bulla_bytes bytes)
{
	return bytes.n > 2 && (bytes.p[0] == 0x82 || (bytes.p[0] == 0x83 && (bytes.p[1] >> 5 == 0 || bytes.p[1] >> 5 == 3)));
}

static bool unwrap(struct bulla_attest_run *run)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(run->evidence);
	struct bulla_cmw record;

	if (!is_record(run->evidence))
		return true;
	bulla_rc rc = bulla_cmw_rd(&r, &record);
	if (rc == BULLA_OK)
		rc = bulla_cbor_rd_end(&r);
	if (rc != BULLA_OK) {
		const struct bulla_form_fault fault = bulla_form_fault_of(rc, &r, true);

		return bulla_run_unreadable(run, &fault, run->evidence);
	}
	if (record.ind != 0 && (record.ind & BULLA_CMW_EVIDENCE) == 0)
		return bulla_run_stop(run, BULLA_FACTOR_FIELDS, bulla_run_in(run, record.value, record.value.n),
			"the CMW record says that it holds no evidence");
	run->evidence = record.value;
	run->label = record.media_type;
	return true;
}

static const struct bulla_attest_ops *find_ops(bulla_bytes evidence)
{
	for (size_t i = 0; i < bulla_attest_table_size; i++)
		if (bulla_attest_table[i]->sniff(evidence))
			return bulla_attest_table[i];
	return NULL;
}

bulla_bytes bulla_attest_inside(bulla_bytes evidence)
{
	struct bulla_cmw record;

	return is_record(evidence) && bulla_cmw_parse(evidence, &record) == BULLA_OK ? record.value : evidence;
}

enum bulla_tee bulla_attest_guess(bulla_bytes evidence)
{
	evidence = bulla_attest_inside(evidence);
	for (size_t i = 0; i < bulla_attest_table_size; i++)
		if (bulla_attest_table[i]->sniff(evidence))
			return bulla_attest_table[i]->guess_of != NULL ? bulla_attest_table[i]->guess_of(evidence)
		: bulla_attest_table[i]->guess;
	return BULLA_TEE_NONE;
}

bool bulla_attest_has_nonce(enum bulla_tee tee)
{
	return tee == BULLA_TEE_NITRO || tee == BULLA_TEE_NITROTPM || tee == BULLA_TEE_DEV || tee == BULLA_TEE_AZ_SNP ||
		tee == BULLA_TEE_AZ_TDX;
}

const char *bulla_attest_media_type(bulla_bytes evidence)
{
	const struct bulla_attest_ops *ops = find_ops(evidence);

	return ops != NULL ? ops->media_type : NULL;
}

/* Labels of others say nothing that we could check. */
static bool label_fits(bulla_bytes label, const struct bulla_attest_ops *ops)
{
	static const char prefix[] = "application/vnd.bulla.";
	const size_t size = sizeof(prefix) - 1;
	bool ours = label.n > size && bulla_bytes_eq_str(bulla_bytes_of(label.p, size), prefix);

	return !ours || bulla_bytes_eq_str(label, ops->media_type);
}

bool bulla_attest_label_fits(bulla_bytes label, bulla_bytes evidence)
{
	const struct bulla_attest_ops *ops = find_ops(evidence);

	return ops == NULL || label_fits(label, ops);
}

static void appraise(struct bulla_attest_run *run)
{
	struct bulla_attest_result *result = run->result;

	if (run->evidence.n > BULLA_MAX_EVIDENCE) {
		bulla_run_fail(run, BULLA_FACTOR_SIZE, BULLA_MAX_EVIDENCE, "the evidence is larger than any can be");
		return;
	}
	if (!unwrap(run))
		return;
	const struct bulla_attest_ops *ops = find_ops(run->evidence);
	if (run->evidence.n == 0) {
		bulla_run_fail(run, BULLA_FACTOR_SIZE, bulla_run_at(run, run->evidence), "there is no evidence");
		return;
	}
	if (ops == NULL && run->evidence.n < LEAST) {
		bulla_run_fail(run, BULLA_FACTOR_SIZE, bulla_run_in(run, run->evidence, run->evidence.n), "the bytes end early");
		return;
	}
	if (ops == NULL) {
		bulla_run_fail(run, BULLA_FACTOR_ENCODING, bulla_run_at(run, run->evidence), "the bytes are no evidence of a known kind");
		return;
	}
	for (size_t i = 0; i < ops->factor_count; i++)
		result->factors[ops->factors[i]] = (struct bulla_factor_result){
			.state = BULLA_FACTOR_NOT_CHECKED, .why = BULLA_WHY_NOT_REACHED};
	ops->appraise(run);
	if (!label_fits(run->label, ops))
		bulla_run_fail(run, BULLA_FACTOR_TEE, bulla_run_at(run, run->label),
			"the label around the evidence names another kind");
}

/* Nothing may be left unreached when nothing failed: that would be a rule nobody looked at. */
static void finish(struct bulla_attest_result *result)
{
	for (unsigned i = 0; i < BULLA_FACTOR_COUNT && result->failed == BULLA_FACTOR_COUNT; i++)
		if (result->factors[i].state == BULLA_FACTOR_NOT_CHECKED &&
			result->factors[i].why == BULLA_WHY_NOT_REACHED)
			result->failed = (uint16_t)i;
	result->rc = BULLA_OK;
	if (result->failed != BULLA_FACTOR_COUNT)
		result->rc = bulla_factor_rc(result->failed);
	result->accepted = result->rc == BULLA_OK;
	if (result->factors[BULLA_FACTOR_SIGNATURE].state != BULLA_FACTOR_HELD)
		result->assurance = BULLA_ASSURANCE_NONE;
}

bulla_rc bulla_attest_appraise(bulla_bytes evidence, const struct bulla_attest_collateral *collateral,
	const struct bulla_attest_anchors *anchors, const struct bulla_attest_policy *policy,
	const struct bulla_attest_binding *binding, struct bulla_attest_time time, struct bulla_attest_cache *cache,
	struct bulla_attest_result *ret)
{
	static const struct bulla_attest_collateral none;
	struct bulla_attest_run run = {
		.whole = evidence,
		.evidence = evidence,
		.collateral = collateral != NULL ? collateral : &none,
		.anchors = anchors,
		.policy = policy,
		.binding = binding,
		.time = time,
		.cache = cache,
		.result = ret,
	};

	*ret = (struct bulla_attest_result){
		.rc = BULLA_E_ARGUMENT, .failed = BULLA_FACTOR_COUNT, .time_ms = time.now_ms, .valid_to_ms = INT64_MAX};
	BULLA_TRY(check_arguments(anchors, policy, binding, time));
	appraise(&run);
	finish(ret);
	return ret->rc;
}
