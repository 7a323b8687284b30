#include "broker/ledger_state.h"

#include "base/checks.h"
#include "base/limits.h"
#include "wire/messages.h"

static struct bulla_position position_of(const struct ledger_run *run, uint32_t step, uint32_t item, uint32_t attempt)
{
	return (struct bulla_position){
		.slot = {run->start.tenant, run->start.workflow, run->id, step, item}, .attempt = attempt};
}

/* Parents of one slot: one a step, in the plan's order (a for_each: the root over its items). A view of the ledger's
 * scratch. */
static bulla_rc parents_of(struct bulla_ledger *ledger, const struct ledger_run *run, uint32_t step, uint32_t item,
	bulla_bytes *ret)
{
	struct bulla_flow_parent *list = ledger->parents.list;
	bulla_digest *digests = ledger->parents.digests;
	size_t count;

	BULLA_TRY(bulla_flow_parents(run->flow, &run->fold, (uint16_t)step, item, list, BULLA_MAX_PARENTS, &count));
	for (size_t i = 0; i < count; i++)
		digests[i] = list[i].digest;
	*ret = bulla_bytes_of(digests, count * sizeof(bulla_digest));
	return BULLA_OK;
}

static bulla_rc read_slot_ref(bulla_bytes bytes, struct bulla_msg_slot_ref *ret)
{
	BULLA_TRY(bulla_msg_slot_ref_decode(bytes, ret));
	if (ret->step > UINT16_MAX || ret->item > UINT32_MAX || ret->attempt > UINT32_MAX)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "no such slot");
	return BULLA_OK;
}

/* --- start --- */

static bulla_rc check_start(const struct bulla_start_record *record, const bulla_run_id *id, int64_t now_ms)
{
	uint64_t now = (uint64_t)now_ms, made = record->start.time_ms, named = bulla_run_id_ms(&record->start.run);
	uint64_t oldest = made < named || named == 0 ? made : named;

	if (!bulla_run_id_eq(&record->start.run, id))
		return BULLA_FAIL(BULLA_E_POSITION_RUN, "the start record is another run's");
	if (BULLA_CHECK_ON(LEDGER_START_AGE) && oldest + BULLA_MAX_START_AGE_MS < now)
		return BULLA_FAIL(BULLA_E_CLOCK, "the start record is too old");
	if (BULLA_CHECK_ON(LEDGER_START_AGE) && (made > now + BULLA_MAX_CLOCK_SKEW_MS || named > now + BULLA_MAX_CLOCK_SKEW_MS))
		return BULLA_FAIL(BULLA_E_CLOCK, "the start record is from the future");
	return BULLA_OK;
}

/* protocol.md section 8: one start record per run id. */
static bulla_rc start_again(const struct ledger_run *run, bulla_bytes record)
{
	struct bulla_start_record again;

	BULLA_TRY(bulla_start_record_decode(record, &again));
	if (BULLA_CHECK_ON(LEDGER_START_ONCE) && !bulla_digest_eq(&again.digest, &run->start_digest))
		return BULLA_FAIL(BULLA_E_EXISTS, "the run was started with another start record");
	return BULLA_OK;
}

bulla_rc ledger_start(struct bulla_ledger *ledger, const bulla_run_id *id, bulla_bytes record, int64_t now_ms,
	bool may_start)
{
	const struct bulla_ledger_world *world = &ledger->world;
	struct ledger_run *run = NULL;
	struct ledger_fact fact = {.type = BULLA_LEDGER_RUN, .entry = {.kind = BULLA_ENTRY_START, .filled = 1}, .rest = record};
	struct bulla_start_record start;
	struct bulla_ledger_plan plan = {0};

	BULLA_TRY(ledger_run_get(ledger, id, &run));
	if (run != NULL)
		return start_again(run, record);
	if (!may_start)
		return BULLA_FAIL(BULLA_E_BUSY, "no new runs now");
	BULLA_TRY(world->open_start(world->ctx, record, &start));
	BULLA_TRY(check_start(&start, id, now_ms));
	BULLA_TRY(world->plan(world->ctx, &start.start.manifest, &start.start.workflow, &plan));
	if (!bulla_handle_eq(&plan.tenant, &start.start.tenant))
		return BULLA_FAIL(BULLA_E_POSITION_TENANT, "the start record is another tenant's");
	BULLA_TRY(bulla_ledger_revoked(ledger, &(struct bulla_revocable){.epoch = plan.epoch, .run_epoch = plan.epoch}));
	BULLA_TRY(world->keep_secret(world->ctx, &start.start));
	fact.entry.digest = start.digest;
	fact.entry.who = start.start.party;
	return ledger_say(ledger, NULL, &fact, now_ms);
}

