#include "engine/bundle.h"

#include "base/mem.h"
#include "receipt/entry.h"
#include "receipt/order.h"
#include "receipt/receipt.h"
#include "wire/cbor.h"

#define LOAD_BYTES ((size_t)1 << 20) /* of records read back at once */
#define LOAD_RECORDS 1024
#define ENTRY_DIGEST 1 /* in an entry of the index */
#define ENTRY_SPAN (1 + 32)

/* --- items --- */

static bulla_rc put(struct bundle *b, enum bulla_bundle_kind kind, bulla_bytes body)
{
	return bulla_bundle_put(b->writer, kind, body, &b->w);
}

static bulla_rc put_object(struct bulla_engine *e, struct bundle *b, uint32_t object)
{
	static const enum bulla_bundle_kind kinds[] = {[BULLA_OBJECT_LINK] = BULLA_BUNDLE_LINK,
		[BULLA_OBJECT_INSTANCE] = BULLA_BUNDLE_INSTANCE,
		[BULLA_OBJECT_BIRTH] = BULLA_BUNDLE_BIRTH};
	const struct object *o;

	if (object == NO_OBJECT || (b->objects[object / 64] >> (object % 64) & 1) != 0)
		return BULLA_OK;
	o = &e->objects[object];
	b->objects[object / 64] |= (uint64_t)1 << (object % 64);
	return put(b, kinds[o->kind], bulla_block_view(o->body));
}

static bool contains(bulla_bytes where, bulla_bytes what)
{
	for (size_t i = 0; i + what.n <= where.n; i++)
		if (where.p[i] == what.p[0] && bulla_bytes_eq(bulla_bytes_of(where.p + i, what.n), what))
			return true;
	return false;
}

static bulla_bytes object_id(const struct object *o)
{
	return (bulla_bytes){o->id, o->id_size};
}

/* Links that an envelope names, each after the instance that made it. */
static bulla_rc put_links(struct bulla_engine *e, struct bundle *b, bulla_bytes envelope)
{
	uint32_t link;
	size_t at = 0;

	while ((link = object_next_link(e, envelope, &at)) != NO_OBJECT) {
		BULLA_TRY(put_object(e, b, object_find(e, BULLA_OBJECT_INSTANCE, bulla_bytes_digest(&e->objects[link].maker))));
		BULLA_TRY(put_object(e, b, link));
	}
	return BULLA_OK;
}

/* The next birth of the manifest's agents, after the instance that signed it. BULLA_E_NOT_FOUND: there is none. */
static bulla_rc put_birth(struct bulla_engine *e, struct bundle *b)
{
	const struct object *o;

	do {
		if (b->birth == e->object_count)
			return BULLA_E_NOT_FOUND;
		o = &e->objects[b->birth++];
	} while (o->kind != BULLA_OBJECT_BIRTH || !contains(bulla_block_view(o->body), bulla_bytes_digest(&b->manifest)));
	for (uint32_t k = 0; k < e->object_count; k++)
		if (e->objects[k].kind == BULLA_OBJECT_INSTANCE &&
			contains(bulla_block_view(o->body), object_id(&e->objects[k])))
			BULLA_TRY(put_object(e, b, k));
	return put_object(e, b, (uint32_t)(o - e->objects));
}

/* An envelope without its ciphertext (doc/formats.md section `envelope`): [header, {}, empty]. */
static bulla_rc put_header(struct bulla_engine *e, struct bundle *b, bulla_bytes envelope)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(envelope);
	bulla_wr w = bulla_wr_buf(clear_buf(&e->scratch));
	bulla_bytes header, bytes;

	BULLA_TRY(bulla_cbor_rd_expect_array(&r, 3));
	BULLA_TRY(bulla_cbor_rd_bytes(&r, &header));
	bulla_cbor_wr_array(&w, 3);
	bulla_cbor_wr_bytes(&w, header);
	bulla_cbor_wr_map(&w, 0);
	bulla_cbor_wr_bytes(&w, (bulla_bytes){NULL, 0});
	BULLA_TRY(bulla_wr_end(&w, &bytes));
	return put(b, BULLA_BUNDLE_ENVELOPE_HEADER, bytes);
}

static bulla_rc put_envelopes(struct bulla_engine *e, struct bundle *b, const struct bulla_pb_list *envelopes)
{
	struct bulla_pb_iter iter = bulla_pb_list_begin(envelopes);
	bulla_bytes envelope;

	while (bulla_pb_list_next(&iter, &envelope))
		BULLA_TRY(b->headers_only ? put_header(e, b, envelope) : put(b, BULLA_BUNDLE_ENVELOPE, envelope));
	return BULLA_OK;
}

