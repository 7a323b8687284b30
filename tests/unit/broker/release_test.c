/* Agents' seeds released to TDX evidence of the tests' own DCAP world (broker/release.h): what is shown, and what a hostile
 * host, another enclave or an older document gets instead. */
#include "attest/reference.h"
#include "attack.h"
#include "broker/kms_use.h"
#include "crypto/cms.h"
#include "crypto/hash.h"
#include "dcap_lab.h"
#include "kms/owner.h"
#include "manifest/pcr.h"
#include "real.h"
#include "wire/text.h"

#define NOW_MS (LAB_NOW * 1000)
#define MRTD 136
#define ATTRIBUTES 120

static struct dcap_lab lab;
static struct bulla_buf collateral;
static struct bulla_wrapping_key *key;
static struct bulla_rsa_key *other_rsa;
static struct bulla_sign_key *receipt_key;
static uint8_t images[256];
static const struct bulla_epoch *first, *current;
static struct bulla_kept_collateral *kept; /* NULL: the broker keeps none */

/* One request, and what is not as it should be. */
struct ask {
	const struct bulla_epoch *by;      /* NULL: the one in force */
	const bulla_digest *named;         /* the context's manifest; NULL: by's */
	char agent;                        /* of the context; 0: a, which is hosted */
	uint8_t purpose;                   /* 0: release */
	bool other_channel, other_key, other_binder, other_image, second_image, debug, no_collateral, no_context;
	int64_t age_ms;
	uint8_t salt;                      /* 0: another one each time */
	struct bulla_wrapping_key *key;    /* NULL: the agent's */
};

/* --- what the enclave shows --- */

static void hash_parts(uint8_t value[48], bulla_bytes parts)
{
	for (size_t at = 0; at < parts.n; at += 32) {
		uint8_t both[96];

		bulla_copy(both, value, 48);
		bulla_sha384(bulla_bytes_of(parts.p + at, 32), both + 48);
		bulla_sha384(BULLA_BYTES_ARRAY(both), value);
	}
}

static void make_quote(const struct ask *ask, const struct bulla_manifest *manifest, const struct bulla_instance *instance)
{
	uint8_t binder[BULLA_BINDER_BYTES], bundles[64];
	bulla_wr w = bulla_wr_fixed(bundles, sizeof(bundles));

	assert_ok(bulla_instance_binder(instance, binder));
	binder[5] ^= ask->other_binder;
	bulla_zero(lab.body + 472, 48);
	hash_parts(lab.body + 472, bulla_bytes_digest(&manifest->digest));
	assert_ok(bulla_pcr_bundle_data(manifest, instance->agents, &w));
	hash_parts(lab.body + 472, bulla_bytes_of(bundles, w.n));
	bulla_copy(lab.body + 520, binder, sizeof(binder));
	lab.body[MRTD] = ask->other_image ? 0xcc : ask->second_image ? 0xbb : 0xaa;
	lab.body[ATTRIBUTES] = ask->debug;
	(void)dcap_lab_judge(&lab); /* makes the quote; the lab expects another binding */
	bulla_buf_done(&collateral);
	(void)dcap_lab_bundle(&lab, &collateral); /* with the CRLs' and texts' newest signatures */
}

static void show(const struct ask *ask, const struct bulla_manifest *manifest, const bulla_digest *channel, struct bulla_buf *ret)
{
	static uint8_t count;
	bulla_handle hosted = handle_of('a');
	struct bulla_recipient recipient = {.spki = bulla_rsa_key_spki(rsa),
		.salt = {ask->salt != 0 ? ask->salt : (uint8_t)(100 + ++count)},
		.instance = {.tee = BULLA_BYTES_LITERAL("tdx"), .purpose = ask->purpose != 0 ? ask->purpose : BULLA_PURPOSE_RELEASE,
			.receipt_key = bulla_sign_key_spki(receipt_key), .agents = bulla_handle_view(&hosted),
			.manifest = manifest->digest}};
	BULLA_AUTO_BUF scratch;

	bulla_sha256(recipient.spki, &recipient.instance.channel);
	bulla_release_challenge(channel, recipient.salt, recipient.instance.challenge);
	make_quote(ask, manifest, &recipient.instance);
	recipient.instance.evidence = bulla_bytes_of(lab.quote, lab.quote_size);
	if (!ask->no_collateral)
		recipient.instance.collateral = bulla_buf_view(&collateral);
	if (ask->other_key) /* the host puts its own in the place */
		recipient.spki = bulla_rsa_key_spki(other_rsa);
	bulla_buf_init(&scratch, 1 << 19);
	bulla_buf_init(ret, 1 << 19);
	assert_ok(bulla_recipient_write(&recipient, &scratch, ret));
}

