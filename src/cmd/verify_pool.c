#define _GNU_SOURCE
#include "cmd/verify_pool.h"

#include "base/wr.h"

#include <errno.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUEUE_BYTES 8192 /* the kernel's word for a few messages: at the end nobody waits for long */
#define KEYS 4          /* that a helper remembers */

unsigned verify_pool_cpus(void)
{
	cpu_set_t set;
	unsigned cpus;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 0;
	cpus = (unsigned)CPU_COUNT(&set);
	return cpus <= 1 ? 0 : cpus - 1 < VERIFY_WORKERS ? cpus - 1 : VERIFY_WORKERS;
}

void verify_pool_init(struct verify_pool *pool, unsigned workers, unsigned worth)
{
	*pool = (struct verify_pool){.wanted = workers < VERIFY_WORKERS ? workers : VERIFY_WORKERS, .worth = worth};
	bulla_buf_init(&pool->jobs, VERIFY_POOL_BYTES);
}

/* --- a helper --- */

struct helper {
	struct bulla_verify_key *keys[KEYS];
	unsigned next;
};

static bulla_rc key_of(struct helper *helper, bulla_bytes spki, struct bulla_verify_key **ret)
{
	struct bulla_verify_key *key = NULL;

	for (unsigned i = 0; i < KEYS && helper->keys[i] != NULL; i++)
		if (bulla_bytes_eq(bulla_verify_key_der(helper->keys[i]), spki)) {
			*ret = helper->keys[i];
			return BULLA_OK;
		}
	BULLA_TRY(bulla_verify_key_spki(spki, &key));
	bulla_verify_key_free(helper->keys[helper->next]);
	helper->keys[helper->next] = key;
	helper->next = (helper->next + 1) % KEYS;
	*ret = key;
	return BULLA_OK;
}

/* kind u8, size of spki u16, size of payload u16, signature, spki, payload */
static bulla_rc check_next(struct helper *helper, bulla_rd *r)
{
	struct bulla_auth auth = {.batched = false};
	struct bulla_verify_key *key;
	bulla_bytes spki, payload;
	uint16_t spki_size, size;
	uint8_t kind;

	BULLA_TRY(bulla_rd_u8(r, &kind));
	BULLA_TRY(bulla_rd_u16be(r, &spki_size));
	BULLA_TRY(bulla_rd_u16be(r, &size));
	BULLA_TRY(bulla_rd_copy(r, sizeof(auth.signature), auth.signature));
	BULLA_TRY(bulla_rd_bytes(r, spki_size, &spki));
	BULLA_TRY(bulla_rd_bytes(r, size, &payload));
	BULLA_TRY(key_of(helper, spki, &key));
	return bulla_auth_verify(&auth, key, (enum bulla_signed)kind, payload);
}

/* Until the other side closes: the exit code is the answer. */
_Noreturn static void help(int fd)
{
	uint8_t memory[VERIFY_POOL_BYTES];
	struct helper helper = {.next = 0};
	ssize_t n;

	while ((n = recv(fd, memory, sizeof(memory), 0)) != 0) {
		bulla_rd r = bulla_rd_of(bulla_bytes_of(memory, n > 0 ? (size_t)n : 0));

		if (n < 0 && errno != EINTR)
			_exit(1);
		while (bulla_rd_left(&r) > 0)
			if (check_next(&helper, &r) != BULLA_OK)
				_exit(1);
	}
	_exit(0);
}

static bool start_one(struct verify_pool *pool)
{
	int pair[2], room = QUEUE_BYTES;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	(void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)); /* else the end takes a little longer */
	pid = fork();
	if (pid == 0) {
		for (unsigned i = 0; i < pool->count; i++)
			close(pool->workers[i].fd); /* or they would never see their end */
		close(pair[0]);
		help(pair[1]);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return false;
	}
	pool->workers[pool->count].pid = pid;
	pool->workers[pool->count++].fd = pair[0];
	return true;
}

