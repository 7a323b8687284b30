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
	bulla_bytes evidence, digits; /* digits: in JSON, what it was decoded from */
	const uint8_t *other;         /* where a record says that it is something else */
	size_t count;
	bool sure; /* that the JSON is meant as wrapped messages */
};

/* Offset in the envelope; 0 of what was decoded (PEM). */
static size_t place_of(const struct found *found, const uint8_t *p)
{
	size_t at = (size_t)((uintptr_t)p - (uintptr_t)found->foreign->envelope.p);

	return at <= found->foreign->envelope.n ? at : 0;
}

static bulla_rc wrong(struct found *found, enum bulla_factor factor, const uint8_t *p, const char *text)
{
	found->foreign->fault = (struct bulla_form_fault){factor, place_of(found, p), text};
	return BULLA_FAIL(BULLA_E_FORMAT, "a wrapped message is neither a record nor a collection");
}

/* at: where the record begins; ind_at: its indicator. */
static bulla_rc consider(struct found *found, const struct bulla_cmw *record, const uint8_t *at, const uint8_t *ind_at)
{
	if (!bulla_attest_label_fits(record->media_type, record->value)) {
		(void)wrong(found, BULLA_FACTOR_TEE, record->media_type.p, "the label around the evidence names another kind");
		return BULLA_FAIL(BULLA_E_EVIDENCE_FORMAT, "the label around the evidence names another kind");
	}
	if (record->ind == 0 || (record->ind & BULLA_CMW_EVIDENCE) != 0) {
		if (found->count++ > 0)
			return wrong(found, BULLA_FACTOR_FIELDS, at, "the wrapped messages hold more than one piece of evidence");
		found->evidence = record->value;
		return BULLA_OK;
	}
	found->other = ind_at;
	if ((record->ind & BULLA_CMW_ENDORSEMENTS) != 0 && bulla_foreign_collateral(found->foreign, record->value) != BULLA_OK)
		return BULLA_OK; /* one that cannot be read will be missed */
	return BULLA_OK;
}

static bulla_rc note_cbor(struct found *found, bulla_rc rc, const bulla_cbor_rd *r)
{
	if (rc != BULLA_OK && found->foreign->fault.text == NULL) {
		found->foreign->fault = bulla_form_fault_of(rc, r, false);
		found->foreign->fault.at = place_of(found, r->rd.p + found->foreign->fault.at);
	}
	return rc;
}

static bulla_rc the_one(struct found *found, bulla_bytes *ret)
{
	if (found->count == 0 && found->other != NULL)
		return wrong(found, BULLA_FACTOR_FIELDS, found->other, "the CMW record says that it holds no evidence");
	if (found->count == 0)
		return wrong(found, BULLA_FACTOR_FIELDS, found->foreign->envelope.p, "the wrapped messages hold no evidence");
	found->foreign->decoded = found->evidence;
	found->foreign->digits = found->digits;
	*ret = found->evidence;
	return BULLA_OK;
}

static bulla_rc json_type(struct found *found, bulla_json item, struct bulla_cmw *record)
{
	int64_t number;

	if (bulla_json_type(item) == BULLA_JSON_NUMBER && bulla_json_int(item, 0, UINT16_MAX, &number) == BULLA_OK)
		return BULLA_OK;
	if (bulla_json_type(item) == BULLA_JSON_STRING && bulla_json_string_view(item, &record->media_type) == BULLA_OK &&
		record->media_type.n > 0)
		return BULLA_OK;
	return wrong(found, BULLA_FACTOR_FIELDS, item.raw.p, "the type of a wrapped message is neither a media type nor a number");
}

/* RFC 9999 section 3.1: base64url without padding. */
static bulla_rc json_value(struct found *found, bulla_json item, struct bulla_cmw *record, bulla_bytes *ret_digits)
{
	struct bulla_buf *memory = &found->foreign->memory;
	bulla_bytes text;
	size_t size;

	if (bulla_json_type(item) != BULLA_JSON_STRING || bulla_json_string_view(item, &text) != BULLA_OK)
		return wrong(found, BULLA_FACTOR_FIELDS, item.raw.p, "the value of a wrapped message is no base64url");
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '+' || text.p[i] == '/' || text.p[i] == '=')
			return wrong(found, BULLA_FACTOR_ENCODING, text.p + i,
				"a value is in base64, or padded: base64url without padding must be there");
		if (!is_base64(text.p[i]))
			return wrong(found, BULLA_FACTOR_ENCODING, text.p + i, "a character is no base64url");
	}
	bulla_rc rc = bulla_foreign_base64(text, memory->cap - memory->n, memory->p + memory->n, &size);
	if (rc != BULLA_OK) {
		found->foreign->fault = bulla_form_json_fault(rc, place_of(found, text.p + text.n));
		return rc;
	}
	record->value = bulla_bytes_of(memory->p + memory->n, size);
	memory->n += size;
	*ret_digits = text;
	return BULLA_OK;
}

