#include "broker/service.h"

#include "base/log.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "judge/birth.h"
#include "judge/judge.h"

/* Operations of enclave instances inside their TLS: session and birth. Appraisals run in the worker. */

#define SESSION_MS INT64_C(3600000) /* a session lives at most that long */
#define EXPORTER BULLA_EXPORTER_SIZE
#define MODULE_ID_MAX 64

/* A job of one connection; the memory behind its views is its own. */
struct instance_job {
	struct bulla_job job;
	struct bulla_server *server;
	uint64_t conn;
	uint32_t stream;
	uint8_t op;
	bulla_rc rc;
	struct bulla_buf body;
	struct bulla_buf lent; /* collateral that the broker had, and the enclave had not */
	const struct bulla_epoch *epoch; /* epochs live as long as the broker */
	int64_t now_ms;
	/* ATTEST */
	struct bulla_session_ask ask;
	int64_t valid_to_ms;
	bulla_digest image;
	bool proved; /* what was refused is evidence of this very instance: genuine, and bound to its key */
	uint8_t module_id[MODULE_ID_MAX];
	size_t module_id_size;
	/* BIRTH_PUT */
	struct bulla_msg_birth message;
	struct bulla_birth birth;
};

static struct instance_job *job_free(struct instance_job *job)
{
	bulla_buf_done(&job->body);
	bulla_buf_done(&job->lent);
	bulla_free(job);
	return NULL;
}

static bulla_rc job_new(struct bulla_conn *conn, const struct bulla_frame *request, struct instance_job **ret)
{
	struct instance_job *job;
	void *p = NULL;
	bulla_rc rc;

	if (conn->busy)
		return BULLA_FAIL(BULLA_E_BUSY, "one appraisal of a connection at a time");
	BULLA_TRY(bulla_alloc(1, sizeof(*job), &p));
	job = (struct instance_job *)p;
	job->server = conn->server;
	job->conn = conn->id;
	job->stream = request->stream;
	job->op = request->op;
	job->now_ms = bulla_wall_ms(conn->server->broker->clock);
	bulla_buf_init(&job->body, request->body.n + 1);
	bulla_buf_init(&job->lent, BULLA_MAX_EVIDENCE);
	rc = bulla_buf_append(&job->body, request->body);
	if (rc != BULLA_OK) {
		job_free(job);
		return rc;
	}
	*ret = job;
	return BULLA_OK;
}

/* --- session --- */

static bulla_rc op_challenge(struct bulla_conn *conn, const struct bulla_frame *request)
{
	struct bulla_broker *broker = conn->server->broker;
	struct bulla_channel_ends ends;
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes body;

	if (!conn->session_ready) {
		BULLA_TRY(bulla_channel_ends_of(bulla_pipe_tls(conn->pipe), &ends));
		bulla_session_server_init(&conn->session, &ends);
		conn->session_ready = true;
	}
	BULLA_TRY(bulla_session_server_challenge(&conn->session, broker->random, bulla_wall_ms(broker->clock), &w));
	BULLA_TRY(bulla_wr_end(&w, &body));
	return bulla_conn_reply(conn, request->op, request->stream, body);
}

/* What tells that a key is asked for by the same enclave: its module id, where evidence has one; else its receipt key. */
static void take_module(struct instance_job *job, const struct bulla_attest_claim *claim)
{
	bulla_bytes id = claim != NULL && claim->bytes.n <= MODULE_ID_MAX ? claim->bytes : bulla_bytes_digest(&job->ask.kid);

	job->module_id_size = id.n;
	bulla_copy(job->module_id, id.p, id.n);
}

static void attest_run(struct bulla_job *base)
{
	struct instance_job *job = (struct instance_job *)(void *)base;
	struct bulla_attest_result result = {.valid_to_ms = 0};
	struct bulla_instance instance = {
		.tee = job->ask.tee,
		.collateral = job->ask.collateral,
		.purpose = BULLA_PURPOSE_SESSION,
		.channel = job->ask.channel,
		.receipt_key = job->ask.receipt_key,
		.agents = bulla_bytes_of(job->ask.agents, job->ask.agent_count * BULLA_SESSION_HANDLE),
		.manifest = job->ask.manifest,
		.evidence = job->ask.evidence,
	};

	bulla_copy(instance.challenge, job->ask.nonce.b, sizeof(instance.challenge));
	job->rc = bulla_collateral_judge(&job->server->kept, &job->epoch->manifest, &instance, job->now_ms, job->server->cache,
		&result);
	if (job->rc == BULLA_OK && job->ask.collateral.n == 0) /* kept may be others when the answer is written */
		job->rc = bulla_buf_append(&job->lent, instance.collateral);
	job->valid_to_ms = result.valid_to_ms;
	bulla_judge_image(&result, &job->image);
	job->proved = result.factors[BULLA_FACTOR_SIGNATURE].state == BULLA_FACTOR_HELD &&
		result.factors[BULLA_FACTOR_BINDER].state == BULLA_FACTOR_HELD;
	take_module(job, bulla_attest_find(&result, BULLA_CLAIM_MODULE_ID, 0));
}

