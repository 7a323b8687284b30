#include "base/limits.h"
#include "base/mem.h"
#include "wire/kinds.h"

#include "agent/pool_internal.h"

#include <poll.h>

#define RETRY_US 100000   /* after the zygote refused */
#define GRACE_US 5000000  /* between SIGTERM and SIGKILL */

static const struct bulla_agent_ops *ops_of(const struct bulla_agent_pool *pool)
{
	if (pool->spec->binding == BULLA_AGENT_STREAM)
		return &bulla_agent_stream_ops;
	return pool->spec->binding == BULLA_AGENT_SERVE ? &bulla_agent_serve_ops : &bulla_agent_run_ops;
}

static void append(struct bulla_agent_job **first, struct bulla_agent_job **last, struct bulla_agent_job *job)
{
	job->next = NULL;
	if (*last != NULL)
		(*last)->next = job;
	else
		*first = job;
	*last = job;
}

static void detach(struct bulla_agent_job **first, struct bulla_agent_job **last, struct bulla_agent_job *job)
{
	struct bulla_agent_job *before = NULL;

	for (struct bulla_agent_job *at = *first; at != job; at = at->next)
		before = at;
	if (before != NULL)
		before->next = job->next;
	else
		*first = job->next;
	if (*last == job)
		*last = before;
	job->next = NULL;
}

static void sandbox_came(void *ctx, bulla_rc rc, const struct bulla_sandbox *sandbox)
{
	struct bulla_agent_box *box = ctx;
	struct bulla_agent_pool *pool = box->pool;

	if (rc != BULLA_OK) {
		box->state = BOX_EMPTY;
		pool->retry_us = bulla_agent_now(pool) + RETRY_US;
		return;
	}
	box->sandbox = *sandbox;
	box->state = BOX_READY;
	pool->stats.started++;
	box->begun_us = bulla_agent_now(pool);
	box->watch[WATCH_CONTROL].fd = sandbox->control;
	box->watch[WATCH_IN].fd = sandbox->in;
	box->watch[WATCH_OUT].fd = sandbox->out;
	box->watch[WATCH_ERR].fd = sandbox->err;
	bulla_box_watch(box, WATCH_CONTROL, BULLA_AGENT_READ);
	ops_of(pool)->made(box);
}

static void ask_sandbox(struct bulla_agent_box *box)
{
	struct bulla_agent_pool *pool = box->pool;

	if (bulla_agent_now(pool) < pool->retry_us)
		return;
	box->ask = (struct bulla_zygote_ask){.done = sandbox_came, .ctx = box};
	if (bulla_zygote_spawn(pool->zygote, pool->spec->id, &box->ask) == BULLA_OK)
		box->state = BOX_ASKED;
	else
		pool->retry_us = bulla_agent_now(pool) + RETRY_US;
}

static void reset(struct bulla_agent_box *box)
{
	box->state = BOX_EMPTY;
	box->in_flight = box->served = 0;
	box->first = box->last = NULL;
	bulla_buf_clear(&box->in);
	bulla_buf_clear(&box->out);
	box->in_at = box->scanned = 0;
	box->out_ended = box->exited = box->lost_control = box->poisoned = box->timed_out = box->too_long = box->err_read = false;
	box->kill_us = 0;
	box->tail.n = 0;
	box->tail.dropped = 0;
}

static void close_links(struct bulla_agent_box *box)
{
	for (uint32_t i = 0; box->links != NULL && i < box->pool->link_count; i++)
		bulla_agent_link_close(&box->links[i]);
}

void bulla_box_drop(struct bulla_agent_box *box, bool again)
{
	struct bulla_agent_pool *pool = box->pool;

	for (enum box_watch i = 0; i < WATCH_COUNT; i++)
		bulla_box_watch(box, i, 0);
	close_links(box);
	for (struct bulla_agent_job *job = box->first; job != NULL; job = job->next)
		job->box = NULL;
	if (box->last != NULL) { /* these did not start */
		box->last->next = pool->first;
		pool->first = box->first;
		if (pool->last == NULL)
			pool->last = box->last;
		pool->waiting += box->in_flight;
	}
	if (!box->exited && !box->lost_control)
		pool->stats.killed++;
	bulla_sandbox_kill(&box->sandbox);
	bulla_sandbox_close(&box->sandbox);
	reset(box);
	if (again)
		ask_sandbox(box);
}

