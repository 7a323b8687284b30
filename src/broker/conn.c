#include "broker/conn.h"

#include "base/log.h"
#include "base/mem.h"

#define SPARES 16
#define SPARE_BYTES ((size_t)64 * 1024)

struct bulla_conn *bulla_server_conn(struct bulla_server *server, uint64_t id)
{
	struct bulla_conn *conn = server->conns;

	while (conn != NULL && conn->id != id)
		conn = conn->next;
	return conn;
}

void bulla_server_fail(struct bulla_server *server, bulla_rc rc)
{
	if (server->failed == BULLA_OK)
		server->failed = rc;
	bulla_loop_stop(&server->loop);
}

bulla_rc bulla_conn_reply(struct bulla_conn *conn, uint8_t op, uint32_t stream, bulla_bytes body)
{
	return bulla_frames_reply(conn->frames, (enum bulla_op_number)op, stream, body);
}

bulla_rc bulla_conn_error(struct bulla_conn *conn, uint8_t op, uint32_t stream, bulla_rc rc)
{
	const struct bulla_trail_entry *trail;
	unsigned count = 0;

	trail = bulla_trail(&count);
	bulla_log(BULLA_LOG_INFO, "broker.refused", bulla_log_rc(rc), bulla_log_u64("op", op),
		bulla_log_u64("line", count > 0 && trail[0].rc == rc ? (unsigned)trail[0].line : 0));
	return bulla_frames_error(conn->frames, (enum bulla_op_number)op, stream, rc, rc == BULLA_E_BUSY ? 100 : 0, 0, 0);
}

static bulla_rc take_waiting(struct bulla_server *server, struct bulla_waiting **ret)
{
	struct bulla_waiting *waiting = server->spare;
	void *p = NULL;

	if (waiting != NULL) {
		server->spare = waiting->next;
		server->spare_count--;
		*ret = waiting;
		return BULLA_OK;
	}
	BULLA_TRY(bulla_alloc(1, sizeof(*waiting), &p));
	waiting = (struct bulla_waiting *)p;
	bulla_buf_init(&waiting->body, BULLA_MAX_MESSAGE);
	*ret = waiting;
	return BULLA_OK;
}

static void give_waiting(struct bulla_server *server, struct bulla_waiting *waiting)
{
	if (server->spare_count == SPARES || waiting->body.cap > SPARE_BYTES) {
		bulla_buf_done(&waiting->body);
		bulla_free(waiting);
		return;
	}
	bulla_buf_clear(&waiting->body);
	waiting->next = server->spare;
	server->spare = waiting;
	server->spare_count++;
}

bulla_rc bulla_conn_reply_durable(struct bulla_conn *conn, uint8_t op, uint32_t stream, bulla_bytes body)
{
	struct bulla_server *server = conn->server;
	struct bulla_waiting *waiting = NULL;
	bulla_rc rc;

	BULLA_TRY(take_waiting(server, &waiting));
	rc = bulla_buf_append(&waiting->body, body);
	if (rc != BULLA_OK) {
		give_waiting(server, waiting);
		return rc;
	}
	waiting->next = NULL;
	waiting->conn = conn->id;
	waiting->lsn = 0;
	waiting->stream = stream;
	waiting->op = op;
	*(server->last == NULL ? &server->first : &server->last->next) = waiting;
	server->last = waiting;
	return BULLA_OK;
}

void bulla_conn_release(struct bulla_server *server)
{
	struct bulla_waiting *waiting = server->first;
	struct bulla_conn *conn = bulla_server_conn(server, waiting->conn);

	if (conn != NULL &&
		bulla_conn_reply(conn, waiting->op, waiting->stream, bulla_buf_view(&waiting->body)) != BULLA_OK)
		bulla_pipe_finish(conn->pipe);
	server->first = waiting->next;
	if (server->first == NULL)
		server->last = NULL;
	give_waiting(server, waiting);
}

void bulla_conn_free_spares(struct bulla_server *server)
{
	while (server->spare != NULL) {
		struct bulla_waiting *next = server->spare->next;

		bulla_buf_done(&server->spare->body);
		bulla_free(server->spare);
		server->spare = next;
	}
}
