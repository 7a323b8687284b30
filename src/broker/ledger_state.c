#include "broker/ledger_state.h"

#include "base/limits.h"
#include "base/mem.h"

#define SLOTS_PER_RUN 16 /* on average, of the table's size */
#define CHAIN 8          /* runs per bucket when all places are taken: a few hundred runs touch little memory */

static uint32_t mix(uint64_t a, uint64_t b)
{
	uint64_t x = (a ^ b * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);

	return (uint32_t)(x >> 32 ^ x);
}

static uint32_t run_hash(const bulla_run_id *id)
{
	uint64_t parts[2];

	bulla_copy(parts, id->b, sizeof(parts));
	return mix(parts[0], parts[1]);
}

static uint32_t power_of_two(uint32_t least)
{
	uint32_t size = 64;

	while (size < least)
		size *= 2;
	return size;
}

static bulla_rc hash_new(uint32_t places, uint32_t **ret, uint32_t *ret_mask)
{
	void *p = NULL;
	uint32_t size = power_of_two(places);

	BULLA_TRY(bulla_alloc(size, sizeof(uint32_t), &p));
	*ret = p;
	*ret_mask = size - 1;
	return BULLA_OK;
}

static void init_buffers(struct bulla_ledger *ledger)
{
	bulla_buf_init(&ledger->records, BULLA_MAX_JOURNAL_BATCH - BULLA_JOURNAL_BATCH_HEADER);
	bulla_buf_init(&ledger->body, BULLA_MAX_JOURNAL_BATCH);
	bulla_buf_init(&ledger->permit, BULLA_PERMIT_MAX);
	bulla_buf_init(&ledger->receipts, BULLA_MAX_FRAME_BODY);
	bulla_buf_init(&ledger->answer, BULLA_MAX_FRAME_BODY);
	bulla_buf_init(&ledger->items, BULLA_MAX_LEDGER_REPLY);
}

bulla_rc ledger_state_init(struct bulla_ledger *ledger, const struct bulla_ledger_options *options)
{
	uint32_t residents = options->residents != 0 ? options->residents : BULLA_MAX_RUN_RESIDENT;
	void *p = NULL;

	*ledger = (struct bulla_ledger){.world = options->world, .next_run_no = 1, .next_lsn = 1, .durable_lsn = 1};
	ledger->session_count = options->sessions != 0 ? options->sessions : BULLA_MAX_SESSIONS;
	ledger->record_page = options->record_page != 0 ? options->record_page : LEDGER_RECORD_PAGE;
	ledger->closed_kept = options->closed_kept != 0 ? options->closed_kept : LEDGER_CLOSED_KEPT;
	init_buffers(ledger);
	ledger_queue_init(&ledger->pending, sizeof(struct ledger_pending), LEDGER_PENDING);
	ledger_queue_init(&ledger->touches, sizeof(struct ledger_touch), LEDGER_TOUCHES);
	ledger->index.file = (struct ledger_index_file){options->world.ctx, options->world.index_write, options->world.index_read};
	ledger_pool_init(&ledger->runs, sizeof(struct ledger_run), residents);
	ledger_pool_init(&ledger->slots, sizeof(struct ledger_slot), residents * SLOTS_PER_RUN);
	ledger_pool_init(&ledger->rows, sizeof(struct ledger_row), residents * SLOTS_PER_RUN * 4);
	ledger_pool_init(&ledger->small, LEDGER_SMALL_FLOW * sizeof(struct bulla_flow_slot), residents);
	BULLA_TRY(hash_new(residents / CHAIN, &ledger->run_hash, &ledger->run_mask));
	BULLA_TRY(hash_new(residents / CHAIN, &ledger->number_hash, &ledger->run_mask));
	BULLA_TRY(hash_new(residents / CHAIN * 4, &ledger->slot_hash, &ledger->slot_mask));
	BULLA_TRY(bulla_alloc(ledger->session_count, sizeof(struct ledger_session), &p));
	ledger->sessions = p;
	BULLA_TRY(bulla_alloc(BULLA_MAX_REVOCATIONS, sizeof(struct ledger_revocation), &p));
	ledger->revocations = p;
	return BULLA_OK;
}

