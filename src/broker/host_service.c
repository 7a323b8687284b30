#include "broker/service.h"

#include "base/checks.h"
#include "seal/birth.h"

/* Operations of the host and the owner on the unix socket. */

#define REPLY_MAX ((size_t)BULLA_MAX_MESSAGE)
#define DEMAND_MAX_MS UINT64_C(3600000)

static bulla_rc op_advance(struct bulla_conn *conn, bulla_bytes body, struct bulla_buf *ret)
{
	struct bulla_broker *broker = conn->server->broker;

	return bulla_ledger_advance(broker->ledger, body, bulla_wall_ms(broker->clock), bulla_broker_has_room(broker), ret);
}

static bulla_rc op_sync(struct bulla_conn *conn, bulla_bytes body, struct bulla_buf *ret)
{
	struct bulla_broker *broker = conn->server->broker;

	return bulla_ledger_sync(broker->ledger, body, bulla_wall_ms(broker->clock), ret);
}

static bulla_rc op_record(struct bulla_conn *conn, bulla_bytes body, struct bulla_buf *ret)
{
	struct bulla_broker *broker = conn->server->broker;

	return bulla_ledger_record(broker->ledger, body, bulla_wall_ms(broker->clock), ret);
}

static bulla_rc op_put_manifest(struct bulla_conn *conn, bulla_bytes body, struct bulla_buf *ret)
{
	struct bulla_broker *broker = conn->server->broker;
	uint64_t lsn;
	bool is_new = false;

	(void)ret;
	BULLA_TRY(bulla_epochs_put(&broker->epochs, body, &is_new));
	if (!is_new)
		return BULLA_OK;
	/* in memory it is in force; if the journal cannot have it, we end and come back without it */
	bulla_rc rc = bulla_ledger_append(broker->ledger, BULLA_LEDGER_EPOCH, body, &lsn);
	if (rc != BULLA_OK)
		bulla_server_fail(conn->server, rc);
	return rc;
}

static bulla_rc op_revoke(struct bulla_conn *conn, bulla_bytes body, struct bulla_buf *ret)
{
	struct bulla_broker *broker = conn->server->broker;
	struct bulla_msg_revoke message;

	(void)ret;
	BULLA_TRY(bulla_msg_revoke_decode(body, &message));
	return bulla_ledger_revoke(broker->ledger, message.order, bulla_wall_ms(broker->clock));
}

struct keys_lists {
	bulla_bytes births[BULLA_MAX_AGENTS], objects[BULLA_MAX_AGENTS];
	size_t count;
};

/* The instance record behind a birth, as an object; its bytes go to memory. */
static bulla_rc add_birth(const struct bulla_msg_birth *birth, struct bulla_buf *memory, struct keys_lists *lists)
{
	struct bulla_msg_object object = {.kind = BULLA_OBJECT_INSTANCE, .body = birth->instance};
	struct bulla_birth read;
	bulla_wr w;

	if (lists->count == BULLA_MAX_AGENTS)
		return BULLA_FAIL(BULLA_E_LIMIT, "too many births in one epoch");
	BULLA_TRY(bulla_birth_peek(birth->record, &read));
	object.id = bulla_bytes_digest(&read.signer);
	BULLA_TRY(bulla_buf_reserve(memory, bulla_msg_size(&bulla_msg_object_desc, &object)));
	w = bulla_wr_buf(memory);
	bulla_msg_object_encode(&object, &w);
	lists->births[lists->count] = birth->record;
	BULLA_TRY(bulla_wr_end(&w, &lists->objects[lists->count]));
	lists->count++;
	return BULLA_OK;
}

static bulla_rc list_births(const struct bulla_broker *broker, uint64_t epoch, struct bulla_buf *memory,
	struct keys_lists *lists)
{
	struct bulla_msg_birth birth;
	size_t cursor = 0, room = 0;
	bulla_bytes body;

	while (bulla_births_next(&broker->births, epoch, &cursor, &body) == BULLA_OK)
		room += body.n + 128;
	if (room > 0)
		BULLA_TRY(bulla_buf_reserve(memory, room)); /* in one piece: views of it do not move */
	cursor = 0;
	while (bulla_births_next(&broker->births, epoch, &cursor, &body) == BULLA_OK) {
		BULLA_TRY(bulla_msg_birth_decode(body, &birth));
		BULLA_TRY(add_birth(&birth, memory, lists));
	}
	return BULLA_OK;
}

