#include "tee/step.h"

#include "base/checks.h"
#include "cose/mac0.h"
#include "crypto/hash.h"

static bulla_rc open_permit(const struct bulla_step_rules *rules, bulla_bytes mac0, struct bulla_permit *ret)
{
	bulla_rc rc = bulla_permit_open(mac0, rules->session, rules->mac, ret);
	bulla_bytes kid, payload;

	if (rc != BULLA_E_MAC || BULLA_CHECK_ON(PERMIT_MAC))
		return rc;
	BULLA_TRY(bulla_mac0_peek(mac0, BULLA_CONTENT("permit"), &kid, &payload)); /* mutant builds only */
	return bulla_permit_decode(payload, ret);
}

static void attempt_digest(const struct bulla_position *position, bulla_digest *ret)
{
	uint8_t memory[BULLA_POSITION_BYTES];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

	bulla_position_write(&w, position);
	bulla_sha256(BULLA_BYTES_ARRAY(memory), ret);
}

static bulla_rc check_permit(const struct bulla_step_rules *rules, bulla_bytes mac0, uint64_t now_ms,
	struct bulla_step *step)
{
	BULLA_TRY(open_permit(rules, mac0, &step->permit));
	attempt_digest(&step->permit.position, &step->attempt);
	if (BULLA_CHECK_ON(PERMIT_INSTANCE) && !bulla_digest_eq(&step->permit.instance, &rules->instance))
		return BULLA_FAIL(BULLA_E_PERMIT_INSTANCE, "the permit is for another instance");
	if (BULLA_CHECK_ON(PERMIT_EXPIRY) && step->permit.expires_ms <= now_ms)
		return BULLA_FAIL(BULLA_E_PERMIT_EXPIRED, "the permit has expired");
	if (BULLA_CHECK_ON(PERMIT_ONCE) && bulla_used_has(rules->used, &step->attempt, step->permit.sequence))
		return BULLA_FAIL(BULLA_E_PERMIT_USED, "this attempt ran here already, or later ones took its place");
	return BULLA_OK;
}

/* The run's manifest is mine; earlier epochs that are still open are served by their own enclaves. */
static bulla_rc find_plan(const struct bulla_step_rules *rules, struct bulla_step *step)
{
	const struct bulla_manifest *manifest = rules->manifest;
	const struct bulla_slot *slot = &step->permit.position.slot;

	if (!bulla_digest_eq(&step->permit.manifest, &manifest->digest) || step->permit.epoch != manifest->epoch)
		return BULLA_FAIL(BULLA_E_EPOCH_CLOSED, "the run is of another manifest");
	if (!bulla_handle_eq(&slot->tenant, &manifest->tenant))
		return BULLA_FAIL(BULLA_E_POSITION_TENANT, "the permit is of another tenant");
	step->workflow = bulla_manifest_workflow(manifest, &slot->workflow);
	if (step->workflow == NULL)
		return BULLA_FAIL(BULLA_E_POSITION_WORKFLOW, "the manifest has no such workflow");
	step->flow = &rules->flows[step->workflow - manifest->workflows];
	if (slot->step == BULLA_STEP_INPUT || slot->step >= step->flow->step_count)
		return BULLA_FAIL(BULLA_E_PLAN, "the workflow has no such step");
	step->plan = &step->flow->steps[slot->step];
	return BULLA_OK;
}

static bool is_hosted(const struct bulla_step_rules *rules, const bulla_handle *agent)
{
	for (size_t i = 0; i < rules->agent_count; i++)
		if (bulla_handle_eq(&rules->agents[i], agent))
			return true;
	return false;
}

static bulla_rc check_agent(const struct bulla_step_rules *rules, struct bulla_step *step)
{
	bulla_handle handle = {0};

	if (step->plan->kind != BULLA_FLOW_AGENT || step->plan->actor >= step->flow->actor_count)
		return BULLA_FAIL(BULLA_E_PLAN, "the step is no agent's");
	bulla_copy(handle.b, step->flow->actors[step->plan->actor].handle, sizeof(handle.b));
	if (BULLA_CHECK_ON(STEP_AGENT) && !is_hosted(rules, &handle))
		return BULLA_FAIL(BULLA_E_PLAN, "the step is another agent's");
	step->agent = bulla_manifest_agent(rules->manifest, &handle);
	if (step->agent == NULL)
		return BULLA_FAIL(BULLA_E_PLAN, "the manifest has no such agent");
	return BULLA_OK;
}

