#include "attest/nitro.h"

#include "attest/chain.h"
#include "wire/cbor.h"

/* AWS's whole chain is P-384 */
#define P384 (1u << BULLA_KEY_P384)

static const uint8_t factors[] = {BULLA_FACTOR_SIZE, BULLA_FACTOR_ENCODING, BULLA_FACTOR_FIELDS, BULLA_FACTOR_TRAILING,
	BULLA_FACTOR_ALGORITHM, BULLA_FACTOR_UNKNOWN_FIELDS, BULLA_FACTOR_TEE, BULLA_FACTOR_ANCHOR, BULLA_FACTOR_TEST_KEY,
	BULLA_FACTOR_CHAIN_FORM, BULLA_FACTOR_CHAIN_ORDER, BULLA_FACTOR_CHAIN_SIGNATURES, BULLA_FACTOR_CHAIN_DATES,
	BULLA_FACTOR_CHAIN_CA, BULLA_FACTOR_CHAIN_KEYS, BULLA_FACTOR_LEAF_USAGE, BULLA_FACTOR_SIGNATURE_RANGE,
	BULLA_FACTOR_SIGNATURE, BULLA_FACTOR_CLASS, BULLA_FACTOR_CLOCK, BULLA_FACTOR_NOT_FUTURE, BULLA_FACTOR_FRESH,
	BULLA_FACTOR_NONCE, BULLA_FACTOR_BINDER, BULLA_FACTOR_PUBLIC_KEY, BULLA_FACTOR_DEBUG, BULLA_FACTOR_MEASUREMENT,
	BULLA_FACTOR_REQUIRED, BULLA_FACTOR_MANIFEST, BULLA_FACTOR_BUNDLES, BULLA_FACTOR_PLATFORM_ALLOWED,
	BULLA_FACTOR_NITRO_MODULE, BULLA_FACTOR_NITRO_DIGEST, BULLA_FACTOR_NITRO_PCRS};

/* What is left of one that was cut: a PSA token under ES384 begins alike, but its claims have numbers for names, behind the
 * heads of bytes and map. */
static bool is_headed(bulla_bytes message)
{
	static const uint8_t head[] = {0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0};
	size_t n = message.n < sizeof(head) ? message.n : sizeof(head), key = sizeof(head) + 4;

	if (!bulla_bytes_eq(bulla_bytes_of(message.p, n), bulla_bytes_of(head, n)))
		return false;
	if (message.n > sizeof(head) && message.p[sizeof(head)] == 0x58)
		key--;
	return message.n <= key || message.p[key] >> 6 != 0;
}

/* A COSE message, whatever its tags and headers, whose payload names fields of Nitro's. */
static bool sniff(bulla_bytes evidence)
{
	bulla_bytes message;

	if (!bulla_form_is_cose(evidence, &message))
		return false;
	return bulla_form_has(message, BULLA_BYTES_LITERAL("module_id")) ||
		bulla_form_has(message, BULLA_BYTES_LITERAL("cabundle")) ||
		((message.n > 1 || evidence.n == 1) && is_headed(message));
}

/* Where "-enc" or "-tpm" begins in the module id; its size when it has neither. */
static size_t module_split(bulla_bytes id, const char *word)
{
	for (size_t i = 0; i + 4 <= id.n; i++)
		if (bulla_bytes_eq_str(bulla_bytes_of(id.p + i, 4), word))
			return i;
	return id.n;
}

static void record_claims(struct bulla_attest_run *run, const struct bulla_nitro_fields *doc)
{
	bulla_run_claim(run, BULLA_CLAIM_MODULE_ID, 0, doc->module_id);
	bulla_run_claim_number(run, BULLA_CLAIM_TIME, 0, (bulla_bytes){NULL, 0}, doc->timestamp_ms);
	for (unsigned i = 0; i < BULLA_NITRO_REGISTERS; i++)
		if (doc->pcrs[i].p != NULL)
			bulla_run_claim(run, BULLA_CLAIM_PCR, i, doc->pcrs[i]);
	if (doc->public_key.n > 0)
		bulla_run_claim(run, BULLA_CLAIM_PUBLIC_KEY, 0, doc->public_key);
	if (doc->user_data.n > 0)
		bulla_run_claim(run, BULLA_CLAIM_USER_DATA, 0, doc->user_data);
	if (doc->nonce.n > 0)
		bulla_run_claim(run, BULLA_CLAIM_NONCE, 0, doc->nonce);
}

