#include "engine/state.h"

#include "base/mem.h"

#define BUFFER_MAX ((size_t)32 << 20)
#define CLOSED_KEPT 64
#define JOURNAL_MAX ((size_t)48 << 20) /* gathered while the disk is slow; starts are refused long before */

/* --- small things --- */

struct peer *peer_of(struct bulla_engine *e, bulla_engine_peer id)
{
	struct peer *peer = &e->peers[id % BULLA_MAX_PEERS];

	return peer->id == id && id != 0 ? peer : NULL;
}

bulla_rc list_add(struct pointer_list *list, ref r, uint32_t generation)
{
	if (list->count == list->capacity) {
		uint32_t capacity = list->capacity ? 2 * list->capacity : 256;
		void *items, *generations;

		BULLA_TRY(bulla_alloc(capacity, sizeof(*list->items), &items));
		if (bulla_alloc(capacity, sizeof(*list->generations), &generations) != BULLA_OK) {
			bulla_free(items);
			return BULLA_E_MEMORY;
		}
		if (list->count > 0) {
			bulla_copy(items, list->items, list->count * sizeof(*list->items));
			bulla_copy(generations, list->generations, list->count * sizeof(*list->generations));
		}
		bulla_free(list->items);
		bulla_free(list->generations);
		list->items = items;
		list->generations = generations;
		list->capacity = capacity;
	}
	list->items[list->count] = r;
	list->generations[list->count++] = generation;
	return BULLA_OK;
}

struct question *question_new(struct bulla_engine *e, bulla_engine_peer peer, uint32_t stream, uint8_t op)
{
	for (size_t i = 0; i < PENDING_MAX; i++) {
		struct question *q = &e->questions[(e->next_ticket + i) % PENDING_MAX];

		if (q->ticket != 0)
			continue;
		*q = (struct question){
			.ticket = e->next_ticket + i, .peer = peer, .stream = stream, .op = op};
		e->next_ticket += i + 1;
		return q;
	}
	return NULL;
}

struct question *question_find(struct bulla_engine *e, uint64_t ticket)
{
	struct question *q = &e->questions[ticket % PENDING_MAX];

	return q->ticket == ticket && ticket != 0 ? q : NULL;
}

void question_free(struct bulla_engine *e, struct question *q)
{
	bulla_pool_give(&e->pool, q->body);
	bulla_pool_give(&e->pool, q->first);
	*q = (struct question){0};
}

/* --- timers: a binary heap on (due, run_no, slot): a total order, so that a replay is exact --- */

static bool comes_before(const struct timer *a, const struct timer *b)
{
	if (a->due_ms != b->due_ms)
		return a->due_ms < b->due_ms;
	return a->run_no != b->run_no ? a->run_no < b->run_no : a->ref < b->ref;
}

static void sift_up(struct timer *timers, uint32_t at)
{
	while (at > 0 && comes_before(&timers[at], &timers[(at - 1) / 2])) {
		struct timer swap = timers[at];

		timers[at] = timers[(at - 1) / 2];
		timers[(at - 1) / 2] = swap;
		at = (at - 1) / 2;
	}
}

static void sift_down(struct timer *timers, uint32_t count)
{
	uint32_t at = 0;

	for (;;) {
		uint32_t least = at, left = 2 * at + 1;
		struct timer swap;

		if (left < count && comes_before(&timers[left], &timers[least]))
			least = left;
		if (left + 1 < count && comes_before(&timers[left + 1], &timers[least]))
			least = left + 1;
		if (least == at)
			return;
		swap = timers[at];
		timers[at] = timers[least];
		timers[least] = swap;
		at = least;
	}
}

bulla_rc timer_add(struct bulla_engine *e, int64_t due_ms, ref r, uint32_t attempt)
{
	const struct run *run = run_by_ref(e, r);

	if (e->timer_count == e->timer_capacity) {
		uint32_t capacity = e->timer_capacity ? 2 * e->timer_capacity : 256;
		void *p;

		BULLA_TRY(bulla_alloc(capacity, sizeof(*e->timers), &p));
		if (e->timer_count > 0)
			bulla_copy(p, e->timers, e->timer_count * sizeof(*e->timers));
		bulla_free(e->timers);
		e->timers = p;
		e->timer_capacity = capacity;
	}
	e->timers[e->timer_count] = (struct timer){.due_ms = due_ms,
						   .run_no = run->run_no,
						   .ref = r,
						   .generation = run->generation,
						   .attempt = attempt};
	sift_up(e->timers, e->timer_count++);
	return BULLA_OK;
}

