#include "broker/ledger_state.h"

#include "base/checks.h"
#include "base/limits.h"
#include "crypto/hash.h"
#include "flow/parents.h"
#include "wire/messages.h"

/* What the broker itself says: receipts of its clock, lost slots; and what parties order. */

/* The command that asks for the broker's word on this slot. */
static bulla_rc find_asked(const struct ledger_run *run, const struct bulla_msg_slot_ref *ref, struct bulla_flow_command *ret)
{
	size_t cursor = 0;

	while (bulla_flow_outstanding(run->flow, &run->fold, &cursor, ret) == BULLA_OK) {
		bool clock = ret->kind == BULLA_FLOW_ASK_CLOCK || (ret->kind == BULLA_FLOW_ASK_PARTY && ret->due_ms > 0);

		if (clock && ret->step == ref->step && ret->item == ref->item)
			return BULLA_OK;
	}
	return BULLA_FAIL(BULLA_E_PLAN, "nothing waits for the clock there");
}

/* The broker's own word about an agent's slot: no clock has to do with it. */
static bool is_brokers(uint8_t outcome)
{
	return outcome == BULLA_OUTCOME_LOST || outcome == BULLA_OUTCOME_LIMIT;
}

static uint8_t outcome_of(const struct bulla_flow_command *command)
{
	if (is_brokers(command->why))
		return command->why;
	return command->kind == BULLA_FLOW_ASK_PARTY || command->why == BULLA_OUTCOME_TIMEOUT ? BULLA_FLOW_OUTCOME_TIMEOUT : 0;
}

static bulla_rc receipt_for(const struct ledger_run *run, uint32_t step, uint32_t item, uint32_t attempt, uint8_t outcome,
	uint64_t time_ms, struct bulla_receipt *ret)
{
	struct bulla_flow_parent parents[BULLA_MAX_PARENTS];
	bulla_digest digests[BULLA_MAX_PARENTS];
	size_t count = 0;

	BULLA_TRY(bulla_flow_parents(run->flow, &run->fold, (uint16_t)step, item, parents, BULLA_MAX_PARENTS, &count));
	for (size_t i = 0; i < count; i++)
		digests[i] = parents[i].digest;
	*ret = (struct bulla_receipt){
		.position = {.slot = {run->start.tenant, run->start.workflow, run->id, step, item}, .attempt = attempt},
		.manifest = run->start.manifest,
		.executor = is_brokers(outcome) ? BULLA_EXECUTOR_BROKER : BULLA_EXECUTOR_CLOCK,
		.outcome = outcome,
		.time_ms = time_ms};
	BULLA_TRY(bulla_parents_root(bulla_bytes_of(digests, count * sizeof(bulla_digest)), &ret->parents));
	bulla_pairs_root(NULL, 0, &ret->inputs);
	ret->outputs = ret->inputs;
	ret->capabilities = ret->inputs;
	return BULLA_OK;
}

/* Said before: the same words (signed anew, the same digest). */
static bulla_rc say_again(struct bulla_ledger *ledger, const struct ledger_run *run, const struct ledger_slot *slot,
	struct bulla_buf *ret_receipt)
{
	struct bulla_receipt receipt;
	const struct bulla_entry *entry = ledger_entry_of(ledger, run, slot->step, slot->item, slot->attempt, true);

	if (entry == NULL || (entry->kind != BULLA_ENTRY_CLOCK && entry->kind != BULLA_ENTRY_LOST))
		return BULLA_FAIL(BULLA_E_SLOT_FILLED, "the slot has another receipt");
	ledger_token_again(ledger, run, slot); /* the first one may have been lost with the answer */
	BULLA_TRY(receipt_for(run, slot->step, slot->item, slot->attempt, slot->outcome, slot->filled_ms, &receipt));
	return ledger->world.make_receipt(ledger->world.ctx, &receipt, ret_receipt);
}

