#include "attest/psa.h"

#include "cose/cmw.h"
#include "crypto/hash.h"
#include "wire/cbor.h"

#define TAG_COLLECTION_LEGACY 399
#define TAG_COLLECTION 907
#define KEY_PLATFORM 44234
#define KEY_REALM 44241
#define FORMAT_EAT_CWT 263 /* CoAP content format of application/eat+cwt (RFC 9782) */
#define REMS 4

static const uint8_t factors[] = {BULLA_FACTOR_SIZE, BULLA_FACTOR_ENCODING, BULLA_FACTOR_FIELDS, BULLA_FACTOR_TRAILING,
	BULLA_FACTOR_ALGORITHM, BULLA_FACTOR_UNKNOWN_FIELDS, BULLA_FACTOR_TEE, BULLA_FACTOR_ANCHOR,
	BULLA_FACTOR_CHAIN_KEYS, BULLA_FACTOR_TEST_KEY, BULLA_FACTOR_SIGNATURE_RANGE, BULLA_FACTOR_SIGNATURE,
	BULLA_FACTOR_CLASS, BULLA_FACTOR_CLOCK, BULLA_FACTOR_NOT_FUTURE, BULLA_FACTOR_FRESH, BULLA_FACTOR_NONCE,
	BULLA_FACTOR_BINDER, BULLA_FACTOR_PUBLIC_KEY, BULLA_FACTOR_DEBUG, BULLA_FACTOR_MEASUREMENT,
	BULLA_FACTOR_REQUIRED, BULLA_FACTOR_MANIFEST, BULLA_FACTOR_BUNDLES, BULLA_FACTOR_PLATFORM_ALLOWED,
	BULLA_FACTOR_PSA_PROFILE, BULLA_FACTOR_PSA_LIFECYCLE, BULLA_FACTOR_PSA_INSTANCE,
	BULLA_FACTOR_PSA_IMPLEMENTATION, BULLA_FACTOR_CCA_BINDING, BULLA_FACTOR_CCA_REALM_SIGNATURE};

/* One of the two tags, or a map that has the number of one of the two tokens. */
static bool sniff(bulla_bytes evidence)
{
	const uint8_t *p = evidence.p;
	bulla_bytes message = bulla_form_behind_tags(evidence);

	if (evidence.n > 2 && p[0] == 0xd9 && ((p[1] == 0x01 && p[2] == 0x8f) || (p[1] == 0x03 && p[2] == 0x8b)))
		return true;
	return message.n > 0 && message.p[0] >> 5 == 5 &&
		(bulla_form_has(message, BULLA_BYTES_LITERAL("\x19\xac\xca")) ||
			bulla_form_has(message, BULLA_BYTES_LITERAL("\x19\xac\xd1")));
}

/* ---- the collection ---- */

/* A token as byte string (tag 399), or as CMW record [263 or media type, byte string, ? indicator] (tag 907, RFC 9999). */
static bulla_rc read_half(bulla_cbor_rd *r, bulla_bytes *ret)
{
	const bulla_cbor_rd begin = *r;
	enum bulla_cbor_type type;
	struct bulla_cmw record;

	BULLA_TRY(bulla_cbor_rd_peek(r, &type));
	if (type != BULLA_CBOR_ARRAY)
		return bulla_cbor_rd_bytes_max(r, BULLA_PSA_SIZE_MAX, ret);
	BULLA_TRY(bulla_cmw_rd(r, &record));
	bool eat = record.media_type.n > 0 || record.content_format == FORMAT_EAT_CWT;
	if (eat && (record.ind == 0 || (record.ind & BULLA_CMW_EVIDENCE) != 0)) {
		*ret = record.value;
		return BULLA_OK;
	}
	*r = begin;
	return BULLA_FAIL(BULLA_E_FORMAT, "a part of the collection is no EAT, or says that it is no evidence");
}

