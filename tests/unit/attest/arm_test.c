#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "attest/psa.h"
#include "attest/textual.h"
#include "arm_lab.h"
#include "cose/cmw.h"
#include "crypto/hash.h"
#include "samples.h"
#include "test.h"
#include "wire/cbor.h"

/* ---- genuine tokens of published test devices ---- */
struct sample {
	struct bulla_buf token;
	struct bulla_attest_anchor anchor;
	struct bulla_attest_policy policy;
	struct bulla_attest_binding binding;
	struct bulla_attest_result result;
	uint8_t id[33], spki[256];
};

static bulla_rc sample_judge(struct sample *sample)
{
	struct bulla_attest_anchors anchors = {&sample->anchor, 1};

	return bulla_attest_appraise(bulla_buf_view(&sample->token), NULL, &anchors, &sample->policy, &sample->binding,
		sample_time(1770000000), NULL, &sample->result);
}

static bool sample_open(struct sample *sample, const char *path, enum bulla_tee tee)
{
	*sample = (struct sample){0};
	if (!sample_read(path, &sample->token)) {
		printf("# SKIPPED: no genuine samples (set BULLA_VECTORS)\n");
		return false;
	}
	sample_policy(&sample->policy);
	sample->policy.assurance = BULLA_ASSURANCE_DEV; /* all that a published key is worth */
	sample->policy.psa.allow_test_keys = true;
	sample->binding = sample_binding();
	sample->anchor = (struct bulla_attest_anchor){(uint8_t)tee, BULLA_ASSURANCE_HARDWARE, BULLA_ANCHOR_DEVICE,
		BULLA_BYTES_ARRAY(sample->id), {NULL, 0}};
	return true;
}

/* The instance id stands behind its map key: 19 01 00 58 21 */
static void take_id(struct sample *sample, const char *head, size_t size)
{
	for (size_t i = 0; i + size + 33 <= sample->token.n; i++)
		if (bulla_bytes_eq(bulla_bytes_of(sample->token.p + i, size), bulla_bytes_of(head, size))) {
			bulla_copy(sample->id, sample->token.p + i + size, 33);
			return;
		}
	fail();
}

static void psa_tokens_of_test_devices(void **state)
{
	struct sample sample;
	BULLA_AUTO_BUF pem;

	(void)state;
	if (!sample_open(&sample, "psa/tfm-psa2-sign1.cbor", BULLA_TEE_PSA))
		skip();
	assert_true(sample_read("psa/tfm-iak-public.pem", &pem));
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	uint8_t *p = sample.spki;
	sample.anchor.key = bulla_bytes_of(sample.spki, (size_t)i2d_PUBKEY(key, &p));
	EVP_PKEY_free(key);
	BIO_free(bio);
	take_id(&sample, "\x19\x01\x00\x58\x21", 5);
	bulla_rc rc = sample_judge(&sample);
	assert_accepted(&sample.result);
	assert_ok(rc);
	assert_int_equal(sample.result.tee, BULLA_TEE_PSA);
	sample.policy.psa.allow_test_keys = false;
	assert_int_not_equal(sample_judge(&sample), BULLA_OK);
	assert_factor(&sample.result, BULLA_FACTOR_TEST_KEY);
	sample.policy.psa.allow_test_keys = true;
	for (size_t i = 0; i < sample.token.n; i++) {
		sample.token.p[i] ^= (uint8_t)(1u << (i % 8));
		assert_int_not_equal(sample_judge(&sample), BULLA_OK);
		sample.token.p[i] ^= (uint8_t)(1u << (i % 8));
	}
	bulla_buf_done(&sample.token);
	assert_true(sample_read("psa/tfm-psaiot1-sign1.cbor", &sample.token));
	assert_int_not_equal(sample_judge(&sample), BULLA_OK);
	assert_factor(&sample.result, BULLA_FACTOR_PSA_PROFILE);
	sample.policy.psa.allow_legacy_profile = true;
	assert_ok(sample_judge(&sample));
	bulla_buf_done(&sample.token);
}

