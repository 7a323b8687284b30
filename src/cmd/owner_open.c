#include "cmd/owner.h"

#include "cmd/names.h"
#include "judge/judge.h"
#include "receipt/receipt.h"
#include "receipt/token.h"
#include "wire/kinds.h"

#include <string.h>

/* What is opened, and with what. */
struct opener {
	struct context *context;
	const struct bulla_flow *flow;
	const struct bulla_pb_list *objects;
	struct bulla_receipt_record record;
	struct bulla_verify_key *sender; /* the instance's receipt key, appraised */
	bulla_handle me;
	struct bulla_link link; /* accepted */
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

/* The instance that signed the receipt: its evidence holds under the manifest, its key signed. */
static bulla_rc check_sender(struct opener *o)
{
	const bulla_bytes kid = bulla_bytes_digest(&o->record.receipt.kid);
	struct bulla_instance instance;
	bulla_digest signer;
	bulla_bytes body;

	BULLA_TRY(find_object(o->objects, BULLA_OBJECT_INSTANCE, kid, &body));
	BULLA_TRY(bulla_instance_decode(body, &instance));
	const struct bulla_judge_time own = {.now_ms = (int64_t)instance.time_ms, .online = false};
	BULLA_TRY(bulla_judge_instance(&o->context->manifest, &instance, own, NULL, NULL));
	BULLA_TRY(bulla_verify_key_spki(instance.receipt_key, &o->sender));
	bulla_instance_kid(&instance, &signer);
	if (!bulla_digest_eq(&signer, &o->record.receipt.kid))
		return BULLA_FAIL(BULLA_E_SIGNATURE, "the receipt was signed by another instance");
	return bulla_receipt_record_verify(&o->record, o->sender);
}

static bool path_is(const struct opener *o, const struct bulla_flow_part *part, const struct owner_wish *wish)
{
	if (part->path.count != wish->path_count)
		return false;
	for (size_t i = 0; i < wish->path_count; i++)
		if (!bulla_bytes_eq(o->flow->names[part->path.first + i], wish->path[i]))
			return false;
	return true;
}

/* Which of the receipt's pairs is the wished one: parts stand in the plan's order; a failure is alone. */
static bulla_rc find_pair(const struct opener *o, const struct owner_wish *wish, struct bulla_pair *ret)
{
	bool failed = BULLA_OUTCOME_IS_FAILURE(o->record.receipt.outcome);
	uint32_t step = o->record.receipt.position.slot.step;

	if (failed != (wish->kind == BULLA_ENVELOPE_FAILURE) || step >= o->flow->step_count)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "the step did not end in such an output");
	if (failed)
		return bulla_pairs_get(o->record.outputs, 0, ret);
	const struct bulla_flow_span *parts = &o->flow->steps[step].parts;
	for (uint32_t i = 0; i < parts->count; i++)
		if (path_is(o, &o->flow->parts[parts->first + i], wish))
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

/* For bulla_envelope_open: a link of the sender to me, accepted when it is asked for. */
static bulla_rc on_find_link(void *ctx, const bulla_link_id *id, const struct bulla_link **ret)
{
	struct opener *o = ctx;
	struct bulla_link_body body;
	bulla_link_id found;
	bulla_bytes bytes;

	if (find_object(o->objects, BULLA_OBJECT_LINK, BULLA_BYTES_ARRAY(id->b), &bytes) != BULLA_OK)
		return BULLA_E_NOT_FOUND;
	BULLA_TRY(bulla_link_peek(bytes, &body, &found));
	if (body.to != BULLA_TO_PARTY || !bulla_handle_eq(&body.recipient, &o->me))
		return BULLA_E_NOT_ADDRESSED;
	const struct bulla_link_expected expected = {
		.sender = o->record.receipt.kid,
		.to = BULLA_TO_PARTY,
		.recipient = o->me,
		.manifest = o->context->manifest.digest,
		.epoch = o->context->manifest.epoch,
		.epoch_open = true,
	};
	enum bulla_kem kem;
	BULLA_TRY(bulla_kem_of_suite(o->context->manifest.suite, &kem));
	bulla_link_done(&o->link);
	BULLA_TRY(bulla_link_accept(bytes, &expected, o->sender, kem, o->context->key.receive, &o->link));
	*ret = &o->link;
	return BULLA_OK;
}

static bulla_rc open_part(struct opener *o, const struct bulla_pb_list *envelopes, const struct owner_wish *wish,
	struct bulla_buf *ret)
{
	const struct bulla_envelope_keys keys = {.ctx = o, .find = on_find_link};
	struct bulla_envelope envelope;
	struct bulla_opened opened;
	struct bulla_pair pair;
	uint8_t path[BULLA_PATH_MAX];
	BULLA_AUTO_BUF memory;

	bulla_buf_init(&memory, BULLA_ENVELOPE_MAX);
	BULLA_TRY(find_pair(o, wish, &pair));
	BULLA_TRY(find_envelope(envelopes, &pair, &envelope));
	struct bulla_envelope_expected expected = {
		.position = o->record.receipt.position, .kind = wish->kind, .producer = o->record.receipt.kid};
	BULLA_TRY(bulla_path_write(wish->path, wish->path_count, BULLA_PATH_NO_INDEX, path, &expected.path));
	BULLA_TRY(bulla_envelope_open(&envelope, &expected, &keys, &memory, &opened));
	bulla_secret_free(&opened.salt);
	return bulla_buf_append(ret, opened.payload);
}

bulla_rc owner_open(struct context *context, const struct bulla_flow *flow, bulla_bytes receipt_record,
	const struct bulla_pb_list *envelopes, const struct bulla_pb_list *objects, const struct owner_wish *wish,
	struct bulla_buf *ret)
{
	struct opener o = {.context = context, .flow = flow, .objects = objects};
	const struct bulla_party *me = bulla_manifest_party_kid(&context->manifest, bulla_sign_key_kid(context->key.sign));
	bulla_rc rc;

	if (me == NULL)
		return BULLA_FAIL(BULLA_E_NO_RIGHT, "this key is no party of the manifest");
	o.me = me->handle;
	BULLA_TRY(bulla_receipt_record_decode(receipt_record, &o.record));
	rc = check_sender(&o);
	rc = rc == BULLA_OK ? open_part(&o, envelopes, wish, ret) : rc;
	bulla_link_done(&o.link);
	bulla_verify_key_free(o.sender);
	return rc;
}

bulla_rc owner_check_token(const struct context *context, bulla_bytes token, bulla_bytes receipt_record)
{
	struct bulla_receipt_record receipt;
	struct bulla_token_record record;
	BULLA_AUTO_VERIFY_KEY ledger = NULL;

	BULLA_TRY(bulla_receipt_record_decode(receipt_record, &receipt));
	BULLA_TRY(bulla_token_record_decode(token, &record));
	BULLA_TRY(bulla_verify_key_spki(context->manifest.ledger_spki, &ledger));
	BULLA_TRY(bulla_token_record_verify(&record, ledger));
	if (!bulla_slot_eq(&record.token.slot, &receipt.receipt.position.slot) ||
	    !bulla_digest_eq(&record.token.receipt, &receipt.digest))
		return BULLA_FAIL(BULLA_E_PARENT, "the ledger's token is for another receipt");
	return BULLA_OK;
}