static int64_t lapse(const struct instance_job *job)
{
	int64_t at = job->now_ms + SESSION_MS;
	int64_t max_age = (int64_t)job->epoch->manifest.max_age_ms;

	if (max_age > 0 && job->now_ms + max_age < at)
		at = job->now_ms + max_age;
	return job->valid_to_ms > 0 && job->valid_to_ms < at ? job->valid_to_ms : at;
}

/* Keeps the session everywhere: its cell, the table, the ledger. */
static bulla_rc keep(struct bulla_conn *conn, const struct instance_job *job, bulla_bytes exporter,
	const struct bulla_session *session)
{
	struct bulla_broker *broker = conn->server->broker;
	BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE;
	struct bulla_cell cell = {.kind = BULLA_CELL_SESSION,
		.aux = session->reattest_ms,
		.id = bulla_session_cell_id(session->id)};
	struct bulla_ledger_session entry = {
		.instance = job->ask.kid,
		.manifest = job->ask.manifest,
		.image = job->image,
		.epoch = job->epoch->manifest.epoch,
		.agents = bulla_bytes_of(job->ask.agents, job->ask.agent_count * BULLA_SESSION_HANDLE),
		.lapses_ms = (int64_t)session->reattest_ms,
	};

	bulla_copy(entry.id, session->id, sizeof(entry.id));
	BULLA_TRY(bulla_secret_new(exporter, &secret));
	BULLA_TRY(bulla_sessions_make_room(broker->sessions, broker->cells));
	BULLA_TRY(bulla_cells_put(broker->cells, &cell, secret));
	BULLA_TRY(bulla_sessions_add(broker->sessions, session->id, secret, entry.lapses_ms));
	return bulla_ledger_session_add(broker->ledger, &entry);
}

/* Sessions and births are refused to what an approver revoked, and it is told so. */
static bulla_rc check_revoked(const struct bulla_conn *conn, const bulla_digest *kid, const bulla_digest *image,
	const struct bulla_epoch *epoch)
{
	const struct bulla_revocable what = {
		.instance = kid, .image = image, .epoch = epoch->manifest.epoch, .run_epoch = epoch->manifest.epoch};

	return bulla_ledger_revoked(conn->server->broker->ledger, &what);
}

static bulla_rc grant(struct bulla_conn *conn, const struct instance_job *job)
{
	uint8_t exporter[EXPORTER];
	BULLA_AUTO_BUF reply;
	bulla_wr w = bulla_wr_buf(&reply);
	struct bulla_session session = {.epoch = 0};
	bulla_bytes body;
	bulla_rc rc;

	bulla_buf_init(&reply, BULLA_MAX_EVIDENCE + 128);
	BULLA_TRY(check_revoked(conn, &job->ask.kid, &job->image, job->epoch));
	BULLA_TRY(bulla_tls_export(bulla_pipe_tls(conn->pipe), BULLA_EXPORTER_KEYS, sizeof(exporter), exporter));
	rc = bulla_session_server_grant(conn->server->broker->random, BULLA_BYTES_ARRAY(exporter),
		job->epoch->manifest.epoch, (uint64_t)job->now_ms, (uint64_t)lapse(job),
		bulla_buf_view(&job->lent), &w, &session);
	if (rc == BULLA_OK)
		rc = keep(conn, job, BULLA_BYTES_ARRAY(exporter), &session);
	bulla_session_keys_done(&session.keys);
	bulla_wipe(exporter, sizeof(exporter));
	BULLA_TRY(rc);
	conn->attested = true;
	conn->lapses_ms = (int64_t)session.reattest_ms;
	conn->ended = BULLA_OK;
	bulla_standing_good(&conn->server->broker->standing, bulla_bytes_of(job->module_id, job->module_id_size), &job->ask.kid);
	conn->kid = job->ask.kid;
	conn->manifest = job->ask.manifest;
	conn->image = job->image;
	conn->agent_count = job->ask.agent_count;
	bulla_copy(conn->agents, job->ask.agents, sizeof(conn->agents));
	BULLA_TRY(bulla_wr_end(&w, &body));
	return bulla_conn_reply_durable(conn, job->op, job->stream, body);
}

