#pragma once
/* Intel DCAP quotes: SGX versions 3 to 5 and TDX versions 4 and 5, ECDSA P-256 (Intel TDX DCAP Quoting Library API,
 * appendix 3; SGX ECDSA Quote Library Reference). */
#include "attest/run.h"

#define BULLA_QUOTE_HEADER_SIZE 48
#define BULLA_QUOTE_SIZE_MAX 16384
#define BULLA_QUOTE_VENDOR_AT 12
#define BULLA_SGX_BODY_SIZE 384
#define BULLA_TD10_BODY_SIZE 584
#define BULLA_TD15_BODY_SIZE 648

struct bulla_quote {
	bulla_bytes raw;
	uint16_t version;
	bool tdx;             /* else SGX */
	bool td15;            /* TD report 1.5 */
	bulla_bytes vendor;   /* 16 bytes */
	bulla_bytes reserved; /* bytes 8..12 of versions 4 and 5 */
	bulla_bytes body;
	bulla_bytes signed_part; /* header and body, with the body's descriptor in version 5 */
	bulla_bytes signature;   /* 64 */
	bulla_bytes attestation_key; /* 64: x || y */
	bulla_bytes qe_report;       /* 384 */
	bulla_bytes qe_signature;    /* 64 */
	bulla_bytes qe_auth_data;
	uint16_t certification_type; /* 5: PEM chain */
	bulla_bytes certification;
	size_t certification_at;     /* of its type */
};

/* Splits a quote; every length must fit exactly, but for the rest of the buffer in which quoting services return a TD's of
 * version 4: 69 zeros or more. On failure *ret_fault says what broke where. */
BULLA_CHECK bulla_rc bulla_quote_read(bulla_bytes bytes, struct bulla_quote *ret, struct bulla_form_fault *ret_fault);

/* The vendor id of Intel's quoting enclaves. */
bulla_bytes bulla_quote_intel(void);
