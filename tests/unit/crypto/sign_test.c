#include "base/mem.h"
#include "crypto/hash.h"
#include "crypto/sign.h"
#include "vectors.h"
#include "wire/der.h"

struct subject {
	enum bulla_sign_alg alg;
	bool der;
	struct bulla_verify_key *key;
};

static void load(struct subject *subject, const struct vector *v)
{
	subject->key = bulla_verify_key_free(subject->key);
	if (v->count == 2)
		assert_ok(bulla_verify_key_rsa(v->field[0], v->field[1], &subject->key));
	else
		assert_ok(bulla_verify_key_spki(v->field[0], &subject->key));
}

static void run_vector(const struct vector *v, void *arg)
{
	struct subject *subject = arg;
	bulla_rc rc;

	if (v->kind == 'K') {
		load(subject, v);
		return;
	}
	rc = (subject->der ? bulla_verify_der : bulla_verify)(subject->key, subject->alg, v->field[0], v->field[1]);
	/* "acceptable" are odd encodings: strict readers refuse them */
	if (v->kind == 'v' && rc != BULLA_OK)
		fail_msg("line %u: a valid signature was refused", v->line);
	if (v->kind == 'i' && rc == BULLA_OK)
		fail_msg("line %u: an invalid signature was accepted", v->line);
}

static void run(const char *name, enum bulla_sign_alg alg, bool der, unsigned least)
{
	struct subject subject = {alg, der, NULL};

	assert_true(vectors_run(name, run_vector, &subject) > least);
	bulla_verify_key_free(subject.key);
}

static void wycheproof(void **state)
{
	(void)state;
	run("es256_raw", BULLA_ES256, false, 250);
	run("es256_der", BULLA_ES256, true, 400);
	run("es384_raw", BULLA_ES384, false, 250);
	run("es384_der", BULLA_ES384, true, 400);
	run("rs256_2048", BULLA_RS256, false, 200);
	run("ps384_4096", BULLA_PS384, false, 100);
}

/* RFC 6979 appendix A.2.5: P-256, SHA-256, message "sample". */
static void rfc6979(void **state)
{
	BULLA_AUTO_VERIFY_KEY key = NULL;
	uint8_t x[32], y[32], signature[64];

	(void)state;
	assert_ok(bulla_verify_key_point(BULLA_KEY_P256,
		vectors_hex("60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6", x, sizeof(x)),
		vectors_hex("7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299", y, sizeof(y)), &key));
	vectors_hex("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
		"f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8", signature, sizeof(signature));
	assert_ok(bulla_verify(key, BULLA_ES256, BULLA_BYTES_LITERAL("sample"), BULLA_BYTES_ARRAY(signature)));
	assert_rc(BULLA_E_SIGNATURE,
		bulla_verify(key, BULLA_ES256, BULLA_BYTES_LITERAL("samplE"), BULLA_BYTES_ARRAY(signature)));
}

static void sign_and_verify(enum bulla_sign_alg alg, size_t size)
{
	const bulla_bytes parts[] = {BULLA_BYTES_LITERAL("mes"), BULLA_BYTES_LITERAL("sage")};
	BULLA_AUTO_SIGN_KEY key = NULL;
	BULLA_AUTO_VERIFY_KEY public = NULL;
	uint8_t signature[BULLA_SIGNATURE_MAX];
	bulla_digest kid;

	assert_ok(bulla_sign_key_new(alg, &key));
	assert_int_equal(bulla_sign_key_alg(key), alg);
	assert_int_equal(bulla_sign_key_size(key), size);
	bulla_sha256(bulla_sign_key_spki(key), &kid);
	assert_true(bulla_digest_eq(&kid, bulla_sign_key_kid(key)));
	assert_ok(bulla_verify_key_spki(bulla_sign_key_spki(key), &public));
	assert_true(bulla_digest_eq(&kid, bulla_verify_key_kid(public)));
	for (int i = 0; i < 20; i++) {
		assert_ok(bulla_sign_parts(key, parts, 2, signature));
		assert_ok(bulla_verify(public, alg, BULLA_BYTES_LITERAL("message"), bulla_bytes_of(signature, size)));
	}
	for (size_t at = 0; at < size; at++) {
		signature[at] ^= 1;
		assert_rc(BULLA_E_SIGNATURE,
			bulla_verify(public, alg, BULLA_BYTES_LITERAL("message"), bulla_bytes_of(signature, size)));
		signature[at] ^= 1;
	}
	assert_rc(BULLA_E_SIGNATURE,
		bulla_verify(public, alg, BULLA_BYTES_LITERAL("message"), bulla_bytes_of(signature, size - 1)));
	assert_rc(BULLA_E_ARGUMENT, bulla_verify(public, alg == BULLA_ES256 ? BULLA_ES384 : BULLA_ES256,
		BULLA_BYTES_LITERAL("message"), bulla_bytes_of(signature, size)));
}

