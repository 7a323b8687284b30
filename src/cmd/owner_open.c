#include "cmd/owner.h"

#include "base/mem.h"
#include "cmd/names.h"
#include "judge/judge.h"
#include "receipt/receipt.h"
#include "receipt/token.h"
#include "wire/kinds.h"

#define SENDERS_MAX 32
#define LINKS_MAX 128
#define ROOTS_MAX 8

/* An instance whose evidence held: its receipt key. */
struct sender {
	bulla_digest kid;
	struct bulla_verify_key *key;
};

/* What a signature that was checked is of: a receipt, or the batch that many of one turn share. */
struct root {
	bulla_digest kid, root;
	uint8_t signature[BULLA_AUTH_SIGNATURE_BYTES];
	bool batched;
};

struct roots {
	struct root list[ROOTS_MAX];
	size_t next;
};

/* What openings of one run's or workflow's results share. */
struct owner_opener {
	struct context *context;
	struct bulla_flow flow;
	struct owner_expected expected;
	bulla_handle me;
	const struct bulla_kem *kem;
	struct bulla_verify_key *ledger;
	struct sender senders[SENDERS_MAX];
	size_t sender_count;
	struct bulla_link links[LINKS_MAX]; /* to me, accepted */
	size_t link_count;
	struct roots receipts, tokens;
	/* one opening */
	const struct bulla_pb_list *objects;
	struct bulla_receipt_record record;
	struct bulla_verify_key *sender;
	struct bulla_buf memory;
};

bulla_rc owner_plan(struct context *context, const struct bulla_workflow *workflow, struct bulla_flow *ret)
{
	void *memory = NULL;
	size_t size;

	BULLA_TRY(bulla_flow_measure(workflow->plan, &size));
	BULLA_TRY(arena_alloc(&context->arena, size, &memory));
	return bulla_flow_decode(workflow->plan, memory, size, ret);
}

static bulla_rc find_object(const struct bulla_pb_list *objects, uint64_t kind, bulla_bytes id, bulla_bytes *ret)
{
	struct bulla_pb_iter iter = bulla_pb_list_begin(objects);
	struct bulla_msg_object object;
	bulla_bytes item;

	while (bulla_pb_list_next(&iter, &item)) {
		BULLA_TRY(bulla_msg_decode(&bulla_msg_object_desc, item, &object));
		if (object.kind == kind && bulla_bytes_eq(object.id, id)) {
			*ret = object.body;
			return BULLA_OK;
		}
	}
	return BULLA_FAIL(BULLA_E_NOT_FOUND, "the engine did not send what is needed to open this");
}

/* An instance that is new here: its evidence must hold under the manifest. */
static bulla_rc add_sender(struct owner_opener *o, const bulla_digest *kid)
{
	struct bulla_instance instance;
	bulla_digest signer;
	bulla_bytes body;

	if (o->sender_count == SENDERS_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "too many instances took part");
	BULLA_TRY(find_object(o->objects, BULLA_OBJECT_INSTANCE, bulla_bytes_digest(kid), &body));
	BULLA_TRY(bulla_instance_decode(body, &instance));
	bulla_instance_kid(&instance, &signer);
	if (!bulla_digest_eq(&signer, kid))
		return BULLA_FAIL(BULLA_E_SIGNATURE, "the receipt was signed by another instance");
	const struct bulla_judge_time own = {.now_ms = (int64_t)instance.time_ms, .online = false};
	BULLA_TRY(bulla_judge_instance(&o->context->manifest, &instance, own, NULL, NULL));
	struct sender *sender = &o->senders[o->sender_count];
	BULLA_TRY(bulla_verify_key_spki(instance.receipt_key, &sender->key));
	sender->kid = *kid;
	o->sender_count++;
	return BULLA_OK;
}

static bulla_rc find_sender(struct owner_opener *o, const bulla_digest *kid)
{
	for (;;) {
		for (size_t i = 0; i < o->sender_count; i++)
			if (bulla_digest_eq(&o->senders[i].kid, kid)) {
				o->sender = o->senders[i].key;
				return BULLA_OK;
			}
		BULLA_TRY(add_sender(o, kid));
	}
}

