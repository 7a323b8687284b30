#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "attest/psa.h"
#include "attest/textual.h"
#include "cases.h"
#include "cose/cmw.h"
#include "crypto/hash.h"
#include "pki.h"
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
struct lab {
	EVP_PKEY *device, *realm;
	uint8_t id[33], nonce[64], spki[256], realm_point[97];
	size_t spki_size;
	uint64_t lifecycle;
	const char *profile;
	int64_t alg;
	bool mac, cwt;        /* COSE_Mac0; inside of tag 61 */
	bulla_bytes find, put; /* replaced in the platform's claims before they are signed */
	uint64_t half_format; /* CCA: halves as CMW records of this content format; 0: byte strings */
	bool twice, unknown, no_nonce, unbound, realm_signed_by_other;
	struct bulla_attest_anchor anchor;
	struct bulla_attest_policy policy;
	struct bulla_attest_binding binding;
	struct bulla_attest_result result;
	struct bulla_buf token;
};

static void write_sign1(bulla_wr *w, EVP_PKEY *key, int64_t alg, bulla_bytes payload)
{
	uint8_t protected_memory[8], to_sign_memory[4096], signature[96];
	bulla_wr header = bulla_wr_fixed(protected_memory, sizeof(protected_memory));
	bulla_wr body = bulla_wr_fixed(to_sign_memory, sizeof(to_sign_memory));
	bulla_bytes protected_raw, to_sign;
	size_t half = EVP_PKEY_get_bits(key) == 256 ? 32 : 48;

	bulla_cbor_wr_map(&header, 1);
	bulla_cbor_wr_uint(&header, 1);
	bulla_cbor_wr_int(&header, alg);
	assert_ok(bulla_wr_end(&header, &protected_raw));
	bulla_cbor_wr_array(&body, 4);
	bulla_cbor_wr_str(&body, "Signature1");
	bulla_cbor_wr_bytes(&body, protected_raw);
	bulla_cbor_wr_bytes(&body, (bulla_bytes){NULL, 0});
	bulla_cbor_wr_bytes(&body, payload);
	assert_ok(bulla_wr_end(&body, &to_sign));
	pki_sign(key, to_sign, signature, half);
	bulla_cbor_wr_tag(w, 18);
	bulla_cbor_wr_array(w, 4);
	bulla_cbor_wr_bytes(w, protected_raw);
	bulla_cbor_wr_map(w, 0);
	bulla_cbor_wr_bytes(w, payload);
	bulla_cbor_wr_bytes(w, bulla_bytes_of(signature, 2 * half));
}

/* COSE_Mac0 with HMAC 256/256 under lab->nonce's bytes, which are the device's secret here. */
static void write_mac0(struct lab *lab, bulla_wr *w, bulla_bytes payload)
{
	uint8_t memory[4096], tag[32];
	bulla_wr body = bulla_wr_fixed(memory, sizeof(memory));
	const bulla_bytes protected_raw = BULLA_BYTES_LITERAL("\xa1\x01\x05");
	bulla_bytes to_mac;
	unsigned size = sizeof(tag);

	bulla_cbor_wr_array(&body, 4);
	bulla_cbor_wr_str(&body, "MAC0");
	bulla_cbor_wr_bytes(&body, protected_raw);
	bulla_cbor_wr_bytes(&body, (bulla_bytes){NULL, 0});
	bulla_cbor_wr_bytes(&body, payload);
	assert_ok(bulla_wr_end(&body, &to_mac));
	assert_non_null(HMAC(EVP_sha256(), lab->nonce, 32, to_mac.p, to_mac.n, tag, &size));
	bulla_cbor_wr_tag(w, 17);
	bulla_cbor_wr_array(w, 4);
	bulla_cbor_wr_bytes(w, protected_raw);
	bulla_cbor_wr_map(w, 0);
	bulla_cbor_wr_bytes(w, payload);
	bulla_cbor_wr_bytes(w, BULLA_BYTES_ARRAY(tag));
}

