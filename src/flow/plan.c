#include "flow/plan.h"

#include "flow/plan_check.h"
#include "wire/cbor.h"

/* A time in a plan is at most 400 days. */
#define TIME_MAX_MS ((uint64_t)400 * 86400 * 1000)

/* Both passes use one parser: the first counts (fill = false, the arrays are NULL), the second fills. */
struct build {
	bulla_cbor_rd r;
	struct bulla_flow *flow;
	uint32_t dep_bound; /* after + sources + conditions of all steps */
	bool fill;
};

static bulla_rc read_time(bulla_cbor_rd *r, int64_t *ret)
{
	uint64_t value;

	BULLA_TRY(bulla_cbor_rd_uint_max(r, TIME_MAX_MS, &value));
	*ret = (int64_t)value;
	return BULLA_OK;
}

static bulla_rc read_u8(bulla_cbor_rd *r, uint8_t max, uint8_t *ret)
{
	uint64_t value;

	BULLA_TRY(bulla_cbor_rd_uint_max(r, max, &value));
	*ret = (uint8_t)value;
	return BULLA_OK;
}

static bulla_rc read_u16(bulla_cbor_rd *r, uint16_t max, uint16_t *ret)
{
	uint64_t value;

	BULLA_TRY(bulla_cbor_rd_uint_max(r, max, &value));
	*ret = (uint16_t)value;
	return BULLA_OK;
}

/* Indices in strictly ascending order, appended to pool. */
static bulla_rc read_ascending(struct build *b, size_t max, uint16_t *pool, uint32_t *count,
	struct bulla_flow_span *ret)
{
	size_t n;
	uint16_t value, last = 0;

	BULLA_TRY(bulla_cbor_rd_array(&b->r, max, &n));
	*ret = (struct bulla_flow_span){*count, (uint32_t)n};
	for (size_t i = 0; i < n; i++) {
		BULLA_TRY(read_u16(&b->r, BULLA_MAX_FLOW_STEPS, &value));
		if (i > 0 && value <= last)
			return BULLA_FAIL(BULLA_E_FORMAT, "a list of a plan is not ascending");
		if (b->fill)
			pool[*count] = value;
		last = value;
		(*count)++;
	}
	return BULLA_OK;
}

static bulla_rc read_names(struct build *b, size_t max, struct bulla_flow_span *ret)
{
	size_t n;
	bulla_bytes name;

	BULLA_TRY(bulla_cbor_rd_array(&b->r, max, &n));
	*ret = (struct bulla_flow_span){b->flow->name_count, (uint32_t)n};
	for (size_t i = 0; i < n; i++) {
		BULLA_TRY(bulla_cbor_rd_bytes_max(&b->r, BULLA_MAX_FLOW_NAME, &name));
		if (name.n == 0)
			return BULLA_FAIL(BULLA_E_FORMAT, "a name of a plan is empty");
		if (b->fill)
			b->flow->names[b->flow->name_count] = name;
		b->flow->name_count++;
	}
	return BULLA_OK;
}

static bulla_rc read_actors(struct build *b)
{
	struct bulla_flow *flow = b->flow;
	struct bulla_flow_actor actor;
	size_t n;

	BULLA_TRY(bulla_cbor_rd_array(&b->r, BULLA_MAX_FLOW_ACTORS, &n));
	for (size_t i = 0; i < n; i++) {
		BULLA_TRY(bulla_cbor_rd_expect_array(&b->r, 2));
		BULLA_TRY(read_u8(&b->r, BULLA_FLOW_PARTY, &actor.kind));
		BULLA_TRY(bulla_cbor_rd_copy(&b->r, sizeof(actor.handle), actor.handle));
		if (b->fill)
			flow->actors[flow->actor_count] = actor;
		flow->actor_count++;
	}
	return BULLA_OK;
}

