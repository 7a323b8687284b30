#include "verify/maker_seal.h"

#include "cose/nitro_doc.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "manifest/approvals.h"
#include "manifest/pcr.h"
#include "receipt/merkle.h"
#include "receipt/order.h"
#include "receipt/permit.h"
#include "crypto/slab.h"
#include "test.h"

#include <stdlib.h>

static int64_t fixed_wall(void *ctx)
{
	(void)ctx;
	return (int64_t)MAKER_T0;
}

static const struct bulla_clock fixed_clock = {NULL, fixed_wall, fixed_wall};

static bulla_digest digest_of(const char *text)
{
	bulla_digest digest;

	bulla_sha256(bulla_bytes_str(text), &digest);
	return digest;
}

void maker_up(struct maker *maker)
{
	*maker = (struct maker){0};
	for (int i = 0; i < MAKER_KEYS; i++)
		assert_ok(bulla_sign_key_new(BULLA_ES256, &maker->keys[i]));
	for (int i = 0; i < 2; i++) {
		char folder[] = "/tmp/bulla-verify-test-XXXXXX";

		assert_non_null(mkdtemp(folder));
		assert_ok(bulla_dev_pki_open(folder, &fixed_clock, bulla_random_os(), &maker->pki[i]));
		assert_ok(bulla_dev_chain_make(&maker->pki[i], "i-0123456789abcdef0-enc0123456789abcdef", &fixed_clock,
			bulla_random_os(), &maker->chain[i]));
	}
	assert_ok(bulla_batch_new(16, &maker->batch));
	for (int i = 0; i < 5; i++)
		assert_ok(bulla_hpke_new(&bulla_kem_x25519, bulla_random_os(), &maker->private_keys[i], maker->public_keys[i]));
	assert_ok(bulla_random_secret(bulla_random_os(), 32, &maker->instance_secret));
	bulla_buf_init(&maker->manifest_bytes, 65536);
	bulla_buf_init(&maker->bundle, 1 << 20);
}

static void clear(struct maker *maker)
{
	bulla_manifest_done(&maker->manifest);
	bulla_buf_clear(&maker->manifest_bytes);
	bulla_buf_clear(&maker->bundle);
	maker->writer = bulla_bundle_writer_free(maker->writer);
	for (int i = 0; i < 15; i++)
		bulla_link_done(&maker->links[i / 5][i % 5]);
}

void maker_down(struct maker *maker)
{
	clear(maker);
	for (int i = 0; i < MAKER_KEYS; i++)
		bulla_sign_key_free(maker->keys[i]);
	for (int i = 0; i < 5; i++)
		bulla_secret_free(&maker->private_keys[i]);
	bulla_secret_free(&maker->instance_secret);
	for (int i = 0; i < 2; i++) {
		bulla_dev_chain_done(&maker->chain[i]);
		bulla_dev_pki_done(&maker->pki[i]);
	}
	bulla_batch_free(maker->batch);
	bulla_buf_done(&maker->manifest_bytes);
	bulla_buf_done(&maker->bundle);
}

int maker_set_up(struct maker *maker, struct bulla_trust *ret_trust, void **state)
{
	if (slab_up(state) != 0)
		return -1;
	maker_up(maker);
	maker_run(maker, 0, MAKER_HONEST);
	bulla_trust_of(&maker->manifest, ret_trust);
	return 0;
}

int maker_tear_down(struct maker *maker, void **state)
{
	maker_down(maker);
	return slab_down(state);
}

/* --- items --- */

void maker_put(struct maker *maker, enum bulla_bundle_kind kind, bulla_bytes body)
{
	bulla_wr w = bulla_wr_buf(&maker->bundle);
	static uint8_t copy[65536];

	if (maker->hooks.cut && maker->headed)
		return;
	if (maker->hooks.drop != NULL && maker->hooks.drop(kind, maker->ordinal[kind]++))
		return;
	assert_true(body.n <= sizeof(copy));
	bulla_copy(copy, body.p, body.n);
	if (maker->hooks.raw != NULL)
		maker->hooks.raw(kind, copy, body.n);
	assert_ok(bulla_bundle_put(maker->writer, kind, bulla_bytes_of(copy, body.n), &w));
	assert_ok(w.rc);
}

