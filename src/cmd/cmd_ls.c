/* bulla ls: runs of this project, newest first. */
#include "cmd/names.h"
#include "cmd/runs.h"

#include "io/sys.h"

#include <stdio.h>
#include <string.h>

#define LIMIT 100

static bool state_mask(const struct cli *cli, uint64_t *ret)
{
	*ret = 0;
	if (cli->state == NULL)
		return true;
	for (uint64_t state = BULLA_RUN_OPEN; state <= BULLA_RUN_STUCK; state++)
		if (strcmp(cli->state, runs_state(state)) == 0)
			*ret = UINT64_C(1) << state;
	if (*ret == 0)
		say_error(cli, "usage", NULL, "bulla ls --state open",
			"`%.20s` is no state: open, done, failed, cancelled, erased, stuck",
			cli->state);
	return *ret != 0;
}

/* Digest of the compiled workflow of this name; empty for all. */
static int workflow_digest(const struct context *context, bulla_bytes *ret)
{
	const char *name = context->cli->workflow;

	*ret = (bulla_bytes){NULL, 0};
	if (name == NULL)
		return 0;
	bulla_handle handle = name_handle(context->name_key, "workflow", name);
	for (size_t i = 0; i < context->manifest.workflow_count; i++)
		if (bulla_handle_eq(&context->manifest.workflows[i].handle, &handle)) {
			*ret = bulla_bytes_digest(&context->manifest.workflows[i].digest);
			return 0;
		}
	say_error(context->cli, "not-found", NULL, "bulla check", "there is no workflow `%.40s` in the epoch in force", name);
	return EXIT_NOT_FOUND;
}

static void print_row(const struct context *context, const struct bulla_msg_run_row *row, int64_t now_ms)
{
	const struct workflow *workflow = NULL;
	char name[BULLA_RUN_NAME_SIZE], state[48], since[32];
	const char *why;
	bulla_run_id run = {{0}};
	bulla_digest digest = {{0}};

	if (row->run_id.n != sizeof(run.b) || row->workflow.n != sizeof(digest.b))
		return;
	bulla_copy(run.b, row->run_id.p, sizeof(run.b));
	bulla_copy(digest.b, row->workflow.p, sizeof(digest.b));
	workflow = context_workflow(context, &digest);
	bulla_run_id_name(&run, name);
	why = row->why != 0 ? bulla_rc_id((bulla_rc)row->why) : runs_stuck(row->state, row->outcome);
	snprintf(state, sizeof(state), "%s%s%s", row->why != 0 ? "waits" : runs_state(row->state), why == NULL ? "" : ": ",
		why == NULL ? "" : why);
	duration_text(now_ms - (int64_t)row->started_ms, since);
	if (context->cli->json)
		printf("{\"v\":1,\"t\":\"run\",\"run\":\"%s\",\"workflow\":\"%s\",\"state\":\"%s\",\"why\":\"%s\",\"steps_done\":%llu,"
			"\"steps\":%llu,\"started_ms\":%llu,\"ended_ms\":%llu,\"epoch\":%llu}\n",
			name, workflow == NULL ? "" : workflow->name, runs_state(row->state),
			why == NULL ? "" : why, (unsigned long long)row->steps_done,
			(unsigned long long)row->steps, (unsigned long long)row->started_ms, (unsigned long long)row->ended_ms,
			(unsigned long long)row->epoch);
	else
		printf("%.8s  %-12s  %-26s  %3llu/%-3llu  %-8s  dev\n", name, workflow == NULL ? "(older)" : workflow->name, state,
			(unsigned long long)row->steps_done, (unsigned long long)row->steps, since);
}

static int list(struct context *context, struct client *client)
{
	struct bulla_msg_list message = {.limit = LIMIT};
	struct bulla_msg_listing listing;
	struct bulla_msg_run_row row;
	struct bulla_pb_iter iter;
	bulla_bytes body, item;
	uint8_t memory[256];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	BULLA_AUTO_BUF answer;
	bulla_rc rc;
	int code = workflow_digest(context, &message.workflow);

	bulla_buf_init(&answer, RUNS_ANSWER_MAX);
	if (code != 0 || !state_mask(context->cli, &message.states))
		return code != 0 ? code : EXIT_USAGE;
	bulla_msg_encode(&bulla_msg_list_desc, &message, &w);
	rc = bulla_wr_end(&w, &body);
	rc = rc == BULLA_OK ? client_call(client, BULLA_OP_LIST, body, NULL, 10000, &answer) : rc;
	rc = rc == BULLA_OK ? bulla_msg_decode(&bulla_msg_listing_desc, bulla_buf_view(&answer), &listing) : rc;
	if (rc != BULLA_OK)
		return say_rc(context->cli, rc, "engine", "bulla status");
	if (!context->cli->json && listing.runs.count > 0)
		printf("RUN       WORKFLOW      STATE                       STEPS    SINCE     TEE\n");
	iter = bulla_pb_list_begin(&listing.runs);
	while (bulla_pb_list_next(&iter, &item))
		if (bulla_msg_decode(&bulla_msg_run_row_desc, item, &row) == BULLA_OK)
			print_row(context, &row, bulla_wall_ms(bulla_sys_clock()));
	if (listing.runs.count == 0)
		say(context->cli, "no runs.  next: bulla run WORKFLOW");
	else if (listing.runs.count == LIMIT)
		say(context->cli, "the newest %d; narrow with --state, --workflow", LIMIT);
	return 0;
}

int cmd_ls(struct cli *cli)
{
	struct context context;
	struct client *client = NULL;
	int code = runs_open(&context, cli, &client);

	code = code == 0 ? list(&context, client) : code;
	client_close(client);
	context_done(&context);
	return code;
}
