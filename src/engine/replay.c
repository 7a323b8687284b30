#include "engine/state.h"

#include "base/mem.h"
#include "receipt/receipt.h"
#include "receipt/start.h"

#define SYNC_RUNS 1000
#define LIMBO_MS 2000

/* --- reading the journal back --- */

#define NUMBERS 16384u

/* Resident runs by number while the journal is read: one that waits for long may stand before millions of others. */
static bulla_rc map_put(struct bulla_engine *e, uint64_t run_no, uint32_t index)
{
	void *p;

	if (run_no <= e->replay_last)
		return BULLA_FAIL(BULLA_E_CORRUPT, "a run number twice, or out of order");
	if (!e->replay_numbers) {
		BULLA_TRY(bulla_alloc(NUMBERS, sizeof(*e->replay_numbers), &p));
		e->replay_numbers = p;
	}
	e->replay_last = run_no;
	run_at(e, index)->next_number = e->replay_numbers[run_no % NUMBERS];
	e->replay_numbers[run_no % NUMBERS] = index + 1;
	return BULLA_OK;
}

void replay_forget(struct bulla_engine *e, uint32_t index)
{
	struct run *run = run_at(e, index);
	uint32_t *link = e->replay_numbers ? &e->replay_numbers[run->run_no % NUMBERS] : NULL;

	while (link && *link != 0 && *link != index + 1)
		link = &run_at(e, *link - 1)->next_number;
	if (link && *link != 0)
		*link = run->next_number;
}

void replay_done(struct bulla_engine *e)
{
	bulla_free(e->replay_numbers);
	e->replay_numbers = NULL;
}

/* NO_REF: a run that began before what is replayed, or was forgotten since; it has ended then. */
static uint32_t map_get(struct bulla_engine *e, uint64_t run_no)
{
	uint32_t at = e->replay_numbers ? e->replay_numbers[run_no % NUMBERS] : 0;

	while (at != 0 && run_at(e, at - 1)->run_no != run_no)
		at = run_at(e, at - 1)->next_number;
	return at == 0 ? NO_REF : at - 1;
}

static bulla_rc replay_started(struct bulla_engine *e, const struct bulla_journal_record *record,
	struct bulla_engine_place place)
{
	struct bulla_rec_started started;
	struct bulla_msg_start message;
	struct bulla_start_record start;
	uint16_t project, workflow;
	uint32_t index;
	struct run *run;

	BULLA_TRY(bulla_rec_started_read(record->body, &started));
	BULLA_TRY(bulla_msg_start_decode(started.start, &message));
	BULLA_TRY(bulla_start_record_decode(message.record, &start));
	if (run_find(e, &start.start.run) != NO_REF)
		return BULLA_FAIL(BULLA_E_CORRUPT, "a run was started twice");
	BULLA_TRY(find_workflow(e, &start.start, &project, &workflow));
	BULLA_TRY(run_new(e, &start.start.run, project, workflow, &index));
	run = run_at(e, index);
	run->run_no = record->run_no;
	BULLA_TRY(map_put(e, record->run_no, index));
	if (e->next_run_no <= record->run_no)
		e->next_run_no = record->run_no + 1;
	run->seq = record->seq + 1;
	run->start = start.digest;
	run->start_durable = true;
	run->unsynced = true;
	run->first_lsn = record->lsn;
	BULLA_TRY(run_span(e, run, place));
	BULLA_TRY(bulla_pool_copy(&e->pool, record->body, &run->started));
	return book_begin(e, index, started.at_ms);
}