void maker_put_buf(struct maker *maker, enum bulla_bundle_kind kind, struct bulla_buf *buf)
{
	maker_put(maker, kind, bulla_buf_view(buf));
	bulla_buf_done(buf);
}

/* --- manifest --- */

void maker_handle(uint8_t letter, bulla_handle *ret)
{
	for (size_t i = 0; i < sizeof(ret->b); i++)
		ret->b[i] = letter;
}

static const uint8_t measured[48] = "the measured image of tests, PCR0, PCR1 and PCR2";

static void make_manifest(struct maker *maker)
{
	static uint8_t lists[1024];
	bulla_digest roots[2];
	bulla_wr l = bulla_wr_fixed(lists, sizeof(lists)), w = bulla_wr_buf(&maker->manifest_bytes);
	struct bulla_image image = {BULLA_BYTES_LITERAL("nitro"), {{BULLA_BYTES_LITERAL("pcr"), 0, {measured, 48}}}, 1};
	bulla_bytes images, tees;
	struct bulla_approver approver = {.spki = bulla_sign_key_spki(maker->keys[MAKER_OWNER])};
	struct bulla_party parties[2] = {{.spki = bulla_sign_key_spki(maker->keys[MAKER_PARTY])},
		{.spki = bulla_sign_key_spki(maker->keys[MAKER_OWNER]), .rights = BULLA_RIGHT_ALL}};
	struct bulla_agent agents[3];
	struct bulla_workflow workflow = {.plan = maker->flow->bytes};
	struct bulla_anchor anchors[2];
	struct bulla_manifest m = {.suite = 1, .mode = 1, .epoch = 3, .need = 1, .approvers = &approver, .approver_count = 1,
		.parties = parties, .party_count = 2, .agents = agents, .agent_count = 3, .workflows = &workflow,
		.workflow_count = 1, .assurance = 1, .max_age_ms = 300000, .anchors = anchors,
		.anchor_count = maker->hooks.midwife ? 2 : 1,
		.ledger_spki = bulla_sign_key_spki(maker->keys[MAKER_LEDGER])};

	parties[0].hpke = bulla_bytes_of(maker->public_keys[3], 32);
	parties[1].hpke = bulla_bytes_of(maker->public_keys[4], 32);
	maker_handle('c', &parties[0].handle);
	maker_handle('o', &parties[1].handle);
	maker_handle('t', &m.tenant);
	bulla_images_write(&l, &image, 1);
	images = bulla_bytes_of(lists, l.n);
	bulla_list_write_text(&l, (bulla_bytes[]){BULLA_BYTES_LITERAL("dev")}, 1);
	tees = bulla_bytes_of(lists + images.n, l.n - images.n);
	for (unsigned i = 0; i < 3; i++) {
		agents[i] = (struct bulla_agent){.binding = 1, .images = images, .policy_form = 1};
		maker_handle((uint8_t)"abe"[i], &agents[i].handle);
		agents[i].bundle.b[0] = (uint8_t)(0x50 + i);
	}
	for (unsigned i = 0; i < 2; i++) {
		bulla_sha256(bulla_buf_view(&maker->pki[i].root_der), &roots[i]);
		anchors[i] = (struct bulla_anchor){BULLA_BYTES_LITERAL("dev"), 1, 1, bulla_bytes_digest(&roots[i]), {NULL, 0}};
	}
	m.tees = tees;
	if (maker->hooks.manifest != NULL)
		maker->hooks.manifest(&m);
	assert_ok(bulla_manifest_encode(&m, &w));
	assert_ok(bulla_manifest_decode(bulla_buf_view(&maker->manifest_bytes), &maker->manifest));
	maker_put(maker, BULLA_BUNDLE_MANIFEST, bulla_buf_view(&maker->manifest_bytes));
}

static void approve(struct maker *maker, const struct bulla_manifest *manifest)
{
	struct bulla_buf buf;

	if (maker->hooks.approver < 0)
		return;
	bulla_buf_init(&buf, BULLA_APPROVAL_MAX);
	assert_ok(bulla_approval_make(manifest, maker->keys[maker->hooks.approver], &buf));
	maker_put_buf(maker, BULLA_BUNDLE_APPROVAL, &buf);
}

