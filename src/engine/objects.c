#include "engine/state.h"

#include "base/mem.h"
#include "cose/sign1.h"
#include "crypto/hash.h"
#include "wire/cbor.h"

#define HASH_SIZE 16384u
#define CARRIED_WORDS (BULLA_MAX_OBJECTS / 64)
#define LINK_HINT_BYTES 8192 /* readers stand within */
#define LINK_ID_BYTES 16
#define CBOR_LINK_ID 0x50    /* head of a byte string of 16 */
#define OBJECTS_STEP 256u
#define CARRIED_LINKS 256

bulla_rc objects_init(struct bulla_engine *e)
{
	void *p;

	BULLA_TRY(bulla_alloc(HASH_SIZE, sizeof(*e->object_hash), &p));
	e->object_hash = p;
	return BULLA_OK;
}

void objects_done(struct bulla_engine *e)
{
	for (uint32_t i = 0; i < e->object_count; i++)
		bulla_pool_give(&e->pool, e->objects[i].body);
	for (uint32_t i = 0; i < BULLA_MAX_PEERS; i++) {
		bulla_free(e->peers[i].carried);
		bulla_free(e->peers[i].start_links);
	}
	bulla_free(e->objects);
	bulla_free(e->object_hash);
}

static uint32_t hash_of(uint8_t kind, bulla_bytes id)
{
	uint32_t h = kind;

	for (size_t i = 0; i < id.n; i++)
		h = (h ^ id.p[i]) * 16777619U;
	return h % HASH_SIZE;
}

static bulla_bytes id_view(const struct object *object)
{
	return (bulla_bytes){object->id, object->id_size};
}

uint32_t object_find(const struct bulla_engine *e, uint8_t kind, bulla_bytes id)
{
	uint32_t at = e->object_hash[hash_of(kind, id)];

	while (at != 0) {
		const struct object *object = &e->objects[at - 1];

		if (object->kind == kind && bulla_bytes_eq(id_view(object), id))
			return at - 1;
		at = object->next_hash;
	}
	return NO_OBJECT;
}

static bulla_rc objects_grow(struct bulla_engine *e)
{
	uint32_t capacity = e->object_count ? 2 * e->object_count : OBJECTS_STEP;
	void *p;

	BULLA_TRY(bulla_alloc(capacity, sizeof(*e->objects), &p));
	if (e->object_count > 0)
		bulla_copy(p, e->objects, e->object_count * sizeof(*e->objects));
	bulla_free(e->objects);
	e->objects = p;
	return BULLA_OK;
}

static bool is_power_of_two(uint32_t n)
{
	return (n & (n - 1)) == 0;
}

bulla_rc object_keep(struct bulla_engine *e, const struct bulla_msg_object *object, const bulla_digest *maker,
	bool *ret_new)
{
	struct object *place;
	uint32_t *hash;

	*ret_new = false;
	if (object->kind == 0 || object->kind > BULLA_OBJECT_PRIVATE || object->id.n == 0 || object->id.n > 32)
		return BULLA_FAIL(BULLA_E_FORMAT, "an object without a proper name");
	if (object_find(e, (uint8_t)object->kind, object->id) != NO_OBJECT)
		return BULLA_OK;
	if (e->object_count >= BULLA_MAX_OBJECTS)
		return BULLA_FAIL(BULLA_E_LIMIT, "as many objects as are kept in memory");
	if (e->object_count == 0 || (e->object_count >= OBJECTS_STEP && is_power_of_two(e->object_count)))
		BULLA_TRY(objects_grow(e));
	place = &e->objects[e->object_count];
	*place = (struct object){.kind = (uint8_t)object->kind, .id_size = (uint8_t)object->id.n};
	bulla_copy(place->id, object->id.p, object->id.n);
	if (maker)
		place->maker = *maker;
	BULLA_TRY(bulla_pool_copy(&e->pool, object->body, &place->body));
	hash = &e->object_hash[hash_of(place->kind, object->id)];
	place->next_hash = *hash;
	*hash = ++e->object_count;
	*ret_new = true;
	return BULLA_OK;
}

