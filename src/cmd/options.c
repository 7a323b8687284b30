#include "cmd/say.h"
#include "cmd/project_values.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_kind { TEXT, FLAG, MANY, TIME };

/* One row per option: feeds parser and help. Global ones belong to every command. */
static const struct option_row {
	const char *name;
	int letter; /* 0: none */
	enum option_kind kind;
	size_t offset;
	const char *argument;
	const char *help;
	bool global;
} rows[] = {
	{"dir", 'C', TEXT, offsetof(struct cli, dir), "DIR", "project folder (default: here or above)", true},
	{"key", 0, TEXT, offsetof(struct cli, key), "FILE", "your key", true},
	{"json", 0, FLAG, offsetof(struct cli, json), NULL, "one JSON object a line", true},
	{"quiet", 'q', FLAG, offsetof(struct cli, quiet), NULL, "only data and errors", true},
	{"verbose", 'v', FLAG, offsetof(struct cli, verbose), NULL, "where errors come from", true},
	{"color", 0, TEXT, offsetof(struct cli, color), "WHEN", "auto, always, never", true},
	{"timeout", 0, TIME, offsetof(struct cli, timeout_ms), "TIME", "give up waiting; the run goes on", true},
	{"help", 'h', FLAG, offsetof(struct cli, help), NULL, "this text", true},
	{"input", 0, TEXT, offsetof(struct cli, input), "FILE|-", "the run's input, one JSON value", false},
	{"set", 0, MANY, offsetof(struct cli, sets), "NAME=VALUE|@FILE", "a field of the input", false},
	{"id", 0, TEXT, offsetof(struct cli, id), "ID", "your own id: the same id is the same run", false},
	{"state", 0, TEXT, offsetof(struct cli, state), "STATE", "open, done, failed", false},
	{"workflow", 0, TEXT, offsetof(struct cli, workflow), "NAME", "only runs of this workflow", false},
	{"trust", 0, TEXT, offsetof(struct cli, trust), "FILE", "whom you trust (bulla trust writes one)", false},
	{"accept", 0, TEXT, offsetof(struct cli, accept), "KIND", "dev or emulator is good enough: exit 0", false},
	{"at", 0, TEXT, offsetof(struct cli, at), "TIME", "judge as of this time (Unix seconds)", false},
	{"checks", 0, FLAG, offsetof(struct cli, checks), NULL, "list every check", false},
	{"out", 'o', TEXT, offsetof(struct cli, out), "FILE", "write here", false},
	{"tee", 0, TEXT, offsetof(struct cli, tee), "KIND", "dev", false},
	{"reference", 0, TEXT, offsetof(struct cli, reference), "FILE", "reference values (bulla attest reference)", false},
	{"any-code", 0, FLAG, offsetof(struct cli, any_code), NULL, "any measurement will do", false},
	{"nonce", 0, TEXT, offsetof(struct cli, nonce), "HEX", "what the evidence must answer", false},
	{"any-nonce", 0, FLAG, offsetof(struct cli, any_nonce), NULL, "any nonce will do: replay is not checked", false},
	{"binder", 0, TEXT, offsetof(struct cli, binder), "HEX", "user data or report data, 64 bytes", false},
	{"anchor", 0, TEXT, offsetof(struct cli, anchor), "FILE", "a root of your own: class dev", false},
	{"collateral", 0, MANY, offsetof(struct cli, sets), "FILE", "certificates, CRLs, TCB info, event log", false},
	{"no-collateral", 0, FLAG, offsetof(struct cli, no_collateral), NULL, "TDX, SGX: without TCB info; says so", false},
	{"max-age", 0, TIME, offsetof(struct cli, max_age_ms), "TIME", "how old the evidence may be", false},
	{"debug", 0, FLAG, offsetof(struct cli, debug), NULL, "debug mode is good enough", false},
	{"host", 0, FLAG, offsetof(struct cli, host), NULL, "only what the host sees", false},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static bool has_option(const struct command *command, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = command->options; (p = strstr(p, name)) != NULL; p += n)
		if ((p == command->options || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
			return true;
	return false;
}

static void help_options(const struct command *command, bool global)
{
	for (size_t i = 0; i < ROWS; i++) {
		char left[64];

		if (rows[i].global != global || (!global && !has_option(command, rows[i].name)))
			continue;
		snprintf(left, sizeof(left), "--%s%s%s", rows[i].name, rows[i].argument == NULL ? "" : " ",
			rows[i].argument == NULL ? "" : rows[i].argument);
		if (rows[i].letter != 0)
			printf("  -%c, %-24s %s\n", rows[i].letter, left, rows[i].help);
		else
			printf("      %-24s %s\n", left, rows[i].help);
	}
}

static void help_all(void)
{
	const char *group = "";

	printf("bulla: run agents on data nobody else may see, and prove it\n");
	for (unsigned i = 0; i < command_count; i++) {
		char left[40];

		if (strcmp(group, commands[i].group) != 0)
			printf("%s\n", group = commands[i].group);
		snprintf(left, sizeof(left), "%s %s", commands[i].name, commands[i].args);
		printf("  %-24s %s\n", left, commands[i].summary);
	}
	printf("everywhere\n");
	help_options(NULL, true);
	printf("next: bulla init; bulla COMMAND --help\n");
}

void cli_help(const struct command *command)
{
	if (command == NULL) {
		help_all();
		return;
	}
	printf("usage: bulla %s%s%s\n%s\n", command->name, command->args[0] == '\0' ? "" : " ", command->args, command->summary);
	help_options(command, false);
	help_options(command, true);
}

static const struct command *find_command(const char *name)
{
	for (unsigned i = 0; i < command_count; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int unknown_command(const struct cli *cli, const char *name)
{
	const char *names[64];
	const char *near;
	char next[80] = "bulla --help";

	for (unsigned i = 0; i < command_count && i < 64; i++)
		names[i] = commands[i].name;
	near = nearest(name, names, command_count);
	if (near != NULL)
		snprintf(next, sizeof(next), "bulla %s", near);
	say_error(cli, "usage", NULL, next, "there is no command `%.40s`", name);
	return EXIT_USAGE;
}

/* A time on the command line has the form of one in bulla.yaml. */
static bool parse_time(const char *text, int64_t *ret_ms)
{
	struct arena arena;
	struct diags diags = {.arena = &arena};
	struct reader reader = {.arena = &arena, .diags = &diags};
	const struct yaml_node node = {.kind = YAML_SCALAR, .text = text};
	bool good;

	arena_init(&arena, 65536);
	good = read_time(&reader, &node, ret_ms);
	arena_done(&arena);
	return good;
}

static int store(struct cli *cli, const struct option_row *row, const char *value)
{
	uint8_t *field = (uint8_t *)cli + row->offset;

	if (row->kind == FLAG)
		*(bool *)(void *)field = true;
	else if (row->kind == TEXT)
		*(const char **)(void *)field = value;
	else if (row->kind == MANY && cli->set_count < CLI_SETS)
		cli->sets[cli->set_count++] = value;
	else if (row->kind != TIME || !parse_time(value, (int64_t *)(void *)field)) {
		say_error(cli, "usage", NULL, NULL, row->kind == TIME ? "`--timeout` takes a time: 30s, 5m" : "too many --set");
		return EXIT_USAGE;
	}
	return 0;
}

static int check_count(const struct cli *cli)
{
	const struct command *command = cli->command;
	char next[120];

	if (cli->arg_count >= command->min_args && cli->arg_count <= command->max_args)
		return 0;
	snprintf(next, sizeof(next), "bulla %s %s", command->name, command->args);
	say_error(cli, "usage", NULL, next, "`bulla %s` is given %u argument%s", command->name, cli->arg_count,
		cli->arg_count == 1 ? "" : "s");
	return EXIT_USAGE;
}

static void fill_getopt(struct option *options, char *letters)
{
	size_t n = 0;

	letters[n++] = ':';
	for (size_t i = 0; i < ROWS; i++) {
		options[i] = (struct option){rows[i].name, rows[i].kind == FLAG ? no_argument : required_argument, NULL, 256 + (int)i};
		if (rows[i].letter == 0)
			continue;
		letters[n++] = (char)rows[i].letter;
		if (rows[i].kind != FLAG)
			letters[n++] = ':';
	}
}

static const struct option_row *row_of(int c)
{
	if (c >= 256)
		return &rows[c - 256];
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].letter == c)
			return &rows[i];
	return NULL;
}

static int bad_option(const struct cli *cli, int c, const char *typed)
{
	const char *names[ROWS];
	const char *near;
	char next[48] = "bulla --help";

	if (c == ':') {
		say_error(cli, "usage", NULL, NULL, "`%.40s` needs a value", typed);
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < ROWS; i++)
		names[i] = rows[i].name;
	near = strncmp(typed, "--", 2) == 0 ? nearest(typed + 2, names, ROWS) : NULL;
	if (near != NULL)
		snprintf(next, sizeof(next), "--%s", near);
	say_error(cli, "usage", NULL, next, "there is no option `%.40s`", typed);
	return EXIT_USAGE;
}

/* The first word that is no option names the command, so that `bulla -C DIR ls` and `bulla ls -C DIR` are the same. */
static int parse_words(int argc, char **argv, struct cli *cli)
{
	for (int i = optind; i < argc; i++) {
		if (cli->command == NULL) {
			cli->command = find_command(argv[i]);
			if (cli->command == NULL && strcmp(argv[i], "help") != 0)
				return unknown_command(cli, argv[i]);
			cli->help = cli->help || cli->command == NULL;
		} else if (cli->arg_count < CLI_ARGS) {
			cli->args[cli->arg_count++] = argv[i];
		}
	}
	return 0;
}

int cli_parse(int argc, char **argv, struct cli *ret)
{
	struct option options[ROWS + 1] = {{0}};
	char letters[2 * ROWS + 4] = "";
	bool given[ROWS] = {false};
	int c, code;

	*ret = (struct cli){.color = "auto"};
	fill_getopt(options, letters);
	opterr = 0;
	while ((c = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		const struct option_row *row = row_of(c);

		if (row == NULL)
			return bad_option(ret, c, argv[optind - 1]);
		given[row - rows] = true;
		code = store(ret, row, optarg);
		if (code != 0)
			return code;
	}
	code = parse_words(argc, argv, ret);
	if (code != 0 || ret->help || ret->command == NULL)
		return code;
	for (size_t i = 0; i < ROWS; i++)
		if (given[i] && !rows[i].global && !has_option(ret->command, rows[i].name)) {
			say_error(ret, "usage", NULL, NULL, "`bulla %s` has no option `--%s`", ret->command->name, rows[i].name);
			return EXIT_USAGE;
		}
	return check_count(ret);
}
