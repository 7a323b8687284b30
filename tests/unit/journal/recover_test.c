#include "test.h"

#include "base/limits.h"
#include "disk.h"
#include "journal/writer.h"

/* A store of small segments on a virtual disk, and what was acknowledged in it. Record n has lsn n, seq n, and a body of
 * n % 300 + 1 bytes of value n. */
#define SEGMENT (16 * 1024)

struct store {
	struct sim_disk disk;
	struct sim_rng rng;
	struct bulla_journal_writer writer;
	struct bulla_journal_fill fill;
	uint64_t acknowledged; /* records */
	uint64_t seen;         /* by recovery */
	struct bulla_journal_end end;
	struct bulla_journal_place damaged;
};

static bulla_rc see(void *arg, const struct bulla_journal_record *record, struct bulla_journal_place at)
{
	struct store *store = arg;
	struct bulla_journal_record again;
	BULLA_AUTO_BUF buf;

	assert_int_equal(record->lsn, store->seen + 1);
	assert_int_equal(record->seq, record->lsn);
	assert_int_equal(record->body.n, record->lsn % 300 + 1);
	assert_int_equal(record->body.p[0], (uint8_t)record->lsn);
	store->seen = record->lsn;
	bulla_buf_init(&buf, BULLA_MAX_JOURNAL_BATCH);
	assert_ok(bulla_journal_read_back(&store->disk.table, at, &buf, &again));
	assert_bytes(record->body, again.body);
	return BULLA_OK;
}

static bulla_rc start(struct store *store)
{
	struct bulla_journal_recovery recovery = {.disk = &store->disk.table, .each = see, .arg = store};
	bulla_rc rc;

	store->seen = 0;
	rc = bulla_journal_recover(&recovery, &store->end);
	store->damaged = recovery.damaged;
	if (rc != BULLA_OK)
		return rc;
	assert_int_equal(store->end.lsn, store->seen + 1);
	if (store->end.at.segment == 0)
		store->end.store.b[0] = 0x5a;
	assert_int_equal(store->end.store.b[0], 0x5a);
	assert_ok(bulla_journal_writer_init(&store->writer, &store->disk.table, &store->end));
	return bulla_journal_fill_init(&store->fill, &store->disk.table, SEGMENT, &store->end);
}

static void stop(struct store *store)
{
	bulla_journal_writer_done(&store->writer);
	bulla_journal_fill_done(&store->fill);
}

static void open_store(struct store *store, uint64_t seed)
{
	store->rng.state = seed;
	sim_disk_init(&store->disk, &store->rng);
	store->acknowledged = 0;
	assert_ok(start(store));
}

/* Writes a batch of count records; spares are made as needed. */
static bulla_rc put(struct store *store, uint32_t count)
{
	struct bulla_journal_done done;
	uint8_t body[300];
	BULLA_AUTO_BUF buf;
	bulla_rc rc;

	bulla_buf_init(&buf, BULLA_MAX_JOURNAL_BATCH);
	for (uint64_t lsn = store->writer.end.lsn; lsn < store->writer.end.lsn + count; lsn++) {
		struct bulla_journal_record record = {.type = 1, .seq = (uint32_t)lsn, .body = {body, lsn % 300 + 1}};

		for (size_t i = 0; i < sizeof(body); i++)
			body[i] = (uint8_t)lsn;
		assert_ok(bulla_journal_record_put(&record, &buf));
	}
	BULLA_TRY(bulla_journal_writer_add(&store->writer, bulla_buf_view(&buf), count));
	while ((rc = bulla_journal_writer_flush(&store->writer, 1000, &done)) == BULLA_E_FULL) {
		BULLA_TRY(bulla_journal_fill_step(&store->fill, store->writer.made + 1));
		bulla_journal_writer_made(&store->writer, store->fill.made);
	}
	if (rc == BULLA_OK)
		store->acknowledged += count;
	return rc;
}

static void close_store(struct store *store)
{
	stop(store);
	sim_disk_done(&store->disk);
}

static void empty_store(void **state)
{
	struct store store;

	(void)state;
	open_store(&store, 1);
	assert_int_equal(store.end.lsn, 1);
	assert_int_equal(store.end.at.segment, 0);
	stop(&store);
	assert_ok(start(&store));
	close_store(&store);
}

static void many_segments(void **state)
{
	struct store store;
	struct bulla_journal_recovery late = {.disk = &store.disk.table, .each = see, .arg = &store, .from_lsn = 150};

	(void)state;
	open_store(&store, 2);
	for (uint32_t i = 0; i < 60; i++)
		assert_ok(put(&store, i % 7)); /* 0: a confirming batch */
	assert_true(store.writer.end.at.segment > 5);
	stop(&store);
	assert_ok(start(&store));
	assert_int_equal(store.seen, store.acknowledged);
	assert_false(store.end.cut);
	assert_ok(put(&store, 3));
	/* only from a place on */
	store.seen = 149;
	assert_ok(bulla_journal_recover(&late, &store.end));
	assert_int_equal(store.seen, store.acknowledged);
	close_store(&store);
}

