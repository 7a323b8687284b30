#include "broker/ledger.h"

#include "base/limits.h"
#include "base/mem.h"
#include "broker/ledger_state.h"
#include "receipt/merkle.h"
#include "wire/messages.h"

bulla_rc bulla_ledger_new(const struct bulla_ledger_options *options, struct bulla_ledger **ret)
{
	void *p = NULL;
	bulla_rc rc;

	BULLA_TRY(bulla_alloc(1, sizeof(struct bulla_ledger), &p));
	rc = ledger_state_init(p, options);
	if (rc != BULLA_OK) {
		bulla_ledger_free(p);
		return rc;
	}
	*ret = p;
	return BULLA_OK;
}

void bulla_ledger_free(struct bulla_ledger *ledger)
{
	if (ledger == NULL)
		return;
	ledger_state_done(ledger);
	bulla_free(ledger);
}

/* The run that a record is of; NULL for those of no run, and for RUN itself. */
static bulla_rc replay_run(struct bulla_ledger *ledger, const struct bulla_journal_record *record,
	const struct ledger_fact *fact, const bulla_run_id *id, bool named, struct ledger_run **ret)
{
	*ret = NULL;
	if (named)
		BULLA_TRY(ledger_run_get(ledger, id, ret));
	else if (record->run_no != 0 && fact->type != BULLA_LEDGER_RUN)
		*ret = ledger_run_numbered(ledger, record->run_no);
	if (*ret == NULL && record->run_no != 0 && fact->type != BULLA_LEDGER_RUN)
		return BULLA_FAIL(BULLA_E_CORRUPT, "a ledger record is of a run that never began");
	if (*ret == NULL && fact->type >= BULLA_LEDGER_PERMIT && fact->type <= BULLA_LEDGER_ORDER)
		return BULLA_FAIL(BULLA_E_CORRUPT, "a ledger record lacks its run");
	return BULLA_OK;
}

bulla_rc bulla_ledger_replay(struct bulla_ledger *ledger, const struct bulla_journal_record *record)
{
	struct ledger_run *run = NULL;
	struct ledger_fact fact;
	bulla_run_id id;
	bool named = false;

	BULLA_TRY(ledger_fact_of(record, &fact, &id, &named));
	if (record->lsn != ledger->next_lsn)
		return BULLA_FAIL(BULLA_E_CORRUPT, "the ledger's records have a gap");
	BULLA_TRY(replay_run(ledger, record, &fact, &id, named, &run));
	BULLA_TRY(ledger_replay_fact(ledger, run, &fact));
	if (run == NULL)
		run = ledger_run_numbered(ledger, record->run_no);
	if (run != NULL && run->seq++ != record->seq)
		return BULLA_FAIL(BULLA_E_CORRUPT, "a run's records have a gap");
	ledger->next_lsn = record->lsn + 1;
	ledger->pending.count = 0;
	return run != NULL ? ledger_touch(ledger, run, record->lsn) : BULLA_OK;
}

bulla_rc bulla_ledger_replay_at(struct bulla_ledger *ledger, const struct bulla_journal_record *record,
	struct bulla_journal_place at)
{
	BULLA_TRY(bulla_ledger_replay(ledger, record));
	return bulla_ledger_placed(ledger, record->lsn, 1, at);
}

void bulla_ledger_durable(struct bulla_ledger *ledger, uint64_t next_lsn, const bulla_digest *chain)
{
	ledger->durable_lsn = next_lsn;
	ledger->head = *chain;
}

/* --- advance --- */

/* Parts that come in lists; what is not possible is answered by silence or by the run's other answers. */
static void each_ref(struct bulla_ledger *ledger, struct ledger_run *run, const struct bulla_pb_list *list, int64_t now_ms,
	bulla_rc (*do_it)(struct bulla_ledger *, struct ledger_run *, bulla_bytes, int64_t))
{
	struct bulla_pb_iter iter = bulla_pb_list_begin(list);
	bulla_bytes item;

	while (bulla_pb_list_next(&iter, &item))
		if (do_it(ledger, run, item, now_ms) != BULLA_OK)
			ledger->counts.refusals++;
}

