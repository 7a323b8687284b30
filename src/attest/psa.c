#include "attest/psa.h"

#include "attest/deny.h"
#include "cose/mac0.h"
#include "wire/cbor.h"

#define ALG_HMAC_256 5
#define TAG_SIGN1 0xd2
#define TAG_MAC0 0xd1

static const uint8_t factors[] = {BULLA_FACTOR_SIZE, BULLA_FACTOR_ENCODING, BULLA_FACTOR_FIELDS, BULLA_FACTOR_TRAILING,
	BULLA_FACTOR_ALGORITHM, BULLA_FACTOR_UNKNOWN_FIELDS, BULLA_FACTOR_TEE, BULLA_FACTOR_ANCHOR,
	BULLA_FACTOR_CHAIN_KEYS, BULLA_FACTOR_TEST_KEY, BULLA_FACTOR_SIGNATURE_RANGE, BULLA_FACTOR_SIGNATURE,
	BULLA_FACTOR_CLASS, BULLA_FACTOR_CLOCK, BULLA_FACTOR_NOT_FUTURE, BULLA_FACTOR_FRESH, BULLA_FACTOR_NONCE,
	BULLA_FACTOR_BINDER, BULLA_FACTOR_PUBLIC_KEY, BULLA_FACTOR_DEBUG, BULLA_FACTOR_MEASUREMENT,
	BULLA_FACTOR_REQUIRED, BULLA_FACTOR_MANIFEST, BULLA_FACTOR_BUNDLES, BULLA_FACTOR_PLATFORM_ALLOWED,
	BULLA_FACTOR_PSA_PROFILE, BULLA_FACTOR_PSA_LIFECYCLE, BULLA_FACTOR_PSA_INSTANCE,
	BULLA_FACTOR_PSA_IMPLEMENTATION};

/* Life cycle states (RFC 9783 section 4.3.1): high byte */
#define LIFECYCLE_SECURED 0x30
#define LIFECYCLE_DEBUG_FIRST 0x40

/* 18([ protected, ... or 17([ for a MAC, perhaps in 61(; what names Nitro's fields is asked for before, CCA's collection too. Also
 * with other tags, or none: then the form is refused. */
static bool sniff(bulla_bytes evidence)
{
	bulla_bytes message;

	if (evidence.n > 0 && (evidence.p[0] == TAG_SIGN1 || evidence.p[0] == TAG_MAC0))
		return true;
	return bulla_form_is_cose(evidence, &message) && message.n > 2;
}

static void record_claims(struct bulla_attest_run *run, const struct bulla_psa_claims *claims, enum bulla_tee tee)
{
	bulla_run_claim(run, BULLA_CLAIM_PROFILE, 0, claims->profile_name);
	bulla_run_claim(run, BULLA_CLAIM_INSTANCE_ID, 0, claims->instance_id);
	bulla_run_claim(run, BULLA_CLAIM_IMPLEMENTATION_ID, 0, claims->implementation_id);
	bulla_run_claim_number(run, BULLA_CLAIM_LIFECYCLE, 0, (bulla_bytes){NULL, 0}, claims->lifecycle);
	if (tee == BULLA_TEE_PSA) /* that of CCA's platform token only binds the realm's key */
		bulla_run_claim(run, BULLA_CLAIM_REPORT_DATA, 0, claims->challenge);
	if (claims->boot_seed.p != NULL)
		bulla_run_claim(run, BULLA_CLAIM_BOOT_SEED, 0, claims->boot_seed);
	for (size_t i = 0; i < claims->component_count; i++)
		bulla_run_claim(run, BULLA_CLAIM_COMPONENT, (unsigned)i, claims->components[i]);
}

struct outer {
	struct bulla_sign1 sign1;
	bool mac;
};

