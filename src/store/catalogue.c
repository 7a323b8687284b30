#include "store/catalogue.h"

#include <sqlite3.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/wr.h"

#define APPLICATION_ID 0x62756c6c /* "bull" */
#define USER_VERSION 2
#define PATH_MAX_BYTES 1024

static const char schema[] =
	"PRAGMA auto_vacuum=INCREMENTAL;"
	"PRAGMA journal_mode=WAL;"
	"CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS object(object_no INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE,"
	"  kind INTEGER NOT NULL, used_day INTEGER NOT NULL, body BLOB NOT NULL) STRICT;"
	"CREATE TABLE IF NOT EXISTS run(run_no INTEGER PRIMARY KEY, run_id BLOB NOT NULL UNIQUE, workflow BLOB NOT NULL,"
	"  epoch INTEGER NOT NULL, state INTEGER NOT NULL, outcome INTEGER NOT NULL, started_ms INTEGER NOT NULL,"
	"  ended_ms INTEGER NOT NULL, steps_done INTEGER NOT NULL, steps INTEGER NOT NULL, row BLOB NOT NULL) STRICT;"
	"CREATE INDEX IF NOT EXISTS run_ended ON run(ended_ms);"
	"PRAGMA application_id=1651862636;"
	"PRAGMA user_version=2;";

/* Checkpoints are small: the disk that syncs one is the journal's, and runs under way wait for it. */
static const char pragmas[] = "PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF;"
	"PRAGMA cell_size_check=ON; PRAGMA wal_autocheckpoint=64; PRAGMA cache_size=-512; PRAGMA mmap_size=0;";

enum statement { PUT_ROW, PUT_MARK, PUT_OBJECT, FIND, ROWS, OBJECTS, IDS, MARKS, KNOWN, NEXT, STATEMENTS };

static const char *const texts[STATEMENTS] = {
	[PUT_ROW] = ("INSERT OR IGNORE INTO run(run_no, run_id, workflow, epoch, state, outcome, started_ms, ended_ms,"
		" steps_done, steps, row) VALUES(?,?,?,?,?,?,?,?,?,?,?)"),
	[PUT_MARK] = ("INSERT INTO meta(key, value) VALUES('replay_lsn', ?), ('known_lsn', ?)"
		" ON CONFLICT(key) DO UPDATE SET value=excluded.value"),
	[PUT_OBJECT] = "INSERT OR IGNORE INTO object(digest, kind, used_day, body) VALUES(?,?,?,?)",
	[FIND] = "SELECT row FROM run WHERE run_id=?",
	[ROWS] = "SELECT row FROM run ORDER BY run_no DESC",
	[OBJECTS] = "SELECT body FROM object ORDER BY object_no",
	[IDS] = "SELECT run_id FROM run",
	[MARKS] = "SELECT value FROM meta WHERE key='replay_lsn'",
	[KNOWN] = "SELECT value FROM meta WHERE key='known_lsn'",
	[NEXT] = "SELECT ifnull(max(run_no), 0) + 1 FROM run",
};

struct bulla_catalogue {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
	bool in_transaction, has_marks;
	int64_t marks[2]; /* of the transaction's last row: written once, at its end */
};

static bulla_rc result_of(int result)
{
	if (result == SQLITE_OK || result == SQLITE_DONE || result == SQLITE_ROW)
		return BULLA_OK;
	if (result == SQLITE_FULL)
		return BULLA_FAIL(BULLA_E_FULL, "no space for the catalogue");
	if (result == SQLITE_NOMEM)
		return BULLA_FAIL(BULLA_E_MEMORY, "no memory for the catalogue");
	return BULLA_FAIL(BULLA_E_IO, "the catalogue cannot be read or written");
}

static bulla_rc execute(sqlite3 *db, const char *text)
{
	return result_of(sqlite3_exec(db, text, NULL, NULL, NULL));
}

