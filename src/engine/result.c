#include "engine/state.h"

#include "base/mem.h"
#include "receipt/receipt.h"
#include "receipt/start.h"

#define EVENTS_FEWEST ((size_t)256)
#define EVENTS_MOST ((size_t)2 * BULLA_MAX_FLOW_FACTS)

/* --- the records of a run --- */

void history_done(struct bulla_engine *e)
{
	bulla_free(e->history.results);
	bulla_free(e->history.tokens);
	bulla_free(e->history.events);
	bulla_free(e->history.ends);
	e->history.results = e->history.tokens = e->history.events = NULL;
	e->history.ends = NULL;
	e->history.capacity = 0;
}

/* One list in larger memory; its first `count` entries are kept. */
static bulla_rc grow(bulla_bytes **list, size_t count, size_t capacity)
{
	void *p;

	BULLA_TRY(bulla_alloc(capacity, sizeof(**list), &p));
	if (count > 0)
		bulla_copy(p, *list, count * sizeof(**list));
	bulla_free(*list);
	*list = p;
	return BULLA_OK;
}

/* Room for one more result and token. */
static bulla_rc make_room(struct bulla_engine *e, const struct history *h)
{
	size_t used = h->result_count > h->token_count ? h->result_count : h->token_count;
	size_t capacity = e->history.capacity > 0 ? 2 * e->history.capacity : EVENTS_FEWEST;
	void *p;

	if (used < e->history.capacity)
		return BULLA_OK;
	if (capacity > EVENTS_MOST)
		return BULLA_FAIL(BULLA_E_LIMIT, "a run has more records than a run can have");
	BULLA_TRY(grow(&e->history.results, h->result_count, capacity));
	BULLA_TRY(grow(&e->history.tokens, h->token_count, capacity));
	BULLA_TRY(grow(&e->history.events, 0, capacity));
	BULLA_TRY(bulla_alloc(capacity, sizeof(*e->history.ends), &p));
	bulla_free(e->history.ends);
	e->history.ends = p;
	e->history.capacity = capacity;
	return BULLA_OK;
}

/* Appends to one of the run's two lists, which lie in the engine's room for them. */
static bulla_rc add(struct bulla_engine *e, struct history *h, bulla_bytes **list, size_t *count, bulla_bytes record)
{
	BULLA_TRY(make_room(e, h));
	(*list)[(*count)++] = record;
	h->results = e->history.results;
	h->tokens = e->history.tokens;
	return BULLA_OK;
}

static bulla_rc add_result(struct bulla_engine *e, struct history *h, bulla_bytes result)
{
	return add(e, h, &e->history.results, &h->result_count, result);
}

static bulla_rc add_token(struct bulla_engine *e, struct history *h, bulla_bytes token)
{
	return add(e, h, &e->history.tokens, &h->token_count, token);
}

bulla_rc history_of_run(struct bulla_engine *e, uint32_t index, struct history *ret)
{
	struct run *run = run_at(e, index);

	*ret = (struct history){.id = run->id, .started = bulla_block_view(run->started)};
	ret->manifest = e->projects[run->manifest].manifest.digest;
	ret->workflow = run_workflow(e, run)->digest;
	ret->started_ms = run->fold.started_ms;
	ret->closed = book_closed(e, run);
	if (!run->recorded)
		ret->closed.state = BULLA_RUN_OPEN;
	for (uint32_t s = 1; s < run->fold.slot_count; s++) {
		if (run->works[s].result)
			BULLA_TRY(add_result(e, ret, bulla_block_view(run->works[s].result)));
		if (run->works[s].token)
			BULLA_TRY(add_token(e, ret, bulla_block_view(run->works[s].token)));
	}
	return BULLA_OK;
}

static bulla_rc read_start(struct history *h)
{
	struct bulla_rec_started started;
	struct bulla_msg_start message;
	struct bulla_start_record start;

	BULLA_TRY(bulla_rec_started_read(h->started, &started));
	BULLA_TRY(bulla_msg_start_decode(started.start, &message));
	BULLA_TRY(bulla_start_record_decode(message.record, &start));
	h->id = start.start.run;
	h->manifest = start.start.manifest;
	h->workflow = start.start.workflow;
	h->started_ms = started.at_ms;
	return BULLA_OK;
}

bulla_rc history_of_records(struct bulla_engine *e, bulla_bytes records, struct history *ret)
{
	bulla_rd r = bulla_rd_of(records);
	struct bulla_journal_record record;
	struct bulla_rec_token token;

	*ret = (struct history){.closed = {.state = BULLA_RUN_OPEN}};
	while (bulla_rd_left(&r) > 0) {
		BULLA_TRY(bulla_journal_record_next(&r, &record));
		if (record.type == BULLA_HOST_STARTED)
			ret->started = record.body;
		else if (record.type == BULLA_HOST_RESULT)
			BULLA_TRY(add_result(e, ret, record.body));
		else if (record.type == BULLA_HOST_CLOSED)
			BULLA_TRY(bulla_rec_closed_read(record.body, &ret->closed));
		else if (record.type == BULLA_HOST_TOKENS) {
			BULLA_TRY(bulla_rec_token_read(record.body, &token));
			BULLA_TRY(add_token(e, ret, token.token));
		}
	}
	return read_start(ret);
}

