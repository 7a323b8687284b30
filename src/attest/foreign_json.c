#include "attest/foreign_json.h"

#include "attest/foreign_snp.h"
#include "attest/foreign_wrap.h"
#include "attest/form.h"
#include "attest/textual.h"

#define BYTES_LEAST 128 /* shorter texts are no evidence, whatever their name */

/* Without case, '_' and '-'. The first that is there and holds enough counts. */
static const char *const evidence_names[] = {"quote", "intelquote", "tdxquote", "sgxquote", "rawquote", "tdquote",
	"outblob", "token", "attestationreport", "snpreport", "rawreport", "teereport", "attestationdocument", "attestationdoc",
	"attdoc", "nitrodocument", "document", "cmw", "attestation", "evidence", "rawevidence", "report", "data"};

static const char *const certificate_names[] = {"vcek", "vlek", "vcekcert", "vlekcert", "ask", "asvk", "ark", "askark",
	"certchain", "certificatechain", "certs", "certificates"};

static uint8_t folded(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static bool is_named(bulla_json name, const char *want)
{
	bulla_bytes text;
	size_t at = 0;

	if (bulla_json_string_view(name, &text) != BULLA_OK)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '_' || text.p[i] == '-')
			continue;
		if (want[at] == 0 || folded(text.p[i]) != (uint8_t)want[at])
			return false;
		at++;
	}
	return want[at] == 0;
}

static bool is_one_of(bulla_json name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (is_named(name, names[i]))
			return true;
	return false;
}

static bool member(bulla_json object, const char *name, bulla_json *ret)
{
	bulla_json found, item;

	for (struct bulla_json_iter iter = bulla_json_begin(object); bulla_json_next(&iter, &found, &item);)
		if (is_named(found, name)) {
			*ret = item;
			return true;
		}
	return false;
}

static bool has(bulla_json object, const char *name)
{
	bulla_json ignored;

	return bulla_json_get_str(object, name, &ignored) == BULLA_OK;
}

/* A list of numbers: bytes. Any other list is an envelope of its own (CMW). */
static bulla_rc take_list(struct bulla_foreign *foreign, bulla_json list, bulla_bytes *ret)
{
	struct bulla_buf *memory = &foreign->memory;
	struct bulla_json_iter iter = bulla_json_begin(list);
	bulla_json ignored, first;
	size_t size;

	if (!bulla_json_next(&iter, &ignored, &first))
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the JSON list is empty");
	if (bulla_json_type(first) != BULLA_JSON_NUMBER || bulla_json_count(list) < BYTES_LEAST) {
		*ret = list.raw;
		return BULLA_OK;
	}
	BULLA_TRY(bulla_foreign_bytes(list, memory->cap - memory->n, memory->p + memory->n, &size));
	*ret = bulla_bytes_of(memory->p + memory->n, size);
	memory->n += size;
	return BULLA_OK;
}

/* The characters of a string, which are looked at again. */
static bulla_rc take_string(struct bulla_foreign *foreign, bulla_json string, bulla_bytes *ret)
{
	struct bulla_buf *memory = &foreign->memory;
	size_t size;

	BULLA_TRY(bulla_json_string(string, memory->cap - memory->n, memory->p + memory->n, &size));
	if (size < BYTES_LEAST)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the JSON is no evidence of a known kind");
	*ret = bulla_bytes_of(memory->p + memory->n, size);
	if (!bulla_foreign_is_wrapped(*ret))
		return BULLA_FAIL(BULLA_E_FORMAT, "a text of the JSON is neither hexadecimal nor base64");
	memory->n += size;
	return BULLA_OK;
}

static bulla_rc take(struct bulla_foreign *foreign, bulla_json value, bulla_bytes *ret)
{
	enum bulla_json_type type = bulla_json_type(value);

	if (type == BULLA_JSON_STRING)
		return take_string(foreign, value, ret);
	if (type == BULLA_JSON_ARRAY)
		return take_list(foreign, value, ret);
	if (type != BULLA_JSON_OBJECT)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the JSON is no evidence of a known kind");
	*ret = value.raw;
	return BULLA_OK;
}

/* ---- what stands beside it ---- */
static void note_certificate(struct bulla_foreign *foreign, bulla_json value)
{
	bulla_bytes bytes, der;

	if (take(foreign, value, &bytes) != BULLA_OK || bytes.n == 0)
		return;
	if (bulla_foreign_is_text(bytes) && bulla_foreign_text(foreign, bytes, &der) == BULLA_OK)
		bytes = der;
	if (bulla_foreign_collateral(foreign, bytes) != BULLA_OK)
		return; /* one that cannot be read will be missed */
}