/* What bulla_nitro_read has checked. */
static void hold_form(struct bulla_attest_run *run)
{
	static const uint8_t form[] = {BULLA_FACTOR_SIZE, BULLA_FACTOR_ENCODING, BULLA_FACTOR_FIELDS,
		BULLA_FACTOR_TRAILING, BULLA_FACTOR_ALGORITHM, BULLA_FACTOR_NITRO_DIGEST, BULLA_FACTOR_NITRO_PCRS};

	for (size_t i = 0; i < sizeof(form); i++)
		bulla_run_hold(run, form[i]);
}

static bool read_form(struct bulla_attest_run *run, struct bulla_nitro_fields *ret)
{
	struct bulla_form_fault fault;

	if (bulla_nitro_read(run->evidence, ret, &fault) != BULLA_OK)
		return bulla_run_unreadable(run, &fault, run->evidence);
	hold_form(run);
	record_claims(run, ret);
	if (run->policy->strict)
		bulla_run_check(run, BULLA_FACTOR_UNKNOWN_FIELDS, ret->unknown == 0,
			bulla_run_at(run, ret->payload) + ret->unknown_at, "there is an unknown field");
	else
		bulla_run_skip(run, BULLA_FACTOR_UNKNOWN_FIELDS, BULLA_WHY_POLICY_ANY);
	bulla_run_check(run, BULLA_FACTOR_NITRO_MODULE,
		module_split(ret->module_id, ret->tpm ? "-tpm" : "-enc") < ret->module_id.n,
		bulla_run_at(run, ret->module_id), "the module id is not that of its registers' kind");
	if (!ret->tpm && (ret->pcrs[0].n == 0 || ret->pcrs[1].n == 0 || ret->pcrs[2].n == 0))
		bulla_run_fail(run, BULLA_FACTOR_NITRO_PCRS, bulla_run_at(run, ret->payload), "PCR0, 1 or 2 is missing");
	return true;
}

static bool read_chain(struct bulla_attest_run *run, const struct bulla_nitro_fields *doc, struct bulla_cert *ret,
	size_t *ret_count)
{
	for (size_t i = 0; i < doc->cabundle_count; i++)
		if (bulla_cert_parse(doc->cabundle[i], &ret[i]) != BULLA_OK)
			return bulla_run_stop(run, BULLA_FACTOR_CHAIN_FORM, bulla_run_at(run, doc->cabundle[i]),
				"a certificate of the bundle is not strict DER");
	if (bulla_cert_parse(doc->certificate, &ret[doc->cabundle_count]) != BULLA_OK)
		return bulla_run_stop(run, BULLA_FACTOR_CHAIN_FORM, bulla_run_at(run, doc->certificate),
			"the document's certificate is not strict DER");
	*ret_count = doc->cabundle_count + 1;
	return true;
}

static bool check_signature(struct bulla_attest_run *run, const struct bulla_nitro_fields *doc,
	struct bulla_verify_key *key)
{
	uint8_t head_bytes[32];
	bulla_wr w = bulla_wr_fixed(head_bytes, sizeof(head_bytes));
	bulla_bytes head;

	/* RFC 9052 section 4.4: ["Signature1", protected, external_aad, payload], around the received bytes */
	bulla_cbor_wr_array(&w, 4);
	bulla_cbor_wr_str(&w, "Signature1");
	bulla_cbor_wr_bytes(&w, doc->protected_raw);
	bulla_cbor_wr_bytes(&w, (bulla_bytes){NULL, 0});
	bulla_cbor_wr_bytes_head(&w, doc->payload.n);
	if (bulla_wr_end(&w, &head) != BULLA_OK)
		return bulla_run_stop(run, BULLA_FACTOR_SIGNATURE, 0, "no room for the signed structure");
	bulla_bytes parts[] = {head, doc->payload};
	bool ok = bulla_verify_parts(key, BULLA_ES384, parts, 2, doc->signature) == BULLA_OK;
	return bulla_run_check(run, BULLA_FACTOR_SIGNATURE, ok, bulla_run_at(run, doc->signature),
		"the document's signature does not verify");
}

