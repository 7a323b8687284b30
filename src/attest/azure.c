#include "attest/azure.h"

#include "attest/dcap_judge.h"
#include "attest/snp.h"
#include "attest/textual.h"
#include "crypto/hash.h"

#define AZURE_COMMON \
	BULLA_FACTOR_SIZE, BULLA_FACTOR_ENCODING, BULLA_FACTOR_FIELDS, BULLA_FACTOR_TRAILING, BULLA_FACTOR_UNKNOWN_FIELDS, BULLA_FACTOR_VERSION, \
		BULLA_FACTOR_RESERVED, BULLA_FACTOR_ALGORITHM, BULLA_FACTOR_TEE, BULLA_FACTOR_ANCHOR, BULLA_FACTOR_TEST_KEY, \
		BULLA_FACTOR_CHAIN_FORM, BULLA_FACTOR_CHAIN_ORDER, BULLA_FACTOR_CHAIN_SIGNATURES, \
		BULLA_FACTOR_CHAIN_DATES, BULLA_FACTOR_CHAIN_CA, BULLA_FACTOR_CHAIN_KEYS, BULLA_FACTOR_LEAF_USAGE, \
		BULLA_FACTOR_CRL_SIGNATURE, BULLA_FACTOR_CRL_DATES, BULLA_FACTOR_REVOCATION, \
		BULLA_FACTOR_SIGNATURE_RANGE, BULLA_FACTOR_SIGNATURE, BULLA_FACTOR_CLASS, BULLA_FACTOR_CLOCK, \
		BULLA_FACTOR_NOT_FUTURE, BULLA_FACTOR_FRESH, BULLA_FACTOR_NONCE, BULLA_FACTOR_BINDER, \
		BULLA_FACTOR_PUBLIC_KEY, BULLA_FACTOR_DEBUG, BULLA_FACTOR_MEASUREMENT, BULLA_FACTOR_REQUIRED, \
		BULLA_FACTOR_MANIFEST, BULLA_FACTOR_BUNDLES, BULLA_FACTOR_PLATFORM_ALLOWED, BULLA_FACTOR_HCL_BINDING, \
		BULLA_FACTOR_TPM_MAGIC, BULLA_FACTOR_TPM_SIGNATURE, BULLA_FACTOR_TPM_PCRS

/* SNP: beside these, snp.c's rules are recorded as they are judged. */
static const uint8_t factors[] = {AZURE_COMMON};

#define POLICY_DEBUG (UINT64_C(1) << 19)

static bool has_word(bulla_bytes text, const char *word)
{
	return bulla_form_has(text, bulla_bytes_str(word));
}

/* From version 1 on the report is named "hcl_report", before "report" beside "vcek"; of what was cut, something is left. */
static bool sniff(bulla_bytes evidence)
{
	if (bulla_azure_is_hcl(evidence))
		return true;
	return evidence.n > 0 && evidence.p[0] == '{' &&
		(has_word(evidence, "\"hcl_report\"") ||
			(has_word(evidence, "\"tpm_quote\"") && !has_word(evidence, "\"ak_public\"")) ||
			(has_word(evidence, "\"quote\"") && has_word(evidence, "\"message\"")));
}

/* Only TDX brings a quote beside the report. */
static enum bulla_tee guess_of(bulla_bytes evidence)
{
	return has_word(evidence, "\"td_quote\"") ? BULLA_TEE_AZ_TDX : BULLA_TEE_AZ_SNP;
}

/* REPORT_DATA = hash(runtime data), then zeros: it is what makes the vTPM's keys the hardware's word. */
static bool check_binding(struct bulla_attest_run *run, const struct bulla_azure *azure, bulla_bytes report_data)
{
	uint8_t hash[64] = {0};
	bulla_digest digest;

	if (azure->runtime_hash == 1) {
		bulla_sha256(azure->runtime, &digest);
		bulla_copy(hash, digest.b, 32);
	} else if (azure->runtime_hash == 2) {
		bulla_sha384(azure->runtime, hash);
	} else {
		bulla_sha512(azure->runtime, hash);
	}
	return bulla_run_check(run, BULLA_FACTOR_HCL_BINDING, bulla_bytes_eq(report_data, BULLA_BYTES_ARRAY(hash)), bulla_run_at(run, report_data),
		"the hardware report is not bound to this runtime data");
}

