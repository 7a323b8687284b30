#pragma once
/* The broker's secrets at rest (engine.md section 4): a file of fixed cells, each one 32-byte secret wrapped under the root
 * key, written durably and overwritten in place when the secret ends, so that nothing of it is left. The root key is a file
 * of its own (root.key, 0600); whoever has both files has the secrets. Calls block for one disk write: they belong to rare
 * events (a key, a session, a day), never to a step.
 *
 * Cell, 256 bytes: magic "BCL1" | kind u8 | 0 u8 ×3 | aux u64 BE | id 32 | salt 32 | wrapped 48 | zeros. Its key is
 * kdf(root, "store", CBOR [kind, h'id', h'salt', aux]), used once; the AEAD nonce is zero. */
#include "base/buf.h"
#include "base/secret.h"
#include "base/sys.h"

#define BULLA_CELL_BYTES 256
#define BULLA_CELLS_RUNS 65536 /* as many as runs can be resident */
#define BULLA_CELLS_OTHERS 4096 /* sessions, day keys, materials: runs never take these */
#define BULLA_CELLS_MAX (BULLA_CELLS_RUNS + BULLA_CELLS_OTHERS)

enum bulla_cell_kind {
	BULLA_CELL_MATERIAL = 1, /* key material of a wrapping key; id: material id */
	BULLA_CELL_DAY = 2,      /* private day key; id: digest of the public one; aux: begins_ms */
	BULLA_CELL_SESSION = 3,  /* exporter of a session; id: session id, zeros; aux: lapses_ms */
	BULLA_CELL_RUN = 4,      /* run secret whose day key ends; id: run id, zeros */
};

struct bulla_cell {
	uint8_t kind;
	uint64_t aux;
	bulla_digest id;
};

struct bulla_cells;

/* Called per live cell while opening; the secret is the callee's to take. */
typedef bulla_rc (*bulla_cells_each)(void *arg, const struct bulla_cell *cell, bulla_secret *secret);

/* Opens or makes the file and the root key in the folder, and shows every live cell. BULLA_E_CORRUPT: a cell that does not
 * open (wrong root key, damage). */
BULLA_CHECK bulla_rc bulla_cells_open(const struct bulla_disk *disk, const struct bulla_random *random,
	bulla_cells_each each, void *arg, struct bulla_cells **ret);
struct bulla_cells *bulla_cells_close(struct bulla_cells *cells);

/* Keeps a secret; durable when it returns. BULLA_E_LIMIT: no cell is free (for a run: none of BULLA_CELLS_RUNS). */
BULLA_CHECK bulla_rc bulla_cells_put(struct bulla_cells *cells, const struct bulla_cell *cell, bulla_secret secret);

/* The same for many at once: durable after bulla_cells_sync only. */
BULLA_CHECK bulla_rc bulla_cells_put_soon(struct bulla_cells *cells, const struct bulla_cell *cell, bulla_secret secret);
BULLA_CHECK bulla_rc bulla_cells_sync(struct bulla_cells *cells);

/* Overwrites every cell of this kind and id with zeros; durable when it returns. None is allowed. */
BULLA_CHECK bulla_rc bulla_cells_erase(struct bulla_cells *cells, uint8_t kind, const bulla_digest *id);

/* Erases every cell of this kind whose id keep says false of; durable when it returns. */
BULLA_CHECK bulla_rc bulla_cells_sweep(struct bulla_cells *cells, uint8_t kind, bool (*keep)(void *arg, const bulla_digest *id),
	void *arg);

/* A small private file (keys in DER) sealed under the root key: read, or BULLA_E_NOT_FOUND; written durably. name: as for
 * bulla_disk. */
BULLA_CHECK bulla_rc bulla_cells_read_file(struct bulla_cells *cells, const char *name, struct bulla_buf *ret);
BULLA_CHECK bulla_rc bulla_cells_write_file(struct bulla_cells *cells, const char *name, bulla_bytes bytes);
