#pragma once
/* What fuzz targets share. A target reads hostile bytes and asserts what must hold for all of them. */
#include "base/rd.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Like assert, in every build. */
#define fuzz_assert(condition_) \
	do { \
		if (!(condition_)) \
			abort(); \
	} while (0)