/* --- attempts that end without a receipt --- */

static bulla_rc give_up(struct bulla_ledger *ledger, struct ledger_run *run, struct ledger_slot *slot, int64_t now_ms)
{
	struct ledger_fact fact = {.type = BULLA_LEDGER_GIVEN_UP,
		.entry = {.kind = BULLA_ENTRY_GIVEN_UP,
			.step = slot->step,
			.item = slot->item,
			.attempt = slot->attempt,
			.who = slot->instance}};

	return ledger_say(ledger, run, &fact, now_ms);
}

bulla_rc ledger_give_up(struct bulla_ledger *ledger, struct ledger_run *run, bulla_bytes slot_ref, int64_t now_ms)
{
	struct bulla_msg_slot_ref ref;
	struct ledger_slot *slot;

	BULLA_TRY(read_slot_ref(slot_ref, &ref));
	slot = ledger_slot_find(ledger, run, (uint32_t)ref.step, (uint32_t)ref.item);
	if (slot == NULL || !slot->open || slot->attempt != ref.attempt)
		return BULLA_OK; /* it is not open: nothing to give up */
	return give_up(ledger, run, slot, now_ms);
}

/* --- permits --- */

struct asking {
	struct bulla_msg_permit_ask ask;
	const struct ledger_session *session;
	uint8_t session_id[BULLA_SESSION_ID_BYTES];
	uint32_t step, item, attempt;
	bulla_bytes parents; /* digests, in the ledger's scratch */
	bulla_digest root;
};

static bulla_rc read_ask(bulla_bytes bytes, struct asking *ret)
{
	BULLA_TRY(bulla_msg_permit_ask_decode(bytes, &ret->ask));
	if (ret->ask.step == 0 || ret->ask.step > UINT16_MAX || ret->ask.item > UINT32_MAX || ret->ask.attempt > UINT32_MAX)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "no such slot");
	ret->step = (uint32_t)ret->ask.step;
	ret->item = (uint32_t)ret->ask.item;
	ret->attempt = (uint32_t)ret->ask.attempt;
	return bulla_bytes_copy_exact(ret->ask.session, BULLA_SESSION_ID_BYTES, ret->session_id);
}

/* The session is good, hosts the step's agent, and its manifest may serve the run's. */
static bulla_rc check_session(const struct bulla_ledger *ledger, const struct ledger_run *run, struct asking *asking,
	int64_t now_ms)
{
	const struct bulla_flow_step *step = &run->flow->steps[asking->step];
	bulla_handle agent;

	asking->session = ledger_session_find(ledger, asking->session_id);
	if (asking->session == NULL)
		return BULLA_FAIL(BULLA_E_SESSION, "there is no such session");
	if (BULLA_CHECK_ON(LEDGER_ENDED) && asking->session->ended != 0)
		return BULLA_FAIL(ledger_ending_rc(asking->session->ended), "the instance's session was ended");
	if (BULLA_CHECK_ON(LEDGER_SESSION) && asking->session->lapses_ms <= now_ms)
		return BULLA_FAIL(BULLA_E_EVIDENCE_STALE, "the session has lapsed with its appraisal");
	if (step->kind != BULLA_FLOW_AGENT || step->actor >= run->flow->actor_count)
		return BULLA_FAIL(BULLA_E_PLAN, "no agent runs that step");
	bulla_copy(agent.b, run->flow->actors[step->actor].handle, sizeof(agent.b));
	if (BULLA_CHECK_ON(LEDGER_SESSION_AGENT) && !ledger_session_hosts(asking->session, &agent))
		return BULLA_FAIL(BULLA_E_PERMIT_INSTANCE, "the instance does not host the step's agent");
	BULLA_TRY(ledger_check_revoked(ledger, run, asking->session, asking->step));
	if (BULLA_CHECK_ON(LEDGER_SESSION_EPOCH))
		BULLA_TRY(ledger->world.serves(ledger->world.ctx, &asking->session->manifest, &run->start.manifest));
	return BULLA_OK;
}

