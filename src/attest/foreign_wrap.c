#include "attest/foreign_wrap.h"

#include "attest/form.h"
#include "attest/ratls.h"
#include "attest/snp.h"
#include "attest/textual.h"
#include "base/rd.h"
#include "wire/cbor.h"
#include "wire/der.h"

#define TEXT_LEAST 128
#define RESPONSE_HEAD 32 /* status, size, 24 reserved (MSG_REPORT_RSP) */
#define TABLE_ENTRY 24
#define PEM_BEGIN "-----BEGIN "
#define PEM_CERTIFICATE "CERTIFICATE-----"
#define NESTING_MAX 4

/* RFC 9999 section 3.2: TN() of CoAP content formats 0 to 65024 */
#define CMW_TAG_FIRST UINT64_C(1668546817)
#define CMW_TAG_LAST UINT64_C(1668612095)

/* Between digits: also the colons of openssl's and others' hexadecimal. */
static bool is_space(uint8_t c)
{
	return c == ':' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_hex(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_base64(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' || c == '/' || c == '-' ||
		c == '_' || c == '=';
}

bool bulla_foreign_is_text(bulla_bytes bytes)
{
	for (size_t i = 0; i < bytes.n; i++)
		if (!is_base64(bytes.p[i]) && !is_space(bytes.p[i]))
			return false;
	return bytes.n >= TEXT_LEAST;
}

bool bulla_foreign_is_wrapped(bulla_bytes bytes)
{
	return bytes.n > 0 && (bytes.p[0] == '{' || bytes.p[0] == '[' || bytes.p[0] == '"' || bytes.p[0] == '-' ||
		bulla_foreign_is_text(bytes));
}

static bulla_bytes without_prefix(bulla_bytes digits)
{
	bool prefixed = digits.n > 2 && digits.p[0] == '0' && (digits.p[1] == 'x' || digits.p[1] == 'X');

	for (size_t i = 2; prefixed && i < digits.n; i++)
		if (!is_hex(digits.p[i]))
			return digits;
	return prefixed ? bulla_bytes_of(digits.p + 2, digits.n - 2) : digits;
}

/* Decoding is in place: what is written never overtakes what is read. */
bulla_rc bulla_foreign_text(struct bulla_foreign *foreign, bulla_bytes bytes, bulla_bytes *ret)
{
	uint8_t *memory = foreign->memory.p + foreign->memory.n;
	size_t room = foreign->memory.cap - foreign->memory.n, n = 0, size;

	if (bytes.n > room)
		return BULLA_FAIL(BULLA_E_LIMIT, "no room for the decoded text");
	for (size_t i = 0; i < bytes.n; i++)
		if (!is_space(bytes.p[i]))
			memory[n++] = bytes.p[i];
	bulla_bytes digits = without_prefix(bulla_bytes_of(memory, n));
	bool hex = true;
	for (size_t i = 0; i < digits.n && hex; i++)
		hex = is_hex(digits.p[i]);
	BULLA_TRY(hex ? bulla_foreign_hex(digits, room, memory, &size) : bulla_foreign_base64(digits, room, memory, &size));
	foreign->memory.n += size;
	*ret = bulla_bytes_of(memory, size);
	return BULLA_OK;
}

bulla_rc bulla_foreign_pem(struct bulla_foreign *foreign, bulla_bytes text, bulla_bytes *ret_der, bool *ret_certificate)
{
	const size_t head = sizeof(PEM_BEGIN) - 1, word = sizeof(PEM_CERTIFICATE) - 1;
	size_t begin = head, end;

	if (text.n < head)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the text is neither evidence nor PEM");
	while (begin < text.n && text.p[begin] != '-' && text.p[begin] != '\n')
		begin++;
	if (text.n - begin < 5 || !bulla_bytes_eq_str(bulla_bytes_of(text.p, head), PEM_BEGIN) ||
		!bulla_bytes_eq_str(bulla_bytes_of(text.p + begin, 5), "-----"))
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the text is neither evidence nor PEM");
	begin += 5;
	*ret_certificate = begin == head + word && bulla_bytes_eq_str(bulla_bytes_of(text.p + head, word), PEM_CERTIFICATE);
	for (end = begin; end < text.n && text.p[end] != '-';)
		end++;
	return bulla_foreign_text(foreign, bulla_bytes_of(text.p + begin, end - begin), ret_der);
}

bulla_rc bulla_foreign_certificate(struct bulla_foreign *foreign, bulla_bytes der, bulla_bytes *ret)
{
	struct bulla_cert cert;
	struct bulla_ratls ratls;

	BULLA_TRY(bulla_cert_parse(der, &cert));
	bulla_rc rc = bulla_ratls_from_cert(&cert, &ratls);
	if (rc == BULLA_OK) {
		BULLA_TRY(bulla_ratls_check(ratls.claims, cert.spki, (bulla_bytes){NULL, 0}));
		bulla_ratls_report_data(ratls.claims, foreign->binder);
		foreign->has_binder = true;
		*ret = ratls.quote;
		return BULLA_OK;
	}
	if (rc == BULLA_E_NOT_FOUND) /* newer certificates of Gramine carry both kinds */
		rc = bulla_ratls_older(&cert, ret, foreign->binder);
	foreign->has_binder = foreign->has_binder || rc == BULLA_OK;
	if (rc != BULLA_E_NOT_FOUND)
		return rc;
	bulla_bytes text;
	rc = bulla_cmw_extension_text(&cert, &text);
	if (rc == BULLA_OK) {
		*ret = text;
		return BULLA_OK;
	}
	rc = bulla_cmw_extension_cbor(&cert, &text);
	if (rc == BULLA_E_NOT_FOUND)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the certificate carries no evidence");
	BULLA_TRY(rc);
	return bulla_foreign_cmw_cbor(foreign, text, ret);
}

/* ---- CMW: of all records the one that is evidence ---- */
struct found {
	struct bulla_foreign *foreign;
	bulla_bytes whole; /* the message, to say where something is wrong */
	bulla_bytes evidence;
	size_t count;
};

static bulla_rc consider(struct found *found, uint64_t ind, bulla_bytes label, bulla_bytes value)
{
	if (!bulla_attest_label_fits(label, value))
		return BULLA_FAIL(BULLA_E_EVIDENCE_FORMAT, "the label around the evidence names another kind");
	if (ind == 0 || (ind & BULLA_CMW_EVIDENCE) != 0) {
		found->evidence = value;
		found->count++;
	} else if ((ind & BULLA_CMW_ENDORSEMENTS) != 0 && bulla_foreign_collateral(found->foreign, value) != BULLA_OK) {
		return BULLA_OK; /* one that cannot be read will be missed */
	}
	return BULLA_OK;
}

static bulla_rc note_json(struct found *found, bulla_rc rc, bulla_json value)
{
	if (rc != BULLA_OK)
		found->foreign->fault = bulla_form_json_fault(rc, (size_t)(value.raw.p - found->whole.p));
	return rc;
}

static bulla_rc note_cbor(struct found *found, bulla_rc rc, const bulla_cbor_rd *r)
{
	if (rc != BULLA_OK && found->foreign->fault.text == NULL) {
		found->foreign->fault = bulla_form_fault_of(rc, r, false);
		found->foreign->fault.at += (size_t)(r->rd.p - found->whole.p);
	}
	return rc;
}

static bulla_rc the_one(const struct found *found, bulla_bytes *ret)
{
	if (found->count != 1)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the wrapped messages hold not exactly one piece of evidence");
	*ret = found->evidence;
	return BULLA_OK;
}

static bulla_rc json_record(bulla_json array, struct found *found)
{
	bulla_json name, item, value = array, type = array;
	int64_t ind = 0;
	size_t n = 0;
	bulla_bytes text, label = {NULL, 0};

	for (struct bulla_json_iter iter = bulla_json_begin(array); bulla_json_next(&iter, &name, &item); n++) {
		if (n == 0)
			type = item;
		else if (n == 1)
			value = item;
		else if (n == 2)
			BULLA_TRY(bulla_json_int(item, 1, UINT32_MAX, &ind));
	}
	if (n < 2 || n > 3 ||
		(bulla_json_type(type) != BULLA_JSON_STRING && bulla_json_type(type) != BULLA_JSON_NUMBER))
		return BULLA_FAIL(BULLA_E_FORMAT, "a wrapped message is no record");
	if (bulla_json_type(type) == BULLA_JSON_STRING)
		BULLA_TRY(bulla_json_string_view(type, &label));
	BULLA_TRY(note_json(found, bulla_json_string_view(value, &text), value));
	BULLA_TRY(note_json(found, bulla_foreign_text(found->foreign, text, &text), value));
	return consider(found, (uint64_t)ind, label, text);
}

static bulla_rc json_item(bulla_json value, unsigned depth, struct found *found)
{
	bulla_json name, item;

	if (bulla_json_type(value) == BULLA_JSON_ARRAY)
		return json_record(value, found);
	if (bulla_json_type(value) != BULLA_JSON_OBJECT || depth == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a wrapped message is neither a record nor a collection");
	for (struct bulla_json_iter iter = bulla_json_begin(value); bulla_json_next(&iter, &name, &item);)
		if (!bulla_json_string_is(name, bulla_bytes_str("__cmwc_t")))
			BULLA_TRY(json_item(item, depth - 1, found));
	return BULLA_OK;
}

bulla_rc bulla_foreign_cmw_json(struct bulla_foreign *foreign, bulla_json value, bulla_bytes *ret)
{
	struct found found = {.foreign = foreign, .whole = value.raw};

	BULLA_TRY(json_item(value, NESTING_MAX, &found));
	return the_one(&found, ret);
}

static bulla_rc cbor_item(bulla_bytes bytes, unsigned depth, struct found *found);

/* Labels are texts or integers; "__cmwc_t" names the collection's type. */
static bulla_rc cbor_collection(bulla_bytes bytes, unsigned depth, struct found *found)
{
	bulla_cbor_rd r = bulla_cbor_rd_with(bytes, (struct bulla_cbor_options){.unordered_keys = true});
	struct bulla_cbor_map map;

	BULLA_TRY(bulla_cbor_rd_map(&r, BULLA_CMW_ITEMS + 1, &map));
	while (bulla_cbor_map_more(&r, &map)) {
		enum bulla_cbor_type type;
		bulla_bytes label = {NULL, 0}, item;
		int64_t number;

		BULLA_TRY(bulla_cbor_rd_peek(&r, &type));
		if (type == BULLA_CBOR_TEXT)
			BULLA_TRY(bulla_cbor_rd_key_text(&r, &map, &label));
		else
			BULLA_TRY(bulla_cbor_rd_key_int(&r, &map, &number));
		BULLA_TRY(bulla_cbor_rd_skip(&r, &item));
		if (!bulla_bytes_eq_str(label, "__cmwc_t"))
			BULLA_TRY(cbor_item(item, depth - 1, found));
	}
	return bulla_cbor_rd_end(&r);
}

static bulla_rc cbor_item(bulla_bytes bytes, unsigned depth, struct found *found)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(bytes);
	struct bulla_cmw record = {.ind = 0};
	enum bulla_cbor_type type;

	BULLA_TRY(bulla_cbor_rd_peek(&r, &type));
	if (type == BULLA_CBOR_MAP && depth > 0)
		return cbor_collection(bytes, depth, found);
	if (type == BULLA_CBOR_TAG)
		BULLA_TRY(bulla_foreign_cmw_tag(bytes, &record.value));
	else
		BULLA_TRY(note_cbor(found, bulla_cmw_rd(&r, &record), &r));
	return consider(found, record.ind, record.media_type, record.value);
}

bulla_rc bulla_foreign_cmw_cbor(struct bulla_foreign *foreign, bulla_bytes bytes, bulla_bytes *ret)
{
	struct found found = {.foreign = foreign, .whole = bytes};

	BULLA_TRY(cbor_item(bytes, NESTING_MAX, &found));
	return the_one(&found, ret);
}

bulla_rc bulla_foreign_cmw_tag(bulla_bytes bytes, bulla_bytes *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(bytes);
	uint64_t tag;

	BULLA_TRY(bulla_cbor_rd_tag(&r, &tag));
	if (tag < CMW_TAG_FIRST || tag > CMW_TAG_LAST)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the tag is none of a wrapped message");
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, BULLA_FOREIGN_MEMORY, ret));
	return bulla_cbor_rd_end(&r);
}

