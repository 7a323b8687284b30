#include "cmd/run_bundle.h"

#include "cmd/names.h"
#include "cmd/owner.h"
#include "receipt/instance.h"
#include "seal/envelope.h"
#include "seal/link.h"
#include "verify/verify.h"
#include "wire/kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PIECE 65536
#define SETTLE_TRIES 100 /* 10 s: the last record of a run that has just ended is on its way to the disk */
#define SETTLE_NS 100000000

/* One reading of a bundle: the verifier and the collector see the same bytes. */
struct reading {
	struct context *context;
	const struct run_wish *wish;
	const bulla_run_id *run; /* NULL: whatever the file is of */
	struct run_bundle *b;
	struct bulla_verify *verify;
	struct bulla_bundle_reader *reader;
	bool damaged; /* nothing more is collected: the verifier says what is wrong */
	int code;     /* not 0: was said */
};

struct run_bundle_sink {
	run_bundle_take *take;
	void *ctx;
};

/* --- what is kept --- */

static bulla_rc keep(struct run_bundle *b, bulla_bytes body, bulla_bytes *list, size_t *count)
{
	void *copy = NULL;

	if (*count == RUN_BUNDLE_ITEMS)
		return BULLA_FAIL(BULLA_E_LIMIT, "this would take more than 65,536 records of the bundle; name a step");
	if (body.n > b->arena.max - b->arena.used)
		return BULLA_FAIL(BULLA_E_LIMIT, "this would take more than 64 MiB of the bundle; name a step");
	BULLA_TRY(arena_alloc(&b->arena, body.n, &copy));
	bulla_copy(copy, body.p, body.n);
	list[(*count)++] = bulla_bytes_of(copy, body.n);
	return BULLA_OK;
}

static bulla_rc keep_object(struct run_bundle *b, uint64_t kind, bulla_bytes id, bulla_bytes body)
{
	const struct bulla_msg_object object = {.kind = kind, .id = id, .body = body};
	bulla_bytes message;
	bulla_wr w;

	bulla_buf_clear(&b->scratch);
	w = bulla_wr_buf(&b->scratch);
	bulla_msg_encode(&bulla_msg_object_desc, &object, &w);
	BULLA_TRY(bulla_wr_end(&w, &message));
	return keep(b, message, b->objects, &b->object_count);
}

static bulla_rc keep_instance(struct run_bundle *b, bulla_bytes body)
{
	struct bulla_instance instance;
	bulla_digest kid;

	BULLA_TRY(bulla_instance_decode(body, &instance));
	bulla_instance_kid(&instance, &kid);
	return keep_object(b, BULLA_OBJECT_INSTANCE, bulla_bytes_digest(&kid), body);
}

static bulla_rc keep_link(struct run_bundle *b, bulla_bytes body)
{
	struct bulla_link_body link;
	bulla_link_id id;

	BULLA_TRY(bulla_link_peek(body, &link, &id));
	return keep_object(b, BULLA_OBJECT_LINK, BULLA_BYTES_ARRAY(id.b), body);
}

static bool is_wished(const struct run_bundle *b, const struct bulla_slot *slot)
{
	return b->step == 0 || slot->step == b->step;
}

static bulla_rc keep_receipt(struct run_bundle *b, bulla_bytes body)
{
	struct bulla_receipt_record record;

	BULLA_TRY(bulla_receipt_record_decode(body, &record));
	return is_wished(b, &record.receipt.position.slot) ? keep(b, body, b->receipts, &b->receipt_count) : BULLA_OK;
}

static bulla_rc keep_envelope(struct run_bundle *b, bulla_bytes body)
{
	struct bulla_envelope envelope;

	BULLA_TRY(bulla_envelope_parse(body, &envelope));
	if (!is_wished(b, &envelope.position.slot) || (envelope.kind == BULLA_ENVELOPE_LOG) != b->logs)
		return BULLA_OK;
	return keep(b, body, b->envelopes, &b->envelope_count);
}

/* --- header and manifest: which workflow, which step --- */

static uint32_t find_step(const struct workflow *workflow, const char *name)
{
	size_t n = strcspn(name, ".");

	for (unsigned i = 0; i < workflow->step_count; i++)
		if (strlen(workflow->steps[i].name) == n && strncmp(workflow->steps[i].name, name, n) == 0)
			return i + 1;
	return n == 6 && strncmp(name, "result", 6) == 0 ? workflow->step_count : 0;
}