/* The key named HCLAkPub in the runtime data: RSA, signing only. */
static bulla_rc read_key(bulla_json runtime, struct bulla_verify_key **ret)
{
	bulla_json keys, ignored, item, kid, n, e;
	uint8_t modulus[512], exponent[8];
	size_t modulus_size, exponent_size;

	BULLA_TRY(bulla_json_get_str(runtime, "keys", &keys));
	for (struct bulla_json_iter iter = bulla_json_begin(keys); bulla_json_next(&iter, &ignored, &item);) {
		BULLA_TRY(bulla_json_get_str(item, "kid", &kid));
		if (!bulla_json_string_is(kid, bulla_bytes_str("HCLAkPub")))
			continue;
		BULLA_TRY(bulla_json_get_str(item, "n", &n));
		BULLA_TRY(bulla_json_get_str(item, "e", &e));
		BULLA_TRY(bulla_foreign_bytes(n, sizeof(modulus), modulus, &modulus_size));
		BULLA_TRY(bulla_foreign_bytes(e, sizeof(exponent), exponent, &exponent_size));
		return bulla_verify_key_rsa(bulla_bytes_of(modulus, modulus_size), bulla_bytes_of(exponent, exponent_size),
			ret);
	}
	return BULLA_FAIL(BULLA_E_NOT_FOUND, "the runtime data names no attestation key");
}

static bool check_quote(struct bulla_attest_run *run, const struct bulla_azure *azure, bulla_json runtime,
	struct bulla_tpm_quote *ret)
{
	BULLA_AUTO_VERIFY_KEY key = NULL;

	if (azure->message.n == 0)
		return bulla_run_stop(run, BULLA_FACTOR_TPM_MAGIC, 0, "no TPM quote comes with it: the report may be a copy");
	if (!bulla_run_check(run, BULLA_FACTOR_TPM_MAGIC, bulla_tpm_quote_read(azure->message, ret) == BULLA_OK,
		bulla_run_at(run, azure->message),
		"the message is no quote over SHA-256 registers"))
		return false;
	bool ok = read_key(runtime, &key) == BULLA_OK &&
		bulla_verify(key, BULLA_RS256, azure->message, azure->signature) == BULLA_OK;
	if (!bulla_run_check(run, BULLA_FACTOR_TPM_SIGNATURE, ok, bulla_run_at(run, azure->signature),
		"the quote is not signed by the bound key"))
		return false;
	if (!bulla_run_check(run, BULLA_FACTOR_TPM_PCRS,
		bulla_tpm_pcrs_match(ret, (const uint8_t(*)[32])azure->pcrs, azure->given), azure->pcrs_at,
		"the registers are not those of the quote"))
		return false;
	for (unsigned i = 0; i < BULLA_TPM_PCRS; i++)
		if ((ret->selected >> i & 1) != 0)
			bulla_run_claim(run, BULLA_CLAIM_PCR, i, bulla_bytes_of(azure->pcrs[i], 32));
	bulla_run_claim(run, BULLA_CLAIM_NONCE, 0, ret->nonce);
	bulla_run_claim(run, BULLA_CLAIM_TPM_FIRMWARE, 0, ret->firmware);
	return true;
}

/* 64 bytes that the guest wrote to NV index 0x01400002, as the runtime data repeats them. */
static bulla_bytes read_user_data(struct bulla_attest_run *run, bulla_json runtime)
{
	uint8_t *memory = bulla_run_keep(run, 64);
	bulla_json value;
	bulla_bytes text;
	size_t size;

	if (memory == NULL || bulla_json_get_str(runtime, "user-data", &value) != BULLA_OK ||
		bulla_json_string_view(value, &text) != BULLA_OK ||
		bulla_foreign_hex(text, 64, memory, &size) != BULLA_OK)
		return (bulla_bytes){NULL, 0};
	bulla_run_claim(run, BULLA_CLAIM_USER_DATA, 0, bulla_bytes_of(memory, size));
	return bulla_bytes_of(memory, size);
}

