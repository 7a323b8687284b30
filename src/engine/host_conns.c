#include "engine/host_state.h"

#include "base/log.h"
#include "base/mem.h"
#include "engine/admin.h"

#define DIAL_FIRST_US 10000
#define DIAL_MOST_US 1000000
#define ENCLAVE_WINDOW 64 /* requests of an enclave: its relays */
#define BROKER_WINDOW 16
#define FILES_KEPT 128 /* for journal, catalogue and what accepts */
#define CLIENTS_FEWEST 16

/* Broker and enclaves have places of their own, and so have relays and the program's files, whoever connects. */
static uint32_t client_max(const struct host *host)
{
	size_t places = BULLA_MAX_PEERS - host->dial_count, kept = FILES_KEPT + 2 * host->dial_count, files = bulla_sys_files();

	if (files < kept + CLIENTS_FEWEST)
		return CLIENTS_FEWEST;
	return (uint32_t)(files - kept < places ? files - kept : places);
}

bulla_rc host_conns_init(struct host *host)
{
	void *p;

	BULLA_TRY(bulla_alloc(BULLA_MAX_PEERS, sizeof(*host->conns), &p));
	host->conns = p;
	BULLA_TRY(bulla_alloc(BULLA_MAX_PEERS, sizeof(*host->generations), &p));
	host->generations = p;
	BULLA_TRY(bulla_alloc(host->options->enclave_count + 1, sizeof(*host->dials), &p));
	host->dials = p;
	BULLA_TRY(bulla_addr_parse(bulla_bytes_str(host->options->broker), &host->dials[0].addr));
	host->dials[0].role = BULLA_ROLE_BROKER;
	for (size_t i = 0; i < host->options->enclave_count; i++) {
		BULLA_TRY(bulla_addr_parse(bulla_bytes_str(host->options->enclaves[i]), &host->dials[i + 1].addr));
		host->dials[i + 1].role = BULLA_ROLE_ENCLAVE;
	}
	host->dial_count = host->options->enclave_count + 1;
	host->client_max = client_max(host);
	return bulla_addr_parse(bulla_bytes_str(host->options->broker_tls), &host->broker_tls);
}

void host_conns_done(struct host *host)
{
	for (size_t i = 0; host->conns && i < BULLA_MAX_PEERS; i++)
		if (host->conns[i].pipe)
			bulla_pipe_free(host->conns[i].pipe);
	bulla_free(host->conns);
	bulla_free(host->generations);
	bulla_free(host->dials);
}

/* --- what connections say --- */

static bulla_rc on_hello(void *ctx, struct bulla_frames *frames, uint64_t role, bulla_bytes boot_id)
{
	struct conn *conn = ctx;
	struct bulla_engine_input input = {.kind = BULLA_ENGINE_PEER_UP, .peer = conn->peer, .role = conn->role};

	(void)boot_id;
	if (role != conn->role)
		return BULLA_FAIL(BULLA_E_DENIED, "another role than this address has");
	conn->frames = frames;
	conn->up = true;
	if (conn->dial)
		conn->dial->delay_us = DIAL_FIRST_US;
	host_step(conn->host, &input);
	return BULLA_OK;
}

/* An answer, where one is waited for. */
static bulla_rc refuse(struct conn *conn, const struct bulla_frame *frame, bulla_rc rc)
{
	bulla_log(BULLA_LOG_WARN, "host.refused", bulla_log_rc(rc), bulla_log_u64("op", frame->op));
	if (frame->flags & (BULLA_FRAME_REPLY | BULLA_FRAME_EVENT))
		return BULLA_OK;
	return bulla_frames_error(conn->frames, (enum bulla_op_number)frame->op, frame->stream, rc, 0, frame->op, 0);
}