static bulla_bytes patched(const struct lab *lab, bulla_bytes payload)
{
	static uint8_t bytes[4096];
	size_t at = 0;

	if (lab->put.n == 0)
		return payload;
	while (lab->find.n > 0 && !bulla_bytes_eq(bulla_bytes_of(payload.p + at, lab->find.n), lab->find))
		at++;
	at = lab->find.n > 0 ? at : payload.n;
	bulla_copy(bytes, payload.p, at);
	bulla_copy(bytes + at, lab->put.p, lab->put.n);
	bulla_copy(bytes + at + lab->put.n, payload.p + at + lab->find.n, payload.n - at - lab->find.n);
	return bulla_bytes_of(bytes, payload.n - lab->find.n + lab->put.n);
}

static void write_platform(struct lab *lab, bulla_wr *w, bulla_bytes challenge)
{
	uint8_t memory[2048], implementation[32] = {4}, component[32] = {5};
	bulla_wr p = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes payload;

	bulla_cbor_wr_map(&p, 6u + lab->twice + lab->unknown - lab->no_nonce);
	if (!lab->no_nonce) {
		bulla_cbor_wr_uint(&p, 10);
		bulla_cbor_wr_bytes(&p, challenge);
	}
	bulla_cbor_wr_uint(&p, 256);
	bulla_cbor_wr_bytes(&p, BULLA_BYTES_ARRAY(lab->id));
	bulla_cbor_wr_uint(&p, 265);
	bulla_cbor_wr_str(&p, lab->profile);
	bulla_cbor_wr_uint(&p, 2395);
	bulla_cbor_wr_uint(&p, lab->lifecycle);
	bulla_cbor_wr_uint(&p, 2396);
	bulla_cbor_wr_bytes(&p, BULLA_BYTES_ARRAY(implementation));
	bulla_cbor_wr_uint(&p, 2399);
	bulla_cbor_wr_array(&p, 1);
	bulla_cbor_wr_map(&p, 1);
	bulla_cbor_wr_uint(&p, 2);
	bulla_cbor_wr_bytes(&p, BULLA_BYTES_ARRAY(component));
	if (lab->twice) {
		bulla_cbor_wr_int(&p, -75002);
		bulla_cbor_wr_uint(&p, lab->lifecycle);
	}
	if (lab->unknown) {
		bulla_cbor_wr_uint(&p, 9999);
		bulla_cbor_wr_uint(&p, 1);
	}
	assert_ok(bulla_wr_end(&p, &payload));
	payload = patched(lab, payload);
	if (lab->cwt)
		bulla_cbor_wr_tag(w, 61);
	if (lab->mac)
		write_mac0(lab, w, payload);
	else
		write_sign1(w, lab->device, lab->alg, payload);
}

static void lab_open(struct lab *lab, enum bulla_tee tee)
{
	*lab = (struct lab){0};
	lab->device = pki_key("P-384");
	lab->realm = pki_key("P-384");
	lab->realm_point[0] = 4;
	pki_point(lab->realm, lab->realm_point + 1, 48);
	uint8_t *p = lab->spki;
	lab->spki_size = (size_t)i2d_PUBKEY(lab->device, &p);
	lab->id[0] = 1;
	lab->nonce[0] = 3;
	lab->lifecycle = 0x3000;
	lab->alg = BULLA_ES384;
	lab->profile = tee == BULLA_TEE_PSA ? "tag:psacertified.org,2023:psa#tfm" : "http://arm.com/CCA-SSD/1.0.0";
	lab->anchor = (struct bulla_attest_anchor){(uint8_t)tee, BULLA_ASSURANCE_HARDWARE, BULLA_ANCHOR_DEVICE,
		BULLA_BYTES_ARRAY(lab->id), bulla_bytes_of(lab->spki, lab->spki_size)};
	sample_policy(&lab->policy);
	lab->binding = sample_binding();
	lab->binding.binder = BULLA_EXPECT_BYTES(BULLA_BYTES_ARRAY(lab->nonce));
	bulla_buf_init(&lab->token, 16384);
}

static void lab_close(struct lab *lab)
{
	EVP_PKEY_free(lab->device);
	EVP_PKEY_free(lab->realm);
	bulla_buf_done(&lab->token);
}

