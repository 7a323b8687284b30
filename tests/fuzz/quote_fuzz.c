/* A DCAP quote: judged under the self-issued certificate of its own chain. */
#include "attest_fuzz.h"

#include "attest/pck.h"
#include "attest/pem.h"
#include "attest/quote.h"

static uint8_t memory[3 * BULLA_PEM_CERT_MAX];

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bulla_quote quote;
	struct bulla_form_fault fault = {.factor = BULLA_FACTOR_COUNT};
	bulla_bytes chain[3], root = {NULL, 0};
	size_t count = 0;

	if (bulla_quote_read(bulla_bytes_of(p, n), &quote, &fault) != BULLA_OK)
		fuzz_assert(fault.factor < BULLA_FACTOR_COUNT && fault.at <= n && fault.text != NULL);
	else if (bulla_pem_chain(quote.certification, memory, sizeof(memory), 3, chain, &count) != BULLA_OK)
		count = 0;
	for (size_t i = 0; i < count; i++) {
		struct bulla_cert cert;
		struct bulla_pck pck;

		if (bulla_cert_parse(chain[i], &cert) != BULLA_OK)
			continue;
		if (bulla_bytes_eq(cert.issuer, cert.subject))
			root = chain[i];
		if (bulla_pck_read(&cert, &pck) == BULLA_OK)
			fuzz_assert(pck.fmspc.n == 6 && pck.ppid.n == 16);
	}
	fuzz_appraise(bulla_bytes_of(p, n), NULL, BULLA_TEE_TDX, root);
	return 0;
}
