#include "signed.h"

#include "cose/nitro_doc.h"
#include "crypto/random.h"
#include "manifest/approvals.h"
#include "manifest/pcr.h"
#include "platform/pki.h"
#include "receipt/instance.h"
#include "receipt/token.h"
#include "seal/birth.h"
#include "seal/envelope.h"
#include "verify/verify.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIVES 12 /* of each enclave: then it is not started again */
#define DAY_MS INT64_C(86400000)
#define LINK_RECORD 2048
#define MUST(call) must((call), __LINE__)

/* A signer and its links to the agents. */
struct sender {
	struct bulla_sign_key *key;
	struct bulla_link links[SIM_AGENTS];
	uint8_t records[SIM_AGENTS][LINK_RECORD];
	size_t sizes[SIM_AGENTS];
	bulla_secret secret;
	uint8_t instance[12288]; /* its record; empty: a party */
	size_t instance_size;
};

/* Keys from a fixed set, made once: what differs from seed to seed is what they sign. */
static struct {
	bool ready;
	struct bulla_sign_key *ledger;
	struct bulla_verify_key *owner_public;
	struct sender owner, lives[SIM_ENCLAVES][LIVES];
	struct bulla_dev_pki pki;
	struct bulla_dev_chain chain;
	uint8_t agents[SIM_AGENTS][BULLA_HPKE_PUBLIC_MAX]; /* public keys */
	uint8_t bytes[32768];
	struct bulla_manifest manifest;
	struct bulla_buf approval, day_key, births[SIM_AGENTS];
	struct bulla_trust trust;
} fixed;

static const uint8_t measured[48] = "the measured image of tests, PCR0, PCR1 and PCR2";
static const uint8_t day_public[32] = "the public key of this day";

static void must(bulla_rc rc, int line)
{
	if (rc == BULLA_OK)
		return;
	(void)!write(2, "signed.c: setting up failed\n", 28);
	(void)line;
	abort();
}

static int64_t base_time(void *ctx)
{
	(void)ctx;
	return SIM_BASE_MS;
}

/* --- the fixed set --- */

static void make_manifest(const struct sim *sim, bulla_bytes root)
{
	const struct bulla_image image = {
		BULLA_BYTES_LITERAL("nitro"), {{BULLA_BYTES_LITERAL("pcr"), 0, {measured, 48}}}, 1};
	static uint8_t lists[1024], owner_hpke[32] = {9};
	struct bulla_approver approver = {.spki = bulla_sign_key_spki(fixed.owner.key)};
	struct bulla_party party = {.handle = sim_handle('o'), .spki = approver.spki, .rights = BULLA_RIGHT_ALL,
		.hpke = BULLA_BYTES_ARRAY(owner_hpke)};
	struct bulla_anchor anchor = {BULLA_BYTES_LITERAL("dev"), 1, 1, {NULL, 0}, {NULL, 0}};
	struct bulla_agent agents[SIM_AGENTS];
	struct bulla_workflow workflows[SIM_FLOWS] = {0};
	struct bulla_manifest m = {.suite = 1, .mode = 1, .epoch = 1, .need = 1, .tenant = sim_handle('t'), .approvers = &approver,
		.approver_count = 1, .parties = &party, .party_count = 1, .agents = agents, .agent_count = SIM_AGENTS,
		.workflows = workflows, .workflow_count = SIM_FLOWS, .assurance = 1, .max_age_ms = (uint64_t)DAY_MS,
		.anchors = &anchor, .anchor_count = 1, .ledger_spki = bulla_sign_key_spki(fixed.ledger)};
	bulla_wr l = bulla_wr_fixed(lists, sizeof(lists)), w = bulla_wr_fixed(fixed.bytes, sizeof(fixed.bytes));
	bulla_digest id;
	bulla_bytes images, view;

	bulla_images_write(&l, &image, 1);
	images = bulla_bytes_of(lists, l.n);
	bulla_list_write_text(&l, (bulla_bytes[]){BULLA_BYTES_LITERAL("dev")}, 1);
	m.tees = bulla_bytes_of(lists + images.n, l.n - images.n);
	bulla_sha256(root, &id);
	anchor.id = bulla_bytes_digest(&id);
	for (uint8_t i = 0; i < SIM_AGENTS; i++)
		agents[i] = (struct bulla_agent){.handle = sim_handle((uint8_t)('a' + i)), .bundle = sim_digest((uint8_t)(0x50 + i)),
			.binding = BULLA_BINDING_RUN, .images = images, .policy_form = BULLA_POLICY_MANAGED};
	for (uint32_t i = 0; i < SIM_FLOWS; i++)
		workflows[i] = (struct bulla_workflow){.plan = sim->world.plans[i]->bytes, .handle = sim_handle((uint8_t)(i + 1))};
	bulla_manifest_sort(&m);
	MUST(bulla_manifest_encode(&m, &w));
	MUST(bulla_wr_end(&w, &view));
	MUST(bulla_manifest_decode(view, &fixed.manifest));
	bulla_trust_of(&fixed.manifest, &fixed.trust);
}

