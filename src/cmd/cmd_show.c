/* bulla show [RUN]: its steps, and who could read what. --host: only what the engine saw. */
#include "cmd/runs.h"

#include "wire/kinds.h"

#include <stdio.h>
#include <string.h>

struct shown {
	struct context *context;
	struct follow follow;
	struct bulla_msg_run_result result;
};

static void print_event(const struct shown *s, const struct bulla_msg_run_event *event)
{
	char at[32], took[32];

	if (event->state == BULLA_STEP_RUNNING || event->state == BULLA_STEP_WAITING)
		return;
	duration_text((int64_t)event->at_ms - (int64_t)s->result.started_ms, at);
	duration_text((int64_t)event->took_us / 1000, took);
	printf("  %-9s  %-12s  %-9s  %-9s  %llu\n", at, follow_step(&s->follow, event->step),
		event->state == BULLA_STEP_SKIPPED ? "skipped" : follow_outcome(&s->follow, event->step, event->outcome), took,
		(unsigned long long)event->attempt);
}

static uint64_t print_events(struct shown *s)
{
	struct bulla_pb_iter iter = bulla_pb_list_begin(&s->result.events);
	struct bulla_msg_run_event event;
	uint64_t agents_us = 0;
	bulla_bytes item;

	if (!s->context->cli->json)
		printf("  at         step          result     took       tries\n");
	while (bulla_pb_list_next(&iter, &item)) {
		if (bulla_msg_decode(&bulla_msg_run_event_desc, item, &event) != BULLA_OK)
			continue;
		agents_us += event.took_us;
		if (s->context->cli->json)
			follow_print(&s->follow, &event);
		else
			print_event(s, &event);
	}
	return agents_us;
}

static bool same_ref(const struct ref *a, const struct ref *b)
{
	if (a->kind != b->kind || (a->kind == REF_STEP && a->step != b->step) || a->field_count != b->field_count)
		return false;
	for (unsigned i = 0; i < a->field_count; i++)
		if (strcmp(a->fields[i], b->fields[i]) != 0)
			return false;
	return true;
}

/* One line per thing that somebody may read: the agents that do, and an x per party. */
static void print_reader_row(const struct project *project, const struct workflow *workflow, const struct ref *ref)
{
	char name[REF_TEXT], agents[96] = "";
	size_t n = 0;

	for (unsigned s = 0; s < workflow->step_count; s++)
		for (unsigned i = 0; i < workflow->steps[s].input_count; i++)
			if (same_ref(&workflow->steps[s].inputs[i].ref, ref) && n < sizeof(agents))
				n += (size_t)snprintf(agents + n, sizeof(agents) - n, "%s%s", n == 0 ? "" : " ", workflow->steps[s].name);
	ref_text(workflow, ref, name);
	printf("%-24s %-16s", name, n == 0 ? "-" : agents);
	for (unsigned p = 0; p < project->party_count; p++) {
		bool sees = false;

		for (unsigned i = 0; i < workflow->see_count; i++)
			sees = sees || (workflow->sees[i].party == p && same_ref(&workflow->sees[i].ref, ref));
		printf(" %-12s", sees ? "x" : ".");
	}
	printf(" .\n");
}

static bool seen_before(const struct workflow *workflow, unsigned step, unsigned input)
{
	const struct ref *ref = &workflow->steps[step].inputs[input].ref;

	for (unsigned s = 0; s <= step; s++)
		for (unsigned i = 0; i < workflow->steps[s].input_count && (s < step || i < input); i++)
			if (same_ref(&workflow->steps[s].inputs[i].ref, ref))
				return true;
	return false;
}

static void print_readers(const struct project *project, const struct workflow *workflow)
{
	printf("\n%-24s %-16s", "could read", "agents");
	for (unsigned p = 0; p < project->party_count; p++)
		printf(" %-12s", project->parties[p]);
	printf(" engine\n");
	for (unsigned s = 0; s < workflow->step_count; s++)
		for (unsigned i = 0; i < workflow->steps[s].input_count; i++)
			if (!seen_before(workflow, s, i))
				print_reader_row(project, workflow, &workflow->steps[s].inputs[i].ref);
	for (unsigned v = 0; v < workflow->see_count; v++) {
		bool printed = false;

		for (unsigned s = 0; s < workflow->step_count && !printed; s++)
			for (unsigned i = 0; i < workflow->steps[s].input_count; i++)
				printed = printed || same_ref(&workflow->steps[s].inputs[i].ref, &workflow->sees[v].ref);
		for (unsigned u = 0; u < v; u++)
			printed = printed || same_ref(&workflow->sees[u].ref, &workflow->sees[v].ref);
		if (!printed)
			print_reader_row(project, workflow, &workflow->sees[v].ref);
	}
}

static void print_host(const struct shown *s)
{
	char hex[17];

	for (unsigned i = 0; i < 8 && s->result.workflow.n == 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", s->result.workflow.p[i]);
	printf("workflow  %s.. (a digest)\nrun       %s\nstate     %s\n", hex, s->follow.run, runs_state(s->result.state));
	printf("the engine also saw: step count, times, padded sizes, outcome words, attempts; no name, no content\n");
}

static int show(struct context *context, const bulla_run_id *run, struct client *client)
{
	struct shown s = {.context = context};
	bulla_digest digest = {{0}};
	char took[32], agents[32];
	const char *why;
	BULLA_AUTO_BUF answer;
	uint64_t agents_us;
	int code;

	bulla_buf_init(&answer, RUNS_ANSWER_MAX);
	code = runs_get(context, client, run, &answer, &s.result);
	if (code != 0)
		return code;
	if (s.result.workflow.n == sizeof(digest.b))
		bulla_copy(digest.b, s.result.workflow.p, sizeof(digest.b));
	follow_init(&s.follow, context, context_workflow(context, &digest), bulla_run_id_view(run));
	if (context->cli->host && !context->cli->json) {
		print_host(&s);
		return 0;
	}
	duration_text((int64_t)s.result.ended_ms - (int64_t)s.result.started_ms, took);
	why = runs_stuck(s.result.state, s.result.outcome);
	if (!context->cli->json)
		printf("%s %.8s   %s%s%s%s%s   dev   epoch %llu\n", s.follow.workflow == NULL ? "(older)" : s.follow.workflow->name,
			s.follow.run, runs_state(s.result.state), why == NULL ? "" : ": ", why == NULL ? "" : why, s.result.state == BULLA_RUN_OPEN ? "" : " in ",
			s.result.state == BULLA_RUN_OPEN ? "" : took, (unsigned long long)context->manifest.epoch);
	agents_us = print_events(&s);
	if (context->cli->json)
		return 0;
	duration_text((int64_t)agents_us / 1000, agents);
	printf("agents %s\n", agents);
	if (s.follow.workflow != NULL)
		print_readers(&context->project, s.follow.workflow);
	say(context->cli, "The engine also saw: step count, times, padded sizes.  DEV ONLY.  next: bulla verify %.8s", s.follow.run);
	return 0;
}

int cmd_show(struct cli *cli)
{
	struct context context;
	struct client *client = NULL;
	bulla_run_id run;
	int code = runs_open(&context, cli, &client);

	code = code == 0 ? runs_find(&context, client, cli->arg_count > 0 ? cli->args[0] : NULL, &run) : code;
	code = code == 0 ? show(&context, &run, client) : code;
	client_close(client);
	context_done(&context);
	return code;
}