/* --- whom they help --- */

/* To the first helper that has room; wait: to the next one, as soon as it has. True: it is on its way. */
static bool send_jobs(struct verify_pool *pool, bool wait)
{
	for (unsigned i = 0; i < pool->count; i++) {
		int fd = pool->workers[pool->next].fd;
		ssize_t sent = send(fd, pool->jobs.p, pool->jobs.n, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));

		pool->next = (pool->next + 1) % pool->count;
		if (sent >= 0) {
			bulla_buf_clear(&pool->jobs);
			return true;
		}
		if (errno != EAGAIN && errno != EINTR)
			pool->failed = true;
	}
	return false;
}

static bool write_job(struct verify_pool *pool, const struct bulla_verify_job *job)
{
	bulla_wr w = bulla_wr_buf(&pool->jobs);
	size_t size = 5 + sizeof(job->auth->signature) + job->spki.n + job->payload.n;
	bulla_bytes ignored;

	if (size > VERIFY_POOL_BYTES || (pool->jobs.n + size > VERIFY_POOL_BYTES && !send_jobs(pool, false)))
		return false;
	bulla_wr_u8(&w, (uint8_t)job->kind);
	bulla_wr_u16be(&w, (uint16_t)job->spki.n);
	bulla_wr_u16be(&w, (uint16_t)job->payload.n);
	bulla_wr_bytes(&w, BULLA_BYTES_ARRAY(job->auth->signature));
	bulla_wr_bytes(&w, job->spki);
	bulla_wr_bytes(&w, job->payload);
	if (bulla_wr_end(&w, &ignored) != BULLA_OK)
		pool->failed = true; /* half a job: a helper would refuse it, so nothing is sent any more */
	return !pool->failed;
}

bool verify_pool_take(void *ctx, const struct bulla_verify_job *job)
{
	struct verify_pool *pool = ctx;

	if (pool->wanted == 0 || pool->failed || ++pool->seen <= pool->worth)
		return false;
	while (pool->count < pool->wanted)
		if (!start_one(pool))
			pool->wanted = pool->count;
	return pool->count > 0 && write_job(pool, job);
}

bool verify_pool_end(struct verify_pool *pool)
{
	bool good = !pool->failed && (pool->jobs.n == 0 || send_jobs(pool, true));

	for (unsigned i = 0; i < pool->count; i++)
		close(pool->workers[i].fd);
	for (unsigned i = 0; i < pool->count; i++) {
		int status = 1;
		pid_t pid;

		do
			pid = waitpid(pool->workers[i].pid, &status, 0);
		while (pid < 0 && errno == EINTR);
		good = good && pid == pool->workers[i].pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	}
	bulla_buf_done(&pool->jobs);
	pool->wanted = pool->count = 0;
	return good;
}

static bulla_rc read_once(struct verify_pool *pool, const struct bulla_trust *trust, verify_read *read, void *ctx,
	struct bulla_verify_result *ret)
{
	struct bulla_verify *verify = NULL;
	bulla_rc rc;

	BULLA_TRY(bulla_verify_new(trust, &verify));
	if (pool->wanted > 0)
		bulla_verify_helped(verify, verify_pool_take, pool);
	rc = read(ctx, verify);
	if (rc == BULLA_OK)
		rc = bulla_verify_end(verify, ret);
	bulla_verify_free(verify);
	return rc;
}

bulla_rc verify_with(unsigned workers, unsigned worth, const struct bulla_trust *trust, verify_read *read, void *ctx,
	struct bulla_verify_result *ret)
{
	struct verify_pool pool;
	bulla_rc rc;

	verify_pool_init(&pool, workers, worth);
	rc = read_once(&pool, trust, read, ctx, ret);
	if (verify_pool_end(&pool) || rc != BULLA_OK)
		return rc;
	verify_pool_init(&pool, 0, 0);
	return read_once(&pool, trust, read, ctx, ret);
}
