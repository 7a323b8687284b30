#pragma once
/* A connection in the loop: a socket, on request TLS over it, and bytes up and down. What the bytes mean is the owner's
 * business: frames (bulla_pipe_frames), HTTP, or a relay. One read turn takes all that is there (up to 256 KiB), one
 * writev per turn sends. Output above BULLA_MAX_OUTPUT_BUFFER stops the reading of this pipe, so a slow reader holds up
 * itself only; who feeds it from elsewhere asks bulla_pipe_full and pauses that other pipe. */
#include "base/buf.h"
#include "io/frame.h"
#include "io/loop.h"
#include "io/tls.h"

struct bulla_pipe;

struct bulla_pipe_events {
	void *ctx;
	/* The socket is connected and, with TLS, the handshake is done. An error return ends the pipe. May be NULL. */
	bulla_rc (*on_open)(void *ctx, struct bulla_pipe *pipe);
	/* Bytes came (plain text under TLS). An error return ends the pipe. */
	bulla_rc (*on_bytes)(void *ctx, struct bulla_pipe *pipe, bulla_bytes bytes);
	/* Output fell below half of the limit after it had been above. May be NULL. */
	void (*on_drained)(void *ctx, struct bulla_pipe *pipe);
	/* It ended: BULLA_E_CLOSED (orderly), BULLA_E_UNREACHABLE, or what went wrong. The pipe is freed right after; the
	 * owner forgets it here. Called exactly once, unless the owner itself called bulla_pipe_free. */
	void (*on_end)(void *ctx, struct bulla_pipe *pipe, bulla_rc why);
};

/* Takes over fd (connected, or connecting). tls: owned by the pipe, NULL for plain bytes. On failure fd and tls are
 * closed. */
BULLA_CHECK bulla_rc bulla_pipe_new(struct bulla_loop *loop, int fd, struct bulla_tls *tls,
	const struct bulla_pipe_events *events, struct bulla_pipe **ret);

/* Closes at once, without on_end. Safe inside its own callbacks except on_end. */
struct bulla_pipe *bulla_pipe_free(struct bulla_pipe *pipe);

/* Ends after what was written is out (or after 2 s); on_end follows with BULLA_E_CLOSED. */
void bulla_pipe_finish(struct bulla_pipe *pipe);

/* Queues a copy; sent at the end of the turn. BULLA_E_LIMIT beyond 4 × BULLA_MAX_OUTPUT_BUFFER. */
BULLA_CHECK bulla_rc bulla_pipe_write(struct bulla_pipe *pipe, bulla_bytes bytes);

/* More than BULLA_MAX_OUTPUT_BUFFER bytes wait: write no more that can wait, too. */
bool bulla_pipe_full(const struct bulla_pipe *pipe);

/* Its output goes out after that of all other pipes of a turn. Right after bulla_pipe_new. */
void bulla_pipe_late(struct bulla_pipe *pipe);

/* Puts a frame machine on top, before or in on_open: bytes then go to it, its output goes out; frames are owned by the
 * pipe from then on. options.now_us is filled in. on_bytes is not called any more. */
BULLA_CHECK bulla_rc bulla_pipe_frames(struct bulla_pipe *pipe, const struct bulla_frames_options *options,
	const struct bulla_frames_events *events, struct bulla_frames **ret);

/* The TLS machine, NULL without. */
struct bulla_tls *bulla_pipe_tls(struct bulla_pipe *pipe);

/* Liveness: call from the loop's drain hook for each pipe with frames; ends the pipe (on_end) when it is dead.
 * deadline: when to call next. */
void bulla_pipe_tick(struct bulla_pipe *pipe, int64_t now_us);
int64_t bulla_pipe_deadline(const struct bulla_pipe *pipe);

/* A listener: accepts every waiting connection and hands over each descriptor. */
struct bulla_listener {
	struct bulla_watch watch;
	struct bulla_loop *loop;
	void *ctx;
	void (*on_accept)(void *ctx, int fd); /* takes over fd */
};
/* listener: embedded in its owner, does not move; fd from bulla_addr_listen is taken over. */
BULLA_CHECK bulla_rc bulla_listener_start(struct bulla_listener *listener, struct bulla_loop *loop, int fd, void *ctx,
	void (*on_accept)(void *ctx, int fd));
void bulla_listener_stop(struct bulla_listener *listener);