static void make_links(struct sender *from)
{
	for (uint8_t i = 0; i < SIM_AGENTS; i++) {
		struct bulla_link_spec spec = {.to = BULLA_TO_AGENT, .recipient = sim_handle((uint8_t)('a' + i)),
			.kem = &bulla_kem_x25519, .public_key = bulla_bytes_of(fixed.agents[i], 32), .epoch = 1,
			.manifest = fixed.manifest.digest};
		BULLA_AUTO_BUF buf = {.max = LINK_RECORD};

		MUST(bulla_link_make(&spec, from->key, bulla_random_os(), &buf, &from->links[i]));
		bulla_copy(from->records[i], buf.p, buf.n);
		from->sizes[i] = buf.n;
	}
	MUST(bulla_random_secret(bulla_random_os(), 32, &from->secret));
}

static void attest(const struct bulla_instance *record, struct bulla_buf *ret)
{
	uint8_t pcrs[32][48] = {{0}}, binder[BULLA_BINDER_BYTES];
	bulla_bytes cabundle[2] = {bulla_buf_view(&fixed.pki.root_der), bulla_buf_view(&fixed.chain.instance_der)};
	struct bulla_nitro_doc doc = {.module_id = BULLA_BYTES_LITERAL("i-0123456789abcdef0-enc0123456789abcdef"),
		.timestamp_ms = (uint64_t)SIM_BASE_MS, .listed = 0x3001f, .certificate = bulla_buf_view(&fixed.chain.leaf_der),
		.cabundle = cabundle, .cabundle_count = 2, .nonce = BULLA_BYTES_ARRAY(record->challenge),
		.pcrs = (const uint8_t(*)[48])pcrs, .user_data = BULLA_BYTES_ARRAY(binder)};

	for (unsigned i = 0; i < 3; i++)
		bulla_copy(pcrs[i], measured, 48);
	bulla_pcr_manifest(&record->manifest, pcrs[16]);
	MUST(bulla_pcr_bundles(&fixed.manifest, record->agents, pcrs[17]));
	MUST(bulla_instance_binder(record, binder));
	MUST(bulla_nitro_doc_write(&doc, fixed.chain.leaf, ret));
}

static struct sender *life_of(uint32_t enclave, uint32_t life)
{
	struct sender *s = &fixed.lives[enclave][life];
	uint8_t agents[8 * SIM_AGENTS];
	struct bulla_instance record = {.tee = BULLA_BYTES_LITERAL("nitro"), .purpose = BULLA_PURPOSE_SESSION,
		.challenge = {1, 2, 3}, .channel = sim_digest(0xc4), .manifest = fixed.manifest.digest,
		.agents = bulla_bytes_of(agents, 8 * (size_t)enclave_agents(enclave)), .time_ms = (uint64_t)SIM_BASE_MS};
	BULLA_AUTO_BUF evidence = {.max = BULLA_NITRO_DOC_MAX};
	bulla_wr w = bulla_wr_fixed(s->instance, sizeof(s->instance));

