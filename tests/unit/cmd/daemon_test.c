#include "cmd/daemon.h"

#include "test.h"

#include <stdlib.h>
#include <string.h>

struct taken {
	const char *values[2];
	size_t count;
};

/* Two values, none of them empty. */
static bool take(void *ctx, const char *value)
{
	struct taken *taken = ctx;

	if (taken->count == 2 || value[0] == 0)
		return false;
	taken->values[taken->count++] = value;
	return true;
}

struct given {
	const char *state, *listen;
	struct taken agents;
};

/* Words up to the first NULL. */
static enum daemon_outcome parse(struct given *ret, const char *const words[8])
{
	const struct daemon_option options[] = {
		{"state", "FOLDER", "where it is", DAEMON_MUST, &ret->state, NULL, NULL},
		{"listen", "ADDRESS", "who calls", DAEMON_MAY, &ret->listen, NULL, NULL},
		{"agent", "NAME", "who works", DAEMON_MANY, NULL, take, &ret->agents},
	};
	char *argv[9] = {strdup("program")};
	int argc = 1;
	enum daemon_outcome outcome;

	for (; argc < 9 && words[argc - 1] != NULL; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
	outcome = daemon_parse(argc, argv, options, 3);
	free(argv[0]);
	return outcome;
}

static void values_go_where_the_table_says(void **state)
{
	struct given given = {NULL, NULL, {{NULL}, 0}};

	(void)state;
	assert_int_equal(parse(&given, (const char *const[8]){"--agent", "a", "--state=/x=y", "--agent=b", "--listen", "--state"}), DAEMON_OK);
	assert_string_equal(given.state, "/x=y");
	assert_string_equal(given.listen, "--state");
	assert_int_equal(given.agents.count, 2);
	assert_string_equal(given.agents.values[1], "b");
}

static void what_is_wrong_is_refused(void **state)
{
	static const char *const cases[][8] = {
		{NULL},                                                     /* state is needed */
		{"--state"},                                                /* no value */
		{"--state", "x", "more"},                                   /* a word that is no option */
		{"--state", "x", "--"},                                     {"--state", "x", "--=y"},
		{"--stat", "x"},                                            {"--states", "x"},
		{"-state", "x"},                                            {"--state", "x", "--port", "1"},
		{"--state", "x", "--agent="},                               /* refused by take */
		{"--state", "x", "--agent=1", "--agent=2", "--agent=3"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct given given = {NULL, NULL, {{NULL}, 0}};

		assert_int_equal(parse(&given, cases[i]), DAEMON_WRONG);
	}
}

static void help_is_help_wherever_it_stands(void **state)
{
	struct given given = {NULL, NULL, {{NULL}, 0}};

	(void)state;
	assert_int_equal(parse(&given, (const char *const[8]){"--help"}), DAEMON_HELP);
	assert_int_equal(parse(&given, (const char *const[8]){"--state", "x", "-h", "wrong"}), DAEMON_HELP);
}

static void usage_is_a_row_an_option(void **state)
{
	const char *text;
	const struct daemon_option options[] = {
		{"state", "FOLDER", "where it is", DAEMON_MUST, &text, NULL, NULL},
		{"to", "A", "who calls", DAEMON_MAY, &text, NULL, NULL},
		{"agent", "NAME", "who works", DAEMON_MANY, &text, NULL, NULL},
	};
	char *out = NULL;
	size_t n = 0;
	FILE *file = open_memstream(&out, &n);

	(void)state;
	daemon_usage(file, "bulla-x", "What it is.", options, 3);
	fclose(file);
	assert_string_equal(out, "usage: bulla-x --state FOLDER [--to A] [--agent NAME]...\n"
		"What it is.\n"
		"  --state FOLDER  where it is\n"
		"  --to A          who calls\n"
		"  --agent NAME    who works\n");
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_go_where_the_table_says),
		cmocka_unit_test(what_is_wrong_is_refused),
		cmocka_unit_test(help_is_help_wherever_it_stands),
		cmocka_unit_test(usage_is_a_row_an_option),
	};

	return cmocka_run_group_tests_name("daemon", tests, NULL, NULL);
}