/* The parents that the host names are exactly the committed ones. */
static bulla_rc check_parents(struct bulla_ledger *ledger, const struct ledger_run *run, struct asking *asking)
{
	bulla_digest *named = ledger->parents.named;
	bulla_bytes *items = ledger->parents.items, committed = {0};
	bulla_rc rc = parents_of(ledger, run, asking->step, asking->item, &committed);
	size_t count = asking->ask.parents.count;

	if (BULLA_CHECK_ON(LEDGER_PARENTS))
		BULLA_TRY(rc);
	if (count > BULLA_MAX_PARENTS)
		return BULLA_FAIL(BULLA_E_LIMIT, "too many parents");
	BULLA_TRY(bulla_pb_list_items(&asking->ask.parents, BULLA_MAX_PARENTS, items));
	for (size_t i = 0; i < count; i++)
		BULLA_TRY(bulla_bytes_copy_exact(items[i], sizeof(bulla_digest), named[i].b));
	asking->parents = bulla_bytes_of(named, count * sizeof(bulla_digest));
	if (BULLA_CHECK_ON(LEDGER_PARENTS) && !bulla_bytes_eq(asking->parents, committed))
		return BULLA_FAIL(BULLA_E_PARENT, "the parents named are not the committed ones");
	return bulla_parents_root(asking->parents, &asking->root);
}

/* decide() wants this attempt of the slot, none is open, the run goes on: each error is one check of its own. */
static bulla_rc check_wanted(const struct ledger_run *run, const struct asking *asking)
{
	bulla_rc rc = bulla_flow_wants(run->flow, &run->fold, (uint16_t)asking->step, asking->item, asking->attempt);

	switch ((unsigned)rc) {
	case BULLA_E_RUN_CLOSED:
		return BULLA_CHECK_ON(LEDGER_RUN_OPEN) ? rc : BULLA_OK;
	case BULLA_E_SLOT_FILLED:
		return BULLA_CHECK_ON(LEDGER_SLOT_FREE) ? rc : BULLA_OK;
	case BULLA_E_ATTEMPT_OPEN:
		return BULLA_CHECK_ON(LEDGER_ATTEMPT_ONE) ? rc : BULLA_OK;
	case BULLA_E_ATTEMPT_NUMBER:
		return BULLA_CHECK_ON(LEDGER_ATTEMPT_NEXT) ? rc : BULLA_OK;
	case BULLA_E_PLAN:
		return BULLA_CHECK_ON(LEDGER_PLAN) ? rc : BULLA_OK;
	default:
		return rc;
	}
}

static bulla_rc write_permit(struct bulla_ledger *ledger, const struct ledger_run *run, const struct ledger_slot *slot,
	const struct asking *asking, struct bulla_buf *ret)
{
	struct bulla_permit permit = {.position = position_of(run, slot->step, slot->item, slot->attempt),
		.tries_left = slot->tries_left,
		.instance = slot->instance,
		.manifest = run->start.manifest,
		.parents = asking->parents,
		.time_ms = slot->time_ms,
		.expires_ms = slot->expires_ms,
		.epoch = run->epoch,
		.sequence = slot->permit_sequence};

	return ledger->world.make_permit(ledger->world.ctx, asking->session_id, &permit, ret);
}

static uint64_t permit_ends(const struct ledger_run *run, uint32_t step, int64_t now_ms)
{
	int64_t timeout = run->flow->steps[step].timeout_ms;

	return (uint64_t)now_ms + (uint64_t)(timeout > 0 ? timeout : BULLA_MAX_STEP_TIMEOUT_MS) + BULLA_MAX_PERMIT_GRACE_MS;
}

static uint32_t tries_after(const struct ledger_run *run, const struct asking *asking)
{
	const struct bulla_flow_slot *slot = bulla_flow_slot_of(run->flow, &run->fold, (uint16_t)asking->step, asking->item);
	uint32_t left = slot != NULL ? bulla_flow_tries_left(run->flow, slot) : 0;

	return left > 0 ? left - 1 : 0;
}

