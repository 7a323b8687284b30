#include "engine/town.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/hash.h"
#include "engine/spans.h"
#include "manifest/manifest.h"
#include "receipt/keys.h"

#define MUST(call) \
	do { \
		if ((call) != BULLA_OK) \
			abort(); \
	} while (0)

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* --- queues --- */

static void push(struct town_queue *q, bulla_engine_peer peer, uint8_t op, uint16_t flags, uint32_t stream,
	bulla_bytes body)
{
	struct town_frame *f = &q->frames[(q->head + q->count) % TOWN_QUEUE];

	must(q->count < TOWN_QUEUE);
	q->count++;
	if (f->body.max == 0)
		bulla_buf_init(&f->body, 1 << 22);
	f->body.n = 0;
	f->peer = peer;
	f->op = op;
	f->flags = flags;
	f->stream = stream;
	MUST(bulla_buf_append(&f->body, body));
}

static struct town_frame *pop(struct town_queue *q)
{
	struct town_frame *f = &q->frames[q->head];

	if (q->count == 0)
		return NULL;
	q->head = (q->head + 1) % TOWN_QUEUE;
	q->count--;
	return f;
}

/* --- effects --- */

/* The town's own allocations are not the engine's. */
static void push_out(struct town *town, bulla_engine_peer peer, uint8_t op, uint16_t flags, uint32_t stream,
	bulla_bytes body)
{
	uint64_t before = bulla_alloc_count();

	push(&town->out, peer, op, flags, stream, body);
	town->own_allocs += bulla_alloc_count() - before;
}

static bulla_rc effect_call(void *ctx, bulla_engine_peer peer, enum bulla_op_number op, uint32_t stream, bulla_bytes body)
{
	struct town *town = ctx;

	if (op == BULLA_OP_EXECUTE && town->busy > 0) {
		town->busy--;
		return BULLA_E_LIMIT;
	}
	push_out(town, peer, (uint8_t)op, 0, stream, body);
	return BULLA_OK;
}

static void effect_reply(void *ctx, bulla_engine_peer peer, enum bulla_op_number op, uint32_t stream, bulla_bytes body)
{
	struct town *town = ctx;

	push_out(town, peer, (uint8_t)op, BULLA_ENGINE_REPLY, stream, body);
}

static void effect_event(void *ctx, bulla_engine_peer peer, enum bulla_op_number op, uint32_t stream, bulla_bytes body)
{
	struct town *town = ctx;

	push_out(town, peer, (uint8_t)op, BULLA_ENGINE_EVENT, stream, body);
}

static void effect_error(void *ctx, bulla_engine_peer peer, enum bulla_op_number op, uint32_t stream, bulla_rc rc,
	uint64_t retry_ms)
{
	struct town *town = ctx;

	(void)retry_ms;
	push_out(town, peer, (uint8_t)op, BULLA_ENGINE_REPLY | BULLA_ENGINE_ERROR, stream,
		bulla_bytes_str(bulla_rc_id(rc)));
}

static bulla_rc effect_append(void *ctx, bulla_bytes records, uint32_t count, bool urgent)
{
	struct town *town = ctx;
	bulla_rd r = bulla_rd_of(records);
	uint64_t before_all = bulla_alloc_count();

	for (uint32_t i = 0; i < count; i++) {
		struct town_record *place = &town->records[town->submitted++];
		struct bulla_journal_record record;
		size_t before = r.at;

		must(town->submitted < TOWN_RECORDS);
		MUST(bulla_journal_record_next(&r, &record));
		if (place->bytes.max == 0)
			bulla_buf_init(&place->bytes, 1 << 21);
		place->bytes.n = 0;
		MUST(bulla_buf_append(&place->bytes, bulla_bytes_of(records.p + before, r.at - before)));
		place->last = i + 1 == count;
		place->urgent = urgent;
	}
	town->own_allocs += bulla_alloc_count() - before_all;
	return bulla_rd_end(&r);
}

static void effect_arm(void *ctx, int64_t due_ms)
{
	struct town *town = ctx;

	town->arm = due_ms;
}

/* The librarian answers at once: what is durable can be read back. */
static bulla_rc find_row(struct town *town, bulla_bytes id, struct bulla_rec_row *ret)
{
	bulla_rd r = bulla_rd_of(bulla_buf_view(&town->told));
	bulla_rc rc = BULLA_E_NOT_FOUND;

	while (bulla_rd_left(&r) > 0) {
		uint32_t n;
		bulla_bytes bytes;
		struct bulla_rec_row row;

		MUST(bulla_rd_u32le(&r, &n));
		MUST(bulla_rd_bytes(&r, n, &bytes));
		MUST(bulla_rec_row_read(bytes, &row));
		if (rc != BULLA_OK && bulla_bytes_eq(bulla_run_id_view(&row.run), id)) {
			*ret = row;
			rc = BULLA_OK;
		}
	}
	return rc;
}