static bulla_bytes hex(uint8_t *memory, size_t size, bulla_bytes bytes)
{
	bulla_wr w = bulla_wr_fixed(memory, size);

	bulla_text_wr_hex(&w, bytes);
	return bulla_bytes_of(memory, w.n);
}

/* --- the broker --- */

static bulla_rc carry_out(struct bulla_kms_use *use)
{
	BULLA_AUTO_BUF answer, audit;
	bulla_rc rc;

	bulla_buf_init(&answer, 65536);
	bulla_buf_init(&audit, 65536);
	BULLA_TRY(bulla_kms_use_prepare(use, broker));
	BULLA_TRY(bulla_kms_use_appraise(use, NULL, kept));
	rc = bulla_kms_use_execute(broker, use, &answer);
	assert_ok(bulla_kms_use_audit(broker, use, rc));
	BULLA_TRY(rc);
	assert_true(answer.n > 0);
	return BULLA_OK;
}

static bulla_rc release(struct ask ask)
{
	static struct bulla_kms_use use;
	static uint8_t manifest_text[64], agent_text[16];
	const struct bulla_manifest *manifest = &(ask.by != NULL ? ask.by : current)->manifest;
	bulla_digest channel = {{7}};
	bulla_handle agent = handle_of(ask.agent != 0 ? (uint8_t)ask.agent : 'a');
	BULLA_AUTO_BUF document;
	bulla_rc rc;

	show(&ask, manifest, &channel, &document);
	use = (struct bulla_kms_use){.channel = channel, .channel_age_ms = ask.age_ms};
	assert_ok(bulla_kms_use_init(&use, broker, 16));
	use.now_ms = NOW_MS;
	use.channel.b[1] ^= ask.other_channel;
	use.request = (struct bulla_kms_request){.op = BULLA_KMS_GENERATE_DATA_KEY, .recipient = true, .size = 32,
		.key_id = bulla_wrapping_arn(ask.key != NULL ? ask.key : key), .document = bulla_buf_view(&document)};
	if (!ask.no_context)
		assert_ok(bulla_kms_context_add(&use.request.context, BULLA_BYTES_LITERAL("bulla:manifest"), hex(manifest_text,
			sizeof(manifest_text), bulla_bytes_digest(ask.named != NULL ? ask.named : &manifest->digest))));
	assert_ok(bulla_kms_context_add(&use.request.context, BULLA_BYTES_LITERAL("bulla:tenant"), BULLA_BYTES_LITERAL("7474747474747474")));
	assert_ok(bulla_kms_context_add(&use.request.context, BULLA_BYTES_LITERAL("bulla:agent"),
		hex(agent_text, sizeof(agent_text), bulla_handle_view(&agent))));
	rc = carry_out(&use);
	bulla_kms_use_done(&use);
	return rc;
}

static struct bulla_wrapping_key *make_key(const char *policy)
{
	struct bulla_wrapping_key *made = NULL;

	assert_ok(bulla_kms_policy_check(bulla_bytes_str(policy)));
	assert_ok(bulla_wrapping_create(&broker->wrapping, broker->cells, bulla_random_os(), bulla_bytes_str(policy),
		BULLA_BYTES_LITERAL("test"), NOW_MS, &made));
	return made;
}

