#pragma once
/* A blocking caller over frames: the CLI's connection to bullad, to the broker. One request at a time. */
#include "base/buf.h"
#include "io/frame.h"

struct client;

/* Called for each EVENT frame that belongs to the request; an error ends the call. answers: each is answered by an empty EVENT
 * when it was taken, and the time-out begins anew. */
struct client_events {
	void *ctx;
	bulla_rc (*on_event)(void *ctx, const struct bulla_frame *event);
	bool answers;
};

/* Connects to a unix socket and says HELLO. BULLA_E_UNREACHABLE when nobody listens. */
BULLA_CHECK bulla_rc client_open(const char *path, struct client **ret);
struct client *client_close(struct client *client);

/* Sends a request and waits for its reply; its body is appended to ret. An error reply is returned as its error.
 * timeout_ms 0: as long as the connection lives. BULLA_E_TIMEOUT, BULLA_E_CLOSED, BULLA_E_CANCELLED (Ctrl-C). events may
 * be NULL. */
BULLA_CHECK bulla_rc client_call(struct client *client, enum bulla_op_number op, bulla_bytes body,
	const struct client_events *events, int64_t timeout_ms, struct bulla_buf *ret);

/* Ctrl-C ends calls with BULLA_E_CANCELLED instead of ending the process. */
void client_catch_interrupt(void);
