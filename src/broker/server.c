#include "broker/server.h"

#include "base/log.h"
#include "base/mem.h"
#include "broker/service.h"
#include "io/addr.h"

#include <signal.h>

#define CONNS_MAX 1024
#define MINUTE_US INT64_C(60000000)
#define SILENT_US INT64_C(60000000) /* an HTTP connection without a request */
#define WORKER_JOBS 64
#define HTTP_MAX ((size_t)BULLA_HTTP_BODY_MAX + BULLA_HTTP_HEAD_MAX)

/* --- connections --- */

static void conn_gone(void *ctx, struct bulla_pipe *pipe, bulla_rc why)
{
	struct bulla_conn *conn = (struct bulla_conn *)ctx;
	struct bulla_server *server = conn->server;
	struct bulla_conn **at = &server->conns;

	(void)pipe;
	if (why != BULLA_E_CLOSED)
		bulla_log(BULLA_LOG_INFO, "broker.connection_ended", bulla_log_rc(why),
			bulla_log_u64("tls", conn->tls ? 1 : 0));
	while (*at != conn)
		at = &(*at)->next;
	*at = conn->next;
	server->conn_count--;
	bulla_buf_done(&conn->http);
	bulla_free(conn);
}

static bulla_rc conn_hello(void *ctx, struct bulla_frames *frames, uint64_t role, bulla_bytes boot_id)
{
	struct bulla_conn *conn = (struct bulla_conn *)ctx;

	(void)frames;
	(void)boot_id;
	if (conn->tls ? role != BULLA_ROLE_ENCLAVE : role != BULLA_ROLE_HOST && role != BULLA_ROLE_CLIENT)
		return BULLA_FAIL(BULLA_E_NO_RIGHT, "this role does not speak here");
	return BULLA_OK;
}

static bulla_rc conn_message(void *ctx, struct bulla_frames *frames, const struct bulla_frame *message)
{
	struct bulla_conn *conn = (struct bulla_conn *)ctx;

	(void)frames;
	conn->heard_us = conn->server->loop.now_us;
	if (message->flags != 0 || message->op == BULLA_OP_CANCEL)
		return BULLA_OK; /* the broker asks nothing, and what it does is too short to cancel */
	return conn->tls ? bulla_instance_service(conn, message) : bulla_host_service(conn, message);
}

static bulla_rc conn_open(void *ctx, struct bulla_pipe *pipe)
{
	struct bulla_conn *conn = (struct bulla_conn *)ctx;
	struct bulla_frames_events events = {.ctx = conn, .on_hello = conn_hello, .on_message = conn_message};
	struct bulla_frames_options options = {
		.role = BULLA_ROLE_BROKER,
		.boot_id = BULLA_BYTES_ARRAY(conn->server->broker->boot_id),
		.window = conn->tls ? 4 : BULLA_MAX_BROKER_WINDOW,
	};

	conn->opened_us = conn->server->loop.now_us;
	if (conn->tls && bulla_tls_protocol(bulla_pipe_tls(pipe)) == BULLA_TLS_HTTP)
		return BULLA_OK;
	return bulla_pipe_frames(pipe, &options, &events, &conn->frames);
}

static bulla_rc conn_bytes(void *ctx, struct bulla_pipe *pipe, bulla_bytes bytes)
{
	struct bulla_conn *conn = (struct bulla_conn *)ctx;

	(void)pipe;
	conn->heard_us = conn->server->loop.now_us;
	BULLA_TRY(bulla_buf_append(&conn->http, bytes));
	return bulla_kms_service(conn);
}

static bulla_rc conn_new(struct bulla_server *server, int fd, bool tls)
{
	struct bulla_pipe_events events = {.on_open = conn_open, .on_bytes = conn_bytes, .on_end = conn_gone};
	struct bulla_tls *machine = NULL;
	struct bulla_conn *conn;
	void *p = NULL;
	bulla_rc rc = bulla_alloc(1, sizeof(*conn), &p);

	if (rc == BULLA_OK && tls)
		rc = bulla_tls_new(server->broker->tls, BULLA_TLS_FRAMES, &machine);
	if (rc != BULLA_OK) {
		bulla_free(p);
		bulla_addr_close(fd);
		return rc;
	}
	conn = (struct bulla_conn *)p;
	conn->server = server;
	conn->tls = tls;
	conn->own = bulla_addr_is_own(fd);
	conn->id = ++server->next_id;
	conn->heard_us = server->loop.now_us;
	bulla_buf_init(&conn->http, HTTP_MAX);
	events.ctx = conn;
	rc = bulla_pipe_new(&server->loop, fd, machine, &events, &conn->pipe);
	if (rc != BULLA_OK) {
		bulla_free(conn);
		return rc;
	}
	conn->next = server->conns;
	server->conns = conn;
	server->conn_count++;
	return BULLA_OK;
}

