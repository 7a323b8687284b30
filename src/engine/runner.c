#include "engine/state.h"


#define AHEAD 64             /* permits asked for beyond an instance's window */
#define LATE_MS 3000        /* beyond a step's time-out, before it is given up */
#define BUSY_AGAIN_MS 20    /* too much waits at that connection: nothing else may say when it is less */

/* --- instances --- */

struct instance *instance_of(struct bulla_engine *e, bulla_engine_peer peer)
{
	for (size_t i = 0; i < e->instance_count; i++)
		if (e->instances[i].peer == peer && peer != 0)
			return &e->instances[i];
	return NULL;
}

static bool hosts(const struct instance *i, uint16_t agent)
{
	for (uint32_t k = 0; k < i->agent_count; k++)
		if (i->agents[k] == agent)
			return true;
	return false;
}

/* The least loaded one that may run it. An instance of a later epoch may serve it too: the broker decides. */
struct instance *runner_pick(struct bulla_engine *e, const struct run *run, uint16_t agent)
{
	const bulla_digest *manifest = &e->projects[run->manifest].manifest.digest;
	struct instance *best = NULL;

	for (size_t k = 0; k < e->instance_count; k++) {
		struct instance *i = &e->instances[k];

		if (i->peer == 0 || !i->usable || !hosts(i, agent) || i->reserved >= i->window + AHEAD)
			continue;
		if (!bulla_digest_eq(&i->manifest, manifest))
			continue;
		if (!best || i->reserved < best->reserved)
			best = i;
	}
	return best;
}

bool runner_serves(struct bulla_engine *e, const struct run *run, uint16_t agent)
{
	for (size_t k = 0; k < e->instance_count; k++)
		if (e->instances[k].peer != 0 && e->instances[k].usable && hosts(&e->instances[k], agent) &&
			bulla_digest_eq(&e->instances[k].manifest, &e->projects[run->manifest].manifest.digest))
			return true;
	return false;
}

bulla_rc runner_why(struct bulla_engine *e, const struct run *run, uint16_t agent)
{
	if (runner_serves(e, run, agent))
		return BULLA_OK;
	for (size_t k = 0; k < e->instance_count; k++)
		if (e->instances[k].peer != 0 && hosts(&e->instances[k], agent) && e->instances[k].why == BULLA_E_REVOKED)
			return BULLA_E_REVOKED;
	return BULLA_E_UNREACHABLE;
}

static uint16_t agent_of(struct bulla_engine *e, ref r)
{
	const struct workflow *workflow = run_workflow(e, run_by_ref(e, r));

	return workflow->agent_of[workflow->flow.steps[step_of(r)].actor];
}

/* --- queues --- */

static void queue_push(struct bulla_engine *e, ref *head, ref *tail, ref r)
{
	work_at(e, r)->next = NO_REF;
	if (*tail != NO_REF)
		work_at(e, *tail)->next = r;
	else
		*head = r;
	*tail = r;
}

static ref queue_pop(struct bulla_engine *e, ref *head, ref *tail)
{
	ref r = *head;

	if (r == NO_REF)
		return r;
	*head = work_at(e, r)->next;
	if (*head == NO_REF)
		*tail = NO_REF;
	work_at(e, r)->next = NO_REF;
	return r;
}

static void queue_remove(struct bulla_engine *e, ref *head, ref *tail, ref r)
{
	ref at = *head, before = NO_REF;

	while (at != NO_REF && at != r) {
		before = at;
		at = work_at(e, at)->next;
	}
	if (at == NO_REF)
		return;
	if (before == NO_REF)
		*head = work_at(e, r)->next;
	else
		work_at(e, before)->next = work_at(e, r)->next;
	if (*tail == r)
		*tail = before;
	work_at(e, r)->next = NO_REF;
}

