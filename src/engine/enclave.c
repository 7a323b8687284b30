#include "engine/state.h"

#include "cose/sign1.h"
#include "crypto/hash.h"
#include "receipt/receipt.h"
#include "wire/cbor.h"

#define BIRTH_CONTENT_TYPE "application/bulla-birth+cbor;v=1"
#define LEAVE_MS 5000 /* a start under the old manifest may be on its way */
#define CHECK_EVERY_MS 1000 /* deadlines of running steps */
#define BUSY_AGAIN_MS 20
#define ESCROW_RUNS 32
#define RESUMED_MS 50 /* after an enclave sent again what it had, for others that do */

/* --- from running to durable --- */

/* The enclave may forget it. One that finds no place is told when the enclave sends it again. */
static void note_stored(const struct bulla_engine *e, struct instance *i, const bulla_digest *receipt)
{
	if (i->stored_count == 0)
		i->stored_ms = e->now_ms;
	if (i->stored_count < INSTANCE_OPEN)
		i->stored[i->stored_count++] = *receipt;
}

/* With not too many runs under way latency counts: the result travels in the commit and the broker keeps it until told `stored`:
 * the host need not sync it (engine.md section 3). A failure may be only an attempt's end: the broker keeps none. Links
 * that a result names are not in the escrow: they must be durable here first. */
static bool may_escrow(struct bulla_engine *e, ref r)
{
	const struct work *work = work_at(e, r);
	uint32_t most = e->options.escrow_runs > 0 ? e->options.escrow_runs : ESCROW_RUNS;

	return e->broker != 0 && e->objects_pending == 0 && e->counts.open <= most && !run_by_ref(e, r)->unsynced &&
		!BULLA_OUTCOME_IS_FAILURE(work->outcome) &&
		work->result->size - BULLA_REC_RESULT_HEAD <= BULLA_MAX_ESCROW;
}

static bulla_rc write_result(struct bulla_engine *e, ref r, const struct bulla_msg_executed *executed, uint8_t outcome)
{
	struct bulla_msg_executed bare = *executed;
	struct bulla_rec_result result = {.at_ms = e->wall_ms,
		.step = step_of(r),
		.attempt = work_at(e, r)->attempt,
		.outcome = outcome};
	struct work *work = work_at(e, r);
	struct bulla_block *block;
	bulla_wr w;
	bulla_bytes view;

	bare.objects = (struct bulla_pb_list){.count = 0};
	BULLA_TRY(bulla_pool_take(&e->pool, BULLA_REC_RESULT_HEAD + bulla_msg_size(&bulla_msg_executed_desc, &bare), &block));
	w = bulla_wr_fixed(block->data, block->size);
	bulla_rec_result_write(&w, &result);
	bulla_msg_executed_encode(&bare, &w);
	if (bulla_wr_end(&w, &view) != BULLA_OK) {
		bulla_pool_give(&e->pool, block);
		return BULLA_E_LIMIT;
	}
	bulla_pool_give(&e->pool, work->result);
	work->result = block;
	work->escrowed = may_escrow(e, r);
	/* an escrowed one is safe when its commit is: here it goes with the next batch that somebody waits for */
	return book_append(e, run_of(r), BULLA_HOST_RESULT, step_of(r), work->attempt, view, !work->escrowed);
}

/* Does this result answer that attempt? */
static bulla_rc check_result(struct bulla_engine *e, ref r, const struct bulla_msg_executed *executed,
	struct bulla_receipt_record *ret)
{
	const struct bulla_position *p;
	const struct run *run = run_by_ref(e, r);

	BULLA_TRY(bulla_receipt_record_decode(executed->receipt, ret));
	p = &ret->receipt.position;
	if (!bulla_run_id_eq(&p->slot.run, &run->id) || p->slot.step != step_of(r) || p->slot.item != 0 ||
		p->attempt != work_at(e, r)->attempt)
		return BULLA_FAIL(BULLA_E_FORMAT, "a result of another attempt");
	return executed->commit.n > 0 ? BULLA_OK : BULLA_FAIL(BULLA_E_FORMAT, "a result without a commit request");
}