static void free_run(struct bulla_ledger *ledger, struct ledger_run *run)
{
	for (uint32_t n = run->first_slot; n != 0;) {
		struct ledger_slot *slot = ledger_pool_at(&ledger->slots, n);

		ledger_escrow_drop(ledger, slot);
		n = slot->next_in_run;
	}
	if (run->small_slots == 0)
		bulla_free(run->fold.slots);
}

void ledger_state_done(struct bulla_ledger *ledger)
{
	struct ledger_escrow *escrow;

	for (uint32_t i = 0; ledger->run_hash != NULL && i <= ledger->run_mask; i++)
		for (uint32_t n = ledger->run_hash[i]; n != 0;) {
			struct ledger_run *run = ledger_pool_at(&ledger->runs, n);

			n = run->next_hash;
			free_run(ledger, run);
		}
	while ((escrow = ledger->escrow_free) != NULL) {
		ledger->escrow_free = escrow->free_next;
		bulla_buf_done(&escrow->bytes);
		bulla_free(escrow);
	}
	for (uint32_t i = 0; ledger->sessions != NULL && i < ledger->session_count; i++)
		bulla_free(ledger->sessions[i].agents);
	for (uint32_t i = 0; i < ledger->revocation_count; i++)
		bulla_buf_done(&ledger->revocations[i].sign1);
	bulla_free(ledger->revocations);
	ledger_pool_done(&ledger->runs);
	ledger_pool_done(&ledger->slots);
	ledger_pool_done(&ledger->rows);
	ledger_pool_done(&ledger->small);
	bulla_free(ledger->run_hash);
	bulla_free(ledger->number_hash);
	bulla_free(ledger->slot_hash);
	bulla_free(ledger->sessions);
	ledger_queue_done(&ledger->pending);
	ledger_queue_done(&ledger->touches);
	ledger_index_done(&ledger->index);
	bulla_buf_done(&ledger->records);
	bulla_buf_done(&ledger->body);
	bulla_buf_done(&ledger->permit);
	bulla_buf_done(&ledger->receipts);
	bulla_buf_done(&ledger->answer);
	bulla_buf_done(&ledger->items);
}

struct ledger_run *ledger_run_find(const struct bulla_ledger *ledger, const bulla_run_id *id)
{
	uint32_t n = ledger->run_hash[run_hash(id) & ledger->run_mask];

	while (n != 0) {
		struct ledger_run *run = ledger_pool_at(&ledger->runs, n);

		if (bulla_run_id_eq(&run->id, id))
			return run;
		n = run->next_hash;
	}
	return NULL;
}

struct ledger_run *ledger_run_numbered(const struct bulla_ledger *ledger, uint64_t run_no)
{
	uint32_t n = ledger->number_hash[run_no & ledger->run_mask];

	while (n != 0) {
		struct ledger_run *run = ledger_pool_at(&ledger->runs, n);

		if (run->run_no == run_no)
			return run;
		n = run->next_number;
	}
	return NULL;
}

static bulla_rc fold_slots(struct bulla_ledger *ledger, uint32_t capacity, uint32_t *ret_small, struct bulla_flow_slot **ret)
{
	void *p = NULL;

	*ret_small = 0;
	if (capacity <= LEDGER_SMALL_FLOW)
		BULLA_TRY(ledger_pool_take(&ledger->small, ret_small, &p));
	else
		BULLA_TRY(bulla_alloc(capacity, sizeof(struct bulla_flow_slot), &p));
	*ret = p;
	return BULLA_OK;
}

static void fold_slots_free(struct bulla_ledger *ledger, uint32_t small, struct bulla_flow_slot *slots)
{
	if (small == 0)
		bulla_free(slots);
	ledger_pool_give(&ledger->small, small);
}

bulla_rc ledger_run_add(struct bulla_ledger *ledger, const bulla_run_id *id, const struct bulla_flow *flow,
	struct ledger_run **ret)
{
	uint32_t *bucket = &ledger->run_hash[run_hash(id) & ledger->run_mask];
	uint32_t number = 0, small = 0, capacity = bulla_flow_slots(flow), seed;
	struct bulla_flow_slot *slots = NULL;
	struct ledger_run *run;
	void *p = NULL;
	bulla_rc rc;

