#include "cmd/say.h"

#include "wire/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void json_bytes(bulla_bytes text)
{
	bool good = bulla_text_is_utf8(text);

	fputc('"', stdout);
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			printf("\\%c", text.p[i]);
		else if (text.p[i] < 32)
			printf("\\u%04x", text.p[i]);
		else if (text.p[i] >= 128 && !good)
			printf("\\ufffd");
		else
			fputc(text.p[i], stdout);
	}
	fputc('"', stdout);
}

void json_string(const char *text)
{
	json_bytes(bulla_bytes_str(text));
}

void say_error(const struct cli *cli, const char *id, const char *where, const char *next, const char *format, ...)
{
	char what[512];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (!cli->json) {
		fprintf(stderr, "error[%s]: %s\n", id, what);
		if (where != NULL)
			fprintf(stderr, "where: %s\n", where);
		if (next != NULL)
			fprintf(stderr, "next: %s\n", next);
		return;
	}
	printf("{\"v\":1,\"t\":\"error\",\"id\":");
	json_string(id);
	printf(",\"what\":");
	json_string(what);
	printf(",\"where\":");
	json_string(where == NULL ? "" : where);
	printf(",\"next\":");
	json_string(next == NULL ? "" : next);
	printf("}\n");
}

int exit_of(bulla_rc rc)
{
	static const struct {
		bulla_rc rc;
		int code;
	} codes[] = {
		{BULLA_OK, EXIT_DONE}, {BULLA_E_ARGUMENT, EXIT_USAGE}, {BULLA_E_FORMAT, EXIT_USAGE},
		{BULLA_E_NOT_FOUND, EXIT_NOT_FOUND}, {BULLA_E_RUN_UNKNOWN, EXIT_NOT_FOUND},
		{BULLA_E_UNREACHABLE, EXIT_AGAIN}, {BULLA_E_BROKER, EXIT_AGAIN}, {BULLA_E_BUSY, EXIT_AGAIN},
		{BULLA_E_CLOSED, EXIT_AGAIN}, {BULLA_E_BIRTH_MISSING, EXIT_AGAIN},
		{BULLA_E_FULL, EXIT_AGAIN}, {BULLA_E_AGAIN, EXIT_AGAIN},
		{BULLA_E_TIMEOUT, EXIT_TIMED_OUT}, {BULLA_E_MEMORY, EXIT_BUG}, {BULLA_E_STATE, EXIT_BUG},
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].rc == rc)
			return codes[i].code;
	return EXIT_REFUSED;
}

static void say_trail(void)
{
	unsigned count = 0;
	const struct bulla_trail_entry *trail = bulla_trail(&count);

	for (unsigned i = 0; i < count; i++)
		fprintf(stderr, "  %s:%d%s%s%s%s\n", trail[i].file, trail[i].line, trail[i].what == NULL ? "" : ": ",
			trail[i].what == NULL ? "" : trail[i].what, trail[i].os_error == 0 ? "" : ": ",
			trail[i].os_error == 0 ? "" : strerror(trail[i].os_error));
}

/* The literal that raised the error says more than the text of its code. */
static const char *what_happened(bulla_rc rc)
{
	unsigned count = 0;
	const struct bulla_trail_entry *trail = bulla_trail(&count);

	return count > 0 && trail[0].rc == rc && trail[0].what != NULL ? trail[0].what : bulla_rc_text(rc);
}

/* ": Is a directory", or "". */
static void why_of_system(bulla_rc rc, char ret[128])
{
	unsigned count = 0;
	const struct bulla_trail_entry *trail = bulla_trail(&count);
	bool known = rc == BULLA_E_IO && count > 0 && trail[0].rc == rc && trail[0].os_error != 0;

	snprintf(ret, 128, "%s%s", known ? ": " : "", known ? strerror(trail[0].os_error) : "");
}

int say_rc(const struct cli *cli, bulla_rc rc, const char *where, const char *next)
{
	char why[128];

	why_of_system(rc, why);
	say_error(cli, bulla_rc_id(rc), where, next, "%s%s", what_happened(rc), why);
	if (cli->verbose && !cli->json)
		say_trail();
	return exit_of(rc);
}

void say(const struct cli *cli, const char *format, ...)
{
	va_list args;

	if (cli->quiet || cli->json)
		return;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void say_dev_only(const struct cli *cli)
{
	say(cli, "DEV ONLY: the administrator of this machine can read everything");
}

void say_json_done(const struct cli *cli, const char *type)
{
	if (cli->json)
		printf("{\"v\":1,\"t\":\"%s\",\"assurance\":\"dev\"}\n", type);
}

void duration_text(int64_t ms, char ret[32])
{
	if (ms < 0)
		ms = 0;
	if (ms < 950)
		snprintf(ret, 32, "%lld ms", (long long)ms);
	else if (ms < 60000)
		snprintf(ret, 32, "%lld.%lld s", (long long)(ms / 1000), (long long)(ms % 1000 / 100));
	else if (ms < 7200000)
		snprintf(ret, 32, "%lld min", (long long)(ms / 60000));
	else if (ms < 172800000)
		snprintf(ret, 32, "%lld h", (long long)(ms / 3600000));
	else
		snprintf(ret, 32, "%lld d %lld h", (long long)(ms / 86400000), (long long)(ms % 86400000 / 3600000));
}
