#include "test.h"

#include "base/limits.h"
#include "io/sys.h"
#include "journal/thread.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct fixture {
	char path[64];
	struct bulla_sys_disk disk;
	struct bulla_journal *journal;
	struct bulla_journal_end end;
	uint64_t seen;
};

static bulla_rc see(void *arg, const struct bulla_journal_record *record, struct bulla_journal_place at)
{
	struct fixture *fixture = arg;

	(void)at;
	assert_int_equal(record->lsn, ++fixture->seen);
	assert_int_equal(record->seq, record->lsn);
	return BULLA_OK;
}

/* A disk whose durable writes take long, or fail: slow ones are the thread's. */
static unsigned slow_us;
static bool broken;
static bulla_rc (*real_pwrite)(void *ctx, int file, uint64_t offset, bulla_bytes bytes, bool durable);

static bulla_rc slow_pwrite(void *ctx, int file, uint64_t offset, bulla_bytes bytes, bool durable)
{
	if (durable && slow_us > 0)
		usleep(slow_us);
	return broken ? BULLA_E_IO : real_pwrite(ctx, file, offset, bytes, durable);
}

static void start(struct fixture *fixture)
{
	struct bulla_journal_recovery recovery = {.disk = &fixture->disk.table, .each = see, .arg = fixture};
	struct bulla_journal_options options = {
		.disk = &fixture->disk.table, .clock = bulla_sys_clock(), .segment_bytes = 256 * 1024};

	fixture->seen = 0;
	assert_ok(bulla_journal_recover(&recovery, &fixture->end));
	options.end = fixture->end;
	options.end.store.b[0] = 1;
	assert_ok(bulla_journal_open(&options, &fixture->journal));
}

static void open_fixture(struct fixture *fixture)
{
	snprintf(fixture->path, sizeof(fixture->path), "%s", "journal_test.XXXXXX");
	assert_non_null(mkdtemp(fixture->path));
	assert_ok(bulla_sys_disk_open(&fixture->disk, fixture->path, false));
	real_pwrite = fixture->disk.table.pwrite;
	fixture->disk.table.pwrite = slow_pwrite;
	start(fixture);
}

static void close_fixture(struct fixture *fixture)
{
	char command[128];

	bulla_journal_close(fixture->journal);
	bulla_sys_disk_close(&fixture->disk);
	snprintf(command, sizeof(command), "rm -r %s", fixture->path);
	assert_int_equal(system(command), 0);
}

static void submit(struct fixture *fixture, uint32_t count, bool urgent)
{
	uint64_t lsn = bulla_journal_lsn(fixture->journal), first = 0;
	BULLA_AUTO_BUF buf;

	bulla_buf_init(&buf, 100000);
	for (uint32_t i = 0; i < count; i++) {
		struct bulla_journal_record record = {.type = 1, .seq = (uint32_t)lsn + i, .body = BULLA_BYTES_ARRAY(fixture->path)};

		assert_ok(bulla_journal_record_put(&record, &buf));
	}
	assert_ok(bulla_journal_submit(fixture->journal, bulla_buf_view(&buf), count, urgent, &first));
	assert_int_equal(first, lsn);
}

/* A turn of the owner's loop: sleeps until something is due or the thread is done. */
static void loop_turn(struct fixture *fixture)
{
	struct pollfd wake = {.fd = bulla_journal_fd(fixture->journal), .events = POLLIN};
	int64_t due = bulla_journal_due(fixture->journal), now = bulla_mono_us(bulla_sys_clock());
	int64_t wait = due == INT64_MAX ? 5000 : due > now ? (due - now) / 1000 + 1 : 0;

	assert_true(wait <= 5000);
	if (poll(&wake, 1, (int)wait) > 0)
		bulla_journal_woken(fixture->journal);
	else
		assert_int_not_equal(due, INT64_MAX); /* the thread has not answered */
	bulla_journal_turn(fixture->journal);
}

/* Waits for the next durable submission. */
static void next(struct fixture *fixture, struct bulla_journal_done *ret)
{
	bulla_rc rc;

	while ((rc = bulla_journal_next(fixture->journal, ret)) == BULLA_E_AGAIN)
		loop_turn(fixture);
	assert_ok(rc);
}

static void come_back_in_order(int rounds)
{
	struct fixture fixture;
	struct bulla_journal_done done;
	uint64_t lsn = 1;

	open_fixture(&fixture);
	for (int round = 0; round < rounds; round++) {
		for (uint32_t i = 1; i < 40; i++)
			submit(&fixture, i, i % 3 != 0);
		bulla_journal_turn(fixture.journal);
		submit(&fixture, 1, true);
		for (uint32_t i = 1; i < 41; i++) {
			struct bulla_journal_record record;
			BULLA_AUTO_BUF buf;

			next(&fixture, &done);
			assert_int_equal(done.lsn, lsn);
			assert_int_equal(done.count, i < 40 ? i : 1);
			bulla_buf_init(&buf, 1000);
			assert_ok(bulla_journal_read_back(&fixture.disk.table, done.at, &buf, &record));
			assert_int_equal(record.seq, lsn);
			lsn += done.count;
		}
	}
	assert_int_equal(bulla_journal_backlog(fixture.journal), 0);
	bulla_journal_close(fixture.journal);
	start(&fixture);
	assert_int_equal(fixture.end.lsn, lsn);
	assert_int_equal(fixture.seen, lsn - 1);
	assert_true(fixture.end.at.segment > (uint64_t)rounds / 10);
	close_fixture(&fixture);
}

