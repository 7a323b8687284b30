/* What programs say of their command lines. Enclaves, which people do not start, say less (enclave_main.c). */
#include "cmd/daemon.h"

#include <stdlib.h>
#include <string.h>

enum { SYNOPSIS_COLUMNS = 110 };

static size_t width(const struct daemon_option *option)
{
	return strlen(option->name) + 1 + strlen(option->argument);
}

/* One line, or some: broken before an option, indented below the first. */
static void synopsis(FILE *to, const char *program, const struct daemon_option *options, size_t count)
{
	size_t column = (size_t)fprintf(to, "usage: %s", program);

	for (size_t i = 0; i < count; i++) {
		bool must = options[i].times == DAEMON_MUST;

		if (column + width(&options[i]) + 5 > SYNOPSIS_COLUMNS)
			column = (size_t)fprintf(to, "\n      ") - 1;
		column += (size_t)fprintf(to, " %s--%s %s%s%s", must ? "" : "[", options[i].name, options[i].argument, must ? "" : "]",
			options[i].times == DAEMON_MANY ? "..." : "");
	}
	fputc('\n', to);
}

void daemon_usage(FILE *to, const char *program, const char *purpose, const struct daemon_option *options, size_t count)
{
	size_t widest = 0;

	synopsis(to, program, options, count);
	fprintf(to, "%s\n", purpose);
	for (size_t i = 0; i < count; i++)
		widest = width(&options[i]) > widest ? width(&options[i]) : widest;
	for (size_t i = 0; i < count; i++)
		fprintf(to, "  --%s %-*s  %s\n", options[i].name, (int)(widest - strlen(options[i].name) - 1), options[i].argument,
			options[i].help);
}

void daemon_options(int argc, char **argv, const char *program, const char *purpose, const struct daemon_option *options,
	size_t count)
{
	enum daemon_outcome outcome = daemon_parse(argc, argv, options, count);

	if (outcome == DAEMON_OK)
		return;
	daemon_usage(outcome == DAEMON_HELP ? stdout : stderr, program, purpose, options, count);
	exit(outcome == DAEMON_HELP ? 0 : 2);
}
