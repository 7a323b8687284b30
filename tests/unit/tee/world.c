#include "tee/world.h"

#include "base/mem.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "io/sys.h"
#include "receipt/run_secret.h"
#include "seal/envelope.h"
#include "test.h"
#include "wire/kinds.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const uint8_t boot_id[16] = "boot id of tests";

static bulla_handle handle_of(uint8_t letter)
{
	bulla_handle handle;

	for (size_t i = 0; i < sizeof(handle.b); i++)
		handle.b[i] = letter;
	return handle;
}

/* input -> a -> b -> owner; the owner reads logs and failures. */
static void make_flow(struct world *world)
{
	struct flows *f = &world->flows;
	uint16_t a, b, owner;

	flows_init(f);
	a = flows_actor(f, BULLA_FLOW_AGENT, 'a');
	b = flows_actor(f, BULLA_FLOW_AGENT, 'b');
	owner = flows_actor(f, BULLA_FLOW_PARTY, 'o');
	flows_step(f, BULLA_FLOW_AGENT, a);
	flows_reads(f, 0, NULL);
	flows_step(f, BULLA_FLOW_AGENT, b);
	flows_reads(f, 1, NULL);
	f->steps[2].parts = (struct bulla_flow_span){f->flow.part_count, 1};
	f->parts[f->flow.part_count++].readers = (struct bulla_flow_span){f->flow.reader_count, 1};
	f->readers[f->flow.reader_count++] = owner;
	f->flow.log_readers = (struct bulla_flow_span){f->flow.reader_count, 1};
	f->readers[f->flow.reader_count++] = owner;
	flows_done(f);
}

static void make_manifest(struct world *world)
{
	static uint8_t lists[512];
	bulla_wr l = bulla_wr_fixed(lists, sizeof(lists)), w;
	struct bulla_approver approver = {.spki = bulla_sign_key_spki(world->owner)};
	struct bulla_party party = {.spki = bulla_sign_key_spki(world->owner), .handle = handle_of('o'),
		.hpke = bulla_bytes_of(world->owner_public, 32), .rights = BULLA_RIGHT_ALL};
	struct bulla_agent agents[2];
	struct bulla_workflow workflow = {.plan = world->flows.decoded.bytes};
	struct bulla_manifest m = {.suite = 1, .mode = 1, .epoch = 3, .need = 1, .approvers = &approver, .approver_count = 1,
		.parties = &party, .party_count = 1, .agents = agents, .agent_count = 2, .workflows = &workflow,
		.workflow_count = 1, .assurance = 1, .max_age_ms = 300000, .ledger_spki = bulla_sign_key_spki(world->ledger),
		.tenant = handle_of('t')};

	bulla_list_write_text(&l, (bulla_bytes[]){BULLA_BYTES_LITERAL("dev")}, 1);
	m.tees = bulla_bytes_of(lists, l.n);
	for (unsigned i = 0; i < 2; i++)
		agents[i] = (struct bulla_agent){
			.binding = BULLA_BINDING_STREAM, .policy_form = 1, .handle = handle_of((uint8_t)"ab"[i]), .in_flight = 16};
	bulla_buf_init(&world->base.manifest_bytes, 65536);
	w = bulla_wr_buf(&world->base.manifest_bytes);
	assert_ok(bulla_manifest_encode(&m, &w));
	assert_ok(bulla_manifest_decode(bulla_buf_view(&world->base.manifest_bytes), &world->base.manifest));
}

/* What bulla_tee_boot does, without files and registers. */
static void make_base(struct world *world, const char *stepper)
{
	static uint8_t program[4 << 20];
	struct bulla_tee_base *base = &world->base;
	struct bulla_sandbox_limits limits = {.memory = 64 << 20, .processes = 8};
	FILE *file = fopen(stepper, "rb");
	size_t size;

	assert_non_null(file);
	size = fread(program, 1, sizeof(program), file);
	fclose(file);
	base->clock = bulla_sys_clock();
	bulla_random_pool_init(&world->random, bulla_random_os());
	base->random = &world->random.table;
	base->flows = &world->flows.decoded;
	base->agent_count = 2;
	for (uint32_t i = 0; i < 2; i++) {
		struct bulla_tee_agent *agent = &base->agents[i];
		int n = snprintf(agent->command, sizeof(agent->command), "./stepper%c%c", 0, "AB"[i]);

		agent->handle = base->manifest.agents[i].handle;
		agent->row = &base->manifest.agents[i];
		agent->spec = (struct bulla_agent_spec){.binding = BULLA_AGENT_STREAM, .id = i, .in_flight = 16,
			.command = bulla_bytes_of(agent->command, (size_t)n + 1)};
		bulla_copy(base->handles + 8 * i, agent->handle.b, 8);
		assert_ok(bulla_zygote_agent(&base->zygote, i, agent->spec.command, &limits));
		assert_ok(bulla_zygote_file(&base->zygote, i, "stepper", true, bulla_bytes_of(program, size)));
	}
	assert_ok(bulla_zygote_seal(&base->zygote));
	assert_ok(bulla_random_secret(base->random, 32, &base->instance_secret));
	assert_ok(bulla_sign_key_new(BULLA_ES256, &base->receipt_key));
	base->kid = *bulla_sign_key_kid(base->receipt_key);
}

