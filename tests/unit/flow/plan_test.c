#include "test.h"

#include "flow/flows.h"

static struct flows f, g;

static bulla_rc decode(bulla_bytes plan)
{
	size_t size;

	BULLA_TRY(bulla_flow_measure(plan, &size));
	if (size > sizeof(g.memory))
		return BULLA_E_LIMIT;
	return bulla_flow_decode(plan, g.memory, sizeof(g.memory), &g.decoded);
}

/* The golden bytes of the smallest plan: a change of format is a change of version. */
static void golden_bytes_stay(void **state)
{
	static const uint8_t golden[] = {
		0x87, 0x01, 0x01, 0x02, 0x1a, 0x9a, 0x7e, 0xc8, 0x00,             /* 1, semantics 1, clear, 30 d */
		0x81, 0x82, 0x01, 0x48, 'a',  'a',  'a',  'a',  'a', 'a', 'a', 'a', /* actors */
		0x80,                                                             /* log readers */
		0x82,                                                             /* steps */
		0x8c, 0x00, 0x00, 0x00, 0x00, 0x80, 0x80, 0x80, 0x80, 0x83, 0x01, 0x00, 0x00, 0x00, 0x82, 0x80, 0x80,
		0x81, 0x83, 0x80, 0x00, 0x81, 0x00,                               /* input: its part, read by actor 0 */
		0x8c, 0x01, 0x00, 0x01, 0x00, 0x81, 0x82, 0x40, 0x81, 0x82, 0x00, 0x00, 0x80, 0x80, 0x80, 0x83, 0x03,
		0x19, 0x03, 0xe8, 0x19, 0x1f, 0x40, 0x19, 0x13, 0x88, 0x82, 0x80, 0x80, 0x80,
	};
	const struct bulla_flow *flow = flows_linear(&f, 1);

	(void)state;
	assert_bytes(flow->bytes, BULLA_BYTES_ARRAY(golden));
}

static void decoded_is_what_was_written(void **state)
{
	const struct bulla_flow *flow = flows_branches(&f);
	bulla_bytes again;
	bulla_wr w = bulla_wr_fixed(g.bytes, sizeof(g.bytes));

	(void)state;
	assert_ok(bulla_flow_encode(flow, &w));
	assert_ok(bulla_wr_end(&w, &again));
	assert_bytes(again, flow->bytes);
	assert_int_equal(flow->step_count, 6);
	assert_int_equal(flow->forward_count, 6);
	assert_int_equal(flow->steps[5].deps.count, 4);
	assert_int_equal(flow->refs[flow->steps[5].deps.first], 1);
	assert_int_equal(flow->refs[flow->steps[5].deps.first + 3], 4);
	assert_int_equal(flow->steps[1].waiting.count, 4);
	assert_int_equal(flow->steps[5].undone_by, BULLA_FLOW_NONE);
}

static void every_truncation_is_refused(void **state)
{
	bulla_bytes plan = flows_branches(&f)->bytes;

	(void)state;
	for (size_t n = 0; n < plan.n; n++)
		assert_int_not_equal(decode(bulla_bytes_of(plan.p, n)), BULLA_OK);
}

/* A flipped bit is refused or gives another plan that encodes to exactly those bytes: there is one form only. */
static void every_flip_is_refused_or_canonical(void **state)
{
	bulla_bytes plan = flows_branches(&f)->bytes;
	static uint8_t copy[16384], out[16384];

	(void)state;
	for (size_t bit = 0; bit < plan.n * 8; bit++) {
		bulla_wr w = bulla_wr_fixed(out, sizeof(out));
		bulla_bytes again;

		bulla_copy(copy, plan.p, plan.n);
		copy[bit / 8] = (uint8_t)(copy[bit / 8] ^ (1U << (bit % 8)));
		if (decode(bulla_bytes_of(copy, plan.n)) != BULLA_OK)
			continue;
		assert_ok(bulla_flow_encode(&g.decoded, &w));
		assert_ok(bulla_wr_end(&w, &again));
		assert_bytes(again, bulla_bytes_of(copy, plan.n));
	}
}

static bulla_rc rewritten(void)
{
	bulla_wr w = bulla_wr_fixed(f.bytes, sizeof(f.bytes));
	bulla_bytes plan;

	BULLA_TRY(bulla_flow_encode(&f.flow, &w));
	BULLA_TRY(bulla_wr_end(&w, &plan));
	return decode(plan);
}

static void nonsense_is_refused(void **state)
{
	(void)state;
	flows_branches(&f);
	f.flow.semantics = 2;
	assert_rc(BULLA_E_VERSION, rewritten());
	flows_branches(&f);
	f.sources[1].step = 2; /* reads itself */
	assert_rc(BULLA_E_FORMAT, rewritten());
	flows_branches(&f);
	f.sources[1].part = 1;
	assert_rc(BULLA_E_FORMAT, rewritten());
	flows_branches(&f);
	f.readers[f.parts[f.steps[1].parts.first].readers.first] = 3; /* b is no reader of a any more */
	assert_rc(BULLA_E_FORMAT, rewritten());
	flows_branches(&f);
	f.conditions[0].mask = 8; /* a has three outcomes */
	assert_rc(BULLA_E_FORMAT, rewritten());
	flows_branches(&f);
	f.steps[1].actor = 2; /* a party runs an agent's step */
	assert_rc(BULLA_E_FORMAT, rewritten());
	flows_branches(&f);
	f.steps[1].tries = 201;
	assert_rc(BULLA_E_LIMIT, rewritten());
	flows_branches(&f);
	f.flow.flags = 0; /* then every name is a handle */
	assert_rc(BULLA_E_FORMAT, rewritten());
	flows_branches(&f);
	f.steps[4].timeout_ms = 0; /* sleeps for no time */
	assert_rc(BULLA_E_FORMAT, rewritten());
	flows_branches(&f);
	f.steps[2].undoes = 1; /* an undo step before a step */
	assert_rc(BULLA_E_FORMAT, rewritten());
	flows_linear(&f, 1);
	f.steps[1].inputs.count = 0;
	assert_rc(BULLA_E_FORMAT, rewritten());
}

static void memory_is_checked(void **state)
{
	bulla_bytes plan = flows_branches(&f)->bytes;
	size_t size;

	(void)state;
	assert_ok(bulla_flow_measure(plan, &size));
	assert_rc(BULLA_E_LIMIT, bulla_flow_decode(plan, g.memory, size - 1, &g.decoded));
	assert_ok(bulla_flow_decode(plan, g.memory, size, &g.decoded));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bytes_stay),
		cmocka_unit_test(decoded_is_what_was_written),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(every_flip_is_refused_or_canonical),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(memory_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
