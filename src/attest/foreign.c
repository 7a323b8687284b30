#include "attest/foreign.h"

#include "attest/foreign_json.h"
#include "attest/foreign_wrap.h"
#include "attest/form.h"
#include "attest/pem.h"
#include "attest/quote.h"
#include "attest/ratls.h"
#include "attest/textual.h"
#include "wire/cbor.h"
#include "wire/der.h"

#define EVENT_NO_ACTION 3
#define TABLE_MIN 24
#define ENVELOPES_MAX 8

bulla_rc bulla_foreign_init(struct bulla_foreign *ret)
{
	*ret = (struct bulla_foreign){0};
	bulla_buf_init(&ret->memory, BULLA_FOREIGN_MEMORY);
	return bulla_buf_reserve(&ret->memory, BULLA_FOREIGN_MEMORY);
}

void bulla_foreign_done(struct bulla_foreign *foreign)
{
	bulla_buf_done(&foreign->memory);
}

static size_t room(const struct bulla_foreign *foreign)
{
	return foreign->memory.cap - foreign->memory.n;
}

static bulla_bytes keep(struct bulla_foreign *foreign, size_t size)
{
	bulla_bytes kept = bulla_bytes_of(foreign->memory.p + foreign->memory.n, size);

	foreign->memory.n += size;
	return kept;
}

/* ---- evidence ---- */
/* {"auxblob": bstr, "outblob": bstr, "provider": tstr}: the provider's word is ignored. */
static bulla_rc tsm_map(struct bulla_foreign *foreign, bulla_cbor_rd *r, bulla_bytes *ret)
{
	struct bulla_cbor_map map;
	bulla_bytes key, ignored, report = {NULL, 0};

	BULLA_TRY(bulla_cbor_rd_map(r, 8, &map));
	while (bulla_cbor_map_more(r, &map)) {
		BULLA_TRY(bulla_cbor_rd_key_text(r, &map, &key));
		if (bulla_bytes_eq_str(key, "outblob"))
			BULLA_TRY(bulla_cbor_rd_bytes(r, &report));
		else if (bulla_bytes_eq_str(key, "auxblob"))
			BULLA_TRY(bulla_cbor_rd_bytes(r, &foreign->collateral.certificate_table));
		else
			BULLA_TRY(bulla_cbor_rd_skip(r, &ignored));
	}
	BULLA_TRY(bulla_cbor_rd_end(r));
	if (report.p == NULL)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "the TSM report has no outblob");
	*ret = report;
	return BULLA_OK;
}

/* A map of a TSM report, else a CMW collection. */
static bulla_rc cbor_evidence(struct bulla_foreign *foreign, bulla_bytes bytes, bulla_bytes *ret)
{
	if (bytes.p[0] < 0xb8 && bytes.p[1] >> 5 < 2) /* the names of a TSM report are texts */
		return bulla_foreign_cmw_cbor(foreign, bytes, ret);
	bulla_cbor_rd r = bulla_cbor_rd_with(bytes, (struct bulla_cbor_options){.unordered_keys = true});
	bulla_rc rc = tsm_map(foreign, &r, ret);

	if (rc == BULLA_OK)
		return BULLA_OK;
	const struct bulla_form_fault fault = bulla_form_fault_of(rc, &r, true);
	bulla_rc other = bulla_foreign_cmw_cbor(foreign, bytes, ret);
	if (other == BULLA_OK || rc == BULLA_E_NOT_FOUND)
		return other;
	foreign->fault = fault;
	return rc;
}

/* A byte string of CBOR around everything. */
static bool is_byte_string(bulla_bytes bytes, bulla_bytes *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(bytes);

	return bytes.n > 0 && bytes.p[0] >= 0x58 && bytes.p[0] <= 0x5a && bulla_cbor_rd_bytes(&r, ret) == BULLA_OK &&
		bulla_cbor_rd_end(&r) == BULLA_OK;
}

/* DER with the length of something large: a certificate, or the value of CMW's extension without one, an OCTET STRING around a
 * record or a collection. No evidence begins like this: a report's or quote's version has a zero there. */
