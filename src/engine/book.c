#include "engine/state.h"

#include "base/mem.h"
#include "receipt/receipt.h"

#define TOKEN_AGAIN_MS 100
#define AHEAD_RUNS 4

/* --- journal --- */

static bulla_rc pending_grow(struct bulla_engine *e)
{
	uint32_t capacity = e->pending_capacity ? 2 * e->pending_capacity : 1024;
	struct pending_record *larger;
	void *p;

	BULLA_TRY(bulla_alloc(capacity, sizeof(*e->pending), &p));
	larger = p;
	for (uint32_t i = 0; i < e->pending_count; i++)
		larger[i] = e->pending[(e->pending_head + i) % e->pending_capacity];
	bulla_free(e->pending);
	e->pending = larger;
	e->pending_head = 0;
	e->pending_capacity = capacity;
	return BULLA_OK;
}

static bulla_rc pending_add(struct bulla_engine *e, const struct pending_record *record)
{
	if (e->pending_count == e->pending_capacity)
		BULLA_TRY(pending_grow(e));
	e->pending[(e->pending_head + e->pending_count++) % e->pending_capacity] = *record;
	return BULLA_OK;
}

bulla_rc book_append(struct bulla_engine *e, uint32_t index, uint8_t type, uint16_t step, uint32_t attempt,
	bulla_bytes body, bool urgent)
{
	struct run *run = index == NO_REF ? NULL : run_at(e, index);
	struct bulla_journal_record record = {
		.run_no = run ? run->run_no : 0, .seq = run ? run->seq++ : 0, .type = type, .body = body};
	struct pending_record pending = {.run = index,
		.generation = run ? run->generation : 0,
		.bytes = (uint32_t)(BULLA_JOURNAL_RECORD_HEADER + body.n),
		.attempt = attempt,
		.step = step,
		.type = type};

	BULLA_TRY(bulla_journal_record_put(&record, &e->journal));
	BULLA_TRY(pending_add(e, &pending));
	e->objects_pending += type == BULLA_HOST_OBJECT;
	e->journal_count++;
	e->journal_urgent = e->journal_urgent || urgent;
	return BULLA_OK;
}

/* Beyond one batch under way and one that waits, gathering here is as good as there; what nobody waits for is gathered
 * there until somebody does. */
#define URGENT_SUBMISSIONS 2
#define LAZY_SUBMISSIONS 32

/* Somebody waits for what was gathered before nobody did. */
static bulla_rc hurry(struct bulla_engine *e)
{
	e->journal_hurry = false;
	e->journal_urgent = e->journal_urgent || e->journal_count > 0;
	return e->effects.append(e->effects.ctx, (bulla_bytes){NULL, 0}, 0, true);
}

bulla_rc book_turn(struct bulla_engine *e)
{
	bool room;

	if (e->journal_hurry)
		BULLA_TRY(hurry(e));
	room = e->journal_urgent ? e->urgent_submissions < URGENT_SUBMISSIONS : e->submissions < LAZY_SUBMISSIONS;

	return room ? book_flush(e) : BULLA_OK;
}

static void note_submitted(struct bulla_engine *e, uint32_t last)
{
	struct pending_record *record = &e->pending[(e->pending_head + last) % e->pending_capacity];

	record->last = true;
	record->urgent = e->journal_urgent;
	e->submissions++;
	e->urgent_submissions += record->urgent ? 1 : 0;
}

/* How many of the gathered records fit one batch, and their bytes; their offsets are those in that submission. */
static uint32_t fitting(struct bulla_engine *e, size_t *ret_bytes)
{
	uint32_t first = e->pending_count - e->journal_count, n = 0;
	size_t bytes = 0;

	while (n < e->journal_count) {
		struct pending_record *record = &e->pending[(e->pending_head + first + n) % e->pending_capacity];

		if (bytes + record->bytes > BULLA_MAX_JOURNAL_BATCH - BULLA_JOURNAL_PAGE)
			break;
		record->offset = (uint32_t)bytes;
		bytes += record->bytes;
		n++;
	}
	*ret_bytes = bytes;
	return n;
}

