#include "attest/run.h"

#include "base/checks.h"
#include "crypto/hash.h"

/* Verifiers are built after this: a clock before it was never set (2026-11-01). */
#define BUILD_MS INT64_C(1793491200000)

/* The security check of protocol.md section 4 behind a factor; mutant builds can take one away. */
static bool rule_is_on(enum bulla_factor factor)
{
	bulla_rc rc = bulla_factor_rc(factor);

	if (rc == BULLA_E_EVIDENCE_CHAIN)
		return BULLA_CHECK_ON(EVIDENCE_CHAIN);
	if (rc == BULLA_E_EVIDENCE_SIGNATURE)
		return BULLA_CHECK_ON(EVIDENCE_SIGNATURE);
	if (rc == BULLA_E_EVIDENCE_STALE)
		return BULLA_CHECK_ON(EVIDENCE_FRESH);
	if (rc == BULLA_E_EVIDENCE_DEBUG)
		return BULLA_CHECK_ON(EVIDENCE_DEBUG);
	if (rc == BULLA_E_BINDER)
		return BULLA_CHECK_ON(EVIDENCE_BINDER);
	if (rc == BULLA_E_MEASUREMENT)
		return BULLA_CHECK_ON(EVIDENCE_MEASUREMENT);
	return true;
}

void bulla_run_hold(struct bulla_attest_run *run, enum bulla_factor factor)
{
	struct bulla_factor_result *row = &run->result->factors[factor];

	if (row->state != BULLA_FACTOR_FAILED)
		*row = (struct bulla_factor_result){.state = BULLA_FACTOR_HELD};
}

bool bulla_run_fail(struct bulla_attest_run *run, enum bulla_factor factor, size_t at, const char *text)
{
	struct bulla_factor_result *row = &run->result->factors[factor];

	if (!rule_is_on(factor)) {
		bulla_run_hold(run, factor);
		return true;
	}
	if (row->state == BULLA_FACTOR_FAILED)
		return false;
	*row = (struct bulla_factor_result){BULLA_FACTOR_FAILED, BULLA_WHY_NONE, (uint32_t)at, text};
	if (run->result->failed == BULLA_FACTOR_COUNT)
		run->result->failed = (uint16_t)factor;
	return false;
}

bool bulla_run_stop(struct bulla_attest_run *run, enum bulla_factor factor, size_t at, const char *text)
{
	(void)bulla_run_fail(run, factor, at, text);
	return false;
}

void bulla_run_skip(struct bulla_attest_run *run, enum bulla_factor factor, enum bulla_factor_why why)
{
	struct bulla_factor_result *row = &run->result->factors[factor];

	if (row->state != BULLA_FACTOR_FAILED)
		*row = (struct bulla_factor_result){.state = BULLA_FACTOR_NOT_CHECKED, .why = (uint8_t)why};
}

bool bulla_run_check(struct bulla_attest_run *run, enum bulla_factor factor, bool ok, size_t at, const char *text)
{
	if (!ok)
		return bulla_run_fail(run, factor, at, text);
	bulla_run_hold(run, factor);
	return true;
}

bool bulla_run_unreadable(struct bulla_attest_run *run, const struct bulla_form_fault *fault, bulla_bytes read)
{
	return bulla_run_stop(run, fault->factor, bulla_run_in(run, read, fault->at), fault->text);
}

void bulla_run_origin(struct bulla_attest_run *run, bulla_bytes bytes, bulla_json from)
{
	if (run->origin_count < BULLA_RUN_ORIGINS)
		run->origins[run->origin_count++] = (struct bulla_attest_origin){bytes, from};
}

/* Where in a JSON list of bytes one of them stands. */
static const uint8_t *element(bulla_json list, size_t index)
{
	struct bulla_json_iter iter = bulla_json_begin(list);
	bulla_json ignored, item = list;

	for (size_t i = 0; i <= index; i++)
		if (!bulla_json_next(&iter, &ignored, &item))
			break;
	return item.raw.p;
}

