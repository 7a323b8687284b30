#include "engine/state.h"

#include "crypto/hash.h"
#include "receipt/receipt.h"

#define FRAME_BYTES 60000 /* stays below one chunk */
#define AGAIN_MS 100
#define TICKET_STREAM 0x40000000u

/* --- what is asked --- */

bulla_rc advance_add(struct bulla_engine *e, ref r)
{
	struct work *work = work_at(e, r);

	if (work->advancing || run_by_ref(e, r)->unsynced)
		return BULLA_OK;
	work->advancing = true;
	return list_add(&e->advancing, r, run_by_ref(e, r)->generation);
}

void advance_again(struct bulla_engine *e, int64_t delay_ms)
{
	if (e->again_ms == 0 || e->again_ms > e->now_ms + delay_ms)
		e->again_ms = e->now_ms + delay_ms;
}

bulla_rc advance_all(struct bulla_engine *e)
{
	e->again_ms = 0;
	for (uint32_t index = e->newest; index != NO_REF; index = run_at(e, index)->older) {
		struct run *run = run_at(e, index);

		for (uint32_t s = 0; s < run->fold.slot_count; s++) {
			const struct work *work = &run->works[s];

			if ((work->phase == ASKED && !work->speculated) || work->phase == COMMITTING || work->phase == CLOCKED)
				BULLA_TRY(advance_add(e, ref_of(index, (uint16_t)s)));
			if (run->needs_token && ref_of(index, (uint16_t)s) == book_last(index, run))
				BULLA_TRY(advance_add(e, ref_of(index, (uint16_t)s)));
		}
	}
	return BULLA_OK;
}

static uint64_t tag_of(struct bulla_engine *e, ref r)
{
	return (uint64_t)(run_by_ref(e, r)->generation & 0xffffff) << 40 | (uint64_t)work_at(e, r)->ask << 32 | r;
}

static void write_slot(bulla_wr *w, ref r, uint32_t attempt)
{
	struct bulla_msg_slot_ref slot = {.step = step_of(r), .attempt = attempt};

	bulla_msg_slot_ref_encode(&slot, w);
}

/* A permit for this attempt, with the parents as the given fold has them. */
static bulla_rc write_ask(struct bulla_engine *e, ref r, const struct bulla_flow_run *fold, uint32_t attempt,
	bulla_wr *w)
{
	const struct bulla_flow *flow = run_flow(e, run_by_ref(e, r));
	struct scratch *s = &e->local;
	struct bulla_msg_permit_ask ask = {.step = step_of(r), .attempt = attempt};
	size_t n;

	BULLA_TRY(bulla_flow_parents(flow, fold, step_of(r), 0, s->flow_parents, BULLA_MAX_PARENTS, &n));
	for (size_t i = 0; i < n; i++)
		s->digests[i] = bulla_bytes_digest(&s->flow_parents[i].digest);
	ask.session = BULLA_BYTES_ARRAY(e->instances[work_at(e, r)->instance - 1].session);
	ask.parents = bulla_pb_list_of(s->digests, n);
	bulla_msg_permit_ask_encode(&ask, w);
	return BULLA_OK;
}

/* What the run will want once this result is committed: the fold is tried on a copy. */
static bulla_rc speculate(struct bulla_engine *e, ref r, bulla_wr *w)
{
	struct run *run = run_by_ref(e, r);
	const struct bulla_flow *flow = run_flow(e, run);
	struct work *work = work_at(e, r), *next;
	struct bulla_flow_run copy = run->fold;
	struct bulla_flow_command command;
	struct instance *instance;
	struct bulla_flow_event event = {.kind = BULLA_FLOW_RESULT,
		.outcome = work->outcome, .step = step_of(r),
		.attempt = work->attempt, .at_ms = e->wall_ms,
		.digest = work->receipt};
	size_t n;

	if (BULLA_OUTCOME_IS_FAILURE(work->outcome) || copy.slot_count > SPECULATE_SLOTS || e->draining)
		return BULLA_OK;
	BULLA_TRY(bulla_flow_run_move(&copy, e->local.slots, SPECULATE_SLOTS));
	if (bulla_flow_apply(flow, &copy, &event) != BULLA_OK)
		return BULLA_OK;
	BULLA_TRY(bulla_flow_decide(flow, &copy, &command, 1, &n));
	if (n == 1 && command.kind == BULLA_FLOW_COMPLETE)
		return book_ahead(e, r);
	if (n == 0 || command.kind != BULLA_FLOW_RUN || command.step == step_of(r) ||
		run->fold.slots[command.step].state != BULLA_FLOW_WAITING)
		return BULLA_OK;
	next = &run->works[command.step];
	instance = runner_pick(e, run, run_workflow(e, run)->agent_of[flow->steps[command.step].actor]);
	if (!instance || next->phase != IDLE)
		return BULLA_OK;
	next->instance = (uint8_t)(instance - e->instances + 1);
	instance->reserved++;
	next->phase = ASKED;
	next->speculated = true;
	next->attempt = command.attempt;
	next->ask++;
	work->speculation = ref_of(run_of(r), command.step);
	return write_ask(e, work->speculation, &copy, command.attempt, w);
}

