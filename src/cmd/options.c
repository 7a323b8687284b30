#include "cmd/planned.h"
#include "cmd/project_values.h"
#include "cmd/say.h"

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
	const char *choices[4]; /* the only values; none: any */
} rows[] = {
	{"dir", 'C', TEXT, offsetof(struct cli, dir), "DIR", "project folder (default: here or above)", true},
	{"key", 0, TEXT, offsetof(struct cli, key), "FILE", "your key", true},
	{"json", 0, FLAG, offsetof(struct cli, json), NULL, "one JSON object a line", true},
	{"quiet", 'q', FLAG, offsetof(struct cli, quiet), NULL, "only data and errors", true},
	{"verbose", 'v', FLAG, offsetof(struct cli, verbose), NULL, "where errors come from", true},
	{"color", 0, TEXT, offsetof(struct cli, color), "WHEN", "auto, always, never", true,
		{"auto", "always", "never"}},
	{"timeout", 0, TIME, offsetof(struct cli, timeout_ms), "TIME", "give up waiting; the run goes on", true},
	{"help", 'h', FLAG, offsetof(struct cli, help), NULL, "this text", true},
	{"input", 0, TEXT, offsetof(struct cli, input), "FILE|-", "the run's input, one JSON value", false},
	{"set", 0, MANY, offsetof(struct cli, sets), "NAME=VALUE|@FILE", "a field of the input", false},
	{"id", 0, TEXT, offsetof(struct cli, id), "ID", "your own id: the same id is the same run", false},
	{"state", 0, TEXT, offsetof(struct cli, state), "STATE", "open, done, failed", false},
	{"workflow", 0, TEXT, offsetof(struct cli, workflow), "NAME", "only runs of this workflow", false},
	{"trust", 0, TEXT, offsetof(struct cli, trust), "FILE", "whom you trust (bulla trust writes one)", false},
	{"accept", 0, TEXT, offsetof(struct cli, accept), "KIND", "dev or emulator is good enough: exit 0", false,
		{"dev", "emulator"}},
	{"at", 0, TEXT, offsetof(struct cli, at), "TIME", "judge as of then: 2025-12-25T16:04:19Z, Unix seconds", false},
	{"checks", 0, FLAG, offsetof(struct cli, checks), NULL, "list every check", false},
	{"out", 'o', TEXT, offsetof(struct cli, out), "FILE", "write here", false},
	{"tee", 0, TEXT, offsetof(struct cli, tee), "KIND", "dev", false},
	{"reference", 0, TEXT, offsetof(struct cli, reference), "FILE", "reference values (bulla attest reference)", false},
	{"any-code", 0, FLAG, offsetof(struct cli, any_code), NULL, "any measurement will do", false},
	{"nonce", 0, TEXT, offsetof(struct cli, nonce), "HEX", "what the evidence must answer", false},
	{"any-nonce", 0, FLAG, offsetof(struct cli, any_nonce), NULL, "any nonce will do: replay is not checked", false},
	{"binder", 0, TEXT, offsetof(struct cli, binder), "HEX", "user data or report data, 64 bytes", false},
	{"anchor", 0, TEXT, offsetof(struct cli, anchor), "FILE", "a root or device key of your own: class dev", false},
	{"collateral", 0, MANY, offsetof(struct cli, sets), "FILE", "certificates, CRLs, TCB info, event log", false},
	{"no-collateral", 0, FLAG, offsetof(struct cli, no_collateral), NULL, "TDX, SGX: without TCB info; says so", false},
	{"max-age", 0, TIME, offsetof(struct cli, max_age_ms), "TIME", "how old the evidence may be", false},
	{"within", 0, TIME, offsetof(struct cli, within_ms), "TIME", "by when it must be there (default 10s)", false},
	{"debug", 0, FLAG, offsetof(struct cli, debug), NULL, "debug mode is good enough", false},
	{"plain", 0, FLAG, offsetof(struct cli, plain), NULL, "without TLS: loopback or unix socket only", false},
	{"tls-key", 0, TEXT, offsetof(struct cli, tls_key), "FILE", "TLS key, DER; else one is made", false},
	{"tls-cert", 0, TEXT, offsetof(struct cli, tls_cert), "FILE", "its certificate, DER", false},
	{"from", 0, TEXT, offsetof(struct cli, from), "URL", "a mirror of KDS, PCS in their place", false},
	{"ca", 0, TEXT, offsetof(struct cli, ca), "FILE", "roots of HTTPS servers, PEM; else the system's", false},
	{"cache", 0, TEXT, offsetof(struct cli, cache), "DIR", "where collateral is kept", false},
	{"as", 0, TEXT, offsetof(struct cli, as), "FORM", "raw, cmw, cmw-json, cmw-x509", false, {"raw", "cmw", "cmw-json", "cmw-x509"}},
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

static void help_rows(const char *word)
{
	const char *group = "";
	size_t n = word == NULL ? 0 : strlen(word);

	for (unsigned i = 0; i < command_count; i++) {
		char left[40];

		if (word != NULL && (strncmp(commands[i].name, word, n) != 0 || commands[i].name[n] != ' '))
			continue;
		if (word == NULL && strcmp(group, commands[i].group) != 0)
			printf("%s\n", group = commands[i].group);
		snprintf(left, sizeof(left), "%s %s", commands[i].name, commands[i].args);
		printf("  %-24s %s\n", left, commands[i].summary);
	}
}

static void help_all(void)
{
	printf("bulla: run agents on data nobody else may see, and prove it\n");
	help_rows(NULL);
	printf("everywhere\n");
	help_options(NULL, true);
	printf("next: bulla init; bulla COMMAND --help\n");
}

static void help_topic(const char *word)
{
	printf("usage: bulla %s VERB ...\n", word);
	help_rows(word);
	printf("next: bulla %s VERB --help\n", word);
}

void cli_help(const struct cli *cli)
{
	const struct command *command = cli->command;

	if (cli->topic != NULL) {
		help_topic(cli->topic);
	} else if (command == NULL) {
		help_all();
	} else {
		printf("usage: bulla %s%s%s\n%s\n", command->name, command->args[0] == '\0' ? "" : " ", command->args,
			command->summary);
		help_options(command, false);
		help_options(command, true);
	}
}

/* The row whose name is the first word, or the first two. */
static const struct command *find_command(const char *first, const char *second, int *ret_words)
{
	size_t n = strlen(first);

	*ret_words = 1;
	for (unsigned i = 0; i < command_count; i++) {
		const char *name = commands[i].name;

		if (strncmp(name, first, n) != 0 || (name[n] != '\0' && name[n] != ' '))
			continue;
		*ret_words = name[n] == ' ' ? 2 : 1;
		if (name[n] == '\0' || (second != NULL && strcmp(name + n + 1, second) == 0))
			return &commands[i];
	}
	return NULL;
}

/* The verbs of a command that has some, in ret as `show, verify`; false when it has none. */
static bool list_verbs(const char *word, char *ret, size_t size)
{
	size_t n = strlen(word), used = 0;

	for (unsigned i = 0; i < command_count && used < size; i++)
		if (strncmp(commands[i].name, word, n) == 0 && commands[i].name[n] == ' ')
			used += (size_t)snprintf(ret + used, size - used, "%s%s", used == 0 ? "" : ", ", commands[i].name + n + 1);
	return used > 0;
}

static int unknown_command(const struct cli *cli, const char *name, const char *verb)
{
	const char *names[64];
	const char *near;
	char next[80] = "bulla --help", verbs[120];

	if (list_verbs(name, verbs, sizeof(verbs))) {
		snprintf(next, sizeof(next), "bulla %.40s --help", name);
		say_error(cli, "usage", NULL, next, "`bulla %.40s` is followed by one of: %s%s%.40s%s", name, verbs,
			verb == NULL ? "" : "; not by `", verb == NULL ? "" : verb, verb == NULL ? "" : "`");
		return EXIT_USAGE;
	}
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

static bool is_choice(const struct option_row *row, const char *value)
{
	for (size_t i = 0; i < 4 && row->choices[i] != NULL; i++)
		if (strcmp(row->choices[i], value) == 0)
			return true;
	return row->choices[0] == NULL;
}

static int bad_value(const struct cli *cli, const struct option_row *row, const char *value)
{
	char next[64];

	snprintf(next, sizeof(next), "--%s %s", row->name, row->kind == TIME ? "30s" : row->choices[0] != NULL ? row->choices[0] :
		row->argument);
	if (row->kind == MANY)
		say_error(cli, "usage", NULL, NULL, "there are more than %d `--%s`", CLI_SETS, row->name);
	else
		say_error(cli, "usage", NULL, next, "`--%s` does not take `%.40s`: %s", row->name, value,
			row->kind == TIME ? "500ms, 30s, 5m, 2h or 1d are times" : row->help);
	return EXIT_USAGE;
}

static int store(struct cli *cli, const struct option_row *row, const char *value)
{
	uint8_t *field = (uint8_t *)cli + row->offset;
	bool good = true;

	if (row->kind == FLAG)
		*(bool *)(void *)field = true;
	else if (row->kind == TIME)
		good = parse_time(value, (int64_t *)(void *)field);
	else if (row->kind == MANY && (good = cli->set_count < CLI_SETS))
		cli->sets[cli->set_count++] = value;
	else if (row->kind == TEXT && (good = value[0] != '\0' && is_choice(row, value))) /* "$UNSET" is no id */
		*(const char **)(void *)field = value;
	return good ? 0 : bad_value(cli, row, value);
}

static int check_count(const struct cli *cli)
{
	const struct command *command = cli->command;
	char next[120];

	if (cli->arg_count >= command->min_args && cli->arg_count <= command->max_args)
		return 0;
	snprintf(next, sizeof(next), "bulla %s%s%s", command->name, command->args[0] == 0 ? "" : " ", command->args);
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

/* What is not built may stand behind a command that is, or behind one that is not: the first word that is either. */
static const struct planned *planned_of(int argc, char **argv, const char *typed)
{
	char option[40];
	int ignored;

	snprintf(option, sizeof(option), "%.*s", (int)strcspn(typed + 2, "="), typed + 2);
	for (int i = 1; i < argc; i++) {
		const struct planned *planned = planned_find(argv[i], NULL, NULL);

		if (planned != NULL)
			return planned;
		if (find_command(argv[i], i + 1 < argc ? argv[i + 1] : NULL, &ignored) != NULL)
			return planned_find(argv[i], NULL, option);
	}
	return NULL;
}

static int bad_option(const struct cli *cli, int c, int argc, char **argv)
{
	const char *names[ROWS], *near;
	char letter[3] = {'-', (char)optopt, '\0'};
	const char *typed = optopt > 0 && optopt < 256 ? letter : argv[optind - 1];
	const struct planned *planned = strncmp(typed, "--", 2) == 0 ? planned_of(argc, argv, typed) : NULL;
	char next[48] = "bulla --help";

	if (planned != NULL)
		return planned_refuse(cli, planned);
	if (c == ':') {
		say_error(cli, "usage", NULL, NULL, "`%.40s` needs a value", typed);
		return EXIT_USAGE;
	}
	if (optopt >= 256) {
		say_error(cli, "usage", NULL, NULL, "`--%s` takes no value", rows[optopt - 256].name);
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

/* The first words that are no options name the command, so that `bulla -C DIR ls` and `bulla ls -C DIR` are the same. */
static int parse_words(int count, char **words, struct cli *cli)
{
	const char *second = count > 1 ? words[1] : NULL;
	const struct planned *planned;
	char verbs[120];
	int used;

	if (count > 0 && strcmp(words[0], "help") == 0) {
		cli->help = true;
		return parse_words(count - 1, words + 1, cli);
	}
	if (count == 0)
		return 0;
	planned = planned_find(words[0], second, NULL);
	if (planned != NULL)
		return planned_refuse(cli, planned);
	cli->command = find_command(words[0], second, &used);
	if (cli->command == NULL && cli->help && second == NULL && list_verbs(words[0], verbs, sizeof(verbs)))
		cli->topic = words[0];
	else if (cli->command == NULL)
		return unknown_command(cli, words[0], second);
	for (int i = used; i < count && cli->arg_count < CLI_ARGS; i++)
		cli->args[cli->arg_count++] = words[i];
	return 0;
}

/* Every option that was given belongs to the command. */
static int check_options(const struct cli *cli, const bool *given)
{
	char next[64];

	snprintf(next, sizeof(next), "bulla %s --help", cli->command->name);
	for (size_t i = 0; i < ROWS; i++) {
		const struct planned *planned = planned_find(cli->command->name, NULL, rows[i].name);

		if (!given[i] || rows[i].global || has_option(cli->command, rows[i].name))
			continue;
		if (planned != NULL)
			return planned_refuse(cli, planned);
		say_error(cli, "usage", NULL, next, "`bulla %s` has no option `--%s`", cli->command->name, rows[i].name);
		return EXIT_USAGE;
	}
	return 0;
}

/* Errors of the command line itself have the form that is asked for anywhere in it. */
static bool wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			return true;
	return false;
}

int cli_parse(int argc, char **argv, struct cli *ret)
{
	struct option options[ROWS + 1] = {{0}};
	char letters[2 * ROWS + 4] = "";
	bool given[ROWS] = {false};
	int c, code;

	*ret = (struct cli){.color = "auto", .json = wants_json(argc, argv)};
	fill_getopt(options, letters);
	opterr = 0;
	while ((c = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		const struct option_row *row = row_of(c);

		if (row == NULL)
			return bad_option(ret, c, argc, argv);
		given[row - rows] = true;
		code = store(ret, row, optarg);
		if (code != 0)
			return code;
	}
	code = parse_words(argc - optind, argv + optind, ret);
	if (code != 0 || ret->command == NULL)
		return code;
	code = check_options(ret, given);
	return code != 0 || ret->help ? code : check_count(ret);
}
