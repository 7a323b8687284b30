#include "crypto/random.h"
#include "slab.h"

static void fills_and_differs(void **state)
{
	uint8_t a[32] = {0}, b[32] = {0};

	(void)state;
	assert_ok(bulla_random_fill(bulla_random_os(), a, sizeof(a)));
	assert_ok(bulla_random_fill(bulla_random_os(), b, sizeof(b)));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_ok(bulla_random_fill(bulla_random_os(), a, 0));
}

static bulla_rc broken(void *ctx, uint8_t *ret, size_t size)
{
	(void)ctx;
	(void)ret;
	(void)size;
	return BULLA_FAIL(BULLA_E_RANDOM, "test");
}

static void a_failing_source_leaves_no_secret(void **state)
{
	const struct bulla_random source = {NULL, broken};
	bulla_secret secret = BULLA_SECRET_NONE;

	(void)state;
	assert_rc(BULLA_E_RANDOM, bulla_random_secret(&source, 32, &secret));
	assert_int_equal(secret.slot, 0);
	assert_int_equal(bulla_secret_slab_used(), 0);
	assert_rc(BULLA_E_ARGUMENT, bulla_random_secret(bulla_random_os(), 65, &secret));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_and_differs),
		cmocka_unit_test(a_failing_source_leaves_no_secret),
	};

	return cmocka_run_group_tests_name("crypto_random", tests, slab_up, slab_down);
}
