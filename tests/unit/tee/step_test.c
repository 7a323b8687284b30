/* Attacks on the checks before a step: each is refused with its error, and succeeds when its one check is gone. */
#include "attack.h"
#include "crypto/hash.h"
#include "crypto/sign.h"
#include "flow/flows.h"
#include "tee/step.h"

static struct flows flows;
static struct bulla_manifest manifest;
static struct bulla_buf manifest_bytes;
static struct bulla_sign_key *owner, *ledger, *party;
static struct bulla_used used;
static bulla_secret mac;
static struct bulla_step_rules rules;
static bulla_handle hosted[3];
static struct bulla_step step;

#define NOW 1000000u

static bulla_handle handle_of(uint8_t letter)
{
	bulla_handle handle;

	for (size_t i = 0; i < sizeof(handle.b); i++)
		handle.b[i] = letter;
	return handle;
}

static void make_manifest(const struct bulla_flow *flow)
{
	static uint8_t lists[256];
	bulla_wr l = bulla_wr_fixed(lists, sizeof(lists)), w;
	struct bulla_approver approver = {.spki = bulla_sign_key_spki(owner)};
	struct bulla_party parties[1] = {{.spki = bulla_sign_key_spki(party), .handle = handle_of('c')}};
	struct bulla_agent agents[3];
	struct bulla_workflow workflow = {.plan = flow->bytes};
	struct bulla_manifest m = {.suite = 1, .mode = 1, .epoch = 3, .need = 1, .approvers = &approver, .approver_count = 1,
		.parties = parties, .party_count = 1, .agents = agents, .agent_count = 3, .workflows = &workflow,
		.workflow_count = 1, .assurance = 1, .max_age_ms = 300000, .ledger_spki = bulla_sign_key_spki(ledger),
		.tenant = handle_of('t')};

	bulla_list_write_text(&l, (bulla_bytes[]){BULLA_BYTES_LITERAL("dev")}, 1);
	m.tees = bulla_bytes_of(lists, l.n);
	for (unsigned i = 0; i < 3; i++)
		agents[i] = (struct bulla_agent){.binding = 1, .policy_form = 1, .handle = handle_of((uint8_t)"abe"[i])};
	bulla_manifest_done(&manifest);
	bulla_buf_clear(&manifest_bytes);
	w = bulla_wr_buf(&manifest_bytes);
	assert_ok(bulla_manifest_encode(&m, &w));
	assert_ok(bulla_manifest_decode(bulla_buf_view(&manifest_bytes), &manifest));
}

/* An enclave that hosts the agents of these letters. */
static void make_rules(const struct bulla_flow *flow, const char *letters)
{
	make_manifest(flow);
	bulla_used_done(&used);
	assert_ok(bulla_used_init(&used));
	rules = (struct bulla_step_rules){.manifest = &manifest, .flows = flow, .agents = hosted, .instance = {{7}},
		.session = {9}, .mac = mac, .used = &used};
	for (; *letters != 0; letters++)
		hosted[rules.agent_count++] = handle_of((uint8_t)*letters);
}

static int up(void **state)
{
	(void)state;
	assert_ok(bulla_secret_slab_init(64));
	assert_ok(bulla_sign_key_new(BULLA_ES256, &owner));
	assert_ok(bulla_sign_key_new(BULLA_ES256, &ledger));
	assert_ok(bulla_sign_key_new(BULLA_ES256, &party));
	assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("a session's MAC key of 32 bytes!"), &mac));
	bulla_buf_init(&manifest_bytes, 65536);
	return 0;
}

static int down(void **state)
{
	(void)state;
	bulla_manifest_done(&manifest);
	bulla_buf_done(&manifest_bytes);
	bulla_used_done(&used);
	bulla_sign_key_free(owner);
	bulla_sign_key_free(ledger);
	bulla_sign_key_free(party);
	bulla_secret_free(&mac);
	bulla_secret_slab_done();
	return 0;
}