	BULLA_TRY(ledger_pool_take(&ledger->runs, &number, &p));
	run = p;
	capacity = capacity < LEDGER_SMALL_FLOW ? LEDGER_SMALL_FLOW : capacity;
	bulla_copy(&seed, id->b + sizeof(id->b) - sizeof(seed), sizeof(seed));
	rc = fold_slots(ledger, capacity, &small, &slots);
	if (rc == BULLA_OK)
		rc = bulla_flow_begin(flow, slots, capacity, seed, &run->fold);
	if (rc != BULLA_OK) {
		fold_slots_free(ledger, small, slots);
		ledger_pool_give(&ledger->runs, number);
		return rc;
	}
	run->id = *id;
	run->number = number;
	run->run_no = ledger->next_run_no++;
	run->next_number = ledger->number_hash[run->run_no & ledger->run_mask];
	ledger->number_hash[run->run_no & ledger->run_mask] = number;
	run->flow = flow;
	run->small_slots = small;
	run->next_hash = *bucket;
	*bucket = number;
	*ret = run;
	return BULLA_OK;
}

static uint32_t slot_bucket(const struct bulla_ledger *ledger, uint32_t run, uint32_t step, uint32_t item)
{
	return mix((uint64_t)run << 32 | step, item) & ledger->slot_mask;
}

static void unlink_slot(struct bulla_ledger *ledger, uint32_t number)
{
	struct ledger_slot *slot = ledger_pool_at(&ledger->slots, number);
	uint32_t *link = &ledger->slot_hash[slot_bucket(ledger, slot->run, slot->step, slot->item)];

	while (*link != number)
		link = &((struct ledger_slot *)ledger_pool_at(&ledger->slots, *link))->next_hash;
	*link = slot->next_hash;
	ledger_escrow_drop(ledger, slot);
	ledger_pool_give(&ledger->slots, number);
}

void ledger_run_remove(struct bulla_ledger *ledger, struct ledger_run *run)
{
	uint32_t *link = &ledger->run_hash[run_hash(&run->id) & ledger->run_mask], next;

	while (*link != run->number)
		link = &((struct ledger_run *)ledger_pool_at(&ledger->runs, *link))->next_hash;
	*link = run->next_hash;
	link = &ledger->number_hash[run->run_no & ledger->run_mask];
	while (*link != run->number)
		link = &((struct ledger_run *)ledger_pool_at(&ledger->runs, *link))->next_number;
	*link = run->next_number;
	for (uint32_t n = run->first_slot; n != 0; n = next) {
		next = ((struct ledger_slot *)ledger_pool_at(&ledger->slots, n))->next_in_run;
		unlink_slot(ledger, n);
	}
	for (uint32_t n = run->first_row; n != 0; n = next) {
		next = ((struct ledger_row *)ledger_pool_at(&ledger->rows, n))->next;
		ledger_pool_give(&ledger->rows, n);
	}
	fold_slots_free(ledger, run->small_slots, run->fold.slots);
	ledger_pool_give(&ledger->runs, run->number);
}

struct ledger_slot *ledger_slot_find(const struct bulla_ledger *ledger, const struct ledger_run *run, uint32_t step,
	uint32_t item)
{
	uint32_t n = ledger->slot_hash[slot_bucket(ledger, run->number, step, item)];

	while (n != 0) {
		struct ledger_slot *slot = ledger_pool_at(&ledger->slots, n);

		if (slot->run == run->number && slot->step == step && slot->item == item)
			return slot;
		n = slot->next_hash;
	}
	return NULL;
}

bulla_rc ledger_slot_add(struct bulla_ledger *ledger, struct ledger_run *run, uint32_t step, uint32_t item,
	struct ledger_slot **ret)
{
	uint32_t number = run->number, mine = 0;
	uint32_t *bucket = &ledger->slot_hash[slot_bucket(ledger, number, step, item)];
	struct ledger_slot *slot;
	void *p = NULL;

