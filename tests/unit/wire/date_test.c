#include "wire/date.h"

#include "test.h"

static const struct {
	const char *text;
	int64_t seconds; /* as date(1) has it */
} good[] = {
	{"1970-01-01T00:00:00Z", 0},
	{"2025-12-25T16:04:19Z", 1766678659},
	{"2024-02-29T23:59:59Z", 1709251199},
	{"2000-02-29T00:00:00Z", 951782400},
	{"1969-12-31T23:59:59Z", -1},
	{"0000-03-01T00:00:00Z", -62162035200},
	{"9999-12-31T23:59:59Z", 253402300799},
	{"2016-12-31T23:59:60Z", 1483228800}, /* a leap second */
};

static const char *const bad[] = {
	"", "now", "1766678659", "2025-12-25", "2025-12-25 16:04:19Z", "2025-12-25T16:04:19", "2025-12-25T16:04:19z",
	"2025-12-25T16:04:19+02:00", "2025-12-25T16:04:19.5Z", "2025-12-25T16:04:19Z ", " 2025-12-25T16:04:19Z",
	"2025-12-25T16:04:19ZZ", "2025-12-99T16:04:19Z", "2025-13-25T16:04:19Z", "2025-00-25T16:04:19Z", "2025-12-00T16:04:19Z",
	"2025-02-29T16:04:19Z", "1900-02-29T16:04:19Z", "2025-04-31T16:04:19Z", "2025-12-25T24:04:19Z", "2025-12-25T16:60:19Z",
	"2025-12-25T16:04:61Z", "2025-12-25T16:04:-1Z", "+025-12-25T16:04:19Z", "2025-1 -25T16:04:19Z", "2025/12/25T16:04:19Z",
};

static void dates_that_exist(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		int64_t seconds = 7;

		assert_ok(bulla_date_parse(bulla_bytes_str(good[i].text), &seconds));
		assert_true(seconds == good[i].seconds);
	}
}

static void anything_else_is_refused(void **state)
{
	int64_t seconds = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_rc(BULLA_E_FORMAT, bulla_date_parse(bulla_bytes_str(bad[i]), &seconds));
	assert_true(seconds == 7);
}

static void any_changed_byte_is_a_date_or_refused(void **state)
{
	uint8_t text[] = "2025-12-25T16:04:19Z";
	int64_t seconds;

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		for (unsigned c = 0; c < 256; c++) {
			uint8_t kept = text[i];
			bulla_rc rc;

			text[i] = (uint8_t)c;
			rc = bulla_date_parse(bulla_bytes_of(text, sizeof(text) - 1), &seconds);
			assert_true(rc == BULLA_E_FORMAT || (rc == BULLA_OK && (c == kept || (c >= '0' && c <= '9'))));
			assert_rc(BULLA_E_FORMAT, bulla_date_parse(bulla_bytes_of(text, i), &seconds));
			text[i] = kept;
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates_that_exist),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(any_changed_byte_is_a_date_or_refused),
	};

	return cmocka_run_group_tests_name("wire_date", tests, NULL, NULL);
}