static bulla_rc new_permit(struct bulla_ledger *ledger, struct ledger_run *run, const struct asking *asking, int64_t now_ms)
{
	struct ledger_fact fact = {.type = BULLA_LEDGER_PERMIT,
		.entry = {.kind = BULLA_ENTRY_PERMIT,
			.step = asking->step,
			.item = asking->item,
			.attempt = asking->attempt,
			.other = tries_after(run, asking),
			.digest = asking->root,
			.who = asking->session->instance},
		.expires_ms = permit_ends(run, asking->step, now_ms)};

	bulla_copy(fact.session, asking->session_id, sizeof(fact.session));
	return ledger_say(ledger, run, &fact, now_ms);
}

/* The open attempt, asked for again by its instance on the same parents. */
static bool is_same(const struct ledger_slot *slot, const struct asking *asking)
{
	return slot != NULL && slot->open && slot->attempt == asking->attempt &&
		bulla_digest_eq(&slot->instance, &asking->session->instance) && bulla_digest_eq(&slot->parents, &asking->root);
}

bulla_rc ledger_permit(struct bulla_ledger *ledger, struct ledger_run *run, bulla_bytes ask, int64_t now_ms,
	struct bulla_buf *ret_permit)
{
	struct asking asking = {0};
	struct ledger_slot *slot;

	BULLA_TRY(read_ask(ask, &asking));
	if (asking.step >= run->flow->step_count)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "no such step");
	if (BULLA_CHECK_ON(LEDGER_RUN_OPEN) && run->fold.state == BULLA_RUN_ERASED)
		return BULLA_FAIL(BULLA_E_RUN_CLOSED, "the run was erased");
	BULLA_TRY(check_session(ledger, run, &asking, now_ms));
	slot = ledger_slot_find(ledger, run, asking.step, asking.item);
	if (slot != NULL && slot->open && asking.attempt == slot->attempt + 1 && slot->expires_ms <= (uint64_t)now_ms)
		BULLA_TRY(give_up(ledger, run, slot, now_ms)); /* expired: the next one may begin */
	if (slot == NULL || !slot->open || slot->attempt != asking.attempt)
		BULLA_TRY(check_wanted(run, &asking)); /* before the parents: it says more about a host that is behind */
	BULLA_TRY(check_parents(ledger, run, &asking));
	if (!is_same(slot, &asking)) {
		BULLA_TRY(check_wanted(run, &asking));
		BULLA_TRY(new_permit(ledger, run, &asking, now_ms));
		slot = ledger_slot_find(ledger, run, asking.step, asking.item);
	}
	return write_permit(ledger, run, slot, &asking, ret_permit);
}

/* --- commits --- */

/* An answer that was given stays given; another receipt for the same attempt is a fork. */
static bulla_rc commit_again(struct bulla_ledger *ledger, const struct ledger_run *run,
	const struct ledger_slot *slot, const bulla_digest *receipt, uint32_t attempt, const struct bulla_entry **ret)
{
	const struct bulla_entry *entry = ledger_entry_of(ledger, run, slot->step, slot->item, attempt, true);

	*ret = NULL;
	if (entry == NULL || !BULLA_CHECK_ON(LEDGER_COMMIT_REPEAT))
		return BULLA_OK;
	if (!bulla_digest_eq(&entry->digest, receipt))
		return BULLA_FAIL(BULLA_E_FORK, "another receipt is committed for that attempt");
	if (entry->filled == 1)
		ledger_token_again(ledger, run, slot);
	*ret = entry;
	return BULLA_OK;
}

static bulla_rc not_open(const struct ledger_slot *slot, uint32_t attempt)
{
	if (slot->filled)
		return BULLA_FAIL(BULLA_E_SLOT_FILLED, "the slot has its receipt");
	if (attempt > slot->attempt)
		return BULLA_FAIL(BULLA_E_ATTEMPT_NUMBER, "that attempt was never permitted");
	return BULLA_FAIL(BULLA_E_ATTEMPT_CLOSED, "that attempt was given up");
}

