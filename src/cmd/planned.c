#include "cmd/planned.h"

#include "cmd/say.h"

#include <stdio.h>
#include <string.h>

#define HERE "bulla up: broker, engine and enclaves run on this machine, in the development TEE"

static const struct planned rows[] = {
	{"init", "coldchain", NULL, "bulla init loan"},
	{"agent", NULL, NULL, "run it by hand, in agents/NAME: its command < input.json"},
	{"logs", NULL, "follow", "bulla wait RUN; bulla logs RUN"},
	{"signal", NULL, NULL, "two workflows: give the answer to the second one as input"},
	{"cancel", NULL, NULL, "a run ends by itself when its step's `timeout` passes"},
	{"erase", NULL, NULL, "bulla down; remove the state folder: that destroys all runs of the project"},
	{"verify", NULL, "at", "bulla verify: evidence is judged at its own time, whatever the day"},
	{"secret", NULL, NULL, "put it into the run's input, which is sealed"},
	{"approve", NULL, NULL, "bulla up: on the development TEE the owner's key approves by itself"},
	{"image", NULL, NULL, HERE},
	{"aws", NULL, NULL, HERE},
	{"log", NULL, NULL, "bulla bundle; bulla verify: the ledger's record of the run is in its bundle"},
	{"proxy", NULL, NULL, HERE},
	{"doctor", NULL, "scrub", "bulla verify RUN checks what matters of a run"},
	{"doctor", NULL, "repair", "bulla down; bulla up: what can be recovered is"},
	{"completion", NULL, NULL, "bulla --help"},
};

static bool same(const char *a, const char *b)
{
	return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

const struct planned *planned_find(const char *command, const char *word, const char *option)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].command, command) == 0 && same(rows[i].option, option) &&
			(rows[i].word == NULL || same(rows[i].word, word)))
			return &rows[i];
	return NULL;
}

int planned_refuse(const struct cli *cli, const struct planned *planned)
{
	char name[64];

	snprintf(name, sizeof(name), "bulla %s%s%s%s%s", planned->command, planned->word == NULL ? "" : " ",
		planned->word == NULL ? "" : planned->word, planned->option == NULL ? "" : " --",
		planned->option == NULL ? "" : planned->option);
	say_error(cli, "unsupported", NULL, planned->instead, "`%s` is not built yet", name);
	return EXIT_USAGE;
}