/* The next epoch, as an approver made it. */
static void second_manifest(struct maker *maker)
{
	struct bulla_earlier earlier = {maker->manifest.epoch, maker->manifest.digest};
	struct bulla_manifest m = maker->manifest, decoded;
	struct bulla_buf buf;
	bulla_wr w;

	m.epoch++;
	m.earlier = &earlier;
	m.earlier_count = maker->hooks.second == 2 ? 0 : 1;
	bulla_buf_init(&buf, 65536);
	w = bulla_wr_buf(&buf);
	assert_ok(bulla_manifest_encode(&m, &w));
	maker_put(maker, BULLA_BUNDLE_MANIFEST, bulla_buf_view(&buf));
	assert_ok(bulla_manifest_decode(bulla_buf_view(&buf), &decoded));
	if (maker->hooks.second != 3)
		approve(maker, &decoded);
	bulla_manifest_done(&decoded);
	bulla_buf_done(&buf);
}

/* --- instance: hosts agents a, b and e --- */

static void attest(struct maker *maker, int root, const struct bulla_instance *record, struct bulla_buf *ret)
{
	uint8_t pcrs[32][48] = {{0}}, binder[BULLA_BINDER_BYTES];
	bulla_bytes cabundle[2] = {bulla_buf_view(&maker->pki[root].root_der),
		bulla_buf_view(&maker->chain[root].instance_der)};
	struct bulla_nitro_doc doc = {.module_id = BULLA_BYTES_LITERAL("i-0123456789abcdef0-enc0123456789abcdef"),
		.timestamp_ms = MAKER_T0,
		.listed = 0x3001f,
		.certificate = bulla_buf_view(&maker->chain[root].leaf_der),
		.cabundle = cabundle,
		.cabundle_count = 2,
		.nonce = BULLA_BYTES_ARRAY(record->challenge)};

	for (unsigned i = 0; i < 3; i++)
		bulla_copy(pcrs[i], measured, 48);
	bulla_pcr_manifest(&record->manifest, pcrs[16]);
	assert_ok(bulla_pcr_bundles(&maker->manifest, record->agents, pcrs[17]));
	assert_ok(bulla_instance_binder(record, binder));
	if (maker->hooks.boot) {
		doc.nonce = (bulla_bytes){NULL, 0};
		doc.public_key = maker->hooks.boot_wrong ? BULLA_BYTES_LITERAL("another") : BULLA_BYTES_LITERAL("public key");
	}
	if (maker->hooks.pcrs != NULL)
		maker->hooks.pcrs(pcrs);
	doc.pcrs = (const uint8_t(*)[48])pcrs;
	doc.user_data = BULLA_BYTES_ARRAY(binder);
	assert_ok(bulla_nitro_doc_write(&doc, maker->chain[root].leaf, ret));
}

static void make_instance(struct maker *maker, int key, unsigned hosted)
{
	uint8_t agents[24], memory[16384];
	struct bulla_buf evidence;
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_instance record = {.tee = BULLA_BYTES_LITERAL("nitro"),
		.purpose = BULLA_PURPOSE_SESSION,
		.challenge = {1, 2, 3},
		.channel = digest_of("exporter"),
		.receipt_key = bulla_sign_key_spki(maker->keys[key]),
		.agents = bulla_bytes_of(agents, 8 * (size_t)hosted),
		.manifest = maker->manifest.digest,
		.time_ms = MAKER_T0};

	if (maker->hooks.boot) {
		record.purpose = BULLA_PURPOSE_BOOT;
		record.channel = digest_of("public key");
		bulla_zero(record.challenge, sizeof(record.challenge));
	}

	for (unsigned i = 0; i < 24; i++)
		agents[i] = (uint8_t)"abe"[i / 8];
	bulla_buf_init(&evidence, BULLA_NITRO_DOC_MAX);
	attest(maker, key == MAKER_INSTANCE ? 0 : 1, &record, &evidence);
	record.evidence = bulla_buf_view(&evidence);
	if (maker->hooks.instance != NULL)
		maker->hooks.instance(&record);
	assert_ok(bulla_instance_write(&w, &record));
	maker_put(maker, BULLA_BUNDLE_INSTANCE, bulla_bytes_of(memory, w.n));
	bulla_buf_done(&evidence);
}

