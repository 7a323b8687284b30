#pragma once
/* Envelopes around evidence, taken off one after the other: text (hexadecimal, base64, PEM), certificates (RA-TLS, CMW), CMW
 * in its JSON, tag and collection forms, AMD's extended reports and guest responses. */
#include "attest/foreign.h"
#include "wire/cbor.h"
#include "wire/json.h"

#define BULLA_FOREIGN_NESTING 4 /* collections and objects inside of each other, CBOR or JSON */

/* Copies without white space what lies in bytes and decodes it: hexadecimal digits only, else base64. BULLA_E_FORMAT, _LIMIT. */
BULLA_CHECK bulla_rc bulla_foreign_text(struct bulla_foreign *foreign, bulla_bytes bytes, bulla_bytes *ret);

/* True when all bytes are digits of hexadecimal or base64, or white space, and enough for evidence. */
bool bulla_foreign_is_text(bulla_bytes bytes);

/* True when bytes, without space before them, are an envelope of text: JSON, PEM, or digits. */
bool bulla_foreign_is_wrapped(bulla_bytes bytes);

/* What the first PEM block holds; *ret_certificate: that its label says CERTIFICATE. */
BULLA_CHECK bulla_rc bulla_foreign_pem(struct bulla_foreign *foreign, bulla_bytes text, bulla_bytes *ret_der,
	bool *ret_certificate);

/* The evidence in a certificate's extension. RA-TLS, interoperable and older: the evidence must name the certificate's key
 * (BULLA_E_BINDER), and what REPORTDATA must then be is left in foreign->binder. BULLA_E_UNSUPPORTED without evidence. */
BULLA_CHECK bulla_rc bulla_foreign_certificate(struct bulla_foreign *foreign, bulla_bytes der, bulla_bytes *ret);

/* CMW (RFC 9999): JSON record [type, base64url, ? indicator]; the one record of a collection, CBOR or JSON, that is (or does
 * not say that it is not) evidence, collections inside included; endorsements beside it are taken as collateral; tag form.
 * depth: how many collections may still be around a record. What is wrong is in foreign->fault; of JSON that may be meant as something
 * else (not sure) only when it holds a record, or is nested too deeply. */
BULLA_CHECK bulla_rc bulla_foreign_cmw_json(struct bulla_foreign *foreign, bulla_json value, unsigned depth, bool sure,
	bulla_bytes *ret);
BULLA_CHECK bulla_rc bulla_foreign_cmw_cbor(struct bulla_foreign *foreign, bulla_bytes bytes, bulla_bytes *ret);
/* The tag form to the end of the reader; on failure r stands at what is wrong. */
BULLA_CHECK bulla_rc bulla_foreign_cmw_tag(bulla_cbor_rd *r, bulla_bytes *ret);

/* True for an SNP report with its certificate table (SNP_GET_EXT_REPORT) or certificates (DER or PEM) behind it, or in
 * /dev/sev-guest's response (32 bytes of head, zeros behind): then *ret is the report, and the rest is taken as collateral. */
bool bulla_foreign_snp_response(struct bulla_foreign *foreign, bulla_bytes bytes, bulla_bytes *ret);