	BULLA_TRY(ledger_pool_take(&ledger->slots, &mine, &p));
	slot = p;
	slot->run = number;
	slot->step = step;
	slot->item = item;
	slot->next_hash = *bucket;
	*bucket = mine;
	if (run->last_slot != 0)
		((struct ledger_slot *)ledger_pool_at(&ledger->slots, run->last_slot))->next_in_run = mine;
	else
		run->first_slot = mine;
	run->last_slot = mine;
	*ret = slot;
	return BULLA_OK;
}

bulla_rc ledger_row_add(struct bulla_ledger *ledger, struct ledger_run *run, const struct bulla_entry *entry)
{
	uint32_t mine = 0;
	void *p = NULL;

	BULLA_TRY(ledger_pool_take(&ledger->rows, &mine, &p));
	((struct ledger_row *)p)->entry = *entry;
	if (run->last_row != 0)
		((struct ledger_row *)ledger_pool_at(&ledger->rows, run->last_row))->next = mine;
	else
		run->first_row = mine;
	run->last_row = mine;
	run->row_count++;
	return BULLA_OK;
}

const struct bulla_entry *ledger_entry_of(const struct bulla_ledger *ledger, const struct ledger_run *run, uint32_t step,
	uint32_t item, uint32_t attempt, bool with_receipt)
{
	for (uint32_t n = run->first_row; n != 0;) {
		const struct ledger_row *row = ledger_pool_at(&ledger->rows, n);
		const struct bulla_entry *entry = &row->entry;
		bool receipt = entry->kind == BULLA_ENTRY_COMMIT || entry->kind == BULLA_ENTRY_PARTY ||
			entry->kind == BULLA_ENTRY_CLOCK || entry->kind == BULLA_ENTRY_LOST;

		if (entry->step == step && entry->item == item && entry->attempt == attempt &&
			(with_receipt ? receipt : entry->kind == BULLA_ENTRY_GIVEN_UP))
			return entry;
		n = row->next;
	}
	return NULL;
}

struct ledger_session *ledger_session_find(const struct bulla_ledger *ledger, const uint8_t id[BULLA_SESSION_ID_BYTES])
{
	bulla_bytes wanted = bulla_bytes_of(id, BULLA_SESSION_ID_BYTES);

	for (uint32_t i = 0; i < ledger->session_count; i++) {
		struct ledger_session *session = &ledger->sessions[i];

		if (!session->used)
			return NULL; /* they are filled from the front and never emptied */
		if (bulla_bytes_eq(BULLA_BYTES_ARRAY(session->id), wanted))
			return session;
	}
	return NULL;
}

bool ledger_session_hosts(const struct ledger_session *session, const bulla_handle *agent)
{
	for (uint32_t i = 0; i < session->agent_count; i++)
		if (bulla_handle_eq(&session->agents[i], agent))
			return true;
	return false;
}

static bulla_rc new_escrow(struct ledger_escrow **ret)
{
	void *p = NULL;

	BULLA_TRY(bulla_alloc(1, sizeof(struct ledger_escrow), &p));
	*ret = p;
	bulla_buf_init(&(*ret)->bytes, BULLA_MAX_ESCROW);
	return BULLA_OK;
}

bulla_rc ledger_escrow_keep(struct bulla_ledger *ledger, struct ledger_slot *slot, bulla_bytes bytes)
{
	if (slot->escrow == NULL && ledger->escrow_free != NULL) {
		slot->escrow = ledger->escrow_free;
		ledger->escrow_free = slot->escrow->free_next;
	}
	if (slot->escrow == NULL)
		BULLA_TRY(new_escrow(&slot->escrow));
	bulla_buf_clear(&slot->escrow->bytes);
	return bulla_buf_append(&slot->escrow->bytes, bytes);
}

void ledger_escrow_drop(struct bulla_ledger *ledger, struct ledger_slot *slot)
{
	if (slot->escrow == NULL)
		return;
	slot->escrow->free_next = ledger->escrow_free;
	ledger->escrow_free = slot->escrow;
	slot->escrow = NULL;
}
