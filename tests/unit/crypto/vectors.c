#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c - 'a' + 10;
}

bulla_bytes vectors_hex(const char *hex, uint8_t *memory, size_t size)
{
	size_t n = strlen(hex) / 2;

	assert_true(n <= size);
	for (size_t i = 0; i < n; i++)
		memory[i] = (uint8_t)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
	return bulla_bytes_of(memory, n);
}

/* Fields are decoded in place: two digits become one byte. */
static void split(char *text, struct vector *ret)
{
	char *save = NULL;

	ret->kind = text[0];
	ret->count = 0;
	strtok_r(text, " \n", &save);
	for (char *word = strtok_r(NULL, " \n", &save); word != NULL; word = strtok_r(NULL, " \n", &save)) {
		assert_true(ret->count < VECTOR_FIELDS);
		ret->field[ret->count++] = strcmp(word, "-") == 0
			? (bulla_bytes){NULL, 0}
			: vectors_hex(word, (uint8_t *)word, strlen(word));
	}
}

unsigned vectors_run(const char *name, void (*each)(const struct vector *vector, void *arg), void *arg)
{
	char path[512], *line = NULL;
	size_t size = 0;
	struct vector vector = {.line = 0};
	unsigned count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.txt", VECTORS, name);
	file = fopen(path, "r");
	assert_non_null(file);
	while (getline(&line, &size, file) > 0) {
		vector.line++;
		if (line[0] == '#' || line[0] == '\n')
			continue;
		split(line, &vector);
		each(&vector, arg);
		count++;
	}
	free(line);
	fclose(file);
	return count;
}
