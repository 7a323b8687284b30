#include "tee/peers.h"

#include "base/mem.h"
#include "crypto/hash.h"

bulla_rc bulla_peers_init(struct bulla_peers *peers, const struct bulla_manifest *manifest)
{
	void *memory;

	bulla_zero(peers, sizeof(*peers));
	peers->manifest = manifest;
	bulla_attest_cache_init(&peers->cache);
	BULLA_TRY(bulla_alloc(manifest->agent_count > 0 ? manifest->agent_count : 1, sizeof(peers->keys[0]), &memory));
	peers->keys = memory;
	return BULLA_OK;
}

void bulla_peers_done(struct bulla_peers *peers)
{
	for (uint32_t i = 0; i < peers->count; i++)
		peers->peers[i].key = bulla_verify_key_free(peers->peers[i].key);
	peers->count = 0;
	bulla_free(peers->keys);
	peers->keys = NULL;
}

const struct bulla_peer *bulla_peers_find(const struct bulla_peers *peers, const bulla_digest *kid)
{
	for (uint32_t i = 0; i < peers->count; i++)
		if (bulla_digest_eq(&peers->peers[i].kid, kid))
			return &peers->peers[i];
	return NULL;
}

static struct bulla_peer *take_place(struct bulla_peers *peers)
{
	struct bulla_peer *peer;

	if (peers->count < BULLA_MAX_VERDICTS_CACHED)
		return &peers->peers[peers->count++];
	peer = &peers->peers[peers->next];
	peers->next = (peers->next + 1) % BULLA_MAX_VERDICTS_CACHED;
	bulla_verify_key_free(peer->key);
	return peer;
}

bulla_rc bulla_peers_learn(struct bulla_peers *peers, bulla_bytes record)
{
	struct bulla_instance instance;
	struct bulla_judge_time time = {.online = false};
	BULLA_AUTO_VERIFY_KEY key = NULL;
	struct bulla_peer *peer;
	bulla_digest kid;

	BULLA_TRY(bulla_instance_decode(record, &instance));
	bulla_instance_kid(&instance, &kid);
	if (bulla_peers_find(peers, &kid) != NULL)
		return BULLA_OK;
	if (instance.purpose != BULLA_PURPOSE_SESSION || instance.agents.n > sizeof(peer->agents))
		return BULLA_FAIL(BULLA_E_EVIDENCE_POLICY, "an instance record of another kind");
	time.now_ms = (int64_t)instance.time_ms;
	BULLA_TRY(bulla_judge_instance(peers->manifest, &instance, time, &peers->cache, NULL));
	BULLA_TRY(bulla_verify_key_spki(instance.receipt_key, &key));
	peer = take_place(peers);
	*peer = (struct bulla_peer){
		.kid = kid, .key = bulla_take(&key), .agent_count = instance.agents.n / sizeof(bulla_handle)};
	bulla_copy(peer->agents, instance.agents.p, instance.agents.n);
	bulla_sha256(instance.evidence, &peer->evidence);
	return BULLA_OK;
}

bool bulla_peer_hosts(const struct bulla_peer *peer, const bulla_handle *agent)
{
	for (size_t i = 0; i < peer->agent_count; i++)
		if (bulla_bytes_eq(bulla_bytes_of(peer->agents + i * sizeof(*agent), sizeof(*agent)), bulla_handle_view(agent)))
			return true;
	return false;
}

static struct bulla_peer_key *key_of(const struct bulla_peers *peers, const bulla_handle *agent)
{
	const struct bulla_agent *row = bulla_manifest_agent(peers->manifest, agent);

	return row == NULL ? NULL : &peers->keys[row - peers->manifest->agents];
}

bulla_rc bulla_peers_learn_birth(struct bulla_peers *peers, bulla_bytes record)
{
	struct bulla_birth_expected expected = {.epoch = peers->manifest->epoch};
	const struct bulla_agent *row;
	const struct bulla_peer *signer;
	struct bulla_peer_key *key;
	struct bulla_birth birth;

	BULLA_TRY(bulla_birth_peek(record, &birth));
	row = bulla_manifest_agent(peers->manifest, &birth.agent);
	key = key_of(peers, &birth.agent);
	signer = bulla_peers_find(peers, &birth.signer);
	if (row == NULL || signer == NULL)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "the birth's signer or agent is not known");
	if (key->known)
		return BULLA_OK;
	if (!bulla_peer_hosts(signer, &birth.agent))
		return BULLA_FAIL(BULLA_E_KEY_SUBSTITUTED, "the birth's signer does not host that agent");
	expected.tenant = peers->manifest->tenant;
	expected.agent = row->handle;
	expected.manifest = peers->manifest->digest;
	expected.wrapping_key = row->wrapping_key;
	expected.policy_form = row->policy_form;
	/* the signer may have attested anew since: its key was judged, by whichever of its records came first */
	expected.evidence = birth.evidence;
	BULLA_TRY(bulla_birth_verify(record, &expected, signer->key, &birth));
	if (birth.public_key.n > sizeof(key->bytes))
		return BULLA_FAIL(BULLA_E_LIMIT, "a public key is too long");
	bulla_copy(key->bytes, birth.public_key.p, birth.public_key.n);
	key->size = (uint16_t)birth.public_key.n;
	key->known = true;
	return BULLA_OK;
}

bulla_bytes bulla_peers_key(const struct bulla_peers *peers, const bulla_handle *agent)
{
	const struct bulla_peer_key *key = key_of(peers, agent);

	return key == NULL || !key->known ? bulla_bytes_of(NULL, 0) : bulla_bytes_of(key->bytes, key->size);
}
