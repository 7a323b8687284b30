#include "engine/state.h"

#include "receipt/start.h"

#define START_AGE_MS ((int64_t)24 * 3600 * 1000)
#define START_AHEAD_MS ((int64_t)5 * 60 * 1000)
#define BACKLOG_MAX ((size_t)8 << 20)
#define BUSY_RETRY_MS 50

static void refuse(struct bulla_engine *e, const struct bulla_engine_input *in, bulla_rc rc, uint64_t retry_ms)
{
	e->effects.error(e->effects.ctx, in->peer, in->op, in->stream, rc, retry_ms);
}

/* --- START --- */

bulla_rc find_workflow(const struct bulla_engine *e, const struct bulla_start *start, uint16_t *ret_project,
		       uint16_t *ret_workflow)
{
	for (uint16_t p = 0; p < MANIFESTS_MAX; p++) {
		const struct project *project = &e->projects[p];

		if (!project->used || !bulla_digest_eq(&project->manifest.digest, &start->manifest))
			continue;
		for (uint16_t k = 0; k < project->manifest.workflow_count; k++)
			if (bulla_digest_eq(&project->workflows[k].digest, &start->workflow)) {
				*ret_project = p;
				*ret_workflow = k;
				return BULLA_OK;
			}
	}
	return BULLA_FAIL(BULLA_E_NOT_FOUND, "no such workflow in a known manifest");
}

static bulla_rc check_time(const struct bulla_engine *e, const bulla_run_id *id)
{
	int64_t ms = (int64_t)bulla_run_id_ms(id);

	if (ms == 0)
		return BULLA_OK; /* named: always looked up */
	if (ms < e->now_ms - START_AGE_MS)
		return BULLA_FAIL(BULLA_E_STATE, "a start of more than a day ago");
	if (ms > e->now_ms + START_AHEAD_MS)
		return BULLA_FAIL(BULLA_E_CLOCK, "a start of the future");
	return BULLA_OK;
}

static bool is_full(const struct bulla_engine *e)
{
	return e->draining || e->backlog > BACKLOG_MAX || e->counts.open >= e->options.residents;
}

