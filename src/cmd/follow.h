#pragma once
/* What happens in a run, as lines: on a terminal they come to life, in a pipe they stand, with --json they are objects. */
#include "cmd/client.h"
#include "cmd/context.h"
#include "wire/messages.h"

struct follow {
	const struct context *context;
	const struct workflow *workflow; /* NULL: unknown to this project */
	char run[BULLA_RUN_NAME_SIZE];
	bool terminal;
	bool open_line; /* the cursor stands behind an unfinished line */
};

/* run: 16 bytes. */
void follow_init(struct follow *follow, const struct context *context, const struct workflow *workflow, bulla_bytes run);

/* For client_call: prints EVENT frames of START and WAIT. */
struct client_events follow_events(struct follow *follow);

/* One event, by itself. */
void follow_print(struct follow *follow, const struct bulla_msg_run_event *event);

/* The word for an outcome of a step: the agent's own, or the failure's class. */
const char *follow_outcome(const struct follow *follow, uint64_t step, uint64_t outcome);
const char *follow_step(const struct follow *follow, uint64_t step);
