#include <stdio.h>

#include "attest/foreign.h"
#include "attest/snp.h"
#include "base/mem.h"
#include "cases.h"
#include "samples.h"
#include "snp_lab.h"
#include "test.h"


#define NOW INT64_C(1795000000)

/* ---- genuine reports ---- */
struct set {
	struct bulla_buf report, leaf, issuer, root;
	struct bulla_attest_collateral collateral;
};

static void set_open(struct set *set, const char *report, const char *leaf, const char *product, bool vlek)
{
	char path[256], folded[32] = "";

	*set = (struct set){0};
	for (size_t i = 0; product[i] != 0 && product[i] != '-' && i < 31; i++)
		folded[i] = (char)(product[i] | 32);
	(void)snprintf(path, sizeof(path), "sev-snp/%s", report);
	assert_true(sample_read(path, &set->report));
	(void)snprintf(path, sizeof(path), "sev-snp/%s", leaf);
	assert_true(sample_read(path, &set->leaf));
	(void)snprintf(path, sizeof(path), "roots/amd-%s-%s-ark.pem", folded, vlek ? "asvk" : "ask");
	sample_pem(path, 0, &set->issuer);
	sample_pem(path, 1, &set->root);
	set->collateral.certificates[0] = bulla_buf_view(&set->root);
	set->collateral.certificates[1] = bulla_buf_view(&set->leaf);
	set->collateral.certificates[2] = bulla_buf_view(&set->issuer);
	set->collateral.certificate_count = 3;
}

static void set_close(struct set *set)
{
	bulla_buf_done(&set->report);
	bulla_buf_done(&set->leaf);
	bulla_buf_done(&set->issuer);
	bulla_buf_done(&set->root);
}

static const bulla_bytes aws_csp = {(const uint8_t *)"CN=cc-us-east-2.amazonaws.com", 29};

static void snp_policy(struct bulla_attest_policy *ret)
{
	sample_policy(ret);
	ret->snp.vmpls = 0x0f;
	ret->snp.csps = &aws_csp;
	ret->snp.csp_count = 1;
}

static bulla_rc judge(const struct set *set, bulla_bytes report, const struct bulla_attest_policy *policy, int64_t at,
	struct bulla_attest_cache *cache, struct bulla_attest_result *ret)
{
	struct bulla_attest_anchors anchors = bulla_attest_vendor_anchors();
	struct bulla_attest_binding binding = sample_binding();

	return bulla_attest_appraise(report, &set->collateral, &anchors, policy, &binding, sample_time(at), cache, ret);
}

static int64_t time_of(bulla_json expected)
{
	int64_t at = sample_date(expected, "valid_from");

	return at > 0 ? at + 3600 : 1700000000;
}

/* AMD's issuers and roots are built in: a VCEK or VLEK beside the report is enough; others' before it do no harm. */
static void assert_same_with_the_leaf_alone(const struct set *given, const struct bulla_attest_policy *policy, int64_t at,
	bulla_rc rc)
{
	struct bulla_attest_result result;
	struct set set = *given; /* its collateral is another one here */
	BULLA_AUTO_BUF other;

	assert_true(sample_read("sev-snp/turin-v5-report.vcek.der", &other));
	set.collateral.certificates[0] = bulla_buf_view(&set.leaf);
	set.collateral.certificate_count = 1;
	assert_rc(rc, judge(&set, bulla_buf_view(&set.report), policy, at, NULL, &result));
	set.collateral.certificates[0] = bulla_buf_view(&other);
	set.collateral.certificates[1] = bulla_buf_view(&set.leaf);
	set.collateral.certificate_count = 2;
	assert_rc(rc, judge(&set, bulla_buf_view(&set.report), policy, at, NULL, &result));
}

