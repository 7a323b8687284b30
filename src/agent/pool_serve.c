/* Binding `serve`: an HTTP server inside the sandbox, on 127.0.0.1:8080 of its own network namespace. Its first process
 * hands us sockets of that namespace; we connect them and keep them alive. */
#include "agent/pool_internal.h"

#include "base/mem.h"
#include "io/http.h"
#include "wire/kinds.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT 8080
#define RETRY_US 5000      /* between two tries to reach a server that starts */
#define WARM_US 30000000   /* it must answer its first ping within */
#define HEAD 4096          /* of our requests */

static void watch(struct bulla_agent_link *link, unsigned events)
{
	struct bulla_agent_pool *pool = link->watch.pool;

	if (link->fd < 0 || link->watch.events == events)
		return;
	link->watch.events = events;
	link->watch.fd = link->fd;
	if (pool->loop.watch(pool->loop.ctx, link->fd, events, &link->watch) != BULLA_OK)
		link->watch.box->lost_control = true; /* seen at the next turn */
}

void bulla_agent_link_close(struct bulla_agent_link *link)
{
	if (link->fd >= 0) {
		watch(link, 0);
		close(link->fd);
	}
	link->fd = -1;
	link->job = NULL;
	link->asked = link->connecting = link->ping = false;
	link->retry_us = 0;
	link->sent = 0;
	bulla_buf_clear(&link->out);
	bulla_buf_clear(&link->in);
}

bulla_rc bulla_agent_links_new(struct bulla_agent_box *box)
{
	struct bulla_agent_pool *pool = box->pool;
	void *memory;

	BULLA_TRY(bulla_alloc(pool->link_count, sizeof(box->links[0]), &memory));
	box->links = memory;
	for (uint32_t i = 0; i < pool->link_count; i++) {
		struct bulla_agent_link *link = &box->links[i];

		link->fd = -1;
		link->watch = (struct bulla_agent_watch){.pool = pool, .box = box, .fd = -1, .what = (uint8_t)(WATCH_COUNT + i)};
		bulla_buf_init(&link->out, BULLA_MAX_AGENT_INPUT + HEAD);
		bulla_buf_init(&link->in, (size_t)pool->output_max + BULLA_HTTP_HEAD_MAX);
	}
	return BULLA_OK;
}

void bulla_agent_links_free(struct bulla_agent_box *box)
{
	for (uint32_t i = 0; box->links != NULL && i < box->pool->link_count; i++) {
		bulla_buf_done(&box->links[i].out);
		bulla_buf_done(&box->links[i].in);
	}
	bulla_free(box->links);
	box->links = NULL;
}

static void ask_socket(struct bulla_agent_link *link)
{
	bulla_rc rc = bulla_sandbox_ask_socket(&link->watch.box->sandbox);

	link->asked = true;
	if (rc != BULLA_OK && rc != BULLA_E_CLOSED) /* closed: how it ended is still to be read */
		link->watch.box->lost_control = true;
}

static void made(struct bulla_agent_box *box)
{
	if (bulla_sandbox_go(&box->sandbox, BULLA_BYTES_LITERAL("PORT=8080\0")) != BULLA_OK)
		box->lost_control = true;
	box->state = BOX_WARMING;
	bulla_box_watch(box, WATCH_OUT, BULLA_AGENT_READ);
	bulla_box_watch(box, WATCH_ERR, BULLA_AGENT_READ);
	box->links[0].ping = true;
	ask_socket(&box->links[0]);
}

static bool takes(const struct bulla_agent_box *box)
{
	return box->state == BOX_READY && !box->lost_control && !box->exited && box->in_flight < box->pool->in_flight_max &&
		box->served < box->pool->reuse_max;
}

struct facts_text {
	char attempt[16], deadline[24], once[65];
};

static void add(struct bulla_http_message *message, const char *name, bulla_bytes value)
{
	message->headers[message->header_count++] = (struct bulla_http_header){bulla_bytes_str(name), value};
}

static void add_facts(struct bulla_http_message *message, const struct bulla_agent_facts *facts, struct facts_text *text)
{
	snprintf(text->attempt, sizeof(text->attempt), "%u", facts->attempt);
	snprintf(text->deadline, sizeof(text->deadline), "%lld", (long long)facts->deadline_s);
	for (size_t i = 0; i < 32; i++)
		snprintf(text->once + 2 * i, 3, "%02x", facts->once.b[i]);
	add(message, "content-type", BULLA_BYTES_LITERAL("application/json"));
	add(message, "bulla-run", facts->run);
	add(message, "bulla-step", facts->step);
	add(message, "bulla-attempt", bulla_bytes_str(text->attempt));
	add(message, "bulla-deadline", bulla_bytes_str(text->deadline));
	add(message, "bulla-once", bulla_bytes_str(text->once));
}