/* Places in the town: segment 1, offset = bytes of the records before. */
static bulla_rc read_at(void *ctx, struct bulla_engine_place place, struct bulla_buf *memory, struct bulla_journal_record *ret)
{
	struct town *town = ctx;
	size_t at = 0, index = 0;
	bulla_rd r;

	while (at < place.offset)
		at += town->records[index++].bytes.n;
	must(at == place.offset && town->records[index].bytes.n == place.bytes);
	MUST(bulla_buf_append(memory, bulla_buf_view(&town->records[index].bytes)));
	town->read_bytes += place.bytes;
	r = bulla_rd_of(bulla_buf_view(memory));
	return bulla_journal_record_next(&r, ret);
}

static bulla_rc effect_ask(void *ctx, uint64_t ticket, enum bulla_engine_question question, bulla_bytes arg)
{
	struct town *town = ctx;
	const struct bulla_spans_reader reader = {town, read_at};
	bool of_run = question == BULLA_ENGINE_FIND_RUN || question == BULLA_ENGINE_LOAD_RUN || question == BULLA_ENGINE_INDEX_RUN;
	struct bulla_rec_row row = {.run_no = 0};
	BULLA_AUTO_BUF body = {.max = 1 << 22};
	struct bulla_engine_input input = {
		.kind = BULLA_ENGINE_LOADED, .ticket = ticket, .question = question, .now_ms = town->now};
	uint64_t before = bulla_alloc_count();

	if (town->busy_asks > 0) {
		town->busy_asks--;
		return BULLA_E_BUSY;
	}
	input.rc = of_run ? find_row(town, arg, &row) : BULLA_OK;
	if (input.rc == BULLA_OK && question != BULLA_ENGINE_LIST_RUNS && question != BULLA_ENGINE_FIND_RUN)
		input.rc = bulla_spans_answer(&reader, question, arg, &row, &body);
	if (body.n > town->most_loaded)
		town->most_loaded = body.n;
	/* the answer comes later: through the queue, as a frame that is none */
	bulla_wr w = bulla_wr_buf(&body);

	bulla_wr_u64le(&w, ticket);
	bulla_wr_u32le(&w, (uint32_t)question);
	bulla_wr_u32le(&w, (uint32_t)input.rc);
	push(&town->in, 0, 0, 0, 0, bulla_buf_view(&body));
	town->own_allocs += bulla_alloc_count() - before;
	return BULLA_OK;
}

static bulla_rc effect_tell(void *ctx, enum bulla_engine_question question, bulla_bytes arg)
{
	struct town *town = ctx;
	bulla_wr w = bulla_wr_buf(&town->told);
	uint64_t before = bulla_alloc_count();

	if (question != BULLA_ENGINE_PUT_ROW)
		return BULLA_OK;
	bulla_wr_u32le(&w, (uint32_t)arg.n);
	bulla_wr_bytes(&w, arg);
	town->rows++;
	town->own_allocs += bulla_alloc_count() - before;
	return w.rc;
}

static void effect_note(void *ctx, enum bulla_engine_note note, uint64_t number)
{
	(void)ctx;
	(void)note;
	(void)number;
}

/* --- input --- */

static void step(struct town *town, struct bulla_engine_input *input)
{
	uint64_t before = bulla_alloc_count(), own = town->own_allocs;

	input->now_ms = town->now;
	input->wall_ms = town->now + town->skew;
	MUST(bulla_engine_step(town->engine, input));
	town->engine_allocs += bulla_alloc_count() - before - (town->own_allocs - own);
}

static void peer_event(struct town *town, enum bulla_engine_input_kind kind, bulla_engine_peer peer, enum bulla_role role)
{
	struct bulla_engine_input input = {.kind = kind, .peer = peer, .role = role};

	step(town, &input);
}

