#include "engine/state.h"

#include "engine/spans.h"
#include "receipt/receipt.h"

/* Parking: a run that is idle for long (its enclave is away, a long back-off, a sleep) keeps its fold, its places in queues and
 * its timers; its records leave memory and are read back from the journal when a step of it can go on or it ends. */

#define PARK_MS ((int64_t)10 * 60 * 1000)
#define LOAD_BYTES ((size_t)1 << 20)
#define BUSY_AGAIN_MS 20 /* the librarian has enough to do */

/* Nothing of the slot is under way, nothing of it is only in memory. */
static bool is_idle(const struct work *work)
{
	switch ((int)work->phase) {
	case IDLE:
	case BACKOFF:
	case QUEUED:
	case CLOCKED:
	case COMMITTED:
		return !work->advancing && !work->permit && work->instance == 0 &&
		(!work->result || work->durable);
	default:
		return false;
	}
}

static bool may_park(const struct run *run)
{
	if (run->parked || !run->start_durable || run->unsynced || run->recorded || run->needs_token ||
		run->finish_due || run->fold.state != BULLA_RUN_OPEN)
		return false;
	for (uint32_t s = 0; s < run->fold.slot_count; s++)
		if (!is_idle(&run->works[s]))
			return false;
	return true;
}

static void park(struct bulla_engine *e, struct run *run)
{
	for (uint32_t s = 0; s < run->fold.slot_count; s++) {
		bulla_pool_give(&e->pool, run->works[s].result);
		run->works[s].result = NULL;
	}
	bulla_pool_give(&e->pool, run->started);
	run->started = NULL;
	run->parked = true;
	run->loaded = 0;
	e->counts.parked++;
}

void park_time(struct bulla_engine *e)
{
	int64_t after = e->options.park_ms > 0 ? e->options.park_ms : PARK_MS;

	if (e->now_ms - e->parked_ms < after / 4)
		return;
	e->parked_ms = e->now_ms;
	for (uint32_t index = e->newest; index != NO_REF; index = run_at(e, index)->older) {
		struct run *run = run_at(e, index);

		if (e->now_ms - run->touched_ms >= after && may_park(run))
			park(e, run);
	}
}

/* --- back --- */

static bulla_rc question_of(struct bulla_engine *e, const struct run *run, uint32_t first, uint32_t count, bulla_bytes *ret)
{
	bulla_wr w = bulla_wr_buf(clear_buf(&e->scratch));

	bulla_wr_u64le(&w, run->run_no);
	bulla_wr_bytes(&w, bulla_bytes_of(run->spans->data + (size_t)first * BULLA_REC_SPAN_BYTES,
		(size_t)count * BULLA_REC_SPAN_BYTES));
	return bulla_wr_end(&w, ret);
}

bulla_rc park_question(struct bulla_engine *e, const struct run *run, bulla_bytes *ret)
{
	return question_of(e, run, 0, run->span_count, ret);
}

/* How many of the run's records are read back at once: an answer is no larger than one of the librarian's may be. */
static uint32_t portion(const struct bulla_engine *e, const struct run *run)
{
	size_t most = e->options.load_bytes > 0 ? e->options.load_bytes : LOAD_BYTES, sum = 0;
	bulla_rd r = bulla_rd_of(bulla_bytes_of(run->spans->data + (size_t)run->loaded * BULLA_REC_SPAN_BYTES,
						(size_t)(run->span_count - run->loaded) * BULLA_REC_SPAN_BYTES));
	struct bulla_engine_place place;
	uint32_t count = 0;

	while (bulla_rd_left(&r) > 0 && bulla_span_next(&r, &place) == BULLA_OK && (count == 0 || sum + place.bytes <= most)) {
		sum += place.bytes;
		count++;
	}
	return count;
}

static bulla_rc ask(struct bulla_engine *e, uint32_t index)
{
	struct run *run = run_at(e, index);
	struct question *q;
	bulla_bytes arg;
	bulla_rc rc;

	if (run->loading)
		return BULLA_OK;
	q = question_new(e, 0, 0, 0);
	if (!q)
		return timer_add(e, e->now_ms + BUSY_AGAIN_MS, ref_of(index, 0), 0);
	q->run = run->id;
	q->count = portion(e, run);
	BULLA_TRY(question_of(e, run, run->loaded, q->count, &arg));
	rc = e->effects.ask(e->effects.ctx, q->ticket, BULLA_ENGINE_LOAD_SPANS, arg);
	if (rc == BULLA_OK) {
		run->loading = true;
		return BULLA_OK;
	}
	question_free(e, q);
	return rc == BULLA_E_BUSY ? timer_add(e, e->now_ms + BUSY_AGAIN_MS, ref_of(index, 0), 0) : rc;
}

