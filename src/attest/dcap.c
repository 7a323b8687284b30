#include "attest/dcap_judge.h"

#define COMMON \
	BULLA_FACTOR_SIZE, BULLA_FACTOR_FIELDS, BULLA_FACTOR_TRAILING, BULLA_FACTOR_VERSION, BULLA_FACTOR_RESERVED, \
		BULLA_FACTOR_ALGORITHM, BULLA_FACTOR_TEE, BULLA_FACTOR_ANCHOR, BULLA_FACTOR_TEST_KEY, \
		BULLA_FACTOR_CHAIN_FORM, \
		BULLA_FACTOR_CHAIN_ORDER, BULLA_FACTOR_CHAIN_SIGNATURES, BULLA_FACTOR_CHAIN_DATES, BULLA_FACTOR_CHAIN_CA, \
		BULLA_FACTOR_CHAIN_KEYS, BULLA_FACTOR_LEAF_USAGE, BULLA_FACTOR_CRL_SIGNATURE, BULLA_FACTOR_CRL_DATES, \
		BULLA_FACTOR_REVOCATION, BULLA_FACTOR_SIGNATURE_RANGE, BULLA_FACTOR_SIGNATURE, BULLA_FACTOR_CLASS, \
		BULLA_FACTOR_CLOCK, BULLA_FACTOR_NOT_FUTURE, BULLA_FACTOR_FRESH, BULLA_FACTOR_NONCE, BULLA_FACTOR_BINDER, \
		BULLA_FACTOR_PUBLIC_KEY, BULLA_FACTOR_DEBUG, BULLA_FACTOR_MEASUREMENT, BULLA_FACTOR_REQUIRED, \
		BULLA_FACTOR_MANIFEST, BULLA_FACTOR_BUNDLES, BULLA_FACTOR_PLATFORM_ALLOWED, BULLA_FACTOR_QE_VENDOR, \
		BULLA_FACTOR_PCK_PRESENT, BULLA_FACTOR_PCK_EXTENSION, BULLA_FACTOR_QE_SIGNATURE, BULLA_FACTOR_QE_BINDING, \
		BULLA_FACTOR_QE_BINDING_TAIL, BULLA_FACTOR_QE_IDENTITY_SIGNATURE, BULLA_FACTOR_QE_IDENTITY_DATES, \
		BULLA_FACTOR_QE_IDENTITY, BULLA_FACTOR_QE_LEVEL, BULLA_FACTOR_TCB_INFO_SIGNATURE, \
		BULLA_FACTOR_TCB_INFO_DATES, BULLA_FACTOR_TCB_INFO_PLATFORM, BULLA_FACTOR_TCB_EVALUATION, \
		BULLA_FACTOR_TCB_LEVEL, BULLA_FACTOR_TCB_STATUS, BULLA_FACTOR_TCB_ADVISORIES

static const uint8_t tdx_factors[] = {COMMON, BULLA_FACTOR_TDX_MODULE, BULLA_FACTOR_TDX_SEAM_ATTRIBUTES,
	BULLA_FACTOR_TDX_ATTRIBUTES, BULLA_FACTOR_TDX_XFAM, BULLA_FACTOR_TDX_SERVICE_TD, BULLA_FACTOR_TDX_EVENT_LOG};
static const uint8_t sgx_factors[] = {COMMON, BULLA_FACTOR_SGX_ATTRIBUTES, BULLA_FACTOR_SGX_SVN};

/* u16 version 3..5, u16 key type, which is no zero as in an SNP report's version; or Intel's name further on. Then u32 TEE: 0
 * SGX, 0x81 TDX. */
static bool sniff_quote(bulla_bytes evidence)
{
	const uint8_t *p = evidence.p;
	bulla_bytes intel = bulla_quote_intel();

	if (evidence.n >= BULLA_QUOTE_VENDOR_AT + intel.n &&
		bulla_bytes_eq(bulla_bytes_of(p + BULLA_QUOTE_VENDOR_AT, intel.n), intel))
		return true;
	return evidence.n >= 4 && p[0] > 0 && p[0] < 16 && p[1] == 0 && (p[2] != 0 || p[3] != 0);
}

static bool sniff_tdx(bulla_bytes evidence)
{
	return sniff_quote(evidence) && evidence.n > 4 && evidence.p[4] == 0x81;
}

static bool sniff_sgx(bulla_bytes evidence)
{
	return sniff_quote(evidence) && !sniff_tdx(evidence);
}

static void appraise(struct bulla_attest_run *run)
{
	struct bulla_dcap_judged judged;

	if (!bulla_dcap_trust(run, run->evidence, &judged))
		return;
	bulla_run_fresh(run, 0, 0);
	if (judged.quote.tdx)
		bulla_tdx_judge(run, &judged);
	else
		bulla_sgx_judge(run, &judged);
	bulla_run_no_field(run, BULLA_FACTOR_NONCE, &run->binding->nonce);
	bulla_run_no_field(run, BULLA_FACTOR_PUBLIC_KEY, &run->binding->public_key);
	bulla_run_platform(run, judged.pck.ppid);
	bulla_dcap_levels(run, &judged);
}

const struct bulla_attest_ops bulla_attest_tdx = {
	.name = "tdx",
	.media_type = "application/vnd.bulla.tdx-quote",
	.guess = BULLA_TEE_TDX,
	.tees = BULLA_TEE_BIT(BULLA_TEE_TDX),
	.factors = tdx_factors,
	.factor_count = sizeof(tdx_factors),
	.sniff = sniff_tdx,
	.appraise = appraise,
};

const struct bulla_attest_ops bulla_attest_sgx = {
	.name = "sgx",
	.media_type = "application/vnd.bulla.sgx-quote",
	.guess = BULLA_TEE_SGX,
	.tees = BULLA_TEE_BIT(BULLA_TEE_SGX),
	.factors = sgx_factors,
	.factor_count = sizeof(sgx_factors),
	.sniff = sniff_sgx,
	.appraise = appraise,
};