static bulla_rc take_result(struct bulla_engine *e, ref r, struct instance *i, bulla_bytes body)
{
	struct work *work = work_at(e, r);
	struct bulla_msg_executed executed;
	struct bulla_receipt_record receipt;
	uint32_t known = e->object_count;
	bulla_rc rc = bulla_msg_executed_decode(body, &executed);

	if (rc == BULLA_OK)
		rc = check_result(e, r, &executed, &receipt);
	if (rc == BULLA_OK)
		rc = links_learn(e, &executed.objects, &i->kid);
	if (rc != BULLA_OK) {
		e->effects.note(e->effects.ctx, BULLA_NOTE_BAD_MESSAGE, BULLA_OP_EXECUTE);
		return runner_give_up(e, r);
	}
	run_by_ref(e, r)->new_objects = run_by_ref(e, r)->new_objects || e->object_count > known;
	work->receipt = receipt.digest;
	work->maker = receipt.receipt.kid;
	work->outcome = receipt.receipt.outcome;
	work->source = work->instance;
	runner_release(e, r);
	if (body.n > BULLA_MAX_RECORD) /* the enclave sealed more than is taken: it would again */
		return book_abort(e, run_of(r), BULLA_RUN_STUCK, BULLA_E_LIMIT);
	work->phase = WRITING;
	work->durable = work->escrowed = false;
	BULLA_TRY(write_result(e, r, &executed, receipt.receipt.outcome));
	/* no commit of a run that this host could forget */
	return work->escrowed && run_by_ref(e, r)->start_durable ? runner_commit(e, r) : BULLA_OK;
}

bulla_rc runner_commit(struct bulla_engine *e, ref r)
{
	work_at(e, r)->phase = COMMITTING;
	return advance_add(e, r);
}

bulla_rc runner_result_durable(struct bulla_engine *e, ref r, uint32_t attempt)
{
	struct work *work = work_at(e, r);
	struct instance *i = work->source ? &e->instances[work->source - 1] : NULL;

	if (work->attempt != attempt || !work->result || work->durable ||
		(work->phase != WRITING && work->phase != COMMITTING && work->phase != COMMITTED))
		return BULLA_OK;
	work->durable = true;
	if (i && i->peer != 0)
		note_stored(e, i, &work->receipt);
	if (work->phase == WRITING)
		return runner_commit(e, r);
	/* `stored` rides with the run's next entry; after its last one it goes alone */
	return work->escrowed && run_by_ref(e, r)->fold.state != BULLA_RUN_OPEN ? advance_add(e, r) : BULLA_OK;
}

bulla_rc runner_give_up(struct bulla_engine *e, ref r)
{
	struct run *run = run_by_ref(e, r);
	struct work *work = work_at(e, r);
	bool speculated = work->speculated;
	struct bulla_rec_result given_up = {.at_ms = e->wall_ms, .step = step_of(r), .attempt = work->attempt};
	struct instance *i = instance_at(e, work);
	uint8_t head[BULLA_REC_RESULT_HEAD];
	bulla_wr w = bulla_wr_fixed(head, sizeof(head));
	bulla_bytes body;

	bulla_rec_result_write(&w, &given_up);
	BULLA_TRY(bulla_wr_end(&w, &body));
	runner_release(e, r);
	if (speculated)
		return BULLA_OK; /* the fold does not want it yet; it will be asked for again */
	BULLA_TRY(book_append(e, run_of(r), BULLA_HOST_GIVEN_UP, step_of(r), given_up.attempt, body, false));
	if (run->fold.state != BULLA_RUN_OPEN)
		return BULLA_OK;
	BULLA_TRY(book_lost(e, r));
	work->tell_lost = true;
	work->outcome = BULLA_OUTCOME_LOST; /* for those who follow */
	book_event(e, r, BULLA_STEP_RETRYING);
	BULLA_TRY(book_decide(e, run_of(r)));
	return i && i->peer ? runner_kick(e, i) : BULLA_OK;
}

bulla_rc runner_stop(struct bulla_engine *e, ref r)
{
	struct work *work = work_at(e, r);
	struct instance *i = instance_at(e, work);

	if (work->phase == RUNNING && i)
		(void)(e->effects.call(e->effects.ctx, i->peer, BULLA_OP_CANCEL, i->open[work->open].stream,
			(bulla_bytes){NULL, 0}) == BULLA_OK);
	return BULLA_OK;
}

/* --- frames of an enclave --- */

/* Is this birth record's payload (doc/formats.md section `birth`) of that manifest? */
static bool birth_is_of(bulla_bytes payload, const bulla_digest *manifest)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(payload);
	bulla_digest named;
	bulla_bytes skipped;
	size_t items;

	if (bulla_cbor_rd_array(&r, 12, &items) != BULLA_OK)
		return false;
	for (unsigned i = 0; i < 4; i++) /* version, tenant, agent, epoch */
		if (bulla_cbor_rd_skip(&r, &skipped) != BULLA_OK)
			return false;
	return bulla_cbor_rd_digest(&r, &named) == BULLA_OK && bulla_digest_eq(&named, manifest);
}

