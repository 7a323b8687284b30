#pragma once
/* Runs by the names people type: a prefix of the run's name, or nothing for the latest. */
#include "cmd/follow.h"

/* Finds the run of this name (NULL: the latest) at the engine. Says what is wrong (none, several); exit code or 0. */
int runs_find(struct context *context, struct client *client, const char *name, bulla_run_id *ret);

/* Asks for a run's result as it stands. ret_answer holds the message that *ret views. Exit code or 0. */
int runs_get(struct context *context, struct client *client, const bulla_run_id *run, struct bulla_buf *ret_answer,
	struct bulla_msg_run_result *ret);

/* "done", "failed", ... */
const char *runs_state(uint64_t state);
/* Why a run is stuck, for `bulla explain`: its outcome is the code of that. NULL: it is not. */
const char *runs_stuck(uint64_t state, uint64_t outcome);

/* What every command about runs begins with: project, key, name key, manifest, engine. Exit code or 0. */
int runs_open(struct context *context, struct cli *cli, struct client **ret);

#define RUNS_ANSWER_MAX ((size_t)64 << 20)
