#define _GNU_SOURCE
#include "io/pipe.h"

#include "base/limits.h"
#include "base/mem.h"
#include "io/addr.h"

#include <errno.h>
#include <sys/socket.h>

#define FINISH_US INT64_C(2000000)
#define READS_PER_TURN 2 /* of BULLA_LOOP_SCRATCH each */
#define OUTPUT_HARD ((size_t)BULLA_MAX_OUTPUT_BUFFER * 10)
#define DRAINED ((size_t)BULLA_MAX_OUTPUT_BUFFER / 2)

struct bulla_pipe {
	struct bulla_loop *loop;
	struct bulla_watch watch;
	struct bulla_flush flush;
	struct bulla_pipe_events events;
	struct bulla_tls *tls;
	struct bulla_frames *frames;
	struct bulla_buf plain; /* TLS: what was just decrypted */
	struct bulla_buf out;   /* what goes to the socket; empty for frames without TLS */
	int64_t finish_us;      /* 0: not finishing */
	bool connecting, opened, full, gone;
	bool blocked; /* the kernel did not take all */
	unsigned busy; /* calls of mine on the stack: memory goes when it is 0 */
};

static void release(struct bulla_pipe *pipe)
{
	bulla_tls_free(pipe->tls);
	bulla_frames_free(pipe->frames);
	bulla_buf_done(&pipe->plain);
	bulla_buf_done(&pipe->out);
	bulla_free(pipe);
}

static void enter(struct bulla_pipe *pipe)
{
	pipe->busy++;
}

static void leave(struct bulla_pipe *pipe)
{
	pipe->busy--;
	if (pipe->busy == 0 && pipe->gone)
		release(pipe);
}

/* Takes it out of the loop and closes; memory stays until nobody on the stack uses it. */
static void detach(struct bulla_pipe *pipe)
{
	pipe->gone = true;
	bulla_loop_remove(pipe->loop, &pipe->watch);
	bulla_loop_clean(pipe->loop, &pipe->flush);
	bulla_addr_close(pipe->watch.fd);
	pipe->watch.fd = -1;
}

static void end(struct bulla_pipe *pipe, bulla_rc why)
{
	if (pipe->gone)
		return;
	enter(pipe);
	detach(pipe);
	if (pipe->events.on_end != NULL)
		pipe->events.on_end(pipe->events.ctx, pipe, why);
	leave(pipe);
}

struct bulla_pipe *bulla_pipe_free(struct bulla_pipe *pipe)
{
	if (pipe == NULL || pipe->gone)
		return NULL;
	enter(pipe);
	detach(pipe);
	leave(pipe);
	return NULL;
}

static size_t backlog(const struct bulla_pipe *pipe)
{
	return pipe->out.n + (pipe->frames == NULL ? 0 : bulla_frames_backlog(pipe->frames));
}

static bulla_bytes pending(const struct bulla_pipe *pipe)
{
	if (pipe->frames != NULL && pipe->tls == NULL)
		return bulla_frames_output(pipe->frames);
	return bulla_buf_view(&pipe->out);
}

static bulla_rc set_events(struct bulla_pipe *pipe)
{
	bool read = !pipe->connecting && !pipe->full && pipe->finish_us == 0;
	bool write = pipe->connecting || pending(pipe).n > 0;

	return bulla_loop_change(pipe->loop, &pipe->watch, (read ? EPOLLIN : 0u) | (write ? EPOLLOUT : 0u));
}

static void mark_dirty(struct bulla_pipe *pipe)
{
	if (!pipe->gone)
		bulla_loop_dirty(pipe->loop, &pipe->flush);
}

static void on_frames_output(void *ctx)
{
	mark_dirty((struct bulla_pipe *)ctx);
}

/* Moves the plain output of frames into TLS, and TLS's bytes into out. */
static bulla_rc encrypt(struct bulla_pipe *pipe)
{
	if (pipe->tls == NULL)
		return BULLA_OK;
	if (pipe->frames != NULL && bulla_tls_ready(pipe->tls)) {
		bulla_bytes view = bulla_frames_output(pipe->frames);

		BULLA_TRY(bulla_tls_write(pipe->tls, view));
		bulla_frames_sent(pipe->frames, view.n);
	}
	return bulla_tls_take(pipe->tls, &pipe->out);
}