	if (s->key != NULL)
		return s;
	for (size_t i = 0; i < sizeof(agents); i++)
		agents[i] = (uint8_t)('a' + i / 8);
	MUST(bulla_sign_key_new(BULLA_ES256, &s->key));
	record.receipt_key = bulla_sign_key_spki(s->key);
	attest(&record, &evidence);
	record.evidence = bulla_buf_view(&evidence);
	MUST(bulla_instance_write(&w, &record));
	s->instance_size = w.n;
	make_links(s);
	return s;
}

static void make_births(void)
{
	struct bulla_day_key day = {1, BULLA_BYTES_ARRAY(day_public), (uint64_t)(SIM_BASE_MS - DAY_MS), (uint64_t)(SIM_BASE_MS + DAY_MS)};

	for (uint8_t i = 0; i < SIM_AGENTS; i++) {
		struct bulla_birth birth = {.tenant = fixed.manifest.tenant, .agent = sim_handle((uint8_t)('a' + i)), .epoch = 1,
			.manifest = fixed.manifest.digest, .kem = BULLA_KEM_NUMBER_X25519,
			.public_key = bulla_bytes_of(fixed.agents[i], 32), .policy_form = BULLA_POLICY_MANAGED};

		bulla_buf_init(&fixed.births[i], BULLA_BIRTH_MAX);
		MUST(bulla_birth_make(&birth, life_of(1, 0)->key, &fixed.births[i]));
	}
	bulla_buf_init(&fixed.day_key, BULLA_DAY_KEY_MAX);
	MUST(bulla_day_key_make(&day, fixed.ledger, &fixed.day_key));
	bulla_buf_init(&fixed.approval, BULLA_APPROVAL_MAX);
	MUST(bulla_approval_make(&fixed.manifest, fixed.owner.key, &fixed.approval));
}

static void make_fixed(const struct sim *sim)
{
	static const struct bulla_clock clock = {NULL, base_time, base_time};
	char folder[] = "/tmp/bulla-sim-XXXXXX", path[64];

	if (mkdtemp(folder) == NULL)
		abort();
	MUST(bulla_dev_pki_open(folder, &clock, bulla_random_os(), &fixed.pki));
	MUST(bulla_dev_chain_make(&fixed.pki, "i-0123456789abcdef0-enc0123456789abcdef", &clock, bulla_random_os(), &fixed.chain));
	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/root.%s", folder, i == 0 ? "key" : "der");
		(void)unlink(path);
	}
	(void)rmdir(folder);
	MUST(bulla_sign_key_new(BULLA_ES256, &fixed.ledger));
	MUST(bulla_sign_key_new(BULLA_ES256, &fixed.owner.key));
	MUST(bulla_verify_key_spki(bulla_sign_key_spki(fixed.owner.key), &fixed.owner_public));
	for (unsigned i = 0; i < SIM_AGENTS; i++) {
		bulla_secret private_key;

		MUST(bulla_hpke_new(&bulla_kem_x25519, bulla_random_os(), &private_key, fixed.agents[i]));
		bulla_secret_free(&private_key);
	}
	make_manifest(sim, bulla_buf_view(&fixed.pki.root_der));
	make_links(&fixed.owner);
	make_births();
	fixed.ready = true;
}

void signed_manifest(struct sim *sim)
{
	if (!fixed.ready)
		make_fixed(sim);
	sim->manifest_size = fixed.manifest.bytes.n;
	bulla_copy(sim->manifest, fixed.manifest.bytes.p, fixed.manifest.bytes.n);
}

