/* The ledger's entries, folded as engine and broker fold them, and each receipt against the plan. */
#include "base/mem.h"
#include "receipt/order.h"
#include "verify/state.h"
#include "wire/kinds.h"

enum { SKEW_MS = 120000, SESSION_MS = 3600000 };

static struct verify_slot *slot_of(struct bulla_verify *v, const struct bulla_entry *entry,
	const struct bulla_flow_slot **ret)
{
	const struct bulla_flow_slot *slot =
		entry->step < v->flow.step_count
			? bulla_flow_slot_of(&v->flow, &v->run, (uint16_t)entry->step, entry->item)
			: NULL;

	*ret = slot;
	return slot != NULL ? &v->slots[slot - v->run.slots] : NULL;
}

/* One fact into the fold. What the fold refuses is not what decide() would have wanted. */
static bulla_rc apply(struct bulla_verify *v, uint8_t kind, const struct bulla_entry *entry)
{
	struct bulla_flow_event event = {.kind = kind,
		.outcome = entry->outcome,
		.step = (uint16_t)entry->step,
		.item = entry->item,
		.attempt = entry->attempt,
		.seq = (uint32_t)v->entries.count,
		.at_ms = (int64_t)entry->time_ms,
		.digest = entry->digest};
	bulla_rc rc = bulla_flow_apply(&v->flow, &v->run, &event);

	return VERIFY(v, GRAPH_ORDER, rc == BULLA_OK, rc, "the ledger's entries are not what the plan wants");
}

/* --- parents and inputs --- */

static bulla_rc parents_of(struct bulla_verify *v, const struct bulla_entry *entry, size_t *ret_count, bulla_digest *ret_root)
{
	struct bulla_merkle list;
	bulla_rc rc = bulla_flow_parents(
		&v->flow, &v->run, (uint16_t)entry->step, entry->item, v->parents, v->run.slot_count, ret_count);

	if (rc != BULLA_OK)
		return rc;
	bulla_merkle_init(&list);
	for (size_t i = 0; i < *ret_count; i++)
		BULLA_TRY(bulla_merkle_add(&list, bulla_bytes_digest(&v->parents[i].digest)));
	bulla_merkle_root(&list, ret_root);
	return BULLA_OK;
}

/* Leaf hash of one output of a committed parent. */
static bulla_rc leaf_of(struct bulla_verify *v, const struct bulla_flow_parent *parent, uint16_t part, bulla_digest *ret)
{
	const struct bulla_flow_slot *slot = bulla_flow_slot_of(&v->flow, &v->run, parent->step, parent->item);
	const struct verify_slot *mine;
	bulla_rd r = bulla_rd_of(bulla_buf_view(&v->leaves));

	if (slot == NULL)
		return BULLA_E_GRAPH;
	mine = &v->slots[slot - v->run.slots];
	if (part >= mine->leaf_count)
		return BULLA_E_GRAPH;
	BULLA_TRY(bulla_rd_skip(&r, (mine->first_leaf + (size_t)part) * sizeof(*ret)));
	return bulla_rd_digest(&r, ret);
}

static bulla_rc inputs_root(struct bulla_verify *v, const struct bulla_entry *entry, size_t parents, bulla_digest *ret)
{
	struct bulla_merkle list;
	bulla_digest leaf;
	size_t count;

	BULLA_TRY(bulla_flow_bind(&v->flow, (uint16_t)entry->step, entry->item, v->parents, parents, v->bindings,
		BULLA_MAX_FLOW_INPUTS, &count));
	bulla_merkle_init(&list);
	for (size_t i = 0; i < count; i++) {
		if (v->bindings[i].parent == BULLA_FLOW_NO_SLOT)
			continue;
		BULLA_TRY(leaf_of(v, &v->parents[v->bindings[i].parent], v->bindings[i].part, &leaf));
		BULLA_TRY(bulla_merkle_add_leaf(&list, &leaf));
	}
	bulla_merkle_root(&list, ret);
	return BULLA_OK;
}

static bool is_empty_root(const bulla_digest *root)
{
	struct bulla_merkle list;
	bulla_digest empty;

	bulla_merkle_init(&list);
	bulla_merkle_root(&list, &empty);
	return bulla_digest_eq(root, &empty);
}

/* A failure may have happened before the inputs were looked at; parties and clocks need not name what they saw. */
static bool inputs_hold(const struct bulla_receipt *receipt, const bulla_digest *root, bulla_rc rc)
{
	bool must = receipt->executor == BULLA_EXECUTOR_AGENT && !BULLA_OUTCOME_IS_FAILURE(receipt->outcome);

	return (rc == BULLA_OK && bulla_digest_eq(root, &receipt->inputs)) || (!must && is_empty_root(&receipt->inputs));
}