/* --- ledger --- */

static void fact(struct maker *maker, uint8_t kind, const struct bulla_entry *entry)
{
	struct bulla_flow_event event = {.kind = kind,
		.outcome = entry->outcome,
		.step = (uint16_t)entry->step,
		.attempt = entry->attempt,
		.at_ms = (int64_t)entry->time_ms,
		.digest = entry->digest};

	assert_ok(bulla_flow_apply(maker->flow, &maker->run, &event));
}

static void put_head(struct maker *maker)
{
	struct bulla_run_head head = {.tenant = maker->slot.tenant, .run = maker->slot.run, .count = maker->entries.count,
		.sequence = maker->sequence, .time_ms = maker->now, .state = maker->run.state};
	struct bulla_buf buf;

	bulla_merkle_root(&maker->entries, &head.root);
	if (maker->hooks.head != NULL)
		maker->hooks.head(&head);
	bulla_buf_init(&buf, BULLA_RUN_HEAD_MAX);
	assert_ok(bulla_run_head_make(&head, maker->keys[maker->hooks.ledger_signer], &buf));
	maker_put_buf(maker, BULLA_BUNDLE_RUN_HEAD, &buf);
	maker->headed = true;
}

static void put_entry(struct maker *maker, struct bulla_entry entry)
{
	uint8_t memory[BULLA_ENTRY_BYTES];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

	entry.sequence = maker->sequence;
	if (maker->hooks.skip_entry != NULL && maker->hooks.skip_entry(&entry))
		return;
	maker->sequence += 3;
	if (maker->hooks.entry != NULL)
		maker->hooks.entry(&entry);
	bulla_entry_write(&w, &entry);
	assert_ok(bulla_merkle_add(&maker->entries, BULLA_BYTES_ARRAY(memory)));
	maker_put(maker, BULLA_BUNDLE_ENTRY, BULLA_BYTES_ARRAY(memory));
	if (maker->entries.count == maker->hooks.early_head)
		put_head(maker);
}

static void make_start(struct maker *maker)
{
	uint8_t payload[512], memory[1024], pairs[BULLA_PAIR_BYTES];
	bulla_wr p = bulla_wr_fixed(payload, sizeof(payload)), w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_wr l = bulla_wr_fixed(pairs, sizeof(pairs));
	struct bulla_auth auth;
	struct bulla_entry entry = {.kind = BULLA_ENTRY_START, .filled = 1, .attempt = 1, .time_ms = maker->now};
	struct bulla_start start = {.tenant = maker->slot.tenant,
		.workflow = maker->slot.workflow,
		.manifest = maker->manifest.digest,
		.run = maker->slot.run,
		.party = *bulla_sign_key_kid(maker->keys[MAKER_OWNER]),
		.inputs = BULLA_BYTES_ARRAY(pairs),
		.time_ms = maker->now};

	bulla_sha256(BULLA_BYTES_ARRAY(maker_day_public), &start.day_key);
	maker->outputs[0] = (struct maker_slot){.pair_count = 0};
	maker_seal(maker, &maker->outputs[0], (struct bulla_position){maker->slot, 1}, BULLA_ENVELOPE_INPUT, 0, &start.party,
		maker->flow->parts[maker->flow->steps[0].parts.first].readers);
	bulla_wr_digest(&l, &maker->outputs[0].pairs[0].envelope);
	bulla_wr_digest(&l, &maker->outputs[0].pairs[0].commitment);
	if (maker->hooks.start != NULL)
		maker->hooks.start(&start);
	assert_ok(bulla_start_write(&p, &start));
	assert_ok(bulla_auth_sign(maker->keys[maker->hooks.starter], BULLA_SIGNED_START, bulla_bytes_of(payload, p.n), &auth));
	bulla_start_record_write(&w, bulla_bytes_of(payload, p.n), &auth);
	maker_put(maker, BULLA_BUNDLE_START, bulla_bytes_of(memory, w.n));
	maker_headers(maker, &maker->outputs[0]);
	bulla_sha256(bulla_bytes_of(payload, p.n), &entry.digest);
	entry.who = start.party;
	fact(maker, BULLA_FLOW_STARTED, &entry);
	put_entry(maker, entry);
}

