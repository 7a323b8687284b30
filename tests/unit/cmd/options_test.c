/* What is typed: command lines over a table of the test's own, and the input that they give a run. */
#include "cmd/input.h"
#include "cmd/say.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static int nothing(struct cli *cli)
{
	(void)cli;
	return 0;
}

const struct command commands[] = {
	{"run", "WORKFLOW", "start and wait", "runs", 1, 1, "input set id", nothing},
	{"logs", "RUN", "logs", "runs", 1, 1, "", nothing},
	{"ls", "", "runs", "runs", 0, 0, "state workflow", nothing},
	{"attest verify", "FILE", "judge", "trust", 1, 2, "nonce at max-age", nothing},
	{"attest show", "FILE", "print", "trust", 1, 1, "", nothing},
	{"verify", "BUNDLE", "judge", "trust", 1, 1, "trust accept", nothing},
};
const unsigned command_count = COUNT(commands);

/* --- what goes to stdout and stderr is caught in one file --- */

static char said[4096];
static int saved[2];
static FILE *caught;

static void begin_catch(void)
{
	fflush(stdout);
	fflush(stderr);
	caught = tmpfile();
	assert_non_null(caught);
	for (int i = 0; i < 2; i++) {
		saved[i] = dup(i + 1);
		assert_true(dup2(fileno(caught), i + 1) >= 0);
	}
}

static void end_catch(void)
{
	ssize_t n;

	fflush(stdout);
	fflush(stderr);
	for (int i = 0; i < 2; i++) {
		dup2(saved[i], i + 1);
		close(saved[i]);
	}
	n = pread(fileno(caught), said, sizeof(said) - 1, 0);
	said[n > 0 ? n : 0] = 0;
	fclose(caught);
}

/* `bulla LINE`, split at blanks. cli's strings live until the next one. */
static int parse(const char *line, struct cli *ret)
{
	static char text[4096];
	char *argv[200] = {"bulla"}, *at;
	int argc = 1, code;

	assert_true(strlen(line) < sizeof(text));
	memcpy(text, line, strlen(line) + 1);
	for (char *word = strtok_r(text, " ", &at); word != NULL; word = strtok_r(NULL, " ", &at))
		argv[argc++] = word;
	optind = 0; /* getopt starts anew */
	begin_catch();
	code = cli_parse(argc, argv, ret);
	end_catch();
	return code;
}

static void options_stand_anywhere(void **state)
{
	static const char *const same[] = {"-C dir ls --state open", "ls -C dir --state=open", "--state open ls --dir dir", "--dir=dir --state open ls"};
	struct cli cli;

	(void)state;
	for (size_t i = 0; i < COUNT(same); i++) {
		assert_int_equal(parse(same[i], &cli), 0);
		assert_string_equal(cli.command->name, "ls");
		assert_string_equal(cli.dir, "dir");
		assert_string_equal(cli.state, "open");
		assert_int_equal(cli.arg_count, 0);
	}
	assert_int_equal(parse("attest verify a b --max-age 5m", &cli), 0);
	assert_string_equal(cli.command->name, "attest verify");
	assert_string_equal(cli.args[1], "b");
	assert_int_equal(cli.max_age_ms, 300000);
	assert_int_equal(parse("run w --set a=1 --set b=2 --timeout 500ms", &cli), 0);
	assert_int_equal(cli.set_count, 2);
	assert_string_equal(cli.sets[1], "b=2");
	assert_int_equal(cli.timeout_ms, 500);
	assert_int_equal(parse("verify -- --odd-name", &cli), 0);
	assert_string_equal(cli.args[0], "--odd-name");
	assert_int_equal(parse("", &cli), 0);
	assert_null(cli.command);
}