/* The process is killed at each operation in turn, with power failing half of the time: what was acknowledged is there,
 * in order, and the store goes on. */
static void kill_at_each_operation(void **state)
{
	bool killed = true;

	(void)state;
	for (uint64_t k = 1; killed; k++) {
		for (uint64_t seed = 0; seed < 4; seed++) {
			struct store store;

			open_store(&store, seed);
			store.disk.kill_at = k;
			for (uint32_t i = 0; i < 24 && !store.disk.dead; i++)
				if (put(&store, i % 5) != BULLA_OK)
					assert_true(store.disk.dead);
			killed = store.disk.dead;
			stop(&store);
			if (seed % 2 == 0)
				sim_disk_crash(&store.disk);
			else
				sim_disk_restart(&store.disk);
			assert_ok(start(&store));
			assert_in_range(store.seen, store.acknowledged, store.acknowledged + 4);
			store.acknowledged = store.seen;
			assert_ok(put(&store, 2));
			stop(&store);
			sim_disk_crash(&store.disk);
			assert_ok(start(&store));
			assert_int_equal(store.seen, store.acknowledged);
			close_store(&store);
		}
	}
}

/* Killed at each operation of recovery itself, after a torn write. */
static void kill_in_recovery(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 300; seed++) {
		struct store store;

		open_store(&store, seed);
		for (uint32_t i = 0; i < 6; i++)
			assert_ok(put(&store, 30));
		store.disk.kill_at = store.disk.ops + 1;
		assert_rc(BULLA_E_IO, put(&store, 30));
		stop(&store);
		sim_disk_crash(&store.disk);
		store.disk.kill_at = store.disk.ops + 1;
		if (start(&store) == BULLA_OK)
			stop(&store);
		sim_disk_crash(&store.disk);
		assert_ok(start(&store));
		assert_in_range(store.seen, store.acknowledged, store.acknowledged + 30);
		close_store(&store);
	}
}

/* A flipped bit anywhere before the last batch is refused with its place, and nothing is changed; in the last batch it is
 * taken for a torn tail, but not once an empty batch confirmed it. */
static void rot(void **state)
{
	(void)state;
	for (uint64_t batch = 0; batch < 9; batch++) {
		for (int confirmed = 0; confirmed < 2; confirmed++) {
			struct store store;
			uint64_t offsets[9], segments[9];

			open_store(&store, batch);
			for (uint32_t i = 0; i < 9; i++) {
				assert_ok(put(&store, 5));
				segments[i] = store.writer.end.at.segment;
				offsets[i] = store.writer.end.at.offset - BULLA_JOURNAL_PAGE;
			}
			if (confirmed)
				assert_ok(put(&store, 0));
			stop(&store);
			char name[BULLA_JOURNAL_NAME];
			bulla_journal_name(segments[batch], name);
			assert_true(sim_disk_rot(&store.disk, name, offsets[batch] + 90, (unsigned)batch));
			uint64_t ops = store.disk.ops;
			if (batch < 8 || confirmed) {
				assert_rc(BULLA_E_CORRUPT, start(&store));
				assert_int_equal(store.damaged.segment, segments[batch]);
				assert_int_equal(store.damaged.offset, offsets[batch]);
				assert_int_equal(store.disk.ops, ops);
			} else {
				assert_ok(start(&store));
				assert_true(store.end.cut);
				assert_int_equal(store.seen, 40);
				stop(&store);
			}
			sim_disk_done(&store.disk);
		}
	}
}

/* Headers of segments: damaged, missing in the middle, of another store. */
static void segment_damage(void **state)
{
	for (int what = 0; what < 4; what++) {
		struct store store;
		uint64_t ops;

		(void)state;
		open_store(&store, 7);
		for (uint32_t i = 0; i < 12; i++)
			assert_ok(put(&store, 5));
		assert_true(store.writer.end.at.segment >= 4);
		stop(&store);
		if (what == 0)
			assert_true(sim_disk_rot(&store.disk, "0000000000000002.seg", 30, 1));
		if (what == 1)
			assert_ok(store.disk.table.unlink(store.disk.table.ctx, "0000000000000002.seg"));
		if (what == 2)
			assert_true(sim_disk_rot(&store.disk, "0000000000000001.seg", 50, 1));
		if (what == 3)
			assert_ok(store.disk.table.rename(store.disk.table.ctx, "0000000000000003.seg", "0000000000000002.seg"));
		ops = store.disk.ops;
		assert_rc(BULLA_E_CORRUPT, start(&store));
		assert_int_equal(store.damaged.segment, 1);
		assert_int_equal(store.disk.ops, ops);
		sim_disk_done(&store.disk);
	}
}