static size_t parents(struct maker *maker, uint16_t step, struct bulla_flow_parent *ret, bulla_digest *ret_root)
{
	bulla_digest list[FLOWS_MAX];
	size_t count;

	assert_ok(bulla_flow_parents(maker->flow, &maker->run, step, 0, ret, FLOWS_MAX, &count));
	for (size_t i = 0; i < count; i++)
		list[i] = ret[i].digest;
	assert_ok(bulla_parents_root(bulla_bytes_of(list, count * sizeof(list[0])), ret_root));
	return count;
}

static void permit(struct maker *maker, uint16_t step, uint32_t attempt)
{
	struct bulla_flow_parent list[FLOWS_MAX];
	struct bulla_entry entry = {.kind = BULLA_ENTRY_PERMIT, .step = step, .attempt = attempt, .other = 2,
		.who = *bulla_sign_key_kid(maker->keys[MAKER_INSTANCE])};

	maker->now += 5;
	entry.time_ms = maker->now;
	parents(maker, step, list, &entry.digest);
	fact(maker, BULLA_FLOW_OPENED, &entry);
	put_entry(maker, entry);
}

static void lose(struct maker *maker, uint16_t step, uint32_t attempt)
{
	struct bulla_entry entry = {.kind = BULLA_ENTRY_GIVEN_UP, .step = step, .attempt = attempt};

	maker->now += 5;
	entry.time_ms = maker->now;
	fact(maker, BULLA_FLOW_LOST, &entry);
	put_entry(maker, entry);
}

/* --- receipts --- */

static void inputs_of(struct maker *maker, uint16_t step, bulla_digest *ret)
{
	struct bulla_flow_parent list[FLOWS_MAX];
	struct bulla_flow_binding bindings[FLOWS_MAX];
	struct bulla_pair pairs[FLOWS_MAX];
	bulla_digest root;
	size_t count = parents(maker, step, list, &root), binding_count, n = 0;

	assert_ok(bulla_flow_bind(maker->flow, step, 0, list, count, bindings, FLOWS_MAX, &binding_count));
	for (size_t i = 0; i < binding_count; i++)
		if (bindings[i].parent != BULLA_FLOW_NO_SLOT)
			pairs[n++] = maker->outputs[list[bindings[i].parent].step].pairs[bindings[i].part];
	bulla_pairs_root(pairs, n, ret);
}

static void sign_receipt(struct maker *maker, bulla_bytes payload, int signer, struct bulla_auth *ret)
{
	bulla_digest digest, other = digest_of("another receipt of the batch");
	uint32_t index;

	if (maker->hooks.lone) {
		assert_ok(bulla_auth_sign(maker->keys[signer], BULLA_SIGNED_RECEIPT, payload, ret));
		return;
	}
	bulla_batch_clear(maker->batch);
	bulla_sha256(payload, &digest);
	assert_ok(bulla_batch_add(maker->batch, &other, &index));
	assert_ok(bulla_batch_add(maker->batch, &digest, &index));
	assert_ok(bulla_batch_sign(maker->batch, maker->keys[signer], BULLA_SIGNED_RECEIPTS));
	assert_ok(bulla_batch_auth(maker->batch, index, ret));
}

static void put_receipt(struct maker *maker, struct bulla_receipt *receipt, int signer, const struct maker_slot *outputs,
	bulla_digest *ret)
{
	uint8_t payload[BULLA_RECEIPT_BYTES], memory[2048], pairs[2 * BULLA_PAIR_BYTES];
	bulla_wr p = bulla_wr_fixed(payload, sizeof(payload)), w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_wr l = bulla_wr_fixed(pairs, sizeof(pairs));
	struct bulla_auth auth;

	for (size_t i = 0; i < outputs->pair_count; i++) {
		bulla_wr_digest(&l, &outputs->pairs[i].envelope);
		bulla_wr_digest(&l, &outputs->pairs[i].commitment);
	}
	bulla_pairs_root(outputs->pairs, outputs->pair_count, &receipt->outputs);
	if (maker->hooks.receipt != NULL)
		maker->hooks.receipt(receipt);
	bulla_receipt_write(&p, receipt);
	sign_receipt(maker, BULLA_BYTES_ARRAY(payload), signer, &auth);
	bulla_receipt_record_write(&w, BULLA_BYTES_ARRAY(payload), &auth, bulla_bytes_of(pairs, l.n), (bulla_bytes){NULL, 0});
	maker_put(maker, BULLA_BUNDLE_RECEIPT, bulla_bytes_of(memory, w.n));
	bulla_sha256(BULLA_BYTES_ARRAY(payload), ret);
}