/* What the journal implies: a later record of a step or of its descendants says that its pending result was taken. */
static bulla_rc settle(struct bulla_engine *e, uint32_t index, uint32_t step, uint32_t attempt)
{
	struct run *run = run_at(e, index);
	const struct bulla_flow *flow = run_flow(e, run);
	uint64_t needed[BULLA_MAX_FLOW_STEPS / 64] = {0};

	for (uint32_t s = step; s > 0; s--) {
		if (s != step && (needed[s / 64] >> (s % 64) & 1) == 0)
			continue;
		for (uint32_t k = 0; k < flow->steps[s].deps.count; k++) {
			uint16_t dep = flow->refs[flow->steps[s].deps.first + k];

			needed[dep / 64] |= (uint64_t)1 << (dep % 64);
		}
	}
	for (uint32_t s = 1; s <= step; s++) {
		const struct work *work = &run->works[s];
		bool needs = s == step ? work->attempt < attempt : (needed[s / 64] >> (s % 64) & 1) != 0;

		if (needs && work->phase == COMMITTING && work->result &&
			run->fold.slots[s].state == BULLA_FLOW_WANTED && run->fold.state == BULLA_RUN_OPEN)
			BULLA_TRY(book_committed(e, ref_of(index, (uint16_t)s)));
	}
	return BULLA_OK;
}

static bulla_rc replay_result(struct bulla_engine *e, uint32_t index, const struct bulla_journal_record *record)
{
	struct run *run = run_at(e, index);
	struct bulla_rec_result result;
	struct bulla_msg_executed executed;
	struct bulla_receipt_record receipt;
	struct work *work;

	BULLA_TRY(bulla_rec_result_read(record->body, &result));
	if (result.step == 0 || result.step >= run->fold.slot_count)
		return BULLA_FAIL(BULLA_E_CORRUPT, "a result of no step");
	BULLA_TRY(settle(e, index, result.step, result.attempt));
	/* attempts that the ledger said were lost leave no record here */
	while (run->fold.slots[result.step].state == BULLA_FLOW_WANTED &&
		run->fold.slots[result.step].attempt < result.attempt)
		BULLA_TRY(book_lost(e, ref_of(index, result.step)));
	work = &run->works[result.step];
	if (run->fold.slots[result.step].state != BULLA_FLOW_WANTED ||
		run->fold.slots[result.step].attempt != result.attempt)
		return BULLA_OK;
	if (record->type == BULLA_HOST_GIVEN_UP)
		return book_lost(e, ref_of(index, result.step));
	BULLA_TRY(bulla_msg_executed_decode(result.executed, &executed));
	BULLA_TRY(bulla_receipt_record_decode(executed.receipt, &receipt));
	bulla_pool_give(&e->pool, work->result);
	work->result = NULL;
	BULLA_TRY(bulla_pool_copy(&e->pool, record->body, &work->result));
	work->receipt = receipt.digest;
	work->maker = receipt.receipt.kid;
	work->outcome = receipt.receipt.outcome;
	work->attempt = result.attempt;
	work->phase = COMMITTING;
	work->durable = true;
	return BULLA_OK;
}

static bulla_rc replay_token(struct bulla_engine *e, uint32_t index, bulla_bytes body)
{
	struct run *run = run_at(e, index);
	struct bulla_rec_token token;

	BULLA_TRY(bulla_rec_token_read(body, &token));
	for (uint32_t s = 1; s < run->fold.slot_count; s++)
		if (run->works[s].result && !run->works[s].token &&
			bulla_digest_eq(&run->works[s].receipt, &token.receipt))
			return bulla_pool_copy(&e->pool, token.token, &run->works[s].token);
	return BULLA_OK;
}

static bulla_rc replay_closed(struct bulla_engine *e, uint32_t index, bulla_bytes body)
{
	struct run *run = run_at(e, index);
	struct bulla_rec_closed closed;

	BULLA_TRY(bulla_rec_closed_read(body, &closed));
	BULLA_TRY(settle(e, index, run->fold.slot_count - 1, UINT32_MAX));
	for (uint32_t s = 1; s < run->fold.slot_count; s++)
		if (run->works[s].phase == COMMITTING && run->fold.slots[s].state == BULLA_FLOW_WANTED &&
			run->fold.state == BULLA_RUN_OPEN) /* the last receipt may have ended it */
			BULLA_TRY(book_committed(e, ref_of(index, (uint16_t)s)));
	run->fold.state = closed.state;
	run->fold.ended_ms = closed.ended_ms;
	run->fold.recorded = run->fold.announced = 1;
	if (closed.state != BULLA_RUN_DONE) {
		run->fold.why = closed.outcome;
		run->why = closed.state == BULLA_RUN_STUCK && closed.outcome < BULLA_RC_COUNT ? (bulla_rc)closed.outcome : BULLA_OK;
		run->fold.failed_step = closed.failed_step;
	}
	run->recorded = true;
	run->unsynced = false;
	return BULLA_OK;
}

