#include "attest/azure.h"

#include "attest/pem.h"
#include "attest/snp.h"
#include "attest/textual.h"
#include "base/rd.h"

#define HCL_HEADER_SIZE 32
#define HCL_SIGNATURE "HCLA"
#define HCL_TYPE_SNP 2
#define HCL_TYPE_TDX 4
#define CERTIFICATE_MAX 2048

/* Decodes a member into kept memory with `decode`. */
typedef bulla_rc decode_fn(bulla_json value, size_t max, uint8_t *ret, size_t *ret_size);

static bulla_rc decode_hex(bulla_json value, size_t max, uint8_t *ret, size_t *ret_size)
{
	bulla_bytes text;

	if (bulla_json_type(value) == BULLA_JSON_ARRAY)
		return bulla_foreign_bytes(value, max, ret, ret_size);
	BULLA_TRY(bulla_json_string_view(value, &text));
	return bulla_foreign_hex(text, max, ret, ret_size);
}

static bulla_rc take_value(struct bulla_attest_run *run, bulla_json value, decode_fn *decode, size_t max, bulla_bytes *ret)
{
	struct bulla_attest_result *result = run->result;
	size_t left = sizeof(result->kept) - result->kept_size, size;
	uint8_t *memory = result->kept + result->kept_size;

	BULLA_TRY(decode(value, max < left ? max : left, memory, &size));
	(void)bulla_run_keep(run, size);
	*ret = bulla_bytes_of(memory, size);
	return BULLA_OK;
}

static bulla_rc take(struct bulla_attest_run *run, bulla_json object, const char *name, decode_fn *decode, size_t max,
	bulla_bytes *ret)
{
	bulla_json value;

	BULLA_TRY(bulla_json_get_str(object, name, &value));
	return take_value(run, value, decode, max, ret);
}

static bulla_rc take_pcrs(struct bulla_attest_run *run, bulla_json quote, struct bulla_azure *ret)
{
	bulla_json list, ignored, item;
	size_t size, n = 0;

	BULLA_TRY(bulla_json_get_str(quote, "pcrs", &list));
	ret->pcrs = (uint8_t(*)[32])bulla_run_keep(run, BULLA_TPM_PCRS * 32);
	if (ret->pcrs == NULL)
		return BULLA_FAIL(BULLA_E_LIMIT, "no room for the registers");
	for (struct bulla_json_iter iter = bulla_json_begin(list); bulla_json_next(&iter, &ignored, &item); n++) {
		if (n == BULLA_TPM_PCRS)
			return BULLA_FAIL(BULLA_E_LIMIT, "there are more registers than a TPM has");
		BULLA_TRY(decode_hex(item, 32, ret->pcrs[n], &size));
		if (size != 32)
			return BULLA_FAIL(BULLA_E_FORMAT, "a register is no SHA-256");
	}
	ret->given = n >= BULLA_TPM_PCRS ? 0xffffff : (UINT32_C(1) << n) - 1;
	return BULLA_OK;
}

/* The VCEK as base64 of DER (version 2), or as PEM (version 1). */
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

/* Version 1 of the SNP evidence has shorter names. */
static bulla_rc get_either(bulla_json object, const char *name, const char *old_name, bulla_json *ret)
{
	bulla_rc rc = bulla_json_get_str(object, name, ret);

	return rc == BULLA_E_NOT_FOUND ? bulla_json_get_str(object, old_name, ret) : rc;
}

static bulla_rc take_quote(struct bulla_attest_run *run, bulla_json quote, struct bulla_azure *ret)
{
	BULLA_TRY(take(run, quote, "message", decode_hex, 1024, &ret->message));
	BULLA_TRY(take(run, quote, "signature", decode_hex, 512, &ret->signature));
	return take_pcrs(run, quote, ret);
}