/* One request in the making; every field may be bent before it is sent. */
struct request {
	struct bulla_permit permit;
	uint8_t parents[4 * 32];
	bulla_bytes records[4];
	uint8_t memory[4][2048];
	size_t parent_count;
	struct bulla_pair envelopes[4];
	size_t envelope_count;
	bulla_secret mac;
};

static struct bulla_pair pair_of(uint8_t what)
{
	return (struct bulla_pair){.envelope = {{what, 1}}, .commitment = {{what, 2}}};
}

static void begin(struct request *r, uint32_t number)
{
	*r = (struct request){.mac = mac};
	r->permit = (struct bulla_permit){.instance = rules.instance, .manifest = manifest.digest, .time_ms = NOW,
		.expires_ms = NOW + 1000, .epoch = manifest.epoch, .sequence = 9};
	r->permit.position = (struct bulla_position){.attempt = 1,
		.slot = {.tenant = manifest.tenant, .workflow = manifest.workflows[0].digest, .run = {{5}}, .step = number}};
}

static void list(struct request *r, const bulla_digest *digest, size_t size)
{
	bulla_copy(r->parents + r->parent_count * 32, digest->b, 32);
	r->records[r->parent_count] = bulla_bytes_of(r->memory[r->parent_count], size);
	r->parent_count++;
}

static void add_start(struct request *r, struct bulla_start start)
{
	static uint8_t pairs[BULLA_PAIR_BYTES];
	uint8_t payload[1024];
	bulla_wr w = bulla_wr_fixed(payload, sizeof(payload));
	struct bulla_auth auth = {.batched = false};
	struct bulla_pair pair = pair_of(0);
	bulla_bytes bytes, record;
	bulla_digest digest;

	bulla_copy(pairs, pair.envelope.b, 32);
	bulla_copy(pairs + 32, pair.commitment.b, 32);
	start.inputs = BULLA_BYTES_ARRAY(pairs);
	start.secret = BULLA_BYTES_LITERAL("sealed run secret, sealed run secret, sealed run secret, sealed run secret, abcd");
	assert_ok(bulla_start_write(&w, &start));
	assert_ok(bulla_wr_end(&w, &bytes));
	bulla_sha256(bytes, &digest);
	w = bulla_wr_fixed(r->memory[r->parent_count], sizeof(r->memory[0]));
	bulla_start_record_write(&w, bytes, &auth);
	assert_ok(bulla_wr_end(&w, &record));
	list(r, &digest, record.n);
}

static struct bulla_start start_of(const struct request *r)
{
	return (struct bulla_start){.tenant = r->permit.position.slot.tenant, .workflow = r->permit.position.slot.workflow,
		.manifest = manifest.digest, .run = r->permit.position.slot.run, .time_ms = NOW};
}

static struct bulla_receipt receipt_of(const struct request *r, uint32_t number, uint8_t outcome, uint8_t executor)
{
	struct bulla_receipt receipt = {.position = r->permit.position, .manifest = manifest.digest, .executor = executor,
		.reuse = executor == BULLA_EXECUTOR_AGENT ? BULLA_REUSE_FRESH : BULLA_REUSE_NONE, .outcome = outcome, .time_ms = NOW};

	receipt.position.slot.step = number;
	if (executor == BULLA_EXECUTOR_CLOCK)
		receipt.kid = manifest.ledger;
	return receipt;
}