#define ALLOW(conditions) "{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"kms:*\",\"Resource\":\"*\"," \
	"\"Condition\":{" conditions "}}]}"
#define EVIDENCE_IS(name, value) "\"StringEqualsIgnoreCase\":{\"bulla:RecipientAttestation:" name "\":\"" value "\"}"
#define ZEROS46 "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"

/* --- tests --- */

static void a_seed_is_released(void **state)
{
	(void)state;
	assert_ok(release((struct ask){0}));
	assert_ok(release((struct ask){.no_context = true})); /* the key's policy decides about other contexts */
}

static void made_for_this_call_alone(void **state)
{
	(void)state;
	assert_attack(RELEASE_CHANNEL, BULLA_E_EVIDENCE_REPLAYED, release((struct ask){.other_channel = true}));
	assert_attack(RELEASE_FRESH, BULLA_E_EVIDENCE_STALE, release((struct ask){.age_ms = BULLA_KMS_MAX_AGE_MS + 1}));
	assert_attack(RELEASE_PURPOSE, BULLA_E_BINDER, release((struct ask){.purpose = BULLA_PURPOSE_BOOT}));
	assert_rc(BULLA_E_BINDER, release((struct ask){.purpose = BULLA_PURPOSE_SESSION}));
	assert_attack(EVIDENCE_BINDER, BULLA_E_BINDER, release((struct ask){.other_binder = true}));
	assert_ok(release((struct ask){.salt = 9}));
	assert_attack(EVIDENCE_ONCE, BULLA_E_EVIDENCE_REPLAYED, release((struct ask){.salt = 9}));
}

static void to_this_key_alone(void **state)
{
	(void)state;
	assert_attack(RELEASE_KEY, BULLA_E_KEY_SUBSTITUTED, release((struct ask){.other_key = true}));
}

static void of_a_hosted_agent(void **state)
{
	bulla_digest unknown = {{1}};

	(void)state;
	assert_attack(RELEASE_AGENT, BULLA_E_KEY_CONTEXT, release((struct ask){.agent = 'b'}));
	assert_attack(EVIDENCE_MANIFEST, BULLA_E_EPOCH_CLOSED, release((struct ask){.named = &unknown}));
}

static void by_the_manifest(void **state)
{
	(void)state;
	assert_rc(BULLA_E_MEASUREMENT, release((struct ask){.other_image = true}));
	assert_ok(release((struct ask){.second_image = true}));
	assert_attack(EVIDENCE_DEBUG, BULLA_E_EVIDENCE_DEBUG, release((struct ask){.debug = true}));
	assert_rc(BULLA_E_EVIDENCE_CHAIN, release((struct ask){.no_collateral = true}));
	/* the first epoch is open and takes emulators; the one in force does not */
	assert_attack(RELEASE_CLASS, BULLA_E_EVIDENCE_POLICY, release((struct ask){.by = first}));
}

