#include <stdio.h>

#include "attest/attest.h"
#include "attest/cache.h"
#include "attest/nitro.h"
#include "base/mem.h"
#include "cases.h"
#include "cose/cmw.h"
#include "cose/nitro_doc.h"
#include "crypto/hash.h"
#include "pki.h"
#include "samples.h"
#include "attack.h"
#include "test.h"
#include "wire/cbor.h"

#define HOUR 3600
#define NOW INT64_C(1795000000)

/* ---- genuine documents ---- */
static void compare_bytes(const struct bulla_attest_result *result, enum bulla_claim id, unsigned index,
	bulla_json object, const char *name)
{
	const struct bulla_attest_claim *claim = bulla_attest_find(result, id, index);
	uint8_t bytes[2048];
	size_t n = sample_hex(object, name, bytes, sizeof(bytes));

	if (n > 0) {
		assert_non_null(claim);
		assert_bytes(claim->bytes, bulla_bytes_of(bytes, n));
	}
}

static void compare_claims(const struct bulla_attest_result *result, bulla_json expected)
{
	char text[256];
	bulla_json pcrs, name, item;

	sample_text(expected, "module_id", text, sizeof(text));
	assert_bytes(bulla_attest_find(result, BULLA_CLAIM_MODULE_ID, 0)->bytes, bulla_bytes_str(text));
	assert_true((int64_t)bulla_attest_find(result, BULLA_CLAIM_TIME, 0)->number ==
		sample_number(expected, "timestamp_ms"));
	compare_bytes(result, BULLA_CLAIM_PUBLIC_KEY, 0, expected, "public_key");
	compare_bytes(result, BULLA_CLAIM_USER_DATA, 0, expected, "user_data");
	compare_bytes(result, BULLA_CLAIM_NONCE, 0, expected, "nonce");
	assert_ok(bulla_json_get_str(expected, "pcrs", &pcrs));
	for (struct bulla_json_iter iter = bulla_json_begin(pcrs); bulla_json_next(&iter, &name, &item);) {
		bulla_bytes digits;
		unsigned index = 0;

		assert_ok(bulla_json_string_view(name, &digits));
		for (size_t i = 0; i < digits.n; i++)
			index = index * 10 + digits.p[i] - '0';
		char key[8];
		(void)snprintf(key, sizeof(key), "%u", index);
		compare_bytes(result, BULLA_CLAIM_PCR, index, pcrs, key);
	}
}

static bulla_rc judge(bulla_bytes document, const struct bulla_attest_policy *policy, int64_t at,
	struct bulla_attest_cache *cache, struct bulla_attest_result *ret)
{
	struct bulla_attest_anchors anchors = bulla_attest_vendor_anchors();
	struct bulla_attest_binding binding = sample_binding();

	return bulla_attest_appraise(document, NULL, &anchors, policy, &binding, sample_time(at), cache, ret);
}

static void judge_sample(const char *file, bulla_json expected)
{
	struct bulla_attest_policy policy;
	struct bulla_attest_result result;
	char path[256], verdict[64];
	BULLA_AUTO_BUF buf;

	(void)snprintf(path, sizeof(path), "nitro/%s", file);
	assert_true(sample_read(path, &buf));
	sample_policy(&policy);
	sample_text(expected, "verdict", verdict, sizeof(verdict));
	int64_t at = sample_number(expected, "verify_at");
	if (at == 0)
		at = 1631182760; /* the damaged ones have no date to read */
	bulla_rc rc = judge(bulla_buf_view(&buf), &policy, at, NULL, &result);
	if (bulla_bytes_eq_str(bulla_bytes_str(verdict), "accept")) {
		assert_accepted(&result);
		assert_ok(rc);
	} else if (bulla_bytes_eq_str(bulla_bytes_str(verdict), "reject-debug")) {
		assert_factor(&result, BULLA_FACTOR_DEBUG);
		policy.allow_debug = true;
		assert_ok(judge(bulla_buf_view(&buf), &policy, at, NULL, &result));
	} else {
		assert_int_not_equal(rc, BULLA_OK);
		printf("# %s: %s at %u\n", file, bulla_factor_name(result.failed), result.factors[result.failed].at);
		return;
	}
	assert_int_equal(result.tee, BULLA_TEE_NITRO);
	assert_int_equal(result.assurance, BULLA_ASSURANCE_HARDWARE);
	compare_claims(&result, expected);
	policy.max_age_ms = INT64_MAX;
	policy.skew_ms = INT64_MAX / 4;
	assert_int_not_equal(judge(bulla_buf_view(&buf), &policy, sample_date(expected, "valid_from") - HOUR, NULL, &result),
		BULLA_OK);
	assert_int_equal(result.factors[BULLA_FACTOR_CHAIN_DATES].state, BULLA_FACTOR_FAILED);
	assert_int_not_equal(judge(bulla_buf_view(&buf), &policy, sample_date(expected, "valid_to") + 1, NULL, &result),
		BULLA_OK);
	assert_int_equal(result.factors[BULLA_FACTOR_CHAIN_DATES].state, BULLA_FACTOR_FAILED);
}

static void genuine_documents_get_their_verdict(void **state)
{
	BULLA_AUTO_BUF buf;
	bulla_json all, name, item;

	(void)state;
	if (!sample_expectations("nitro", &buf, &all))
		skip();
	for (struct bulla_json_iter iter = bulla_json_begin(all); bulla_json_next(&iter, &name, &item);) {
		char file[128];
		size_t n;

		assert_ok(bulla_json_string(name, sizeof(file) - 1, (uint8_t *)file, &n));
		file[n] = 0;
		judge_sample(file, item);
	}
}

