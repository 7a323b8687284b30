#include "tee/join.h"

#include "base/checks.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "io/http.h"
#include "receipt/instance.h"

#define RETRY_FIRST_US 10000
#define RETRY_MOST_US 1000000
#define RENEW_PART 4 / 5 /* of a session's life */
#define RENEW_LEAST_MS 1000

/* --- start and end of attempts --- */

static void fail(struct bulla_join *join, bulla_rc why)
{
	uint32_t doubled = join->failures < 7 ? join->failures : 7;

	if (join->state == BULLA_JOIN_IDLE)
		return;
	join->state = BULLA_JOIN_IDLE;
	join->failures++;
	join->why = why;
	join->close_soon = true;
	join->retry_us = bulla_mono_us(join->base->clock) +
		((int64_t)RETRY_FIRST_US << doubled > RETRY_MOST_US ? RETRY_MOST_US : (int64_t)RETRY_FIRST_US << doubled);
	join->events.on_failed(join->events.ctx, why);
}

static void uplink_ended(void *ctx, bulla_rc why)
{
	struct bulla_join *join = ctx;

	if (join->state != BULLA_JOIN_DONE)
		fail(join, why == BULLA_E_CLOSED ? BULLA_E_BROKER : why);
}

static void start(struct bulla_join *join)
{
	bulla_rc rc;

	join->retry_us = 0;
	join->close_soon = false;
	bulla_uplink_close(&join->broker, false);
	bulla_uplink_close(&join->kms, false);
	join->state = BULLA_JOIN_HANDSHAKE;
	rc = bulla_uplink_open(&join->broker, join->host, join->tls, BULLA_TLS_FRAMES);
	if (rc != BULLA_OK)
		fail(join, rc);
}

bulla_rc bulla_join_call(struct bulla_join *join, enum bulla_op_number op, bulla_bytes body)
{
	if (join->broker.frames == NULL)
		return BULLA_FAIL(BULLA_E_BROKER, "the connection to the broker is gone");
	return bulla_frames_call(join->broker.frames, op, bulla_frames_stream(join->broker.frames), body);
}

/* --- session --- */

static bulla_rc ask_challenge(struct bulla_join *join)
{
	struct bulla_channel_ends ends;
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes body;

	BULLA_TRY(bulla_channel_ends_of(join->broker.tls, &ends));
	BULLA_TRY(bulla_session_client_init(&join->client, &ends, bulla_source_word(&join->base->source),
		bulla_sign_key_spki(join->base->receipt_key), bulla_tee_handles(join->base), &join->base->manifest.digest));
	BULLA_TRY(bulla_session_client_ask(&join->client, &w));
	BULLA_TRY(bulla_wr_end(&w, &body));
	join->state = BULLA_JOIN_CHALLENGE;
	return bulla_join_call(join, BULLA_OP_CHALLENGE, body);
}

/* What came with the evidence, else what the host gave. */
bulla_bytes bulla_join_collateral(const struct bulla_join *join, const struct bulla_evidence *evidence)
{
	return evidence->aux.n > 0 ? bulla_buf_view(&evidence->aux) : join->base->collateral;
}

static bulla_rc attest(struct bulla_join *join, bulla_bytes challenge)
{
	uint8_t binder[BULLA_BINDER_BYTES];
	bulla_digest nonce;
	bulla_bytes body;
	bulla_wr w;

	BULLA_TRY(bulla_session_client_challenge(&join->client, challenge, &nonce, binder));
	BULLA_TRY(bulla_source_make(&join->base->source, binder, bulla_bytes_digest(&nonce), bulla_bytes_of(NULL, 0),
		&join->evidence));
	join->scratch.n = 0;
	w = bulla_wr_buf(&join->scratch);
	BULLA_TRY(bulla_session_client_attest(&join->client, bulla_buf_view(&join->evidence.report),
		bulla_join_collateral(join, &join->evidence), &w));
	BULLA_TRY(bulla_wr_end(&w, &body));
	join->state = BULLA_JOIN_ATTEST;
	join->asked_ms = (uint64_t)bulla_mono_us(join->base->clock) / 1000;
	return bulla_join_call(join, BULLA_OP_ATTEST, body);
}

/* What others will judge this instance by. */
static bulla_rc make_record(struct bulla_join *join, uint64_t time_ms)
{
	struct bulla_instance instance = {
		.tee = join->client.binder.tee,
		.purpose = BULLA_PURPOSE_SESSION,
		.channel = join->client.binder.channel,
		.receipt_key = bulla_sign_key_spki(join->base->receipt_key),
		.agents = bulla_tee_handles(join->base),
		.manifest = join->base->manifest.digest,
		.evidence = bulla_buf_view(&join->evidence.report),
		.collateral = bulla_join_collateral(join, &join->evidence),
		.time_ms = time_ms,
	};
	bulla_wr w;
	bulla_bytes ignored;

	bulla_copy(instance.challenge, join->client.binder.challenge.b, sizeof(instance.challenge));
	join->record.n = 0;
	w = bulla_wr_buf(&join->record);
	BULLA_TRY(bulla_instance_write(&w, &instance));
	BULLA_TRY(bulla_wr_end(&w, &ignored));
	return bulla_peers_learn(join->peers, bulla_buf_view(&join->record)); /* what I would not believe, nobody should */
}

