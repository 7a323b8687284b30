#include "crypto/ecdh.h"
#include "crypto/random.h"
#include "slab.h"
#include "vectors.h"

/* "acceptable" cases are points of small order and their like: where the shared secret is zero we refuse. */
static void run_vector(const struct vector *v, void *arg)
{
	BULLA_AUTO_SECRET mine = BULLA_SECRET_NONE, shared = BULLA_SECRET_NONE;
	bulla_rc rc;

	(void)arg;
	assert_ok(bulla_secret_new(v->field[0], &mine));
	rc = bulla_x25519(mine, v->field[1], &shared);
	if (bulla_bytes_is_zero_ct(v->field[2])) {
		assert_rc(BULLA_E_CRYPTO, rc);
		return;
	}
	assert_ok(rc);
	assert_bytes(bulla_secret_view(shared), v->field[2]);
}

static void wycheproof(void **state)
{
	(void)state;
	assert_true(vectors_run("x25519", run_vector, NULL) > 500);
}

/* RFC 7748 section 6.1: the public key is the scalar times the base point 9, and both sides agree. */
static void both_sides_agree(void **state)
{
	static const uint8_t base[32] = {9};
	BULLA_AUTO_SECRET a = BULLA_SECRET_NONE, b = BULLA_SECRET_NONE, ab = BULLA_SECRET_NONE, ba = BULLA_SECRET_NONE;
	BULLA_AUTO_SECRET from_base = BULLA_SECRET_NONE;
	uint8_t a_public[32], b_public[32];

	(void)state;
	assert_ok(bulla_random_secret(bulla_random_os(), 32, &a));
	assert_ok(bulla_random_secret(bulla_random_os(), 32, &b));
	assert_ok(bulla_x25519_public(a, a_public));
	assert_ok(bulla_x25519_public(b, b_public));
	assert_ok(bulla_x25519(a, BULLA_BYTES_ARRAY(b_public), &ab));
	assert_ok(bulla_x25519(b, BULLA_BYTES_ARRAY(a_public), &ba));
	assert_bytes(bulla_secret_view(ab), bulla_secret_view(ba));
	assert_ok(bulla_x25519(a, BULLA_BYTES_ARRAY(base), &from_base));
	assert_bytes(bulla_secret_view(from_base), BULLA_BYTES_ARRAY(a_public));
}

static void odd_keys_are_refused(void **state)
{
	BULLA_AUTO_SECRET mine = BULLA_SECRET_NONE, shared = BULLA_SECRET_NONE, odd = BULLA_SECRET_NONE;
	uint8_t public[32];

	(void)state;
	assert_ok(bulla_random_secret(bulla_random_os(), 32, &mine));
	assert_ok(bulla_random_secret(bulla_random_os(), 31, &odd));
	assert_ok(bulla_x25519_public(mine, public));
	assert_rc(BULLA_E_FORMAT, bulla_x25519(mine, bulla_bytes_of(public, 31), &shared));
	assert_rc(BULLA_E_CRYPTO, bulla_x25519(odd, BULLA_BYTES_ARRAY(public), &shared));
	assert_rc(BULLA_E_CRYPTO, bulla_x25519_public(odd, public));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wycheproof),
		cmocka_unit_test(both_sides_agree),
		cmocka_unit_test(odd_keys_are_refused),
	};

	return cmocka_run_group_tests_name("crypto_ecdh", tests, slab_up, slab_down);
}