static int unknown_step(const struct reading *r)
{
	const struct workflow *workflow = r->b->workflow;
	char steps[200] = "";
	size_t n = 0;

	for (unsigned i = 0; i < workflow->step_count && n < sizeof(steps); i++)
		n += (size_t)snprintf(steps + n, sizeof(steps) - n, "%s%s", i == 0 ? "" : ", ", workflow->steps[i].name);
	say_error(r->context->cli, "not-found", NULL, steps, "workflow `%.40s` has no step `%.*s`", workflow->name,
		(int)strcspn(r->wish->step, "."), r->wish->step);
	return EXIT_NOT_FOUND;
}

/* Is this workflow of bulla.yaml the compiled one? Names of steps are told apart by what they run. */
static bool is_workflow(struct reading *r, const struct workflow *workflow, const struct bulla_flow *flow)
{
	bulla_handle mine = name_handle(r->context->name_key, "workflow", workflow->name);

	if (!bulla_handle_eq(&mine, &r->b->compiled->handle) || flow->step_count != workflow->step_count + 1)
		return false;
	for (unsigned i = 0; i < workflow->step_count; i++) {
		const char *agent = r->context->project.agents[workflow->steps[i].agent].name;
		uint16_t actor = flow->steps[i + 1].actor;

		mine = name_handle(r->context->name_key, "agent", agent);
		if (actor >= flow->actor_count || !bulla_bytes_eq(bulla_handle_view(&mine),
				BULLA_BYTES_ARRAY(flow->actors[actor].handle)))
			return false;
	}
	return true;
}

static bulla_rc find_workflow(struct reading *r)
{
	struct run_bundle *b = r->b;
	struct bulla_flow flow;

	b->compiled = bulla_manifest_workflow(&r->context->manifest, &b->header.slot.workflow);
	if (b->compiled == NULL)
		return BULLA_FAIL(BULLA_E_BUNDLE, "the run's manifest has not its workflow");
	BULLA_TRY(owner_plan(r->context, b->compiled, &flow));
	for (unsigned i = 0; i < r->context->project.workflow_count && b->workflow == NULL; i++)
		if (is_workflow(r, &r->context->project.workflows[i], &flow))
			b->workflow = &r->context->project.workflows[i];
	return BULLA_OK;
}

/* The run's manifest stands behind the header; the context's becomes it. Whether its approvers are to be believed, the
 * verifier says at the end. */
static bulla_rc on_manifest(struct reading *r, bulla_bytes body)
{
	struct context *context = r->context;
	struct bulla_manifest manifest;

	if (r->b->compiled != NULL)
		return BULLA_OK; /* of another epoch */
	BULLA_TRY(bulla_buf_append(&r->b->manifest_bytes, body));
	BULLA_TRY(bulla_manifest_decode(bulla_buf_view(&r->b->manifest_bytes), &manifest));
	r->b->manifest = context->manifest;
	context->manifest = manifest;
	BULLA_TRY(find_workflow(r));
	if (r->b->workflow == NULL) {
		say_error(context->cli, "epoch-old", NULL, "check out bulla.yaml as it was then",
			"the run is of epoch %llu; its workflow is not in bulla.yaml", (unsigned long long)manifest.epoch);
		r->code = EXIT_REFUSED;
		return BULLA_E_CANCELLED;
	}
	r->b->step = r->wish->step == NULL ? 0 : find_step(r->b->workflow, r->wish->step);
	r->code = r->wish->step != NULL && r->b->step == 0 ? unknown_step(r) : 0;
	return r->code == 0 ? BULLA_OK : BULLA_E_CANCELLED;
}

static bulla_rc on_header(struct reading *r, bulla_bytes body)
{
	BULLA_TRY(bulla_bundle_header_decode(body, &r->b->header));
	if (r->run == NULL || bulla_run_id_eq(&r->b->header.slot.run, r->run))
		return BULLA_OK;
	r->code = say_rc(r->context->cli, BULLA_FAIL(BULLA_E_POSITION_RUN, "the engine sent another run's bundle"), "engine",
		"do not trust this host");
	return BULLA_E_CANCELLED;
}

static bulla_rc on_item(struct reading *r, enum bulla_bundle_kind kind, bulla_bytes body)
{
	switch ((int)kind) {
	case BULLA_BUNDLE_HEADER:
		return on_header(r, body);
	case BULLA_BUNDLE_MANIFEST:
		return on_manifest(r, body);
	case BULLA_BUNDLE_INSTANCE:
		return keep_instance(r->b, body);
	case BULLA_BUNDLE_LINK:
		return keep_link(r->b, body);
	case BULLA_BUNDLE_RECEIPT:
		return keep_receipt(r->b, body);
	case BULLA_BUNDLE_ENVELOPE:
		return keep_envelope(r->b, body);
	default:
		return BULLA_OK;
	}
}

