/* Evidence of any TEE under the vendors' anchors: the appraisal ends, is complete, and nothing that a fuzzer makes is
 * accepted (the corpus holds no genuine evidence). */
#include "attest/attest.h"
#include "fuzz.h"

static struct bulla_attest_result result;

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const struct bulla_attest_expected any = BULLA_EXPECT_ANYTHING;
	const struct bulla_attest_binding binding = {any, any, any, any, any};
	struct bulla_attest_anchors anchors = bulla_attest_vendor_anchors();
	struct bulla_attest_time time = {INT64_C(1760000000000), BULLA_CLOCK_AT};
	struct bulla_attest_policy policy;
	bulla_rc rc;

	bulla_attest_policy_init(&policy);
	policy.tees = UINT32_MAX;
	policy.assurance = BULLA_ASSURANCE_DEV;
	policy.any_measurement = true;
	rc = bulla_attest_appraise(bulla_bytes_of(p, n), NULL, &anchors, &policy, &binding, time, NULL, &result);
	fuzz_assert(rc == result.rc && result.accepted == (rc == BULLA_OK));
	fuzz_assert(result.claim_count <= BULLA_ATTEST_CLAIMS && result.kept_size <= BULLA_ATTEST_KEPT);
	fuzz_assert(!result.accepted);
	return 0;
}
