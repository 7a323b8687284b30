#pragma once
/* What the fuzz targets of attest/ share: an appraisal that expects nothing and trusts the root that the input brings. */
#include "attest/attest.h"
#include "attest/cache.h"
#include "base/limits.h"
#include "crypto/hash.h"
#include "fuzz.h"

static inline void fuzz_policy(struct bulla_attest_policy *ret)
{
	bulla_attest_policy_init(ret);
	ret->tees = UINT32_MAX;
	ret->assurance = BULLA_ASSURANCE_DEV;
	ret->any_measurement = true;
	ret->max_age_ms = INT64_MAX;
	ret->snp.vmpls = 15;
	ret->dcap.without_collateral = true;
}

/* Appraises; whatever the input is, the result must be consistent. root: the certificate to trust, may be empty. */
static inline void fuzz_appraise(bulla_bytes evidence, const struct bulla_attest_collateral *collateral,
	enum bulla_tee family, bulla_bytes root)
{
	static struct bulla_attest_result result;
	const struct bulla_attest_expected any = BULLA_EXPECT_ANYTHING;
	const struct bulla_attest_binding binding = {any, any, any, any, any};
	struct bulla_attest_policy policy;
	bulla_digest id;

	bulla_sha256(root, &id);
	struct bulla_attest_anchor anchor = {
		(uint8_t)family, BULLA_ASSURANCE_DEV, BULLA_ANCHOR_CERTIFICATE, bulla_bytes_digest(&id), {NULL, 0}};
	struct bulla_attest_anchors anchors = {&anchor, 1};
	fuzz_policy(&policy);
	bulla_rc rc = bulla_attest_appraise(evidence, collateral, &anchors, &policy, &binding,
		(struct bulla_attest_time){INT64_C(1795000000000), BULLA_CLOCK_AT}, NULL, &result);
	fuzz_assert(rc == result.rc && result.accepted == (rc == BULLA_OK));
	fuzz_assert((rc == BULLA_OK) == (result.failed == BULLA_FACTOR_COUNT));
	fuzz_assert(rc == BULLA_OK || bulla_factor_rc(result.failed) == rc);
	for (size_t i = 0; i < result.claim_count; i++)
		fuzz_assert(result.claims[i].at <= evidence.n);
	for (unsigned i = 0; i < BULLA_FACTOR_COUNT; i++)
		fuzz_assert(result.factors[i].state != BULLA_FACTOR_FAILED ||
			(result.factors[i].text != NULL && result.factors[i].at <= evidence.n + BULLA_MAX_EVIDENCE));
}
