#pragma once
/* Reads the line format of tests/vectors/wycheproof/README.md. */
#include "base/buf.h"
#include "test.h"

#define VECTOR_FIELDS 8

struct vector {
	char kind; /* v, i, a or K */
	size_t count;
	bulla_bytes field[VECTOR_FIELDS];
	unsigned line;
};

/* Calls each(vector, arg) for every line of `name` (".txt" is added); returns how many there were. */
unsigned vectors_run(const char *name, void (*each)(const struct vector *vector, void *arg), void *arg);

/* Hex into bytes: for known answers in a test's text. Returns a view of memory. */
bulla_bytes vectors_hex(const char *hex, uint8_t *memory, size_t size);
