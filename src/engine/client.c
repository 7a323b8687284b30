#include "engine/state.h"

#include "receipt/start.h"

#define START_AGE_MS ((int64_t)24 * 3600 * 1000)
#define START_AHEAD_MS ((int64_t)5 * 60 * 1000)
#define BACKLOG_MAX ((size_t)8 << 20)
#define BUSY_RETRY_MS 50

void client_refuse(struct bulla_engine *e, const struct bulla_engine_input *in, bulla_rc rc, uint64_t retry_ms)
{
	e->effects.error(e->effects.ctx, in->peer, in->op, in->stream, rc, retry_ms);
}

/* --- START --- */

bulla_rc find_workflow(struct bulla_engine *e, const struct bulla_start *start, uint16_t *ret_project,
	uint16_t *ret_workflow)
{
	const struct project *project;

	BULLA_TRY(project_find(e, &start->manifest, ret_project));
	project = &e->projects[*ret_project];
	for (uint16_t k = 0; k < project->manifest.workflow_count; k++)
		if (bulla_digest_eq(&project->workflows[k].digest, &start->workflow)) {
			*ret_workflow = k;
			return BULLA_OK;
		}
	return BULLA_FAIL(BULLA_E_NOT_FOUND, "no such workflow in that manifest");
}

static bulla_rc check_time(const struct bulla_engine *e, const bulla_run_id *id)
{
	int64_t ms = (int64_t)bulla_run_id_ms(id);

	if (ms == 0)
		return BULLA_OK; /* named: always looked up */
	if (ms < e->wall_ms - START_AGE_MS)
		return BULLA_FAIL(BULLA_E_STATE, "a start of more than a day ago");
	if (ms > e->wall_ms + START_AHEAD_MS)
		return BULLA_FAIL(BULLA_E_CLOCK, "a start of the future");
	return BULLA_OK;
}

