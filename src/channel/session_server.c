#include "channel/session.h"

#include "attest/attest.h"
#include "base/checks.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "wire/messages.h"

/* The broker's side: no part of the TEE. */

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

/* Documents of the development TEE have Nitro's form, and its word. */
static bulla_bytes word_of(bulla_bytes evidence)
{
	enum bulla_tee tee = bulla_attest_guess(evidence);

	return bulla_bytes_str(bulla_tee_name(tee == BULLA_TEE_DEV || tee == BULLA_TEE_NONE ? BULLA_TEE_NITRO : tee));
}

static bulla_rc read_collateral(const struct bulla_pb_list *list, bulla_bytes *ret)
{
	struct bulla_pb_iter iter = bulla_pb_list_begin(list);

	*ret = (bulla_bytes){NULL, 0};
	if (list->count > 1)
		return BULLA_FAIL(BULLA_E_LIMIT, "one file of collateral comes with evidence");
	if (bulla_pb_list_next(&iter, ret) && ret->n > BULLA_MAX_EVIDENCE)
		return BULLA_FAIL(BULLA_E_LIMIT, "too much collateral");
	return BULLA_OK;
}

bulla_rc bulla_session_server_attest(struct bulla_session_server *server, bulla_bytes body, int64_t wall_ms,
	struct bulla_session_ask *ret)
{
	struct bulla_msg_attest message;

	BULLA_TRY(use_challenge(server, wall_ms));
	BULLA_TRY(bulla_msg_attest_decode(body, &message));
	if (message.evidence.n == 0 || message.evidence.n > BULLA_MAX_EVIDENCE)
		return BULLA_FAIL(BULLA_E_EVIDENCE_FORMAT, "no evidence, or too much");
	*ret = (struct bulla_session_ask){.evidence = message.evidence, .receipt_key = message.receipt_key};
	BULLA_TRY(read_agents(&message.agents, ret));
	BULLA_TRY(read_collateral(&message.collateral, &ret->collateral));
	ret->tee = word_of(message.evidence);
	BULLA_TRY(bulla_bytes_copy_exact(message.manifest, 32, ret->manifest.b));
	bulla_sha256(message.receipt_key, &ret->kid);
	ret->nonce = server->challenge;
	ret->channel = server->channel;
	return BULLA_OK;
}

bulla_rc bulla_session_server_grant(const struct bulla_random *random, bulla_bytes exporter_keys, uint64_t epoch,
	uint64_t time_ms, uint64_t reattest_ms, bulla_bytes collateral, bulla_wr *w,
	struct bulla_session *ret)
{
	struct bulla_session session = {.epoch = epoch, .time_ms = time_ms, .reattest_ms = reattest_ms};
	struct bulla_msg_session message = {
		.epoch = epoch, .time_ms = time_ms, .reattest_ms = reattest_ms, .collateral = collateral};

	if (reattest_ms <= time_ms)
		return BULLA_FAIL(BULLA_E_EVIDENCE_STALE, "the evidence lapses now");
	BULLA_TRY(bulla_random_fill(random, session.id, sizeof(session.id)));
	message.id = BULLA_BYTES_ARRAY(session.id);
	BULLA_TRY(bulla_session_keys_derive(exporter_keys, &session.keys));
	bulla_msg_session_encode(&message, w);
	*ret = session;
	return BULLA_OK;
}
