#include "channel/session.h"

#include "base/checks.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"
#include "crypto/random.h"
#include "wire/messages.h"

enum client_state { CLIENT_NEW, CLIENT_ASKED, CLIENT_CHALLENGED, CLIENT_ATTESTED, CLIENT_OVER };

void bulla_session_keys_done(struct bulla_session_keys *keys)
{
	bulla_secret_free(&keys->mac_up);
	bulla_secret_free(&keys->mac_down);
	bulla_secret_free(&keys->wrap);
}

bulla_rc bulla_session_keys_derive(bulla_bytes exporter, struct bulla_session_keys *ret)
{
	BULLA_AUTO_SECRET root = BULLA_SECRET_NONE;
	BULLA_AUTO_SECRET up = BULLA_SECRET_NONE;
	BULLA_AUTO_SECRET down = BULLA_SECRET_NONE;
	bulla_bytes none = {NULL, 0};

	if (exporter.n != BULLA_EXPORTER_SIZE)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a TLS exporter of this protocol has 32 bytes");
	BULLA_TRY(bulla_secret_new(exporter, &root));
	BULLA_TRY(bulla_kdf(root, BULLA_LABEL_MAC_TO_BROKER, none, &up));
	BULLA_TRY(bulla_kdf(root, BULLA_LABEL_MAC_TO_ENCLAVE, none, &down));
	BULLA_TRY(bulla_kdf(root, BULLA_LABEL_WRAPPING, none, &ret->wrap));
	ret->mac_up = bulla_secret_take(&up);
	ret->mac_down = bulla_secret_take(&down);
	return BULLA_OK;
}

bulla_rc bulla_session_client_init(struct bulla_session_client *client, const struct bulla_channel_ends *ends,
                                   bulla_bytes tee, bulla_bytes receipt_key, bulla_bytes agents,
                                   const bulla_digest *manifest)
{
	if (receipt_key.n == 0)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a session speaks for a receipt key");
	*client = (struct bulla_session_client){.receipt_key = receipt_key, .state = CLIENT_NEW};
	client->binder.tee = tee;
	client->binder.purpose = BULLA_BYTES_LITERAL("session");
	client->binder.agents = agents;
	client->binder.manifest = *manifest;
	bulla_channel_digest(ends, &client->binder.channel);
	bulla_sha256(receipt_key, &client->binder.key);
	return BULLA_OK;
}

static bulla_rc advance(struct bulla_session_client *client, enum client_state from, enum client_state to)
{
	if (client->state != (int)from)
		return BULLA_FAIL(BULLA_E_STATE, "a session is made in one order: challenge, evidence, session");
	client->state = (int)to;
	return BULLA_OK;
}

bulla_rc bulla_session_client_ask(struct bulla_session_client *client, bulla_wr *w)
{
	struct bulla_msg_challenge message = {.challenge = {NULL, 0}};

	BULLA_TRY(advance(client, CLIENT_NEW, CLIENT_ASKED));
	bulla_msg_challenge_encode(&message, w);
	return BULLA_OK;
}

bulla_rc bulla_session_client_challenge(struct bulla_session_client *client, bulla_bytes body, bulla_digest *ret_nonce,
                                        uint8_t ret_binder[BULLA_BINDER_BYTES])
{
	struct bulla_msg_challenge message;

	BULLA_TRY(advance(client, CLIENT_ASKED, CLIENT_CHALLENGED));
	BULLA_TRY(bulla_msg_challenge_decode(body, &message));
	BULLA_TRY(bulla_bytes_copy_exact(message.challenge, 32, client->binder.challenge.b));
	/* zero is the word of "boot" evidence */
	if (bulla_bytes_is_zero_ct(message.challenge))
		return BULLA_FAIL(BULLA_E_FORMAT, "a challenge is zero");
	BULLA_TRY(bulla_binder_make(&client->binder, ret_binder));
	*ret_nonce = client->binder.challenge;
	return BULLA_OK;
}

bulla_rc bulla_session_client_attest(struct bulla_session_client *client, bulla_bytes evidence, bulla_wr *w)
{
	bulla_bytes handles[BULLA_MAX_AGENTS];
	size_t count = client->binder.agents.n / BULLA_SESSION_HANDLE;
	struct bulla_msg_attest message = {.evidence = evidence, .receipt_key = client->receipt_key};

	BULLA_TRY(advance(client, CLIENT_CHALLENGED, CLIENT_ATTESTED));
	if (count > BULLA_MAX_AGENTS)
		return BULLA_FAIL(BULLA_E_LIMIT, "too many agents in one enclave");
	for (size_t i = 0; i < count; i++)
		handles[i] = (bulla_bytes){client->binder.agents.p + i * BULLA_SESSION_HANDLE, BULLA_SESSION_HANDLE};
	message.agents = bulla_pb_list_of(handles, count);
	message.manifest = bulla_bytes_digest(&client->binder.manifest);
	bulla_msg_attest_encode(&message, w);
	return BULLA_OK;
}

bulla_rc bulla_session_client_done(struct bulla_session_client *client, bulla_bytes body, bulla_bytes exporter_keys,
                                   struct bulla_session *ret)
{
	struct bulla_msg_session message;
	struct bulla_session session = {.epoch = 0};

	BULLA_TRY(advance(client, CLIENT_ATTESTED, CLIENT_OVER));
	BULLA_TRY(bulla_msg_session_decode(body, &message));
	BULLA_TRY(bulla_bytes_copy_exact(message.id, BULLA_SESSION_ID, session.id));
	if (message.reattest_ms <= message.time_ms)
		return BULLA_FAIL(BULLA_E_FORMAT, "a session lapses before it begins");
	session.epoch = message.epoch;
	session.time_ms = message.time_ms;
	session.reattest_ms = message.reattest_ms;
	BULLA_TRY(bulla_session_keys_derive(exporter_keys, &session.keys));
	*ret = session;
	return BULLA_OK;
}