static bulla_rc read_halves(bulla_cbor_rd *r, bulla_bytes *platform, bulla_bytes *realm)
{
	bulla_cbor_rd begin = *r;
	struct bulla_cbor_map map;
	int64_t key;
	uint64_t tag;

	BULLA_TRY(bulla_cbor_rd_tag(&begin, &tag));
	if (tag != TAG_COLLECTION && tag != TAG_COLLECTION_LEGACY)
		return BULLA_FAIL(BULLA_E_FORMAT, "the tag is none of a CCA token");
	*r = begin;
	BULLA_TRY(bulla_cbor_rd_map(r, 2, &map));
	while (bulla_cbor_map_more(r, &map)) {
		const bulla_cbor_rd before = *r;

		BULLA_TRY(bulla_cbor_rd_key_int(r, &map, &key));
		if (key != KEY_PLATFORM && key != KEY_REALM) {
			*r = before;
			return BULLA_FAIL(BULLA_E_FORMAT, "the collection has something else than the two tokens");
		}
		BULLA_TRY(read_half(r, key == KEY_PLATFORM ? platform : realm));
	}
	BULLA_TRY(bulla_cbor_rd_end(r));
	if (platform->p != NULL && realm->p != NULL)
		return BULLA_OK;
	*r = begin;
	return BULLA_FAIL(BULLA_E_FORMAT, "one of the two tokens is missing");
}

bulla_rc bulla_cca_instance(bulla_bytes token, bulla_bytes *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(token);
	bulla_bytes platform = {NULL, 0}, realm = {NULL, 0};

	BULLA_TRY(read_halves(&r, &platform, &realm));
	return bulla_psa_instance(platform, ret);
}

/* ---- the realm's claims ---- */
struct realm {
	bulla_bytes challenge, personalisation, key, x, y, key_hash, initial, rem[REMS], profile;
	unsigned seen; /* a bit for each claim that must be there */
	unsigned unknown;
	size_t unknown_at; /* when there is one: the first, in the payload */
};

/* The point as 04 x y, or a COSE_Key {1: 2 (EC2), -1: 2 (P-384), -2: x, -3: y} in the newer profile. */
static bulla_rc read_point(bulla_bytes key, bulla_bytes *x, bulla_bytes *y)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(key);

	if (key.n == 97 && key.p[0] == 0x04) {
		*x = bulla_bytes_of(key.p + 1, 48);
		*y = bulla_bytes_of(key.p + 49, 48);
		return BULLA_OK;
	}
	BULLA_TRY(bulla_cbor_rd_expect_map(&r, 4));
	BULLA_TRY(bulla_cbor_rd_expect_int(&r, 1));
	BULLA_TRY(bulla_cbor_rd_expect_int(&r, 2));
	BULLA_TRY(bulla_cbor_rd_expect_int(&r, -1));
	BULLA_TRY(bulla_cbor_rd_expect_int(&r, 2));
	BULLA_TRY(bulla_cbor_rd_expect_int(&r, -2));
	BULLA_TRY(bulla_cbor_rd_bytes(&r, x));
	BULLA_TRY(bulla_cbor_rd_expect_int(&r, -3));
	BULLA_TRY(bulla_cbor_rd_bytes(&r, y));
	return bulla_cbor_rd_end(&r);
}

/* Whether the point is on the curve: check_realm_signature. */
static bulla_rc read_realm_key(bulla_cbor_rd *r, struct realm *ret)
{
	const bulla_cbor_rd begin = *r;

	BULLA_TRY(bulla_cbor_rd_bytes_max(r, 256, &ret->key));
	if (read_point(ret->key, &ret->x, &ret->y) == BULLA_OK && ret->x.n == 48 && ret->y.n == 48)
		return BULLA_OK;
	*r = begin;
	return BULLA_FAIL(BULLA_E_FORMAT, "the realm's key is no point of P-384, or has another size");
}

static bulla_rc read_64(bulla_cbor_rd *r, bulla_bytes *ret)
{
	const bulla_cbor_rd begin = *r;

	BULLA_TRY(bulla_cbor_rd_bytes_max(r, 64, ret));
	if (ret->n == 64)
		return BULLA_OK;
	*r = begin;
	return BULLA_FAIL(BULLA_E_LIMIT, "a claim of the realm has another size than 64 bytes");
}

