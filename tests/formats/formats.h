#pragma once
/* One sample of each format of doc/formats.md, and its way in and out again. Golden files and sweeps use this table. */
#include "base/wr.h"

struct bulla_format {
	const char *name; /* file tests/vectors/formats/NAME.hex */
	/* Writes the sample; the same bytes each time. */
	bulla_rc (*make)(bulla_wr *w);
	/* Reads bytes of this format and writes them again: an accepted input comes out as it went in. */
	bulla_rc (*again)(bulla_bytes bytes, bulla_wr *w);
	size_t max; /* size of a buffer for either */
};

extern const struct bulla_format bulla_formats[];
extern const size_t bulla_format_count;