static bulla_rc timer_fire(struct bulla_engine *e, const struct timer *timer)
{
	struct run *run = run_by_ref(e, timer->ref);
	struct work *work;

	if (run->generation != timer->generation || run->used != 1)
		return BULLA_OK;
	if (step_of(timer->ref) == 0)
		return park_wake(e, run_of(timer->ref));
	work = work_at(e, timer->ref);
	if (work->attempt != timer->attempt)
		return BULLA_OK;
	if (work->phase == CLOCKED)
		return advance_add(e, timer->ref);
	if (work->phase != BACKOFF)
		return BULLA_OK;
	return work->permit && work->instance ? runner_retry(e, timer->ref) : runner_assign(e, timer->ref);
}

static bulla_rc on_time(struct bulla_engine *e)
{
	while (e->timer_count > 0 && e->timers[0].due_ms <= e->now_ms) {
		struct timer timer = e->timers[0];

		e->timers[0] = e->timers[--e->timer_count];
		sift_down(e->timers, e->timer_count);
		BULLA_TRY(timer_fire(e, &timer));
	}
	if (e->again_ms != 0 && e->again_ms <= e->now_ms) {
		e->again_ms = 0;
		BULLA_TRY(sync_ask(e));
		BULLA_TRY(advance_all(e));
	}
	if (e->have_limbo && e->limbo_until_ms <= e->now_ms)
		BULLA_TRY(limbo_end(e));
	return runner_time(e);
}

static int64_t earliest(const struct bulla_engine *e)
{
	int64_t due = INT64_MAX;

	if (e->timer_count > 0)
		due = e->timers[0].due_ms;
	if (e->again_ms != 0 && e->again_ms < due)
		due = e->again_ms;
	if (e->have_limbo && e->limbo_until_ms < due)
		due = e->limbo_until_ms;
	if (e->counts.open > 0 && e->checked_ms + 1000 < due)
		due = e->checked_ms + 1000;
	return due;
}

/* --- projects --- */

uint16_t agent_index(struct bulla_engine *e, const uint8_t handle[8])
{
	for (uint32_t i = 0; i < e->agent_count; i++)
		if (bulla_bytes_eq(bulla_handle_view(&e->agents[i].handle), bulla_bytes_of(handle, 8)))
			return (uint16_t)i;
	if (e->agent_count == BULLA_MAX_AGENTS)
		return 0; /* more than a manifest has: its steps find no instance, the broker refuses a wrong one */
	e->agents[e->agent_count].head = e->agents[e->agent_count].tail = NO_REF;
	bulla_copy(e->agents[e->agent_count].handle.b, handle, 8);
	return (uint16_t)e->agent_count++;
}

static bulla_rc load_workflow(struct bulla_engine *e, const struct bulla_workflow *from, struct workflow *ret)
{
	struct workflow w = {.digest = from->digest};
	size_t size;
	void *p;

	BULLA_TRY(bulla_flow_measure(from->plan, &size));
	BULLA_TRY(bulla_alloc(1, size > 0 ? size : 1, &w.memory));
	if (bulla_flow_decode(from->plan, w.memory, size, &w.flow) != BULLA_OK ||
	    bulla_alloc(w.flow.actor_count + 1, sizeof(*w.agent_of), &p) != BULLA_OK) {
		bulla_free(w.memory);
		return BULLA_E_FORMAT;
	}
	w.agent_of = p;
	for (uint32_t i = 0; i < w.flow.actor_count; i++)
		if (w.flow.actors[i].kind == BULLA_FLOW_AGENT)
			w.agent_of[i] = agent_index(e, w.flow.actors[i].handle);
	*ret = w;
	return BULLA_OK;
}