static bulla_rc collect(struct reading *r, bulla_bytes piece)
{
	enum bulla_bundle_kind kind;
	bulla_bytes body;
	bulla_rc rc = bulla_bundle_feed(r->reader, piece);

	while (rc == BULLA_OK && (rc = bulla_bundle_next(r->reader, &kind, &body)) == BULLA_OK)
		rc = on_item(r, kind, body);
	return rc == BULLA_E_AGAIN || rc == BULLA_E_CLOSED ? BULLA_OK : rc;
}

static bulla_rc on_piece(void *ctx, bulla_bytes piece)
{
	struct reading *r = ctx;
	bulla_rc rc;

	BULLA_TRY(bulla_verify_feed(r->verify, piece));
	rc = r->damaged ? BULLA_OK : collect(r, piece);
	if (rc == BULLA_E_LIMIT || rc == BULLA_E_MEMORY || r->code != 0)
		return rc;
	r->damaged = r->damaged || rc != BULLA_OK;
	return BULLA_OK;
}

/* --- where it comes from --- */

bulla_rc run_bundle_pieces(const char *path, run_bundle_take *take, void *ctx)
{
	uint8_t piece[PIECE];
	bulla_rc rc = BULLA_OK;
	ssize_t n = 1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? BULLA_FAIL(BULLA_E_NOT_FOUND, "there is no such file") :
		BULLA_FAIL_OS(BULLA_E_IO, "the file cannot be opened", errno);
	while (rc == BULLA_OK && n != 0) {
		n = read(fd, piece, sizeof(piece));
		if (n > 0)
			rc = take(ctx, bulla_bytes_of(piece, (size_t)n));
		else if (n < 0 && errno != EINTR)
			rc = BULLA_FAIL_OS(BULLA_E_IO, "the file cannot be read", errno);
	}
	close(fd);
	return rc;
}

/* The verifier and the collector take no more than this at a time. */
static bulla_rc hand_over(const struct run_bundle_sink *sink, bulla_bytes bytes)
{
	while (bytes.n > 0) {
		size_t some = bytes.n < PIECE ? bytes.n : PIECE;

		BULLA_TRY(sink->take(sink->ctx, bulla_bytes_of(bytes.p, some)));
		bytes = bulla_bytes_of(bytes.p + some, bytes.n - some);
	}
	return BULLA_OK;
}

/* All pieces but the last are events. */
static bulla_rc on_bundle_event(void *ctx, const struct bulla_frame *event)
{
	return hand_over(ctx, event->body);
}