/* Journal record of an object: maker (32), then the `object` message. */
bulla_rc object_learn(struct bulla_engine *e, const struct bulla_msg_object *object, const bulla_digest *maker)
{
	static const bulla_digest nobody;
	bulla_wr w = bulla_wr_buf(clear_buf(&e->scratch));
	bulla_bytes body;
	bool is_new;

	if (object->body.n > BULLA_MAX_RECORD)
		return BULLA_FAIL(BULLA_E_LIMIT, "an object larger than a record");
	BULLA_TRY(object_keep(e, object, maker, &is_new));
	if (!is_new)
		return BULLA_OK;
	bulla_wr_digest(&w, maker ? maker : &nobody);
	bulla_msg_object_encode(object, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	BULLA_TRY(book_append(e, NO_REF, BULLA_HOST_OBJECT, 0, 0, body, false));
	/* A full queue is no harm: the journal has it, and replay tells it again. */
	return e->effects.tell(e->effects.ctx, BULLA_ENGINE_PUT_OBJECT, body) == BULLA_E_MEMORY ? BULLA_E_MEMORY
												: BULLA_OK;
}

/* Starters and enclaves bring links and nothing else, each under its own name: what they bring is stored before anybody has
 * looked at signatures, and a manifest or an instance record of theirs would be believed by the next start of the program. */
static bulla_rc is_link(const struct bulla_msg_object *object)
{
	if (object->kind != BULLA_OBJECT_LINK || object->id.n != LINK_ID_BYTES || object->body.n > BULLA_MAX_LINK)
		return BULLA_FAIL(BULLA_E_FORMAT, "an object that is no link");
	return BULLA_OK;
}

static bulla_rc check_link(const struct bulla_msg_object *object)
{
	bulla_digest signer, digest;
	bulla_bytes payload;

	BULLA_TRY(is_link(object));
	BULLA_TRY(bulla_sign1_peek(object->body, BULLA_CONTENT("link"), &signer, &payload));
	bulla_sha256(payload, &digest);
	if (!bulla_bytes_eq(object->id, bulla_bytes_of(digest.b, LINK_ID_BYTES)))
		return BULLA_FAIL(BULLA_E_FORMAT, "a link under another link's name");
	return BULLA_OK;
}

bulla_rc links_learn(struct bulla_engine *e, const struct bulla_pb_list *list, const bulla_digest *maker)
{
	struct bulla_pb_iter iter = bulla_pb_list_begin(list);
	struct bulla_msg_object object;
	bulla_bytes item;

	while (bulla_pb_list_next(&iter, &item)) {
		BULLA_TRY(bulla_msg_object_decode(item, &object));
		BULLA_TRY(check_link(&object));
	}
	for (iter = bulla_pb_list_begin(list); bulla_pb_list_next(&iter, &item);) {
		BULLA_TRY(bulla_msg_object_decode(item, &object));
		BULLA_TRY(object_learn(e, &object, maker));
	}
	return BULLA_OK;
}

/* A wrong name harms the starter's own run alone: nobody else's links are looked for there. */
bulla_rc links_of_start(const struct bulla_pb_list *list)
{
	struct bulla_pb_iter iter = bulla_pb_list_begin(list);
	struct bulla_msg_object object;
	bulla_bytes item;

	if (list->count > BULLA_MAX_START_LINKS)
		return BULLA_FAIL(BULLA_E_LIMIT, "a start with more links than a start may have");
	while (bulla_pb_list_next(&iter, &item)) {
		BULLA_TRY(bulla_msg_object_decode(item, &object));
		BULLA_TRY(is_link(&object));
	}
	return BULLA_OK;
}

bulla_rc instances_learn(struct bulla_engine *e, const struct bulla_pb_list *list)
{
	struct bulla_pb_iter iter = bulla_pb_list_begin(list);
	struct bulla_msg_object object;
	bulla_bytes item;

	while (bulla_pb_list_next(&iter, &item)) {
		BULLA_TRY(bulla_msg_object_decode(item, &object));
		if (object.kind != BULLA_OBJECT_INSTANCE)
			return BULLA_FAIL(BULLA_E_FORMAT, "an object that is no instance record");
		BULLA_TRY(object_learn(e, &object, NULL));
	}
	return BULLA_OK;
}

bulla_rc bulla_engine_recall_object(struct bulla_engine *e, bulla_bytes bytes)
{
	bulla_rd r = bulla_rd_of(bytes);
	struct bulla_msg_object object;
	struct bulla_msg_put_manifest put;
	bulla_digest maker;
	bulla_bytes rest;
	bool is_new;

	BULLA_TRY(bulla_rd_digest(&r, &maker));
	BULLA_TRY(bulla_rd_bytes(&r, bulla_rd_left(&r), &rest));
	BULLA_TRY(bulla_msg_object_decode(rest, &object));
	if (object.kind == BULLA_OBJECT_MANIFEST) {
		bulla_bytes approvals[BULLA_MAX_APPROVERS];

		BULLA_TRY(bulla_msg_put_manifest_decode(object.body, &put));
		BULLA_TRY(bulla_pb_list_items(&put.approvals, BULLA_MAX_APPROVERS, approvals));
		BULLA_TRY(bulla_engine_manifest(e, put.manifest, approvals, put.approvals.count));
	}
	return object_keep(e, &object, &maker, &is_new);
}

/* --- what a connection has carried --- */

bool object_carried(const struct bulla_engine *e, bulla_engine_peer peer, uint32_t object)
{
	const struct peer *p = &e->peers[peer % BULLA_MAX_PEERS];

	return p->carried && (p->carried[object / 64] >> (object % 64) & 1) != 0;
}

void object_mark_carried(struct bulla_engine *e, bulla_engine_peer peer, uint32_t object)
{
	struct peer *p = &e->peers[peer % BULLA_MAX_PEERS];
	void *memory;

	if (!p->carried) {
		if (bulla_alloc(CARRIED_WORDS, sizeof(*p->carried), &memory) != BULLA_OK)
			return; /* then it is sent again */
		p->carried = memory;
	}
	p->carried[object / 64] |= (uint64_t)1 << (object % 64);
}

void parcel_add(const struct bulla_engine *e, struct parcel *parcel, bulla_engine_peer peer, uint32_t object)
{
	if (object == NO_OBJECT || object_carried(e, peer, object) ||
		parcel_size(parcel) >= sizeof(parcel->objects) / sizeof(parcel->objects[0]))
		return;
	for (size_t i = 0; i < parcel->count; i++)
		if (parcel->objects[i] == object)
			return;
	parcel->objects[parcel->count++] = object;
}

void parcel_add_instance(const struct bulla_engine *e, struct parcel *parcel, bulla_engine_peer peer,
	const bulla_digest *kid)
{
	parcel_add(e, parcel, peer, object_find(e, BULLA_OBJECT_INSTANCE, bulla_bytes_digest(kid)));
}

/* The protected header of an envelope, where its readers' links stand; what is no envelope is looked at in front. */
static bulla_bytes header_of(bulla_bytes envelope)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(envelope);
	bulla_bytes header;

	if (bulla_cbor_rd_expect_array(&r, 3) == BULLA_OK && bulla_cbor_rd_bytes(&r, &header) == BULLA_OK)
		return header;
	return bulla_bytes_of(envelope.p, envelope.n < LINK_HINT_BYTES ? envelope.n : LINK_HINT_BYTES);
}