static bulla_rc put_start(struct bulla_engine *e, struct bundle *b)
{
	struct bulla_rec_started started;
	struct bulla_msg_object object;
	struct bulla_msg_start message;
	struct bulla_pb_iter iter;
	bulla_bytes item;

	BULLA_TRY(bulla_rec_started_read(b->started, &started));
	BULLA_TRY(bulla_msg_start_decode(started.start, &message));
	for (iter = bulla_pb_list_begin(&message.objects); bulla_pb_list_next(&iter, &item);) {
		BULLA_TRY(bulla_msg_object_decode(item, &object));
		BULLA_TRY(put(b, BULLA_BUNDLE_LINK, object.body));
	}
	BULLA_TRY(put(b, BULLA_BUNDLE_START, message.record));
	return put_envelopes(e, b, &message.envelopes);
}

static bulla_rc put_result(struct bulla_engine *e, struct bundle *b, bulla_bytes body, const bulla_digest *named)
{
	struct bulla_rec_result result;
	struct bulla_msg_executed executed;
	struct bulla_receipt_record receipt;
	struct bulla_pb_iter iter;
	bulla_bytes envelope;

	BULLA_TRY(bulla_rec_result_read(body, &result));
	BULLA_TRY(bulla_msg_executed_decode(result.executed, &executed));
	BULLA_TRY(bulla_receipt_record_decode(executed.receipt, &receipt));
	if (!bulla_digest_eq(&receipt.digest, named))
		return BULLA_FAIL(BULLA_E_CORRUPT, "a result is not where its run's index says");
	BULLA_TRY(put_object(e, b, object_find(e, BULLA_OBJECT_INSTANCE, bulla_bytes_digest(&receipt.receipt.kid))));
	for (iter = bulla_pb_list_begin(&executed.outputs); bulla_pb_list_next(&iter, &envelope);)
		BULLA_TRY(put_links(e, b, envelope));
	BULLA_TRY(put(b, BULLA_BUNDLE_RECEIPT, executed.receipt));
	return put_envelopes(e, b, &executed.outputs);
}

static bulla_rc put_token(struct bundle *b, bulla_bytes body)
{
	struct bulla_rec_token token;

	BULLA_TRY(bulla_rec_token_read(body, &token));
	return put(b, BULLA_BUNDLE_TOKEN, token.token);
}

static bulla_rc put_project(struct bulla_engine *e, struct bundle *b, const struct project *project)
{
	struct bulla_msg_put_manifest m;
	struct bulla_msg_keys_reply keys;
	struct bulla_pb_iter iter;
	bulla_bytes approval;

	BULLA_TRY(bulla_msg_put_manifest_decode(bulla_block_view(project->bytes), &m));
	BULLA_TRY(put(b, BULLA_BUNDLE_MANIFEST, m.manifest));
	for (iter = bulla_pb_list_begin(&m.approvals); bulla_pb_list_next(&iter, &approval);)
		BULLA_TRY(put(b, BULLA_BUNDLE_APPROVAL, approval));
	if (e->keys && bulla_msg_keys_reply_decode(bulla_block_view(e->keys), &keys) == BULLA_OK && keys.day_key.n > 0)
		BULLA_TRY(put(b, BULLA_BUNDLE_DAY_KEY, keys.day_key));
	return BULLA_OK;
}

/* --- the run's records --- */

static size_t entry_count(const struct bundle *b)
{
	return b->entries.n / BULLA_SPANS_ENTRY_BYTES;
}

static const uint8_t *entry_at(const struct bundle *b, size_t i)
{
	return b->entries.p + i * BULLA_SPANS_ENTRY_BYTES;
}

static uint32_t hash_of(const uint8_t *digest)
{
	return (uint32_t)digest[0] | (uint32_t)digest[1] << 8 | (uint32_t)digest[2] << 16 | (uint32_t)digest[3] << 24;
}

/* Results by their receipts: open addressing, at most half full. */
static bulla_rc hash_results(struct bundle *b)
{
	uint32_t size = 64;
	void *p;

	while (size < 2 * entry_count(b))
		size *= 2;
	BULLA_TRY(bulla_alloc(size, sizeof(*b->hash), &p));
	b->hash = p;
	b->hash_mask = size - 1;
	for (uint32_t i = 0; i < entry_count(b); i++) {
		uint32_t at = hash_of(entry_at(b, i) + ENTRY_DIGEST) & b->hash_mask;

		if (entry_at(b, i)[0] != BULLA_HOST_RESULT)
			continue;
		while (b->hash[at] != 0)
			at = (at + 1) & b->hash_mask;
		b->hash[at] = i + 1;
	}
	return BULLA_OK;
}

