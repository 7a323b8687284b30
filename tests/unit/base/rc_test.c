#include "test.h"

#include <string.h>

static bulla_rc raises(void)
{
	return BULLA_FAIL(BULLA_E_FORMAT, "raised here");
}

static bulla_rc passes(void)
{
	BULLA_TRY(raises());
	return BULLA_OK;
}

static void the_trail_names_where_and_what(void **state)
{
	unsigned count = 0;

	(void)state;
	assert_rc(BULLA_E_FORMAT, passes());
	const struct bulla_trail_entry *trail = bulla_trail(&count);
	assert_int_equal(count, 2);
	assert_string_equal(trail[0].what, "raised here");
	assert_null(trail[1].what);
	assert_true(strstr(trail[0].file, "rc_test.c") != NULL);
}

static void ids_are_unique_and_found(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BULLA_RC_COUNT; i++)
		assert_int_equal(bulla_rc_from_id(bulla_rc_id((bulla_rc)i)), i);
	assert_int_equal(bulla_rc_from_id("no such id"), BULLA_RC_COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_trail_names_where_and_what),
		cmocka_unit_test(ids_are_unique_and_found),
	};

	return cmocka_run_group_tests_name("base_rc", tests, NULL, NULL);
}