static bulla_rc on_message(void *ctx, struct bulla_frames *frames, const struct bulla_frame *frame)
{
	struct conn *conn = ctx;
	struct bulla_engine_input input = {.kind = BULLA_ENGINE_FRAME,
		.peer = conn->peer,
		.op = frame->op,
		.flags = frame->flags,
		.stream = frame->stream,
		.body = frame->body};
	const struct bulla_op *op = bulla_op_find(frame->op);
	bool reply = (frame->flags & BULLA_FRAME_REPLY) != 0;

	bulla_rc rc;

	if (!conn->pipe)
		return BULLA_E_CLOSED; /* ended while what it sent was taken */
	rc = conn->role == BULLA_ROLE_CLIENT ? bulla_admin_check(frame->op, conn->own) : BULLA_OK;
	if (rc != BULLA_OK)
		return refuse(conn, frame, rc);
	if (!reply && (!op || !bulla_op_may_call(op, conn->role))) {
		if (frame->flags & BULLA_FRAME_EVENT)
			return BULLA_OK;
		return bulla_frames_error(frames, (enum bulla_op_number)frame->op, frame->stream, BULLA_E_UNSUPPORTED, 0,
			frame->op, 0);
	}
	if (frame->op == BULLA_OP_RELAY) {
		host_relay_frame(conn, frame);
		return BULLA_OK;
	}
	host_step(conn->host, &input);
	return BULLA_OK;
}

static void on_end(void *ctx, struct bulla_pipe *pipe, bulla_rc why)
{
	struct conn *conn = ctx;
	struct bulla_engine_input input = {.kind = BULLA_ENGINE_PEER_DOWN, .peer = conn->peer};

	(void)pipe;
	(void)why;
	conn->pipe = NULL;
	conn->host->client_count -= conn->role == BULLA_ROLE_CLIENT;
	host_relay_conn_down(conn);
	if (conn->dial) {
		conn->dial->conn = NULL;
		conn->dial->again_us = conn->host->loop.now_us + conn->dial->delay_us;
		conn->dial->delay_us = conn->dial->delay_us * 2 > DIAL_MOST_US ? DIAL_MOST_US : conn->dial->delay_us * 2;
	}
	conn->frames = NULL;
	conn->lost = conn->up && conn->host->stepping; /* ended by an effect: the core is not entered twice, host_tick tells it */
	if (conn->up && !conn->lost)
		host_step(conn->host, &input);
	conn->up = false;
}

/* --- making them --- */

static struct conn *conn_new(struct host *host)
{
	for (uint32_t i = 0; i < BULLA_MAX_PEERS; i++) {
		struct conn *conn = &host->conns[i];

		if (conn->pipe || conn->lost)
			continue;
		*conn = (struct conn){.host = host};
		if (i >= host->conn_count)
			host->conn_count = i + 1;
		do
			conn->peer = ++host->generations[i] * BULLA_MAX_PEERS + i;
		while (conn->peer == 0); /* after four million connections in the first place */
		return conn;
	}
	return NULL;
}

static uint32_t window_of(enum bulla_role role)
{
	if (role == BULLA_ROLE_CLIENT)
		return BULLA_MAX_API_WINDOW;
	return role == BULLA_ROLE_ENCLAVE ? ENCLAVE_WINDOW : BROKER_WINDOW;
}

static bulla_rc conn_open(struct host *host, int fd, enum bulla_role role, struct dial *dial)
{
	bool full = role == BULLA_ROLE_CLIENT && host->client_count >= host->client_max;
	struct conn *conn = full ? NULL : conn_new(host);
	struct bulla_pipe_events events = {.ctx = conn, .on_end = on_end};
	struct bulla_frames_events frames_events = {.ctx = conn, .on_hello = on_hello, .on_message = on_message};
	struct bulla_frames_options options = {
		.role = BULLA_ROLE_HOST, .boot_id = BULLA_BYTES_ARRAY(host->boot_id), .window = window_of(role)};
	bulla_rc rc;

	if (!conn) {
		bulla_addr_close(fd);
		return BULLA_FAIL(BULLA_E_BUSY, "as many connections as may be open");
	}
	conn->role = role;
	conn->dial = dial;
	conn->own = bulla_addr_is_own(fd);
	BULLA_TRY(bulla_pipe_new(&host->loop, fd, NULL, &events, &conn->pipe));
	if (role == BULLA_ROLE_CLIENT) /* runs go on while it hears of them */
		bulla_pipe_late(conn->pipe);
	rc = bulla_pipe_frames(conn->pipe, &options, &frames_events, &conn->frames);
	if (rc != BULLA_OK) {
		conn->pipe = bulla_pipe_free(conn->pipe);
		return rc;
	}
	host->client_count += role == BULLA_ROLE_CLIENT;
	if (dial)
		dial->conn = conn;
	return BULLA_OK;
}