static void both_curves_sign(void **state)
{
	BULLA_AUTO_SIGN_KEY key = NULL;

	(void)state;
	sign_and_verify(BULLA_ES256, 64);
	sign_and_verify(BULLA_ES384, 96);
	assert_rc(BULLA_E_UNSUPPORTED, bulla_sign_key_new(BULLA_RS256, &key));
}

static void private_keys_travel(void **state)
{
	BULLA_AUTO_SIGN_KEY key = NULL;
	BULLA_AUTO_SIGN_KEY back = NULL;
	BULLA_AUTO_BUF der = {0};

	(void)state;
	bulla_buf_init(&der, 1024);
	assert_ok(bulla_sign_key_new(BULLA_ES384, &key));
	assert_ok(bulla_sign_key_export(key, &der));
	assert_ok(bulla_sign_key_import(bulla_buf_view(&der), &back));
	assert_true(bulla_digest_eq(bulla_sign_key_kid(key), bulla_sign_key_kid(back)));
	back = bulla_sign_key_free(back);
	for (size_t size = 0; size < der.n; size++)
		assert_rc(BULLA_E_FORMAT, bulla_sign_key_import(bulla_bytes_of(der.p, size), &back));
}

static void public_keys_have_one_form(void **state)
{
	BULLA_AUTO_SIGN_KEY key = NULL;
	BULLA_AUTO_VERIFY_KEY public = NULL;
	uint8_t spki[128];
	bulla_bytes right;

	(void)state;
	assert_ok(bulla_sign_key_new(BULLA_ES256, &key));
	right = bulla_sign_key_spki(key);
	for (size_t size = 0; size < right.n; size++)
		assert_rc(BULLA_E_FORMAT, bulla_verify_key_spki(bulla_bytes_of(right.p, size), &public));
	for (size_t at = 0; at < right.n; at++) {
		bulla_copy(spki, right.p, right.n);
		spki[at] ^= 0x40;
		if (bulla_verify_key_spki(bulla_bytes_of(spki, right.n), &public) == BULLA_OK)
			fail_msg("byte %zu of a public key does not matter", at);
	}
	assert_rc(BULLA_E_FORMAT, bulla_verify_key_point(BULLA_KEY_P256, bulla_bytes_of(spki, 31), bulla_bytes_of(spki, 32), &public));
	assert_rc(BULLA_E_FORMAT, bulla_verify_key_point(BULLA_KEY_RSA, bulla_bytes_of(spki, 32), bulla_bytes_of(spki, 32), &public));
}

