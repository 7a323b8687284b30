#include "cmd/owner.h"

#include "base/mem.h"
#include "cmd/names.h"
#include "crypto/hash.h"
#include "crypto/mac.h"
#include "crypto/random.h"
#include "flow/plan.h"
#include "io/sys.h"
#include "judge/birth.h"
#include "seal/start_secret.h"
#include "wire/json.h"
#include "wire/kinds.h"

#include <string.h>

#define LINKS_MAX BULLA_MAX_START_LINKS
#define PARTS_MAX 256
#define ENVELOPES_MAX ((size_t)48 << 20)

/* A start whose signature comes with others'. */
struct held {
	struct bulla_buf payload, envelopes;
	size_t sizes[PARTS_MAX];
	size_t count;
};

/* What starts of one workflow share, and one start in the making. */
struct owner_starter {
	struct context *context;
	const struct bulla_workflow *workflow;
	const struct bulla_msg_keys_reply *keys;
	struct bulla_flow flow;
	const struct bulla_kem *kem;
	struct bulla_day_key day;
	bulla_secret instance;
	struct bulla_start_sealer sealer; /* of the run secrets; size 0: none yet */
	int64_t sealer_ms;
	/* one link per reader that is used */
	struct bulla_link links[LINKS_MAX];
	uint16_t link_actor[LINKS_MAX];
	uint8_t link_ids[LINKS_MAX * BULLA_LINK_ID_BYTES];
	size_t link_count;
	struct bulla_buf link_bytes;
	bulla_bytes link_objects[LINKS_MAX];
	/* one start */
	bulla_json input;
	struct bulla_start start;
	bulla_secret run_secret, salt;
	struct bulla_buf envelope_bytes;
	bulla_bytes envelopes[PARTS_MAX];
	uint8_t pairs[PARTS_MAX * BULLA_PAIR_BYTES];
	size_t envelope_count;
	struct bulla_buf scratch, secret, payload, record;
	/* starts to be signed together */
	struct held *held;
	size_t held_count;
	struct bulla_batch *batch;
};

static bulla_rc find_birth(struct owner_starter *s, const bulla_handle *agent, struct bulla_birth *ret)
{
	struct bulla_pb_iter births = bulla_pb_list_begin(&s->keys->births);
	bulla_bytes record, item;

	while (bulla_pb_list_next(&births, &record)) {
		struct bulla_pb_iter instances = bulla_pb_list_begin(&s->keys->instances);

		if (bulla_birth_peek(record, ret) != BULLA_OK || !bulla_handle_eq(&ret->agent, agent) ||
			!bulla_digest_eq(&ret->manifest, &s->context->manifest.digest))
			continue;
		while (bulla_pb_list_next(&instances, &item)) {
			struct bulla_msg_object object;

			BULLA_TRY(bulla_msg_decode(&bulla_msg_object_desc, item, &object));
			if (object.kind == BULLA_OBJECT_INSTANCE && bulla_bytes_eq(object.id, bulla_bytes_digest(&ret->signer)))
				return bulla_judge_birth(&s->context->manifest, record, object.body, NULL, ret);
		}
	}
	return BULLA_FAIL(BULLA_E_BIRTH_MISSING, "the first agent's key is not born yet");
}

static bulla_rc recipient(struct owner_starter *s, const struct bulla_flow_actor *actor, struct bulla_link_spec *ret)
{
	const struct bulla_manifest *manifest = &s->context->manifest;
	const struct bulla_party *party;
	struct bulla_birth birth;

	ret->kem = s->kem;
	ret->epoch = manifest->epoch;
	ret->manifest = manifest->digest;
	bulla_copy(ret->recipient.b, actor->handle, sizeof(ret->recipient.b));
	if (actor->kind == BULLA_FLOW_AGENT) {
		BULLA_TRY(find_birth(s, &ret->recipient, &birth));
		ret->to = BULLA_TO_AGENT;
		ret->public_key = birth.public_key;
		return BULLA_OK;
	}
	party = bulla_manifest_party(manifest, &ret->recipient);
	if (party == NULL)
		return BULLA_FAIL(BULLA_E_PARTY, "the plan names a party that the manifest does not");
	ret->to = BULLA_TO_PARTY;
	ret->public_key = party->hpke;
	return BULLA_OK;
}