/* What the join does, without a broker. */
static void make_session(struct world *world)
{
	struct bulla_enclave *enclave = world->enclave;
	struct bulla_peer *self = &enclave->peers.peers[0];
	struct bulla_tee_session *session = &enclave->sessions[0];
	const struct bulla_random *random = bulla_random_os();

	self->kid = world->base.kid;
	assert_ok(bulla_verify_key_spki(bulla_sign_key_spki(world->base.receipt_key), &self->key));
	bulla_copy(self->agents, world->base.handles, 16);
	self->agent_count = 2;
	enclave->peers.count = 1;
	for (size_t i = 0; i < 2; i++) {
		struct bulla_join_agent *agent = &enclave->join.agents[i];
		struct bulla_peer_key *key = &enclave->peers.keys[i];
		BULLA_AUTO_SECRET seed = BULLA_SECRET_NONE;

		assert_ok(bulla_random_secret(random, 32, &seed));
		assert_ok(bulla_agent_keys_derive(seed, &bulla_kem_x25519, &agent->keys));
		agent->born = true;
		bulla_copy(key->bytes, agent->keys.public_key, agent->keys.public_size);
		key->size = (uint16_t)agent->keys.public_size;
		key->known = true;
	}
	assert_ok(bulla_random_secret(random, 32, &world->mac_up));
	assert_ok(bulla_random_secret(random, 32, &world->mac_down));
	assert_ok(bulla_random_secret(random, 32, &world->wrap));
	world->session[0] = 1;
	session->live = true;
	bulla_copy(session->session.id, world->session, 16);
	session->session.epoch = 3;
	session->session.time_ms = (uint64_t)bulla_wall_ms(bulla_sys_clock());
	session->session.reattest_ms = session->session.time_ms + 3600000;
	session->session.keys = (struct bulla_session_keys){world->mac_up, world->mac_down, world->wrap};
	session->session.asked_ms = (uint64_t)bulla_mono_us(bulla_sys_clock()) / 1000;
	enclave->newest_session = 0;
	enclave->join.state = BULLA_JOIN_DONE;
}

static void make_party_link(struct world *world)
{
	struct bulla_link_spec spec = {.to = BULLA_TO_AGENT, .recipient = handle_of('a'), .kem = &bulla_kem_x25519,
		.public_key = bulla_peers_key(&world->enclave->peers, &world->base.agents[0].handle), .epoch = 3,
		.manifest = world->base.manifest.digest};
	BULLA_AUTO_BUF link = {0};
	struct bulla_msg_object object = {.kind = BULLA_OBJECT_LINK};
	bulla_wr w;

	bulla_buf_init(&link, BULLA_LINK_MAX);
	assert_ok(bulla_link_make(&spec, world->owner, bulla_random_os(), &link, &world->to_a));
	object.id = BULLA_BYTES_ARRAY(world->to_a.id.b);
	object.body = bulla_buf_view(&link);
	bulla_buf_init(&world->to_a_object, BULLA_LINK_MAX + 64);
	w = bulla_wr_buf(&world->to_a_object);
	bulla_msg_object_encode(&object, &w);
	assert_ok(w.rc);
}

/* --- frames in memory --- */

static bulla_rc host_hello(void *ctx, struct bulla_frames *frames, uint64_t role, bulla_bytes id)
{
	(void)ctx;
	(void)frames;
	(void)role;
	(void)id;
	return BULLA_OK;
}

