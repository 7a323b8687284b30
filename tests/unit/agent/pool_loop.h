#pragma once
/* A loop of poll(2) for tests and the benchmark: enough to drive a pool without io/loop. */
#include "agent/agent.h"

#include <poll.h>
#include <time.h>

#define POOL_LOOP_MAX 256

struct pool_loop {
	struct bulla_agent_watch *watch[POOL_LOOP_MAX];
	struct pollfd fds[POOL_LOOP_MAX];
	unsigned count;
	struct bulla_zygote *zygote;
};

static inline int64_t pool_loop_now(void *ctx)
{
	struct timespec now;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static inline bulla_rc pool_loop_watch(void *ctx, int fd, unsigned events, struct bulla_agent_watch *token)
{
	struct pool_loop *loop = ctx;
	unsigned i = 0;

	while (i < loop->count && loop->watch[i] != token)
		i++;
	if (events == 0) {
		if (i < loop->count) {
			loop->count--;
			loop->watch[i] = loop->watch[loop->count];
			loop->fds[i] = loop->fds[loop->count];
		}
		return BULLA_OK;
	}
	if (i == POOL_LOOP_MAX)
		return BULLA_E_LIMIT;
	if (i == loop->count)
		loop->count++;
	loop->watch[i] = token;
	loop->fds[i] = (struct pollfd){.fd = fd,
		.events = (short)(((events & BULLA_AGENT_READ) != 0 ? POLLIN : 0) | ((events & BULLA_AGENT_WRITE) != 0 ? POLLOUT : 0))};
	return BULLA_OK;
}

/* One turn; waits at most wait_ms. */
static inline bulla_rc pool_loop_turn(struct pool_loop *loop, struct bulla_agent_pool *pool, int wait_ms)
{
	struct pollfd fds[POOL_LOOP_MAX + 1];
	struct bulla_agent_watch *watch[POOL_LOOP_MAX];
	unsigned n = loop->count;
	int64_t due = bulla_agent_due(pool);
	int64_t now = pool_loop_now(NULL);
	int64_t wait = due == INT64_MAX ? wait_ms : due <= now ? 0 : (due - now) / 1000 + 1;

	for (unsigned i = 0; i < n; i++) {
		fds[i] = loop->fds[i];
		watch[i] = loop->watch[i];
	}
	fds[n] = (struct pollfd){.fd = loop->zygote->fd, .events = POLLIN};
	poll(fds, n + 1, (int)(wait < wait_ms ? wait : wait_ms));
	if (fds[n].revents != 0)
		BULLA_TRY(bulla_zygote_ready(loop->zygote));
	for (unsigned i = 0; i < n; i++) {
		bool there = false;

		for (unsigned j = 0; j < loop->count && !there; j++)
			there = loop->watch[j] == watch[i];
		if (fds[i].revents == 0 || !there)
			continue;
		bulla_agent_ready(watch[i], ((fds[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0 ? BULLA_AGENT_READ : 0) |
			((fds[i].revents & (POLLOUT | POLLHUP | POLLERR)) != 0 ? BULLA_AGENT_WRITE : 0));
	}
	bulla_agent_turn(pool);
	return BULLA_OK;
}
