#include "engine/bundle.h"

#include "base/mem.h"

#define PIECE_BYTES ((size_t)64 << 10)
#define UNSEEN_MOST 2                        /* pieces on their way to the client */
#define OUT_MOST (2 * BULLA_BUNDLE_BODY_MAX) /* a piece, and the item that it ends in */
#define CLIENT_MS ((int64_t)60 * 1000)       /* that a client may take for a piece */
#define AGAIN_MS 20                          /* the librarian has enough to do */
#define RETRY_MS 50

/* --- which there are --- */

static struct bundle *bundle_at(const struct bulla_engine *e, size_t i)
{
	return e->bundles[i];
}

static struct bundle *bundle_find(const struct bulla_engine *e, bulla_engine_peer peer, uint32_t stream)
{
	for (size_t i = 0; i < BULLA_MAX_BUNDLES; i++)
		if (bundle_at(e, i) && bundle_at(e, i)->peer == peer && bundle_at(e, i)->stream == stream)
			return bundle_at(e, i);
	return NULL;
}

static void bundle_free(struct bulla_engine *e, struct bundle *b)
{
	struct question *q = question_find(e, b->ticket);

	if (q)
		question_free(e, q);
	for (size_t i = 0; i < BULLA_MAX_BUNDLES; i++)
		if (e->bundles[i] == b)
			e->bundles[i] = NULL;
	bulla_bundle_writer_free(b->writer);
	bulla_buf_done(&b->out);
	bulla_pool_give(&e->pool, b->index);
	bulla_pool_give(&e->pool, b->page);
	bulla_pool_give(&e->pool, b->loaded);
	bulla_free(b->hash);
	bulla_free(b);
}

static bulla_rc bundle_new(struct bulla_engine *e, struct bundle **ret)
{
	void *p;

	for (size_t i = 0; i < BULLA_MAX_BUNDLES; i++) {
		if (e->bundles[i])
			continue;
		BULLA_TRY(bulla_alloc(1, sizeof(**ret), &p));
		*ret = e->bundles[i] = p;
		bulla_buf_init(&(*ret)->out, OUT_MOST);
		(*ret)->w = bulla_wr_buf(&(*ret)->out);
		(*ret)->since_ms = e->now_ms;
		return BULLA_OK;
	}
	return BULLA_E_BUSY;
}

void bundles_done(struct bulla_engine *e)
{
	for (size_t i = 0; i < BULLA_MAX_BUNDLES; i++)
		if (bundle_at(e, i))
			bundle_free(e, bundle_at(e, i));
}

/* --- questions --- */

/* A place among the questions, which is the bundle's; NULL: later. */
static struct question *question_of(struct bulla_engine *e, struct bundle *b)
{
	struct question *q = question_new(e, b->peer, b->stream, BULLA_OP_BUNDLE);

	if (q)
		b->ticket = q->ticket;
	else
		b->again_ms = e->now_ms + AGAIN_MS;
	return q;
}

/* It could not be asked: later, when that is all. */
static bulla_rc not_asked(struct bulla_engine *e, struct bundle *b, struct question *q, bulla_rc rc)
{
	question_free(e, q);
	b->ticket = 0;
	if (rc != BULLA_E_BUSY)
		return rc;
	b->again_ms = e->now_ms + AGAIN_MS;
	return BULLA_OK;
}

bulla_rc bundle_ask_librarian(struct bulla_engine *e, struct bundle *b, enum bulla_engine_question question,
	bulla_bytes arg)
{
	struct question *q = question_of(e, b);
	bulla_rc rc = q ? e->effects.ask(e->effects.ctx, q->ticket, question, arg) : BULLA_OK;

	return rc == BULLA_OK ? rc : not_asked(e, b, q, rc);
}

