#include "engine/host_state.h"

#include "base/mem.h"

#define PIECE 16384 /* bytes in one event */

bulla_rc host_relay_init(struct host *host)
{
	void *p;

	BULLA_TRY(bulla_alloc(RELAYS, sizeof(*host->relays), &p));
	host->relays = p;
	for (size_t i = 0; i < RELAYS; i++) {
		host->relays[i].host = host;
		host->relays[i].next = host->free_relay;
		host->free_relay = &host->relays[i];
	}
	return BULLA_OK;
}

static void release(struct relay *relay)
{
	relay->conn = NULL;
	relay->pipe = NULL;
	relay->next = relay->host->free_relay;
	relay->host->free_relay = relay;
}

void host_relay_done(struct host *host)
{
	for (size_t i = 0; host->relays && i < RELAYS; i++)
		if (host->relays[i].conn)
			bulla_pipe_free(host->relays[i].pipe);
	bulla_free(host->relays);
}

static bulla_rc on_bytes(void *ctx, struct bulla_pipe *pipe, bulla_bytes bytes)
{
	struct relay *relay = ctx;

	(void)pipe;
	while (bytes.n > 0) {
		size_t n = bytes.n < PIECE ? bytes.n : PIECE;

		BULLA_TRY(bulla_frames_event(relay->conn->frames, BULLA_OP_RELAY, relay->stream,
			bulla_bytes_of(bytes.p, n)));
		bytes = bulla_bytes_of(bytes.p + n, bytes.n - n);
	}
	return BULLA_OK;
}

static void on_end(void *ctx, struct bulla_pipe *pipe, bulla_rc why)
{
	struct relay *relay = ctx;
	bulla_rc rc;

	(void)pipe;
	if (why == BULLA_E_CLOSED)
		rc = bulla_frames_reply(relay->conn->frames, BULLA_OP_RELAY, relay->stream, (bulla_bytes){NULL, 0});
	else
		rc = bulla_frames_error(relay->conn->frames, BULLA_OP_RELAY, relay->stream, BULLA_E_BROKER, 200, 0, 0);
	(void)rc; /* the connection is ending then, and says so itself */
	release(relay);
}

static bulla_rc open_relay(struct conn *conn, uint32_t stream)
{
	struct host *host = conn->host;
	struct relay *relay = host->free_relay;
	struct bulla_pipe_events events = {.ctx = relay, .on_bytes = on_bytes, .on_end = on_end};
	int fd;

	if (!relay)
		return BULLA_FAIL(BULLA_E_BUSY, "as many relays as may be open");
	if (bulla_addr_dial(&host->broker_tls, &fd) != BULLA_OK)
		return BULLA_E_BROKER;
	BULLA_TRY(bulla_pipe_new(&host->loop, fd, NULL, &events, &relay->pipe));
	host->free_relay = relay->next;
	relay->conn = conn;
	relay->stream = stream;
	return BULLA_OK;
}

static struct relay *find(struct conn *conn, uint32_t stream)
{
	for (size_t i = 0; i < RELAYS; i++)
		if (conn->host->relays[i].conn == conn && conn->host->relays[i].stream == stream)
			return &conn->host->relays[i];
	return NULL;
}

void host_relay_frame(struct conn *conn, const struct bulla_frame *frame)
{
	struct relay *relay = find(conn, frame->stream);
	bulla_rc rc = BULLA_OK;

	if ((frame->flags & BULLA_FRAME_EVENT) == 0) {
		rc = relay ? BULLA_E_DUPLICATE : open_relay(conn, frame->stream);
		if (rc == BULLA_OK && frame->body.n > 0)
			rc = bulla_pipe_write(find(conn, frame->stream)->pipe, frame->body);
	} else if (relay && frame->body.n == 0) {
		bulla_pipe_finish(relay->pipe);
	} else if (relay) {
		rc = bulla_pipe_write(relay->pipe, frame->body);
	}
	if (rc == BULLA_OK)
		return;
	relay = find(conn, frame->stream);
	if (relay) {
		bulla_pipe_free(relay->pipe);
		release(relay);
	}
	(void)(bulla_frames_error(conn->frames, BULLA_OP_RELAY, frame->stream, rc, 200, 0, 0) == BULLA_OK);
}

void host_relay_conn_down(struct conn *conn)
{
	for (size_t i = 0; i < RELAYS; i++) {
		struct relay *relay = &conn->host->relays[i];

		if (relay->conn != conn)
			continue;
		bulla_pipe_free(relay->pipe);
		release(relay);
	}
}
