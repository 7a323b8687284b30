#include "test.h"

#include "flow/flows.h"
#include "flow/parents.h"

static struct flows f;

static struct bulla_flow_parent parent(uint16_t step, uint8_t outcome)
{
	return (struct bulla_flow_parent){.step = step, .outcome = outcome, .attempt = 1};
}

static void linear_has_one_parent(void **state)
{
	const struct bulla_flow *flow = flows_linear(&f, 3);
	struct bulla_flow_parent p[3] = {parent(1, 0), parent(2, 0), parent(0, 0)};
	struct bulla_flow_binding b[2];
	size_t n;

	(void)state;
	assert_ok(bulla_flow_check_parents(flow, 2, 0, p, 1));
	assert_rc(BULLA_E_PARENT, bulla_flow_check_parents(flow, 2, 0, p, 0));
	assert_rc(BULLA_E_PARENT, bulla_flow_check_parents(flow, 2, 0, &p[2], 1));
	assert_rc(BULLA_E_PARENT, bulla_flow_check_parents(flow, 3, 0, p, 2)); /* one too many */
	assert_ok(bulla_flow_check_parents(flow, 3, 0, p + 1, 1));
	p[0].outcome = BULLA_OUTCOME_FAILED;
	assert_rc(BULLA_E_PARENT, bulla_flow_check_parents(flow, 2, 0, p, 1));
	assert_rc(BULLA_E_ARGUMENT, bulla_flow_check_parents(flow, 4, 0, p, 1));
	assert_rc(BULLA_E_ARGUMENT, bulla_flow_check_parents(flow, 0, 0, p, 1));
	assert_ok(bulla_flow_bind(flow, 3, 0, p + 1, 1, b, 2, &n));
	assert_int_equal(n, 1);
	assert_int_equal(b[0].parent, 0);
	assert_int_equal(b[0].part, 0);
	assert_rc(BULLA_E_LIMIT, bulla_flow_bind(flow, 3, 0, p + 1, 1, b, 0, &n));
}

static void skipped_branches_are_shown(void **state)
{
	const struct bulla_flow *flow = flows_branches(&f);
	/* a said `refer`: b and d were skipped, c answered */
	struct bulla_flow_parent p[3] = {parent(1, 1), parent(3, 0), parent(2, 0)};
	struct bulla_flow_binding b[3];
	size_t n;

	(void)state;
	assert_ok(bulla_flow_check_parents(flow, 5, 0, p, 2));
	assert_ok(bulla_flow_bind(flow, 5, 0, p, 2, b, 3, &n));
	assert_int_equal(n, 3);
	assert_int_equal(b[0].parent, 0);
	assert_int_equal(b[1].parent, BULLA_FLOW_NO_SLOT); /* reserve: null */
	assert_int_equal(b[2].parent, 1);
	p[0].outcome = 0; /* `low`: then b is not skipped */
	assert_rc(BULLA_E_PLAN, bulla_flow_check_parents(flow, 5, 0, p, 2));
	assert_rc(BULLA_E_PARENT, bulla_flow_check_parents(flow, 5, 0, p + 1, 1)); /* the decider is missing */
	/* the step's own condition */
	p[0].outcome = 0;
	assert_ok(bulla_flow_check_parents(flow, 2, 0, p, 1));
	p[0].outcome = 2;
	assert_rc(BULLA_E_PLAN, bulla_flow_check_parents(flow, 2, 0, p, 1));
	p[0].outcome = 3; /* a has no such outcome */
	assert_rc(BULLA_E_PARENT, bulla_flow_check_parents(flow, 2, 0, p, 1));
}

static void order_and_doubles_are_refused(void **state)
{
	const struct bulla_flow *flow = flows_parallel(&f);
	struct bulla_flow_parent p[3] = {parent(2, 0), parent(3, 0), parent(3, 0)};

	(void)state;
	assert_ok(bulla_flow_check_parents(flow, 4, 0, p, 2));
	assert_rc(BULLA_E_PARENT, bulla_flow_check_parents(flow, 4, 0, p, 1));
	assert_rc(BULLA_E_PARENT, bulla_flow_check_parents(flow, 4, 0, p, 3));
	p[0] = parent(3, 0);
	p[1] = parent(2, 0);
	assert_rc(BULLA_E_PARENT, bulla_flow_check_parents(flow, 4, 0, p, 2));
}

/* Whatever the fold says are the parents, the enclave's check accepts; taking one away or changing an outcome that
 * decides is refused. */
static void fold_and_check_agree(void **state)
{
	const struct bulla_flow *flow = flows_branches(&f);

	(void)state;
	for (uint8_t outcome = 0; outcome < 3; outcome++) {
		struct bulla_flow_slot slots[8];
		struct bulla_flow_run run;
		struct bulla_flow_event event = {.kind = BULLA_FLOW_STARTED};
		struct bulla_flow_parent p[8];
		size_t n;

		assert_ok(bulla_flow_begin(flow, slots, 8, 0, &run));
		assert_ok(bulla_flow_apply(flow, &run, &event));
		assert_rc(BULLA_E_PLAN, bulla_flow_parents(flow, &run, 5, 0, p, 8, &n));
		event = (struct bulla_flow_event){
			.kind = BULLA_FLOW_RESULT, .step = 1, .attempt = 1, .outcome = outcome, .digest.b[0] = 1};
		assert_ok(bulla_flow_apply(flow, &run, &event));
		event = (struct bulla_flow_event){.kind = BULLA_FLOW_RESULT,
			.step = (uint16_t)(2 + outcome),
			.attempt = 1,
			.digest.b[0] = 2};
		assert_ok(bulla_flow_apply(flow, &run, &event));
		assert_ok(bulla_flow_parents(flow, &run, 5, 0, p, 8, &n));
		assert_int_equal(n, 2);
		assert_int_equal(p[0].digest.b[0], 1);
		assert_ok(bulla_flow_check_parents(flow, 5, 0, p, n));
		assert_rc(BULLA_E_LIMIT, bulla_flow_parents(flow, &run, 5, 0, p, 1, &n));
		p[0].outcome = (uint8_t)((outcome + 1) % 3);
		assert_rc(BULLA_E_PLAN, bulla_flow_check_parents(flow, 5, 0, p, 2));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linear_has_one_parent),
		cmocka_unit_test(skipped_branches_are_shown),
		cmocka_unit_test(order_and_doubles_are_refused),
		cmocka_unit_test(fold_and_check_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
