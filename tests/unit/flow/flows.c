#include "flow/flows.h"

#include <stdlib.h>

static void must(bool ok)
{
	if (!ok)
		abort();
}

void flows_init(struct flows *f)
{
	bulla_zero(f, sizeof(*f));
	f->flow = (struct bulla_flow){.semantics = BULLA_FLOW_SEMANTICS,
		.flags = BULLA_FLOW_CLEAR,
		.timeout_ms = (int64_t)30 * 86400 * 1000,
		.steps = f->steps,
		.actors = f->actors,
		.inputs = f->inputs,
		.sources = f->sources,
		.conditions = f->conditions,
		.parts = f->parts,
		.names = f->names,
		.readers = f->readers,
		.refs = f->refs,
		.step_count = 1};
	f->steps[0] = (struct bulla_flow_step){
		.kind = BULLA_FLOW_INPUT, .actor = BULLA_FLOW_NONE, .undoes = BULLA_FLOW_NONE, .tries = 1};
}

uint16_t flows_actor(struct flows *f, uint8_t kind, uint8_t letter)
{
	struct bulla_flow_actor *actor = &f->actors[f->flow.actor_count];

	must(f->flow.actor_count < FLOWS_MAX);
	actor->kind = kind;
	for (size_t i = 0; i < sizeof(actor->handle); i++)
		actor->handle[i] = letter;
	return (uint16_t)f->flow.actor_count++;
}

uint16_t flows_step(struct flows *f, uint8_t kind, uint16_t actor)
{
	struct bulla_flow_step *step = &f->steps[f->flow.step_count];

	must(f->flow.step_count < FLOWS_MAX);
	*step = (struct bulla_flow_step){
		.kind = kind, .actor = actor, .undoes = BULLA_FLOW_NONE, .tries = 1, .timeout_ms = 10000};
	if (kind == BULLA_FLOW_PARTY)
		step->timeout_ms = 60000;
	if (kind == BULLA_FLOW_AGENT) {
		step->tries = 3;
		step->backoff_min_ms = 1000;
		step->backoff_max_ms = 8000;
		step->timeout_ms = 5000;
	}
	return (uint16_t)f->flow.step_count++;
}

static struct bulla_flow_step *newest(struct flows *f)
{
	return &f->steps[f->flow.step_count - 1];
}

/* The one whole part of a step; a second reader is added to it only while it is the newest of the readers. */
static void add_reader(struct flows *f, uint16_t from, uint16_t actor)
{
	struct bulla_flow_step *step = &f->steps[from];
	struct bulla_flow_part *part = &f->parts[step->parts.first];

	if (step->parts.count == 0) {
		step->parts = (struct bulla_flow_span){f->flow.part_count++, 1};
		part = &f->parts[step->parts.first];
		part->readers = (struct bulla_flow_span){f->flow.reader_count, 0};
	}
	for (uint32_t i = 0; i < part->readers.count; i++)
		if (f->readers[part->readers.first + i] == actor)
			return;
	if (part->readers.first + part->readers.count != f->flow.reader_count) {
		for (uint32_t i = 0; i < part->readers.count; i++)
			f->readers[f->flow.reader_count + i] = f->readers[part->readers.first + i];
		part->readers.first = f->flow.reader_count;
		f->flow.reader_count += part->readers.count;
	}
	f->readers[f->flow.reader_count++] = actor;
	part->readers.count++;
	must(f->flow.reader_count < FLOWS_MAX);
}

void flows_reads(struct flows *f, uint16_t from, const char *key)
{
	struct bulla_flow_step *step = newest(f);
	struct bulla_flow_input *input = &f->inputs[f->flow.input_count];

	if (step->inputs.count == 0)
		step->inputs.first = f->flow.input_count;
	step->inputs.count++;
	f->flow.input_count++;
	input->key = key ? bulla_bytes_str(key) : (bulla_bytes){NULL, 0};
	input->sources = (struct bulla_flow_span){f->flow.source_count, 1};
	f->sources[f->flow.source_count++] = (struct bulla_flow_source){from, 0};
	add_reader(f, from, step->actor);
}