static void give(struct town *town, struct town_frame *f)
{
	struct bulla_engine_input input = {.kind = BULLA_ENGINE_FRAME,
		.peer = f->peer,
		.op = f->op,
		.flags = f->flags,
		.stream = f->stream,
		.body = bulla_buf_view(&f->body)};

	if (f->peer == 0) {
		bulla_rd r = bulla_rd_of(input.body);
		uint32_t question, rc;

		MUST(bulla_rd_skip(&r, f->body.n - 16));
		MUST(bulla_rd_u64le(&r, &input.ticket));
		MUST(bulla_rd_u32le(&r, &question));
		MUST(bulla_rd_u32le(&r, &rc));
		input.kind = BULLA_ENGINE_LOADED;
		input.question = (enum bulla_engine_question)question;
		input.rc = (bulla_rc)rc;
		input.body.n -= 16;
	}
	step(town, &input);
}

/* --- the ledger's table with the town's real digests --- */

static bulla_rc world_plan(void *ctx, const bulla_digest *manifest, const bulla_digest *workflow,
	struct bulla_ledger_plan *ret)
{
	struct town *town = (struct town *)(void *)((uint8_t *)ctx - offsetof(struct town, world));

	if (!bulla_digest_eq(manifest, &town->manifest_digest) || !bulla_digest_eq(workflow, &town->workflow))
		return BULLA_E_NOT_FOUND;
	*ret = (struct bulla_ledger_plan){town->flow, sim_handle('t'), 5};
	return BULLA_OK;
}

static bulla_rc world_serves(void *ctx, const bulla_digest *session, const bulla_digest *run)
{
	(void)ctx;
	return bulla_digest_eq(session, run) ? BULLA_OK : BULLA_E_EPOCH_OLD;
}

static bulla_rc world_head(void *ctx, const struct bulla_run_head *head, struct bulla_buf *ret)
{
	(void)ctx;
	return bulla_buf_append(ret, bulla_bytes_digest(&head->root));
}

void town_write_manifest(struct town *town, uint64_t epoch, bulla_wr *w, bulla_bytes *ret)
{
	struct bulla_sign_key *key;
	struct bulla_verify_key *verify;
	struct bulla_approver approver = {0};
	struct bulla_workflow workflow = {.plan = town->flow->bytes};
	struct bulla_manifest m = {.suite = 1, .mode = 1, .epoch = epoch, .need = 1, .approvers = &approver, .approver_count = 1,
		.workflows = &workflow, .workflow_count = 1, .assurance = 1, .tenant = sim_handle('t')};

	MUST(test_key(0, &key, &verify));
	approver.spki = bulla_sign_key_spki(key);
	bulla_manifest_sort(&m);
	MUST(bulla_manifest_encode(&m, w));
	MUST(bulla_wr_end(w, ret));
	bulla_verify_key_free(verify);
	bulla_sign_key_free(key);
}

static void make_manifest(struct town *town)
{
	bulla_wr w = bulla_wr_fixed(town->manifest_bytes, sizeof(town->manifest_bytes));

	town_write_manifest(town, 5, &w, &town->manifest);
	bulla_sha256(town->manifest, &town->manifest_digest);
	bulla_sha256(town->flow->bytes, &town->workflow);
}

static void new_engine(struct town *town)
{
	struct bulla_engine_options options = {.now_ms = town->now, .wall_ms = town->now + town->skew, .residents = 1024,
		.piece_bytes = town->piece_bytes, .load_bytes = town->load_bytes,
		.facts_max = town->facts_max};
	struct bulla_engine_effects effects = {town,	     effect_call, effect_reply, effect_event, effect_error,
		effect_append, effect_arm,  effect_ask,	effect_tell,  effect_note};

	MUST(bulla_engine_new(&options, &effects, &town->engine));
	MUST(bulla_engine_manifest(town->engine, town->manifest, NULL, 0));
}

void town_open(struct town *town, const struct bulla_flow *(*flow)(struct flows *))
{
	struct bulla_ledger_options options = {.residents = town->without_engine ? 0 : 1024, .sessions = 256,
						.record_page = town->record_page};

	bool without_engine = town->without_engine;
	size_t piece_bytes = town->piece_bytes, load_bytes = town->load_bytes;
	uint32_t facts_max = town->facts_max;

	bulla_zero(town, sizeof(*town));
	town->without_engine = without_engine;
	town->piece_bytes = piece_bytes;
	town->load_bytes = load_bytes;
	town->facts_max = facts_max;
	town->record_page = options.record_page;
	town->now = town->base = TOWN_NOW;
	town->arm = INT64_MAX;
	sim_world_init(&town->world);
	town->flow = flow(&town->flows);
	if (facts_max > 0)
		town->flows.decoded.facts_max = facts_max;
	make_manifest(town);
	options.world = sim_world_table(&town->world);
	options.world.plan = world_plan;
	options.world.serves = world_serves;
	options.world.make_head = world_head;
	MUST(bulla_ledger_new(&options, &town->ledger));
	bulla_buf_init(&town->told, 1 << 22);
	bulla_buf_init(&town->result_body, 1 << 22);
	bulla_buf_init(&town->pieces, 1 << 22);
	if (!town->without_engine) {
		new_engine(town);
		town_broker_up(town);
	}
}

