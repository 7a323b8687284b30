#pragma once
/* What the CLI says. Data goes to stdout, talk to stderr; with --json both are one object a line on stdout. Never
 * plaintext, keys or bytes from elsewhere in talk. */
#include "cmd/cli.h"

/* error[ID]: WHAT / where: WHERE / next: NEXT on stderr (or the JSON form); where and next may be NULL. Names of the
 * user's own in backticks are the caller's business. */
void say_error(const struct cli *cli, const char *id, const char *where, const char *next, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* The same for a result of the libraries: its id and text; with -v the trail too. Returns the exit code that fits it. */
int say_rc(const struct cli *cli, bulla_rc rc, const char *where, const char *next);

/* The exit code that fits a result. */
int exit_of(bulla_rc rc);

/* Talk: a line on stderr, unless -q or --json. */
void say(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The line that every screen of a development TEE carries. */
void say_dev_only(const struct cli *cli);

/* With --json, the one line of a command that answers nothing else: {"v":1,"t":"up","assurance":"dev"}. */
void say_json_done(const struct cli *cli, const char *type);

/* A JSON string literal of text (escaped) to stdout. */
void json_string(const char *text);

/* The same of any bytes: where the whole is not UTF-8, its bytes above 127 become U+FFFD. */
void json_bytes(bulla_bytes text);

/* "0.4 s", "38 ms", "2 min", "3 d 2 h" */
void duration_text(int64_t ms, char ret[32]);
