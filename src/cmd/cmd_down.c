/* bulla down: stops what runs here for this project. Runs, keys and the ledger stay. */
#include "cmd/local.h"

#include "io/sys.h"
#include "platform/platform.h"

#include <time.h>

#define WAIT_MS 20000

static bool is_down(const struct context *context)
{
	pid_t pid = 0;

	return bulla_platform_find(context->state, &pid) == BULLA_OK && pid == 0;
}

static int stop(struct context *context)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	int64_t until = bulla_mono_us(bulla_sys_clock()) + (int64_t)WAIT_MS * 1000;
	pid_t pid = 0;
	bulla_rc rc = bulla_platform_find(context->state, &pid);

	if (rc != BULLA_OK)
		return say_rc(context->cli, rc, context->state, NULL);
	if (pid == 0) {
		say(context->cli, "nothing of `%s` runs here", context->project.name);
		say_json_done(context->cli, "down");
		return 0;
	}
	rc = local_signal_platform(context, SIGTERM);
	while (rc == BULLA_OK && !is_down(context) && bulla_mono_us(bulla_sys_clock()) < until)
		nanosleep(&pause, NULL);
	if (rc != BULLA_OK || !is_down(context)) {
		say_error(context->cli, "timeout", context->state, "bulla status", "the supervisor (process %d) does not end", (int)pid);
		return EXIT_AGAIN;
	}
	say(context->cli, "down; runs and keys stay.  next: bulla up");
	say_json_done(context->cli, "down");
	return 0;
}

int cmd_down(struct cli *cli)
{
	struct context context;
	int code = context_open(&context, cli);

	code = code == 0 ? stop(&context) : code;
	context_done(&context);
	return code;
}
