#include "cmd/run_bundle.h"

#include "io/sys.h"
#include "receipt/instance.h"
#include "seal/link.h"
#include "verify/verify.h"
#include "wire/kinds.h"

#include <unistd.h>

#define BYTES_MAX ((size_t)60 << 20)

static bulla_rc add_object(struct run_bundle *b, uint64_t kind, bulla_bytes id, bulla_bytes body)
{
	const struct bulla_msg_object object = {.kind = kind, .id = id, .body = body};
	bulla_wr w = bulla_wr_buf(&b->objects);

	if (b->object_count == RUN_BUNDLE_ITEMS)
		return BULLA_FAIL(BULLA_E_LIMIT, "the bundle has too many links");
	bulla_msg_encode(&bulla_msg_object_desc, &object, &w);
	return bulla_wr_end(&w, &b->object_items[b->object_count++]);
}

static bulla_rc add_instance(struct run_bundle *b, bulla_bytes body)
{
	struct bulla_instance instance;
	bulla_digest kid;

	BULLA_TRY(bulla_instance_decode(body, &instance));
	bulla_instance_kid(&instance, &kid);
	return add_object(b, BULLA_OBJECT_INSTANCE, bulla_bytes_digest(&kid), body);
}

static bulla_rc add_link(struct run_bundle *b, bulla_bytes body)
{
	struct bulla_link_body link;
	bulla_link_id id;

	BULLA_TRY(bulla_link_peek(body, &link, &id));
	return add_object(b, BULLA_OBJECT_LINK, BULLA_BYTES_ARRAY(id.b), body);
}

/* The items' bodies are views of the file's bytes: each body is found again where the reader says it ends. */
static bulla_rc add_item(struct run_bundle *b, enum bulla_bundle_kind kind, bulla_bytes body)
{
	switch ((int)kind) {
	case BULLA_BUNDLE_HEADER:
		return bulla_bundle_header_decode(body, &b->header);
	case BULLA_BUNDLE_INSTANCE:
		return add_instance(b, body);
	case BULLA_BUNDLE_LINK:
		return add_link(b, body);
	case BULLA_BUNDLE_RECEIPT:
		if (b->receipt_count == RUN_BUNDLE_ITEMS)
			return BULLA_FAIL(BULLA_E_LIMIT, "the bundle has too many receipts");
		b->receipts[b->receipt_count++] = body;
		return BULLA_OK;
	case BULLA_BUNDLE_ENVELOPE:
		if (b->envelope_count == RUN_BUNDLE_ITEMS)
			return BULLA_FAIL(BULLA_E_LIMIT, "the bundle has too many envelopes");
		b->envelopes[b->envelope_count++] = body;
		return BULLA_OK;
	default:
		return BULLA_OK;
	}
}

static bulla_rc prepare(struct arena *arena, struct run_bundle *b)
{
	void *p[3] = {NULL, NULL, NULL};

	for (size_t i = 0; i < 3; i++)
		BULLA_TRY(arena_alloc(arena, RUN_BUNDLE_ITEMS * sizeof(bulla_bytes), &p[i]));
	b->receipts = p[0];
	b->envelopes = p[1];
	b->object_items = p[2];
	return bulla_buf_reserve(&b->objects, b->bytes.n + 65536); /* items are views: it must not move */
}

/* Keeps a copy of every body in the arena: the reader's own memory is reused. */
static bulla_rc parse(struct arena *arena, struct run_bundle *b)
{
	struct bulla_bundle_reader *reader = NULL;
	bulla_bytes left = bulla_buf_view(&b->bytes);
	bulla_rc rc;

	BULLA_TRY(prepare(arena, b));
	BULLA_TRY(bulla_bundle_reader_new(&reader));
	rc = BULLA_E_AGAIN;
	while (rc == BULLA_E_AGAIN && left.n > 0) {
		size_t some = left.n < 65536 ? left.n : 65536;
		enum bulla_bundle_kind kind;
		bulla_bytes body;

		rc = bulla_bundle_feed(reader, bulla_bytes_of(left.p, some));
		left = bulla_bytes_of(left.p + some, left.n - some);
		while (rc == BULLA_OK && (rc = bulla_bundle_next(reader, &kind, &body)) == BULLA_OK) {
			const char *copy = NULL;

			rc = arena_text(arena, body, &copy);
			rc = rc == BULLA_OK ? add_item(b, kind, bulla_bytes_of(copy, body.n)) : rc;
		}
	}
	if (rc == BULLA_E_AGAIN || rc == BULLA_E_CLOSED)
		rc = bulla_bundle_ended(reader);
	bulla_bundle_reader_free(reader);
	return rc;
}

