/* bulla run, bulla start, bulla wait: start a run, follow it, print its result. */
#include "cmd/input.h"
#include "cmd/names.h"
#include "cmd/owner.h"
#include "cmd/plain.h"
#include "cmd/runs.h"

#include "io/sys.h"
#include "wire/kinds.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define START_MAX ((size_t)64 << 20)

static const struct bulla_workflow *find_workflow(const struct context *context, const char *name)
{
	const char *names[BULLA_MAX_WORKFLOWS];
	bulla_handle handle = name_handle(context->name_key, "workflow", name);
	const char *near;

	for (size_t i = 0; i < context->manifest.workflow_count; i++)
		if (bulla_handle_eq(&context->manifest.workflows[i].handle, &handle))
			return &context->manifest.workflows[i];
	for (unsigned i = 0; i < context->project.workflow_count; i++)
		names[i] = context->project.workflows[i].name;
	near = nearest(name, names, context->project.workflow_count);
	if (project_workflow(&context->project, name) != NULL)
		say_error(context->cli, "epoch-old", "bulla.yaml", "bulla up", "`%.40s` is in bulla.yaml, but not yet in force", name);
	else
		say_error(context->cli, "not-found", NULL, near == NULL ? "bulla check" : near, "there is no workflow `%.40s`", name);
	return NULL;
}

static bulla_rc ask_keys(struct context *context, struct client *client, struct bulla_buf *memory,
	struct bulla_msg_keys_reply *ret)
{
	const struct bulla_msg_keys message = {.manifest = bulla_bytes_digest(&context->manifest.digest)};
	uint8_t body[64];
	bulla_wr w = bulla_wr_fixed(body, sizeof(body));
	bulla_bytes bytes;

	bulla_msg_encode(&bulla_msg_keys_desc, &message, &w);
	BULLA_TRY(bulla_wr_end(&w, &bytes));
	BULLA_TRY(client_call(client, BULLA_OP_KEYS, bytes, NULL, 15000, memory));
	return bulla_msg_decode(&bulla_msg_keys_reply_desc, bulla_buf_view(memory), ret);
}

static void print_log(bulla_bytes text)
{
	plain_print(text, true, stderr);
	if (text.n > 0 && text.p[text.n - 1] != '\n')
		fputc('\n', stderr);
}

/* The last step's output, or the failure's text, as far as this key may read it. */
static int print_result(struct context *context, const struct bulla_workflow *workflow, const bulla_run_id *run,
	const struct bulla_msg_run_result *result)
{
	bool done = result->state == BULLA_RUN_DONE;
	struct owner_wish wish = {.kind = done ? BULLA_ENVELOPE_OUTPUT : BULLA_ENVELOPE_LOG, .result = done};
	bulla_bytes receipt = bulla_pb_list_at(&result->receipts, 0);
	struct owner_opener *opener = NULL;
	BULLA_AUTO_BUF payload;
	bulla_rc rc;

	bulla_buf_init(&payload, BULLA_ENVELOPE_MAX);
	rc = owner_opener_new(context, workflow, run, &opener);
	rc = rc == BULLA_OK ? owner_opener_token(opener, result->token, receipt) : rc;
	rc = rc == BULLA_OK ? owner_opener_open(opener, receipt, &result->envelopes, &result->objects, &wish, &payload) : rc;
	owner_opener_free(opener);
	if (result->state != BULLA_RUN_DONE) { /* what the failing agent wrote to stderr, as far as this key may read it */
		if (rc == BULLA_OK && !context->cli->quiet && !context->cli->json)
			print_log(bulla_buf_view(&payload));
		return 0;
	}
	if (rc == BULLA_E_EPOCH_OLD) {
		say(context->cli, "the run is of another epoch: bulla open shows its result");
		return 0;
	}
	if (rc == BULLA_E_NOT_ADDRESSED || rc == BULLA_E_NOT_FOUND) {
		say(context->cli, "the result is not for this key");
		return 0;
	}
	if (rc != BULLA_OK)
		return say_rc(context->cli, rc, "opening the result", "bulla verify");
	if (context->cli->json)
		printf("{\"v\":1,\"t\":\"result\",\"result\":");
	fwrite(payload.p, 1, payload.n, stdout);
	printf(context->cli->json ? "}\n" : "\n");
	return 0;
}