static void judge_sample(const char *file, bulla_json expected)
{
	struct bulla_attest_policy policy;
	struct bulla_attest_result result;
	struct set set;
	char leaf[128], product[64], verdict[64], csp[64];
	uint8_t bytes[64];

	sample_text(expected, "endorsement", leaf, sizeof(leaf));
	sample_text(expected, "product", product, sizeof(product));
	sample_text(expected, "verdict", verdict, sizeof(verdict));
	sample_text(expected, "csp_id", csp, sizeof(csp));
	set_open(&set, file, leaf, product, csp[0] != 0);
	snp_policy(&policy);
	bulla_rc rc = judge(&set, bulla_buf_view(&set.report), &policy, time_of(expected), NULL, &result);
	assert_same_with_the_leaf_alone(&set, &policy, time_of(expected), rc);
	if (bulla_bytes_eq_str(bulla_bytes_str(verdict), "reject-debug")) {
		assert_factor(&result, BULLA_FACTOR_DEBUG);
		policy.allow_debug = true;
		rc = judge(&set, bulla_buf_view(&set.report), &policy, time_of(expected), NULL, &result);
	}
	assert_accepted(&result);
	assert_ok(rc);
	size_t n = sample_hex(expected, "measurement", bytes, sizeof(bytes));
	assert_bytes(bulla_attest_find(&result, BULLA_CLAIM_MEASUREMENT, 0)->bytes, bulla_bytes_of(bytes, n));
	n = sample_hex(expected, "report_data", bytes, sizeof(bytes));
	assert_bytes(bulla_attest_find(&result, BULLA_CLAIM_REPORT_DATA, 0)->bytes, bulla_bytes_of(bytes, n));
	assert_int_equal(result.tee, BULLA_TEE_SNP);
	assert_int_not_equal(judge(&set, bulla_buf_view(&set.report), &policy, 1000000000, NULL, &result), BULLA_OK);
	assert_factor(&result, BULLA_FACTOR_CHAIN_DATES);
	assert_int_not_equal(judge(&set, bulla_buf_view(&set.report), &policy, INT64_C(4000000000), NULL, &result), BULLA_OK);
	assert_factor(&result, BULLA_FACTOR_CHAIN_DATES);
	set_close(&set);
}

static void genuine_reports_get_their_verdict(void **state)
{
	BULLA_AUTO_BUF buf;
	bulla_json all, name, item;

	(void)state;
	if (!sample_expectations("sev-snp", &buf, &all))
		skip();
	for (struct bulla_json_iter iter = bulla_json_begin(all); bulla_json_next(&iter, &name, &item);) {
		char file[128], leaf[128];
		size_t n;

		assert_ok(bulla_json_string(name, sizeof(file) - 1, (uint8_t *)file, &n));
		file[n] = 0;
		sample_text(item, "endorsement", leaf, sizeof(leaf));
		if (leaf[0] != 0)
			judge_sample(file, item);
	}
}

static void broken_certificates_are_refused(void **state)
{
	static const char *const broken[] = {"test-vcek-invalid-legacy.der", "test-vcek-invalid-new.der"};
	struct bulla_attest_policy policy;
	struct bulla_attest_result result;
	BULLA_AUTO_BUF buf;
	bulla_json all;

	(void)state;
	if (!sample_expectations("sev-snp", &buf, &all))
		skip();
	snp_policy(&policy);
	for (size_t i = 0; i < 2; i++) {
		struct set set;

		set_open(&set, "milan-v2-idblock.bin", broken[i], "Milan", false);
		assert_int_not_equal(judge(&set, bulla_buf_view(&set.report), &policy, 1700000000, NULL, &result), BULLA_OK);
		printf("# %s: %s\n", broken[i], bulla_factor_name(result.failed));
		set_close(&set);
	}
	/* the certificate of another chip */
	struct set set;
	set_open(&set, "milan-v2-idblock.bin", "milan-v2-report.vcek.der", "Milan", false);
	assert_int_not_equal(judge(&set, bulla_buf_view(&set.report), &policy, 1700000000, NULL, &result), BULLA_OK);
	assert_factor(&result, BULLA_FACTOR_SIGNATURE);
	set_close(&set);
}