/* The index entry of the result that a ledger entry names; NULL: it names none, or none of the host's. */
static const uint8_t *entry_named(const struct bundle *b, bulla_bytes item, struct bulla_entry *ret)
{
	uint32_t at;

	if (item.n != BULLA_ENTRY_BYTES || bulla_entry_decode(item, ret) != BULLA_OK || ret->kind == BULLA_ENTRY_START ||
		ret->kind == BULLA_ENTRY_PERMIT || ret->kind == BULLA_ENTRY_GIVEN_UP)
		return NULL;
	for (at = hash_of(ret->digest.b) & b->hash_mask; b->hash[at] != 0; at = (at + 1) & b->hash_mask)
		if (bulla_bytes_eq(bulla_bytes_of(entry_at(b, b->hash[at] - 1) + ENTRY_DIGEST, 32), bulla_bytes_digest(&ret->digest)))
			return entry_at(b, b->hash[at] - 1);
	return NULL;
}

/* A question in e->scratch that grows span by span. */
struct wanted {
	bulla_wr w;
	size_t count, bytes;
};

static struct wanted want_none(struct bulla_engine *e, const struct bundle *b)
{
	struct wanted wanted = {.w = bulla_wr_buf(clear_buf(&e->scratch))};

	bulla_wr_u64le(&wanted.w, b->run_no);
	return wanted;
}

/* False: it does not fit any more. */
static bool want(const struct bulla_engine *e, struct wanted *wanted, const uint8_t *entry)
{
	bulla_bytes span = bulla_bytes_of(entry + ENTRY_SPAN, BULLA_REC_SPAN_BYTES);
	size_t most = e->options.load_bytes > 0 ? e->options.load_bytes : LOAD_BYTES;
	bulla_rd r = bulla_rd_of(span);
	struct bulla_engine_place place;

	if (bulla_span_next(&r, &place) != BULLA_OK ||
		(wanted->count > 0 && (wanted->count == LOAD_RECORDS || wanted->bytes + place.bytes > most)))
		return false;
	wanted->count++;
	wanted->bytes += place.bytes;
	bulla_wr_bytes(&wanted->w, span);
	return true;
}

static bulla_rc ask_records(struct bulla_engine *e, struct bundle *b, struct wanted *wanted)
{
	bulla_bytes arg;

	BULLA_TRY(bulla_wr_end(&wanted->w, &arg));
	return bundle_ask_librarian(e, b, BULLA_ENGINE_LOAD_SPANS, arg);
}

/* Results that the item at hand and those behind it name. */
static bulla_rc ask_results(struct bulla_engine *e, struct bundle *b)
{
	struct wanted wanted = want_none(e, b);
	struct bulla_pb_iter ahead = b->items;
	bulla_bytes item = b->item;
	struct bulla_entry ignored;
	bool fits = true;

	do {
		const uint8_t *entry = entry_named(b, item, &ignored);

		fits = !entry || want(e, &wanted, entry);
	} while (fits && bulla_pb_list_next(&ahead, &item));
	return ask_records(e, b, &wanted);
}

static bulla_rc ask_tokens(struct bulla_engine *e, struct bundle *b)
{
	struct wanted wanted = want_none(e, b);

	for (size_t i = b->token; i < entry_count(b); i++)
		if (entry_at(b, i)[0] == BULLA_HOST_TOKENS && !want(e, &wanted, entry_at(b, i)))
			break;
	return ask_records(e, b, &wanted);
}

/* The next record that was read back; BULLA_E_NOT_FOUND: there is none. */
static bulla_rc next_loaded(struct bulla_engine *e, struct bundle *b, struct bulla_journal_record *ret)
{
	bulla_bytes all = bulla_block_view(b->loaded);
	bulla_rd r = bulla_rd_of(all);
	bulla_bytes passed;

	if (b->loaded_at == all.n) {
		bulla_pool_give(&e->pool, b->loaded);
		b->loaded = NULL;
		b->loaded_at = 0;
		return BULLA_E_NOT_FOUND;
	}
	BULLA_TRY(bulla_rd_bytes(&r, b->loaded_at, &passed));
	BULLA_TRY(bulla_journal_record_next(&r, ret));
	b->loaded_at = r.at;
	return BULLA_OK;
}