static void begin(struct run_bundle *ret)
{
	bulla_zero(ret, sizeof(*ret));
	bulla_buf_init(&ret->bytes, BYTES_MAX);
	bulla_buf_init(&ret->objects, BYTES_MAX + 65536);
}

bulla_rc run_bundle_read(struct arena *arena, const char *path, struct run_bundle *ret)
{
	begin(ret);
	BULLA_TRY(bulla_sys_read_file(path, &ret->bytes));
	return parse(arena, ret);
}

bulla_rc run_bundle_bytes(struct client *client, const bulla_run_id *run, struct bulla_buf *ret)
{
	const struct bulla_msg_fetch message = {.run_id = bulla_run_id_view(run)};
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes body;

	bulla_msg_encode(&bulla_msg_fetch_desc, &message, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	return client_call(client, BULLA_OP_BUNDLE, body, NULL, 60000, ret);
}

bulla_rc run_bundle_fetch(struct arena *arena, struct client *client, const bulla_run_id *run, struct run_bundle *ret)
{
	begin(ret);
	BULLA_TRY(run_bundle_bytes(client, run, &ret->bytes));
	return parse(arena, ret);
}

void run_bundle_done(struct run_bundle *bundle)
{
	bulla_buf_done(&bundle->bytes);
	bulla_buf_done(&bundle->objects);
}

bulla_rc run_bundle_receipt(const struct run_bundle *bundle, uint32_t step, bulla_bytes *ret_record,
	struct bulla_receipt_record *ret)
{
	uint32_t attempt = 0;

	for (size_t i = 0; i < bundle->receipt_count; i++) {
		struct bulla_receipt_record record;

		BULLA_TRY(bulla_receipt_record_decode(bundle->receipts[i], &record));
		if (record.receipt.position.slot.step != step || record.receipt.position.attempt <= attempt)
			continue;
		attempt = record.receipt.position.attempt;
		*ret = record;
		*ret_record = bundle->receipts[i];
	}
	return attempt > 0 ? BULLA_OK : BULLA_FAIL(BULLA_E_NOT_FOUND, "that step has no receipt in this run");
}

static int from_file(struct cli *cli, struct context *context, struct run_bundle *bundle)
{
	bulla_rc rc;
	int code = context_open(context, cli);

	code = code == 0 ? context_key(context, false) : code;
	code = code == 0 ? context_name_key(context, false) : code;
	code = code == 0 ? context_manifest(context) : code;
	if (code != 0)
		return code;
	rc = run_bundle_read(&context->arena, cli->args[0], bundle);
	return rc == BULLA_OK ? 0 : say_rc(cli, rc, cli->args[0], "bulla bundle RUN");
}

static int from_engine(struct cli *cli, struct context *context, struct client **client, struct run_bundle *bundle)
{
	bulla_run_id run;
	bulla_rc rc;
	int code = runs_open(context, cli, client);

	code = code == 0 ? runs_find(context, *client, cli->arg_count > 0 ? cli->args[0] : NULL, &run) : code;
	if (code != 0)
		return code;
	rc = run_bundle_fetch(&context->arena, *client, &run, bundle);
	if (rc == BULLA_OK && !bulla_run_id_eq(&bundle->header.slot.run, &run))
		rc = BULLA_FAIL(BULLA_E_POSITION_RUN, "the engine sent another run's bundle");
	return rc == BULLA_OK ? 0 : say_rc(cli, rc, "the run's bundle", rc == BULLA_E_STATE ? "bulla wait" : "bulla status");
}

/* Nothing is opened of a bundle that does not verify: an output that was never committed is no output. */
static int check_bundle(struct context *context, const struct run_bundle *bundle)
{
	struct bulla_verify_result result;
	struct bulla_verify *verify = NULL;
	struct bulla_trust trust;
	bulla_rc rc;

	bulla_trust_of(&context->manifest, &trust);
	rc = bulla_verify_new(&trust, &verify);
	rc = rc == BULLA_OK ? bulla_verify_feed(verify, bulla_buf_view(&bundle->bytes)) : rc;
	rc = rc == BULLA_OK ? bulla_verify_end(verify, &result) : rc;
	bulla_verify_free(verify);
	if (rc == BULLA_OK && result.verdict == BULLA_VERDICT_REFUSED)
		rc = result.rc;
	return rc == BULLA_OK ? 0 : say_rc(context->cli, rc, "the run's bundle does not verify", "bulla verify");
}

int run_bundle_open(struct cli *cli, struct context *context, struct client **client, struct run_bundle *ret)
{
	int code;

	bulla_zero(ret, sizeof(*ret));
	if (cli->arg_count > 0 && access(cli->args[0], R_OK) == 0)
		code = from_file(cli, context, ret);
	else
		code = from_engine(cli, context, client, ret);
	return code == 0 ? check_bundle(context, ret) : code;
}