static bulla_rc host_message(void *ctx, struct bulla_frames *frames, const struct bulla_frame *message)
{
	struct world *world = ctx;

	(void)frames;
	if (message->op == BULLA_OP_INSTANCE) {
		world->instances++;
		return BULLA_OK;
	}
	world->op = message->op;
	world->flags = message->flags;
	world->reply.n = 0;
	if ((message->flags & BULLA_FRAME_EVENT) != 0)
		world->events++;
	else
		world->replies++;
	return bulla_buf_append(&world->reply, message->body);
}

static bulla_rc side_hello(void *ctx, struct bulla_frames *frames, uint64_t role, bulla_bytes id)
{
	struct world *world = ctx;

	(void)role;
	(void)id;
	return bulla_enclave_host_up(world->enclave, frames);
}

static bulla_rc side_message(void *ctx, struct bulla_frames *frames, const struct bulla_frame *message)
{
	struct world *world = ctx;

	(void)frames;
	return bulla_enclave_message(world->enclave, message);
}

static bool carry(struct bulla_frames *from, struct bulla_frames *to)
{
	bulla_bytes bytes = bulla_frames_output(from);

	if (bytes.n == 0)
		return false;
	assert_ok(bulla_frames_feed(to, bytes, bulla_mono_us(bulla_sys_clock())));
	bulla_frames_sent(from, bytes.n);
	return true;
}

static void drain(void *ctx, int64_t now_us)
{
	struct world *world = ctx;

	bulla_enclave_turn(world->enclave, now_us);
}

static int64_t due(void *ctx)
{
	const struct world *world = ctx;

	return bulla_enclave_due(world->enclave);
}

void world_turn(struct world *world)
{
	bool moved = false;

	while (carry(world->host, world->side) || carry(world->side, world->host))
		moved = true;
	assert_ok(bulla_loop_turn(&world->loop, moved ? 0 : world->patience_us));
	while (carry(world->side, world->host) || carry(world->host, world->side))
		;
}

static void connect(struct world *world)
{
	const struct bulla_frames_events host = {.ctx = world, .on_hello = host_hello, .on_message = host_message};
	const struct bulla_frames_events side = {.ctx = world, .on_hello = side_hello, .on_message = side_message};
	struct bulla_frames_options options = {.role = BULLA_ROLE_HOST, .boot_id = BULLA_BYTES_ARRAY(boot_id), .window = 16,
		.now_us = bulla_mono_us(bulla_sys_clock())};

	assert_ok(bulla_frames_new(&options, &host, &world->host));
	options.role = BULLA_ROLE_ENCLAVE;
	options.window = bulla_enclave_window(world->enclave);
	assert_ok(bulla_frames_new(&options, &side, &world->side));
	while (world->instances == 0)
		world_turn(world);
}

void world_up(struct world *world, const char *stepper)
{
	const struct bulla_loop_hooks hooks = {.ctx = world, .drain = drain, .next_deadline = due};
	bulla_rc rc;

	signal(SIGPIPE, SIG_IGN);
	*world = (struct world){.patience_us = 100000};
	rc = bulla_tee_fork(&world->base);
	if (rc == BULLA_E_UNSUPPORTED)
		exit(77);
	assert_ok(rc);
	assert_ok(bulla_secret_slab_init(5120));
	assert_ok(bulla_sign_key_new(BULLA_ES256, &world->owner));
	assert_ok(bulla_sign_key_new(BULLA_ES256, &world->ledger));
	assert_ok(bulla_hpke_new(&bulla_kem_x25519, bulla_random_os(), &world->owner_hpke, world->owner_public));
	assert_ok(bulla_random_secret(bulla_random_os(), 32, &world->run_secret));
	assert_ok(bulla_random_secret(bulla_random_os(), 32, &world->party_instance));
	bulla_buf_init(&world->reply, WORLD_TEXT);
	make_flow(world);
	make_manifest(world);
	make_base(world, stepper);
	assert_ok(bulla_loop_init(&world->loop, bulla_sys_clock(), &hooks));
	assert_ok(bulla_enclave_new(&world->base, &world->loop, &world->enclave));
	make_session(world);
	make_party_link(world);
	connect(world);
}