_Static_assert(BULLA_MAX_RECORD + 2 * BULLA_JOURNAL_PAGE <= BULLA_MAX_JOURNAL_BATCH, "a record goes into a batch");

/* Submits what was gathered, in pieces of a batch; what does not go now goes with a later turn. */
bulla_rc book_flush(struct bulla_engine *e)
{
	while (e->journal_count > 0) {
		size_t bytes;
		uint32_t first = e->pending_count - e->journal_count, n = fitting(e, &bytes);
		bulla_rc rc;

		if (n == 0)
			return BULLA_FAIL(BULLA_E_LIMIT, "a record larger than a batch");
		rc = e->effects.append(e->effects.ctx, bulla_bytes_of(e->journal.p, bytes), n, e->journal_urgent);
		if (rc == BULLA_E_BUSY)
			return BULLA_OK;
		BULLA_TRY(rc);
		note_submitted(e, first + n - 1);
		e->journal_count -= n;
		if (e->journal_count > 0)
			bulla_buf_consume(&e->journal, bytes);
		else
			e->journal.n = 0;
	}
	e->journal_urgent = false;
	return BULLA_OK;
}

static bulla_rc tell_row(struct bulla_engine *e, uint32_t index, uint64_t closed_lsn)
{
	struct run *run = run_at(e, index);
	bulla_wr w = bulla_wr_buf(clear_buf(&e->scratch));
	struct bulla_rec_row row = {.run = run->id,
		.run_no = run->run_no,
		.replay_lsn = bulla_engine_replay_lsn(e),
		.closed_lsn = closed_lsn,
		.workflow = run_workflow(e, run)->digest,
		.start = run->start,
		.epoch = e->projects[run->manifest].manifest.epoch,
		.closed = book_closed(e, run)};
	bulla_bytes bytes;

	if (run->spans)
		row.spans = bulla_bytes_of(run->spans->data, (size_t)run->span_count * BULLA_REC_SPAN_BYTES);
	bulla_rec_row_write(&w, &row);
	BULLA_TRY(bulla_wr_end(&w, &bytes));
	return e->effects.tell(e->effects.ctx, BULLA_ENGINE_PUT_ROW, bytes);
}

/* One record of a run is durable. */
bulla_rc book_replayed(struct bulla_engine *e, const struct pending_record *record, uint64_t lsn,
	struct bulla_engine_place place)
{
	struct run *run = run_at(e, record->run);

	if (run->generation != record->generation || run->used != 1)
		return BULLA_OK;
	place.offset += record->offset;
	place.bytes = record->bytes;
	BULLA_TRY(run_span(e, run, place));
	if (record->type == BULLA_HOST_STARTED) {
		run->start_durable = true;
		run->first_lsn = lsn;
		return client_start_durable(e, record->run);
	}
	if (record->type == BULLA_HOST_RESULT)
		return runner_result_durable(e, ref_of(record->run, record->step), record->attempt);
	if (record->type == BULLA_HOST_CLOSED) {
		run_keep(e, record->run);
		return tell_row(e, record->run, lsn);
	}
	return BULLA_OK;
}

bulla_rc book_durable(struct bulla_engine *e, uint64_t lsn, struct bulla_engine_place place)
{
	bool last = false;

	e->durable_lsn = lsn;
	while (!last && e->pending_count > 0) {
		struct pending_record record = e->pending[e->pending_head];

		e->pending_head = (e->pending_head + 1) % e->pending_capacity;
		e->pending_count--;
		last = record.last;
		e->objects_pending -= record.type == BULLA_HOST_OBJECT;
		e->submissions -= last ? 1 : 0;
		e->urgent_submissions -= record.urgent ? 1 : 0;
		if (record.run != NO_REF)
			BULLA_TRY(book_replayed(e, &record, lsn, place));
		lsn++;
	}
	e->durable_lsn = lsn;
	return BULLA_OK;
}

/* --- facts --- */

static bulla_rc apply(struct bulla_engine *e, struct run *run, const struct bulla_flow_event *event)
{
	return bulla_flow_apply(run_flow(e, run), &run->fold, event);
}