/* The birth records of the run's manifest (one per agent), each after the instance record of its signer. */
static void add_births(struct bulla_engine *e, const bulla_digest *manifest, struct parcel *parcel)
{
	for (uint32_t k = 0; k < e->object_count && parcel_size(parcel) < 63; k++) {
		bulla_digest kid;
		bulla_bytes payload;
		uint32_t signer;

		if (e->objects[k].kind != BULLA_OBJECT_BIRTH ||
			bulla_sign1_peek(bulla_block_view(e->objects[k].body), BIRTH_CONTENT_TYPE, &kid, &payload) != BULLA_OK ||
			!birth_is_of(payload, manifest))
			continue;
		signer = object_find(e, BULLA_OBJECT_INSTANCE, bulla_bytes_digest(&kid));
		if (signer != NO_OBJECT)
			parcel->objects[parcel->count++] = signer;
		parcel->objects[parcel->count++] = k;
	}
}

static bulla_rc send_needed(struct bulla_engine *e, ref r, struct instance *i, bulla_bytes body)
{
	struct bulla_msg_need need;
	struct parcel parcel = {.count = 0};
	struct work *work = work_at(e, r);
	struct bulla_pb_iter iter;
	bulla_bytes id;
	bulla_rc rc;

	if (work->need_sent || bulla_msg_need_decode(body, &need) != BULLA_OK)
		return runner_give_up(e, r);
	work->need_sent = true;
	for (iter = bulla_pb_list_begin(&need.links); bulla_pb_list_next(&iter, &id);) {
		uint32_t link = object_find(e, BULLA_OBJECT_LINK, id);

		/* asked for means not there, whatever was carried */
		if (link != NO_OBJECT && parcel_size(&parcel) < 63) {
			parcel.objects[parcel.count++] = link;
			parcel_add_instance(e, &parcel, i->peer, &e->objects[link].maker);
		}
		if (link == NO_OBJECT)
			(void)parcel_add_start_link(&parcel, run_by_ref(e, r), id);
	}
	for (iter = bulla_pb_list_begin(&need.instances); bulla_pb_list_next(&iter, &id);) {
		uint32_t instance = object_find(e, BULLA_OBJECT_INSTANCE, id);

		if (instance != NO_OBJECT && parcel_size(&parcel) < 64)
			parcel.objects[parcel.count++] = instance;
	}
	if (need.births.count > 0)
		add_births(e, &e->projects[run_at(e, run_of(r))->manifest].manifest.digest, &parcel);
	rc = runner_open(e, r, i);
	if (rc == BULLA_OK)
		rc = runner_send(e, r, i, &parcel);
	return rc == BULLA_OK ? BULLA_OK : runner_give_up(e, r);
}

/* An enclave that could not begin: without harm it is tried again, else the attempt is lost. */
static bulla_rc execute_refused(struct bulla_engine *e, ref r, struct instance *i, const struct bulla_engine_input *in)
{
	struct bulla_msg_error error;
	bulla_bytes id = {NULL, 0};

	if (bulla_msg_error_decode(in->body, &error) == BULLA_OK)
		id = error.id;
	if (bulla_bytes_eq_str(id, "busy")) {
		work_at(e, r)->phase = BACKOFF;
		return timer_add(e, e->now_ms + BUSY_AGAIN_MS, r, work_at(e, r)->attempt);
	}
	if (bulla_bytes_eq_str(id, "session-unknown") || bulla_bytes_eq_str(id, "evidence-stale"))
		runner_refused(e, i, BULLA_E_SESSION);
	return runner_give_up(e, r);
}

static bulla_rc execute_answered(struct bulla_engine *e, struct instance *i, const struct bulla_engine_input *in)
{
	uint32_t place = (in->stream - 1) & 0xff;
	struct open_step open = i->open[place];
	struct work *work;

	if (open.generation == 0 || open.stream != in->stream)
		return BULLA_OK; /* nobody waits for it any more */
	i->open[place].generation = 0;
	i->open_count--;
	if (run_by_ref(e, open.ref)->generation != open.generation)
		return runner_kick(e, i);
	work = work_at(e, open.ref);
	if (work->phase != RUNNING || work->open != place)
		return runner_kick(e, i);
	work->phase = WRITING; /* so that release does not count the open place again */
	if (in->flags & BULLA_ENGINE_ERROR)
		BULLA_TRY(execute_refused(e, open.ref, i, in));
	else if (in->op == BULLA_OP_NEED) {
		work->phase = RUNNING;
		BULLA_TRY(send_needed(e, open.ref, i, in->body));
	} else
		BULLA_TRY(take_result(e, open.ref, i, in->body));
	return runner_kick(e, i);
}

