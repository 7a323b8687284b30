#include "attest/foreign_wrap.h"

#include "attest/ratls.h"
#include "attest/snp.h"
#include "attest/textual.h"
#include "base/rd.h"
#include "wire/cbor.h"

#define TEXT_LEAST 128
#define RESPONSE_HEAD 32 /* status, size, 24 reserved (MSG_REPORT_RSP) */
#define TABLE_ENTRY 24
#define PEM_BEGIN "-----BEGIN CERTIFICATE-----"

/* RFC 9999 section 3.2: TN() of CoAP content formats 0 to 65024 */
#define CMW_TAG_FIRST UINT64_C(1668546817)
#define CMW_TAG_LAST UINT64_C(1668612095)

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
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

/* Decoding is in place: what is written never overtakes what is read. */
bulla_rc bulla_foreign_text(struct bulla_foreign *foreign, bulla_bytes bytes, bulla_bytes *ret)
{
	uint8_t *memory = foreign->memory.p + foreign->memory.n;
	size_t room = foreign->memory.cap - foreign->memory.n, n = 0, size;
	bool hex = true;

	if (bytes.n > room)
		return BULLA_FAIL(BULLA_E_LIMIT, "no room for the decoded text");
	for (size_t i = 0; i < bytes.n; i++)
		if (!is_space(bytes.p[i])) {
			memory[n++] = bytes.p[i];
			hex = hex && is_hex(bytes.p[i]);
		}
	bulla_bytes digits = bulla_bytes_of(memory, n);
	BULLA_TRY(hex ? bulla_foreign_hex(digits, room, memory, &size) : bulla_foreign_base64(digits, room, memory, &size));
	foreign->memory.n += size;
	*ret = bulla_bytes_of(memory, size);
	return BULLA_OK;
}

bulla_rc bulla_foreign_pem(struct bulla_foreign *foreign, bulla_bytes text, bulla_bytes *ret_der)
{
	const size_t head = sizeof(PEM_BEGIN) - 1;
	size_t end = head;

	if (text.n < head || !bulla_bytes_eq_str(bulla_bytes_of(text.p, head), PEM_BEGIN))
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the PEM holds no certificate");
	while (end < text.n && text.p[end] != '-')
		end++;
	return bulla_foreign_text(foreign, bulla_bytes_of(text.p + head, end - head), ret_der);
}

bulla_rc bulla_foreign_certificate(struct bulla_foreign *foreign, bulla_bytes der, bulla_bytes *ret)
{
	struct bulla_cert cert;
	struct bulla_ratls ratls;
	struct bulla_cmw record;

	BULLA_TRY(bulla_cert_parse(der, &cert));
	bulla_rc rc = bulla_ratls_from_cert(&cert, &ratls);
	if (rc == BULLA_OK) {
		BULLA_TRY(bulla_ratls_check(ratls.claims, cert.spki, (bulla_bytes){NULL, 0}));
		bulla_ratls_report_data(ratls.claims, foreign->binder);
		foreign->has_binder = true;
		*ret = ratls.quote;
		return BULLA_OK;
	}
	if (rc != BULLA_E_NOT_FOUND)
		return rc;
	bulla_bytes text;
	rc = bulla_cmw_extension_text(&cert, &text);
	if (rc == BULLA_OK) {
		*ret = text;
		return BULLA_OK;
	}
	rc = bulla_cmw_extension_read(&cert, &record);
	if (rc == BULLA_E_NOT_FOUND)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the certificate carries no evidence");
	BULLA_TRY(rc);
	*ret = record.value;
	return BULLA_OK;
}

static bulla_rc read_record(struct bulla_foreign *foreign, bulla_json array, bulla_bytes *ret)
{
	bulla_json name, item, value = array;
	int64_t ind = BULLA_CMW_EVIDENCE;
	size_t n = 0;
	bulla_bytes text;

	for (struct bulla_json_iter iter = bulla_json_begin(array); bulla_json_next(&iter, &name, &item); n++) {
		if (n == 1)
			value = item;
		else if (n == 2)
			BULLA_TRY(bulla_json_int(item, 1, UINT32_MAX, &ind));
	}
	if (n < 2 || n > 3 || (ind & BULLA_CMW_EVIDENCE) == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "the CMW record holds no evidence");
	BULLA_TRY(bulla_json_string_view(value, &text));
	return bulla_foreign_text(foreign, text, ret);
}

bulla_rc bulla_foreign_cmw_json(struct bulla_foreign *foreign, bulla_json value, bulla_bytes *ret)
{
	bulla_json name, item, record = value;
	size_t count = 0;

	if (bulla_json_type(value) == BULLA_JSON_ARRAY)
		return read_record(foreign, value, ret);
	for (struct bulla_json_iter iter = bulla_json_begin(value); bulla_json_next(&iter, &name, &item);)
		if (bulla_json_type(item) == BULLA_JSON_ARRAY) {
			record = item;
			count++;
		}
	if (count != 1)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the CMW collection holds not exactly one record");
	return read_record(foreign, record, ret);
}

bulla_rc bulla_foreign_cmw_collection(bulla_bytes bytes, bulla_bytes *ret)
{
	struct bulla_cmw_item items[BULLA_CMW_ITEMS];
	bulla_bytes type;
	size_t count;

	BULLA_TRY(bulla_cmw_collection_parse(bytes, &type, items, &count));
	if (count != 1)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the CMW collection holds not exactly one record");
	*ret = items[0].record.value;
	return BULLA_OK;
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
	if (!looks_like_table(table))
		return false;
	foreign->collateral.certificate_table = table;
	*ret = bulla_bytes_of(bytes.p, report);
	return true;
}