static void project_done(struct bulla_engine *e, struct project *project)
{
	for (size_t i = 0; project->workflows && i < project->manifest.workflow_count; i++) {
		bulla_free(project->workflows[i].memory);
		bulla_free(project->workflows[i].agent_of);
	}
	bulla_free(project->workflows);
	bulla_manifest_done(&project->manifest);
	bulla_pool_give(&e->pool, project->bytes);
	*project = (struct project){0};
}

static bulla_rc load_project(struct bulla_engine *e, struct project *project)
{
	struct bulla_msg_put_manifest m;
	void *p;

	BULLA_TRY(bulla_msg_put_manifest_decode(bulla_block_view(project->bytes), &m));
	BULLA_TRY(bulla_manifest_decode(m.manifest, &project->manifest));
	BULLA_TRY(bulla_alloc(project->manifest.workflow_count + 1, sizeof(*project->workflows), &p));
	project->workflows = p;
	for (size_t i = 0; i < project->manifest.workflow_count; i++)
		BULLA_TRY(load_workflow(e, &project->manifest.workflows[i], &project->workflows[i]));
	return BULLA_OK;
}

bulla_rc bulla_engine_manifest(struct bulla_engine *e, bulla_bytes manifest, const bulla_bytes *approvals, size_t count)
{
	struct bulla_msg_put_manifest m = {.manifest = manifest, .approvals = bulla_pb_list_of(approvals, count)};
	struct project *project = NULL;
	bulla_bytes bytes;
	bulla_rc rc;
	bulla_wr w;

	for (uint32_t p = 0; p < MANIFESTS_MAX; p++) {
		if (!e->projects[p].used) {
			project = project ? project : &e->projects[p];
			continue;
		}
		if (bulla_bytes_eq(e->projects[p].manifest.bytes, manifest)) {
			e->newest_project = p;
			return BULLA_OK;
		}
	}
	if (!project)
		return BULLA_FAIL(BULLA_E_LIMIT, "as many manifests as are kept");
	w = bulla_wr_buf(clear_buf(&e->out));
	bulla_msg_put_manifest_encode(&m, &w);
	BULLA_TRY(bulla_wr_end(&w, &bytes));
	BULLA_TRY(bulla_pool_copy(&e->pool, bytes, &project->bytes));
	rc = load_project(e, project);
	if (rc != BULLA_OK) {
		project_done(e, project);
		return rc;
	}
	project->used = true;
	e->newest_project = (uint32_t)(project - e->projects);
	return BULLA_OK;
}

/* --- the machine --- */

bulla_rc bulla_engine_new(const struct bulla_engine_options *options, const struct bulla_engine_effects *effects,
			  struct bulla_engine **ret)
{
	struct bulla_engine *e;
	bulla_rc rc;
	void *p;

	BULLA_TRY(bulla_alloc(1, sizeof(*e), &p));
	e = p;
	e->effects = *effects;
	e->options = *options;
	if (e->options.residents == 0 || e->options.residents > BULLA_MAX_RUN_RESIDENT)
		e->options.residents = BULLA_MAX_RUN_RESIDENT;
	if (e->options.closed_kept == 0)
		e->options.closed_kept = CLOSED_KEPT;
	e->now_ms = e->checked_ms = options->now_ms;
	e->next_run_no = options->next_run_no ? options->next_run_no : 1;
	e->next_ticket = 1;
	e->has_room = true;
	e->durable_lsn = 1;
	bulla_buf_init(&e->journal, JOURNAL_MAX);
	bulla_buf_init(&e->out, BUFFER_MAX);
	bulla_buf_init(&e->scratch, BUFFER_MAX);
	bulla_buf_init(&e->replay_map, BUFFER_MAX);
	rc = bulla_alloc(INSTANCES_MAX, sizeof(*e->instances), &p);
	if (rc == BULLA_OK) {
		e->instances = p;
		rc = runs_init(e);
	}
	if (rc == BULLA_OK)
		rc = objects_init(e);
	if (rc != BULLA_OK) {
		bulla_engine_free(e);
		return rc;
	}
	*ret = e;
	return BULLA_OK;
}