static bool is_der(bulla_bytes bytes, unsigned tag)
{
	return bytes.n >= 2 && bytes.p[0] == tag && bytes.p[1] > 0x80 && bytes.p[1] < 0x85;
}

/* The one element that the bytes are; what ends early, or goes on, is named by its length. */
static bulla_rc open_der(struct bulla_foreign *foreign, bulla_bytes bytes, unsigned tag, bulla_bytes *ret)
{
	bulla_rd r = bulla_rd_of(bytes);
	bulla_bytes value;
	bulla_rc rc = bulla_der_rd_value(&r, tag, &value);

	if (rc == BULLA_OK)
		rc = bulla_rd_end(&r);
	if (rc == BULLA_OK)
		*ret = value;
	else
		foreign->fault = bulla_form_json_fault(rc, rc == BULLA_E_TRUNCATED ? bytes.n : r.at);
	if (rc == BULLA_E_TRUNCATED)
		foreign->fault.text = "the bytes end early";
	return rc;
}

static bulla_rc open_certificate(struct bulla_foreign *foreign, bulla_bytes der, bulla_bytes *ret)
{
	bulla_bytes ignored;

	BULLA_TRY(open_der(foreign, der, BULLA_DER_SEQUENCE, &ignored));
	return bulla_foreign_certificate(foreign, der, ret);
}

static bulla_bytes without_space(bulla_bytes bytes)
{
	static const uint8_t mark[] = {0xef, 0xbb, 0xbf}; /* the byte order mark that some editors write */
	size_t at = bytes.n >= 3 && bulla_bytes_eq(bulla_bytes_of(bytes.p, 3), BULLA_BYTES_ARRAY(mark)) ? 3 : 0;

	while (at < bytes.n && (bytes.p[at] == ' ' || bytes.p[at] == '\n' || bytes.p[at] == '\r' || bytes.p[at] == '\t'))
		at++;
	return bulla_bytes_of(bytes.p + at, bytes.n - at);
}

/* The issuer of the PCK revocation list stands in the quote's own chain, behind the leaf: taken when PCS's header is not at
 * hand. It is verified like any other. */
static void note_quote(struct bulla_foreign *foreign, bulla_bytes evidence)
{
	static const char end[] = "-----END CERTIFICATE-----\n";
	const size_t n = sizeof(end) - 1;
	struct bulla_form_fault fault;
	struct bulla_quote quote;

	if (bulla_quote_read(evidence, &quote, &fault) != BULLA_OK)
		return;
	for (size_t i = 0; i + n < quote.certification.n; i++)
		if (bulla_bytes_eq_str(bulla_bytes_of(quote.certification.p + i, n), end)) {
			foreign->parts.pck_crl_chain =
				bulla_bytes_of(quote.certification.p + i + n, quote.certification.n - i - n);
			return;
		}
}

static bulla_rc text_evidence(struct bulla_foreign *foreign, bulla_bytes text, bulla_bytes *ret)
{
	bulla_bytes der;

	if (text.p[0] == '{' || text.p[0] == '[' || text.p[0] == '"')
		return bulla_foreign_json(foreign, text, ret);
	if (text.p[0] == '-') {
		bool certificate;

		BULLA_TRY(bulla_foreign_pem(foreign, text, &der, &certificate));
		if (certificate)
			return bulla_foreign_certificate(foreign, der, ret);
		*ret = der;
		return BULLA_OK;
	}
	bulla_rc rc = bulla_foreign_text(foreign, text, ret);
	if (rc != BULLA_OK) /* all are digits: what is wrong is how many */
		foreign->fault = bulla_form_json_fault(rc, text.n);
	return rc;
}

static bulla_rc open_tag(struct bulla_foreign *foreign, bulla_bytes bytes, bulla_bytes *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(bytes);
	bulla_rc rc = bulla_foreign_cmw_tag(&r, ret);

	if (rc != BULLA_OK)
		foreign->fault = bulla_form_fault_of(rc, &r, true);
	return rc;
}

