#define _GNU_SOURCE
#include "io/loop.h"

#include "base/mem.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

bulla_rc bulla_loop_init(struct bulla_loop *loop, const struct bulla_clock *clock, const struct bulla_loop_hooks *hooks)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);
	void *scratch = NULL;

	if (fd < 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "no epoll", errno);
	if (bulla_alloc(BULLA_LOOP_SCRATCH, 1, &scratch) != BULLA_OK) {
		close(fd);
		return BULLA_E_MEMORY;
	}
	*loop = (struct bulla_loop){.epoll = fd, .clock = clock, .scratch = (uint8_t *)scratch};
	if (hooks != NULL)
		loop->hooks = *hooks;
	loop->now_us = bulla_mono_us(clock);
	return BULLA_OK;
}

void bulla_loop_done(struct bulla_loop *loop)
{
	if (loop->epoll <= 0)
		return;
	close(loop->epoll);
	bulla_wipe(loop->scratch, BULLA_LOOP_SCRATCH);
	bulla_free(loop->scratch);
	*loop = (struct bulla_loop){.epoll = -1};
}

static bulla_rc control(struct bulla_loop *loop, int op, struct bulla_watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	if (epoll_ctl(loop->epoll, op, watch->fd, &event) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a descriptor cannot be watched", errno);
	watch->events = events;
	return BULLA_OK;
}

bulla_rc bulla_loop_add(struct bulla_loop *loop, struct bulla_watch *watch, uint32_t events)
{
	return control(loop, EPOLL_CTL_ADD, watch, events);
}

bulla_rc bulla_loop_change(struct bulla_loop *loop, struct bulla_watch *watch, uint32_t events)
{
	if (watch->events == events)
		return BULLA_OK;
	return control(loop, EPOLL_CTL_MOD, watch, events);
}

void bulla_loop_remove(struct bulla_loop *loop, struct bulla_watch *watch)
{
	if (watch->fd < 0)
		return;
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
	for (int i = 0; i < loop->ready_count; i++)
		if (loop->ready[i].data.ptr == watch)
			loop->ready[i].data.ptr = NULL;
}

static struct bulla_flush **list_of(struct bulla_loop *loop, const struct bulla_flush *flush)
{
	return flush->late ? &loop->dirty_late : &loop->dirty;
}

void bulla_loop_dirty(struct bulla_loop *loop, struct bulla_flush *flush)
{
	if (flush->queued)
		return;
	flush->queued = true;
	flush->next = *list_of(loop, flush);
	*list_of(loop, flush) = flush;
}

void bulla_loop_clean(struct bulla_loop *loop, struct bulla_flush *flush)
{
	struct bulla_flush **at = list_of(loop, flush);

	if (!flush->queued)
		return;
	while (*at != NULL && *at != flush)
		at = &(*at)->next;
	if (*at == flush)
		*at = flush->next;
	flush->queued = false;
}

static int wait_ms(const struct bulla_loop *loop, int64_t max_wait_us)
{
	int64_t wait = max_wait_us < 0 ? INT64_MAX : max_wait_us;

	if (loop->dirty != NULL || loop->dirty_late != NULL || loop->stop)
		return 0;
	if (loop->hooks.next_deadline != NULL) {
		int64_t due = loop->hooks.next_deadline(loop->hooks.ctx);
		int64_t left = due == INT64_MAX ? INT64_MAX : due - bulla_mono_us(loop->clock);

		wait = left < 0 ? 0 : left < wait ? left : wait;
	}
	if (wait == INT64_MAX)
		return -1;
	return wait > 3600 * INT64_C(1000000) ? 3600 * 1000 : (int)((wait + 999) / 1000);
}

static void flush_all(struct bulla_loop *loop)
{
	/* a flush may make others dirty (a pipe that ended): bounded, what comes late waits for the next turn */
	for (int i = 0; (loop->dirty != NULL || loop->dirty_late != NULL) && i < 65536; i++) {
		struct bulla_flush **list = loop->dirty != NULL ? &loop->dirty : &loop->dirty_late;
		struct bulla_flush *flush = *list;

		*list = flush->next;
		flush->queued = false;
		flush->flush(flush->ctx);
	}
}

bulla_rc bulla_loop_turn(struct bulla_loop *loop, int64_t max_wait_us)
{
	int count = epoll_wait(loop->epoll, loop->ready, BULLA_LOOP_BATCH, wait_ms(loop, max_wait_us));

	if (count < 0 && errno != EINTR)
		return BULLA_FAIL_OS(BULLA_E_IO, "epoll_wait failed", errno);
	loop->ready_count = count < 0 ? 0 : count;
	loop->now_us = bulla_mono_us(loop->clock);
	for (int i = 0; i < loop->ready_count; i++) {
		struct bulla_watch *watch = (struct bulla_watch *)loop->ready[i].data.ptr;

		if (watch != NULL)
			watch->on_ready(watch->ctx, loop->ready[i].events);
	}
	loop->ready_count = 0;
	if (loop->hooks.drain != NULL)
		loop->hooks.drain(loop->hooks.ctx, loop->now_us);
	flush_all(loop);
	if (loop->hooks.settle != NULL)
		loop->hooks.settle(loop->hooks.ctx);
	return BULLA_OK;
}

bulla_rc bulla_loop_run(struct bulla_loop *loop)
{
	loop->stop = false;
	while (!loop->stop)
		BULLA_TRY(bulla_loop_turn(loop, -1));
	return BULLA_OK;
}

void bulla_loop_stop(struct bulla_loop *loop)
{
	loop->stop = true;
}

bulla_rc bulla_loop_signals(const int *signals, int *ret_fd)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (; *signals != 0; signals++)
		sigaddset(&set, *signals);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "signals cannot be blocked", errno);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "no signalfd", errno);
	*ret_fd = fd;
	return BULLA_OK;
}

int bulla_loop_signal_take(int fd)
{
	struct signalfd_siginfo info;

	return read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info) ? (int)info.ssi_signo : 0;
}