static void set_tee(struct bulla_attest_run *run, const struct bulla_nitro_fields *doc,
	const struct bulla_attest_anchor *anchor)
{
	if (anchor == NULL)
		return;
	run->result->assurance = anchor->assurance;
	run->result->tee = anchor->tee;
	if (doc->tpm)
		run->result->tee = anchor->tee == BULLA_TEE_NITRO ? BULLA_TEE_NITROTPM : BULLA_TEE_NONE;
}

static bool check_trust(struct bulla_attest_run *run, const struct bulla_nitro_fields *doc)
{
	struct bulla_cert certs[BULLA_NITRO_CHAIN_MAX + 1];
	const struct bulla_chain_rules rules = {BULLA_TEE_NITRO, P384, P384, true,
		bulla_run_seconds(run, (int64_t)doc->timestamp_ms)};
	const struct bulla_attest_anchor *anchor = NULL;
	BULLA_AUTO_VERIFY_KEY key = NULL;
	size_t count = 0;

	if (!read_chain(run, doc, certs, &count) || !bulla_run_chain(run, certs, count, &rules, &anchor, &key))
		return false;
	if (!bulla_run_check(run, BULLA_FACTOR_SIGNATURE_RANGE, bulla_signature_in_range(BULLA_KEY_P384, doc->signature),
		bulla_run_at(run, doc->signature), "a half of the signature is zero or not below the order"))
		return false;
	if (!check_signature(run, doc, key))
		return false;
	set_tee(run, doc, anchor);
	return true;
}

static bulla_bytes instance_of(const struct bulla_nitro_fields *doc)
{
	return bulla_bytes_of(doc->module_id.p, module_split(doc->module_id, doc->tpm ? "-tpm" : "-enc"));
}

static void appraise(struct bulla_attest_run *run)
{
	const struct bulla_attest_binding *binding = run->binding;
	struct bulla_nitro_fields doc;

	if (!read_form(run, &doc) || !check_trust(run, &doc))
		return;
	/* AWS: an enclave in debug mode has PCR0 to PCR2 zero; PCR3 and PCR4 stay as they are */
	bool debug = !doc.tpm && bulla_bytes_is_zero_ct(doc.pcrs[0]);
	bulla_run_fresh(run, (int64_t)doc.timestamp_ms, bulla_run_at(run, doc.payload));
	bulla_run_policy(run, debug, bulla_run_at(run, doc.pcrs[0]));
	bulla_run_bound(run, BULLA_FACTOR_NONCE, &binding->nonce, doc.nonce, false);
	bulla_run_bound(run, BULLA_FACTOR_BINDER, &binding->binder, doc.user_data, false);
	bulla_run_bound(run, BULLA_FACTOR_PUBLIC_KEY, &binding->public_key, doc.public_key, false);
	bulla_run_register(run, BULLA_FACTOR_MANIFEST, &binding->manifest, doc.pcrs[16], false);
	bulla_run_register(run, BULLA_FACTOR_BUNDLES, &binding->bundles, doc.pcrs[17], false);
	bulla_run_platform(run, instance_of(&doc));
}

const struct bulla_attest_ops bulla_attest_nitro = {
	.name = "nitro",
	.media_type = "application/vnd.bulla.nitro-document+cbor",
	.guess = BULLA_TEE_NITRO,
	.tees = BULLA_TEE_BIT(BULLA_TEE_NITRO) | BULLA_TEE_BIT(BULLA_TEE_NITROTPM) | BULLA_TEE_BIT(BULLA_TEE_DEV),
	.factors = factors,
	.factor_count = sizeof(factors),
	.sniff = sniff,
	.appraise = appraise,
};