static void cca_case(const char *path, bulla_rc expected, enum bulla_factor factor)
{
	struct sample sample;
	BULLA_AUTO_BUF text;
	bulla_json jwk, value;
	uint8_t point[200];
	static const uint8_t head[] = {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
		0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04};

	assert_true(sample_open(&sample, path, BULLA_TEE_CCA));
	assert_true(sample_read("cca/cpak.json", &text));
	assert_ok(bulla_json_parse(bulla_buf_view(&text), &jwk));
	bulla_copy(point, head, sizeof(head));
	for (unsigned i = 0; i < 2; i++) {
		size_t n;

		assert_ok(bulla_json_get_str(jwk, i == 0 ? "x" : "y", &value));
		assert_ok(bulla_foreign_bytes(value, 48, point + sizeof(head) + 48 * i, &n));
	}
	bulla_copy(sample.spki, point, sizeof(head) + 96);
	sample.anchor.key = bulla_bytes_of(sample.spki, sizeof(head) + 96);
	take_id(&sample, "\x19\x01\x00\x58\x21", 5);
	bulla_rc rc = sample_judge(&sample);
	if (expected == BULLA_OK) {
		assert_accepted(&sample.result);
		assert_ok(rc);
		for (size_t i = 0; i < sample.token.n; i += 3) {
			sample.token.p[i] ^= (uint8_t)(1u << (i % 8));
			assert_int_not_equal(sample_judge(&sample), BULLA_OK);
			sample.token.p[i] ^= (uint8_t)(1u << (i % 8));
		}
		for (size_t n = 0; n < sample.token.n; n += 5) {
			size_t whole = sample.token.n;

			sample.token.n = n;
			assert_int_not_equal(sample_judge(&sample), BULLA_OK);
			sample.token.n = whole;
		}
		sample.policy.psa.allow_test_keys = false;
		assert_int_not_equal(sample_judge(&sample), BULLA_OK);
		assert_factor(&sample.result, BULLA_FACTOR_TEST_KEY);
	} else {
		assert_factor(&sample.result, factor);
	}
	bulla_buf_done(&sample.token);
}

static void cca_tokens_of_test_devices(void **state)
{
	BULLA_AUTO_BUF buf;
	bulla_json all;

	(void)state;
	if (!sample_expectations("cca", &buf, &all))
		skip();
	cca_case("cca/token-01.cbor", BULLA_OK, BULLA_FACTOR_COUNT);
	cca_case("cca/token-ffm-00.cbor", BULLA_OK, BULLA_FACTOR_COUNT);
	cca_case("cca/token-unbound.cbor", BULLA_E_BINDER, BULLA_FACTOR_CCA_BINDING);
}