/* Forgets everything that binds the slot to an instance, a queue or a permit. */
void runner_release(struct bulla_engine *e, ref r)
{
	struct work *work = work_at(e, r);
	struct instance *i = instance_at(e, work);

	if (work->phase == QUEUED) {
		struct agent *agent = &e->agents[agent_of(e, r)];

		queue_remove(e, &agent->head, &agent->tail, r);
	}
	if (i) {
		if (work->phase == PERMITTED)
			queue_remove(e, &i->head, &i->tail, r);
		if (work->phase == RUNNING) {
			i->open[work->open].generation = 0;
			i->open_count--;
		}
		i->reserved--;
	}
	work->instance = 0;
	work->speculated = false;
	bulla_pool_give(&e->pool, work->permit);
	work->permit = NULL;
	if (work->phase != COMMITTED)
		work->phase = IDLE;
}

/* --- from wanted to running --- */

bulla_rc runner_want(struct bulla_engine *e, ref r, uint32_t attempt, int64_t due_ms)
{
	struct work *work = work_at(e, r);
	int64_t wait;

	if (work->speculated && work->attempt == attempt) {
		/* its permit is on its way, or here */
		work->speculated = false;
		return BULLA_OK;
	}
	if (work->phase != IDLE && work->phase != COMMITTED)
		runner_release(e, r);
	bulla_pool_give(&e->pool, work->result);
	work->result = NULL;
	work->attempt = attempt;
	work->need_sent = work->durable = work->escrowed = false;
	wait = book_wait(e, r, due_ms);
	if (wait > 0) {
		work->phase = BACKOFF;
		return timer_add(e, e->now_ms + wait, r, attempt);
	}
	return runner_assign(e, r);
}

bulla_rc runner_assign(struct bulla_engine *e, ref r)
{
	struct work *work = work_at(e, r);
	struct run *run = run_by_ref(e, r);
	uint16_t agent = agent_of(e, r);
	struct instance *i = e->draining ? NULL : runner_pick(e, run, agent);

	if (!i) {
		work->phase = QUEUED;
		queue_push(e, &e->agents[agent].head, &e->agents[agent].tail, r);
		if (!runner_serves(e, run, agent))
			book_event(e, r, BULLA_STEP_WAITING);
		return BULLA_OK;
	}
	if (run->parked)
		return park_load(e, r, i);
	if (e->broker == 0)
		book_event(e, r, BULLA_STEP_WAITING);
	work->instance = (uint8_t)(i - e->instances + 1);
	i->reserved++;
	work->phase = ASKED;
	return advance_add(e, r);
}

bulla_rc runner_permitted(struct bulla_engine *e, ref r, bulla_bytes permit)
{
	struct work *work = work_at(e, r);
	struct instance *i = instance_at(e, work);

	if (!i)
		return BULLA_OK;
	bulla_pool_give(&e->pool, work->permit);
	work->permit = NULL;
	BULLA_TRY(bulla_pool_copy(&e->pool, permit, &work->permit));
	return runner_retry(e, r);
}

/* As many of an instance's queue as its window has places. */
static bulla_rc kick_permitted(struct bulla_engine *e, struct instance *i)
{
	while (i->head != NO_REF && i->open_count < i->window) {
		uint32_t open = i->open_count;

		BULLA_TRY(runner_dispatch(e, queue_pop(e, &i->head, &i->tail)));
		if (i->open_count == open)
			break;
	}
	return BULLA_OK;
}

/* A slot with a permit: to the enclave, or into its queue. */
bulla_rc runner_retry(struct bulla_engine *e, ref r)
{
	struct instance *i = instance_at(e, work_at(e, r));

	work_at(e, r)->phase = PERMITTED;
	if (!i || (start_is_large(run_by_ref(e, r)) && !run_by_ref(e, r)->start_durable))
		return BULLA_OK; /* client_start_durable comes again */
	if (i->open_count < i->window && i->head == NO_REF)
		return runner_dispatch(e, r);
	queue_push(e, &i->head, &i->tail, r);
	return kick_permitted(e, i); /* perhaps nothing is open there whose answer would */
}

/* The parents' records and the input envelopes of a step, in scratch: views of the run's records. */
struct inputs {
	size_t parent_count, envelope_count;
};