static bulla_rc lab_appraise(struct lab *lab)
{
	struct bulla_attest_anchors anchors = {&lab->anchor, 1};

	const struct attest_case about = {.evidence = bulla_buf_view(&lab->token), .anchors = &anchors, .policy = &lab->policy,
		.binding = &lab->binding, .time = sample_time(1770000000)};
	bulla_rc rc = case_judge(lab->anchor.tee == BULLA_TEE_CCA ? "cca" : "psa", &about, &lab->result);
	sample_dump("arm", bulla_buf_view(&lab->token), &lab->result);
	return rc;
}

static bulla_rc psa_judge(struct lab *lab)
{
	bulla_buf_clear(&lab->token);
	bulla_wr w = bulla_wr_buf(&lab->token);
	write_platform(lab, &w, BULLA_BYTES_ARRAY(lab->nonce));
	return lab_appraise(lab);
}

static void psa_rules_are_alive(void **state)
{
	struct lab lab;
	bulla_bytes other = BULLA_BYTES_LITERAL("another");

	(void)state;
	lab_open(&lab, BULLA_TEE_PSA);
	assert_ok(psa_judge(&lab));
	lab.lifecycle = 0x2000;
	assert_int_not_equal(psa_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_PSA_LIFECYCLE);
	lab.lifecycle = 0x4000;
	assert_int_not_equal(psa_judge(&lab), BULLA_OK);
	assert_int_equal(lab.result.factors[BULLA_FACTOR_DEBUG].state, BULLA_FACTOR_FAILED);
	lab.lifecycle = 0x3000;
	lab.profile = "http://arm.com/CCA-SSD/1.0.0";
	assert_int_not_equal(psa_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_PSA_PROFILE);
	lab.profile = "http://arm.com/psa/2.0.0";
	lab.alg = -36;
	assert_int_not_equal(psa_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_ALGORITHM);
	lab.alg = BULLA_ES256; /* over a P-384 key */
	assert_int_not_equal(psa_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_CHAIN_KEYS);
	lab.alg = BULLA_ES384;
	lab.twice = true;
	assert_int_not_equal(psa_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_FIELDS);
	lab.twice = false;
	lab.unknown = true;
	assert_int_not_equal(psa_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_UNKNOWN_FIELDS);
	lab.unknown = false;
	lab.no_nonce = true;
	assert_int_not_equal(psa_judge(&lab), BULLA_OK);
	lab.no_nonce = false;
	lab.policy.psa.implementations = &other;
	lab.policy.psa.implementation_count = 1;
	assert_int_not_equal(psa_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_PSA_IMPLEMENTATION);
	lab.policy.psa.implementation_count = 0;
	lab.binding.binder.value = other;
	assert_int_not_equal(psa_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_BINDER);
	lab.binding.binder = BULLA_EXPECT_BYTES(BULLA_BYTES_ARRAY(lab.nonce));
	lab.anchor.id = other;
	assert_int_not_equal(psa_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_PSA_INSTANCE);
	lab.anchor.how = BULLA_ANCHOR_KEY;
	assert_int_not_equal(psa_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_ANCHOR);
	lab_close(&lab);
}

static void a_token_may_be_maced(void **state)
{
	struct lab lab;
	uint8_t other[32] = {1};

	(void)state;
	lab_open(&lab, BULLA_TEE_PSA);
	lab.mac = true;
	lab.anchor.how = BULLA_ANCHOR_SECRET;
	lab.anchor.key = bulla_bytes_of(lab.nonce, 32);
	assert_ok(psa_judge(&lab));
	lab.cwt = true;
	assert_ok(psa_judge(&lab));
	lab.anchor.key = BULLA_BYTES_ARRAY(other);
	assert_int_not_equal(psa_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_SIGNATURE);
	lab.anchor.key = bulla_bytes_of(lab.nonce, 31);
	assert_int_not_equal(psa_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_CHAIN_KEYS);
	/* a public key is no MAC key */
	lab.anchor.how = BULLA_ANCHOR_DEVICE;
	lab.anchor.key = bulla_bytes_of(lab.spki, lab.spki_size);
	assert_int_not_equal(psa_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_ANCHOR);
	lab_close(&lab);
}

static void rewritten(struct lab *lab, bulla_bytes find, bulla_bytes put, enum bulla_factor factor)
{
	lab->find = find;
	lab->put = put;
	assert_int_not_equal(psa_judge(lab), BULLA_OK);
	assert_factor(&lab->result, factor);
	assert_true(lab->result.factors[factor].at > 0);
	lab->put = (bulla_bytes){NULL, 0};
}

