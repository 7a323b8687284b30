#pragma once
/* Run secrets of resident runs, in memory only: each sealed under a key that this process makes at start, so that a slot of
 * the secret slab per run is not needed. What a restart needs is the start record in the ledger (while its day key lives) or
 * a cell. */
#include "base/secret.h"
#include "base/sys.h"
#include "receipt/start.h"

#define BULLA_RUN_SECRETS_MAX 131072 /* runs, the erased ones included */

struct bulla_run_secrets;

/* None kept, under a fresh vault key. BULLA_E_MEMORY, BULLA_E_RANDOM. free takes NULL, returns NULL. */
BULLA_CHECK bulla_rc bulla_run_secrets_new(const struct bulla_random *random, struct bulla_run_secrets **ret);
struct bulla_run_secrets *bulla_run_secrets_free(struct bulla_run_secrets *secrets);

#define BULLA_RUN_SECRET_IN_CELL INT64_MAX

/* Keeps one; a run that was erased stays so. until_ms: when its day key ends, after which a restart needs a cell;
 * BULLA_RUN_SECRET_IN_CELL: it is in one (and stays known to be). BULLA_E_BUSY when the table is full. */
BULLA_CHECK bulla_rc bulla_run_secrets_put(struct bulla_run_secrets *secrets, const bulla_run_id *run, bulla_secret secret,
	int64_t until_ms);

/* A copy, owned by the caller. BULLA_E_NOT_FOUND; BULLA_E_RUN_CLOSED when it was erased. */
BULLA_CHECK bulla_rc bulla_run_secrets_get(struct bulla_run_secrets *secrets, const bulla_run_id *run, bulla_secret *ret);

/* Overwrites it for ever; remembers that. true: a cell has it, too. */
bool bulla_run_secrets_erase(struct bulla_run_secrets *secrets, const bulla_run_id *run);

/* A cell has this run's secret now. */
void bulla_run_secrets_in_cell(struct bulla_run_secrets *secrets, const bulla_run_id *run);

/* Forgets, and wipes, the runs that keep says false of; an erased run that is not kept is forgotten, too: by then the ledger
 * answers for it. */
void bulla_run_secrets_sweep(struct bulla_run_secrets *secrets, bool (*keep)(void *arg, const bulla_run_id *run), void *arg);

/* Runs in the table; those of them whose secret is kept. */
uint32_t bulla_run_secrets_count(const struct bulla_run_secrets *secrets);
uint32_t bulla_run_secrets_kept(const struct bulla_run_secrets *secrets);

/* Shows every secret that is kept, in no cell, and whose day key ends until then; the secret is borrowed. Stops at the first
 * error and returns it. */
BULLA_CHECK bulla_rc bulla_run_secrets_each(struct bulla_run_secrets *secrets, int64_t until_ms,
	bulla_rc (*each)(void *arg, const bulla_run_id *run, bulla_secret secret),
	void *arg);
