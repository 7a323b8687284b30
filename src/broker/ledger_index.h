#pragma once
/* Where the records of runs lie that are no longer in memory: 24 bytes a run. Built anew by each replay. The latest runs are
 * in a hash; each time that holds a block of them, they go to a file, sorted by run id, as one block of LEDGER_INDEX_BLOCK:
 * run ids begin with their time, so the first and the last id of a block tell nearly always that a run is not in it. A block keeps
 * 32 bytes in memory. Pages of the file carry a checksum: a run that was lost by rot could be started again. */
#include "journal/recover.h"
#include "receipt/position.h"

#define LEDGER_INDEX_PAGE 4096u
#define LEDGER_INDEX_PAGE_RUNS 170u
#define LEDGER_INDEX_BLOCK (24u * LEDGER_INDEX_PAGE_RUNS)

struct ledger_index_entry {
	bulla_run_id run;     /* whole: starters choose ids, and two that look alike must not take each other's place */
	uint32_t first, last; /* pages of its first and last batch, counted through all segments from 1 on; first 0: free */
};

/* A file that is empty at start and lost with the process. write NULL: there is none, and all stays in memory. */
struct ledger_index_file {
	void *ctx;
	bulla_rc (*write)(void *ctx, uint64_t at, bulla_bytes bytes);
	bulla_rc (*read)(void *ctx, uint64_t at, uint8_t *ret, size_t size);
};

struct ledger_index_block {
	bulla_run_id first, last;
};

struct ledger_index {
	struct ledger_index_file file;
	struct ledger_index_entry *entries;
	uint32_t size, count; /* size: a power of two, or 0 */
	uint32_t try_at;      /* the file could not be written: again when so many are in the hash */
	struct ledger_index_block *blocks;
	uint32_t block_count, block_room;
};

/* Frees the index; its file stays the owner's. */
void ledger_index_done(struct ledger_index *index);

/* Adds, or replaces what is there for this run. BULLA_E_LIMIT, BULLA_E_MEMORY. */
BULLA_CHECK bulla_rc ledger_index_put(struct ledger_index *index, const bulla_run_id *run, uint32_t first, uint32_t last);

/* *ret_found false: no such run was put. BULLA_E_CORRUPT, BULLA_E_IO: the file cannot be read, and the answer is not known. */
BULLA_CHECK bulla_rc ledger_index_get(const struct ledger_index *index, const bulla_run_id *run, bool *ret_found,
	uint32_t *ret_first, uint32_t *ret_last);

/* A batch's page number and back. BULLA_E_LIMIT after 2^18 segments. */
BULLA_CHECK bulla_rc ledger_index_page(struct bulla_journal_place place, uint32_t *ret);
struct bulla_journal_place ledger_index_place(uint32_t page);