static bulla_rc read_sources(struct build *b, struct bulla_flow_span *ret)
{
	struct bulla_flow *flow = b->flow;
	struct bulla_flow_source source;
	size_t n;

	BULLA_TRY(bulla_cbor_rd_array(&b->r, BULLA_MAX_FLOW_SOURCES, &n));
	*ret = (struct bulla_flow_span){flow->source_count, (uint32_t)n};
	for (size_t i = 0; i < n; i++) {
		BULLA_TRY(bulla_cbor_rd_expect_array(&b->r, 2));
		BULLA_TRY(read_u16(&b->r, BULLA_MAX_FLOW_STEPS, &source.step));
		BULLA_TRY(read_u16(&b->r, BULLA_MAX_FLOW_PARTS, &source.part));
		if (b->fill)
			flow->sources[flow->source_count] = source;
		flow->source_count++;
		b->dep_bound++;
	}
	return BULLA_OK;
}

static bulla_rc read_inputs(struct build *b, struct bulla_flow_span *ret)
{
	struct bulla_flow *flow = b->flow;
	size_t n;

	BULLA_TRY(bulla_cbor_rd_array(&b->r, BULLA_MAX_FLOW_INPUTS, &n));
	*ret = (struct bulla_flow_span){flow->input_count, (uint32_t)n};
	for (size_t i = 0; i < n; i++) {
		struct bulla_flow_input input;

		BULLA_TRY(bulla_cbor_rd_expect_array(&b->r, 2));
		BULLA_TRY(bulla_cbor_rd_bytes_max(&b->r, BULLA_MAX_FLOW_NAME, &input.key));
		BULLA_TRY(read_sources(b, &input.sources));
		if (b->fill)
			flow->inputs[flow->input_count] = input;
		flow->input_count++;
	}
	return BULLA_OK;
}

static bulla_rc read_conditions(struct build *b, struct bulla_flow_span *ret)
{
	struct bulla_flow *flow = b->flow;
	struct bulla_flow_condition condition;
	size_t n;

	BULLA_TRY(bulla_cbor_rd_array(&b->r, BULLA_MAX_FLOW_CONDITIONS, &n));
	*ret = (struct bulla_flow_span){flow->condition_count, (uint32_t)n};
	for (size_t i = 0; i < n; i++) {
		BULLA_TRY(bulla_cbor_rd_expect_array(&b->r, 2));
		BULLA_TRY(read_u16(&b->r, BULLA_MAX_FLOW_STEPS, &condition.step));
		BULLA_TRY(bulla_cbor_rd_uint(&b->r, &condition.mask));
		if (b->fill)
			flow->conditions[flow->condition_count] = condition;
		flow->condition_count++;
		b->dep_bound++;
	}
	return BULLA_OK;
}

static bulla_rc read_parts(struct build *b, struct bulla_flow_span *ret)
{
	struct bulla_flow *flow = b->flow;
	size_t n;

	BULLA_TRY(bulla_cbor_rd_array(&b->r, BULLA_MAX_FLOW_PARTS, &n));
	*ret = (struct bulla_flow_span){flow->part_count, (uint32_t)n};
	for (size_t i = 0; i < n; i++) {
		struct bulla_flow_part part;

		BULLA_TRY(bulla_cbor_rd_expect_array(&b->r, 3));
		BULLA_TRY(read_names(b, BULLA_MAX_FLOW_PATH, &part.path));
		BULLA_TRY(read_u8(&b->r, BULLA_FLOW_EACH, &part.flags));
		BULLA_TRY(read_ascending(b, BULLA_MAX_READERS, flow->readers, &flow->reader_count, &part.readers));
		if (b->fill)
			flow->parts[flow->part_count] = part;
		flow->part_count++;
	}
	return BULLA_OK;
}

/* Index + 1, 0 for none. */
static bulla_rc read_optional(bulla_cbor_rd *r, uint16_t max, uint16_t *ret)
{
	uint16_t value;

	BULLA_TRY(read_u16(r, max, &value));
	*ret = value == 0 ? BULLA_FLOW_NONE : (uint16_t)(value - 1);
	return BULLA_OK;
}

