#include "broker/cells.h"
#include "broker/days.h"
#include "broker/run_secrets.h"
#include "broker/sessions.h"
#include "crypto/random.h"
#include "io/sys.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

static char folder[] = "/tmp/bulla-cells-XXXXXX";
static struct bulla_sys_disk disk;

struct shown {
	struct bulla_cell cells[16];
	uint8_t first[16]; /* first byte of each secret */
	size_t count;
};

static bulla_rc show(void *arg, const struct bulla_cell *cell, bulla_secret *secret)
{
	struct shown *shown = (struct shown *)arg;

	shown->first[shown->count] = bulla_secret_view(*secret).p[0];
	shown->cells[shown->count++] = *cell;
	return BULLA_OK;
}

static struct bulla_cells *reopen(struct bulla_cells *cells, struct shown *shown)
{
	bulla_cells_close(cells);
	*shown = (struct shown){.count = 0};
	cells = NULL;
	assert_ok(bulla_cells_open(&disk.table, bulla_random_os(), show, shown, &cells));
	return cells;
}

static bulla_secret secret_of(uint8_t first)
{
	uint8_t bytes[32] = {first};
	bulla_secret secret = BULLA_SECRET_NONE;

	assert_ok(bulla_secret_new(BULLA_BYTES_ARRAY(bytes), &secret));
	return secret;
}

static size_t zero_cells(void)
{
	uint8_t cell[BULLA_CELL_BYTES];
	size_t got = sizeof(cell), zeros = 0;
	int file = -1;

	assert_ok(disk.table.open(&disk, "secrets", false, &file));
	for (uint64_t at = 0; got == sizeof(cell); at += sizeof(cell)) {
		assert_ok(disk.table.pread(&disk, file, at, cell, sizeof(cell), &got));
		zeros += got == sizeof(cell) && bulla_bytes_is_zero_ct(BULLA_BYTES_ARRAY(cell)) ? 1 : 0;
	}
	disk.table.close(&disk, file);
	return zeros;
}

static void test_keep_erase_reuse(void **state)
{
	struct shown shown;
	struct bulla_cells *cells = reopen(NULL, &shown);
	struct bulla_cell one = {BULLA_CELL_RUN, 7, {{1}}}, two = {BULLA_CELL_DAY, 8, {{1}}},
		three = {BULLA_CELL_RUN, 9, {{2}}};
	BULLA_AUTO_SECRET a = secret_of(0xa1), b = secret_of(0xb2), c = secret_of(0xc3);

	(void)state;
	assert_int_equal(shown.count, 0);
	assert_ok(bulla_cells_put(cells, &one, a));
	assert_ok(bulla_cells_put(cells, &two, b));
	cells = reopen(cells, &shown);
	assert_int_equal(shown.count, 2);
	assert_int_equal(shown.first[0], 0xa1);
	assert_int_equal(shown.cells[1].kind, BULLA_CELL_DAY);
	assert_int_equal(shown.cells[1].aux, 8);
	assert_ok(bulla_cells_erase(cells, BULLA_CELL_RUN, &one.id)); /* the day with that id stays */
	assert_int_equal(zero_cells(), 1);
	assert_ok(bulla_cells_put(cells, &three, c)); /* takes the free place */
	assert_int_equal(zero_cells(), 0);
	cells = reopen(cells, &shown);
	assert_int_equal(shown.count, 2);
	assert_int_equal(shown.first[0], 0xc3);
	assert_int_equal(shown.first[1], 0xb2);
	assert_ok(bulla_cells_erase(cells, BULLA_CELL_RUN, &three.id));
	assert_ok(bulla_cells_erase(cells, BULLA_CELL_DAY, &two.id));
	bulla_cells_close(cells);
}

/* Runs take their share and no more: sessions and day keys find a cell when all runs have theirs. */
static void test_full(void **state)
{
	struct shown shown;
	struct bulla_cells *cells = reopen(NULL, &shown);
	struct bulla_cell run = {.kind = BULLA_CELL_RUN}, day = {BULLA_CELL_DAY, 8, {{1}}};
	BULLA_AUTO_SECRET a = secret_of(1);

	(void)state;
	for (uint32_t i = 0; i < BULLA_CELLS_RUNS; i++) {
		run.id.b[0] = (uint8_t)i;
		run.id.b[1] = (uint8_t)(i >> 8);
		assert_ok(bulla_cells_put_soon(cells, &run, a));
	}
	run.id.b[2] = 1;
	assert_rc(BULLA_E_LIMIT, bulla_cells_put(cells, &run, a));
	assert_ok(bulla_cells_put(cells, &day, a));
	run.id.b[2] = 0;
	assert_ok(bulla_cells_erase(cells, BULLA_CELL_RUN, &run.id));
	run.id.b[2] = 1;
	assert_ok(bulla_cells_put(cells, &run, a));
	assert_int_equal(zero_cells(), 0); /* in the place that came free */
	bulla_cells_close(cells);
	assert_ok(disk.table.unlink(&disk, "secrets"));
}

