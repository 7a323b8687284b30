#pragma once
/* An Azure TDX machine of our own: HCL report, runtime data with a vTPM key, a TPM quote, a TD quote that binds them. */
#include "dcap_lab.h"

struct azure_lab {
	struct dcap_lab dcap;
	EVP_PKEY *vtpm;
	uint8_t pcrs[24][32], nonce[32], user_data[64];
	uint32_t magic;
	bool unbound, other_key, other_pcr, no_quote;
	struct bulla_buf text; /* the JSON */
	struct bulla_attest_binding binding;
	struct bulla_attest_result result;
};

void azure_lab_open(struct azure_lab *lab);
void azure_lab_close(struct azure_lab *lab);

/* Makes the evidence of the fields and appraises it: factor of family "azure". */
bulla_rc azure_lab_judge(struct azure_lab *lab);
