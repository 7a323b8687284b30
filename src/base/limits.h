#pragma once
/* Named limits, all in limits.def: BULLA_MAX_FRAME_BODY and so on. */
enum bulla_limit {
#define BULLA_LIMIT(name, value, unit, when_full) BULLA_MAX_##name = (value),
#include "base/limits.def"
#undef BULLA_LIMIT
};
