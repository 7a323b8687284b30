/* An SNP report of 1184 bytes, then a GHCB certificate table. */
#include "attest_fuzz.h"

#include "attest/snp.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	size_t report = n < BULLA_SNP_REPORT_SIZE ? n : BULLA_SNP_REPORT_SIZE;
	struct bulla_attest_collateral collateral = {.certificate_table = bulla_bytes_of(p + report, n - report)};
	struct bulla_snp_report fields;

	fuzz_assert((bulla_snp_read(bulla_bytes_of(p, report), &fields) == BULLA_OK) == (report == BULLA_SNP_REPORT_SIZE));
	fuzz_appraise(bulla_bytes_of(p, report), &collateral, BULLA_TEE_SNP, (bulla_bytes){NULL, 0});
	return 0;
}
