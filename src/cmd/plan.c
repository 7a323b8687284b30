#include "cmd/plan.h"

#include <string.h>

/* Who reads what: one row per reference of an input or of `see`. */
struct use {
	const struct ref *ref;
	uint16_t step; /* of the plan, 0 = input; where the value comes from */
	uint16_t actor;
};

struct maker {
	struct arena *arena;
	const struct project *project;
	const struct workflow *workflow;
	bulla_secret name_key;
	struct bulla_flow flow;
	struct use *uses;
	size_t use_count;
	uint16_t *agent_actor; /* actor of each agent and party of the project; BULLA_FLOW_NONE: not in this workflow */
	uint16_t *party_actor;
};

static bulla_rc array(struct maker *m, size_t count, size_t size, void *ret_pointer)
{
	void *p = NULL;

	BULLA_TRY(arena_alloc(m->arena, (count + 1) * size, &p));
	bulla_copy(ret_pointer, &p, sizeof(p));
	return BULLA_OK;
}

static bool same_path(const struct ref *a, const struct ref *b)
{
	if (a->field_count != b->field_count)
		return false;
	for (unsigned i = 0; i < a->field_count; i++)
		if (strcmp(a->fields[i], b->fields[i]) != 0)
			return false;
	return true;
}

/* Step of the plan that a reference names: project steps count from 0, the plan's step 0 is the input. */
static uint16_t source_step(const struct maker *m, const struct ref *ref)
{
	if (ref->kind == REF_INPUT)
		return 0;
	return (uint16_t)(ref->kind == REF_RESULT ? m->workflow->step_count : ref->step + 1);
}

static uint16_t add_actor(struct maker *m, uint8_t kind, const char *name)
{
	struct bulla_flow_actor *actor = &m->flow.actors[m->flow.actor_count];
	bulla_handle handle = name_handle(m->name_key, kind == BULLA_FLOW_AGENT ? "agent" : "party", name);

	actor->kind = kind;
	bulla_copy(actor->handle, handle.b, sizeof(handle.b));
	return (uint16_t)m->flow.actor_count++;
}

static bulla_rc make_actors(struct maker *m)
{
	const struct project *p = m->project;

	BULLA_TRY(array(m, p->agent_count + p->party_count, sizeof(*m->flow.actors), &m->flow.actors));
	BULLA_TRY(array(m, p->agent_count, sizeof(uint16_t), &m->agent_actor));
	BULLA_TRY(array(m, p->party_count, sizeof(uint16_t), &m->party_actor));
	for (unsigned i = 0; i < p->agent_count; i++) {
		bool used = false;

		for (unsigned s = 0; s < m->workflow->step_count; s++)
			used = used || m->workflow->steps[s].agent == i;
		m->agent_actor[i] = used ? add_actor(m, BULLA_FLOW_AGENT, p->agents[i].name) : BULLA_FLOW_NONE;
	}
	for (unsigned i = 0; i < p->party_count; i++) {
		bool used = false;

		for (unsigned s = 0; s < m->workflow->see_count; s++)
			used = used || m->workflow->sees[s].party == i;
		m->party_actor[i] = used ? add_actor(m, BULLA_FLOW_PARTY, p->parties[i]) : BULLA_FLOW_NONE;
	}
	return BULLA_OK;
}

static bulla_rc make_uses(struct maker *m)
{
	size_t count = m->workflow->see_count;

	for (unsigned s = 0; s < m->workflow->step_count; s++)
		count += m->workflow->steps[s].input_count;
	BULLA_TRY(array(m, count, sizeof(*m->uses), &m->uses));
	for (unsigned s = 0; s < m->workflow->step_count; s++)
		for (unsigned i = 0; i < m->workflow->steps[s].input_count; i++) {
			const struct ref *ref = &m->workflow->steps[s].inputs[i].ref;

			m->uses[m->use_count++] = (struct use){ref, source_step(m, ref), m->agent_actor[m->workflow->steps[s].agent]};
		}
	for (unsigned s = 0; s < m->workflow->see_count; s++) {
		const struct see *see = &m->workflow->sees[s];

		if (see->ref.kind != REF_LOGS)
			m->uses[m->use_count++] = (struct use){&see->ref, source_step(m, &see->ref), m->party_actor[see->party]};
	}
	return BULLA_OK;
}