/* with: has one output. */
static void add_receipt(struct request *r, struct bulla_receipt receipt, bool with)
{
	struct bulla_pair pair = pair_of((uint8_t)receipt.position.slot.step);
	uint8_t payload[BULLA_RECEIPT_BYTES], pairs[BULLA_PAIR_BYTES];
	bulla_wr w = bulla_wr_fixed(payload, sizeof(payload));
	struct bulla_auth auth = {.batched = false};
	bulla_digest digest;
	bulla_bytes record;

	bulla_copy(pairs, pair.envelope.b, 32);
	bulla_copy(pairs + 32, pair.commitment.b, 32);
	bulla_pairs_root(&pair, with, &receipt.outputs);
	bulla_receipt_write(&w, &receipt);
	bulla_receipt_digest(&receipt, &digest);
	w = bulla_wr_fixed(r->memory[r->parent_count], sizeof(r->memory[0]));
	bulla_receipt_record_write(&w, BULLA_BYTES_ARRAY(payload), &auth, bulla_bytes_of(pairs, with ? sizeof(pairs) : 0),
		bulla_bytes_of(NULL, 0));
	assert_ok(bulla_wr_end(&w, &record));
	list(r, &digest, record.n);
}

static bulla_rc check(struct request *r, uint64_t now)
{
	struct bulla_pb_list parents = bulla_pb_list_of(r->records, r->parent_count);
	BULLA_AUTO_BUF permit = {0};

	bulla_buf_init(&permit, BULLA_PERMIT_MAX);
	r->permit.parents = bulla_bytes_of(r->parents, r->parent_count * 32);
	assert_ok(bulla_permit_make(&r->permit, rules.session, r->mac, &permit));
	return bulla_step_check(&rules, bulla_buf_view(&permit), &parents, r->envelopes, r->envelope_count, now, &step);
}

/* input -> a -> b; step 2 with its honest parent. */
static void second_step(struct request *r)
{
	make_rules(flows_linear(&flows, 2), "ab");
	begin(r, 2);
	add_receipt(r, receipt_of(r, 1, 0, BULLA_EXECUTOR_AGENT), true);
	r->envelopes[r->envelope_count++] = pair_of(1);
}

static void honest_steps_pass(void **state)
{
	struct request r;

	(void)state;
	make_rules(flows_linear(&flows, 2), "a");
	begin(&r, 1);
	add_start(&r, start_of(&r));
	r.envelopes[r.envelope_count++] = pair_of(0);
	assert_ok(check(&r, NOW));
	assert_true(step.parents[0].start);
	assert_int_equal(step.input_count, 1);
	second_step(&r);
	assert_ok(check(&r, NOW));
	assert_int_equal(step.parent_count, 1);
	assert_true(bulla_handle_eq(&step.agent->handle, &hosted[1]));
}

static void permits(void **state)
{
	struct request r;
	BULLA_AUTO_SECRET other = BULLA_SECRET_NONE;

	(void)state;
	assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("some other session's key, 32 B.!"), &other));
	second_step(&r);
	r.mac = other;
	assert_attack(PERMIT_MAC, BULLA_E_MAC, check(&r, NOW));
	second_step(&r);
	r.permit.instance.b[0] ^= 1;
	assert_attack(PERMIT_INSTANCE, BULLA_E_PERMIT_INSTANCE, check(&r, NOW));
	second_step(&r);
	assert_attack(PERMIT_EXPIRY, BULLA_E_PERMIT_EXPIRED, check(&r, NOW + 1000));
	second_step(&r);
	assert_ok(check(&r, NOW));
	bulla_used_add(&used, &step.attempt, r.permit.sequence);
	assert_attack(PERMIT_ONCE, BULLA_E_PERMIT_USED, check(&r, NOW));
	r.permit.position.attempt = 2; /* another attempt is another matter */
	assert_ok(check(&r, NOW));
}