/* Ends an attempt: receipt, entry, fact. */
static void end(struct maker *maker, uint16_t step, uint32_t attempt, uint8_t outcome, uint8_t executor)
{
	static const uint8_t entry_kinds[] = {0, BULLA_ENTRY_COMMIT, BULLA_ENTRY_PARTY, BULLA_ENTRY_CLOCK};
	const int signers[] = {0, maker->hooks.receipt_signer, maker->hooks.answerer, maker->hooks.clock_signer};
	const int owners[] = {0, MAKER_INSTANCE, maker->hooks.answerer, MAKER_LEDGER};
	bool agent = executor == BULLA_EXECUTOR_AGENT;
	struct bulla_flow_parent list[FLOWS_MAX];
	struct bulla_receipt receipt = {.position = {maker->slot, attempt}, .manifest = maker->manifest.digest,
		.executor = executor, .reuse = agent ? BULLA_REUSE_FRESH : BULLA_REUSE_NONE, .outcome = outcome,
		.kid = *bulla_sign_key_kid(maker->keys[owners[executor]]), .time_ms = maker->now};
	struct bulla_entry entry = {.kind = entry_kinds[executor], .step = step, .attempt = attempt, .outcome = outcome,
		.who = receipt.kid};
	struct maker_slot outputs;

	receipt.position.slot.step = step;
	maker_outputs(maker, &receipt, &outputs);
	if (maker->hooks.other_commitment)
		outputs.pairs[0].commitment.b[0] ^= 1;
	if (agent) {
		bulla_handle handle;

		bulla_copy(handle.b, maker->flow->actors[maker->flow->steps[step].actor].handle, 8);
		receipt.agent = bulla_manifest_agent(&maker->manifest, &handle)->bundle;
	}
	parents(maker, step, list, &receipt.parents);
	inputs_of(maker, step, &receipt.inputs);
	maker->now += 7;
	entry.time_ms = maker->now;
	put_receipt(maker, &receipt, signers[executor], &outputs, &entry.digest);
	maker_headers(maker, &outputs);
	fact(maker, BULLA_FLOW_RESULT, &entry);
	entry.filled = maker->run.slots[step].state == BULLA_FLOW_FILLED;
	if (entry.filled == 1)
		maker->outputs[step] = outputs;
	put_entry(maker, entry);
}

static void put_token(struct maker *maker, uint16_t step)
{
	uint8_t memory[1024], payload[BULLA_TOKEN_BYTES];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory)), p = bulla_wr_fixed(payload, sizeof(payload));
	struct bulla_token token = {.slot = maker->slot, .receipt = maker->run.slots[step].digest, .time_ms = maker->now};
	struct bulla_auth auth;
	bulla_digest digest;
	uint32_t index;

	token.slot.step = step;
	if (maker->hooks.token != NULL)
		maker->hooks.token(&token);
	bulla_token_write(&p, &token);
	bulla_sha256(BULLA_BYTES_ARRAY(payload), &digest);
	bulla_batch_clear(maker->batch);
	assert_ok(bulla_batch_add(maker->batch, &digest, &index));
	assert_ok(bulla_batch_sign(maker->batch, maker->keys[maker->hooks.token_signer], BULLA_SIGNED_TOKENS));
	assert_ok(bulla_batch_auth(maker->batch, index, &auth));
	bulla_token_record_write(&w, &token, &auth);
	maker_put(maker, BULLA_BUNDLE_TOKEN, bulla_bytes_of(memory, w.n));
}