static bulla_rc read_each(struct build *b, struct bulla_flow_step *step)
{
	size_t n;
	uint64_t items;

	BULLA_TRY(bulla_cbor_rd_array(&b->r, 2, &n));
	if (n == 0)
		return BULLA_OK;
	if (n != 2)
		return BULLA_FAIL(BULLA_E_FORMAT, "for_each has an input and a number");
	BULLA_TRY(read_u16(&b->r, BULLA_MAX_FLOW_INPUTS, &step->each));
	BULLA_TRY(bulla_cbor_rd_uint_max(&b->r, BULLA_MAX_FLOW_ITEMS, &items));
	if (items == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "for_each of at most no items");
	step->max_items = (uint32_t)items;
	return BULLA_OK;
}

static bulla_rc read_retry(bulla_cbor_rd *r, struct bulla_flow_step *step)
{
	BULLA_TRY(bulla_cbor_rd_expect_array(r, 3));
	BULLA_TRY(read_u16(r, BULLA_MAX_FLOW_TRIES, &step->tries));
	BULLA_TRY(read_time(r, &step->backoff_min_ms));
	return read_time(r, &step->backoff_max_ms);
}

static bulla_rc read_step(struct build *b)
{
	struct bulla_flow *flow = b->flow;
	struct bulla_flow_step step = {0};

	BULLA_TRY(bulla_cbor_rd_expect_array(&b->r, 12));
	BULLA_TRY(read_u8(&b->r, BULLA_FLOW_CLOCK, &step.kind));
	BULLA_TRY(read_u8(&b->r, BULLA_FLOW_FRESH, &step.flags));
	BULLA_TRY(read_optional(&b->r, BULLA_MAX_FLOW_ACTORS, &step.actor));
	BULLA_TRY(read_optional(&b->r, BULLA_MAX_FLOW_STEPS, &step.undoes));
	BULLA_TRY(read_inputs(b, &step.inputs));
	BULLA_TRY(read_ascending(b, BULLA_MAX_PARENTS, flow->refs, &flow->ref_count, &step.after));
	b->dep_bound += step.after.count;
	BULLA_TRY(read_conditions(b, &step.conditions));
	BULLA_TRY(read_each(b, &step));
	BULLA_TRY(read_retry(&b->r, &step));
	BULLA_TRY(read_time(&b->r, &step.timeout_ms));
	BULLA_TRY(bulla_cbor_rd_expect_array(&b->r, 2));
	BULLA_TRY(read_names(b, BULLA_MAX_FLOW_PATH, &step.outcome));
	BULLA_TRY(read_names(b, BULLA_MAX_FLOW_OUTCOMES, &step.words));
	BULLA_TRY(read_parts(b, &step.parts));
	if (b->fill)
		flow->steps[flow->step_count] = step;
	flow->step_count++;
	return BULLA_OK;
}

static bulla_rc read_head(struct build *b)
{
	struct bulla_flow *flow = b->flow;
	uint64_t version, semantics, flags;

	BULLA_TRY(bulla_cbor_rd_expect_array(&b->r, 7));
	BULLA_TRY(bulla_cbor_rd_uint(&b->r, &version));
	if (version != BULLA_FLOW_VERSION)
		return BULLA_FAIL(BULLA_E_VERSION, "a plan of another format");
	BULLA_TRY(bulla_cbor_rd_uint(&b->r, &semantics));
	if (semantics < 1 || semantics > BULLA_FLOW_SEMANTICS)
		return BULLA_FAIL(BULLA_E_VERSION, "a plan of newer semantics");
	BULLA_TRY(bulla_cbor_rd_uint_max(&b->r, BULLA_FLOW_RECEIPTS_EACH | BULLA_FLOW_CLEAR, &flags));
	BULLA_TRY(read_time(&b->r, &flow->timeout_ms));
	flow->semantics = (uint32_t)semantics;
	flow->flags = (uint32_t)flags;
	return BULLA_OK;
}

