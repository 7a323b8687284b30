#include "attest/azure.h"

#include "attest/pem.h"
#include "attest/snp.h"
#include "attest/textual.h"
#include "base/rd.h"
#include "wire/json.h"

#define HCL_HEADER_SIZE 32
#define HCL_SIGNATURE "HCLA"
#define HCL_TYPE_SNP 2
#define HCL_TYPE_TDX 4
#define CERTIFICATE_MAX 2048
#define WORDS_AT (HCL_HEADER_SIZE + BULLA_SNP_REPORT_SIZE)

enum member { VERSION, QUOTE, REPORT, VCEK, TD_QUOTE, MEMBERS };
enum quote_member { MESSAGE, SIGNATURE, REGISTERS, QUOTE_MEMBERS };

struct name {
	const char *name;
	unsigned member;
};

/* What came before version 1 had shorter names for two of them. */
static const struct name names[] = {{"version", VERSION}, {"tpm_quote", QUOTE}, {"quote", QUOTE}, {"hcl_report", REPORT},
	{"report", REPORT}, {"vcek", VCEK}, {"td_quote", TD_QUOTE}};
static const struct name quote_names[] = {{"message", MESSAGE}, {"signature", SIGNATURE}, {"pcrs", REGISTERS}};

struct found {
	bool here;
	bulla_json value;
};

struct reading {
	struct bulla_attest_run *run;
	struct bulla_azure *azure;
};

static size_t place_of(const struct reading *reading, bulla_json value)
{
	return bulla_run_at(reading->run, value.raw);
}

/* At most MEMBERS of them, each once. */
static bool sort_members(struct reading *reading, bulla_json object, const struct name *list, size_t count, struct found *ret)
{
	struct bulla_json_iter iter = bulla_json_begin(object);
	bulla_json name, item;

	if (bulla_json_type(object) != BULLA_JSON_OBJECT)
		return bulla_run_stop(reading->run, BULLA_FACTOR_FIELDS, place_of(reading, object), "an object must stand here");
	while (bulla_json_next(&iter, &name, &item)) {
		size_t i = 0;

		while (i < count && !bulla_json_string_is(name, bulla_bytes_str(list[i].name)))
			i++;
		if (i < count && ret[list[i].member].here)
			return bulla_run_stop(reading->run, BULLA_FACTOR_FIELDS, place_of(reading, name),
				"a member is there under both of its names");
		if (i < count)
			ret[list[i].member] = (struct found){true, item};
		else if (reading->run->policy->strict)
			bulla_run_fail(reading->run, BULLA_FACTOR_UNKNOWN_FIELDS, place_of(reading, name), "there is an unknown member");
	}
	return true;
}

/* Decodes a value into the result's memory. */
typedef bulla_rc decode_fn(bulla_json value, size_t max, uint8_t *ret, size_t *ret_size);

static bulla_rc decode_hex(bulla_json value, size_t max, uint8_t *ret, size_t *ret_size)
{
	bulla_bytes text;

	if (bulla_json_type(value) == BULLA_JSON_ARRAY)
		return bulla_foreign_bytes(value, max, ret, ret_size);
	BULLA_TRY(bulla_json_string_view(value, &text));
	return bulla_foreign_hex(text, max, ret, ret_size);
}

/* The VCEK as base64 of DER, or as PEM (before version 1). */
static bulla_rc decode_certificate(bulla_json value, size_t max, uint8_t *ret, size_t *ret_size)
{
	uint8_t text[CERTIFICATE_MAX + 1024];
	bulla_bytes chain;
	size_t size, count;

	BULLA_TRY(bulla_json_string(value, sizeof(text), text, &size));
	if (size == 0 || text[0] != '-')
		return bulla_foreign_base64(bulla_bytes_of(text, size), max, ret, ret_size);
	BULLA_TRY(bulla_pem_chain(bulla_bytes_of(text, size), ret, max, 1, &chain, &count));
	*ret_size = count > 0 ? chain.n : 0;
	return BULLA_OK;
}