static bulla_rc read_rems(bulla_cbor_rd *r, struct realm *ret)
{
	BULLA_TRY(bulla_cbor_rd_expect_array(r, REMS));
	for (size_t i = 0; i < REMS; i++)
		BULLA_TRY(bulla_psa_measurement(r, &ret->rem[i]));
	return BULLA_OK;
}

static bulla_rc read_realm_claim(bulla_cbor_rd *r, int64_t key, struct realm *ret)
{
	bulla_bytes ignored;

	switch (key) {
	case 10:
		return read_64(r, &ret->challenge);
	case 265:
		return bulla_cbor_rd_text(r, 128, &ret->profile);
	case 44235:
		return read_64(r, &ret->personalisation);
	case 44236: /* the measurements' hash: named, not used */
		return bulla_psa_hash_name(r, &ignored);
	case 44237:
		return read_realm_key(r, ret);
	case 44238:
		return bulla_psa_measurement(r, &ret->initial);
	case 44239:
		return read_rems(r, ret);
	case 44240:
		return bulla_psa_hash_name(r, &ret->key_hash);
	default:
		ret->unknown++;
		return bulla_cbor_rd_skip(r, &ignored);
	}
}

/* RMM specification, section A7.2: all but the profile, which older realms do not name. */
static const int64_t mandatory[] = {10, 44235, 44236, 44237, 44238, 44239, 44240};

#define MANDATORY_COUNT (sizeof(mandatory) / sizeof(mandatory[0]))

static bulla_rc read_realm(bulla_cbor_rd *r, struct realm *ret)
{
	struct bulla_cbor_map map;
	int64_t key;

	BULLA_TRY(bulla_cbor_rd_map(r, 16, &map));
	while (bulla_cbor_map_more(r, &map)) {
		if (ret->unknown == 0)
			ret->unknown_at = r->rd.at;
		BULLA_TRY(bulla_cbor_rd_key_int(r, &map, &key));
		BULLA_TRY(read_realm_claim(r, key, ret));
		for (unsigned i = 0; i < MANDATORY_COUNT; i++)
			ret->seen |= mandatory[i] == key ? 1u << i : 0;
	}
	BULLA_TRY(bulla_cbor_rd_end(r));
	if (ret->seen == (1u << MANDATORY_COUNT) - 1)
		return BULLA_OK;
	r->rd.at = 0;
	return BULLA_FAIL(BULLA_E_FORMAT, "a mandatory claim of the realm is missing");
}

/* ---- the rules ---- */
static bool check_realm_signature(struct bulla_attest_run *run, const struct bulla_sign1 *sign1,
	const struct realm *realm)
{
	BULLA_AUTO_VERIFY_KEY key = NULL;
	bool ok = bulla_verify_key_point(BULLA_KEY_P384, realm->x, realm->y, &key) == BULLA_OK &&
		bulla_signature_in_range(BULLA_KEY_P384, sign1->signature) &&
		bulla_sign1_verify(sign1, key, BULLA_ES384, (bulla_bytes){NULL, 0}) == BULLA_OK;

	return bulla_run_check(run, BULLA_FACTOR_CCA_REALM_SIGNATURE, ok, bulla_run_at(run, sign1->signature),
		"the realm token does not verify under the realm's key");
}

/* Both halves may be genuine and have nothing to do with each other: the platform's challenge must be the realm key. */
static bool check_binding(struct bulla_attest_run *run, const struct realm *realm, const struct bulla_psa_claims *platform)
{
	uint8_t hash[BULLA_SHA512_SIZE];
	bulla_digest digest;
	bulla_bytes expected = {NULL, 0};

	if (bulla_bytes_eq_str(realm->key_hash, "sha-256")) {
		bulla_sha256(realm->key, &digest);
		expected = bulla_bytes_digest(&digest);
	} else if (bulla_bytes_eq_str(realm->key_hash, "sha-512")) {
		bulla_sha512(realm->key, hash);
		expected = BULLA_BYTES_ARRAY(hash);
	}
	return bulla_run_check(run, BULLA_FACTOR_CCA_BINDING,
		expected.n > 0 && bulla_bytes_eq(expected, platform->challenge), bulla_run_at(run, platform->challenge),
		"the platform token is not bound to this realm's key");
}