static bool outputs_hold(const struct bulla_verify *v, const struct bulla_receipt *receipt)
{
	size_t count = bulla_pairs_count(bulla_buf_view(&v->pending.pairs));
	const struct bulla_flow_step *step = &v->flow.steps[receipt->position.slot.step];

	if (BULLA_OUTCOME_IS_FAILURE(receipt->outcome))
		return count <= 1;
	if (receipt->executor == BULLA_EXECUTOR_AGENT)
		return count == step->parts.count;
	return count == step->parts.count || count == 0;
}

/* The leaves of the outputs of a slot that is filled now. */
static bulla_rc keep_leaves(struct bulla_verify *v, struct verify_slot *slot)
{
	bulla_rd r = bulla_rd_of(bulla_buf_view(&v->pending.pairs));
	bulla_bytes pair;
	bulla_digest leaf;

	slot->first_leaf = (uint32_t)(v->leaves.n / sizeof(bulla_digest));
	slot->leaf_count = 0;
	while (bulla_rd_left(&r) > 0) {
		BULLA_TRY(bulla_rd_bytes(&r, BULLA_PAIR_BYTES, &pair));
		bulla_merkle_leaf(pair, &leaf);
		BULLA_TRY(bulla_buf_append(&v->leaves, bulla_bytes_digest(&leaf)));
		slot->leaf_count++;
	}
	return BULLA_OK;
}

/* --- entries --- */

static bulla_rc start_entry(struct bulla_verify *v, const struct bulla_entry *entry)
{
	BULLA_TRY(VERIFY(v, GRAPH_WHOLE,
		v->pending.is_start && !v->started && bulla_digest_eq(&v->pending.digest, &entry->digest), BULLA_E_GRAPH,
		"the ledger has another start record than the bundle"));
	BULLA_TRY(apply(v, BULLA_FLOW_STARTED, entry));
	v->started = true;
	v->pending.is_start = false;
	v->result.facts.started_ms = entry->time_ms;
	return keep_leaves(v, &v->slots[0]);
}

/* When the evidence was made at another time of the instance's life, nothing is said. */
static void check_recent(struct bulla_verify *v, const struct bulla_entry *entry)
{
	const struct verify_instance *instance = verify_instance_find(v, &entry->who);

	if (instance != NULL && entry->time_ms + SKEW_MS >= instance->evidence_first_ms &&
		entry->time_ms <= instance->evidence_ms + SESSION_MS + SKEW_MS)
		verify_held(v, BULLA_VERIFY_EVIDENCE_RECENT);
}

static bulla_rc permit_entry(struct bulla_verify *v, const struct bulla_entry *entry)
{
	const struct bulla_flow_slot *flow_slot;
	struct verify_slot *slot;
	bulla_digest root;
	size_t count;
	bulla_rc rc;

	BULLA_TRY(apply(v, BULLA_FLOW_OPENED, entry));
	slot = slot_of(v, entry, &flow_slot);
	if (slot == NULL)
		return verify_failed(v, BULLA_VERIFY_GRAPH_ORDER, BULLA_E_GRAPH, "a permit is for no slot of the plan");
	rc = parents_of(v, entry, &count, &root);
	BULLA_TRY(VERIFY(v, PERMIT_PARENTS, rc == BULLA_OK && bulla_digest_eq(&root, &entry->digest), BULLA_E_PARENT,
		"a permit rests on other parents than the committed ones"));
	BULLA_TRY(verify_not_revoked(v, entry));
	check_recent(v, entry);
	slot->who = entry->who;
	slot->permit_ms = entry->time_ms;
	slot->permitted = entry->attempt;
	v->result.facts.attempts++;
	return BULLA_OK;
}

/* The receipt that this entry commits is the one before it. */
static bulla_rc check_pending(struct bulla_verify *v, const struct bulla_entry *entry)
{
	const struct bulla_position *position = &v->pending.receipt.position;

	BULLA_TRY(VERIFY(v, GRAPH_WHOLE, v->pending.is_receipt, BULLA_E_GRAPH, "a committed receipt is missing"));
	BULLA_TRY(VERIFY(v, GRAPH_WHOLE, bulla_digest_eq(&v->pending.digest, &entry->digest), BULLA_E_FORK,
		"the ledger committed another receipt than the bundle shows"));
	return VERIFY(v, GRAPH_WHOLE,
		position->slot.step == entry->step && position->slot.item == entry->item &&
			position->attempt == entry->attempt && v->pending.receipt.outcome == entry->outcome,
		BULLA_E_GRAPH, "the ledger committed the receipt in another place");
}

/* The lesser class; NONE is none said yet. */
static uint8_t lesser(uint8_t a, uint8_t b)
{
	return a == BULLA_ASSURANCE_NONE || (b != BULLA_ASSURANCE_NONE && b < a) ? b : a;
}

