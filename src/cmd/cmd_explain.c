/* bulla explain ERROR: what an error id means and what to do. */
#include "cmd/say.h"

#include <stdio.h>
#include <string.h>

/* What to do next, for the ids that a person meets; the meaning is the result's own text. */
static const struct {
	const char *id;
	const char *next;
} advice[] = {
	{"port-busy", "stop the other program, or `broker: {port: N}`"},
	{"measurement-mismatch", "yours: bulla up compiles a new epoch; else do not approve"},
	{"evidence-stale", "bulla status; the enclave attests again by itself"},
	{"evidence-debug", "start without debug"},
	{"disk-full", "free space; runs go on by themselves"},
	{"agent-failed", "bulla logs RUN STEP"},
	{"agent-crash", "bulla logs RUN STEP"},
	{"agent-timeout", "raise `timeout` of the step"},
	{"agent-memory", "raise `memory` of the agent"},
	{"agent-output", "one JSON value on stdout and nothing else; log to stderr"},
	{"epoch-old", "git pull; bulla up"},
	{"fork-detected", "bulla bundle; stop that host; the bundle is the proof"},
	{"state-old", "restore the newest copy of the engine's state"},
	{"approvals-missing", "the owner runs bulla up: `bulla approve` is not built yet, on dev the owner's key is enough"},
	{"broker-unreachable", "bulla up; runs wait, nothing is lost"},
	{"engine-unreachable", "bulla up"},
	{"supervisor-ended", "look into platform/log in the state folder"},
	{"limit", "doc/limits.md lists them all"},
	{"clock-skew", "timedatectl set-ntp true"},
	{"owner-unknown", "use the key that set this project up, or a state folder of your own: XDG_STATE_HOME"},
	{"no-right", "ask the owner"},
	{"bundle-damaged", "get it again"},
	{"busy", "try again; nothing is lost"},
	{"memory-lock", "ulimit -l 8192"},
};

static void print(const struct cli *cli, const char *id, const char *what, const char *next)
{
	if (!cli->json) {
		printf("%s: %s\nnext: %s\n", id, what, next);
		return;
	}
	printf("{\"v\":1,\"t\":\"explain\",\"id\":\"%s\",\"what\":", id); /* the table's own word */
	json_string(what);
	printf(",\"next\":");
	json_string(next);
	printf("}\n");
}

int cmd_explain(struct cli *cli)
{
	const char *id = cli->args[0], *next = "bulla --help", *near;
	const char *ids[BULLA_RC_COUNT];
	bulla_rc rc = bulla_rc_from_id(id);
	bool known = rc != BULLA_RC_COUNT;

	for (size_t i = 0; i < sizeof(advice) / sizeof(advice[0]); i++)
		if (strcmp(advice[i].id, id) == 0) {
			next = advice[i].next;
			known = true;
		}
	if (known) {
		print(cli, id, rc == BULLA_RC_COUNT ? "the engine does not run here" : bulla_rc_text(rc), next);
		return 0;
	}
	for (unsigned i = 0; i < BULLA_RC_COUNT; i++)
		ids[i] = bulla_rc_id((bulla_rc)i);
	near = nearest(id, ids, BULLA_RC_COUNT);
	say_error(cli, "not-found", NULL, near == NULL ? "bulla --help" : near, "there is no error `%.40s`", id);
	return EXIT_NOT_FOUND;
}