/* Every byte of a genuine document, one bit of it: refused, with a factor and a place. */
static void every_flip_in_a_genuine_document_is_refused(void **state)
{
	struct bulla_attest_cache *cache = NULL;
	struct bulla_attest_policy policy;
	struct bulla_attest_result result;
	BULLA_AUTO_BUF buf;

	(void)state;
	if (!sample_read("nitro/doc-2025-12-25-indefinite.cbor", &buf))
		skip();
	assert_ok(bulla_alloc(1, sizeof(*cache), (void **)&cache));
	bulla_attest_cache_init(cache);
	sample_policy(&policy);
	assert_ok(judge(bulla_buf_view(&buf), &policy, 1766678659, cache, &result));
	/* the unsigned part is the outer array, its heads and the signature: those too must be exact */
	for (size_t i = 0; i < buf.n; i += i % 5 == 0 ? 1 : 3) {
		buf.p[i] ^= (uint8_t)(1u << (i % 8));
		bulla_rc rc = judge(bulla_buf_view(&buf), &policy, 1766678659, cache, &result);
		if (rc == BULLA_OK)
			printf("# flip at %zu accepted\n", i);
		assert_int_not_equal(rc, BULLA_OK);
		assert_int_not_equal(result.failed, BULLA_FACTOR_COUNT);
		buf.p[i] ^= (uint8_t)(1u << (i % 8));
	}
	bulla_free(cache);
}

static void every_truncation_of_a_genuine_document_is_refused(void **state)
{
	struct bulla_attest_policy policy;
	struct bulla_attest_result result;
	BULLA_AUTO_BUF buf;

	(void)state;
	if (!sample_read("nitro/doc-2025-12-25-indefinite.cbor", &buf))
		skip();
	sample_policy(&policy);
	for (size_t n = 0; n < buf.n; n++)
		assert_int_not_equal(judge(bulla_bytes_of(buf.p, n), &policy, 1766678659, NULL, &result), BULLA_OK);
	assert_ok(bulla_buf_append(&buf, BULLA_BYTES_LITERAL("\x00")));
	assert_int_not_equal(judge(bulla_buf_view(&buf), &policy, 1766678659, NULL, &result), BULLA_OK);
	assert_factor(&result, BULLA_FACTOR_TRAILING);
}

/* ---- documents of our own: one rule broken at a time ---- */
struct lab {
	struct pki_cert root, region, leaf;
	struct bulla_sign_key *key;
	struct bulla_nitro_doc doc;
	uint8_t pcrs[32][48];
	bulla_bytes cabundle[7];
	uint8_t user_data[64], nonce[32];
	bulla_digest anchor_id;
	struct bulla_attest_anchor anchor;
	struct bulla_attest_policy policy;
	struct bulla_attest_binding binding;
	struct bulla_attest_time time;
	struct bulla_attest_result result;
	struct bulla_buf document;
	bulla_digest manifest, bundle;
};

static const struct pki_spec root_spec = {
	.cn = "bulla TEST ROOT", .not_before = NOW - 9000, .not_after = NOW + 90000000, .ca = true, .pathlen = -1, .serial = 1};
static const struct pki_spec region_spec = {
	.cn = "region", .not_before = NOW - 9000, .not_after = NOW + 900000, .ca = true, .pathlen = 0, .serial = 2};
static const struct pki_spec leaf_spec = {
	.cn = "i-0-enc0", .not_before = NOW - 60, .not_after = NOW + 10800, .serial = 3};

static void set_registers(struct lab *lab)
{
	uint8_t extended[48];

	for (unsigned i = 0; i < 32; i++)
		for (unsigned j = 0; j < 48; j++)
			lab->pcrs[i][j] = i < 3 ? (uint8_t)(i + 1) : 0;
	lab->manifest = (bulla_digest){{7}};
	lab->bundle = (bulla_digest){{8}};
	bulla_bytes parts[] = {BULLA_BYTES_ARRAY(lab->pcrs[16]), bulla_bytes_digest(&lab->manifest)};
	bulla_sha384_parts(parts, 2, extended);
	bulla_copy(lab->pcrs[16], extended, 48);
	bulla_bytes more[] = {BULLA_BYTES_ARRAY(lab->pcrs[17]), bulla_bytes_digest(&lab->bundle)};
	bulla_sha384_parts(more, 2, extended);
	bulla_copy(lab->pcrs[17], extended, 48);
}

static void set_expectations(struct lab *lab)
{
	lab->anchor_id = pki_digest(&lab->root);
	lab->anchor = (struct bulla_attest_anchor){BULLA_TEE_DEV, BULLA_ASSURANCE_DEV, BULLA_ANCHOR_CERTIFICATE,
		bulla_bytes_digest(&lab->anchor_id), {NULL, 0}};
	bulla_attest_policy_init(&lab->policy);
	lab->policy.tees = BULLA_TEE_BIT(BULLA_TEE_DEV);
	lab->policy.assurance = BULLA_ASSURANCE_DEV;
	lab->policy.any_measurement = true;
	lab->binding = (struct bulla_attest_binding){
		.binder = BULLA_EXPECT_BYTES(BULLA_BYTES_ARRAY(lab->user_data)),
		.nonce = BULLA_EXPECT_BYTES(BULLA_BYTES_ARRAY(lab->nonce)),
		.public_key = BULLA_EXPECT_BYTES(BULLA_BYTES_LITERAL("key")),
		.manifest = BULLA_EXPECT_BYTES(bulla_bytes_digest(&lab->manifest)),
		.bundles = BULLA_EXPECT_BYTES(bulla_bytes_digest(&lab->bundle)),
	};
	lab->time = (struct bulla_attest_time){NOW * 1000, BULLA_CLOCK_ONLINE};
}

