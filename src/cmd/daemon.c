#include "cmd/daemon.h"

#include <string.h>

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