/* The first segments are gone: what is left is not a journal that begins there, nor one that was never written to. */
static void lost_beginning(void **state)
{
	for (int what = 0; what < 2; what++) {
		struct bulla_journal_recovery late;
		struct store store;
		uint64_t ops, last;
		char name[BULLA_JOURNAL_NAME];

		(void)state;
		open_store(&store, 8);
		for (uint32_t i = 0; i < 12; i++)
			assert_ok(put(&store, 5));
		last = store.writer.end.at.segment;
		assert_true(last >= 4);
		stop(&store);
		for (uint64_t i = 1; i <= (what == 0 ? 1 : last); i++) {
			bulla_journal_name(i, name);
			assert_ok(store.disk.table.unlink(store.disk.table.ctx, name));
		}
		if (what == 1) { /* only one that was made ahead */
			int file = -1;

			bulla_journal_name(last + 1, name);
			assert_ok(store.disk.table.open(store.disk.table.ctx, name, true, &file));
			assert_ok(store.disk.table.truncate(store.disk.table.ctx, file, SEGMENT));
			store.disk.table.close(store.disk.table.ctx, file);
		}
		ops = store.disk.ops;
		assert_rc(BULLA_E_CORRUPT, start(&store));
		assert_int_equal(store.disk.ops, ops);
		late = (struct bulla_journal_recovery){.disk = &store.disk.table, .each = see, .arg = &store, .from_lsn = 50};
		store.seen = 49;
		assert_rc(what == 0 ? BULLA_OK : BULLA_E_CORRUPT, bulla_journal_recover(&late, &store.end));
		sim_disk_done(&store.disk);
	}
}

/* A batch of an older segment lies behind the end (its blocks were used again): it is no part of the journal. */
static void stale_batch(void **state)
{
	struct store store;
	uint8_t *from, *to;

	(void)state;
	open_store(&store, 8);
	for (uint32_t i = 0; i < 7; i++)
		assert_ok(put(&store, 5));
	assert_int_equal(store.writer.end.at.segment, 3);
	from = sim_disk_file(&store.disk, "0000000000000001.seg")->stable;
	to = sim_disk_file(&store.disk, "0000000000000003.seg")->stable;
	bulla_copy(to + 2 * BULLA_JOURNAL_PAGE, from + 2 * BULLA_JOURNAL_PAGE, BULLA_JOURNAL_PAGE);
	stop(&store);
	sim_disk_crash(&store.disk);
	assert_ok(start(&store));
	assert_int_equal(store.seen, 35);
	assert_true(store.end.cut);
	assert_ok(put(&store, 2));
	stop(&store);
	assert_ok(start(&store));
	assert_int_equal(store.seen, 37);
	close_store(&store);
}

/* No space: the spares are the reserve; then batches wait, and go on when there is space again. */
static void disk_full(void **state)
{
	struct store store;
	struct bulla_journal_done done;
	bulla_rc rc = BULLA_OK;

	(void)state;
	open_store(&store, 9);
	assert_ok(put(&store, 5));
	store.disk.space = 2 * SEGMENT + 100;
	for (uint32_t i = 0; i < 20 && rc == BULLA_OK; i++)
		rc = put(&store, 5);
	assert_rc(BULLA_E_FULL, rc);
	assert_true(store.writer.end.at.segment == 2);
	store.disk.space = 0;
	while (store.fill.made < 3)
		assert_ok(bulla_journal_fill_step(&store.fill, 3));
	bulla_journal_writer_made(&store.writer, 3);
	assert_ok(bulla_journal_writer_flush(&store.writer, 1, &done));
	assert_int_equal(done.count, 5);
	stop(&store);
	assert_ok(start(&store));
	assert_int_equal(store.seen, store.acknowledged + 5);
	close_store(&store);
}

static void dead_after_failure(void **state)
{
	struct store store;

	(void)state;
	open_store(&store, 10);
	assert_ok(put(&store, 5));
	store.disk.kill_at = store.disk.ops + 1;
	assert_rc(BULLA_E_IO, put(&store, 5));
	store.disk.dead = false;
	assert_rc(BULLA_E_STATE, put(&store, 1));
	close_store(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_store),
		cmocka_unit_test(many_segments),
		cmocka_unit_test(kill_at_each_operation),
		cmocka_unit_test(kill_in_recovery),
		cmocka_unit_test(rot),
		cmocka_unit_test(segment_damage),
		cmocka_unit_test(lost_beginning),
		cmocka_unit_test(stale_batch),
		cmocka_unit_test(disk_full),
		cmocka_unit_test(dead_after_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