bulla_rc book_begin(struct bulla_engine *e, uint32_t index, int64_t at_ms)
{
	struct run *run = run_at(e, index);
	struct bulla_flow_event event = {.kind = BULLA_FLOW_STARTED, .at_ms = at_ms, .digest = run->start};

	return apply(e, run, &event);
}

static enum bulla_step_state state_after(const struct work *work, const struct bulla_flow_slot *slot)
{
	if (!BULLA_OUTCOME_IS_FAILURE(work->outcome))
		return BULLA_STEP_DONE;
	return slot->state == BULLA_FLOW_FILLED ? BULLA_STEP_FAILED : BULLA_STEP_RETRYING;
}

bulla_rc book_committed(struct bulla_engine *e, ref r)
{
	struct run *run = run_by_ref(e, r);
	struct work *work = work_at(e, r);
	struct bulla_flow_event event = {.kind = BULLA_FLOW_RESULT,
		.outcome = work->outcome,
		.step = step_of(r),
		.attempt = work->attempt,
		.at_ms = e->wall_ms,
		.digest = work->receipt};

	work->phase = COMMITTED;
	run->touched_ms = e->now_ms;
	BULLA_TRY(apply(e, run, &event));
	if (run->fold.slots[step_of(r)].state == BULLA_FLOW_FILLED)
		run->steps_done++;
	else
		e->counts.retries++;
	e->counts.steps++;
	if (!e->replaying)
		book_event(e, r, state_after(work, &run->fold.slots[step_of(r)]));
	return BULLA_OK;
}

/* A receipt of the broker's own: it is committed already. */
bulla_rc book_clocked(struct bulla_engine *e, ref r, bulla_bytes receipt_bytes)
{
	struct work *work = work_at(e, r);
	struct bulla_msg_executed executed = {.receipt = receipt_bytes};
	struct bulla_receipt_record receipt;
	struct bulla_rec_result result = {.at_ms = e->wall_ms, .step = step_of(r), .attempt = work->attempt};
	bulla_bytes view;
	bulla_wr w;

	if (bulla_receipt_record_decode(executed.receipt, &receipt) != BULLA_OK ||
		receipt.receipt.position.slot.step != step_of(r) || receipt.receipt.position.attempt != work->attempt)
		return BULLA_E_AGAIN;
	work->receipt = receipt.digest;
	work->maker = receipt.receipt.kid;
	work->outcome = result.outcome = receipt.receipt.outcome;
	BULLA_TRY(bulla_pool_take(&e->pool, BULLA_REC_RESULT_HEAD + bulla_msg_size(&bulla_msg_executed_desc, &executed),
		&work->result));
	w = bulla_wr_fixed(work->result->data, work->result->size);
	bulla_rec_result_write(&w, &result);
	bulla_msg_executed_encode(&executed, &w);
	BULLA_TRY(bulla_wr_end(&w, &view));
	BULLA_TRY(book_append(e, run_of(r), BULLA_HOST_RESULT, step_of(r), work->attempt, view, false));
	BULLA_TRY(book_committed(e, r));
	return book_decide(e, run_of(r));
}

bulla_rc book_lost(struct bulla_engine *e, ref r)
{
	struct run *run = run_by_ref(e, r);
	struct work *work = work_at(e, r);
	struct bulla_flow_event event = {.kind = BULLA_FLOW_LOST,
		.step = step_of(r),
		.attempt = run->fold.slots[step_of(r)].attempt,
		.at_ms = e->wall_ms};

	work->phase = IDLE;
	bulla_pool_give(&e->pool, work->result);
	work->result = NULL;
	e->counts.lost++;
	return apply(e, run, &event);
}

/* --- commands --- */

/* The fold counts by the dates of facts, and the clock that gave them may have been wrong: nobody waits for longer than the
 * plan can mean. A sleep's end is the broker's word anyway. */