/* Takes one envelope off; *ret is bytes when there is none. */
static bulla_rc open_one(struct bulla_foreign *foreign, bulla_bytes bytes, bulla_bytes *ret)
{
	bulla_bytes text = without_space(bytes);

	foreign->envelope = bulla_foreign_is_wrapped(text) ? text : bytes;
	*ret = bytes;
	if (bulla_foreign_is_wrapped(text))
		return text_evidence(foreign, text, ret);
	if (is_der(bytes, BULLA_DER_SEQUENCE))
		return open_certificate(foreign, bytes, ret);
	if (is_der(bytes, BULLA_DER_OCTET_STRING))
		return open_der(foreign, bytes, BULLA_DER_OCTET_STRING, ret);
	if (bytes.n > 4 && bytes.p[0] >> 5 == 5) /* a CBOR map */
		return cbor_evidence(foreign, bytes, ret);
	if (bytes.n > 1 && bytes.p[0] == 0xda && bytes.p[1] == 0x63)
		return open_tag(foreign, bytes, ret);
	if (is_byte_string(bytes, ret) || bulla_oe_header(bytes, ret))
		return BULLA_OK;
	if (!bulla_foreign_snp_response(foreign, bytes, ret))
		*ret = bytes;
	return BULLA_OK;
}

static bool is_at(bulla_bytes bytes, const uint8_t *p, size_t *ret_at)
{
	*ret_at = (size_t)((uintptr_t)p - (uintptr_t)bytes.p);
	return bytes.p != NULL && *ret_at <= bytes.n;
}

bool bulla_foreign_place(const struct bulla_foreign *foreign, bulla_bytes given, const uint8_t *p, size_t *ret_at)
{
	const bulla_bytes digits = foreign->digits;
	size_t at;

	if (is_at(given, p, ret_at))
		return true;
	if (digits.p == NULL || !is_at(foreign->decoded, p, &at))
		return false;
	return is_at(given, digits.p + (at < foreign->decoded.n ? at * 4 / 3 : digits.n), ret_at);
}

/* Of an envelope: what is wrong, when who opened it has not said so already, and where in the bytes that were given. */
static void note_fault(struct bulla_foreign *foreign, bulla_rc rc, bulla_bytes given)
{
	const bulla_bytes envelope = foreign->envelope;
	size_t at;

	if (foreign->fault.text == NULL)
		foreign->fault = bulla_form_json_fault(rc, rc == BULLA_E_TRUNCATED ? envelope.n : 0);
	if (rc == BULLA_E_BINDER)
		foreign->fault.factor = BULLA_FACTOR_BINDER;
	if (rc == BULLA_E_EVIDENCE_FORMAT) /* its label names another kind */
		foreign->fault.factor = BULLA_FACTOR_TEE;
	foreign->fault.at = bulla_foreign_place(foreign, given, envelope.p + foreign->fault.at, &at) ? at : 0;
}

/* What is no envelope after all is for the appraisal to refuse; what an envelope says of its content stands. */
static bool is_evidence(bulla_rc rc, bulla_bytes bytes)
{
	return rc != BULLA_E_BINDER && rc != BULLA_E_EVIDENCE_FORMAT && bulla_attest_guess(bytes) != BULLA_TEE_NONE;
}

bulla_rc bulla_foreign_evidence(struct bulla_foreign *foreign, bulla_bytes bytes, bulla_bytes *ret_evidence)
{
	bulla_bytes inside = bytes;

	for (unsigned i = 0; i < ENVELOPES_MAX; i++) {
		bulla_bytes outside = inside;

		foreign->fault = (struct bulla_form_fault){.text = NULL};
		bulla_rc rc = open_one(foreign, outside, &inside);
		if (rc != BULLA_OK)
			note_fault(foreign, rc, bytes);
		else
			foreign->fault.text = NULL; /* of what it was taken for in vain */
		if (rc != BULLA_OK && is_evidence(rc, without_space(outside))) {
			inside = without_space(outside);
			break;
		}
		BULLA_TRY(rc);
		if (inside.p == outside.p && inside.n == outside.n)
			break;
	}
	if (bulla_oe_claims(inside, &inside, foreign->binder))
		foreign->has_binder = true;
	*ret_evidence = inside;
	if (foreign->parts.pck_crl_chain.n == 0)
		note_quote(foreign, bulla_attest_inside(*ret_evidence));
	return BULLA_OK;
}

