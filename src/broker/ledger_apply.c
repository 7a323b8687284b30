#include "broker/ledger_state.h"

#include "base/checks.h"
#include "base/limits.h"
#include "base/mem.h"

/* In a build of mutants only: an error of the fold that the check taken away would have found before. */
static bool excused(bulla_rc rc)
{
	if (rc == BULLA_E_ATTEMPT_OPEN)
		return !BULLA_CHECK_ON(LEDGER_ATTEMPT_ONE);
	if (rc == BULLA_E_ATTEMPT_NUMBER)
		return !BULLA_CHECK_ON(LEDGER_ATTEMPT_NEXT) || !BULLA_CHECK_ON(LEDGER_ATTEMPT_ONE) ||
			!BULLA_CHECK_ON(LEDGER_COMMIT_ATTEMPT);
	if (rc == BULLA_E_SLOT_FILLED || rc == BULLA_E_FORK)
		return !BULLA_CHECK_ON(LEDGER_SLOT_FREE) || !BULLA_CHECK_ON(LEDGER_COMMIT_ATTEMPT);
	if (rc == BULLA_E_RUN_CLOSED)
		return !BULLA_CHECK_ON(LEDGER_RUN_OPEN);
	return rc == BULLA_E_PLAN && !BULLA_CHECK_ON(LEDGER_PLAN);
}

static bulla_rc fold(struct ledger_run *run, uint8_t kind, const struct bulla_entry *entry)
{
	struct bulla_flow_event event = {.kind = kind,
		.outcome = entry->outcome,
		.step = (uint16_t)entry->step,
		.item = entry->item,
		.attempt = entry->attempt,
		.at_ms = (int64_t)entry->time_ms,
		.digest = entry->digest};
	bulla_rc rc = bulla_flow_apply(run->flow, &run->fold, &event);

	return excused(rc) ? BULLA_OK : rc;
}

static bulla_rc apply_run(struct bulla_ledger *ledger, const struct ledger_fact *fact)
{
	struct bulla_start_record record;
	struct bulla_ledger_plan plan = {0};
	struct ledger_run *run = NULL;

	BULLA_TRY(bulla_start_record_decode(fact->rest, &record));
	BULLA_TRY(ledger->world.plan(ledger->world.ctx, &record.start.manifest, &record.start.workflow, &plan));
	if (ledger_run_find(ledger, &record.start.run) != NULL)
		return BULLA_FAIL(BULLA_E_EXISTS, "a run is started twice");
	BULLA_TRY(ledger_run_add(ledger, &record.start.run, plan.flow, &run));
	run->start = record.start;
	run->start.inputs = run->start.lengths = run->start.links = run->start.secret = (bulla_bytes){0};
	run->start_digest = record.digest;
	run->epoch = plan.epoch;
	ledger->counts.runs++;
	return fold(run, BULLA_FLOW_STARTED, &fact->entry);
}

static void apply_permit(struct bulla_ledger *ledger, struct ledger_run *run, struct ledger_slot *slot,
	const struct ledger_fact *fact)
{
	slot->attempt = fact->entry.attempt;
	slot->tries_left = (uint32_t)fact->entry.other;
	if (!slot->open)
		run->open++;
	slot->open = true;
	bulla_copy(slot->session, fact->session, sizeof(slot->session));
	slot->instance = fact->entry.who;
	slot->parents = fact->entry.digest;
	slot->time_ms = fact->entry.time_ms;
	slot->expires_ms = fact->expires_ms;
	slot->permit_sequence = fact->entry.sequence;
	ledger->counts.permits++;
}

static void close_attempt(struct ledger_run *run, struct ledger_slot *slot, uint32_t attempt)
{
	if (slot->open && slot->attempt == attempt) {
		slot->open = false;
		run->open--;
	}
}

static void push_token(struct bulla_ledger *ledger, const struct ledger_run *run, const struct ledger_slot *slot)
{
	void *p = NULL;

	if (ledger_queue_push(&ledger->pending, &p) != BULLA_OK)
		return; /* a repeated commit, or SYNC, asks for it again */
	*(struct ledger_pending *)p = (struct ledger_pending){.token = {
		.slot = {run->start.tenant, run->start.workflow, run->id, slot->step, slot->item},
		.receipt = slot->receipt,
		.sequence = slot->sequence,
		.time_ms = slot->filled_ms}};
}

void ledger_token_again(struct bulla_ledger *ledger, const struct ledger_run *run, const struct ledger_slot *slot)
{
	push_token(ledger, run, slot);
}