/* Every bit of a cell matters, and so does the root key. */
static void test_damage(void **state)
{
	struct shown shown;
	struct bulla_cells *cells = reopen(NULL, &shown);
	struct bulla_cell one = {BULLA_CELL_MATERIAL, 7, {{9}}};
	BULLA_AUTO_SECRET a = secret_of(1);
	uint8_t cell[BULLA_CELL_BYTES], root[32];
	size_t got = 0;
	int file = -1;

	(void)state;
	assert_ok(bulla_cells_put(cells, &one, a));
	bulla_cells_close(cells);
	assert_ok(disk.table.open(&disk, "secrets", false, &file));
	assert_ok(disk.table.pread(&disk, file, 0, cell, sizeof(cell), &got));
	for (size_t i = 0; i < 4 + 4 + 8 + 32 + 32 + 48; i++) {
		if (i >= 5 && i < 8)
			continue; /* three bytes that are written as zero and not read */
		cell[i] ^= 0x10;
		assert_ok(disk.table.pwrite(&disk, file, 0, BULLA_BYTES_ARRAY(cell), false));
		assert_rc(BULLA_E_CORRUPT, bulla_cells_open(&disk.table, bulla_random_os(), show, &shown, &cells));
		cell[i] ^= 0x10;
	}
	assert_ok(disk.table.pwrite(&disk, file, 0, BULLA_BYTES_ARRAY(cell), false));
	disk.table.close(&disk, file);
	assert_ok(disk.table.open(&disk, "root.key", false, &file));
	assert_ok(disk.table.pread(&disk, file, 0, root, sizeof(root), &got));
	root[0] ^= 1;
	assert_ok(disk.table.pwrite(&disk, file, 0, BULLA_BYTES_ARRAY(root), false));
	assert_rc(BULLA_E_CORRUPT, bulla_cells_open(&disk.table, bulla_random_os(), show, &shown, &cells));
	root[0] ^= 1;
	assert_ok(disk.table.pwrite(&disk, file, 0, BULLA_BYTES_ARRAY(root), false));
	disk.table.close(&disk, file);
	cells = reopen(NULL, &shown);
	assert_ok(bulla_cells_erase(cells, BULLA_CELL_MATERIAL, &one.id));
	bulla_cells_close(cells);
}

static void test_private_files(void **state)
{
	struct shown shown;
	struct bulla_cells *cells = reopen(NULL, &shown);
	BULLA_AUTO_BUF back;

	(void)state;
	bulla_buf_init(&back, 8192);
	assert_rc(BULLA_E_NOT_FOUND, bulla_cells_read_file(cells, "a.key", &back));
	assert_ok(bulla_cells_write_file(cells, "a.key", BULLA_BYTES_LITERAL("private")));
	assert_ok(bulla_cells_read_file(cells, "a.key", &back));
	assert_bytes(bulla_buf_view(&back), BULLA_BYTES_LITERAL("private"));
	/* one file's bytes under another one's name */
	assert_ok(disk.table.rename(&disk, "a.key", "b.key"));
	assert_rc(BULLA_E_CORRUPT, bulla_cells_read_file(cells, "b.key", &back));
	bulla_cells_close(cells);
}

/* --- what is kept in cells --- */