/* ---- collateral ---- */
static bulla_rc add_certificate(struct bulla_foreign *foreign, bulla_bytes der)
{
	struct bulla_attest_collateral *collateral = &foreign->collateral;

	if (collateral->certificate_count == BULLA_ATTEST_CERTIFICATES)
		return BULLA_FAIL(BULLA_E_LIMIT, "there are too many certificates");
	collateral->certificates[collateral->certificate_count++] = der;
	return BULLA_OK;
}

static bulla_bytes common_name(bulla_bytes name)
{
	static const uint8_t oid[] = {0x55, 0x04, 0x03};
	bulla_bytes value;

	return bulla_name_find(name, BULLA_BYTES_ARRAY(oid), &value) == BULLA_OK ? value : (bulla_bytes){NULL, 0};
}

/* Intel's chains are kept as text too: their place is named by the first certificate. */
static void note_chain(struct bulla_foreign *foreign, bulla_bytes pem, bulla_bytes first)
{
	struct bulla_cert cert;

	if (bulla_cert_parse(first, &cert) != BULLA_OK)
		return;
	bulla_bytes name = common_name(cert.subject);
	if (bulla_bytes_eq_str(name, "Intel SGX TCB Signing"))
		foreign->parts.tcb_info_chain = foreign->parts.qe_identity_chain = pem;
	else if (bulla_bytes_eq_str(name, "Intel SGX PCK Platform CA") || bulla_bytes_eq_str(name, "Intel SGX PCK Processor CA"))
		foreign->parts.pck_crl_chain = pem;
}

static bulla_rc add_pem(struct bulla_foreign *foreign, bulla_bytes text)
{
	bulla_bytes chain[BULLA_ATTEST_CERTIFICATES];
	size_t count, used = 0;

	BULLA_TRY(bulla_pem_chain(text, foreign->memory.p + foreign->memory.n, room(foreign), BULLA_ATTEST_CERTIFICATES, chain,
		&count));
	for (size_t i = 0; i < count; i++) {
		BULLA_TRY(add_certificate(foreign, chain[i]));
		used += chain[i].n;
	}
	foreign->memory.n += used;
	if (count > 0)
		note_chain(foreign, text, chain[0]);
	return BULLA_OK;
}

/* Intel's issuer chains come percent-encoded in a header (RFC 3986 section 2.1). */
static bulla_rc add_encoded_pem(struct bulla_foreign *foreign, bulla_bytes text)
{
	uint8_t *memory = foreign->memory.p + foreign->memory.n;
	size_t n = 0, ignored;

	for (size_t i = 0; i < text.n; i++, n++) {
		if (n == room(foreign))
			return BULLA_FAIL(BULLA_E_LIMIT, "no room for the collateral");
		memory[n] = text.p[i];
		if (text.p[i] != '%')
			continue;
		if (text.n - i < 3)
			return BULLA_FAIL(BULLA_E_FORMAT, "a percent sign without its digits");
		BULLA_TRY(bulla_foreign_hex(bulla_bytes_of(text.p + i + 1, 2), 1, memory + n, &ignored));
		i += 2;
	}
	return add_pem(foreign, keep(foreign, n));
}

static bulla_rc add_der(struct bulla_foreign *foreign, bulla_bytes der)
{
	struct bulla_cert cert;
	struct bulla_crl crl;

	if (bulla_cert_parse(der, &cert) == BULLA_OK)
		return add_certificate(foreign, der);
	BULLA_TRY(bulla_crl_parse(der, &crl));
	bulla_bytes issuer = common_name(crl.issuer);
	if (bulla_bytes_eq_str(issuer, "Intel SGX Root CA")) {
		foreign->parts.root_crl = der;
	} else if (issuer.n > 9 && bulla_bytes_eq_str(bulla_bytes_of(issuer.p, 9), "Intel SGX")) {
		foreign->parts.pck_crl = der;
	} else {
		if (foreign->collateral.crl_count == BULLA_ATTEST_CRLS)
			return BULLA_FAIL(BULLA_E_LIMIT, "there are too many revocation lists");
		foreign->collateral.crls[foreign->collateral.crl_count++] = der;
	}
	return BULLA_OK;
}

