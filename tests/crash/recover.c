/* recover PROJECT WORKFLOW RUNS [apart | PAUSE-MS]: starts so many runs and follows them over a crash. Prints STARTED when all are
 * acknowledged; then, as soon as the engine has fewer than that open, what became of them. Times are of the monotonic
 * clock, in microseconds:
 *
 *   {"ready": us, "first": us, "half": us, "all": us, "done": n, "failed": n, "lost": n}
 *
 * ready: the engine answers again and has its broker; first, half, all: so many runs have ended. apart: nothing crashes, and
 * each run is started as by a program of its own, with links of its own. A number: nothing crashes, one run after the other with
 * a pause of so many milliseconds. */
#include "base/mem.h"
#include "cmd/local.h"
#include "cmd/names.h"
#include "cmd/owner.h"
#include "io/sys.h"
#include "receipt/receipt.h"
#include "wire/kinds.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define RUNS_MAX 65536u
#define ASK_MS 5
#define PATIENCE_US (INT64_C(300) * 1000000)

struct tool {
	struct context context;
	struct cli cli;
	const struct bulla_workflow *workflow;
	struct owner_starter *starter;
	struct bulla_msg_keys_reply keys;
	struct bulla_buf keys_memory, body, answer;
	struct client *client;
	char path[CONTEXT_PATH];
	bulla_run_id *runs;
	size_t count, done, failed, lost;
	bool apart;
	int pause_ms; /* -1: none, all at once */
	int64_t ready, first, half, all;
};

static int64_t now_us(void)
{
	return bulla_mono_us(bulla_sys_clock());
}

static int fail(bulla_rc rc, const char *where)
{
	unsigned count = 0;
	const struct bulla_trail_entry *trail = bulla_trail(&count);

	fprintf(stderr, "recover: %s: %s (%s)\n", where, bulla_rc_id(rc), count > 0 && trail[0].what != NULL ? trail[0].what : "");
	return 1;
}

static bulla_rc call(struct tool *t, enum bulla_op_number op, bulla_bytes body)
{
	bulla_buf_clear(&t->answer);
	return client_call(t->client, op, body, NULL, 30000, &t->answer);
}

static bulla_rc prepare(struct tool *t, const char *workflow)
{
	bulla_handle handle = name_handle(t->context.name_key, "workflow", workflow);

	for (size_t i = 0; i < t->context.manifest.workflow_count; i++)
		if (bulla_handle_eq(&t->context.manifest.workflows[i].handle, &handle))
			t->workflow = &t->context.manifest.workflows[i];
	if (t->workflow == NULL)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "there is no such workflow");
	bulla_buf_init(&t->keys_memory, 16 << 20);
	bulla_buf_init(&t->body, 16 << 20);
	bulla_buf_init(&t->answer, 16 << 20);
	path_join(t->path, t->context.runtime, "bullad.sock");
	BULLA_TRY(client_open(t->path, &t->client));
	BULLA_TRY(call(t, BULLA_OP_KEYS, (bulla_bytes){NULL, 0}));
	BULLA_TRY(bulla_buf_append(&t->keys_memory, bulla_buf_view(&t->answer)));
	BULLA_TRY(bulla_msg_decode(&bulla_msg_keys_reply_desc, bulla_buf_view(&t->keys_memory), &t->keys));
	return owner_starter_new(&t->context, t->workflow, &t->keys, &t->starter);
}

static bulla_rc start_one(struct tool *t, size_t i)
{
	bulla_buf_clear(&t->body);
	if (t->apart) {
		t->starter = owner_starter_free(t->starter);
		BULLA_TRY(owner_starter_new(&t->context, t->workflow, &t->keys, &t->starter));
	}
	BULLA_TRY(owner_starter_make(t->starter, BULLA_BYTES_LITERAL("\"x\""), NULL, false, &t->body, &t->runs[i]));
	return call(t, BULLA_OP_START, bulla_buf_view(&t->body));
}

/* Waits for its end: done, with a token? */
static bulla_rc count_end(struct tool *t, size_t i)
{
	struct bulla_msg_wait ask = {.run_id = bulla_run_id_view(&t->runs[i])};
	struct bulla_msg_run_result result;
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

	bulla_msg_wait_encode(&ask, &w);
	if (call(t, BULLA_OP_WAIT, bulla_bytes_of(memory, w.n)) != BULLA_OK) {
		t->lost++;
		return BULLA_OK;
	}
	BULLA_TRY(bulla_msg_decode(&bulla_msg_run_result_desc, bulla_buf_view(&t->answer), &result));
	if (result.state == BULLA_RUN_DONE && result.token.n > 0)
		t->done++;
	else
		t->failed++;
	return BULLA_OK;
}

