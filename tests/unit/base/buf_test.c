#include "base/buf.h"
#include "base/mem.h"
#include "test.h"

static void grows_to_its_maximum_and_no_further(void **state)
{
	BULLA_AUTO_BUF buf;

	(void)state;
	bulla_buf_init(&buf, 1000);
	for (int i = 0; i < 100; i++)
		assert_ok(bulla_buf_append(&buf, BULLA_BYTES_LITERAL("0123456789")));
	assert_rc(BULLA_E_LIMIT, bulla_buf_append(&buf, BULLA_BYTES_LITERAL("x")));
	assert_int_equal(buf.n, 1000);
	assert_int_equal(buf.p[999], '9');
}

static void consume_moves_the_rest_to_the_front(void **state)
{
	BULLA_AUTO_BUF buf;

	(void)state;
	bulla_buf_init(&buf, 100);
	assert_ok(bulla_buf_append(&buf, BULLA_BYTES_LITERAL("abcdef")));
	bulla_buf_consume(&buf, 2);
	assert_bytes(bulla_buf_view(&buf), bulla_bytes_str("cdef"));
	bulla_buf_clear(&buf);
	assert_int_equal(buf.n, 0);
}

static void a_failed_allocation_changes_nothing(void **state)
{
	BULLA_AUTO_BUF buf;

	(void)state;
	bulla_buf_init(&buf, 100000);
	assert_ok(bulla_buf_append(&buf, BULLA_BYTES_LITERAL("abc")));
	bulla_alloc_fail_nth(1);
	assert_rc(BULLA_E_MEMORY, bulla_buf_reserve(&buf, 5000));
	bulla_alloc_fail_nth(0);
	assert_bytes(bulla_buf_view(&buf), bulla_bytes_str("abc"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_to_its_maximum_and_no_further),
		cmocka_unit_test(consume_moves_the_rest_to_the_front),
		cmocka_unit_test(a_failed_allocation_changes_nothing),
	};

	return cmocka_run_group_tests_name("base_buf", tests, NULL, NULL);
}
