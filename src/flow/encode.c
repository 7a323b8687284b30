#include "flow/plan.h"

#include "wire/cbor.h"

static void write_names(const struct bulla_flow *flow, struct bulla_flow_span names, bulla_wr *w)
{
	bulla_cbor_wr_array(w, names.count);
	for (uint32_t i = 0; i < names.count; i++)
		bulla_cbor_wr_bytes(w, flow->names[names.first + i]);
}

static void write_indices(const uint16_t *pool, struct bulla_flow_span list, bulla_wr *w)
{
	bulla_cbor_wr_array(w, list.count);
	for (uint32_t i = 0; i < list.count; i++)
		bulla_cbor_wr_uint(w, pool[list.first + i]);
}

static void write_optional(uint16_t index, bulla_wr *w)
{
	bulla_cbor_wr_uint(w, index == BULLA_FLOW_NONE ? 0 : (uint64_t)index + 1);
}

static void write_time(int64_t ms, bulla_wr *w)
{
	if (ms < 0)
		bulla_wr_fail(w, BULLA_E_ARGUMENT);
	bulla_cbor_wr_uint(w, (uint64_t)ms);
}

static void write_actors(const struct bulla_flow *flow, bulla_wr *w)
{
	bulla_cbor_wr_array(w, flow->actor_count);
	for (uint32_t i = 0; i < flow->actor_count; i++) {
		bulla_cbor_wr_array(w, 2);
		bulla_cbor_wr_uint(w, flow->actors[i].kind);
		bulla_cbor_wr_bytes(w, BULLA_BYTES_ARRAY(flow->actors[i].handle));
	}
}

static void write_inputs(const struct bulla_flow *flow, struct bulla_flow_span inputs, bulla_wr *w)
{
	bulla_cbor_wr_array(w, inputs.count);
	for (uint32_t i = 0; i < inputs.count; i++) {
		const struct bulla_flow_input *input = &flow->inputs[inputs.first + i];

		bulla_cbor_wr_array(w, 2);
		bulla_cbor_wr_bytes(w, input->key);
		bulla_cbor_wr_array(w, input->sources.count);
		for (uint32_t k = 0; k < input->sources.count; k++) {
			bulla_cbor_wr_array(w, 2);
			bulla_cbor_wr_uint(w, flow->sources[input->sources.first + k].step);
			bulla_cbor_wr_uint(w, flow->sources[input->sources.first + k].part);
		}
	}
}

static void write_conditions(const struct bulla_flow *flow, struct bulla_flow_span conditions, bulla_wr *w)
{
	bulla_cbor_wr_array(w, conditions.count);
	for (uint32_t i = 0; i < conditions.count; i++) {
		bulla_cbor_wr_array(w, 2);
		bulla_cbor_wr_uint(w, flow->conditions[conditions.first + i].step);
		bulla_cbor_wr_uint(w, flow->conditions[conditions.first + i].mask);
	}
}

static void write_parts(const struct bulla_flow *flow, struct bulla_flow_span parts, bulla_wr *w)
{
	bulla_cbor_wr_array(w, parts.count);
	for (uint32_t i = 0; i < parts.count; i++) {
		const struct bulla_flow_part *part = &flow->parts[parts.first + i];

		bulla_cbor_wr_array(w, 3);
		write_names(flow, part->path, w);
		bulla_cbor_wr_uint(w, part->flags);
		write_indices(flow->readers, part->readers, w);
	}
}

static void write_each(const struct bulla_flow_step *step, bulla_wr *w)
{
	bulla_cbor_wr_array(w, step->max_items > 0 ? 2 : 0);
	if (step->max_items == 0)
		return;
	bulla_cbor_wr_uint(w, step->each);
	bulla_cbor_wr_uint(w, step->max_items);
}

static void write_step(const struct bulla_flow *flow, const struct bulla_flow_step *step, bulla_wr *w)
{
	bulla_cbor_wr_array(w, 12);
	bulla_cbor_wr_uint(w, step->kind);
	bulla_cbor_wr_uint(w, step->flags);
	write_optional(step->actor, w);
	write_optional(step->undoes, w);
	write_inputs(flow, step->inputs, w);
	write_indices(flow->refs, step->after, w);
	write_conditions(flow, step->conditions, w);
	write_each(step, w);
	bulla_cbor_wr_array(w, 3);
	bulla_cbor_wr_uint(w, step->tries);
	write_time(step->backoff_min_ms, w);
	write_time(step->backoff_max_ms, w);
	write_time(step->timeout_ms, w);
	bulla_cbor_wr_array(w, 2);
	write_names(flow, step->outcome, w);
	write_names(flow, step->words, w);
	write_parts(flow, step->parts, w);
}

bulla_rc bulla_flow_encode(const struct bulla_flow *flow, bulla_wr *w)
{
	bulla_bytes written;

	bulla_cbor_wr_array(w, 7);
	bulla_cbor_wr_uint(w, BULLA_FLOW_VERSION);
	bulla_cbor_wr_uint(w, flow->semantics);
	bulla_cbor_wr_uint(w, flow->flags);
	write_time(flow->timeout_ms, w);
	write_actors(flow, w);
	write_indices(flow->readers, flow->log_readers, w);
	bulla_cbor_wr_array(w, flow->step_count);
	for (uint32_t i = 0; i < flow->step_count; i++)
		write_step(flow, &flow->steps[i], w);
	return bulla_wr_end(w, &written);
}
