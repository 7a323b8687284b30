#include "attack.h"

static bulla_rc a_check(int wrong)
{
	if (BULLA_CHECK_ON(POSITION_RUN) && wrong)
		return BULLA_E_POSITION_RUN;
	return BULLA_OK;
}

static void a_check_refuses_and_its_mutant_does_not(void **state)
{
	(void)state;
	assert_ok(a_check(0));
	assert_attack(POSITION_RUN, BULLA_E_POSITION_RUN, a_check(1));
	assert_rc(BULLA_E_POSITION_RUN, a_check(1));
}

static void names_are_known_and_distinct(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BULLA_CHECK_COUNT; i++) {
		assert_non_null(bulla_check_name((enum bulla_check)i));
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(bulla_check_name((enum bulla_check)i), bulla_check_name((enum bulla_check)j));
	}
	assert_null(bulla_check_name(BULLA_CHECK_COUNT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_check_refuses_and_its_mutant_does_not),
		cmocka_unit_test(names_are_known_and_distinct),
	};

	return cmocka_run_group_tests_name("base_checks", tests, NULL, NULL);
}