void bulla_box_watch(struct bulla_agent_box *box, enum box_watch what, unsigned events)
{
	struct bulla_agent_watch *watch = &box->watch[what];

	if (watch->events == events || watch->fd < 0)
		return;
	watch->events = events;
	if (box->pool->loop.watch(box->pool->loop.ctx, watch->fd, events, watch) != BULLA_OK)
		box->lost_control = true; /* seen at the next turn */
	if (events == 0 && what != WATCH_IN)
		watch->fd = -1;
}

void bulla_box_finish(struct bulla_agent_box *box, struct bulla_agent_job *job, uint32_t outcome, bulla_bytes output)
{
	struct bulla_agent_pool *pool = box->pool;
	struct bulla_agent_result *result = &job->result;

	if (!box->err_read)
		bulla_box_read_err(box);
	detach(&box->first, &box->last, job);
	box->in_flight--;
	job->box = NULL;
	result->outcome = job->cancelled ? BULLA_OUTCOME_LOST : outcome;
	result->output = result->outcome == BULLA_OUTCOME_OK ? output : bulla_bytes_of(NULL, 0);
	result->log = bulla_agent_tail_view(&box->tail, &result->log_dropped);
	result->took_us = bulla_agent_now(pool) - job->started_us;
	pool->stats.log_dropped += result->log_dropped;
	job->done(job->ctx, job);
	box->tail.n = 0;
	box->tail.dropped = 0;
}

/* A job that never came to a process. */
static void finish_waiting(struct bulla_agent_pool *pool, struct bulla_agent_job *job, uint32_t outcome)
{
	detach(&pool->first, &pool->last, job);
	pool->waiting--;
	job->result = (struct bulla_agent_result){.outcome = outcome};
	job->done(job->ctx, job);
}

void bulla_box_fail_waiting(struct bulla_agent_box *box, uint32_t outcome)
{
	struct bulla_agent_pool *pool = box->pool;
	struct bulla_agent_job *job = pool->first;

	if (job == NULL)
		return;
	detach(&pool->first, &pool->last, job);
	pool->waiting--;
	append(&box->first, &box->last, job);
	box->in_flight++;
	job->box = box;
	job->started_us = box->begun_us;
	job->result = (struct bulla_agent_result){0};
	bulla_box_finish(box, job, outcome, bulla_bytes_of(NULL, 0));
}

static void give(struct bulla_agent_box *box, struct bulla_agent_job *job)
{
	struct bulla_agent_pool *pool = box->pool;

	detach(&pool->first, &pool->last, job);
	pool->waiting--;
	append(&box->first, &box->last, job);
	box->in_flight++;
	job->box = box;
	job->result = (struct bulla_agent_result){.reused = box->served > 0};
	job->started_us = bulla_agent_now(pool);
	box->served++;
	pool->stats.attempts++;
	ops_of(pool)->begin(box, job);
}

static struct bulla_agent_box *find_box(struct bulla_agent_pool *pool, const struct bulla_agent_job *job)
{
	for (uint32_t i = 0; i < pool->box_count; i++) {
		struct bulla_agent_box *box = &pool->boxes[i];

		if (ops_of(pool)->takes(box) && (!job->fresh || box->served == 0))
			return box;
	}
	return NULL;
}

/* A job that wants a process nobody used: an idle used one makes room. */
static void make_room(struct bulla_agent_pool *pool, const struct bulla_agent_job *job)
{
	for (uint32_t i = 0; i < pool->box_count; i++) {
		struct bulla_agent_box *box = &pool->boxes[i];

		if (box->state == BOX_ASKED)
			return; /* one is coming */
		if (box->state == BOX_EMPTY) {
			ask_sandbox(box);
			return;
		}
		if (job->fresh && box->state == BOX_READY && box->served > 0 && box->in_flight == 0) {
			bulla_box_drop(box, true);
			return;
		}
	}
}

static void dispatch(struct bulla_agent_pool *pool)
{
	while (pool->first != NULL) {
		struct bulla_agent_box *box = find_box(pool, pool->first);

		if (box == NULL) {
			make_room(pool, pool->first);
			return;
		}
		give(box, pool->first);
	}
}

static void check_time(struct bulla_agent_box *box, int64_t now_us)
{
	struct bulla_agent_job *job = box->first;

	if (box->kill_us != 0 && now_us >= box->kill_us)
		box->timed_out = true;
	if (job != NULL && now_us - job->started_us >= job->timeout_us)
		box->timed_out = true;
	if (!box->timed_out)
		return;
	if (job != NULL)
		bulla_box_finish(box, job, BULLA_OUTCOME_TIMEOUT, bulla_bytes_of(NULL, 0));
	bulla_box_drop(box, true);
}