static void lab_open(struct lab *lab, const struct pki_spec *root, const struct pki_spec *region,
	const struct pki_spec *leaf)
{
	*lab = (struct lab){0};
	pki_make(root, pki_key("P-384"), NULL, &lab->root);
	pki_make(region, pki_key("P-384"), &lab->root, &lab->region);
	pki_make(leaf, pki_key("P-384"), &lab->region, &lab->leaf);
	lab->key = pki_sign_key(lab->leaf.key);
	lab->cabundle[0] = pki_der(&lab->root);
	lab->cabundle[1] = pki_der(&lab->region);
	lab->user_data[0] = 1;
	lab->nonce[0] = 2;
	set_registers(lab);
	lab->doc = (struct bulla_nitro_doc){
		.module_id = bulla_bytes_str("i-0123456789abcdef0-enc0123456789abcdef"),
		.timestamp_ms = (uint64_t)(NOW - 5) * 1000,
		.pcrs = (const uint8_t(*)[48])lab->pcrs,
		.listed = 0x3ffff,
		.certificate = pki_der(&lab->leaf),
		.cabundle = lab->cabundle,
		.cabundle_count = 2,
		.public_key = BULLA_BYTES_LITERAL("key"),
		.user_data = BULLA_BYTES_ARRAY(lab->user_data),
		.nonce = BULLA_BYTES_ARRAY(lab->nonce),
	};
	bulla_buf_init(&lab->document, 32768);
	set_expectations(lab);
}

static void lab_close(struct lab *lab)
{
	bulla_buf_done(&lab->document);
	bulla_sign_key_free(lab->key);
	pki_free(&lab->root);
	pki_free(&lab->region);
	pki_free(&lab->leaf);
}

static bool has_word(bulla_bytes bytes, const char *word)
{
	const size_t n = bulla_bytes_str(word).n;

	for (size_t i = 0; i + n <= bytes.n; i++)
		if (bulla_bytes_eq_str(bulla_bytes_of(bytes.p + i, n), word))
			return true;
	return false;
}

static bulla_rc lab_judge_bytes(struct lab *lab, bulla_bytes document)
{
	struct bulla_attest_anchors anchors = {&lab->anchor, 1};

	const struct attest_case about = {.evidence = document, .anchors = &anchors, .policy = &lab->policy,
		.binding = &lab->binding, .time = lab->time};
	bulla_rc rc = case_judge(has_word(document, "nitrotpm_pcrs") ? "nitrotpm" : "nitro", &about, &lab->result);
	sample_dump("nitro", document, &lab->result);
	return rc;
}

static bulla_rc lab_judge(struct lab *lab)
{
	bulla_buf_clear(&lab->document);
	assert_ok(bulla_nitro_doc_write(&lab->doc, lab->key, &lab->document));
	return lab_judge_bytes(lab, bulla_buf_view(&lab->document));
}

static void refused(struct lab *lab, enum bulla_factor factor)
{
	assert_int_not_equal(lab_judge(lab), BULLA_OK);
	assert_factor(&lab->result, factor);
}

static bulla_rc lab_judge_damaged(struct lab *lab)
{
	assert_ok(lab_judge(lab));
	lab->document.p[lab->document.n - 1] ^= 1; /* the signature's last byte */
	return lab_judge_bytes(lab, bulla_buf_view(&lab->document));
}

/* Mutants: with its one check gone, the same attack succeeds. */
static void each_check_is_what_stops_its_attack(void **state)
{
	struct bulla_attest_value wrong;
	struct lab lab;
	uint8_t other[64] = {9};

	(void)state;
	lab_open(&lab, &root_spec, &region_spec, &leaf_spec);
	lab.binding.binder.value = BULLA_BYTES_ARRAY(other);
	assert_attack(EVIDENCE_BINDER, BULLA_E_BINDER, lab_judge(&lab));
	set_expectations(&lab);
	wrong = (struct bulla_attest_value){BULLA_CLAIM_PCR, 0, BULLA_BYTES_ARRAY(lab.pcrs[1])};
	lab.policy.references = &(struct bulla_attest_reference){&wrong, 1};
	lab.policy.reference_count = 1;
	lab.policy.any_measurement = false;
	assert_attack(EVIDENCE_MEASUREMENT, BULLA_E_MEASUREMENT, lab_judge(&lab));
	set_expectations(&lab);
	lab.time.now_ms = (NOW + 400) * 1000;
	assert_attack(EVIDENCE_FRESH, BULLA_E_EVIDENCE_STALE, lab_judge(&lab));
	set_expectations(&lab);
	assert_attack(EVIDENCE_SIGNATURE, BULLA_E_EVIDENCE_SIGNATURE, lab_judge_damaged(&lab));
	bulla_zero(lab.pcrs[0], 48);
	assert_attack(EVIDENCE_DEBUG, BULLA_E_EVIDENCE_DEBUG, lab_judge(&lab));
	set_registers(&lab);
	lab.cabundle[1] = pki_der(&lab.root); /* the leaf's issuer is not there */
	assert_attack(EVIDENCE_CHAIN, BULLA_E_EVIDENCE_CHAIN, lab_judge(&lab));
	lab_close(&lab);
}

static void a_dev_document_holds_in_every_factor(void **state)
{
	struct lab lab;

	(void)state;
	lab_open(&lab, &root_spec, &region_spec, &leaf_spec);
	assert_ok(lab_judge(&lab));
	assert_accepted(&lab.result);
	assert_int_equal(lab.result.tee, BULLA_TEE_DEV);
	assert_int_equal(lab.result.assurance, BULLA_ASSURANCE_DEV);
	assert_int_equal(lab.result.factors[BULLA_FACTOR_MANIFEST].state, BULLA_FACTOR_HELD);
	lab.doc.definite = true;
	assert_ok(lab_judge(&lab));
	lab_close(&lab);
}

