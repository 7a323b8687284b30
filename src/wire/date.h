#pragma once
/* Points in time as people and JSON write them: RFC 3339 in UTC, to the second. */
#include "base/bytes.h"

/* `2025-12-25T16:04:19Z`, exactly 20 characters, as Unix seconds. Days that do not exist (30 February) are refused; second 60
 * is a leap second's and counts as the next minute's first. BULLA_E_FORMAT. */
BULLA_CHECK bulla_rc bulla_date_parse(bulla_bytes text, int64_t *ret_seconds);