bulla_rc run_bundle_stream(struct client *client, const bulla_run_id *run, run_bundle_take *take, void *ctx)
{
	const struct bulla_msg_fetch message = {.run_id = bulla_run_id_view(run)};
	struct run_bundle_sink sink = {take, ctx};
	const struct client_events events = {&sink, on_bundle_event, true};
	BULLA_AUTO_BUF last;
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes body;
	bulla_rc rc = BULLA_E_AGAIN;

	bulla_buf_init(&last, BULLA_MAX_MESSAGE);
	bulla_msg_encode(&bulla_msg_fetch_desc, &message, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	for (unsigned i = 0; i < SETTLE_TRIES && (rc == BULLA_E_AGAIN || rc == BULLA_E_BUSY); i++) {
		if (i > 0)
			nanosleep(&(const struct timespec){.tv_nsec = SETTLE_NS}, NULL);
		rc = client_call(client, BULLA_OP_BUNDLE, body, &events, 60000, &last);
	}
	return rc == BULLA_OK ? hand_over(&sink, bulla_buf_view(&last)) : rc;
}

int run_bundle_refused(const struct cli *cli, bulla_rc rc, const bulla_run_id *run)
{
	char name[BULLA_RUN_NAME_SIZE];

	bulla_run_id_name(run, name);
	if (rc == BULLA_E_STATE) {
		say_error(cli, "state", name, "bulla wait", "the run has not ended: its proof is not whole yet");
		return EXIT_AGAIN;
	}
	return say_rc(cli, rc, name, "bulla status");
}

static bulla_rc engine_pieces(struct reading *r, struct client *client)
{
	bulla_rc rc = run_bundle_stream(client, r->run, on_piece, r);

	if (rc != BULLA_OK && r->code == 0 && rc != BULLA_E_LIMIT && rc != BULLA_E_MEMORY)
		r->code = run_bundle_refused(r->context->cli, rc, r->run);
	return rc;
}

/* --- the whole --- */

static bulla_rc begin(struct run_bundle *b, bool logs)
{
	void *p[3] = {NULL, NULL, NULL};

	arena_init(&b->arena, RUN_BUNDLE_KEPT_MAX);
	bulla_buf_init(&b->scratch, BULLA_BUNDLE_BODY_MAX + 1024);
	bulla_buf_init(&b->manifest_bytes, BULLA_MAX_MANIFEST);
	b->logs = logs;
	for (size_t i = 0; i < 3; i++)
		BULLA_TRY(arena_alloc(&b->arena, RUN_BUNDLE_ITEMS * sizeof(bulla_bytes), &p[i]));
	b->receipts = p[0];
	b->envelopes = p[1];
	b->objects = p[2];
	return BULLA_OK;
}

/* Nothing is opened of a bundle that does not verify: an output that was never committed is no output. */
static bulla_rc read_all(struct reading *r, const char *path, struct client *client)
{
	struct bulla_verify_result result;
	struct bulla_trust trust;

	bulla_trust_of(&r->context->manifest, &trust);
	BULLA_TRY(begin(r->b, r->wish->logs));
	BULLA_TRY(bulla_bundle_reader_new(&r->reader));
	BULLA_TRY(bulla_verify_new(&trust, &r->verify));
	BULLA_TRY(path != NULL ? run_bundle_pieces(path, on_piece, r) : engine_pieces(r, client));
	BULLA_TRY(bulla_verify_end(r->verify, &result));
	if (result.verdict == BULLA_VERDICT_UNKNOWN_SIGNER && result.rc == BULLA_OK)
		result.rc = BULLA_FAIL(BULLA_E_APPROVALS, "those whom this project trusts did not approve the run's epoch");
	if (result.rc != BULLA_OK)
		r->code = say_rc(r->context->cli, result.rc, "the run's bundle does not verify", path != NULL ? "bulla verify FILE" :
			"bulla verify");
	return result.rc;
}

static int read_bundle(struct context *context, const char *path, struct client *client, const bulla_run_id *run,
	const struct run_wish *wish, struct run_bundle *ret)
{
	struct reading r = {.context = context, .wish = wish, .run = run, .b = ret};
	bulla_rc rc = read_all(&r, path, client);

	bulla_verify_free(r.verify);
	bulla_bundle_reader_free(r.reader);
	if (rc != BULLA_OK && r.code == 0)
		return say_rc(context->cli, rc, path == NULL ? "the run's bundle" : path, rc == BULLA_E_LIMIT ? "bulla show; then "
			"bulla logs RUN STEP" : "bulla bundle RUN");
	return r.code;
}

int run_bundle_open(struct cli *cli, struct context *context, struct client **client, const struct run_wish *wish,
	struct run_bundle *ret)
{
	bool is_file = cli->arg_count > 0 && access(cli->args[0], R_OK) == 0;
	bulla_run_id run;
	int code;

	bulla_zero(ret, sizeof(*ret));
	if (!is_file) {
		code = runs_open(context, cli, client);
		code = code == 0 ? runs_find(context, *client, cli->arg_count > 0 ? cli->args[0] : NULL, &run) : code;
		return code == 0 ? read_bundle(context, NULL, *client, &run, wish, ret) : code;
	}
	code = context_open(context, cli);
	code = code == 0 ? context_key(context, false) : code;
	code = code == 0 ? context_name_key(context, false) : code;
	code = code == 0 ? context_manifest(context) : code;
	return code == 0 ? read_bundle(context, cli->args[0], NULL, NULL, wish, ret) : code;
}

/* After everything that views the run's manifest; context_done frees the manifest itself, but not its bytes. */
void run_bundle_done(struct run_bundle *bundle)
{
	bulla_manifest_done(&bundle->manifest);
	bulla_buf_done(&bundle->manifest_bytes);
	arena_done(&bundle->arena);
	bulla_buf_done(&bundle->scratch);
}

bulla_rc run_bundle_receipt(const struct run_bundle *bundle, bulla_bytes *ret_record, struct bulla_receipt_record *ret)
{
	uint32_t attempt = 0;

	for (size_t i = 0; i < bundle->receipt_count; i++) {
		struct bulla_receipt_record record;

		BULLA_TRY(bulla_receipt_record_decode(bundle->receipts[i], &record));
		if (record.receipt.position.attempt <= attempt)
			continue;
		attempt = record.receipt.position.attempt;
		*ret = record;
		*ret_record = bundle->receipts[i];
	}
	return attempt > 0 ? BULLA_OK : BULLA_FAIL(BULLA_E_NOT_FOUND, "that step has no receipt in this run");
}