static bulla_rc read_json(struct bulla_attest_run *run, struct bulla_azure *ret)
{
	bulla_json evidence, quote, report;
	bulla_rc rc;

	BULLA_TRY(bulla_json_parse(run->evidence, &evidence));
	BULLA_TRY(get_either(evidence, "hcl_report", "report", &report));
	BULLA_TRY(take_value(run, report, bulla_foreign_bytes, BULLA_HCL_SIZE_MAX, &ret->hcl));
	/* without a quote the hardware's part is still read and shown; TPM_MAGIC then fails */
	rc = get_either(evidence, "tpm_quote", "quote", &quote);
	if (rc == BULLA_OK)
		BULLA_TRY(take_quote(run, quote, ret));
	else if (rc != BULLA_E_NOT_FOUND)
		return rc;
	rc = take(run, evidence, "vcek", decode_certificate, CERTIFICATE_MAX, &ret->certificate);
	if (rc == BULLA_OK || rc == BULLA_E_NOT_FOUND)
		rc = take(run, evidence, "td_quote", bulla_foreign_bytes, BULLA_AZURE_QUOTE_MAX, &ret->td_quote);
	return rc == BULLA_E_NOT_FOUND ? BULLA_OK : rc;
}

static bulla_rc split_hcl(struct bulla_azure *azure)
{
	bulla_rd r = bulla_rd_of(azure->hcl);
	bulla_bytes word, padding;
	uint32_t size, version, type, hash, runtime_size;

	BULLA_TRY(bulla_rd_bytes(&r, 4, &word));
	if (!bulla_bytes_eq_str(word, HCL_SIGNATURE))
		return BULLA_FAIL(BULLA_E_FORMAT, "the HCL report does not begin with HCLA");
	BULLA_TRY(bulla_rd_skip(&r, HCL_HEADER_SIZE - 4));
	BULLA_TRY(bulla_rd_bytes(&r, BULLA_SNP_REPORT_SIZE, &azure->hardware));
	BULLA_TRY(bulla_rd_u32le(&r, &size));
	BULLA_TRY(bulla_rd_u32le(&r, &version));
	BULLA_TRY(bulla_rd_u32le(&r, &type));
	BULLA_TRY(bulla_rd_u32le(&r, &hash));
	BULLA_TRY(bulla_rd_u32le(&r, &runtime_size));
	if (version != 1 || (type != HCL_TYPE_SNP && type != HCL_TYPE_TDX) || hash < 1 || hash > 3 ||
		size < runtime_size || size - runtime_size != 20)
		return BULLA_FAIL(BULLA_E_FORMAT, "the runtime data has another version, type, hash or size");
	BULLA_TRY(bulla_rd_bytes(&r, runtime_size, &azure->runtime));
	/* the rest of the NV index is zeros */
	BULLA_TRY(bulla_rd_bytes(&r, bulla_rd_left(&r), &padding));
	if (!bulla_bytes_is_zero_ct(padding))
		return BULLA_FAIL(BULLA_E_TRAILING, "bytes follow the runtime data");
	azure->tdx = type == HCL_TYPE_TDX;
	azure->runtime_hash = hash;
	return BULLA_OK;
}

bool bulla_azure_is_hcl(bulla_bytes evidence)
{
	return evidence.n > HCL_HEADER_SIZE && bulla_bytes_eq_str(bulla_bytes_of(evidence.p, 4), HCL_SIGNATURE);
}

bool bulla_azure_read(struct bulla_attest_run *run, struct bulla_azure *ret)
{
	*ret = (struct bulla_azure){.hcl = run->evidence};
	bulla_rc rc = bulla_azure_is_hcl(run->evidence) ? BULLA_OK : read_json(run, ret);
	if (rc == BULLA_OK)
		rc = split_hcl(ret);
	if (rc != BULLA_OK)
		return bulla_run_unreadable(run, rc, bulla_run_at(run, run->evidence),
			"the JSON or the HCL report is not in its form");
	bulla_run_hold(run, BULLA_FACTOR_ENCODING);
	bulla_run_hold(run, BULLA_FACTOR_FIELDS);
	bulla_run_hold(run, BULLA_FACTOR_TRAILING);
	return true;
}