static void every_flip_in_a_genuine_report_is_refused(void **state)
{
	struct bulla_attest_cache *cache = NULL;
	struct bulla_attest_policy policy;
	struct bulla_attest_result result;
	struct set set;
	BULLA_AUTO_BUF buf;
	bulla_json all;

	(void)state;
	if (!sample_expectations("sev-snp", &buf, &all))
		skip();
	assert_ok(bulla_alloc(1, sizeof(*cache), (void **)&cache));
	bulla_attest_cache_init(cache);
	snp_policy(&policy);
	set_open(&set, "genoa-v5-mitvector.bin", "genoa-v5-mitvector.vcek.der", "Genoa", false);
	assert_ok(judge(&set, bulla_buf_view(&set.report), &policy, 1770000000, cache, &result));
	for (size_t i = 0; i < set.report.n; i++) {
		set.report.p[i] ^= (uint8_t)(1u << (i % 8));
		assert_int_not_equal(judge(&set, bulla_buf_view(&set.report), &policy, 1770000000, cache, &result), BULLA_OK);
		assert_int_not_equal(result.failed, BULLA_FACTOR_COUNT);
		set.report.p[i] ^= (uint8_t)(1u << (i % 8));
	}
	for (size_t n = 0; n < set.report.n; n += 7)
		assert_int_not_equal(judge(&set, bulla_bytes_of(set.report.p, n), &policy, 1770000000, cache, &result), BULLA_OK);
	set_close(&set);
	bulla_free(cache);
}

/* ---- reports of our own ---- */
static void refused(struct snp_lab *lab, enum bulla_factor factor)
{
	assert_int_not_equal(snp_lab_judge(lab), BULLA_OK);
	assert_factor(&lab->result, factor);
	snp_lab_report(lab);
	snp_lab_expect(lab);
}

static void the_lab_s_report_holds(void **state)
{
	struct snp_lab lab;

	(void)state;
	snp_lab_open(&lab, NOW);
	assert_ok(snp_lab_judge(&lab));
	assert_accepted(&lab.result);
	lab.binding.binder.value = bulla_bytes_of(lab.data, 32); /* shorter, followed by zeros */
	assert_ok(snp_lab_judge(&lab));
	snp_lab_unchain(&lab);
}

static void a_byte(struct snp_lab *lab, size_t at, uint8_t value, enum bulla_factor factor)
{
	lab->report[at] = value;
	refused(lab, factor);
}

static void the_form_is_exact(void **state)
{
	struct snp_lab lab;

	(void)state;
	snp_lab_open(&lab, NOW);
	a_byte(&lab, 0, 1, BULLA_FACTOR_VERSION);
	a_byte(&lab, 0, 6, BULLA_FACTOR_VERSION);
	a_byte(&lab, 0x34, 2, BULLA_FACTOR_ALGORITHM);
	a_byte(&lab, 0x4c, 1, BULLA_FACTOR_RESERVED);
	a_byte(&lab, 0x48, 0x20, BULLA_FACTOR_RESERVED);
	a_byte(&lab, 0x0a, 0x01, BULLA_FACTOR_RESERVED);
	a_byte(&lab, 0x18b, 1, BULLA_FACTOR_RESERVED);
	a_byte(&lab, 0x1eb, 1, BULLA_FACTOR_RESERVED);
	a_byte(&lab, 0x1f8, 1, BULLA_FACTOR_RESERVED); /* only version 5 has a mitigation vector there */
	a_byte(&lab, 0x208, 1, BULLA_FACTOR_RESERVED);
	a_byte(&lab, 0x2d0, 1, BULLA_FACTOR_RESERVED);
	a_byte(&lab, 0x49f, 1, BULLA_FACTOR_RESERVED);
	lab.report[0] = 2; /* version 2 has no CPUID field */
	refused(&lab, BULLA_FACTOR_RESERVED);
	lab.report[0] = 5;
	lab.report[0x1f8] = lab.report[0x200] = 1;
	assert_ok(snp_lab_judge(&lab));
	snp_lab_unchain(&lab);
}