/* The start record, as long as the ledger does not have it. */
static bulla_rc add_start(struct run *run, struct bulla_msg_advance_run *m)
{
	struct bulla_rec_started started;
	struct bulla_msg_start start;

	if (run->start_known)
		return BULLA_OK;
	BULLA_TRY(bulla_rec_started_read(bulla_block_view(run->started), &started));
	BULLA_TRY(bulla_msg_start_decode(started.start, &start));
	m->start = start.record;
	return BULLA_OK;
}

/* The commit request, and what the run will want then. */
static bulla_rc add_commit(struct bulla_engine *e, ref r, struct bulla_msg_advance_run *m, bulla_wr *w)
{
	struct work *work = work_at(e, r);
	struct bulla_rec_result result;
	struct bulla_msg_executed executed;

	BULLA_TRY(bulla_rec_result_read(bulla_block_view(work->result), &result));
	BULLA_TRY(bulla_msg_executed_decode(result.executed, &executed));
	m->commit = executed.commit;
	if (work->escrowed && !work->durable)
		m->escrow = result.executed;
	return work->phase == COMMITTING && work->speculation == NO_REF ? speculate(e, r, w) : BULLA_OK;
}

static bool wants_entry(const struct run *run, const struct work *work)
{
	if (work->phase == ASKED || work->phase == COMMITTING || work->phase == CLOCKED)
		return true;
	return work->phase == COMMITTED && work->result && (run->needs_token || (work->escrowed && work->durable));
}

/* Results that the broker need not keep any more; items and memory: room for STORED_MAX. */
#define STORED_MAX 16
#define SLOT_BYTES 16
static bulla_rc add_stored(struct bulla_engine *e, uint32_t index, uint8_t *memory, bulla_bytes *items,
	struct bulla_msg_advance_run *m)
{
	struct run *run = run_at(e, index);
	size_t n = 0;

	for (uint32_t s = 1; s < run->fold.slot_count && n < STORED_MAX; s++) {
		struct work *work = &run->works[s];
		bulla_wr w = bulla_wr_fixed(memory + n * SLOT_BYTES, SLOT_BYTES);

		if (!work->escrowed || !work->durable || work->phase != COMMITTED)
			continue;
		write_slot(&w, ref_of(index, (uint16_t)s), work->attempt);
		BULLA_TRY(bulla_wr_end(&w, &items[n++]));
		work->escrowed = false; /* if the frame is lost, SYNC shows what the broker still keeps */
	}
	m->stored = bulla_pb_list_of(items, n);
	return BULLA_OK;
}

