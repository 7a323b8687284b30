#include "crypto/random.h"
#include "slab.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* Counts up: what is given out twice, or left out, shows. */
struct counter {
	uint8_t next;
	unsigned calls;
	bool broken;
};

static bulla_rc count_up(void *ctx, uint8_t *ret, size_t size)
{
	struct counter *counter = ctx;

	if (counter->broken)
		return BULLA_FAIL(BULLA_E_RANDOM, "test");
	counter->calls++;
	for (size_t i = 0; i < size; i++)
		ret[i] = counter->next++;
	return BULLA_OK;
}

static void a_pool_gives_each_byte_once(void **state)
{
	struct counter counter = {0};
	const struct bulla_random source = {&counter, count_up};
	struct bulla_random_pool pool;
	uint8_t bytes[200];

	(void)state;
	bulla_random_pool_init(&pool, &source);
	for (unsigned i = 0; i < 2 * BULLA_RANDOM_CELLS; i++) { /* exactly one fetch */
		assert_ok(bulla_random_fill(&pool.table, bytes, 32));
		assert_int_equal(bytes[0], (uint8_t)(i * 32));
		assert_int_equal(bytes[31], (uint8_t)(i * 32 + 31));
		const uint8_t *given = pool.bytes[pool.cell] + pool.at - 32;
		for (unsigned k = 0; k < 32; k++)
			assert_int_equal(given[k], 0); /* nothing of it stays */
	}
	assert_int_equal(counter.calls, 1);
	assert_ok(bulla_random_fill(&pool.table, bytes, 16));
	assert_int_equal(counter.calls, 2);
	assert_ok(bulla_random_fill(&pool.table, bytes, 64)); /* does not fit behind the 16: the next cell */
	assert_int_equal(bytes[0], 64);
	assert_ok(bulla_random_fill(&pool.table, bytes, sizeof(bytes)));
	assert_int_equal(counter.calls, 3); /* at once */
	bulla_random_pool_done(&pool);
	assert_int_equal(bulla_secret_slab_used(), 0);
}

static void a_pool_fails_with_its_source(void **state)
{
	struct counter counter = {.broken = true};
	const struct bulla_random source = {&counter, count_up};
	struct bulla_random_pool pool;
	bulla_secret secret = BULLA_SECRET_NONE;

	(void)state;
	bulla_random_pool_init(&pool, &source);
	assert_rc(BULLA_E_RANDOM, bulla_random_secret(&pool.table, 32, &secret));
	assert_int_equal(bulla_secret_slab_used(), 0);
	counter.broken = false;
	assert_ok(bulla_random_secret(&pool.table, 32, &secret));
	bulla_secret_free(&secret);
	bulla_random_pool_done(&pool);
}

/* Parent and child must not give out the same bytes. */
static void a_fork_gets_nothing_from_a_pool(void **state)
{
	struct counter counter = {0};
	const struct bulla_random source = {&counter, count_up};
	struct bulla_random_pool pool;
	uint8_t bytes[32];
	int status = 0;
	pid_t child;

	(void)state;
	bulla_random_pool_init(&pool, &source);
	assert_ok(bulla_random_fill(&pool.table, bytes, sizeof(bytes)));
	child = fork();
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		(void)!freopen("/dev/null", "w", stderr);
		_exit(bulla_random_fill(&pool.table, bytes, sizeof(bytes)) == BULLA_OK ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	bulla_random_pool_done(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_and_differs),
		cmocka_unit_test(a_failing_source_leaves_no_secret),
		cmocka_unit_test(a_pool_gives_each_byte_once),
		cmocka_unit_test(a_pool_fails_with_its_source),
		cmocka_unit_test(a_fork_gets_nothing_from_a_pool),
	};

	return cmocka_run_group_tests_name("crypto_random", tests, slab_up, slab_down);
}
