#pragma once
/* Evidence and collateral in the forms in which others keep them: Trustee's and Veraison's JSON and CBOR, PCS answers,
 * PEM, DER, certificate tables, event logs. Only recognises and unwraps; everything is judged later. */
#include "attest/attest.h"
#include "attest/dcap.h"

#define BULLA_FOREIGN_MEMORY (1 << 20)
#define BULLA_FOREIGN_PIECES 16

struct bulla_foreign {
	struct bulla_attest_collateral collateral;
	struct bulla_dcap_parts parts;
	struct bulla_dcap_collateral dcap;
	struct bulla_buf memory; /* decoded bytes; reserved once, nothing in it moves */
	uint8_t binder[64];      /* what the report data must be, where the envelope says so (RA-TLS) */
	bool has_binder;
	bulla_bytes pieces[BULLA_FOREIGN_PIECES]; /* each file of collateral as it came, also from within an envelope */
	size_t piece_count;                       /* of all; only so many are kept */
	bulla_bytes envelope;          /* the one that is being opened */
	bulla_bytes decoded, digits;   /* the value of a wrapped message in JSON, and the characters that it was decoded from */
	struct bulla_form_fault fault; /* of an envelope that could not be opened, handed on or not; at: in the bytes that were given, 0 when unknown */
};

/* About 20 KiB and 1 MiB of memory; heap. BULLA_E_MEMORY. */
BULLA_CHECK bulla_rc bulla_foreign_init(struct bulla_foreign *ret);
void bulla_foreign_done(struct bulla_foreign *foreign);

/* *ret_evidence: what appraise takes. Trustee: {"quote", "cc_eventlog"?} (TDX, SGX), {"token"} (CCA), {"attestation_report",
 * "cert_chain"?} (SNP), {"hcl_report", ...} (Azure; as it is). Veraison: TSM report as CBOR map or JSON object {provider,
 * outblob, auxblob}, also inside ratsd's {"cmw", ...}. Envelopes come off first: hexadecimal, base64, PEM; certificates with
 * RA-TLS or CMW; CMW's JSON, tag and collection forms; SNP reports with their certificate table. Anything else is taken as it
 * is, and so is what cannot be opened but looks like evidence: the appraisal says what is wrong with it. Borrows from bytes and foreign.
 * BULLA_E_FORMAT, BULLA_E_LIMIT, BULLA_E_BINDER, with the rule and the place in foreign->fault. */
BULLA_CHECK bulla_rc bulla_foreign_evidence(struct bulla_foreign *foreign, bulla_bytes bytes, bulla_bytes *ret_evidence);

/* Where in the bytes that were given p stands, or the character of a wrapped message in JSON that it was decoded from. False when
 * neither is so. */
bool bulla_foreign_place(const struct bulla_foreign *foreign, bulla_bytes given, const uint8_t *p, size_t *ret_at);

/* Adds one file of collateral, by what is in it. BULLA_E_UNSUPPORTED for none of the known kinds. */
BULLA_CHECK bulla_rc bulla_foreign_collateral(struct bulla_foreign *foreign, bulla_bytes bytes);

/* When all files are in: verifies Intel's parts, if there are any, and points collateral.dcap at them. */
BULLA_CHECK bulla_rc bulla_foreign_ready(struct bulla_foreign *foreign, const struct bulla_attest_anchors *anchors);
