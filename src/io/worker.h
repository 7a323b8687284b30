#pragma once
/* A thread for slow pure jobs (appraisal, RSA, P-384): jobs go in and come back in order over
 * two rings. A job touches nothing but itself. */
#include "base/ring.h"
#include "io/loop.h"

struct bulla_job {
	void (*run)(struct bulla_job *job);  /* in the worker thread */
	void (*done)(struct bulla_job *job); /* in the loop's thread */
};

struct bulla_worker;

/* Starts the thread; results are delivered through loop. capacity as in bulla_ring_init. */
BULLA_CHECK bulla_rc bulla_worker_new(struct bulla_loop *loop, uint32_t capacity, struct bulla_worker **ret);

/* Waits for the job under way, delivers nothing more. NULL is allowed. */
struct bulla_worker *bulla_worker_free(struct bulla_worker *worker);

/* Hands a job over until done is called. BULLA_E_BUSY when `capacity` jobs are under way. */
BULLA_CHECK bulla_rc bulla_worker_put(struct bulla_worker *worker, struct bulla_job *job);