static void accept_conn(struct bulla_server *server, int fd, bool tls)
{
	bulla_rc rc;

	if (server->conn_count >= CONNS_MAX) {
		bulla_addr_close(fd);
		return;
	}
	rc = conn_new(server, fd, tls);
	if (rc != BULLA_OK)
		bulla_log(BULLA_LOG_WARN, "broker.connection_refused", bulla_log_rc(rc));
}

static void on_unix(void *ctx, int fd)
{
	accept_conn((struct bulla_server *)ctx, fd, false);
}

static void on_tls(void *ctx, int fd)
{
	accept_conn((struct bulla_server *)ctx, fd, true);
}

/* --- turn --- */

static bulla_rc push_tokens(struct bulla_server *server)
{
	struct bulla_buf *body = &server->tokens;
	bool any = false;

	do {
		bulla_buf_clear(body);
		BULLA_TRY(bulla_broker_tokens(server->broker, body, &any));
		for (struct bulla_conn *conn = server->conns; any && conn != NULL; conn = conn->next)
			if (conn->frames != NULL && bulla_frames_peer_role(conn->frames) == BULLA_ROLE_HOST &&
				bulla_frames_push(conn->frames, BULLA_OP_TOKENS, 0, bulla_buf_view(body)) != BULLA_OK)
				bulla_pipe_finish(conn->pipe);
	} while (any);
	return BULLA_OK;
}

static bulla_rc turn(struct bulla_server *server)
{
	uint64_t lsn = 0;

	BULLA_TRY(bulla_broker_submit(server->broker, &lsn));
	for (struct bulla_waiting *waiting = server->first; waiting != NULL; waiting = waiting->next)
		if (waiting->lsn == 0)
			waiting->lsn = lsn;
	while (server->first != NULL && server->first->lsn <= server->durable_lsn)
		bulla_conn_release(server);
	return push_tokens(server);
}

static void tick_conns(struct bulla_server *server, int64_t now_us)
{
	struct bulla_conn *next;

	for (struct bulla_conn *conn = server->conns; conn != NULL; conn = next) {
		next = conn->next;
		if (conn->frames == NULL && !conn->busy && now_us - conn->heard_us >= SILENT_US)
			bulla_pipe_finish(conn->pipe);
		if (now_us >= bulla_pipe_deadline(conn->pipe))
			bulla_pipe_tick(conn->pipe, now_us);
	}
}

static void drain(void *ctx, int64_t now_us)
{
	struct bulla_server *server = (struct bulla_server *)ctx;
	bulla_rc rc = bulla_broker_durable(server->broker, &server->durable_lsn);

	if (rc == BULLA_OK)
		rc = turn(server);
	tick_conns(server, now_us);
	if (rc == BULLA_OK && now_us >= server->minute_us) {
		server->minute_us = now_us + MINUTE_US;
		rc = bulla_broker_minute(server->broker);
	}
	if (rc != BULLA_OK)
		bulla_server_fail(server, rc);
}

static void settle(void *ctx)
{
	struct bulla_server *server = (struct bulla_server *)ctx;

	bulla_journal_turn(server->broker->journal);
}

static int64_t next_deadline(void *ctx)
{
	struct bulla_server *server = (struct bulla_server *)ctx;
	int64_t due = bulla_journal_due(server->broker->journal);

	due = due < server->minute_us ? due : server->minute_us;

	for (struct bulla_conn *conn = server->conns; conn != NULL; conn = conn->next) {
		int64_t one = bulla_pipe_deadline(conn->pipe);

		if (conn->frames == NULL && !conn->busy && conn->heard_us + SILENT_US < one)
			one = conn->heard_us + SILENT_US;
		due = one < due ? one : due;
	}
	return due;
}

static void on_journal(void *ctx, uint32_t events)
{
	struct bulla_server *server = (struct bulla_server *)ctx;

	(void)events;
	bulla_journal_woken(server->broker->journal); /* drain takes what is durable */
}

static void on_signal(void *ctx, uint32_t events)
{
	struct bulla_server *server = (struct bulla_server *)ctx;

	(void)events;
	if (bulla_loop_signal_take(server->signal_watch.fd) != 0)
		bulla_loop_stop(&server->loop);
}

/* --- start and end --- */

static bulla_rc listen_at(struct bulla_server *server, bulla_bytes where, struct bulla_listener *listener,
	void (*on_accept)(void *ctx, int fd))
{
	struct bulla_addr addr;
	int fd;

	BULLA_TRY(bulla_addr_parse(where, &addr));
	BULLA_TRY(bulla_addr_listen(&addr, 0600, &fd));
	return bulla_listener_start(listener, &server->loop, fd, server, on_accept);
}