static bulla_rc parent_record(struct bulla_engine *e, uint32_t index, const struct bulla_flow_parent *parent,
	bulla_bytes *ret_record, struct bulla_pb_list *ret_envelopes, bulla_digest *ret_maker)
{
	struct run *run = run_at(e, index);
	struct bulla_rec_started started;
	struct bulla_rec_result result;
	struct bulla_msg_start start;
	struct bulla_msg_executed executed;

	if (parent->step == 0) {
		BULLA_TRY(bulla_rec_started_read(bulla_block_view(run->started), &started));
		BULLA_TRY(bulla_msg_start_decode(started.start, &start));
		*ret_record = start.record;
		*ret_envelopes = start.envelopes;
		*ret_maker = (bulla_digest){0};
		return BULLA_OK;
	}
	BULLA_TRY(bulla_rec_result_read(bulla_block_view(run->works[parent->step].result), &result));
	BULLA_TRY(bulla_msg_executed_decode(result.executed, &executed));
	*ret_record = executed.receipt;
	*ret_envelopes = executed.outputs;
	*ret_maker = run->works[parent->step].maker;
	return BULLA_OK;
}

static bulla_rc collect(struct bulla_engine *e, ref r, struct inputs *ret)
{
	struct run *run = run_by_ref(e, r);
	const struct bulla_flow *flow = run_flow(e, run);
	struct scratch *s = &e->local;
	size_t bound;

	BULLA_TRY(bulla_flow_parents(flow, &run->fold, step_of(r), 0, s->flow_parents, BULLA_MAX_PARENTS, &ret->parent_count));
	for (size_t i = 0; i < ret->parent_count; i++)
		BULLA_TRY(parent_record(e, run_of(r), &s->flow_parents[i], &s->parents[i], &s->lists[i], &s->makers[i]));
	BULLA_TRY(bulla_flow_bind(flow, step_of(r), 0, s->flow_parents, ret->parent_count, s->bindings,
		BULLA_MAX_FLOW_INPUTS, &bound));
	ret->envelope_count = 0;
	for (size_t i = 0; i < bound; i++) {
		const struct bulla_flow_binding *b = &s->bindings[i];

		if (b->parent == BULLA_FLOW_NO_SLOT)
			continue;
		if (b->part >= s->lists[b->parent].count)
			return BULLA_FAIL(BULLA_E_PARENT, "an output that the plan names is not there");
		s->envelopes[ret->envelope_count] = bulla_pb_list_at(&s->lists[b->parent], b->part);
		s->maker_of[ret->envelope_count++] = (uint8_t)b->parent;
	}
	return BULLA_OK;
}

/* What the connection has not carried: who signed the parents, and the links that the envelopes name. */
static void hint_objects(struct bulla_engine *e, const struct run *run, bulla_engine_peer peer,
	const struct inputs *inputs, struct parcel *parcel)
{
	const struct scratch *s = &e->local;

	for (size_t i = 0; i < inputs->parent_count; i++)
		parcel_add_instance(e, parcel, peer, &s->makers[i]);
	for (size_t i = 0; run->new_objects && i < inputs->envelope_count; i++)
		parcel_add_links(e, parcel, peer, s->envelopes[i], &s->makers[s->maker_of[i]]);
	for (size_t i = 0; i < inputs->envelope_count; i++)
		if (s->flow_parents[s->maker_of[i]].step == 0)
			parcel_add_start_links(e, parcel, peer, run, s->envelopes[i]);
}

bulla_rc runner_send(struct bulla_engine *e, ref r, struct instance *i, struct parcel *parcel)
{
	struct run *run = run_by_ref(e, r);
	struct work *work = work_at(e, r);
	struct inputs inputs = {.parent_count = 0};
	struct scratch *s = &e->local;
	bulla_bytes body;
	struct bulla_block *memory;
	struct bulla_msg_execute execute;
	bulla_wr w = bulla_wr_buf(clear_buf(&e->out));
	bulla_rc rc;

	BULLA_TRY(collect(e, r, &inputs));
	hint_objects(e, run, i->peer, &inputs, parcel);
	BULLA_TRY(parcel_pack(e, parcel, i->peer, &memory, s->objects));
	execute = (struct bulla_msg_execute){.permit = bulla_block_view(work->permit),
		.parents = bulla_pb_list_of(s->parents, inputs.parent_count),
		.inputs = bulla_pb_list_of(s->envelopes, inputs.envelope_count),
		.objects = bulla_pb_list_of(s->objects, parcel_size(parcel)),
		.deadline_ms = (uint64_t)run_flow(e, run)->steps[step_of(r)].timeout_ms,
		.workflow = run->workflow};
	bulla_msg_execute_encode(&execute, &w);
	bulla_pool_give(&e->pool, memory);
	BULLA_TRY(bulla_wr_end(&w, &body));
	if (body.n > BULLA_MAX_MESSAGE)
		return BULLA_FAIL(BULLA_E_LIMIT, "the inputs of a step are more than a message holds");
	rc = e->effects.call(e->effects.ctx, i->peer, BULLA_OP_EXECUTE, i->open[work->open].stream, body);
	/* LIMIT: too much waits there already. Anything else: PEER_DOWN follows */
	return rc == BULLA_E_BUSY || rc == BULLA_E_LIMIT ? BULLA_E_BUSY : BULLA_OK;
}