static void by_the_key_s_policy(void **state)
{
	static const struct {
		const char *policy;
		bulla_rc rc;
	} rows[] = {
		{ALLOW(EVIDENCE_IS("measurement", "AA" ZEROS46)), BULLA_OK},
		{ALLOW(EVIDENCE_IS("measurement", "bb" ZEROS46)), BULLA_E_MEASUREMENT},
		{ALLOW(EVIDENCE_IS("rtmr:1", "00" ZEROS46)), BULLA_OK},
		{ALLOW(EVIDENCE_IS("rtmr:3", "00" ZEROS46)), BULLA_E_MEASUREMENT},
		{ALLOW(EVIDENCE_IS("tee", "tdx")), BULLA_OK},
		{ALLOW(EVIDENCE_IS("tee", "sev-snp")), BULLA_E_MEASUREMENT},
		{ALLOW(EVIDENCE_IS("assurance", "hardware")), BULLA_OK},
		{ALLOW(EVIDENCE_IS("tcb-evaluation", "17")), BULLA_OK},
		{ALLOW(EVIDENCE_IS("tcb-date", "2024-03-13T00:00:00Z")), BULLA_OK}, /* of decoded collateral */
		{ALLOW("\"Null\":{\"bulla:RecipientAttestation:tcb-date\":\"true\"}"), BULLA_E_MEASUREMENT},
		{ALLOW(EVIDENCE_IS("host-data", "00")), BULLA_E_MEASUREMENT}, /* TDX has none: absent */
		{ALLOW("\"StringEqualsIgnoreCase\":{\"kms:RecipientAttestation:PCR0\":\"00\"}"), BULLA_E_MEASUREMENT},
		{ALLOW("\"Null\":{\"bulla:RecipientAttestation:measurement\":\"true\"}"), BULLA_E_MEASUREMENT},
	};
	static const char *const refused[] = {ALLOW(EVIDENCE_IS("nonsense", "00")), ALLOW(EVIDENCE_IS("rtmr:x", "00")),
		ALLOW("\"StringNotEquals\":{\"bulla:RecipientAttestation:measurement\":\"00\"}"),
		ALLOW("\"StringEqualsIfExists\":{\"bulla:RecipientAttestation:measurement\":\"00\"}")};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_rc(rows[i].rc, release((struct ask){.key = make_key(rows[i].policy)}));
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_rc(i == 1 ? BULLA_E_FORMAT : BULLA_E_UNSUPPORTED, bulla_kms_policy_check(bulla_bytes_str(refused[i])));
}

/* What came with one machine's evidence serves the next one that has none, until it ends. */
static void by_collateral_that_is_kept(void **state)
{
	static struct bulla_kept_collateral list;

	(void)state;
	bulla_collateral_init(&list);
	kept = &list;
	assert_rc(BULLA_E_EVIDENCE_CHAIN, release((struct ask){.no_collateral = true}));
	assert_ok(bulla_collateral_keep(&list, BULLA_BYTES_LITERAL("{}"), INT64_MAX)); /* of nobody: stands in nobody's way */
	assert_rc(BULLA_E_EVIDENCE_CHAIN, release((struct ask){.no_collateral = true}));
	assert_ok(release((struct ask){0}));
	assert_ok(release((struct ask){.no_collateral = true}));
	assert_rc(BULLA_E_MEASUREMENT, release((struct ask){.no_collateral = true, .other_image = true}));
	for (size_t i = 0; i < BULLA_COLLATERAL_KEPT; i++) {
		assert_true(list.list[i].until_ms == 0 || list.list[i].until_ms > NOW_MS);
		/* no longer than the first thing in it: the lab's lists end after a thousand seconds */
		assert_true(list.list[i].until_ms == INT64_MAX || list.list[i].until_ms <= NOW_MS + 1000000);
		if (list.list[i].until_ms != INT64_MAX)
			list.list[i].until_ms = NOW_MS; /* it ended */
	}
	assert_rc(BULLA_E_EVIDENCE_CHAIN, release((struct ask){.no_collateral = true}));
	for (uint8_t i = 0; i < 2 * BULLA_COLLATERAL_KEPT; i++)
		assert_ok(bulla_collateral_keep(&list, bulla_bytes_of(&i, 1), NOW_MS + 1 + i));
	assert_int_equal(list.list[0].bytes.n > 0, 1);
	bulla_collateral_done(&list);
	kept = NULL;
}

/* Who runs the broker may ask more than the manifest, never less: another image of the manifest's is refused under a file that names
 * one, and what the file alone would take stays refused. */
