#pragma once
/* AWS Nitro attestation documents (aws-nitro-enclaves-nsm-api, docs/attestation_process.md), also those of NitroTPM and of
 * the development TEE. Reading only looks at the form; bulla_attest_appraise judges. */
#include "base/bytes.h"
#include "attest/attest.h"

#define BULLA_NITRO_SIZE_MAX 16384
#define BULLA_NITRO_REGISTERS 32
#define BULLA_NITRO_CHAIN_MAX 7 /* certificates of the cabundle */

/* A document's fields: views into it. Absent registers are {NULL, 0}. Of the three optional fields one that is null is empty and at
 * the null, an absent one empty and at the payload. */
struct bulla_nitro_fields {
	bulla_bytes payload;   /* as signed */
	bulla_bytes protected_raw;
	bulla_bytes signature; /* 96 bytes, r || s */
	bulla_bytes module_id;
	bulla_bytes digest;
	uint64_t timestamp_ms;
	bulla_bytes pcrs[BULLA_NITRO_REGISTERS]; /* empty: not in the document */
	bulla_bytes certificate;
	bulla_bytes cabundle[BULLA_NITRO_CHAIN_MAX];
	size_t cabundle_count;
	bulla_bytes public_key;
	bulla_bytes user_data;
	bulla_bytes nonce;
	bool tpm;              /* nitrotpm_pcrs in place of pcrs */
	unsigned unknown;      /* fields this reader does not know */
	size_t unknown_at;     /* offset of the first in the payload */
};

/* Reads one. On failure *ret_fault is the rule that broke, at an offset in `document`. */
BULLA_CHECK bulla_rc bulla_nitro_read(bulla_bytes document, struct bulla_nitro_fields *ret,
	struct bulla_form_fault *ret_fault);