/* Nothing, or a key id: devices may name their key there. */
static bool is_kid_only(bulla_bytes unprotected)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(unprotected);
	bulla_bytes kid;

	if (unprotected.n == 1)
		return true;
	return bulla_cbor_rd_expect_map(&r, 1) == BULLA_OK && bulla_cbor_rd_expect_int(&r, 4) == BULLA_OK &&
		bulla_cbor_rd_bytes(&r, &kid) == BULLA_OK && bulla_cbor_rd_end(&r) == BULLA_OK;
}

static bool read_outer(struct bulla_attest_run *run, bulla_bytes token, struct outer *ret)
{
	size_t at = bulla_run_at(run, token);
	struct bulla_form_fault fault;

	if (!bulla_run_check(run, BULLA_FACTOR_SIZE, token.n <= BULLA_PSA_SIZE_MAX, at + BULLA_PSA_SIZE_MAX,
		"the token is larger than any can be"))
		return false;
	if (bulla_psa_open(token, &ret->sign1, &ret->mac, &fault) != BULLA_OK)
		return bulla_run_unreadable(run, &fault, token);
	bool known = ret->mac ? ret->sign1.alg == ALG_HMAC_256 :
				ret->sign1.alg == BULLA_ES256 || ret->sign1.alg == BULLA_ES384;
	if (!bulla_run_check(run, BULLA_FACTOR_ALGORITHM, known, bulla_run_at(run, ret->sign1.protected_raw),
		"the algorithm is none of ES256, ES384, HMAC 256/256"))
		return false;
	return bulla_run_check(run, BULLA_FACTOR_FIELDS, is_kid_only(ret->sign1.unprotected),
		bulla_run_at(run, ret->sign1.unprotected), "the unprotected header holds more than a key id");
}

static bool read_form(struct bulla_attest_run *run, bulla_bytes token, struct outer *outer, struct bulla_psa_claims *ret)
{
	struct bulla_form_fault fault;

	if (!read_outer(run, token, outer))
		return false;
	bulla_bytes payload = outer->sign1.payload;
	if (bulla_psa_claims_read(payload, ret, &fault) != BULLA_OK)
		return bulla_run_unreadable(run, &fault, payload);
	bulla_run_hold(run, BULLA_FACTOR_ENCODING);
	bulla_run_hold(run, BULLA_FACTOR_FIELDS);
	bulla_run_hold(run, BULLA_FACTOR_TRAILING);
	if (run->policy->strict)
		bulla_run_check(run, BULLA_FACTOR_UNKNOWN_FIELDS, ret->unknown == 0,
			bulla_run_at(run, payload) + ret->unknown_at,
			"there is an unknown claim");
	else
		bulla_run_skip(run, BULLA_FACTOR_UNKNOWN_FIELDS, BULLA_WHY_POLICY_ANY);
	return true;
}

/* There is no certificate chain: a device is known by its endorsed key, or not at all. */
static bool is_device(const struct bulla_attest_anchor *anchor, enum bulla_tee tee, bool mac)
{
	return anchor->tee == (unsigned)tee && anchor->how == (mac ? BULLA_ANCHOR_SECRET : BULLA_ANCHOR_DEVICE);
}

static const struct bulla_attest_anchor *find_device(const struct bulla_attest_run *run, enum bulla_tee tee, bool mac,
	bulla_bytes instance_id)
{
	for (size_t i = 0; i < run->anchors->count; i++) {
		const struct bulla_attest_anchor *anchor = &run->anchors->list[i];

		if (is_device(anchor, tee, mac) && (anchor->id.p == NULL || bulla_bytes_eq(anchor->id, instance_id)))
			return anchor;
	}
	return NULL;
}

static bool knows_devices(const struct bulla_attest_run *run, enum bulla_tee tee, bool mac)
{
	for (size_t i = 0; i < run->anchors->count; i++)
		if (is_device(&run->anchors->list[i], tee, mac))
			return true;
	return false;
}