static int64_t pragma(sqlite3 *db, const char *text)
{
	sqlite3_stmt *statement = NULL;
	int64_t value = -1;

	if (sqlite3_prepare_v2(db, text, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
		value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return value;
}

/* An empty file, or one of ours that is whole enough to be read. */
static bool is_ours(sqlite3 *db)
{
	int64_t pages = pragma(db, "PRAGMA page_count");

	if (pages == 0)
		return true;
	return pages > 0 && pragma(db, "PRAGMA application_id") == APPLICATION_ID &&
		pragma(db, "PRAGMA user_version") == USER_VERSION;
}

static bulla_rc open_file(const char *path, sqlite3 **ret)
{
	sqlite3 *db = NULL;
	bulla_rc rc = result_of(sqlite3_open_v2(
		path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
		NULL));

	if (rc == BULLA_OK && !is_ours(db))
		rc = BULLA_FAIL(BULLA_E_VERSION, "a catalogue of another version, or none at all");
	if (rc == BULLA_OK)
		rc = execute(db, schema);
	if (rc == BULLA_OK)
		rc = execute(db, pragmas);
	if (rc != BULLA_OK) {
		sqlite3_close(db);
		return rc;
	}
	*ret = db;
	return BULLA_OK;
}

static bulla_rc join(const char *path, const char *middle, const char *end, char ret[PATH_MAX_BYTES])
{
	bulla_wr w = bulla_wr_fixed((uint8_t *)ret, PATH_MAX_BYTES);
	bulla_bytes text;

	bulla_wr_bytes(&w, bulla_bytes_str(path));
	bulla_wr_bytes(&w, bulla_bytes_str(middle));
	bulla_wr_bytes(&w, bulla_bytes_str(end));
	bulla_wr_u8(&w, 0);
	return bulla_wr_end(&w, &text);
}

bulla_rc bulla_catalogue_put_aside(const char *path)
{
	static const char *const parts[] = {"", "-wal", "-shm"};
	char from[PATH_MAX_BYTES], to[PATH_MAX_BYTES];

	for (size_t i = 0; i < 3; i++) {
		BULLA_TRY(join(path, "", parts[i], from));
		BULLA_TRY(join(path, ".old", parts[i], to));
		if (rename(from, to) != 0 && i == 0)
			return BULLA_FAIL(BULLA_E_IO, "a catalogue cannot be put aside");
	}
	return BULLA_OK;
}

bulla_rc bulla_catalogue_open(const char *path, struct bulla_catalogue **ret)
{
	struct bulla_catalogue *c;
	bulla_rc rc;
	void *p;

	BULLA_TRY(bulla_alloc(1, sizeof(*c), &p));
	c = p;
	rc = open_file(path, &c->db);
	if (rc == BULLA_E_IO || rc == BULLA_E_VERSION) {
		rc = bulla_catalogue_put_aside(path);
		if (rc == BULLA_OK)
			rc = open_file(path, &c->db);
	}
	for (unsigned i = 0; rc == BULLA_OK && i < STATEMENTS; i++)
		rc = result_of(sqlite3_prepare_v3(c->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &c->statements[i], NULL));
	if (rc != BULLA_OK) {
		bulla_catalogue_close(c);
		return rc;
	}
	*ret = c;
	return BULLA_OK;
}

struct bulla_catalogue *bulla_catalogue_close(struct bulla_catalogue *c)
{
	if (!c)
		return NULL;
	for (unsigned i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(c->statements[i]);
	sqlite3_close(c->db);
	bulla_free(c);
	return NULL;
}

/* Runs a statement that gives no rows. */
static bulla_rc run_once(sqlite3_stmt *statement)
{
	int result = sqlite3_step(statement);

	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return result_of(result);
}

static bulla_rc put_marks(struct bulla_catalogue *c)
{
	if (!c->has_marks)
		return BULLA_OK;
	c->has_marks = false;
	for (int i = 0; i < 2; i++)
		sqlite3_bind_int64(c->statements[PUT_MARK], 1 + i, c->marks[i]);
	return run_once(c->statements[PUT_MARK]);
}

bulla_rc bulla_catalogue_begin(struct bulla_catalogue *c)
{
	if (c->in_transaction)
		return BULLA_OK;
	BULLA_TRY(execute(c->db, "BEGIN IMMEDIATE"));
	c->in_transaction = true;
	return BULLA_OK;
}

bulla_rc bulla_catalogue_commit(struct bulla_catalogue *c)
{
	if (!c->in_transaction)
		return BULLA_OK;
	c->in_transaction = false;
	BULLA_TRY(put_marks(c));
	return execute(c->db, "COMMIT");
}

void bulla_catalogue_rollback(struct bulla_catalogue *c)
{
	c->in_transaction = c->has_marks = false;
	(void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL); /* SQLite may have done it by itself */
}

static void bind_blob(sqlite3_stmt *statement, int at, bulla_bytes bytes)
{
	sqlite3_bind_blob64(statement, at, bytes.n > 0 ? (const void *)bytes.p : "", bytes.n, SQLITE_STATIC);
}

bulla_rc bulla_catalogue_put_row(struct bulla_catalogue *c, const struct bulla_catalogue_row *row)
{
	sqlite3_stmt *s = c->statements[PUT_ROW];
	const int64_t numbers[] = {(int64_t)row->epoch, row->state,    row->outcome,   row->started_ms,
		row->ended_ms,       row->steps_done, row->steps};

	sqlite3_bind_int64(s, 1, (int64_t)row->run_no);
	bind_blob(s, 2, row->run_id);
	bind_blob(s, 3, row->workflow);
	for (int i = 0; i < 7; i++)
		sqlite3_bind_int64(s, 4 + i, numbers[i]);
	bind_blob(s, 11, row->row);
	BULLA_TRY(run_once(s));
	c->marks[0] = (int64_t)row->replay_lsn;
	c->marks[1] = (int64_t)row->closed_lsn;
	c->has_marks = true;
	return c->in_transaction ? BULLA_OK : put_marks(c);
}

bulla_rc bulla_catalogue_put_object(struct bulla_catalogue *c, const bulla_digest *digest, uint8_t kind, int64_t day,
	bulla_bytes body)
{
	sqlite3_stmt *s = c->statements[PUT_OBJECT];

	bind_blob(s, 1, bulla_bytes_digest(digest));
	sqlite3_bind_int64(s, 2, kind);
	sqlite3_bind_int64(s, 3, day);
	bind_blob(s, 4, body);
	return run_once(s);
}

static bulla_bytes column(sqlite3_stmt *statement)
{
	const void *p = sqlite3_column_blob(statement, 0);

	return bulla_bytes_of(p, (size_t)sqlite3_column_bytes(statement, 0));
}

bulla_rc bulla_catalogue_find(struct bulla_catalogue *c, bulla_bytes run_id, struct bulla_buf *ret)
{
	sqlite3_stmt *s = c->statements[FIND];
	int result;
	bulla_rc rc;

	bind_blob(s, 1, run_id);
	result = sqlite3_step(s);
	rc = result == SQLITE_ROW ? bulla_buf_append(ret, column(s)) : result_of(result);
	if (result == SQLITE_DONE)
		rc = BULLA_E_NOT_FOUND;
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return rc;
}

static bulla_rc walk(sqlite3_stmt *s, bulla_rc (*each)(void *arg, bulla_bytes value), void *arg)
{
	int result = SQLITE_ROW;
	bulla_rc rc = BULLA_OK;

	while (rc == BULLA_OK && (result = sqlite3_step(s)) == SQLITE_ROW)
		rc = each(arg, column(s));
	sqlite3_reset(s);
	if (rc == BULLA_E_AGAIN)
		return BULLA_OK;
	return rc != BULLA_OK ? rc : result_of(result);
}

bulla_rc bulla_catalogue_rows(struct bulla_catalogue *c, bulla_rc (*each)(void *arg, bulla_bytes row), void *arg)
{
	return walk(c->statements[ROWS], each, arg);
}

bulla_rc bulla_catalogue_objects(struct bulla_catalogue *c, bulla_rc (*each)(void *arg, bulla_bytes body), void *arg)
{
	return walk(c->statements[OBJECTS], each, arg);
}

bulla_rc bulla_catalogue_ids(struct bulla_catalogue *c, bulla_rc (*each)(void *arg, bulla_bytes id), void *arg)
{
	return walk(c->statements[IDS], each, arg);
}

static bulla_rc number_of(sqlite3_stmt *s, uint64_t *ret)
{
	int result = sqlite3_step(s);
	uint64_t value = result == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(s, 0) : 0;

	sqlite3_reset(s);
	BULLA_TRY(result_of(result));
	*ret = value;
	return BULLA_OK;
}

bulla_rc bulla_catalogue_marks(struct bulla_catalogue *c, struct bulla_catalogue_marks *ret)
{
	struct bulla_catalogue_marks marks;

	BULLA_TRY(number_of(c->statements[MARKS], &marks.replay_lsn));
	BULLA_TRY(number_of(c->statements[KNOWN], &marks.known_lsn));
	BULLA_TRY(number_of(c->statements[NEXT], &marks.next_run_no));
	*ret = marks;
	return BULLA_OK;
}