/* Checks an auth; a signature is checked once. */
static bulla_rc check_auth(struct roots *roots, const struct bulla_auth *auth, struct bulla_verify_key *key,
	enum bulla_signed single, bulla_bytes payload, const bulla_digest *digest)
{
	struct root *slot = &roots->list[roots->next % ROOTS_MAX];
	bulla_digest root = *digest;

	if (auth->batched)
		BULLA_TRY(bulla_auth_root(auth, digest, &root));
	for (size_t i = 0; i < ROOTS_MAX; i++)
		if (roots->list[i].batched == auth->batched && bulla_digest_eq(&roots->list[i].root, &root) &&
			bulla_digest_eq(&roots->list[i].kid, bulla_verify_key_kid(key)) &&
			bulla_bytes_eq(BULLA_BYTES_ARRAY(roots->list[i].signature), BULLA_BYTES_ARRAY(auth->signature)))
			return BULLA_OK;
	BULLA_TRY(auth->batched ? bulla_batch_verify(key, (enum bulla_signed)(single + 1), &root, auth->signature)
		: bulla_auth_verify(auth, key, single, payload));
	slot->root = root;
	slot->batched = auth->batched;
	slot->kid = *bulla_verify_key_kid(key);
	bulla_copy(slot->signature, auth->signature, sizeof(slot->signature));
	roots->next++;
	return BULLA_OK;
}

static bool path_is(const struct bulla_flow *flow, const struct bulla_flow_part *part, const struct owner_wish *wish)
{
	if (part->path.count != wish->path_count)
		return false;
	for (size_t i = 0; i < wish->path_count; i++)
		if (!bulla_bytes_eq(flow->names[part->path.first + i], wish->path[i]))
			return false;
	return true;
}

/* Which of the receipt's pairs is the wished one: parts stand in the plan's order, or a failure alone. */
static bulla_rc find_pair(const struct owner_opener *o, const struct owner_wish *wish, struct bulla_pair *ret)
{
	bool failed = BULLA_OUTCOME_IS_FAILURE(o->record.receipt.outcome);
	uint32_t step = o->record.receipt.position.slot.step;

	if (step >= o->flow.step_count)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "the plan has no such step");
	const struct bulla_flow_span *parts = &o->flow.steps[step].parts;
	if (failed != (wish->kind == BULLA_ENVELOPE_FAILURE))
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "the step did not end in such an output");
	if (failed)
		return bulla_pairs_get(o->record.outputs, 0, ret);
	for (uint32_t i = 0; i < parts->count; i++)
		if (path_is(&o->flow, &o->flow.parts[parts->first + i], wish))
			return bulla_pairs_get(o->record.outputs, i, ret);
	return BULLA_FAIL(BULLA_E_NOT_FOUND, "nobody but its reader may see that part: it is not sealed on its own");
}

static bulla_rc find_envelope(const struct bulla_pb_list *envelopes, const struct bulla_pair *pair,
	struct bulla_envelope *ret)
{
	struct bulla_pb_iter iter = bulla_pb_list_begin(envelopes);
	bulla_bytes item;

	while (bulla_pb_list_next(&iter, &item)) {
		BULLA_TRY(bulla_envelope_parse(item, ret));
		if (bulla_digest_eq(&ret->digest, &pair->envelope))
			return BULLA_OK;
	}
	return BULLA_FAIL(BULLA_E_NOT_FOUND, "the engine did not send the envelope that the receipt names");
}

/* A log is not among what the receipt signs (it may come late): it is found by the attempt that wrote it; that nobody but
 * that instance made it, the link shows. */
static bulla_rc find_log(const struct owner_opener *o, const struct bulla_pb_list *envelopes, struct bulla_envelope *ret)
{
	struct bulla_pb_iter iter = bulla_pb_list_begin(envelopes);
	bulla_bytes item;

	while (bulla_pb_list_next(&iter, &item)) {
		BULLA_TRY(bulla_envelope_parse(item, ret));
		if (ret->kind == BULLA_ENVELOPE_LOG && bulla_position_eq(&ret->position, &o->record.receipt.position))
			return BULLA_OK;
	}
	return BULLA_FAIL(BULLA_E_NOT_FOUND, "the step wrote no log");
}