static bulla_rc counted(struct bulla_ledger *ledger, bulla_rc rc)
{
	if (rc != BULLA_OK)
		ledger->counts.refusals++;
	return rc;
}

#define CLOCKS_MAX 64

/* Receipts of the clock that are due, one after the other in ledger->receipts. */
static void clocks(struct bulla_ledger *ledger, struct ledger_run *run, const struct bulla_pb_list *list, int64_t now_ms,
	bulla_bytes ret_items[CLOCKS_MAX], struct bulla_msg_advanced_run *answer)
{
	struct bulla_pb_iter iter = bulla_pb_list_begin(list);
	size_t sizes[CLOCKS_MAX], count = 0, at = 0;
	bulla_bytes item;

	bulla_buf_clear(&ledger->receipts);
	while (count < CLOCKS_MAX && bulla_pb_list_next(&iter, &item)) {
		size_t before = ledger->receipts.n;

		if (counted(ledger, ledger_clock(ledger, run, item, now_ms, &ledger->receipts)) == BULLA_OK)
			sizes[count++] = ledger->receipts.n - before;
		else
			ledger->receipts.n = before;
	}
	for (size_t i = 0; i < count; at += sizes[i++])
		ret_items[i] = bulla_bytes_of(ledger->receipts.p + at, sizes[i]);
	answer->clock = bulla_pb_list_of(ret_items, count);
}

static void advance_known(struct bulla_ledger *ledger, struct ledger_run *run, const struct bulla_msg_advance_run *ask,
	int64_t now_ms, bulla_bytes clock_items[CLOCKS_MAX], struct bulla_msg_advanced_run *answer)
{
	bool filled = false;

	each_ref(ledger, run, &ask->given_up, now_ms, ledger_give_up);
	each_ref(ledger, run, &ask->stored, now_ms, ledger_stored);
	clocks(ledger, run, &ask->clock, now_ms, clock_items, answer);
	if (ask->commit.n > 0) {
		answer->commit_rc = counted(ledger,
			ledger_commit(ledger, run, ask->commit, ask->escrow, now_ms, &answer->sequence, &filled));
		answer->filled = filled ? 1 : 0;
	}
	if (ask->order.n > 0)
		answer->order_rc = counted(ledger, ledger_order(ledger, run, ask->order, now_ms));
	bulla_buf_clear(&ledger->permit);
	if (ask->permit.n > 0)
		answer->permit_rc = counted(ledger, ledger_permit(ledger, run, ask->permit, now_ms, &ledger->permit));
	if (answer->permit_rc == BULLA_OK)
		answer->permit = bulla_buf_view(&ledger->permit);
}

/* No such run, or why it cannot be known: others in the same message go on. */
static void advance_unknown(const struct bulla_msg_advance_run *ask, bulla_rc why, struct bulla_msg_advanced_run *answer)
{
	bulla_rc rc = why == BULLA_OK ? BULLA_E_RUN_UNKNOWN : why;

	answer->commit_rc = ask->commit.n > 0 ? rc : BULLA_OK;
	answer->permit_rc = ask->permit.n > 0 ? rc : BULLA_OK;
	answer->order_rc = ask->order.n > 0 ? rc : BULLA_OK;
}

/* One run of an ADVANCE; appends an item `runs` of the reply. */
static bulla_rc advance_run(struct bulla_ledger *ledger, bulla_bytes bytes, int64_t now_ms, bool may_start,
	struct bulla_buf *ret_reply)
{
	struct bulla_msg_advanced_run answer = {0};
	struct bulla_msg_advance_run ask;
	bulla_bytes clock_items[CLOCKS_MAX];
	struct ledger_run *run = NULL;
	bulla_run_id id;
	bulla_wr w = bulla_wr_buf(ret_reply);
	bulla_bytes ignored;
	bulla_rc rc = BULLA_OK;