void flows_words(struct flows *f, const char *field, const char *const *words)
{
	struct bulla_flow_step *step = newest(f);

	step->outcome = (struct bulla_flow_span){f->flow.name_count, 1};
	f->names[f->flow.name_count++] = bulla_bytes_str(field);
	step->words = (struct bulla_flow_span){f->flow.name_count, 0};
	for (; *words; words++) {
		f->names[f->flow.name_count++] = bulla_bytes_str(*words);
		step->words.count++;
	}
}

void flows_if(struct flows *f, uint16_t on, uint64_t mask)
{
	struct bulla_flow_step *step = newest(f);

	if (step->conditions.count == 0)
		step->conditions.first = f->flow.condition_count;
	step->conditions.count++;
	f->conditions[f->flow.condition_count++] = (struct bulla_flow_condition){.step = on, .mask = mask};
}

void flows_after(struct flows *f, uint16_t step)
{
	if (newest(f)->after.count == 0)
		newest(f)->after.first = f->flow.ref_count;
	newest(f)->after.count++;
	f->refs[f->flow.ref_count++] = step;
}

const struct bulla_flow *flows_done(struct flows *f)
{
	bulla_wr w = bulla_wr_fixed(f->bytes, sizeof(f->bytes));
	bulla_bytes plan;
	size_t size;

	must(bulla_flow_encode(&f->flow, &w) == BULLA_OK);
	must(bulla_wr_end(&w, &plan) == BULLA_OK);
	must(bulla_flow_measure(plan, &size) == BULLA_OK && size <= sizeof(f->memory));
	must(bulla_flow_decode(plan, f->memory, sizeof(f->memory), &f->decoded) == BULLA_OK);
	return &f->decoded;
}

const struct bulla_flow *flows_linear(struct flows *f, unsigned steps)
{
	flows_init(f);
	for (unsigned i = 0; i < steps; i++) {
		uint16_t actor = flows_actor(f, BULLA_FLOW_AGENT, (uint8_t)('a' + i));
		uint16_t step = flows_step(f, BULLA_FLOW_AGENT, actor);

		flows_reads(f, (uint16_t)(step - 1), NULL);
	}
	return flows_done(f);
}

const struct bulla_flow *flows_branches(struct flows *f)
{
	static const char *const grades[] = {"low", "refer", "high", NULL};
	uint16_t a, b, c, d;

	flows_init(f);
	a = flows_step(f, BULLA_FLOW_AGENT, flows_actor(f, BULLA_FLOW_AGENT, 'a'));
	flows_reads(f, 0, NULL);
	flows_words(f, "grade", grades);
	b = flows_step(f, BULLA_FLOW_AGENT, flows_actor(f, BULLA_FLOW_AGENT, 'b'));
	flows_reads(f, a, NULL);
	flows_if(f, a, 1);
	c = flows_step(f, BULLA_FLOW_PARTY, flows_actor(f, BULLA_FLOW_PARTY, 'c'));
	flows_reads(f, a, NULL);
	flows_if(f, a, 2);
	d = flows_step(f, BULLA_FLOW_CLOCK, BULLA_FLOW_NONE);
	flows_if(f, a, 4);
	flows_step(f, BULLA_FLOW_AGENT, flows_actor(f, BULLA_FLOW_AGENT, 'e'));
	flows_reads(f, a, "risk");
	flows_reads(f, b, "reserve");
	flows_reads(f, c, "review");
	flows_after(f, d);
	return flows_done(f);
}

const struct bulla_flow *flows_parallel(struct flows *f)
{
	uint16_t a, b, c;

	flows_init(f);
	a = flows_step(f, BULLA_FLOW_AGENT, flows_actor(f, BULLA_FLOW_AGENT, 'a'));
	flows_reads(f, 0, NULL);
	b = flows_step(f, BULLA_FLOW_AGENT, flows_actor(f, BULLA_FLOW_AGENT, 'b'));
	flows_reads(f, a, NULL);
	c = flows_step(f, BULLA_FLOW_AGENT, flows_actor(f, BULLA_FLOW_AGENT, 'c'));
	flows_reads(f, a, NULL);
	flows_step(f, BULLA_FLOW_AGENT, flows_actor(f, BULLA_FLOW_AGENT, 'd'));
	flows_reads(f, b, "b");
	flows_reads(f, c, "c");
	return flows_done(f);
}