static bulla_rc decode_start(bulla_bytes record, struct bulla_step_parent *ret, bulla_digest *ret_digest)
{
	struct bulla_start_record start;

	BULLA_TRY(bulla_start_record_decode(record, &start));
	*ret = (struct bulla_step_parent){.outputs = start.start.inputs, .start = true, .executor = BULLA_EXECUTOR_PARTY};
	ret->receipt.position.slot = (struct bulla_slot){
		.tenant = start.start.tenant, .workflow = start.start.workflow, .run = start.start.run};
	ret->receipt.position.attempt = 1;
	ret->receipt.manifest = start.start.manifest;
	ret->receipt.kid = start.start.party;
	*ret_digest = start.digest;
	return BULLA_OK;
}

static bulla_rc decode_receipt(bulla_bytes bytes, struct bulla_step_parent *ret, bulla_digest *ret_digest)
{
	struct bulla_receipt_record record;

	BULLA_TRY(bulla_receipt_record_decode(bytes, &record));
	*ret = (struct bulla_step_parent){
		.receipt = record.receipt, .outputs = record.outputs, .executor = record.receipt.executor};
	*ret_digest = record.digest;
	return BULLA_OK;
}

/* A parent of step 0 is the start record and nothing else is: both decoders refuse the other's form. */
static bulla_rc take_parent(struct bulla_step *step, bulla_bytes record, const bulla_digest *listed)
{
	struct bulla_step_parent *parent = &step->parents[step->parent_count];
	const struct bulla_position *mine = &step->permit.position;
	bulla_digest digest;

	if (decode_start(record, parent, &digest) != BULLA_OK)
		BULLA_TRY(decode_receipt(record, parent, &digest));
	if (BULLA_CHECK_ON(STEP_PARENTS_LISTED) && !bulla_digest_eq(&digest, listed))
		return BULLA_FAIL(BULLA_E_PARENT, "a parent is not the one in the permit");
	if (!BULLA_CHECK_ON(STEP_PARENTS_RUN))
		return BULLA_OK;
	if (!bulla_handle_eq(&parent->receipt.position.slot.tenant, &mine->slot.tenant))
		return BULLA_FAIL(BULLA_E_POSITION_TENANT, "a parent is of another tenant");
	if (!bulla_digest_eq(&parent->receipt.position.slot.workflow, &mine->slot.workflow))
		return BULLA_FAIL(BULLA_E_POSITION_WORKFLOW, "a parent is of another workflow");
	if (!bulla_run_id_eq(&parent->receipt.position.slot.run, &mine->slot.run))
		return BULLA_FAIL(BULLA_E_POSITION_RUN, "a parent is of another run");
	if (!bulla_digest_eq(&parent->receipt.manifest, &step->permit.manifest))
		return BULLA_FAIL(BULLA_E_PARENT, "a parent is of another manifest");
	return BULLA_OK;
}

static bulla_rc take_parents(struct bulla_step *step, const struct bulla_pb_list *records)
{
	struct bulla_pb_iter iter = bulla_pb_list_begin(records);
	size_t listed = step->permit.parents.n / sizeof(bulla_digest);
	bulla_bytes record;

	if (records->count != listed || listed > BULLA_MAX_PARENTS)
		return BULLA_FAIL(BULLA_E_PARENT, "there are not as many parents as the permit says");
	while (bulla_pb_list_next(&iter, &record)) {
		bulla_digest digest;

		bulla_copy(digest.b, step->permit.parents.p + step->parent_count * sizeof(digest), sizeof(digest));
		BULLA_TRY(take_parent(step, record, &digest));
		step->parent_count++;
	}
	return BULLA_OK;
}

static bulla_rc check_plan(struct bulla_step *step)
{
	struct bulla_flow_parent *parents = step->plan_parents;
	const struct bulla_slot *slot = &step->permit.position.slot;

	for (size_t i = 0; i < step->parent_count; i++) {
		const struct bulla_receipt *receipt = &step->parents[i].receipt;

		if (receipt->position.slot.step >= step->flow->step_count ||
			step->parents[i].start != (receipt->position.slot.step == BULLA_STEP_INPUT))
			return BULLA_FAIL(BULLA_E_PARENT, "a parent is of no step of this plan");
		parents[i] = (struct bulla_flow_parent){.step = (uint16_t)receipt->position.slot.step,
			.outcome = receipt->outcome, .item = receipt->position.slot.item, .attempt = receipt->position.attempt};
	}
	if (BULLA_CHECK_ON(STEP_PARENTS_PLAN))
		BULLA_TRY(bulla_flow_check_parents(step->flow, (uint16_t)slot->step, slot->item, parents, step->parent_count));
	return bulla_flow_bind(step->flow, (uint16_t)slot->step, slot->item, parents, step->parent_count, step->bindings,
		BULLA_MAX_FLOW_INPUTS, &step->binding_count);
}

