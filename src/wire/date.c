#include "wire/date.h"

/* Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil: years from March, so that the leap day is the
 * last */
int64_t bulla_date_days(int64_t year, int64_t month, int64_t day)
{
	int64_t shifted = month <= 2 ? year - 1 : year, era = shifted / 400, of_era = shifted - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static unsigned days_in(unsigned year, unsigned month)
{
	static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

/* The digits of the shape's next field. */
static bool read_field(bulla_bytes text, size_t at, size_t size, unsigned *ret)
{
	*ret = 0;
	for (size_t i = at; i < at + size; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		*ret = *ret * 10 + (unsigned)(text.p[i] - '0');
	}
	return true;
}

bulla_rc bulla_date_seconds(const unsigned f[6], int64_t *ret_seconds)
{
	if (f[1] == 0 || f[2] == 0 || f[2] > days_in(f[0], f[1]))
		return BULLA_FAIL(BULLA_E_FORMAT, "a day does not exist");
	*ret_seconds = bulla_date_days(f[0], f[1], f[2]) * 86400 + f[3] * INT64_C(3600) + f[4] * INT64_C(60) + f[5];
	return BULLA_OK;
}

bulla_rc bulla_date_parse(bulla_bytes text, int64_t *ret_seconds)
{
	static const char shape[] = "....-..-..T..:..:..Z";
	static const struct {
		uint8_t at, size, most;
	} fields[6] = {{0, 4, 0}, {5, 2, 12}, {8, 2, 31}, {11, 2, 23}, {14, 2, 59}, {17, 2, 60}};
	unsigned f[6];

	if (text.n != sizeof(shape) - 1)
		return BULLA_FAIL(BULLA_E_FORMAT, "a time is not written like 2025-12-25T16:04:19Z");
	for (size_t i = 0; i < text.n; i++)
		if (shape[i] != '.' && text.p[i] != (uint8_t)shape[i])
			return BULLA_FAIL(BULLA_E_FORMAT, "a time is not written like 2025-12-25T16:04:19Z");
	for (size_t i = 0; i < 6; i++)
		if (!read_field(text, fields[i].at, fields[i].size, &f[i]) || (i > 0 && f[i] > fields[i].most))
			return BULLA_FAIL(BULLA_E_FORMAT, "a time does not exist");
	return bulla_date_seconds(f, ret_seconds);
}