static bulla_rc start_all(struct tool *t)
{
	for (size_t i = 0; i < t->count; i++)
		BULLA_TRY(start_one(t, i));
	return BULLA_OK;
}

static bulla_rc one_by_one(struct tool *t)
{
	for (size_t i = 0; i < t->count; i++) {
		BULLA_TRY(start_one(t, i));
		BULLA_TRY(count_end(t, i));
		(void)poll(NULL, 0, t->pause_ms);
	}
	return BULLA_OK;
}

static void note(const struct tool *t, const struct bulla_msg_status *status, int64_t *at, uint64_t open)
{
	(void)t;
	if (*at == 0 && status->runs_open <= open)
		*at = now_us();
}

/* Watches what is open. The counts begin anew with a new engine, so only what is open says how far it is. */
static bulla_rc watch(struct tool *t)
{
	int64_t until = now_us() + PATIENCE_US;
	bool gone = false;

	while (t->all == 0 && now_us() < until) {
		struct bulla_msg_status status;
		bulla_rc rc = t->client == NULL ? client_open(t->path, &t->client) : BULLA_OK;

		if (rc == BULLA_OK)
			rc = call(t, BULLA_OP_STATUS, (bulla_bytes){NULL, 0});
		if (rc == BULLA_OK)
			rc = bulla_msg_decode(&bulla_msg_status_desc, bulla_buf_view(&t->answer), &status);
		if (rc != BULLA_OK || !status.broker_up) {
			gone = true;
			if (rc != BULLA_OK)
				t->client = client_close(t->client);
		} else if (gone) {
			t->ready = t->ready == 0 ? now_us() : t->ready;
			note(t, &status, &t->first, t->count - 1);
			note(t, &status, &t->half, t->count / 2);
			note(t, &status, &t->all, 0);
		}
		(void)poll(NULL, 0, ASK_MS);
	}
	return t->all != 0 ? BULLA_OK : BULLA_FAIL(BULLA_E_TIMEOUT, "the runs do not end");
}

static bulla_rc count_ends(struct tool *t)
{
	for (size_t i = 0; i < t->count; i++)
		BULLA_TRY(count_end(t, i));
	return BULLA_OK;
}

static bulla_rc follow(struct tool *t, const char *workflow)
{
	void *p;

	BULLA_TRY(bulla_alloc(t->count, sizeof(*t->runs), &p));
	t->runs = p;
	BULLA_TRY(prepare(t, workflow));
	if (t->pause_ms >= 0)
		return one_by_one(t);
	BULLA_TRY(start_all(t));
	puts("STARTED");
	fflush(stdout);
	if (!t->apart)
		BULLA_TRY(watch(t));
	return count_ends(t);
}

int main(int argc, char **argv)
{
	static struct tool t;
	bulla_rc rc;
	int code;

	t.count = argc >= 4 ? strtoul(argv[3], NULL, 10) : 0;
	t.apart = argc == 5 && argv[4][0] == 'a';
	t.pause_ms = argc == 5 && !t.apart ? atoi(argv[4]) : -1;
	if (t.count == 0 || t.count > RUNS_MAX) {
		fputs("usage: recover PROJECT-DIR WORKFLOW RUNS [apart | PAUSE-MS]\n", stderr);
		return 2;
	}
	t.cli.dir = argv[1];
	t.cli.color = "never";
	code = context_open(&t.context, &t.cli);
	code = code == 0 ? context_key(&t.context, false) : code;
	code = code == 0 ? context_name_key(&t.context, false) : code;
	code = code == 0 ? context_manifest(&t.context) : code;
	if (code != 0)
		return code;
	rc = follow(&t, argv[2]);
	if (rc != BULLA_OK)
		return fail(rc, "a run");
	printf("{\"ready\": %lld, \"first\": %lld, \"half\": %lld, \"all\": %lld, \"done\": %zu, \"failed\": %zu, \"lost\": %zu}\n",
		(long long)t.ready, (long long)t.first, (long long)t.half, (long long)t.all, t.done, t.failed, t.lost);
	return t.done == t.count ? 0 : 1;
}