/* The host may hold the answer back, and with it the broker's clock as this instance knows it: permits that ended would be
 * good. So the clock counts from the question, and an answer that is later than the challenge lives is none. */
static bulla_rc check_delay(const struct bulla_join *join, struct bulla_session *session)
{
	uint64_t now_ms = (uint64_t)bulla_mono_us(join->base->clock) / 1000;

	session->asked_ms = BULLA_CHECK_ON(SESSION_DELAY) ? join->asked_ms : now_ms;
	if (now_ms - session->asked_ms > BULLA_CHALLENGE_MS)
		return BULLA_FAIL(BULLA_E_CLOCK, "the broker's answer came more than a minute after the evidence was shown");
	return BULLA_OK;
}

/* The broker's, where this machine gave none: it stands in the record, and is judged there. */
static bulla_rc take_collateral(struct bulla_join *join, bulla_bytes collateral)
{
	if (collateral.n == 0 || bulla_join_collateral(join, &join->evidence).n > 0)
		return BULLA_OK;
	join->evidence.aux.max = BULLA_MAX_EVIDENCE;
	return bulla_buf_append(&join->evidence.aux, collateral);
}

static bulla_rc take_session(struct bulla_join *join, bulla_bytes body)
{
	uint8_t exporter[BULLA_EXPORTER_SIZE];
	struct bulla_session session;
	uint64_t life;
	bulla_rc rc;

	BULLA_TRY(bulla_tls_export(join->broker.tls, BULLA_EXPORTER_KEYS, sizeof(exporter), exporter));
	rc = bulla_session_client_done(&join->client, body, BULLA_BYTES_ARRAY(exporter), &session);
	bulla_wipe(exporter, sizeof(exporter));
	BULLA_TRY(rc);
	rc = check_delay(join, &session);
	if (rc == BULLA_OK && session.epoch != join->base->manifest.epoch)
		rc = BULLA_FAIL(BULLA_E_EPOCH_OLD, "the broker serves another epoch");
	rc = rc == BULLA_OK ? take_collateral(join, session.collateral) : rc;
	rc = rc == BULLA_OK ? make_record(join, session.time_ms) : rc;
	if (rc != BULLA_OK) {
		bulla_session_keys_done(&session.keys);
		return rc;
	}
	life = session.reattest_ms > session.time_ms ? session.reattest_ms - session.time_ms : 0;
	join->granted_ms = (uint64_t)bulla_mono_us(join->base->clock) / 1000;
	join->renew_ms = session.asked_ms + life * RENEW_PART;
	join->events.on_session(join->events.ctx, &session);
	join->at = 0;
	return bulla_join_next_birth(join);
}

bulla_rc bulla_join_finished(struct bulla_join *join)
{
	join->state = BULLA_JOIN_DONE;
	join->failures = 0;
	join->why = BULLA_OK;
	join->close_soon = true;
	join->events.on_ready(join->events.ctx);
	return BULLA_OK;
}

/* --- frames of the broker --- */

static bulla_rc broker_hello(void *ctx, struct bulla_frames *frames, uint64_t role, bulla_bytes boot_id)
{
	struct bulla_join *join = ctx;

	(void)frames;
	(void)boot_id;
	if (role != BULLA_ROLE_BROKER)
		return BULLA_FAIL(BULLA_E_DENIED, "the other side is no broker");
	return ask_challenge(join);
}

static bulla_rc broker_message(void *ctx, struct bulla_frames *frames, const struct bulla_frame *message)
{
	struct bulla_join *join = ctx;
	bool births = join->state == BULLA_JOIN_BIRTH_ASK || join->state == BULLA_JOIN_BIRTH_PUT;

	(void)frames;
	if ((message->flags & BULLA_FRAME_REPLY) == 0 || (message->flags & BULLA_FRAME_EVENT) != 0)
		return BULLA_OK;
	if (births)
		return bulla_join_birth_reply(join, message);
	if ((message->flags & BULLA_FRAME_ERROR) != 0)
		return BULLA_FAIL(bulla_frames_error_of(message, NULL), "the broker refuses");
	if (join->state == BULLA_JOIN_CHALLENGE && message->op == BULLA_OP_CHALLENGE)
		return attest(join, message->body);
	if (join->state == BULLA_JOIN_ATTEST && message->op == BULLA_OP_ATTEST)
		return take_session(join, message->body);
	return BULLA_FAIL(BULLA_E_STATE, "the broker answers what was not asked");
}

static bulla_rc broker_ready(void *ctx)
{
	struct bulla_join *join = ctx;
	const struct bulla_frames_options options = {.role = BULLA_ROLE_ENCLAVE,
		.boot_id = BULLA_BYTES_ARRAY(join->boot_id), .window = 4, .now_us = bulla_mono_us(join->base->clock)};
	const struct bulla_frames_events events = {.ctx = join, .on_hello = broker_hello, .on_message = broker_message};

	return bulla_uplink_frames(&join->broker, &options, &events);
}