struct bulla_engine *bulla_engine_free(struct bulla_engine *e)
{
	if (!e)
		return NULL;
	if (e->chunks)
		runs_done(e);
	for (size_t i = 0; i < MANIFESTS_MAX; i++)
		if (e->projects[i].bytes)
			project_done(e, &e->projects[i]);
	for (size_t i = 0; i < PENDING_MAX; i++)
		question_free(e, &e->questions[i]);
	bulla_pool_give(&e->pool, e->keys);
	objects_done(e);
	bulla_buf_done(&e->journal);
	bulla_buf_done(&e->out);
	bulla_buf_done(&e->scratch);
	bulla_buf_done(&e->replay_map);
	bulla_free(e->advancing.items);
	bulla_free(e->advancing.generations);
	bulla_free(e->instances);
	bulla_free(e->pending);
	bulla_free(e->timers);
	history_done(e);
	bulla_pool_done(&e->pool);
	bulla_free(e);
	return NULL;
}

static bulla_rc on_up(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	struct peer *peer = &e->peers[in->peer % BULLA_MAX_PEERS];

	peer->id = in->peer;
	peer->role = in->role;
	bulla_free(peer->carried);
	peer->carried = NULL;
	if (in->role == BULLA_ROLE_BROKER)
		return broker_up(e, in->peer);
	return in->role == BULLA_ROLE_ENCLAVE ? runner_up(e, in->peer) : BULLA_OK;
}

static bulla_rc on_down(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	struct peer *peer = peer_of(e, in->peer);

	if (!peer)
		return BULLA_OK;
	peer->id = 0;
	if (peer->role == BULLA_ROLE_ENCLAVE)
		return runner_down(e, in->peer);
	if (peer->role == BULLA_ROLE_BROKER && e->broker == in->peer)
		return broker_down(e);
	client_down(e, in->peer);
	return BULLA_OK;
}

static bulla_rc on_frame(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	const struct peer *peer = peer_of(e, in->peer);

	if (!peer)
		return BULLA_OK;
	if (peer->role == BULLA_ROLE_BROKER)
		return broker_frame(e, in);
	return peer->role == BULLA_ROLE_ENCLAVE ? runner_frame(e, in) : client_frame(e, in);
}

/* End of a turn: permits and commits go first, then what they wrote; the journal goes last but is begun at once. */
static bulla_rc on_turn(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	e->backlog = in->backlog;
	e->has_room = in->has_room;
	BULLA_TRY(on_time(e));
	BULLA_TRY(book_turn(e));
	BULLA_TRY(advance_flush(e));
	BULLA_TRY(runner_flush(e));
	e->effects.arm(e->effects.ctx, earliest(e));
	return BULLA_OK;
}

bulla_rc bulla_engine_step(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	if (in->now_ms > e->now_ms)
		e->now_ms = in->now_ms;
	switch (in->kind) {
	case BULLA_ENGINE_PEER_UP:
		return on_up(e, in);
	case BULLA_ENGINE_PEER_DOWN:
		return on_down(e, in);
	case BULLA_ENGINE_FRAME:
		return on_frame(e, in);
	case BULLA_ENGINE_DURABLE:
		return book_durable(e, in->lsn, in->place);
	case BULLA_ENGINE_TIME:
		return on_time(e);
	case BULLA_ENGINE_LOADED:
		return client_loaded(e, in);
	case BULLA_ENGINE_TURN:
		return on_turn(e, in);
	default:
		return BULLA_FAIL(BULLA_E_ARGUMENT, "no such input");
	}
}

void bulla_engine_recall_run(struct bulla_engine *e, const bulla_run_id *run)
{
	bloom_add(e, run);
}

void bulla_engine_drain(struct bulla_engine *e)
{
	e->draining = true;
}

bool bulla_engine_idle(const struct bulla_engine *e)
{
	for (size_t i = 0; i < e->instance_count; i++)
		if (e->instances[i].peer != 0 && e->instances[i].open_count > 0)
			return false;
	return e->pending_count == 0;
}

void bulla_engine_count(const struct bulla_engine *e, struct bulla_engine_counts *ret)
{
	*ret = e->counts;
}
