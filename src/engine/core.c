#include "engine/state.h"

#include "base/mem.h"

#define BUFFER_MAX ((size_t)32 << 20)
#define CLOSED_KEPT 64
/* Gathered while the disk is slow: starts and steps wait long before; what was under way comes, from many enclaves at once. */
#define JOURNAL_MAX BULLA_ALLOC_MAX

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
	BULLA_TRY(bundles_time(e));
	return runner_time(e);
}

static int64_t earliest(const struct bulla_engine *e)
{
	int64_t due = runner_due(e), bundles = bundles_due(e);

	if (e->timer_count > 0 && e->timers[0].due_ms < due)
		due = e->timers[0].due_ms;
	if (e->again_ms != 0 && e->again_ms < due)
		due = e->again_ms;
	if (e->have_limbo && e->limbo_until_ms < due)
		due = e->limbo_until_ms;
	if (bundles < due)
		due = bundles;
	if ((e->counts.open > 0 || runner_has_old(e)) && e->checked_ms + 1000 < due)
		due = e->checked_ms + 1000;
	return due;
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
	e->wall_ms = e->options.wall_ms = options->wall_ms != 0 ? options->wall_ms : options->now_ms;
	e->next_run_no = options->next_run_no ? options->next_run_no : 1;
	e->next_ticket = 1;
	e->has_room = true;
	e->durable_lsn = 1;
	bulla_buf_init(&e->journal, JOURNAL_MAX);
	bulla_buf_init(&e->out, BUFFER_MAX);
	bulla_buf_init(&e->scratch, BUFFER_MAX);
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
	projects_done(e);
	bundles_done(e);
	for (size_t i = 0; i < PENDING_MAX; i++)
		question_free(e, &e->questions[i]);
	bulla_pool_give(&e->pool, e->keys);
	objects_done(e);
	bulla_buf_done(&e->journal);
	bulla_buf_done(&e->out);
	bulla_buf_done(&e->scratch);
	replay_done(e);
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
	bulla_free(peer->start_links);
	peer->carried = NULL;
	peer->start_links = NULL;
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

static bulla_rc take(struct bulla_engine *e, const struct bulla_engine_input *in)
{
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

bulla_rc bulla_engine_step(struct bulla_engine *e, const struct bulla_engine_input *in)
{
	bulla_rc rc;

	if (e->stepping)
		return BULLA_FAIL(BULLA_E_STATE, "the engine is entered from one of its effects");
	if (in->now_ms > e->now_ms)
		e->now_ms = in->now_ms;
	e->wall_ms = in->wall_ms != 0 ? in->wall_ms : e->now_ms;
	if (e->replay_numbers)
		replay_done(e);
	e->stepping = true;
	rc = take(e, in);
	e->stepping = false;
	return rc;
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