static bulla_rc write_request(struct bulla_agent_link *link, const struct bulla_agent_job *job)
{
	struct bulla_http_message message = {.minor = 1, .keep_alive = true};
	struct facts_text text;
	bulla_wr w = bulla_wr_buf(&link->out);
	bulla_bytes ignored;

	link->out.n = link->in.n = link->sent = 0;
	message.method = job == NULL ? BULLA_BYTES_LITERAL("GET") : BULLA_BYTES_LITERAL("POST");
	message.target = job == NULL ? BULLA_BYTES_LITERAL("/ping") : BULLA_BYTES_LITERAL("/invocations");
	add(&message, "host", BULLA_BYTES_LITERAL("127.0.0.1:8080"));
	if (job != NULL) {
		add_facts(&message, &job->facts, &text);
		message.body = job->input;
	}
	bulla_http_write_request(&w, &message);
	return bulla_wr_end(&w, &ignored);
}

/* The attempt of this connection ends; the connection stays if keep. */
static void finish(struct bulla_agent_link *link, uint32_t outcome, bulla_bytes output, bool keep)
{
	struct bulla_agent_box *box = link->watch.box;
	struct bulla_agent_job *job = link->job;

	link->job = NULL;
	bulla_box_finish(box, job, outcome, output);
	if (!keep)
		bulla_agent_link_close(link);
	if (box->served >= box->pool->reuse_max && box->first == NULL)
		bulla_box_drop(box, true);
}

/* The connection broke, or what came over it is no answer. */
static void broken(struct bulla_agent_link *link, uint32_t outcome)
{
	bool ping = link->ping;
	struct bulla_agent_box *box = link->watch.box;

	if (link->job != NULL) {
		finish(link, outcome, bulla_bytes_of(NULL, 0), false);
		return;
	}
	bulla_agent_link_close(link);
	if (ping && box->state == BOX_WARMING) {
		link->ping = true;
		link->retry_us = bulla_agent_now(box->pool) + RETRY_US;
	}
}