/* --- run_result --- */

/* The result that answers for the run: of the last step, or of the step that failed. */
static bool final_result(const struct history *h, struct bulla_rec_result *ret)
{
	bool found = false;

	for (size_t i = 0; i < h->result_count; i++) {
		struct bulla_rec_result result;

		if (bulla_rec_result_read(h->results[i], &result) != BULLA_OK)
			continue;
		if (!bulla_rec_answers(&h->closed, &result, found ? ret : NULL))
			continue;
		*ret = result;
		found = true;
	}
	return found;
}

static bulla_rc write_events(struct bulla_engine *e, const struct history *h, size_t *ret_count)
{
	size_t *ends = e->history.ends, n = 0;
	bulla_wr w = bulla_wr_buf(clear_buf(&e->scratch));

	for (size_t i = 0; i < h->result_count; i++) {
		struct bulla_rec_result result;
		struct bulla_msg_executed executed;
		struct bulla_msg_run_event event;

		BULLA_TRY(bulla_rec_result_read(h->results[i], &result));
		BULLA_TRY(bulla_msg_executed_decode(result.executed, &executed));
		event = (struct bulla_msg_run_event){
			.step = result.step,
			.item = result.item,
			.attempt = result.attempt,
			.state = BULLA_OUTCOME_IS_FAILURE(result.outcome) ? BULLA_STEP_FAILED : BULLA_STEP_DONE,
			.outcome = result.outcome,
			.took_us = executed.took_us,
			.at_ms = (uint64_t)result.at_ms};
		bulla_msg_run_event_encode(&event, &w);
		BULLA_TRY(w.rc);
		ends[n++] = e->scratch.n;
	}
	for (size_t i = 0; i < n; i++)
		e->history.events[i] = bulla_bytes_of(e->scratch.p + (i ? ends[i - 1] : 0), ends[i] - (i ? ends[i - 1] : 0));
	*ret_count = n;
	return BULLA_OK;
}

static bulla_rc pack_objects(struct bulla_engine *e, const struct bulla_msg_executed *executed, bulla_engine_peer peer,
	struct parcel *parcel, struct bulla_block **ret_memory, bulla_bytes *ret_items)
{
	struct bulla_receipt_record receipt;
	struct bulla_pb_iter iter;
	bulla_bytes envelope;

	BULLA_TRY(bulla_receipt_record_decode(executed->receipt, &receipt));
	parcel_add_instance(e, parcel, peer, &receipt.receipt.kid);
	for (iter = bulla_pb_list_begin(&executed->outputs); bulla_pb_list_next(&iter, &envelope);)
		parcel_add_links(e, parcel, peer, envelope, &receipt.receipt.kid);
	return parcel_pack(e, parcel, peer, ret_memory, ret_items);
}

static bulla_bytes token_for(const struct history *h)
{
	return h->token_count > 0 ? h->tokens[h->token_count - 1] : (bulla_bytes){NULL, 0};
}

bulla_rc result_write(struct bulla_engine *e, const struct history *h, bulla_engine_peer peer)
{
	bulla_bytes *objects = e->local.objects, body;
	size_t event_count = 0;
	struct parcel parcel = {.count = 0};
	struct bulla_block *memory = NULL;
	struct bulla_rec_result last;
	struct bulla_msg_executed executed;
	struct bulla_msg_run_result m = {.run_id = bulla_run_id_view(&h->id),
		.state = h->closed.state,
		.outcome = h->closed.outcome,
		.failed_step = h->closed.failed_step,
		.started_ms = (uint64_t)h->started_ms,
		.ended_ms = (uint64_t)h->closed.ended_ms,
		.workflow = bulla_bytes_digest(&h->workflow)};
	bulla_wr w;

	if (h->closed.state == BULLA_RUN_OPEN)
		m.ended_ms = m.outcome = m.failed_step = 0;
	if (h->closed.state != BULLA_RUN_OPEN && final_result(h, &last)) {
		BULLA_TRY(bulla_msg_executed_decode(last.executed, &executed));
		BULLA_TRY(pack_objects(e, &executed, peer, &parcel, &memory, objects));
		m.receipts = bulla_pb_list_of(&executed.receipt, 1);
		m.envelopes = executed.outputs;
		m.objects = bulla_pb_list_of(objects, parcel.count);
		m.token = token_for(h);
	}
	if (write_events(e, h, &event_count) == BULLA_OK)
		m.events = bulla_pb_list_of(e->history.events, event_count);
	w = bulla_wr_buf(clear_buf(&e->out));
	bulla_msg_run_result_encode(&m, &w);
	bulla_pool_give(&e->pool, memory);
	return bulla_wr_end(&w, &body);
}