void world_down(struct world *world)
{
	bulla_enclave_host_down(world->enclave);
	world->host = bulla_frames_free(world->host);
	world->side = bulla_frames_free(world->side);
	bulla_enclave_free(world->enclave);
	bulla_loop_done(&world->loop);
	world->base.flows = NULL; /* not allocated here */
	bulla_tee_done(&world->base);
	bulla_link_done(&world->to_a);
	bulla_buf_done(&world->to_a_object);
	bulla_buf_done(&world->reply);
	bulla_sign_key_free(world->owner);
	bulla_sign_key_free(world->ledger);
	bulla_secret_free(&world->owner_hpke);
	bulla_secret_free(&world->run_secret);
	bulla_secret_free(&world->party_instance);
	bulla_random_pool_done(&world->random);
	assert_int_equal(bulla_secret_slab_used(), 0);
	bulla_secret_slab_done();
}

/* --- the party --- */

static struct bulla_position position_of(const struct world *world, uint32_t number, uint32_t attempt)
{
	return (struct bulla_position){.attempt = attempt,
		.slot = {.tenant = handle_of('t'), .workflow = world->base.manifest.workflows[0].digest, .run = world->run,
			.step = number}};
}

void world_start(struct world *world, bulla_bytes input, struct world_start *ret)
{
	static struct bulla_buf envelope, record;
	BULLA_AUTO_SECRET salt = BULLA_SECRET_NONE;
	struct bulla_envelope_reader reader = {world->to_a.id, world->to_a.secret, world->run_secret};
	struct bulla_envelope_spec spec = {.kind = BULLA_ENVELOPE_INPUT, .path = bulla_path_whole,
		.producer = *bulla_sign_key_kid(world->owner), .instance = world->party_instance, .random = bulla_random_os(),
		.readers = &reader, .reader_count = 1};
	struct bulla_start start = {.tenant = handle_of('t'), .manifest = world->base.manifest.digest,
		.party = spec.producer, .time_ms = 1,
		.secret = BULLA_BYTES_LITERAL("sealed run secret, sealed run secret, sealed run secret, sealed run secret, abcd")};
	struct bulla_auth auth = {.batched = false};
	uint8_t payload[1024], pairs[BULLA_PAIR_BYTES];
	struct bulla_pair pair;
	bulla_bytes bytes;
	bulla_wr w = bulla_wr_fixed(payload, sizeof(payload));

	world->run.b[8] = (uint8_t)(++world->runs >> 16);
	world->run.b[9] = (uint8_t)(world->runs >> 8);
	world->run.b[10] = (uint8_t)world->runs;
	spec.position = position_of(world, 0, 1);
	if (envelope.max == 0) {
		bulla_buf_init(&envelope, WORLD_TEXT * 2);
		bulla_buf_init(&record, 4096);
	}
	envelope.n = record.n = 0;
	assert_ok(bulla_random_secret(bulla_random_os(), 32, &salt));
	spec.salt = salt;
	assert_ok(bulla_envelope_seal(&spec, input, &envelope, &pair.envelope, &pair.commitment));
	bulla_copy(pairs, pair.envelope.b, 32);
	bulla_copy(pairs + 32, pair.commitment.b, 32);
	start.inputs = BULLA_BYTES_ARRAY(pairs);
	start.workflow = spec.position.slot.workflow;
	start.run = world->run;
	assert_ok(bulla_start_write(&w, &start));
	assert_ok(bulla_wr_end(&w, &bytes));
	bulla_sha256(bytes, &ret->digest);
	w = bulla_wr_buf(&record);
	bulla_start_record_write(&w, bytes, &auth);
	ret->record = bulla_buf_view(&record);
	ret->envelope = bulla_buf_view(&envelope);
}

bulla_bytes world_execute(struct world *world, const struct world_step *step)
{
	static struct bulla_buf body, permit_bytes;
	struct bulla_permit permit = {.position = position_of(world, step->step, step->attempt), .instance = world->base.kid,
		.manifest = world->base.manifest.digest, .epoch = 3, .parents = BULLA_BYTES_ARRAY(step->parent_digest.b),
		.sequence = ++world->permits, .time_ms = (uint64_t)bulla_wall_ms(bulla_sys_clock())};
	struct bulla_msg_execute execute = {.parents = bulla_pb_list_of(&step->parent, 1),
		.inputs = bulla_pb_list_of(&step->input, 1), .objects = bulla_pb_list_of(&step->object, step->object.n > 0)};
	bulla_wr w;

	if (body.max == 0) {
		bulla_buf_init(&body, WORLD_TEXT * 2);
		bulla_buf_init(&permit_bytes, BULLA_PERMIT_MAX);
	}
	body.n = permit_bytes.n = 0;
	permit.expires_ms = permit.time_ms + 120000;
	assert_ok(bulla_run_secret_wrap(world->wrap, &permit.position, world->run_secret, permit.run_secret));
	assert_ok(bulla_permit_make(&permit, world->session, world->mac_down, &permit_bytes));
	execute.permit = bulla_buf_view(&permit_bytes);
	w = bulla_wr_buf(&body);
	bulla_msg_execute_encode(&execute, &w);
	assert_ok(w.rc);
	return bulla_buf_view(&body);
}

