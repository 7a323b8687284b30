#include "attest/dcap_judge.h"

#define ATTRIBUTE_DEBUG (UINT64_C(1) << 0)
#define ATTRIBUTES_UNTRUSTED UINT64_C(0xfe) /* bits 7:1: reserved for further kinds of untrusted TDs, zero */
#define ATTRIBUTE_SEPT_VE_DISABLE (UINT64_C(1) << 28)

struct field {
	enum bulla_claim claim;
	uint16_t index, at, size;
};

/* TD report body (TDX DCAP quoting library API, appendix 3.2.1 and 3.2.2) */
static const struct field fields[] = {
	{BULLA_CLAIM_TEE_TCB_SVN, 0, 0, 16},
	{BULLA_CLAIM_MRSEAM, 0, 16, 48},
	{BULLA_CLAIM_MRSIGNERSEAM, 0, 64, 48},
	{BULLA_CLAIM_SEAM_ATTRIBUTES, 0, 112, 8},
	{BULLA_CLAIM_ATTRIBUTES, 0, 120, 8},
	{BULLA_CLAIM_XFAM, 0, 128, 8},
	{BULLA_CLAIM_MEASUREMENT, 0, 136, 48},
	{BULLA_CLAIM_MRCONFIGID, 0, 184, 48},
	{BULLA_CLAIM_MROWNER, 0, 232, 48},
	{BULLA_CLAIM_MROWNERCONFIG, 0, 280, 48},
	{BULLA_CLAIM_RTMR, 0, 328, 48},
	{BULLA_CLAIM_RTMR, 1, 376, 48},
	{BULLA_CLAIM_RTMR, 2, 424, 48},
	{BULLA_CLAIM_RTMR, 3, 472, 48},
	{BULLA_CLAIM_REPORT_DATA, 0, 520, 64},
	{BULLA_CLAIM_TEE_TCB_SVN2, 0, 584, 16},
	{BULLA_CLAIM_MRSERVICETD, 0, 600, 48},
};

static bulla_bytes part(bulla_bytes body, size_t at, size_t size)
{
	return bulla_bytes_of(body.p + at, size);
}

static uint64_t u64_at(bulla_bytes body, size_t at)
{
	uint64_t value = 0;

	for (size_t i = 8; i > 0; i--)
		value = value << 8 | body.p[at + i - 1];
	return value;
}

void bulla_tdx_record(struct bulla_attest_run *run, bulla_bytes body)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if ((size_t)fields[i].at + fields[i].size <= body.n)
			bulla_run_claim(run, fields[i].claim, fields[i].index, part(body, fields[i].at, fields[i].size));
}

static void check_attributes(struct bulla_attest_run *run, bulla_bytes body)
{
	const struct bulla_dcap_policy *policy = &run->policy->dcap;
	uint64_t attributes = u64_at(body, 120);
	bool good = (attributes & (ATTRIBUTES_UNTRUSTED | policy->attributes_refused)) == 0 &&
		((attributes & ATTRIBUTE_SEPT_VE_DISABLE) != 0 || policy->allow_no_sept_ve_disable);

	bulla_run_check(run, BULLA_FACTOR_TDX_ATTRIBUTES, good, bulla_run_in(run, body, 120),
		"a TD attribute is refused, or SEPT_VE_DISABLE is clear");
	bulla_run_check(run, BULLA_FACTOR_TDX_SEAM_ATTRIBUTES, bulla_bytes_is_zero_ct(part(body, 112, 8)), bulla_run_in(run, body, 112),
		"the SEAM attributes are not zero");
	bulla_run_check(run, BULLA_FACTOR_TDX_XFAM, (u64_at(body, 128) & policy->xfam_refused) == 0, bulla_run_in(run, body, 128),
		"a bit of XFAM is refused");
}