/* --- its beginning --- */

bulla_rc bundle_begin(struct bulla_engine *e, struct bundle *b, bulla_bytes index)
{
	struct bulla_bundle_header header = {.headers_only = b->headers_only};
	struct bulla_journal_record started;
	bulla_rd r;
	struct history h;
	uint16_t project;

	BULLA_TRY(bulla_pool_copy(&e->pool, index, &b->index));
	r = bulla_rd_of(bulla_block_view(b->index));
	BULLA_TRY(bulla_journal_record_next(&r, &started));
	BULLA_TRY(history_of_records(e, bulla_bytes_of(b->index->data, r.at), &h));
	BULLA_TRY(bulla_rd_bytes(&r, bulla_rd_left(&r), &b->entries));
	b->started = started.body;
	b->run_no = started.run_no;
	BULLA_TRY(hash_results(b));
	BULLA_TRY(project_find(e, &h.manifest, &project));
	b->manifest = header.manifest = h.manifest;
	header.slot.tenant = e->projects[project].manifest.tenant;
	header.slot.workflow = h.workflow;
	header.slot.run = h.id;
	BULLA_TRY(bulla_bundle_writer_new(&header, &b->w, &b->writer));
	b->page_wanted = true;
	return put_project(e, b, &e->projects[project]);
}

/* --- the ledger's record, item by item --- */

/* BULLA_E_AGAIN: its records were asked for. */
static bulla_rc put_entry(struct bulla_engine *e, struct bundle *b)
{
	struct bulla_entry entry = {.kind = 0};
	struct bulla_journal_record record;
	bulla_rc rc = BULLA_OK;

	if (entry_named(b, b->item, &entry)) {
		rc = next_loaded(e, b, &record);
		if (rc == BULLA_E_NOT_FOUND) {
			rc = ask_results(e, b);
			return rc == BULLA_OK ? BULLA_E_AGAIN : rc;
		}
		if (rc == BULLA_OK)
			rc = put_result(e, b, record.body, &entry.digest);
	} else if (entry.kind == BULLA_ENTRY_START)
		rc = put_start(e, b);
	BULLA_TRY(rc);
	return put(b, BULLA_BUNDLE_ENTRY, b->item);
}

/* All tokens stand before the head. */
static bulla_rc put_head(struct bulla_engine *e, struct bundle *b)
{
	struct bulla_journal_record record;
	bulla_rc rc;

	while (b->token < entry_count(b) && entry_at(b, b->token)[0] != BULLA_HOST_TOKENS)
		b->token++;
	if (b->token == entry_count(b))
		return put(b, BULLA_BUNDLE_RUN_HEAD, b->item);
	rc = next_loaded(e, b, &record);
	if (rc == BULLA_E_NOT_FOUND)
		rc = ask_tokens(e, b);
	else if (rc == BULLA_OK) {
		rc = put_token(b, record.body);
		b->token++;
	}
	return rc == BULLA_OK ? BULLA_E_AGAIN : rc;
}

static bulla_rc put_item(struct bulla_engine *e, struct bundle *b)
{
	struct bulla_entry entry;
	struct bulla_order order;
	bulla_digest signer;

	if (bulla_order_peek(b->item, &signer, &order) == BULLA_OK)
		return put(b, BULLA_BUNDLE_ORDER, b->item);
	if (b->item.n == BULLA_ENTRY_BYTES && bulla_entry_decode(b->item, &entry) == BULLA_OK)
		return put_entry(e, b);
	return put_head(e, b);
}

bulla_rc bundle_put_next(struct bulla_engine *e, struct bundle *b)
{
	bulla_rc rc;

	if (!b->index)
		return bundle_ask_librarian(e, b, BULLA_ENGINE_INDEX_RUN, bulla_run_id_view(&b->run));
	rc = put_birth(e, b);
	if (rc != BULLA_E_NOT_FOUND)
		return rc;
	if (b->page_wanted)
		return bundle_ask_page(e, b);
	if (!b->item.p && !bulla_pb_list_next(&b->items, &b->item)) {
		b->page_wanted = b->record.next != 0;
		return b->page_wanted ? BULLA_OK : BULLA_E_CLOSED;
	}
	rc = put_item(e, b);
	if (rc == BULLA_OK)
		b->item = (bulla_bytes){NULL, 0};
	return rc == BULLA_E_AGAIN ? BULLA_OK : rc;
}