static bulla_rc reply_started(struct bulla_engine *e, bulla_engine_peer peer, uint32_t stream, const bulla_run_id *id,
			      bool existed)
{
	struct bulla_msg_started started = {.run_id = bulla_run_id_view(id), .existed = existed};
	bulla_wr w = bulla_wr_buf(clear_buf(&e->out));
	bulla_bytes body;

	bulla_msg_started_encode(&started, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	e->effects.reply(e->effects.ctx, peer, BULLA_OP_START, stream, body);
	return BULLA_OK;
}

/* STARTED's body: the message without what travels or is stored elsewhere. */
static bulla_rc write_started(struct bulla_engine *e, uint32_t index, const struct bulla_msg_start *m)
{
	struct run *run = run_at(e, index);
	struct bulla_msg_start bare = {.record = m->record, .envelopes = m->envelopes};
	struct bulla_rec_started started = {.at_ms = e->now_ms};
	bulla_bytes body;
	bulla_wr w;

	BULLA_TRY(bulla_pool_take(&e->pool, BULLA_REC_STARTED_HEAD + bulla_msg_size(&bulla_msg_start_desc, &bare),
				  &run->started));
	w = bulla_wr_fixed(run->started->data, run->started->size);
	bulla_rec_started_write(&w, &started);
	bulla_msg_start_encode(&bare, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	return book_append(e, index, BULLA_HOST_STARTED, 0, 0, body, true);
}

static bulla_rc start_new(struct bulla_engine *e, const struct bulla_engine_input *in, const struct bulla_msg_start *m,
			  const struct bulla_start_record *start)
{
	struct waiter waiter = {.peer = in->peer,
				.stream = in->stream,
				.op = BULLA_OP_START,
				.follow = m->follow != 0,
				.on_start = m->follow == 0};
	uint16_t project, workflow;
	uint32_t index;
	bulla_rc rc;

	rc = find_workflow(e, &start->start, &project, &workflow);
	if (rc == BULLA_OK && m->envelopes.count != e->projects[project].workflows[workflow].flow.steps[0].parts.count)
		rc = BULLA_E_ARGUMENT;
	if (rc == BULLA_OK)
		rc = check_time(e, &start->start.run);
	if (rc != BULLA_OK || is_full(e) || !e->has_room) {
		refuse(e, in, rc != BULLA_OK ? rc : is_full(e) ? BULLA_E_BUSY : BULLA_E_FULL,
		       rc == BULLA_OK ? BUSY_RETRY_MS : 0);
		return BULLA_OK;
	}
	rc = objects_learn(e, &m->objects, NULL);
	if (rc == BULLA_OK)
		rc = run_new(e, &start->start.run, project, workflow, &index);
	if (rc != BULLA_OK) {
		refuse(e, in, rc, BUSY_RETRY_MS);
		return rc == BULLA_E_MEMORY ? rc : BULLA_OK;
	}
	run_at(e, index)->start = start->digest;
	run_at(e, index)->first_lsn = UINT64_MAX;
	e->counts.started++;
	BULLA_TRY(write_started(e, index, m));
	BULLA_TRY(waiter_add(e, run_at(e, index), &waiter));
	BULLA_TRY(book_begin(e, index, e->now_ms));
	return book_decide(e, index);
}

static bulla_rc reply_result(struct bulla_engine *e, bulla_engine_peer peer, uint8_t op, uint32_t stream,
			     const struct history *h)
{
	bulla_rc rc = result_write(e, h, peer);

	if (rc != BULLA_OK)
		e->effects.error(e->effects.ctx, peer, op, stream, rc, 0);
	else
		e->effects.reply(e->effects.ctx, peer, op, stream, bulla_buf_view(&e->out));
	return rc == BULLA_E_MEMORY ? rc : BULLA_OK;
}

static bulla_rc reply_resident(struct bulla_engine *e, uint32_t index, bulla_engine_peer peer, uint8_t op,
			       uint32_t stream)
{
	struct history h;

	BULLA_TRY(history_of_run(e, index, &h));
	return reply_result(e, peer, op, stream, &h);
}

/* The run is here already. */
static bulla_rc start_again(struct bulla_engine *e, const struct bulla_engine_input *in, uint32_t index, bool follow)
{
	struct run *run = run_at(e, index);
	struct waiter waiter = {.peer = in->peer, .stream = in->stream, .op = BULLA_OP_START, .follow = follow};

	if (follow && run->recorded)
		return reply_resident(e, index, in->peer, BULLA_OP_START, in->stream);
	if (!follow && run->start_durable)
		return reply_started(e, in->peer, in->stream, &run->id, true);
	waiter.on_start = !follow;
	return waiter_add(e, run, &waiter);
}

static bulla_rc ask_librarian(struct bulla_engine *e, const struct bulla_engine_input *in,
			      enum bulla_engine_question question, bulla_bytes arg)
{
	struct question *q = question_new(e, in->peer, in->stream, in->op);
	bulla_rc rc = q ? bulla_pool_copy(&e->pool, in->body, &q->body) : BULLA_E_BUSY;

	if (rc == BULLA_OK)
		rc = e->effects.ask(e->effects.ctx, q->ticket, question, arg);
	if (rc == BULLA_OK)
		return BULLA_OK;
	if (q)
		question_free(e, q);
	refuse(e, in, rc, BUSY_RETRY_MS);
	return rc == BULLA_E_MEMORY ? rc : BULLA_OK;
}

static bulla_rc op_start(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	struct bulla_msg_start m;
	struct bulla_start_record start;
	uint32_t index;
	bulla_rc rc = bulla_msg_start_decode(in->body, &m);

	if (rc == BULLA_OK)
		rc = bulla_start_record_decode(m.record, &start);
	if (rc != BULLA_OK) {
		refuse(e, in, rc, 0);
		return BULLA_OK;
	}
	index = run_find(e, &start.start.run);
	if (index != NO_REF) {
		if (bulla_digest_eq(&run_at(e, index)->start, &start.digest))
			return start_again(e, in, index, m.follow != 0);
		refuse(e, in, BULLA_E_EXISTS, 0);
		return BULLA_OK;
	}
	if (bulla_run_id_ms(&start.start.run) == 0 || bloom_has(e, &start.start.run))
		return ask_librarian(e, in, BULLA_ENGINE_FIND_RUN, bulla_run_id_view(&start.start.run));
	return start_new(e, in, &m, &start);
}

static bulla_rc start_looked_up(struct bulla_engine *e, struct question *q, const struct bulla_engine_input *answer)
{
	struct bulla_engine_input in = {
		.peer = q->peer, .stream = q->stream, .op = BULLA_OP_START, .body = bulla_block_view(q->body)};
	struct bulla_msg_start m;
	struct bulla_start_record start;
	struct bulla_rec_row row;
	uint32_t index;

	BULLA_TRY(bulla_msg_start_decode(in.body, &m));
	BULLA_TRY(bulla_start_record_decode(m.record, &start));
	index = run_find(e, &start.start.run);
	if (index != NO_REF && bulla_digest_eq(&run_at(e, index)->start, &start.digest))
		return start_again(e, &in, index, m.follow != 0);
	if (index == NO_REF && answer->rc == BULLA_E_NOT_FOUND)
		return start_new(e, &in, &m, &start);
	if (index != NO_REF || answer->rc != BULLA_OK || bulla_rec_row_read(answer->body, &row) != BULLA_OK) {
		refuse(e, &in, index != NO_REF ? BULLA_E_EXISTS : answer->rc, 0);
		return BULLA_OK;
	}
	if (!bulla_digest_eq(&row.start, &start.digest)) {
		refuse(e, &in, BULLA_E_EXISTS, 0);
		return BULLA_OK;
	}
	if (m.follow == 0)
		return reply_started(e, in.peer, in.stream, &row.run, true);
	return ask_librarian(e, &in, BULLA_ENGINE_LOAD_RUN, bulla_run_id_view(&row.run));
}

/* --- WAIT, GET --- */

static bulla_rc op_wait(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	struct bulla_msg_wait m;
	struct waiter waiter = {.peer = in->peer, .stream = in->stream, .op = in->op};
	bulla_run_id id;
	uint32_t index;
	bulla_rc rc = bulla_msg_wait_decode(in->body, &m);

	if (rc == BULLA_OK)
		rc = bulla_bytes_copy_exact(m.run_id, sizeof(id.b), id.b);
	if (rc != BULLA_OK) {
		refuse(e, in, rc, 0);
		return BULLA_OK;
	}
	index = run_find(e, &id);
	if (index == NO_REF)
		return ask_librarian(e, in, BULLA_ENGINE_LOAD_RUN, bulla_run_id_view(&id));
	if (run_at(e, index)->recorded || in->op == BULLA_OP_GET)
		return reply_resident(e, index, in->peer, in->op, in->stream);
	waiter.follow = m.follow != 0;
	return waiter_add(e, run_at(e, index), &waiter);
}

static bulla_rc run_loaded(struct bulla_engine *e, const struct question *q, const struct bulla_engine_input *answer)
{
	struct history h;
	bulla_rc rc = answer->rc;

	if (rc == BULLA_E_NOT_FOUND)
		rc = BULLA_E_RUN_UNKNOWN;
	if (rc == BULLA_OK)
		rc = history_of_records(answer->body, &h);
	if (rc == BULLA_OK)
		return reply_result(e, q->peer, q->op, q->stream, &h);
	e->effects.error(e->effects.ctx, q->peer, q->op, q->stream, rc, 0);
	return BULLA_OK;
}

/* --- LIST --- */

static bulla_rc write_row(struct bulla_engine *e, const struct run *run, bulla_wr *w)
{
	const struct bulla_rec_closed closed = book_closed(e, run);
	const struct workflow *workflow = run_workflow(e, run);
	struct bulla_msg_run_row row = {.run_id = bulla_run_id_view(&run->id),
					.workflow = bulla_bytes_digest(&workflow->digest),
					.state = run->fold.state,
					.outcome = run->recorded ? closed.outcome : 0,
					.steps_done = closed.steps_done,
					.steps = closed.steps,
					.started_ms = (uint64_t)closed.started_ms,
					.ended_ms = run->recorded ? (uint64_t)closed.ended_ms : 0,
					.epoch = e->projects[run->manifest].manifest.epoch,
					.why = e->broker == 0 && !run->recorded ? BULLA_E_BROKER : run->why};

	bulla_msg_run_row_encode(&row, w);
	return w->rc;
}

static bool is_listed(const struct bulla_engine *e, const struct run *run, const struct bulla_msg_list *m)
{
	if (m->states != 0 && (m->states >> run->fold.state & 1) == 0)
		return false;
	if (m->workflow.n > 0 && !bulla_bytes_eq(m->workflow, bulla_bytes_digest(&run_workflow(e, run)->digest)))
		return false;
	return m->prefix.n == 0 || bulla_run_id_has_name(&run->id, m->prefix);
}

#define LIST_MAX 1024
static bulla_rc listed(struct bulla_engine *e, const struct question *q, const struct bulla_engine_input *answer)
{
	bulla_bytes items[LIST_MAX], body;
	size_t ends[LIST_MAX], open = 0, count, limit;
	struct bulla_msg_list m;
	struct bulla_msg_listing listing = {.runs = {.count = 0}};
	struct bulla_pb_iter iter;
	bulla_wr w = bulla_wr_buf(clear_buf(&e->scratch));

	BULLA_TRY(bulla_msg_list_decode(bulla_block_view(q->body), &m));
	limit = m.limit == 0 || m.limit > LIST_MAX ? LIST_MAX : (size_t)m.limit;
	for (uint32_t i = e->newest; i != NO_REF && open < limit; i = run_at(e, i)->older) {
		if (!is_listed(e, run_at(e, i), &m))
			continue;
		BULLA_TRY(write_row(e, run_at(e, i), &w));
		ends[open++] = e->scratch.n;
	}
	for (size_t i = 0; i < open; i++)
		items[i] = bulla_bytes_of(e->scratch.p + (i ? ends[i - 1] : 0), ends[i] - (i ? ends[i - 1] : 0));
	count = open;
	if (answer->rc == BULLA_OK && bulla_msg_listing_decode(answer->body, &listing) == BULLA_OK)
		for (iter = bulla_pb_list_begin(&listing.runs); count < limit && bulla_pb_list_next(&iter, &items[count]);)
			count++;
	listing.runs = bulla_pb_list_of(items, count);
	w = bulla_wr_buf(clear_buf(&e->out));
	bulla_msg_listing_encode(&listing, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	e->effects.reply(e->effects.ctx, q->peer, BULLA_OP_LIST, q->stream, body);
	return BULLA_OK;
}

static bulla_rc op_list(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	struct bulla_msg_list m;
	bulla_rc rc = bulla_msg_list_decode(in->body, &m);

	if (rc == BULLA_OK)
		return ask_librarian(e, in, BULLA_ENGINE_LIST_RUNS, in->body);
	refuse(e, in, rc, 0);
	return BULLA_OK;
}

/* --- STATUS, DRAIN --- */

static bulla_rc write_peer(const struct instance *i, bulla_wr *w)
{
	struct bulla_msg_status_peer peer = {.agent = bulla_handle_view(&i->handles[0]),
					     .kid = bulla_bytes_digest(&i->kid),
					     .up = i->usable,
					     .open = i->open_count,
					     .why = i->usable ? BULLA_OK : i->why,
					     .reattest_ms = (uint64_t)i->reattest_ms};

	bulla_msg_status_peer_encode(&peer, w);
	return w->rc;
}

static bulla_rc op_status(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	bulla_bytes items[INSTANCES_MAX], body;
	size_t ends[INSTANCES_MAX], n = 0;
	struct bulla_msg_status status = {.runs_open = e->counts.open,
					  .journal_lsn = e->durable_lsn,
					  .broker_up = e->broker != 0,
					  .started_ms = (uint64_t)e->options.now_ms,
					  .runs_done = e->counts.done,
					  .runs_failed = e->counts.failed};
	bulla_wr w = bulla_wr_buf(clear_buf(&e->scratch));

	if (in->op == BULLA_OP_DRAIN)
		bulla_engine_drain(e);
	if (e->projects[e->newest_project].used)
		status.epoch = e->projects[e->newest_project].manifest.epoch;
	for (uint32_t a = 0; a < e->agent_count; a++)
		for (ref r = e->agents[a].head; r != NO_REF; r = work_at(e, r)->next)
			status.runs_waiting++;
	for (size_t k = 0; k < e->instance_count; k++) {
		if (e->instances[k].peer == 0)
			continue;
		BULLA_TRY(write_peer(&e->instances[k], &w));
		ends[n++] = e->scratch.n;
	}
	for (size_t i = 0; i < n; i++)
		items[i] = bulla_bytes_of(e->scratch.p + (i ? ends[i - 1] : 0), ends[i] - (i ? ends[i - 1] : 0));
	status.peers = bulla_pb_list_of(items, n);
	w = bulla_wr_buf(clear_buf(&e->out));
	bulla_msg_status_encode(&status, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	e->effects.reply(e->effects.ctx, in->peer, (enum bulla_op_number)in->op, in->stream, body);
	return BULLA_OK;
}

/* --- KEYS, PUT_MANIFEST: the broker's word, or what is known of it --- */

static bulla_rc ask_broker(struct bulla_engine *e, const struct bulla_engine_input *in, enum bulla_op_number op)
{
	struct question *q = question_new(e, in->peer, in->stream, in->op);
	bulla_rc rc = q ? broker_call(e, op, q->ticket, in->body) : BULLA_E_BUSY;

	if (rc == BULLA_OK)
		return BULLA_OK;
	if (q)
		question_free(e, q);
	if (in->op == BULLA_OP_KEYS && e->keys)
		e->effects.reply(e->effects.ctx, in->peer, BULLA_OP_KEYS, in->stream, bulla_block_view(e->keys));
	else
		refuse(e, in, rc, BUSY_RETRY_MS);
	return BULLA_OK;
}

static bulla_rc op_keys(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	return ask_broker(e, in, BULLA_OP_BROKER_KEYS);
}

static bulla_rc op_put_manifest(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	struct bulla_msg_put_manifest m;
	bulla_bytes approvals[BULLA_MAX_APPROVERS];
	struct bulla_msg_object object = {.kind = BULLA_OBJECT_MANIFEST, .body = in->body};
	bulla_rc rc = bulla_msg_put_manifest_decode(in->body, &m);

	if (rc == BULLA_OK)
		rc = bulla_pb_list_items(&m.approvals, BULLA_MAX_APPROVERS, approvals);
	if (rc == BULLA_OK)
		rc = bulla_engine_manifest(e, m.manifest, approvals, m.approvals.count);
	if (rc != BULLA_OK) {
		refuse(e, in, rc, 0);
		return rc == BULLA_E_MEMORY ? rc : BULLA_OK;
	}
	object.id = bulla_bytes_digest(&e->projects[e->newest_project].manifest.digest);
	BULLA_TRY(object_learn(e, &object, NULL));
	if (e->broker != 0)
		return ask_broker(e, in, BULLA_OP_PUT_MANIFEST);
	e->effects.reply(e->effects.ctx, in->peer, BULLA_OP_PUT_MANIFEST, in->stream, (bulla_bytes){NULL, 0});
	return BULLA_OK;
}

/* --- BUNDLE: the run's records, then the ledger's --- */

static bulla_rc op_bundle(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	struct bulla_msg_fetch m;
	bulla_run_id id;
	uint32_t index;
	bulla_rc rc = bulla_msg_fetch_decode(in->body, &m);

	if (rc == BULLA_OK)
		rc = bulla_bytes_copy_exact(m.run_id, sizeof(id.b), id.b);
	if (rc != BULLA_OK) {
		refuse(e, in, rc, 0);
		return BULLA_OK;
	}
	index = run_find(e, &id);
	if (index != NO_REF && run_at(e, index)->used == 1) {
		/* open, or its last record is not durable yet */
		refuse(e, in, run_at(e, index)->recorded ? BULLA_E_AGAIN : BULLA_E_STATE, BUSY_RETRY_MS);
		return BULLA_OK;
	}
	return ask_librarian(e, in, BULLA_ENGINE_LOAD_RUN, bulla_run_id_view(&id));
}

static bulla_rc bundle_loaded(struct bulla_engine *e, struct question *q, const struct bulla_engine_input *answer,
			      bool *ret_done)
{
	struct bulla_msg_fetch m;
	struct bulla_msg_record_ask ask;
	bulla_wr w = bulla_wr_buf(clear_buf(&e->out));
	bulla_bytes body;
	bulla_rc rc = answer->rc == BULLA_E_NOT_FOUND ? BULLA_E_RUN_UNKNOWN : answer->rc;

	*ret_done = true;
	BULLA_TRY(bulla_msg_fetch_decode(bulla_block_view(q->body), &m));
	ask.run_id = m.run_id;
	bulla_msg_record_ask_encode(&ask, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	if (rc == BULLA_OK)
		rc = bulla_pool_copy(&e->pool, answer->body, &q->first);
	if (rc == BULLA_OK)
		rc = broker_call(e, BULLA_OP_RECORD, q->ticket, body);
	if (rc != BULLA_OK)
		e->effects.error(e->effects.ctx, q->peer, q->op, q->stream, rc, BUSY_RETRY_MS);
	else
		*ret_done = false;
	return rc == BULLA_E_MEMORY ? rc : BULLA_OK;
}

static bulla_rc bundle_answered(struct bulla_engine *e, struct question *q, bulla_bytes record)
{
	struct bulla_msg_fetch m;
	struct history h;
	bulla_rc rc;

	BULLA_TRY(bulla_msg_fetch_decode(bulla_block_view(q->body), &m));
	rc = history_of_records(bulla_block_view(q->first), &h);
	if (rc == BULLA_OK)
		rc = bundle_write(e, &h, record, m.headers_only != 0);
	if (rc == BULLA_OK)
		e->effects.reply(e->effects.ctx, q->peer, BULLA_OP_BUNDLE, q->stream, bulla_buf_view(&e->out));
	else
		e->effects.error(e->effects.ctx, q->peer, BULLA_OP_BUNDLE, q->stream, rc, 0);
	return rc == BULLA_E_MEMORY ? rc : BULLA_OK;
}

/* --- answers to questions --- */

bulla_rc client_loaded(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	struct question *q = question_find(e, in->ticket), held;
	bool done = true;
	bulla_rc rc;

	if (!q)
		return BULLA_OK;
	held = *q;
	switch (q->op) {
	case BULLA_OP_START:
		/* answered by LOAD_RUN when the run was found before and is followed */
		rc = in->question == BULLA_ENGINE_LOAD_RUN ? run_loaded(e, &held, in) : start_looked_up(e, &held, in);
		break;
	case BULLA_OP_LIST:
		rc = listed(e, &held, in);
		break;
	case BULLA_OP_BUNDLE:
		rc = bundle_loaded(e, q, in, &done);
		break;
	default:
		rc = run_loaded(e, &held, in);
	}
	if (done)
		question_free(e, q);
	return rc;
}

bulla_rc client_broker_answer(struct bulla_engine *e, struct question *q, const struct bulla_engine_input *in)
{
	bulla_rc rc = BULLA_OK;

	if (in->flags & BULLA_ENGINE_ERROR) {
		struct bulla_msg_error error;
		bulla_rc why = BULLA_E_BROKER;
		char id[64] = {0};

		if (bulla_msg_error_decode(in->body, &error) == BULLA_OK && error.id.n < sizeof(id)) {
			bulla_copy(id, error.id.p, error.id.n);
			why = bulla_rc_from_id(id);
		}
		e->effects.error(e->effects.ctx, q->peer, q->op, q->stream,
				 why == BULLA_RC_COUNT || why == BULLA_OK ? BULLA_E_BROKER : why, 0);
	} else if (q->op == BULLA_OP_BUNDLE)
		rc = bundle_answered(e, q, in->body);
	else
		e->effects.reply(e->effects.ctx, q->peer, q->op, q->stream, in->body);
	question_free(e, q);
	return rc;
}

/* --- waiters --- */

bulla_rc client_start_durable(struct bulla_engine *e, uint32_t index)
{
	struct run *run = run_at(e, index);
	uint32_t *link = &run->waiters;

	while (*link != NO_REF) {
		struct waiter *waiter = &e->waiters[*link];
		uint32_t place = *link;

		if (!waiter->on_start) {
			link = &waiter->next;
			continue;
		}
		BULLA_TRY(reply_started(e, waiter->peer, waiter->stream, &run->id, false));
		*link = waiter->next;
		waiter_free(e, place);
	}
	/* G2: what has its permit already may go now */
	for (uint32_t s = 0; s < run->fold.slot_count; s++)
		if (run->works[s].phase == PERMITTED)
			BULLA_TRY(runner_retry(e, ref_of(index, (uint16_t)s)));
	return BULLA_OK;
}

bulla_rc client_ended(struct bulla_engine *e, uint32_t index)
{
	struct run *run = run_at(e, index);
	bool refused = run->why != BULLA_OK && run->fold.state == BULLA_RUN_FAILED && run->steps_done == 0;

	while (run->waiters != NO_REF) {
		struct waiter waiter = e->waiters[run->waiters];
		uint32_t place = run->waiters;

		run->waiters = waiter.next;
		waiter_free(e, place);
		if (refused)
			e->effects.error(e->effects.ctx, waiter.peer, waiter.op, waiter.stream, run->why, 0);
		else if (waiter.on_start)
			BULLA_TRY(reply_started(e, waiter.peer, waiter.stream, &run->id, false));
		else
			BULLA_TRY(reply_resident(e, index, waiter.peer, waiter.op, waiter.stream));
	}
	return BULLA_OK;
}

/* A client that went away waits no more. */
void client_down(struct bulla_engine *e, bulla_engine_peer peer)
{
	for (uint32_t i = e->newest; i != NO_REF; i = run_at(e, i)->older)
		for (uint32_t *link = &run_at(e, i)->waiters; *link != NO_REF;) {
			uint32_t place = *link;

			if (e->waiters[place].peer != peer) {
				link = &e->waiters[place].next;
				continue;
			}
			*link = e->waiters[place].next;
			waiter_free(e, place);
		}
	for (size_t i = 0; i < PENDING_MAX; i++)
		if (e->questions[i].ticket != 0 && e->questions[i].peer == peer)
			question_free(e, &e->questions[i]);
}

bulla_rc client_frame(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	static const struct {
		uint8_t op;
		bulla_rc (*handle)(struct bulla_engine *, const struct bulla_engine_input *);
	} table[] = {
		{BULLA_OP_START, op_start},   {BULLA_OP_WAIT, op_wait},
		{BULLA_OP_GET, op_wait},      {BULLA_OP_LIST, op_list},
		{BULLA_OP_BUNDLE, op_bundle}, {BULLA_OP_KEYS, op_keys},
		{BULLA_OP_STATUS, op_status}, {BULLA_OP_PUT_MANIFEST, op_put_manifest},
		{BULLA_OP_DRAIN, op_status},
	};

	if (in->flags & (BULLA_ENGINE_REPLY | BULLA_ENGINE_EVENT))
		return BULLA_OK;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].op == in->op)
			return table[i].handle(e, in);
	if (in->op != BULLA_OP_CANCEL) /* a hint: WAIT ends with its run or connection */
		refuse(e, in, BULLA_E_UNSUPPORTED, 0);
	return BULLA_OK;
}