void town_close(struct town *town)
{
	bulla_engine_free(town->engine);
	bulla_ledger_free(town->ledger);
	sim_world_done(&town->world);
	for (size_t i = 0; i < TOWN_QUEUE; i++) {
		bulla_buf_done(&town->in.frames[i].body);
		bulla_buf_done(&town->out.frames[i].body);
	}
	for (size_t i = 0; i < TOWN_RECORDS; i++)
		bulla_buf_done(&town->records[i].bytes);
	for (size_t i = 0; i < TOWN_ENCLAVES; i++)
		bulla_buf_done(&town->enclaves[i].outbox);
	bulla_buf_done(&town->told);
	bulla_buf_done(&town->result_body);
	bulla_buf_done(&town->pieces);
}

/* --- peers --- */

void town_broker_up(struct town *town)
{
	town->broker_up = true;
	peer_event(town, BULLA_ENGINE_PEER_UP, TOWN_BROKER, BULLA_ROLE_BROKER);
	peer_event(town, BULLA_ENGINE_PEER_UP, TOWN_CLIENT, BULLA_ROLE_CLIENT);
}

void town_broker_down(struct town *town)
{
	town->broker_up = false;
	peer_event(town, BULLA_ENGINE_PEER_DOWN, TOWN_BROKER, BULLA_ROLE_BROKER);
}

void town_write_instance(struct town *town, const struct town_enclave *enclave, struct bulla_buf *ret)
{
	bulla_digest kid = sim_instance(enclave->letter);
	uint8_t id[BULLA_SESSION_ID_BYTES];
	bulla_handle handles[8];
	bulla_bytes agents[8];
	struct bulla_msg_instance m = {.kid = bulla_bytes_digest(&kid),
		.session = BULLA_BYTES_ARRAY(id),
		.record = BULLA_BYTES_LITERAL("instance record"),
		.window = enclave->window,
		.manifest = bulla_bytes_digest(&town->manifest_digest)};
	struct bulla_ledger_session session = {
		.instance = kid, .manifest = town->manifest_digest, .lapses_ms = TOWN_NOW + 360000000};
	bulla_wr w = bulla_wr_buf(ret);
	size_t n = 0;

	for (; enclave->agents[n]; n++) {
		handles[n] = sim_handle((uint8_t)enclave->agents[n]);
		agents[n] = bulla_handle_view(&handles[n]);
	}
	sim_session_id(enclave->session, id);
	bulla_copy(session.id, id, sizeof(id));
	session.agents = bulla_bytes_of(handles, n * sizeof(handles[0]));
	MUST(bulla_ledger_session_add(town->ledger, &session));
	m.agents = bulla_pb_list_of(agents, n);
	bulla_msg_instance_encode(&m, &w);
	MUST(w.rc);
}

static void introduce(struct town *town, struct town_enclave *enclave)
{
	BULLA_AUTO_BUF body = {.max = 4096};

	town_write_instance(town, enclave, &body);
	peer_event(town, BULLA_ENGINE_PEER_UP, enclave->peer, BULLA_ROLE_ENCLAVE);
	push(&town->in, enclave->peer, BULLA_OP_INSTANCE, BULLA_ENGINE_EVENT, 0, bulla_buf_view(&body));
}

void town_enclave_refused(struct town *town, const struct town_enclave *enclave, bulla_rc why, const bulla_digest *manifest)
{
	uint8_t memory[256];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_msg_instance m = {.kid = bulla_bytes_digest(manifest), .manifest = bulla_bytes_digest(manifest),
		.why = (uint64_t)why};
	bulla_bytes body;

	bulla_msg_instance_encode(&m, &w);
	MUST(bulla_wr_end(&w, &body));
	push(&town->in, enclave->peer, BULLA_OP_INSTANCE, BULLA_ENGINE_EVENT, 0, body);
}

struct town_enclave *town_enclave(struct town *town, const char *agents)
{
	BULLA_AUTO_BUF ignored = {.max = 4096};
	struct town_enclave *enclave = &town->enclaves[town->enclave_count];