static bulla_rc say_time(struct bulla_ledger *ledger, struct ledger_run *run, const struct bulla_flow_command *command,
	int64_t now_ms, struct bulla_buf *ret_receipt)
{
	uint8_t outcome = outcome_of(command);
	struct ledger_fact fact = {.type = BULLA_LEDGER_CLOCK,
		.entry = {.kind = is_brokers(outcome) ? BULLA_ENTRY_LOST : BULLA_ENTRY_CLOCK,
			.outcome = outcome,
			.filled = 1,
			.step = command->step,
			.item = command->item,
			.attempt = command->attempt}};
	struct bulla_receipt receipt;
	size_t before = ret_receipt->n;

	BULLA_TRY(receipt_for(run, command->step, command->item, command->attempt, outcome, (uint64_t)now_ms, &receipt));
	BULLA_TRY(ledger->world.make_receipt(ledger->world.ctx, &receipt, ret_receipt));
	bulla_receipt_digest(&receipt, &fact.entry.digest);
	fact.entry.who = receipt.kid;
	fact.rest = bulla_bytes_of(ret_receipt->p + before, ret_receipt->n - before);
	return ledger_say(ledger, run, &fact, now_ms);
}

bulla_rc ledger_clock(struct bulla_ledger *ledger, struct ledger_run *run, bulla_bytes slot_ref, int64_t now_ms,
	struct bulla_buf *ret_receipt)
{
	struct bulla_flow_command command;
	struct bulla_msg_slot_ref ref;
	const struct ledger_slot *slot;

	BULLA_TRY(bulla_msg_slot_ref_decode(slot_ref, &ref));
	if (ref.step > UINT16_MAX || ref.item > UINT32_MAX)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "no such slot");
	slot = ledger_slot_find(ledger, run, (uint32_t)ref.step, (uint32_t)ref.item);
	if (slot != NULL && slot->filled)
		return say_again(ledger, run, slot, ret_receipt);
	if (run->fold.state != BULLA_RUN_OPEN || run->fold.ending != 0)
		return BULLA_FAIL(BULLA_E_RUN_CLOSED, "the run has ended or is ending");
	BULLA_TRY(find_asked(run, &ref, &command));
	if (BULLA_CHECK_ON(LEDGER_CLOCK_DUE) && command.due_ms > now_ms)
		return BULLA_FAIL(BULLA_E_CLOCK_RECEIPT, "it is not time yet");
	return say_time(ledger, run, &command, now_ms, ret_receipt);
}

bulla_rc ledger_order(struct bulla_ledger *ledger, struct ledger_run *run, bulla_bytes bytes, int64_t now_ms)
{
	struct ledger_fact fact = {.type = BULLA_LEDGER_ORDER, .entry = {.kind = BULLA_ENTRY_ORDER}, .rest = bytes};
	struct bulla_order order;

	BULLA_TRY(ledger->world.open_order(ledger->world.ctx, bytes, &run->start.manifest, &order, &fact.entry.who));
	if (!bulla_run_id_eq(&order.run, &run->id) || !bulla_handle_eq(&order.tenant, &run->start.tenant))
		return BULLA_FAIL(BULLA_E_POSITION_RUN, "the order is for another run");
	if (order.kind != BULLA_ORDER_CANCEL && order.kind != BULLA_ORDER_ERASE)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "that order is not for a run");
	if (order.kind == BULLA_ORDER_CANCEL ? run->cancelled : run->fold.state == BULLA_RUN_ERASED)
		return BULLA_OK; /* once is enough */
	fact.entry.other = order.kind;
	BULLA_TRY(bulla_order_digest(&order, &fact.entry.digest));
	return ledger_say(ledger, run, &fact, now_ms); /* the secret goes with the run's end, if it has not gone before */
}

bulla_rc ledger_stored(struct bulla_ledger *ledger, struct ledger_run *run, bulla_bytes slot_ref, int64_t now_ms)
{
	struct ledger_fact fact = {.type = BULLA_LEDGER_STORED};
	const struct ledger_slot *slot;
	struct bulla_msg_slot_ref ref;

	BULLA_TRY(bulla_msg_slot_ref_decode(slot_ref, &ref));
	if (ref.step > UINT16_MAX || ref.item > UINT32_MAX)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "no such slot");
	slot = ledger_slot_find(ledger, run, (uint32_t)ref.step, (uint32_t)ref.item);
	if (slot == NULL || slot->escrow == NULL)
		return BULLA_OK;
	fact.entry.step = slot->step;
	fact.entry.item = slot->item;
	return ledger_say(ledger, run, &fact, now_ms);
}
