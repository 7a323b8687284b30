#pragma once
/* TPM 2.0 quotes (TCG TPM 2.0 Library, part 2, TPMS_ATTEST): verified without any TPM library. */
#include "base/bytes.h"
#include "crypto/sign.h"

#define BULLA_TPM_PCRS 24

struct bulla_tpm_quote {
	bulla_bytes nonce;      /* extraData */
	bulla_bytes firmware;   /* 8 bytes */
	uint32_t selected;      /* bit n: SHA-256 register n is in the digest */
	bulla_bytes pcr_digest; /* 32 bytes */
};

/* Reads a TPMS_ATTEST of type quote over one bank of SHA-256 registers, to its end. BULLA_E_FORMAT, ... */
BULLA_CHECK bulla_rc bulla_tpm_quote_read(bulla_bytes message, struct bulla_tpm_quote *ret);

/* The digest of the selected registers equals the quote's. */
bool bulla_tpm_pcrs_match(const struct bulla_tpm_quote *quote, const uint8_t pcrs[BULLA_TPM_PCRS][32], uint32_t given);
