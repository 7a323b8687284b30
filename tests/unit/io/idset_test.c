#include "io/idset.h"
#include "test.h"

static void test_random_against_list(void **state)
{
	struct bulla_idset set;
	bool in[512] = {false};
	uint32_t seed = 7, count = 0;

	(void)state;
	assert_ok(bulla_idset_init(&set, 64));
	for (int i = 0; i < 200000; i++) {
		seed = seed * 1103515245 + 12345;
		uint32_t id = (seed >> 8) % 511 + 1;

		if ((seed >> 20) & 1) {
			bulla_rc rc = bulla_idset_add(&set, id * 65536);

			assert_string_equal(bulla_rc_id(rc), bulla_rc_id(in[id]        ? BULLA_E_DUPLICATE
				: count == 64 ? BULLA_E_LIMIT
				: BULLA_OK));
			count += rc == BULLA_OK;
			in[id] = in[id] || rc == BULLA_OK;
		} else {
			assert_int_equal(bulla_idset_remove(&set, id * 65536), in[id]);
			count -= in[id];
			in[id] = false;
		}
		assert_int_equal(set.count, count);
		assert_int_equal(bulla_idset_has(&set, id * 65536), in[id]);
	}
	for (uint32_t id = 1; id < 512; id++)
		assert_int_equal(bulla_idset_has(&set, id * 65536), in[id]);
	assert_rc(BULLA_E_ARGUMENT, bulla_idset_add(&set, 0));
	bulla_idset_done(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_against_list)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