static void the_signature_is_exact(void **state)
{
	struct snp_lab lab;

	(void)state;
	snp_lab_open(&lab, NOW);
	assert_ok(snp_lab_judge(&lab));
	lab.resign = false;
	lab.report[0x90] ^= 1;
	refused(&lab, BULLA_FACTOR_SIGNATURE);
	assert_ok(snp_lab_judge(&lab));
	lab.resign = false;
	bulla_zero(lab.report + 0x2a0, 48);
	refused(&lab, BULLA_FACTOR_SIGNATURE_RANGE);
	snp_lab_unchain(&lab);
}

static void certificate_and_report_belong_together(void **state)
{
	struct snp_lab lab;

	(void)state;
	snp_lab_open(&lab, NOW);
	a_byte(&lab, 0x180, 5, BULLA_FACTOR_SNP_TCB_CERTIFICATE);
	a_byte(&lab, 0x187, 218, BULLA_FACTOR_SNP_TCB_CERTIFICATE);
	a_byte(&lab, 0x1a0, 9, BULLA_FACTOR_SNP_CHIP);
	a_byte(&lab, 0x188, 0x1a, BULLA_FACTOR_SNP_GENERATION);
	a_byte(&lab, 0x48, 1 << 2, BULLA_FACTOR_SNP_SIGNER);
	a_byte(&lab, 0x48, 7 << 2, BULLA_FACTOR_SNP_SIGNER);
	bulla_zero(lab.report + 0x1a0, 64);
	lab.report[0x48] = 2;
	refused(&lab, BULLA_FACTOR_SNP_CHIP);
	bulla_zero(lab.report + 0x1a0, 64);
	lab.report[0x48] = 2;
	lab.policy.snp.allow_masked_chip = true;
	assert_ok(snp_lab_judge(&lab));
	snp_lab_unchain(&lab);
}

static void policy_is_policy(void **state)
{
	struct snp_lab lab;
	bulla_bytes chip;

	(void)state;
	snp_lab_open(&lab, NOW);
	a_byte(&lab, 0x0a, 0x0b, BULLA_FACTOR_DEBUG);
	a_byte(&lab, 0x0a, 0x07, BULLA_FACTOR_SNP_MIGRATION);
	a_byte(&lab, 0x30, 1, BULLA_FACTOR_SNP_VMPL);
	a_byte(&lab, 0x1e0, 3, BULLA_FACTOR_SNP_TCB_ORDER);
	a_byte(&lab, 0x38, 3, BULLA_FACTOR_SNP_TCB_ORDER);
	lab.policy.snp.minimum.microcode = 220;
	refused(&lab, BULLA_FACTOR_SNP_TCB_MINIMUM);
	lab.policy.snp.guest_policy_refused = 1u << 16;
	refused(&lab, BULLA_FACTOR_SNP_GUEST_POLICY);
	lab.policy.snp.guest_policy_demanded = 1u << 20;
	refused(&lab, BULLA_FACTOR_SNP_GUEST_POLICY);
	lab.policy.snp.abi_minor = 31;
	refused(&lab, BULLA_FACTOR_SNP_ABI);
	lab.policy.snp.platform_refused = 1;
	refused(&lab, BULLA_FACTOR_SNP_PLATFORM);
	lab.policy.snp.platform_demanded = 2;
	refused(&lab, BULLA_FACTOR_SNP_PLATFORM);
	lab.policy.snp.guest_svn_minimum = 1;
	refused(&lab, BULLA_FACTOR_SNP_GUEST_SVN);
	lab.policy.snp.mitigations_demanded = 1;
	refused(&lab, BULLA_FACTOR_SNP_MITIGATIONS);
	lab.binding.binder.value = BULLA_BYTES_LITERAL("other");
	refused(&lab, BULLA_FACTOR_BINDER);
	lab.binding.binder = BULLA_EXPECT_ANYTHING; /* a nonce that nothing carries must not pass unseen */
	lab.binding.nonce = BULLA_EXPECT_BYTES(BULLA_BYTES_LITERAL("nonce"));
	refused(&lab, BULLA_FACTOR_NONCE);
	chip = bulla_bytes_of(lab.data, 64);
	lab.policy.platforms = &chip;
	lab.policy.platform_count = 1;
	refused(&lab, BULLA_FACTOR_PLATFORM_ALLOWED);
	snp_lab_unchain(&lab);
}