/* The object message around a link, kept in link_bytes (which never moves). */
static bulla_rc keep_object(struct owner_starter *s, const struct bulla_link *link, bulla_bytes body)
{
	const struct bulla_msg_object object = {.kind = BULLA_OBJECT_LINK, .id = BULLA_BYTES_ARRAY(link->id.b), .body = body};
	bulla_wr w = bulla_wr_buf(&s->link_bytes);

	bulla_msg_encode(&bulla_msg_object_desc, &object, &w);
	BULLA_TRY(bulla_wr_end(&w, &s->link_objects[s->link_count]));
	bulla_copy(s->link_ids + s->link_count * BULLA_LINK_ID_BYTES, link->id.b, BULLA_LINK_ID_BYTES);
	return BULLA_OK;
}

static bulla_rc link_to(struct owner_starter *s, uint16_t actor, const struct bulla_link **ret)
{
	struct bulla_link_spec spec = {.kem = s->kem};

	for (size_t i = 0; i < s->link_count; i++)
		if (s->link_actor[i] == actor) {
			*ret = &s->links[i];
			return BULLA_OK;
		}
	if (s->link_count == LINKS_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "the input has too many readers");
	BULLA_TRY(recipient(s, &s->flow.actors[actor], &spec));
	bulla_buf_clear(&s->scratch);
	BULLA_TRY(bulla_link_make(&spec, s->context->key.sign, bulla_random_os(), &s->scratch, &s->links[s->link_count]));
	s->link_actor[s->link_count] = actor;
	BULLA_TRY(keep_object(s, &s->links[s->link_count], bulla_buf_view(&s->scratch)));
	*ret = &s->links[s->link_count++];
	return BULLA_OK;
}

static bulla_rc part_readers(struct owner_starter *s, const struct bulla_flow_part *part, struct bulla_envelope_reader *ret)
{
	for (uint32_t i = 0; i < part->readers.count; i++) {
		uint16_t actor = s->flow.readers[part->readers.first + i];
		const struct bulla_link *link = NULL;
		bool agent = s->flow.actors[actor].kind == BULLA_FLOW_AGENT;
		bool covered = bulla_envelope_is_covered(true, agent ? BULLA_TO_AGENT : BULLA_TO_PARTY, true, BULLA_ENVELOPE_INPUT);

		BULLA_TRY(link_to(s, actor, &link));
		ret[i] = (struct bulla_envelope_reader){link->id, link->secret, covered ? s->run_secret : BULLA_SECRET_NONE};
	}
	return BULLA_OK;
}

static void keep_pair(struct owner_starter *s, const bulla_digest *digest, const bulla_digest *commitment)
{
	uint8_t *pair = s->pairs + s->envelope_count * BULLA_PAIR_BYTES;

	bulla_copy(pair, digest->b, sizeof(digest->b));
	bulla_copy(pair + sizeof(digest->b), commitment->b, sizeof(commitment->b));
	s->envelope_count++;
}

static bulla_rc seal_part(struct owner_starter *s, const struct bulla_flow_part *part)
{
	struct bulla_envelope_reader readers[BULLA_MAX_READERS];
	uint8_t path[BULLA_PATH_MAX];
	bulla_digest digest, commitment;
	size_t before = s->envelope_bytes.n;
	BULLA_AUTO_SECRET salt = BULLA_SECRET_NONE;
	bulla_json value;

	if (s->envelope_count == PARTS_MAX || part->readers.count > BULLA_MAX_READERS)
		return BULLA_FAIL(BULLA_E_LIMIT, "the input has too many parts or readers");
	if (bulla_json_select(s->input, s->flow.names + part->path.first, part->path.count, &value) != BULLA_OK)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "the input has not the field that a step reads");
	BULLA_TRY(part_readers(s, part, readers));
	struct bulla_envelope_spec spec = {
		.position = {.slot = {s->start.tenant, s->start.workflow, s->start.run, 0, 0}, .attempt = 1},
		.kind = BULLA_ENVELOPE_INPUT,
		.producer = s->start.party,
		.padding = {s->context->manifest.padding, s->context->manifest.padding_size},
		.instance = s->instance,
		.random = bulla_random_os(),
		.readers = readers,
		.reader_count = part->readers.count,
	};
	BULLA_TRY(bulla_path_write(s->flow.names + part->path.first, part->path.count, BULLA_PATH_NO_INDEX, path, &spec.path));
	BULLA_TRY(bulla_envelope_part_salt(s->salt, spec.path, &salt));
	spec.salt = salt;
	BULLA_TRY(bulla_envelope_seal(&spec, value.raw, &s->envelope_bytes, &digest, &commitment));
	s->envelopes[s->envelope_count] = bulla_bytes_of(s->envelope_bytes.p + before, s->envelope_bytes.n - before);
	keep_pair(s, &digest, &commitment);
	return BULLA_OK;
}