/* Is this the first use of that part? Uses of a whole come before its fields only by their order in the file. */
static bool is_first_use(const struct maker *m, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (m->uses[i].step == m->uses[at].step && same_path(m->uses[i].ref, m->uses[at].ref))
			return false;
	return true;
}

static bool reads(const struct maker *m, uint16_t actor, const struct use *part)
{
	for (size_t i = 0; i < m->use_count; i++)
		if (m->uses[i].actor == actor && m->uses[i].step == part->step && same_path(m->uses[i].ref, part->ref))
			return true;
	return false;
}

static void add_part(struct maker *m, const struct use *use)
{
	struct bulla_flow *flow = &m->flow;
	struct bulla_flow_part *part = &flow->parts[flow->part_count++];

	part->path = (struct bulla_flow_span){flow->name_count, use->ref->field_count};
	for (unsigned i = 0; i < use->ref->field_count; i++)
		flow->names[flow->name_count++] = bulla_bytes_str(use->ref->fields[i]);
	part->readers.first = flow->reader_count;
	for (uint16_t actor = 0; actor < flow->actor_count; actor++)
		if (reads(m, actor, use))
			flow->readers[flow->reader_count++] = actor;
	part->readers.count = flow->reader_count - part->readers.first;
}

static void add_parts(struct maker *m, uint16_t step)
{
	struct bulla_flow_span *parts = &m->flow.steps[step].parts;

	parts->first = m->flow.part_count;
	for (size_t i = 0; i < m->use_count; i++)
		if (m->uses[i].step == step && is_first_use(m, i))
			add_part(m, &m->uses[i]);
	parts->count = m->flow.part_count - parts->first;
}

/* Place of the referenced part in its step's list. */
static uint16_t part_of(const struct maker *m, const struct ref *ref)
{
	uint16_t step = source_step(m, ref), at = 0;

	for (size_t i = 0; i < m->use_count; i++) {
		if (m->uses[i].step != step || !is_first_use(m, i))
			continue;
		if (same_path(m->uses[i].ref, ref))
			break;
		at++;
	}
	return at;
}

static void add_inputs(struct maker *m, const struct step *from, struct bulla_flow_step *to)
{
	struct bulla_flow *flow = &m->flow;

	to->inputs = (struct bulla_flow_span){flow->input_count, from->input_count};
	for (unsigned i = 0; i < from->input_count; i++) {
		const struct input *input = &from->inputs[i];

		flow->inputs[flow->input_count++] = (struct bulla_flow_input){
			.key = input->name == NULL ? (bulla_bytes){NULL, 0} : bulla_bytes_str(input->name),
			.sources = {flow->source_count, 1},
		};
		flow->sources[flow->source_count++] =
			(struct bulla_flow_source){.step = source_step(m, &input->ref), .part = part_of(m, &input->ref)};
	}
}

static void add_outcome(struct maker *m, const struct agent *agent, struct bulla_flow_step *to)
{
	struct bulla_flow *flow = &m->flow;

	if (agent->outcome_field == NULL)
		return;
	to->outcome = (struct bulla_flow_span){flow->name_count, 1};
	flow->names[flow->name_count++] = bulla_bytes_str(agent->outcome_field);
	to->words = (struct bulla_flow_span){flow->name_count, agent->outcome_count};
	for (unsigned i = 0; i < agent->outcome_count; i++)
		flow->names[flow->name_count++] = bulla_bytes_str(agent->outcomes[i]);
}