static bulla_rc check_commit(const struct bulla_ledger *ledger, const struct ledger_run *run,
	const struct ledger_session *session, const struct ledger_slot *slot, const struct bulla_commit *commit, int64_t now_ms)
{
	if (BULLA_CHECK_ON(LEDGER_COMMIT_ATTEMPT) && (!slot->open || slot->attempt != commit->position.attempt))
		return not_open(slot, commit->position.attempt);
	if (BULLA_CHECK_ON(LEDGER_COMMIT_INSTANCE) && !bulla_digest_eq(&slot->instance, &session->instance))
		return BULLA_FAIL(BULLA_E_PERMIT_INSTANCE, "the attempt is another instance's");
	BULLA_TRY(ledger_check_revoked(ledger, run, session, slot->step));
	if (BULLA_CHECK_ON(LEDGER_ENDED) && session->ended != 0)
		return BULLA_FAIL(ledger_ending_rc(session->ended), "the instance's session was ended");
	if (BULLA_CHECK_ON(LEDGER_COMMIT_EXPIRY) && slot->expires_ms <= (uint64_t)now_ms)
		return BULLA_FAIL(BULLA_E_PERMIT_EXPIRED, "the permit has expired");
	return BULLA_OK;
}

static bulla_rc new_commit(struct bulla_ledger *ledger, struct ledger_run *run, const struct ledger_slot *slot,
	const struct bulla_commit *commit, const bulla_digest *instance, bulla_bytes escrow, int64_t now_ms)
{
	bool retry = BULLA_OUTCOME_IS_FAILURE(commit->outcome) && slot->tries_left > 0;
	struct ledger_fact fact = {.type = BULLA_LEDGER_COMMIT,
		.entry = {.kind = BULLA_ENTRY_COMMIT,
			.outcome = commit->outcome,
			.filled = retry ? 0 : 1,
			.step = slot->step,
			.item = slot->item,
			.attempt = commit->position.attempt,
			.digest = commit->receipt,
			.who = *instance},
		.lengths = commit->lengths,
		.rest = retry || escrow.n > BULLA_MAX_ESCROW ? (bulla_bytes){0} : escrow};

	return ledger_say(ledger, run, &fact, now_ms);
}

static bulla_rc enclave_commit(struct bulla_ledger *ledger, struct ledger_run *run, bulla_bytes mac0, bulla_bytes escrow,
	int64_t now_ms, struct bulla_entry *ret)
{
	uint8_t id[BULLA_SESSION_ID_BYTES];
	const struct ledger_session *session;
	const struct bulla_entry *entry = NULL;
	struct bulla_position mine;
	struct ledger_slot *slot;
	struct bulla_commit commit;

	BULLA_TRY(bulla_commit_session(mac0, id));
	session = ledger_session_find(ledger, id);
	if (session == NULL)
		return BULLA_FAIL(BULLA_E_SESSION, "there is no such session");
	BULLA_TRY(ledger->world.open_commit(ledger->world.ctx, id, mac0, &commit));
	mine = position_of(run, commit.position.slot.step, commit.position.slot.item, commit.position.attempt);
	BULLA_TRY(bulla_position_check(&mine, &commit.position));
	slot = ledger_slot_find(ledger, run, mine.slot.step, mine.slot.item);
	if (slot == NULL)
		return BULLA_FAIL(BULLA_E_ATTEMPT_NUMBER, "that attempt was never permitted");
	if (!slot->open || slot->attempt != mine.attempt)
		BULLA_TRY(commit_again(ledger, run, slot, &commit.receipt, mine.attempt, &entry));
	if (entry == NULL) {
		if (BULLA_CHECK_ON(LEDGER_RUN_OPEN) && run->fold.state == BULLA_RUN_ERASED)
			return BULLA_FAIL(BULLA_E_RUN_CLOSED, "the run was erased");
		BULLA_TRY(check_commit(ledger, run, session, slot, &commit, now_ms));
		BULLA_TRY(new_commit(ledger, run, slot, &commit, &session->instance, escrow, now_ms));
		entry = &((const struct ledger_row *)ledger_pool_at(&ledger->rows, run->last_row))->entry;
	}
	*ret = *entry;
	return BULLA_OK;
}

/* --- a party's answer --- */