static void cancel(struct maker *maker)
{
	struct bulla_order order = {.kind = BULLA_ORDER_CANCEL, .tenant = maker->slot.tenant,
		.manifest = maker->manifest.digest, .run = maker->slot.run, .time_ms = maker->now};
	struct bulla_entry entry = {.kind = BULLA_ENTRY_ORDER, .other = BULLA_ORDER_CANCEL, .time_ms = maker->now,
		.who = *bulla_sign_key_kid(maker->keys[maker->hooks.orderer])};
	uint8_t memory[BULLA_ORDER_MAX];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_buf buf;

	bulla_order_write(&w, &order);
	bulla_sha256(bulla_bytes_of(memory, w.n), &entry.digest);
	bulla_buf_init(&buf, BULLA_ORDER_MAX);
	assert_ok(bulla_order_make(&order, maker->keys[maker->hooks.orderer], &buf));
	maker_put_buf(maker, BULLA_BUNDLE_ORDER, &buf);
	fact(maker, BULLA_FLOW_CANCELLED, &entry);
	put_entry(maker, entry);
}

static void revocation_of(const struct maker *maker, uint8_t memory[48], struct bulla_order *ret)
{
	bulla_wr w = bulla_wr_fixed(memory, 48);
	bulla_handle handle;

	if (ret->kind == BULLA_ORDER_REVOKE_INSTANCE) {
		bulla_wr_digest(&w, bulla_sign_key_kid(maker->keys[MAKER_INSTANCE]));
	} else if (ret->kind == BULLA_ORDER_REVOKE_EPOCH) {
		bulla_wr_u64be(&w, maker->manifest.epoch);
	} else if (maker->hooks.revoke_image) {
		bulla_copy(memory, measured, sizeof(measured));
		w.n = 48;
	} else {
		bulla_copy(handle.b, maker->flow->actors[maker->flow->steps[5].actor].handle, 8);
		bulla_wr_digest(&w, &bulla_manifest_agent(&maker->manifest, &handle)->bundle);
	}
	ret->subject = bulla_bytes_of(memory, w.n);
}

/* An approver's order and the ledger's entry of it, when it is time. */
static void revoke(struct maker *maker, unsigned at)
{
	struct bulla_order order = {.kind = maker->hooks.revoke, .tenant = maker->slot.tenant,
		.manifest = maker->manifest.digest, .time_ms = maker->now};
	struct bulla_entry entry = {.kind = BULLA_ENTRY_REVOKE, .other = maker->hooks.revoke_under, .time_ms = maker->now,
		.who = *bulla_sign_key_kid(maker->keys[maker->hooks.orderer])};
	uint8_t subject[48];
	struct bulla_buf buf;

	if (order.kind == 0 || maker->hooks.revoke_at != at)
		return;
	revocation_of(maker, subject, &order);
	assert_ok(bulla_order_digest(&order, &entry.digest));
	bulla_buf_init(&buf, BULLA_ORDER_MAX);
	assert_ok(bulla_order_make(&order, maker->keys[maker->hooks.orderer], &buf));
	if (maker->hooks.unsigned_order)
		bulla_buf_done(&buf);
	else
		maker_put_buf(maker, BULLA_BUNDLE_ORDER, &buf);
	put_entry(maker, entry);
}

static void make_steps(struct maker *maker, uint8_t outcome)
{
	permit(maker, 1, 1);
	end(maker, 1, 1, BULLA_OUTCOME_CRASH, BULLA_EXECUTOR_AGENT);
	if (maker->hooks.cancel) {
		cancel(maker);
		return;
	}
	permit(maker, 1, 2);
	lose(maker, 1, 2);
	permit(maker, 1, 3);
	end(maker, 1, 3, outcome, BULLA_EXECUTOR_AGENT);
	if (outcome == 0) {
		permit(maker, 2, 1);
		end(maker, 2, 1, 0, BULLA_EXECUTOR_AGENT);
	} else if (outcome == 1) {
		maker->now += 1000;
		end(maker, 3, 1, 0, BULLA_EXECUTOR_PARTY);
	} else {
		maker->now += maker->hooks.early ? 100 : 10000;
		end(maker, 4, 1, 0, BULLA_EXECUTOR_CLOCK);
	}
	revoke(maker, 1);
	permit(maker, 5, 1);
	revoke(maker, 2);
	end(maker, 5, 1, 0, maker->hooks.ledger_answers ? BULLA_EXECUTOR_CLOCK : BULLA_EXECUTOR_AGENT);
	revoke(maker, 3);
}