static void connect_link(struct bulla_agent_link *link)
{
	const struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	link->retry_us = 0;
	link->connecting = true;
	if (connect(link->fd, (const struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS) {
		broken(link, BULLA_OUTCOME_FAILED);
		return;
	}
	if (link->ping && write_request(link, NULL) != BULLA_OK)
		broken(link, BULLA_OUTCOME_FAILED);
	watch(link, BULLA_AGENT_WRITE);
}

void bulla_agent_link_socket(struct bulla_agent_box *box, int fd)
{
	for (uint32_t i = 0; box->links != NULL && i < box->pool->link_count; i++) {
		struct bulla_agent_link *link = &box->links[i];

		if (!link->asked || link->fd >= 0)
			continue;
		link->asked = false;
		link->fd = fd;
		connect_link(link);
		return;
	}
	close(fd);
}

static void begin(struct bulla_agent_box *box, struct bulla_agent_job *job)
{
	struct bulla_agent_link *chosen = NULL;

	for (uint32_t i = 0; i < box->pool->link_count; i++) {
		struct bulla_agent_link *link = &box->links[i];

		if (link->job == NULL && !link->ping && (chosen == NULL || link->fd >= 0))
			chosen = link;
	}
	if (chosen == NULL || write_request(chosen, job) != BULLA_OK) {
		bulla_box_finish(box, job, BULLA_OUTCOME_FAILED, bulla_bytes_of(NULL, 0));
		return;
	}
	chosen->job = job;
	if (chosen->fd >= 0)
		watch(chosen, BULLA_AGENT_READ | BULLA_AGENT_WRITE);
	else if (!chosen->asked)
		ask_socket(chosen);
}

static void take_answer(struct bulla_agent_link *link, const struct bulla_http_message *message)
{
	bulla_bytes output = {0};
	uint32_t outcome = BULLA_OUTCOME_FAILED;

	if (link->job == NULL) { /* the first ping */
		link->ping = false;
		link->in.n = 0;
		if (message->status == 200)
			link->watch.box->state = BOX_READY;
		else
			link->ping = true;
		if (!message->keep_alive || message->status != 200)
			broken(link, BULLA_OUTCOME_FAILED);
		return;
	}
	if (message->status == 200)
		outcome = bulla_agent_output(message->body, &output);
	else if (message->status == 503)
		outcome = BULLA_OUTCOME_RETRY;
	finish(link, outcome, output, message->keep_alive);
}

static void read_link(struct bulla_agent_link *link)
{
	struct bulla_http_message message;
	ssize_t got;
	size_t size;
	bulla_rc rc;

	if (bulla_buf_reserve(&link->in, 16384 < link->in.max - link->in.n ? 16384 : link->in.max - link->in.n) != BULLA_OK) {
		broken(link, BULLA_OUTCOME_OUTPUT);
		return;
	}
	got = read(link->fd, link->in.p + link->in.n, link->in.cap - link->in.n);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0 || (link->job == NULL && !link->ping)) { /* closed, or it spoke before it was asked */
		broken(link, link->in.n == link->in.max ? BULLA_OUTCOME_OUTPUT : BULLA_OUTCOME_FAILED);
		return;
	}
	link->in.n += (size_t)got;
	rc = bulla_http_read_response(bulla_buf_view(&link->in), &message, &size);
	if (rc == BULLA_OK)
		take_answer(link, &message);
	else if (rc != BULLA_E_AGAIN)
		broken(link, BULLA_OUTCOME_OUTPUT);
}

static void write_link(struct bulla_agent_link *link)
{
	int error = 0;
	socklen_t size = sizeof(error);
	ssize_t sent;

	if (link->connecting && (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)) {
		broken(link, BULLA_OUTCOME_FAILED);
		return;
	}
	link->connecting = false;
	if (link->sent < link->out.n) {
		sent = send(link->fd, link->out.p + link->sent, link->out.n - link->sent, MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN && errno != EINTR) {
			broken(link, BULLA_OUTCOME_FAILED);
			return;
		}
		link->sent += sent > 0 ? (size_t)sent : 0;
	}
	watch(link, link->sent < link->out.n ? BULLA_AGENT_READ | BULLA_AGENT_WRITE : BULLA_AGENT_READ);
}

void bulla_agent_link_ready(struct bulla_agent_box *box, unsigned i, unsigned events)
{
	struct bulla_agent_link *link = &box->links[i];

	if (link->fd >= 0 && (events & BULLA_AGENT_WRITE) != 0)
		write_link(link);
	if (link->fd >= 0 && !link->connecting && (events & BULLA_AGENT_READ) != 0)
		read_link(link);
}

static void turn(struct bulla_agent_box *box, int64_t now_us)
{
	if (box->state == BOX_WARMING && now_us - box->begun_us > WARM_US) {
		bulla_box_fail_waiting(box, BULLA_OUTCOME_TIMEOUT);
		bulla_box_drop(box, false);
		return;
	}
	for (uint32_t i = 0; i < box->pool->link_count; i++) {
		struct bulla_agent_link *link = &box->links[i];

		if (link->retry_us != 0 && now_us >= link->retry_us && link->fd < 0 && !link->asked) {
			link->retry_us = 0;
			ask_socket(link);
		}
		if (link->fd >= 0 && link->job != NULL && !link->connecting && link->sent < link->out.n)
			write_link(link);
	}
}

/* stdout of a server is talk: kept with its log. */
static void out(struct bulla_agent_box *box)
{
	if (bulla_box_read_out(box))
		bulla_agent_tail_add(&box->tail, bulla_buf_view(&box->out));
	box->out.n = 0;
}

static void ended(struct bulla_agent_box *box)
{
	uint32_t outcome = bulla_box_end_class(box);

	if (outcome == BULLA_OUTCOME_OK || outcome == BULLA_OUTCOME_RETRY)
		outcome = BULLA_OUTCOME_CRASH; /* a server does not end */
	if (box->first != NULL)
		bulla_box_finish(box, box->first, outcome, bulla_bytes_of(NULL, 0));
	else if (box->state == BOX_WARMING)
		bulla_box_fail_waiting(box, outcome);
	bulla_box_drop(box, false);
}

const struct bulla_agent_ops bulla_agent_serve_ops = {
	.takes = takes, .begin = begin, .made = made, .out = out, .ended = ended, .turn = turn};