	BULLA_TRY(bulla_msg_advance_run_decode(bytes, &ask));
	BULLA_TRY(bulla_bytes_copy_exact(ask.run_id, sizeof(id.b), id.b));
	answer.run_id = ask.run_id;
	answer.tag = ask.tag;
	if (ask.start.n > 0)
		answer.start_rc = rc = counted(ledger, ledger_start(ledger, &id, ask.start, now_ms, may_start));
	if (rc == BULLA_OK)
		rc = ledger_run_get(ledger, &id, &run);
	if (run != NULL)
		advance_known(ledger, run, &ask, now_ms, clock_items, &answer);
	else
		advance_unknown(&ask, rc, &answer);
	bulla_pb_wr_varint(&w, bulla_pb_tag(1, BULLA_PB_BYTES)); /* field `runs` of message advanced */
	bulla_pb_wr_varint(&w, bulla_msg_size(&bulla_msg_advanced_run_desc, &answer));
	bulla_msg_advanced_run_encode(&answer, &w);
	return bulla_wr_end(&w, &ignored);
}

/* Appends the fields of a reply that follow its list; the list's items were written one by one. */
static bulla_rc end_reply(const struct bulla_msg_desc *desc, const void *rest, struct bulla_buf *ret_reply)
{
	bulla_wr w = bulla_wr_buf(ret_reply);
	bulla_bytes ignored;

	bulla_msg_encode(desc, rest, &w);
	return bulla_wr_end(&w, &ignored);
}

bulla_rc bulla_ledger_advance(struct bulla_ledger *ledger, bulla_bytes advance, int64_t now_ms, bool may_start,
	struct bulla_buf *ret_reply)
{
	struct bulla_msg_advanced rest = {.time_ms = (uint64_t)now_ms};
	struct bulla_msg_advance message;
	struct bulla_pb_iter iter;
	bulla_bytes item;

	BULLA_TRY(bulla_msg_advance_decode(advance, &message));
	iter = bulla_pb_list_begin(&message.runs);
	while (bulla_pb_list_next(&iter, &item))
		BULLA_TRY(advance_run(ledger, item, now_ms, may_start, ret_reply));
	return end_reply(&bulla_msg_advanced_desc, &rest, ret_reply);
}

/* --- sync and record --- */

static bulla_rc sync_slot(const struct ledger_slot *slot, struct bulla_buf *ret)
{
	struct bulla_msg_sync_slot message = {.step = slot->step, .item = slot->item, .attempt = slot->attempt, .open = slot->open};
	bulla_wr w = bulla_wr_buf(ret);
	bulla_bytes ignored;

	if (slot->filled) {
		message.receipt = bulla_bytes_digest(&slot->receipt);
		message.outcome = slot->outcome;
	}
	if (slot->escrow != NULL)
		message.escrow = bulla_buf_view(&slot->escrow->bytes);
	bulla_pb_wr_varint(&w, bulla_pb_tag(2, BULLA_PB_BYTES)); /* field `slots` of message sync_run */
	bulla_pb_wr_varint(&w, bulla_msg_size(&bulla_msg_sync_slot_desc, &message));
	bulla_msg_sync_slot_encode(&message, &w);
	return bulla_wr_end(&w, &ignored);
}

/* A filled slot's token is made once more: the host may have lost it. */
static bulla_rc sync_slots(struct bulla_ledger *ledger, const struct ledger_run *run, struct bulla_buf *ret)
{
	for (uint32_t n = run->first_slot; n != 0;) {
		const struct ledger_slot *slot = ledger_pool_at(&ledger->slots, n);

		BULLA_TRY(sync_slot(slot, ret));
		if (slot->filled)
			ledger_token_again(ledger, run, slot);
		n = slot->next_in_run;
	}
	return BULLA_OK;
}

static bulla_rc sync_run(struct bulla_ledger *ledger, bulla_bytes id_bytes, struct bulla_buf *ret_reply)
{
	struct bulla_msg_sync_run head = {.run_id = id_bytes}, rest = {0};
	bulla_wr w = bulla_wr_buf(ret_reply);
	struct ledger_run *run;
	bulla_bytes ignored;
	bulla_run_id id;

	BULLA_TRY(bulla_bytes_copy_exact(id_bytes, sizeof(id.b), id.b));
	BULLA_TRY(ledger_run_get(ledger, &id, &run));
	bulla_buf_clear(&ledger->items);
	BULLA_TRY(end_reply(&bulla_msg_sync_run_desc, &head, &ledger->items));
	if (run != NULL)
		BULLA_TRY(sync_slots(ledger, run, &ledger->items));
	rest.known = run != NULL ? 1 : 0;
	BULLA_TRY(end_reply(&bulla_msg_sync_run_desc, &rest, &ledger->items));
	bulla_pb_wr_varint(&w, bulla_pb_tag(1, BULLA_PB_BYTES)); /* field `runs` of message synced */
	bulla_pb_wr_varint(&w, ledger->items.n);
	bulla_wr_bytes(&w, bulla_buf_view(&ledger->items));
	return bulla_wr_end(&w, &ignored);
}

