/* bulla open [RUN|FILE] [REF]: what your key may read of a run (default: its result). */
#include "cmd/owner.h"
#include "cmd/run_bundle.h"

#include "wire/kinds.h"

#include <stdio.h>
#include <string.h>

/* The fields of `STEP.FIELD.FIELD`; false when there are too many or one is empty. */
static bool parse_fields(const char *text, bulla_bytes path[PROJECT_FIELDS_MAX], size_t *ret_count)
{
	const char *p = text + strcspn(text, ".");

	*ret_count = 0;
	while (*p == '.' && *ret_count < PROJECT_FIELDS_MAX) {
		size_t size = strcspn(p + 1, ".");

		if (size == 0)
			return false;
		path[(*ret_count)++] = bulla_bytes_of(p + 1, size);
		p += 1 + size;
	}
	return *p == '\0';
}

static bulla_rc open_part(struct context *context, const struct run_bundle *bundle, struct owner_wish *wish,
	struct bulla_buf *ret)
{
	const struct bulla_pb_list envelopes = bulla_pb_list_of(bundle->envelopes, bundle->envelope_count);
	const struct bulla_pb_list objects = bulla_pb_list_of(bundle->objects, bundle->object_count);
	struct bulla_receipt_record receipt;
	struct owner_opener *opener = NULL;
	bulla_bytes record;
	bulla_rc rc;

	BULLA_TRY(run_bundle_receipt(bundle, &record, &receipt));
	wish->kind = BULLA_OUTCOME_IS_FAILURE(receipt.receipt.outcome) ? BULLA_ENVELOPE_FAILURE : BULLA_ENVELOPE_OUTPUT;
	rc = owner_opener_new(context, bundle->compiled, &bundle->header.slot.run, &opener);
	rc = rc == BULLA_OK ? owner_opener_open(opener, record, &envelopes, &objects, wish, ret) : rc;
	owner_opener_free(opener);
	return rc;
}

static int print_part(struct context *context, const struct run_bundle *bundle, const char *text)
{
	bulla_bytes path[PROJECT_FIELDS_MAX];
	struct owner_wish wish = {.path = path};
	BULLA_AUTO_BUF payload;
	bulla_rc rc;

	bulla_buf_init(&payload, BULLA_ENVELOPE_MAX);
	if (!parse_fields(text, path, &wish.path_count)) {
		say_error(context->cli, "usage", NULL, "bulla open RUN STEP.FIELD", "`%.60s` is not STEP, STEP.FIELD or result", text);
		return EXIT_USAGE;
	}
	rc = open_part(context, bundle, &wish, &payload);
	if (rc != BULLA_OK)
		return say_rc(context->cli, rc, text, rc == BULLA_E_NOT_ADDRESSED ? "ask the owner, or add it to `see`" :
			rc == BULLA_E_NOT_FOUND ? "bulla show" : "bulla verify");
	if (context->cli->json)
		printf("{\"v\":1,\"t\":\"result\",\"result\":");
	fwrite(payload.p, 1, payload.n, stdout);
	printf(context->cli->json ? "}\n" : "\n");
	return 0;
}

int cmd_open(struct cli *cli)
{
	struct context context;
	struct client *client = NULL;
	struct run_bundle bundle;
	const struct run_wish wish = {.step = cli->arg_count > 1 ? cli->args[1] : "result"};
	int code = run_bundle_open(cli, &context, &client, &wish, &bundle);

	code = code == 0 ? print_part(&context, &bundle, wish.step) : code;
	run_bundle_done(&bundle);
	client_close(client);
	context_done(&context);
	return code;
}