static bulla_rc open_day_key(struct owner_starter *s, struct bulla_day_key *ret)
{
	int64_t now = bulla_wall_ms(bulla_sys_clock());
	BULLA_AUTO_VERIFY_KEY ledger = NULL;

	BULLA_TRY(bulla_verify_key_spki(s->context->manifest.ledger_spki, &ledger));
	BULLA_TRY(bulla_day_key_open(s->keys->day_key, ledger, ret));
	if (now < (int64_t)ret->begins_ms - 60000 || now > (int64_t)ret->ends_ms)
		return BULLA_FAIL(BULLA_E_CLOCK, "the broker's day key is not of today: one of the clocks is wrong");
	return BULLA_OK;
}

static bulla_rc make_run_id(struct owner_starter *s, const char *id)
{
	uint8_t random[10];

	if (id != NULL) {
		bulla_run_id_named(s->context->name_key, bulla_bytes_str(id), &s->start.run);
		return BULLA_OK;
	}
	BULLA_TRY(bulla_random_fill(bulla_random_os(), random, sizeof(random)));
	s->start.run = bulla_run_id_make(s->start.time_ms, random);
	return BULLA_OK;
}

static bulla_rc begin(struct owner_starter *s, const char *id)
{
	s->envelope_count = 0;
	bulla_buf_clear(&s->envelope_bytes);
	bulla_secret_free(&s->run_secret);
	bulla_secret_free(&s->salt);
	BULLA_TRY(bulla_random_secret(bulla_random_os(), 32, &s->run_secret));
	BULLA_TRY(bulla_random_secret(bulla_random_os(), 32, &s->salt));
	BULLA_TRY(bulla_buf_reserve(&s->envelope_bytes, s->input.raw.n * 2 + 65536 * (s->flow.steps[0].parts.count + 1)));
	s->start = (struct bulla_start){
		.tenant = s->context->manifest.tenant,
		.workflow = s->workflow->digest,
		.manifest = s->context->manifest.digest,
		.party = *bulla_sign_key_kid(s->context->key.sign),
		.time_ms = (uint64_t)bulla_wall_ms(bulla_sys_clock()),
	};
	bulla_sha256(s->day.public_key, &s->start.day_key);
	return make_run_id(s, id);
}

/* The views in `envelopes` point into one buffer: it was given room for all, but check that it did not have to move. */
static bulla_rc seal_all(struct owner_starter *s)
{
	const struct bulla_flow_span *parts = &s->flow.steps[0].parts;
	const uint8_t *before = s->envelope_bytes.p;

	for (uint32_t i = 0; i < parts->count; i++)
		BULLA_TRY(seal_part(s, &s->flow.parts[parts->first + i]));
	size_t at = 0;
	for (size_t i = 0; i < s->envelope_count && before != s->envelope_bytes.p; i++) {
		s->envelopes[i].p = s->envelope_bytes.p + at;
		at += s->envelopes[i].n;
	}
	s->start.inputs = bulla_bytes_of(s->pairs, s->envelope_count * BULLA_PAIR_BYTES);
	s->start.links = bulla_bytes_of(s->link_ids, s->link_count * BULLA_LINK_ID_BYTES);
	return BULLA_OK;
}

static bulla_rc need_sealer(struct owner_starter *s)
{
	int64_t now = bulla_wall_ms(bulla_sys_clock());

	if (s->sealer.size != 0 && now >= s->sealer_ms && now - s->sealer_ms < BULLA_START_SEALER_MS)
		return BULLA_OK;
	bulla_start_sealer_done(&s->sealer);
	BULLA_TRY(bulla_start_sealer_new(&s->start, s->kem, s->day.public_key, bulla_random_os(), &s->sealer));
	s->sealer_ms = now;
	return BULLA_OK;
}