/* Outputs of a receipt stand in the order of the step's parts. */
static bulla_rc take_input(struct bulla_step *step, const struct bulla_flow_binding *binding,
	const struct bulla_pair *envelopes, size_t count)
{
	struct bulla_step_input *input = &step->inputs[step->input_count];
	const struct bulla_step_parent *parent = &step->parents[binding->parent];

	*input = (struct bulla_step_input){.input = binding->input, .parent = binding->parent, .part = binding->part};
	BULLA_TRY(bulla_pairs_get(parent->outputs, binding->part, &input->pair));
	if (step->input_count >= count)
		return BULLA_FAIL(BULLA_E_NOT_ENVELOPE, "an input's envelope is missing");
	if (BULLA_CHECK_ON(STEP_INPUTS) &&
		!bulla_digest_eq(&input->pair.envelope, &envelopes[step->input_count].envelope))
		return BULLA_FAIL(BULLA_E_NOT_ENVELOPE, "an envelope is not the one its parent's receipt names");
	step->input_count++;
	return BULLA_OK;
}

static bulla_rc take_inputs(struct bulla_step *step, const struct bulla_pair *envelopes, size_t count)
{
	for (size_t i = 0; i < step->binding_count; i++)
		if (step->bindings[i].parent != BULLA_FLOW_NO_SLOT)
			BULLA_TRY(take_input(step, &step->bindings[i], envelopes, count));
	if (step->input_count != count)
		return BULLA_FAIL(BULLA_E_NOT_ENVELOPE, "an envelope that no input reads");
	return BULLA_OK;
}

/* Who may have filled a parent's slot: its agent, its party, or the broker's clock where the plan waits for time. */
static bulla_rc check_executor(const struct bulla_step_rules *rules, const struct bulla_step *step,
	const struct bulla_step_parent *parent)
{
	const struct bulla_flow_step *plan = &step->flow->steps[parent->receipt.position.slot.step];
	bool time_out = plan->kind == BULLA_FLOW_PARTY && parent->receipt.outcome == BULLA_FLOW_OUTCOME_TIMEOUT;
	bool clock = plan->kind == BULLA_FLOW_CLOCK || time_out;

	if (parent->start)
		return BULLA_OK;
	if (clock && (parent->executor != BULLA_EXECUTOR_CLOCK || !bulla_digest_eq(&parent->receipt.kid, &rules->manifest->ledger)))
		return BULLA_FAIL(BULLA_E_CLOCK_RECEIPT, "time passed by another word than the broker's");
	if (!clock && plan->kind == BULLA_FLOW_AGENT && parent->executor != BULLA_EXECUTOR_AGENT)
		return BULLA_FAIL(BULLA_E_PRODUCER, "an agent's step was filled by somebody else");
	if (!clock && plan->kind == BULLA_FLOW_PARTY &&
		(parent->executor != BULLA_EXECUTOR_PARTY || bulla_manifest_party_kid(rules->manifest, &parent->receipt.kid) == NULL))
		return BULLA_FAIL(BULLA_E_PARTY, "a signal was answered by somebody else");
	return BULLA_OK;
}

bulla_rc bulla_step_check(const struct bulla_step_rules *rules, bulla_bytes permit,
	const struct bulla_pb_list *parents, const struct bulla_pair *envelopes, size_t envelope_count, uint64_t now_ms,
	struct bulla_step *ret)
{
	ret->parent_count = ret->binding_count = ret->input_count = 0;
	BULLA_TRY(check_permit(rules, permit, now_ms, ret));
	BULLA_TRY(find_plan(rules, ret));
	BULLA_TRY(check_agent(rules, ret));
	BULLA_TRY(take_parents(ret, parents));
	BULLA_TRY(check_plan(ret));
	BULLA_TRY(take_inputs(ret, envelopes, envelope_count));
	for (size_t i = 0; i < ret->parent_count; i++)
		if (BULLA_CHECK_ON(STEP_CLOCK))
			BULLA_TRY(check_executor(rules, ret, &ret->parents[i]));
	return BULLA_OK;
}
