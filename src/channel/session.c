#include "channel/session.h"

#include "crypto/hash.h"
#include "crypto/kdf.h"
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

bulla_rc bulla_session_client_attest(struct bulla_session_client *client, bulla_bytes evidence, bulla_bytes collateral,
	bulla_wr *w)
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
	if (collateral.n > 0)
		message.collateral = bulla_pb_list_of(&collateral, 1);
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
	session.collateral = message.collateral;
	BULLA_TRY(bulla_session_keys_derive(exporter_keys, &session.keys));
	*ret = session;
	return BULLA_OK;
}
