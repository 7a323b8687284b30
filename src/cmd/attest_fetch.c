/* bulla attest fetch FILE: where the collateral of this evidence is. Prints addresses, one a line, for curl; what comes back
 * goes into --collateral as it is. Nothing of it is trusted. */
#include "cmd/attest_job.h"

#include "attest/snp.h"
#include "io/sys.h"

#include <stdio.h>
#include <string.h>

#define KDS "https://kdsintf.amd.com"
#define PCS "https://api.trustedservices.intel.com"

static void print_hex(bulla_bytes bytes)
{
	for (size_t i = 0; i < bytes.n; i++)
		printf("%02x", bytes.p[i]);
}

/* The product's name is in the report from version 3 on; before, only the certificate knows. */
static const struct bulla_snp_generation *generation_of(const struct attest_job *job)
{
	static const struct bulla_snp_generation milan = {"Milan", false};
	struct bulla_snp_report report;

	if (bulla_snp_read(job->evidence, &report) != BULLA_OK || report.version < 3)
		return &milan;
	const struct bulla_snp_generation *found = bulla_snp_generation_of_cpu(report.cpu_family, report.cpu_model);
	return found != NULL ? found : &milan;
}

static void print_snp(const struct attest_job *job)
{
	const struct bulla_attest_claim *chip = bulla_attest_find(&job->result, BULLA_CLAIM_CHIP_ID, 0);
	const struct bulla_attest_claim *tcb_bytes = bulla_attest_find(&job->result, BULLA_CLAIM_REPORTED_TCB, 0);

	if (chip == NULL || tcb_bytes == NULL)
		return;
	const struct bulla_snp_generation *generation = generation_of(job);
	const struct bulla_snp_tcb tcb = bulla_snp_tcb_of(generation, tcb_bytes->bytes);
	if (bulla_bytes_is_zero_ct(chip->bytes)) {
		printf("# no chip id: a VLEK; the cloud's certificate table has it (configfs-tsm auxblob)\n");
		printf(KDS "/vlek/v1/%s/cert_chain\n" KDS "/vlek/v1/%s/crl\n", generation->name, generation->name);
		return;
	}
	printf(KDS "/vcek/v1/%s/", generation->name);
	print_hex(generation->has_fmc ? bulla_bytes_of(chip->bytes.p, 8) : chip->bytes);
	printf("?");
	if (generation->has_fmc)
		printf("fmcSPL=%02u&", tcb.fmc);
	printf("blSPL=%02u&teeSPL=%02u&snpSPL=%02u&ucodeSPL=%02u\n", tcb.bootloader, tcb.tee, tcb.snp, tcb.microcode);
	printf(KDS "/vcek/v1/%s/cert_chain\n" KDS "/vcek/v1/%s/crl\n", generation->name, generation->name);
}

static void print_dcap(const struct attest_job *job, const char *kind)
{
	const struct bulla_attest_claim *fmspc = bulla_attest_find(&job->result, BULLA_CLAIM_FMSPC, 0);
	const struct bulla_attest_claim *signer = bulla_attest_find(&job->result, BULLA_CLAIM_SIGNER, 0);
	bool platform = signer != NULL && bulla_bytes_eq_str(signer->bytes, "PCK Platform CA");

	if (fmspc == NULL)
		return;
	printf(PCS "/%s/certification/v4/tcb?fmspc=", kind);
	print_hex(fmspc->bytes);
	printf("\n" PCS "/%s/certification/v4/qe/identity\n", kind);
	printf(PCS "/sgx/certification/v4/pckcrl?ca=%s&encoding=der\n", platform ? "platform" : "processor");
	printf("https://certificates.trustedservices.intel.com/IntelSGXRootCA.der\n"
	       "# the issuer chains (TCB-Info-Issuer-Chain, SGX-PCK-CRL-Issuer-Chain) are in the answers' headers, URL-encoded\n");
}

int cmd_attest_fetch(struct cli *cli)
{
	struct attest_job *job = NULL;
	int code = attest_open(cli, &job);

	if (code != 0)
		return code;
	attest_lax(job);
	job->time = (struct bulla_attest_time){bulla_wall_ms(bulla_sys_clock()), BULLA_CLOCK_AUDIT};
	if (bulla_attest_appraise(job->evidence, &job->foreign.collateral, &job->all, &job->reference.policy, &job->binding,
		    job->time, NULL, &job->result) == BULLA_E_ARGUMENT)
		code = EXIT_BUG;
	enum bulla_tee tee = bulla_attest_guess(job->evidence);
	if (tee == BULLA_TEE_SNP || tee == BULLA_TEE_AZ_SNP)
		print_snp(job);
	else if (tee == BULLA_TEE_TDX || tee == BULLA_TEE_SGX)
		print_dcap(job, tee == BULLA_TEE_TDX ? "tdx" : "sgx");
	else
		printf("# this evidence needs no collateral\n");
	attest_close(job);
	return code;
}
