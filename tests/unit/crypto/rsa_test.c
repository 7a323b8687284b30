#include "crypto/random.h"
#include "crypto/rsa.h"
#include "rsa_key.h"
#include "vectors.h"


static void run_vector(const struct vector *v, void *arg)
{
	struct bulla_rsa_key **holder = arg;
	BULLA_AUTO_SECRET plain = BULLA_SECRET_NONE;
	bulla_rc rc;

	if (v->kind == 'K') {
		bulla_rsa_key_free(*holder);
		assert_ok(bulla_rsa_key_import(v->field[0], holder));
		return;
	}
	rc = bulla_rsa_open(*holder, v->field[1], &plain);
	if (v->kind == 'i' || v->field[0].n == 0 || v->field[0].n > 64) {
		assert_rc(BULLA_E_CRYPTO, rc);
		return;
	}
	assert_ok(rc);
	assert_bytes(bulla_secret_view(plain), v->field[0]);
}

static void wycheproof(void **state)
{
	struct bulla_rsa_key *vector_key = NULL;

	(void)state;
	assert_true(vectors_run("rsa_oaep", run_vector, &vector_key) > 20);
	bulla_rsa_key_free(vector_key);
}

static void seals_and_opens(void **state)
{
	BULLA_AUTO_SECRET plain = BULLA_SECRET_NONE, back = BULLA_SECRET_NONE;
	uint8_t sealed[BULLA_RSA_SIZE], again[BULLA_RSA_SIZE];

	(void)state;
	assert_ok(bulla_random_secret(bulla_random_os(), 32, &plain));
	assert_ok(bulla_rsa_seal(bulla_rsa_key_spki(key), plain, sealed));
	assert_ok(bulla_rsa_seal(bulla_rsa_key_spki(key), plain, again));
	assert_memory_not_equal(sealed, again, sizeof(sealed));
	assert_ok(bulla_rsa_open(key, BULLA_BYTES_ARRAY(sealed), &back));
	assert_bytes(bulla_secret_view(back), bulla_secret_view(plain));
	bulla_secret_free(&back);
	for (size_t at = 0; at < sizeof(sealed); at += 17) {
		sealed[at] ^= 1;
		assert_rc(BULLA_E_CRYPTO, bulla_rsa_open(key, BULLA_BYTES_ARRAY(sealed), &back));
		sealed[at] ^= 1;
	}
	assert_rc(BULLA_E_CRYPTO, bulla_rsa_open(key, bulla_bytes_of(sealed, 255), &back));
}

static void other_keys_are_refused(void **state)
{
	BULLA_AUTO_SECRET plain = BULLA_SECRET_NONE;
	uint8_t sealed[BULLA_RSA_SIZE];
	bulla_bytes spki = bulla_rsa_key_spki(key);
	struct bulla_rsa_key *other = NULL;

	(void)state;
	assert_int_equal(spki.n, 294);
	assert_ok(bulla_random_secret(bulla_random_os(), 32, &plain));
	for (size_t size = 0; size < spki.n; size++)
		assert_rc(BULLA_E_FORMAT, bulla_rsa_seal(bulla_bytes_of(spki.p, size), plain, sealed));
	assert_rc(BULLA_E_FORMAT, bulla_rsa_key_import(spki, &other));
	assert_rc(BULLA_E_FORMAT, bulla_rsa_key_import((bulla_bytes){NULL, 0}, &other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wycheproof),
		cmocka_unit_test(seals_and_opens),
		cmocka_unit_test(other_keys_are_refused),
	};

	return cmocka_run_group_tests_name("crypto_rsa", tests, up, down);
}
