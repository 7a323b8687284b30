#include "broker/ledger_state.h"

/* The record's place, time and body, before anything is changed. BULLA_E_BUSY: the turn has no room for it. */
static bulla_rc write_record(struct bulla_ledger *ledger, const struct ledger_run *run, struct ledger_fact *fact, int64_t now_ms,
	struct bulla_journal_record *ret)
{
	fact->entry.sequence = ledger->next_lsn;
	fact->entry.time_ms = (uint64_t)now_ms > ledger->last_ms ? (uint64_t)now_ms : ledger->last_ms;
	ret->type = fact->type;
	bulla_buf_clear(&ledger->body);
	if (run != NULL && run->listed) {
		ret->flags = LEDGER_NAMED;
		BULLA_TRY(bulla_buf_append(&ledger->body, bulla_run_id_view(&run->id)));
	}
	BULLA_TRY(ledger_fact_write(fact, &ledger->body));
	ret->body = bulla_buf_view(&ledger->body);
	if (ledger->touches.count == LEDGER_TOUCHES ||
		bulla_buf_reserve(&ledger->records, BULLA_JOURNAL_RECORD_HEADER + ret->body.n) != BULLA_OK)
		return BULLA_FAIL(BULLA_E_BUSY, "the turn's records are full");
	return BULLA_OK;
}

bulla_rc ledger_say(struct bulla_ledger *ledger, struct ledger_run *run, struct ledger_fact *fact, int64_t now_ms)
{
	struct bulla_journal_record record = {.type = 0};
	bool was_open = run == NULL || run->fold.state == BULLA_RUN_OPEN;

	BULLA_TRY(write_record(ledger, run, fact, now_ms, &record));
	if (fact->type == BULLA_LEDGER_RUN)
		BULLA_TRY(ledger_apply_run(ledger, fact, &run));
	else
		BULLA_TRY(ledger_apply(ledger, run, fact));
	record.run_no = run != NULL ? run->run_no : 0;
	record.seq = run != NULL ? run->seq++ : 0;
	BULLA_TRY(bulla_journal_record_put(&record, &ledger->records));
	if (run != NULL)
		BULLA_TRY(ledger_touch(ledger, run, ledger->next_lsn));
	ledger->record_count++;
	ledger->hurry = ledger->hurry || fact->type != BULLA_LEDGER_STORED;
	ledger->next_lsn++;
	if (run != NULL && was_open && run->fold.state != BULLA_RUN_OPEN)
		ledger->world.erase_secret(ledger->world.ctx, &run->id);
	return BULLA_OK;
}