static void manifests(void **state)
{
	struct request r;

	(void)state;
	second_step(&r);
	r.permit.manifest.b[0] ^= 1;
	assert_rc(BULLA_E_EPOCH_CLOSED, check(&r, NOW));
	second_step(&r);
	r.permit.epoch++;
	assert_rc(BULLA_E_EPOCH_CLOSED, check(&r, NOW));
	second_step(&r);
	r.permit.position.slot.tenant.b[0] ^= 1;
	assert_rc(BULLA_E_POSITION_TENANT, check(&r, NOW));
	second_step(&r);
	r.permit.position.slot.workflow.b[0] ^= 1;
	assert_rc(BULLA_E_POSITION_WORKFLOW, check(&r, NOW));
	second_step(&r);
	r.permit.position.slot.step = 3;
	assert_rc(BULLA_E_PLAN, check(&r, NOW));
	r.permit.position.slot.step = 0;
	assert_rc(BULLA_E_PLAN, check(&r, NOW));
}

static void another_agents_step(void **state)
{
	struct request r;

	(void)state;
	second_step(&r);
	rules.agent_count = 1; /* only a is here */
	assert_attack(STEP_AGENT, BULLA_E_PLAN, check(&r, NOW));
}

static void parents(void **state)
{
	struct request r;
	struct bulla_receipt receipt;

	(void)state;
	second_step(&r);
	r.parents[0] ^= 1; /* the ledger committed another receipt */
	assert_attack(STEP_PARENTS_LISTED, BULLA_E_PARENT, check(&r, NOW));
	second_step(&r);
	r.parent_count = 0;
	receipt = receipt_of(&r, 1, 0, BULLA_EXECUTOR_AGENT);
	receipt.position.slot.run.b[3] ^= 1;
	add_receipt(&r, receipt, true);
	assert_attack(STEP_PARENTS_RUN, BULLA_E_POSITION_RUN, check(&r, NOW));
	r.parent_count = 0;
	receipt = receipt_of(&r, 1, 0, BULLA_EXECUTOR_AGENT);
	receipt.manifest.b[3] ^= 1;
	add_receipt(&r, receipt, true);
	assert_attack(STEP_PARENTS_RUN, BULLA_E_PARENT, check(&r, NOW));
	r.parent_count = 0;
	assert_rc(BULLA_E_PARENT, check(&r, NOW));
	/* the start record in place of the parent */
	second_step(&r);
	r.parent_count = 0;
	add_start(&r, start_of(&r));
	assert_rc(BULLA_E_PARENT, check(&r, NOW));
	/* a failed parent */
	second_step(&r);
	r.parent_count = 0;
	add_receipt(&r, receipt_of(&r, 1, 66, BULLA_EXECUTOR_AGENT), true);
	assert_rc(BULLA_E_PARENT, check(&r, NOW));
}

/* input -> a -> b if low | c if refer | d (sleep) if high -> e */
static void branch_not_taken(void **state)
{
	struct request r;

	(void)state;
	make_rules(flows_branches(&flows), "abe");
	begin(&r, 2);
	add_receipt(&r, receipt_of(&r, 1, 0, BULLA_EXECUTOR_AGENT), true);
	r.envelope_count = flows.decoded.steps[2].inputs.count;
	r.envelopes[0] = pair_of(1);
	assert_ok(check(&r, NOW));
	r.parent_count = 0;
	add_receipt(&r, receipt_of(&r, 1, 1, BULLA_EXECUTOR_AGENT), true); /* it said refer: c's turn */
	assert_attack(STEP_PARENTS_PLAN, BULLA_E_PLAN, check(&r, NOW));
}

static void envelopes(void **state)
{
	struct request r;

	(void)state;
	second_step(&r);
	r.envelopes[0] = pair_of(9);
	assert_attack(STEP_INPUTS, BULLA_E_NOT_ENVELOPE, check(&r, NOW));
	r.envelopes[0] = pair_of(1);
	r.envelope_count = 0;
	assert_rc(BULLA_E_NOT_ENVELOPE, check(&r, NOW));
	r.envelope_count = 2;
	assert_rc(BULLA_E_NOT_ENVELOPE, check(&r, NOW));
}

