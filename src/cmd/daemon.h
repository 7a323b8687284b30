#pragma once
/* Command lines of the programs that `bulla up` starts: one table a program feeds parser and usage. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct daemon_option {
	const char *name;     /* without the dashes */
	const char *argument; /* what stands for its value in the usage */
	const char *help;
	enum { DAEMON_MAY, DAEMON_MUST, DAEMON_MANY } times; /* MUST: exactly one value is needed; MANY: any number */
	const char **text;    /* where the value goes, owned by argv; the last one wins. NULL: take gets it */
	bool (*take)(void *ctx, const char *value); /* false: it cannot be that */
	void *ctx;
};

/* The usage of a program: its synopsis, what it is (one line), a row an option. */
void daemon_usage(FILE *to, const char *program, const char *purpose, const struct daemon_option *options, size_t count);

/* Reads `--name VALUE` and `--name=VALUE`. DAEMON_HELP for --help and -h; DAEMON_WRONG for an unknown word, a missing or refused
 * value, and an option that is needed and not there. Texts may be written on every outcome. */
enum daemon_outcome { DAEMON_OK, DAEMON_HELP, DAEMON_WRONG };
enum daemon_outcome daemon_parse(int argc, char **argv, const struct daemon_option *options, size_t count);

/* Both: what is asked for or wrong is answered with the usage, and the program ends with 0 or 2. */
void daemon_options(int argc, char **argv, const char *program, const char *purpose, const struct daemon_option *options,
	size_t count);