/* A field that is null is named at its null. */
static void unbound(struct lab *lab, enum bulla_factor factor, const char *key)
{
	const size_t n = bulla_bytes_str(key).n;

	refused(lab, factor);
	const struct bulla_factor_result *row = &lab->result.factors[factor];
	assert_true(row->at > n);
	assert_int_equal(lab->document.p[row->at], 0xf6);
	assert_true(bulla_bytes_eq_str(bulla_bytes_of(lab->document.p + row->at - n, n), key));
	assert_string_equal(row->text, "it is bound to nothing");
	set_expectations(lab);
}

static void what_is_bound_to_nothing_says_so(void **state)
{
	struct lab lab;

	(void)state;
	lab_open(&lab, &root_spec, &region_spec, &leaf_spec);
	lab.doc.nonce = lab.doc.user_data = lab.doc.public_key = bulla_bytes_of(NULL, 0);
	lab.binding.binder.how = lab.binding.public_key.how = BULLA_EXPECT_ANY;
	unbound(&lab, BULLA_FACTOR_NONCE, "nonce");
	lab.binding.nonce.how = lab.binding.public_key.how = BULLA_EXPECT_ANY;
	unbound(&lab, BULLA_FACTOR_BINDER, "user_data");
	lab.binding.nonce.how = lab.binding.binder.how = BULLA_EXPECT_ANY;
	unbound(&lab, BULLA_FACTOR_PUBLIC_KEY, "public_key");
	lab_close(&lab);
}

static void what_it_is_bound_to_must_be_expected(void **state)
{
	struct lab lab;
	uint8_t other[64] = {9};

	(void)state;
	lab_open(&lab, &root_spec, &region_spec, &leaf_spec);
	lab.binding.binder.value = BULLA_BYTES_ARRAY(other);
	refused(&lab, BULLA_FACTOR_BINDER);
	set_expectations(&lab);
	lab.binding.nonce.value = bulla_bytes_of(other, 32);
	refused(&lab, BULLA_FACTOR_NONCE);
	set_expectations(&lab);
	lab.doc.nonce = lab.binding.nonce.value = bulla_bytes_of(NULL, 0); /* a challenge that was forgotten equals an absent one */
	refused(&lab, BULLA_FACTOR_NONCE);
	lab.doc.nonce = BULLA_BYTES_ARRAY(lab.nonce);
	set_expectations(&lab);
	lab.binding.public_key.value = BULLA_BYTES_LITERAL("other");
	refused(&lab, BULLA_FACTOR_PUBLIC_KEY);
	set_expectations(&lab);
	lab.binding.manifest.value = bulla_bytes_of(other, 32);
	refused(&lab, BULLA_FACTOR_MANIFEST);
	set_expectations(&lab);
	lab.binding.bundles.value = bulla_bytes_of(other, 32);
	refused(&lab, BULLA_FACTOR_BUNDLES);
	set_expectations(&lab);
	lab.doc.listed = 0xffff; /* registers 16 and 17 not locked: not in the document */
	refused(&lab, BULLA_FACTOR_MANIFEST);
	lab_close(&lab);
}

static void nothing_may_be_left_unsaid(void **state)
{
	struct lab lab;

	(void)state;
	lab_open(&lab, &root_spec, &region_spec, &leaf_spec);
	lab.binding.nonce.how = BULLA_EXPECT_FORGOTTEN;
	assert_rc(BULLA_E_ARGUMENT, lab_judge(&lab));
	set_expectations(&lab);
	lab.policy.any_measurement = false;
	assert_rc(BULLA_E_ARGUMENT, lab_judge(&lab));
	set_expectations(&lab);
	lab.policy.tees = 0;
	assert_rc(BULLA_E_ARGUMENT, lab_judge(&lab));
	set_expectations(&lab);
	lab.time.clock = BULLA_CLOCK_FORGOTTEN;
	assert_rc(BULLA_E_ARGUMENT, lab_judge(&lab));
	assert_false(lab.result.accepted);
	lab_close(&lab);
}

static void measurements_are_those_of_one_image(void **state)
{
	struct lab lab;
	struct bulla_attest_value good[2], mixed[2];

	(void)state;
	lab_open(&lab, &root_spec, &region_spec, &leaf_spec);
	good[0] = (struct bulla_attest_value){BULLA_CLAIM_PCR, 0, BULLA_BYTES_ARRAY(lab.pcrs[0])};
	good[1] = (struct bulla_attest_value){BULLA_CLAIM_PCR, 1, BULLA_BYTES_ARRAY(lab.pcrs[1])};
	mixed[0] = good[0];
	mixed[1] = (struct bulla_attest_value){BULLA_CLAIM_PCR, 1, BULLA_BYTES_ARRAY(lab.pcrs[2])};
	struct bulla_attest_reference references[] = {{mixed, 2}, {good, 2}};
	lab.policy.any_measurement = false;
	lab.policy.references = references;
	lab.policy.reference_count = 2;
	assert_ok(lab_judge(&lab));
	lab.policy.reference_count = 1;
	refused(&lab, BULLA_FACTOR_MEASUREMENT);
	assert_true(lab.result.factors[BULLA_FACTOR_MEASUREMENT].at > 0);
	references[0] = (struct bulla_attest_reference){NULL, 0}; /* an image without values matches nothing */
	refused(&lab, BULLA_FACTOR_MEASUREMENT);
	set_expectations(&lab);
	lab.policy.required = &mixed[1];
	lab.policy.required_count = 1;
	refused(&lab, BULLA_FACTOR_REQUIRED);
	lab_close(&lab);
}

