#include "test.h"
#include "wire/ops.h"

static void known_numbers_are_found_and_others_not(void **state)
{
	const struct bulla_op *op = bulla_op_find(BULLA_OP_EXECUTE);
	size_t found = 0;

	(void)state;
	assert_non_null(op);
	assert_string_equal(op->name, "EXECUTE");
	assert_ptr_equal(op->request, &bulla_msg_execute_desc);
	assert_ptr_equal(op->reply, &bulla_msg_executed_desc);
	for (uint64_t number = 0; number < 70000; number++) {
		op = bulla_op_find(number);
		found += op != NULL;
		assert_true(op == NULL || op->number == number);
	}
	assert_true(found >= 20);
	assert_null(bulla_op_find(0));
	assert_null(bulla_op_find(UINT64_MAX));
}

static void only_its_caller_may_call(void **state)
{
	const struct bulla_op *execute = bulla_op_find(BULLA_OP_EXECUTE), *hello = bulla_op_find(BULLA_OP_HELLO);

	(void)state;
	assert_true(bulla_op_may_call(execute, BULLA_ROLE_HOST));
	assert_false(bulla_op_may_call(execute, BULLA_ROLE_CLIENT));
	assert_false(bulla_op_may_call(execute, BULLA_ROLE_ENCLAVE));
	assert_false(bulla_op_may_call(execute, (enum bulla_role)0));
	assert_false(bulla_op_may_call(execute, (enum bulla_role)9));
	assert_true(bulla_op_may_call(bulla_op_find(BULLA_OP_TOKENS), BULLA_ROLE_BROKER));
	assert_true(bulla_op_may_call(hello, BULLA_ROLE_CLIENT));
	assert_true(bulla_op_may_call(hello, BULLA_ROLE_BROKER));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_numbers_are_found_and_others_not),
		cmocka_unit_test(only_its_caller_may_call),
	};

	return cmocka_run_group_tests_name("wire_ops", tests, NULL, NULL);
}
