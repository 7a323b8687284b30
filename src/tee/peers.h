#pragma once
/* Whom this enclave has judged: instances by their evidence, once per boot of theirs; agents' public keys by their birth
 * records. What a record says is believed for as long as its manifest is mine. */
#include "attest/cache.h"
#include "crypto/sign.h"
#include "judge/judge.h"
#include "seal/birth.h"

/* One instance whose evidence was good. */
struct bulla_peer {
	bulla_digest kid;
	bulla_digest evidence;      /* digest of its evidence */
	struct bulla_verify_key *key;
	uint8_t agents[16 * sizeof(bulla_handle)]; /* hosted there */
	size_t agent_count;
};

struct bulla_peers {
	const struct bulla_manifest *manifest;
	struct bulla_attest_cache cache;
	struct bulla_peer peers[BULLA_MAX_VERDICTS_CACHED];
	uint32_t count, next;       /* next: the oldest, when full */
	/* public keys of agents, by their place in the manifest */
	struct bulla_peer_key {
		bool known;
		uint16_t size;
		uint8_t bytes[BULLA_HPKE_PUBLIC_MAX];
	} *keys;
};

/* manifest is borrowed. */
BULLA_CHECK bulla_rc bulla_peers_init(struct bulla_peers *peers, const struct bulla_manifest *manifest);
void bulla_peers_done(struct bulla_peers *peers);

/* The judged instance with this kid, or NULL. Valid until the next learn. */
const struct bulla_peer *bulla_peers_find(const struct bulla_peers *peers, const bulla_digest *kid);

/* Judges an instance record at its own time; a known one is not looked at again. Errors of bulla_judge_instance. */
BULLA_CHECK bulla_rc bulla_peers_learn(struct bulla_peers *peers, bulla_bytes record);

/* Takes an agent's public key from its birth record: the signer must have been learned (else BULLA_E_NOT_FOUND), host that
 * agent, and the record be the one that the manifest demands (protocol.md section 5). Known agents are not looked at. */
BULLA_CHECK bulla_rc bulla_peers_learn_birth(struct bulla_peers *peers, bulla_bytes record);

/* The agent's public key, or an empty view. */
bulla_bytes bulla_peers_key(const struct bulla_peers *peers, const bulla_handle *agent);

/* Does this instance host the agent? */
bool bulla_peer_hosts(const struct bulla_peer *peer, const bulla_handle *agent);
