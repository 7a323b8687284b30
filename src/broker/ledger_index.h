#pragma once
/* Where the records of runs lie that are no longer in memory: 24 bytes a run. Built anew by each replay. */
#include "journal/recover.h"
#include "receipt/position.h"

struct ledger_index_entry {
	bulla_run_id run;     /* whole: starters choose ids, and two that look alike must not take each other's place */
	uint32_t first, last; /* pages of its first and last batch, counted through all segments from 1 on; first 0: free */
};

struct ledger_index {
	struct ledger_index_entry *entries;
	uint32_t size, count; /* size: a power of two, or 0 */
};

void ledger_index_done(struct ledger_index *index);

/* Adds, or replaces what is there for this run. BULLA_E_LIMIT, BULLA_E_MEMORY. */
BULLA_CHECK bulla_rc ledger_index_put(struct ledger_index *index, const bulla_run_id *run, uint32_t first, uint32_t last);

/* False: no such run was put. */
bool ledger_index_get(const struct ledger_index *index, const bulla_run_id *run, uint32_t *ret_first, uint32_t *ret_last);

/* A batch's page number and back. BULLA_E_LIMIT after 2^18 segments. */
BULLA_CHECK bulla_rc ledger_index_page(struct bulla_journal_place place, uint32_t *ret);
struct bulla_journal_place ledger_index_place(uint32_t page);
