#include "broker/service.h"

#include "base/mem.h"
#include "broker/audit.h"
#include "broker/kms_use.h"
#include "crypto/random.h"

/* The KMS API over HTTP: requests one after the other on a connection, documents appraised in the worker. */

#define ANSWER_MAX 131072

struct kms_job {
	struct bulla_job job;
	struct bulla_server *server;
	uint64_t conn;
	bool keep_alive;
	bulla_rc rc;
	enum bulla_kms_fault fault; /* COUNT: follows from rc */
	struct bulla_kms_use use;
};

static struct kms_job *job_free(struct kms_job *job)
{
	bulla_kms_use_done(&job->use);
	bulla_free(job);
	return NULL;
}

static void cleanup_job(struct kms_job **job)
{
	if (*job != NULL)
		job_free(*job);
}
#define AUTO_JOB __attribute__((cleanup(cleanup_job))) struct kms_job *

static bulla_rc send_answer(struct bulla_conn *conn, const struct kms_job *job, bulla_rc rc, bulla_bytes body)
{
	BULLA_AUTO_BUF answer;
	enum bulla_kms_fault fault = job->fault == BULLA_KMS_FAULT_COUNT ? bulla_kms_fault_of(rc) : job->fault;

	bulla_buf_init(&answer, ANSWER_MAX);
	if (rc == BULLA_OK)
		BULLA_TRY(bulla_kms_write_answer(body, job->use.request_id, &answer));
	else
		BULLA_TRY(bulla_kms_write_fault(fault, rc, job->use.request_id, &answer));
	BULLA_TRY(bulla_pipe_write(conn->pipe, bulla_buf_view(&answer)));
	if (!job->keep_alive)
		bulla_pipe_finish(conn->pipe);
	return BULLA_OK;
}

/* Carries a request out and answers; conn NULL: nobody waits any more, and nothing is released. */
static bulla_rc finish(struct bulla_conn *conn, struct kms_job *job, bulla_rc rc)
{
	BULLA_AUTO_BUF body;

	bulla_buf_init(&body, ANSWER_MAX);
	if (conn == NULL)
		return BULLA_OK;
	if (rc == BULLA_OK)
		rc = bulla_kms_use_execute(conn->server->broker, &job->use, &body);
	if (job->use.audited && bulla_kms_use_audit(conn->server->broker, &job->use, rc) != BULLA_OK)
		rc = BULLA_E_IO; /* no release without its event */
	if (rc == BULLA_E_FORMAT && job->use.policy_bad)
		job->fault = BULLA_KMS_FAULT_MALFORMED_POLICY;
	return send_answer(conn, job, rc, bulla_buf_view(&body));
}

static void appraise(struct bulla_job *base)
{
	struct kms_job *job = (struct kms_job *)(void *)base;

	job->rc = bulla_kms_use_appraise(&job->use, job->server->cache, &job->server->kept);
}

static void appraised(struct bulla_job *base)
{
	struct kms_job *job = (struct kms_job *)(void *)base;
	struct bulla_conn *conn = bulla_server_conn(job->server, job->conn);
	bulla_rc rc;

	if (conn != NULL)
		conn->busy = false;
	rc = finish(conn, job, job->rc);
	if (conn != NULL && rc == BULLA_OK)
		rc = bulla_kms_service(conn); /* what came meanwhile */
	if (conn != NULL && rc != BULLA_OK)
		bulla_pipe_finish(conn->pipe);
	job_free(job);
}

/* Who asks: nobody (no Authorization), or the administrator. */
static bulla_rc authenticate(struct bulla_broker *broker, const struct bulla_http_message *message, struct kms_job *job)
{
	struct bulla_kms_authorization authorization;
	bulla_rc rc = bulla_kms_sigv4_parse(message, &authorization);

	if (rc == BULLA_E_NOT_FOUND)
		return BULLA_OK;
	job->fault = BULLA_KMS_FAULT_INCOMPLETE_SIGNATURE;
	BULLA_TRY(rc);
	job->fault = BULLA_KMS_FAULT_UNRECOGNIZED_CLIENT;
	if (!bulla_bytes_eq(authorization.access_key, broker->credential.access_key))
		return BULLA_FAIL(BULLA_E_NO_RIGHT, "an unknown access key");
	rc = bulla_kms_sigv4_verify(message, &authorization, &broker->credential, bulla_wall_ms(broker->clock));
	job->fault = rc == BULLA_E_FORMAT ? BULLA_KMS_FAULT_INCOMPLETE_SIGNATURE : BULLA_KMS_FAULT_INVALID_SIGNATURE;
	BULLA_TRY(rc);
	job->fault = BULLA_KMS_FAULT_COUNT;
	job->use.principal = broker->admin_arn;
	return BULLA_OK;
}

