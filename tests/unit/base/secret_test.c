#include "base/secret.h"
#include "test.h"

#include <sys/wait.h>
#include <unistd.h>

static void slots_are_reused_and_bounded(void **state)
{
	bulla_secret all[4], more = BULLA_SECRET_NONE;

	(void)state;
	assert_ok(bulla_secret_slab_init(4));
	assert_rc(BULLA_E_STATE, bulla_secret_slab_init(4));
	for (int i = 0; i < 4; i++)
		assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("0123456789abcdef0123456789abcdef"), &all[i]));
	assert_rc(BULLA_E_LIMIT, bulla_secret_new(BULLA_BYTES_LITERAL("x"), &more));
	bulla_secret_free(&all[2]);
	assert_int_equal(all[2].slot, 0);
	assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("other"), &all[2]));
	assert_bytes(bulla_secret_view(all[2]), bulla_bytes_str("other"));
	assert_bytes(bulla_secret_view(all[3]), bulla_bytes_str("0123456789abcdef0123456789abcdef"));
	bulla_secret_slab_done();
}

static void sizes_are_checked(void **state)
{
	uint8_t big[65] = {0};
	bulla_secret s = BULLA_SECRET_NONE;

	(void)state;
	assert_ok(bulla_secret_slab_init(4));
	assert_rc(BULLA_E_ARGUMENT, bulla_secret_new(BULLA_BYTES_ARRAY(big), &s));
	assert_rc(BULLA_E_ARGUMENT, bulla_secret_new((bulla_bytes){NULL, 0}, &s));
	assert_int_equal(bulla_secret_slab_used(), 0);
	bulla_secret_slab_done();
}

static void a_fork_sees_no_secret(void **state)
{
	bulla_secret s = BULLA_SECRET_NONE;
	int status = 0;
	pid_t child;

	(void)state;
	assert_ok(bulla_secret_slab_init(4));
	assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("secret"), &s));
	const uint8_t *bytes = bulla_secret_view(s).p;
	child = fork();
	if (child == 0)
		_exit(bytes[0] == 0 ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	bulla_secret_slab_done();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_are_reused_and_bounded),
		cmocka_unit_test(sizes_are_checked),
		cmocka_unit_test(a_fork_sees_no_secret),
	};

	return cmocka_run_group_tests_name("base_secret", tests, NULL, NULL);
}
