/* One forged bundle per check of src/verify/checks.def: refused with the named error, and believed where exactly that
 * check is taken away (builds of mutants). */
#include "attack.h"
#include "receipt/order.h"
#include "verify/maker.h"

static struct maker maker;
static struct bulla_trust honest_trust;

/* The verdict as a result: BULLA_OK for an intact run of the development TEE. */
static bulla_rc judged(bulla_bytes bundle, const struct bulla_trust *trust)
{
	struct bulla_verify_result result;

	assert_ok(maker_verify(bundle, trust, 1 << 16, &result));
	if (result.verdict == BULLA_VERDICT_UNKNOWN_SIGNER)
		return BULLA_E_APPROVALS;
	if (result.verdict == BULLA_VERDICT_REFUSED)
		return result.rc;
	return BULLA_OK;
}

static bulla_rc attack(uint8_t outcome, struct maker_hooks hooks)
{
	return judged(maker_run(&maker, outcome, hooks), &honest_trust);
}

/* The check that failed. */
static const char *attack_check(struct maker_hooks hooks)
{
	struct bulla_verify_result result;

	assert_ok(maker_verify(maker_run(&maker, 0, hooks), &honest_trust, 1 << 16, &result));
	assert_int_equal(result.verdict, BULLA_VERDICT_REFUSED);
	return bulla_verify_check_id(result.failed);
}

/* --- bundle --- */

static void bundles(void **state)
{
	struct maker_hooks hooks = MAKER_HONEST;
	bulla_bytes bundle = maker_run(&maker, 0, hooks);

	(void)state;
	bundle.n = maker.before_trailer;
	assert_attack(VERIFY_BUNDLE_WHOLE, BULLA_E_BUNDLE, judged(bundle, &honest_trust));
	hooks.late_manifest = true;
	assert_attack(VERIFY_BUNDLE_ORDER, BULLA_E_BUNDLE, attack(0, hooks));
}

/* --- manifest --- */

static void other_manifest(struct bulla_bundle_header *header)
{
	header->manifest.b[0] ^= 1;
}

static void flip_approval(enum bulla_bundle_kind kind, uint8_t *body, size_t size)
{
	if (kind == BULLA_BUNDLE_APPROVAL)
		body[size - 1] ^= 1;
}

static void two_of_two(struct bulla_manifest *manifest)
{
	static struct bulla_approver approvers[2];

	approvers[0] = manifest->approvers[0];
	approvers[1].spki = bulla_sign_key_spki(maker.keys[MAKER_STRANGER]);
	manifest->approvers = approvers;
	manifest->approver_count = 2;
	manifest->need = 2;
}