	*enclave = (struct town_enclave){.up = true,
		.peer = (bulla_engine_peer)(TOWN_ENCLAVE + town->enclave_count),
		.session = (uint32_t)town->enclave_count + 1,
		.letter = (uint8_t)('1' + town->enclave_count),
		.window = 4,
		.agents = agents};
	bulla_buf_init(&enclave->outbox, 1 << 20);
	town->enclave_count++;
	if (town->without_engine)
		town_write_instance(town, enclave, &ignored);
	else
		introduce(town, enclave);
	return enclave;
}

void town_enclave_down(struct town *town, struct town_enclave *enclave)
{
	enclave->up = false;
	peer_event(town, BULLA_ENGINE_PEER_DOWN, enclave->peer, BULLA_ROLE_ENCLAVE);
}

void town_enclave_up(struct town *town, struct town_enclave *enclave)
{
	enclave->up = true;
	enclave->peer += BULLA_MAX_PEERS;
	enclave->session += 16;
	enclave->letter = (uint8_t)(enclave->letter + 16);
	introduce(town, enclave);
}

void town_crash(struct town *town)
{
	size_t at = 0;

	bulla_engine_free(town->engine);
	town->submitted = town->durable;
	town->in.count = town->out.count = 0;
	town->told.n = 0;
	town->rows = 0;
	new_engine(town);
	for (size_t i = 0; i < town->durable; i++) {
		bulla_rd r = bulla_rd_of(bulla_buf_view(&town->records[i].bytes));
		struct bulla_journal_record record;

		MUST(bulla_journal_record_next(&r, &record));
		record.lsn = i + 1;
		MUST(bulla_engine_replay(town->engine, &record,
			(struct bulla_engine_place){1, (uint32_t)at, (uint32_t)r.n}));
		at += r.n;
	}
	for (size_t i = 0; i < town->enclave_count; i++) {
		town->enclaves[i].peer += BULLA_MAX_PEERS;
		if (town->enclaves[i].up)
			introduce(town, &town->enclaves[i]);
	}
	if (town->broker_up)
		town_broker_up(town);
}

/* --- clients --- */

bulla_run_id town_run_id(uint32_t number)
{
	uint8_t random[10];

	/* as good as random: the engine's filter of used ids lives from that */
	for (uint32_t i = 0; i < 6; i++)
		random[i] = (uint8_t)((number + 1) * 2654435761U >> (i * 4));
	random[6] = (uint8_t)(number >> 24);
	random[7] = (uint8_t)(number >> 16);
	random[8] = (uint8_t)(number >> 8);
	random[9] = (uint8_t)number;
	return bulla_run_id_make((uint64_t)TOWN_NOW, random);
}

void town_write_start(struct town *town, const bulla_run_id *run, bool follow, bulla_bytes envelope,
	struct bulla_buf *ret)
{
	uint8_t pair[BULLA_PAIR_BYTES] = {1}, secret[80] = {2}, payload[2048];
	struct bulla_start start = {.tenant = sim_handle('t'),
		.workflow = town->workflow,
		.manifest = town->manifest_digest,
		.run = *run,
		.party = sim_digest('o'),
		.inputs = BULLA_BYTES_ARRAY(pair),
		.day_key = sim_digest('d'),
		.secret = BULLA_BYTES_ARRAY(secret),
		.time_ms = (uint64_t)town->base + town->start_skew};
	struct bulla_auth auth = {.signature[0] = SIM_SIGNED};
	bulla_bytes view;
	struct bulla_msg_start m = {.envelopes = bulla_pb_list_of(&envelope, 1), .follow = follow};
	BULLA_AUTO_BUF record = {.max = 4096};
	bulla_wr w = bulla_wr_fixed(payload, sizeof(payload)), wr = bulla_wr_buf(&record), wb = bulla_wr_buf(ret);

	MUST(bulla_start_write(&w, &start));
	MUST(bulla_wr_end(&w, &view));
	bulla_start_record_write(&wr, view, &auth);
	m.record = bulla_buf_view(&record);
	bulla_msg_start_encode(&m, &wb);
	MUST(wb.rc);
}

void town_start(struct town *town, uint32_t number, bool follow)
{
	BULLA_AUTO_BUF body = {.max = 8192};
	bulla_run_id id = town_run_id(number);

	town_write_start(town, &id, follow, BULLA_BYTES_LITERAL("sealed input"), &body);
	push(&town->in, TOWN_CLIENT, BULLA_OP_START, 0, number, bulla_buf_view(&body));
}