/* One slot's entry in an ADVANCE frame, appended to w. *ret_empty: it wants nothing any more. */
static bulla_rc write_entry(struct bulla_engine *e, ref r, bulla_wr *w, bool *ret_empty)
{
	struct run *run = run_by_ref(e, r);
	struct work *work = work_at(e, r);
	struct bulla_msg_advance_run m = {.run_id = bulla_run_id_view(&run->id)};
	uint8_t lost[SLOT_BYTES], clock[SLOT_BYTES], stored[STORED_MAX * SLOT_BYTES];
	bulla_wr wa = bulla_wr_fixed(e->local.ask, sizeof(e->local.ask)), wl = bulla_wr_fixed(lost, sizeof(lost));
	bulla_wr wc = bulla_wr_fixed(clock, sizeof(clock));
	bulla_bytes lost_view, clock_view, stored_views[STORED_MAX];

	*ret_empty = !wants_entry(run, work) || (run->parked && !run->start_known);
	if (*ret_empty)
		return run->start_known ? BULLA_OK : park_wake(e, run_of(r));
	BULLA_TRY(add_stored(e, run_of(r), stored, stored_views, &m));
	work->ask++;
	m.tag = tag_of(e, r);
	BULLA_TRY(add_start(run, &m));
	if (work->phase == COMMITTING || (work->phase == COMMITTED && run->needs_token))
		BULLA_TRY(add_commit(e, r, &m, &wa));
	if (work->phase == ASKED)
		BULLA_TRY(write_ask(e, r, &run->fold, work->attempt, &wa));
	BULLA_TRY(bulla_wr_end(&wa, &m.permit));
	if (work->tell_lost) {
		write_slot(&wl, r, work->attempt - 1);
		BULLA_TRY(bulla_wr_end(&wl, &lost_view));
		m.given_up = bulla_pb_list_of(&lost_view, 1);
	}
	if (work->phase == CLOCKED || (work->phase == COMMITTED && run->needs_token && m.commit.n == 0)) {
		write_slot(&wc, r, work->attempt);
		BULLA_TRY(bulla_wr_end(&wc, &clock_view));
		m.clock = bulla_pb_list_of(&clock_view, 1);
	}
	bulla_msg_advance_run_encode(&m, w);
	return BULLA_OK;
}

