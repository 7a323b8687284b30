#include "kms/timetext.h"
#include "test.h"

static void times_are_written_as_people_write_them(void **state)
{
	static const struct {
		int64_t wall_ms;
		const char *text;
	} cases[] = {{0, "1970-01-01T00:00:00Z"}, {999, "1970-01-01T00:00:00Z"}, {951782400000, "2000-02-29T00:00:00Z"},
		{1795273445123, "2026-11-21T15:04:05Z"}, {253402300799999, "9999-12-31T23:59:59Z"},
		{4107542400000, "2100-03-01T00:00:00Z"}};
	uint8_t text[BULLA_TIMETEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bulla_timetext(cases[i].wall_ms, text);
		assert_bytes(BULLA_BYTES_ARRAY(text), bulla_bytes_str(cases[i].text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(times_are_written_as_people_write_them)};

	return cmocka_run_group_tests_name("kms_timetext", tests, NULL, NULL);
}