/* A string, a list of strings, or an object of strings: certificates in PEM or DER. */
static void note_certificates(struct bulla_foreign *foreign, bulla_json value)
{
	bulla_json ignored, item;

	if (bulla_json_type(value) == BULLA_JSON_STRING)
		note_certificate(foreign, value);
	else
		for (struct bulla_json_iter iter = bulla_json_begin(value); bulla_json_next(&iter, &ignored, &item);)
			if (bulla_json_type(item) == BULLA_JSON_STRING)
				note_certificate(foreign, item);
}

static bulla_rc note_bytes(struct bulla_foreign *foreign, bulla_json object, const char *name, bulla_bytes *ret)
{
	struct bulla_buf *memory = &foreign->memory;
	bulla_json value;
	bulla_bytes text;
	size_t size;

	if (bulla_json_get_str(object, name, &value) != BULLA_OK || bulla_json_type(value) == BULLA_JSON_NULL)
		return BULLA_OK;
	if (bulla_json_type(value) == BULLA_JSON_STRING) {
		BULLA_TRY(bulla_json_string_view(value, &text));
		return bulla_foreign_text(foreign, text, ret);
	}
	BULLA_TRY(bulla_foreign_bytes(value, memory->cap - memory->n, memory->p + memory->n, &size));
	*ret = bulla_bytes_of(memory->p + memory->n, size);
	memory->n += size;
	return BULLA_OK;
}

static bulla_rc note_beside(struct bulla_foreign *foreign, bulla_json object)
{
	struct bulla_attest_collateral *collateral = &foreign->collateral;
	bulla_json name, item;

	BULLA_TRY(note_bytes(foreign, object, "cc_eventlog", &collateral->event_log));
	BULLA_TRY(note_bytes(foreign, object, "auxblob", &collateral->certificate_table));
	for (struct bulla_json_iter iter = bulla_json_begin(object); bulla_json_next(&iter, &name, &item);)
		if (is_one_of(name, certificate_names, sizeof(certificate_names) / sizeof(certificate_names[0])))
			note_certificates(foreign, item);
	return BULLA_OK;
}

/* ---- objects ---- */
static bulla_rc by_name(struct bulla_foreign *foreign, bulla_json object, bulla_bytes *ret)
{
	bulla_json value;

	for (size_t i = 0; i < sizeof(evidence_names) / sizeof(evidence_names[0]); i++)
		if (member(object, evidence_names[i], &value) && take(foreign, value, ret) == BULLA_OK)
			return note_beside(foreign, object);
	return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the JSON is no evidence of a known kind");
}

static bool is_azure(bulla_json object)
{
	return has(object, "hcl_report") || (has(object, "vcek") && has(object, "report"));
}

static bulla_rc from_object(struct bulla_foreign *foreign, bulla_json object, unsigned depth, bulla_bytes *ret)
{
	bulla_json name, item;

	if (is_azure(object)) {
		*ret = object.raw;
		return BULLA_OK;
	}
	if (bulla_json_get_str(object, "attestation_report", &item) == BULLA_OK && bulla_json_type(item) == BULLA_JSON_OBJECT)
		return bulla_foreign_snp(foreign, object, ret);
	if (has(object, "__cmwc_t"))
		return bulla_foreign_cmw_json(foreign, object, depth, true, ret);
	if (by_name(foreign, object, ret) == BULLA_OK)
		return BULLA_OK;
	for (struct bulla_json_iter iter = bulla_json_begin(object); depth > 0 && bulla_json_next(&iter, &name, &item);)
		if (bulla_json_type(item) == BULLA_JSON_OBJECT && from_object(foreign, item, depth - 1, ret) == BULLA_OK)
			return BULLA_OK;
	/* the type of a collection may be left out (RFC 9999 section 3.3) */
	bulla_rc rc = bulla_foreign_cmw_json(foreign, object, depth, false, ret);
	if (rc == BULLA_OK || foreign->fault.text != NULL)
		return rc;
	return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the JSON is no evidence of a known kind");
}

static bulla_rc from_list(struct bulla_foreign *foreign, bulla_json list, bulla_bytes *ret)
{
	BULLA_TRY(take_list(foreign, list, ret));
	return ret->p == list.raw.p ? bulla_foreign_cmw_json(foreign, list, BULLA_FOREIGN_NESTING, true, ret) : BULLA_OK;
}

bulla_rc bulla_foreign_json(struct bulla_foreign *foreign, bulla_bytes text, bulla_bytes *ret)
{
	bulla_json value;
	size_t at;
	bulla_rc rc = bulla_json_parse_at(text, &value, &at);

	if (rc != BULLA_OK) {
		foreign->fault = bulla_form_json_fault(rc, at);
		return rc;
	}
	if (bulla_json_type(value) == BULLA_JSON_OBJECT)
		return from_object(foreign, value, BULLA_FOREIGN_NESTING, ret);
	if (bulla_json_type(value) == BULLA_JSON_ARRAY)
		return from_list(foreign, value, ret);
	return take(foreign, value, ret);
}
