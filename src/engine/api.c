#include "engine/state.h"

#define BUSY_RETRY_MS 50

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
					.why = book_why(e, run)};

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

/* An answer in the making: rows from memory, then the catalogue's. */
struct rows {
	bulla_bytes items[LIST_MAX];
	size_t ends[LIST_MAX];
	size_t count, limit;
};

/* Rows of one list of resident runs. */
static bulla_rc add_resident(struct bulla_engine *e, uint32_t newest, const struct bulla_msg_list *m, bulla_wr *w,
	struct rows *rows)
{
	for (uint32_t i = newest; i != NO_REF && rows->count < rows->limit; i = run_at(e, i)->older) {
		if (!is_listed(e, run_at(e, i), m))
			continue;
		BULLA_TRY(write_row(e, run_at(e, i), w));
		rows->ends[rows->count++] = e->scratch.n;
	}
	return BULLA_OK;
}

/* A run that ended while the librarian looked stands in memory and not in its answer; one that ended before, in both. */
static bool is_kept(struct bulla_engine *e, bulla_bytes row_bytes)
{
	struct bulla_msg_run_row row;

	if (bulla_msg_run_row_decode(row_bytes, &row) != BULLA_OK)
		return true;
	for (uint32_t i = e->newest_kept; i != NO_REF; i = run_at(e, i)->older)
		if (bulla_bytes_eq(bulla_run_id_view(&run_at(e, i)->id), row.run_id))
			return true;
	return false;
}

bulla_rc api_listed(struct bulla_engine *e, const struct question *q, const struct bulla_engine_input *answer)
{
	struct rows rows = {.count = 0};
	bulla_bytes body, item;
	struct bulla_msg_list m;
	struct bulla_msg_listing listing = {.runs = {.count = 0}};
	struct bulla_pb_iter iter;
	bulla_wr w = bulla_wr_buf(clear_buf(&e->scratch));

	BULLA_TRY(bulla_msg_list_decode(bulla_block_view(q->body), &m));
	rows.limit = m.limit == 0 || m.limit > LIST_MAX ? LIST_MAX : (size_t)m.limit;
	BULLA_TRY(add_resident(e, e->newest, &m, &w, &rows));
	BULLA_TRY(add_resident(e, e->newest_kept, &m, &w, &rows));
	for (size_t i = 0; i < rows.count; i++)
		rows.items[i] = bulla_bytes_of(e->scratch.p + (i ? rows.ends[i - 1] : 0),
			rows.ends[i] - (i ? rows.ends[i - 1] : 0));
	if (answer->rc == BULLA_OK && bulla_msg_listing_decode(answer->body, &listing) == BULLA_OK)
		for (iter = bulla_pb_list_begin(&listing.runs); rows.count < rows.limit && bulla_pb_list_next(&iter, &item);)
			if (!is_kept(e, item))
				rows.items[rows.count++] = item;
	listing.runs = bulla_pb_list_of(rows.items, rows.count);
	w = bulla_wr_buf(clear_buf(&e->out));
	bulla_msg_listing_encode(&listing, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	e->effects.reply(e->effects.ctx, q->peer, BULLA_OP_LIST, q->stream, body);
	return BULLA_OK;
}

bulla_rc api_list(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	struct bulla_msg_list m;
	bulla_rc rc = bulla_msg_list_decode(in->body, &m);

	if (rc == BULLA_OK)
		return client_ask(e, in, BULLA_ENGINE_LIST_RUNS, in->body);
	client_refuse(e, in, rc, 0);
	return BULLA_OK;
}

/* --- STATUS, DRAIN --- */

static bulla_rc write_peer(const struct instance *i, bulla_wr *w)
{
	struct bulla_msg_status_peer peer = {.agent = bulla_handle_view(&i->handles[0]),
		.kid = bulla_bytes_digest(&i->kid),
		.manifest = bulla_bytes_digest(&i->manifest),
		.up = i->usable,
		.open = i->open_count,
		.why = i->usable ? BULLA_OK : i->why,
		.reattest_ms = (uint64_t)i->reattest_ms};

	bulla_msg_status_peer_encode(&peer, w);
	return w->rc;
}

bulla_rc api_status(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	bulla_bytes items[INSTANCES_MAX], body;
	size_t ends[INSTANCES_MAX], n = 0;
	struct bulla_msg_status status = {.runs_open = e->counts.open,
		.journal_lsn = e->durable_lsn,
		.broker_up = e->broker != 0,
		.started_ms = (uint64_t)e->options.wall_ms,
		.runs_done = e->counts.done,
		.runs_failed = e->counts.failed,
		.epoch = e->newest_epoch};
	bulla_wr w = bulla_wr_buf(clear_buf(&e->scratch));

	if (in->op == BULLA_OP_DRAIN)
		bulla_engine_drain(e);
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

	if (q)
		q->at_broker = true;
	if (rc == BULLA_OK)
		return BULLA_OK;
	if (q)
		question_free(e, q);
	if (in->op == BULLA_OP_KEYS && e->keys)
		e->effects.reply(e->effects.ctx, in->peer, BULLA_OP_KEYS, in->stream, bulla_block_view(e->keys));
	else
		client_refuse(e, in, rc, BUSY_RETRY_MS);
	return BULLA_OK;
}

bulla_rc api_keys(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	return ask_broker(e, in, BULLA_OP_BROKER_KEYS);
}

bulla_rc api_put_manifest(struct bulla_engine *e, const struct bulla_engine_input *in)
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
		client_refuse(e, in, rc, 0);
		return rc == BULLA_E_MEMORY ? rc : BULLA_OK;
	}
	object.id = bulla_bytes_digest(&e->newest_manifest);
	rc = object_learn(e, &object, NULL);
	if (rc == BULLA_E_LIMIT) {
		client_refuse(e, in, rc, 0);
		return BULLA_OK;
	}
	BULLA_TRY(rc);
	if (e->broker != 0)
		return ask_broker(e, in, BULLA_OP_PUT_MANIFEST);
	e->effects.reply(e->effects.ctx, in->peer, BULLA_OP_PUT_MANIFEST, in->stream, (bulla_bytes){NULL, 0});
	return BULLA_OK;
}
