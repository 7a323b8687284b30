#pragma once
/* Whole files of tests/vectors/x509 and tests/vectors/cms into static memory. */
#include "test.h"

#include <stdio.h>

static inline bulla_bytes file_read(const char *folder, const char *name, uint8_t *memory, size_t size)
{
	char path[512];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "rb");
	assert_non_null(file);
	n = fread(memory, 1, size, file);
	assert_true(n > 0 && n < size);
	fclose(file);
	return bulla_bytes_of(memory, n);
}
