#include "cmd/client.h"

#include "base/mem.h"
#include "crypto/random.h"
#include "io/addr.h"
#include "io/sys.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#define MESSAGE_MAX ((uint32_t)64 << 20)

struct client {
	int fd;
	struct bulla_frames *frames;
	bool greeted;
	uint32_t stream; /* of the open request; 0: none */
	const struct client_events *events;
	struct bulla_buf *answer;
	bool answered;
	bulla_rc rc; /* of the answer */
	int64_t timeout_ms, until_us; /* of the open request; INT64_MAX: no limit */
};

/* Written by the signal handler only. Exception to rule 5 of doc/ARCHITECTURE.md section 10: a signal has no other way. */
static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

void client_catch_interrupt(void)
{
	struct sigaction action = {.sa_handler = on_interrupt}; /* no SA_RESTART: poll has to return */

	sigaction(SIGINT, &action, NULL);
}

static bulla_rc on_hello(void *ctx, struct bulla_frames *frames, uint64_t role, bulla_bytes boot_id)
{
	struct client *client = ctx;

	(void)frames;
	(void)role;
	(void)boot_id;
	client->greeted = true;
	return BULLA_OK;
}

static int64_t limit_of(int64_t timeout_ms)
{
	return timeout_ms == 0 ? INT64_MAX : bulla_mono_us(bulla_sys_clock()) + timeout_ms * 1000;
}

static bulla_rc take_event(struct client *client, const struct bulla_frame *event)
{
	BULLA_TRY(client->events->on_event(client->events->ctx, event));
	if (!client->events->answers)
		return BULLA_OK;
	client->until_us = limit_of(client->timeout_ms);
	return bulla_frames_push(client->frames, (enum bulla_op_number)event->op, event->stream, (bulla_bytes){NULL, 0});
}

static bulla_rc on_message(void *ctx, struct bulla_frames *frames, const struct bulla_frame *message)
{
	struct client *client = ctx;
	uint64_t retry_ms;

	(void)frames;
	if ((message->flags & BULLA_FRAME_REPLY) == 0 || message->stream != client->stream)
		return BULLA_OK; /* of the connection, or of a request that was given up */
	if (message->flags & BULLA_FRAME_EVENT)
		return client->events == NULL ? BULLA_OK : take_event(client, message);
	client->answered = true;
	client->rc = message->flags & BULLA_FRAME_ERROR ? bulla_frames_error_of(message, &retry_ms) :
		bulla_buf_append(client->answer, message->body);
	return BULLA_OK;
}

static bulla_rc connect_to(const char *path, struct client *client)
{
	struct bulla_addr addr;
	uint8_t boot_id[16];
	const struct bulla_frames_events events = {.ctx = client, .on_hello = on_hello, .on_message = on_message};

	BULLA_TRY(bulla_addr_parse(bulla_bytes_str(path), &addr));
	BULLA_TRY(bulla_addr_dial(&addr, &client->fd));
	BULLA_TRY(bulla_random_fill(bulla_random_os(), boot_id, sizeof(boot_id)));
	const struct bulla_frames_options options = {.role = BULLA_ROLE_CLIENT, .boot_id = BULLA_BYTES_ARRAY(boot_id),
		.window = 1, .message_max = MESSAGE_MAX, .now_us = bulla_mono_us(bulla_sys_clock())};
	return bulla_frames_new(&options, &events, &client->frames);
}

bulla_rc client_open(const char *path, struct client **ret)
{
	void *memory = NULL;
	bulla_rc rc;

	BULLA_TRY(bulla_alloc(1, sizeof(struct client), &memory));
	struct client *client = memory;
	client->fd = -1;
	rc = connect_to(path, client);
	if (rc != BULLA_OK) {
		client_close(client);
		return rc;
	}
	*ret = client;
	return BULLA_OK;
}

struct client *client_close(struct client *client)
{
	if (client != NULL) {
		bulla_frames_free(client->frames);
		bulla_addr_close(client->fd);
		bulla_free(client);
	}
	return NULL;
}

static bulla_rc write_some(struct client *client)
{
	bulla_bytes out = bulla_frames_output(client->frames);
	ssize_t n = out.n == 0 ? 0 : send(client->fd, out.p, out.n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return BULLA_FAIL(BULLA_E_CLOSED, "the other side closed the connection");
	if (n > 0)
		bulla_frames_sent(client->frames, (size_t)n);
	return BULLA_OK;
}

static bulla_rc read_some(struct client *client)
{
	uint8_t bytes[65536];
	ssize_t n = recv(client->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return BULLA_OK;
	if (n <= 0)
		return BULLA_FAIL(BULLA_E_CLOSED, "the other side closed the connection");
	return bulla_frames_feed(client->frames, bulla_bytes_of(bytes, (size_t)n), bulla_mono_us(bulla_sys_clock()));
}

/* One wait and what it brings. */
static bulla_rc turn(struct client *client)
{
	int64_t now = bulla_mono_us(bulla_sys_clock()), due = bulla_frames_deadline(client->frames);
	struct pollfd fd = {.fd = client->fd, .events = POLLIN};

	BULLA_TRY(write_some(client));
	if (bulla_frames_output(client->frames).n > 0)
		fd.events |= POLLOUT;
	due = due < client->until_us ? due : client->until_us;
	int64_t wait_ms = due == INT64_MAX ? -1 : due <= now ? 0 : (due - now) / 1000 + 1;
	if (poll(&fd, 1, wait_ms > 60000 ? 60000 : (int)wait_ms) < 0 && errno != EINTR)
		return BULLA_FAIL_OS(BULLA_E_IO, "waiting on the connection is refused", errno);
	if (interrupted)
		return BULLA_FAIL(BULLA_E_CANCELLED, "interrupted; the run goes on");
	if (fd.revents & (POLLIN | POLLHUP | POLLERR))
		BULLA_TRY(read_some(client));
	now = bulla_mono_us(bulla_sys_clock());
	if (now >= client->until_us && !client->answered)
		return BULLA_FAIL(BULLA_E_TIMEOUT, "no answer in time");
	return bulla_frames_tick(client->frames, now);
}

bulla_rc client_call(struct client *client, enum bulla_op_number op, bulla_bytes body, const struct client_events *events,
	int64_t timeout_ms, struct bulla_buf *ret)
{
	client->timeout_ms = timeout_ms;
	client->until_us = limit_of(timeout_ms);
	while (!client->greeted)
		BULLA_TRY(turn(client));
	client->stream = bulla_frames_stream(client->frames);
	client->events = events;
	client->answer = ret;
	client->answered = false;
	BULLA_TRY(bulla_frames_call(client->frames, op, client->stream, body));
	while (!client->answered)
		BULLA_TRY(turn(client));
	client->stream = 0;
	return client->rc;
}