static void by_what_the_broker_demands(void **state)
{
	static struct bulla_kept_collateral list;
	static struct bulla_reference_file file;
	char text[512], measurement[97] = "aa";

	(void)state;
	bulla_collateral_init(&list);
	kept = &list;
	memset(measurement + 2, '0', 94);
	(void)snprintf(text, sizeof(text), "{\"v\":1,\"tee\":[\"tdx\"],\"assurance\":\"dev\",\"images\":[{\"measurement\":\"%s\"}],\"debug\":true}",
		measurement);
	assert_ok(bulla_reference_read(bulla_bytes_str(text), &file));
	assert_ok(release((struct ask){.second_image = true}));
	list.demanded = &file.policy;
	assert_ok(release((struct ask){0}));
	assert_attack(BROKER_DEMANDS, BULLA_E_MEASUREMENT, release((struct ask){.second_image = true}));
	assert_attack(EVIDENCE_DEBUG, BULLA_E_EVIDENCE_DEBUG, release((struct ask){.debug = true}));
	assert_ok(release((struct ask){.no_collateral = true})); /* by what is kept, twice */
	file.policy.dcap.evaluation_minimum = 18;
	assert_attack(BROKER_DEMANDS, BULLA_E_EVIDENCE_STALE, release((struct ask){0}));
	file.policy.tees = BULLA_TEE_BIT(BULLA_TEE_SNP);
	assert_attack(BROKER_DEMANDS, BULLA_E_EVIDENCE_POLICY, release((struct ask){0}));
	bulla_collateral_done(&list);
	kept = NULL;
}

/* What `bulla up` gives a key. */
static void by_the_default_policy(void **state)
{
	bulla_handle tenant = handle_of('t');
	uint8_t measured[48] = {0xaa}, policy_memory[4096] = {0};
	const struct bulla_attest_value values[] = {
		{BULLA_CLAIM_MEASUREMENT, 0, BULLA_BYTES_ARRAY(measured)}, {BULLA_CLAIM_RTMR, 2, bulla_bytes_of(lab.body + 424, 48)}};
	const struct bulla_kms_image image = {BULLA_BYTES_LITERAL("tdx"), values, 2};
	struct bulla_buf policy;
	bulla_handle agent = handle_of('a');

	(void)state;
	bulla_buf_init(&policy, sizeof(policy_memory));
	assert_ok(bulla_kms_default_policy(BULLA_BYTES_LITERAL("arn"), &image, 1, tenant.b, agent.b, &policy));
	assert_true(policy.n < sizeof(policy_memory));
	bulla_copy(policy_memory, policy.p, policy.n);
	bulla_buf_done(&policy);
	assert_non_null(strstr((char *)policy_memory, "bulla:RecipientAttestation:rtmr:2"));
	struct bulla_wrapping_key *made = make_key((char *)policy_memory);
	assert_ok(release((struct ask){.key = made}));
	assert_rc(BULLA_E_MEASUREMENT, release((struct ask){.key = made, .second_image = true}));
}

static void not_to_what_was_ended_or_revoked(void **state)
{
	const bulla_digest *kid = bulla_sign_key_kid(receipt_key);
	struct bulla_order order = {.kind = BULLA_ORDER_REVOKE_INSTANCE, .tenant = handle_of('t'),
		.manifest = current->manifest.digest, .subject = bulla_bytes_digest(kid)};
	BULLA_AUTO_BUF sign1;

	(void)state;
	bulla_standing_good(&broker->standing, bulla_bytes_digest(kid), kid);
	assert_ok(release((struct ask){0}));
	bulla_standing_end(&broker->standing, kid, BULLA_E_EVIDENCE_DEBUG);
	assert_attack(EVIDENCE_STANDING, BULLA_E_EVIDENCE_DEBUG, release((struct ask){0}));
	bulla_standing_good(&broker->standing, bulla_bytes_digest(kid), kid);
	bulla_buf_init(&sign1, BULLA_ORDER_MAX);
	assert_ok(bulla_order_make(&order, owner, &sign1));
	assert_ok(bulla_ledger_revoke(broker->ledger, bulla_buf_view(&sign1), 5));
	assert_attack(LEDGER_REVOKED, BULLA_E_REVOKED, release((struct ask){0}));
}