int64_t book_wait(struct bulla_engine *e, ref r, int64_t due_ms)
{
	struct run *run = run_by_ref(e, r);
	const struct bulla_flow_step *step = &run_flow(e, run)->steps[step_of(r)];
	int64_t most = step->kind == BULLA_FLOW_AGENT ? step->backoff_max_ms + step->backoff_max_ms / 4 : step->timeout_ms;

	if (step->kind == BULLA_FLOW_AGENT && run->fold.slots[step_of(r)].failures == 0)
		return 0;
	if (due_ms <= e->wall_ms)
		return 0;
	return due_ms - e->wall_ms < most ? due_ms - e->wall_ms : most;
}

static bulla_rc ask_clock(struct bulla_engine *e, ref r, const struct bulla_flow_command *command)
{
	struct work *work = work_at(e, r);
	int64_t wait = book_wait(e, r, command->due_ms);

	if (work->speculated && work->attempt == command->attempt)
		work->speculated = false; /* its permit will be refused, and so lead here again */
	if (work->phase != IDLE && work->phase != COMMITTED)
		return BULLA_OK; /* under way: its end, or the refused permit, leads to the clock */
	bulla_pool_give(&e->pool, work->result);
	work->result = NULL;
	work->durable = work->escrowed = false;
	work->phase = CLOCKED;
	work->attempt = command->attempt;
	return wait > 0 ? timer_add(e, e->now_ms + wait, r, command->attempt) : advance_add(e, r);
}

static bulla_rc obey(struct bulla_engine *e, uint32_t index, const struct bulla_flow_command *command)
{
	ref r = ref_of(index, command->step);

	switch (command->kind) {
	case BULLA_FLOW_RUN:
	case BULLA_FLOW_UNDO:
		return runner_want(e, r, command->attempt, command->due_ms);
	case BULLA_FLOW_ASK_CLOCK:
		return ask_clock(e, r, command);
	case BULLA_FLOW_STOP:
		return runner_stop(e, r);
	case BULLA_FLOW_COMPLETE:
	case BULLA_FLOW_FAIL:
		return book_finish(e, index);
	default: /* a party's answer comes by itself */
		return BULLA_OK;
	}
}

bulla_rc book_decide(struct bulla_engine *e, uint32_t index)
{
	struct bulla_flow_command commands[16];
	size_t n;

	do {
		struct run *run = run_at(e, index);

		BULLA_TRY(bulla_flow_decide(run_flow(e, run), &run->fold, commands, 16, &n));
		for (size_t i = 0; i < n; i++)
			BULLA_TRY(obey(e, index, &commands[i]));
	} while (n == 16);
	return BULLA_OK;
}

bulla_rc book_resume(struct bulla_engine *e, uint32_t index)
{
	struct bulla_flow_command command;
	size_t cursor = 0, n;
	struct run *run = run_at(e, index);

	/* what is queued as new is outstanding too */
	do
		BULLA_TRY(bulla_flow_decide(run_flow(e, run), &run->fold, &command, 1, &n));
	while (n == 1);
	while (bulla_flow_outstanding(run_flow(e, run), &run->fold, &cursor, &command) == BULLA_OK) {
		enum phase phase = (enum phase)run->works[command.step].phase;

		if (phase == IDLE || phase == COMMITTED || command.kind == BULLA_FLOW_COMPLETE ||
			command.kind == BULLA_FLOW_FAIL)
			BULLA_TRY(obey(e, index, &command));
		run = run_at(e, index);
	}
	return BULLA_OK;
}

/* --- ends --- */

ref book_last(uint32_t index, const struct run *run)
{
	if (run->fold.state == BULLA_RUN_DONE)
		return ref_of(index, run->fold.result);
	return ref_of(index, run->fold.failed_step);
}

struct bulla_rec_closed book_closed(const struct bulla_engine *e, const struct run *run)
{
	bool done = run->fold.state == BULLA_RUN_DONE, stuck = run->fold.state == BULLA_RUN_STUCK;
	int64_t started_ms = run->fold.started_ms, ended_ms = run->fold.ended_ms;

