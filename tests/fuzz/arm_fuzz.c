/* PSA and CCA tokens; the claims of either. */
#include "attest_fuzz.h"

#include "attest/psa.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bulla_psa_claims claims;
	struct bulla_sign1 sign1;
	size_t at = 0;

	if (bulla_psa_claims_read(bulla_bytes_of(p, n), &claims, &at) == BULLA_OK)
		fuzz_assert(claims.component_count <= BULLA_PSA_COMPONENTS);
	if (bulla_sign1_parse(bulla_bytes_of(p, n), &sign1) == BULLA_OK &&
		bulla_psa_claims_read(sign1.payload, &claims, &at) == BULLA_OK)
		fuzz_assert(claims.instance_id.n == 33);
	fuzz_appraise(bulla_bytes_of(p, n), NULL, BULLA_TEE_PSA, (bulla_bytes){NULL, 0});
	return 0;
}
