#pragma once
/* A connection of the broker, for the services that answer on it. Replies that tell of a change go out when the change is
 * durable. */
#include "broker/broker.h"
#include "broker/collateral.h"
#include "channel/session.h"
#include "io/pipe.h"
#include "io/worker.h"

struct bulla_server;

struct bulla_conn {
	struct bulla_server *server;
	struct bulla_conn *next;
	uint64_t id; /* jobs and waiting replies name a connection by it: it may be gone when they end */
	bool tls;
	bool own;  /* of the user that we run as, or root */
	bool busy; /* a job of this connection is in the worker */
	struct bulla_pipe *pipe;
	struct bulla_frames *frames; /* NULL: HTTP, or not known yet */
	int64_t heard_us;
	/* instances */
	struct bulla_session_server session;
	bool session_ready; /* session is initialised */
	bool attested;
	bulla_digest kid, manifest, image;
	int64_t lapses_ms; /* of what it attested */
	bulla_rc ended;    /* why what it attested counts no more */
	uint8_t agents[BULLA_MAX_AGENTS * BULLA_SESSION_HANDLE];
	size_t agent_count;
	/* HTTP */
	struct bulla_buf http;
	int64_t opened_us; /* when its handshake ended */
};

/* A reply that waits for durability. */
struct bulla_waiting {
	struct bulla_waiting *next;
	uint64_t conn, lsn; /* lsn 0: of this turn */
	uint32_t stream;
	uint8_t op;
	struct bulla_buf body;
};

struct bulla_server {
	struct bulla_broker *broker;
	struct bulla_loop loop;
	struct bulla_worker *worker;
	struct bulla_attest_cache *cache; /* the worker's */
	struct bulla_kept_collateral kept; /* the worker's, once it runs */
	struct bulla_listener unix_listener, tls_listener, tcp_listener;
	struct bulla_watch journal_watch, signal_watch;
	struct bulla_conn *conns;
	size_t conn_count;
	uint64_t next_id, durable_lsn;
	struct bulla_waiting *first, *last,
		*spare; /* spare: kept with their memory, so that a warm broker allocates nothing */
	size_t spare_count;
	struct bulla_buf reply;  /* of the request being served */
	struct bulla_buf tokens; /* message being made */
	int64_t minute_us, now_us;
	bulla_rc failed; /* why it has to end */
};

/* The connection, NULL when it is gone. */
struct bulla_conn *bulla_server_conn(struct bulla_server *server, uint64_t id);

/* Final replies: at once; when everything said so far is durable (the body is copied); an error. */
BULLA_CHECK bulla_rc bulla_conn_reply(struct bulla_conn *conn, uint8_t op, uint32_t stream, bulla_bytes body);
BULLA_CHECK bulla_rc bulla_conn_reply_durable(struct bulla_conn *conn, uint8_t op, uint32_t stream, bulla_bytes body);
BULLA_CHECK bulla_rc bulla_conn_error(struct bulla_conn *conn, uint8_t op, uint32_t stream, bulla_rc rc);

/* Something went wrong that memory and disk may disagree about: the program ends and recovers. */
void bulla_server_fail(struct bulla_server *server, bulla_rc rc);

/* Sends the oldest waiting reply and keeps its memory for the next one; the connection may be gone. */
void bulla_conn_release(struct bulla_server *server);

/* Frees what was kept for replies; none waits. */
void bulla_conn_free_spares(struct bulla_server *server);