static int report_end(struct context *context, const struct bulla_workflow *workflow, const struct follow *follow,
	const bulla_run_id *run, const struct bulla_msg_run_result *result)
{
	char took[32];
	const char *why = runs_stuck(result->state, result->outcome);
	int code = result->receipts.count > 0 ? print_result(context, workflow, run, result) : 0;

	if (code != 0)
		return code;
	duration_text((int64_t)(result->ended_ms - result->started_ms), took);
	if (context->cli->json)
		printf("{\"v\":1,\"t\":\"run\",\"run\":\"%s\",\"state\":\"%s\",\"why\":\"%s\",\"ms\":%llu,\"assurance\":\"dev\"}\n",
			follow->run, runs_state(result->state), why == NULL ? "" : why,
			(unsigned long long)(result->ended_ms - result->started_ms));
	if (result->state == BULLA_RUN_DONE) {
		say(context->cli, "done in %s.  DEV ONLY.  next: bulla show %.8s", took, follow->run);
		return EXIT_DONE;
	}
	if (why != NULL) {
		say(context->cli, "stuck at step %s: %s.  DEV ONLY.  next: bulla explain %s", follow_step(follow, result->failed_step),
			why, why);
		return EXIT_FAILED;
	}
	say(context->cli, "%s at step %s: %s.  DEV ONLY.  next: bulla logs %.8s", runs_state(result->state),
		follow_step(follow, result->failed_step), follow_outcome(follow, result->failed_step, result->outcome), follow->run);
	return EXIT_FAILED;
}

static int goes_on(const struct context *context, bulla_rc rc, const struct follow *follow)
{
	if (rc != BULLA_E_TIMEOUT && rc != BULLA_E_CANCELLED)
		return say_rc(context->cli, rc, "engine",
			rc == BULLA_E_CLOSED ? "bulla wait: the run goes on when the engine is up" : "bulla status");
	say(context->cli, "run %.8s goes on.  next: bulla wait %.8s", follow->run, follow->run);
	return rc == BULLA_E_TIMEOUT ? EXIT_TIMED_OUT : EXIT_INTERRUPTED;
}

/* WAIT until the run has ended, then its report. */
static int follow_to_end(struct context *context, struct client *client, const struct bulla_workflow *workflow,
	struct follow *follow, const bulla_run_id *run)
{
	const struct bulla_msg_wait message = {.run_id = bulla_run_id_view(run), .follow = 1};
	struct client_events events = follow_events(follow);
	struct bulla_msg_run_result result;
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes body;
	BULLA_AUTO_BUF answer;
	bulla_rc rc;

	bulla_buf_init(&answer, START_MAX);
	bulla_msg_encode(&bulla_msg_wait_desc, &message, &w);
	rc = bulla_wr_end(&w, &body);
	rc = rc == BULLA_OK ? client_call(client, BULLA_OP_WAIT, body, &events, context->cli->timeout_ms, &answer) : rc;
	rc = rc == BULLA_OK ? bulla_msg_decode(&bulla_msg_run_result_desc, bulla_buf_view(&answer), &result) : rc;
	return rc == BULLA_OK ? report_end(context, workflow, follow, run, &result) : goes_on(context, rc, follow);
}

static void say_started(const struct context *context, const struct follow *follow)
{
	if (context->cli->json)
		printf("{\"v\":1,\"t\":\"run\",\"run\":\"%s\",\"state\":\"open\"}\n", follow->run);
	else
		say(context->cli, "run %.8s", follow->run);
}

/* START without following: the answer comes when the start is durable. */
static bulla_rc send_start(struct client *client, bulla_bytes body, int64_t timeout_ms)
{
	BULLA_AUTO_BUF answer;

	bulla_buf_init(&answer, 4096);
	return client_call(client, BULLA_OP_START, body, NULL, timeout_ms, &answer);
}

/* What cannot wait: without the broker's keys nothing can be sealed. */
static int no_keys(const struct cli *cli, bulla_rc rc)
{
	if (rc != BULLA_E_TIMEOUT && rc != BULLA_E_BROKER && rc != BULLA_E_UNREACHABLE && rc != BULLA_E_CANCELLED)
		return say_rc(cli, rc, "engine, keys", "bulla status");
	say_error(cli, rc == BULLA_E_CANCELLED ? "cancelled" : "broker-unreachable", "engine, keys", "bulla status; then again",
		rc == BULLA_E_CANCELLED ? "nothing was started" : "the broker gives no keys to seal with; nothing was started");
	return rc == BULLA_E_CANCELLED ? EXIT_INTERRUPTED : EXIT_AGAIN;
}