static bool is_full(const struct bulla_engine *e)
{
	return e->draining || e->backlog + e->journal.n > BACKLOG_MAX || e->counts.open >= e->options.residents;
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

/* STARTED's body: the message, with the links that only this run is known to need. A client that follows is answered at the
 * end: its run's record is written while the first step runs (runner_dispatch), beside nobody's wait for the ledger's disk;
 * a large one at once (start_is_large). */
static bulla_rc write_started(struct bulla_engine *e, uint32_t index, const struct bulla_msg_start *m)
{
	struct run *run = run_at(e, index);
	struct bulla_msg_start bare = {.record = m->record, .envelopes = m->envelopes, .objects = m->objects};
	struct bulla_rec_started started = {.at_ms = e->wall_ms};
	bulla_bytes body;
	bulla_wr w;

	BULLA_TRY(bulla_pool_take(&e->pool, BULLA_REC_STARTED_HEAD + bulla_msg_size(&bulla_msg_start_desc, &bare),
		&run->started));
	w = bulla_wr_fixed(run->started->data, run->started->size);
	bulla_rec_started_write(&w, &started);
	bulla_msg_start_encode(&bare, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	return book_append(e, index, BULLA_HOST_STARTED, 0, 0, body, m->follow == 0 || start_is_large(run));
}

/* Whether a run that is not known may begin now. BULLA_E_BUSY and BULLA_E_FULL: later. */
static bulla_rc may_start(struct bulla_engine *e, const struct bulla_engine_input *in, const struct bulla_msg_start *m,
	const struct bulla_start *start, uint16_t *ret_project, uint16_t *ret_workflow)
{
	bulla_rc rc = find_workflow(e, start, ret_project, ret_workflow);

	if (rc != BULLA_OK)
		return rc;
	if (m->envelopes.count != e->projects[*ret_project].workflows[*ret_workflow].flow.steps[0].parts.count)
		return BULLA_E_ARGUMENT;
	rc = check_time(e, &start->run);
	if (rc != BULLA_OK)
		return rc;
	if (in->body.n > BULLA_MAX_RECORD)
		return BULLA_E_LIMIT;
	rc = links_of_start(&m->objects);
	if (rc != BULLA_OK)
		return rc;
	return is_full(e) ? BULLA_E_BUSY : e->has_room ? BULLA_OK : BULLA_E_FULL;
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
	bulla_rc rc = may_start(e, in, m, &start->start, &project, &workflow);

	if (rc != BULLA_OK) {
		client_refuse(e, in, rc, rc == BULLA_E_BUSY || rc == BULLA_E_FULL ? BUSY_RETRY_MS : 0);
		return BULLA_OK;
	}
	rc = run_new(e, &start->start.run, project, workflow, &index);
	if (rc != BULLA_OK) {
		client_refuse(e, in, rc, BUSY_RETRY_MS);
		return rc == BULLA_E_MEMORY ? rc : BULLA_OK;
	}
	run_at(e, index)->start = start->digest;
	run_at(e, index)->first_lsn = UINT64_MAX;
	e->counts.started++;
	BULLA_TRY(write_started(e, index, m));
	BULLA_TRY(waiter_add(e, run_at(e, index), &waiter));
	BULLA_TRY(book_begin(e, index, e->wall_ms));
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

/* The broker refused its start: that is the answer, also for who asks a moment later. */
static bool is_refused(const struct run *run)
{
	return run->recorded && run->why != BULLA_OK && run->fold.state == BULLA_RUN_FAILED && run->steps_done == 0;
}

static bulla_rc reply_resident(struct bulla_engine *e, uint32_t index, bulla_engine_peer peer, uint8_t op,
	uint32_t stream)
{
	struct history h;

	if (op != BULLA_OP_GET && is_refused(run_at(e, index))) {
		e->effects.error(e->effects.ctx, peer, op, stream, run_at(e, index)->why, 0);
		return BULLA_OK;
	}
	BULLA_TRY(history_of_run(e, index, &h));
	return reply_result(e, peer, op, stream, &h);
}

/* It may be said that the run has ended: G1. */
static bool has_ended(const struct run *run)
{
	return run->recorded && run->start_durable;
}

/* The run is here already. */
static bulla_rc start_again(struct bulla_engine *e, const struct bulla_engine_input *in, uint32_t index, bool follow)
{
	struct run *run = run_at(e, index);
	struct waiter waiter = {.peer = in->peer, .stream = in->stream, .op = BULLA_OP_START, .follow = follow};

	if (follow && has_ended(run))
		return reply_resident(e, index, in->peer, BULLA_OP_START, in->stream);
	if (!follow && run->start_durable)
		return reply_started(e, in->peer, in->stream, &run->id, true);
	waiter.on_start = !follow;
	return waiter_add(e, run, &waiter);
}

bulla_rc client_ask(struct bulla_engine *e, const struct bulla_engine_input *in,
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
	client_refuse(e, in, rc, BUSY_RETRY_MS);
	return rc == BULLA_E_MEMORY ? rc : BULLA_OK;
}

/* One look-up of an id at a time: between two answers the run could begin, end and be forgotten. */
static bulla_rc look_up(struct bulla_engine *e, const struct bulla_engine_input *in, const bulla_run_id *run)
{
	uint64_t ticket = e->next_ticket;

	for (size_t i = 0; i < PENDING_MAX; i++)
		if (e->questions[i].ticket != 0 && e->questions[i].op == BULLA_OP_START &&
			bulla_run_id_eq(&e->questions[i].run, run)) {
			client_refuse(e, in, BULLA_E_BUSY, BUSY_RETRY_MS);
			return BULLA_OK;
		}
	BULLA_TRY(client_ask(e, in, BULLA_ENGINE_FIND_RUN, bulla_run_id_view(run)));
	for (; ticket < e->next_ticket; ticket++) {
		struct question *q = question_find(e, ticket);

		if (q)
			q->run = *run;
	}
	return BULLA_OK;
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
		client_refuse(e, in, rc, 0);
		return BULLA_OK;
	}
	index = run_find(e, &start.start.run);
	if (index != NO_REF) {
		if (bulla_digest_eq(&run_at(e, index)->start, &start.digest))
			return start_again(e, in, index, m.follow != 0);
		client_refuse(e, in, BULLA_E_EXISTS, 0);
		return BULLA_OK;
	}
	if (bulla_run_id_ms(&start.start.run) == 0 || bloom_has(e, &start.start.run))
		return look_up(e, in, &start.start.run);
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
		client_refuse(e, &in, index != NO_REF ? BULLA_E_EXISTS : answer->rc, 0);
		return BULLA_OK;
	}
	if (!bulla_digest_eq(&row.start, &start.digest)) {
		client_refuse(e, &in, BULLA_E_EXISTS, 0);
		return BULLA_OK;
	}
	if (m.follow == 0)
		return reply_started(e, in.peer, in.stream, &row.run, true);
	return client_ask(e, &in, BULLA_ENGINE_LOAD_RUN, bulla_run_id_view(&row.run));
}

/* --- WAIT, GET --- */

static bulla_rc op_wait(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	struct bulla_msg_wait m;
	struct waiter waiter = {.peer = in->peer, .stream = in->stream, .op = in->op};
	bulla_bytes spans;
	bulla_run_id id;
	uint32_t index;
	bulla_rc rc = bulla_msg_wait_decode(in->body, &m);

	if (rc == BULLA_OK)
		rc = bulla_bytes_copy_exact(m.run_id, sizeof(id.b), id.b);
	if (rc != BULLA_OK) {
		client_refuse(e, in, rc, 0);
		return BULLA_OK;
	}
	index = run_find(e, &id);
	if (index == NO_REF)
		return client_ask(e, in, BULLA_ENGINE_LOAD_RUN, bulla_run_id_view(&id));
	if (run_at(e, index)->parked && in->op == BULLA_OP_GET) {
		BULLA_TRY(park_question(e, run_at(e, index), &spans));
		return client_ask(e, in, BULLA_ENGINE_SUM_SPANS, spans);
	}
	if (has_ended(run_at(e, index)) || in->op == BULLA_OP_GET)
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
		rc = history_of_records(e, answer->body, &h);
	if (rc == BULLA_OK)
		return reply_result(e, q->peer, q->op, q->stream, &h);
	e->effects.error(e->effects.ctx, q->peer, q->op, q->stream, rc, 0);
	return BULLA_OK;
}

/* --- answers to questions --- */

bulla_rc client_loaded(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	struct question *q = question_find(e, in->ticket), held;
	bulla_rc rc;

	if (!q)
		return BULLA_OK;
	held = *q;
	switch (q->op) {
	case 0:
		rc = park_loaded(e, &held, in);
		break;
	case BULLA_OP_START:
		/* answered by LOAD_RUN when the run was found before and is followed */
		rc = in->question == BULLA_ENGINE_LOAD_RUN ? run_loaded(e, &held, in) : start_looked_up(e, &held, in);
		break;
	case BULLA_OP_LIST:
		rc = api_listed(e, &held, in);
		break;
	case BULLA_OP_BUNDLE:
		rc = bundle_loaded(e, &held, in);
		break;
	default:
		rc = run_loaded(e, &held, in);
	}
	question_free(e, q);
	return rc;
}

/* Why the broker refuses. */
static bulla_rc error_of(bulla_bytes body)
{
	struct bulla_msg_error error;
	bulla_rc why = BULLA_E_BROKER;
	char id[64] = {0};

	if (bulla_msg_error_decode(body, &error) == BULLA_OK && error.id.n < sizeof(id)) {
		bulla_copy(id, error.id.p, error.id.n);
		why = bulla_rc_from_id(id);
	}
	return why == BULLA_RC_COUNT || why == BULLA_OK ? BULLA_E_BROKER : why;
}

bulla_rc client_broker_answer(struct bulla_engine *e, struct question *q, const struct bulla_engine_input *in)
{
	bulla_rc rc = in->flags & BULLA_ENGINE_ERROR ? error_of(in->body) : BULLA_OK;
	struct question held = *q;

	question_free(e, q);
	if (held.op == BULLA_OP_BUNDLE)
		return bundle_paged(e, &held, rc, in->body);
	if (rc != BULLA_OK)
		e->effects.error(e->effects.ctx, held.peer, held.op, held.stream, rc, 0);
	else
		e->effects.reply(e->effects.ctx, held.peer, held.op, held.stream, in->body);
	return BULLA_OK;
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
	for (uint32_t s = 0; s < run->fold.slot_count; s++)
		if (run->works[s].phase == WRITING && run->works[s].escrowed)
			BULLA_TRY(runner_commit(e, ref_of(index, (uint16_t)s)));
		else if (run->works[s].phase == PERMITTED && start_is_large(run))
			BULLA_TRY(runner_retry(e, ref_of(index, (uint16_t)s)));
	return run->recorded ? client_ended(e, index) : BULLA_OK;
}

bulla_rc client_ended(struct bulla_engine *e, uint32_t index)
{
	struct run *run = run_at(e, index);
	bool refused = is_refused(run);

	if (!has_ended(run))
		return BULLA_OK; /* client_start_durable comes again */
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
	bundles_down(e, peer);
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
		{BULLA_OP_GET, op_wait},      {BULLA_OP_LIST, api_list},
		{BULLA_OP_BUNDLE, api_bundle}, {BULLA_OP_KEYS, api_keys},
		{BULLA_OP_STATUS, api_status}, {BULLA_OP_PUT_MANIFEST, api_put_manifest},
		{BULLA_OP_DRAIN, api_status},
	};

	if ((in->flags & BULLA_ENGINE_EVENT) && !(in->flags & BULLA_ENGINE_REPLY) && in->op == BULLA_OP_BUNDLE)
		return bundle_seen(e, in);
	if (in->flags & (BULLA_ENGINE_REPLY | BULLA_ENGINE_EVENT))
		return BULLA_OK;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].op == in->op)
			return table[i].handle(e, in);
	if (in->op == BULLA_OP_CANCEL) /* a hint: WAIT ends with its run or connection */
		bundle_cancel(e, in);
	else
		client_refuse(e, in, BULLA_E_UNSUPPORTED, 0);
	return BULLA_OK;
}