static bulla_rc check_signal(struct bulla_ledger *ledger, const struct ledger_run *run, const struct bulla_receipt *receipt,
	const bulla_handle *party)
{
	uint32_t step = receipt->position.slot.step;
	bulla_bytes parents;
	bulla_digest root;
	const struct bulla_flow_step *plan;

	if (step == 0 || step >= run->flow->step_count)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "no such step");
	plan = &run->flow->steps[step];
	if (BULLA_CHECK_ON(LEDGER_PARTY_RIGHT) &&
		(plan->kind != BULLA_FLOW_PARTY || plan->actor >= run->flow->actor_count ||
			!bulla_bytes_eq(bulla_handle_view(party), BULLA_BYTES_ARRAY(run->flow->actors[plan->actor].handle))))
		return BULLA_FAIL(BULLA_E_PARTY, "the step asks for another party");
	if (receipt->outcome == BULLA_FLOW_OUTCOME_TIMEOUT)
		return BULLA_FAIL(BULLA_E_CLOCK_RECEIPT, "that nobody answered in time is the clock's word alone");
	BULLA_TRY(bulla_flow_wants(run->flow, &run->fold, (uint16_t)step, receipt->position.slot.item, receipt->position.attempt));
	BULLA_TRY(parents_of(ledger, run, step, receipt->position.slot.item, &parents));
	BULLA_TRY(bulla_parents_root(parents, &root));
	if (BULLA_CHECK_ON(LEDGER_PARTY_PARENTS) && !bulla_digest_eq(&root, &receipt->parents))
		return BULLA_FAIL(BULLA_E_PARENT, "the answer is to another question");
	return BULLA_OK;
}

static bulla_rc party_commit(struct bulla_ledger *ledger, struct ledger_run *run, bulla_bytes bytes, int64_t now_ms,
	struct bulla_entry *ret)
{
	const struct bulla_entry *entry = NULL;
	struct bulla_receipt_record record;
	struct bulla_position mine;
	struct ledger_slot *slot;
	bulla_handle party;

	BULLA_TRY(ledger->world.open_signal(ledger->world.ctx, bytes, &record, &party));
	mine = position_of(run, record.receipt.position.slot.step, record.receipt.position.slot.item,
		record.receipt.position.attempt);
	BULLA_TRY(bulla_position_check(&mine, &record.receipt.position));
	slot = ledger_slot_find(ledger, run, mine.slot.step, mine.slot.item);
	if (slot != NULL)
		BULLA_TRY(commit_again(ledger, run, slot, &record.digest, mine.attempt, &entry));
	if (entry == NULL) {
		struct ledger_fact fact = {.type = BULLA_LEDGER_COMMIT,
			.entry = {.kind = BULLA_ENTRY_PARTY,
				.outcome = record.receipt.outcome,
				.filled = 1,
				.step = mine.slot.step,
				.item = mine.slot.item,
				.attempt = mine.attempt,
				.digest = record.digest,
				.who = record.receipt.kid},
			.lengths = record.lengths};

		if (!bulla_digest_eq(&record.receipt.manifest, &run->start.manifest) ||
			record.receipt.executor != BULLA_EXECUTOR_PARTY)
			return BULLA_FAIL(BULLA_E_PARTY, "the receipt is no party's answer in this run");
		BULLA_TRY(bulla_ledger_revoked(ledger, &(struct bulla_revocable){.epoch = run->epoch, .run_epoch = run->epoch}));
		BULLA_TRY(check_signal(ledger, run, &record.receipt, &party));
		BULLA_TRY(ledger_say(ledger, run, &fact, now_ms));
		entry = &((const struct ledger_row *)ledger_pool_at(&ledger->rows, run->last_row))->entry;
	}
	*ret = *entry;
	return BULLA_OK;
}

/* A receipt record is a CBOR array of five, a COSE_Mac0 one of four, tagged or not. */
#define CBOR_ARRAY_OF_FIVE 0x85

bulla_rc ledger_commit(struct bulla_ledger *ledger, struct ledger_run *run, bulla_bytes commit, bulla_bytes escrow,
	int64_t now_ms, uint64_t *ret_sequence, bool *ret_filled)
{
	struct bulla_entry entry;

	if (commit.n > 0 && commit.p[0] == CBOR_ARRAY_OF_FIVE)
		BULLA_TRY(party_commit(ledger, run, commit, now_ms, &entry));
	else
		BULLA_TRY(enclave_commit(ledger, run, commit, escrow, now_ms, &entry));
	*ret_sequence = entry.sequence;
	*ret_filled = entry.filled == 1;
	return BULLA_OK;
}
