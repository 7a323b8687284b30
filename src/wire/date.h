#pragma once
/* Points in time as people and JSON write them: RFC 3339 in UTC, to the second. */
#include "base/bytes.h"

/* `2025-12-25T16:04:19Z`, exactly 20 characters, as Unix seconds. Days that do not exist (30 February) are refused; second 60
 * is a leap second's and counts as the next minute's first. BULLA_E_FORMAT. */
BULLA_CHECK bulla_rc bulla_date_parse(bulla_bytes text, int64_t *ret_seconds);

/* The same of year, month, day, hour, minute and second, whose upper bounds (12, 31, 23 ...) the caller has checked.
 * BULLA_E_FORMAT: a day that does not exist. */
BULLA_CHECK bulla_rc bulla_date_seconds(const unsigned fields[6], int64_t *ret_seconds);

/* Days since 1970-01-01 (proleptic Gregorian calendar) of a year from 0 on, a month from 1 on and a day of it. */
int64_t bulla_date_days(int64_t year, int64_t month, int64_t day);