#define L(text_) BULLA_BYTES_LITERAL(text_)

static void a_good_signature_excuses_no_claim(void **state)
{
	struct lab lab;

	(void)state;
	lab_open(&lab, BULLA_TEE_PSA);
	rewritten(&lab, L("\xa6\x0a\x58\x40"), L("\xa7\x0a\x41\x00\x0a\x58\x40"), BULLA_FACTOR_FIELDS); /* a size it may not have */
	rewritten(&lab, L("\xa6\x0a"), L("\xa7\x19\x09\x5b\x19\x30\x00\x0a"), BULLA_FACTOR_FIELDS);            /* twice */
	rewritten(&lab, L("\xa6\x0a"), L("\xa6\x18\x0a"), BULLA_FACTOR_ENCODING);                               /* long key */
	rewritten(&lab, L("\x19\x30\x00"), L("\x1a\x00\x00\x30\x00"), BULLA_FACTOR_ENCODING);                 /* long number */
	rewritten(&lab, L("\xa6\x0a"), L("\xbf\x0a"), BULLA_FACTOR_ENCODING);                                   /* indefinite */
	rewritten(&lab, L("\x19\x30\x00"), L("\xc1\x19\x30\x00"), BULLA_FACTOR_ENCODING);                      /* tagged */
	rewritten(&lab, L("\x0a\x58\x40"), L("\x0a\x78\x40"), BULLA_FACTOR_ENCODING);                           /* text for bytes */
	rewritten(&lab, L("\x19\x30\x00"), L("\x1a\x00\x01\x30\x00"), BULLA_FACTOR_FIELDS);                   /* too large */
	rewritten(&lab, (bulla_bytes){NULL, 0}, L("\x00"), BULLA_FACTOR_TRAILING);                               /* inside of what is signed */
	rewritten(&lab, L("\xa6\x0a"), L("\xa7\x19\x23\x28\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x00\x0a"),
		BULLA_FACTOR_ENCODING); /* nested too deep */
	lab_close(&lab);
}

static bulla_rc psa_judge_with(struct lab *lab, bulla_bytes find, bulla_bytes put)
{
	static uint8_t bytes[8192];
	size_t at = 0;

	assert_ok(psa_judge(lab));
	bulla_bytes token = bulla_buf_view(&lab->token);
	while (!bulla_bytes_eq(bulla_bytes_of(token.p + at, find.n), find))
		at++;
	bulla_copy(bytes, token.p, at);
	bulla_copy(bytes + at, put.p, put.n);
	bulla_copy(bytes + at + put.n, token.p + at + find.n, token.n - at - find.n);
	size_t size = token.n - find.n + put.n;
	bulla_buf_clear(&lab->token);
	assert_ok(bulla_buf_append(&lab->token, bulla_bytes_of(bytes, size)));
	return lab_appraise(lab);
}

static void headers_are_exact(void **state)
{
	const bulla_bytes header = BULLA_BYTES_LITERAL("\x84\x44\xa1\x01\x38\x22\xa0");
	struct lab lab;

	(void)state;
	lab_open(&lab, BULLA_TEE_PSA);
	/* a key id outside is nobody's word, and welcome */
	assert_ok(psa_judge_with(&lab, header, BULLA_BYTES_LITERAL("\x84\x44\xa1\x01\x38\x22\xa1\x04\x41\x01")));
	assert_int_not_equal(psa_judge_with(&lab, header, BULLA_BYTES_LITERAL("\x84\x40\xa0")), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_ALGORITHM);
	assert_int_not_equal(psa_judge_with(&lab, header, BULLA_BYTES_LITERAL("\x84\x41\xa0\xa1\x01\x38\x22")), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_ALGORITHM);
	assert_int_not_equal(psa_judge_with(&lab, header, BULLA_BYTES_LITERAL("\x84\x44\xa1\x01\x38\x22\xa1\x01\x26")), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_ALGORITHM);
	lab_close(&lab);
}