static void help_is_never_an_error(void **state)
{
	struct cli cli;

	(void)state;
	assert_int_equal(parse("help run", &cli), 0);
	assert_true(cli.help);
	assert_string_equal(cli.command->name, "run");
	assert_int_equal(parse("run --help", &cli), 0); /* without its argument */
	assert_true(cli.help);
	assert_int_equal(parse("attest -h", &cli), 0);
	assert_string_equal(cli.topic, "attest");
	begin_catch();
	cli_help(&cli);
	end_catch();
	assert_non_null(strstr(said, "attest verify FILE"));
	assert_null(strstr(said, "start and wait"));
}

/* Each is refused with 2, and says this. */
static void mistakes_are_named(void **state)
{
	static const char *const cases[][2] = {
		{"rum w", "there is no command `rum`\nnext: bulla run"},
		{"attest", "`bulla attest` is followed by one of: verify, show"},
		{"attest sing", "not by `sing`"},
		{"run", "`bulla run` is given 0 arguments\nnext: bulla run WORKFLOW"},
		{"run a b", "is given 2 arguments"},
		{"ls now", "`bulla ls` is given 1 argument\nnext: bulla ls\n"},
		{"ls --inputt x", "there is no option `--inputt`\nnext: --input"},
		{"ls -x", "there is no option `-x`"},
		{"ls --input x", "`bulla ls` has no option `--input`\nnext: bulla ls --help"},
		{"ls --state", "`--state` needs a value"},
		{"ls --quiet=1", "`--quiet` takes no value"},
		{"ls --color blue", "`--color` does not take `blue`"},
		{"verify b --accept all", "next: --accept dev"},
		{"ls --timeout soon", "500ms, 30s, 5m, 2h or 1d are times"},
		{"ls --timeout 30", "`--timeout` does not take `30`"},
		{"erase r", "`bulla erase` is not built yet"},
		{"verify b --at x", "`bulla verify --at` is not built yet"},
		{"--follow logs", "`bulla logs --follow` is not built yet"},
	};
	struct cli cli;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(parse(cases[i][0], &cli), EXIT_USAGE);
		if (strstr(said, cases[i][1]) == NULL)
			fail_msg("%s: says `%s`", cases[i][0], said);
	}
}

static void errors_have_the_form_that_is_asked_for(void **state)
{
	struct cli cli;

	(void)state;
	assert_int_equal(parse("rum --json", &cli), EXIT_USAGE);
	assert_string_equal(said, "{\"v\":1,\"t\":\"error\",\"id\":\"usage\",\"what\":\"there is no command `rum`\",\"where\":\"\",\"next\":\"bulla run\"}\n");
}

static void sets_are_counted(void **state)
{
	char line[2048] = "run w";
	struct cli cli;

	(void)state;
	for (int i = 0; i < CLI_SETS; i++)
		strcat(line, " --set a=1");
	assert_int_equal(parse(line, &cli), 0);
	assert_int_equal(cli.set_count, CLI_SETS);
	strcat(line, " --set a=1");
	assert_int_equal(parse(line, &cli), EXIT_USAGE);
}

/* --- input --- */

static char folder[] = "/tmp/bulla-options-XXXXXX";

static const char *file_with(const char *text)
{
	static char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/f", folder);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	fclose(file);
	return path;
}

/* What a run starts with, or "" and the exit code. */
static int input_of(const struct cli *cli, char ret[256])
{
	BULLA_AUTO_BUF input;
	int code;

	bulla_buf_init(&input, BULLA_MAX_PAYLOAD);
	begin_catch();
	code = input_read(cli, &input);
	end_catch();
	assert_true(input.n < 256);
	bulla_copy(ret, input.p, input.n);
	ret[code == 0 ? input.n : 0] = 0;
	return code;
}

static int input_of_sets(const char *set, const char *other, char ret[256])
{
	struct cli cli = {.sets = {set, other}, .set_count = other == NULL ? 1 : 2};

	return input_of(&cli, ret);
}