static bool check_signature(struct bulla_attest_run *run, const struct bulla_sign1 *sign1,
	const struct bulla_attest_anchor *anchor)
{
	size_t at = bulla_run_at(run, sign1->signature);
	enum bulla_sign_alg alg = sign1->alg == BULLA_ES256 ? BULLA_ES256 : BULLA_ES384;
	enum bulla_key_type type = BULLA_KEY_RSA, wanted = alg == BULLA_ES256 ? BULLA_KEY_P256 : BULLA_KEY_P384;
	BULLA_AUTO_VERIFY_KEY key = NULL;
	bool fits = bulla_spki_type(anchor->key, &type) && type == wanted &&
		bulla_verify_key_spki(anchor->key, &key) == BULLA_OK;

	if (!bulla_run_check(run, BULLA_FACTOR_CHAIN_KEYS, fits, bulla_run_at(run, sign1->protected_raw),
		"the endorsed key is not one for this algorithm"))
		return false;
	if (!bulla_run_check(run, BULLA_FACTOR_SIGNATURE_RANGE, sign1->signature.n == (alg == BULLA_ES256 ? 64u : 96u), at,
		"the signature has another size than two halves of this key") ||
		!bulla_run_check(run, BULLA_FACTOR_SIGNATURE_RANGE, bulla_signature_in_range(wanted, sign1->signature), at,
			"a half of the signature is zero or not below the order"))
		return false;
	bool ok = key != NULL && bulla_sign1_verify(sign1, key, alg, (bulla_bytes){NULL, 0}) == BULLA_OK;
	return bulla_run_check(run, BULLA_FACTOR_SIGNATURE, ok, at, "the token's signature does not verify");
}

/* Who verifies a MAC could have made it: the key's holders trust each other. */
static bool check_mac(struct bulla_attest_run *run, const struct bulla_sign1 *mac0, const struct bulla_attest_anchor *anchor)
{
	bulla_run_skip(run, BULLA_FACTOR_SIGNATURE_RANGE, BULLA_WHY_NO_SUCH_FIELD);
	if (!bulla_run_check(run, BULLA_FACTOR_CHAIN_KEYS, anchor->key.n >= 32, 0, "the endorsed key is too short"))
		return false;
	return bulla_run_check(run, BULLA_FACTOR_SIGNATURE, bulla_mac0_verify(mac0, anchor->key) == BULLA_OK,
		bulla_run_at(run, mac0->signature), "the token's MAC does not verify");
}

static bool check_profile(struct bulla_attest_run *run, const struct bulla_psa_claims *claims, enum bulla_tee tee)
{
	bool good = tee == BULLA_TEE_CCA ? claims->profile == BULLA_PSA_CCA :
		claims->profile == BULLA_PSA_RFC9783 || claims->profile == BULLA_PSA_2_0_0 ||
			(claims->profile == BULLA_PSA_IOT_1 && run->policy->psa.allow_legacy_profile);

	return bulla_run_check(run, BULLA_FACTOR_PSA_PROFILE, good, bulla_run_at(run, claims->profile_name),
		"the profile is unknown, or a legacy one");
}

static void check_device(struct bulla_attest_run *run, const struct bulla_psa_claims *claims)
{
	const struct bulla_psa_policy *policy = &run->policy->psa;

	bulla_run_check(run, BULLA_FACTOR_PSA_LIFECYCLE, claims->lifecycle >> 8 == LIFECYCLE_SECURED,
		bulla_run_at(run, claims->lifecycle_raw), "the device is not in its secured life cycle");
	if (policy->implementation_count == 0)
		bulla_run_skip(run, BULLA_FACTOR_PSA_IMPLEMENTATION, BULLA_WHY_POLICY_ANY);
	else
		bulla_run_check(run, BULLA_FACTOR_PSA_IMPLEMENTATION,
			bulla_bytes_in(claims->implementation_id, policy->implementations, policy->implementation_count),
			bulla_run_at(run, claims->implementation_id), "the implementation is not an accepted one");
}