/* A table begins with an entry whose certificate lies behind the entries and within the table; more is looked at later. */
static bool looks_like_table(bulla_bytes bytes)
{
	bulla_rd r = bulla_rd_of(bytes);
	uint32_t offset = 0, size = 0;

	return bulla_rd_skip(&r, 16) == BULLA_OK && bulla_rd_u32le(&r, &offset) == BULLA_OK &&
		bulla_rd_u32le(&r, &size) == BULLA_OK &&
		offset % TABLE_ENTRY == 0 && offset >= 2 * TABLE_ENTRY && offset <= bytes.n && size <= bytes.n - offset;
}

static bool is_response(bulla_bytes bytes)
{
	bulla_rd r = bulla_rd_of(bytes);
	uint32_t status = 1, size = 0;

	return bulla_rd_u32le(&r, &status) == BULLA_OK && bulla_rd_u32le(&r, &size) == BULLA_OK && status == 0 &&
		size == BULLA_SNP_REPORT_SIZE && bytes.n >= RESPONSE_HEAD + BULLA_SNP_REPORT_SIZE;
}

/* Certificates one after the other, in DER or PEM. */
static bool take_certificates(struct bulla_foreign *foreign, bulla_bytes rest)
{
	bulla_rd r = bulla_rd_of(rest);
	bulla_bytes der;

	if (rest.p[0] == '-')
		return bulla_foreign_collateral(foreign, rest) == BULLA_OK;
	while (bulla_rd_left(&r) > 0)
		if (bulla_der_rd_whole(&r, BULLA_DER_SEQUENCE, &der) != BULLA_OK ||
			bulla_foreign_collateral(foreign, der) != BULLA_OK)
			return false;
	return true;
}

bool bulla_foreign_snp_response(struct bulla_foreign *foreign, bulla_bytes bytes, bulla_bytes *ret)
{
	const size_t report = BULLA_SNP_REPORT_SIZE;

	if (is_response(bytes)) {
		const size_t whole = RESPONSE_HEAD + report;
		*ret = bulla_bytes_of(bytes.p + RESPONSE_HEAD, report);
		return bulla_bytes_is_zero_ct(bulla_bytes_of(bytes.p + 8, RESPONSE_HEAD - 8)) &&
			bulla_bytes_is_zero_ct(bulla_bytes_of(bytes.p + whole, bytes.n - whole));
	}
	if (bytes.n <= report || bytes.p[0] < 2 || bytes.p[0] > 5 || bytes.p[1] != 0 || bytes.p[2] != 0 || bytes.p[3] != 0)
		return false;
	bulla_bytes table = bulla_bytes_of(bytes.p + report, bytes.n - report);
	if (looks_like_table(table))
		foreign->collateral.certificate_table = table;
	else if (!take_certificates(foreign, table))
		return false;
	*ret = bulla_bytes_of(bytes.p, report);
	return true;
}
