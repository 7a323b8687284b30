#include "cmd/owner.h"

#include "flow/flows.h"
#include "test.h"

/* A receipt is shown for the run that was asked for, whatever else the engine sends. */
static void receipts(void **state)
{
	struct flows flows;
	const struct bulla_flow *flow = flows_linear(&flows, 2);
	struct owner_expected expected = {
		.slot = {.tenant = {{1}}, .workflow = {{2}}, .run = {{3}}}, .manifest = {{4}}};
	const struct bulla_receipt honest = {.position = {.slot = {.tenant = {{1}}, .workflow = {{2}}, .run = {{3}}, .step = 2},
		.attempt = 1}, .manifest = {{4}}};
	struct bulla_receipt receipt = honest;

	(void)state;
	assert_ok(owner_receipt_check(&expected, flow, true, &receipt));
	receipt.position.slot.tenant.b[0]++;
	assert_rc(BULLA_E_POSITION_TENANT, owner_receipt_check(&expected, flow, true, &receipt));
	receipt = honest;
	receipt.position.slot.workflow.b[0]++;
	assert_rc(BULLA_E_POSITION_WORKFLOW, owner_receipt_check(&expected, flow, true, &receipt));
	receipt = honest;
	receipt.manifest.b[0]++;
	assert_rc(BULLA_E_EPOCH_OLD, owner_receipt_check(&expected, flow, true, &receipt));
	receipt = honest;
	receipt.position.slot.run.b[0]++;
	assert_rc(BULLA_E_POSITION_RUN, owner_receipt_check(&expected, flow, true, &receipt));
	expected.any_run = true;
	assert_ok(owner_receipt_check(&expected, flow, true, &receipt));
}

/* The result is the last step's: a step that others follow in any case is none. */
static void results(void **state)
{
	struct flows flows;
	const struct bulla_flow *flow = flows_linear(&flows, 2);
	const struct owner_expected expected = {.any_run = true};
	struct bulla_receipt receipt = {.position = {.slot = {.step = 1}, .attempt = 1}};

	(void)state;
	assert_rc(BULLA_E_POSITION_STEP, owner_receipt_check(&expected, flow, true, &receipt));
	assert_ok(owner_receipt_check(&expected, flow, false, &receipt));
	receipt.position.slot.step = 2;
	assert_ok(owner_receipt_check(&expected, flow, true, &receipt));
	receipt.position.slot.step = UINT32_MAX;
	assert_rc(BULLA_E_POSITION_STEP, owner_receipt_check(&expected, flow, true, &receipt));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(receipts),
		cmocka_unit_test(results),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