bulla_bytes signed_approval(void)
{
	return bulla_buf_view(&fixed.approval);
}

/* --- the broker --- */

static bulla_rc open_start(void *ctx, bulla_bytes record, struct bulla_start_record *ret)
{
	(void)ctx;
	BULLA_TRY(bulla_start_record_decode(record, ret));
	return bulla_start_record_verify(ret, fixed.owner_public);
}

static bulla_rc make_receipt(void *ctx, struct bulla_receipt *receipt, struct bulla_buf *ret)
{
	uint8_t payload[BULLA_RECEIPT_BYTES];
	bulla_wr w = bulla_wr_fixed(payload, sizeof(payload)), record = bulla_wr_buf(ret);
	struct bulla_auth auth;
	bulla_bytes ignored;

	(void)ctx;
	receipt->kid = *bulla_sign_key_kid(fixed.ledger);
	bulla_receipt_write(&w, receipt);
	BULLA_TRY(bulla_auth_sign(fixed.ledger, BULLA_SIGNED_RECEIPT, BULLA_BYTES_ARRAY(payload), &auth));
	bulla_receipt_record_write(&record, BULLA_BYTES_ARRAY(payload), &auth, (bulla_bytes){NULL, 0}, (bulla_bytes){NULL, 0});
	return bulla_wr_end(&record, &ignored);
}

static bulla_rc make_head(void *ctx, const struct bulla_run_head *head, struct bulla_buf *ret)
{
	(void)ctx;
	return bulla_run_head_make(head, fixed.ledger, ret);
}

void signed_world(struct bulla_ledger_world *table)
{
	table->open_start = open_start;
	table->make_receipt = make_receipt;
	table->make_head = make_head;
}

void signed_token(const struct bulla_token *token, struct bulla_auth *ret)
{
	uint8_t payload[BULLA_TOKEN_BYTES];
	bulla_wr w = bulla_wr_fixed(payload, sizeof(payload));

	bulla_token_write(&w, token);
	MUST(bulla_auth_sign(fixed.ledger, BULLA_SIGNED_TOKEN, BULLA_BYTES_ARRAY(payload), ret));
}

static bulla_bytes object(uint8_t kind, bulla_bytes id, bulla_bytes body, uint8_t *memory, size_t size)
{
	struct bulla_msg_object m = {.kind = kind, .id = id, .body = body};
	bulla_wr w = bulla_wr_fixed(memory, size);
	bulla_bytes view;

	bulla_msg_object_encode(&m, &w);
	MUST(bulla_wr_end(&w, &view));
	return view;
}

void signed_keys(struct bulla_buf *ret)
{
	static uint8_t memory[16384];
	const struct sender *mother = life_of(1, 0);
	bulla_bytes births[SIM_AGENTS], approval = signed_approval(), ignored;
	bulla_bytes instance = object(BULLA_OBJECT_INSTANCE, bulla_bytes_digest(bulla_sign_key_kid(mother->key)),
		bulla_bytes_of(mother->instance, mother->instance_size), memory, sizeof(memory));
	struct bulla_msg_keys_reply m = {.manifest = fixed.manifest.bytes, .approvals = bulla_pb_list_of(&approval, 1),
		.day_key = bulla_buf_view(&fixed.day_key), .births = bulla_pb_list_of(births, SIM_AGENTS),
		.instances = bulla_pb_list_of(&instance, 1), .time_ms = (uint64_t)SIM_BASE_MS};
	bulla_wr w = bulla_wr_buf(ret);

	for (unsigned i = 0; i < SIM_AGENTS; i++)
		births[i] = bulla_buf_view(&fixed.births[i]);
	bulla_msg_keys_reply_encode(&m, &w);
	MUST(bulla_wr_end(&w, &ignored));
}

/* --- envelopes --- */

