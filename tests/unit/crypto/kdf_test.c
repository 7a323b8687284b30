#include "crypto/kdf.h"
#include "slab.h"
#include "vectors.h"

#include <string.h>

static void run_vector(const struct vector *v, void *arg)
{
	BULLA_AUTO_SECRET prk = BULLA_SECRET_NONE;
	BULLA_AUTO_SECRET okm = BULLA_SECRET_NONE;

	(void)arg;
	assert_ok(bulla_hkdf_extract(v->field[1], &v->field[0], 1, &prk));
	assert_ok(bulla_hkdf_expand(prk, &v->field[2], 1, v->field[3].n, &okm));
	assert_int_equal(bulla_bytes_eq(bulla_secret_view(okm), v->field[3]), v->kind == 'v');
}

static void wycheproof(void **state)
{
	(void)state;
	assert_true(vectors_run("hkdf_sha256", run_vector, NULL) > 50);
}

/* kdf of protocol.md section 1 equals HKDF with the info written out. */
static void kdf_is_hkdf_with_its_label(void **state)
{
	static const uint8_t info[] = "bulla/1 wrap\0\x83\x01\x02\x03";
	const bulla_bytes info_part = bulla_bytes_of(info, sizeof(info) - 1);
	BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE, prk = BULLA_SECRET_NONE, right = BULLA_SECRET_NONE, key = BULLA_SECRET_NONE;
	uint8_t bytes[32];

	(void)state;
	assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("0123456789abcdef0123456789abcdef"), &secret));
	bulla_bytes ikm = bulla_secret_view(secret);
	assert_ok(bulla_hkdf_extract((bulla_bytes){NULL, 0}, &ikm, 1, &prk));
	assert_ok(bulla_hkdf_expand(prk, &info_part, 1, 32, &right));
	assert_ok(bulla_kdf(secret, BULLA_LABEL_WRAP, bulla_bytes_of("\x83\x01\x02\x03", 4), &key));
	assert_bytes(bulla_secret_view(key), bulla_secret_view(right));
	assert_ok(bulla_kdf_bytes(secret, BULLA_LABEL_WRAP, bulla_bytes_of("\x83\x01\x02\x03", 4), 32, bytes));
	assert_bytes(BULLA_BYTES_ARRAY(bytes), bulla_secret_view(right));
}

static void two_secrets_are_their_concatenation(void **state)
{
	BULLA_AUTO_SECRET first = BULLA_SECRET_NONE, second = BULLA_SECRET_NONE, both = BULLA_SECRET_NONE;
	BULLA_AUTO_SECRET a = BULLA_SECRET_NONE, b = BULLA_SECRET_NONE;

	(void)state;
	assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("0123456789abcdef0123456789abcdef"), &first));
	assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("fedcba9876543210fedcba9876543210"), &second));
	assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("0123456789abcdef0123456789abcdeffedcba9876543210fedcba9876543210"),
		&both));
	assert_ok(bulla_kdf2(first, second, BULLA_LABEL_CONTENT, BULLA_BYTES_LITERAL("c"), &a));
	assert_ok(bulla_kdf(both, BULLA_LABEL_CONTENT, BULLA_BYTES_LITERAL("c"), &b));
	assert_bytes(bulla_secret_view(a), bulla_secret_view(b));
}

static void labels_are_distinct_and_separate(void **state)
{
	BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE;
	uint8_t outputs[BULLA_LABEL_COUNT][32];

	(void)state;
	assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("0123456789abcdef0123456789abcdef"), &secret));
	for (unsigned i = 0; i < BULLA_LABEL_COUNT; i++) {
		assert_ok(bulla_kdf_bytes(secret, (enum bulla_label)i, (bulla_bytes){NULL, 0}, 32, outputs[i]));
		for (unsigned k = 0; k < i; k++) {
			assert_string_not_equal(bulla_label_text((enum bulla_label)i), bulla_label_text((enum bulla_label)k));
			assert_memory_not_equal(outputs[i], outputs[k], 32);
		}
	}
}

static void sizes_and_full_slabs_are_refused(void **state)
{
	BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE;
	bulla_secret other = BULLA_SECRET_NONE, all[64];
	uint8_t bytes[65];
	size_t filled = 0;

	(void)state;
	assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("x"), &secret));
	assert_rc(BULLA_E_ARGUMENT, bulla_hkdf_expand(secret, NULL, 0, 65, &other));
	assert_rc(BULLA_E_ARGUMENT, bulla_hkdf_expand(secret, NULL, 0, 0, &other));
	assert_rc(BULLA_E_ARGUMENT, bulla_kdf_bytes(secret, BULLA_LABEL_PART, (bulla_bytes){NULL, 0}, 65, bytes));
	while (bulla_secret_slab_used() < bulla_secret_slab_size())
		assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("x"), &all[filled++]));
	assert_rc(BULLA_E_LIMIT, bulla_kdf(secret, BULLA_LABEL_PART, (bulla_bytes){NULL, 0}, &other));
	assert_rc(BULLA_E_LIMIT, bulla_kdf2(secret, secret, BULLA_LABEL_PART, (bulla_bytes){NULL, 0}, &other));
	assert_rc(BULLA_E_LIMIT, bulla_hkdf_extract((bulla_bytes){NULL, 0}, NULL, 0, &other));
	while (filled > 0)
		bulla_secret_free(&all[--filled]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wycheproof),
		cmocka_unit_test(kdf_is_hkdf_with_its_label),
		cmocka_unit_test(two_secrets_are_their_concatenation),
		cmocka_unit_test(labels_are_distinct_and_separate),
		cmocka_unit_test(sizes_and_full_slabs_are_refused),
	};

	return cmocka_run_group_tests_name("crypto_kdf", tests, slab_up, slab_down);
}
