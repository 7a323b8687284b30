#pragma once
/* Links of this enclave: those it accepted as a recipient (at most BULLA_MAX_LINKS_CACHED, the oldest goes), and its own
 * to each reader. protocol.md section 6. */
#include "seal/link.h"
#include "tee/boot.h"
#include "tee/peers.h"

/* Keys of one hosted agent, in the order of tee->agents. */
struct bulla_links_agent {
	bulla_handle handle;
	const struct bulla_agent_keys *keys;
};

/* One accepted link, or one that is somebody else's (no secret). */
struct bulla_link_entry {
	struct bulla_link link;
	uint8_t agent;   /* index of the hosted agent it is for; NOBODY: not mine */
	bool used;
	uint16_t next;   /* chain of its bucket */
};
#define BULLA_LINK_NOBODY 255
#define BULLA_LINK_BUCKETS 1024
#define BULLA_LINK_END 0xffff

struct bulla_links {
	struct bulla_link_entry *entries;
	uint32_t size, next; /* next: where the newest will go */
	uint16_t buckets[BULLA_LINK_BUCKETS];
};

/* Room for size links. BULLA_E_MEMORY; done frees their secrets. */
BULLA_CHECK bulla_rc bulla_links_init(struct bulla_links *links, uint32_t size);
void bulla_links_done(struct bulla_links *links);

/* The entry with this id, or NULL. */
const struct bulla_link_entry *bulla_links_find(const struct bulla_links *links, const bulla_link_id *id);

/* A link object from the host: accepted when it is for a hosted agent and passes protocol.md section 6's checks; noted as
 * somebody else's otherwise. A known one is not looked at again ("twice" is no error). BULLA_E_NOT_FOUND: its sender is an
 * instance that was not judged yet (*ret_sender: which); BULLA_E_LINK_*, BULLA_E_EPOCH_CLOSED. */
BULLA_CHECK bulla_rc bulla_links_learn(struct bulla_links *links, const struct bulla_peers *peers,
	const struct bulla_links_agent *agents, size_t agent_count, const struct bulla_kem *kem, bulla_bytes link,
	bulla_digest *ret_sender);

/* --- my own --- */

/* A link of mine to one reader. */
struct bulla_my_link {
	struct bulla_link link;
	bool made;
	bool stored;         /* the host has it durably: not sent along any more */
	int64_t made_ms;
	uint32_t envelopes;
	struct bulla_buf object; /* encoded `object` message */
};

/* The link to a reader, made when there is none or the old one is worn. public_key: the reader's. now_ms: monotonic. */
BULLA_CHECK bulla_rc bulla_my_link_use(struct bulla_my_link *mine, const struct bulla_link_spec *spec,
	struct bulla_sign_key *key, const struct bulla_random *random, int64_t now_ms);
void bulla_my_link_done(struct bulla_my_link *mine);