void host_accept(void *ctx, int fd)
{
	bulla_rc rc = conn_open(ctx, fd, BULLA_ROLE_CLIENT, NULL);

	if (rc != BULLA_OK)
		bulla_log(BULLA_LOG_WARN, "host.client-refused", bulla_log_rc(rc));
}

void host_dial_all(struct host *host, int64_t now_us)
{
	for (size_t i = 0; i < host->dial_count; i++) {
		struct dial *dial = &host->dials[i];
		int fd;

		if (dial->conn || dial->again_us > now_us)
			continue;
		if (dial->delay_us == 0)
			dial->delay_us = DIAL_FIRST_US;
		if (bulla_addr_dial(&dial->addr, &fd) == BULLA_OK && conn_open(host, fd, dial->role, dial) == BULLA_OK)
			continue;
		dial->again_us = now_us + dial->delay_us;
		dial->delay_us = dial->delay_us * 2 > DIAL_MOST_US ? DIAL_MOST_US : dial->delay_us * 2;
	}
}

static void tell_lost(struct conn *conn)
{
	struct bulla_engine_input input = {.kind = BULLA_ENGINE_PEER_DOWN, .peer = conn->peer};

	conn->lost = false;
	host_step(conn->host, &input);
}

void host_tick(struct host *host, int64_t now_us)
{
	for (size_t i = 0; i < host->conn_count; i++) {
		if (host->conns[i].lost)
			tell_lost(&host->conns[i]);
		if (host->conns[i].pipe)
			bulla_pipe_tick(host->conns[i].pipe, now_us);
	}
}

void host_limit_output(struct host *host)
{
	struct conn *most = NULL;
	size_t sum = 0, largest = 0;

	for (size_t i = 0; i < host->conn_count; i++) {
		struct conn *conn = &host->conns[i];
		size_t backlog = conn->role == BULLA_ROLE_CLIENT && conn->frames ? bulla_frames_backlog(conn->frames) : 0;

		sum += backlog;
		if (backlog > largest) {
			largest = backlog;
			most = conn;
		}
	}
	if (sum <= BULLA_MAX_CLIENTS_OUTPUT || !most)
		return;
	bulla_log(BULLA_LOG_WARN, "host.client-reads-nothing", bulla_log_u64("bytes", largest));
	bulla_pipe_free(most->pipe);
	on_end(most, NULL, BULLA_E_LIMIT);
}

int64_t host_conns_deadline(struct host *host)
{
	int64_t due = INT64_MAX;

	for (size_t i = 0; i < host->dial_count; i++)
		if (!host->dials[i].conn && host->dials[i].again_us < due)
			due = host->dials[i].again_us;
	for (size_t i = 0; i < host->conn_count; i++)
		if (host->conns[i].pipe && bulla_pipe_deadline(host->conns[i].pipe) < due)
			due = bulla_pipe_deadline(host->conns[i].pipe);
	return due;
}

/* --- effects --- */

static struct conn *conn_of(void *ctx, bulla_engine_peer peer)
{
	struct host *host = ctx;
	struct conn *conn = &host->conns[peer % BULLA_MAX_PEERS];

	return conn->peer == peer && conn->pipe && conn->frames ? conn : NULL;
}

static bulla_rc effect_call(void *ctx, bulla_engine_peer peer, enum bulla_op_number op, uint32_t stream, bulla_bytes body)
{
	struct conn *conn = conn_of(ctx, peer);

	if (!conn)
		return BULLA_E_CLOSED;
	if (op == BULLA_OP_CANCEL)
		return bulla_frames_cancel(conn->frames, stream);
	return bulla_frames_call(conn->frames, op, stream, body);
}