static bulla_rc replay_of_run(struct bulla_engine *e, const struct bulla_journal_record *record,
	struct bulla_engine_place place)
{
	uint32_t index = map_get(e, record->run_no);
	struct run *run;
	struct pending_record done;

	if (index == NO_REF)
		return BULLA_OK;
	run = run_at(e, index);
	if (run->run_no != record->run_no || run->used != 1)
		return BULLA_OK;
	run->seq = record->seq + 1;
	switch (record->type) {
	case BULLA_HOST_RESULT:
	case BULLA_HOST_GIVEN_UP:
		BULLA_TRY(replay_result(e, index, record));
		break;
	case BULLA_HOST_TOKENS:
		BULLA_TRY(replay_token(e, index, record->body));
		break;
	default:
		BULLA_TRY(replay_closed(e, index, record->body));
		break;
	}
	if (record->type != BULLA_HOST_CLOSED)
		return run_span(e, run, place);
	/* the same as when it becomes durable */
	done = (struct pending_record){.run = index, .generation = run->generation, .type = BULLA_HOST_CLOSED, .last = true};
	done.bytes = place.bytes;
	return book_replayed(e, &done, record->lsn, place);
}

bulla_rc bulla_engine_replay(struct bulla_engine *e, const struct bulla_journal_record *record,
	struct bulla_engine_place place)
{
	bulla_rc rc;

	e->replaying = true;
	e->durable_lsn = record->lsn + 1;
	switch (record->type) {
	case BULLA_HOST_STARTED:
		rc = replay_started(e, record, place);
		break;
	case BULLA_HOST_RESULT:
	case BULLA_HOST_GIVEN_UP:
	case BULLA_HOST_TOKENS:
	case BULLA_HOST_CLOSED:
		rc = replay_of_run(e, record, place);
		break;
	case BULLA_HOST_OBJECT:
		rc = bulla_engine_recall_object(e, record->body);
		if (rc == BULLA_OK)
			rc = e->effects.tell(e->effects.ctx, BULLA_ENGINE_PUT_OBJECT, record->body);
		break;
	case BULLA_HOST_ORDER:
	case BULLA_HOST_COPIED:
		rc = BULLA_OK;
		break;
	default:
		rc = BULLA_FAIL(BULLA_E_VERSION, "a record of a newer version");
	}
	e->replaying = false;
	return rc;
}

/* --- the ledger's view --- */