/* The payload that is signed, in s->payload. */
static bulla_rc write_payload(struct owner_starter *s, bulla_bytes *ret)
{
	bulla_wr w;

	bulla_buf_clear(&s->secret);
	bulla_buf_clear(&s->payload);
	BULLA_TRY(need_sealer(s));
	BULLA_TRY(bulla_start_secret_seal(&s->start, &s->sealer, s->run_secret, &s->secret));
	s->start.secret = bulla_buf_view(&s->secret);
	w = bulla_wr_buf(&s->payload);
	BULLA_TRY(bulla_start_write(&w, &s->start));
	return bulla_wr_end(&w, ret);
}

static bulla_rc write_message(struct owner_starter *s, bulla_bytes payload, const struct bulla_auth *auth, bool follow,
	struct bulla_buf *ret)
{
	bulla_bytes ignored;
	bulla_wr w;

	bulla_buf_clear(&s->record);
	w = bulla_wr_buf(&s->record);
	bulla_start_record_write(&w, payload, auth);
	BULLA_TRY(bulla_wr_end(&w, &ignored));
	const struct bulla_msg_start message = {
		.record = bulla_buf_view(&s->record),
		.envelopes = bulla_pb_list_of(s->envelopes, s->envelope_count),
		.objects = bulla_pb_list_of(s->link_objects, s->link_count),
		.follow = follow,
	};
	w = bulla_wr_buf(ret);
	bulla_msg_encode(&bulla_msg_start_desc, &message, &w);
	BULLA_TRY(bulla_wr_end(&w, &ignored));
	if (ignored.n > BULLA_MAX_RECORD)
		return BULLA_FAIL(BULLA_E_LIMIT, "the input, sealed piece by piece for its readers, is more than a start holds");
	return BULLA_OK;
}

struct owner_starter *owner_starter_free(struct owner_starter *s)
{
	if (s == NULL)
		return NULL;
	for (size_t i = 0; i < s->link_count; i++)
		bulla_link_done(&s->links[i]);
	bulla_secret_free(&s->run_secret);
	bulla_secret_free(&s->salt);
	bulla_secret_free(&s->instance);
	bulla_start_sealer_done(&s->sealer);
	bulla_buf_done(&s->link_bytes);
	bulla_buf_done(&s->envelope_bytes);
	bulla_buf_done(&s->scratch);
	bulla_buf_done(&s->secret);
	bulla_buf_done(&s->payload);
	bulla_buf_done(&s->record);
	for (size_t i = 0; s->held != NULL && i < OWNER_STARTS_HELD; i++) {
		bulla_buf_done(&s->held[i].payload);
		bulla_buf_done(&s->held[i].envelopes);
	}
	bulla_free(s->held);
	bulla_batch_free(s->batch);
	bulla_free(s);
	return NULL;
}

static bulla_rc prepare(struct owner_starter *s)
{
	BULLA_TRY(owner_plan(s->context, s->workflow, &s->flow));
	BULLA_TRY(bulla_kem_of_suite(s->context->manifest.suite, &s->kem));
	BULLA_TRY(open_day_key(s, &s->day));
	BULLA_TRY(bulla_random_secret(bulla_random_os(), 32, &s->instance));
	return bulla_buf_reserve(&s->link_bytes, (size_t)LINKS_MAX * (BULLA_LINK_MAX + 64));
}

bulla_rc owner_starter_new(struct context *context, const struct bulla_workflow *workflow,
	const struct bulla_msg_keys_reply *keys, struct owner_starter **ret)
{
	void *memory = NULL;
	bulla_rc rc;

	BULLA_TRY(bulla_alloc(1, sizeof(struct owner_starter), &memory));
	struct owner_starter *s = memory;
	s->context = context;
	s->workflow = workflow;
	s->keys = keys;
	bulla_buf_init(&s->link_bytes, (size_t)LINKS_MAX * (BULLA_LINK_MAX + 64));
	bulla_buf_init(&s->envelope_bytes, ENVELOPES_MAX);
	bulla_buf_init(&s->scratch, BULLA_LINK_MAX);
	bulla_buf_init(&s->secret, BULLA_SEALED_SECRET_MAX);
	bulla_buf_init(&s->payload, 1 << 20);
	bulla_buf_init(&s->record, 2 << 20);
	rc = prepare(s);
	if (rc != BULLA_OK) {
		owner_starter_free(s);
		return rc;
	}
	*ret = s;
	return BULLA_OK;
}