/* The first character that a byte was decoded from; of text that is neither digits nor a list (PEM) the first of all. */
static const uint8_t *decoded_from(const struct bulla_attest_origin *origin, size_t offset)
{
	bulla_bytes text = origin->from.raw;
	size_t n = origin->bytes.n;

	if (text.n > 0 && text.p[0] == '[')
		return element(origin->from, offset);
	if (text.n < 2 || text.p[0] != '"')
		return text.p;
	if (text.n - 2 == 2 * n)
		return text.p + 1 + 2 * offset;
	return text.n - 2 >= (4 * n + 2) / 3 && text.n - 2 <= (n + 2) / 3 * 4 ? text.p + 1 + offset * 4 / 3 : text.p + 1;
}

static bool is_inside(bulla_bytes bytes, const uint8_t *p)
{
	return (uintptr_t)p >= (uintptr_t)bytes.p && (uintptr_t)p - (uintptr_t)bytes.p < bytes.n;
}

size_t bulla_run_at(const struct bulla_attest_run *run, bulla_bytes view)
{
	const uint8_t *p = view.p;

	/* what was decoded from something decoded: one step at a time, newest first */
	for (size_t i = run->origin_count; i > 0 && p != NULL && !is_inside(run->whole, p); i--)
		if (is_inside(run->origins[i - 1].bytes, p))
			p = decoded_from(&run->origins[i - 1], (size_t)(p - run->origins[i - 1].bytes.p));
	bool known = p != NULL && (is_inside(run->whole, p) || p == run->whole.p + run->whole.n);
	return known ? (size_t)(p - run->whole.p) : 0;
}

void bulla_run_claim(struct bulla_attest_run *run, enum bulla_claim id, unsigned index, bulla_bytes bytes)
{
	bulla_run_claim_number(run, id, index, bytes, 0);
}

uint8_t *bulla_run_keep(struct bulla_attest_run *run, size_t size)
{
	struct bulla_attest_result *result = run->result;

	if (size > sizeof(result->kept) - result->kept_size)
		return NULL;
	result->kept_size += size;
	return result->kept + result->kept_size - size;
}

void bulla_run_claim_kept(struct bulla_attest_run *run, enum bulla_claim id, unsigned index, bulla_bytes bytes)
{
	uint8_t *copy = bulla_run_keep(run, bytes.n);

	if (copy == NULL)
		return;
	bulla_copy(copy, bytes.p, bytes.n);
	bulla_run_claim(run, id, index, bulla_bytes_of(copy, bytes.n));
}

void bulla_run_claim_number(struct bulla_attest_run *run, enum bulla_claim id, unsigned index, bulla_bytes at,
	uint64_t number)
{
	struct bulla_attest_result *result = run->result;

	if (result->claim_count < BULLA_ATTEST_CLAIMS)
		result->claims[result->claim_count++] = (struct bulla_attest_claim){
			(uint16_t)id, (uint16_t)index, (uint32_t)bulla_run_at(run, at), at, number};
}

static void window_claim(struct bulla_attest_run *run, enum bulla_claim id, int64_t seconds, bool later)
{
	struct bulla_attest_result *result = run->result;

	if (seconds < 0 || seconds > INT64_MAX / 1000)
		return;
	for (size_t i = 0; i < result->claim_count; i++) {
		struct bulla_attest_claim *claim = &result->claims[i];

		if (claim->id == id) {
			if (((int64_t)claim->number < seconds * 1000) == later)
				claim->number = (uint64_t)(seconds * 1000);
			return;
		}
	}
	bulla_run_claim_number(run, id, 0, (bulla_bytes){NULL, 0}, (uint64_t)(seconds * 1000));
}

void bulla_run_window(struct bulla_attest_run *run, int64_t from_s, int64_t to_s)
{
	window_claim(run, BULLA_CLAIM_VALID_FROM, from_s, true);
	window_claim(run, BULLA_CLAIM_VALID_TO, to_s, false);
	if (to_s >= 0 && to_s < run->result->valid_to_ms / 1000)
		run->result->valid_to_ms = to_s * 1000;
}

int64_t bulla_run_seconds(struct bulla_attest_run *run, int64_t signed_ms)
{
	bool own = run->time.clock == BULLA_CLOCK_AUDIT && signed_ms > 0;

	run->result->time_ms = own ? signed_ms : run->time.now_ms;
	return run->result->time_ms / 1000;
}