static bulla_rc read_request(struct bulla_broker *broker, const struct bulla_http_message *message, struct kms_job *job)
{
	enum bulla_kms_op op = BULLA_KMS_OP_COUNT;
	bulla_rc rc;

	job->use.request.op = BULLA_KMS_OP_COUNT;
	if (!bulla_bytes_eq_str(message->method, "POST"))
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "this API takes POST");
	rc = bulla_kms_target(bulla_http_header(message, "x-amz-target"), &op);
	if (rc == BULLA_E_NOT_FOUND)
		job->fault = BULLA_KMS_FAULT_UNKNOWN_OPERATION;
	BULLA_TRY(rc);
	BULLA_TRY(authenticate(broker, message, job));
	BULLA_TRY(bulla_buf_append(&job->use.body, message->body));
	rc = bulla_kms_request_parse(op, bulla_buf_view(&job->use.body), &job->use.scratch, &job->use.request);
	if (rc == BULLA_E_LIMIT)
		job->fault = BULLA_KMS_FAULT_VALIDATION;
	BULLA_TRY(rc);
	job->fault = BULLA_KMS_FAULT_COUNT;
	if (job->use.principal.n == 0 && !bulla_kms_use_open(op)) {
		job->fault = BULLA_KMS_FAULT_MISSING_TOKEN;
		return BULLA_FAIL(BULLA_E_NO_RIGHT, "a request without credential");
	}
	return BULLA_OK;
}

static bulla_rc name_channel(const struct bulla_conn *conn, struct bulla_kms_use *use)
{
	struct bulla_channel_ends ends;

	BULLA_TRY(bulla_channel_ends_of(bulla_pipe_tls(conn->pipe), &ends));
	bulla_channel_digest(&ends, &use->channel);
	use->channel_age_ms = (conn->server->loop.now_us - conn->opened_us) / 1000;
	return BULLA_OK;
}

static bulla_rc serve(struct bulla_conn *conn, const struct bulla_http_message *message)
{
	struct bulla_broker *broker = conn->server->broker;
	AUTO_JOB job = NULL;
	void *p = NULL;
	bulla_rc rc;

	BULLA_TRY(bulla_alloc(1, sizeof(*job), &p));
	job = (struct kms_job *)p;
	job->job = (struct bulla_job){.run = appraise, .done = appraised};
	job->server = conn->server;
	job->conn = conn->id;
	job->keep_alive = message->keep_alive;
	job->fault = BULLA_KMS_FAULT_COUNT;
	BULLA_TRY(bulla_kms_use_init(&job->use, broker, message->body.n));
	rc = read_request(broker, message, job);
	if (rc != BULLA_OK || !job->use.request.recipient)
		return finish(conn, job, rc);
	rc = name_channel(conn, &job->use);
	rc = rc == BULLA_OK ? bulla_kms_use_prepare(&job->use, broker) : rc;
	if (rc == BULLA_OK)
		rc = bulla_worker_put(conn->server->worker, &job->job);
	if (rc != BULLA_OK)
		return finish(conn, job, rc);
	conn->busy = true;
	job = NULL; /* the worker's now */
	return BULLA_OK;
}

static bulla_rc refuse(struct bulla_conn *conn, bulla_rc rc)
{
	struct kms_job none = {.fault = BULLA_KMS_FAULT_VALIDATION};

	BULLA_TRY(bulla_random_fill(conn->server->broker->random, none.use.request_id, sizeof(none.use.request_id)));
	return send_answer(conn, &none, rc, (bulla_bytes){NULL, 0});
}

bulla_rc bulla_kms_service(struct bulla_conn *conn)
{
	struct bulla_http_message message;
	size_t size = 0;
	bulla_rc rc;

	while (!conn->busy && conn->http.n > 0) {
		rc = bulla_http_read_request(bulla_buf_view(&conn->http), &message, &size);
		if (rc == BULLA_E_AGAIN)
			return BULLA_OK;
		if (rc != BULLA_OK) {
			bulla_buf_clear(&conn->http);
			return refuse(conn, rc);
		}
		BULLA_TRY(serve(conn, &message));
		bulla_buf_consume(&conn->http, size);
	}
	return BULLA_OK;
}
