#include "io/worker.h"

#include "base/mem.h"

#include <pthread.h>

struct bulla_worker {
	struct bulla_loop *loop;
	struct bulla_watch watch;
	struct bulla_ring in, out;
	pthread_t thread;
	uint32_t capacity, under_way;
	struct bulla_job end; /* ends the thread */
};

static void *work(void *arg)
{
	struct bulla_worker *worker = (struct bulla_worker *)arg;

	for (;;) {
		struct bulla_job *job = (struct bulla_job *)bulla_ring_wait(&worker->in);

		if (job == &worker->end)
			return NULL;
		job->run(job);
		/* never full: no more than capacity jobs are under way */
		while (bulla_ring_put(&worker->out, job) == BULLA_E_BUSY)
			;
	}
}

static void deliver(void *ctx, uint32_t events)
{
	struct bulla_worker *worker = (struct bulla_worker *)ctx;
	struct bulla_job *job;

	(void)events;
	bulla_ring_quiet(&worker->out);
	while ((job = (struct bulla_job *)bulla_ring_take(&worker->out)) != NULL) {
		worker->under_way--;
		job->done(job);
	}
}

static bulla_rc start(struct bulla_worker *worker, uint32_t capacity)
{
	BULLA_TRY(bulla_ring_init(&worker->in, capacity * 2));
	BULLA_TRY(bulla_ring_init(&worker->out, capacity));
	worker->watch = (struct bulla_watch){.ctx = worker, .on_ready = deliver, .fd = worker->out.wake_fd};
	BULLA_TRY(bulla_loop_add(worker->loop, &worker->watch, EPOLLIN));
	if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
		bulla_loop_remove(worker->loop, &worker->watch);
		return BULLA_FAIL(BULLA_E_IO, "no thread");
	}
	return BULLA_OK;
}

bulla_rc bulla_worker_new(struct bulla_loop *loop, uint32_t capacity, struct bulla_worker **ret)
{
	struct bulla_worker *worker = NULL;
	void *p = NULL;
	bulla_rc rc;

	BULLA_TRY(bulla_alloc(1, sizeof(*worker), &p));
	worker = (struct bulla_worker *)p;
	worker->loop = loop;
	worker->capacity = capacity;
	rc = start(worker, capacity);
	if (rc != BULLA_OK) {
		bulla_ring_done(&worker->in);
		bulla_ring_done(&worker->out);
		bulla_free(worker);
		return rc;
	}
	*ret = worker;
	return BULLA_OK;
}

struct bulla_worker *bulla_worker_free(struct bulla_worker *worker)
{
	if (worker == NULL)
		return NULL;
	while (bulla_ring_put(&worker->in, &worker->end) == BULLA_E_BUSY)
		;
	pthread_join(worker->thread, NULL);
	bulla_loop_remove(worker->loop, &worker->watch);
	bulla_ring_done(&worker->in);
	bulla_ring_done(&worker->out);
	bulla_free(worker);
	return NULL;
}

bulla_rc bulla_worker_put(struct bulla_worker *worker, struct bulla_job *job)
{
	if (worker->under_way >= worker->capacity)
		return BULLA_E_BUSY;
	BULLA_TRY(bulla_ring_put(&worker->in, job));
	worker->under_way++;
	return BULLA_OK;
}