bulla_bytes maker_run(struct maker *maker, uint8_t outcome, struct maker_hooks hooks)
{
	static const uint8_t random[10] = "0123456789";
	struct bulla_bundle_header header = {.headers_only = true};
	bulla_wr w = bulla_wr_buf(&maker->bundle);

	clear(maker);
	maker->hooks = hooks;
	maker->headed = false;
	maker->flow = flows_branches(&maker->flows);
	maker->flows.flow.flags |= hooks.each ? BULLA_FLOW_RECEIPTS_EACH : 0;
	maker->flows.readers[maker->flows.flow.reader_count] = 2; /* actor c */
	maker->flows.flow.log_readers = (struct bulla_flow_span){maker->flows.flow.reader_count++, 1};
	maker->flows.steps[5].flags |= hooks.fresh ? BULLA_FLOW_FRESH : 0;
	maker->flow = flows_done(&maker->flows);
	maker->now = MAKER_T0 + 1000;
	maker->sequence = 100;
	bulla_zero(maker->ordinal, sizeof(maker->ordinal));
	bulla_merkle_init(&maker->entries);
	assert_ok(bulla_flow_begin(maker->flow, maker->slots, FLOWS_MAX, 0, &maker->run));
	maker_handle('t', &maker->slot.tenant);
	bulla_sha256(maker->flow->bytes, &maker->slot.workflow);
	maker->slot.run = bulla_run_id_make(maker->now, random);
	/* the header names the manifest, so the manifest is made first, then again as an item */
	maker->writer = NULL;
	assert_ok(bulla_bundle_writer_new(&header, &w, &maker->writer));
	make_manifest(maker);
	maker->writer = bulla_bundle_writer_free(maker->writer);
	bulla_buf_clear(&maker->bundle);
	bulla_zero(maker->ordinal, sizeof(maker->ordinal));
	header.slot = maker->slot;
	header.manifest = maker->manifest.digest;
	if (hooks.header != NULL)
		hooks.header(&header);
	w = bulla_wr_buf(&maker->bundle);
	assert_ok(bulla_bundle_writer_new(&header, &w, &maker->writer));
	maker_put(maker, BULLA_BUNDLE_MANIFEST, bulla_buf_view(&maker->manifest_bytes));
	approve(maker, &maker->manifest);
	if (hooks.second > 0)
		second_manifest(maker);
	maker_day_key(maker);
	make_instance(maker, MAKER_INSTANCE, hooks.hosted > 0 ? hooks.hosted : 3);
	if (hooks.renewed > 0)
		make_instance(maker, MAKER_INSTANCE, hooks.renewed);
	if (hooks.midwife)
		make_instance(maker, MAKER_STRANGER, 3);
	maker_links(maker);
	revoke(maker, 0);
	make_start(maker);
	make_steps(maker, outcome);
	if (!hooks.cancel) {
		put_token(maker, 1);
		put_token(maker, 5);
	}
	if (hooks.late_manifest)
		maker_put(maker, BULLA_BUNDLE_MANIFEST, bulla_buf_view(&maker->manifest_bytes));
	if (hooks.early_head == 0)
		put_head(maker);
	maker->before_trailer = maker->bundle.n;
	w = bulla_wr_buf(&maker->bundle);
	assert_ok(bulla_bundle_finish(maker->writer, &w));
	return bulla_buf_view(&maker->bundle);
}

bulla_rc maker_verify(bulla_bytes bundle, const struct bulla_trust *trust, size_t piece, struct bulla_verify_result *ret)
{
	struct bulla_verify *v;
	bulla_rc rc = BULLA_OK;

	BULLA_TRY(bulla_verify_new(trust, &v));
	for (size_t at = 0; rc == BULLA_OK && at < bundle.n; at += piece)
		rc = bulla_verify_feed(v, bulla_bytes_of(bundle.p + at, at + piece < bundle.n ? piece : bundle.n - at));
	if (rc == BULLA_OK)
		rc = bulla_verify_end(v, ret);
	bulla_verify_free(v);
	return rc;
}
