#include "flow/plan_check.h"

#define REFUSE(literal) BULLA_FAIL(BULLA_E_FORMAT, literal)

unsigned bulla_flow_outcome_count(const struct bulla_flow_step *step)
{
	if (step->kind == BULLA_FLOW_PARTY && step->timeout_ms > 0)
		return 2;
	return step->words.count > 0 ? step->words.count : 1;
}

static bool reads(const struct bulla_flow *flow, const struct bulla_flow_part *part, uint16_t actor)
{
	for (uint32_t i = 0; i < part->readers.count; i++)
		if (flow->readers[part->readers.first + i] == actor)
			return true;
	return false;
}

static bulla_rc check_readers(const struct bulla_flow *flow, struct bulla_flow_span readers)
{
	for (uint32_t i = 0; i < readers.count; i++)
		if (flow->readers[readers.first + i] >= flow->actor_count)
			return REFUSE("a reader is no actor of the plan");
	return BULLA_OK;
}

static bulla_rc check_actors(const struct bulla_flow *flow)
{
	for (uint32_t i = 0; i < flow->actor_count; i++)
		if (flow->actors[i].kind != BULLA_FLOW_AGENT && flow->actors[i].kind != BULLA_FLOW_PARTY)
			return REFUSE("an actor is neither agent nor party");
	return check_readers(flow, flow->log_readers);
}

static bulla_rc check_names(const struct bulla_flow *flow)
{
	if (flow->flags & BULLA_FLOW_CLEAR)
		return BULLA_OK;
	for (uint32_t i = 0; i < flow->name_count; i++)
		if (flow->names[i].n != 8)
			return REFUSE("a name is no handle");
	return BULLA_OK;
}

static bulla_rc check_source(const struct bulla_flow *flow, uint32_t index, uint32_t input,
	struct bulla_flow_source source)
{
	const struct bulla_flow_step *step = &flow->steps[index];
	const struct bulla_flow_part *part;
	bool each;

	if (source.step >= index)
		return REFUSE("a step reads a later one");
	if (flow->steps[source.step].undoes != BULLA_FLOW_NONE)
		return REFUSE("a step reads an undo step");
	if (source.part >= flow->steps[source.step].parts.count)
		return REFUSE("a step reads a part that is not there");
	part = &flow->parts[flow->steps[source.step].parts.first + source.part];
	if (!reads(flow, part, step->actor))
		return REFUSE("a step reads a part that is not sealed for it");
	each = step->max_items > 0 && step->each == input;
	if (each != ((part->flags & BULLA_FLOW_EACH) != 0))
		return REFUSE("elements are read by for_each alone");
	return BULLA_OK;
}

static bulla_rc check_inputs(const struct bulla_flow *flow, uint32_t index)
{
	const struct bulla_flow_step *step = &flow->steps[index];

	if (step->max_items > 0 && step->each >= step->inputs.count)
		return REFUSE("for_each over an input that is not there");
	for (uint32_t i = 0; i < step->inputs.count; i++) {
		const struct bulla_flow_input *input = &flow->inputs[step->inputs.first + i];

		if (input->sources.count == 0)
			return REFUSE("an input without a source");
		if (input->key.n == 0 && step->inputs.count > 1)
			return REFUSE("one of several inputs has no name");
		if (input->key.n > 0 && !(flow->flags & BULLA_FLOW_CLEAR) && input->key.n != 8)
			return REFUSE("an input's name is no handle");
		for (uint32_t k = 0; k < input->sources.count; k++)
			BULLA_TRY(check_source(flow, index, i, flow->sources[input->sources.first + k]));
	}
	return BULLA_OK;
}

static bulla_rc check_conditions(const struct bulla_flow *flow, uint32_t index)
{
	const struct bulla_flow_step *step = &flow->steps[index];

	for (uint32_t i = 0; i < step->conditions.count; i++) {
		const struct bulla_flow_condition *condition = &flow->conditions[step->conditions.first + i];
		const struct bulla_flow_step *on;

		if (condition->step >= index || condition->step == 0)
			return REFUSE("a condition on a later step");
		on = &flow->steps[condition->step];
		if (on->max_items > 0)
			return REFUSE("a condition on a for_each");
		if (condition->mask == 0 || condition->mask >> bulla_flow_outcome_count(on) != 0)
			return REFUSE("a condition on an outcome that is not there");
	}
	return BULLA_OK;
}