static void test_days(void **state)
{
	struct shown shown;
	struct bulla_cells *cells = reopen(NULL, &shown);
	struct bulla_sign_key *ledger = NULL;
	struct bulla_verify_key *verify = NULL;
	struct bulla_day_key read;
	struct bulla_days days;
	int64_t now = INT64_C(1800000000000);
	bulla_digest first;
	bool changed = false;

	(void)state;
	assert_ok(bulla_sign_key_new(BULLA_ES256, &ledger));
	assert_ok(bulla_verify_key_spki(bulla_sign_key_spki(ledger), &verify));
	bulla_days_init(&days);
	assert_ok(bulla_days_turn(&days, cells, bulla_random_os(), ledger, now, &changed));
	assert_true(changed);
	first = bulla_days_today(&days)->digest;
	assert_ok(bulla_day_key_open(bulla_buf_view(&bulla_days_today(&days)->sign1), verify, &read));
	assert_int_equal(read.begins_ms, now);
	assert_int_equal(read.ends_ms, now + 2 * BULLA_DAY_MS);
	assert_ok(bulla_days_turn(&days, cells, bulla_random_os(), ledger, now + BULLA_DAY_MS / 2 - 1, &changed));
	assert_false(changed);
	assert_ok(bulla_days_turn(&days, cells, bulla_random_os(), ledger, now + BULLA_DAY_MS / 2, &changed));
	assert_true(changed); /* whoever takes one gets one that lives for more than a day */
	assert_false(bulla_digest_eq(&bulla_days_today(&days)->digest, &first));
	assert_non_null(bulla_days_find(&days, &first)); /* starts sealed to it are still taken */
	cells = reopen(cells, &shown);
	assert_int_equal(shown.count, 2);
	assert_false(bulla_days_ending(&days, now + 2 * BULLA_DAY_MS - 1));
	assert_true(bulla_days_ending(&days, now + 2 * BULLA_DAY_MS));
	assert_ok(bulla_days_turn(&days, cells, bulla_random_os(), ledger, now + 2 * BULLA_DAY_MS, &changed));
	assert_null(bulla_days_find(&days, &first));
	cells = reopen(cells, &shown);
	for (size_t i = 0; i < shown.count; i++)
		assert_false(bulla_digest_eq(&shown.cells[i].id, &first)); /* its cell is gone, too */
	/* made by a date that was wrong: nobody would take it for a year */
	assert_ok(bulla_days_turn(&days, cells, bulla_random_os(), ledger, now + 400 * BULLA_DAY_MS, &changed));
	first = bulla_days_today(&days)->digest;
	assert_true(bulla_days_ending(&days, now + 2 * BULLA_DAY_MS));
	assert_ok(bulla_days_turn(&days, cells, bulla_random_os(), ledger, now + 2 * BULLA_DAY_MS, &changed));
	assert_true(changed);
	assert_null(bulla_days_find(&days, &first));
	assert_int_equal(bulla_days_today(&days)->begins_ms, now + 2 * BULLA_DAY_MS);
	cells = reopen(cells, &shown);
	for (size_t i = 0; i < shown.count; i++)
		assert_ok(bulla_cells_erase(cells, BULLA_CELL_DAY, &shown.cells[i].id));
	bulla_days_done(&days);
	bulla_cells_close(cells);
	bulla_sign_key_free(ledger);
	bulla_verify_key_free(verify);
}

static void test_sessions(void **state)
{
	struct shown shown;
	struct bulla_cells *cells = reopen(NULL, &shown);
	const struct bulla_session_keys *keys = NULL;
	struct bulla_sessions *sessions = NULL;
	uint8_t id[16] = {5}, other[16] = {6};
	struct bulla_cell cell = {BULLA_CELL_SESSION, 1000, bulla_session_cell_id(id)};
	BULLA_AUTO_SECRET exporter = secret_of(3);

	(void)state;
	assert_ok(bulla_sessions_new(&sessions));
	assert_ok(bulla_cells_put(cells, &cell, exporter));
	assert_ok(bulla_sessions_add(sessions, id, exporter, 1000));
	assert_ok(bulla_sessions_keys(sessions, id, &keys));
	assert_rc(BULLA_E_SESSION, bulla_sessions_keys(sessions, other, &keys));
	/* lapsed, but its commits are taken for a while */
	assert_ok(bulla_sessions_expire(sessions, cells, 1000 + BULLA_SESSION_GRACE_MS - 1));
	assert_ok(bulla_sessions_keys(sessions, id, &keys));
	assert_ok(bulla_sessions_expire(sessions, cells, 1000 + BULLA_SESSION_GRACE_MS));
	assert_rc(BULLA_E_SESSION, bulla_sessions_keys(sessions, id, &keys));
	cells = reopen(cells, &shown);
	assert_int_equal(shown.count, 0);
	for (size_t i = 0; i < BULLA_SESSIONS_MAX; i++) {
		other[0] = (uint8_t)i;
		other[1] = (uint8_t)(i >> 8);
		assert_ok(bulla_sessions_add(sessions, other, exporter, i == 77 ? 999 : 1000));
	}
	assert_rc(BULLA_E_BUSY, bulla_sessions_add(sessions, id, exporter, 1000));
	assert_int_equal(bulla_sessions_count(sessions), BULLA_SESSIONS_MAX);
	assert_ok(bulla_sessions_make_room(sessions, cells));
	assert_ok(bulla_sessions_add(sessions, id, exporter, 1000));
	other[0] = 77;
	other[1] = 0;
	assert_rc(BULLA_E_SESSION, bulla_sessions_keys(sessions, other, &keys)); /* the one that lapses first */
	bulla_cells_close(cells);
	bulla_sessions_free(sessions);
}

