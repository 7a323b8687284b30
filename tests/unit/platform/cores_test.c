#define _GNU_SOURCE
#include "platform/cores.h"

#include "test.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND INT64_C(1000000)

static struct bulla_cores_seen seen_of(unsigned first, unsigned second, unsigned ours)
{
	return (struct bulla_cores_seen){.count = 2, .busy = {first, second}, .ours = ours};
}

static bool shares(struct bulla_cores *cores, struct bulla_cores_seen seen, int64_t now_us)
{
	bulla_cores_decide(cores, &seen, now_us);
	return cores->shared;
}

/* One workflow at a time: some 70 % of a core, and a client's work beside it. */
static void test_little_work_shares_a_core(void **state)
{
	struct bulla_cores cores = {.hold_us = SECOND};

	(void)state;
	assert_false(shares(&cores, seen_of(43, 42, 68), SECOND - 1)); /* programs still start */
	assert_true(shares(&cores, seen_of(43, 42, 68), SECOND));
	assert_int_equal(cores.core, 1);
	assert_true(shares(&cores, seen_of(30, 89, 88), 2 * SECOND));
}

static void test_much_work_does_not(void **state)
{
	struct bulla_cores cores = {0};

	(void)state;
	assert_false(shares(&cores, seen_of(60, 60, 81), SECOND));
	assert_false(shares(&cores, seen_of(80, 75, 120), SECOND));
	assert_true(shares(&cores, seen_of(45, 45, 80), SECOND));
	assert_false(shares(&cores, seen_of(20, 90, 89), 2 * SECOND));
}

/* What others do needs its place, and we ours. */
static void test_others_are_left_alone(void **state)
{
	struct bulla_cores cores = {0}, four = {0};
	struct bulla_cores_seen seen = {.count = 4, .busy = {100, 10, 100, 60}, .ours = 50};

	(void)state;
	assert_false(shares(&cores, seen_of(75, 75, 20), SECOND));
	assert_false(shares(&cores, seen_of(100, 100, 30), SECOND));
	assert_true(shares(&four, seen, SECOND));
	assert_int_equal(four.core, 1);
	seen.busy[1] = 100; /* somebody came there */
	assert_false(shares(&four, seen, 2 * SECOND));
}

static void test_a_wrong_choice_pauses_longer_each_time(void **state)
{
	struct bulla_cores cores = {0};
	int64_t now = SECOND, pause = SECOND;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		assert_true(shares(&cores, seen_of(0, 0, 0), now));
		now += SECOND;
		assert_false(shares(&cores, seen_of(0, 100, 100), now));
		assert_false(shares(&cores, seen_of(0, 0, 0), now + pause - 1));
		now += pause;
		pause = pause < 64 * SECOND ? 2 * pause : pause;
	}
	assert_true(shares(&cores, seen_of(0, 0, 0), now));
	now += 10 * SECOND; /* it was right for a while: the next pause is short again */
	assert_false(shares(&cores, seen_of(0, 100, 100), now));
	assert_true(shares(&cores, seen_of(0, 0, 0), now + SECOND));
}

static int cores_of(pid_t pid)
{
	cpu_set_t set;

	return sched_getaffinity(pid, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : -1;
}

static void test_processes_are_moved_and_let_go(void **state)
{
	struct bulla_cores cores;
	pid_t pids[3] = {0};
	int all = cores_of(0);

	(void)state;
	if (all < 2)
		skip();
	pids[1] = fork();
	if (pids[1] == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	bulla_cores_init(&cores, 0);
	assert_int_equal(cores.count, all < BULLA_CORES_MAX ? all : BULLA_CORES_MAX);
	bulla_cores_look(&cores, pids, 3, cores.next_us - 1); /* not yet */
	assert_int_equal(cores_of(pids[1]), all);
	cores.shared = true; /* a busy machine may end that with any look */
	cores.core = 1;
	bulla_cores_look(&cores, pids, 3, cores.next_us);
	assert_int_equal(cores_of(pids[1]), cores.shared ? 1 : all);
	cores.shared = true;
	cores.all[1] -= 1000000; /* as if it had never been idle */
	cores.busy[1] -= 1000000;
	bulla_cores_look(&cores, pids, 3, cores.next_us);
	assert_false(cores.shared);
	assert_int_equal(cores_of(pids[1]), all);
	kill(pids[1], SIGKILL);
	assert_int_equal(waitpid(pids[1], NULL, 0), pids[1]);
	cores.shared = true;
	bulla_cores_look(&cores, pids, 3, cores.next_us); /* it is gone: nothing happens */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_little_work_shares_a_core),
		cmocka_unit_test(test_much_work_does_not),
		cmocka_unit_test(test_others_are_left_alone),
		cmocka_unit_test(test_a_wrong_choice_pauses_longer_each_time),
		cmocka_unit_test(test_processes_are_moved_and_let_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