static bool judge_snp(struct bulla_attest_run *run, const struct bulla_azure *azure, bool *ret_debug,
	bulla_bytes *ret_platform)
{
	struct bulla_attest_collateral with = *run->collateral;
	const struct bulla_attest_collateral *given = run->collateral;
	struct bulla_snp_report report;

	if (azure->certificate.n > 0 && with.certificate_count < BULLA_ATTEST_CERTIFICATES)
		with.certificates[with.certificate_count++] = azure->certificate;
	run->collateral = &with;
	bool ok = bulla_snp_judge(run, azure->hardware, &report);
	run->collateral = given;
	if (!ok || !check_binding(run, azure, report.report_data))
		return false;
	run->result->tee = BULLA_TEE_AZ_SNP;
	*ret_debug = (report.policy & POLICY_DEBUG) != 0;
	*ret_platform = report.chip_id;
	return true;
}

struct vtpm {
	struct bulla_tpm_quote quote;
	bulla_bytes user_data;
};

static bool check_vtpm(struct bulla_attest_run *run, const struct bulla_azure *azure, struct vtpm *ret)
{
	bulla_json runtime;

	if (bulla_json_parse(azure->runtime, &runtime) != BULLA_OK)
		return bulla_run_stop(run, BULLA_FACTOR_ENCODING, bulla_run_at(run, azure->runtime), "the runtime data is no JSON");
	if (!check_quote(run, azure, runtime, &ret->quote))
		return false;
	ret->user_data = read_user_data(run, runtime);
	return true;
}

static void check_bound(struct bulla_attest_run *run, const struct vtpm *vtpm)
{
	const struct bulla_attest_binding *binding = run->binding;

	bulla_run_fresh(run, 0, 0);
	bulla_run_bound(run, BULLA_FACTOR_BINDER, &binding->binder, vtpm->user_data, true);
	/* the report is as old as the boot: only the quote's nonce is fresh */
	bulla_run_bound(run, BULLA_FACTOR_NONCE, &binding->nonce, vtpm->quote.nonce, true);
	bulla_run_no_field(run, BULLA_FACTOR_PUBLIC_KEY, &binding->public_key);
	bulla_run_no_field(run, BULLA_FACTOR_MANIFEST, &binding->manifest);
	bulla_run_no_field(run, BULLA_FACTOR_BUNDLES, &binding->bundles);
}

static void appraise_tdx(struct bulla_attest_run *run, const struct bulla_azure *azure)
{
	struct bulla_dcap_judged judged;
	struct vtpm vtpm;

	if (azure->td_quote.n == 0) {
		bulla_run_fail(run, BULLA_FACTOR_FIELDS, 0, "the TD quote is missing");
		return;
	}
	if (!bulla_dcap_trust(run, azure->td_quote, &judged))
		return;
	if (!judged.quote.tdx) {
		bulla_run_fail(run, BULLA_FACTOR_VERSION, bulla_run_in(run, azure->td_quote, 4), "the quote is not that of a TD");
		return;
	}
	if (!check_binding(run, azure, bulla_bytes_of(judged.quote.body.p + 520, 64)) || !check_vtpm(run, azure, &vtpm))
		return;
	run->result->tee = BULLA_TEE_AZ_TDX;
	bulla_tdx_judge_platform(run, &judged);
	bulla_dcap_levels(run, &judged);
	bulla_run_platform(run, judged.pck.ppid);
	check_bound(run, &vtpm);
}

static void appraise(struct bulla_attest_run *run)
{
	struct bulla_azure azure;
	struct vtpm vtpm;
	bulla_bytes platform;
	bool debug = false;

	if (!bulla_azure_read(run, &azure))
		return;
	if (azure.tdx) {
		appraise_tdx(run, &azure);
		return;
	}
	if (!judge_snp(run, &azure, &debug, &platform) || !check_vtpm(run, &azure, &vtpm))
		return;
	bulla_run_policy(run, debug, bulla_run_in(run, azure.hardware, 0x08));
	bulla_run_platform(run, platform);
	check_bound(run, &vtpm);
}

const struct bulla_attest_ops bulla_attest_azure = {
	.name = "azure",
	.media_type = "application/vnd.bulla.azure-vtpm+json",
	.guess = BULLA_TEE_AZ_SNP,
	.guess_of = guess_of,
	.tees = BULLA_TEE_BIT(BULLA_TEE_AZ_SNP) | BULLA_TEE_BIT(BULLA_TEE_AZ_TDX),
	.factors = factors,
	.factor_count = sizeof(factors),
	.sniff = sniff,
	.appraise = appraise,
};
