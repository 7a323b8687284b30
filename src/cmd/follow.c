#include "cmd/follow.h"

#include <stdio.h>
#include <unistd.h>

void follow_init(struct follow *follow, const struct context *context, const struct workflow *workflow, bulla_bytes run)
{
	bulla_run_id id = {{0}};

	*follow = (struct follow){.context = context, .workflow = workflow};
	follow->terminal = isatty(2) && !context->cli->json && !context->cli->quiet;
	if (run.n == sizeof(id.b))
		bulla_copy(id.b, run.p, sizeof(id.b));
	bulla_run_id_name(&id, follow->run);
}

const char *follow_step(const struct follow *follow, uint64_t step)
{
	if (follow->workflow == NULL || step == 0 || step > follow->workflow->step_count)
		return "?";
	return follow->workflow->steps[step - 1].name;
}

const char *follow_outcome(const struct follow *follow, uint64_t step, uint64_t outcome)
{
	static const char *const classes[] = {"failed", "retry", "crash", "timeout", "memory", "output", "denied", "lost",
		"limit"};
	const struct agent *agent;

	if (BULLA_OUTCOME_IS_FAILURE(outcome))
		return outcome - 64 < sizeof(classes) / sizeof(classes[0]) ? classes[outcome - 64] : "failed";
	if (follow->workflow == NULL || step == 0 || step > follow->workflow->step_count)
		return "ok";
	agent = &follow->context->project.agents[follow->workflow->steps[step - 1].agent];
	return outcome < agent->outcome_count ? agent->outcomes[outcome] : "ok";
}

static void print_json(const struct follow *follow, const struct bulla_msg_run_event *event)
{
	static const char *const states[] = {"waiting", "running", "done", "failed", "skipped", "retrying"};

	printf("{\"v\":1,\"t\":\"step\",\"run\":\"%.8s\",\"step\":", follow->run);
	json_string(follow_step(follow, event->step));
	printf(",\"try\":%llu,\"state\":\"%s\"", (unsigned long long)event->attempt,
		event->state < 6 ? states[event->state] : "?");
	if (event->state == BULLA_STEP_DONE || event->state == BULLA_STEP_FAILED || event->state == BULLA_STEP_RETRYING) {
		printf(",\"outcome\":");
		json_string(follow_outcome(follow, event->step, event->outcome));
		printf(",\"ms\":%llu", (unsigned long long)event->took_us / 1000);
	}
	if (event->why != 0)
		printf(",\"why\":\"%s\"", bulla_rc_id((bulla_rc)event->why));
	printf("}\n");
}

static void begin_line(struct follow *follow)
{
	if (follow->open_line)
		fputs("\r\033[K", stderr);
	follow->open_line = false;
}

static void print_text(struct follow *follow, const struct bulla_msg_run_event *event)
{
	const char *step = follow_step(follow, event->step);
	char took[32];

	duration_text((int64_t)event->took_us / 1000, took);
	if (event->state == BULLA_STEP_RUNNING || event->state == BULLA_STEP_WAITING) {
		if (!follow->terminal && event->why == 0)
			return;
		begin_line(follow);
		fprintf(stderr, "  %-9s %s", step, event->why != 0 ? bulla_rc_id((bulla_rc)event->why) : "...");
		follow->open_line = follow->terminal;
		if (!follow->terminal)
			fputs("  it waits; nothing is lost\n", stderr);
		return;
	}
	begin_line(follow);
	fprintf(stderr, "  %-9s %-8s %s", step, event->state == BULLA_STEP_SKIPPED ? "skipped" :
		follow_outcome(follow, event->step, event->outcome), event->state == BULLA_STEP_SKIPPED ? "" : took);
	if (event->state == BULLA_STEP_RETRYING)
		fprintf(stderr, "   try %llu; again", (unsigned long long)event->attempt);
	fputc('\n', stderr);
}

void follow_print(struct follow *follow, const struct bulla_msg_run_event *event)
{
	if (follow->context->cli->json)
		print_json(follow, event);
	else if (!follow->context->cli->quiet)
		print_text(follow, event);
}

static bulla_rc on_event(void *ctx, const struct bulla_frame *frame)
{
	struct follow *follow = ctx;
	struct bulla_msg_run_event event;

	if (frame->op == BULLA_OP_GET)
		return BULLA_OK; /* a receipt ahead of its token: this looks at both at the end */
	BULLA_TRY(bulla_msg_decode(&bulla_msg_run_event_desc, frame->body, &event));
	follow_print(follow, &event);
	return BULLA_OK;
}

struct client_events follow_events(struct follow *follow)
{
	return (struct client_events){.ctx = follow, .on_event = on_event};
}