void town_ask(struct town *town, uint8_t op, uint32_t number, bool follow)
{
	bulla_run_id id = town_run_id(number);
	struct bulla_msg_wait m = {.run_id = bulla_run_id_view(&id), .follow = follow};
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes body;

	bulla_msg_wait_encode(&m, &w);
	MUST(bulla_wr_end(&w, &body));
	push(&town->in, TOWN_CLIENT, op, 0, 100000 + number, body);
}

void town_say(struct town *town, uint8_t op, uint32_t stream, bulla_bytes body)
{
	push(&town->in, TOWN_CLIENT, op, 0, stream, body);
}

/* Nobody may take it for a result: no state, no token. */
static void receipt_ahead(struct town *town, bulla_bytes body)
{
	struct bulla_msg_run_result ahead;
	struct bulla_receipt_record receipt;

	MUST(bulla_msg_run_result_decode(body, &ahead));
	MUST(bulla_receipt_record_decode(bulla_pb_list_at(&ahead.receipts, 0), &receipt));
	must(ahead.state == BULLA_RUN_OPEN && ahead.token.n == 0);
	town->ahead++;
}

static void client_gets(struct town *town, struct town_frame *f)
{
	town->last_op = f->op;
	if (f->flags & BULLA_ENGINE_EVENT) {
		struct bulla_msg_run_event event;

		town->events++;
		if (bulla_msg_run_event_decode(bulla_buf_view(&f->body), &event) == BULLA_OK && event.state == BULLA_STEP_RETRYING)
			town->retried = (uint32_t)event.outcome;
		if (f->op == BULLA_OP_BUNDLE)
			MUST(bulla_buf_append(&town->pieces, bulla_buf_view(&f->body)));
		if (f->op == BULLA_OP_BUNDLE && !town->takes_nothing)
			push(&town->in, TOWN_CLIENT, f->op, BULLA_ENGINE_EVENT, f->stream, (bulla_bytes){NULL, 0});
		if (f->op == BULLA_OP_GET)
			receipt_ahead(town, bulla_buf_view(&f->body));
		return;
	}
	if (f->flags & BULLA_ENGINE_ERROR) {
		char id[64] = {0};

		bulla_copy(id, f->body.p, f->body.n);
		town->errors++;
		town->error = bulla_rc_from_id(id);
		return;
	}
	town->result_body.n = 0;
	if (f->op == BULLA_OP_BUNDLE)
		MUST(bulla_buf_append(&town->result_body, bulla_buf_view(&town->pieces)));
	town->pieces.n = 0;
	MUST(bulla_buf_append(&town->result_body, bulla_buf_view(&f->body)));
	if (bulla_msg_run_result_decode(bulla_buf_view(&town->result_body), &town->result) == BULLA_OK &&
		town->result.state != 0)
		town->results++;
	else if (f->op == BULLA_OP_START)
		town->started++;
}

/* --- enclaves --- */

static uint8_t next_outcome(struct town_enclave *enclave)
{
	if (enclave->fail_times == 0)
		return enclave->outcome;
	enclave->fail_times--;
	return BULLA_OUTCOME_FAILED;
}

void town_write_result(struct town *town, struct town_enclave *enclave, const struct bulla_permit *permit,
	bulla_bytes output, struct bulla_buf *ret)
{
	const struct bulla_flow_step *step = &town->flow->steps[permit->position.slot.step];
	struct bulla_receipt receipt = {.position = permit->position,
					.manifest = permit->manifest,
					.executor = BULLA_EXECUTOR_AGENT,
					.reuse = BULLA_REUSE_FRESH,
					.outcome = next_outcome(enclave),
					.agent = sim_digest(0x41),
					.kid = sim_instance(enclave->letter),
					.time_ms = permit->time_ms};
	uint8_t payload[BULLA_RECEIPT_BYTES];
	bulla_wr w = bulla_wr_fixed(payload, sizeof(payload));
	struct bulla_auth auth = {.signature[0] = SIM_SIGNED};
	struct bulla_pair pairs[8];
	uint8_t flat[8 * BULLA_PAIR_BYTES];
	bulla_bytes outputs[8], view;
	size_t count = BULLA_OUTCOME_IS_FAILURE(receipt.outcome) ? 0 : step->parts.count;
	BULLA_AUTO_BUF record = {.max = 8192};
	BULLA_AUTO_BUF commit = {.max = 1024};
	bulla_wr wr = bulla_wr_buf(&record), wb = bulla_wr_buf(ret), wf = bulla_wr_fixed(flat, sizeof(flat));
	struct bulla_commit c = {.position = permit->position, .outcome = receipt.outcome};
	struct bulla_msg_executed m = {.outcome = receipt.outcome, .took_us = 7};

	MUST(bulla_parents_root(permit->parents, &receipt.parents));
	for (size_t i = 0; i < count; i++) {
		outputs[i] = output;
		bulla_sha256(outputs[i], &pairs[i].envelope);
		pairs[i].commitment = sim_digest((uint8_t)i);
		bulla_wr_digest(&wf, &pairs[i].envelope);
		bulla_wr_digest(&wf, &pairs[i].commitment);
	}
	bulla_pairs_root(pairs, count, &receipt.outputs);
	bulla_pairs_root(pairs, 0, &receipt.inputs);
	bulla_receipt_write(&w, &receipt);
	MUST(bulla_wr_end(&w, &view));
	bulla_receipt_record_write(&wr, view, &auth, bulla_bytes_of(flat, wf.n), (bulla_bytes){NULL, 0});
	bulla_receipt_digest(&receipt, &c.receipt);
	sim_commit(&town->world, &c, enclave->session, true, &commit);
	m.receipt = bulla_buf_view(&record);
	m.commit = bulla_buf_view(&commit);
	m.outputs = bulla_pb_list_of(outputs, count);
	bulla_msg_executed_encode(&m, &wb);
	MUST(wb.rc);
}

