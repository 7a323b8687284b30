/* bulla logs [RUN] [STEP]: what agents wrote to stderr, as far as your key may read it. */
#include "cmd/owner.h"
#include "cmd/plain.h"
#include "cmd/run_bundle.h"

#include "wire/kinds.h"

#include <stdio.h>
#include <string.h>

struct logs {
	struct context *context;
	const struct run_bundle *bundle;
	struct owner_opener *opener;
	const char *step; /* NULL: all */
	unsigned printed;
};

/* An agent's own words, a line each behind the step's name. */
static void print_lines(const char *step, uint32_t attempt, bulla_bytes text)
{
	while (text.n > 0) {
		const uint8_t *newline = memchr(text.p, '\n', text.n);
		size_t n = newline == NULL ? text.n : (size_t)(newline - text.p);

		printf("%s %u  ", step, attempt);
		plain_print(bulla_bytes_of(text.p, n), false, stdout);
		fputc('\n', stdout);
		n += newline != NULL;
		text = bulla_bytes_of(text.p + n, text.n - n);
	}
}

static void print_json(const char *step, uint32_t attempt, bulla_bytes text)
{
	printf("{\"v\":1,\"t\":\"log\",\"step\":");
	json_string(step);
	printf(",\"try\":%u,\"text\":", attempt);
	json_bytes(text);
	printf("}\n");
}

static bulla_rc print_one(struct logs *l, bulla_bytes record_bytes)
{
	const struct bulla_pb_list envelopes = bulla_pb_list_of(l->bundle->envelopes, l->bundle->envelope_count);
	const struct bulla_pb_list objects = bulla_pb_list_of(l->bundle->objects, l->bundle->object_count);
	const struct owner_wish wish = {.kind = BULLA_ENVELOPE_LOG};
	struct bulla_receipt_record record;
	BULLA_AUTO_BUF payload;
	uint32_t step;
	bulla_rc rc;

	bulla_buf_init(&payload, BULLA_ENVELOPE_MAX);
	BULLA_TRY(bulla_receipt_record_decode(record_bytes, &record));
	step = record.receipt.position.slot.step;
	if (step == 0 || step > l->bundle->workflow->step_count)
		return BULLA_OK;
	rc = owner_opener_open(l->opener, record_bytes, &envelopes, &objects, &wish, &payload);
	if (rc != BULLA_OK)
		return rc == BULLA_E_NOT_FOUND || rc == BULLA_E_ARGUMENT ? BULLA_OK : rc; /* it wrote nothing */
	(l->context->cli->json ? print_json : print_lines)(l->bundle->workflow->steps[step - 1].name,
		record.receipt.position.attempt, bulla_buf_view(&payload));
	l->printed++;
	return BULLA_OK;
}

static int print_all(struct logs *l)
{
	const struct run_bundle *bundle = l->bundle;
	bulla_rc rc = owner_opener_new(l->context, bundle->compiled, &bundle->header.slot.run, &l->opener);

	for (size_t i = 0; i < bundle->receipt_count && rc == BULLA_OK; i++)
		rc = print_one(l, bundle->receipts[i]);
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
	const struct run_wish wish = {.step = cli->arg_count > 1 ? cli->args[1] : NULL, .logs = true};
	struct logs logs = {.context = &context, .bundle = &bundle, .step = wish.step};
	int code = run_bundle_open(cli, &context, &client, &wish, &bundle);

	code = code == 0 ? print_all(&logs) : code;
	run_bundle_done(&bundle);
	client_close(client);
	context_done(&context);
	return code;
}