static bool is_text_or_list(bulla_json value)
{
	return bulla_json_type(value) == BULLA_JSON_STRING || bulla_json_type(value) == BULLA_JSON_ARRAY;
}

static bool take(struct reading *reading, const struct found *found, decode_fn *decode, size_t max, bulla_bytes *ret)
{
	struct bulla_attest_result *result = reading->run->result;
	size_t left = sizeof(result->kept) - result->kept_size, size = 0;
	uint8_t *memory = result->kept + result->kept_size;

	if (!found->here)
		return true;
	bulla_rc rc = decode(found->value, max < left ? max : left, memory, &size);
	if (rc != BULLA_OK)
		return bulla_run_stop(reading->run,
			rc == BULLA_E_LIMIT || !is_text_or_list(found->value) ? BULLA_FACTOR_FIELDS : BULLA_FACTOR_ENCODING,
			place_of(reading, found->value), "a value is longer than it may be, or no digits of its encoding");
	if (size == 0)
		return bulla_run_stop(reading->run, BULLA_FACTOR_FIELDS, place_of(reading, found->value), "a value is empty");
	(void)bulla_run_keep(reading->run, size);
	*ret = bulla_bytes_of(memory, size);
	bulla_run_origin(reading->run, *ret, found->value);
	return true;
}

static bool take_pcrs(struct reading *reading, const struct found *list)
{
	uint8_t (*pcrs)[32] = (uint8_t(*)[32])bulla_run_keep(reading->run, BULLA_TPM_PCRS * 32);
	bulla_json ignored, item;
	size_t size = 0, n = 0;

	if (pcrs == NULL || bulla_json_type(list->value) != BULLA_JSON_ARRAY)
		return bulla_run_stop(reading->run, BULLA_FACTOR_FIELDS, place_of(reading, list->value), "the registers are no list");
	for (struct bulla_json_iter iter = bulla_json_begin(list->value); bulla_json_next(&iter, &ignored, &item); n++)
		if (n == BULLA_TPM_PCRS || decode_hex(item, 32, pcrs[n], &size) != BULLA_OK || size != 32)
			return bulla_run_stop(reading->run, BULLA_FACTOR_FIELDS, place_of(reading, item),
				"a register is no SHA-256, or beyond the 24 of a TPM");
	reading->azure->pcrs = pcrs;
	reading->azure->pcrs_at = place_of(reading, list->value);
	reading->azure->given = n >= BULLA_TPM_PCRS ? 0xffffff : (UINT32_C(1) << n) - 1;
	return true;
}

/* Without a quote the hardware's part is still read and shown; TPM_MAGIC then fails. */
static bool take_quote(struct reading *reading, const struct found *quote)
{
	struct found found[QUOTE_MEMBERS] = {0};

	if (!quote->here)
		return true;
	if (!sort_members(reading, quote->value, quote_names, sizeof(quote_names) / sizeof(quote_names[0]), found))
		return false;
	for (size_t i = 0; i < QUOTE_MEMBERS; i++)
		if (!found[i].here)
			return bulla_run_stop(reading->run, BULLA_FACTOR_FIELDS, place_of(reading, quote->value),
				"message, signature or pcrs of the TPM quote is missing");
	return take(reading, &found[MESSAGE], decode_hex, 1024, &reading->azure->message) &&
		take(reading, &found[SIGNATURE], decode_hex, 512, &reading->azure->signature) &&
		take_pcrs(reading, &found[REGISTERS]);
}

static bool check_version(struct reading *reading, const struct found *version)
{
	int64_t number;

	return bulla_run_check(reading->run, BULLA_FACTOR_VERSION,
		!version->here || bulla_json_int(version->value, 1, 2, &number) == BULLA_OK,
		version->here ? place_of(reading, version->value) : 0, "the version is neither 1 nor 2");
}

