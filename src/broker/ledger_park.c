#include "broker/ledger_state.h"

#include "base/limits.h"

/* Runs that have ended leave memory, oldest first, and come back from the journal when somebody asks for them. */

static void list_closed(struct bulla_ledger *ledger, struct ledger_run *run)
{
	struct ledger_run *last = ledger_pool_at(&ledger->runs, ledger->last_closed);

	run->listed = true;
	run->next_closed = 0;
	*(last != NULL ? &last->next_closed : &ledger->first_closed) = run->number;
	ledger->last_closed = run->number;
	ledger->closed_count++;
}

/* A record of this run was gathered: its place will be known when it is durable. */
bulla_rc ledger_touch(struct bulla_ledger *ledger, struct ledger_run *run, uint64_t lsn)
{
	void *p = NULL;

	run->last_lsn = lsn;
	if (run->fold.state != BULLA_RUN_OPEN && !run->listed)
		list_closed(ledger, run);
	if (ledger->world.read == NULL)
		return BULLA_OK;
	BULLA_TRY(ledger_queue_push(&ledger->touches, &p));
	*(struct ledger_touch *)p = (struct ledger_touch){lsn, run->number};
	return BULLA_OK;
}

static void forget(struct bulla_ledger *ledger, struct ledger_run *run)
{
	ledger->first_closed = run->next_closed;
	if (ledger->first_closed == 0)
		ledger->last_closed = 0;
	ledger->closed_count--;
	ledger_run_remove(ledger, run);
}

static bulla_rc evict(struct bulla_ledger *ledger)
{
	while (ledger->closed_count > ledger->closed_kept) {
		struct ledger_run *run = ledger_pool_at(&ledger->runs, ledger->first_closed);
		bulla_rc rc;

		if (run->last_lsn >= ledger->placed_lsn)
			return BULLA_OK; /* not durable yet */
		rc = ledger_index_put(&ledger->index, &run->id, run->first_page, run->last_page);
		if (rc == BULLA_E_LIMIT)
			return BULLA_OK; /* they stay, and new runs find no place */
		BULLA_TRY(rc);
		forget(ledger, run);
	}
	return BULLA_OK;
}

bulla_rc bulla_ledger_placed(struct bulla_ledger *ledger, uint64_t lsn, uint32_t count, struct bulla_journal_place at)
{
	const struct ledger_touch *touch;
	uint32_t page = 0;

	if (ledger->world.read == NULL)
		return BULLA_OK;
	BULLA_TRY(ledger_index_page(at, &page));
	while ((touch = ledger_queue_front(&ledger->touches)) != NULL && touch->lsn < lsn + count) {
		struct ledger_run *run = ledger_pool_at(&ledger->runs, touch->run);

		if (run->first_page == 0)
			run->first_page = page;
		run->last_page = page;
		ledger_queue_pop(&ledger->touches);
	}
	ledger->placed_lsn = lsn + count;
	return evict(ledger);
}

/* --- coming back --- */

struct loading {
	struct bulla_ledger *ledger;
	const bulla_run_id *id;
	struct ledger_run *run; /* NULL until its RUN record was met */
	uint64_t run_no;
};

static bulla_rc load_run(struct loading *loading, const struct bulla_journal_record *record, const struct ledger_fact *fact)
{
	struct bulla_ledger *ledger = loading->ledger;
	uint64_t next_run_no = ledger->next_run_no;
	struct bulla_start_record start;
	bulla_rc rc;

	BULLA_TRY(bulla_start_record_decode(fact->rest, &start));
	if (!bulla_run_id_eq(&start.start.run, loading->id))
		return BULLA_OK;
	ledger->next_run_no = record->run_no;
	rc = ledger_replay_fact(ledger, NULL, fact);
	ledger->next_run_no = next_run_no;
	ledger->counts.runs--;
	BULLA_TRY(rc);
	loading->run = ledger_run_find(ledger, loading->id);
	loading->run->seq = record->seq + 1;
	loading->run_no = record->run_no;
	return BULLA_OK;
}

static bulla_rc load_record(void *arg, const struct bulla_journal_record *record, struct bulla_journal_place at)
{
	struct loading *loading = arg;
	struct ledger_fact fact;
	bulla_run_id id;
	bool named;

	(void)at;
	if (record->lsn >= loading->ledger->next_lsn)
		return BULLA_OK; /* in a replay: not yet */
	if (loading->run != NULL ? record->run_no != loading->run_no : record->type != BULLA_LEDGER_RUN)
		return BULLA_OK;
	BULLA_TRY(ledger_fact_of(record, &fact, &id, &named));
	if (loading->run == NULL)
		return load_run(loading, record, &fact);
	BULLA_TRY(ledger_replay_fact(loading->ledger, loading->run, &fact));
	loading->run->seq = record->seq + 1;
	loading->run->last_lsn = record->lsn;
	return BULLA_OK;
}

/* It was counted and had its tokens before. */
static bulla_rc load(struct bulla_ledger *ledger, struct loading *loading, uint32_t first, uint32_t last)
{
	struct bulla_ledger_counts counts = ledger->counts;
	uint32_t pending = ledger->pending.count;
	bulla_rc rc = ledger->world.read(ledger->world.ctx, ledger_index_place(first), ledger_index_place(last), load_record,
		loading);

	ledger->counts = counts;
	ledger->pending.count = pending;
	return rc;
}

/* Only what has ended leaves memory: a run that comes back without its end, or not at all, lacks records. Half of them would
 * be a run that goes on. */
static bulla_rc load_whole(struct bulla_ledger *ledger, struct loading *loading, uint32_t first, uint32_t last)
{
	bulla_rc rc = load(ledger, loading, first, last);
	struct ledger_run *run = ledger_run_find(ledger, loading->id);

	if (rc == BULLA_OK && (loading->run == NULL || loading->run->fold.state == BULLA_RUN_OPEN))
		rc = BULLA_FAIL(BULLA_E_CORRUPT, "the journal does not show all records of a run that has ended");
	if (rc != BULLA_OK && run != NULL)
		ledger_run_remove(ledger, run);
	return rc;
}

bulla_rc ledger_run_get(struct bulla_ledger *ledger, const bulla_run_id *id, struct ledger_run **ret)
{
	struct loading loading = {.ledger = ledger, .id = id};
	uint32_t first = 0, last = 0;
	bool known = false;

	*ret = ledger_run_find(ledger, id);
	if (*ret != NULL)
		return BULLA_OK;
	BULLA_TRY(ledger_index_get(&ledger->index, id, &known, &first, &last));
	if (!known)
		return BULLA_OK;
	BULLA_TRY(load_whole(ledger, &loading, first, last));
	loading.run->first_page = first;
	loading.run->last_page = last;
	list_closed(ledger, loading.run);
	*ret = loading.run;
	return BULLA_OK;
}
