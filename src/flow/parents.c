#include "flow/parents.h"

#include "flow/plan_check.h"

/* A set of steps. */
struct marks {
	uint64_t bits[(BULLA_MAX_FLOW_STEPS + 63) / 64];
};

static void mark(struct marks *m, uint32_t step)
{
	m->bits[step / 64] |= (uint64_t)1 << (step % 64);
}

static bool is_marked(const struct marks *m, uint32_t step)
{
	return (m->bits[step / 64] >> (step % 64) & 1) != 0;
}

/* The highest marked step below *step, into *step. */
static bool next_below(const struct marks *m, uint32_t *step)
{
	uint32_t word = *step / 64;
	uint64_t bits = m->bits[word] & (((uint64_t)1 << (*step % 64)) - 1);

	while (bits == 0) {
		if (word == 0)
			return false;
		bits = m->bits[--word];
	}
	*step = word * 64 + 63 - (uint32_t)__builtin_clzll(bits);
	return true;
}

static void mark_deps(const struct bulla_flow *flow, uint32_t step, struct marks *m)
{
	struct bulla_flow_span deps = flow->steps[step].deps;

	for (uint32_t i = 0; i < deps.count; i++)
		mark(m, flow->refs[deps.first + i]);
}

static void mark_conditions(const struct bulla_flow *flow, uint32_t step, struct marks *m)
{
	struct bulla_flow_span conditions = flow->steps[step].conditions;

	for (uint32_t i = 0; i < conditions.count; i++)
		mark(m, flow->conditions[conditions.first + i].step);
}

static struct bulla_flow_parent parent_of(const struct bulla_flow_slot *slot)
{
	return (struct bulla_flow_parent){.step = slot->step,
		.outcome = slot->outcome,
		.item = slot->item,
		.attempt = slot->attempt,
		.digest = slot->digest};
}

/* The steps whose receipts are parents: deps, and for each skipped one those that decided it. */
static bulla_rc mark_parents(const struct bulla_flow *flow, const struct bulla_flow_run *run, uint32_t step,
	struct marks *m, size_t *ret_count)
{
	size_t count = 0;

	mark_deps(flow, step, m);
	for (uint32_t s = step; next_below(m, &s);) {
		if (run->slots[s].state == BULLA_FLOW_SKIPPED)
			mark_conditions(flow, s, m);
		else if (run->slots[s].state == BULLA_FLOW_FILLED)
			count++;
		else
			return BULLA_FAIL(BULLA_E_PLAN, "a parent is still open");
	}
	*ret_count = count;
	return BULLA_OK;
}

bulla_rc bulla_flow_parents(const struct bulla_flow *flow, const struct bulla_flow_run *run, uint16_t step,
	uint32_t item, struct bulla_flow_parent *ret_parents, size_t capacity, size_t *ret_count)
{
	struct marks m = {0};
	size_t count, n;

	if (step == 0 || step >= flow->step_count || item != 0)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "no such slot");
	BULLA_TRY(mark_parents(flow, run, step, &m, &count));
	if (count > capacity)
		return BULLA_FAIL(BULLA_E_LIMIT, "more parents than there is room for");
	n = count;
	for (uint32_t s = step; next_below(&m, &s);)
		if (run->slots[s].state == BULLA_FLOW_FILLED)
			ret_parents[--n] = parent_of(&run->slots[s]);
	*ret_count = count;
	return BULLA_OK;
}

static const struct bulla_flow_parent *find_parent(const struct bulla_flow_parent *parents, size_t count, uint32_t step)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (parents[middle].step < step)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && parents[low].step == step ? &parents[low] : NULL;
}

static bool conditions_hold(const struct bulla_flow *flow, uint32_t step, const struct bulla_flow_parent *parents,
	size_t count)
{
	struct bulla_flow_span conditions = flow->steps[step].conditions;

	for (uint32_t i = 0; i < conditions.count; i++) {
		const struct bulla_flow_condition *condition = &flow->conditions[conditions.first + i];
		const struct bulla_flow_parent *on = find_parent(parents, count, condition->step);

		if (!on || on->outcome >= 64 || (condition->mask >> on->outcome & 1) == 0)
			return false;
	}
	return true;
}