/* Answers for a job that failed, and frees it. */
static void job_end(struct bulla_conn *conn, struct instance_job *job, bulla_rc rc)
{
	/* an error here means that the connection is on its way out */
	if (conn != NULL && rc != BULLA_OK && bulla_conn_error(conn, job->op, job->stream, rc) != BULLA_OK)
		bulla_pipe_finish(conn->pipe);
	job_free(job);
}

/* An enclave that was good and is no more gets nothing more. Only its own evidence says so, or its own connection: else
 * anybody could end anybody's sessions by naming a receipt key. */
static void turned_bad(struct bulla_conn *conn, const struct instance_job *job, bulla_rc why)
{
	struct bulla_broker *broker = job->server->broker;
	bool same = conn != NULL && conn->attested && bulla_digest_eq(&conn->kid, &job->ask.kid);
	bulla_rc rc;

	if (!same && !job->proved)
		return;
	for (struct bulla_conn *other = job->server->conns; other != NULL; other = other->next)
		if (other->attested && bulla_digest_eq(&other->kid, &job->ask.kid))
			other->ended = why;
	bulla_standing_end(&broker->standing, &job->ask.kid, why);
	rc = bulla_ledger_end_sessions(broker->ledger, &job->ask.kid, why, job->now_ms);
	if (rc != BULLA_OK)
		bulla_server_fail(job->server, rc);
	bulla_log(BULLA_LOG_WARN, "broker.attestation-bad", bulla_log_rc(why), bulla_log_digest("instance", &job->ask.kid));
}

static void attest_done(struct bulla_job *base)
{
	struct instance_job *job = (struct instance_job *)(void *)base;
	struct bulla_conn *conn = bulla_server_conn(job->server, job->conn);
	bulla_rc rc = job->rc;

	if (rc != BULLA_OK)
		turned_bad(conn, job, rc);
	if (conn != NULL) {
		conn->busy = false;
		rc = rc == BULLA_OK ? grant(conn, job) : rc;
	}
	job_end(conn, job, rc);
}

static bulla_rc read_attest(struct bulla_conn *conn, struct instance_job *job)
{
	struct bulla_broker *broker = conn->server->broker;

	if (!conn->session_ready)
		return BULLA_FAIL(BULLA_E_EVIDENCE_STALE, "no challenge was asked for");
	BULLA_TRY(bulla_session_server_attest(&conn->session, bulla_buf_view(&job->body), job->now_ms, &job->ask));
	return bulla_epochs_open(&broker->epochs, &job->ask.manifest, &job->epoch);
}

static bulla_rc start(struct bulla_conn *conn, const struct bulla_frame *request,
	bulla_rc (*read)(struct bulla_conn *conn, struct instance_job *job),
	void (*run)(struct bulla_job *job), void (*done)(struct bulla_job *job))
{
	struct instance_job *job = NULL;
	bulla_rc rc;

	BULLA_TRY(job_new(conn, request, &job));
	job->job = (struct bulla_job){.run = run, .done = done};
	rc = read(conn, job);
	if (rc == BULLA_OK)
		rc = bulla_worker_put(conn->server->worker, &job->job);
	if (rc != BULLA_OK) {
		job_free(job);
		return rc;
	}
	conn->busy = true;
	return BULLA_OK;
}

/* --- births --- */

static bool hosts(const struct bulla_conn *conn, bulla_bytes agent)
{
	for (size_t i = 0; i < conn->agent_count; i++)
		if (bulla_bytes_eq(bulla_bytes_of(conn->agents + i * BULLA_SESSION_HANDLE, BULLA_SESSION_HANDLE), agent))
			return true;
	return false;
}

static bulla_rc check_attested(const struct bulla_conn *conn)
{
	if (!conn->attested)
		return BULLA_FAIL(BULLA_E_NO_RIGHT, "first an enclave attests");
	if (conn->ended != BULLA_OK)
		return BULLA_FAIL(conn->ended, "a later appraisal of the instance turned bad");
	if (bulla_wall_ms(conn->server->broker->clock) >= conn->lapses_ms)
		return BULLA_FAIL(BULLA_E_EVIDENCE_STALE, "the session has lapsed with its appraisal");
	return BULLA_OK;
}

static bulla_rc op_birth_ask(struct bulla_conn *conn, const struct bulla_frame *request)
{
	const struct bulla_epoch *epoch = NULL;
	struct bulla_msg_birth_ask ask;
	bulla_bytes body;

	BULLA_TRY(bulla_msg_birth_ask_decode(request->body, &ask));
	BULLA_TRY(check_attested(conn));
	if (!hosts(conn, ask.agent))
		return BULLA_FAIL(BULLA_E_NO_RIGHT, "only an attested instance of the agent asks for its key");
	BULLA_TRY(bulla_epochs_open(&conn->server->broker->epochs, &conn->manifest, &epoch));
	BULLA_TRY(check_revoked(conn, &conn->kid, &conn->image, epoch));
	BULLA_TRY(bulla_births_find(&conn->server->broker->births, ask.agent, ask.epoch, &body));
	return bulla_conn_reply_durable(conn, request->op, request->stream, body);
}