bool bulla_psa_judge(struct bulla_attest_run *run, bulla_bytes token, enum bulla_tee tee, struct bulla_psa_claims *ret,
	bool *ret_debug)
{
	struct outer outer;

	if (!read_form(run, token, &outer, ret))
		return false;
	record_claims(run, ret, tee);
	if (!check_profile(run, ret, tee) ||
		!bulla_run_check(run, BULLA_FACTOR_FIELDS, bulla_psa_claims_whole(ret), bulla_run_at(run, outer.sign1.payload),
			"a mandatory claim is missing"))
		return false;
	const struct bulla_attest_anchor *anchor = find_device(run, tee, outer.mac, ret->instance_id);
	if (anchor == NULL)
		return bulla_run_stop(run, knows_devices(run, tee, outer.mac) ? BULLA_FACTOR_PSA_INSTANCE : BULLA_FACTOR_ANCHOR,
			bulla_run_at(run, ret->instance_id), "no key is endorsed for this instance id");
	bulla_run_hold(run, BULLA_FACTOR_ANCHOR);
	bulla_run_hold(run, BULLA_FACTOR_PSA_INSTANCE);
	if (run->policy->psa.allow_test_keys)
		bulla_run_skip(run, BULLA_FACTOR_TEST_KEY, BULLA_WHY_POLICY_ANY);
	else
		bulla_run_check(run, BULLA_FACTOR_TEST_KEY, !bulla_key_is_published(anchor->key),
			bulla_run_at(run, ret->instance_id), "the key's private half is published");
	if (!(outer.mac ? check_mac(run, &outer.sign1, anchor) : check_signature(run, &outer.sign1, anchor)))
		return false;
	/* where test keys are allowed, what they sign is worth no more than a development TEE's word */
	run->result->assurance = bulla_key_is_published(anchor->key) ? BULLA_ASSURANCE_DEV : anchor->assurance;
	run->result->tee = (uint8_t)tee;
	check_device(run, ret);
	*ret_debug = ret->lifecycle >> 8 >= LIFECYCLE_DEBUG_FIRST;
	return true;
}

/* RFC 9783 section 5.2: the tag says which of the two it is, inside or outside of CWT's. */
static bool check_tag(struct bulla_attest_run *run)
{
	bulla_bytes token = run->evidence;

	if (token.p[0] >> 5 == 6)
		return true;
	return bulla_run_stop(run, BULLA_FACTOR_ENCODING, bulla_run_at(run, token), "no tag says what kind of COSE message this is");
}

static void appraise(struct bulla_attest_run *run)
{
	const struct bulla_attest_binding *binding = run->binding;
	struct bulla_psa_claims claims;
	bool debug = false;

	(void)bulla_run_seconds(run, 0);
	if (!check_tag(run))
		return;
	if (!bulla_psa_judge(run, run->evidence, BULLA_TEE_PSA, &claims, &debug))
		return;
	bulla_run_fresh(run, 0, 0);
	bulla_run_policy(run, debug, bulla_run_at(run, claims.lifecycle_raw));
	bulla_run_challenge(run, claims.challenge);
	bulla_run_no_field(run, BULLA_FACTOR_PUBLIC_KEY, &binding->public_key);
	bulla_run_no_field(run, BULLA_FACTOR_MANIFEST, &binding->manifest);
	bulla_run_no_field(run, BULLA_FACTOR_BUNDLES, &binding->bundles);
	bulla_run_platform(run, claims.instance_id);
}

const struct bulla_attest_ops bulla_attest_psa = {
	.name = "psa",
	.media_type = "application/vnd.bulla.psa-token+cbor",
	.guess = BULLA_TEE_PSA,
	.tees = BULLA_TEE_BIT(BULLA_TEE_PSA),
	.factors = factors,
	.factor_count = sizeof(factors),
	.sniff = sniff,
	.appraise = appraise,
};