static bulla_rc accept_link(struct owner_opener *o, const bulla_link_id *id)
{
	struct bulla_link_body body;
	bulla_link_id found;
	bulla_bytes bytes;

	if (find_object(o->objects, BULLA_OBJECT_LINK, BULLA_BYTES_ARRAY(id->b), &bytes) != BULLA_OK)
		return BULLA_E_NOT_FOUND;
	BULLA_TRY(bulla_link_peek(bytes, &body, &found));
	if (body.to != BULLA_TO_PARTY || !bulla_handle_eq(&body.recipient, &o->me))
		return BULLA_E_NOT_ADDRESSED;
	if (o->link_count == LINKS_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "too many links lead here");
	const struct bulla_link_expected expected = {
		.sender = o->record.receipt.kid,
		.to = BULLA_TO_PARTY,
		.recipient = o->me,
		.manifest = o->context->manifest.digest,
		.epoch = o->context->manifest.epoch,
		.epoch_open = true,
	};
	BULLA_TRY(bulla_link_accept(bytes, &expected, o->sender, o->kem, o->context->key.receive, &o->links[o->link_count]));
	o->link_count++;
	return BULLA_OK;
}

/* For bulla_envelope_open: a link of the sender to me, accepted when it is first asked for. */
static bulla_rc on_find_link(void *ctx, const bulla_link_id *id, const struct bulla_link **ret)
{
	struct owner_opener *o = ctx;

	for (;;) {
		for (size_t i = 0; i < o->link_count; i++)
			if (bulla_link_id_eq(&o->links[i].id, id)) {
				*ret = &o->links[i];
				return BULLA_OK;
			}
		BULLA_TRY(accept_link(o, id));
	}
}

static bulla_rc open_part(struct owner_opener *o, const struct bulla_pb_list *envelopes, const struct owner_wish *wish,
	struct bulla_buf *ret)
{
	const struct bulla_envelope_keys keys = {.ctx = o, .find = on_find_link};
	struct bulla_envelope envelope;
	struct bulla_opened opened;
	struct bulla_pair pair;
	uint8_t path[BULLA_PATH_MAX];

	if (wish->kind == BULLA_ENVELOPE_LOG) {
		BULLA_TRY(find_log(o, envelopes, &envelope));
	} else {
		BULLA_TRY(find_pair(o, wish, &pair));
		BULLA_TRY(find_envelope(envelopes, &pair, &envelope));
	}
	struct bulla_envelope_expected expected = {
		.position = o->record.receipt.position, .kind = wish->kind, .producer = o->record.receipt.kid};
	BULLA_TRY(bulla_path_write(wish->path, wish->path_count, BULLA_PATH_NO_INDEX, path, &expected.path));
	bulla_buf_clear(&o->memory);
	BULLA_TRY(bulla_envelope_open(&envelope, &expected, &keys, &o->memory, &opened));
	bulla_secret_free(&opened.salt);
	return bulla_buf_append(ret, opened.payload);
}

bulla_rc owner_receipt_check(const struct owner_expected *expected, const struct bulla_flow *flow, bool result,
	const struct bulla_receipt *receipt)
{
	struct bulla_position position = receipt->position;

	position.slot.tenant = expected->slot.tenant;
	position.slot.workflow = expected->slot.workflow;
	if (!expected->any_run)
		position.slot.run = expected->slot.run;
	BULLA_TRY(bulla_position_check(&position, &receipt->position));
	if (!bulla_digest_eq(&receipt->manifest, &expected->manifest))
		return BULLA_FAIL(BULLA_E_EPOCH_OLD, "the receipt is of another manifest");
	for (uint32_t i = receipt->position.slot.step + 1; result && i < flow->forward_count; i++)
		if (flow->steps[i].kind != BULLA_FLOW_CLOCK && flow->steps[i].conditions.count == 0)
			return BULLA_FAIL(BULLA_E_POSITION_STEP, "the receipt is of a step that others follow");
	return BULLA_OK;
}

