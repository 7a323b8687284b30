#include "cmd/runs.h"

#include "cmd/local.h"

#include <stdio.h>
#include <string.h>

const char *runs_state(uint64_t state)
{
	static const char *const words[] = {"?", "open", "done", "failed", "cancelled", "erased", "stuck"};

	return state < sizeof(words) / sizeof(words[0]) ? words[state] : "?";
}

const char *runs_stuck(uint64_t state, uint64_t outcome)
{
	return state == BULLA_RUN_STUCK && outcome > 0 && outcome < BULLA_RC_COUNT ? bulla_rc_id((bulla_rc)outcome) : NULL;
}

int runs_open(struct context *context, struct cli *cli, struct client **ret)
{
	int code = context_open(context, cli);

	code = code == 0 ? context_key(context, false) : code;
	code = code == 0 ? context_name_key(context, false) : code;
	code = code == 0 ? context_manifest(context) : code;
	return code == 0 ? local_engine(context, ret) : code;
}

static bulla_rc ask(struct client *client, const char *name, struct bulla_buf *answer, struct bulla_msg_listing *ret)
{
	const struct bulla_msg_list list = {.limit = name == NULL ? 1 : 2,
		.prefix = name == NULL ? (bulla_bytes){NULL, 0} : bulla_bytes_str(name)};
	uint8_t memory[256];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes body;

	bulla_msg_encode(&bulla_msg_list_desc, &list, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	BULLA_TRY(client_call(client, BULLA_OP_LIST, body, NULL, 10000, answer));
	return bulla_msg_decode(&bulla_msg_listing_desc, bulla_buf_view(answer), ret);
}

int runs_find(struct context *context, struct client *client, const char *name, bulla_run_id *ret)
{
	struct bulla_msg_listing listing;
	struct bulla_msg_run_row row;
	BULLA_AUTO_BUF answer;
	bulla_rc rc;

	bulla_buf_init(&answer, RUNS_ANSWER_MAX);
	if (name != NULL && (name[0] == '\0' || strlen(name) > 16)) {
		say_error(context->cli, "usage", NULL, "bulla ls", "a run's name has 1 to 16 characters");
		return EXIT_USAGE;
	}
	rc = ask(client, name, &answer, &listing);
	if (rc != BULLA_OK)
		return say_rc(context->cli, rc, "engine", "bulla status");
	if (listing.runs.count != 1) {
		say_error(context->cli, listing.runs.count == 0 ? "not-found" : "ambiguous", NULL, "bulla ls",
			listing.runs.count == 0 ? "there is no such run" : "several runs begin like that");
		return EXIT_NOT_FOUND;
	}
	rc = bulla_msg_decode(&bulla_msg_run_row_desc, bulla_pb_list_at(&listing.runs, 0), &row);
	rc = rc == BULLA_OK ? bulla_bytes_copy_exact(row.run_id, sizeof(ret->b), ret->b) : rc;
	if (rc == BULLA_OK && name != NULL && !bulla_run_id_has_name(ret, bulla_bytes_str(name)))
		rc = BULLA_FAIL(BULLA_E_POSITION_RUN, "the engine answers with another run than the one asked for");
	if (rc != BULLA_OK)
		return say_rc(context->cli, rc, "engine", rc == BULLA_E_POSITION_RUN ? "bulla ls; do not trust this host" : NULL);
	return 0;
}

int runs_get(struct context *context, struct client *client, const bulla_run_id *run, struct bulla_buf *ret_answer,
	struct bulla_msg_run_result *ret)
{
	const struct bulla_msg_wait message = {.run_id = bulla_run_id_view(run)};
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes body;
	bulla_rc rc;

	bulla_msg_encode(&bulla_msg_wait_desc, &message, &w);
	rc = bulla_wr_end(&w, &body);
	rc = rc == BULLA_OK ? client_call(client, BULLA_OP_GET, body, NULL, 10000, ret_answer) : rc;
	rc = rc == BULLA_OK ? bulla_msg_decode(&bulla_msg_run_result_desc, bulla_buf_view(ret_answer), ret) : rc;
	return rc == BULLA_OK ? 0 : say_rc(context->cli, rc, "engine", "bulla status");
}