/* Seals a part to its readers; objects: its links. */
static void seal(const struct sender *from, const struct bulla_flow *flow, const struct bulla_flow_part *part,
	const struct bulla_position *position, enum bulla_envelope_kind kind, struct signed_outputs *ret)
{
	struct bulla_envelope_reader readers[SIM_AGENTS];
	struct bulla_envelope_spec spec = {.position = *position, .kind = kind, .path = bulla_path_whole,
		.producer = *bulla_sign_key_kid(from->key), .instance = from->secret, .random = bulla_random_os(), .readers = readers};
	BULLA_AUTO_BUF buf = {.max = sizeof(ret->memory)};
	struct bulla_pair *pair = &ret->pairs[ret->count];

	for (uint32_t i = 0; i < part->readers.count; i++) {
		unsigned agent = flow->actors[flow->readers[part->readers.first + i]].handle[0] - 'a';

		readers[spec.reader_count++] =
			(struct bulla_envelope_reader){from->links[agent].id, from->links[agent].secret, BULLA_SECRET_NONE};
		ret->objects[ret->object_count] = object(BULLA_OBJECT_LINK, BULLA_BYTES_ARRAY(from->links[agent].id.b),
			bulla_bytes_of(from->records[agent], from->sizes[agent]), ret->object_memory[ret->object_count], LINK_RECORD);
		ret->links[ret->object_count++] = from->links[agent].id;
	}
	MUST(bulla_random_secret(bulla_random_os(), 32, &spec.salt));
	MUST(bulla_envelope_seal(&spec, BULLA_BYTES_LITERAL("{}"), &buf, &pair->envelope, &pair->commitment));
	bulla_secret_free(&spec.salt);
	if (ret->used + buf.n > sizeof(ret->memory))
		abort();
	bulla_copy(ret->memory + ret->used, buf.p, buf.n);
	ret->envelopes[ret->count++] = bulla_bytes_of(ret->memory + ret->used, buf.n);
	ret->used += buf.n;
}

void signed_pairs(const struct signed_outputs *outputs, uint8_t *ret)
{
	for (size_t i = 0; i < outputs->count; i++) {
		bulla_copy(ret + i * BULLA_PAIR_BYTES, outputs->pairs[i].envelope.b, 32);
		bulla_copy(ret + i * BULLA_PAIR_BYTES + 32, outputs->pairs[i].commitment.b, 32);
	}
}

/* --- starts --- */

void signed_start(const struct bulla_flow *flow, struct bulla_start *start, struct bulla_buf *ret_record,
	struct signed_outputs *ret)
{
	uint8_t payload[2048], pairs[8 * BULLA_PAIR_BYTES], links[8 * BULLA_LINK_ID_BYTES];
	struct bulla_position position = {.slot = {.tenant = start->tenant, .workflow = start->workflow, .run = start->run},
		.attempt = 1};
	bulla_wr w = bulla_wr_fixed(payload, sizeof(payload)), record = bulla_wr_buf(ret_record);
	struct bulla_auth auth;
	bulla_bytes view, ignored;

	*ret = (struct signed_outputs){.count = 0};
	for (uint32_t i = 0; i < flow->steps[0].parts.count; i++)
		seal(&fixed.owner, flow, &flow->parts[flow->steps[0].parts.first + i], &position, BULLA_ENVELOPE_INPUT, ret);
	signed_pairs(ret, pairs);
	start->inputs = bulla_bytes_of(pairs, ret->count * BULLA_PAIR_BYTES);
	for (size_t i = 0; i < ret->object_count; i++)
		bulla_copy(links + i * BULLA_LINK_ID_BYTES, ret->links[i].b, BULLA_LINK_ID_BYTES);
	start->links = bulla_bytes_of(links, ret->object_count * BULLA_LINK_ID_BYTES);
	start->party = *bulla_sign_key_kid(fixed.owner.key);
	bulla_sha256(BULLA_BYTES_ARRAY(day_public), &start->day_key);
	MUST(bulla_start_write(&w, start));
	MUST(bulla_wr_end(&w, &view));
	MUST(bulla_auth_sign(fixed.owner.key, BULLA_SIGNED_START, view, &auth));
	bulla_start_record_write(&record, view, &auth);
	MUST(bulla_wr_end(&record, &ignored));
}