/* A result from before a restart, from the enclave's outbox. */
static bulla_rc result_resent(struct bulla_engine *e, struct instance *i, bulla_bytes body)
{
	struct bulla_msg_executed executed;
	struct bulla_receipt_record receipt;
	uint32_t index;
	ref r;

	if (bulla_msg_executed_decode(body, &executed) != BULLA_OK ||
		bulla_receipt_record_decode(executed.receipt, &receipt) != BULLA_OK)
		return BULLA_OK;
	index = run_find(e, &receipt.receipt.position.slot.run);
	if (index != NO_REF && receipt.receipt.position.slot.step > 0 &&
		receipt.receipt.position.slot.step < run_at(e, index)->fold.slot_count) {
		r = ref_of(index, (uint16_t)receipt.receipt.position.slot.step);
		if (work_at(e, r)->phase == LIMBO && work_at(e, r)->attempt == receipt.receipt.position.attempt) {
			work_at(e, r)->instance = (uint8_t)(i - e->instances + 1);
			i->reserved++;
			return take_result(e, r, i, body);
		}
		if (run_at(e, index)->unsynced)
			return BULLA_OK; /* not known yet what the ledger says: it stays in the outbox */
	}
	note_stored(e, i, &receipt.digest); /* nobody needs it */
	return BULLA_OK;
}

static bulla_rc learn_instance(struct bulla_engine *e, struct instance *i, const struct bulla_msg_instance *m)
{
	struct bulla_msg_object object = {
		.kind = BULLA_OBJECT_INSTANCE, .id = bulla_bytes_digest(&i->kid), .body = m->record};
	bulla_bytes births[INSTANCE_AGENTS];

	BULLA_TRY(object_learn(e, &object, NULL));
	if (m->births.count != i->agent_count)
		return BULLA_OK;
	BULLA_TRY(bulla_pb_list_items(&m->births, INSTANCE_AGENTS, births));
	for (uint32_t k = 0; k < i->agent_count; k++) {
		bulla_digest digest;

		bulla_sha256(births[k], &digest);
		object = (struct bulla_msg_object){
			.kind = BULLA_OBJECT_BIRTH, .id = bulla_bytes_digest(&digest), .body = births[k]};
		BULLA_TRY(object_learn(e, &object, NULL));
	}
	return BULLA_OK;
}

static bulla_rc take_instance(struct bulla_engine *e, struct instance *i, bulla_bytes body)
{
	struct bulla_msg_instance m;
	struct bulla_pb_iter iter;
	bulla_bytes handle;

	BULLA_TRY(bulla_msg_instance_decode(body, &m));
	BULLA_TRY(bulla_bytes_copy_exact(m.kid, sizeof(i->kid.b), i->kid.b));
	i->usable = false;
	i->why = (bulla_rc)m.why;
	BULLA_TRY(bulla_bytes_copy_exact(m.manifest, sizeof(i->manifest.b), i->manifest.b));
	if (m.why != BULLA_OK)
		return BULLA_OK;
	BULLA_TRY(bulla_bytes_copy_exact(m.session, sizeof(i->session), i->session));
	i->agent_count = 0;
	for (iter = bulla_pb_list_begin(&m.agents); bulla_pb_list_next(&iter, &handle);) {
		if (i->agent_count == INSTANCE_AGENTS)
			return BULLA_FAIL(BULLA_E_LIMIT, "an enclave of too many agents");
		BULLA_TRY(bulla_bytes_copy_exact(handle, 8, i->handles[i->agent_count].b));
		i->agents[i->agent_count] = agent_index(e, i->handles[i->agent_count].b);
		i->agent_count++;
	}
	BULLA_TRY(learn_instance(e, i, &m));
	i->window = (uint32_t)(m.window < INSTANCE_OPEN ? m.window : INSTANCE_OPEN);
	i->reattest_ms = (int64_t)m.reattest_ms;
	i->usable = i->window > 0;
	return runner_kick(e, i);
}