static int not_sealed(const struct cli *cli, bulla_rc rc)
{
	const char *next = rc == BULLA_E_ARGUMENT ? "bulla check shows what steps read" :
		rc == BULLA_E_LIMIT ? "give the run a reference to it instead" :
		rc == BULLA_E_BIRTH_MISSING ? "bulla status: that enclave is not up yet; nothing was started" : "bulla status";
	int code = say_rc(cli, rc, "sealing the input", next);

	return rc == BULLA_E_LIMIT ? EXIT_USAGE : code;
}

/* A run that was started: without following it, its name is all. */
static int after_start(struct context *context, struct client *client, const struct bulla_workflow *workflow,
	struct follow *follow, const bulla_run_id *run, bool follow_it)
{
	say_started(context, follow);
	if (follow_it)
		return follow_to_end(context, client, workflow, follow, run);
	if (!context->cli->json)
		printf("%s\n", follow->run);
	return 0;
}

static int start_run(struct context *context, struct client *client, bool follow_it)
{
	const struct bulla_workflow *workflow = find_workflow(context, context->cli->args[0]);
	struct bulla_msg_keys_reply keys;
	struct owner_starter *starter = NULL;
	struct follow follow;
	bulla_run_id run;
	BULLA_AUTO_BUF input, memory, body;
	bulla_rc rc;
	int code;

	bulla_buf_init(&input, BULLA_MAX_PAYLOAD);
	bulla_buf_init(&memory, START_MAX);
	bulla_buf_init(&body, START_MAX);
	if (workflow == NULL)
		return EXIT_NOT_FOUND;
	code = input_read(context->cli, &input);
	if (code != 0)
		return code;
	rc = ask_keys(context, client, &memory, &keys);
	if (rc != BULLA_OK)
		return no_keys(context->cli, rc);
	rc = owner_starter_new(context, workflow, &keys, &starter);
	rc = rc == BULLA_OK ? owner_starter_make(starter, bulla_buf_view(&input), context->cli->id, false, &body, &run) : rc;
	owner_starter_free(starter);
	if (rc != BULLA_OK)
		return not_sealed(context->cli, rc);
	follow_init(&follow, context, context_workflow(context, &workflow->digest), bulla_run_id_view(&run));
	rc = send_start(client, bulla_buf_view(&body), context->cli->timeout_ms);
	if (rc == BULLA_E_EXISTS && context->cli->id != NULL)
		rc = BULLA_OK; /* the same id is the same run */
	if (rc != BULLA_OK)
		return goes_on(context, rc, &follow);
	return after_start(context, client, workflow, &follow, &run, follow_it);
}

static int run_or_start(struct cli *cli, bool follow_it)
{
	struct context context;
	struct client *client = NULL;
	int code;

	client_catch_interrupt();
	code = runs_open(&context, cli, &client);
	code = code == 0 ? start_run(&context, client, follow_it) : code;
	client_close(client);
	context_done(&context);
	return code;
}

int cmd_run(struct cli *cli)
{
	return run_or_start(cli, true);
}

int cmd_start(struct cli *cli)
{
	return run_or_start(cli, false);
}

static int wait_for(struct context *context, struct client *client, const bulla_run_id *run)
{
	const struct bulla_workflow *workflow = NULL;
	struct bulla_msg_run_result now;
	struct follow follow;
	bulla_digest digest = {{0}};
	BULLA_AUTO_BUF answer;
	int code;

	bulla_buf_init(&answer, START_MAX);
	code = runs_get(context, client, run, &answer, &now);
	if (code != 0)
		return code;
	if (now.workflow.n == sizeof(digest.b))
		bulla_copy(digest.b, now.workflow.p, sizeof(digest.b));
	workflow = bulla_manifest_workflow(&context->manifest, &digest);
	if (workflow == NULL) {
		say_error(context->cli, "epoch-old", NULL, "bulla open RUN, when it has ended",
			"the run belongs to an epoch that is not in force here");
		return EXIT_REFUSED;
	}
	follow_init(&follow, context, context_workflow(context, &digest), bulla_run_id_view(run));
	if (now.state != BULLA_RUN_OPEN) /* links and instances are sent once per connection: they came with this answer */
		return report_end(context, workflow, &follow, run, &now);
	return follow_to_end(context, client, workflow, &follow, run);
}

int cmd_wait(struct cli *cli)
{
	struct context context;
	struct client *client = NULL;
	bulla_run_id run;
	int code;

	client_catch_interrupt();
	code = runs_open(&context, cli, &client);
	code = code == 0 ? runs_find(&context, client, cli->arg_count > 0 ? cli->args[0] : NULL, &run) : code;
	code = code == 0 ? wait_for(&context, client, &run) : code;
	client_close(client);
	context_done(&context);
	return code;
}