/* SubjectPublicKeyInfo of RSA numbers, as an issuer would write it who writes what it likes. */
static bulla_rc load_numbers(bulla_bytes modulus, bulla_bytes exponent)
{
	BULLA_AUTO_VERIFY_KEY key = NULL;
	uint8_t inner[1024], outer[1024], memory[1024];
	static const uint8_t head[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
	bulla_wr w = bulla_wr_fixed(inner, sizeof(inner)), key_w = bulla_wr_fixed(outer, sizeof(outer));
	bulla_wr whole = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes part;

	bulla_der_wr(&w, BULLA_DER_INTEGER, modulus);
	bulla_der_wr(&w, BULLA_DER_INTEGER, exponent);
	assert_ok(bulla_wr_end(&w, &part));
	bulla_der_wr(&key_w, BULLA_DER_SEQUENCE, part);
	assert_ok(bulla_wr_end(&key_w, &part));
	w = bulla_wr_fixed(inner, sizeof(inner));
	bulla_wr_bytes(&w, BULLA_BYTES_ARRAY(head));
	bulla_der_wr_bits(&w, part);
	assert_ok(bulla_wr_end(&w, &part));
	bulla_der_wr(&whole, BULLA_DER_SEQUENCE, part);
	assert_ok(bulla_wr_end(&whole, &part));
	return bulla_verify_key_spki(part, &key);
}

static void rsa_keys_have_one_form(void **state)
{
	uint8_t modulus[257] = {0, 0x80};
	bulla_bytes good = BULLA_BYTES_ARRAY(modulus), f4 = BULLA_BYTES_LITERAL("\x01\x00\x01");

	(void)state;
	modulus[256] = 1;
	assert_ok(load_numbers(good, f4));
	assert_ok(load_numbers(good, BULLA_BYTES_LITERAL("\x03")));
	assert_rc(BULLA_E_FORMAT, load_numbers(good, BULLA_BYTES_LITERAL("\x01")));
	assert_rc(BULLA_E_FORMAT, load_numbers(good, BULLA_BYTES_LITERAL("\x01\x00")));
	assert_rc(BULLA_E_FORMAT, load_numbers(good, BULLA_BYTES_LITERAL("\xff")));
	assert_rc(BULLA_E_FORMAT, load_numbers(good, BULLA_BYTES_LITERAL("\x00\x03")));
	assert_rc(BULLA_E_FORMAT, load_numbers(good, BULLA_BYTES_LITERAL("\x01\0\0\0\0\0\0\0\1")));
	assert_rc(BULLA_E_FORMAT, load_numbers(bulla_bytes_of(modulus + 1, 256), f4));
	assert_rc(BULLA_E_UNSUPPORTED, load_numbers(BULLA_BYTES_LITERAL("\x0f"), f4));
	modulus[256] = 2;
	assert_rc(BULLA_E_FORMAT, load_numbers(good, f4));
}

/* What is written of two numbers is what is read. */
static void rsa_numbers_make_the_one_form(void **state)
{
	BULLA_AUTO_VERIFY_KEY key = NULL;
	BULLA_AUTO_VERIFY_KEY again = NULL;
	uint8_t modulus[258] = {0, 0, 0x80};

	(void)state;
	modulus[257] = 1;
	assert_ok(bulla_verify_key_rsa(BULLA_BYTES_ARRAY(modulus), BULLA_BYTES_LITERAL("\0\1\0\1"), &key));
	assert_int_equal(bulla_verify_key_der(key).n, 294);
	assert_ok(bulla_verify_key_spki(bulla_verify_key_der(key), &again));
	again = bulla_verify_key_free(again);
	assert_rc(BULLA_E_FORMAT, bulla_verify_key_rsa((bulla_bytes){NULL, 0}, BULLA_BYTES_LITERAL("\3"), &again));
	assert_rc(BULLA_E_FORMAT, bulla_verify_key_rsa(BULLA_BYTES_ARRAY(modulus), (bulla_bytes){NULL, 0}, &again));
}

static void every_allocation_may_fail(void **state)
{
	BULLA_AUTO_SIGN_KEY key = NULL;
	BULLA_AUTO_VERIFY_KEY public = NULL;

	(void)state;
	bulla_alloc_fail_nth(1);
	assert_rc(BULLA_E_MEMORY, bulla_sign_key_new(BULLA_ES256, &key));
	assert_ok(bulla_sign_key_new(BULLA_ES256, &key));
	bulla_alloc_fail_nth(1);
	assert_rc(BULLA_E_MEMORY, bulla_verify_key_spki(bulla_sign_key_spki(key), &public));
	bulla_alloc_fail_nth(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wycheproof),
		cmocka_unit_test(rfc6979),
		cmocka_unit_test(both_curves_sign),
		cmocka_unit_test(private_keys_travel),
		cmocka_unit_test(public_keys_have_one_form),
		cmocka_unit_test(rsa_keys_have_one_form),
		cmocka_unit_test(rsa_numbers_make_the_one_form),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("crypto_sign", tests, NULL, NULL);
}
