#pragma once
/* An Azure TDX machine of our own: HCL report, runtime data with a vTPM key, a TPM quote, a TD quote that binds them. */
#include "dcap_lab.h"

struct azure_lab {
	struct dcap_lab dcap;
	EVP_PKEY *vtpm;
	uint8_t pcrs[24][32], nonce[32], user_data[64];
	uint32_t magic;
	uint8_t hardware[1184]; /* in the HCL report */
	bool snp;               /* the HCL report is about SNP */
	bool unbound, other_key, other_pcr, no_quote;
	struct bulla_buf text; /* the JSON */
	struct bulla_attest_binding binding;
	struct bulla_attest_result result;
};

void azure_lab_open(struct azure_lab *lab);
void azure_lab_close(struct azure_lab *lab);

/* Makes the evidence of the fields and appraises it: factor of family "azure". */
bulla_rc azure_lab_judge(struct azure_lab *lab);

/* The HCL report over runtime data as the fields say; bind learns its digest before lab->hardware goes in. The TPM's quote
 * over lab->nonce and the registers; RS256 by the vTPM's key. Each returns its size. */
size_t azure_lab_hcl(struct azure_lab *lab, void (*bind)(void *ctx, const bulla_digest *runtime), void *ctx, uint8_t *ret);
size_t azure_lab_message(const struct azure_lab *lab, uint8_t *ret);
size_t azure_lab_sign(EVP_PKEY *key, bulla_bytes message, uint8_t *ret);
