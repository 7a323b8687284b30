/* PSA and CCA tokens; the claims of either. */
#include "attest_fuzz.h"

#include "attest/psa.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bulla_psa_claims claims;
	struct bulla_sign1 sign1;
	struct bulla_form_fault fault;

	if (bulla_psa_claims_read(bulla_bytes_of(p, n), &claims, &fault) == BULLA_OK)
		fuzz_assert(claims.component_count <= BULLA_PSA_COMPONENTS);
	if (bulla_sign1_parse(bulla_bytes_of(p, n), &sign1) == BULLA_OK &&
		bulla_psa_claims_read(sign1.payload, &claims, &fault) == BULLA_OK)
		fuzz_assert(claims.instance_id.n == 33);
	fuzz_appraise(bulla_bytes_of(p, n), NULL, BULLA_TEE_PSA, (bulla_bytes){NULL, 0});
	return 0;
}
