#include "attest/dcap_judge.h"
#include "attest/pem.h"
#include "crypto/hash.h"

#define CERTIFICATION_PEM 5
#define P256 (1u << BULLA_KEY_P256)
#define REPORT_DATA_AT 320

static bool read_form(struct bulla_attest_run *run, bulla_bytes bytes, struct bulla_quote *ret)
{
	static const uint8_t form[] = {BULLA_FACTOR_SIZE, BULLA_FACTOR_FIELDS, BULLA_FACTOR_TRAILING, BULLA_FACTOR_VERSION,
		BULLA_FACTOR_ALGORITHM};
	struct bulla_form_fault fault;

	if (bulla_quote_read(bytes, ret, &fault) != BULLA_OK)
		return bulla_run_unreadable(run, &fault, bytes);
	for (size_t i = 0; i < sizeof(form); i++)
		bulla_run_hold(run, form[i]);
	bulla_run_claim_number(run, BULLA_CLAIM_REPORT_VERSION, 0, bytes, ret->version);
	(ret->tdx ? bulla_tdx_record : bulla_sgx_record)(run, ret->body);
	if (!bulla_run_check(run, BULLA_FACTOR_RESERVED,
		ret->version == 3 || bulla_bytes_is_zero_ct(ret->reserved), bulla_run_at(run, ret->reserved),
		"reserved bytes of the header are not zero"))
		return false;
	return bulla_run_check(run, BULLA_FACTOR_QE_VENDOR,
		bulla_bytes_eq(ret->vendor, bulla_quote_intel()), bulla_run_at(run, ret->vendor),
		"the quoting enclave is not Intel's");
}

static bool no_chain(struct bulla_attest_run *run, const struct bulla_quote *quote, const char *text)
{
	return bulla_run_stop(run, BULLA_FACTOR_PCK_PRESENT,
		bulla_run_in(run, quote->raw, quote->certification_at), text);
}

/* Leaf, CA and root from the quote itself: genuine chains come in two orders, the leaf always first. */
static bool read_chain(struct bulla_attest_run *run, struct bulla_dcap_judged *ret, struct bulla_cert certs[3])
{
	const struct bulla_quote *quote = &ret->quote;
	bulla_rd r = bulla_rd_of(quote->certification);
	size_t used = 0, count = 0;

	for (; bulla_pem_more(&r); count++) {
		const uint8_t *begin = r.p + r.at;
		bulla_bytes der;

		if (count == 3 && *begin == '-')
			return no_chain(run, quote, "the quote carries more than a PCK chain of three");
		if (bulla_pem_next(&r, ret->memory + used, sizeof(ret->memory) - used, &der) != BULLA_OK)
			return bulla_run_stop(run, BULLA_FACTOR_CHAIN_FORM,
				bulla_run_in(run, quote->certification, r.at), "the PEM chain is damaged");
		bulla_run_origin(run, der, (bulla_json){bulla_bytes_of(begin, (size_t)(r.p + r.at - begin))});
		if (bulla_cert_parse(der, &certs[count]) != BULLA_OK)
			return bulla_run_stop(run, BULLA_FACTOR_CHAIN_FORM, bulla_run_at(run, der),
				"a certificate is not strict DER");
		used += der.n;
	}
	return count == 3 || no_chain(run, quote, "the quote does not carry a PCK chain of three");
}

/* The certificate of the collateral with this subject. */
static bool find_issuer(const struct bulla_attest_collateral *collateral, bulla_bytes name, struct bulla_cert *ret)
{
	for (size_t i = 0; i < collateral->certificate_count; i++)
		if (bulla_cert_parse(collateral->certificates[i], ret) == BULLA_OK && bulla_bytes_eq(ret->subject, name))
			return true;
	return false;
}

/* Where the quote carries none: the collateral's, in any order and beside others. The leaf has Intel's extension. */
static bool find_chain(struct bulla_attest_run *run, const struct bulla_quote *quote, struct bulla_cert certs[3])
{
	const struct bulla_attest_collateral *collateral = run->collateral;
	struct bulla_pck pck;

	for (size_t i = 0; i < collateral->certificate_count; i++)
		if (bulla_cert_parse(collateral->certificates[i], &certs[0]) == BULLA_OK &&
			bulla_pck_read(&certs[0], &pck) == BULLA_OK &&
			find_issuer(collateral, certs[0].issuer, &certs[1]) &&
			find_issuer(collateral, certs[1].issuer, &certs[2]))
			return true;
	return no_chain(run, quote, "neither the quote nor the collateral has its PCK chain");
}

/* The root is the self-issued one, the CA the issuer of the leaf. */
static bool sort_chain(struct bulla_attest_run *run, struct bulla_dcap_judged *ret)
{
	bool inside = ret->quote.certification_type == CERTIFICATION_PEM;
	struct bulla_cert certs[3];

	if (!(inside ? read_chain(run, ret, certs) : find_chain(run, &ret->quote, certs)))
		return false;
	bulla_run_hold(run, BULLA_FACTOR_PCK_PRESENT);
	size_t root = bulla_bytes_eq(certs[1].issuer, certs[1].subject) ? 1 : 2;
	ret->certs[0] = certs[root];
	ret->certs[1] = certs[3 - root];
	ret->certs[2] = certs[0];
	return true;
}