/* Things that a callback found and could not do while the box was in use. */
static void settle(struct bulla_agent_box *box)
{
	if (box->state != BOX_READY && box->state != BOX_BUSY && box->state != BOX_WARMING)
		return;
	if (box->lost_control || box->exited)
		ops_of(box->pool)->ended(box);
}

void bulla_agent_turn(struct bulla_agent_pool *pool)
{
	int64_t now_us = bulla_agent_now(pool);

	for (uint32_t i = 0; i < pool->box_count; i++)
		settle(&pool->boxes[i]);
	dispatch(pool);
	for (uint32_t i = 0; i < pool->box_count; i++) {
		struct bulla_agent_box *box = &pool->boxes[i];

		if (box->state == BOX_EMPTY || box->state == BOX_ASKED)
			continue;
		ops_of(pool)->turn(box, now_us);
		check_time(box, now_us);
	}
}

int64_t bulla_agent_due(const struct bulla_agent_pool *pool)
{
	int64_t due = INT64_MAX;

	if (pool->first != NULL && pool->retry_us > 0)
		due = pool->retry_us;
	for (uint32_t i = 0; i < pool->box_count; i++) {
		const struct bulla_agent_box *box = &pool->boxes[i];
		int64_t of_job = box->first == NULL ? INT64_MAX : box->first->started_us + box->first->timeout_us;

		due = of_job < due ? of_job : due;
		due = box->kill_us != 0 && box->kill_us < due ? box->kill_us : due;
		for (uint32_t j = 0; box->links != NULL && j < pool->link_count; j++)
			if (box->links[j].retry_us != 0 && box->links[j].retry_us < due)
				due = box->links[j].retry_us;
	}
	return due;
}

static void take_events(struct bulla_agent_box *box)
{
	struct bulla_sandbox_event event;
	bulla_rc rc = bulla_sandbox_event(&box->sandbox, &event);

	if (rc == BULLA_E_AGAIN)
		return;
	if (rc == BULLA_OK && event.kind == BULLA_SANDBOX_SOCKET) {
		bulla_agent_link_socket(box, event.fd);
		return;
	}
	box->exited = rc == BULLA_OK;
	box->lost_control = rc != BULLA_OK;
	if (rc == BULLA_OK)
		box->end = event;
	bulla_box_watch(box, WATCH_CONTROL, 0);
	ops_of(box->pool)->ended(box);
}

void bulla_agent_ready(struct bulla_agent_watch *watch, unsigned events)
{
	struct bulla_agent_box *box = watch->box;

	if (box->state == BOX_EMPTY || box->state == BOX_ASKED)
		return; /* an event of a sandbox that is gone */
	if (watch->what == WATCH_CONTROL)
		take_events(box);
	else if (watch->what == WATCH_OUT)
		ops_of(box->pool)->out(box);
	else if (watch->what == WATCH_ERR)
		bulla_box_read_err(box);
	else if (watch->what == WATCH_IN)
		ops_of(box->pool)->turn(box, bulla_agent_now(box->pool));
	else
		bulla_agent_link_ready(box, watch->what - WATCH_COUNT, events);
}

bulla_rc bulla_agent_submit(struct bulla_agent_pool *pool, struct bulla_agent_job *job)
{
	if (pool->waiting >= BULLA_MAX_AGENT_QUEUE)
		return BULLA_FAIL(BULLA_E_BUSY, "too many attempts wait for this agent");
	job->box = NULL;
	job->cancelled = false;
	append(&pool->first, &pool->last, job);
	pool->waiting++;
	return BULLA_OK;
}

void bulla_agent_cancel(struct bulla_agent_pool *pool, struct bulla_agent_job *job)
{
	struct bulla_agent_box *box = job->box;

	if (job->cancelled)
		return;
	job->cancelled = true;
	if (box == NULL) {
		finish_waiting(pool, job, BULLA_OUTCOME_LOST);
		return;
	}
	if (pool->spec->binding != BULLA_AGENT_RUN)
		return; /* its answer will be thrown away */
	bulla_sandbox_term(&box->sandbox);
	box->kill_us = bulla_agent_now(pool) + GRACE_US;
}

uint32_t bulla_agent_watches(const struct bulla_agent_pool *pool)
{
	return pool->box_count * (WATCH_COUNT + pool->link_count);
}