static bulla_rc check_agent(struct bulla_verify *v, const struct bulla_entry *entry, struct verify_slot *slot)
{
	const struct bulla_receipt *receipt = &v->pending.receipt;

	BULLA_TRY(VERIFY(v, PERMIT_GIVEN, slot->permitted == entry->attempt, BULLA_E_PERMIT_USED,
		"an attempt ended that had no permit"));
	BULLA_TRY(VERIFY(v, PERMIT_INSTANCE,
		bulla_digest_eq(&slot->who, &receipt->kid) && bulla_digest_eq(&entry->who, &receipt->kid),
		BULLA_E_PERMIT_INSTANCE, "an attempt ran on another instance than was permitted"));
	BULLA_TRY(VERIFY(v, RECEIPT_TIME, receipt->time_ms >= slot->permit_ms && receipt->time_ms <= entry->time_ms, BULLA_E_CLOCK,
		"a receipt was not made between its permit and its commit"));
	BULLA_TRY(verify_not_revoked(v, entry));
	slot->permitted = 0;
	/* who gave birth to an agent's key has it, too, and reads what was sealed to that agent */
	v->result.facts.assurance = lesser(lesser(v->result.facts.assurance, v->pending.assurance), v->birth_assurance);
	if (v->result.facts.tee == BULLA_TEE_NONE)
		v->result.facts.tee = v->pending.tee;
	return BULLA_OK;
}

/* sleep and time-outs: when the fold says they are due, by the ledger's clock. */
static bulla_rc check_clock(struct bulla_verify *v, const struct bulla_entry *entry, const struct bulla_flow_slot *slot)
{
	const struct bulla_flow_step *step = &v->flow.steps[entry->step];
	bool timer = step->kind == BULLA_FLOW_CLOCK || step->kind == BULLA_FLOW_PARTY;

	if (v->pending.receipt.executor != BULLA_EXECUTOR_CLOCK || !timer)
		return BULLA_OK;
	return VERIFY(v, CLOCK_TIME, slot->state == BULLA_FLOW_WANTED && (int64_t)entry->time_ms >= slot->at_ms,
		BULLA_E_CLOCK_RECEIPT, "a timer ended early");
}

/* Parents, inputs and outputs of the pending receipt, before the fold takes it. */
static bulla_rc check_graph(struct bulla_verify *v, const struct bulla_entry *entry)
{
	const struct bulla_receipt *receipt = &v->pending.receipt;
	bulla_digest parents, inputs = {{0}};
	size_t count;
	bulla_rc rc = parents_of(v, entry, &count, &parents);
	bool by_ledger = receipt->executor == BULLA_EXECUTOR_BROKER || receipt->executor == BULLA_EXECUTOR_CLOCK;

	BULLA_TRY(VERIFY(v, RECEIPT_PARENTS,
		rc == BULLA_OK && (bulla_digest_eq(&parents, &receipt->parents) || (by_ledger && is_empty_root(&receipt->parents))),
		BULLA_E_PARENT, "a receipt names other parents than the plan demands"));
	if (rc == BULLA_OK)
		rc = inputs_root(v, entry, count, &inputs);
	BULLA_TRY(VERIFY(v, RECEIPT_INPUTS, inputs_hold(receipt, &inputs, rc), BULLA_E_GRAPH,
		"a step read something else than its parents' outputs"));
	return VERIFY(v, RECEIPT_OUTPUTS, outputs_hold(v, receipt), BULLA_E_GRAPH,
		"a step sealed other outputs than the plan names");
}

static void note_end(struct bulla_verify *v, const struct bulla_entry *entry)
{
	struct bulla_verify_facts *facts = &v->result.facts;
	uint16_t actor = v->flow.steps[entry->step].actor;

	if (BULLA_OUTCOME_IS_FAILURE(entry->outcome))
		facts->failed++;
	if (entry->filled == 1)
		facts->steps++;
	if (v->pending.receipt.executor == BULLA_EXECUTOR_AGENT && actor < BULLA_MAX_AGENTS &&
		(v->agents_seen[actor / 64] >> actor % 64 & 1) == 0) {
		v->agents_seen[actor / 64] |= UINT64_C(1) << actor % 64;
		facts->agents++;
	}
}