/* Takes a place in the instance's open table. */
bulla_rc runner_open(struct bulla_engine *e, ref r, struct instance *i)
{
	struct work *work = work_at(e, r);

	for (unsigned k = 0; k < INSTANCE_OPEN; k++) {
		if (i->open[k].generation != 0)
			continue;
		i->stream = (i->stream + 1) & 0x3fffff;
		i->open[k] = (struct open_step){.stream = (i->stream << 8 | k) + 1,
						.ref = r,
						.generation = run_by_ref(e, r)->generation};
		i->open_count++;
		work->open = (uint8_t)k;
		return BULLA_OK;
	}
	return BULLA_E_BUSY;
}

bulla_rc runner_dispatch(struct bulla_engine *e, ref r)
{
	struct work *work = work_at(e, r);
	struct instance *i = instance_at(e, work);
	struct parcel parcel = {.count = 0};
	/* the disk is behind: what ran now would only wait here for it */
	bulla_rc rc = e->journal.n > BULLA_MAX_JOURNAL_BACKLOG ? BULLA_E_BUSY : runner_open(e, r, i);

	if (rc == BULLA_OK) {
		rc = runner_send(e, r, i, &parcel);
		if (rc != BULLA_OK) {
			i->open[work->open].generation = 0;
			i->open_count--;
		}
	}
	if (rc == BULLA_E_BUSY) {
		work->phase = BACKOFF;
		return timer_add(e, e->now_ms + BUSY_AGAIN_MS, r, work->attempt);
	}
	if (rc == BULLA_E_PARENT || rc == BULLA_E_PLAN || rc == BULLA_E_FORMAT || rc == BULLA_E_LIMIT)
		return book_abort(e, run_of(r), BULLA_RUN_STUCK, rc);
	BULLA_TRY(rc);
	work->phase = RUNNING;
	i->sent = true;
	/* G2: a step changes nothing outside (`may` is not built), so it may begin before its run is durable; its commit waits */
	e->journal_hurry = e->journal_hurry || !run_by_ref(e, r)->start_durable;
	work->since_ms = run_by_ref(e, r)->touched_ms = e->now_ms;
	work->deadline_ms = e->now_ms + run_flow(e, run_by_ref(e, r))->steps[step_of(r)].timeout_ms + LATE_MS;
	book_event(e, r, BULLA_STEP_RUNNING);
	return BULLA_OK;
}

/* Something became free at an instance: permitted ones first, then those who wait for an instance at all. */
bulla_rc runner_kick(struct bulla_engine *e, struct instance *i)
{
	BULLA_TRY(kick_permitted(e, i));
	for (uint32_t k = 0; k < i->agent_count; k++) {
		struct agent *agent;

		if (i->agents[k] == UINT16_MAX)
			continue; /* no workflow names that agent */
		agent = &e->agents[i->agents[k]];
		while (agent->head != NO_REF && i->usable && i->reserved < i->window + AHEAD && !e->draining) {
			ref r = queue_pop(e, &agent->head, &agent->tail);

			BULLA_TRY(runner_assign(e, r));
			if (work_at(e, r)->phase == QUEUED)
				return BULLA_OK; /* it needs another instance */
		}
	}
	return BULLA_OK;
}