static bulla_rc read_plan(struct build *b)
{
	struct bulla_flow *flow = b->flow;
	size_t n;

	BULLA_TRY(read_head(b));
	BULLA_TRY(read_actors(b));
	BULLA_TRY(read_ascending(b, BULLA_MAX_READERS, flow->readers, &flow->reader_count, &flow->log_readers));
	BULLA_TRY(bulla_cbor_rd_array(&b->r, BULLA_MAX_FLOW_STEPS, &n));
	if (n < 2)
		return BULLA_FAIL(BULLA_E_FORMAT, "a plan without steps");
	for (size_t i = 0; i < n; i++)
		BULLA_TRY(read_step(b));
	return bulla_cbor_rd_end(&b->r);
}

/* First pass: counts of everything; the references are counted with what is derived from them. */
static bulla_rc count_plan(bulla_bytes plan, struct bulla_flow *ret_counts)
{
	struct bulla_flow flow = {0};
	struct build b = {.r = bulla_cbor_rd_of(plan), .flow = &flow};

	if (plan.n > BULLA_MAX_FLOW_BYTES)
		return BULLA_FAIL(BULLA_E_LIMIT, "a plan of too many bytes");
	BULLA_TRY(read_plan(&b));
	flow.ref_count += 2 * b.dep_bound;
	*ret_counts = flow;
	return BULLA_OK;
}

/* Arrays one behind the other, each aligned to 8. */
struct carve {
	uint8_t *p;
	size_t at;
};

static void *take(struct carve *c, size_t count, size_t size)
{
	void *p = c->p ? c->p + c->at : NULL;

	c->at += (count * size + 7) & ~(size_t)7;
	return p;
}

static void place(struct carve *c, const struct bulla_flow *n, struct bulla_flow *flow)
{
	flow->steps = take(c, n->step_count, sizeof(*flow->steps));
	flow->actors = take(c, n->actor_count, sizeof(*flow->actors));
	flow->inputs = take(c, n->input_count, sizeof(*flow->inputs));
	flow->sources = take(c, n->source_count, sizeof(*flow->sources));
	flow->conditions = take(c, n->condition_count, sizeof(*flow->conditions));
	flow->parts = take(c, n->part_count, sizeof(*flow->parts));
	flow->names = take(c, n->name_count, sizeof(*flow->names));
	flow->readers = take(c, n->reader_count, sizeof(*flow->readers));
	flow->refs = take(c, n->ref_count, sizeof(*flow->refs));
}

bulla_rc bulla_flow_measure(bulla_bytes plan, size_t *ret_size)
{
	struct bulla_flow counts, none = {0};
	struct carve c = {0};

	BULLA_TRY(count_plan(plan, &counts));
	place(&c, &counts, &none);
	if (c.at > BULLA_MAX_FLOW_MEMORY)
		return BULLA_FAIL(BULLA_E_LIMIT, "a plan that needs too much memory");
	*ret_size = c.at;
	return BULLA_OK;
}

bulla_rc bulla_flow_decode(bulla_bytes plan, void *memory, size_t size, struct bulla_flow *ret_flow)
{
	struct bulla_flow counts, flow = {.bytes = plan, .facts_max = BULLA_MAX_FLOW_FACTS};
	struct carve c = {.p = memory};
	struct build b = {.r = bulla_cbor_rd_of(plan), .flow = &flow, .fill = true};

	BULLA_TRY(count_plan(plan, &counts));
	place(&c, &counts, &flow);
	if (c.at > size)
		return BULLA_FAIL(BULLA_E_LIMIT, "less memory than the plan needs");
	BULLA_TRY(read_plan(&b));
	BULLA_TRY(bulla_flow_plan_check(&flow));
	bulla_flow_plan_derive(&flow);
	*ret_flow = flow;
	return BULLA_OK;
}

bulla_rc bulla_flow_step_at(const struct bulla_flow *flow, uint32_t step, const struct bulla_flow_step **ret)
{
	if (step >= flow->step_count)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "no such step");
	*ret = &flow->steps[step];
	return BULLA_OK;
}