static void effect_reply(void *ctx, bulla_engine_peer peer, enum bulla_op_number op, uint32_t stream, bulla_bytes body)
{
	struct conn *conn = conn_of(ctx, peer);

	if (!conn)
		return;
	if (bulla_frames_reply(conn->frames, op, stream, body) != BULLA_OK)
		(void)(bulla_frames_error(conn->frames, op, stream, BULLA_E_LIMIT, 0, body.n, 0) == BULLA_OK);
	if (bulla_frames_backlog(conn->frames) > BULLA_MAX_OUTPUT_BUFFER)
		host_limit_output(ctx); /* many may have asked in this turn */
}

static void effect_event(void *ctx, bulla_engine_peer peer, enum bulla_op_number op, uint32_t stream, bulla_bytes body)
{
	struct conn *conn = conn_of(ctx, peer);

	if (!conn)
		return;
	if (stream == 0)
		(void)(bulla_frames_push(conn->frames, op, 0, body) == BULLA_OK);
	else
		(void)(bulla_frames_event(conn->frames, op, stream, body) == BULLA_OK);
}

static void effect_error(void *ctx, bulla_engine_peer peer, enum bulla_op_number op, uint32_t stream, bulla_rc rc,
	uint64_t retry_ms)
{
	struct conn *conn = conn_of(ctx, peer);

	if (conn)
		(void)(bulla_frames_error(conn->frames, op, stream, rc, retry_ms, 0, 0) == BULLA_OK);
}

static bulla_rc effect_append(void *ctx, bulla_bytes records, uint32_t count, bool urgent)
{
	struct host *host = ctx;
	uint64_t lsn;

	return bulla_journal_submit(host->journal, records, count, urgent, &lsn);
}

static void effect_arm(void *ctx, int64_t due_ms)
{
	struct host *host = ctx;

	host->arm_ms = due_ms;
}

static bulla_rc effect_ask(void *ctx, uint64_t ticket, enum bulla_engine_question question, bulla_bytes arg)
{
	struct host *host = ctx;

	return bulla_librarian_ask(host->librarian, ticket, question, arg);
}

static bulla_rc effect_tell(void *ctx, enum bulla_engine_question question, bulla_bytes arg)
{
	struct host *host = ctx;

	if (host->librarian)
		return bulla_librarian_tell(host->librarian, question, arg);
	return bulla_librarian_apply(host->catalogue, question, arg); /* recovery */
}

static void effect_note(void *ctx, enum bulla_engine_note note, uint64_t number)
{
	(void)ctx;
	switch (note) {
	case BULLA_NOTE_RUN_STUCK:
		bulla_log(BULLA_LOG_ERROR, "engine.run-stuck", bulla_log_u64("run_no", number));
		break;
	case BULLA_NOTE_INSTANCE_LOST:
		bulla_log(BULLA_LOG_WARN, "engine.enclave-lost", bulla_log_u64("peer", number));
		break;
	case BULLA_NOTE_INSTANCE_REFUSED:
		bulla_log(BULLA_LOG_WARN, "engine.enclave-refused", bulla_log_rc((bulla_rc)number));
		break;
	case BULLA_NOTE_BROKER_DOWN:
		bulla_log(BULLA_LOG_WARN, "engine.broker-down", bulla_log_u64("n", number));
		break;
	case BULLA_NOTE_BROKER_UP:
		bulla_log(BULLA_LOG_INFO, "engine.broker-up", bulla_log_u64("peer", number));
		break;
	case BULLA_NOTE_BAD_MESSAGE:
		bulla_log(BULLA_LOG_WARN, "engine.bad-message", bulla_log_u64("op", number));
		break;
	case BULLA_NOTE_SYNCED:
		bulla_log(BULLA_LOG_INFO, "engine.synced", bulla_log_u64("runs", number));
		break;
	default:
		break;
	}
}

struct bulla_engine_effects host_effects(struct host *host)
{
	return (struct bulla_engine_effects){.ctx = host,
		.call = effect_call,
		.reply = effect_reply,
		.event = effect_event,
		.error = effect_error,
		.append = effect_append,
		.arm = effect_arm,
		.ask = effect_ask,
		.tell = effect_tell,
		.note = effect_note};
}