/* Clients act on the token of a run's last receipt; for others it is made when somebody asks. */
static bool may_be_last(const struct ledger_run *run, const struct ledger_slot *slot)
{
	return run->flow->steps[slot->step].waiting.count == 0 || BULLA_OUTCOME_IS_FAILURE(slot->outcome);
}

static bulla_rc apply_receipt(struct bulla_ledger *ledger, struct ledger_run *run, struct ledger_slot *slot,
	const struct ledger_fact *fact)
{
	const struct bulla_entry *entry = &fact->entry;

	close_attempt(run, slot, entry->attempt);
	ledger->counts.commits++;
	if (entry->filled != 1)
		return BULLA_OK;
	slot->filled = true;
	slot->attempt = entry->attempt;
	slot->outcome = entry->outcome;
	slot->receipt = entry->digest;
	slot->sequence = entry->sequence;
	slot->filled_ms = entry->time_ms;
	if (may_be_last(run, slot))
		push_token(ledger, run, slot);
	if (fact->type == BULLA_LEDGER_COMMIT && fact->rest.n > 0)
		return ledger_escrow_keep(ledger, slot, fact->rest);
	return BULLA_OK;
}

static void drop_all_escrow(struct bulla_ledger *ledger, const struct ledger_run *run)
{
	for (uint32_t n = run->first_slot; n != 0;) {
		struct ledger_slot *slot = ledger_pool_at(&ledger->slots, n);

		ledger_escrow_drop(ledger, slot);
		n = slot->next_in_run;
	}
}

static uint8_t flow_kind(const struct ledger_fact *fact)
{
	if (fact->type == BULLA_LEDGER_PERMIT)
		return BULLA_FLOW_OPENED;
	if (fact->type == BULLA_LEDGER_GIVEN_UP)
		return BULLA_FLOW_LOST;
	if (fact->type == BULLA_LEDGER_ORDER)
		return fact->entry.other == BULLA_ORDER_ERASE ? BULLA_FLOW_ERASED : BULLA_FLOW_CANCELLED;
	return BULLA_FLOW_RESULT;
}

/* Room for one more, so that nothing can fail once the fold has changed. */
static bulla_rc room(struct ledger_pool *pool)
{
	uint32_t number = 0;
	void *p;

	BULLA_TRY(ledger_pool_take(pool, &number, &p));
	ledger_pool_give(pool, number);
	return BULLA_OK;
}

static bulla_rc apply_to_slot(struct bulla_ledger *ledger, struct ledger_run *run, const struct ledger_fact *fact)
{
	struct ledger_slot *slot = ledger_slot_find(ledger, run, fact->entry.step, fact->entry.item);

	if (slot == NULL)
		BULLA_TRY(ledger_slot_add(ledger, run, fact->entry.step, fact->entry.item, &slot));
	if (fact->type == BULLA_LEDGER_PERMIT)
		apply_permit(ledger, run, slot, fact);
	else if (fact->type == BULLA_LEDGER_GIVEN_UP)
		close_attempt(run, slot, fact->entry.attempt);
	else
		BULLA_TRY(apply_receipt(ledger, run, slot, fact));
	return BULLA_OK;
}

static bulla_rc apply_entry(struct bulla_ledger *ledger, struct ledger_run *run, const struct ledger_fact *fact)
{
	BULLA_TRY(room(&ledger->slots));
	BULLA_TRY(room(&ledger->rows));
	BULLA_TRY(fold(run, flow_kind(fact), &fact->entry));
	if (fact->type != BULLA_LEDGER_ORDER)
		BULLA_TRY(apply_to_slot(ledger, run, fact));
	else if (fact->entry.other == BULLA_ORDER_ERASE)
		drop_all_escrow(ledger, run);
	run->cancelled = run->cancelled || fact->type == BULLA_LEDGER_ORDER;
	return ledger_row_add(ledger, run, &fact->entry);
}

static struct ledger_session *session_place(struct bulla_ledger *ledger, const struct ledger_fact *fact)
{
	struct ledger_session *oldest = &ledger->sessions[0];
	struct ledger_session *found = ledger_session_find(ledger, fact->session);

	if (found != NULL)
		return found;
	for (uint32_t i = 0; i < ledger->session_count; i++) {
		if (!ledger->sessions[i].used)
			return &ledger->sessions[i];
		if (ledger->sessions[i].lapses_ms < oldest->lapses_ms)
			oldest = &ledger->sessions[i];
	}
	return oldest;
}

