#include "base/limits.h"
#include "test.h"

/* Limits that only work together. n and n + 1 of each limit are tried where it is used. */
static void limits_fit_each_other(void **state)
{
	(void)state;
	assert_true(BULLA_MAX_FRAME_CHUNK < BULLA_MAX_FRAME_BODY);
	assert_true(BULLA_MAX_PAYLOAD_RECORD <= BULLA_MAX_FRAME_BODY);
	assert_true(BULLA_MAX_EVIDENCE <= BULLA_MAX_FRAME_BODY);
	assert_true(BULLA_MAX_JOURNAL_BATCH <= BULLA_MAX_JOURNAL_SEGMENT);
	assert_true(BULLA_MAX_RECORD < BULLA_MAX_JOURNAL_BATCH);
	assert_true(BULLA_MAX_PAYLOAD + 65536 < BULLA_MAX_SEALED); /* one of full size, padded, for all readers */
	assert_true(BULLA_MAX_SEALED + 65536 < BULLA_MAX_RECORD);
	assert_true(BULLA_MAX_FLOW_ITEMS <= BULLA_MAX_FLOW_FACTS);
	assert_true(BULLA_MAX_FLOW_INPUTS <= BULLA_MAX_MESSAGE_ITEMS);
}

static void every_limit_is_positive_and_explained(void **state)
{
	(void)state;
#define BULLA_LIMIT(name, value, unit, when_full) \
	assert_true((value) > 0); \
	assert_true(sizeof(unit) > 1 && sizeof(when_full) > 1);
#include "base/limits.def"
#undef BULLA_LIMIT
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_fit_each_other),
		cmocka_unit_test(every_limit_is_positive_and_explained),
	};

	return cmocka_run_group_tests_name("base_limits", tests, NULL, NULL);
}
