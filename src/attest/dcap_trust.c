#include "attest/dcap_judge.h"
#include "attest/pem.h"
#include "crypto/hash.h"

#define CERTIFICATION_PEM 5
#define P256 (1u << BULLA_KEY_P256)
#define REPORT_DATA_AT 320

static const uint8_t intel_vendor[] = {0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95,
	0x7f, 0x06, 0x07};

static bool read_form(struct bulla_attest_run *run, bulla_bytes bytes, struct bulla_quote *ret)
{
	static const uint8_t form[] = {BULLA_FACTOR_SIZE, BULLA_FACTOR_FIELDS, BULLA_FACTOR_TRAILING, BULLA_FACTOR_VERSION,
		BULLA_FACTOR_ALGORITHM};
	enum bulla_factor factor = BULLA_FACTOR_SIZE;
	size_t at = 0, base = bulla_run_at(run, bytes);

	if (bulla_quote_read(bytes, ret, &factor, &at) != BULLA_OK)
		return bulla_run_stop(run, factor, base + at, "the quote is not in its form");
	for (size_t i = 0; i < sizeof(form); i++)
		bulla_run_hold(run, form[i]);
	bulla_run_claim_number(run, BULLA_CLAIM_REPORT_VERSION, 0, bytes, ret->version);
	if (!bulla_run_check(run, BULLA_FACTOR_RESERVED,
		    ret->version == 3 || bulla_bytes_is_zero_ct(ret->reserved), base + 8,
		    "reserved bytes of the header are not zero"))
		return false;
	return bulla_run_check(run, BULLA_FACTOR_QE_VENDOR,
		bulla_bytes_eq(ret->vendor, BULLA_BYTES_ARRAY(intel_vendor)), base + 12,
		"the quoting enclave is not Intel's");
}

/* Certificates from the quote, or from the collateral when the quote carries none. */
static bool collect(struct bulla_attest_run *run, struct bulla_dcap_judged *ret, bulla_bytes chain[3])
{
	const struct bulla_attest_collateral *collateral = run->collateral;
	size_t count = 0, at = bulla_run_at(run, ret->quote.certification);

	if (ret->quote.certification_type == CERTIFICATION_PEM) {
		if (bulla_pem_chain(ret->quote.certification, ret->memory, sizeof(ret->memory), 3, chain, &count) !=
			BULLA_OK)
			return bulla_run_stop(run, BULLA_FACTOR_CHAIN_FORM, at, "the PEM chain is damaged");
	} else {
		for (; count < collateral->certificate_count && count < 3; count++)
			chain[count] = collateral->certificates[count];
	}
	if (count == 3)
		bulla_run_hold(run, BULLA_FACTOR_PCK_PRESENT);
	else
		bulla_run_fail(run, BULLA_FACTOR_PCK_PRESENT, at, "the quote does not carry a PCK chain of three");
	return count == 3;
}

/* The root is the self-issued one, the CA the issuer of the leaf: genuine chains come in two orders. */
static bool sort_chain(struct bulla_attest_run *run, struct bulla_dcap_judged *ret)
{
	size_t at = bulla_run_at(run, ret->quote.certification);
	struct bulla_cert certs[3];
	bulla_bytes chain[3];

	if (!collect(run, ret, chain))
		return false;
	for (size_t i = 0; i < 3; i++)
		if (bulla_cert_parse(chain[i], &certs[i]) != BULLA_OK)
			return bulla_run_stop(run, BULLA_FACTOR_CHAIN_FORM, at, "a certificate is not strict DER");
	size_t root = bulla_bytes_eq(certs[1].issuer, certs[1].subject) ? 1 : 2;
	ret->certs[0] = certs[root];
	ret->certs[1] = certs[3 - root];
	ret->certs[2] = certs[0];
	return true;
}

static bool check_qe(struct bulla_attest_run *run, const struct bulla_quote *quote, struct bulla_verify_key *pck_key)
{
	size_t at = bulla_run_at(run, quote->qe_report);
	bulla_bytes data = bulla_bytes_of(quote->qe_report.p + REPORT_DATA_AT, 64);
	bulla_bytes parts[] = {quote->attestation_key, quote->qe_auth_data};
	bulla_digest digest;

	if (!bulla_run_check(run, BULLA_FACTOR_QE_SIGNATURE,
		    bulla_signature_in_range(BULLA_KEY_P256, quote->qe_signature) &&
			    bulla_verify(pck_key, BULLA_ES256, quote->qe_report, quote->qe_signature) == BULLA_OK,
		    at, "the QE report is not signed by the PCK key"))
		return false;
	bulla_sha256_parts(parts, 2, &digest);
	if (!bulla_run_check(run, BULLA_FACTOR_QE_BINDING,
		    bulla_bytes_eq(bulla_bytes_of(data.p, 32), bulla_bytes_digest(&digest)), at + REPORT_DATA_AT,
		    "the QE report binds another attestation key"))
		return false;
	return bulla_run_check(run, BULLA_FACTOR_QE_BINDING_TAIL,
		bulla_bytes_is_zero_ct(bulla_bytes_of(data.p + 32, 32)), at + REPORT_DATA_AT + 32,
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
		return bulla_run_stop(run, BULLA_FACTOR_PCK_EXTENSION, bulla_run_at(run, ret->quote.certification),
			"the PCK certificate lacks Intel's extension, or it is damaged");
	bulla_run_hold(run, BULLA_FACTOR_PCK_EXTENSION);
	record_pck(run, ret);
	if (!check_qe(run, &ret->quote, key) || !check_signature(run, &ret->quote))
		return false;
	run->result->assurance = anchor != NULL ? anchor->assurance : BULLA_ASSURANCE_NONE;
	run->result->tee = ret->quote.tdx ? BULLA_TEE_TDX : BULLA_TEE_SGX;
	return true;
}