static bulla_rc apply_session(struct bulla_ledger *ledger, const struct ledger_fact *fact)
{
	struct ledger_session *session = session_place(ledger, fact);
	size_t count = fact->rest.n / sizeof(bulla_handle);
	void *agents = NULL;

	if (fact->rest.n % sizeof(bulla_handle) != 0 || count == 0 || count > BULLA_MAX_AGENTS)
		return BULLA_FAIL(BULLA_E_FORMAT, "a session hosts no agent or too many");
	BULLA_TRY(bulla_alloc(count, sizeof(bulla_handle), &agents));
	bulla_copy(agents, fact->rest.p, fact->rest.n);
	bulla_free(session->agents);
	*session = (struct ledger_session){.instance = fact->instance,
		.manifest = fact->manifest,
		.image = fact->image,
		.epoch = fact->epoch,
		.lapses_ms = (int64_t)fact->expires_ms,
		.used = true,
		.ended = fact->ended,
		.agent_count = (uint16_t)count,
		.agents = agents};
	bulla_copy(session->id, fact->session, sizeof(session->id));
	return BULLA_OK;
}

static void apply_stored(struct bulla_ledger *ledger, const struct ledger_run *run, const struct ledger_fact *fact)
{
	struct ledger_slot *slot = ledger_slot_find(ledger, run, fact->entry.step, fact->entry.item);

	if (slot != NULL)
		ledger_escrow_drop(ledger, slot);
}

static bulla_rc apply_revocation(struct bulla_ledger *ledger, const struct ledger_fact *fact)
{
	struct ledger_revocation *revocation = &ledger->revocations[ledger->revocation_count];
	bulla_digest kid;

	if (ledger->revocation_count == BULLA_MAX_REVOCATIONS)
		return BULLA_FAIL(BULLA_E_LIMIT, "too many revocations");
	bulla_buf_init(&revocation->sign1, BULLA_ORDER_MAX);
	BULLA_TRY(bulla_buf_append(&revocation->sign1, fact->rest));
	BULLA_TRY(bulla_order_peek(bulla_buf_view(&revocation->sign1), &kid, &revocation->order));
	revocation->entry = fact->entry;
	ledger->revocation_count++;
	return BULLA_OK;
}

bulla_rc ledger_apply(struct bulla_ledger *ledger, struct ledger_run *run, const struct ledger_fact *fact)
{
	ledger->last_ms = fact->entry.time_ms > ledger->last_ms ? fact->entry.time_ms : ledger->last_ms;
	switch ((enum bulla_ledger_record)fact->type) {
	case BULLA_LEDGER_RUN:
		return apply_run(ledger, fact);
	case BULLA_LEDGER_PERMIT:
	case BULLA_LEDGER_COMMIT:
	case BULLA_LEDGER_GIVEN_UP:
	case BULLA_LEDGER_CLOCK:
	case BULLA_LEDGER_ORDER:
		return apply_entry(ledger, run, fact);
	case BULLA_LEDGER_STORED:
		apply_stored(ledger, run, fact);
		return BULLA_OK;
	case BULLA_LEDGER_SESSION:
		return apply_session(ledger, fact);
	case BULLA_LEDGER_REVOKE:
		return apply_revocation(ledger, fact);
	case BULLA_LEDGER_EPOCH:
	case BULLA_LEDGER_BIRTH:
		return BULLA_OK;
	}
	return BULLA_FAIL(BULLA_E_VERSION, "the ledger has a record of unknown type");
}

/* The run's own first row; its run_no is what makes records find it again. */
bulla_rc ledger_apply_run(struct bulla_ledger *ledger, const struct ledger_fact *fact, struct ledger_run **ret)
{
	struct bulla_start_record record;

	BULLA_TRY(room(&ledger->rows));
	BULLA_TRY(ledger_apply(ledger, NULL, fact));
	BULLA_TRY(bulla_start_record_decode(fact->rest, &record));
	*ret = ledger_run_find(ledger, &record.start.run);
	return ledger_row_add(ledger, *ret, &fact->entry);
}

bulla_rc ledger_replay_fact(struct bulla_ledger *ledger, struct ledger_run *run, const struct ledger_fact *fact)
{
	if (fact->type == BULLA_LEDGER_RUN)
		return ledger_apply_run(ledger, fact, &run);
	return ledger_apply(ledger, run, fact);
}