static void enclave_gets(struct town *town, struct town_enclave *enclave, struct town_frame *f)
{
	struct bulla_msg_execute m;
	struct bulla_permit permit;
	uint8_t id[BULLA_SESSION_ID_BYTES];

	if (f->op == BULLA_OP_RESUME) {
		if (enclave->outbox.n > 0)
			push(&town->in, enclave->peer, BULLA_OP_EXECUTE, BULLA_ENGINE_REPLY | BULLA_ENGINE_EVENT, f->stream,
				bulla_buf_view(&enclave->outbox));
		push(&town->in, enclave->peer, BULLA_OP_RESUME, BULLA_ENGINE_REPLY, f->stream, (bulla_bytes){NULL, 0});
		return;
	}
	town->leaves += f->op == BULLA_OP_LEAVE;
	if (f->op == BULLA_OP_STORED)
		enclave->outbox.n = 0;
	if (f->op != BULLA_OP_EXECUTE || enclave->mute)
		return;
	MUST(bulla_msg_execute_decode(bulla_buf_view(&f->body), &m));
	enclave->objects += (uint32_t)m.objects.count;
	if (enclave->ask_need && m.objects.count == 0) {
		struct bulla_msg_need need = {.links = bulla_pb_list_of(&enclave->need, enclave->need.n > 0)};
		uint8_t memory[64];
		bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

		bulla_msg_need_encode(&need, &w);
		push(&town->in, enclave->peer, BULLA_OP_NEED, BULLA_ENGINE_REPLY, f->stream, bulla_bytes_of(memory, w.n));
		enclave->ask_need = false;
		return;
	}
	sim_session_id(enclave->session, id);
	MUST(bulla_permit_open(m.permit, id, town->world.mac, &permit));
	enclave->runs++;
	enclave->outbox.n = 0;
	town_write_result(town, enclave, &permit, town->output.n > 0 ? town->output : BULLA_BYTES_LITERAL("sealed output"),
		&enclave->outbox);
	push(&town->in, enclave->peer, BULLA_OP_EXECUTE, BULLA_ENGINE_REPLY, f->stream, bulla_buf_view(&enclave->outbox));
}

/* --- the broker --- */

/* One `tokens` message of what is durable and has no token yet; false: nothing. */
bool town_write_tokens(struct town *town, struct bulla_buf *ret)
{
	static struct bulla_ledger_commit commits[64];
	static uint8_t records[64][BULLA_TOKEN_RECORD_MAX], encoded[64][BULLA_TOKEN_RECORD_MAX + 128];
	struct bulla_auth auth = {.signature[0] = SIM_SIGNED};
	struct bulla_msg_tokens tokens;
	bulla_bytes items[64];
	bulla_wr wb = bulla_wr_buf(ret);
	size_t n = bulla_ledger_tokens(town->ledger, commits, 64);

	for (size_t i = 0; i < n; i++) {
		const struct bulla_token *token = &commits[i].token;
		bulla_wr wr = bulla_wr_fixed(records[i], sizeof(records[i]));
		bulla_wr wi = bulla_wr_fixed(encoded[i], sizeof(encoded[i]));
		struct bulla_msg_token_for m = {.run_id = bulla_run_id_view(&token->slot.run),
						.receipt = bulla_bytes_digest(&token->receipt)};

		bulla_token_record_write(&wr, token, &auth);
		MUST(bulla_wr_end(&wr, &m.token));
		bulla_msg_token_for_encode(&m, &wi);
		MUST(bulla_wr_end(&wi, &items[i]));
	}
	tokens.tokens = bulla_pb_list_of(items, n);
	bulla_msg_tokens_encode(&tokens, &wb);
	MUST(wb.rc);
	return n > 0;
}