/* Each 16-byte string in the header may be a link id (doc/formats.md section `envelope`). */
uint32_t object_next_link(const struct bulla_engine *e, bulla_bytes envelope, size_t *at)
{
	bulla_bytes header = header_of(envelope);

	while (*at + 1 + LINK_ID_BYTES <= header.n) {
		const uint8_t *p = header.p + (*at)++;
		uint32_t link = NO_OBJECT;

		if (*p == CBOR_LINK_ID)
			link = object_find(e, BULLA_OBJECT_LINK, bulla_bytes_of(p + 1, LINK_ID_BYTES));
		if (link != NO_OBJECT)
			return link;
	}
	return NO_OBJECT;
}

/* Those of this maker that were not carried go along. A client gets what it needs; an enclave may still ask with NEED. */
void parcel_add_links(const struct bulla_engine *e, struct parcel *parcel, bulla_engine_peer peer, bulla_bytes envelope,
	const bulla_digest *maker)
{
	uint32_t link;
	size_t at = 0;

	while ((link = object_next_link(e, envelope, &at)) != NO_OBJECT)
		if (!object_carried(e, peer, link) && bulla_digest_eq(&e->objects[link].maker, maker))
			parcel_add(e, parcel, peer, link);
}

/* --- starters' links: with the run that they came with --- */

static bool start_links(const struct run *run, struct bulla_pb_list *ret)
{
	struct bulla_rec_started started;
	struct bulla_msg_start start;

	if (bulla_rec_started_read(bulla_block_view(run->started), &started) != BULLA_OK ||
		bulla_msg_start_decode(started.start, &start) != BULLA_OK)
		return false;
	*ret = start.objects;
	return true;
}