void world_send(struct world *world, enum bulla_op_number op, bulla_bytes body)
{
	assert_ok(bulla_frames_call(world->host, op, bulla_frames_stream(world->host), body));
}

void world_call(struct world *world, enum bulla_op_number op, bulla_bytes body)
{
	uint32_t before = world->replies;
	int64_t end = bulla_mono_us(bulla_sys_clock()) + 60000000;

	world_send(world, op, body);
	while (world->replies == before) {
		assert_true(bulla_mono_us(bulla_sys_clock()) < end);
		world_turn(world);
	}
}

void world_stored(struct world *world, const bulla_digest *receipt)
{
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes item = bulla_bytes_digest(receipt);
	struct bulla_msg_stored stored = {.receipts = bulla_pb_list_of(&item, 1)};

	bulla_msg_stored_encode(&stored, &w);
	assert_ok(w.rc);
	assert_ok(bulla_frames_push(world->host, BULLA_OP_STORED, 0, bulla_bytes_of(memory, w.n)));
}

bulla_rc world_error(const struct world *world)
{
	struct bulla_frame frame = {.op = world->op, .flags = world->flags, .body = bulla_buf_view(&world->reply)};
	uint64_t retry_ms;

	return (world->flags & BULLA_FRAME_ERROR) == 0 ? BULLA_OK : bulla_frames_error_of(&frame, &retry_ms);
}

void world_result(struct world *world, struct world_result *ret)
{
	struct bulla_pb_iter iter;
	size_t i = 0;

	*ret = (struct world_result){0};
	assert_rc(BULLA_OK, world_error(world));
	assert_int_equal(world->op, BULLA_OP_EXECUTE);
	assert_ok(bulla_msg_executed_decode(bulla_buf_view(&world->reply), &ret->executed));
	assert_ok(bulla_receipt_record_decode(ret->executed.receipt, &ret->record));
	iter = bulla_pb_list_begin(&ret->executed.outputs);
	while (i < 8 && bulla_pb_list_next(&iter, &ret->outputs[i]))
		i++;
	if (ret->executed.objects.count > 0)
		ret->link = bulla_pb_list_at(&ret->executed.objects, 0);
}

static struct bulla_link party_link;

static bulla_rc find_link(void *ctx, const bulla_link_id *id, const struct bulla_link **ret)
{
	(void)ctx;
	if (!bulla_link_id_eq(id, &party_link.id))
		return BULLA_E_NOT_FOUND;
	*ret = &party_link;
	return BULLA_OK;
}

void world_open(struct world *world, bulla_bytes bytes, bulla_bytes link, struct bulla_buf *ret)
{
	struct bulla_link_expected expected_link = {.sender = world->base.kid, .to = BULLA_TO_PARTY, .recipient = handle_of('o'),
		.manifest = world->base.manifest.digest, .epoch = 3, .epoch_open = true};
	struct bulla_envelope_keys keys = {.find = find_link};
	struct bulla_envelope_expected expected = {.path = bulla_path_whole, .producer = world->base.kid};
	struct bulla_msg_object object;
	struct bulla_envelope envelope;
	struct bulla_opened opened;

	assert_ok(bulla_msg_object_decode(link, &object));
	assert_ok(bulla_link_accept(object.body, &expected_link, world->enclave->peers.peers[0].key, &bulla_kem_x25519,
		world->owner_hpke, &party_link));
	assert_ok(bulla_envelope_parse(bytes, &envelope));
	expected.position = envelope.position;
	expected.kind = envelope.kind;
	assert_ok(bulla_envelope_open(&envelope, &expected, &keys, ret, &opened));
	bulla_move(ret->p, opened.payload.p, opened.payload.n);
	ret->n = opened.payload.n;
	bulla_secret_free(&opened.salt);
	bulla_link_done(&party_link);
}