/* A fresh start in the making: *ret_payload is what has to be signed. */
static bulla_rc make(struct owner_starter *s, bulla_bytes input, const char *id, bulla_bytes *ret_payload)
{
	BULLA_TRY(bulla_json_parse(input, &s->input));
	BULLA_TRY(begin(s, id));
	BULLA_TRY(seal_all(s));
	return write_payload(s, ret_payload);
}

bulla_rc owner_starter_make(struct owner_starter *starter, bulla_bytes input, const char *id, bool follow,
	struct bulla_buf *ret, bulla_run_id *ret_run)
{
	struct bulla_auth auth;
	bulla_bytes payload;

	BULLA_TRY(make(starter, input, id, &payload));
	BULLA_TRY(bulla_auth_sign(starter->context->key.sign, BULLA_SIGNED_START, payload, &auth));
	BULLA_TRY(write_message(starter, payload, &auth, follow, ret));
	*ret_run = starter->start.run;
	return BULLA_OK;
}

/* --- many starts under one signature --- */

static bulla_rc need_held(struct owner_starter *s)
{
	void *memory = NULL;

	if (s->held == NULL) {
		BULLA_TRY(bulla_alloc(OWNER_STARTS_HELD, sizeof(struct held), &memory));
		s->held = memory;
		for (size_t i = 0; i < OWNER_STARTS_HELD; i++) {
			bulla_buf_init(&s->held[i].payload, 1 << 20);
			bulla_buf_init(&s->held[i].envelopes, ENVELOPES_MAX);
		}
	}
	return s->batch != NULL ? BULLA_OK : bulla_batch_new(OWNER_STARTS_HELD, &s->batch);
}

bulla_rc owner_starter_hold(struct owner_starter *starter, bulla_bytes input, const char *id, bulla_run_id *ret_run)
{
	struct held *held;
	bulla_bytes payload;

	BULLA_TRY(need_held(starter));
	if (starter->held_count == OWNER_STARTS_HELD)
		return BULLA_FAIL(BULLA_E_LIMIT, "so many starts are not signed together");
	held = &starter->held[starter->held_count];
	BULLA_TRY(make(starter, input, id, &payload));
	bulla_buf_clear(&held->payload);
	bulla_buf_clear(&held->envelopes);
	BULLA_TRY(bulla_buf_append(&held->payload, payload));
	held->count = starter->envelope_count;
	for (size_t i = 0; i < held->count; i++) {
		held->sizes[i] = starter->envelopes[i].n;
		BULLA_TRY(bulla_buf_append(&held->envelopes, starter->envelopes[i]));
	}
	starter->held_count++;
	*ret_run = starter->start.run;
	return BULLA_OK;
}

bulla_rc owner_starter_sign(struct owner_starter *starter)
{
	bulla_digest digest;
	uint32_t index;

	bulla_batch_clear(starter->batch);
	for (size_t i = 0; i < starter->held_count; i++) {
		bulla_sha256(bulla_buf_view(&starter->held[i].payload), &digest);
		BULLA_TRY(bulla_batch_add(starter->batch, &digest, &index));
	}
	return bulla_batch_sign(starter->batch, starter->context->key.sign, BULLA_SIGNED_STARTS);
}

bulla_rc owner_starter_held(struct owner_starter *starter, size_t index, bool follow, struct bulla_buf *ret)
{
	const struct held *held = &starter->held[index];
	struct bulla_auth auth;
	size_t at = 0;

	BULLA_TRY(bulla_batch_auth(starter->batch, (uint32_t)index, &auth));
	for (size_t i = 0; i < held->count; at += held->sizes[i++])
		starter->envelopes[i] = bulla_bytes_of(held->envelopes.p + at, held->sizes[i]);
	starter->envelope_count = held->count;
	return write_message(starter, bulla_buf_view(&held->payload), &auth, follow, ret);
}

void owner_starter_release(struct owner_starter *starter)
{
	starter->held_count = 0;
}
