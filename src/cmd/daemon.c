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

/* The option that a word names, and the value behind its `=`, if any. */
static const struct daemon_option *find(const char *word, const struct daemon_option *options, size_t count, const char **ret_value)
{
	size_t size = strcspn(word, "=");

	*ret_value = word[size] == '=' ? word + size + 1 : NULL;
	for (size_t i = 0; i < count; i++)
		if (size > 2 && strncmp(word, "--", 2) == 0 && strlen(options[i].name) == size - 2 &&
			strncmp(word + 2, options[i].name, size - 2) == 0)
			return &options[i];
	return NULL;
}

static bool accept(const struct daemon_option *option, const char *value)
{
	if (option->text == NULL)
		return option->take(option->ctx, value);
	*option->text = value;
	return true;
}

enum daemon_outcome daemon_parse(int argc, char **argv, const struct daemon_option *options, size_t count)
{
	unsigned seen = 0; /* bit i: options[i] */

	for (int i = 1; i < argc; i++) {
		const char *value;
		const struct daemon_option *option = find(argv[i], options, count, &value);

		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return DAEMON_HELP;
		if (option != NULL && value == NULL && i + 1 < argc)
			value = argv[++i];
		if (option == NULL || value == NULL || !accept(option, value))
			return DAEMON_WRONG;
		seen |= 1u << (option - options);
	}
	for (size_t i = 0; i < count; i++)
		if (options[i].times == DAEMON_MUST && (seen >> i & 1) == 0)
			return DAEMON_WRONG;
	return DAEMON_OK;
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