bulla_rc bundle_ask_page(struct bulla_engine *e, struct bundle *b)
{
	const struct bulla_msg_record_ask ask = {.run_id = bulla_run_id_view(&b->run), .from = b->record.next};
	struct question *q = question_of(e, b);
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes body;
	bulla_rc rc;

	if (!q)
		return BULLA_OK;
	bulla_msg_record_ask_encode(&ask, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	q->at_broker = true;
	rc = broker_call(e, BULLA_OP_RECORD, q->ticket, body);
	b->page_wanted = rc != BULLA_OK;
	return rc == BULLA_OK ? rc : not_asked(e, b, q, rc);
}

/* --- to the client --- */

static bulla_rc fail(struct bulla_engine *e, struct bundle *b, bulla_rc rc)
{
	e->effects.error(e->effects.ctx, b->peer, BULLA_OP_BUNDLE, b->stream, rc, rc == BULLA_E_BROKER ? 1000 : 0);
	bundle_free(e, b);
	return rc == BULLA_E_MEMORY ? rc : BULLA_OK;
}

static bulla_rc finish(struct bulla_engine *e, struct bundle *b)
{
	bulla_rc rc = bulla_bundle_finish(b->writer, &b->w);

	if (rc == BULLA_OK)
		rc = b->w.rc;
	if (rc != BULLA_OK)
		return fail(e, b, rc);
	e->effects.reply(e->effects.ctx, b->peer, BULLA_OP_BUNDLE, b->stream, bulla_buf_view(&b->out));
	bundle_free(e, b);
	return BULLA_OK;
}

static bool is_piece(const struct bulla_engine *e, const struct bundle *b)
{
	return b->out.n >= (e->options.piece_bytes > 0 ? e->options.piece_bytes : PIECE_BYTES);
}

static void send_piece(struct bulla_engine *e, struct bundle *b)
{
	e->effects.event(e->effects.ctx, b->peer, BULLA_OP_BUNDLE, b->stream, bulla_buf_view(&b->out));
	b->unseen++;
	b->since_ms = e->now_ms;
	b->out.n = 0;
	b->w = bulla_wr_buf(&b->out);
}

/* As far as it goes: until something was asked, or the client has to take what it got. */
static bulla_rc go(struct bulla_engine *e, struct bundle *b)
{
	bulla_rc rc = BULLA_OK;

	while (rc == BULLA_OK && b->ticket == 0 && b->again_ms == 0) {
		if (!is_piece(e, b))
			rc = bundle_put_next(e, b);
		else if (b->unseen < UNSEEN_MOST)
			send_piece(e, b);
		else
			return BULLA_OK;
	}
	if (rc == BULLA_E_CLOSED)
		return finish(e, b);
	return rc == BULLA_OK ? rc : fail(e, b, rc);
}

/* --- its beginning --- */

bulla_rc api_bundle(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	struct bundle *b = NULL;
	struct bulla_msg_fetch m;
	bulla_run_id id;
	uint32_t index;
	bulla_rc rc = bulla_msg_fetch_decode(in->body, &m);

	if (rc == BULLA_OK)
		rc = bulla_bytes_copy_exact(m.run_id, sizeof(id.b), id.b);
	index = rc == BULLA_OK ? run_find(e, &id) : NO_REF;
	if (index != NO_REF && run_at(e, index)->used == 1) /* open, or its last record is not durable yet */
		rc = run_at(e, index)->recorded ? BULLA_E_AGAIN : BULLA_E_STATE;
	if (rc == BULLA_OK)
		rc = bundle_new(e, &b);
	if (rc != BULLA_OK) {
		client_refuse(e, in, rc, RETRY_MS);
		return rc == BULLA_E_MEMORY ? rc : BULLA_OK;
	}
	b->peer = in->peer;
	b->stream = in->stream;
	b->run = id;
	b->headers_only = m.headers_only != 0;
	return go(e, b);
}

/* --- answers --- */

static struct bundle *asked_by(struct bulla_engine *e, const struct question *q)
{
	struct bundle *b = bundle_find(e, q->peer, q->stream);

	if (!b || b->ticket != q->ticket)
		return NULL;
	b->ticket = 0;
	return b;
}

bulla_rc bundle_loaded(struct bulla_engine *e, const struct question *q, const struct bulla_engine_input *answer)
{
	struct bundle *b = asked_by(e, q);
	bulla_rc rc = answer->rc;

	if (!b)
		return BULLA_OK;
	if (answer->question == BULLA_ENGINE_INDEX_RUN) {
		rc = rc == BULLA_E_NOT_FOUND ? BULLA_E_RUN_UNKNOWN : rc;
		rc = rc == BULLA_OK ? bundle_begin(e, b, answer->body) : rc;
	} else if (rc == BULLA_OK) {
		bulla_pool_give(&e->pool, b->loaded);
		b->loaded = NULL;
		b->loaded_at = 0;
		rc = bulla_pool_copy(&e->pool, answer->body, &b->loaded);
	}
	return rc == BULLA_OK ? go(e, b) : fail(e, b, rc);
}

bulla_rc bundle_paged(struct bulla_engine *e, const struct question *q, bulla_rc rc, bulla_bytes record)
{
	struct bundle *b = asked_by(e, q);
	uint64_t from = b ? b->record.next : 0;

	if (!b)
		return BULLA_OK;
	bulla_pool_give(&e->pool, b->page);
	b->page = NULL;
	if (rc == BULLA_OK)
		rc = bulla_pool_copy(&e->pool, record, &b->page);
	if (rc == BULLA_OK)
		rc = bulla_msg_record_decode(bulla_block_view(b->page), &b->record);
	if (rc == BULLA_OK && b->record.next != 0 && b->record.next <= from)
		rc = BULLA_FAIL(BULLA_E_FORMAT, "the ledger's record of a run goes round in circles");
	if (rc != BULLA_OK)
		return fail(e, b, rc);
	b->items = bulla_pb_list_begin(&b->record.items);
	return go(e, b);
}

bulla_rc bundle_seen(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	struct bundle *b = bundle_find(e, in->peer, in->stream);

	if (!b || b->unseen == 0)
		return BULLA_OK;
	b->unseen--;
	b->since_ms = e->now_ms;
	return go(e, b);
}

void bundle_cancel(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	struct bundle *b = bundle_find(e, in->peer, in->stream);

	if (!b)
		return;
	e->effects.error(e->effects.ctx, b->peer, BULLA_OP_BUNDLE, b->stream, BULLA_E_CANCELLED, 0);
	bundle_free(e, b);
}

void bundles_down(struct bulla_engine *e, bulla_engine_peer peer)
{
	for (size_t i = 0; i < BULLA_MAX_BUNDLES; i++)
		if (bundle_at(e, i) && bundle_at(e, i)->peer == peer)
			bundle_free(e, bundle_at(e, i));
}

/* --- time --- */

static int64_t due_of(const struct bundle *b)
{
	if (b->again_ms != 0)
		return b->again_ms;
	return b->ticket == 0 ? b->since_ms + CLIENT_MS : INT64_MAX;
}

int64_t bundles_due(const struct bulla_engine *e)
{
	int64_t due = INT64_MAX;

	for (size_t i = 0; i < BULLA_MAX_BUNDLES; i++)
		if (bundle_at(e, i) && due_of(bundle_at(e, i)) < due)
			due = due_of(bundle_at(e, i));
	return due;
}

bulla_rc bundles_time(struct bulla_engine *e)
{
	for (size_t i = 0; i < BULLA_MAX_BUNDLES; i++) {
		struct bundle *b = bundle_at(e, i);

		if (!b || due_of(b) > e->now_ms)
			continue;
		if (b->again_ms == 0) {
			BULLA_TRY(fail(e, b, BULLA_E_TIMEOUT));
			continue;
		}
		b->again_ms = 0;
		BULLA_TRY(go(e, b));
	}
	return BULLA_OK;
}