void bulla_session_server_init(struct bulla_session_server *server, const struct bulla_channel_ends *ends)
{
	*server = (struct bulla_session_server){.open = false};
	bulla_channel_digest(ends, &server->channel);
}

bulla_rc bulla_session_server_challenge(struct bulla_session_server *server, const struct bulla_random *random,
                                        int64_t wall_ms, bulla_wr *w)
{
	struct bulla_msg_challenge message;

	server->open = false;
	BULLA_TRY(bulla_random_fill(random, server->challenge.b, sizeof(server->challenge.b)));
	server->challenge_ms = wall_ms;
	server->open = true;
	message = (struct bulla_msg_challenge){.challenge = bulla_bytes_digest(&server->challenge)};
	bulla_msg_challenge_encode(&message, w);
	return BULLA_OK;
}

static bulla_rc read_agents(const struct bulla_pb_list *list, struct bulla_session_ask *ask)
{
	struct bulla_pb_iter iter = bulla_pb_list_begin(list);
	bulla_bytes handle;

	if (list->count == 0 || list->count > BULLA_MAX_AGENTS)
		return BULLA_FAIL(BULLA_E_FORMAT, "an enclave hosts 1 to 256 agents");
	while (bulla_pb_list_next(&iter, &handle)) {
		uint8_t *at = ask->agents + ask->agent_count * BULLA_SESSION_HANDLE;

		BULLA_TRY(bulla_bytes_copy_exact(handle, BULLA_SESSION_HANDLE, at));
		ask->agent_count++;
	}
	return BULLA_OK;
}

static bulla_rc use_challenge(struct bulla_session_server *server, int64_t wall_ms)
{
	bool open = server->open;
	int64_t age = wall_ms - server->challenge_ms;

	server->open = false;
	if (BULLA_CHECK_ON(SESSION_CHALLENGE) && (!open || age < 0 || age > BULLA_CHALLENGE_MS))
		return BULLA_FAIL(BULLA_E_EVIDENCE_STALE, "the challenge was used or is older than a minute");
	return BULLA_OK;
}

bulla_rc bulla_session_server_attest(struct bulla_session_server *server, bulla_bytes body, bulla_bytes tee,
                                     int64_t wall_ms, struct bulla_session_ask *ret)
{
	struct bulla_msg_attest message;
	struct bulla_binder binder = {.tee = tee, .purpose = BULLA_BYTES_LITERAL("session")};

	BULLA_TRY(use_challenge(server, wall_ms));
	BULLA_TRY(bulla_msg_attest_decode(body, &message));
	if (message.evidence.n == 0 || message.evidence.n > BULLA_MAX_EVIDENCE)
		return BULLA_FAIL(BULLA_E_EVIDENCE_FORMAT, "no evidence, or too much");
	*ret = (struct bulla_session_ask){.evidence = message.evidence, .receipt_key = message.receipt_key};
	BULLA_TRY(read_agents(&message.agents, ret));
	BULLA_TRY(bulla_bytes_copy_exact(message.manifest, 32, ret->manifest.b));
	bulla_sha256(message.receipt_key, &ret->kid);
	ret->nonce = server->challenge;
	ret->channel = server->channel;
	binder.challenge = server->challenge;
	binder.channel = server->channel;
	binder.key = ret->kid;
	binder.agents = (bulla_bytes){ret->agents, ret->agent_count * BULLA_SESSION_HANDLE};
	binder.manifest = ret->manifest;
	return bulla_binder_make(&binder, ret->binder);
}

bulla_rc bulla_session_server_bound(const struct bulla_session_ask *ask, bulla_bytes nonce, bulla_bytes user_data,
                                    bulla_bytes public_key)
{
	if (BULLA_CHECK_ON(SESSION_PURPOSE) && public_key.n != 0)
		return BULLA_FAIL(BULLA_E_BINDER, "evidence of another purpose: it carries a key");
	if (BULLA_CHECK_ON(SESSION_NONCE) && !bulla_bytes_eq(nonce, bulla_bytes_digest(&ask->nonce)))
		return BULLA_FAIL(BULLA_E_BINDER, "the evidence answers another challenge");
	if (BULLA_CHECK_ON(SESSION_BINDER) && !bulla_bytes_eq(user_data, BULLA_BYTES_ARRAY(ask->binder)))
		return BULLA_FAIL(BULLA_E_BINDER, "the evidence is bound to another connection, key, agents or manifest");
	return BULLA_OK;
}

bulla_rc bulla_session_server_grant(const struct bulla_random *random, bulla_bytes exporter_keys, uint64_t epoch,
                                    uint64_t time_ms, uint64_t reattest_ms, bulla_wr *w, struct bulla_session *ret)
{
	struct bulla_session session = {.epoch = epoch, .time_ms = time_ms, .reattest_ms = reattest_ms};
	struct bulla_msg_session message = {.epoch = epoch, .time_ms = time_ms, .reattest_ms = reattest_ms};

	if (reattest_ms <= time_ms)
		return BULLA_FAIL(BULLA_E_EVIDENCE_STALE, "the evidence lapses now");
	BULLA_TRY(bulla_random_fill(random, session.id, sizeof(session.id)));
	message.id = BULLA_BYTES_ARRAY(session.id);
	BULLA_TRY(bulla_session_keys_derive(exporter_keys, &session.keys));
	bulla_msg_session_encode(&message, w);
	*ret = session;
	return BULLA_OK;
}
