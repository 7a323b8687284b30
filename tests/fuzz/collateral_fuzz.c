/* What the untrusted side fetched, and evidence in the forms of others: TCB info, QE identity, bundles, tables, event
 * logs, Azure's and Trustee's JSON, TPM quotes, reference files. */
#include "attest_fuzz.h"

#include "attest/dcap_judge.h"
#include "attest/foreign.h"
#include "attest/reference.h"
#include "attest/textual.h"
#include "attest/tpm.h"

static struct bulla_dcap_tcb_info info;
static struct bulla_dcap_qe_identity identity;
static struct bulla_reference_file reference;
static struct bulla_foreign foreign;
static uint8_t memory[65536];

static void read_texts(bulla_bytes bytes)
{
	size_t n;

	if (bulla_dcap_tcb_info_read(bytes, &info) == BULLA_OK)
		fuzz_assert(info.level_count <= BULLA_DCAP_LEVELS && info.module_count <= BULLA_DCAP_MODULES);
	if (bulla_dcap_qe_identity_read(bytes, &identity) == BULLA_OK)
		fuzz_assert(identity.level_count <= BULLA_DCAP_SVN_LEVELS);
	if (bulla_reference_read(bytes, &reference) == BULLA_OK)
		fuzz_assert(reference.policy.tees != 0);
	if (bulla_foreign_base64(bytes, sizeof(memory), memory, &n) == BULLA_OK)
		fuzz_assert(n <= bytes.n);
	if (bulla_foreign_hex(bytes, sizeof(memory), memory, &n) == BULLA_OK)
		fuzz_assert(2 * n == bytes.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bulla_attest_anchors anchors = bulla_attest_vendor_anchors();
	bulla_bytes bytes = bulla_bytes_of(p, n), evidence;
	struct bulla_tpm_quote quote;
	uint8_t registers[192] = {0};
	size_t events;

	read_texts(bytes);
	if (bulla_tpm_quote_read(bytes, &quote) == BULLA_OK)
		fuzz_assert(quote.pcr_digest.n == 32);
	fuzz_assert(bulla_ccel_replay(bytes, BULLA_BYTES_ARRAY(registers), &events) != BULLA_E_MEMORY);
	if (bulla_foreign_init(&foreign) != BULLA_OK)
		return 0;
	if (bulla_foreign_evidence(&foreign, bytes, &evidence) == BULLA_OK)
		fuzz_appraise(evidence, &foreign.collateral, BULLA_TEE_SNP, (bulla_bytes){NULL, 0});
	if (bulla_foreign_collateral(&foreign, bytes) == BULLA_OK)
		fuzz_assert(bulla_foreign_ready(&foreign, &anchors) != BULLA_E_ARGUMENT);
	bulla_foreign_done(&foreign);
	return 0;
}
