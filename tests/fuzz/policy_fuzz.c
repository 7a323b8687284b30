/* Key policies: what was not checked is never allowed by accident; evaluation ends whatever the text is. */
#include "fuzz.h"
#include "kms/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const struct bulla_kms_facts facts = {.secure_transport = true};
	bulla_bytes in = bulla_bytes_of(p, n);
	bulla_rc checked = bulla_kms_policy_check(in), allowed = bulla_kms_policy_eval(in, &facts);

	if (checked != BULLA_OK)
		fuzz_assert(allowed != BULLA_OK || checked == BULLA_E_UNSUPPORTED);
	return 0;
}
