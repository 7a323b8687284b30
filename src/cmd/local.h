#pragma once
/* The parts that run on this machine, as the CLI sees them: where the programs are, is the supervisor up, are they ready. */
#include "cmd/broker_info.h"
#include "cmd/client.h"
#include "cmd/context.h"
#include "cmd/ended.h"

#include <signal.h>

#define SIGHUP_DEPLOY SIGHUP

/* Path of a program beside this one. BULLA_E_NOT_FOUND. */
BULLA_CHECK bulla_rc local_program(const char *name, char ret[CONTEXT_PATH]);

/* Starts the supervisor of this project unless it runs. Says what is wrong; exit code or 0. */
int local_start_platform(struct context *context);

/* Waits until the broker has made its keys and listens; or says why it ended since `ended` began. */
int local_wait_broker(struct context *context, const struct ended *ended, struct broker_info *ret);

/* The usual reason why nothing starts: no room for a segment of a journal. Says so. */
bool local_says_disk_full(const struct context *context);

/* Does somebody else listen on the broker's port, while the broker does not answer? */
bool local_port_is_taken(const struct context *context);

/* Sends the supervisor a signal; BULLA_E_NOT_FOUND when none runs. */
BULLA_CHECK bulla_rc local_signal_platform(const struct context *context, int number);

/* Connects, trying again for up to wait_ms while nobody listens. */
BULLA_CHECK bulla_rc local_connect(const char *path, int64_t wait_ms, struct client **ret);

/* Connects to the engine of this project: says what to do when it is not up; exit code or 0. */
int local_engine(struct context *context, struct client **ret);

/* Waits until the engine has its broker and `agents` enclaves of this manifest that serve; says what it waits for after the
 * time. */
int local_wait_ready(struct context *context, const bulla_digest *manifest, unsigned agents, int64_t wait_ms);

/* One message to the project's broker that is answered with nothing but its result. BULLA_E_UNREACHABLE: it does not run. */
BULLA_CHECK bulla_rc local_tell_broker(const struct context *context, enum bulla_op_number op, bulla_bytes body);