static bulla_rc check_after(const struct bulla_flow *flow, uint32_t index)
{
	const struct bulla_flow_step *step = &flow->steps[index];

	for (uint32_t i = 0; i < step->after.count; i++) {
		uint16_t ref = flow->refs[step->after.first + i];

		if (ref >= index || flow->steps[ref].undoes != BULLA_FLOW_NONE)
			return REFUSE("a step comes after a later one");
	}
	return BULLA_OK;
}

static bulla_rc check_parts(const struct bulla_flow *flow, uint32_t index)
{
	const struct bulla_flow_step *step = &flow->steps[index];

	for (uint32_t i = 0; i < step->parts.count; i++) {
		const struct bulla_flow_part *part = &flow->parts[step->parts.first + i];

		if (part->readers.count == 0)
			return REFUSE("a part without readers");
		BULLA_TRY(check_readers(flow, part->readers));
	}
	return BULLA_OK;
}

static bool is_bare(const struct bulla_flow_step *step)
{
	return step->tries == 1 && step->words.count == 0 && step->outcome.count == 0 && step->max_items == 0 &&
		step->undoes == BULLA_FLOW_NONE && step->flags == 0 && step->backoff_min_ms == 0 &&
		step->backoff_max_ms == 0;
}

static bulla_rc check_input_step(const struct bulla_flow_step *step)
{
	if (!is_bare(step) || step->actor != BULLA_FLOW_NONE || step->inputs.count || step->after.count ||
		step->conditions.count || step->timeout_ms)
		return REFUSE("step 0 is more than the input");
	return BULLA_OK;
}

static bulla_rc check_agent_step(const struct bulla_flow *flow, const struct bulla_flow_step *step)
{
	if (step->actor >= flow->actor_count || flow->actors[step->actor].kind != BULLA_FLOW_AGENT)
		return REFUSE("a step's agent is no agent");
	if (step->tries < 1 || step->backoff_min_ms > step->backoff_max_ms || step->timeout_ms == 0)
		return REFUSE("a step's retry or time-out makes no sense");
	if ((step->outcome.count > 0) != (step->words.count > 0))
		return REFUSE("outcomes need a field and words");
	return BULLA_OK;
}

static bulla_rc check_kind(const struct bulla_flow *flow, uint32_t index)
{
	const struct bulla_flow_step *step = &flow->steps[index];

	if ((step->kind == BULLA_FLOW_INPUT) != (index == 0))
		return REFUSE("the input is step 0 and no other");
	if (step->kind == BULLA_FLOW_INPUT)
		return check_input_step(step);
	if (step->kind == BULLA_FLOW_AGENT)
		return check_agent_step(flow, step);
	if (!is_bare(step))
		return REFUSE("a step without an agent has an agent's options");
	if (step->kind == BULLA_FLOW_PARTY) {
		if (step->actor >= flow->actor_count || flow->actors[step->actor].kind != BULLA_FLOW_PARTY)
			return REFUSE("a step's party is no party");
		return BULLA_OK;
	}
	if (step->actor != BULLA_FLOW_NONE || step->timeout_ms == 0 || step->inputs.count || step->parts.count)
		return REFUSE("a sleep has a time and nothing else");
	return BULLA_OK;
}

static bulla_rc check_undo(struct bulla_flow *flow, uint32_t index)
{
	const struct bulla_flow_step *step = &flow->steps[index];

	if (step->undoes == BULLA_FLOW_NONE) {
		if (flow->forward_count != index)
			return REFUSE("a step follows an undo step");
		flow->forward_count++;
		if (index > 0 && step->inputs.count + step->after.count + step->conditions.count == 0)
			return REFUSE("a step that waits for nothing");
		return BULLA_OK;
	}
	if (step->kind != BULLA_FLOW_AGENT || step->undoes == 0 || step->undoes >= flow->forward_count)
		return REFUSE("an undo step undoes no step");
	if (step->after.count || step->conditions.count || step->max_items || step->words.count)
		return REFUSE("an undo step has options of others");
	for (uint32_t i = flow->forward_count; i < index; i++)
		if (flow->steps[i].undoes == step->undoes)
			return REFUSE("a step is undone twice");
	return BULLA_OK;
}

