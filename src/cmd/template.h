#pragma once
/* The files of `bulla init`, embedded from examples/ when Bulla is built. */
#include <stddef.h>

struct template_file {
	const char *template; /* "loan" */
	const char *path;     /* relative, '/'-separated */
	unsigned mode;
	const unsigned char *bytes;
	size_t size;
};

extern const struct template_file template_files[];
extern const unsigned template_file_count;
