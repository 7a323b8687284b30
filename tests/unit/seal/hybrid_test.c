/* Vectors of MLKEM768-X25519, where libcrypto is 3.5 or later. A program of its own: elsewhere it is skipped as a whole. */
#include "crypto/hybrid.h"
#include "seal/hpke.h"
#include "slab.h"
#include "vectors.h"

#include <stdio.h>

static void run_hybrid(const struct vector *v, void *arg)
{
	BULLA_AUTO_SECRET first = BULLA_SECRET_NONE, second = BULLA_SECRET_NONE;
	static uint8_t public_key[BULLA_HPKE_PUBLIC_MAX];

	(void)arg;
	assert_ok(bulla_secret_new(v->field[0], &first));
	if (v->kind == 'K') {
		assert_ok(bulla_hpke_derive(&bulla_kem_hybrid, first, &second, public_key));
		assert_bytes(bulla_secret_view(second), v->field[1]);
		return;
	}
	assert_ok(bulla_hpke_public(&bulla_kem_hybrid, first, public_key));
	assert_bytes(BULLA_BYTES_ARRAY(public_key), v->field[1]);
	assert_ok(bulla_hpke_receive_export(&bulla_kem_hybrid, first, v->field[2], v->field[3], v->field[4], &second));
	assert_bytes(bulla_secret_view(second), v->field[5]);
}

static void hybrid_vectors(void **state)
{
	(void)state;
	assert_int_equal(vectors_run("../hpke/hybrid", run_hybrid, NULL), 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hybrid_vectors),
	};

	if (!bulla_hybrid_available()) {
		puts("libcrypto has no ML-KEM (3.5 or later does): the hybrid suite was not tested");
		return 77;
	}
	return cmocka_run_group_tests_name("seal_hybrid", tests, slab_up, slab_down);
}