static void debug_and_class_and_kind_are_policy(void **state)
{
	struct lab lab;

	(void)state;
	lab_open(&lab, &root_spec, &region_spec, &leaf_spec);
	bulla_zero(lab.pcrs[0], 48);
	refused(&lab, BULLA_FACTOR_DEBUG);
	lab.policy.allow_debug = true;
	assert_ok(lab_judge(&lab));
	lab.policy.assurance = BULLA_ASSURANCE_HARDWARE;
	refused(&lab, BULLA_FACTOR_CLASS);
	lab.policy.tees = BULLA_TEE_BIT(BULLA_TEE_NITRO);
	refused(&lab, BULLA_FACTOR_TEE);
	set_expectations(&lab);
	lab.policy.allow_debug = true;
	bulla_bytes other = BULLA_BYTES_LITERAL("i-00000000000000000"), mine = BULLA_BYTES_LITERAL("i-0123456789abcdef0");
	lab.policy.platforms = &other;
	lab.policy.platform_count = 1;
	refused(&lab, BULLA_FACTOR_PLATFORM_ALLOWED);
	lab.policy.platforms = &mine;
	assert_ok(lab_judge(&lab));
	lab_close(&lab);
}

static void time_has_two_sides(void **state)
{
	struct lab lab;

	(void)state;
	lab_open(&lab, &root_spec, &region_spec, &leaf_spec);
	lab.time.now_ms = (NOW + 400) * 1000;
	refused(&lab, BULLA_FACTOR_FRESH);
	lab.time.now_ms = (NOW - 70) * 1000;
	refused(&lab, BULLA_FACTOR_CHAIN_DATES);
	lab.time = (struct bulla_attest_time){NOW * 1000, BULLA_CLOCK_ONLINE};
	lab.doc.timestamp_ms = (uint64_t)(NOW + 61) * 1000;
	refused(&lab, BULLA_FACTOR_NOT_FUTURE);
	lab.doc.timestamp_ms = (uint64_t)NOW * 1000;
	/* audit: the chain at the document's own time, the log's time beside it */
	lab.time = (struct bulla_attest_time){(NOW + 30) * 1000, BULLA_CLOCK_AUDIT};
	assert_ok(lab_judge(&lab));
	lab.time.now_ms = (NOW + 100) * 1000;
	refused(&lab, BULLA_FACTOR_FRESH);
	lab.time.clock = BULLA_CLOCK_AT;
	assert_ok(lab_judge(&lab));
	lab_close(&lab);
	/* a clock that was never set */
	struct pki_spec root = root_spec, region = region_spec, leaf = leaf_spec;
	root.not_before = region.not_before = leaf.not_before = 1000000;
	lab_open(&lab, &root, &region, &leaf);
	lab.doc.timestamp_ms = 2000000000;
	lab.time.now_ms = 2000000000;
	refused(&lab, BULLA_FACTOR_CLOCK);
	lab_close(&lab);
}

static void chain_case(struct pki_spec root, struct pki_spec region, struct pki_spec leaf, enum bulla_factor factor)
{
	struct lab lab;

	lab_open(&lab, &root, &region, &leaf);
	refused(&lab, factor);
	lab_close(&lab);
}

static void every_rule_of_the_chain_is_alive(void **state)
{
	struct pki_spec bad;

	(void)state;
	bad = region_spec;
	bad.ca = false;
	chain_case(root_spec, bad, leaf_spec, BULLA_FACTOR_CHAIN_CA);
	bad = region_spec;
	bad.no_cert_sign = true;
	chain_case(root_spec, bad, leaf_spec, BULLA_FACTOR_CHAIN_CA);
	bad = root_spec;
	bad.pathlen = 0;
	chain_case(bad, region_spec, leaf_spec, BULLA_FACTOR_CHAIN_CA);
	bad = leaf_spec;
	bad.ca = true;
	bad.pathlen = -1;
	chain_case(root_spec, region_spec, bad, BULLA_FACTOR_LEAF_USAGE);
	bad = leaf_spec;
	bad.no_signature = true;
	chain_case(root_spec, region_spec, bad, BULLA_FACTOR_LEAF_USAGE);
	bad = leaf_spec;
	bad.plain = true;
	chain_case(root_spec, region_spec, bad, BULLA_FACTOR_LEAF_USAGE);
	bad = leaf_spec;
	bad.critical = "1.2.3.4.5";
	chain_case(root_spec, region_spec, bad, BULLA_FACTOR_CHAIN_FORM);
	bad = leaf_spec;
	bad.not_after = NOW - 1;
	chain_case(root_spec, region_spec, bad, BULLA_FACTOR_CHAIN_DATES);
	bad = region_spec;
	bad.not_before = NOW + 1;
	chain_case(root_spec, bad, leaf_spec, BULLA_FACTOR_CHAIN_DATES);
	bad = root_spec;
	bad.not_after = NOW - 1;
	chain_case(bad, region_spec, leaf_spec, BULLA_FACTOR_CHAIN_DATES);
}

static void a_chain_of_others_is_refused(void **state)
{
	struct lab lab, other;

	(void)state;
	lab_open(&lab, &root_spec, &region_spec, &leaf_spec);
	lab_open(&other, &root_spec, &region_spec, &leaf_spec);
	/* another root of the same name, which the bundle brings along */
	lab.anchor.id = bulla_bytes_digest(&other.anchor_id);
	refused(&lab, BULLA_FACTOR_ANCHOR);
	/* the pinned root in front of a chain that it did not sign */
	lab.cabundle[0] = pki_der(&other.root);
	refused(&lab, BULLA_FACTOR_CHAIN_SIGNATURES);
	set_expectations(&lab);
	lab.cabundle[0] = pki_der(&lab.root);
	lab.doc.cabundle_count = 1; /* the leaf's issuer is missing */
	refused(&lab, BULLA_FACTOR_CHAIN_ORDER);
	lab.doc.cabundle_count = 2;
	lab.cabundle[1] = BULLA_BYTES_LITERAL("no certificate");
	refused(&lab, BULLA_FACTOR_CHAIN_FORM);
	lab.cabundle[1] = pki_der(&lab.region);
	/* signed by another key than the leaf's */
	struct bulla_sign_key *mine = lab.key;
	lab.key = other.key;
	refused(&lab, BULLA_FACTOR_SIGNATURE);
	lab.key = mine;
	/* an anchor of another family */
	lab.anchor.tee = BULLA_TEE_SNP;
	refused(&lab, BULLA_FACTOR_ANCHOR);
	lab_close(&lab);
	lab_close(&other);
}