/* Step e after the timer d: only the broker's clock may say that time passed. */
static void timer(struct request *r, uint8_t executor)
{
	make_rules(flows_branches(&flows), "abe");
	begin(r, 5);
	add_receipt(r, receipt_of(r, 1, 2, BULLA_EXECUTOR_AGENT), true);
	add_receipt(r, receipt_of(r, 4, 0, executor), false);
	for (uint32_t i = 0; i < flows.decoded.steps[5].inputs.count; i++)
		if (flows.decoded.sources[flows.decoded.inputs[flows.decoded.steps[5].inputs.first + i].sources.first].step == 1)
			r->envelopes[r->envelope_count++] = pair_of(1);
}

static void timer_early(void **state)
{
	struct request r;

	(void)state;
	timer(&r, BULLA_EXECUTOR_CLOCK);
	assert_ok(check(&r, NOW));
	timer(&r, BULLA_EXECUTOR_AGENT);
	assert_attack(STEP_CLOCK, BULLA_E_CLOCK_RECEIPT, check(&r, NOW));
	/* the right executor, another key */
	timer(&r, BULLA_EXECUTOR_CLOCK);
	r.parent_count = 1;
	struct bulla_receipt receipt = receipt_of(&r, 4, 0, BULLA_EXECUTOR_CLOCK);
	receipt.kid.b[0] ^= 1;
	add_receipt(&r, receipt, false);
	assert_attack(STEP_CLOCK, BULLA_E_CLOCK_RECEIPT, check(&r, NOW));
}

static void attempt(uint32_t number, bulla_digest *ret)
{
	bulla_sha256(bulla_bytes_of(&number, sizeof(number)), ret);
}

/* Each runs once, in whatever order, for ever: those still remembered by their marks, all before by their permits' numbers. */
static void permits_run_once_when_forgotten_too(void **state)
{
	const uint32_t count = 5 * BULLA_USED_GENERATION;
	struct bulla_used table;
	bulla_digest digest;
	uint32_t refused = 0;

	(void)state;
	assert_ok(bulla_used_init(&table));
	for (uint32_t i = 0; i < count; i++) {
		uint32_t number = i ^ 7; /* not quite in order */

		attempt(number, &digest);
		assert_false(bulla_used_has(&table, &digest, number + 1));
		bulla_used_add(&table, &digest, number + 1);
		assert_true(bulla_used_has(&table, &digest, number + 1));
	}
	for (uint32_t i = 0; i < count; i++) {
		attempt(i, &digest);
		assert_true(bulla_used_has(&table, &digest, i + 1));
		refused += bulla_used_has(&table, &digest, UINT64_MAX) ? 1 : 0;
	}
	assert_in_range(refused, BULLA_USED_GENERATION, BULLA_MAX_USED_PERMITS); /* these by their marks */
	bulla_used_done(&table);
}

/* A permit that the host kept back while thousands of later ones ran. */
static void late_permits_are_refused(void **state)
{
	struct request r;
	bulla_digest digest;

	(void)state;
	second_step(&r);
	r.permit.sequence = 3;
	for (uint32_t i = 0; i <= 2 * BULLA_USED_GENERATION; i++) {
		assert_ok(check(&r, NOW));
		attempt(i, &digest);
		bulla_used_add(&used, &digest, i + 4);
	}
	assert_attack(PERMIT_ONCE, BULLA_E_PERMIT_USED, check(&r, NOW));
	r.permit.sequence = BULLA_USED_GENERATION + 4;
	assert_ok(check(&r, NOW));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(honest_steps_pass),
		cmocka_unit_test(permits),
		cmocka_unit_test(manifests),
		cmocka_unit_test(another_agents_step),
		cmocka_unit_test(parents),
		cmocka_unit_test(branch_not_taken),
		cmocka_unit_test(envelopes),
		cmocka_unit_test(timer_early),
		cmocka_unit_test(permits_run_once_when_forgotten_too),
		cmocka_unit_test(late_permits_are_refused),
	};

	return cmocka_run_group_tests_name("tee_step", tests, up, down);
}