bulla_rc park_load(struct bulla_engine *e, ref r, struct instance *i)
{
	struct work *work = work_at(e, r);

	work->phase = LOADING;
	work->instance = (uint8_t)(i - e->instances + 1);
	i->reserved++;
	return ask(e, run_of(r));
}

bulla_rc park_finish(struct bulla_engine *e, uint32_t index)
{
	run_at(e, index)->finish_due = true;
	return ask(e, index);
}

bulla_rc park_wake(struct bulla_engine *e, uint32_t index)
{
	return run_at(e, index)->parked ? ask(e, index) : BULLA_OK;
}

static bulla_rc take_result(struct bulla_engine *e, struct run *run, bulla_bytes body)
{
	struct bulla_rec_result result;
	struct bulla_msg_executed executed;
	struct bulla_receipt_record receipt;
	struct work *work;

	BULLA_TRY(bulla_rec_result_read(body, &result));
	BULLA_TRY(bulla_msg_executed_decode(result.executed, &executed));
	BULLA_TRY(bulla_receipt_record_decode(executed.receipt, &receipt));
	if (result.step >= run->fold.slot_count)
		return BULLA_FAIL(BULLA_E_CORRUPT, "a result of no step");
	work = &run->works[result.step];
	if (work->phase != COMMITTED || work->result || !bulla_digest_eq(&work->receipt, &receipt.digest))
		return BULLA_OK; /* of an attempt that is over; or newer than what was parked */
	work->durable = true;
	return bulla_pool_copy(&e->pool, body, &work->result);
}

static bulla_rc take_records(struct bulla_engine *e, struct run *run, bulla_bytes records)
{
	bulla_rd r = bulla_rd_of(records);
	struct bulla_journal_record record;

	while (bulla_rd_left(&r) > 0) {
		BULLA_TRY(bulla_journal_record_next(&r, &record));
		if (record.type == BULLA_HOST_STARTED && !run->started)
			BULLA_TRY(bulla_pool_copy(&e->pool, record.body, &run->started));
		else if (record.type == BULLA_HOST_RESULT)
			BULLA_TRY(take_result(e, run, record.body));
	}
	return BULLA_OK;
}

/* What was asked for is here. BULLA_E_AGAIN: more of the run is not. */
static bulla_rc take_portion(struct bulla_engine *e, struct run *run, const struct question *q,
	const struct bulla_engine_input *in)
{
	BULLA_TRY(in->rc);
	BULLA_TRY(take_records(e, run, in->body));
	run->loaded += q->count;
	if (run->loaded < run->span_count)
		return BULLA_E_AGAIN;
	return run->started ? BULLA_OK : BULLA_FAIL(BULLA_E_CORRUPT, "a parked run has no start");
}

/* Slots that waited for their run's records. */
static bulla_rc assign_waiting(struct bulla_engine *e, uint32_t index, bool assign)
{
	struct run *run = run_at(e, index);

	for (uint32_t s = 0; s < run->fold.slot_count; s++) {
		ref r = ref_of(index, (uint16_t)s);

		if (run->works[s].phase != LOADING)
			continue;
		runner_release(e, r);
		if (assign)
			BULLA_TRY(runner_assign(e, r));
	}
	return BULLA_OK;
}

bulla_rc park_loaded(struct bulla_engine *e, const struct question *q, const struct bulla_engine_input *in)
{
	uint32_t index = run_find(e, &q->run);
	struct run *run = index == NO_REF ? NULL : run_at(e, index);
	bulla_rc rc;

	if (!run || run->used != 1 || !run->parked)
		return BULLA_OK;
	run->loading = false;
	rc = take_portion(e, run, q, in);
	if (rc == BULLA_E_AGAIN)
		return ask(e, index);
	if (rc == BULLA_E_MEMORY)
		return rc;
	run->parked = false;
	run->touched_ms = e->now_ms;
	e->counts.parked--;
	BULLA_TRY(assign_waiting(e, index, rc == BULLA_OK));
	if (rc != BULLA_OK)
		return book_abort(e, index, BULLA_RUN_STUCK, rc);
	if (!run->start_known) /* the ledger wants its start again */
		advance_again(e, BUSY_AGAIN_MS);
	return run->finish_due ? book_finish(e, index) : BULLA_OK;
}