static void submissions_come_back_in_order(void **state)
{
	(void)state;
	come_back_in_order(30);
}

/* What nobody waited for is written with the next turn when somebody does. */
static void what_waits_can_be_hurried(void **state)
{
	struct fixture fixture;
	struct bulla_journal_done done;
	uint64_t lsn = 99;

	(void)state;
	open_fixture(&fixture);
	assert_ok(bulla_journal_submit(fixture.journal, (bulla_bytes){NULL, 0}, 0, true, &lsn)); /* nothing is there */
	submit(&fixture, 2, false);
	assert_true(bulla_journal_due(fixture.journal) > 0);
	assert_ok(bulla_journal_submit(fixture.journal, (bulla_bytes){NULL, 0}, 0, false, &lsn));
	assert_true(bulla_journal_due(fixture.journal) > 0);
	assert_ok(bulla_journal_submit(fixture.journal, (bulla_bytes){NULL, 0}, 0, true, &lsn));
	assert_int_equal(bulla_journal_due(fixture.journal), 0);
	assert_int_equal(lsn, 99);
	next(&fixture, &done);
	assert_int_equal(done.count, 2);
	assert_rc(BULLA_E_AGAIN, bulla_journal_next(fixture.journal, &done)); /* that was no submission */
	submit(&fixture, 1, false);
	assert_true(bulla_journal_due(fixture.journal) > 0); /* hurry does not last */
	close_fixture(&fixture);
}

static void a_slow_disk_is_left_to_the_thread(void **state)
{
	struct fixture fixture;
	struct bulla_journal_done done;
	int64_t began;

	(void)state;
	slow_us = 20000;
	open_fixture(&fixture);
	submit(&fixture, 1, true);
	next(&fixture, &done); /* the owner learns how slow it is */
	submit(&fixture, 2, true);
	began = bulla_mono_us(bulla_sys_clock());
	bulla_journal_turn(fixture.journal);
	assert_true(bulla_mono_us(bulla_sys_clock()) - began < 15000);
	assert_rc(BULLA_E_AGAIN, bulla_journal_next(fixture.journal, &done));
	submit(&fixture, 3, true); /* while it writes */
	submit(&fixture, 4, false);
	for (uint32_t i = 2; i < 5; i++) {
		next(&fixture, &done);
		assert_int_equal(done.count, i);
	}
	close_fixture(&fixture);
	come_back_in_order(3);
	slow_us = 0;
}

/* What was durable before is still given out; then the owner is told, once and for good. */
static void a_failed_write_is_final(void **state)
{
	struct fixture fixture;
	struct bulla_journal_done done;
	uint64_t lsn;

	(void)state;
	for (slow_us = 0; slow_us <= 2000; slow_us += 2000) {
		open_fixture(&fixture);
		submit(&fixture, 1, true);
		bulla_journal_turn(fixture.journal);
		broken = true;
		submit(&fixture, 2, true);
		next(&fixture, &done);
		assert_int_equal(done.count, 1);
		while (bulla_journal_next(fixture.journal, &done) == BULLA_E_AGAIN)
			loop_turn(&fixture);
		assert_rc(BULLA_E_IO, bulla_journal_next(fixture.journal, &done));
		assert_rc(BULLA_E_IO, bulla_journal_submit(fixture.journal, BULLA_BYTES_ARRAY(fixture.path), 1, true, &lsn));
		close_fixture(&fixture);
		broken = false;
	}
	slow_us = 0;
}

/* Nobody waits: it becomes durable all the same, soon. */
static void lazy(void **state)
{
	struct fixture fixture;
	struct bulla_journal_done done;

	(void)state;
	open_fixture(&fixture);
	submit(&fixture, 1, false);
	next(&fixture, &done);
	assert_int_equal(done.lsn, 1);
	close_fixture(&fixture);
}

static void backlog_is_bounded(void **state)
{
	struct fixture fixture;
	struct bulla_journal_done done;
	uint64_t lsn;
	uint8_t bytes[BULLA_JOURNAL_RECORD_HEADER] = {0};

	(void)state;
	open_fixture(&fixture);
	for (int i = 0; i < BULLA_MAX_JOURNAL_SUBMISSIONS; i++)
		submit(&fixture, 1, false);
	bytes[4] = 1;
	assert_rc(BULLA_E_BUSY, bulla_journal_submit(fixture.journal, BULLA_BYTES_ARRAY(bytes), 1, true, &lsn));
	for (int i = 0; i < BULLA_MAX_JOURNAL_SUBMISSIONS; i++)
		next(&fixture, &done);
	submit(&fixture, 1, false);
	close_fixture(&fixture);
}

/* Whatever was submitted is durable after close; after the idle time, a batch confirms the last one. */
static void close_writes(void **state)
{
	struct fixture fixture;

	(void)state;
	open_fixture(&fixture);
	submit(&fixture, 7, false);
	bulla_journal_close(fixture.journal);
	start(&fixture);
	assert_int_equal(fixture.seen, 7);
	assert_int_equal(fixture.end.at.offset, 3 * BULLA_JOURNAL_PAGE);
	close_fixture(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(submissions_come_back_in_order),
		cmocka_unit_test(what_waits_can_be_hurried),
		cmocka_unit_test(a_slow_disk_is_left_to_the_thread),
		cmocka_unit_test(a_failed_write_is_final),
		cmocka_unit_test(lazy),
		cmocka_unit_test(backlog_is_bounded),
		cmocka_unit_test(close_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
