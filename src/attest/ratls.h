#pragma once
/* Evidence in certificates: CMW in id-pe-cmw (RFC 9999), and interoperable RA-TLS of the Confidential Computing Consortium
 * for SGX and TDX (as Gramine 1.8 and later writes it): CBOR tag 60000 [quote, claims], REPORTDATA = SHA-256(claims) || 0,
 * claims = {"nonce"?: bstr, "pubkey-hash": bstr of [hash algorithm, hash of SPKI]}. */
#include "base/wr.h"
#include "cose/cmw.h"
#include "crypto/x509.h"

#define BULLA_RATLS_CLAIMS_MAX 512

/* Content octets of the two OIDs: 1.3.6.1.5.5.7.1.35 and 2.23.133.5.4.9. */
extern const bulla_bytes bulla_oid_cmw;
extern const bulla_bytes bulla_oid_ratls;

/* ---- CMW as X.509 extension ---- */

/* The extension's value: the record in CBOR, in an OCTET STRING. */
void bulla_cmw_extension_write(bulla_wr *w, const struct bulla_cmw *record);
/* BULLA_E_NOT_FOUND without the extension; BULLA_E_UNSUPPORTED for the JSON form; BULLA_E_FORMAT. */
BULLA_CHECK bulla_rc bulla_cmw_extension_read(const struct bulla_cert *cert, struct bulla_cmw *ret);
/* The CBOR form's bytes: a record or a collection. BULLA_E_NOT_FOUND, BULLA_E_UNSUPPORTED for the JSON form. */
BULLA_CHECK bulla_rc bulla_cmw_extension_cbor(const struct bulla_cert *cert, bulla_bytes *ret);
/* The JSON form's text. BULLA_E_NOT_FOUND without the extension, BULLA_E_UNSUPPORTED for the CBOR form. */
BULLA_CHECK bulla_rc bulla_cmw_extension_text(const struct bulla_cert *cert, bulla_bytes *ret);

/* ---- interoperable RA-TLS ---- */
struct bulla_ratls {
	bulla_bytes quote;
	bulla_bytes claims; /* encoded, as hashed */
};

/* Claims for this key; nonce may be empty. The hash is SHA-256. */
void bulla_ratls_claims_write(bulla_wr *w, bulla_bytes spki, bulla_bytes nonce);

/* What REPORTDATA must be for these claims. */
void bulla_ratls_report_data(bulla_bytes claims, uint8_t ret[64]);

/* The extension's value. */
void bulla_ratls_write(bulla_wr *w, const struct bulla_ratls *evidence);
BULLA_CHECK bulla_rc bulla_ratls_read(bulla_bytes value, struct bulla_ratls *ret);
BULLA_CHECK bulla_rc bulla_ratls_from_cert(const struct bulla_cert *cert, struct bulla_ratls *ret);

/* The claims name this key (and nonce, unless empty): BULLA_E_BINDER. That REPORTDATA is the claims' hash is the
 * appraisal's business: expect bulla_ratls_report_data() as binder. */
BULLA_CHECK bulla_rc bulla_ratls_check(bulla_bytes claims, bulla_bytes spki, bulla_bytes nonce);

/* ---- older certificates, each with a binding of its own ---- */

/* Gramine before 1.8 (1.2.840.113741.1337.6: the quote; REPORTDATA = SHA-256(SPKI) || 0), Open Enclave and EGo
 * (1.3.6.1.4.1.311.105.1, .2 and 1.2.840.113556.10.1.1: headers, quote, claims; SHA-256 of SPKI, or of its PEM text with the
 * zero behind it), dstack (1.3.6.1.4.1.62397.1.1: the quote; SHA-512("ratls-cert:" || SPKI)). *ret: evidence, perhaps still
 * in Open Enclave's headers; ret_binder: what its report data must be. BULLA_E_NOT_FOUND without such an extension. */
BULLA_CHECK bulla_rc bulla_ratls_older(const struct bulla_cert *cert, bulla_bytes *ret, uint8_t ret_binder[64]);

/* ---- Open Enclave's evidence ---- */

/* True for its report header (version 1, remote, size) or attestation header (version 1, format, size): *ret is the rest. */
bool bulla_oe_header(bulla_bytes bytes, bulla_bytes *ret);

/* True for an SGX quote with custom claims behind it whose SHA-256 the report data begins with (the rest zero): *ret_quote is
 * the quote, ret_binder that report data. */
bool bulla_oe_claims(bulla_bytes bytes, bulla_bytes *ret_quote, uint8_t ret_binder[64]);
