/* Births (protocol.md section 5): one hosted agent after the other; the broker's first record decides. */
#include "tee/join.h"

#include "crypto/hash.h"
#include "crypto/random.h"
#include "kms/client.h"
#include "receipt/recipient.h"
#include "wire/messages.h"

static struct bulla_join_agent *current(struct bulla_join *join)
{
	return &join->agents[join->at];
}

static const struct bulla_agent *current_row(const struct bulla_join *join)
{
	return join->base->agents[join->at].row;
}

bulla_rc bulla_join_next_birth(struct bulla_join *join)
{
	struct bulla_msg_birth_ask ask = {.epoch = join->base->manifest.epoch};
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes body;

	while (join->at < join->base->agent_count && current(join)->born)
		join->at++;
	if (join->at == join->base->agent_count)
		return bulla_join_finished(join);
	ask.agent = bulla_handle_view(&join->base->agents[join->at].handle);
	bulla_msg_birth_ask_encode(&ask, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	join->state = BULLA_JOIN_BIRTH_ASK;
	return bulla_join_call(join, BULLA_OP_BIRTH_ASK, body);
}

/* --- KMS over the second relay --- */

/* The broker's name without scheme and path: what Host wants. */
static bulla_bytes host_of(bulla_bytes url)
{
	size_t from = 0, to;

	for (size_t i = 0; i + 2 < url.n; i++)
		if (url.p[i] == ':' && url.p[i + 1] == '/' && url.p[i + 2] == '/')
			from = i + 3;
	for (to = from; to < url.n && url.p[to] != '/'; to++)
		;
	return to == from ? BULLA_BYTES_LITERAL("broker") : bulla_bytes_of(url.p + from, to - from);
}

/* To which call the evidence is an answer: the connection, and a salt that no other call has. */
static bulla_rc release_challenge(struct bulla_join *join, struct bulla_recipient *recipient)
{
	struct bulla_channel_ends ends;
	bulla_digest channel;

	recipient->instance.purpose = BULLA_PURPOSE_RELEASE;
	BULLA_TRY(bulla_channel_ends_of(join->kms.tls, &ends));
	bulla_channel_digest(&ends, &channel);
	BULLA_TRY(bulla_random_fill(join->base->random, recipient->salt, sizeof(recipient->salt)));
	bulla_release_challenge(&channel, recipient->salt, recipient->instance.challenge);
	return BULLA_OK;
}

/* Evidence that the KMS answers to, bound to the RSA key: Nitro's own document, which carries the key and a time; of other
 * TEEs a recipient. Into answer, which is free until the request is written. */
static bulla_rc show_recipient(struct bulla_join *join, struct bulla_evidence *shown)
{
	bool own = join->base->source.ops->carries_key;
	struct bulla_recipient recipient = {.spki = bulla_rsa_key_spki(join->rsa),
		.instance = {.tee = bulla_source_word(&join->base->source), .purpose = BULLA_PURPOSE_BOOT,
			.receipt_key = bulla_sign_key_spki(join->base->receipt_key), .agents = bulla_tee_handles(join->base),
			.manifest = join->base->manifest.digest}};
	bulla_bytes nonce = bulla_bytes_of(recipient.instance.challenge, own ? 0 : sizeof(recipient.instance.challenge));
	uint8_t binder[BULLA_BINDER_BYTES];

	bulla_sha256(recipient.spki, &recipient.instance.channel);
	if (!own)
		BULLA_TRY(release_challenge(join, &recipient));
	BULLA_TRY(bulla_instance_binder(&recipient.instance, binder));
	BULLA_TRY(bulla_source_make(&join->base->source, binder, nonce, own ? recipient.spki : bulla_bytes_of(NULL, 0), shown));
	if (own)
		return bulla_buf_append(&join->answer, bulla_buf_view(&shown->report));
	recipient.instance.evidence = bulla_buf_view(&shown->report);
	recipient.instance.collateral = bulla_join_collateral(join, shown);
	return bulla_recipient_write(&recipient, &join->scratch, &join->answer);
}

static bulla_rc boot_evidence(struct bulla_join *join)
{
	struct bulla_evidence shown;
	bulla_rc rc;

	join->answer.n = 0;
	bulla_evidence_init(&shown);
	rc = show_recipient(join, &shown);
	bulla_evidence_done(&shown);
	join->scratch.n = 0;
	return rc;
}

static bulla_rc write_request(struct bulla_join *join)
{
	const struct bulla_manifest *manifest = &join->base->manifest;
	struct bulla_kms_seed_context context;
	struct bulla_kms_call call = {.host = host_of(manifest->broker_url), .key_id = current_row(join)->wrapping_key,
		.wall_ms = bulla_wall_ms(join->base->clock)};

	join->scratch.n = 0;
	if (join->state == BULLA_JOIN_POLICY)
		return bulla_kms_write_get_policy(&call, &join->scratch);
	BULLA_TRY(bulla_kms_seed_context_make(manifest->tenant.b, join->base->agents[join->at].handle.b, manifest->epoch,
		&manifest->digest, &context));
	call.context = &context.context;
	BULLA_TRY(boot_evidence(join));
	call.document = bulla_buf_view(&join->answer);
	if (join->state == BULLA_JOIN_GENERATE)
		return bulla_kms_write_generate(&call, &join->scratch);
	return bulla_kms_write_decrypt(&call, bulla_buf_view(&join->blob), &join->scratch);
}

static bulla_rc send_request(struct bulla_join *join)
{
	bulla_rc rc = write_request(join);

	join->answer.n = 0;
	BULLA_TRY(rc);
	return bulla_uplink_write(&join->kms, bulla_buf_view(&join->scratch));
}

bulla_rc bulla_join_kms_ready(void *ctx)
{
	return send_request(ctx);
}

/* Goes to the KMS; opens the relay unless it is open. */
static bulla_rc go_to_kms(struct bulla_join *join, enum bulla_join_state state)
{
	join->state = state;
	if (join->kms.host == NULL)
		return bulla_uplink_open(&join->kms, join->host, join->tls, BULLA_TLS_HTTP);
	if (!bulla_tls_ready(join->kms.tls))
		return BULLA_OK;
	BULLA_TRY(send_request(join));
	bulla_uplink_flush(&join->kms);
	return BULLA_OK;
}

static bulla_rc put_birth(struct bulla_join *join)
{
	struct bulla_msg_birth birth = {.agent = bulla_handle_view(&join->base->agents[join->at].handle),
		.epoch = join->base->manifest.epoch, .record = bulla_buf_view(&current(join)->birth),
		.blob = bulla_buf_view(&join->blob), .instance = bulla_buf_view(&join->record)};
	bulla_bytes body;
	bulla_wr w;

	join->scratch.n = 0;
	w = bulla_wr_buf(&join->scratch);
	bulla_msg_birth_encode(&birth, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	join->state = BULLA_JOIN_BIRTH_PUT;
	BULLA_TRY(bulla_join_call(join, BULLA_OP_BIRTH_PUT, body));
	bulla_uplink_flush(&join->broker);
	return BULLA_OK;
}

static bulla_rc make_birth(struct bulla_join *join)
{
	const struct bulla_manifest *manifest = &join->base->manifest;
	struct bulla_join_agent *agent = current(join);
	struct bulla_birth birth = {.tenant = manifest->tenant, .agent = join->base->agents[join->at].handle,
		.epoch = manifest->epoch, .manifest = manifest->digest, .kem = join->kem->id,
		.public_key = bulla_bytes_of(agent->keys.public_key, agent->keys.public_size),
		.wrapping_key = current_row(join)->wrapping_key, .policy_form = current_row(join)->policy_form,
		.policy = join->policy};

	/* whether nobody may change the policy is not judged here yet: no record shall say so */
	if (birth.policy_form != BULLA_POLICY_MANAGED)
		return BULLA_FAIL(BULLA_E_KEY_POLICY, "a wrapping key's policy of the form frozen cannot be judged");
	bulla_sha256(bulla_buf_view(&join->blob), &birth.blob);
	bulla_sha256(bulla_buf_view(&join->evidence.report), &birth.evidence);
	agent->birth.n = 0;
	return bulla_birth_make(&birth, bulla_tee_receipt_key(join->base), &agent->birth);
}

/* Generate: the seed is new, its birth goes to the broker. Decrypt: the keys must be the born ones. */
static bulla_rc take_seed(struct bulla_join *join, bulla_secret seed)
{
	struct bulla_join_agent *agent = current(join);
	struct bulla_birth birth;
	bulla_digest blob;
	bulla_rc rc;

	BULLA_TRY(bulla_agent_keys_derive(seed, join->kem, &agent->keys));
	if (join->state == BULLA_JOIN_GENERATE) {
		rc = make_birth(join);
		if (rc == BULLA_OK)
			rc = put_birth(join);
	} else {
		bulla_sha256(bulla_buf_view(&join->blob), &blob);
		rc = bulla_birth_peek(bulla_buf_view(&agent->birth), &birth);
		if (rc == BULLA_OK)
			rc = bulla_birth_check_keys(&birth, &agent->keys, &blob);
	}
	if (rc != BULLA_OK) {
		bulla_agent_keys_done(&agent->keys);
		return rc;
	}
	if (join->state == BULLA_JOIN_BIRTH_PUT)
		return BULLA_OK;
	agent->born = true;
	return bulla_join_next_birth(join);
}

static bulla_rc take_answer(struct bulla_join *join, const struct bulla_http_message *response)
{
	bool generate = join->state == BULLA_JOIN_GENERATE;
	BULLA_AUTO_SECRET seed = BULLA_SECRET_NONE;

	if (join->state == BULLA_JOIN_POLICY) {
		join->scratch.n = 0;
		BULLA_TRY(bulla_kms_read_policy(response, &join->scratch));
		bulla_sha256(bulla_buf_view(&join->scratch), &join->policy);
		return go_to_kms(join, BULLA_JOIN_GENERATE);
	}
	if (generate)
		join->blob.n = 0;
	BULLA_TRY(bulla_kms_read_key(response, join->rsa, current_row(join)->wrapping_key, generate ? &join->blob : NULL, &seed));
	return take_seed(join, seed);
}

bulla_rc bulla_join_kms_bytes(void *ctx, bulla_bytes bytes)
{
	struct bulla_join *join = ctx;
	struct bulla_http_message response;
	size_t size;
	bulla_rc rc;

	if (join->state != BULLA_JOIN_POLICY && join->state != BULLA_JOIN_GENERATE && join->state != BULLA_JOIN_DECRYPT)
		return BULLA_FAIL(BULLA_E_STATE, "the KMS answers what was not asked");
	BULLA_TRY(bulla_buf_append(&join->answer, bytes));
	rc = bulla_http_read_response(bulla_buf_view(&join->answer), &response, &size);
	if (rc == BULLA_E_AGAIN)
		return BULLA_OK;
	BULLA_TRY(rc);
	if (size != join->answer.n)
		return BULLA_FAIL(BULLA_E_TRAILING, "the KMS answers more than was asked");
	return take_answer(join, &response);
}

/* --- the broker's word on a birth --- */

/* There is a birth already: believe it after the checks, then ask for its seed. */
static bulla_rc take_birth(struct bulla_join *join, const struct bulla_msg_birth *birth)
{
	struct bulla_join_agent *agent = current(join);
	bulla_bytes key;

	BULLA_TRY(bulla_peers_learn(join->peers, birth->instance));
	BULLA_TRY(bulla_peers_learn_birth(join->peers, birth->record));
	key = bulla_peers_key(join->peers, &join->base->agents[join->at].handle);
	if (key.n == 0)
		return BULLA_FAIL(BULLA_E_KEY_CONTEXT, "the birth record is another agent's");
	agent->birth.n = 0;
	BULLA_TRY(bulla_buf_append(&agent->birth, birth->record));
	join->blob.n = 0;
	BULLA_TRY(bulla_buf_append(&join->blob, birth->blob));
	return go_to_kms(join, BULLA_JOIN_DECRYPT);
}

/* My birth was put: it is the first, or I was second and drop my seed. */
static bulla_rc birth_was_put(struct bulla_join *join, const struct bulla_msg_birth *birth)
{
	struct bulla_join_agent *agent = current(join);

	if (!bulla_bytes_eq(birth->record, bulla_buf_view(&agent->birth))) {
		bulla_agent_keys_done(&agent->keys);
		return take_birth(join, birth);
	}
	agent->born = true;
	BULLA_TRY(bulla_peers_learn_birth(join->peers, birth->record));
	return bulla_join_next_birth(join);
}

bulla_rc bulla_join_birth_reply(struct bulla_join *join, const struct bulla_frame *reply)
{
	struct bulla_msg_birth birth;

	if ((reply->flags & BULLA_FRAME_ERROR) != 0) {
		bulla_rc rc = bulla_frames_error_of(reply, NULL);

		if (join->state == BULLA_JOIN_BIRTH_ASK && (rc == BULLA_E_BIRTH_MISSING || rc == BULLA_E_NOT_FOUND))
			return go_to_kms(join, BULLA_JOIN_POLICY);
		if (join->state == BULLA_JOIN_BIRTH_PUT)
			bulla_agent_keys_done(&current(join)->keys);
		return BULLA_FAIL(rc, "the broker refuses a birth");
	}
	BULLA_TRY(bulla_msg_birth_decode(reply->body, &birth));
	return join->state == BULLA_JOIN_BIRTH_PUT ? birth_was_put(join, &birth) : take_birth(join, &birth);
}