static bulla_rc send_sync(struct bulla_engine *e, const bulla_bytes *ids, size_t count)
{
	struct bulla_msg_sync sync = {.runs = bulla_pb_list_of(ids, count)};
	bulla_wr w = bulla_wr_buf(clear_buf(&e->out));
	bulla_bytes body;

	bulla_msg_sync_encode(&sync, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	e->broker_stream = e->broker_stream % 0x3fffffff + 1;
	e->syncing++;
	if (e->effects.call(e->effects.ctx, e->broker, BULLA_OP_SYNC, e->broker_stream, body) != BULLA_OK)
		advance_again(e, 100);
	return BULLA_OK;
}

bulla_rc sync_ask(struct bulla_engine *e)
{
	bulla_bytes ids[SYNC_RUNS];
	size_t count = 0;

	if (e->broker == 0)
		return BULLA_OK;
	for (uint32_t index = e->newest; index != NO_REF; index = run_at(e, index)->older) {
		if (!run_at(e, index)->unsynced)
			continue;
		ids[count++] = bulla_run_id_view(&run_at(e, index)->id);
		if (count < SYNC_RUNS)
			continue;
		BULLA_TRY(send_sync(e, ids, count));
		count = 0;
	}
	return count > 0 ? send_sync(e, ids, count) : BULLA_OK;
}

/* The wanted attempt is over in the ledger: its receipt was a failure with tries left, or it was lost. */
static bulla_rc attempt_ended(struct bulla_engine *e, ref r)
{
	struct work *work = work_at(e, r);
	const struct bulla_flow_slot *slot = &run_by_ref(e, r)->fold.slots[step_of(r)];
	bool failure = work->result && work->attempt == slot->attempt && BULLA_OUTCOME_IS_FAILURE(work->outcome);

	runner_release(e, r);
	return failure ? book_committed(e, r) : book_lost(e, r);
}

static bulla_rc still_open(struct bulla_engine *e, ref r)
{
	struct work *work = work_at(e, r);

	if (work->phase != IDLE && work->phase != COMMITTED && work->phase != BACKOFF && work->phase != QUEUED &&
		work->phase != LOADING && work->phase != CLOCKED)
		return BULLA_OK; /* it goes on as it was */
	runner_release(e, r);
	work->phase = LIMBO;
	work->attempt = run_by_ref(e, r)->fold.slots[step_of(r)].attempt;
	e->have_limbo = true;
	e->limbo_until_ms = e->now_ms + LIMBO_MS;
	return BULLA_OK;
}

/* A result that was on its way to the journal here comes back from the broker. */
static bulla_rc restore(struct bulla_engine *e, ref r, const struct bulla_msg_sync_slot *m)
{
	struct work *work = work_at(e, r);
	struct bulla_msg_executed executed;
	struct bulla_receipt_record receipt;
	struct bulla_rec_result result = {
		.at_ms = e->wall_ms, .step = step_of(r), .attempt = (uint32_t)m->attempt, .executed = m->escrow};
	bulla_bytes body;
	bulla_wr w;

	BULLA_TRY(bulla_msg_executed_decode(m->escrow, &executed));
	BULLA_TRY(bulla_receipt_record_decode(executed.receipt, &receipt));
	if (!bulla_bytes_eq(bulla_bytes_digest(&receipt.digest), m->receipt))
		return BULLA_FAIL(BULLA_E_STATE_OLD, "the broker keeps another result than it committed");
	result.outcome = receipt.receipt.outcome;
	bulla_pool_give(&e->pool, work->result);
	work->result = NULL;
	BULLA_TRY(bulla_pool_take(&e->pool, BULLA_REC_RESULT_HEAD + m->escrow.n, &work->result));
	w = bulla_wr_fixed(work->result->data, work->result->size);
	bulla_rec_result_write(&w, &result);
	BULLA_TRY(bulla_wr_end(&w, &body));
	work->receipt = receipt.digest;
	work->maker = receipt.receipt.kid;
	work->outcome = result.outcome;
	work->attempt = result.attempt;
	work->durable = false;
	return book_append(e, run_of(r), BULLA_HOST_RESULT, step_of(r), work->attempt, body, true);
}

static bool has_result(const struct work *work, uint32_t attempt, bulla_bytes receipt)
{
	return work->result && work->attempt == attempt && bulla_bytes_eq(bulla_bytes_digest(&work->receipt), receipt);
}

static bulla_rc filled(struct bulla_engine *e, ref r, const struct bulla_msg_sync_slot *m)
{
	struct work *work = work_at(e, r);
	const struct bulla_flow_slot *slot = &run_by_ref(e, r)->fold.slots[step_of(r)];

	if (m->escrow.n > 0)
		work->escrowed = true;
	if (slot->state == BULLA_FLOW_FILLED)
		return bulla_bytes_eq(bulla_bytes_digest(&slot->digest), m->receipt) ? BULLA_OK : BULLA_E_FORK;
	if (slot->state == BULLA_FLOW_WAITING && m->escrow.n > 0)
		return BULLA_OK; /* a receipt of the broker's clock before it was lost here: asked again, then this comes back */
	if (slot->state != BULLA_FLOW_WANTED || slot->attempt != m->attempt)
		return BULLA_E_STATE_OLD;
	if (!has_result(work, slot->attempt, m->receipt)) {
		if (m->escrow.n == 0)
			return BULLA_E_STATE_OLD;
		BULLA_TRY(restore(e, r, m));
		run_by_ref(e, r)->sync_asked = false; /* got on: may be asked for the next one */
	}
	runner_release(e, r);
	return book_committed(e, r);
}

/* A receipt of the broker's own, which it says again when it is asked again. */
static bool is_brokers_word(struct bulla_engine *e, const struct run *run, const struct bulla_msg_sync_slot *m)
{
	return m->outcome == BULLA_OUTCOME_LOST || m->outcome == BULLA_OUTCOME_LIMIT || run_flow(e, run)->steps[m->step].kind == BULLA_FLOW_CLOCK;
}

/* Our fold may be an attempt of another slot behind the limit that it has found. */
static bulla_rc ask_again(struct bulla_engine *e, ref r)
{
	runner_release(e, r);
	work_at(e, r)->phase = CLOCKED;
	work_at(e, r)->attempt = run_by_ref(e, r)->fold.slots[step_of(r)].attempt;
	return advance_add(e, r);
}

static bool is_wanted(const struct run *run, uint64_t step)
{
	return run->fold.state == BULLA_RUN_OPEN && run->fold.slots[step].state == BULLA_FLOW_WANTED;
}

/* The ledger has an attempt of the slot and no receipt. */
static bulla_rc reconcile_open(struct bulla_engine *e, ref r, const struct bulla_msg_sync_slot *m)
{
	uint32_t wanted = run_by_ref(e, r)->fold.slots[m->step].attempt;

	if (wanted > m->attempt + 1)
		return BULLA_FAIL(BULLA_E_STATE_OLD, "the ledger has forgotten attempts");
	if (m->open && wanted == m->attempt + 1)
		work_at(e, r)->tell_lost = true; /* lost here, and the broker has not heard of it */
	if (wanted != m->attempt)
		return BULLA_OK;
	return m->open ? still_open(e, r) : attempt_ended(e, r);
}

static bulla_rc reconcile_slot(struct bulla_engine *e, uint32_t index, const struct bulla_msg_sync_slot *m)
{
	struct run *run = run_at(e, index);
	ref r;

	if (m->step == 0 || m->step >= run->fold.slot_count || m->item != 0)
		return BULLA_OK;
	r = ref_of(index, (uint16_t)m->step);
	while (is_wanted(run, m->step) && run->fold.slots[m->step].attempt < m->attempt)
		BULLA_TRY(attempt_ended(e, r));
	if (m->receipt.n > 0 && run->fold.slots[m->step].state != BULLA_FLOW_FILLED && is_brokers_word(e, run, m))
		return is_wanted(run, m->step) && m->outcome == BULLA_OUTCOME_LIMIT ? ask_again(e, r) : BULLA_OK;
	if (m->receipt.n > 0)
		return filled(e, r, m);
	return is_wanted(run, m->step) ? reconcile_open(e, r, m) : BULLA_OK;
}

static bool has_bit(const uint64_t *bits, uint64_t n)
{
	return (bits[n / 64] >> (n % 64) & 1) != 0;
}

/* Each slot of the ledger's, then the other way round: a commit or an attempt stays on record, so a ledger that does not
 * know it any more is an old one that was put back. */
static bulla_rc reconcile_slots(struct bulla_engine *e, uint32_t index, const struct bulla_msg_sync_run *m)
{
	uint64_t seen[BULLA_MAX_FLOW_STEPS / 64] = {0}, known[BULLA_MAX_FLOW_STEPS / 64] = {0};
	struct run *run = run_at(e, index);
	struct bulla_pb_iter iter;
	bulla_bytes item;

	for (iter = bulla_pb_list_begin(&m->slots); bulla_pb_list_next(&iter, &item);) {
		struct bulla_msg_sync_slot slot;

		BULLA_TRY(bulla_msg_sync_slot_decode(item, &slot));
		if (slot.step < BULLA_MAX_FLOW_STEPS) {
			seen[slot.step / 64] |= (uint64_t)1 << (slot.step % 64);
			known[slot.step / 64] |= (uint64_t)(slot.receipt.n > 0) << (slot.step % 64);
		}
		BULLA_TRY(reconcile_slot(e, index, &slot));
	}
	for (uint32_t s = 1; s < run->fold.slot_count; s++) {
		if (run->fold.slots[s].state == BULLA_FLOW_FILLED && !has_bit(known, s))
			return BULLA_FAIL(BULLA_E_STATE_OLD, "the ledger has forgotten a commit");
		if (is_wanted(run, s) && run->fold.slots[s].attempt > 1 && !has_bit(seen, s))
			return BULLA_FAIL(BULLA_E_STATE_OLD, "the ledger has forgotten attempts");
	}
	return BULLA_OK;
}

static bulla_rc reconcile(struct bulla_engine *e, uint32_t index, const struct bulla_msg_sync_run *m)
{
	struct run *run = run_at(e, index);
	bulla_rc rc;

	run->unsynced = false;
	run->start_known = m->known != 0;
	rc = reconcile_slots(e, index, m);
	if (rc == BULLA_E_MEMORY || rc == BULLA_E_IO)
		return rc;
	if (rc != BULLA_OK)
		return book_abort(e, index, BULLA_RUN_STUCK, rc);
	for (uint32_t s = 1; s < run->fold.slot_count; s++)
		if (run->works[s].phase == COMMITTING || run->works[s].phase == ASKED ||
			(run->works[s].escrowed && run->works[s].durable))
			BULLA_TRY(advance_add(e, ref_of(index, (uint16_t)s)));
	BULLA_TRY(book_resume(e, index));
	if (run->needs_token)
		BULLA_TRY(advance_add(e, book_last(index, run)));
	return BULLA_OK;
}

bulla_rc sync_answer(struct bulla_engine *e, bulla_bytes body)
{
	struct bulla_msg_synced synced;
	struct bulla_pb_iter iter;
	bulla_bytes item;
	uint64_t count = 0;

	if (e->syncing > 0)
		e->syncing--;
	if (body.n == 0 || bulla_msg_synced_decode(body, &synced) != BULLA_OK) {
		advance_again(e, 500);
		return BULLA_OK;
	}
	for (iter = bulla_pb_list_begin(&synced.runs); bulla_pb_list_next(&iter, &item);) {
		struct bulla_msg_sync_run m;
		bulla_run_id id;
		uint32_t index;

		if (bulla_msg_sync_run_decode(item, &m) != BULLA_OK ||
			bulla_bytes_copy_exact(m.run_id, sizeof(id.b), id.b) != BULLA_OK)
			continue;
		index = run_find(e, &id);
		if (index == NO_REF || run_at(e, index)->used != 1 || !run_at(e, index)->unsynced)
			continue;
		BULLA_TRY(reconcile(e, index, &m));
		count++;
	}
	e->effects.note(e->effects.ctx, BULLA_NOTE_SYNCED, count);
	for (size_t k = 0; e->have_limbo && k < e->instance_count; k++)
		if (e->instances[k].peer != 0)
			BULLA_TRY(runner_resume(e, &e->instances[k]));
	return BULLA_OK;
}

bulla_rc limbo_end(struct bulla_engine *e)
{
	uint32_t older;

	e->have_limbo = false;
	for (uint32_t index = e->newest; index != NO_REF; index = older) {
		older = run_at(e, index)->older;
		for (uint32_t s = 1; run_at(e, index)->used == 1 && s < run_at(e, index)->fold.slot_count; s++)
			if (run_at(e, index)->works[s].phase == LIMBO)
				BULLA_TRY(runner_give_up(e, ref_of(index, (uint16_t)s)));
	}
	return BULLA_OK;
}