static void write_realm(struct lab *lab, bulla_wr *w)
{
	uint8_t memory[2048], measurement[32] = {6};
	bulla_wr p = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes payload;

	bulla_cbor_wr_map(&p, 6);
	bulla_cbor_wr_uint(&p, 10);
	bulla_cbor_wr_bytes(&p, BULLA_BYTES_ARRAY(lab->nonce));
	bulla_cbor_wr_uint(&p, 44235);
	bulla_cbor_wr_bytes(&p, BULLA_BYTES_ARRAY(lab->nonce));
	bulla_cbor_wr_uint(&p, 44237);
	bulla_cbor_wr_bytes(&p, BULLA_BYTES_ARRAY(lab->realm_point));
	bulla_cbor_wr_uint(&p, 44238);
	bulla_cbor_wr_bytes(&p, BULLA_BYTES_ARRAY(measurement));
	bulla_cbor_wr_uint(&p, 44239);
	bulla_cbor_wr_array(&p, 4);
	for (unsigned i = 0; i < 4; i++)
		bulla_cbor_wr_bytes(&p, BULLA_BYTES_ARRAY(measurement));
	bulla_cbor_wr_uint(&p, 44240);
	bulla_cbor_wr_str(&p, "sha-256");
	assert_ok(bulla_wr_end(&p, &payload));
	write_sign1(w, lab->realm_signed_by_other ? lab->device : lab->realm, BULLA_ES384, payload);
}

static void write_half(const struct lab *lab, bulla_wr *w, bulla_bytes token)
{
	const struct bulla_cmw record = {.content_format = lab->half_format, .value = token};

	if (lab->half_format != 0)
		bulla_cmw_write(w, &record);
	else
		bulla_cbor_wr_bytes(w, token);
}

static bulla_rc cca_judge(struct lab *lab)
{
	uint8_t platform_memory[4096], realm_memory[4096];
	bulla_wr pw = bulla_wr_fixed(platform_memory, sizeof(platform_memory));
	bulla_wr rw = bulla_wr_fixed(realm_memory, sizeof(realm_memory));
	bulla_bytes platform, realm;
	bulla_digest bound;

	bulla_sha256(BULLA_BYTES_ARRAY(lab->realm_point), &bound);
	if (lab->unbound)
		bound.b[0] ^= 1;
	write_platform(lab, &pw, bulla_bytes_digest(&bound));
	write_realm(lab, &rw);
	assert_ok(bulla_wr_end(&pw, &platform));
	assert_ok(bulla_wr_end(&rw, &realm));
	bulla_buf_clear(&lab->token);
	bulla_wr w = bulla_wr_buf(&lab->token);
	bulla_cbor_wr_tag(&w, 907);
	bulla_cbor_wr_map(&w, 2);
	bulla_cbor_wr_uint(&w, 44234);
	write_half(lab, &w, platform);
	bulla_cbor_wr_uint(&w, 44241);
	write_half(lab, &w, realm);
	return lab_appraise(lab);
}

static void cca_rules_are_alive(void **state)
{
	struct lab lab;

	(void)state;
	lab_open(&lab, BULLA_TEE_CCA);
	bulla_rc rc = cca_judge(&lab);
	assert_accepted(&lab.result);
	assert_ok(rc);
	assert_int_equal(lab.result.tee, BULLA_TEE_CCA);
	lab.unbound = true;
	assert_int_not_equal(cca_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_CCA_BINDING);
	lab.unbound = false;
	lab.realm_signed_by_other = true;
	assert_int_not_equal(cca_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_CCA_REALM_SIGNATURE);
	lab.realm_signed_by_other = false;
	lab.profile = "tag:psacertified.org,2023:psa#tfm"; /* a PSA token in the platform's place */
	assert_int_not_equal(cca_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_PSA_PROFILE);
	lab.profile = "tag:arm.com,2023:cca_platform#1.0.0";
	assert_ok(cca_judge(&lab));
	lab.half_format = 263;
	assert_ok(cca_judge(&lab));
	lab.half_format = 60; /* application/cbor: no EAT */
	assert_int_not_equal(cca_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_ENCODING);
	lab.half_format = 0;
	/* not on the curve */
	lab.realm_point[96] ^= 1;
	assert_int_not_equal(cca_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_CCA_REALM_SIGNATURE);
	lab_close(&lab);
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
		cmocka_unit_test(cca_rules_are_alive),
	};

	return cmocka_run_group_tests_name("attest_arm", tests, NULL, NULL);
}