void bulla_run_fresh(struct bulla_attest_run *run, int64_t signed_ms, size_t at)
{
	const struct bulla_attest_policy *policy = run->policy;
	int64_t now = run->time.now_ms;

	if (run->time.clock == BULLA_CLOCK_ONLINE)
		bulla_run_check(run, BULLA_FACTOR_CLOCK, now >= BUILD_MS, 0, "the verifier's clock was never set");
	else
		bulla_run_skip(run, BULLA_FACTOR_CLOCK, BULLA_WHY_POLICY_ANY);
	if (signed_ms <= 0) {
		bulla_run_skip(run, BULLA_FACTOR_NOT_FUTURE, BULLA_WHY_NO_SUCH_FIELD);
		bulla_run_skip(run, BULLA_FACTOR_FRESH, BULLA_WHY_NO_SUCH_FIELD);
		return;
	}
	bulla_run_check(run, BULLA_FACTOR_NOT_FUTURE, signed_ms - now <= policy->skew_ms, at,
		"the evidence was made later than now");
	int64_t most = run->time.clock == BULLA_CLOCK_AUDIT ? policy->skew_ms : policy->max_age_ms;
	bulla_run_check(run, BULLA_FACTOR_FRESH, now - signed_ms <= most, at, "the evidence is too old");
	if (run->time.clock == BULLA_CLOCK_ONLINE && most < INT64_MAX - signed_ms &&
		signed_ms + most < run->result->valid_to_ms)
		run->result->valid_to_ms = signed_ms + most;
}

/* An empty challenge is none: it would equal a field that is absent, or zeros. */
static bool says_nothing(enum bulla_factor factor, bulla_bytes expected)
{
	return expected.n == 0 && (factor == BULLA_FACTOR_NONCE || factor == BULLA_FACTOR_BINDER);
}

static bool equals(bulla_bytes expected, bulla_bytes found, bool padded)
{
	if (!padded || expected.n >= found.n)
		return bulla_bytes_eq(expected, found);
	return bulla_bytes_eq(expected, bulla_bytes_of(found.p, expected.n)) &&
		bulla_bytes_is_zero_ct(bulla_bytes_of(found.p + expected.n, found.n - expected.n));
}

void bulla_run_bound(struct bulla_attest_run *run, enum bulla_factor factor,
	const struct bulla_attest_expected *expected, bulla_bytes found, bool padded)
{
	if (expected->how == BULLA_EXPECT_ANY)
		bulla_run_skip(run, factor, BULLA_WHY_POLICY_ANY);
	else if (says_nothing(factor, expected->value))
		bulla_run_fail(run, factor, bulla_run_at(run, found), "the value that is expected is empty");
	else
		bulla_run_check(run, factor, equals(expected->value, found, padded), bulla_run_at(run, found),
			found.n == 0 ? "it is bound to nothing" : "it is bound to something else");
}

void bulla_run_no_field(struct bulla_attest_run *run, enum bulla_factor factor,
	const struct bulla_attest_expected *expected)
{
	if (expected->how == BULLA_EXPECT_VALUE && run->binding->binder.how != BULLA_EXPECT_VALUE)
		bulla_run_fail(run, factor, 0, "this evidence has no such field, and no binder is expected that covers it");
	else
		bulla_run_skip(run, factor, BULLA_WHY_NO_SUCH_FIELD);
}

void bulla_run_challenge(struct bulla_attest_run *run, bulla_bytes found)
{
	const struct bulla_attest_binding *binding = run->binding;

	bulla_run_bound(run, BULLA_FACTOR_BINDER, &binding->binder, found, true);
	if (binding->binder.how == BULLA_EXPECT_VALUE)
		bulla_run_no_field(run, BULLA_FACTOR_NONCE, &binding->nonce);
	else
		bulla_run_bound(run, BULLA_FACTOR_NONCE, &binding->nonce, found, true);
}

#define PART_SIZE 32

bool bulla_register_extend(uint8_t value[48], bulla_bytes parts, bool hashed)
{
	uint8_t hash[BULLA_SHA384_SIZE], next[BULLA_SHA384_SIZE];

	for (size_t at = 0; at + PART_SIZE <= parts.n; at += PART_SIZE) {
		bulla_bytes part = bulla_bytes_of(parts.p + at, PART_SIZE);

		if (hashed) {
			bulla_sha384(part, hash);
			part = BULLA_BYTES_ARRAY(hash);
		}
		bulla_bytes both[] = {{value, BULLA_SHA384_SIZE}, part};
		bulla_sha384_parts(both, 2, next);
		bulla_copy(value, next, sizeof(next));
	}
	return parts.n % PART_SIZE == 0;
}

