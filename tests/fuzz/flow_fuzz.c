/* What decodes is written again as the same bytes; every span of a decoded plan stays inside its array; a run over it
 * begins, and takes any fact without harm. */
#include "flow/flow.h"
#include "fuzz.h"

static _Alignas(16) uint8_t memory[1 << 20];
static uint8_t written[1 << 16];

static void check_span(struct bulla_flow_span span, uint32_t count)
{
	fuzz_assert(span.count == 0 || (span.first < count && span.count <= count - span.first));
}

static void check_spans(const struct bulla_flow *flow)
{
	for (uint32_t i = 0; i < flow->step_count; i++) {
		const struct bulla_flow_step *step = &flow->steps[i];

		check_span(step->inputs, flow->input_count);
		check_span(step->conditions, flow->condition_count);
		check_span(step->parts, flow->part_count);
		check_span(step->words, flow->name_count);
		check_span(step->deps, flow->ref_count);
		check_span(step->waiting, flow->ref_count);
	}
	for (uint32_t i = 0; i < flow->input_count; i++)
		check_span(flow->inputs[i].sources, flow->source_count);
	for (uint32_t i = 0; i < flow->part_count; i++)
		check_span(flow->parts[i].readers, flow->reader_count);
}

/* Facts made of the plan's own bytes. */
static void run_it(const struct bulla_flow *flow, bulla_bytes bytes)
{
	static struct bulla_flow_slot slots[BULLA_MAX_FLOW_STEPS];
	struct bulla_flow_command commands[8];
	struct bulla_flow_run run;
	size_t count;

	if (bulla_flow_begin(flow, slots, BULLA_MAX_FLOW_STEPS, 1, &run) != BULLA_OK)
		return;
	for (size_t i = 0; i + 4 <= bytes.n && i < 256; i += 4) {
		struct bulla_flow_event event = {.kind = i == 0 ? BULLA_FLOW_STARTED : (uint8_t)(bytes.p[i] % 11),
			.outcome = bytes.p[i + 1], .step = bytes.p[i + 2] % 8, .attempt = bytes.p[i + 3] % 4, .at_ms = (int64_t)i};

		(void)!bulla_flow_apply(flow, &run, &event);
		do {
			count = 0;
			fuzz_assert(bulla_flow_decide(flow, &run, commands, 8, &count) == BULLA_OK && count <= 8);
		} while (count == 8);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	bulla_wr w = bulla_wr_fixed(written, sizeof(written));
	bulla_bytes in = bulla_bytes_of(p, n), out;
	struct bulla_flow flow;
	size_t size;

	if (bulla_flow_measure(in, &size) != BULLA_OK || size > sizeof(memory))
		return 0;
	if (bulla_flow_decode(in, memory, size, &flow) != BULLA_OK)
		return 0;
	check_spans(&flow);
	if (bulla_flow_encode(&flow, &w) == BULLA_OK && bulla_wr_end(&w, &out) == BULLA_OK)
		fuzz_assert(bulla_bytes_eq(in, out));
	run_it(&flow, in);
	return 0;
}