static bool read_members(struct reading *reading, bulla_json evidence)
{
	struct bulla_azure *azure = reading->azure;
	struct found found[MEMBERS] = {0};

	if (!sort_members(reading, evidence, names, sizeof(names) / sizeof(names[0]), found) ||
		!check_version(reading, &found[VERSION]))
		return false;
	if (!found[REPORT].here)
		return bulla_run_stop(reading->run, BULLA_FACTOR_FIELDS, place_of(reading, evidence), "the HCL report is missing");
	if (found[VCEK].here && found[TD_QUOTE].here)
		return bulla_run_stop(reading->run, BULLA_FACTOR_FIELDS, place_of(reading, found[TD_QUOTE].value),
			"a VCEK and a TD quote stand side by side");
	azure->vcek_at = found[VCEK].here ? place_of(reading, found[VCEK].value) : 0;
	azure->td_quote_at = found[TD_QUOTE].here ? place_of(reading, found[TD_QUOTE].value) : 0;
	return take(reading, &found[REPORT], bulla_foreign_bytes, BULLA_HCL_SIZE_MAX, &azure->hcl) &&
		take_quote(reading, &found[QUOTE]) &&
		take(reading, &found[VCEK], decode_certificate, CERTIFICATE_MAX, &azure->certificate) &&
		take(reading, &found[TD_QUOTE], bulla_foreign_bytes, BULLA_AZURE_QUOTE_MAX, &azure->td_quote);
}

static bool read_json(struct reading *reading)
{
	struct bulla_attest_run *run = reading->run;
	bulla_json evidence;
	size_t at;
	bulla_rc rc = bulla_json_parse_at(run->evidence, &evidence, &at);

	if (rc != BULLA_OK) {
		const struct bulla_form_fault fault = bulla_form_json_fault(rc, at);

		return bulla_run_unreadable(run, &fault, run->evidence);
	}
	return read_members(reading, evidence);
}

/* The five words between hardware report and runtime data. */
struct words {
	uint32_t size, version, type, hash, runtime_size;
};

static bulla_rc read_hcl(bulla_rd *r, struct bulla_azure *azure, struct words *ret)
{
	bulla_bytes word;

	BULLA_TRY(bulla_rd_bytes(r, 4, &word));
	if (!bulla_bytes_eq_str(word, HCL_SIGNATURE)) {
		r->at = 0;
		return BULLA_FAIL(BULLA_E_FORMAT, "the HCL report does not begin with HCLA");
	}
	BULLA_TRY(bulla_rd_skip(r, HCL_HEADER_SIZE - 4));
	BULLA_TRY(bulla_rd_bytes(r, BULLA_SNP_REPORT_SIZE, &azure->hardware));
	BULLA_TRY(bulla_rd_u32le(r, &ret->size));
	BULLA_TRY(bulla_rd_u32le(r, &ret->version));
	BULLA_TRY(bulla_rd_u32le(r, &ret->type));
	BULLA_TRY(bulla_rd_u32le(r, &ret->hash));
	BULLA_TRY(bulla_rd_u32le(r, &ret->runtime_size));
	return bulla_rd_bytes(r, ret->runtime_size, &azure->runtime);
}

static bool check_words(struct bulla_attest_run *run, const struct bulla_azure *azure, const struct words *words)
{
	if (!bulla_run_check(run, BULLA_FACTOR_VERSION, words->version == 1, bulla_run_in(run, azure->hcl, WORDS_AT + 4),
		"the runtime data's version is not 1"))
		return false;
	if (words->type != HCL_TYPE_SNP && words->type != HCL_TYPE_TDX)
		return bulla_run_stop(run, BULLA_FACTOR_FIELDS, bulla_run_in(run, azure->hcl, WORDS_AT + 8),
			"the hardware report is of neither SNP nor TDX");
	if (words->hash < 1 || words->hash > 3)
		return bulla_run_stop(run, BULLA_FACTOR_FIELDS, bulla_run_in(run, azure->hcl, WORDS_AT + 12),
			"the runtime data's hash is none of SHA-256, SHA-384, SHA-512");
	if (words->size < words->runtime_size || words->size - words->runtime_size != 20)
		return bulla_run_stop(run, BULLA_FACTOR_FIELDS, bulla_run_in(run, azure->hcl, WORDS_AT),
			"the runtime data's two sizes differ");
	return true;
}