/* Every bit of what stands outside the evidence counts, and every length. */
static void damaged_recipients_are_refused(void **state)
{
	struct bulla_recipient ignored;
	BULLA_AUTO_BUF document;
	bulla_digest channel = {{7}};

	(void)state;
	show(&(struct ask){.no_collateral = true}, &current->manifest, &channel, &document);
	assert_ok(bulla_recipient_decode(bulla_buf_view(&document), &ignored));
	assert_false(bulla_recipient_is(bulla_bytes_of(lab.quote, lab.quote_size)));
	for (size_t n = 0; n < document.n; n++)
		assert_int_not_equal(bulla_recipient_decode(bulla_bytes_of(document.p, n), &ignored), BULLA_OK);
	assert_ok(bulla_buf_append(&document, BULLA_BYTES_LITERAL("x")));
	assert_int_not_equal(bulla_recipient_decode(bulla_buf_view(&document), &ignored), BULLA_OK);
}

static void make_images(struct spec *ret)
{
	static uint8_t measured[2][48] = {{0xaa}, {0xbb}};
	struct bulla_image list[2];
	bulla_wr w = bulla_wr_fixed(images, sizeof(images));

	for (unsigned i = 0; i < 2; i++) {
		list[i] = (struct bulla_image){.tee = BULLA_BYTES_LITERAL("tdx"), .count = 1};
		list[i].values[0] = (struct bulla_image_value){BULLA_BYTES_LITERAL("measurement"), 0, BULLA_BYTES_ARRAY(measured[i])};
	}
	bulla_images_write(&w, list, 2);
	ret->images = bulla_bytes_of(images, w.n);
	ret->tee = BULLA_BYTES_LITERAL("tdx");
}

static void put_epoch(struct spec *spec, uint8_t assurance, const struct bulla_epoch **ret)
{
	static struct bulla_anchor anchor;
	bool is_new = false;

	anchor = (struct bulla_anchor){.tee = BULLA_BYTES_LITERAL("tdx"), .assurance = assurance, .how = BULLA_ANCHOR_KEY,
		.id = bulla_bytes_digest(&lab.anchor_id)};
	spec->approver = spec->signer = owner;
	spec->anchor = &anchor;
	spec->assurance = assurance;
	assert_ok(bulla_epochs_put(&broker->epochs, make_put(spec), &is_new));
	*ret = bulla_epochs_current(&broker->epochs);
}

static int open_all(void **state)
{
	struct spec spec = {.epoch = 1};
	struct bulla_earlier earlier = {.epoch = 1};

	if (set_up(state) != 0 || bulla_rsa_key_new(&other_rsa) != BULLA_OK ||
		bulla_sign_key_new(BULLA_ES256, &receipt_key) != BULLA_OK)
		return 1;
	dcap_lab_open(&lab);
	bulla_buf_init(&collateral, 1);
	make_images(&spec);
	put_epoch(&spec, BULLA_ASSURANCE_EMULATOR, &first);
	earlier.manifest = first->manifest.digest;
	spec.epoch = 2;
	spec.earlier = &earlier;
	put_epoch(&spec, BULLA_ASSURANCE_HARDWARE, &current);
	key = make_key(ALLOW(EVIDENCE_IS("tee", "tdx")));
	return 0;
}

static int close_all(void **state)
{
	bulla_rsa_key_free(other_rsa);
	bulla_sign_key_free(receipt_key);
	bulla_buf_done(&collateral);
	dcap_lab_close(&lab);
	return tear_down(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_seed_is_released),
		cmocka_unit_test(made_for_this_call_alone),
		cmocka_unit_test(to_this_key_alone),
		cmocka_unit_test(of_a_hosted_agent),
		cmocka_unit_test(by_the_manifest),
		cmocka_unit_test(by_the_key_s_policy),
		cmocka_unit_test(by_collateral_that_is_kept), cmocka_unit_test(by_what_the_broker_demands),
		cmocka_unit_test(by_the_default_policy),
		cmocka_unit_test(damaged_recipients_are_refused),
		cmocka_unit_test(not_to_what_was_ended_or_revoked), /* the last: nothing lifts it */
	};

	return cmocka_run_group_tests_name("broker_release", tests, open_all, close_all);
}
