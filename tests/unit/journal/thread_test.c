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

/* Waits for the next durable submission. */
static void next(struct fixture *fixture, struct bulla_journal_done *ret)
{
	struct pollfd wake = {.fd = bulla_journal_fd(fixture->journal), .events = POLLIN};
	bulla_rc rc;

	while ((rc = bulla_journal_next(fixture->journal, ret)) == BULLA_E_AGAIN)
		assert_true(poll(&wake, 1, 5000) > 0);
	assert_ok(rc);
}

static void submissions_come_back_in_order(void **state)
{
	struct fixture fixture;
	struct bulla_journal_done done;
	uint64_t lsn = 1;

	(void)state;
	open_fixture(&fixture);
	for (int round = 0; round < 30; round++) {
		for (uint32_t i = 1; i < 40; i++)
			submit(&fixture, i, i % 3 != 0);
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
	assert_true(fixture.end.at.segment > 3);
	close_fixture(&fixture);
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
		cmocka_unit_test(lazy),
		cmocka_unit_test(backlog_is_bounded),
		cmocka_unit_test(close_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