static void curves_other_than_p384_are_refused(void **state)
{
	struct lab lab;

	(void)state;
	lab_open(&lab, &root_spec, &region_spec, &leaf_spec);
	pki_free(&lab.region);
	pki_make(&region_spec, pki_key("P-256"), &lab.root, &lab.region);
	lab.cabundle[1] = pki_der(&lab.region);
	EVP_PKEY *key = lab.leaf.key;
	lab.leaf.key = NULL;
	pki_free(&lab.leaf);
	pki_make(&leaf_spec, key, &lab.region, &lab.leaf);
	lab.doc.certificate = pki_der(&lab.leaf);
	refused(&lab, BULLA_FACTOR_CHAIN_KEYS);
	lab_close(&lab);
}

/* Changes bytes of a good document where `find` stands; signs nothing anew, so form must be refused before signatures. */
static void patched(struct lab *lab, const void *find, const void *put, size_t size, enum bulla_factor factor)
{
	size_t at = 0;

	assert_ok(lab_judge(lab));
	while (at + size <= lab->document.n &&
		!bulla_bytes_eq(bulla_bytes_of(lab->document.p + at, size), bulla_bytes_of(find, size)))
		at++;
	assert_true(at + size <= lab->document.n);
	bulla_copy(lab->document.p + at, put, size);
	assert_int_not_equal(lab_judge_bytes(lab, bulla_buf_view(&lab->document)), BULLA_OK);
	assert_factor(&lab->result, factor);
}

static void the_form_is_exact(void **state)
{
	struct lab lab;

	(void)state;
	lab_open(&lab, &root_spec, &region_spec, &leaf_spec);
	patched(&lab, "\x66SHA384", "\x66SHA512", 7, BULLA_FACTOR_NITRO_DIGEST);
	patched(&lab, "-enc", "-tpm", 4, BULLA_FACTOR_NITRO_MODULE);
	patched(&lab, "\x69timestamp", "\x69timestamq", 10, BULLA_FACTOR_FIELDS);
	patched(&lab, "\x69module_id", "\x69user_data", 10, BULLA_FACTOR_FIELDS); /* a text where bytes must be */
	patched(&lab, "\x65nonce", "\x65nonsa", 6, BULLA_FACTOR_UNKNOWN_FIELDS);
	patched(&lab, "\x00\x58\x30", "\x20\x58\x30", 3, BULLA_FACTOR_NITRO_PCRS); /* register -1 */
	patched(&lab, "\xa1\x01\x38\x22\xa0", "\xa1\x01\x38\x22\xa1", 5, BULLA_FACTOR_FIELDS);
	lab.doc.listed = 0x3fffe; /* no PCR0 */
	refused(&lab, BULLA_FACTOR_NITRO_PCRS);
	lab.doc.listed = 0x3ffff;
	lab.doc.module_id = BULLA_BYTES_LITERAL("");
	refused(&lab, BULLA_FACTOR_FIELDS);
	lab_close(&lab);
}

static void the_header_is_exact(void **state)
{
	struct lab lab;

	(void)state;
	lab_open(&lab, &root_spec, &region_spec, &leaf_spec);
	assert_ok(lab_judge(&lab));
	lab.document.p[5] = 0x21; /* {1: -34} */
	assert_int_not_equal(lab_judge_bytes(&lab, bulla_buf_view(&lab.document)), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_ALGORITHM);
	lab.document.p[5] = 0x22;
	/* tagged 18 is fine, tagged 17 is not */
	struct bulla_buf tagged;
	bulla_buf_init(&tagged, 32768);
	assert_ok(bulla_buf_append(&tagged, BULLA_BYTES_LITERAL("\xd2")));
	assert_ok(bulla_buf_append(&tagged, bulla_buf_view(&lab.document)));
	assert_ok(lab_judge_bytes(&lab, bulla_buf_view(&tagged)));
	tagged.p[0] = 0xd1;
	assert_int_not_equal(lab_judge_bytes(&lab, bulla_buf_view(&tagged)), BULLA_OK);
	bulla_buf_done(&tagged);
	lab_close(&lab);
}

/* (r, n - s) verifies as well: genuine documents have it in half of all cases. */
static void the_twin_of_a_signature_is_accepted_and_bad_halves_are_not(void **state)
{
	static const uint8_t order[48] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
		0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73};
	struct lab lab;

	(void)state;
	lab_open(&lab, &root_spec, &region_spec, &leaf_spec);
	assert_ok(lab_judge(&lab));
	uint8_t *s = lab.document.p + lab.document.n - 48;
	int borrow = 0;
	for (size_t i = 48; i > 0; i--) {
		int v = order[i - 1] - s[i - 1] - borrow;
		borrow = v < 0;
		s[i - 1] = (uint8_t)(v + (borrow ? 256 : 0));
	}
	assert_ok(lab_judge_bytes(&lab, bulla_buf_view(&lab.document)));
	bulla_zero(s, 48);
	assert_int_not_equal(lab_judge_bytes(&lab, bulla_buf_view(&lab.document)), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_SIGNATURE_RANGE);
	bulla_copy(s, order, 48);
	assert_int_not_equal(lab_judge_bytes(&lab, bulla_buf_view(&lab.document)), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_SIGNATURE_RANGE);
	lab_close(&lab);
}