static bool read_realm_token(struct bulla_attest_run *run, bulla_bytes token, struct bulla_sign1 *sign1, struct realm *ret)
{
	struct bulla_form_fault fault;

	if (bulla_form_cose(token, 18, (bulla_bytes){NULL, 0}, sign1, &fault) != BULLA_OK ||
		bulla_psa_headers(token, sign1, &fault) != BULLA_OK)
		return bulla_run_unreadable(run, &fault, token);
	if (!bulla_run_check(run, BULLA_FACTOR_ALGORITHM, sign1->alg == BULLA_ES384, bulla_run_at(run, sign1->protected_raw),
		"the realm token's algorithm is not ES384") ||
		!bulla_run_check(run, BULLA_FACTOR_FIELDS, sign1->unprotected.n == 1, bulla_run_at(run, sign1->unprotected),
			"the realm token's unprotected header is not empty"))
		return false;
	bulla_cbor_rd r = bulla_cbor_rd_with(sign1->payload, (struct bulla_cbor_options){.unordered_keys = true});
	*ret = (struct realm){0};
	bulla_rc rc = read_realm(&r, ret);
	if (rc != BULLA_OK) {
		fault = bulla_form_fault_of(rc, &r, false);
		return bulla_run_unreadable(run, &fault, sign1->payload);
	}
	if (run->policy->strict && ret->unknown > 0)
		bulla_run_fail(run, BULLA_FACTOR_UNKNOWN_FIELDS, bulla_run_at(run, sign1->payload) + ret->unknown_at,
			"there is an unknown claim");
	return true;
}

static void record_claims(struct bulla_attest_run *run, const struct realm *realm)
{
	bulla_run_claim(run, BULLA_CLAIM_REPORT_DATA, 0, realm->challenge);
	bulla_run_claim(run, BULLA_CLAIM_MEASUREMENT, 0, realm->initial);
	bulla_run_claim(run, BULLA_CLAIM_PERSONALISATION, 0, realm->personalisation);
	for (unsigned i = 0; i < REMS; i++)
		bulla_run_claim(run, BULLA_CLAIM_RTMR, i, realm->rem[i]);
}

static void appraise(struct bulla_attest_run *run)
{
	const struct bulla_attest_binding *binding = run->binding;
	bulla_cbor_rd r = bulla_cbor_rd_of(run->evidence);
	bulla_bytes platform_token = {NULL, 0}, realm_token = {NULL, 0};
	struct bulla_psa_claims platform;
	struct bulla_sign1 sign1;
	struct realm realm;
	bool debug = false;
	bulla_rc rc = read_halves(&r, &platform_token, &realm_token);

	(void)bulla_run_seconds(run, 0);
	if (rc != BULLA_OK) {
		const struct bulla_form_fault fault = bulla_form_fault_of(rc, &r, true);

		bulla_run_unreadable(run, &fault, run->evidence);
		return;
	}
	if (!read_realm_token(run, realm_token, &sign1, &realm) ||
		!bulla_psa_judge(run, platform_token, BULLA_TEE_CCA, &platform, &debug) ||
		!check_realm_signature(run, &sign1, &realm) || !check_binding(run, &realm, &platform))
		return;
	record_claims(run, &realm);
	bulla_run_fresh(run, 0, 0);
	bulla_run_policy(run, debug, bulla_run_at(run, platform.lifecycle_raw));
	bulla_run_challenge(run, realm.challenge);
	bulla_run_no_field(run, BULLA_FACTOR_PUBLIC_KEY, &binding->public_key);
	bulla_run_no_field(run, BULLA_FACTOR_MANIFEST, &binding->manifest);
	bulla_run_no_field(run, BULLA_FACTOR_BUNDLES, &binding->bundles);
	bulla_run_platform(run, platform.instance_id);
}

const struct bulla_attest_ops bulla_attest_cca = {
	.name = "cca",
	.media_type = "application/vnd.bulla.cca-token+cbor",
	.guess = BULLA_TEE_CCA,
	.tees = BULLA_TEE_BIT(BULLA_TEE_CCA),
	.factors = factors,
	.factor_count = sizeof(factors),
	.sniff = sniff,
	.appraise = appraise,
};