	return (struct bulla_rec_closed){.started_ms = started_ms,
		.ended_ms = ended_ms > started_ms ? ended_ms : started_ms, /* the clock was set back */
		.state = run->fold.state,
		.outcome = done ? run->fold.slots[run->fold.result].outcome :
		stuck ? (uint8_t)run->why : run->fold.why,
		.failed_step = done ? 0 : run->fold.failed_step,
		.steps_done = run->steps_done,
		.steps = (uint16_t)(run_flow(e, run)->forward_count - 1)};
}

static bulla_rc append_tokens(struct bulla_engine *e, uint32_t index)
{
	struct run *run = run_at(e, index);

	for (uint32_t s = 0; s < run->fold.slot_count; s++) {
		bulla_wr w = bulla_wr_buf(clear_buf(&e->scratch));
		struct bulla_rec_token token = {.receipt = run->works[s].receipt,
						.token = bulla_block_view(run->works[s].token)};
		bulla_bytes body;

		if (!run->works[s].token)
			continue;
		bulla_rec_token_write(&w, &token);
		BULLA_TRY(bulla_wr_end(&w, &body));
		BULLA_TRY(book_append(e, index, BULLA_HOST_TOKENS, (uint16_t)s, 0, body, false));
	}
	return BULLA_OK;
}

/* A run that is over waits for the token of its last receipt: clients act on nothing else. */
static bool waits_for_token(struct bulla_engine *e, uint32_t index)
{
	struct run *run = run_at(e, index);
	const struct work *last = work_at(e, book_last(index, run));

	if (run->fold.state != BULLA_RUN_DONE && run->fold.state != BULLA_RUN_FAILED)
		return false; /* it did not end by a receipt */
	return last->result != NULL && last->phase == COMMITTED && !last->token;
}

bulla_rc book_finish(struct bulla_engine *e, uint32_t index)
{
	struct run *run = run_at(e, index);
	struct bulla_flow_event event = {.kind = BULLA_FLOW_CLOSED};
	struct bulla_rec_closed closed;
	bulla_wr w;
	bulla_bytes body;

	if (run->recorded)
		return BULLA_OK;
	if (run->parked)
		return park_finish(e, index);
	run->needs_token = waits_for_token(e, index);
	if (run->needs_token && work_at(e, book_last(index, run))->outcome >= BULLA_OUTCOME_LOST)
		advance_again(e, TOKEN_AGAIN_MS); /* the broker's own word, said again: its token may have come before it */
	if (run->needs_token)
		return BULLA_OK;
	run->recorded = true;
	for (uint32_t s = 0; s < run->fold.slot_count; s++)
		runner_release(e, ref_of(index, (uint16_t)s));
	BULLA_TRY(append_tokens(e, index));
	closed = book_closed(e, run);
	w = bulla_wr_buf(clear_buf(&e->scratch));
	bulla_rec_closed_write(&w, &closed);
	BULLA_TRY(bulla_wr_end(&w, &body));
	BULLA_TRY(book_append(e, index, BULLA_HOST_CLOSED, 0, 0, body, false));
	BULLA_TRY(apply(e, run, &event));
	if (closed.state == BULLA_RUN_DONE)
		e->counts.done++;
	else
		e->counts.failed++;
	return client_ended(e, index);
}

bulla_rc book_abort(struct bulla_engine *e, uint32_t index, uint8_t state, bulla_rc why)
{
	struct run *run = run_at(e, index);

	if (run->fold.state != BULLA_RUN_OPEN && !(run->needs_token && state == BULLA_RUN_STUCK))
		return book_finish(e, index);
	run->why = why;
	run->fold.state = state;
	run->fold.ended_ms = e->wall_ms;
	run->fold.why = BULLA_OUTCOME_DENIED;
	for (uint32_t s = 0; s < run->fold.slot_count; s++)
		if (run->fold.slots[s].state == BULLA_FLOW_WANTED)
			run->fold.failed_step = (uint16_t)s;
	run->fold.announced = 1;
	if (state == BULLA_RUN_STUCK)
		e->effects.note(e->effects.ctx, BULLA_NOTE_RUN_STUCK, run->run_no);
	return book_finish(e, index);
}