/* --- enclaves --- */

bool signed_boot(uint32_t enclave, uint32_t life, bulla_digest *ret_kid)
{
	if (life >= LIVES)
		return false;
	*ret_kid = *bulla_sign_key_kid(life_of(enclave, life)->key);
	return true;
}

bulla_bytes signed_instance(uint32_t enclave, uint32_t life)
{
	const struct sender *s = life_of(enclave, life);

	return bulla_bytes_of(s->instance, s->instance_size);
}

bulla_rc signed_inputs(const struct bulla_flow *flow, uint32_t step, const struct bulla_flow_parent *parents, size_t count,
	const struct bulla_pb_list *records, bulla_digest *ret)
{
	struct bulla_flow_binding bindings[SIM_STEPS];
	struct bulla_pair pairs[SIM_STEPS];
	size_t bound = 0, n = 0;

	BULLA_TRY(bulla_flow_bind(flow, (uint16_t)step, 0, parents, count, bindings, SIM_STEPS, &bound));
	for (size_t i = 0; i < bound; i++) {
		bulla_bytes record = bulla_pb_list_at(records, bindings[i].parent);
		struct bulla_receipt_record receipt;
		struct bulla_start_record start;
		bulla_bytes list;

		if (bulla_start_record_decode(record, &start) == BULLA_OK) {
			list = start.start.inputs;
		} else {
			BULLA_TRY(bulla_receipt_record_decode(record, &receipt));
			list = receipt.outputs;
		}
		BULLA_TRY(bulla_pairs_get(list, bindings[i].part, &pairs[n++]));
	}
	bulla_pairs_root(pairs, n, ret);
	return BULLA_OK;
}

void signed_outputs_of(uint32_t enclave, uint32_t life, const struct bulla_flow *flow, struct bulla_receipt *receipt,
	struct signed_outputs *ret)
{
	const struct bulla_flow_step *step = &flow->steps[receipt->position.slot.step];

	*ret = (struct signed_outputs){.count = 0};
	receipt->agent = sim_digest((uint8_t)(0x50 + flow->actors[step->actor].handle[0] - 'a'));
	for (uint32_t i = 0; !BULLA_OUTCOME_IS_FAILURE(receipt->outcome) && i < step->parts.count; i++)
		seal(life_of(enclave, life), flow, &flow->parts[step->parts.first + i], &receipt->position, BULLA_ENVELOPE_OUTPUT, ret);
}

void signed_receipt(uint32_t enclave, uint32_t life, bulla_bytes payload, struct bulla_auth *ret)
{
	MUST(bulla_auth_sign(life_of(enclave, life)->key, BULLA_SIGNED_RECEIPT, payload, ret));
}

/* --- the verdict --- */

void signed_verify(struct sim *sim, uint32_t run, bulla_bytes bundle)
{
	struct bulla_verify_result result;
	struct bulla_verify *v;

	MUST(bulla_verify_new(&fixed.trust, &v));
	MUST(bulla_verify_feed(v, bundle));
	MUST(bulla_verify_end(v, &result));
	bulla_verify_free(v);
	sim->verified++;
	sim_trace(sim, "bundle", run, bundle.n, result.verdict);
	if (result.verdict == BULLA_VERDICT_DEV_ONLY)
		return;
	sim_fail(sim, "a bundle does not verify", run, result.step);
	snprintf(sim->failure, sizeof(sim->failure), "the bundle of run %u: %s: %s, %s at step %u try %u", run,
		bulla_verify_check_id(result.failed), bulla_rc_id(result.rc), result.text != NULL ? result.text : "", result.step,
		result.attempt);
}
