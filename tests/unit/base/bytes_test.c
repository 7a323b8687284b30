#include "test.h"

static void equality(void **state)
{
	(void)state;
	assert_true(bulla_bytes_eq(BULLA_BYTES_LITERAL("abc"), bulla_bytes_str("abc")));
	assert_false(bulla_bytes_eq(BULLA_BYTES_LITERAL("abc"), bulla_bytes_str("abd")));
	assert_false(bulla_bytes_eq(BULLA_BYTES_LITERAL("abc"), bulla_bytes_str("ab")));
	assert_true(bulla_bytes_eq((bulla_bytes){NULL, 0}, bulla_bytes_str("")));
	assert_true(bulla_bytes_eq_ct(BULLA_BYTES_LITERAL("abc"), bulla_bytes_str("abc")));
	assert_false(bulla_bytes_eq_ct(BULLA_BYTES_LITERAL("abc"), bulla_bytes_str("abd")));
	assert_false(bulla_bytes_eq_ct(BULLA_BYTES_LITERAL("abc"), bulla_bytes_str("abcd")));
}

static void order(void **state)
{
	(void)state;
	assert_true(bulla_bytes_cmp(bulla_bytes_str("a"), bulla_bytes_str("b")) < 0);
	assert_true(bulla_bytes_cmp(bulla_bytes_str("b"), bulla_bytes_str("a")) > 0);
	assert_true(bulla_bytes_cmp(bulla_bytes_str("a"), bulla_bytes_str("ab")) < 0);
	assert_int_equal(bulla_bytes_cmp(bulla_bytes_str("ab"), bulla_bytes_str("ab")), 0);
}

static void zero(void **state)
{
	uint8_t bytes[3] = {0, 0, 1};

	(void)state;
	assert_false(bulla_bytes_is_zero_ct(BULLA_BYTES_ARRAY(bytes)));
	bulla_wipe(bytes, sizeof(bytes));
	assert_true(bulla_bytes_is_zero_ct(BULLA_BYTES_ARRAY(bytes)));
}

static void copy_exact(void **state)
{
	uint8_t out[3] = {9, 9, 9};

	(void)state;
	assert_rc(BULLA_E_FORMAT, bulla_bytes_copy_exact(bulla_bytes_str("ab"), 3, out));
	assert_int_equal(out[0], 9);
	assert_ok(bulla_bytes_copy_exact(bulla_bytes_str("abc"), 3, out));
	assert_int_equal(out[2], 'c');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equality),
		cmocka_unit_test(order),
		cmocka_unit_test(zero),
		cmocka_unit_test(copy_exact),
	};

	return cmocka_run_group_tests_name("base_bytes", tests, NULL, NULL);
}