static void send_tokens(struct town *town)
{
	BULLA_AUTO_BUF body = {.max = 1 << 20};

	for (; town_write_tokens(town, &body); body.n = 0)
		if (!town->drop_broker_answers)
			push(&town->in, TOWN_BROKER, BULLA_OP_TOKENS, BULLA_ENGINE_EVENT, 0, bulla_buf_view(&body));
}

bulla_rc town_broker(struct town *town, uint8_t op, bulla_bytes body, struct bulla_buf *ret)
{
	bulla_bytes records;
	uint32_t count;
	uint64_t lsn;
	bulla_digest chain = {{7}};
	bulla_rc rc = BULLA_E_UNSUPPORTED;

	if (op == BULLA_OP_ADVANCE)
		rc = bulla_ledger_advance(town->ledger, body, town->now, true, ret);
	else if (op == BULLA_OP_SYNC)
		rc = bulla_ledger_sync(town->ledger, body, town->now, ret);
	else if (op == BULLA_OP_RECORD)
		rc = bulla_ledger_record(town->ledger, body, town->now, ret);
	bulla_ledger_turn(town->ledger, &records, &count, &lsn);
	bulla_ledger_durable(town->ledger, lsn, &chain);
	return rc;
}

static void broker_gets(struct town *town, struct town_frame *f)
{
	BULLA_AUTO_BUF reply = {.max = 1 << 22};
	bulla_rc rc;

	if (!town->broker_up)
		return;
	rc = town_broker(town, f->op, bulla_buf_view(&f->body), &reply);
	if (!town->drop_broker_answers)
		push(&town->in, TOWN_BROKER, f->op, (uint16_t)(BULLA_ENGINE_REPLY | (rc ? BULLA_ENGINE_ERROR : 0)), f->stream,
			bulla_buf_view(&reply));
	send_tokens(town);
}

/* --- time --- */

static struct town_enclave *enclave_of(struct town *town, bulla_engine_peer peer)
{
	for (size_t i = 0; i < town->enclave_count; i++)
		if (town->enclaves[i].peer == peer && town->enclaves[i].up)
			return &town->enclaves[i];
	return NULL;
}

bool town_turn(struct town *town)
{
	struct bulla_engine_input turn = {.kind = BULLA_ENGINE_TURN, .has_room = true};
	struct town_frame *f;
	bool moved = false;
	size_t count = town->in.count;

	for (size_t i = 0; i < count && (f = pop(&town->in)) != NULL; i++) {
		give(town, f);
		moved = true;
	}
	step(town, &turn);
	count = town->out.count;
	for (size_t i = 0; i < count && (f = pop(&town->out)) != NULL; i++) {
		struct town_enclave *enclave = enclave_of(town, f->peer);

		moved = true;
		if (f->peer == TOWN_BROKER)
			broker_gets(town, f);
		else if (enclave)
			enclave_gets(town, enclave, f);
		else if (f->peer == TOWN_CLIENT)
			client_gets(town, f);
	}
	return moved;
}

bool town_durable(struct town *town)
{
	struct bulla_engine_input input = {.kind = BULLA_ENGINE_DURABLE, .lsn = town->durable + 1};
	size_t at = 0;

	if (town->durable == town->submitted)
		return false;
	for (size_t i = 0; i < town->durable; i++)
		at += town->records[i].bytes.n;
	input.place = (struct bulla_engine_place){1, (uint32_t)at, 0};
	do
		town->durable++;
	while (!town->records[town->durable - 1].last);
	step(town, &input);
	return true;
}

void town_settle(struct town *town)
{
	bool moved = true;

	while (moved) {
		moved = town_turn(town);
		moved = town_durable(town) || moved;
	}
}

void town_pass(struct town *town, int64_t ms)
{
	int64_t until = town->now + ms;

	town_settle(town);
	while (town->arm <= until) {
		struct bulla_engine_input input = {.kind = BULLA_ENGINE_TIME};

		town->now = town->arm > town->now ? town->arm : town->now + 1;
		town->arm = INT64_MAX;
		step(town, &input);
		town_settle(town);
	}
	town->now = until > town->now ? until : town->now;
}
