#pragma once
/* Azure confidential VMs: the HCL report (hardware report and runtime data from the vTPM's NV index 0x01400001) and a TPM
 * quote under the key that the runtime data names; as Trustee's JSON (az-snp-vtpm, az-tdx-vtpm) carries them. */
#include "attest/run.h"
#include "attest/tpm.h"

#define BULLA_HCL_SIZE_MAX 4096
#define BULLA_AZURE_QUOTE_MAX 6144

struct bulla_azure {
	bulla_bytes hcl;          /* the decoded parts live in the run's kept memory */
	bulla_bytes hardware;     /* SNP report (1184) */
	bool tdx;
	bulla_bytes td_quote;     /* TDX */
	bulla_bytes certificate;  /* SNP: VCEK in DER; empty: none */
	bulla_bytes runtime;      /* JSON */
	unsigned runtime_hash;    /* 1 SHA-256, 2 SHA-384, 3 SHA-512 */
	bulla_bytes message, signature; /* TPM quote */
	uint8_t (*pcrs)[32];
	uint32_t given;           /* bit n: register n is given */
	size_t pcrs_at, vcek_at, td_quote_at; /* where in the evidence; 0: not there */
};

/* The bare content of NV index 0x01400001: shown, but never accepted, as no TPM quote comes with it. */
bool bulla_azure_is_hcl(bulla_bytes evidence);

/* Decodes the JSON into kept memory and splits the HCL report. False: recorded why. */
bool bulla_azure_read(struct bulla_attest_run *run, struct bulla_azure *ret);
