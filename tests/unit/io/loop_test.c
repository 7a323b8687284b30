#include "io/loop.h"
#include "io/sys.h"
#include "test.h"

#include <signal.h>
#include <unistd.h>

struct seen {
	struct bulla_loop loop;
	struct bulla_watch a, b;
	struct bulla_flush flush;
	int pipes[2][2];
	unsigned ready, drained, flushed;
	int64_t deadline;
};

static void on_a(void *ctx, uint32_t events)
{
	struct seen *seen = (struct seen *)ctx;
	char byte;

	assert_true(events & EPOLLIN);
	assert_int_equal(read(seen->pipes[0][0], &byte, 1), 1);
	seen->ready++;
	bulla_loop_remove(&seen->loop, &seen->b); /* whose event is in the same batch */
	bulla_loop_dirty(&seen->loop, &seen->flush);
	bulla_loop_dirty(&seen->loop, &seen->flush);
}

static void on_b(void *ctx, uint32_t events)
{
	(void)events;
	((struct seen *)ctx)->ready += 100;
}

static void on_flush(void *ctx)
{
	struct seen *seen = (struct seen *)ctx;

	assert_int_equal(seen->drained, 1); /* drained first, then flushed, once */
	seen->flushed++;
}

static void drain(void *ctx, int64_t now_us)
{
	struct seen *seen = (struct seen *)ctx;

	(void)now_us;
	assert_int_equal(seen->flushed, 0);
	seen->drained++;
}

static int64_t deadline(void *ctx)
{
	return ((struct seen *)ctx)->deadline;
}

static void open_loop(struct seen *seen)
{
	struct bulla_loop_hooks hooks = {.ctx = seen, .drain = drain, .next_deadline = deadline};

	*seen = (struct seen){.deadline = INT64_MAX};
	assert_ok(bulla_loop_init(&seen->loop, bulla_sys_clock(), &hooks));
	for (int i = 0; i < 2; i++)
		assert_int_equal(pipe(seen->pipes[i]), 0);
	seen->a = (struct bulla_watch){.ctx = seen, .on_ready = on_a, .fd = seen->pipes[0][0]};
	seen->b = (struct bulla_watch){.ctx = seen, .on_ready = on_b, .fd = seen->pipes[1][0]};
	seen->flush = (struct bulla_flush){.ctx = seen, .flush = on_flush};
}

static void close_loop(struct seen *seen)
{
	for (int i = 0; i < 4; i++)
		close(seen->pipes[i / 2][i % 2]);
	bulla_loop_done(&seen->loop);
}

static void test_turn(void **state)
{
	struct seen seen;

	(void)state;
	open_loop(&seen);
	assert_ok(bulla_loop_add(&seen.loop, &seen.a, EPOLLIN));
	assert_ok(bulla_loop_add(&seen.loop, &seen.b, EPOLLIN));
	assert_int_equal(write(seen.pipes[0][1], "x", 1) + write(seen.pipes[1][1], "x", 1), 2);
	assert_ok(bulla_loop_turn(&seen.loop, -1));
	assert_int_equal(seen.ready % 100, 1); /* b was before a in the batch, or never came */
	assert_int_equal(seen.flushed, 1);
	close_loop(&seen);
}

static void test_deadline(void **state)
{
	struct seen seen;
	int64_t before = bulla_mono_us(bulla_sys_clock());

	(void)state;
	open_loop(&seen);
	seen.deadline = before + 20000;
	assert_ok(bulla_loop_turn(&seen.loop, -1));
	assert_in_range(bulla_mono_us(bulla_sys_clock()) - before, 20000, 5000000);
	seen.deadline = 0; /* past: at once */
	assert_ok(bulla_loop_turn(&seen.loop, -1));
	close_loop(&seen);
}

static void test_clean(void **state)
{
	struct seen seen;

	(void)state;
	open_loop(&seen);
	bulla_loop_dirty(&seen.loop, &seen.flush);
	bulla_loop_clean(&seen.loop, &seen.flush);
	assert_ok(bulla_loop_turn(&seen.loop, 0));
	assert_int_equal(seen.flushed, 0);
	close_loop(&seen);
}

struct noted {
	struct bulla_flush flush;
	char name, *order;
	size_t *count;
};

static void note(void *ctx)
{
	struct noted *noted = (struct noted *)ctx;

	noted->order[(*noted->count)++] = noted->name;
}

/* What is late goes after all others, whenever it was marked; it can be taken off, too. */
static void test_late(void **state)
{
	struct seen seen;
	char order[8] = {0};
	size_t count = 0;
	struct noted noted[4];

	(void)state;
	open_loop(&seen);
	for (size_t i = 0; i < 4; i++) {
		noted[i] = (struct noted){.name = "aBcD"[i], .order = order, .count = &count};
		noted[i].flush = (struct bulla_flush){.ctx = &noted[i], .flush = note, .late = i % 2 == 1};
		bulla_loop_dirty(&seen.loop, &noted[i].flush);
	}
	bulla_loop_clean(&seen.loop, &noted[1].flush);
	assert_ok(bulla_loop_turn(&seen.loop, 0));
	assert_int_equal(count, 3);
	assert_int_equal(order[2], 'D');
	bulla_loop_dirty(&seen.loop, &noted[1].flush);
	assert_ok(bulla_loop_turn(&seen.loop, -1)); /* it does not sleep over it */
	assert_int_equal(order[3], 'B');
	close_loop(&seen);
}

static void test_signals(void **state)
{
	static const int signals[] = {SIGUSR1, 0};
	int fd = -1;

	(void)state;
	assert_ok(bulla_loop_signals(signals, &fd));
	assert_int_equal(bulla_loop_signal_take(fd), 0);
	raise(SIGUSR1);
	assert_int_equal(bulla_loop_signal_take(fd), SIGUSR1);
	assert_int_equal(bulla_loop_signal_take(fd), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_turn), cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_clean), cmocka_unit_test(test_late),
		cmocka_unit_test(test_signals)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