static bulla_rc receipt_entry(struct bulla_verify *v, const struct bulla_entry *entry)
{
	const struct bulla_flow_slot *flow_slot;
	struct verify_slot *slot = slot_of(v, entry, &flow_slot);

	BULLA_TRY(check_pending(v, entry));
	if (slot == NULL)
		return verify_failed(v, BULLA_VERIFY_GRAPH_ORDER, BULLA_E_GRAPH, "a receipt is for no slot of the plan");
	BULLA_TRY(check_graph(v, entry));
	if (v->pending.receipt.executor == BULLA_EXECUTOR_AGENT)
		BULLA_TRY(check_agent(v, entry, slot));
	BULLA_TRY(check_clock(v, entry, flow_slot));
	BULLA_TRY(apply(v, BULLA_FLOW_RESULT, entry));
	BULLA_TRY(VERIFY(v, GRAPH_ORDER, (entry->filled == 1) == (flow_slot->state == BULLA_FLOW_FILLED), BULLA_E_SLOT_FILLED,
		"the ledger filled a slot that the plan leaves open, or left open one that it fills"));
	slot->sequence = entry->sequence;
	v->pending.is_receipt = false;
	note_end(v, entry);
	v->result.facts.ended_ms = entry->time_ms;
	return entry->filled == 1 ? keep_leaves(v, slot) : BULLA_OK;
}

static bulla_rc given_up_entry(struct bulla_verify *v, const struct bulla_entry *entry)
{
	const struct bulla_flow_slot *flow_slot;
	struct verify_slot *slot = slot_of(v, entry, &flow_slot);

	if (slot != NULL)
		slot->permitted = 0;
	v->result.facts.lost++;
	return apply(v, BULLA_FLOW_LOST, entry);
}

static bulla_rc order_entry(struct bulla_verify *v, const struct bulla_entry *entry)
{
	BULLA_TRY(VERIFY(v, ORDER_SIGNATURE,
		v->has_order && bulla_digest_eq(&v->order.digest, &entry->digest) && v->order.kind == entry->other,
		BULLA_E_NO_RIGHT, "the ledger carried out an order that nobody signed"));
	v->has_order = false;
	v->result.facts.ended_ms = entry->time_ms;
	return apply(v, entry->other == BULLA_ORDER_ERASE ? BULLA_FLOW_ERASED : BULLA_FLOW_CANCELLED, entry);
}

/* Which kinds of receipt each kind of entry commits. */
static bool executor_fits(uint8_t entry, uint8_t executor)
{
	if (entry == BULLA_ENTRY_COMMIT)
		return executor == BULLA_EXECUTOR_AGENT;
	if (entry == BULLA_ENTRY_PARTY)
		return executor == BULLA_EXECUTOR_PARTY;
	return executor == BULLA_EXECUTOR_CLOCK || executor == BULLA_EXECUTOR_BROKER;
}

static bulla_rc dispatch(struct bulla_verify *v, const struct bulla_entry *entry)
{
	switch ((enum bulla_entry_kind)entry->kind) {
	case BULLA_ENTRY_START:
		return start_entry(v, entry);
	case BULLA_ENTRY_PERMIT:
		return permit_entry(v, entry);
	case BULLA_ENTRY_GIVEN_UP:
		return given_up_entry(v, entry);
	case BULLA_ENTRY_ORDER:
		return order_entry(v, entry);
	case BULLA_ENTRY_REVOKE:
		return verify_revocation_entry(v, entry);
	case BULLA_ENTRY_COMMIT:
	case BULLA_ENTRY_CLOCK:
	case BULLA_ENTRY_PARTY:
	case BULLA_ENTRY_LOST:
	default:
		BULLA_TRY(VERIFY(v, GRAPH_WHOLE,
			!v->pending.is_receipt || executor_fits(entry->kind, v->pending.receipt.executor), BULLA_E_GRAPH,
			"the ledger took a receipt for one of another kind"));
		return receipt_entry(v, entry);
	}
}

bulla_rc verify_entry_item(struct bulla_verify *v, bulla_bytes body)
{
	struct bulla_entry entry;

	BULLA_TRY(verify_form(v, BULLA_VERIFY_LEDGER_ORDER, bulla_entry_decode(body, &entry),
		"an entry of the ledger is not in its form"));
	verify_at(v, entry.step, entry.item, entry.attempt);
	BULLA_TRY(VERIFY(v, LEDGER_ORDER,
		v->entries.count == 0 || (entry.sequence > v->last_sequence && entry.time_ms >= v->last_ms), BULLA_E_GRAPH,
		"the ledger's entries do not rise"));
	BULLA_TRY(VERIFY(v, LEDGER_HEAD, !v->has_head, BULLA_E_GRAPH, "an entry follows the head that the ledger signed"));
	BULLA_TRY(VERIFY(v, GRAPH_ORDER, v->started || entry.kind == BULLA_ENTRY_START || entry.kind == BULLA_ENTRY_REVOKE,
		BULLA_E_GRAPH,
		"the ledger's first entry of a run is not its start"));
	BULLA_TRY(bulla_merkle_add(&v->entries, body));
	v->last_sequence = entry.sequence;
	v->last_ms = entry.time_ms;
	v->result.facts.entries++;
	return dispatch(v, &entry);
}
