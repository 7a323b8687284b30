/* A Nitro document: judged under its own root, so that the rules behind the chain are reached. */
#include "attest_fuzz.h"

#include "attest/nitro.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bulla_nitro_fields doc;
	struct bulla_form_fault fault = {.factor = BULLA_FACTOR_COUNT};
	bulla_bytes root = {NULL, 0};

	if (bulla_nitro_read(bulla_bytes_of(p, n), &doc, &fault) == BULLA_OK)
		root = p[n - 1] % 4 == 0 ? doc.cabundle[0] : root; /* P-384 is slow: one input of four is verified */
	else
		fuzz_assert(fault.factor < BULLA_FACTOR_COUNT && fault.at <= n && fault.text != NULL);
	fuzz_appraise(bulla_bytes_of(p, n), NULL, BULLA_TEE_DEV, root);
	return 0;
}