/* --- outside --- */

bulla_rc bulla_join_init(struct bulla_join *join, struct bulla_tee_base *base, struct bulla_peers *peers,
	const struct bulla_join_events *events)
{
	bulla_zero(join, sizeof(*join));
	join->base = base;
	join->peers = peers;
	join->events = *events;
	join->broker = (struct bulla_uplink){.ctx = join, .on_ready = broker_ready, .on_end = uplink_ended};
	join->kms = (struct bulla_uplink){
		.ctx = join, .on_ready = bulla_join_kms_ready, .on_bytes = bulla_join_kms_bytes, .on_end = uplink_ended};
	bulla_evidence_init(&join->evidence);
	bulla_buf_init(&join->record, BULLA_MAX_EVIDENCE * 2);
	bulla_buf_init(&join->scratch, BULLA_MAX_EVIDENCE * 2);
	bulla_buf_init(&join->answer, BULLA_HTTP_HEAD_MAX + BULLA_HTTP_BODY_MAX);
	bulla_buf_init(&join->blob, 16384);
	bulla_buf_init(&join->record_seen, BULLA_BIRTH_MAX);
	for (size_t i = 0; i < BULLA_TEE_AGENTS; i++)
		bulla_buf_init(&join->agents[i].birth, BULLA_BIRTH_MAX);
	if (base->manifest.suite != 1) /* another one is not served by a broker yet: its KEM is not linked */
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "enclaves know the suite `classic` only");
	join->kem = &bulla_kem_x25519;
	BULLA_TRY(bulla_random_fill(base->random, join->boot_id, sizeof(join->boot_id)));
	BULLA_TRY(bulla_tls_client_new(&base->manifest.broker_tls, &join->tls));
	return bulla_rsa_key_new(&join->rsa);
}

void bulla_join_done(struct bulla_join *join)
{
	bulla_join_host_down(join);
	join->rsa = bulla_rsa_key_free(join->rsa);
	join->tls = bulla_tls_context_free(join->tls);
	for (size_t i = 0; i < BULLA_TEE_AGENTS; i++) {
		if (join->agents[i].born)
			bulla_agent_keys_done(&join->agents[i].keys);
		join->agents[i].born = false;
		bulla_buf_done(&join->agents[i].birth);
	}
	bulla_evidence_done(&join->evidence);
	bulla_buf_done(&join->record);
	bulla_buf_done(&join->scratch);
	bulla_buf_done(&join->answer);
	bulla_buf_done(&join->blob);
	bulla_buf_done(&join->record_seen);
}

void bulla_join_host_up(struct bulla_join *join, struct bulla_frames *host)
{
	join->host = host;
	if (join->state != BULLA_JOIN_DONE)
		start(join);
	else
		join->events.on_ready(join->events.ctx); /* a new host, the same session */
}

void bulla_join_host_down(struct bulla_join *join)
{
	bulla_uplink_close(&join->broker, true);
	bulla_uplink_close(&join->kms, true);
	join->host = NULL;
	join->retry_us = 0;
	join->close_soon = false;
	if (join->state != BULLA_JOIN_DONE)
		join->state = BULLA_JOIN_IDLE;
}

bool bulla_join_message(struct bulla_join *join, const struct bulla_frame *message, int64_t now_us)
{
	if (message->op != BULLA_OP_RELAY)
		return false;
	if (join->broker.host != NULL && message->stream == join->broker.stream)
		bulla_uplink_message(&join->broker, message, now_us);
	else if (join->kms.host != NULL && message->stream == join->kms.stream)
		bulla_uplink_message(&join->kms, message, now_us);
	return true; /* of a relay that is closed already */
}

void bulla_join_renew(struct bulla_join *join)
{
	uint64_t earliest_ms = join->granted_ms + RENEW_LEAST_MS;

	if (join->renew_ms > earliest_ms)
		join->renew_ms = earliest_ms;
}

void bulla_join_turn(struct bulla_join *join, int64_t now_us)
{
	bool renew = join->state == BULLA_JOIN_DONE && join->renew_ms != 0 && now_us / 1000 >= (int64_t)join->renew_ms;

	if (join->close_soon) {
		join->close_soon = false;
		bulla_uplink_close(&join->broker, false);
		bulla_uplink_close(&join->kms, false);
	}
	if (join->host == NULL)
		return;
	if (renew || (join->retry_us != 0 && now_us >= join->retry_us)) {
		join->renew_ms = 0;
		start(join);
	}
}

int64_t bulla_join_due(const struct bulla_join *join)
{
	int64_t due = INT64_MAX;

	if (join->host == NULL)
		return due;
	if (join->retry_us != 0)
		due = join->retry_us;
	if (join->state == BULLA_JOIN_DONE && join->renew_ms != 0 && (int64_t)join->renew_ms * 1000 < due)
		due = (int64_t)join->renew_ms * 1000;
	return due;
}