static void manifests(void **state)
{
	struct maker_hooks hooks = MAKER_HONEST;
	struct bulla_trust trust = honest_trust;
	bulla_bytes bundle;

	(void)state;
	hooks.header = other_manifest;
	/* second line: the start record names the manifest, too */
	assert_attack_then(VERIFY_MANIFEST_DIGEST, BULLA_E_BUNDLE, BULLA_E_POSITION_RUN, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.raw = flip_approval;
	assert_attack(VERIFY_MANIFEST_SIGNATURES, BULLA_E_SIGNATURE, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.manifest = two_of_two;
	assert_attack(VERIFY_MANIFEST_APPROVED, BULLA_E_APPROVALS, attack(0, hooks));
	bundle = maker_run(&maker, 0, MAKER_HONEST);
	trust.tenant.b[0] ^= 1;
	assert_attack(VERIFY_MANIFEST_TENANT, BULLA_E_POSITION_TENANT, judged(bundle, &trust));
	trust = honest_trust;
	trust.approvers[0].kid.b[0] ^= 1;
	assert_attack(VERIFY_MANIFEST_TRUSTED, BULLA_E_APPROVALS, judged(bundle, &trust));
	trust = honest_trust;
	trust.epoch = 9;
	assert_attack(VERIFY_MANIFEST_EPOCH, BULLA_E_EPOCH_OLD, judged(bundle, &trust));
}

/* Another epoch's manifest comes along: it must leave the run's epoch open, and be approved as the first. */
static void epochs(void **state)
{
	struct maker_hooks hooks = MAKER_HONEST;

	(void)state;
	hooks.second = 1;
	assert_rc(BULLA_OK, attack(0, hooks));
	hooks.second = 2;
	assert_attack(VERIFY_MANIFEST_EPOCH, BULLA_E_EPOCH_CLOSED, attack(0, hooks));
	hooks.second = 3;
	assert_rc(BULLA_E_APPROVALS, attack(0, hooks));
}

/* --- evidence: the checks themselves are attest's; here: each one is asked --- */

static void other_image(uint8_t pcrs[32][48])
{
	pcrs[0][0] ^= 1;
}

static void debug(uint8_t pcrs[32][48])
{
	bulla_zero(pcrs, 3 * 48);
}

static void other_pcr16(uint8_t pcrs[32][48])
{
	pcrs[16][0] ^= 1;
}

static void other_pcr17(uint8_t pcrs[32][48])
{
	pcrs[17][0] ^= 1;
}

static void other_channel(struct bulla_instance *record)
{
	record->channel.b[0] ^= 1;
}

static void other_key(struct bulla_instance *record)
{
	record->receipt_key = bulla_sign_key_spki(maker.keys[MAKER_STRANGER]);
}

static void other_time(struct bulla_instance *record)
{
	record->time_ms += 3600000;
}

static void no_anchor(struct bulla_manifest *manifest)
{
	manifest->anchor_count = 0;
}

static void flip_document(enum bulla_bundle_kind kind, uint8_t *body, size_t size)
{
	if (kind == BULLA_BUNDLE_INSTANCE)
		body[size - 20] ^= 1; /* within the document's signature */
}

static void evidence(void **state)
{
	struct maker_hooks hooks = MAKER_HONEST;
	struct bulla_trust nobody = {.need = 1};

	(void)state;
	hooks.pcrs = other_image;
	assert_string_equal(attack_check(hooks), "evidence.measurement");
	hooks.pcrs = debug;
	assert_string_equal(attack_check(hooks), "evidence.debug");
	hooks.pcrs = other_pcr16;
	assert_string_equal(attack_check(hooks), "evidence.manifest");
	hooks.pcrs = other_pcr17;
	assert_string_equal(attack_check(hooks), "evidence.bundles");
	hooks = MAKER_HONEST;
	hooks.instance = other_channel;
	assert_string_equal(attack_check(hooks), "evidence.binder");
	hooks.instance = other_key;
	assert_string_equal(attack_check(hooks), "evidence.binder");
	hooks.instance = other_time;
	assert_string_equal(attack_check(hooks), "evidence.time");
	hooks = MAKER_HONEST;
	hooks.raw = flip_document;
	assert_string_equal(attack_check(hooks), "evidence.signature");
	hooks = MAKER_HONEST;
	hooks.manifest = no_anchor;
	assert_rc(BULLA_E_EVIDENCE_CHAIN, judged(maker_run(&maker, 0, hooks), &nobody));
}

static void instances(void **state)
{
	struct maker_hooks hooks = MAKER_HONEST;

	(void)state;
	hooks.boot = true;
	assert_rc(BULLA_OK, attack(0, hooks));
	hooks.boot_wrong = true;
	assert_attack(VERIFY_EVIDENCE_BINDER, BULLA_E_BINDER, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.renewed = 3;
	assert_rc(BULLA_OK, attack(0, hooks));
	hooks.renewed = 2;
	assert_attack(VERIFY_INSTANCE_KEY, BULLA_E_BINDER, attack(0, hooks));
}

/* --- start --- */

static void other_run(struct bulla_start *start)
{
	start->run.b[15] ^= 1;
}

static void no_rights(struct bulla_manifest *manifest)
{
	manifest->parties[1].rights = 0;
}

static void starts(void **state)
{
	struct maker_hooks hooks = MAKER_HONEST;

	(void)state;
	hooks.start = other_run;
	assert_attack(VERIFY_START_PLACE, BULLA_E_POSITION_RUN, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.manifest = no_rights;
	assert_attack(VERIFY_START_RIGHT, BULLA_E_NO_RIGHT, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.starter = MAKER_STRANGER;
	assert_attack(VERIFY_START_SIGNATURE, BULLA_E_SIGNATURE, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.old_day = true;
	assert_attack(VERIFY_START_DAY_KEY, BULLA_E_EVIDENCE_STALE, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.day_signer = MAKER_STRANGER;
	assert_rc(BULLA_E_SIGNATURE, attack(0, hooks));
}

/* --- receipts --- */

static void receipt_of_other_run(struct bulla_receipt *receipt)
{
	receipt->position.slot.run.b[15] ^= 1;
}

static void receipt_of_other_agent(struct bulla_receipt *receipt)
{
	if (receipt->executor == BULLA_EXECUTOR_AGENT)
		receipt->agent.b[31] ^= 1;
}

static void receipt_reused(struct bulla_receipt *receipt)
{
	if (receipt->executor == BULLA_EXECUTOR_AGENT)
		receipt->reuse = BULLA_REUSE_REUSED;
}

static void receipt_of_other_parents(struct bulla_receipt *receipt)
{
	receipt->parents.b[0] ^= 1;
}

static void receipt_of_other_inputs(struct bulla_receipt *receipt)
{
	receipt->inputs.b[0] ^= 1;
}

static void receipt_before_permit(struct bulla_receipt *receipt)
{
	receipt->time_ms -= 6;
}

static void clock_of_stranger(struct bulla_receipt *receipt)
{
	if (receipt->executor == BULLA_EXECUTOR_CLOCK)
		receipt->kid = *bulla_sign_key_kid(maker.keys[MAKER_STRANGER]);
}

static void receipts(void **state)
{
	struct maker_hooks hooks = MAKER_HONEST;

	(void)state;
	hooks.receipt = receipt_of_other_run;
	assert_attack(VERIFY_RECEIPT_PLACE, BULLA_E_POSITION_RUN, attack(0, hooks));
	hooks.receipt = receipt_of_other_agent;
	assert_attack(VERIFY_RECEIPT_AGENT, BULLA_E_PRODUCER, attack(0, hooks));
	hooks.receipt = receipt_of_other_parents;
	assert_attack(VERIFY_RECEIPT_PARENTS, BULLA_E_PARENT, attack(0, hooks));
	hooks.receipt = receipt_of_other_inputs;
	assert_attack(VERIFY_RECEIPT_INPUTS, BULLA_E_GRAPH, attack(0, hooks));
	hooks.receipt = receipt_before_permit;
	assert_attack(VERIFY_RECEIPT_TIME, BULLA_E_CLOCK, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.receipt_signer = MAKER_STRANGER;
	assert_attack(VERIFY_RECEIPT_SIGNATURE, BULLA_E_SIGNATURE, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.more_outputs = true;
	assert_attack(VERIFY_RECEIPT_OUTPUTS, BULLA_E_GRAPH, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.hosted = 2; /* a and b, not e */
	assert_attack(VERIFY_RECEIPT_SIGNER, BULLA_E_PRODUCER, attack(0, hooks));
}

static void demands(void **state)
{
	struct maker_hooks hooks = MAKER_HONEST;

	(void)state;
	hooks.each = true;
	assert_attack(VERIFY_RECEIPT_EACH, BULLA_E_SIGNATURE, attack(0, hooks));
	hooks.lone = true;
	assert_rc(BULLA_OK, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.receipt = receipt_reused;
	assert_rc(BULLA_OK, attack(0, hooks));
	hooks.fresh = true;
	assert_attack(VERIFY_RECEIPT_FRESH, BULLA_E_DENIED, attack(0, hooks));
}

static void others(void **state)
{
	struct maker_hooks hooks = MAKER_HONEST;

	(void)state;
	hooks.answerer = MAKER_OWNER;
	assert_attack(VERIFY_PARTY_RIGHT, BULLA_E_PARTY, attack(1, hooks));
	hooks.answerer = MAKER_STRANGER;
	assert_rc(BULLA_E_PARTY, attack(1, hooks));
	hooks = MAKER_HONEST;
	hooks.ledger_answers = true;
	assert_attack(VERIFY_CLOCK_WORD, BULLA_E_CLOCK_RECEIPT, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.early = true;
	assert_attack(VERIFY_CLOCK_TIME, BULLA_E_CLOCK_RECEIPT, attack(2, hooks));
	hooks = MAKER_HONEST;
	hooks.clock_signer = MAKER_STRANGER;
	assert_rc(BULLA_E_SIGNATURE, attack(2, hooks));
	hooks.receipt = clock_of_stranger;
	assert_rc(BULLA_E_CLOCK_RECEIPT, attack(2, hooks));
}

/* --- graph, permits, ledger --- */

static void entry_filled(struct bulla_entry *entry)
{
	if (entry->outcome == BULLA_OUTCOME_CRASH)
		entry->filled = 1;
}

static void entry_of_skipped(struct bulla_entry *entry)
{
	if (entry->kind == BULLA_ENTRY_PERMIT && entry->step == 5)
		entry->step = 3;
}

static void entry_of_other_receipt(struct bulla_entry *entry)
{
	if (entry->kind == BULLA_ENTRY_COMMIT && entry->step == 5)
		entry->digest.b[0] ^= 1;
}

static void token_of_other_receipt(struct bulla_token *token)
{
	if (token->slot.step == 5)
		token->receipt.b[0] ^= 1;
}

static bool drop_second_receipt(enum bulla_bundle_kind kind, unsigned ordinal)
{
	return kind == BULLA_BUNDLE_RECEIPT && ordinal == 1;
}

static bool skip_last_commit(const struct bulla_entry *entry)
{
	return entry->kind == BULLA_ENTRY_COMMIT && entry->step == 5;
}

static void graphs(void **state)
{
	struct maker_hooks hooks = MAKER_HONEST;

	(void)state;
	hooks.entry = entry_filled;
	assert_attack(VERIFY_GRAPH_ORDER, BULLA_E_SLOT_FILLED, attack(0, hooks));
	hooks.entry = entry_of_skipped;
	assert_rc(BULLA_E_PLAN, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.entry = entry_of_other_receipt;
	hooks.token = token_of_other_receipt;
	assert_attack(VERIFY_GRAPH_WHOLE, BULLA_E_FORK, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.drop = drop_second_receipt;
	assert_rc(BULLA_E_GRAPH, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.skip_entry = skip_last_commit;
	assert_true(attack(0, hooks) != BULLA_OK);
}

static bool skip_last_permit(const struct bulla_entry *entry)
{
	return entry->kind == BULLA_ENTRY_PERMIT && entry->step == 5;
}

static void permit_of_other(struct bulla_entry *entry)
{
	if (entry->kind == BULLA_ENTRY_PERMIT && entry->step == 5)
		entry->who.b[0] ^= 1;
}

static void permit_on_other_parents(struct bulla_entry *entry)
{
	if (entry->kind == BULLA_ENTRY_PERMIT)
		entry->digest.b[0] ^= 1;
}

static void permits(void **state)
{
	struct maker_hooks hooks = MAKER_HONEST;

	(void)state;
	hooks.skip_entry = skip_last_permit;
	/* second line: no instance was permitted either */
	assert_attack_then(VERIFY_PERMIT_GIVEN, BULLA_E_PERMIT_USED, BULLA_E_PERMIT_INSTANCE, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.entry = permit_of_other;
	assert_attack(VERIFY_PERMIT_INSTANCE, BULLA_E_PERMIT_INSTANCE, attack(0, hooks));
	hooks.entry = permit_on_other_parents;
	assert_attack(VERIFY_PERMIT_PARENTS, BULLA_E_PARENT, attack(0, hooks));
}

static void orders(void **state)
{
	struct maker_hooks hooks = MAKER_HONEST;

	(void)state;
	hooks.cancel = true;
	assert_rc(BULLA_OK, attack(0, hooks));
	hooks.orderer = MAKER_PARTY;
	assert_attack(VERIFY_ORDER_SIGNATURE, BULLA_E_NO_RIGHT, attack(0, hooks));
	hooks.orderer = MAKER_STRANGER;
	assert_rc(BULLA_E_PARTY, attack(0, hooks));
}

/* What an approver revoked does nothing more; what it did before stays good. */
static void revocations(void **state)
{
	static const struct {
		uint8_t kind;
		bool image;
	} rows[] = {{BULLA_ORDER_REVOKE_INSTANCE, false}, {BULLA_ORDER_REVOKE_EPOCH, false},
		{BULLA_ORDER_REVOKE_MEASUREMENT, false}, {BULLA_ORDER_REVOKE_MEASUREMENT, true}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct maker_hooks hooks = MAKER_HONEST;

		hooks.revoke = rows[i].kind;
		hooks.revoke_image = rows[i].image;
		hooks.revoke_under = 99;
		for (hooks.revoke_at = 0; hooks.revoke_at < 3; hooks.revoke_at++)
			assert_attack(VERIFY_ORDER_REVOKED, BULLA_E_REVOKED, attack(0, hooks));
		hooks.revoke_at = 3;
		assert_rc(BULLA_OK, attack(0, hooks));
		hooks.revoke_at = 0;
		hooks.revoke_under = 0; /* a newer epoch names the measurement again */
		assert_rc(rows[i].kind == BULLA_ORDER_REVOKE_MEASUREMENT ? BULLA_OK : BULLA_E_REVOKED, attack(0, hooks));
		hooks.revoke_at = 3;
		hooks.unsigned_order = true;
		assert_attack(VERIFY_ORDER_SIGNATURE, BULLA_E_NO_RIGHT, attack(0, hooks));
	}
}

static void flip_order(enum bulla_bundle_kind kind, uint8_t *body, size_t size)
{
	if (kind == BULLA_BUNDLE_ORDER)
		body[size - 1] ^= 1;
}

static void forged_revocation(void **state)
{
	struct maker_hooks hooks = MAKER_HONEST;

	(void)state;
	hooks.revoke = BULLA_ORDER_REVOKE_INSTANCE;
	hooks.revoke_at = 3;
	hooks.raw = flip_order;
	assert_attack(VERIFY_ORDER_SIGNATURE, BULLA_E_SIGNATURE, attack(0, hooks));
	hooks.raw = NULL;
	hooks.orderer = MAKER_STRANGER; /* whom the manifest that the order names does not */
	assert_attack(VERIFY_ORDER_SIGNATURE, BULLA_E_NO_RIGHT, attack(0, hooks));
}

static void entry_out_of_order(struct bulla_entry *entry)
{
	if (entry->kind == BULLA_ENTRY_GIVEN_UP)
		entry->sequence = 1;
}

static void head_counts_more(struct bulla_run_head *head)
{
	head->count++;
}

static void head_says_failed(struct bulla_run_head *head)
{
	head->state = BULLA_RUN_FAILED;
}

static void ledgers(void **state)
{
	struct maker_hooks hooks = MAKER_HONEST;

	(void)state;
	hooks.entry = entry_out_of_order;
	assert_attack(VERIFY_LEDGER_ORDER, BULLA_E_GRAPH, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.head = head_counts_more;
	assert_attack(VERIFY_LEDGER_HEAD, BULLA_E_GRAPH, attack(0, hooks));
	hooks.head = NULL;
	(void)maker_run(&maker, 0, hooks);
	hooks.early_head = (unsigned)maker.entries.count; /* what follows is what the ledger never said */
	hooks.revoke = BULLA_ORDER_REVOKE_INSTANCE;
	hooks.revoke_at = 3;
	assert_attack(VERIFY_LEDGER_HEAD, BULLA_E_GRAPH, attack(0, hooks));
	hooks.revoke = 0;
	hooks.early_head = 3; /* all that the ledger said at that time: a run that looks whole */
	hooks.cut = true;
	assert_attack(VERIFY_LEDGER_ENDED, BULLA_E_GRAPH, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.head = head_says_failed;
	assert_attack(VERIFY_LEDGER_STATE, BULLA_E_GRAPH, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.ledger_signer = MAKER_STRANGER;
	assert_rc(BULLA_E_SIGNATURE, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.token_signer = MAKER_STRANGER;
	assert_attack(VERIFY_TOKEN_SIGNATURE, BULLA_E_SIGNATURE, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.token = token_of_other_receipt;
	assert_attack(VERIFY_TOKEN_COMMIT, BULLA_E_FORK, attack(0, hooks));
}

/* --- births, links, envelopes --- */

static void flip_birth(enum bulla_bundle_kind kind, uint8_t *body, size_t size)
{
	if (kind == BULLA_BUNDLE_BIRTH)
		body[size - 1] ^= 1;
}

static void flip_link(enum bulla_bundle_kind kind, uint8_t *body, size_t size)
{
	if (kind == BULLA_BUNDLE_LINK)
		body[size - 1] ^= 1;
}

static void birth_of_other_epoch(struct bulla_birth *birth)
{
	birth->epoch++;
}

static void birth_of_other_wrapping_key(struct bulla_birth *birth)
{
	birth->wrapping_key = BULLA_BYTES_LITERAL("my own key");
}

/* Number 2: from the owner to agent e; nothing is sealed under it. */
static void link_to_stranger(struct bulla_link_spec *spec, unsigned number)
{
	if (number == 2)
		spec->recipient.b[0] = 'z';
}

static bool drop_births(enum bulla_bundle_kind kind, unsigned ordinal)
{
	(void)ordinal;
	return kind == BULLA_BUNDLE_BIRTH;
}

static void link_to_other_key(struct bulla_link_spec *spec, unsigned number)
{
	if (number == 2)
		spec->public_key = bulla_bytes_of(maker.public_keys[0], 32);
}

static void link_to_other_party_key(struct bulla_link_spec *spec, unsigned number)
{
	if (number == 3)
		spec->public_key = bulla_bytes_of(maker.public_keys[0], 32);
}

static void births_and_links(void **state)
{
	struct maker_hooks hooks = MAKER_HONEST;

	(void)state;
	hooks.raw = flip_birth;
	assert_attack(VERIFY_BIRTH_SIGNATURE, BULLA_E_KEY_SUBSTITUTED, attack(0, hooks));
	hooks.raw = flip_link;
	assert_attack(VERIFY_LINK_SIGNATURE, BULLA_E_LINK_SIGNATURE, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.birth_signer = MAKER_STRANGER;
	assert_rc(BULLA_E_KEY_SUBSTITUTED, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.link_signer = MAKER_STRANGER;
	assert_rc(BULLA_E_PARTY, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.birth = birth_of_other_epoch;
	assert_attack(VERIFY_BIRTH_AGENT, BULLA_E_KEY_CONTEXT, attack(0, hooks));
	hooks.birth = birth_of_other_wrapping_key;
	assert_rc(BULLA_E_KEY_POLICY, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.link = link_to_stranger;
	assert_attack(VERIFY_LINK_SENDER, BULLA_E_LINK_SENDER, attack(0, hooks));
	hooks.link = link_to_other_key;
	assert_attack(VERIFY_LINK_KEY, BULLA_E_KEY_SUBSTITUTED, attack(0, hooks));
	hooks.drop = drop_births; /* nothing to check it against */
	assert_rc(BULLA_E_KEY_SUBSTITUTED, attack(0, hooks));
	hooks.drop = NULL;
	hooks.births = 300; /* of the first agent alone more than there are places for all */
	assert_rc(BULLA_E_KEY_SUBSTITUTED, attack(0, hooks));
	hooks.births = 0;
	hooks.link = link_to_other_party_key;
	assert_rc(BULLA_E_KEY_SUBSTITUTED, attack(0, hooks));
}

static void envelope_of_other_attempt(struct bulla_envelope_spec *spec)
{
	spec->position.attempt++;
}

static void envelope_of_other_kind(struct bulla_envelope_spec *spec)
{
	if (spec->kind == BULLA_ENVELOPE_OUTPUT)
		spec->kind = BULLA_ENVELOPE_INPUT;
}

static void envelope_of_other_producer(struct bulla_envelope_spec *spec)
{
	spec->producer.b[0] ^= 1;
}

static void envelope_for_fewer(struct bulla_envelope_spec *spec)
{
	if (spec->reader_count > 1)
		spec->reader_count--;
}

/* The owner in the place of the first reader: more eyes than the plan names. */
static void envelope_for_another(struct bulla_envelope_spec *spec)
{
	static struct bulla_envelope_reader readers[8];

	if (spec->kind != BULLA_ENVELOPE_OUTPUT || spec->reader_count < 2)
		return;
	for (size_t i = 1; i < spec->reader_count; i++)
		readers[i] = spec->readers[i];
	readers[0] = (struct bulla_envelope_reader){maker.links[1][4].id, maker.links[1][4].secret, BULLA_SECRET_NONE};
	spec->readers = readers;
}

static void envelopes(void **state)
{
	struct maker_hooks hooks = MAKER_HONEST;

	(void)state;
	hooks.other_commitment = true;
	assert_attack(VERIFY_ENVELOPE_LISTED, BULLA_E_COMMITMENT, attack(0, hooks));
	hooks = MAKER_HONEST;
	hooks.envelope = envelope_of_other_attempt;
	assert_attack(VERIFY_ENVELOPE_PLACE, BULLA_E_POSITION_ATTEMPT, attack(0, hooks));
	hooks.envelope = envelope_of_other_kind;
	assert_attack(VERIFY_ENVELOPE_PLACE, BULLA_E_POSITION_PATH, attack(0, hooks));
	hooks.envelope = envelope_of_other_producer;
	/* second line: the links are of another sender than the producer */
	assert_attack_then(VERIFY_ENVELOPE_PRODUCER, BULLA_E_PRODUCER, BULLA_E_NOT_ADDRESSED, attack(0, hooks));
	hooks.envelope = envelope_for_fewer;
	assert_attack(VERIFY_ENVELOPE_READERS, BULLA_E_NOT_ADDRESSED, attack(0, hooks));
	hooks.envelope = envelope_for_another;
	assert_rc(BULLA_E_NOT_ADDRESSED, attack(0, hooks));
}

static int up(void **state)
{
	return maker_set_up(&maker, &honest_trust, state);
}

static int down(void **state)
{
	return maker_tear_down(&maker, state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bundles),
		cmocka_unit_test(manifests),
		cmocka_unit_test(epochs),
		cmocka_unit_test(evidence),
		cmocka_unit_test(instances),
		cmocka_unit_test(starts),
		cmocka_unit_test(receipts),
		cmocka_unit_test(demands),
		cmocka_unit_test(others),
		cmocka_unit_test(graphs),
		cmocka_unit_test(permits),
		cmocka_unit_test(orders),
		cmocka_unit_test(revocations),
		cmocka_unit_test(forged_revocation),
		cmocka_unit_test(ledgers),
		cmocka_unit_test(births_and_links),
		cmocka_unit_test(envelopes),
	};

	return cmocka_run_group_tests(tests, up, down);
}