bulla_rc runner_frame(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	struct instance *i = instance_of(e, in->peer);
	bulla_rc rc = BULLA_OK;

	if (!i)
		return BULLA_OK;
	if (in->op == BULLA_OP_INSTANCE)
		rc = take_instance(e, i, in->body);
	else if ((in->flags & BULLA_ENGINE_EVENT) && in->op == BULLA_OP_EXECUTE)
		return result_resent(e, i, in->body);
	else if ((in->flags & BULLA_ENGINE_REPLY) && (in->op == BULLA_OP_EXECUTE || in->op == BULLA_OP_NEED))
		return execute_answered(e, i, in);
	else if ((in->flags & BULLA_ENGINE_REPLY) && in->op == BULLA_OP_RESUME && e->have_limbo &&
		e->limbo_until_ms > e->now_ms + RESUMED_MS)
		e->limbo_until_ms = e->now_ms + RESUMED_MS;
	if (rc != BULLA_OK && rc != BULLA_E_MEMORY) {
		e->effects.note(e->effects.ctx, BULLA_NOTE_BAD_MESSAGE, in->op);
		return BULLA_OK;
	}
	return rc;
}

/* The enclave is to send again what it holds. */
bulla_rc runner_resume(struct bulla_engine *e, struct instance *i)
{
	uint32_t stream = 0x40000000U | ++i->stream;
	bulla_rc rc = e->effects.call(e->effects.ctx, i->peer, BULLA_OP_RESUME, stream, (bulla_bytes){NULL, 0});

	return rc == BULLA_E_MEMORY ? rc : BULLA_OK;
}

bulla_rc runner_up(struct bulla_engine *e, bulla_engine_peer peer)
{
	for (size_t k = 0; k < INSTANCES_MAX; k++) {
		struct instance *i = &e->instances[k];

		if (i->peer != 0)
			continue;
		bulla_zero(i, sizeof(*i));
		if (k >= e->instance_count)
			e->instance_count = (uint32_t)k + 1;
		i->peer = peer;
		i->head = i->tail = NO_REF;
		i->why = BULLA_E_AGAIN;
		return runner_resume(e, i);
	}
	return BULLA_OK; /* more enclaves than places: it is not used */
}

/* Slots bound to the instance: what ran there is lost, what waited finds another one. */
bulla_rc runner_down(struct bulla_engine *e, bulla_engine_peer peer)
{
	struct instance *i = instance_of(e, peer);
	uint32_t index, older;

	if (!i)
		return BULLA_OK;
	i->usable = false;
	i->peer = 0;
	e->effects.note(e->effects.ctx, BULLA_NOTE_INSTANCE_LOST, peer);
	for (index = e->newest; index != NO_REF; index = older) {
		older = run_at(e, index)->older;
		for (uint32_t s = 0; run_at(e, index)->used == 1 && s < run_at(e, index)->fold.slot_count; s++) {
			ref r = ref_of(index, (uint16_t)s);
			struct work *work = work_at(e, r);

			if (work->source == i - e->instances + 1)
				work->source = 0;
			if (instance_at(e, work) != i)
				continue;
			if ((work->phase != ASKED && work->phase != LOADING) || work->speculated) {
				BULLA_TRY(runner_give_up(e, r));
				continue;
			}
			/* perhaps it has no permit yet: asked again for another instance; if it has, that is refused */
			runner_release(e, r);
			BULLA_TRY(runner_assign(e, r));
		}
	}
	return BULLA_OK;
}

bool runner_is_of_instance(bulla_rc rc)
{
	static const bulla_rc list[] = {BULLA_E_SESSION, BULLA_E_REVOKED, BULLA_E_EPOCH_OLD, BULLA_E_EPOCH_CLOSED,
		BULLA_E_MEASUREMENT, BULLA_E_BINDER, BULLA_E_EVIDENCE_FORMAT, BULLA_E_EVIDENCE_CHAIN, BULLA_E_EVIDENCE_SIGNATURE,
		BULLA_E_EVIDENCE_STALE, BULLA_E_EVIDENCE_DEBUG, BULLA_E_EVIDENCE_POLICY};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (list[i] == rc)
			return true;
	return false;
}

