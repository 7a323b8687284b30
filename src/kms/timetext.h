#pragma once
/* Times as texts: 2026-11-21T15:04:05Z (UTC, whole seconds). */
#include "base/bytes.h"

#define BULLA_TIMETEXT 20

/* wall_ms: Unix milliseconds from 1970 to 9999. */
void bulla_timetext(int64_t wall_ms, uint8_t ret[BULLA_TIMETEXT]);