/* Its place in what the connection has carried; NULL: no memory, then it is sent again. */
static uint8_t *carried_place(struct bulla_engine *e, bulla_engine_peer peer, bulla_bytes id)
{
	struct peer *p = &e->peers[peer % BULLA_MAX_PEERS];
	void *memory;

	if (!p->start_links) {
		if (bulla_alloc(CARRIED_LINKS, LINK_ID_BYTES, &memory) != BULLA_OK)
			return NULL;
		p->start_links = memory;
	}
	return p->start_links[id.p[0] % CARRIED_LINKS];
}

/* False: the parcel is full; what does not fit is asked for. */
static bool parcel_add_link(struct parcel *parcel, bulla_bytes item)
{
	if (parcel->link_count == PARCEL_LINKS || parcel_size(parcel) >= PARCEL_OBJECTS)
		return false;
	parcel->links[parcel->link_count++] = item;
	return true;
}

static bool names(bulla_bytes header, bulla_bytes id)
{
	for (size_t i = 0; i + 1 + LINK_ID_BYTES <= header.n; i++)
		if (header.p[i] == CBOR_LINK_ID && bulla_bytes_eq(bulla_bytes_of(header.p + i + 1, LINK_ID_BYTES), id))
			return true;
	return false;
}

void parcel_add_start_links(struct bulla_engine *e, struct parcel *parcel, bulla_engine_peer peer, const struct run *run,
	bulla_bytes envelope)
{
	bulla_bytes header = header_of(envelope), item;
	struct bulla_msg_object object;
	struct bulla_pb_iter iter;
	struct bulla_pb_list list;

	if (!start_links(run, &list))
		return;
	for (iter = bulla_pb_list_begin(&list); bulla_pb_list_next(&iter, &item);) {
		uint8_t *place;

		if (bulla_msg_object_decode(item, &object) != BULLA_OK || object.id.n != LINK_ID_BYTES || !names(header, object.id))
			continue;
		place = carried_place(e, peer, object.id);
		if (place && bulla_bytes_eq(bulla_bytes_of(place, LINK_ID_BYTES), object.id))
			continue;
		if (parcel_add_link(parcel, item) && place)
			bulla_copy(place, object.id.p, LINK_ID_BYTES);
	}
}

bool parcel_add_start_link(struct parcel *parcel, const struct run *run, bulla_bytes id)
{
	struct bulla_msg_object object;
	struct bulla_pb_iter iter;
	struct bulla_pb_list list;
	bulla_bytes item;

	if (!start_links(run, &list))
		return false;
	for (iter = bulla_pb_list_begin(&list); bulla_pb_list_next(&iter, &item);)
		if (bulla_msg_object_decode(item, &object) == BULLA_OK && bulla_bytes_eq(object.id, id))
			return parcel_add_link(parcel, item);
	return false;
}

bulla_rc parcel_pack(struct bulla_engine *e, const struct parcel *parcel, bulla_engine_peer peer,
	struct bulla_block **ret_memory, bulla_bytes *ret_items)
{
	size_t size = 0, at = 0;
	struct bulla_block *memory;

	*ret_memory = NULL;
	for (size_t i = 0; i < parcel->link_count; i++)
		ret_items[parcel->count + i] = parcel->links[i];
	if (parcel->count == 0)
		return BULLA_OK;
	for (size_t i = 0; i < parcel->count; i++)
		size += e->objects[parcel->objects[i]].body->size + 64;
	BULLA_TRY(bulla_pool_take(&e->pool, size, &memory));
	for (size_t i = 0; i < parcel->count; i++) {
		const struct object *object = &e->objects[parcel->objects[i]];
		struct bulla_msg_object message = {
			.kind = object->kind, .id = id_view(object), .body = bulla_block_view(object->body)};
		bulla_wr w = bulla_wr_fixed(memory->data + at, size - at);

		bulla_msg_object_encode(&message, &w);
		if (bulla_wr_end(&w, &ret_items[i]) != BULLA_OK) {
			bulla_pool_give(&e->pool, memory);
			return BULLA_E_LIMIT;
		}
		at += ret_items[i].n;
		object_mark_carried(e, peer, parcel->objects[i]);
	}
	*ret_memory = memory;
	return BULLA_OK;
}