static void check_service_td(struct bulla_attest_run *run, const struct bulla_quote *quote)
{
	const struct bulla_dcap_policy *policy = &run->policy->dcap;

	if (!quote->td15) {
		bulla_run_skip(run, BULLA_FACTOR_TDX_SERVICE_TD, BULLA_WHY_NO_SUCH_FIELD);
		return;
	}
	if (policy->any_service_td) {
		bulla_run_skip(run, BULLA_FACTOR_TDX_SERVICE_TD, BULLA_WHY_POLICY_ANY);
		return;
	}
	bulla_bytes service = part(quote->body, 600, 48);
	bulla_run_check(run, BULLA_FACTOR_TDX_SERVICE_TD,
		bulla_bytes_is_zero_ct(service) ||
			bulla_bytes_in(service, policy->service_tds, policy->service_td_count),
		bulla_run_at(run, service), "a service TD is bound that is not accepted");
}

static void check_event_log(struct bulla_attest_run *run, bulla_bytes body)
{
	size_t events;

	if (run->collateral->event_log.n > 0)
		bulla_run_check(run, BULLA_FACTOR_TDX_EVENT_LOG,
			bulla_ccel_replay(run->collateral->event_log, part(body, 328, 4 * 48), &events) == BULLA_OK,
			bulla_run_in(run, body, 328), "the event log does not give the quote's RTMRs");
	else if (run->policy->dcap.demand_event_log)
		bulla_run_fail(run, BULLA_FACTOR_TDX_EVENT_LOG, 0, "the policy demands an event log");
	else
		bulla_run_skip(run, BULLA_FACTOR_TDX_EVENT_LOG, BULLA_WHY_NO_COLLATERAL);
}

/* RTMR3 holds first the manifest digest, then each bundle digest: each as the 48 bytes SHA-384(digest), which is what the
 * kernel's measurement file takes. */
static void check_rtmr3(struct bulla_attest_run *run, bulla_bytes body)
{
	const struct bulla_attest_expected *manifest = &run->binding->manifest, *bundles = &run->binding->bundles;
	uint8_t value[48] = {0};
	bool whole = true;

	if (manifest->how == BULLA_EXPECT_ANY) {
		bulla_run_skip(run, BULLA_FACTOR_MANIFEST, BULLA_WHY_POLICY_ANY);
		if (bundles->how == BULLA_EXPECT_ANY)
			bulla_run_skip(run, BULLA_FACTOR_BUNDLES, BULLA_WHY_POLICY_ANY);
		else
			bulla_run_fail(run, BULLA_FACTOR_BUNDLES, 0, "bundles stand behind the manifest: expect both");
		return;
	}
	whole = manifest->value.n == 32 && bulla_register_extend(value, manifest->value, true);
	if (bundles->how == BULLA_EXPECT_VALUE)
		whole = bulla_register_extend(value, bundles->value, true) && whole;
	bool same = whole && bulla_bytes_eq(part(body, 472, 48), BULLA_BYTES_ARRAY(value));
	bulla_run_check(run, BULLA_FACTOR_MANIFEST, same, bulla_run_in(run, body, 472), "RTMR3 holds something else");
	if (bundles->how == BULLA_EXPECT_VALUE)
		bulla_run_check(run, BULLA_FACTOR_BUNDLES, same, bulla_run_in(run, body, 472), "RTMR3 holds something else");
	else
		bulla_run_skip(run, BULLA_FACTOR_BUNDLES, BULLA_WHY_POLICY_ANY);
}

void bulla_tdx_judge_platform(struct bulla_attest_run *run, const struct bulla_dcap_judged *judged)
{
	bulla_bytes body = judged->quote.body;

	bulla_run_policy(run, (u64_at(body, 120) & ATTRIBUTE_DEBUG) != 0, bulla_run_in(run, body, 120));
	check_attributes(run, body);
	check_service_td(run, &judged->quote);
	check_event_log(run, body);
}

void bulla_tdx_judge(struct bulla_attest_run *run, const struct bulla_dcap_judged *judged)
{
	bulla_bytes body = judged->quote.body;

	bulla_tdx_judge_platform(run, judged);
	bulla_run_bound(run, BULLA_FACTOR_BINDER, &run->binding->binder, bulla_bytes_of(body.p + 520, 64), true);
	check_rtmr3(run, body);
}