bulla_rc bulla_ledger_sync(struct bulla_ledger *ledger, bulla_bytes sync, int64_t now_ms, struct bulla_buf *ret_reply)
{
	struct bulla_msg_synced rest = {.time_ms = (uint64_t)now_ms,
		.head = bulla_bytes_digest(&ledger->head),
		.sequence = ledger->next_lsn - 1};
	struct bulla_msg_sync message;
	struct bulla_pb_iter iter;
	bulla_bytes item;

	BULLA_TRY(bulla_msg_sync_decode(sync, &message));
	iter = bulla_pb_list_begin(&message.runs);
	while (bulla_pb_list_next(&iter, &item))
		BULLA_TRY(sync_run(ledger, item, ret_reply));
	return end_reply(&bulla_msg_synced_desc, &rest, ret_reply);
}

static bulla_rc record_item(bulla_bytes bytes, struct bulla_buf *ret_reply)
{
	bulla_wr w = bulla_wr_buf(ret_reply);
	bulla_bytes ignored;

	bulla_pb_wr_varint(&w, bulla_pb_tag(1, BULLA_PB_BYTES)); /* field `items` of message record */
	bulla_pb_wr_varint(&w, bytes.n);
	bulla_wr_bytes(&w, bytes);
	return bulla_wr_end(&w, &ignored);
}

/* One page of a run's record in the making. */
struct record_page {
	struct bulla_merkle tree; /* of all entries, when it is the last page */
	uint64_t from, at, to;    /* entries: first of the page, the next, the one behind it */
	bool last;
	struct bulla_buf *reply;
};

/* order: of a REVOKE, else nothing. */
static bulla_rc record_entry(const struct bulla_entry *entry, bulla_bytes order, struct record_page *page)
{
	bool told = page->at >= page->from && page->at < page->to;
	uint8_t memory[BULLA_ENTRY_BYTES];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes bytes;

	page->at++;
	if (!told && !page->last)
		return BULLA_OK;
	bulla_entry_write(&w, entry);
	BULLA_TRY(bulla_wr_end(&w, &bytes));
	if (page->last)
		BULLA_TRY(bulla_merkle_add(&page->tree, bytes));
	if (told && order.n > 0)
		BULLA_TRY(record_item(order, page->reply));
	return told ? record_item(bytes, page->reply) : BULLA_OK;
}

/* Revocations recorded before this sequence; *at: the first that was not met yet. */
static bulla_rc record_revocations(const struct bulla_ledger *ledger, uint64_t before, uint32_t *at, struct record_page *page)
{
	for (; *at < ledger->revocation_count && ledger->revocations[*at].entry.sequence < before; ++*at)
		BULLA_TRY(record_entry(&ledger->revocations[*at].entry, bulla_buf_view(&ledger->revocations[*at].sign1), page));
	return BULLA_OK;
}

/* Entries as items of the reply, the ledger's revocations among them where they belong. What comes to be meanwhile stands
 * behind all that there is: pages of different moments go together. */
static bulla_rc record_entries(const struct bulla_ledger *ledger, const struct ledger_run *run, struct record_page *page)
{
	uint32_t revocation = 0;

	for (uint32_t n = run->first_row; n != 0;) {
		const struct ledger_row *row = ledger_pool_at(&ledger->rows, n);

		BULLA_TRY(record_revocations(ledger, row->entry.sequence, &revocation, page));
		BULLA_TRY(record_entry(&row->entry, (bulla_bytes){NULL, 0}, page));
		n = row->next;
	}
	return record_revocations(ledger, UINT64_MAX, &revocation, page);
}

