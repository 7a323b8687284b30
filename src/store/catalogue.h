#pragma once
/* The catalogue (engine.md section 5): a SQLite file off the path that serves questions about runs that ended, and the
 * objects. It can be lost: the journal rebuilds it. Blocking: only the librarian thread and start-up code use it. */
#include "base/buf.h"

struct bulla_catalogue; /* opaque */

/* A run that ended, in columns. */
struct bulla_catalogue_row {
	uint64_t run_no, replay_lsn;
	uint64_t closed_lsn;  /* of the record that ended it */
	bulla_bytes run_id;   /* 16 */
	bulla_bytes workflow; /* 32 */
	uint64_t epoch;
	uint8_t state, outcome;
	int64_t started_ms, ended_ms;
	uint16_t steps_done, steps;
	bulla_bytes row;      /* the whole row in the writer's form; the other fields are for searching */
};

/* Opens or makes the file. A file that is damaged or of a newer version is put aside (renamed to PATH.old) and made
 * anew: bulla_catalogue_replay_lsn is then 0. BULLA_E_IO, BULLA_E_FULL. */
BULLA_CHECK bulla_rc bulla_catalogue_open(const char *path, struct bulla_catalogue **ret);
struct bulla_catalogue *bulla_catalogue_close(struct bulla_catalogue *catalogue);

/* What recovery needs to know of it. */
struct bulla_catalogue_marks {
	uint64_t replay_lsn;  /* from here the journal has to be replayed; 0: all of it */
	uint64_t known_lsn;   /* the newest record it has seen; a journal that ends before is older than the catalogue */
	uint64_t next_run_no; /* above every run_no in it */
};
BULLA_CHECK bulla_rc bulla_catalogue_marks(struct bulla_catalogue *catalogue, struct bulla_catalogue_marks *ret);

/* Renames the file of a catalogue that is not open to PATH.old: the journal rebuilds it. BULLA_E_IO. */
BULLA_CHECK bulla_rc bulla_catalogue_put_aside(const char *path);

/* Everything between begin and commit is one transaction; put calls outside one are transactions of their own. */
BULLA_CHECK bulla_rc bulla_catalogue_begin(struct bulla_catalogue *catalogue);
BULLA_CHECK bulla_rc bulla_catalogue_commit(struct bulla_catalogue *catalogue);

/* Undoes what was put since begin; also after a failed put or commit. */
void bulla_catalogue_rollback(struct bulla_catalogue *catalogue);

/* Adds a row; one that is there already stays as it is. */
BULLA_CHECK bulla_rc bulla_catalogue_put_row(struct bulla_catalogue *catalogue, const struct bulla_catalogue_row *row);

/* Adds an object (its bytes are its identity). */
BULLA_CHECK bulla_rc bulla_catalogue_put_object(struct bulla_catalogue *catalogue, const bulla_digest *digest, uint8_t kind,
						int64_t day, bulla_bytes body);

/* Appends the whole row of a run to ret. BULLA_E_NOT_FOUND. */
BULLA_CHECK bulla_rc bulla_catalogue_find(struct bulla_catalogue *catalogue, bulla_bytes run_id, struct bulla_buf *ret);

/* Calls each for rows, newest first, until it gives BULLA_E_AGAIN (enough) or an error. */
BULLA_CHECK bulla_rc bulla_catalogue_rows(struct bulla_catalogue *catalogue, bulla_rc (*each)(void *arg, bulla_bytes row),
	void *arg);

/* Calls each for every object in the order they were added; and for the ids of all runs. */
BULLA_CHECK bulla_rc bulla_catalogue_objects(struct bulla_catalogue *catalogue,
	bulla_rc (*each)(void *arg, bulla_bytes body), void *arg);
BULLA_CHECK bulla_rc bulla_catalogue_ids(struct bulla_catalogue *catalogue, bulla_rc (*each)(void *arg, bulla_bytes id),
	void *arg);