void bulla_run_register(struct bulla_attest_run *run, enum bulla_factor factor,
	const struct bulla_attest_expected *expected, bulla_bytes found, bool hashed)
{
	uint8_t value[BULLA_SHA384_SIZE] = {0};

	if (expected->how == BULLA_EXPECT_ANY) {
		bulla_run_skip(run, factor, BULLA_WHY_POLICY_ANY);
		return;
	}
	bool whole = bulla_register_extend(value, expected->value, hashed) && expected->value.n > 0;
	bulla_run_check(run, factor, whole && bulla_bytes_eq(found, BULLA_BYTES_ARRAY(value)), bulla_run_at(run, found),
		"the register holds something else");
}

static bool value_matches(const struct bulla_attest_run *run, const struct bulla_attest_value *value, size_t *ret_at)
{
	const struct bulla_attest_claim *claim = bulla_attest_find(run->result, value->claim, value->index);

	if (claim == NULL)
		return false;
	*ret_at = claim->at;
	return bulla_bytes_eq(claim->bytes, value->value);
}

static bool values_match(const struct bulla_attest_run *run, const struct bulla_attest_value *values, size_t count,
	size_t *ret_at)
{
	for (size_t i = 0; i < count; i++)
		if (!value_matches(run, &values[i], ret_at))
			return false;
	return true;
}

static void check_measurement(struct bulla_attest_run *run)
{
	const struct bulla_attest_policy *policy = run->policy;
	size_t at = 0;

	if (policy->any_measurement) {
		bulla_run_skip(run, BULLA_FACTOR_MEASUREMENT, BULLA_WHY_POLICY_ANY);
		return;
	}
	for (size_t i = 0; i < policy->reference_count; i++) {
		const struct bulla_attest_reference *reference = &policy->references[i];

		if (reference->count > 0 && values_match(run, reference->values, reference->count, &at)) {
			bulla_run_hold(run, BULLA_FACTOR_MEASUREMENT);
			return;
		}
	}
	bulla_run_fail(run, BULLA_FACTOR_MEASUREMENT, at, "no accepted image has these measurements");
}

void bulla_run_policy(struct bulla_attest_run *run, bool debug, size_t debug_at)
{
	const struct bulla_attest_policy *policy = run->policy;
	size_t at = 0;

	bulla_run_claim_number(run, BULLA_CLAIM_DEBUG, 0, (bulla_bytes){NULL, 0}, debug);
	bool known = run->result->tee != BULLA_TEE_NONE && (policy->tees & BULLA_TEE_BIT(run->result->tee)) != 0;
	bulla_run_check(run, BULLA_FACTOR_TEE, known, 0, "this kind of TEE is not accepted");
	bulla_run_check(run, BULLA_FACTOR_CLASS, run->result->assurance >= policy->assurance, 0,
		"the anchor's trust class is too low");
	if (policy->allow_debug)
		bulla_run_skip(run, BULLA_FACTOR_DEBUG, BULLA_WHY_POLICY_ANY);
	else
		bulla_run_check(run, BULLA_FACTOR_DEBUG, !debug, debug_at, "debug mode is on");
	check_measurement(run);
	if (policy->required_count == 0)
		bulla_run_skip(run, BULLA_FACTOR_REQUIRED, BULLA_WHY_POLICY_ANY);
	else
		bulla_run_check(run, BULLA_FACTOR_REQUIRED,
			values_match(run, policy->required, policy->required_count, &at), at,
			"a register or field has another value");
}

bool bulla_bytes_in(bulla_bytes value, const bulla_bytes *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bulla_bytes_eq(value, list[i]))
			return true;
	return false;
}

void bulla_run_platform(struct bulla_attest_run *run, bulla_bytes id)
{
	const struct bulla_attest_policy *policy = run->policy;

	if (policy->platform_count == 0)
		bulla_run_skip(run, BULLA_FACTOR_PLATFORM_ALLOWED, BULLA_WHY_POLICY_ANY);
	else
		bulla_run_check(run, BULLA_FACTOR_PLATFORM_ALLOWED,
			bulla_bytes_in(id, policy->platforms, policy->platform_count), bulla_run_at(run, id),
			"this platform is not on the allow list");
}