static void a_vlek_needs_its_provider(void **state)
{
	struct snp_lab lab;
	bulla_bytes csp = BULLA_BYTES_LITERAL("CN=cloud.example");

	(void)state;
	snp_lab_open(&lab, NOW);
	snp_lab_unchain(&lab);
	lab.extensions[5] = (struct pki_extension){AMD "5", BULLA_BYTES_LITERAL("\x16\x10" "CN=cloud.example")};
	snp_lab_chain(&lab, "ARK-Milan", "SEV-VLEK-Milan");
	bulla_zero(lab.report + 0x1a0, 64);
	lab.report[0x48] = 1 << 2;
	assert_int_not_equal(snp_lab_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_SNP_CSP);
	lab.policy.snp.csps = &csp;
	lab.policy.snp.csp_count = 1;
	assert_ok(snp_lab_judge(&lab));
	lab.report[0x1a0] = 1;
	assert_int_not_equal(snp_lab_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_SNP_CHIP);
	lab.report[0x1a0] = 0;
	lab.report[0x48] = 0; /* says VCEK, signed under the VLEK's issuer */
	assert_int_not_equal(snp_lab_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_SNP_SIGNER);
	snp_lab_unchain(&lab);
}

static void chain_names_and_roots_count(void **state)
{
	struct snp_lab lab;

	(void)state;
	snp_lab_open(&lab, NOW);
	snp_lab_unchain(&lab);
	snp_lab_chain(&lab, "ARK-Genoa", "SEV-Genoa");
	refused(&lab, BULLA_FACTOR_SNP_GENERATION);
	lab.anchor_id.b[0] ^= 1;
	refused(&lab, BULLA_FACTOR_ANCHOR);
	snp_lab_unchain(&lab);
	lab.extension_count = 5; /* neither hardware id nor provider */
	snp_lab_chain(&lab, "ARK-Milan", "SEV-Milan");
	refused(&lab, BULLA_FACTOR_CHAIN_FORM);
	lab.collateral.certificate_count = 0;
	refused(&lab, BULLA_FACTOR_CHAIN_FORM);
	snp_lab_unchain(&lab);
	snp_lab_extensions(&lab);
	snp_lab_chain(&lab, "ARK-Milan", "SEV-Milan");
	lab.collateral.certificate_count = 2; /* no root */
	refused(&lab, BULLA_FACTOR_CHAIN_ORDER);
	snp_lab_unchain(&lab);
}

static void revocation_lists_are_judged(void **state)
{
	struct snp_lab lab;
	uint8_t crl[2048];
	const int revoked = 7, other = 8;

	(void)state;
	snp_lab_open(&lab, NOW);
	lab.collateral.crl_count = 1;
	lab.collateral.crls[0] = bulla_bytes_of(crl, pki_crl(&lab.root, NOW - 10, NOW + 10, &other, 1, crl, sizeof(crl)));
	assert_ok(snp_lab_judge(&lab));
	lab.collateral.crls[0] = bulla_bytes_of(crl, pki_crl(&lab.root, NOW - 10, NOW + 10, &revoked, 1, crl, sizeof(crl)));
	refused(&lab, BULLA_FACTOR_REVOCATION);
	lab.collateral.crls[0] = bulla_bytes_of(crl, pki_crl(&lab.root, NOW - 10, NOW - 1, NULL, 0, crl, sizeof(crl)));
	refused(&lab, BULLA_FACTOR_CRL_DATES);
	lab.collateral.crls[0] = bulla_bytes_of(crl, pki_crl(&lab.issuer, NOW - 10, NOW + 10, NULL, 0, crl, sizeof(crl)));
	refused(&lab, BULLA_FACTOR_CRL_SIGNATURE);
	snp_lab_unchain(&lab);
}

