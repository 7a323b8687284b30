#include "attack.h"

#include "engine/admin.h"

static void only_the_owner_administers(void **state)
{
	(void)state;
	assert_ok(bulla_admin_check(BULLA_OP_DRAIN, true));
	assert_ok(bulla_admin_check(BULLA_OP_PUT_MANIFEST, true));
	assert_ok(bulla_admin_check(BULLA_OP_START, false));
	assert_ok(bulla_admin_check(BULLA_OP_STATUS, false));
	assert_attack(HOST_ADMIN, BULLA_E_ADMIN, bulla_admin_check(BULLA_OP_DRAIN, false));
	assert_attack(HOST_ADMIN, BULLA_E_ADMIN, bulla_admin_check(BULLA_OP_PUT_MANIFEST, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(only_the_owner_administers)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
