#include "kms/timetext.h"

static void put_digits(uint8_t *p, int64_t value, size_t count)
{
	for (; count > 0; value /= 10)
		p[--count] = (uint8_t)('0' + value % 10);
}

/* Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days. */
void bulla_timetext(int64_t wall_ms, uint8_t ret[BULLA_TIMETEXT])
{
	int64_t seconds = wall_ms / 1000, z = seconds / 86400 + 719468, day = seconds % 86400;
	int64_t era = z / 146097, doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	int64_t month = mp + (mp < 10 ? 3 : -9);

	bulla_copy(ret, "0000-00-00T00:00:00Z", BULLA_TIMETEXT);
	put_digits(ret, yoe + era * 400 + (month <= 2), 4);
	put_digits(ret + 5, month, 2);
	put_digits(ret + 8, doy - (153 * mp + 2) / 5 + 1, 2);
	put_digits(ret + 11, day / 3600, 2);
	put_digits(ret + 14, day / 60 % 60, 2);
	put_digits(ret + 17, day % 60, 2);
}
