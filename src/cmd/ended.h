#pragma once
/* Why a daemon ended: the last words in its log, so that `bulla up` says at once what it would only find out by waiting. */
#include "cmd/context.h"

struct ended {
	char folder[CONTEXT_PATH]; /* its state */
	char log[CONTEXT_PATH];
	const char *event; /* of the line that says it */
	long from;         /* what was in the log before says nothing of this start */
};

/* folder: "broker" or "host". Call it before anybody starts the daemon. */
void ended_begin(struct ended *ended, const struct context *context, const char *folder, const char *event);

/* Has it ended since, and why? */
bool ended_look(const struct ended *ended, bulla_rc *ret_why);

/* The error and what to do about it. Returns the exit code. */
int ended_say(const struct ended *ended, const struct context *context, bulla_rc why);