static bulla_rc op_keys(struct bulla_conn *conn, bulla_bytes body, struct bulla_buf *ret)
{
	struct bulla_broker *broker = conn->server->broker;
	const struct bulla_epoch *epoch = bulla_epochs_current(&broker->epochs);
	struct bulla_msg_keys ask;
	struct bulla_msg_put_manifest put;
	struct bulla_msg_keys_reply reply = {.time_ms = (uint64_t)bulla_wall_ms(broker->clock)};
	struct keys_lists lists = {.count = 0};
	BULLA_AUTO_BUF memory;
	bulla_bytes ignored;

	bulla_buf_init(&memory, REPLY_MAX);
	BULLA_TRY(bulla_msg_keys_decode(body, &ask));
	if (epoch == NULL)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "no manifest is in force yet");
	BULLA_TRY(bulla_msg_put_manifest_decode(bulla_buf_view(&epoch->put), &put));
	BULLA_TRY(list_births(broker, epoch->manifest.epoch, &memory, &lists));
	reply.manifest = put.manifest;
	reply.approvals = put.approvals;
	reply.day_key = bulla_buf_view(&bulla_days_today(&broker->days)->sign1);
	reply.births = bulla_pb_list_of(lists.births, lists.count);
	reply.instances = bulla_pb_list_of(lists.objects, lists.count);
	bulla_wr w = bulla_wr_buf(ret);
	bulla_msg_keys_reply_encode(&reply, &w);
	return bulla_wr_end(&w, &ignored);
}

/* Sessions lapse soon; who wants more attests again. */
static bulla_rc op_demand(struct bulla_conn *conn, bulla_bytes body, struct bulla_buf *ret)
{
	struct bulla_broker *broker = conn->server->broker;
	int64_t now_ms = bulla_wall_ms(broker->clock), by_ms;
	struct bulla_msg_demand demand;
	bulla_digest instance = {{0}};
	bool all;

	BULLA_TRY(bulla_msg_demand_decode(body, &demand));
	all = demand.instance.n == 0;
	if (demand.within_ms > DEMAND_MAX_MS)
		return BULLA_FAIL(BULLA_E_LIMIT, "who demands evidence wants it within an hour");
	if (!all)
		BULLA_TRY(bulla_bytes_copy_exact(demand.instance, sizeof(instance.b), instance.b));
	by_ms = now_ms + (int64_t)demand.within_ms;
	BULLA_TRY(bulla_ledger_demand(broker->ledger, all ? NULL : &instance, by_ms, now_ms));
	for (struct bulla_conn *other = conn->server->conns; other != NULL; other = other->next)
		if (other->attested && other->lapses_ms > by_ms && (all || bulla_digest_eq(&other->kid, &instance)))
			other->lapses_ms = by_ms;
	return bulla_buf_append(ret, body);
}

static const struct {
	uint8_t op;
	bool durable; /* the reply waits: it tells of changes */
	bool owner;   /* clients may ask, too */
	bulla_rc (*serve)(struct bulla_conn *conn, bulla_bytes body, struct bulla_buf *ret);
} table[] = {
	{BULLA_OP_ADVANCE, true, false, op_advance}, {BULLA_OP_SYNC, true, false, op_sync},
	{BULLA_OP_RECORD, true, false, op_record},   {BULLA_OP_BROKER_KEYS, true, false, op_keys},
	{BULLA_OP_KEYS, true, true, op_keys},        {BULLA_OP_PUT_MANIFEST, true, true, op_put_manifest},
	{BULLA_OP_REVOKE, true, true, op_revoke},    {BULLA_OP_DEMAND, true, true, op_demand},
};

bulla_rc bulla_broker_admin_check(uint8_t op, bool is_host, bool own)
{
	if (BULLA_CHECK_ON(BROKER_ADMIN) && !own && (is_host || op == BULLA_OP_DEMAND))
		return BULLA_FAIL(BULLA_E_ADMIN, "this is for the broker's own user");
	return BULLA_OK;
}

bulla_rc bulla_host_service(struct bulla_conn *conn, const struct bulla_frame *request)
{
	bool owner = bulla_frames_peer_role(conn->frames) == BULLA_ROLE_CLIENT;
	struct bulla_buf *reply = &conn->server->reply;
	bulla_rc rc = bulla_broker_admin_check(request->op, !owner, conn->own);

	if (rc != BULLA_OK)
		return bulla_conn_error(conn, request->op, request->stream, rc);
	bulla_buf_clear(reply);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].op != request->op || (owner && !table[i].owner))
			continue;
		rc = table[i].serve(conn, request->body, reply);
		if (rc != BULLA_OK)
			return bulla_conn_error(conn, request->op, request->stream, rc);
		if (table[i].durable)
			return bulla_conn_reply_durable(conn, request->op, request->stream, bulla_buf_view(reply));
		return bulla_conn_reply(conn, request->op, request->stream, bulla_buf_view(reply));
	}
	return bulla_conn_error(conn, request->op, request->stream, BULLA_E_UNSUPPORTED);
}