static bulla_rc record_head(struct bulla_ledger *ledger, const struct ledger_run *run, struct record_page *page, int64_t now_ms)
{
	struct bulla_run_head head = {.tenant = run->start.tenant,
		.run = run->id,
		.count = page->at,
		.sequence = ledger->next_lsn - 1,
		.time_ms = (uint64_t)now_ms,
		.head = ledger->head,
		.state = run->fold.state};

	bulla_merkle_root(&page->tree, &head.root);
	bulla_buf_clear(&ledger->items);
	BULLA_TRY(ledger->world.make_head(ledger->world.ctx, &head, &ledger->items));
	return record_item(bulla_buf_view(&ledger->items), page->reply);
}

bulla_rc bulla_ledger_record(struct bulla_ledger *ledger, bulla_bytes ask, int64_t now_ms, struct bulla_buf *ret_reply)
{
	struct bulla_msg_record_ask message;
	struct bulla_msg_record rest = {.next = 0};
	struct record_page page = {.reply = ret_reply};
	struct ledger_run *run = NULL;
	uint64_t count;
	bulla_run_id id;

	BULLA_TRY(bulla_msg_record_ask_decode(ask, &message));
	BULLA_TRY(bulla_bytes_copy_exact(message.run_id, sizeof(id.b), id.b));
	BULLA_TRY(ledger_run_get(ledger, &id, &run));
	if (run == NULL)
		return BULLA_FAIL(BULLA_E_RUN_UNKNOWN, "the ledger has no such run");
	count = run->row_count + ledger->revocation_count;
	if (message.from > count)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "the run's record has not so many entries");
	bulla_merkle_init(&page.tree);
	page.from = message.from;
	page.to = message.from + ledger->record_page;
	page.last = page.to >= count;
	BULLA_TRY(record_entries(ledger, run, &page));
	if (page.last)
		return record_head(ledger, run, &page, now_ms);
	rest.next = page.to;
	return end_reply(&bulla_msg_record_desc, &rest, ret_reply);
}

/* --- sessions and other tables --- */

bulla_rc bulla_ledger_session_add(struct bulla_ledger *ledger, const struct bulla_ledger_session *session)
{
	struct ledger_fact fact = {.type = BULLA_LEDGER_SESSION,
		.instance = session->instance,
		.manifest = session->manifest,
		.image = session->image,
		.epoch = session->epoch,
		.expires_ms = (uint64_t)session->lapses_ms,
		.rest = session->agents};

	bulla_copy(fact.session, session->id, sizeof(fact.session));
	return ledger_say(ledger, NULL, &fact, 0);
}

static bulla_rc say_session(struct bulla_ledger *ledger, const struct ledger_session *session, int64_t lapses_ms,
	uint8_t ended, int64_t now_ms)
{
	struct ledger_fact fact = {.type = BULLA_LEDGER_SESSION,
		.instance = session->instance,
		.manifest = session->manifest,
		.image = session->image,
		.epoch = session->epoch,
		.expires_ms = (uint64_t)lapses_ms,
		.ended = ended,
		.rest = bulla_bytes_of(session->agents, session->agent_count * sizeof(bulla_handle))};

	bulla_copy(fact.session, session->id, sizeof(fact.session));
	return ledger_say(ledger, NULL, &fact, now_ms);
}

bulla_rc bulla_ledger_end_sessions(struct bulla_ledger *ledger, const bulla_digest *instance, bulla_rc why,
	int64_t now_ms)
{
	for (uint32_t i = 0; i < ledger->session_count && ledger->sessions[i].used; i++) {
		const struct ledger_session *session = &ledger->sessions[i];

		if (session->ended == 0 && bulla_digest_eq(&session->instance, instance))
			BULLA_TRY(say_session(ledger, session, session->lapses_ms, ledger_ending_of(why), now_ms));
	}
	return BULLA_OK;
}