static bool split_hcl(struct bulla_attest_run *run, struct bulla_azure *azure)
{
	bulla_rd r = bulla_rd_of(azure->hcl);
	struct words words = {0};
	bulla_rc rc = read_hcl(&r, azure, &words);

	if (rc == BULLA_E_TRUNCATED)
		return bulla_run_stop(run, BULLA_FACTOR_SIZE, bulla_run_in(run, azure->hcl, azure->hcl.n - (azure->hcl.p == run->evidence.p ? 0 : 1)),
			"the HCL report ends early");
	if (rc != BULLA_OK)
		return bulla_run_stop(run, BULLA_FACTOR_ENCODING, bulla_run_at(run, azure->hcl),
			"the HCL report does not begin with HCLA");
	if (!check_words(run, azure, &words))
		return false;
	/* the rest of the NV index is zeros */
	for (; r.at < r.n; r.at++)
		if (r.p[r.at] != 0)
			return bulla_run_stop(run, BULLA_FACTOR_TRAILING, bulla_run_in(run, azure->hcl, r.at),
				"bytes follow the runtime data");
	azure->tdx = words.type == HCL_TYPE_TDX;
	azure->runtime_hash = words.hash;
	return true;
}

/* What belongs to the other kind of hardware would be nobody's word. */
static bool check_kind(struct bulla_attest_run *run, const struct bulla_azure *azure)
{
	if (azure->tdx && azure->certificate.n > 0)
		return bulla_run_stop(run, BULLA_FACTOR_FIELDS, azure->vcek_at, "a VCEK stands beside the report of a TD");
	if (!azure->tdx && azure->td_quote.n > 0)
		return bulla_run_stop(run, BULLA_FACTOR_FIELDS, azure->td_quote_at, "a TD quote stands beside an SNP report");
	return true;
}

bool bulla_azure_is_hcl(bulla_bytes evidence)
{
	return evidence.n > HCL_HEADER_SIZE && bulla_bytes_eq_str(bulla_bytes_of(evidence.p, 4), HCL_SIGNATURE);
}

bool bulla_azure_read(struct bulla_attest_run *run, struct bulla_azure *ret)
{
	static const uint8_t form[] = {BULLA_FACTOR_SIZE, BULLA_FACTOR_ENCODING, BULLA_FACTOR_FIELDS, BULLA_FACTOR_TRAILING,
		BULLA_FACTOR_VERSION, BULLA_FACTOR_UNKNOWN_FIELDS};
	struct reading reading = {run, ret};
	struct bulla_cert cert;

	*ret = (struct bulla_azure){.hcl = run->evidence};
	if ((!bulla_azure_is_hcl(run->evidence) && !read_json(&reading)) || !split_hcl(run, ret) || !check_kind(run, ret))
		return false;
	if (!run->policy->strict)
		bulla_run_skip(run, BULLA_FACTOR_UNKNOWN_FIELDS, BULLA_WHY_POLICY_ANY);
	for (size_t i = 0; i < sizeof(form); i++)
		if (run->policy->strict || form[i] != BULLA_FACTOR_UNKNOWN_FIELDS)
			bulla_run_hold(run, form[i]);
	return ret->certificate.n == 0 || bulla_cert_parse(ret->certificate, &cert) == BULLA_OK ||
		bulla_run_stop(run, BULLA_FACTOR_CHAIN_FORM, ret->vcek_at, "the VCEK is not strict DER");
}