static bulla_rc json_indicator(struct found *found, bulla_json item, struct bulla_cmw *record)
{
	int64_t ind;

	if (bulla_json_type(item) != BULLA_JSON_NUMBER || bulla_json_int(item, 0, UINT32_MAX, &ind) != BULLA_OK)
		return wrong(found, BULLA_FACTOR_FIELDS, item.raw.p, "the indicator of a wrapped message is no number that it may be");
	if (ind == 0)
		return wrong(found, BULLA_FACTOR_FIELDS, item.raw.p, "a wrapped message says that it holds nothing");
	record->ind = (uint64_t)ind;
	return BULLA_OK;
}

static bulla_rc json_record(bulla_json array, struct found *found)
{
	struct bulla_cmw record = {.ind = 0};
	bulla_json name, item, parts[3] = {array, array, array};
	bulla_bytes digits = {NULL, 0};
	size_t n = 0;

	for (struct bulla_json_iter iter = bulla_json_begin(array); bulla_json_next(&iter, &name, &item); n++)
		if (n < 3)
			parts[n] = item;
	found->sure = found->sure || ((n == 2 || n == 3) && bulla_json_type(parts[1]) == BULLA_JSON_STRING);
	if (n < 2 || n > 3)
		return wrong(found, BULLA_FACTOR_FIELDS, array.raw.p, "a wrapped message has two or three parts");
	BULLA_TRY(json_type(found, parts[0], &record));
	BULLA_TRY(json_value(found, parts[1], &record, &digits));
	if (n == 3)
		BULLA_TRY(json_indicator(found, parts[2], &record));
	BULLA_TRY(consider(found, &record, array.raw.p, parts[2].raw.p));
	if (found->evidence.p == record.value.p)
		found->digits = digits;
	return BULLA_OK;
}

static bulla_rc too_deep(struct found *found, const uint8_t *p)
{
	found->sure = true;
	return wrong(found, BULLA_FACTOR_FIELDS, p, "collections inside collections are nested too deeply");
}

static bulla_rc json_item(bulla_json value, unsigned depth, struct found *found)
{
	bulla_json name, item;

	if (bulla_json_type(value) == BULLA_JSON_ARRAY)
		return json_record(value, found);
	if (bulla_json_type(value) != BULLA_JSON_OBJECT)
		return wrong(found, BULLA_FACTOR_FIELDS, value.raw.p, "a wrapped message is neither a record nor a collection");
	if (depth == 0)
		return too_deep(found, value.raw.p);
	for (struct bulla_json_iter iter = bulla_json_begin(value); bulla_json_next(&iter, &name, &item);)
		if (!bulla_json_string_is(name, bulla_bytes_str("__cmwc_t")))
			BULLA_TRY(json_item(item, depth - 1, found));
	return BULLA_OK;
}

bulla_rc bulla_foreign_cmw_json(struct bulla_foreign *foreign, bulla_json value, unsigned depth, bool sure, bulla_bytes *ret)
{
	const struct bulla_form_fault before = foreign->fault;
	struct found found = {.foreign = foreign, .sure = sure};
	bulla_rc rc = json_item(value, depth, &found);

	if (rc == BULLA_OK)
		rc = the_one(&found, ret);
	if (rc != BULLA_OK && !found.sure)
		foreign->fault = before;
	return rc;
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
		BULLA_TRY(note_cbor(found, bulla_cbor_rd_skip(&r, &item), &r));
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
	if (type == BULLA_CBOR_MAP)
		return depth > 0 ? cbor_collection(bytes, depth, found) : too_deep(found, bytes.p);
	if (type == BULLA_CBOR_TAG)
		BULLA_TRY(note_cbor(found, bulla_foreign_cmw_tag(&r, &record.value), &r));
	else
		BULLA_TRY(note_cbor(found, bulla_cmw_rd(&r, &record), &r));
	return consider(found, &record, bytes.p, record.value.p + record.value.n);
}

bulla_rc bulla_foreign_cmw_cbor(struct bulla_foreign *foreign, bulla_bytes bytes, bulla_bytes *ret)
{
	struct found found = {.foreign = foreign};

	BULLA_TRY(cbor_item(bytes, BULLA_FOREIGN_NESTING, &found));
	return the_one(&found, ret);
}

bulla_rc bulla_foreign_cmw_tag(bulla_cbor_rd *r, bulla_bytes *ret)
{
	bulla_cbor_rd next = *r;
	uint64_t tag;

	BULLA_TRY(bulla_cbor_rd_tag(&next, &tag));
	if (tag < CMW_TAG_FIRST || tag > CMW_TAG_LAST)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the tag is none of a wrapped message");
	*r = next;
	BULLA_TRY(bulla_cbor_rd_bytes_max(r, BULLA_FOREIGN_MEMORY, ret));
	return bulla_cbor_rd_end(r);
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