bulla_rc owner_opener_receipt(struct owner_opener *o, bulla_bytes receipt_record, const struct bulla_pb_list *objects, bool result)
{
	o->objects = objects;
	BULLA_TRY(bulla_receipt_record_decode(receipt_record, &o->record));
	BULLA_TRY(owner_receipt_check(&o->expected, &o->flow, result, &o->record.receipt));
	BULLA_TRY(find_sender(o, &o->record.receipt.kid));
	return check_auth(&o->receipts, &o->record.auth, o->sender, BULLA_SIGNED_RECEIPT, o->record.payload, &o->record.digest);
}

bulla_rc owner_opener_open(struct owner_opener *o, bulla_bytes receipt_record, const struct bulla_pb_list *envelopes,
	const struct bulla_pb_list *objects, const struct owner_wish *wish, struct bulla_buf *ret)
{
	BULLA_TRY(owner_opener_receipt(o, receipt_record, objects, wish->result));
	return open_part(o, envelopes, wish, ret);
}

bulla_rc owner_opener_token(struct owner_opener *o, bulla_bytes token, bulla_bytes receipt_record)
{
	struct bulla_receipt_record receipt;
	struct bulla_token_record record;

	BULLA_TRY(bulla_receipt_record_decode(receipt_record, &receipt));
	BULLA_TRY(owner_receipt_check(&o->expected, &o->flow, false, &receipt.receipt));
	BULLA_TRY(bulla_token_record_decode(token, &record));
	BULLA_TRY(check_auth(&o->tokens, &record.auth, o->ledger, BULLA_SIGNED_TOKEN, record.payload, &record.digest));
	if (!bulla_slot_eq(&record.token.slot, &receipt.receipt.position.slot) ||
		!bulla_digest_eq(&record.token.receipt, &receipt.digest))
		return BULLA_FAIL(BULLA_E_PARENT, "the ledger's token is for another receipt");
	return BULLA_OK;
}

struct owner_opener *owner_opener_free(struct owner_opener *o)
{
	if (o == NULL)
		return NULL;
	for (size_t i = 0; i < o->link_count; i++)
		bulla_link_done(&o->links[i]);
	for (size_t i = 0; i < o->sender_count; i++)
		bulla_verify_key_free(o->senders[i].key);
	bulla_verify_key_free(o->ledger);
	bulla_buf_done(&o->memory);
	bulla_free(o);
	return NULL;
}

static bulla_rc prepare(struct owner_opener *o, const struct bulla_workflow *workflow, const bulla_run_id *run)
{
	const struct bulla_manifest *manifest = &o->context->manifest;
	const struct bulla_party *me = bulla_manifest_party_kid(manifest, bulla_sign_key_kid(o->context->key.sign));

	if (me == NULL)
		return BULLA_FAIL(BULLA_E_NO_RIGHT, "this key is no party of the manifest");
	o->me = me->handle;
	o->expected = (struct owner_expected){.slot = {.tenant = manifest->tenant, .workflow = workflow->digest},
		.manifest = manifest->digest, .any_run = run == NULL};
	if (run != NULL)
		o->expected.slot.run = *run;
	BULLA_TRY(bulla_kem_of_suite(manifest->suite, &o->kem));
	BULLA_TRY(bulla_verify_key_spki(manifest->ledger_spki, &o->ledger));
	return owner_plan(o->context, workflow, &o->flow);
}

bulla_rc owner_opener_new(struct context *context, const struct bulla_workflow *workflow, const bulla_run_id *run,
	struct owner_opener **ret)
{
	void *memory = NULL;
	bulla_rc rc;

	BULLA_TRY(bulla_alloc(1, sizeof(struct owner_opener), &memory));
	struct owner_opener *o = memory;
	o->context = context;
	bulla_buf_init(&o->memory, BULLA_ENVELOPE_MAX);
	rc = prepare(o, workflow, run);
	if (rc != BULLA_OK) {
		owner_opener_free(o);
		return rc;
	}
	*ret = o;
	return BULLA_OK;
}
