#pragma once
/* The command line of `bulla`: one table of commands, one of options; help, man pages and completions come from them.
 * One file per subcommand, cmd_NAME.c, with one function. */
#include "cmd/project.h"

/* Exit codes (EXPERIENCE.md section 5). */
enum {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,   /* run failed; verification refused; doctor found a fault */
	EXIT_USAGE = 2,    /* bad command line, bulla.yaml, input */
	EXIT_NOT_FOUND = 3,
	EXIT_HOLDS = 4,    /* holds, but dev, emulator, unknown signer, approvals missing */
	EXIT_REFUSED = 5,
	EXIT_BUG = 70,
	EXIT_AGAIN = 75,   /* unreachable, try again; nothing lost */
	EXIT_TIMED_OUT = 124,
	EXIT_INTERRUPTED = 130,
};

#define CLI_SETS 64
#define CLI_ARGS 8

/* What was typed. Strings are argv's. */
struct cli {
	const struct command *command;
	const char *topic; /* --help of a command that has verbs: its first word */
	const char *args[CLI_ARGS]; /* what follows the command's name */
	unsigned arg_count;
	const char *dir;  /* -C */
	const char *key;
	const char *color; /* auto, always, never */
	bool json, quiet, verbose, help;
	int64_t timeout_ms; /* 0: none */
	const char *input;
	const char *sets[CLI_SETS];
	unsigned set_count;
	const char *id, *state, *workflow, *trust, *accept, *at, *out, *tee;
	bool checks, host;
	const char *reference, *nonce, *binder, *anchor; /* attest */
	const char *tls_key, *tls_cert, *from, *ca, *cache; /* attest serve, fetch */
	bool plain;
	const char *as; /* attest convert */
	bool any_nonce, any_code, debug, no_collateral;
	int64_t max_age_ms;
	int64_t within_ms;
};

struct command {
	const char *name;    /* one word, or a word and a verb */
	const char *args;    /* as help shows them */
	const char *summary; /* one line */
	const char *group;   /* project, runs, trust, machine, help */
	unsigned min_args, max_args;
	const char *options; /* names of its own options, separated by blanks */
	int (*run)(struct cli *cli);
};

extern const struct command commands[];
extern const unsigned command_count;

/* Parses the command line. 0 and *ret filled, or the exit code after saying what is wrong. `--help` gives the help. */
int cli_parse(int argc, char **argv, struct cli *ret);

/* Writes help of all commands, of one, or of the verbs of one. */
void cli_help(const struct cli *cli);

#define COMMAND(name) int cmd_##name(struct cli *cli)
COMMAND(init);
COMMAND(check);
COMMAND(up);
COMMAND(down);
COMMAND(status);
COMMAND(run);
COMMAND(start);
COMMAND(ls);
COMMAND(show);
COMMAND(wait);
COMMAND(open);
COMMAND(logs);
COMMAND(verify);
COMMAND(bundle);
COMMAND(trust);
COMMAND(key);
COMMAND(manifest);
COMMAND(revoke);
COMMAND(doctor);
COMMAND(explain);
COMMAND(attest_show);
COMMAND(attest_verify);
COMMAND(attest_reference);
COMMAND(attest_convert);
COMMAND(attest_demand);
COMMAND(attest_fetch);
COMMAND(attest_serve);