uint32_t bulla_agent_window(const struct bulla_agent_pool *pool)
{
	return 2 * pool->box_count * pool->in_flight_max;
}

struct bulla_agent_stats bulla_agent_stats(const struct bulla_agent_pool *pool)
{
	struct bulla_agent_stats stats = pool->stats;

	stats.waiting = pool->waiting;
	for (uint32_t i = 0; i < pool->box_count; i++) {
		stats.ready += pool->boxes[i].state == BOX_READY && pool->boxes[i].in_flight == 0;
		stats.busy += pool->boxes[i].in_flight > 0;
	}
	return stats;
}

static uint32_t or_default(uint32_t value, uint32_t standard, uint32_t most)
{
	uint32_t chosen = value == 0 ? standard : value;

	return chosen < most ? chosen : most;
}

static bulla_rc init_box(struct bulla_agent_pool *pool, struct bulla_agent_box *box)
{
	size_t line = (size_t)pool->output_max + 65536;

	box->pool = pool;
	bulla_buf_init(&box->out, line);
	/* what is written goes when it is more than what is not */
	bulla_buf_init(&box->in, (size_t)BULLA_MAX_AGENT_IN_FLIGHT * 2 * (BULLA_MAX_AGENT_INPUT + 1));
	for (uint8_t i = 0; i < WATCH_COUNT; i++)
		box->watch[i] = (struct bulla_agent_watch){.pool = pool, .box = box, .fd = -1, .what = i};
	if (pool->spec->binding != BULLA_AGENT_SERVE)
		return BULLA_OK;
	return bulla_agent_links_new(box);
}

bulla_rc bulla_agent_pool_new(const struct bulla_agent_spec *spec, struct bulla_zygote *zygote,
	const struct bulla_agent_loop *loop, struct bulla_agent_pool **ret)
{
	uint32_t count = or_default(spec->sandboxes, 1, BULLA_MAX_AGENT_SANDBOXES);
	struct bulla_agent_pool *pool;
	void *memory;
	bulla_rc rc = BULLA_OK;

	BULLA_TRY(bulla_alloc(1, sizeof(*pool) + count * sizeof(pool->boxes[0]), &memory));
	pool = memory;
	pool->spec = spec;
	pool->zygote = zygote;
	pool->loop = *loop;
	pool->box_count = count;
	pool->output_max = or_default(spec->output, BULLA_MAX_PAYLOAD, BULLA_MAX_PAYLOAD);
	pool->reuse_max = or_default(spec->reuse, BULLA_MAX_AGENT_REUSE, BULLA_MAX_AGENT_REUSE);
	pool->in_flight_max = spec->binding == BULLA_AGENT_RUN ? 1 : or_default(spec->in_flight, 1, BULLA_MAX_AGENT_IN_FLIGHT);
	pool->link_count = spec->binding == BULLA_AGENT_SERVE ? pool->in_flight_max : 0;
	for (uint32_t i = 0; i < count && rc == BULLA_OK; i++)
		rc = init_box(pool, &pool->boxes[i]);
	if (rc != BULLA_OK) {
		bulla_agent_pool_free(pool);
		return rc;
	}
	for (uint32_t i = 0; i < count; i++)
		ask_sandbox(&pool->boxes[i]);
	*ret = pool;
	return BULLA_OK;
}

/* The zygote still has to answer: its answers point into this pool. */
static void wait_for_answers(struct bulla_agent_pool *pool)
{
	for (uint32_t i = 0; i < pool->box_count; i++)
		while (pool->boxes[i].state == BOX_ASKED) {
			struct pollfd one = {.fd = pool->zygote->fd, .events = POLLIN};

			if (poll(&one, 1, 1000) != 1 || bulla_zygote_ready(pool->zygote) != BULLA_OK)
				return; /* dead: it will not answer */
		}
}

void bulla_agent_pool_free(struct bulla_agent_pool *pool)
{
	if (pool == NULL)
		return;
	wait_for_answers(pool);
	for (uint32_t i = 0; i < pool->box_count; i++) {
		struct bulla_agent_box *box = &pool->boxes[i];

		if (box->state != BOX_EMPTY && box->state != BOX_ASKED)
			bulla_box_drop(box, false);
		bulla_agent_links_free(box);
		bulla_buf_done(&box->in);
		bulla_buf_done(&box->out);
	}
	while (pool->first != NULL)
		finish_waiting(pool, pool->first, BULLA_OUTCOME_LOST);
	bulla_free(pool);
}