static void fields_make_an_object(void **state)
{
	char text[256], set[80];
	struct cli none = {.set_count = 0};

	(void)state;
	assert_int_equal(input_of(&none, text), 0);
	assert_string_equal(text, "{}");
	assert_int_equal(input_of_sets("n=12", "s=a b", text), 0);
	assert_string_equal(text, "{\"n\":12,\"s\":\"a b\"}");
	assert_int_equal(input_of_sets("t=true", "o={\"a\": [1]}", text), 0);
	assert_string_equal(text, "{\"t\":true,\"o\":{\"a\": [1]}}");
	assert_int_equal(input_of_sets("e=", "q=\"=\"", text), 0);
	assert_string_equal(text, "{\"e\":\"\",\"q\":\"=\"}");
	snprintf(set, sizeof(set), "f=@%s", file_with("[1,2]"));
	assert_int_equal(input_of_sets(set, NULL, text), 0);
	assert_string_equal(text, "{\"f\":[1,2]}");
}

static void fields_that_cannot_be(void **state)
{
	char text[256], set[80];
	struct cli both = {.input = "x", .sets = {"a=1"}, .set_count = 1};

	(void)state;
	assert_int_equal(input_of_sets("a", NULL, text), EXIT_USAGE);
	assert_int_equal(input_of_sets("=1", NULL, text), EXIT_USAGE);
	assert_int_equal(input_of_sets("a=1", "a=2", text), EXIT_USAGE);
	assert_non_null(strstr(said, "a name twice"));
	assert_int_equal(input_of_sets("a=@/nowhere/x", NULL, text), EXIT_NOT_FOUND);
	snprintf(set, sizeof(set), "f=@%s", file_with("[1,"));
	assert_int_equal(input_of_sets(set, NULL, text), EXIT_USAGE);
	assert_non_null(strstr(said, "the JSON ends too early"));
	assert_int_equal(input_of(&both, text), EXIT_USAGE);
	assert_non_null(strstr(said, "do not go together"));
}

/* A mistake is shown where it is, and what the file holds is not repeated. */
static void files_are_judged_by_line_and_column(void **state)
{
	static const struct {
		const char *content, *place, *what;
	} cases[] = {
		{"{\"a\": 1,\n \"b\": secret}", "/f:2:7", "the input is not JSON"},
		{"{\"a\": 1} x", "/f:1:10", "text follows the JSON value"},
		{"[1, 2", "/f:1:6", "the JSON ends too early"},
		{"{\"a\":1,\"a\":2}", "/f:1:", "a name twice"},
		{"", "/f", "the input is empty"},
	};
	struct cli cli = {.input = file_with("{\"a\": 1}\n")};
	char text[256];

	(void)state;
	assert_int_equal(input_of(&cli, text), 0);
	assert_string_equal(text, "{\"a\": 1}\n");
	for (size_t i = 0; i < COUNT(cases); i++) {
		(void)file_with(cases[i].content);
		assert_int_equal(input_of(&cli, text), EXIT_USAGE);
		if (strstr(said, cases[i].place) == NULL || strstr(said, cases[i].what) == NULL || strstr(said, "secret") != NULL)
			fail_msg("`%s`: says `%s`", cases[i].content, said);
	}
	cli.input = folder;
	assert_int_not_equal(input_of(&cli, text), 0);
	cli.input = "/nowhere/x";
	assert_int_equal(input_of(&cli, text), EXIT_NOT_FOUND);
}

static int up(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int down(void **state)
{
	(void)state;
	unlink(file_with(""));
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_stand_anywhere),
		cmocka_unit_test(help_is_never_an_error),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(errors_have_the_form_that_is_asked_for),
		cmocka_unit_test(sets_are_counted),
		cmocka_unit_test(fields_make_an_object),
		cmocka_unit_test(fields_that_cannot_be),
		cmocka_unit_test(files_are_judged_by_line_and_column),
	};

	return cmocka_run_group_tests_name("options", tests, up, down);
}
