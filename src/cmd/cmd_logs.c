/* bulla logs [RUN] [STEP]: what agents wrote to stderr, as far as your key may read it. */
#include "cmd/owner.h"
#include "cmd/run_bundle.h"

#include "wire/kinds.h"

#include <stdio.h>
#include <string.h>

struct logs {
	struct context *context;
	const struct run_bundle *bundle;
	const struct workflow *workflow;
	struct owner_opener *opener;
	const char *step; /* NULL: all */
	unsigned printed;
};

/* An agent's own words, a line each behind the step's name; control characters do not reach the terminal. */
static void print_lines(const struct logs *l, const struct bulla_receipt *receipt, bulla_bytes text)
{
	const char *step = l->workflow->steps[receipt->position.slot.step - 1].name;
	bool begin = true;

	for (size_t i = 0; i < text.n; i++) {
		if (begin)
			printf("%s %u  ", step, receipt->position.attempt);
		begin = text.p[i] == '\n';
		putchar(begin || text.p[i] == '\t' || text.p[i] >= 32 ? text.p[i] : '?');
	}
	if (!begin)
		putchar('\n');
}

static void print_json(const struct logs *l, const struct bulla_receipt *receipt, bulla_bytes text)
{
	char copy[32768];
	size_t n = text.n < sizeof(copy) - 1 ? text.n : sizeof(copy) - 1;

	bulla_copy(copy, text.p, n);
	copy[n] = '\0';
	printf("{\"v\":1,\"t\":\"log\",\"step\":");
	json_string(l->workflow->steps[receipt->position.slot.step - 1].name);
	printf(",\"try\":%u,\"text\":", receipt->position.attempt);
	json_string(copy);
	printf("}\n");
}

static bulla_rc print_one(struct logs *l, bulla_bytes record_bytes)
{
	const struct bulla_pb_list envelopes = bulla_pb_list_of(l->bundle->envelopes, l->bundle->envelope_count);
	const struct bulla_pb_list objects = bulla_pb_list_of(l->bundle->object_items, l->bundle->object_count);
	const struct owner_wish wish = {.kind = BULLA_ENVELOPE_LOG};
	struct bulla_receipt_record record;
	BULLA_AUTO_BUF payload;
	uint32_t step;
	bulla_rc rc;

	bulla_buf_init(&payload, BULLA_ENVELOPE_MAX);
	BULLA_TRY(bulla_receipt_record_decode(record_bytes, &record));
	step = record.receipt.position.slot.step;
	if (step == 0 || step > l->workflow->step_count ||
	    (l->step != NULL && strcmp(l->step, l->workflow->steps[step - 1].name) != 0))
		return BULLA_OK;
	rc = owner_opener_open(l->opener, record_bytes, &envelopes, &objects, &wish, &payload);
	if (rc != BULLA_OK)
		return rc == BULLA_E_NOT_FOUND || rc == BULLA_E_ARGUMENT ? BULLA_OK : rc; /* it wrote nothing */
	if (l->context->cli->json)
		print_json(l, &record.receipt, bulla_buf_view(&payload));
	else
		print_lines(l, &record.receipt, bulla_buf_view(&payload));
	l->printed++;
	return BULLA_OK;
}

static bool has_step(const struct workflow *workflow, const char *name)
{
	for (unsigned i = 0; i < workflow->step_count; i++)
		if (strcmp(workflow->steps[i].name, name) == 0)
			return true;
	return false;
}

static int unknown_step(const struct logs *l)
{
	char steps[200] = "";
	size_t n = 0;

	for (unsigned i = 0; i < l->workflow->step_count && n < sizeof(steps); i++)
		n += (size_t)snprintf(steps + n, sizeof(steps) - n, "%s%s", i == 0 ? "" : ", ", l->workflow->steps[i].name);
	say_error(l->context->cli, "not-found", NULL, steps, "workflow `%.40s` has no step `%.40s`", l->workflow->name, l->step);
	return EXIT_NOT_FOUND;
}

static int print_all(struct logs *l)
{
	const bulla_digest *digest = &l->bundle->header.slot.workflow;
	const struct bulla_workflow *compiled = bulla_manifest_workflow(&l->context->manifest, digest);
	bulla_rc rc;

	l->workflow = context_workflow(l->context, digest);
	if (compiled == NULL || l->workflow == NULL) {
		say_error(l->context->cli, "epoch-old", NULL, "check out the project as it was then",
			"the run belongs to another epoch or project");
		return EXIT_REFUSED;
	}
	if (l->step != NULL && !has_step(l->workflow, l->step))
		return unknown_step(l);
	rc = owner_opener_new(l->context, compiled, &l->bundle->header.slot.run, &l->opener);
	for (size_t i = 0; i < l->bundle->receipt_count && rc == BULLA_OK; i++)
		rc = print_one(l, l->bundle->receipts[i]);
	owner_opener_free(l->opener);
	if (rc != BULLA_OK)
		return say_rc(l->context->cli, rc, "the run's logs",
			rc == BULLA_E_NOT_ADDRESSED ? "add `logs` to `see`" : "bulla verify");
	if (l->printed == 0)
		say(l->context->cli, "%s wrote no log", l->step == NULL ? "these agents" : l->step);
	return 0;
}

int cmd_logs(struct cli *cli)
{
	struct context context;
	struct client *client = NULL;
	struct run_bundle bundle;
	struct logs logs = {.context = &context, .bundle = &bundle, .step = cli->arg_count > 1 ? cli->args[1] : NULL};
	int code = run_bundle_open(cli, &context, &client, &bundle);

	code = code == 0 ? print_all(&logs) : code;
	run_bundle_done(&bundle);
	client_close(client);
	context_done(&context);
	return code;
}