/* ---- tokens of our own ---- */
static void psa_rules_are_alive(void **state)
{
	struct arm_lab lab;
	bulla_bytes other = BULLA_BYTES_LITERAL("another");

	(void)state;
	arm_lab_open(&lab, BULLA_TEE_PSA);
	assert_ok(arm_lab_psa(&lab));
	lab.lifecycle = 0x2000;
	assert_int_not_equal(arm_lab_psa(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_PSA_LIFECYCLE);
	lab.lifecycle = 0x4000;
	assert_int_not_equal(arm_lab_psa(&lab), BULLA_OK);
	assert_int_equal(lab.result.factors[BULLA_FACTOR_DEBUG].state, BULLA_FACTOR_FAILED);
	lab.lifecycle = 0x3000;
	lab.profile = "http://arm.com/CCA-SSD/1.0.0";
	assert_int_not_equal(arm_lab_psa(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_PSA_PROFILE);
	lab.profile = "http://arm.com/psa/2.0.0";
	lab.alg = -36;
	assert_int_not_equal(arm_lab_psa(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_ALGORITHM);
	lab.alg = BULLA_ES256; /* over a P-384 key */
	assert_int_not_equal(arm_lab_psa(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_CHAIN_KEYS);
	lab.alg = BULLA_ES384;
	lab.twice = true;
	assert_int_not_equal(arm_lab_psa(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_FIELDS);
	lab.twice = false;
	lab.unknown = true;
	assert_int_not_equal(arm_lab_psa(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_UNKNOWN_FIELDS);
	lab.unknown = false;
	lab.no_nonce = true;
	assert_int_not_equal(arm_lab_psa(&lab), BULLA_OK);
	lab.no_nonce = false;
	lab.policy.psa.implementations = &other;
	lab.policy.psa.implementation_count = 1;
	assert_int_not_equal(arm_lab_psa(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_PSA_IMPLEMENTATION);
	lab.policy.psa.implementation_count = 0;
	lab.binding.binder.value = other;
	assert_int_not_equal(arm_lab_psa(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_BINDER);
	lab.binding.binder = BULLA_EXPECT_BYTES(BULLA_BYTES_ARRAY(lab.nonce));
	lab.anchor.id = other;
	assert_int_not_equal(arm_lab_psa(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_PSA_INSTANCE);
	lab.anchor.how = BULLA_ANCHOR_KEY;
	assert_int_not_equal(arm_lab_psa(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_ANCHOR);
	arm_lab_close(&lab);
}

static void a_token_may_be_maced(void **state)
{
	struct arm_lab lab;
	uint8_t other[32] = {1};

	(void)state;
	arm_lab_open(&lab, BULLA_TEE_PSA);
	lab.mac = true;
	lab.anchor.how = BULLA_ANCHOR_SECRET;
	lab.anchor.key = bulla_bytes_of(lab.nonce, 32);
	assert_ok(arm_lab_psa(&lab));
	lab.cwt = true;
	assert_ok(arm_lab_psa(&lab));
	lab.anchor.key = BULLA_BYTES_ARRAY(other);
	assert_int_not_equal(arm_lab_psa(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_SIGNATURE);
	lab.anchor.key = bulla_bytes_of(lab.nonce, 31);
	assert_int_not_equal(arm_lab_psa(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_CHAIN_KEYS);
	/* a public key is no MAC key */
	lab.anchor.how = BULLA_ANCHOR_DEVICE;
	lab.anchor.key = bulla_bytes_of(lab.spki, lab.spki_size);
	assert_int_not_equal(arm_lab_psa(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_ANCHOR);
	arm_lab_close(&lab);
}

static void rewritten(struct arm_lab *lab, bulla_bytes find, bulla_bytes put, enum bulla_factor factor)
{
	lab->find = find;
	lab->put = put;
	assert_int_not_equal(arm_lab_psa(lab), BULLA_OK);
	assert_factor(&lab->result, factor);
	assert_true(lab->result.factors[factor].at > 0);
	lab->put = (bulla_bytes){NULL, 0};
}

#define L(text_) BULLA_BYTES_LITERAL(text_)

static void a_good_signature_excuses_no_claim(void **state)
{
	struct arm_lab lab;

	(void)state;
	arm_lab_open(&lab, BULLA_TEE_PSA);
	rewritten(&lab, L("\xa7\x0a\x58\x40"), L("\xa8\x0a\x41\x00\x0a\x58\x40"), BULLA_FACTOR_FIELDS); /* a size it may not have */
	rewritten(&lab, L("\xa7\x0a"), L("\xa8\x19\x09\x5b\x19\x30\x00\x0a"), BULLA_FACTOR_FIELDS);            /* twice */
	rewritten(&lab, L("\xa7\x0a"), L("\xa7\x18\x0a"), BULLA_FACTOR_ENCODING);                               /* long key */
	rewritten(&lab, L("\x19\x30\x00"), L("\x1a\x00\x00\x30\x00"), BULLA_FACTOR_ENCODING);                 /* long number */
	rewritten(&lab, L("\xa7\x0a"), L("\xbf\x0a"), BULLA_FACTOR_ENCODING);                                   /* indefinite */
	rewritten(&lab, L("\x19\x30\x00"), L("\xc1\x19\x30\x00"), BULLA_FACTOR_ENCODING);                      /* tagged */
	rewritten(&lab, L("\x0a\x58\x40"), L("\x0a\x78\x40"), BULLA_FACTOR_FIELDS);                             /* text for bytes */
	rewritten(&lab, L("\x19\x30\x00"), L("\x1a\x00\x01\x30\x00"), BULLA_FACTOR_FIELDS);                   /* too large */
	rewritten(&lab, (bulla_bytes){NULL, 0}, L("\x00"), BULLA_FACTOR_TRAILING);                               /* inside of what is signed */
	rewritten(&lab, L("\xa7\x0a"), L("\xa8\x19\x23\x28\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x00\x0a"),
		BULLA_FACTOR_ENCODING); /* nested too deep */
	arm_lab_close(&lab);
}

#define Z31 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define COMPONENTS "\x19\x09\x5f\x81\xa2\x02\x58\x20\x05" Z31 "\x05\x58\x20\x07" Z31

struct rewriting {
	bulla_bytes find, put;
	bool missing; /* then the byte is where the map begins */
};

/* Where the n-th payload of the token begins: behind its 44 a1 01 38 22 a0 and the head of a byte string. */
static size_t payload_at(const struct arm_lab *lab, unsigned n)
{
	const bulla_bytes head = L("\x44\xa1\x01\x38\x22\xa0"), token = bulla_buf_view(&lab->token);

	for (size_t i = 0; i + head.n < token.n; i++)
		if (bulla_bytes_eq(bulla_bytes_of(token.p + i, head.n), head) && n-- == 0)
			return i + head.n + (token.p[i + head.n] == 0x58 ? 2 : 3);
	fail();
	return 0;
}

static void all_refused(struct arm_lab *lab, const struct rewriting *list, size_t count, bool realm)
{
	for (size_t i = 0; i < count; i++) {
		*(realm ? &lab->realm_find : &lab->find) = list[i].find;
		*(realm ? &lab->realm_put : &lab->put) = list[i].put;
		assert_int_not_equal(lab->anchor.tee == BULLA_TEE_CCA ? arm_lab_cca(lab) : arm_lab_psa(lab), BULLA_OK);
		assert_factor(&lab->result, BULLA_FACTOR_FIELDS);
		size_t begin = payload_at(lab, realm ? 1 : 0);
		if (list[i].missing)
			assert_int_equal(lab->result.factors[BULLA_FACTOR_FIELDS].at, begin);
		else
			assert_true(lab->result.factors[BULLA_FACTOR_FIELDS].at > begin);
	}
	lab->put = lab->realm_put = (bulla_bytes){NULL, 0};
}

/* RFC 9783 section 4: every claim has its type and its size, and some must be there. */
static void psa_claims_are_typed(void **state)
{
	const struct rewriting list[] = {
		{L("\xa7\x0a"), L("\xa8\x19\x09\x5e\x07\x0a"), false},             /* 2398: a number */
		{L("\xa7\x0a"), L("\xa8\x19\x09\x60\xf6\x0a"), false},             /* 2400: null */
		{L("\xa7\x0a"), L("\xa8\x19\x09\x60\x05\x0a"), false},             /* 2400: a number */
		{L("\xa7\x0a"), L("\xa8\x19\x09\x5d\x47sevenby\x0a"), false},      /* boot seed of 7 bytes */
		{L("\xa7\x0a"), L("\xa8\x19\x09\x5d\x58\x21\0\0" Z31 "\x0a"), false}, /* of 33 */
		{L("\xa2\x02"), L("\xa3\x01\x01\x02"), false},                     /* component's type: a number */
		{L("\xa2\x02"), L("\xa3\x04\x01\x02"), false},                     /* its version */
		{L("\xa2\x02"), L("\xa3\x06\x01\x02"), false},                     /* its digest's name */
		{L("\x05\x58\x20\x07" Z31), L("\x05\x40"), false},                 /* signer id of 0 bytes */
		{L("\x05\x58\x20\x07" Z31), L("\x05\x54" "0123456789abcdefghij"), false}, /* of 20 */
		{L("\x05\x58\x20\x07"), L("\x01\x78\x20\x07"), false},             /* no signer id */
		{L("\x19\x09\x5a\x01"), L("\x19\x09\x5a\x1a\x80\0\0\0"), false}, /* client id out of 32 bits */
		{L("\x19\x09\x5a\x01"), L("\x19\x09\x5a\x3a\x80\0\0\0"), false},
		{L("\x58\x21\x01"), L("\x58\x21\x02"), false},                     /* instance id of another kind */
		{L(COMPONENTS), L("\x19\x09\x5f\x80"), false},                      /* no components in the list */
		{L(COMPONENTS), L("\x19\x09\x60\x61" "a"), true},                   /* no list */
		{L(COMPONENTS), L("\x3a\x00\x01\x24\xfe\x01"), true},                /* IOT_1's word for none, in another profile */
		{L("\x19\x09\x5a\x01"), L("\x19\x09\x60\x61" "a"), true},          /* no client id */
	};
	struct arm_lab lab;

	(void)state;
	arm_lab_open(&lab, BULLA_TEE_PSA);
	all_refused(&lab, list, sizeof(list) / sizeof(list[0]), false);
	/* the ends of what may be */
	lab.find = L("\x19\x09\x5a\x01");
	lab.put = L("\x19\x09\x5a\x3a\x7f\xff\xff\xff");
	assert_ok(arm_lab_psa(&lab));
	lab.find = L("\xa7\x0a");
	lab.put = L("\xa8\x19\x09\x5d\x48" "eightbyt\x0a");
	assert_ok(arm_lab_psa(&lab));
	lab.profile = "PSA_IOT_PROFILE_1";
	lab.policy.psa.allow_legacy_profile = true;
	lab.find = L(COMPONENTS);
	lab.put = L("\x3a\x00\x01\x24\xfe\x01");
	assert_ok(arm_lab_psa(&lab));
	arm_lab_close(&lab);
}

static void cca_claims_are_typed(void **state)
{
	const struct rewriting platform[] = {
		{L("\x19\x09\x61\x44"), L("\x19\x09\x61\x64"), false},               /* 2401: text */
		{L("\x19\x09\x62\x67sha-256"), L("\x19\x09\x62\x01"), false},        /* 2402: a number */
		{L("\x19\x09\x62\x67sha-256"), L("\x19\x09\x62\x65sha-1"), false},   /* of no known hash */
		{L("\xa8\x0a"), L("\xa9\x19\x09\x60\x01\x0a"), false},               /* 2400: a number */
		{L("\x58\x21\x01"), L("\x58\x21\x02"), false},                       /* instance id of another kind */
		{L(COMPONENTS), L("\x19\x09\x5f\x80"), false},
		{L(COMPONENTS), L("\x19\x09\x60\x61" "a"), true},
		{L("\x19\x09\x61\x44"), L("\x19\x09\x60\x64"), true},                /* no configuration */
		{L("\x19\x09\x62\x67"), L("\x19\x09\x60\x67"), true},                /* no hash name */
	};
	const struct rewriting realm[] = {
		{L("\x19\xac\xcc\x67sha-256"), L("\x19\xac\xcc\x65sha-1"), false},   /* 44236 */
		{L("\x19\xac\xd0\x67sha-256"), L("\x19\xac\xd0\x65sha-1"), false},   /* 44240 */
		{L("\x19\xac\xcb\x58\x40\x03"), L("\x19\xac\xcb\x58\x3f"), false},  /* 44235 of 63 bytes */
		{L("\x19\xac\xcd\x58\x61\x04"), L("\x19\xac\xcd\x58\x62\x04\x04"), false}, /* key of 98 bytes */
		{L("\x19\xac\xcd\x58\x61\x04"), L("\x19\xac\xcd\x58\x60"), false},  /* of 96 */
		{L("\x19\xac\xce\x58\x20\x06"), L("\x19\xac\xce\x58\x21\x06\0"), false}, /* initial measurement of 33 bytes */
		{L("\x19\xac\xcf\x84\x58\x20\x06"), L("\x19\xac\xcf\x84\x58\x1f"), false}, /* extensible one of 31 */
		{L("\x19\xac\xcc\x67"), L("\x19\x01\x09\x67"), true},                /* no 44236 */
		{L("\x19\xac\xcb\x58\x40\x03"), L("\x19\x01\x09\x78\x40\x03"), true}, /* no 44235 */
	};
	struct arm_lab lab;

	(void)state;
	arm_lab_open(&lab, BULLA_TEE_CCA);
	all_refused(&lab, platform, sizeof(platform) / sizeof(platform[0]), false);
	all_refused(&lab, realm, sizeof(realm) / sizeof(realm[0]), true);
	arm_lab_close(&lab);
}

static bulla_rc psa_judge_with(struct arm_lab *lab, bulla_bytes find, bulla_bytes put)
{
	static uint8_t bytes[8192];
	size_t at = 0;

	assert_ok(arm_lab_psa(lab));
	bulla_bytes token = bulla_buf_view(&lab->token);
	while (!bulla_bytes_eq(bulla_bytes_of(token.p + at, find.n), find))
		at++;
	bulla_copy(bytes, token.p, at);
	bulla_copy(bytes + at, put.p, put.n);
	bulla_copy(bytes + at + put.n, token.p + at + find.n, token.n - at - find.n);
	size_t size = token.n - find.n + put.n;
	bulla_buf_clear(&lab->token);
	assert_ok(bulla_buf_append(&lab->token, bulla_bytes_of(bytes, size)));
	return arm_lab_appraise(lab);
}

static void headers_are_exact(void **state)
{
	const bulla_bytes header = BULLA_BYTES_LITERAL("\x84\x44\xa1\x01\x38\x22\xa0");
	struct arm_lab lab;

	(void)state;
	arm_lab_open(&lab, BULLA_TEE_PSA);
	/* a key id outside is nobody's word, and welcome */
	assert_ok(psa_judge_with(&lab, header, BULLA_BYTES_LITERAL("\x84\x44\xa1\x01\x38\x22\xa1\x04\x41\x01")));
	assert_int_not_equal(psa_judge_with(&lab, header, BULLA_BYTES_LITERAL("\x84\x40\xa0")), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_ALGORITHM);
	assert_int_not_equal(psa_judge_with(&lab, header, BULLA_BYTES_LITERAL("\x84\x41\xa0\xa1\x01\x38\x22")), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_ALGORITHM);
	assert_int_not_equal(psa_judge_with(&lab, header, BULLA_BYTES_LITERAL("\x84\x44\xa1\x01\x38\x22\xa1\x01\x26")), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_FIELDS);
	arm_lab_close(&lab);
}

static void a_signature_has_its_size(void **state)
{
	struct arm_lab lab;

	(void)state;
	arm_lab_open(&lab, BULLA_TEE_PSA);
	for (unsigned longer = 0; longer < 2; longer++) {
		assert_ok(arm_lab_psa(&lab));
		lab.token.p[lab.token.n - 97] = longer ? 97 : 95; /* 58 60, 96 bytes */
		if (longer)
			assert_ok(bulla_buf_append(&lab.token, L("\0")));
		else
			lab.token.n--;
		assert_int_not_equal(arm_lab_appraise(&lab), BULLA_OK);
		assert_factor(&lab.result, BULLA_FACTOR_SIGNATURE_RANGE);
		assert_non_null(strstr(lab.result.factors[BULLA_FACTOR_SIGNATURE_RANGE].text, "size"));
	}
	arm_lab_close(&lab);
}

static void cca_rules_are_alive(void **state)
{
	struct arm_lab lab;

	(void)state;
	arm_lab_open(&lab, BULLA_TEE_CCA);
	bulla_rc rc = arm_lab_cca(&lab);
	assert_accepted(&lab.result);
	assert_ok(rc);
	assert_int_equal(lab.result.tee, BULLA_TEE_CCA);
	lab.unbound = true;
	assert_int_not_equal(arm_lab_cca(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_CCA_BINDING);
	lab.unbound = false;
	lab.realm_signed_by_other = true;
	assert_int_not_equal(arm_lab_cca(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_CCA_REALM_SIGNATURE);
	lab.realm_signed_by_other = false;
	lab.profile = "tag:psacertified.org,2023:psa#tfm"; /* a PSA token in the platform's place */
	assert_int_not_equal(arm_lab_cca(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_PSA_PROFILE);
	lab.profile = "tag:arm.com,2023:cca_platform#1.0.0";
	assert_ok(arm_lab_cca(&lab));
	lab.half_format = 263;
	assert_ok(arm_lab_cca(&lab));
	lab.half_format = 60; /* application/cbor: no EAT */
	assert_int_not_equal(arm_lab_cca(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_FIELDS);
	lab.half_format = 0;
	/* not on the curve */
	lab.realm_point[96] ^= 1;
	assert_int_not_equal(arm_lab_cca(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_CCA_REALM_SIGNATURE);
	arm_lab_close(&lab);
}

/* The device that a token says it is of, with no key at hand: the same as the claims'; a token that is cut names none. */
static void the_device_is_named(const struct arm_lab *lab, bulla_rc (*instance)(bulla_bytes token, bulla_bytes *ret))
{
	bulla_bytes token = bulla_buf_view(&lab->token), id;

	assert_ok(instance(token, &id));
	assert_bytes(id, BULLA_BYTES_ARRAY(lab->id));
	for (size_t size = 0; size < token.n; size++)
		assert_int_not_equal(instance(bulla_bytes_of(token.p, size), &id), BULLA_OK);
}

static void a_token_names_its_device(void **state)
{
	struct arm_lab lab;

	(void)state;
	arm_lab_open(&lab, BULLA_TEE_PSA);
	assert_ok(arm_lab_psa(&lab));
	the_device_is_named(&lab, bulla_psa_instance);
	lab.cwt = true;
	assert_ok(arm_lab_psa(&lab));
	the_device_is_named(&lab, bulla_psa_instance);
	lab.mac = true;
	(void)!arm_lab_psa(&lab);
	the_device_is_named(&lab, bulla_psa_instance);
	arm_lab_close(&lab);
	arm_lab_open(&lab, BULLA_TEE_CCA);
	assert_ok(arm_lab_cca(&lab));
	the_device_is_named(&lab, bulla_cca_instance);
	lab.half_format = 263;
	assert_ok(arm_lab_cca(&lab));
	the_device_is_named(&lab, bulla_cca_instance);
	arm_lab_close(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(psa_tokens_of_test_devices),
		cmocka_unit_test(cca_tokens_of_test_devices),
		cmocka_unit_test(psa_rules_are_alive),
		cmocka_unit_test(a_token_may_be_maced),
		cmocka_unit_test(headers_are_exact),
		cmocka_unit_test(a_good_signature_excuses_no_claim),
		cmocka_unit_test(psa_claims_are_typed),
		cmocka_unit_test(cca_claims_are_typed),
		cmocka_unit_test(a_signature_has_its_size),
		cmocka_unit_test(cca_rules_are_alive),
		cmocka_unit_test(a_token_names_its_device),
	};

	return cmocka_run_group_tests_name("attest_arm", tests, NULL, NULL);
}