static bool has(bulla_json object, const char *name)
{
	bulla_json ignored;

	return bulla_json_get_str(object, name, &ignored) == BULLA_OK;
}

static bulla_rc take_pcs(struct bulla_foreign *foreign, bulla_bytes json, const char *name, bulla_bytes *ret_inner,
	bulla_bytes *ret_signature)
{
	uint8_t signature[64];

	BULLA_TRY(bulla_dcap_unwrap(json, name, ret_inner, signature));
	if (room(foreign) < sizeof(signature))
		return BULLA_FAIL(BULLA_E_LIMIT, "no room for the collateral");
	bulla_copy(foreign->memory.p + foreign->memory.n, signature, sizeof(signature));
	*ret_signature = keep(foreign, sizeof(signature));
	return BULLA_OK;
}

static bulla_rc add_json(struct bulla_foreign *foreign, bulla_bytes text)
{
	struct bulla_dcap_parts *parts = &foreign->parts;
	bulla_json object;

	BULLA_TRY(bulla_json_parse(text, &object));
	if (has(object, "tcb_info"))
		return bulla_dcap_bundle_read(text, &foreign->memory, parts);
	if (has(object, "tcbInfo"))
		return take_pcs(foreign, text, "tcbInfo", &parts->tcb_info, &parts->tcb_info_signature);
	if (has(object, "enclaveIdentity"))
		return take_pcs(foreign, text, "enclaveIdentity", &parts->qe_identity, &parts->qe_identity_signature);
	return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the JSON is no collateral of a known kind");
}

/* TCG event log: register index, then event type "no action", of the first event. */
static bool is_event_log(bulla_bytes bytes)
{
	return bytes.n > 64 && bytes.p[4] == EVENT_NO_ACTION && bytes.p[5] == 0 && bytes.p[6] == 0 && bytes.p[7] == 0 &&
		bulla_bytes_eq(bulla_bytes_of(bytes.p + 32, 15), bulla_bytes_str("Spec ID Event03"));
}

static void note_piece(struct bulla_foreign *foreign, bulla_bytes bytes)
{
	if (foreign->piece_count < BULLA_FOREIGN_PIECES)
		foreign->pieces[foreign->piece_count] = bytes;
	foreign->piece_count++;
}

static bulla_rc add_file(struct bulla_foreign *foreign, bulla_bytes bytes)
{
	bulla_bytes text = without_space(bytes);

	if (text.n > 0 && text.p[0] == '{')
		return add_json(foreign, text);
	if (text.n > 11 && bulla_bytes_eq_str(bulla_bytes_of(text.p, 11), "-----BEGIN "))
		return add_pem(foreign, text);
	if (text.n > 13 && bulla_bytes_eq_str(bulla_bytes_of(text.p, 13), "-----BEGIN%20"))
		return add_encoded_pem(foreign, text);
	if (bulla_foreign_is_text(text)) { /* PCCS answers some lists in hexadecimal */
		BULLA_TRY(bulla_foreign_text(foreign, text, &bytes));
	}
	if (bytes.n > 4 && bytes.p[0] == 0x30 && bytes.p[1] >= 0x80)
		return add_der(foreign, bytes);
	if (is_event_log(bytes)) {
		foreign->collateral.event_log = bytes;
		return BULLA_OK;
	}
	if (bytes.n < TABLE_MIN)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the file is no collateral of a known kind");
	foreign->collateral.certificate_table = bytes;
	return BULLA_OK;
}

bulla_rc bulla_foreign_collateral(struct bulla_foreign *foreign, bulla_bytes bytes)
{
	BULLA_TRY(add_file(foreign, bytes));
	note_piece(foreign, bytes);
	return BULLA_OK;
}

bulla_rc bulla_foreign_ready(struct bulla_foreign *foreign, const struct bulla_attest_anchors *anchors)
{
	if (foreign->parts.tcb_info.n == 0 && foreign->parts.qe_identity.n == 0)
		return BULLA_OK;
	BULLA_TRY(bulla_dcap_collateral_read(&foreign->parts, anchors, &foreign->memory, &foreign->dcap));
	foreign->collateral.dcap = &foreign->dcap;
	return BULLA_OK;
}