static void add_step(struct maker *m, uint16_t index)
{
	const struct step *from = &m->workflow->steps[index - 1];
	struct bulla_flow_step *to = &m->flow.steps[index];

	*to = (struct bulla_flow_step){
		.kind = BULLA_FLOW_AGENT,
		.flags = from->fresh ? BULLA_FLOW_FRESH : 0,
		.actor = m->agent_actor[from->agent],
		.undoes = BULLA_FLOW_NONE,
		.tries = (uint16_t)from->tries,
		.backoff_min_ms = from->backoff_min_ms,
		.backoff_max_ms = from->backoff_max_ms,
		.timeout_ms = from->timeout_ms,
	};
	/* steps run top to bottom even where one does not read the one above it */
	if (index > 1) {
		to->after = (struct bulla_flow_span){m->flow.ref_count, 1};
		m->flow.refs[m->flow.ref_count++] = (uint16_t)(index - 1);
	}
	add_inputs(m, from, to);
	add_outcome(m, &m->project->agents[from->agent], to);
	add_parts(m, index);
}

static void add_log_readers(struct maker *m)
{
	struct bulla_flow *flow = &m->flow;

	flow->log_readers.first = flow->reader_count;
	for (unsigned party = 0; party < m->project->party_count; party++) {
		bool sees = false;

		for (unsigned i = 0; i < m->workflow->see_count; i++)
			sees = sees || (m->workflow->sees[i].party == party && m->workflow->sees[i].ref.kind == REF_LOGS);
		if (sees)
			flow->readers[flow->reader_count++] = m->party_actor[party];
	}
	flow->log_readers.count = flow->reader_count - flow->log_readers.first;
}

static bulla_rc make_arrays(struct maker *m)
{
	struct bulla_flow *flow = &m->flow;
	size_t steps = m->workflow->step_count + 1, names = m->use_count * PROJECT_FIELDS_MAX;

	for (unsigned i = 0; i < m->workflow->step_count; i++)
		names += m->project->agents[m->workflow->steps[i].agent].outcome_count + 1;
	BULLA_TRY(array(m, steps, sizeof(*flow->steps), &flow->steps));
	BULLA_TRY(array(m, m->use_count, sizeof(*flow->inputs), &flow->inputs));
	BULLA_TRY(array(m, m->use_count, sizeof(*flow->sources), &flow->sources));
	BULLA_TRY(array(m, m->use_count, sizeof(*flow->parts), &flow->parts));
	BULLA_TRY(array(m, names, sizeof(*flow->names), &flow->names));
	BULLA_TRY(array(m, m->use_count + m->project->party_count, sizeof(*flow->readers), &flow->readers));
	return array(m, steps, sizeof(*flow->refs), &flow->refs);
}

bulla_rc plan_compile(struct arena *arena, const struct project *project, const struct workflow *workflow,
	bulla_secret name_key, struct bulla_buf *ret_plan)
{
	struct maker m = {.arena = arena, .project = project, .workflow = workflow, .name_key = name_key};
	bulla_wr w = bulla_wr_buf(ret_plan);
	bulla_bytes plan;
	size_t size;

	BULLA_TRY(make_actors(&m));
	BULLA_TRY(make_uses(&m));
	BULLA_TRY(make_arrays(&m));
	m.flow.semantics = BULLA_FLOW_SEMANTICS;
	m.flow.flags = BULLA_FLOW_CLEAR | (workflow->receipts_each ? BULLA_FLOW_RECEIPTS_EACH : 0);
	m.flow.timeout_ms = workflow->timeout_ms;
	m.flow.steps[0] = (struct bulla_flow_step){
		.kind = BULLA_FLOW_INPUT, .actor = BULLA_FLOW_NONE, .undoes = BULLA_FLOW_NONE, .tries = 1};
	add_parts(&m, 0);
	for (unsigned i = 1; i <= workflow->step_count; i++)
		add_step(&m, (uint16_t)i);
	m.flow.step_count = workflow->step_count + 1;
	add_log_readers(&m);
	BULLA_TRY(bulla_flow_encode(&m.flow, &w));
	BULLA_TRY(bulla_wr_end(&w, &plan));
	return bulla_flow_measure(plan, &size);
}