static bulla_rc send_pending(struct bulla_pipe *pipe)
{
	bulla_bytes view = pending(pipe);
	ssize_t put;

	if (view.n == 0 || pipe->connecting)
		return BULLA_OK;
	put = send(pipe->watch.fd, view.p, view.n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (put < 0 && (errno == EAGAIN || errno == EINTR)) {
		pipe->blocked = pipe->blocked || errno == EAGAIN;
		return BULLA_OK;
	}
	if (put < 0)
		return errno == EPIPE || errno == ECONNRESET ? BULLA_E_CLOSED
		: BULLA_FAIL_OS(BULLA_E_IO, "a socket refuses to send", errno);
	/* That the kernel takes bytes says nothing of the other side; that it has room again, does. */
	if (pipe->frames != NULL && pipe->blocked)
		bulla_frames_progress(pipe->frames, pipe->loop->now_us);
	pipe->blocked = (size_t)put < view.n;
	if (pipe->frames != NULL && pipe->tls == NULL)
		bulla_frames_sent(pipe->frames, (size_t)put);
	else
		bulla_buf_consume(&pipe->out, (size_t)put);
	return BULLA_OK;
}

/* Whether this pipe is read depends on what could be sent at once. Chunked messages that wait for credit do not count:
 * the credit comes by reading, and two sides that both wait would wait for ever. */
static void update_full(struct bulla_pipe *pipe)
{
	size_t waiting = pipe->out.n + (pipe->frames == NULL ? 0 : bulla_frames_output(pipe->frames).n);

	if (waiting > BULLA_MAX_OUTPUT_BUFFER)
		pipe->full = true;
	if (!pipe->full || waiting > DRAINED)
		return;
	pipe->full = false;
	if (pipe->events.on_drained != NULL)
		pipe->events.on_drained(pipe->events.ctx, pipe);
}

static bulla_rc flush_steps(struct bulla_pipe *pipe)
{
	BULLA_TRY(encrypt(pipe));
	BULLA_TRY(send_pending(pipe));
	update_full(pipe);
	if (pipe->gone)
		return BULLA_OK;
	if (pipe->finish_us != 0 && backlog(pipe) == 0)
		return BULLA_E_CLOSED;
	return set_events(pipe);
}

static void on_flush(void *ctx)
{
	struct bulla_pipe *pipe = (struct bulla_pipe *)ctx;
	bulla_rc rc;

	if (pipe->gone)
		return;
	enter(pipe);
	rc = flush_steps(pipe);
	if (rc != BULLA_OK)
		end(pipe, rc);
	leave(pipe);
}

static bulla_rc opened(struct bulla_pipe *pipe)
{
	if (pipe->opened || pipe->gone)
		return BULLA_OK;
	pipe->opened = true;
	mark_dirty(pipe);
	return pipe->events.on_open == NULL ? BULLA_OK : pipe->events.on_open(pipe->events.ctx, pipe);
}

static bulla_rc deliver(struct bulla_pipe *pipe, bulla_bytes bytes)
{
	if (bytes.n == 0 || pipe->gone)
		return BULLA_OK;
	if (pipe->frames != NULL)
		return bulla_frames_feed(pipe->frames, bytes, pipe->loop->now_us);
	return pipe->events.on_bytes(pipe->events.ctx, pipe, bytes);
}

static bulla_rc decrypt(struct bulla_pipe *pipe, bulla_bytes bytes)
{
	bulla_rc rc = bulla_tls_feed(pipe->tls, bytes, &pipe->plain);

	mark_dirty(pipe); /* handshake, alerts */
	if (rc != BULLA_OK && rc != BULLA_E_CLOSED)
		return rc;
	if (bulla_tls_ready(pipe->tls))
		BULLA_TRY(opened(pipe));
	BULLA_TRY(deliver(pipe, bulla_buf_view(&pipe->plain)));
	bulla_buf_clear(&pipe->plain);
	return rc;
}

static bulla_rc read_once(struct bulla_pipe *pipe, bool *ret_more)
{
	ssize_t got = recv(pipe->watch.fd, pipe->loop->scratch, BULLA_LOOP_SCRATCH, MSG_DONTWAIT);
	bulla_bytes bytes = {pipe->loop->scratch, got > 0 ? (size_t)got : 0};

	*ret_more = got == BULLA_LOOP_SCRATCH;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return BULLA_OK;
	if (got == 0 || (got < 0 && errno == ECONNRESET))
		return BULLA_E_CLOSED;
	if (got < 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a socket refuses to receive", errno);
	return pipe->tls == NULL ? deliver(pipe, bytes) : decrypt(pipe, bytes);
}

static bulla_rc read_all(struct bulla_pipe *pipe)
{
	bool more = true;

	for (int i = 0; more && i < READS_PER_TURN && !pipe->gone && pipe->finish_us == 0; i++)
		BULLA_TRY(read_once(pipe, &more));
	return BULLA_OK;
}

static bulla_rc connected(struct bulla_pipe *pipe)
{
	BULLA_TRY(bulla_addr_dialled(pipe->watch.fd));
	pipe->connecting = false;
	mark_dirty(pipe);
	return pipe->tls == NULL ? opened(pipe) : BULLA_OK;
}

static bulla_rc handle(struct bulla_pipe *pipe, uint32_t events)
{
	if (pipe->connecting)
		return connected(pipe);
	if ((events & EPOLLIN) != 0)
		BULLA_TRY(read_all(pipe));
	else if ((events & (EPOLLHUP | EPOLLERR)) != 0)
		return BULLA_E_CLOSED; /* nothing is left to read, or nobody wants to */
	if ((events & EPOLLOUT) != 0)
		mark_dirty(pipe);
	return BULLA_OK;
}

static void on_ready(void *ctx, uint32_t events)
{
	struct bulla_pipe *pipe = (struct bulla_pipe *)ctx;
	bulla_rc rc;

	if (pipe->gone)
		return;
	enter(pipe);
	rc = handle(pipe, events);
	if (rc != BULLA_OK && !pipe->gone) {
		/* a TLS alert or a last error reply should still go out */
		if (encrypt(pipe) == BULLA_OK && send_pending(pipe) == BULLA_OK)
			rc = rc == BULLA_OK ? BULLA_E_CLOSED : rc;
		end(pipe, rc);
	}
	leave(pipe);
}

bulla_rc bulla_pipe_new(struct bulla_loop *loop, int fd, struct bulla_tls *tls, const struct bulla_pipe_events *events,
	struct bulla_pipe **ret)
{
	struct bulla_pipe *pipe;
	void *p = NULL;

	if (bulla_alloc(1, sizeof(*pipe), &p) != BULLA_OK) {
		bulla_addr_close(fd);
		bulla_tls_free(tls);
		return BULLA_E_MEMORY;
	}
	pipe = (struct bulla_pipe *)p;
	pipe->loop = loop;
	pipe->events = *events;
	pipe->tls = tls;
	pipe->connecting = true; /* an accepted socket is writable at once and goes the same way */
	pipe->watch = (struct bulla_watch){.ctx = pipe, .on_ready = on_ready, .fd = fd};
	pipe->flush = (struct bulla_flush){.ctx = pipe, .flush = on_flush};
	bulla_buf_init(&pipe->plain, 4 * (size_t)BULLA_LOOP_SCRATCH);
	bulla_buf_init(&pipe->out, OUTPUT_HARD);
	if (bulla_loop_add(loop, &pipe->watch, EPOLLOUT) != BULLA_OK) {
		bulla_addr_close(fd);
		release(pipe);
		return BULLA_E_IO;
	}
	*ret = pipe;
	return BULLA_OK;
}

void bulla_pipe_finish(struct bulla_pipe *pipe)
{
	if (pipe->finish_us != 0 || pipe->gone)
		return;
	pipe->finish_us = pipe->loop->now_us + FINISH_US;
	if (pipe->tls != NULL && pipe->frames == NULL)
		bulla_tls_close(pipe->tls);
	mark_dirty(pipe);
}

bulla_rc bulla_pipe_write(struct bulla_pipe *pipe, bulla_bytes bytes)
{
	if (pipe->gone || pipe->finish_us != 0)
		return BULLA_E_CLOSED;
	if (bytes.n > 4 * (size_t)BULLA_MAX_OUTPUT_BUFFER || backlog(pipe) > 4 * (size_t)BULLA_MAX_OUTPUT_BUFFER - bytes.n)
		return BULLA_FAIL(BULLA_E_LIMIT, "too much output waits");
	if (pipe->tls == NULL) {
		BULLA_TRY(bulla_buf_append(&pipe->out, bytes));
	} else {
		BULLA_TRY(bulla_tls_write(pipe->tls, bytes));
		BULLA_TRY(bulla_tls_take(pipe->tls, &pipe->out));
	}
	update_full(pipe);
	mark_dirty(pipe);
	return BULLA_OK;
}

void bulla_pipe_late(struct bulla_pipe *pipe)
{
	pipe->flush.late = true;
}

bool bulla_pipe_full(const struct bulla_pipe *pipe)
{
	return backlog(pipe) > BULLA_MAX_OUTPUT_BUFFER;
}

bulla_rc bulla_pipe_frames(struct bulla_pipe *pipe, const struct bulla_frames_options *options,
	const struct bulla_frames_events *events, struct bulla_frames **ret)
{
	struct bulla_frames_options with_time = *options;

	if (pipe->frames != NULL)
		return BULLA_FAIL(BULLA_E_STATE, "this pipe carries frames already");
	with_time.now_us = pipe->loop->now_us;
	BULLA_TRY(bulla_frames_new(&with_time, events, &pipe->frames));
	bulla_frames_on_output(pipe->frames, on_frames_output, pipe);
	mark_dirty(pipe);
	*ret = pipe->frames;
	return BULLA_OK;
}

struct bulla_tls *bulla_pipe_tls(struct bulla_pipe *pipe)
{
	return pipe->tls;
}

void bulla_pipe_tick(struct bulla_pipe *pipe, int64_t now_us)
{
	bulla_rc rc = BULLA_OK;

	if (pipe->gone)
		return;
	if (pipe->finish_us != 0 && now_us >= pipe->finish_us)
		rc = BULLA_E_CLOSED;
	else if (pipe->frames != NULL)
		rc = bulla_frames_tick(pipe->frames, now_us);
	if (rc != BULLA_OK)
		end(pipe, rc);
}

int64_t bulla_pipe_deadline(const struct bulla_pipe *pipe)
{
	int64_t due = pipe->frames == NULL ? INT64_MAX : bulla_frames_deadline(pipe->frames);

	if (pipe->finish_us != 0 && pipe->finish_us < due)
		return pipe->finish_us;
	return due;
}

static void on_accept_ready(void *ctx, uint32_t events)
{
	struct bulla_listener *listener = (struct bulla_listener *)ctx;
	int fd;

	(void)events;
	while (listener->watch.fd >= 0 && bulla_addr_accept(listener->watch.fd, &fd) == BULLA_OK)
		listener->on_accept(listener->ctx, fd);
}

bulla_rc bulla_listener_start(struct bulla_listener *listener, struct bulla_loop *loop, int fd, void *ctx,
	void (*on_accept)(void *ctx, int fd))
{
	*listener = (struct bulla_listener){.loop = loop, .ctx = ctx, .on_accept = on_accept};
	listener->watch = (struct bulla_watch){.ctx = listener, .on_ready = on_accept_ready, .fd = fd};
	if (bulla_loop_add(loop, &listener->watch, EPOLLIN) != BULLA_OK) {
		bulla_addr_close(fd);
		listener->watch.fd = -1;
		return BULLA_E_IO;
	}
	return BULLA_OK;
}

void bulla_listener_stop(struct bulla_listener *listener)
{
	if (listener->loop == NULL || listener->watch.fd < 0)
		return;
	bulla_loop_remove(listener->loop, &listener->watch);
	bulla_addr_close(listener->watch.fd);
	listener->watch.fd = -1;
}
