#include "attack.h"

#include "broker/service.h"

static void strangers_are_neither_host_nor_do_they_demand(void **state)
{
	(void)state;
	assert_ok(bulla_broker_admin_check(BULLA_OP_ADVANCE, true, true));
	assert_ok(bulla_broker_admin_check(BULLA_OP_DEMAND, false, true));
	assert_ok(bulla_broker_admin_check(BULLA_OP_KEYS, false, false));
	assert_ok(bulla_broker_admin_check(BULLA_OP_PUT_MANIFEST, false, false)); /* its approvers signed it */
	assert_attack(BROKER_ADMIN, BULLA_E_ADMIN, bulla_broker_admin_check(BULLA_OP_ADVANCE, true, false));
	assert_attack(BROKER_ADMIN, BULLA_E_ADMIN, bulla_broker_admin_check(BULLA_OP_DEMAND, false, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(strangers_are_neither_host_nor_do_they_demand)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
