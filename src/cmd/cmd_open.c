/* bulla open [RUN|FILE] [REF]: what your key may read of a run (default: its result). */
#include "cmd/owner.h"
#include "cmd/run_bundle.h"

#include "wire/kinds.h"

#include <stdio.h>
#include <string.h>

/* `STEP.FIELD.FIELD` taken apart; step 0 means that the name is unknown. */
struct reference {
	uint32_t step;
	bulla_bytes path[PROJECT_FIELDS_MAX];
	size_t path_count;
};

static int parse_reference(const struct context *context, const struct workflow *workflow, const char *text,
	struct reference *ret)
{
	size_t n = strcspn(text, ".");
	const char *p = text + n;

	*ret = (struct reference){.step = 0};
	if (n == 6 && strncmp(text, "result", 6) == 0)
		ret->step = workflow->step_count;
	for (unsigned i = 0; i < workflow->step_count && ret->step == 0; i++)
		if (strlen(workflow->steps[i].name) == n && strncmp(workflow->steps[i].name, text, n) == 0)
			ret->step = i + 1;
	while (*p == '.' && ret->path_count < PROJECT_FIELDS_MAX) {
		size_t size = strcspn(p + 1, ".");

		ret->path[ret->path_count++] = bulla_bytes_of(p + 1, size);
		p += 1 + size;
	}
	if (ret->step > 0 && *p == '\0')
		return 0;
	say_error(context->cli, "not-found", NULL, "bulla show", "`%.60s` is no result, step or field of this run", text);
	return EXIT_NOT_FOUND;
}

static int print_part(struct context *context, const struct run_bundle *bundle, const char *text)
{
	const struct bulla_workflow *compiled = bulla_manifest_workflow(&context->manifest, &bundle->header.slot.workflow);
	const struct workflow *workflow = context_workflow(context, &bundle->header.slot.workflow);
	const struct bulla_pb_list envelopes = bulla_pb_list_of(bundle->envelopes, bundle->envelope_count);
	const struct bulla_pb_list objects = bulla_pb_list_of(bundle->object_items, bundle->object_count);
	struct bulla_receipt_record receipt;
	struct reference reference;
	struct owner_opener *opener = NULL;
	bulla_bytes record;
	BULLA_AUTO_BUF payload;
	bulla_rc rc;
	int code;

	bulla_buf_init(&payload, BULLA_ENVELOPE_MAX);
	if (compiled == NULL || workflow == NULL) {
		say_error(context->cli, "epoch-old", NULL, "check out the project as it was then",
			"the run belongs to another epoch or project");
		return EXIT_REFUSED;
	}
	code = parse_reference(context, workflow, text, &reference);
	if (code != 0)
		return code;
	rc = run_bundle_receipt(bundle, reference.step, &record, &receipt);
	if (rc != BULLA_OK)
		return say_rc(context->cli, rc, text, "bulla show");
	const struct owner_wish wish = {.path = reference.path, .path_count = reference.path_count,
		.kind = BULLA_OUTCOME_IS_FAILURE(receipt.receipt.outcome) ? BULLA_ENVELOPE_FAILURE : BULLA_ENVELOPE_OUTPUT};
	rc = owner_opener_new(context, compiled, &bundle->header.slot.run, &opener);
	rc = rc == BULLA_OK ? owner_opener_open(opener, record, &envelopes, &objects, &wish, &payload) : rc;
	owner_opener_free(opener);
	if (rc != BULLA_OK)
		return say_rc(context->cli, rc, text, rc == BULLA_E_NOT_ADDRESSED ? "ask the owner, or add it to `see`" : "bulla verify");
	fwrite(payload.p, 1, payload.n, stdout);
	fputc('\n', stdout);
	return 0;
}

int cmd_open(struct cli *cli)
{
	struct context context;
	struct client *client = NULL;
	struct run_bundle bundle;
	int code;

	code = run_bundle_open(cli, &context, &client, &bundle);
	code = code == 0 ? print_part(&context, &bundle, cli->arg_count > 1 ? cli->args[1] : "result") : code;
	run_bundle_done(&bundle);
	client_close(client);
	context_done(&context);
	return code;
}
