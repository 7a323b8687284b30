#pragma once
/* The event loop of every daemon: epoll, one thread. A turn: handle all readable descriptors, drain the core, flush
 * each connection that has output once (engine.md section 1). There are no timers: the owner says when its next
 * deadline is. */
#include "base/sys.h"

#include <stdint.h>
#include <sys/epoll.h>

struct bulla_loop;

/* One watched descriptor; embedded in its owner, which must not move. events are EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR.
 */
struct bulla_watch {
	void *ctx;
	void (*on_ready)(void *ctx, uint32_t events);
	int fd;          /* -1: not watched */
	uint32_t events; /* asked for now */
};

/* Something with output to be written at the end of the turn; embedded in its owner. */
struct bulla_flush {
	void *ctx;
	void (*flush)(void *ctx);
	struct bulla_flush *next;
	bool queued;
	bool late; /* after all that are not: nothing goes on only when this is out */
};

struct bulla_loop_hooks {
	void *ctx;
	void (*drain)(void *ctx, int64_t now_us); /* after all readable ones, each turn; may be NULL */
	void (*settle)(void *ctx);                /* after the flush, each turn: what others need not wait for; may be NULL */
	int64_t (*next_deadline)(
		void *ctx); /* mono µs when drain wants to run at the latest, INT64_MAX: never; may be NULL */
};

#define BULLA_LOOP_BATCH 128
#define BULLA_LOOP_SCRATCH 131072

struct bulla_loop {
	int epoll;
	const struct bulla_clock *clock;
	struct bulla_loop_hooks hooks;
	struct epoll_event ready[BULLA_LOOP_BATCH];
	int ready_count;
	uint8_t *scratch; /* BULLA_LOOP_SCRATCH bytes for whoever reads a descriptor in this turn */
	struct bulla_flush *dirty, *dirty_late;
	int64_t now_us; /* monotonic time at the beginning of the turn */
	bool stop;
};

/* hooks are copied. BULLA_E_IO. */
BULLA_CHECK bulla_rc bulla_loop_init(struct bulla_loop *loop, const struct bulla_clock *clock,
	const struct bulla_loop_hooks *hooks);
void bulla_loop_done(struct bulla_loop *loop);

/* Watches watch->fd (set, with ctx and on_ready, by the caller) for events; level-triggered. */
BULLA_CHECK bulla_rc bulla_loop_add(struct bulla_loop *loop, struct bulla_watch *watch, uint32_t events);
BULLA_CHECK bulla_rc bulla_loop_change(struct bulla_loop *loop, struct bulla_watch *watch, uint32_t events);

/* Stops watching; no event of this turn reaches it any more. Does not close. A watch that was never added is allowed.
 */
void bulla_loop_remove(struct bulla_loop *loop, struct bulla_watch *watch);

/* Flushes it at the end of this turn; once however often it is called. */
void bulla_loop_dirty(struct bulla_loop *loop, struct bulla_flush *flush);

/* Takes it off the list, before its owner goes. */
void bulla_loop_clean(struct bulla_loop *loop, struct bulla_flush *flush);

/* One turn; waits at most until the next deadline and at most max_wait_us (-1: no bound of its own). */
BULLA_CHECK bulla_rc bulla_loop_turn(struct bulla_loop *loop, int64_t max_wait_us);

/* Turns until bulla_loop_stop, which may be called from any handler of the loop's thread. */
BULLA_CHECK bulla_rc bulla_loop_run(struct bulla_loop *loop);
void bulla_loop_stop(struct bulla_loop *loop);

/* Signals as a descriptor: blocks the zero-terminated list of signals in this thread (call before threads start) and
 * returns a signalfd to watch; bulla_loop_signal_take reads one number, 0 when there is none. */
BULLA_CHECK bulla_rc bulla_loop_signals(const int *signals, int *ret_fd);
int bulla_loop_signal_take(int fd);