static void a_cmw_record_is_only_an_envelope(void **state)
{
	struct lab lab;
	BULLA_AUTO_BUF buf;
	bulla_bytes ignored;
	struct bulla_cmw record = {
		.media_type = BULLA_BYTES_LITERAL("application/vnd.bulla.nitro-document+cbor"), .ind = BULLA_CMW_EVIDENCE};

	(void)state;
	lab_open(&lab, &root_spec, &region_spec, &leaf_spec);
	assert_ok(lab_judge(&lab));
	record.value = bulla_buf_view(&lab.document);
	bulla_buf_init(&buf, 65536);
	bulla_wr w = bulla_wr_buf(&buf);
	bulla_cmw_write(&w, &record);
	assert_ok(bulla_wr_end(&w, &ignored));
	assert_ok(lab_judge_bytes(&lab, bulla_buf_view(&buf)));
	bulla_buf_clear(&buf);
	record.media_type = BULLA_BYTES_LITERAL("application/vnd.bulla.snp-report");
	w = bulla_wr_buf(&buf);
	bulla_cmw_write(&w, &record);
	assert_ok(bulla_wr_end(&w, &ignored));
	assert_int_not_equal(lab_judge_bytes(&lab, bulla_buf_view(&buf)), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_TEE);
	lab_close(&lab);
}

/* ---- documents whose payload was rewritten and signed again ---- */

/* Replaces the first `find` in the payload of a good document, or appends when find is empty; signs with the leaf's key. */
static void resign(struct lab *lab, bulla_bytes find, bulla_bytes put)
{
	struct bulla_nitro_fields fields;
	struct bulla_form_fault fault;
	uint8_t payload[16384], to_sign_memory[16384], signature[96];
	size_t at = 0;
	bulla_bytes to_sign, ignored;

	bulla_buf_clear(&lab->document);
	assert_ok(bulla_nitro_doc_write(&lab->doc, lab->key, &lab->document));
	assert_ok(bulla_nitro_read(bulla_buf_view(&lab->document), &fields, &fault));
	while (find.n > 0 && !bulla_bytes_eq(bulla_bytes_of(fields.payload.p + at, find.n), find)) {
		at++;
		assert_true(at + find.n <= fields.payload.n);
	}
	if (find.n == 0)
		at = fields.payload.n;
	size_t tail = fields.payload.n - at - find.n, n = at + put.n + tail;
	bulla_copy(payload, fields.payload.p, at);
	bulla_copy(payload + at, put.p, put.n);
	bulla_copy(payload + at + put.n, fields.payload.p + at + find.n, tail);
	bulla_wr s = bulla_wr_fixed(to_sign_memory, sizeof(to_sign_memory));
	bulla_cbor_wr_array(&s, 4);
	bulla_cbor_wr_str(&s, "Signature1");
	bulla_cbor_wr_bytes(&s, BULLA_BYTES_LITERAL("\xa1\x01\x38\x22"));
	bulla_cbor_wr_bytes(&s, (bulla_bytes){NULL, 0});
	bulla_cbor_wr_bytes(&s, bulla_bytes_of(payload, n));
	assert_ok(bulla_wr_end(&s, &to_sign));
	pki_sign(lab->leaf.key, to_sign, signature, 48);
	bulla_buf_clear(&lab->document);
	bulla_wr w = bulla_wr_buf(&lab->document);
	bulla_cbor_wr_array(&w, 4);
	bulla_cbor_wr_bytes(&w, BULLA_BYTES_LITERAL("\xa1\x01\x38\x22"));
	bulla_cbor_wr_map(&w, 0);
	bulla_cbor_wr_bytes(&w, bulla_bytes_of(payload, n));
	bulla_cbor_wr_bytes(&w, BULLA_BYTES_ARRAY(signature));
	assert_ok(bulla_wr_end(&w, &ignored));
}

static void rewritten(struct lab *lab, bulla_bytes find, bulla_bytes put, enum bulla_factor factor)
{
	resign(lab, find, put);
	assert_int_not_equal(lab_judge_bytes(lab, bulla_buf_view(&lab->document)), BULLA_OK);
	assert_factor(&lab->result, factor);
}

#define L(text_) BULLA_BYTES_LITERAL(text_)

static void a_good_signature_excuses_no_encoding(void **state)
{
	struct lab lab;

	(void)state;
	lab_open(&lab, &root_spec, &region_spec, &leaf_spec);
	rewritten(&lab, L("\x66" "digest"), L("\x66" "digest\x66SHA384\x66" "digest"), BULLA_FACTOR_FIELDS); /* twice */
	rewritten(&lab, L("\x66" "digest\x66SHA384"), L("\x66" "digest\x78\x06SHA384"), BULLA_FACTOR_ENCODING); /* long head */
	rewritten(&lab, L("\x64pcrs\xb2"), L("\x64pcrs\xbf"), BULLA_FACTOR_ENCODING); /* indefinite inside */
	rewritten(&lab, L("\x66" "digest\x66SHA384"), L("\x66" "digest\x7f\x66SHA384\xff"), BULLA_FACTOR_ENCODING); /* chunked */
	rewritten(&lab, L("\x66SHA384"), L("\xc1\x66SHA384"), BULLA_FACTOR_ENCODING); /* tagged */
	rewritten(&lab, L("\x65nonce\x58\x20"), L("\x65nonce\x78\x20"), BULLA_FACTOR_FIELDS); /* text for bytes */
	rewritten(&lab, (bulla_bytes){NULL, 0}, L("\x00"), BULLA_FACTOR_TRAILING); /* inside of the signed bytes */
	rewritten(&lab, L("\x66" "digest"), L("\x61x\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x00\x66" "digest"),
		BULLA_FACTOR_ENCODING); /* nested too deep */
	rewritten(&lab, L("\x66" "digest"), L("\x61x\x00\x66" "digest"), BULLA_FACTOR_UNKNOWN_FIELDS);
	lab.policy.strict = false;
	resign(&lab, L("\x66" "digest"), L("\x61x\x00\x66" "digest"));
	assert_ok(lab_judge_bytes(&lab, bulla_buf_view(&lab.document)));
	lab_close(&lab);
}