/* The ledger answered before that it has the last receipt, and now that it never had: an old one was put back. */
bulla_rc book_token_refused(struct bulla_engine *e, uint32_t index, bulla_rc why)
{
	if (why == BULLA_E_RUN_UNKNOWN)
		run_at(e, index)->start_known = false;
	if (why != BULLA_E_RUN_UNKNOWN && why != BULLA_E_BUSY && why != BULLA_E_AGAIN)
		return book_abort(e, index, BULLA_RUN_STUCK, BULLA_E_STATE_OLD);
	advance_again(e, TOKEN_AGAIN_MS);
	return BULLA_OK;
}

/* --- progress for followers --- */

/* Why an open run does not move: no broker, or no enclave for a step that is wanted. */
bulla_rc book_why(struct bulla_engine *e, const struct run *run)
{
	if (run->recorded)
		return BULLA_OK;
	if (e->broker == 0)
		return BULLA_E_BROKER;
	for (uint32_t s = 1; s < run->fold.slot_count; s++) {
		const struct bulla_flow_step *step = &run_flow(e, run)->steps[s];
		bulla_rc why = run->works[s].phase == QUEUED ? runner_why(e, run, run_workflow(e, run)->agent_of[step->actor]) : BULLA_OK;

		if (why != BULLA_OK)
			return why;
	}
	return BULLA_OK;
}

void book_event(struct bulla_engine *e, ref r, enum bulla_step_state state)
{
	struct run *run = run_by_ref(e, r);
	const struct work *work = work_at(e, r);
	struct bulla_msg_run_event event;
	bulla_wr w;
	bulla_bytes body;
	bool followed = false;

	for (uint32_t i = run->waiters; i != NO_REF; i = e->waiters[i].next)
		followed = followed || e->waiters[i].follow;
	if (!followed)
		return;
	event = (struct bulla_msg_run_event){.run_id = bulla_run_id_view(&run->id),
		.step = step_of(r),
		.attempt = work->attempt,
		.state = state,
		.outcome = work->outcome,
		.at_ms = (uint64_t)e->wall_ms,
		.why = state == BULLA_STEP_WAITING ? book_why(e, run) : BULLA_OK};
	if (state != BULLA_STEP_RUNNING && work->since_ms > 0)
		event.took_us = (uint64_t)(e->now_ms - work->since_ms) * 1000;
	w = bulla_wr_buf(clear_buf(&e->scratch));
	bulla_msg_run_event_encode(&event, &w);
	if (bulla_wr_end(&w, &body) != BULLA_OK)
		return;
	for (uint32_t i = run->waiters; i != NO_REF; i = e->waiters[i].next)
		if (e->waiters[i].follow)
			e->effects.event(e->effects.ctx, e->waiters[i].peer, e->waiters[i].op, e->waiters[i].stream, body);
}

/* With few runs under way latency counts: who follows checks the last receipt's signature while the ledger makes its commit
 * durable. It acts on nothing before the token. */
bulla_rc book_ahead(struct bulla_engine *e, ref r)
{
	const struct run *run = run_by_ref(e, r);
	struct bulla_msg_run_result m = {.run_id = bulla_run_id_view(&run->id), .state = BULLA_RUN_OPEN};
	struct bulla_rec_result result;
	struct bulla_msg_executed executed;
	bulla_bytes body;
	bulla_wr w;

	if (e->counts.open > AHEAD_RUNS)
		return BULLA_OK;
	BULLA_TRY(bulla_rec_result_read(bulla_block_view(work_at(e, r)->result), &result));
	BULLA_TRY(bulla_msg_executed_decode(result.executed, &executed));
	m.receipts = bulla_pb_list_of(&executed.receipt, 1);
	w = bulla_wr_buf(clear_buf(&e->out));
	bulla_msg_run_result_encode(&m, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	for (uint32_t i = run->waiters; i != NO_REF; i = e->waiters[i].next)
		if (e->waiters[i].follow)
			e->effects.event(e->effects.ctx, e->waiters[i].peer, BULLA_OP_GET, e->waiters[i].stream, body);
	return BULLA_OK;
}