void runner_refused(struct bulla_engine *e, struct instance *i, bulla_rc why)
{
	i->usable = false;
	i->why = why;
	if (i->peer != 0) /* a hint: it may attest again before its time */
		e->effects.event(e->effects.ctx, i->peer, BULLA_OP_RENEW, 0, bulla_bytes_of(NULL, 0));
	e->effects.note(e->effects.ctx, BULLA_NOTE_INSTANCE_REFUSED, why);
}

bool runner_has_old(const struct bulla_engine *e)
{
	for (size_t k = 0; k < e->instance_count; k++)
		if (e->instances[k].peer != 0 && e->instances[k].usable &&
			!bulla_digest_eq(&e->instances[k].manifest, &e->newest_manifest))
			return true;
	return false;
}

/* Is this a manifest that was replaced, and no run of it goes on? */
static bool is_over(struct bulla_engine *e, const bulla_digest *manifest)
{
	if (bulla_digest_eq(manifest, &e->newest_manifest) ||
		object_find(e, BULLA_OBJECT_MANIFEST, bulla_bytes_digest(manifest)) == NO_OBJECT)
		return false;
	for (uint32_t index = e->newest; index != NO_REF; index = run_at(e, index)->older)
		if (bulla_digest_eq(&e->projects[run_at(e, index)->manifest].manifest.digest, manifest))
			return false;
	return true;
}

/* Its seeds go with it; who starts enclaves starts it again for a run that comes late (LEAVE_MS). */
static void let_go(struct bulla_engine *e, struct instance *i)
{
	if (i->peer == 0 || !i->usable || !is_over(e, &i->manifest)) {
		i->idle_ms = 0;
		return;
	}
	if (i->idle_ms == 0)
		i->idle_ms = e->now_ms;
	if (e->now_ms - i->idle_ms < LEAVE_MS)
		return;
	i->idle_ms = 0;
	e->effects.event(e->effects.ctx, i->peer, BULLA_OP_LEAVE, 0, bulla_bytes_of(NULL, 0));
}

/* Steps that should have ended long ago; enclaves that nobody needs any more. */
bulla_rc runner_time(struct bulla_engine *e)
{
	if (e->now_ms - e->checked_ms < CHECK_EVERY_MS)
		return BULLA_OK;
	e->checked_ms = e->now_ms;
	park_time(e);
	for (size_t k = 0; k < e->instance_count; k++) {
		struct instance *i = &e->instances[k];

		let_go(e, i);
		for (unsigned o = 0; i->peer != 0 && o < INSTANCE_OPEN; o++) {
			ref r = i->open[o].ref;

			if (i->open[o].generation == 0 || run_by_ref(e, r)->generation != i->open[o].generation)
				continue;
			if (work_at(e, r)->phase == RUNNING && work_at(e, r)->deadline_ms < e->now_ms) {
				BULLA_TRY(runner_stop(e, r));
				BULLA_TRY(runner_give_up(e, r));
			}
		}
	}
	return BULLA_OK;
}

/* One STORED frame per enclave and turn: nobody waits for it, so it goes with a step, or when it is worth waking the enclave. */
#define STORED_TOGETHER 8
#define STORED_MS 20
bulla_rc runner_flush(struct bulla_engine *e)
{
	for (size_t k = 0; k < e->instance_count; k++) {
		struct instance *i = &e->instances[k];
		bulla_bytes digests[INSTANCE_OPEN], body;
		struct bulla_msg_stored stored;
		bool sent = i->sent;
		bulla_wr w;

		i->sent = false;
		if (i->peer == 0 || i->stored_count == 0 ||
			(!sent && i->stored_count < STORED_TOGETHER && e->now_ms < i->stored_ms + STORED_MS))
			continue;
		for (uint32_t n = 0; n < i->stored_count; n++)
			digests[n] = bulla_bytes_digest(&i->stored[n]);
		stored.receipts = bulla_pb_list_of(digests, i->stored_count);
		i->stored_count = 0;
		w = bulla_wr_buf(clear_buf(&e->out));
		bulla_msg_stored_encode(&stored, &w);
		BULLA_TRY(bulla_wr_end(&w, &body));
		e->effects.event(e->effects.ctx, i->peer, BULLA_OP_STORED, 0, body);
	}
	return BULLA_OK;
}

int64_t runner_due(const struct bulla_engine *e)
{
	int64_t due = INT64_MAX;

	for (size_t k = 0; k < e->instance_count; k++) {
		const struct instance *i = &e->instances[k];

		if (i->peer != 0 && i->stored_count > 0 && i->stored_ms + STORED_MS < due)
			due = i->stored_ms + STORED_MS;
	}
	return due;
}
