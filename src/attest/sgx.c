#include "attest/dcap_judge.h"

#define ATTRIBUTE_INIT 0x01
#define ATTRIBUTE_DEBUG 0x02
#define ATTRIBUTE_MODE64 0x04

static bulla_bytes part(bulla_bytes body, size_t at, size_t size)
{
	return bulla_bytes_of(body.p + at, size);
}

static unsigned u16_at(bulla_bytes body, size_t at)
{
	return body.p[at] | (unsigned)body.p[at + 1] << 8;
}

/* Enclave report body (SGX ECDSA quote library reference, A.3) */
void bulla_sgx_record(struct bulla_attest_run *run, bulla_bytes body)
{
	bulla_run_claim(run, BULLA_CLAIM_CPUSVN, 0, part(body, 0, 16));
	bulla_run_claim(run, BULLA_CLAIM_MISCSELECT, 0, part(body, 16, 4));
	bulla_run_claim(run, BULLA_CLAIM_ATTRIBUTES, 0, part(body, 48, 16));
	bulla_run_claim(run, BULLA_CLAIM_MEASUREMENT, 0, part(body, 64, 32));
	bulla_run_claim(run, BULLA_CLAIM_MRSIGNER, 0, part(body, 128, 32));
	bulla_run_claim_number(run, BULLA_CLAIM_ISVPRODID, 0, part(body, 256, 2), u16_at(body, 256));
	bulla_run_claim_number(run, BULLA_CLAIM_ISVSVN, 0, part(body, 258, 2), u16_at(body, 258));
	bulla_run_claim(run, BULLA_CLAIM_REPORT_DATA, 0, part(body, 320, 64));
}

void bulla_sgx_judge(struct bulla_attest_run *run, const struct bulla_dcap_judged *judged)
{
	const struct bulla_dcap_policy *policy = &run->policy->dcap;
	bulla_bytes body = judged->quote.body;
	uint8_t flags = body.p[48];
	bool good = (flags & ATTRIBUTE_INIT) != 0 && (flags & ATTRIBUTE_MODE64) != 0 &&
		(flags & policy->attributes_refused) == 0;

	bulla_run_policy(run, (flags & ATTRIBUTE_DEBUG) != 0, bulla_run_in(run, body, 48));
	bulla_run_check(run, BULLA_FACTOR_SGX_ATTRIBUTES, good, bulla_run_in(run, body, 48), "an enclave attribute is refused or missing");
	bulla_run_check(run, BULLA_FACTOR_SGX_SVN, u16_at(body, 258) >= policy->isvsvn_minimum, bulla_run_in(run, body, 258),
		"the enclave's ISVSVN is below its minimum");
	bulla_run_bound(run, BULLA_FACTOR_BINDER, &run->binding->binder, part(body, 320, 64), true);
	bulla_run_no_field(run, BULLA_FACTOR_MANIFEST, &run->binding->manifest);
	bulla_run_no_field(run, BULLA_FACTOR_BUNDLES, &run->binding->bundles);
}
