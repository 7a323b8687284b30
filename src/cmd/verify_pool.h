#pragma once
/* Processes that check signatures beside the one that reads the bundle: libcrypto's P-256 takes 45 us for each, and a
 * workflow with `receipts: each` has one per step. They know nothing else, and say one bit: all held. */
#include "verify/verify.h"

#include <sys/types.h>

#define VERIFY_WORKERS 7
#define VERIFY_WORTH 64 /* signatures of its own that a bundle has before processes are started for it */
#define VERIFY_POOL_BYTES 4096 /* of one message: some six jobs */

struct verify_pool {
	unsigned wanted, count, next; /* processes: at most, running, the next one to get work */
	unsigned seen, worth;         /* jobs so far; processes start after so many */
	bool failed;                  /* something went wrong: no more is given away */
	struct {
		pid_t pid;
		int fd;
	} workers[VERIFY_WORKERS];
	struct bulla_buf jobs;        /* what goes out next */
};

/* As many helpers as there are CPUs beside this one's, at most VERIFY_WORKERS. */
unsigned verify_pool_cpus(void);

/* A pool of up to `workers` processes (0: every signature is checked here); they start after `worth` jobs. */
void verify_pool_init(struct verify_pool *pool, unsigned workers, unsigned worth);

/* A bulla_verify_take; ctx is the pool. Never waits: helpers that are busy take nothing. */
bool verify_pool_take(void *ctx, const struct bulla_verify_job *job);

/* Waits for the helpers' answers; ends them. True: all that was taken was checked and holds. */
bool verify_pool_end(struct verify_pool *pool);

/* One pass over a bundle, with helpers and, if something did not hold or they failed, once more without. read hands all of
 * the bundle to bulla_verify_feed, twice if asked twice. Errors: no verdict. */
typedef bulla_rc verify_read(void *ctx, struct bulla_verify *verify);
BULLA_CHECK bulla_rc verify_with(unsigned workers, unsigned worth, const struct bulla_trust *trust, verify_read *read,
	void *ctx, struct bulla_verify_result *ret);