static bulla_rc check_form(const struct bulla_flow *flow, uint32_t step, const struct bulla_flow_parent *parents,
	size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (parents[i].step >= step || parents[i].item != 0)
			return BULLA_FAIL(BULLA_E_PARENT, "a receipt of a step that is no parent");
		if (i > 0 && parents[i].step <= parents[i - 1].step)
			return BULLA_FAIL(BULLA_E_PARENT, "parents are not in the plan's order");
		if (parents[i].outcome >= bulla_flow_outcome_count(&flow->steps[parents[i].step]))
			return BULLA_FAIL(BULLA_E_PARENT, "a parent failed");
	}
	return BULLA_OK;
}

/* Walks down from the step: who is marked and has no receipt must have been skipped, and its deciders are marked. */
static bulla_rc check_complete(const struct bulla_flow *flow, uint32_t step, const struct bulla_flow_parent *parents,
	size_t count, struct marks *ret_skipped)
{
	struct marks m = {0};

	mark_deps(flow, step, &m);
	for (uint32_t s = step; s-- > 0;) {
		bool here = count > 0 && parents[count - 1].step == s;

		if (here)
			count--;
		if (here && !is_marked(&m, s))
			return BULLA_FAIL(BULLA_E_PARENT, "a receipt of a step that is no parent");
		if (here || !is_marked(&m, s))
			continue;
		if (flow->steps[s].conditions.count == 0)
			return BULLA_FAIL(BULLA_E_PARENT, "a parent's receipt is missing");
		mark_conditions(flow, s, &m);
		mark(ret_skipped, s);
	}
	return BULLA_OK;
}

bulla_rc bulla_flow_check_parents(const struct bulla_flow *flow, uint16_t step, uint32_t item,
	const struct bulla_flow_parent *parents, size_t count)
{
	struct marks skipped = {0};

	if (step == 0 || step >= flow->step_count || item != 0)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "no such slot");
	BULLA_TRY(check_form(flow, step, parents, count));
	BULLA_TRY(check_complete(flow, step, parents, count, &skipped));
	for (uint32_t s = 0; s < step; s++)
		if (is_marked(&skipped, s) && conditions_hold(flow, s, parents, count))
			return BULLA_FAIL(BULLA_E_PLAN, "a step without receipt was not skipped");
	if (!conditions_hold(flow, step, parents, count))
		return BULLA_FAIL(BULLA_E_PLAN, "the step's conditions do not hold");
	return BULLA_OK;
}

static struct bulla_flow_binding bind_input(const struct bulla_flow *flow, uint32_t index,
	const struct bulla_flow_input *input,
	const struct bulla_flow_parent *parents, size_t count)
{
	struct bulla_flow_binding binding = {
		.input = index, .parent = BULLA_FLOW_NO_SLOT, .element = BULLA_FLOW_NO_SLOT};

	for (uint32_t i = 0; i < input->sources.count; i++) {
		const struct bulla_flow_source *source = &flow->sources[input->sources.first + i];
		const struct bulla_flow_parent *parent = find_parent(parents, count, source->step);

		if (!parent)
			continue;
		binding.parent = (uint32_t)(parent - parents);
		binding.part = source->part;
		break;
	}
	return binding;
}

bulla_rc bulla_flow_bind(const struct bulla_flow *flow, uint16_t step, uint32_t item,
	const struct bulla_flow_parent *parents, size_t count,
	struct bulla_flow_binding *ret_bindings, size_t capacity, size_t *ret_count)
{
	struct bulla_flow_span inputs;

	if (step >= flow->step_count || item != 0)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "no such slot");
	inputs = flow->steps[step].inputs;
	if (inputs.count > capacity)
		return BULLA_FAIL(BULLA_E_LIMIT, "more inputs than there is room for");
	for (uint32_t i = 0; i < inputs.count; i++)
		ret_bindings[i] = bind_input(flow, i, &flow->inputs[inputs.first + i], parents, count);
	*ret_count = inputs.count;
	return BULLA_OK;
}
