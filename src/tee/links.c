#include "tee/links.h"

#include "base/mem.h"
#include "wire/kinds.h"
#include "wire/messages.h"

bulla_rc bulla_links_init(struct bulla_links *links, uint32_t size)
{
	void *memory;

	BULLA_TRY(bulla_alloc(size, sizeof(links->entries[0]), &memory));
	*links = (struct bulla_links){.entries = memory, .size = size};
	for (size_t i = 0; i < BULLA_LINK_BUCKETS; i++)
		links->buckets[i] = BULLA_LINK_END;
	return BULLA_OK;
}

void bulla_links_done(struct bulla_links *links)
{
	for (uint32_t i = 0; i < links->size; i++)
		if (links->entries[i].used)
			bulla_link_done(&links->entries[i].link);
	bulla_free(links->entries);
	*links = (struct bulla_links){0};
}

/* Ids are digests: their first bytes spread. */
static uint16_t *bucket_of(const struct bulla_links *links, const bulla_link_id *id)
{
	size_t i = ((size_t)id->b[0] << 8 | id->b[1]) % BULLA_LINK_BUCKETS;

	return (uint16_t *)(uintptr_t)&links->buckets[i];
}

const struct bulla_link_entry *bulla_links_find(const struct bulla_links *links, const bulla_link_id *id)
{
	for (uint16_t at = *bucket_of(links, id); at != BULLA_LINK_END; at = links->entries[at].next)
		if (bulla_link_id_eq(&links->entries[at].link.id, id))
			return &links->entries[at];
	return NULL;
}

/* Takes the entry out of its bucket and forgets its secret. */
static void forget(struct bulla_links *links, uint16_t index)
{
	struct bulla_link_entry *entry = &links->entries[index];
	uint16_t *at = bucket_of(links, &entry->link.id);

	while (*at != index)
		at = &links->entries[*at].next;
	*at = entry->next;
	bulla_link_done(&entry->link);
	entry->used = false;
}

static void put(struct bulla_links *links, const struct bulla_link *link, uint8_t agent)
{
	uint16_t index = (uint16_t)links->next;
	struct bulla_link_entry *entry = &links->entries[index];
	uint16_t *bucket = bucket_of(links, &link->id);

	if (entry->used)
		forget(links, index);
	*entry = (struct bulla_link_entry){.link = *link, .agent = agent, .used = true, .next = *bucket};
	*bucket = index;
	links->next = (links->next + 1) % links->size;
}

static size_t agent_for(const struct bulla_link_body *body, const struct bulla_links_agent *agents, size_t count)
{
	size_t i = 0;

	while (i < count && (body->to != BULLA_TO_AGENT || !bulla_handle_eq(&agents[i].handle, &body->recipient)))
		i++;
	return i;
}

/* The key behind a sender's kid: an instance that was judged, or a party of the manifest. */
static bulla_rc sender_key(const struct bulla_peers *peers, const bulla_digest *kid, struct bulla_verify_key **ret_owned,
	struct bulla_verify_key **ret)
{
	const struct bulla_peer *peer = bulla_peers_find(peers, kid);
	const struct bulla_party *party = bulla_manifest_party_kid(peers->manifest, kid);

	if (peer != NULL) {
		*ret = peer->key;
		return BULLA_OK;
	}
	if (party == NULL)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "the link's sender was not judged yet");
	BULLA_TRY(bulla_verify_key_spki(party->spki, ret_owned));
	*ret = *ret_owned;
	return BULLA_OK;
}

bulla_rc bulla_links_learn(struct bulla_links *links, const struct bulla_peers *peers,
	const struct bulla_links_agent *agents, size_t agent_count, const struct bulla_kem *kem, bulla_bytes link,
	bulla_digest *ret_sender)
{
	struct bulla_link_expected expected = {.to = BULLA_TO_AGENT, .epoch_open = true};
	BULLA_AUTO_VERIFY_KEY owned = NULL;
	struct bulla_verify_key *key;
	struct bulla_link_body body;
	struct bulla_link accepted = {.secret = BULLA_SECRET_NONE};
	size_t agent;

	BULLA_TRY(bulla_link_peek(link, &body, &accepted.id));
	if (bulla_links_find(links, &accepted.id) != NULL)
		return BULLA_OK;
	agent = agent_for(&body, agents, agent_count);
	if (agent == agent_count) {
		put(links, &accepted, BULLA_LINK_NOBODY);
		return BULLA_OK;
	}
	*ret_sender = body.sender;
	BULLA_TRY(sender_key(peers, &body.sender, &owned, &key));
	expected.sender = body.sender;
	expected.recipient = agents[agent].handle;
	expected.manifest = peers->manifest->digest;
	expected.epoch = peers->manifest->epoch;
	BULLA_TRY(bulla_link_accept(link, &expected, key, kem, agents[agent].keys->private_key, &accepted));
	put(links, &accepted, (uint8_t)agent);
	return BULLA_OK;
}

static bulla_rc make_object(struct bulla_my_link *mine, bulla_bytes signed_link)
{
	struct bulla_msg_object object = {.kind = BULLA_OBJECT_LINK, .body = signed_link,
		.id = bulla_bytes_of(mine->link.id.b, sizeof(mine->link.id.b))};
	bulla_wr w = bulla_wr_buf(&mine->object);
	bulla_bytes ignored;

	mine->object.n = 0;
	bulla_msg_object_encode(&object, &w);
	return bulla_wr_end(&w, &ignored);
}

bulla_rc bulla_my_link_use(struct bulla_my_link *mine, const struct bulla_link_spec *spec, struct bulla_sign_key *key,
	const struct bulla_random *random, int64_t now_ms)
{
	BULLA_AUTO_BUF signed_link = {0};
	struct bulla_link fresh;

	if (mine->made && !bulla_link_is_worn(mine->made_ms, now_ms, mine->envelopes)) {
		mine->envelopes++;
		return BULLA_OK;
	}
	bulla_buf_init(&signed_link, BULLA_LINK_MAX);
	if (mine->object.max == 0)
		bulla_buf_init(&mine->object, BULLA_LINK_MAX + 128);
	BULLA_TRY(bulla_link_make(spec, key, random, &signed_link, &fresh));
	bulla_link_done(&mine->link);
	mine->link = fresh;
	mine->made = true;
	mine->stored = false;
	mine->made_ms = now_ms;
	mine->envelopes = 1;
	return make_object(mine, bulla_buf_view(&signed_link));
}

void bulla_my_link_done(struct bulla_my_link *mine)
{
	bulla_link_done(&mine->link);
	bulla_buf_done(&mine->object);
	mine->made = false;
}