/* The GHCB certificate table, as configfs-tsm gives it in auxblob. */
static void the_certificate_table_is_read(void **state)
{
	static const uint8_t vcek[16] = {0x8d, 0x75, 0xda, 0x63, 0x64, 0xe6, 0x64, 0x45, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8,
		0xac, 0xcd};
	struct snp_lab lab;
	uint8_t table[2048] = {0};

	(void)state;
	snp_lab_open(&lab, NOW);
	bulla_copy(table, vcek, 16);
	table[16] = 48;
	table[20] = (uint8_t)lab.leaf.size;
	table[21] = (uint8_t)(lab.leaf.size >> 8);
	bulla_copy(table + 48, lab.leaf.der, lab.leaf.size);
	lab.collateral.certificates[0] = lab.collateral.certificates[2];
	lab.collateral.certificate_count = 2;
	lab.collateral.certificate_table = bulla_bytes_of(table, 48 + lab.leaf.size);
	assert_ok(snp_lab_judge(&lab));
	lab.collateral.certificate_table.n--;
	refused(&lab, BULLA_FACTOR_CHAIN_FORM);
	lab.collateral.certificate_table.n = 24; /* no end */
	table[16] = 0;
	refused(&lab, BULLA_FACTOR_CHAIN_FORM);
	snp_lab_unchain(&lab);
}

/* Veraison's TSM report: report and table of one genuine guest, the certificates in PEM. */
static void a_genuine_tsm_report_holds(void **state)
{
	struct bulla_attest_anchors anchors = bulla_attest_vendor_anchors();
	struct bulla_attest_binding binding = sample_binding();
	struct bulla_attest_policy policy;
	struct bulla_attest_result result;
	struct bulla_foreign foreign;
	BULLA_AUTO_BUF file;
	bulla_bytes evidence;

	(void)state;
	if (!sample_read("sev-snp/veraison-tsm-report.cbor", &file))
		skip();
	assert_ok(bulla_foreign_init(&foreign));
	assert_ok(bulla_foreign_evidence(&foreign, bulla_buf_view(&file), &evidence));
	snp_policy(&policy);
	bulla_rc rc = bulla_attest_appraise(evidence, &foreign.collateral, &anchors, &policy, &binding,
		sample_time(1770000000), NULL, &result);
	assert_accepted(&result);
	assert_ok(rc);
	bulla_foreign_done(&foreign);
}

static int free_keys(void **state)
{
	(void)state;
	snp_lab_free_keys();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(genuine_reports_get_their_verdict),
		cmocka_unit_test(broken_certificates_are_refused),
		cmocka_unit_test(every_flip_in_a_genuine_report_is_refused),
		cmocka_unit_test(the_lab_s_report_holds),
		cmocka_unit_test(the_form_is_exact),
		cmocka_unit_test(the_signature_is_exact),
		cmocka_unit_test(certificate_and_report_belong_together),
		cmocka_unit_test(policy_is_policy),
		cmocka_unit_test(a_vlek_needs_its_provider),
		cmocka_unit_test(chain_names_and_roots_count),
		cmocka_unit_test(revocation_lists_are_judged),
		cmocka_unit_test(the_certificate_table_is_read),
		cmocka_unit_test(a_genuine_tsm_report_holds),
	};

	return cmocka_run_group_tests_name("attest_snp", tests, NULL, free_keys);
}
