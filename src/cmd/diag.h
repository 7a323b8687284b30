#pragma once
/* What is wrong with a file a person wrote: all mistakes at once, in the format of compilers (EXPERIENCE.md section 3). */
#include "cmd/arena.h"

#include <stdio.h>

/* A place in the file: 1-based line and column, and how many columns it covers. */
struct place {
	unsigned line;
	unsigned column;
	unsigned width;
};

struct diag {
	struct place place;
	const char *id;   /* stable, `unknown-key` */
	const char *what; /* present tense, names in backticks */
	const char *hint; /* stands beside the mark; may be NULL */
	struct diag *next;
};

struct diags {
	struct arena *arena;
	struct diag *first; /* in the order of the file */
	unsigned count;
};

#define DIAG_MAX 50

/* Adds a mistake; what and hint are printf formats joined by "\n": "what\nhint". More than DIAG_MAX are counted only. */
void diag_add(struct diags *diags, struct place place, const char *id, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Prints all of them: place, id, what, the line itself, a mark under the place. text is the whole file. */
void diag_print(const struct diags *diags, const char *file_name, bulla_bytes text, FILE *out);

/* The candidate nearest to word (at most two edits, and fewer than half its letters), or NULL. */
const char *nearest(const char *word, const char *const *candidates, size_t count);