static bulla_rc count_secret(void *arg, const bulla_run_id *run, bulla_secret secret)
{
	assert_int_equal(bulla_secret_view(secret).p[0], run->b[0]);
	++*(size_t *)arg;
	return BULLA_OK;
}

static bool keep_odd(void *arg, const bulla_run_id *run)
{
	(void)arg;
	return (run->b[0] & 1) != 0;
}

static void test_sweep(void **state)
{
	struct bulla_run_secrets *secrets = NULL;
	bulla_run_id run = {{0}};

	(void)state;
	assert_ok(bulla_run_secrets_new(bulla_random_os(), &secrets));
	for (unsigned i = 0; i < 5000; i++) {
		BULLA_AUTO_SECRET secret = secret_of((uint8_t)i);

		run.b[0] = (uint8_t)i;
		run.b[15] = (uint8_t)(i >> 8);
		assert_ok(bulla_run_secrets_put(secrets, &run, secret, 5));
	}
	bulla_run_secrets_sweep(secrets, keep_odd, NULL);
	assert_int_equal(bulla_run_secrets_count(secrets), 2500);
	for (unsigned i = 0; i < 5000; i++) {
		BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE;
		bulla_rc rc;

		run.b[0] = (uint8_t)i;
		run.b[15] = (uint8_t)(i >> 8);
		rc = bulla_run_secrets_get(secrets, &run, &secret);
		assert_rc((i & 1) != 0 ? BULLA_OK : BULLA_E_NOT_FOUND, rc);
		if (rc == BULLA_OK)
			assert_int_equal(bulla_secret_view(secret).p[0], (uint8_t)i);
	}
	bulla_run_secrets_free(secrets);
}

static void test_run_secrets(void **state)
{
	struct bulla_run_secrets *secrets = NULL;
	bulla_run_id run = {{0}};
	size_t count = 0;

	(void)state;
	assert_ok(bulla_run_secrets_new(bulla_random_os(), &secrets));
	for (unsigned i = 0; i < 10000; i++) {
		BULLA_AUTO_SECRET secret = secret_of((uint8_t)i);

		run.b[0] = (uint8_t)i;
		run.b[15] = (uint8_t)(i >> 8);
		assert_ok(bulla_run_secrets_put(secrets, &run, secret, 5));
	}
	for (unsigned i = 0; i < 10000; i += 7) {
		BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE, again = secret_of(1);

		run.b[0] = (uint8_t)i;
		run.b[15] = (uint8_t)(i >> 8);
		assert_ok(bulla_run_secrets_get(secrets, &run, &secret));
		assert_int_equal(bulla_secret_view(secret).p[0], (uint8_t)i);
		bulla_run_secrets_erase(secrets, &run);
		bulla_secret_free(&secret);
		assert_rc(BULLA_E_RUN_CLOSED, bulla_run_secrets_get(secrets, &run, &secret));
		assert_rc(BULLA_E_RUN_CLOSED, bulla_run_secrets_put(secrets, &run, again, 5)); /* and it does not come back */
	}
	assert_ok(bulla_run_secrets_each(secrets, 5, count_secret, &count));
	assert_int_equal(count, 10000 - 1429);
	run.b[1] = 1;
	assert_rc(BULLA_E_NOT_FOUND, bulla_run_secrets_get(secrets, &run, &(bulla_secret){0}));
	bulla_run_secrets_erase(secrets, &run); /* before it was ever kept: stays erased */
	assert_rc(BULLA_E_RUN_CLOSED, bulla_run_secrets_get(secrets, &run, &(bulla_secret){0}));
	bulla_run_secrets_free(secrets);
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL || bulla_secret_slab_init(4096) != BULLA_OK ||
		bulla_sys_disk_open(&disk, folder, true) != BULLA_OK;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return bulla_secret_slab_used() != 0 || system(command) != 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keep_erase_reuse), cmocka_unit_test(test_full), cmocka_unit_test(test_damage),
		cmocka_unit_test(test_private_files),    cmocka_unit_test(test_days),
		cmocka_unit_test(test_sessions),         cmocka_unit_test(test_run_secrets), cmocka_unit_test(test_sweep),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