bulla_rc bulla_ledger_demand(struct bulla_ledger *ledger, const bulla_digest *instance, int64_t by_ms, int64_t now_ms)
{
	for (uint32_t i = 0; i < ledger->session_count && ledger->sessions[i].used; i++) {
		const struct ledger_session *session = &ledger->sessions[i];

		if (session->ended != 0 || session->lapses_ms <= by_ms)
			continue;
		if (instance == NULL || bulla_digest_eq(&session->instance, instance))
			BULLA_TRY(say_session(ledger, session, by_ms, 0, now_ms));
	}
	return BULLA_OK;
}

bulla_rc bulla_ledger_append(struct bulla_ledger *ledger, uint8_t type, bulla_bytes body, uint64_t *ret_lsn)
{
	struct ledger_fact fact = {.type = type, .rest = body};

	if (type != BULLA_LEDGER_EPOCH && type != BULLA_LEDGER_BIRTH)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "that record is the ledger's own");
	*ret_lsn = ledger->next_lsn;
	return ledger_say(ledger, NULL, &fact, 0);
}

/* --- turns and tokens --- */

bool bulla_ledger_hurries(const struct bulla_ledger *ledger)
{
	return ledger->hurry;
}

void bulla_ledger_turn(struct bulla_ledger *ledger, bulla_bytes *ret_records, uint32_t *ret_count, uint64_t *ret_lsn)
{
	*ret_records = bulla_buf_view(&ledger->records);
	*ret_count = ledger->record_count;
	*ret_lsn = ledger->next_lsn;
	ledger->record_count = 0;
	ledger->hurry = false;
	ledger->records.n = 0; /* the bytes stay as they are until the next record */
}

size_t bulla_ledger_tokens(struct bulla_ledger *ledger, struct bulla_ledger_commit *ret, size_t capacity)
{
	size_t count = 0;

	while (count < capacity) {
		const struct ledger_pending *pending = ledger_queue_front(&ledger->pending);

		if (pending == NULL || pending->token.sequence >= ledger->durable_lsn)
			break;
		ret[count].token = pending->token;
		ret[count++].token.head = ledger->head;
		ledger_queue_pop(&ledger->pending);
	}
	return count;
}

uint64_t bulla_ledger_sequence(const struct bulla_ledger *ledger)
{
	return ledger->next_lsn;
}

uint64_t bulla_ledger_time(const struct bulla_ledger *ledger)
{
	return ledger->last_ms;
}

void bulla_ledger_count(const struct bulla_ledger *ledger, struct bulla_ledger_counts *ret)
{
	*ret = ledger->counts;
	ret->resident = ledger->runs.used;
}

bulla_rc bulla_ledger_slot_next(struct bulla_ledger *ledger, const bulla_run_id *id, uint32_t *cursor,
	struct bulla_ledger_slot_view *ret)
{
	struct ledger_run *run = NULL;
	const struct ledger_slot *slot;

	BULLA_TRY(ledger_run_get(ledger, id, &run));
	if (run == NULL)
		return BULLA_E_RUN_UNKNOWN;
	if (*cursor == UINT32_MAX || run->first_slot == 0)
		return BULLA_E_NOT_FOUND;
	slot = ledger_pool_at(&ledger->slots, *cursor == 0 ? run->first_slot : *cursor);
	*cursor = slot->next_in_run != 0 ? slot->next_in_run : UINT32_MAX;
	*ret = (struct bulla_ledger_slot_view){.step = slot->step,
		.item = slot->item,
		.attempt = slot->attempt,
		.open = slot->open,
		.filled = slot->filled,
		.receipt = slot->receipt,
		.outcome = slot->outcome,
		.sequence = slot->sequence};
	if (slot->escrow != NULL)
		ret->escrow = bulla_buf_view(&slot->escrow->bytes);
	return BULLA_OK;
}

uint8_t bulla_ledger_run_state(struct bulla_ledger *ledger, const bulla_run_id *id)
{
	struct ledger_run *run = NULL;

	return ledger_run_get(ledger, id, &run) == BULLA_OK && run != NULL ? run->fold.state : 0;
}

bool bulla_ledger_run_is_open(const struct bulla_ledger *ledger, const bulla_run_id *id)
{
	const struct ledger_run *run = ledger_run_find(ledger, id);

	return run != NULL && run->fold.state == BULLA_RUN_OPEN;
}
