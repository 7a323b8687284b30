#include "base/mem.h"
#include "crypto/aead.h"
#include "slab.h"
#include "vectors.h"

static void run_vector(const struct vector *v, void *arg)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;
	uint8_t sealed[600], plain[600];
	size_t size = v->field[4].n;

	(void)arg;
	assert_true(size + 16 <= sizeof(sealed));
	assert_ok(bulla_secret_new(v->field[0], &key));
	bulla_copy(sealed, v->field[4].p, size);
	bulla_copy(sealed + size, v->field[5].p, 16);
	if (v->kind == 'i') {
		assert_rc(BULLA_E_MAC, bulla_aead_open(key, v->field[1].p, v->field[2], bulla_bytes_of(sealed, size + 16), plain));
		return;
	}
	assert_ok(bulla_aead_open(key, v->field[1].p, v->field[2], bulla_bytes_of(sealed, size + 16), plain));
	assert_bytes(bulla_bytes_of(plain, size), v->field[3]);
	assert_ok(bulla_aead_seal(key, v->field[1].p, v->field[2], v->field[3], plain));
	assert_memory_equal(plain, sealed, size + 16);
}

static void wycheproof(void **state)
{
	(void)state;
	assert_true(vectors_run("aes_256_gcm", run_vector, NULL) > 50);
}

static void a_changed_bit_is_refused_and_wiped(void **state)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;
	uint8_t sealed[64 + 16], plain[64] = {0}, zeros[64] = {0};

	(void)state;
	assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("0123456789abcdef0123456789abcdef"), &key));
	assert_ok(bulla_aead_seal(key, bulla_aead_nonce_zero, BULLA_BYTES_LITERAL("aad"), BULLA_BYTES_ARRAY(zeros), sealed));
	for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		plain[5] = 1;
		assert_rc(BULLA_E_MAC, bulla_aead_open(key, bulla_aead_nonce_zero, BULLA_BYTES_LITERAL("aad"),
			BULLA_BYTES_ARRAY(sealed), plain));
		assert_true(bulla_bytes_is_zero_ct(BULLA_BYTES_ARRAY(plain)));
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t size = 0; size < sizeof(sealed); size++)
		assert_rc(BULLA_E_MAC, bulla_aead_open(key, bulla_aead_nonce_zero, BULLA_BYTES_LITERAL("aad"),
			bulla_bytes_of(sealed, size), plain));
	assert_rc(BULLA_E_MAC, bulla_aead_open(key, bulla_aead_nonce_zero, BULLA_BYTES_LITERAL("aaD"),
		BULLA_BYTES_ARRAY(sealed), plain));
}

static void in_place_works(void **state)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;
	uint8_t bytes[5 + 16] = "hello";

	(void)state;
	assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("0123456789abcdef0123456789abcdef"), &key));
	assert_ok(bulla_aead_seal(key, bulla_aead_nonce_zero, (bulla_bytes){NULL, 0}, bulla_bytes_of(bytes, 5), bytes));
	assert_memory_not_equal(bytes, "hello", 5);
	assert_ok(bulla_aead_open(key, bulla_aead_nonce_zero, (bulla_bytes){NULL, 0}, BULLA_BYTES_ARRAY(bytes), bytes));
	assert_memory_equal(bytes, "hello", 5);
}

static void keys_wrap_and_unwrap(void **state)
{
	BULLA_AUTO_SECRET kek = BULLA_SECRET_NONE, key = BULLA_SECRET_NONE, back = BULLA_SECRET_NONE, odd = BULLA_SECRET_NONE;
	uint8_t wrapped[BULLA_WRAPPED_SIZE];

	(void)state;
	assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("0123456789abcdef0123456789abcdef"), &kek));
	assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("fedcba9876543210fedcba9876543210"), &key));
	assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("short"), &odd));
	assert_ok(bulla_key_wrap(kek, key, wrapped));
	assert_ok(bulla_key_unwrap(kek, BULLA_BYTES_ARRAY(wrapped), &back));
	assert_bytes(bulla_secret_view(back), bulla_secret_view(key));
	wrapped[0] ^= 1;
	assert_rc(BULLA_E_MAC, bulla_key_unwrap(kek, BULLA_BYTES_ARRAY(wrapped), &back));
	assert_rc(BULLA_E_FORMAT, bulla_key_unwrap(kek, bulla_bytes_of(wrapped, 47), &back));
	assert_rc(BULLA_E_ARGUMENT, bulla_key_wrap(kek, odd, wrapped));
	assert_rc(BULLA_E_ARGUMENT, bulla_key_wrap(odd, key, wrapped));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wycheproof),
		cmocka_unit_test(a_changed_bit_is_refused_and_wiped),
		cmocka_unit_test(in_place_works),
		cmocka_unit_test(keys_wrap_and_unwrap),
	};

	return cmocka_run_group_tests_name("crypto_aead", tests, slab_up, slab_down);
}