static bulla_rc send_frame(struct bulla_engine *e, size_t count)
{
	struct scratch *s = &e->local;
	bulla_bytes body;
	struct bulla_msg_advance advance;
	bulla_wr w = bulla_wr_buf(clear_buf(&e->out));

	for (size_t i = 0; i < count; i++) {
		size_t begin = i == 0 ? 0 : s->ends[i - 1];

		s->items[i] = bulla_bytes_of(e->scratch.p + begin, s->ends[i] - begin);
	}
	advance.runs = bulla_pb_list_of(s->items, count);
	bulla_msg_advance_encode(&advance, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	e->broker_stream = e->broker_stream % (TICKET_STREAM - 1) + 1;
	if (e->effects.call(e->effects.ctx, e->broker, BULLA_OP_ADVANCE, e->broker_stream, body) != BULLA_OK)
		advance_again(e, AGAIN_MS);
	return BULLA_OK;
}

bulla_rc advance_flush(struct bulla_engine *e)
{
	size_t count = 0;
	bulla_wr w = bulla_wr_buf(clear_buf(&e->scratch));

	for (uint32_t k = 0; k < e->advancing.count; k++) {
		ref r = e->advancing.items[k];
		bool empty = true;

		if (run_by_ref(e, r)->generation != e->advancing.generations[k] || run_by_ref(e, r)->used == 0)
			continue;
		work_at(e, r)->advancing = false;
		if (e->broker == 0)
			continue; /* broker_up asks for everything */
		BULLA_TRY(write_entry(e, r, &w, &empty));
		if (empty)
			continue;
		e->local.ends[count++] = e->scratch.n;
		if (count < ADVANCE_RUNS && e->scratch.n < FRAME_BYTES)
			continue;
		BULLA_TRY(send_frame(e, count));
		count = 0;
		w = bulla_wr_buf(clear_buf(&e->scratch));
	}
	e->advancing.count = 0;
	return count > 0 ? send_frame(e, count) : BULLA_OK;
}

/* --- what is answered --- */

static bulla_rc permit_refused(struct bulla_engine *e, ref r, bulla_rc rc)
{
	struct work *work = work_at(e, r);
	struct run *run = run_by_ref(e, r);

	if (runner_is_of_instance(rc)) {
		runner_refused(e, &e->instances[work->instance - 1], rc);
		runner_release(e, r);
		return runner_assign(e, r);
	}
	switch ((int)rc) {
	case BULLA_E_ATTEMPT_OPEN:
		return runner_give_up(e, r);
	case BULLA_E_LIMIT: /* it has as many facts as a run may have: the broker's receipt ends it */
		runner_release(e, r);
		work->phase = CLOCKED;
		return advance_add(e, r);
	case BULLA_E_RUN_UNKNOWN:
		run->start_known = false;
		return advance_add(e, r);
	case BULLA_OK:
	case BULLA_E_BUSY:
	case BULLA_E_AGAIN:
		advance_again(e, AGAIN_MS);
		return BULLA_OK;
	case BULLA_E_RUN_CLOSED:
		return book_abort(e, run_of(r), BULLA_RUN_CANCELLED, rc);
	default:
		if (run->sync_asked)
			return book_abort(e, run_of(r), BULLA_RUN_STUCK, rc);
		run->sync_asked = run->unsynced = true;
		return sync_ask(e);
	}
}

static bulla_rc commit_refused(struct bulla_engine *e, ref r, bulla_rc rc)
{
	if (runner_is_of_instance(rc))
		return runner_give_up(e, r);
	switch ((int)rc) {
	case BULLA_E_ATTEMPT_CLOSED:
	case BULLA_E_ATTEMPT_NUMBER:
	case BULLA_E_PERMIT_EXPIRED:
	case BULLA_E_MAC:
		return runner_give_up(e, r);
	case BULLA_E_BUSY:
	case BULLA_E_AGAIN:
		advance_again(e, AGAIN_MS);
		return BULLA_OK;
	case BULLA_E_RUN_UNKNOWN:
		run_by_ref(e, r)->start_known = false;
		return advance_add(e, r);
	case BULLA_E_RUN_CLOSED:
		return book_abort(e, run_of(r), BULLA_RUN_CANCELLED, rc);
	default:
		return book_abort(e, run_of(r), BULLA_RUN_STUCK, rc);
	}
}

static bulla_rc take_permit(struct bulla_engine *e, ref r, const struct bulla_msg_advanced_run *m)
{
	struct work *work = work_at(e, r);

	if (work->phase != ASKED || work->instance == 0)
		return BULLA_OK;
	if (work->speculated) { /* the commit did not lead there */
		runner_release(e, r);
		return BULLA_OK;
	}
	return m->permit.n > 0 ? runner_permitted(e, r, m->permit) : permit_refused(e, r, (bulla_rc)m->permit_rc);
}

static bulla_rc take_commit(struct bulla_engine *e, ref r, const struct bulla_msg_advanced_run *m)
{
	struct work *work = work_at(e, r);
	ref next = work->speculation;
	uint32_t index = run_of(r), generation = run_by_ref(e, r)->generation;

	work->speculation = NO_REF;
	if (m->commit_rc != BULLA_OK) {
		if (next != NO_REF && work_at(e, next)->speculated)
			runner_release(e, next);
		return commit_refused(e, r, (bulla_rc)m->commit_rc);
	}
	BULLA_TRY(book_committed(e, r));
	BULLA_TRY(book_decide(e, index));
	if (next == NO_REF || run_at(e, index)->generation != generation)
		return BULLA_OK;
	return take_permit(e, next, m);
}

static bulla_rc start_refused(struct bulla_engine *e, uint32_t index, bulla_rc rc)
{
	if (rc == BULLA_E_BUSY || rc == BULLA_E_AGAIN) {
		advance_again(e, AGAIN_MS);
		return BULLA_OK;
	}
	return book_abort(e, index, BULLA_RUN_FAILED, rc);
}

/* The work that an item answers, NULL when it is of a run or of a question that is gone. */
static struct work *asked_of(struct bulla_engine *e, ref r, uint64_t tag)
{
	const struct run *run = run_of(r) < e->run_count ? run_by_ref(e, r) : NULL;

	if (run == NULL || run->used != 1 || run->unsynced || (run->generation & 0xffffff) != tag >> 40 ||
		step_of(r) >= run->fold.slot_count || work_at(e, r)->ask != (tag >> 32 & 0xff))
		return NULL;
	return work_at(e, r);
}

/* Another slot has ended the run: nothing follows from this one. */
static bulla_rc take_late(struct bulla_engine *e, ref r, const struct bulla_msg_advanced_run *m)
{
	struct work *work = work_at(e, r);

	if (work->phase == COMMITTED && run_by_ref(e, r)->needs_token && m->commit_rc != BULLA_OK)
		return book_token_refused(e, run_of(r), (bulla_rc)m->commit_rc);
	if (work->phase == COMMITTED && run_by_ref(e, r)->needs_token && work->outcome >= BULLA_OUTCOME_LOST && m->clock.count == 0)
		return book_token_refused(e, run_of(r), BULLA_E_STATE_OLD); /* the broker's own word, and it does not know it */
	if (work->phase == COMMITTING || work->phase == CLOCKED)
		runner_release(e, r);
	return BULLA_OK;
}

/* The broker's word on a slot, or that it has none: it is too early by its clock, or it does not know the run as we do. */
static bulla_rc take_clock(struct bulla_engine *e, ref r, const struct bulla_msg_advanced_run *m)
{
	struct run *run = run_by_ref(e, r);
	bulla_rc rc = m->clock.count > 0 ? book_clocked(e, r, bulla_pb_list_at(&m->clock, 0)) : BULLA_E_AGAIN;

	if (rc != BULLA_E_AGAIN)
		return rc;
	if (!run->sync_asked) {
		run->sync_asked = run->unsynced = true;
		BULLA_TRY(sync_ask(e));
	}
	advance_again(e, AGAIN_MS);
	return BULLA_OK;
}

static bulla_rc take_entry(struct bulla_engine *e, const struct bulla_msg_advanced_run *m)
{
	ref r = (ref)(m->tag & UINT32_MAX);
	struct work *work = asked_of(e, r, m->tag);
	struct run *run;

	if (work == NULL)
		return BULLA_OK;
	run = run_by_ref(e, r);
	if (m->start_rc != BULLA_OK)
		return start_refused(e, run_of(r), (bulla_rc)m->start_rc);
	run->start_known = true;
	work->tell_lost = false;
	if (run->fold.state != BULLA_RUN_OPEN && work->phase != ASKED)
		return take_late(e, r, m);
	if (work->phase == COMMITTING)
		return take_commit(e, r, m);
	return work->phase == CLOCKED ? take_clock(e, r, m) : take_permit(e, r, m);
}

static bulla_rc take_advanced(struct bulla_engine *e, bulla_bytes body)
{
	struct bulla_msg_advanced advanced;
	struct bulla_pb_iter iter;
	bulla_bytes item;

	if (bulla_msg_advanced_decode(body, &advanced) != BULLA_OK) {
		e->effects.note(e->effects.ctx, BULLA_NOTE_BAD_MESSAGE, BULLA_OP_ADVANCE);
		return BULLA_OK;
	}
	for (iter = bulla_pb_list_begin(&advanced.runs); bulla_pb_list_next(&iter, &item);) {
		struct bulla_msg_advanced_run m;

		if (bulla_msg_advanced_run_decode(item, &m) != BULLA_OK)
			e->effects.note(e->effects.ctx, BULLA_NOTE_BAD_MESSAGE, BULLA_OP_ADVANCE);
		else
			BULLA_TRY(take_entry(e, &m));
	}
	return BULLA_OK;
}

/* Only tokens of receipts that may be a run's last are kept: the ledger's entries show the others. */
static bulla_rc take_token(struct bulla_engine *e, const struct bulla_msg_token_for *m)
{
	bulla_run_id id;
	uint32_t index;
	struct run *run;

	BULLA_TRY(bulla_bytes_copy_exact(m->run_id, sizeof(id.b), id.b));
	index = run_find(e, &id);
	if (index == NO_REF || run_at(e, index)->used != 1)
		return BULLA_OK;
	run = run_at(e, index);
	for (uint32_t s = run->fold.slot_count; s-- > 1;) {
		struct work *work = &run->works[s];

		if (!bulla_bytes_eq(bulla_bytes_digest(&work->receipt), m->receipt) || work->token ||
			(run_flow(e, run)->steps[s].waiting.count > 0 && !BULLA_OUTCOME_IS_FAILURE(work->outcome)))
			continue;
		BULLA_TRY(bulla_pool_copy(&e->pool, m->token, &work->token));
		return run->needs_token ? book_finish(e, index) : BULLA_OK;
	}
	return BULLA_OK;
}

static bulla_rc take_tokens(struct bulla_engine *e, bulla_bytes body)
{
	struct bulla_msg_tokens tokens;
	struct bulla_pb_iter iter;
	bulla_bytes item;

	if (bulla_msg_tokens_decode(body, &tokens) != BULLA_OK)
		return BULLA_OK;
	for (iter = bulla_pb_list_begin(&tokens.tokens); bulla_pb_list_next(&iter, &item);) {
		struct bulla_msg_token_for m;
		bulla_rc rc = bulla_msg_token_for_decode(item, &m);

		if (rc == BULLA_OK)
			rc = take_token(e, &m);
		if (rc == BULLA_E_MEMORY || rc == BULLA_E_IO)
			return rc;
	}
	return BULLA_OK;
}

/* Birth records and their signers' instance records, for enclaves that ask. */
static bulla_rc take_keys(struct bulla_engine *e, bulla_bytes body)
{
	struct bulla_msg_keys_reply keys;
	struct bulla_pb_iter iter;
	bulla_bytes birth;

	BULLA_TRY(bulla_msg_keys_reply_decode(body, &keys));
	BULLA_TRY(instances_learn(e, &keys.instances));
	for (iter = bulla_pb_list_begin(&keys.births); bulla_pb_list_next(&iter, &birth);) {
		bulla_digest digest;
		struct bulla_msg_object object = {
			.kind = BULLA_OBJECT_BIRTH, .id = bulla_bytes_digest(&digest), .body = birth};

		bulla_sha256(birth, &digest);
		BULLA_TRY(object_learn(e, &object, NULL));
	}
	bulla_pool_give(&e->pool, e->keys);
	e->keys = NULL;
	return bulla_pool_copy(&e->pool, body, &e->keys);
}

/* --- the connection --- */

bulla_rc broker_call(struct bulla_engine *e, enum bulla_op_number op, uint64_t ticket, bulla_bytes body)
{
	uint32_t stream = TICKET_STREAM | (uint32_t)(ticket & (TICKET_STREAM - 1));

	if (e->broker == 0)
		return BULLA_FAIL(BULLA_E_BROKER, "no connection to the broker");
	return e->effects.call(e->effects.ctx, e->broker, op, stream, body);
}

bulla_rc broker_up(struct bulla_engine *e, bulla_engine_peer peer)
{
	e->broker = peer;
	e->syncing = 0;
	for (uint32_t index = e->newest; index != NO_REF; index = run_at(e, index)->older)
		run_at(e, index)->sync_asked = false; /* it may be another ledger than before: an old copy of it */
	e->effects.note(e->effects.ctx, BULLA_NOTE_BROKER_UP, peer);
	if (broker_call(e, BULLA_OP_BROKER_KEYS, 0, (bulla_bytes){NULL, 0}) == BULLA_E_MEMORY)
		return BULLA_E_MEMORY;
	BULLA_TRY(sync_ask(e));
	return advance_all(e);
}

static void tell_waiting(struct bulla_engine *e, uint32_t index)
{
	const struct run *run = run_at(e, index);

	for (uint32_t s = 1; s < run->fold.slot_count; s++)
		if (run->works[s].phase == ASKED || run->works[s].phase == COMMITTING)
			book_event(e, ref_of(index, (uint16_t)s), BULLA_STEP_WAITING);
}

bulla_rc broker_down(struct bulla_engine *e)
{
	e->broker = 0;
	e->again_ms = 0;
	e->effects.note(e->effects.ctx, BULLA_NOTE_BROKER_DOWN, 0);
	for (uint32_t index = e->newest; index != NO_REF; index = run_at(e, index)->older)
		tell_waiting(e, index);
	for (size_t i = 0; i < PENDING_MAX; i++) {
		struct question *q = &e->questions[i];

		if (q->ticket == 0 || !q->at_broker)
			continue;
		if (q->op == BULLA_OP_BUNDLE)
			BULLA_TRY(bundle_paged(e, q, BULLA_E_BROKER, (bulla_bytes){NULL, 0}));
		else
			e->effects.error(e->effects.ctx, q->peer, q->op, q->stream, BULLA_E_BROKER, 1000);
		question_free(e, q);
	}
	return BULLA_OK;
}

bulla_rc broker_frame(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	bool failed = (in->flags & BULLA_ENGINE_ERROR) != 0;
	bulla_rc rc = BULLA_OK;

	if (in->op == BULLA_OP_TOKENS)
		return take_tokens(e, in->body);
	if (!(in->flags & BULLA_ENGINE_REPLY))
		return BULLA_OK;
	if (in->op == BULLA_OP_ADVANCE) {
		if (!failed)
			return take_advanced(e, in->body);
		advance_again(e, AGAIN_MS);
		return BULLA_OK;
	}
	if (in->op == BULLA_OP_SYNC)
		return sync_answer(e, failed ? (bulla_bytes){NULL, 0} : in->body);
	if (in->op == BULLA_OP_BROKER_KEYS && !failed)
		rc = take_keys(e, in->body);
	if (rc == BULLA_E_MEMORY)
		return rc;
	for (size_t i = 0; i < PENDING_MAX; i++) {
		struct question *q = &e->questions[i];

		if (q->ticket != 0 && (q->ticket & (TICKET_STREAM - 1)) == (in->stream & (TICKET_STREAM - 1)) &&
			(in->stream & TICKET_STREAM) != 0)
			return client_broker_answer(e, q, in);
	}
	return BULLA_OK;
}
