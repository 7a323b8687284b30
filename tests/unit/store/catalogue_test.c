#include "test.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/catalogue.h"

static char folder[] = "/tmp/bulla-catalogue-XXXXXX", path[128];

static int up(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/catalogue.db", folder);
	return 0;
}

static int down(void **state)
{
	static const char *const parts[] = {"", "-wal", "-shm", ".old", ".old-wal", ".old-shm"};
	char name[160];

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "%s%s", path, parts[i]);
		unlink(name);
	}
	return rmdir(folder);
}

static struct bulla_catalogue_row row_of(uint64_t number, uint8_t *id)
{
	static const uint8_t workflow[32] = {1};

	bulla_zero(id, 16);
	id[15] = (uint8_t)number;
	return (struct bulla_catalogue_row){.run_no = number,
		.replay_lsn = number * 10,
		.closed_lsn = number * 10 + 5,
		.run_id = bulla_bytes_of(id, 16),
		.workflow = BULLA_BYTES_ARRAY(workflow),
		.state = 2,
		.row = bulla_bytes_of(id, 16)};
}

static bulla_rc count_first(void *arg, bulla_bytes row)
{
	unsigned *n = arg;

	if (*n == 0)
		assert_int_equal(row.p[15], 3); /* newest first */
	return ++*n == 2 ? BULLA_E_AGAIN : BULLA_OK;
}

static bulla_rc count(void *arg, bulla_bytes value)
{
	(void)value;
	++*(unsigned *)arg;
	return BULLA_OK;
}

static void keeps_what_it_was_told(void **state)
{
	struct bulla_catalogue *c;
	uint8_t id[16];
	struct bulla_catalogue_marks marks;
	bulla_digest digest = {{5}};
	struct bulla_buf found;
	unsigned n = 0, objects = 0, ids = 0;

	(void)state;
	bulla_buf_init(&found, 100);
	assert_ok(bulla_catalogue_open(path, &c));
	assert_ok(bulla_catalogue_marks(c, &marks));
	assert_int_equal(marks.replay_lsn, 0);
	assert_int_equal(marks.next_run_no, 1);
	assert_ok(bulla_catalogue_begin(c));
	for (uint64_t i = 1; i <= 3; i++) {
		struct bulla_catalogue_row row = row_of(i, id);

		assert_ok(bulla_catalogue_put_row(c, &row));
		assert_ok(bulla_catalogue_put_row(c, &row)); /* again changes nothing */
	}
	assert_ok(bulla_catalogue_put_object(c, &digest, 1, 0, BULLA_BYTES_LITERAL("body")));
	assert_ok(bulla_catalogue_put_object(c, &digest, 1, 0, BULLA_BYTES_LITERAL("body")));
	assert_ok(bulla_catalogue_commit(c));
	bulla_catalogue_close(c);
	assert_ok(bulla_catalogue_open(path, &c));
	assert_ok(bulla_catalogue_marks(c, &marks));
	assert_int_equal(marks.replay_lsn, 30);
	assert_int_equal(marks.known_lsn, 35);
	assert_int_equal(marks.next_run_no, 4);
	assert_ok(bulla_catalogue_find(c, bulla_bytes_of(id, 16), &found));
	assert_int_equal(found.n, 16);
	id[0] = 9;
	assert_rc(BULLA_E_NOT_FOUND, bulla_catalogue_find(c, bulla_bytes_of(id, 16), &found));
	assert_ok(bulla_catalogue_rows(c, count_first, &n));
	assert_int_equal(n, 2);
	assert_ok(bulla_catalogue_objects(c, count, &objects));
	assert_int_equal(objects, 1);
	assert_ok(bulla_catalogue_ids(c, count, &ids));
	assert_int_equal(ids, 3);
	bulla_catalogue_close(c);
	bulla_buf_done(&found);
}

/* Losing the file loses nothing: it is made anew, and says that all of the journal has to be replayed. */
static void a_damaged_file_is_put_aside(void **state)
{
	struct bulla_catalogue *c;
	struct bulla_catalogue_marks marks;
	FILE *file = fopen(path, "w");

	(void)state;
	assert_non_null(file);
	for (int i = 0; i < 1000; i++)
		fputs("this is no database ", file);
	fclose(file);
	assert_ok(bulla_catalogue_open(path, &c));
	assert_ok(bulla_catalogue_marks(c, &marks));
	assert_int_equal(marks.replay_lsn, 0);
	bulla_catalogue_close(c);
}

static void run_sql(const char *text)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* A newer program wrote it: not read, not changed, kept beside the new one. */
static void a_newer_version_is_put_aside(void **state)
{
	struct bulla_catalogue *c;
	struct bulla_catalogue_marks marks;
	uint8_t id[16];
	struct bulla_catalogue_row row = row_of(7, id);

	(void)state;
	assert_ok(bulla_catalogue_open(path, &c));
	assert_ok(bulla_catalogue_put_row(c, &row));
	bulla_catalogue_close(c);
	run_sql("PRAGMA user_version=99");
	assert_ok(bulla_catalogue_open(path, &c));
	assert_ok(bulla_catalogue_marks(c, &marks));
	assert_int_equal(marks.replay_lsn, 0);
	assert_int_equal(marks.next_run_no, 1);
	bulla_catalogue_close(c);
}

/* A transaction that is undone leaves nothing. */
static void an_undone_transaction_is_nothing(void **state)
{
	struct bulla_catalogue *c;
	uint8_t id[16];
	struct bulla_catalogue_row row = row_of(9, id);
	BULLA_AUTO_BUF found = {.max = 100};

	(void)state;
	assert_ok(bulla_catalogue_open(path, &c));
	assert_ok(bulla_catalogue_begin(c));
	assert_ok(bulla_catalogue_put_row(c, &row));
	bulla_catalogue_rollback(c);
	assert_rc(BULLA_E_NOT_FOUND, bulla_catalogue_find(c, bulla_bytes_of(id, 16), &found));
	assert_ok(bulla_catalogue_put_row(c, &row));
	assert_ok(bulla_catalogue_find(c, bulla_bytes_of(id, 16), &found));
	bulla_catalogue_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_it_was_told),
		cmocka_unit_test(a_damaged_file_is_put_aside),
		cmocka_unit_test(a_newer_version_is_put_aside),
		cmocka_unit_test(an_undone_transaction_is_nothing),
	};

	return cmocka_run_group_tests(tests, up, down);
}
