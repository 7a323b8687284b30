#include "attest/run.h"

extern const struct bulla_attest_ops bulla_attest_nitro, bulla_attest_snp, bulla_attest_tdx, bulla_attest_sgx,
	bulla_attest_azure, bulla_attest_cca, bulla_attest_psa;

/* The first whose sniff says yes judges. A new TEE: copy skeleton.c, add a row (doc/STYLE.md line 46). */
const struct bulla_attest_ops *const bulla_attest_table[] = {
	&bulla_attest_nitro,
	&bulla_attest_tdx,
	&bulla_attest_sgx,
	&bulla_attest_snp,
	&bulla_attest_azure,
	&bulla_attest_cca,
	&bulla_attest_psa,
};

const size_t bulla_attest_table_size = sizeof(bulla_attest_table) / sizeof(bulla_attest_table[0]);