/* Same root, same format, another thing. */
static void a_tpm_s_document_is_no_enclave_s(void **state)
{
	struct lab lab;

	(void)state;
	lab_open(&lab, &root_spec, &region_spec, &leaf_spec);
	lab.doc.module_id = bulla_bytes_str("i-0123456789abcdef0-enc0123456789abcdef");
	rewritten(&lab, L("\x64pcrs"), L("\x6dnitrotpm_pcrs"), BULLA_FACTOR_NITRO_MODULE); /* TPM registers, enclave's name */
	rewritten(&lab, L("-enc"), L("-tpm"), BULLA_FACTOR_NITRO_MODULE);
	rewritten(&lab, L("\x66" "digest"), L("\x6dnitrotpm_pcrs\xa0\x66" "digest"), BULLA_FACTOR_FIELDS); /* both */
	lab.doc.module_id = bulla_bytes_str("i-0123456789abcdef0-tpm0123456789abcdef");
	lab.policy.tees = UINT32_MAX; /* a development root makes no TPMs, whatever is accepted */
	rewritten(&lab, L("\x64pcrs"), L("\x6dnitrotpm_pcrs"), BULLA_FACTOR_TEE);
	lab.anchor.tee = BULLA_TEE_NITRO;
	lab.anchor.assurance = BULLA_ASSURANCE_HARDWARE;
	lab.policy.tees = BULLA_TEE_BIT(BULLA_TEE_NITRO);
	lab.doc.module_id = bulla_bytes_str("i-0123456789abcdef0-tpm0123456789abcdef");
	rewritten(&lab, L("\x64pcrs"), L("\x6dnitrotpm_pcrs"), BULLA_FACTOR_TEE);
	assert_int_equal(lab.result.tee, BULLA_TEE_NITROTPM);
	lab.policy.tees = BULLA_TEE_BIT(BULLA_TEE_NITROTPM);
	resign(&lab, L("\x64pcrs"), L("\x6dnitrotpm_pcrs"));
	assert_ok(lab_judge_bytes(&lab, bulla_buf_view(&lab.document)));
	lab_close(&lab);
}

/* What the cache saves, and what it may not. */
static void the_cache_ends_with_policy_and_expiry(void **state)
{
	struct bulla_attest_cache *cache = NULL;
	struct lab lab;

	(void)state;
	lab_open(&lab, &root_spec, &region_spec, &leaf_spec);
	struct bulla_attest_anchors anchors = {&lab.anchor, 1};
	assert_ok(bulla_alloc(1, sizeof(*cache), (void **)&cache));
	bulla_attest_cache_init(cache);
	assert_ok(lab_judge(&lab));
	bulla_bytes document = bulla_buf_view(&lab.document);
	for (unsigned i = 0; i < 3; i++)
		assert_ok(bulla_attest_appraise(document, NULL, &anchors, &lab.policy, &lab.binding, lab.time, cache,
			&lab.result));
	assert_int_equal(cache->misses, 2);
	assert_int_equal(cache->hits, 4);
	lab.policy.generation++;
	assert_ok(bulla_attest_appraise(document, NULL, &anchors, &lab.policy, &lab.binding, lab.time, cache, &lab.result));
	assert_int_equal(cache->misses, 4);
	lab.policy.max_age_ms = INT64_MAX;
	lab.time.now_ms = (NOW + 10801) * 1000;
	assert_int_not_equal(bulla_attest_appraise(document, NULL, &anchors, &lab.policy, &lab.binding, lab.time, cache,
		&lab.result), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_CHAIN_DATES);
	bulla_free(cache);
	lab_close(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(genuine_documents_get_their_verdict),
		cmocka_unit_test(every_flip_in_a_genuine_document_is_refused),
		cmocka_unit_test(every_truncation_of_a_genuine_document_is_refused),
		cmocka_unit_test(each_check_is_what_stops_its_attack),
		cmocka_unit_test(a_dev_document_holds_in_every_factor),
		cmocka_unit_test(what_it_is_bound_to_must_be_expected),
		cmocka_unit_test(what_is_bound_to_nothing_says_so),
		cmocka_unit_test(nothing_may_be_left_unsaid),
		cmocka_unit_test(measurements_are_those_of_one_image),
		cmocka_unit_test(debug_and_class_and_kind_are_policy),
		cmocka_unit_test(time_has_two_sides),
		cmocka_unit_test(every_rule_of_the_chain_is_alive),
		cmocka_unit_test(a_chain_of_others_is_refused),
		cmocka_unit_test(curves_other_than_p384_are_refused),
		cmocka_unit_test(the_form_is_exact),
		cmocka_unit_test(the_header_is_exact),
		cmocka_unit_test(the_twin_of_a_signature_is_accepted_and_bad_halves_are_not),
		cmocka_unit_test(a_cmw_record_is_only_an_envelope),
		cmocka_unit_test(a_good_signature_excuses_no_encoding),
		cmocka_unit_test(a_tpm_s_document_is_no_enclave_s),
		cmocka_unit_test(the_cache_ends_with_policy_and_expiry),
	};

	return cmocka_run_group_tests_name("attest_nitro", tests, NULL, NULL);
}