static bulla_rc read_birth(struct bulla_conn *conn, struct instance_job *job)
{
	struct bulla_broker *broker = conn->server->broker;

	BULLA_TRY(bulla_msg_birth_decode(bulla_buf_view(&job->body), &job->message));
	BULLA_TRY(check_attested(conn));
	if (!hosts(conn, job->message.agent))
		return BULLA_FAIL(BULLA_E_NO_RIGHT, "only an attested instance of the agent gives birth to its key");
	BULLA_TRY(bulla_epochs_open(&broker->epochs, &conn->manifest, &job->epoch));
	BULLA_TRY(check_revoked(conn, &conn->kid, &conn->image, job->epoch));
	if (job->message.epoch != job->epoch->manifest.epoch)
		return BULLA_FAIL(BULLA_E_EPOCH_CLOSED, "a key is born in the epoch of its instance");
	return BULLA_OK;
}

static void birth_run(struct bulla_job *base)
{
	struct instance_job *job = (struct instance_job *)(void *)base;

	job->rc = bulla_judge_birth(&job->epoch->manifest, job->message.record, job->message.instance, job->server->cache,
		&job->birth);
}

/* The record is of this very instance, agent, epoch and blob. */
static bulla_rc check_birth(const struct bulla_conn *conn, const struct instance_job *job)
{
	bulla_digest blob;

	bulla_sha256(job->message.blob, &blob);
	if (!bulla_digest_eq(&job->birth.signer, &conn->kid))
		return BULLA_FAIL(BULLA_E_KEY_SUBSTITUTED, "the birth record is signed by another instance");
	if (!bulla_bytes_eq(BULLA_BYTES_ARRAY(job->birth.agent.b), job->message.agent) ||
		job->birth.epoch != job->message.epoch)
		return BULLA_FAIL(BULLA_E_KEY_CONTEXT, "the birth record is of another agent or epoch");
	if (!bulla_digest_eq(&blob, &job->birth.blob))
		return BULLA_FAIL(BULLA_E_KEY_SUBSTITUTED, "the key blob is not the one of the birth record");
	return BULLA_OK;
}

static bulla_rc take_birth(struct bulla_conn *conn, const struct instance_job *job)
{
	struct bulla_broker *broker = conn->server->broker;
	bulla_bytes body = bulla_buf_view(&job->body);
	uint64_t lsn;
	bulla_rc rc;

	BULLA_TRY(check_birth(conn, job));
	rc = bulla_births_add(&broker->births, body);
	if (rc == BULLA_E_EXISTS) /* the first one wins: the second comer gets it and drops its own seed */
		BULLA_TRY(bulla_births_find(&broker->births, job->message.agent, job->message.epoch, &body));
	else
		BULLA_TRY(rc);
	if (rc == BULLA_OK) {
		rc = bulla_ledger_append(broker->ledger, BULLA_LEDGER_BIRTH, body, &lsn);
		if (rc != BULLA_OK)
			bulla_server_fail(conn->server, rc);
	}
	return bulla_conn_reply_durable(conn, job->op, job->stream, body);
}

static void birth_done(struct bulla_job *base)
{
	struct instance_job *job = (struct instance_job *)(void *)base;
	struct bulla_conn *conn = bulla_server_conn(job->server, job->conn);
	bulla_rc rc = job->rc;

	if (conn != NULL) {
		conn->busy = false;
		rc = rc == BULLA_OK ? take_birth(conn, job) : rc;
	}
	job_end(conn, job, rc);
}

static bulla_rc serve(struct bulla_conn *conn, const struct bulla_frame *request)
{
	switch (request->op) {
	case BULLA_OP_CHALLENGE:
		return op_challenge(conn, request);
	case BULLA_OP_ATTEST:
		return start(conn, request, read_attest, attest_run, attest_done);
	case BULLA_OP_BIRTH_ASK:
		return op_birth_ask(conn, request);
	case BULLA_OP_BIRTH_PUT:
		return start(conn, request, read_birth, birth_run, birth_done);
	default:
		return BULLA_E_UNSUPPORTED;
	}
}

bulla_rc bulla_instance_service(struct bulla_conn *conn, const struct bulla_frame *request)
{
	bulla_rc rc = serve(conn, request);

	return rc == BULLA_OK ? BULLA_OK : bulla_conn_error(conn, request->op, request->stream, rc);
}
