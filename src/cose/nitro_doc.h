#pragma once
/* Writes attestation documents in the format of AWS Nitro Enclaves (aws-nitro-enclaves-nsm-api, docs/attestation_process.md):
 * for the development TEE, and for tests. What makes a document genuine is the chain, not the format. */
#include "base/buf.h"
#include "crypto/sign.h"

#define BULLA_NITRO_PCRS 32
#define BULLA_NITRO_PCR_SIZE 48
#define BULLA_NITRO_DOC_MAX 16384

struct bulla_nitro_doc {
	bulla_bytes module_id;                         /* "i-<17 hex>-enc<16 hex>" */
	uint64_t timestamp_ms;                         /* Unix time */
	const uint8_t (*pcrs)[BULLA_NITRO_PCR_SIZE];   /* BULLA_NITRO_PCRS registers */
	uint32_t listed;                               /* bit n: register n stands in the document */
	bulla_bytes certificate;                       /* leaf, DER */
	const bulla_bytes *cabundle;                   /* root first */
	size_t cabundle_count;
	bulla_bytes public_key, user_data, nonce;      /* empty: null */
	bool definite;                                 /* the payload map as documents had it until 2025; else indefinite */
};

/* Appends the untagged COSE_Sign1 (ES384) to ret. BULLA_E_ARGUMENT unless key is a P-384 key. */
BULLA_CHECK bulla_rc bulla_nitro_doc_write(const struct bulla_nitro_doc *doc, struct bulla_sign_key *key,
	struct bulla_buf *ret);