static bulla_rc listen_all(struct bulla_server *server, const struct bulla_server_options *options)
{
	if (options->tls_socket != NULL)
		BULLA_TRY(listen_at(server, bulla_bytes_str(options->tls_socket), &server->tls_listener, on_tls));
	if (options->listen != NULL)
		BULLA_TRY(listen_at(server, bulla_bytes_str(options->listen), &server->tcp_listener, on_tls));
	/* the last one: who is answered there finds the others, too */
	return listen_at(server, bulla_bytes_str(options->socket), &server->unix_listener, on_unix);
}

static bulla_rc read_collateral(struct bulla_server *server, const struct bulla_server_options *options)
{
	bulla_collateral_init(&server->kept);
	server->kept.demanded = options->demanded;
	for (size_t i = 0; i < options->collateral_count; i++) {
		BULLA_AUTO_BUF bytes;

		bulla_buf_init(&bytes, BULLA_MAX_EVIDENCE);
		BULLA_TRY(bulla_sys_read_file(options->collateral[i], &bytes));
		/* its dates are looked at each time */
		BULLA_TRY(bulla_collateral_keep(&server->kept, bulla_buf_view(&bytes), INT64_MAX));
	}
	return BULLA_OK;
}

static bulla_rc begin(struct bulla_server *server, const struct bulla_server_options *options)
{
	static const int signals[] = {SIGTERM, SIGINT, 0};
	void *cache = NULL;

	BULLA_TRY(bulla_alloc(1, sizeof(*server->cache), &cache));
	server->cache = (struct bulla_attest_cache *)cache;
	bulla_attest_cache_init(server->cache);
	BULLA_TRY(read_collateral(server, options));
	server->journal_watch =
		(struct bulla_watch){.ctx = server, .on_ready = on_journal, .fd = bulla_journal_fd(server->broker->journal)};
	BULLA_TRY(bulla_loop_add(&server->loop, &server->journal_watch, EPOLLIN));
	server->signal_watch = (struct bulla_watch){.ctx = server, .on_ready = on_signal, .fd = -1};
	BULLA_TRY(bulla_loop_signals(signals, &server->signal_watch.fd));
	BULLA_TRY(bulla_loop_add(&server->loop, &server->signal_watch, EPOLLIN));
	BULLA_TRY(bulla_worker_new(&server->loop, WORKER_JOBS, &server->worker));
	server->durable_lsn = bulla_journal_lsn(server->broker->journal);
	server->minute_us = server->loop.now_us + MINUTE_US;
	return listen_all(server, options);
}

static void finish(struct bulla_server *server)
{
	bulla_listener_stop(&server->unix_listener);
	bulla_listener_stop(&server->tls_listener);
	bulla_listener_stop(&server->tcp_listener);
	server->worker = bulla_worker_free(server->worker);
	while (server->conns != NULL) {
		struct bulla_conn *conn = server->conns;

		bulla_pipe_free(conn->pipe);
		conn_gone(conn, NULL, BULLA_E_CLOSED);
	}
	while (server->first != NULL)
		bulla_conn_release(server); /* nobody is there any more: only memory */
	bulla_conn_free_spares(server);
	bulla_buf_done(&server->reply);
	bulla_buf_done(&server->tokens);
	bulla_addr_close(server->signal_watch.fd);
	bulla_free(server->cache);
	bulla_collateral_done(&server->kept);
	bulla_loop_done(&server->loop);
}

bulla_rc bulla_server_run(struct bulla_broker *broker, const struct bulla_server_options *options)
{
	struct bulla_loop_hooks hooks = {.drain = drain, .settle = settle, .next_deadline = next_deadline};
	struct bulla_server *server;
	void *p = NULL;
	bulla_rc rc;

	BULLA_TRY(bulla_alloc(1, sizeof(*server), &p));
	server = (struct bulla_server *)p;
	server->broker = broker;
	bulla_buf_init(&server->reply, BULLA_MAX_MESSAGE);
	bulla_buf_init(&server->tokens, BULLA_MAX_MESSAGE);
	server->unix_listener.watch.fd = server->tls_listener.watch.fd = server->tcp_listener.watch.fd = -1;
	hooks.ctx = server;
	rc = bulla_loop_init(&server->loop, broker->clock, &hooks);
	if (rc == BULLA_OK)
		rc = begin(server, options);
	if (rc == BULLA_OK) {
		bulla_log(BULLA_LOG_INFO, "broker.ready", bulla_log_u64("lsn", server->durable_lsn));
		rc = bulla_loop_run(&server->loop);
	}
	rc = rc == BULLA_OK ? server->failed : rc;
	finish(server);
	bulla_free(server);
	return rc;
}