static bool check_qe(struct bulla_attest_run *run, const struct bulla_quote *quote, struct bulla_verify_key *pck_key)
{
	bulla_bytes data = bulla_bytes_of(quote->qe_report.p + REPORT_DATA_AT, 64);
	bulla_bytes parts[] = {quote->attestation_key, quote->qe_auth_data};
	bulla_digest digest;

	if (!bulla_run_check(run, BULLA_FACTOR_QE_SIGNATURE,
		bulla_signature_in_range(BULLA_KEY_P256, quote->qe_signature) &&
		bulla_verify(pck_key, BULLA_ES256, quote->qe_report, quote->qe_signature) == BULLA_OK,
		bulla_run_at(run, quote->qe_signature), "the QE report is not signed by the PCK key"))
		return false;
	bulla_sha256_parts(parts, 2, &digest);
	if (!bulla_run_check(run, BULLA_FACTOR_QE_BINDING,
		bulla_bytes_eq(bulla_bytes_of(data.p, 32), bulla_bytes_digest(&digest)), bulla_run_at(run, data),
		"the QE report binds another attestation key"))
		return false;
	return bulla_run_check(run, BULLA_FACTOR_QE_BINDING_TAIL,
		bulla_bytes_is_zero_ct(bulla_bytes_of(data.p + 32, 32)), bulla_run_in(run, data, 32),
		"the second half of the QE report data is not zero");
}

static bool check_signature(struct bulla_attest_run *run, const struct bulla_quote *quote)
{
	BULLA_AUTO_VERIFY_KEY key = NULL;
	bulla_bytes x = bulla_bytes_of(quote->attestation_key.p, 32), y = bulla_bytes_of(quote->attestation_key.p + 32, 32);
	size_t at = bulla_run_at(run, quote->signature);

	if (!bulla_run_check(run, BULLA_FACTOR_SIGNATURE_RANGE, bulla_signature_in_range(BULLA_KEY_P256, quote->signature),
		at, "a half of the signature is zero or not below the order"))
		return false;
	bool ok = bulla_verify_key_point(BULLA_KEY_P256, x, y, &key) == BULLA_OK &&
		bulla_verify(key, BULLA_ES256, quote->signed_part, quote->signature) == BULLA_OK;
	return bulla_run_check(run, BULLA_FACTOR_SIGNATURE, ok, at, "the quote's signature does not verify");
}

static void record_pck(struct bulla_attest_run *run, const struct bulla_dcap_judged *judged)
{
	const struct bulla_pck *pck = &judged->pck;
	static const uint8_t common_name[] = {0x55, 0x04, 0x03};
	bulla_bytes name;

	/* bytes of the chain live in judged, on the stack */
	bulla_run_claim_kept(run, BULLA_CLAIM_FMSPC, 0, pck->fmspc);
	bulla_run_claim_kept(run, BULLA_CLAIM_PCEID, 0, pck->pceid);
	bulla_run_claim_kept(run, BULLA_CLAIM_PPID, 0, pck->ppid);
	bulla_run_claim_kept(run, BULLA_CLAIM_PCK_TCB, 0, BULLA_BYTES_ARRAY(pck->components));
	bulla_run_claim_number(run, BULLA_CLAIM_PCESVN, 0, (bulla_bytes){NULL, 0}, pck->pcesvn);
	bulla_run_claim_number(run, BULLA_CLAIM_QE_SVN, 0, judged->quote.qe_report,
		(uint64_t)judged->quote.qe_report.p[258] | (uint64_t)judged->quote.qe_report.p[259] << 8);
	if (bulla_name_find(judged->certs[2].issuer, BULLA_BYTES_ARRAY(common_name), &name) == BULLA_OK)
		bulla_run_claim(run, BULLA_CLAIM_SIGNER, 0,
			bulla_bytes_str(bulla_bytes_eq_str(name, "Intel SGX PCK Platform CA") ? "PCK Platform CA" :
				"PCK Processor CA"));
}

bool bulla_dcap_trust(struct bulla_attest_run *run, bulla_bytes bytes, struct bulla_dcap_judged *ret)
{
	const struct bulla_attest_anchor *anchor = NULL;
	BULLA_AUTO_VERIFY_KEY key = NULL;

	ret->time = bulla_run_seconds(run, 0);
	const struct bulla_chain_rules rules = {BULLA_TEE_TDX, P256, P256, true, ret->time};
	if (!read_form(run, bytes, &ret->quote) || !sort_chain(run, ret) ||
		!bulla_run_chain(run, ret->certs, 3, &rules, &anchor, &key))
		return false;
	if (bulla_pck_read(&ret->certs[2], &ret->pck) != BULLA_OK)
		return bulla_run_stop(run, BULLA_FACTOR_PCK_EXTENSION, bulla_run_at(run, ret->certs[2].der),
			"the PCK certificate lacks Intel's extension, or it is damaged");
	bulla_run_hold(run, BULLA_FACTOR_PCK_EXTENSION);
	record_pck(run, ret);
	if (!check_qe(run, &ret->quote, key) || !check_signature(run, &ret->quote))
		return false;
	run->result->assurance = anchor != NULL ? anchor->assurance : BULLA_ASSURANCE_NONE;
	run->result->tee = ret->quote.tdx ? BULLA_TEE_TDX : BULLA_TEE_SGX;
	return true;
}
