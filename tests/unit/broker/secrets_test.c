#include "real.h"
#include "receipt/run_secret.h"

/* Run secrets at rest: in a cell before their day key goes, overwritten when their run ends, and a process that is killed at
 * any write leaves neither a run without its secret nor a secret without its run. */

/* --- a clock that is set, a disk that is killed --- */

#define OVER (2 * BULLA_DAY_MS + 60000) /* a day key of today has ended by then */

static int64_t set_ms;

static int64_t wall(void *ctx)
{
	(void)ctx;
	return set_ms;
}

static int64_t mono(void *ctx)
{
	(void)ctx;
	return bulla_mono_us(bulla_sys_clock());
}

static const struct bulla_clock set_clock = {.wall_ms = wall, .mono_us = mono};

static _Atomic long writes_left; /* < 0: never killed */
static _Atomic bool killed;
static bulla_rc (*real_pwrite)(void *ctx, int file, uint64_t offset, bulla_bytes bytes, bool durable);

static bulla_rc killed_pwrite(void *ctx, int file, uint64_t offset, bulla_bytes bytes, bool durable)
{
	killed = killed || writes_left == 0;
	if (killed)
		return BULLA_E_IO; /* and every one after it */
	writes_left -= writes_left > 0 ? 1 : 0;
	return real_pwrite(ctx, file, offset, bytes, durable);
}

static void use_set_clock_and_disk(void)
{
	broker->clock = &set_clock;
	real_pwrite = broker->folder.table.pwrite;
	broker->folder.table.pwrite = killed_pwrite;
	broker->journal_folder.table.pwrite = killed_pwrite;
}

static size_t cells_of_runs(void)
{
	uint8_t cell[BULLA_CELL_BYTES];
	size_t got = sizeof(cell), count = 0;
	int file = -1;

	assert_ok(broker->folder.table.open(&broker->folder, "secrets", false, &file));
	for (uint64_t at = 0; got == sizeof(cell); at += sizeof(cell)) {
		assert_ok(broker->folder.table.pread(&broker->folder, file, at, cell, sizeof(cell), &got));
		count += got == sizeof(cell) && cell[4] == BULLA_CELL_RUN ? 1 : 0;
	}
	broker->folder.table.close(&broker->folder, file);
	return count;
}

/* Does the broker give this run's secret? */
static bulla_rc get_secret(uint8_t number)
{
	BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE;
	bulla_run_id run = run_of(number);

	BULLA_TRY(bulla_run_secrets_get(broker->run_secrets, &run, &secret));
	assert_bytes(bulla_secret_view(secret), bulla_secret_view(run_secret));
	return BULLA_OK;
}

static void begin(void)
{
	bulla_bytes epoch;
	bool is_new = false;
	uint64_t lsn;

	use_set_clock_and_disk();
	if (bulla_epochs_current(&broker->epochs) != NULL)
		return;
	assert_ok(bulla_epochs_put(&broker->epochs, make_put(&(struct spec){1, owner, owner, NULL, false}), &is_new));
	epoch = bulla_buf_view(&bulla_epochs_current(&broker->epochs)->put);
	assert_ok(bulla_ledger_append(broker->ledger, BULLA_LEDGER_EPOCH, epoch, &lsn));
	assert_ok(sync_all());
}

static void test_erased_when_it_ends(void **state)
{
	(void)state;
	set_ms = begun_ms;
	writes_left = -1;
	begin();
	assert_ok(bulla_broker_minute(broker));
	assert_ok(begin_run(1));
	assert_ok(begin_run(2));
	assert_ok(sync_all());
	assert_int_equal(cells_of_runs(), 0); /* the start record has it, and its day key lives */
	set_ms += OVER;
	assert_ok(bulla_broker_minute(broker));
	assert_int_equal(cells_of_runs(), 2);
	set_ms += OVER;
	assert_ok(bulla_broker_minute(broker)); /* the next day key ends: nothing is written twice */
	assert_int_equal(cells_of_runs(), 2);
	reopen_broker();
	begin();
	assert_ok(get_secret(1));
	assert_ok(order_run(1, BULLA_ORDER_CANCEL));
	assert_rc(BULLA_E_RUN_CLOSED, get_secret(1)); /* memory at once */
	assert_int_equal(cells_of_runs(), 2);         /* the disk when the end is durable */
	assert_ok(sync_all());
	assert_int_equal(cells_of_runs(), 1);
	assert_ok(order_run(2, BULLA_ORDER_ERASE));
	assert_ok(sync_all());
	assert_int_equal(cells_of_runs(), 0);
	reopen_broker();
	begin();
	assert_rc(BULLA_E_NOT_FOUND, get_secret(1));
	assert_rc(BULLA_E_NOT_FOUND, get_secret(2));
}

/* A season of runs, two of them at once. */
static void test_cells_come_back(void **state)
{
	(void)state;
	broker->runs_max = 2;
	for (uint8_t i = 0; i < 20; i++) {
		begun_ms = set_ms += OVER;
		assert_ok(bulla_broker_minute(broker));
		assert_ok(begin_run((uint8_t)(10 + 2 * i)));
		assert_ok(begin_run((uint8_t)(11 + 2 * i)));
		assert_rc(BULLA_E_BUSY, begin_run(9)); /* refused, not begun and never ended */
		set_ms += OVER;
		assert_ok(bulla_broker_minute(broker));
		assert_int_equal(cells_of_runs(), 2);
		assert_ok(order_run((uint8_t)(10 + 2 * i), BULLA_ORDER_CANCEL));
		assert_ok(order_run((uint8_t)(11 + 2 * i), BULLA_ORDER_CANCEL));
		assert_ok(sync_all());
		assert_int_equal(cells_of_runs(), 0);
	}
	broker->runs_max = BULLA_CELLS_RUNS;
}

/* One run begins, outlives its day key, ends; killed at this write. false: it never came to that write. */
static bool killed_at(long write)
{
	bulla_rc rc = BULLA_OK;
	bulla_run_id run;
	bool died;

	begun_ms = set_ms += OVER;
	assert_ok(bulla_broker_minute(broker));
	run = run_of(1);
	writes_left = write;
	rc = begin_run(1);
	rc = rc == BULLA_OK ? sync_all() : rc;
	set_ms += OVER;
	rc = rc == BULLA_OK ? bulla_broker_minute(broker) : rc;
	rc = rc == BULLA_OK ? order_run(1, BULLA_ORDER_CANCEL) : rc;
	rc = rc == BULLA_OK ? sync_all() : rc;
	assert_true(rc == BULLA_OK || killed); /* the journal confirms its last batch when nobody waits: that may be what died */
	died = killed;
	killed = false;
	writes_left = -1;
	reopen_broker();
	if (bulla_ledger_run_is_open(broker->ledger, &run))
		assert_ok(get_secret(1));
	else
		assert_int_equal(cells_of_runs(), 0);
	begin();
	if (bulla_ledger_run_is_open(broker->ledger, &run)) /* it ends in the second life */
		assert_ok(order_run(1, BULLA_ORDER_CANCEL));
	assert_ok(sync_all());
	assert_int_equal(cells_of_runs(), 0);
	return died;
}

static void test_killed_at_every_write(void **state)
{
	long write = 0;

	(void)state;
	while (killed_at(write))
		write++;
	assert_in_range(write, 4, 1000); /* start, cell, day key's erasure, new day key, end, cell's erasure */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_erased_when_it_ends),
		cmocka_unit_test(test_cells_come_back),
		cmocka_unit_test(test_killed_at_every_write),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