bulla_rc bulla_flow_plan_check(struct bulla_flow *flow)
{
	flow->forward_count = 0;
	BULLA_TRY(check_actors(flow));
	BULLA_TRY(check_names(flow));
	for (uint32_t i = 0; i < flow->step_count; i++) {
		BULLA_TRY(check_kind(flow, i));
		BULLA_TRY(check_undo(flow, i));
		BULLA_TRY(check_inputs(flow, i));
		BULLA_TRY(check_after(flow, i));
		BULLA_TRY(check_conditions(flow, i));
		BULLA_TRY(check_parts(flow, i));
	}
	if (flow->forward_count < 2)
		return REFUSE("a plan without steps");
	return BULLA_OK;
}

/* Inserts into an ascending list of refs that ends at ref_count. */
static void add_dep(struct bulla_flow *flow, struct bulla_flow_span *deps, uint16_t step)
{
	uint16_t *list = flow->refs + deps->first;
	uint32_t at = deps->count;

	while (at > 0 && list[at - 1] >= step) {
		if (list[at - 1] == step)
			return;
		at--;
	}
	bulla_move(list + at + 1, list + at, (deps->count - at) * sizeof(*list));
	list[at] = step;
	deps->count++;
	flow->ref_count++;
}

static void derive_deps(struct bulla_flow *flow, struct bulla_flow_step *step)
{
	step->deps = (struct bulla_flow_span){flow->ref_count, 0};
	for (uint32_t i = 0; i < step->after.count; i++)
		add_dep(flow, &step->deps, flow->refs[step->after.first + i]);
	for (uint32_t i = 0; i < step->inputs.count; i++) {
		struct bulla_flow_span sources = flow->inputs[step->inputs.first + i].sources;

		for (uint32_t k = 0; k < sources.count; k++)
			add_dep(flow, &step->deps, flow->sources[sources.first + k].step);
	}
	for (uint32_t i = 0; i < step->conditions.count; i++)
		add_dep(flow, &step->deps, flow->conditions[step->conditions.first + i].step);
}

/* The reverse of deps, by counting: who waits for whom. */
static void derive_waiting(struct bulla_flow *flow)
{
	for (uint32_t i = 0; i < flow->step_count; i++)
		flow->steps[i].waiting = (struct bulla_flow_span){0, 0};
	for (uint32_t i = 0; i < flow->forward_count; i++)
		for (uint32_t k = 0; k < flow->steps[i].deps.count; k++)
			flow->steps[flow->refs[flow->steps[i].deps.first + k]].waiting.count++;
	for (uint32_t i = 0; i < flow->step_count; i++) {
		flow->steps[i].waiting.first = flow->ref_count;
		flow->ref_count += flow->steps[i].waiting.count;
		flow->steps[i].waiting.count = 0;
	}
	for (uint32_t i = 0; i < flow->forward_count; i++)
		for (uint32_t k = 0; k < flow->steps[i].deps.count; k++) {
			struct bulla_flow_span *waiting = &flow->steps[flow->refs[flow->steps[i].deps.first + k]].waiting;

			flow->refs[waiting->first + waiting->count++] = (uint16_t)i;
		}
}

void bulla_flow_plan_derive(struct bulla_flow *flow)
{
	for (uint32_t i = 0; i < flow->step_count; i++) {
		derive_deps(flow, &flow->steps[i]);
		flow->steps[i].undone_by = BULLA_FLOW_NONE;
	}
	derive_waiting(flow);
	for (uint32_t i = flow->forward_count; i < flow->step_count; i++)
		flow->steps[flow->steps[i].undoes].undone_by = (uint16_t)i;
}
