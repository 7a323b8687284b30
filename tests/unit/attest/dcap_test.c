#include <stdio.h>
#include <string.h>

#include "attest/dcap.h"
#include "attest/dcap_judge.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "samples.h"
#include "test.h"

/* ---- genuine quotes ---- */
static bulla_rc judge(bulla_bytes quote, const struct bulla_attest_collateral *collateral,
	const struct bulla_attest_policy *policy, int64_t at, struct bulla_attest_result *ret)
{
	struct bulla_attest_anchors anchors = bulla_attest_vendor_anchors();
	struct bulla_attest_binding binding = sample_binding();

	return bulla_attest_appraise(quote, collateral, &anchors, policy, &binding, sample_time(at), NULL, ret);
}

static void without_collateral(struct bulla_attest_policy *ret)
{
	sample_policy(ret);
	ret->dcap.without_collateral = true;
}

static void judge_sample(const char *folder, const char *file, bulla_json expected)
{
	struct bulla_attest_policy policy;
	struct bulla_attest_result result;
	char path[256], verdict[64];
	uint8_t bytes[8];
	BULLA_AUTO_BUF buf;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, file);
	assert_true(sample_read(path, &buf));
	sample_text(expected, "verdict", verdict, sizeof(verdict));
	without_collateral(&policy);
	int64_t from = sample_date(expected, "valid_from"), to = sample_date(expected, "valid_to");
	bulla_rc rc = judge(bulla_buf_view(&buf), NULL, &policy, from + 86400, &result);
	if (bulla_bytes_eq_str(bulla_bytes_str(verdict), "reject-no-pck")) {
		assert_factor(&result, BULLA_FACTOR_PCK_PRESENT);
		return;
	}
	if (bulla_bytes_eq_str(bulla_bytes_str(verdict), "reject-debug")) {
		assert_factor(&result, BULLA_FACTOR_DEBUG);
		policy.allow_debug = true;
		rc = judge(bulla_buf_view(&buf), NULL, &policy, from + 86400, &result);
	}
	if (bulla_bytes_eq_str(bulla_bytes_str(verdict), "accept-policy") && result.tee == BULLA_TEE_TDX) {
		assert_factor(&result, BULLA_FACTOR_TDX_ATTRIBUTES);
		policy.dcap.allow_no_sept_ve_disable = true;
		rc = judge(bulla_buf_view(&buf), NULL, &policy, from + 86400, &result);
	}
	if (bulla_bytes_eq_str(bulla_bytes_str(verdict), "reject") && bulla_bytes_eq_str(bulla_bytes_str(folder), "sgx")) {
		assert_int_not_equal(rc, BULLA_OK);
		printf("# %s: %s\n", file, bulla_factor_name(result.failed));
		return;
	}
	assert_accepted(&result);
	assert_ok(rc);
	assert_int_equal(result.assurance, BULLA_ASSURANCE_HARDWARE);
	size_t n = sample_hex(expected, "fmspc", bytes, sizeof(bytes));
	assert_bytes(bulla_attest_find(&result, BULLA_CLAIM_FMSPC, 0)->bytes, bulla_bytes_of(bytes, n));
	assert_int_not_equal(judge(bulla_buf_view(&buf), NULL, &policy, from - 1, &result), BULLA_OK);
	assert_factor(&result, BULLA_FACTOR_CHAIN_DATES);
	assert_int_not_equal(judge(bulla_buf_view(&buf), NULL, &policy, to + 1, &result), BULLA_OK);
	assert_factor(&result, BULLA_FACTOR_CHAIN_DATES);
}

static bool is_quote(const char *file, bulla_json item)
{
	bulla_json verdict;

	(void)file;
	return bulla_json_get_str(item, "verdict", &verdict) == BULLA_OK;
}

static void genuine_quotes_get_their_verdict(void **state)
{
	static const char *const folders[] = {"tdx", "sgx"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		BULLA_AUTO_BUF buf;
		bulla_json all, name, item;

		if (!sample_expectations(folders[i], &buf, &all))
			skip();
		for (struct bulla_json_iter iter = bulla_json_begin(all); bulla_json_next(&iter, &name, &item);) {
			char file[128];
			size_t n;

			assert_ok(bulla_json_string(name, sizeof(file) - 1, (uint8_t *)file, &n));
			file[n] = 0;
			if (is_quote(file, item))
				judge_sample(folders[i], file, item);
		}
	}
}

struct bundle {
	struct bulla_buf text, memory;
	struct bulla_dcap_collateral dcap;
	struct bulla_attest_collateral collateral;
};

static void bundle_open(struct bundle *bundle, const char *path)
{
	struct bulla_attest_anchors anchors = bulla_attest_vendor_anchors();
	struct bulla_dcap_parts parts;

	*bundle = (struct bundle){0};
	assert_true(sample_read(path, &bundle->text));
	bulla_buf_init(&bundle->memory, 1 << 20);
	assert_ok(bulla_dcap_bundle_read(bulla_buf_view(&bundle->text), &bundle->memory, &parts));
	assert_ok(bulla_dcap_collateral_read(&parts, &anchors, &bundle->memory, &bundle->dcap));
	for (size_t i = 0; i < bundle->dcap.fault_count; i++)
		printf("# fault: %s\n", bundle->dcap.faults[i].text);
	assert_int_equal(bundle->dcap.fault_count, 0);
	bundle->collateral.dcap = &bundle->dcap;
}

static void bundle_close(struct bundle *bundle)
{
	bulla_buf_done(&bundle->text);
	bulla_buf_done(&bundle->memory);
}

static void genuine_collateral_gives_intel_s_status(void **state)
{
	struct bulla_attest_policy policy;
	struct bulla_attest_result result;
	struct bundle bundle;
	BULLA_AUTO_BUF quote;
	const int64_t at = 1751328000; /* 2025-07-01 */

	(void)state;
	if (!sample_read("tdx/v4-tdx10-uptodate.bin", &quote)) {
		printf("# SKIPPED: no genuine samples\n");
		skip();
	}
	sample_policy(&policy);
	bundle_open(&bundle, "tdx/v4-tdx10-uptodate.collateral.json");
	assert_ok(judge(bulla_buf_view(&quote), &bundle.collateral, &policy, at, &result));
	assert_accepted(&result);
	assert_bytes(bulla_attest_find(&result, BULLA_CLAIM_TCB_STATUS, 0)->bytes, bulla_bytes_str("UpToDate"));
	assert_int_equal(bulla_attest_find(&result, BULLA_CLAIM_TCB_EVALUATION, 0)->number, 17);
	policy.dcap.evaluation_minimum = 18;
	assert_int_not_equal(judge(bulla_buf_view(&quote), &bundle.collateral, &policy, at, &result), BULLA_OK);
	assert_factor(&result, BULLA_FACTOR_TCB_EVALUATION);
	policy.dcap.evaluation_minimum = 0;
	/* outside of the window in which all of it is valid: 2025-06-19 10:32:27 to 2025-07-19 10:00:35 */
	assert_ok(judge(bulla_buf_view(&quote), &bundle.collateral, &policy, 1750329147, &result));
	assert_int_not_equal(judge(bulla_buf_view(&quote), &bundle.collateral, &policy, 1750329146, &result), BULLA_OK);
	assert_ok(judge(bulla_buf_view(&quote), &bundle.collateral, &policy, 1752919235, &result));
	assert_int_not_equal(judge(bulla_buf_view(&quote), &bundle.collateral, &policy, 1752919236, &result), BULLA_OK);
	bundle_close(&bundle);
	assert_int_not_equal(judge(bulla_buf_view(&quote), NULL, &policy, at, &result), BULLA_OK);
	assert_factor(&result, BULLA_FACTOR_TCB_INFO_SIGNATURE);
}

static void a_genuine_platform_below_all_levels_is_refused(void **state)
{
	struct bulla_attest_policy policy;
	struct bulla_attest_result result;
	struct bundle bundle;
	BULLA_AUTO_BUF quote, sgx;

	(void)state;
	if (!sample_read("tdx/v5-tdx15-below-all-levels.bin", &quote))
		skip();
	sample_policy(&policy);
	bundle_open(&bundle, "tdx/v5-tdx15-below-all-levels.collateral.json");
	assert_int_not_equal(judge(bulla_buf_view(&quote), &bundle.collateral, &policy, 1772323200, &result), BULLA_OK);
	assert_factor(&result, BULLA_FACTOR_TCB_LEVEL);
	bundle_close(&bundle);
	assert_true(sample_read("sgx/v3-confignswhardening.bin", &sgx));
	bundle_open(&bundle, "sgx/v3-confignswhardening.collateral.json");
	assert_int_not_equal(judge(bulla_buf_view(&sgx), &bundle.collateral, &policy, 1751328000, &result), BULLA_OK);
	assert_factor(&result, BULLA_FACTOR_TCB_STATUS);
	policy.dcap.statuses = BULLA_TCB_BIT(BULLA_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED);
	assert_int_not_equal(judge(bulla_buf_view(&sgx), &bundle.collateral, &policy, 1751328000, &result), BULLA_OK);
	assert_factor(&result, BULLA_FACTOR_TCB_ADVISORIES);
	const bulla_bytes advisories[] = {BULLA_BYTES_LITERAL("INTEL-SA-00289"), BULLA_BYTES_LITERAL("INTEL-SA-00615")};
	policy.dcap.advisories = advisories;
	policy.dcap.advisory_count = 2;
	assert_ok(judge(bulla_buf_view(&sgx), &bundle.collateral, &policy, 1751328000, &result));
	assert_int_equal(result.tee, BULLA_TEE_SGX);
	/* TDX collateral for an SGX quote */
	bundle_close(&bundle);
	bundle_open(&bundle, "tdx/v4-tdx10-uptodate.collateral.json");
	assert_int_not_equal(judge(bulla_buf_view(&sgx), &bundle.collateral, &policy, 1751328000, &result), BULLA_OK);
	assert_int_equal(result.factors[BULLA_FACTOR_TCB_INFO_PLATFORM].state, BULLA_FACTOR_FAILED);
	bundle_close(&bundle);
}

static void pcs_answers_are_taken_as_they_come(void **state)
{
	struct bulla_attest_anchors anchors = bulla_attest_vendor_anchors();
	struct bulla_attest_policy policy;
	struct bulla_attest_result result;
	struct bulla_dcap_parts parts = {0};
	struct bulla_dcap_collateral *dcap = NULL;
	uint8_t tcb_signature[64], qe_signature[64];
	BULLA_AUTO_BUF quote, info, identity, crl, root, chain, memory;

	(void)state;
	if (!sample_read("tdx/v4-debug-td.bin", &quote))
		skip();
	assert_true(sample_read("tdx/v4-debug-td.tcbinfo.json", &info) && sample_read("tdx/v4-debug-td.qeidentity.json", &identity) &&
		sample_read("tdx/v4-debug-td.pckcrl.der", &crl) && sample_read("tdx/v4-debug-td.rootcrl.der", &root) &&
		sample_read("roots/intel-tcb-signing-chain.pem", &chain));
	assert_ok(bulla_dcap_unwrap(bulla_buf_view(&info), "tcbInfo", &parts.tcb_info, tcb_signature));
	assert_ok(bulla_dcap_unwrap(bulla_buf_view(&identity), "enclaveIdentity", &parts.qe_identity, qe_signature));
	parts.tcb_info_signature = BULLA_BYTES_ARRAY(tcb_signature);
	parts.qe_identity_signature = BULLA_BYTES_ARRAY(qe_signature);
	parts.tcb_info_chain = parts.qe_identity_chain = bulla_buf_view(&chain);
	parts.pck_crl = bulla_buf_view(&crl);
	parts.root_crl = bulla_buf_view(&root);
	/* the CA of the list: the quote's own chain without its leaf */
	struct bulla_quote split;
	struct bulla_form_fault fault;
	assert_ok(bulla_quote_read(bulla_buf_view(&quote), &split, &fault));
	const char *pem = (const char *)split.certification.p;
	const char *ca = strstr(pem + 10, "-----BEGIN");
	parts.pck_crl_chain = bulla_bytes_of(ca, split.certification.n - (size_t)(ca - pem));
	bulla_buf_init(&memory, 1 << 20);
	assert_ok(bulla_alloc(1, sizeof(*dcap), (void **)&dcap));
	assert_ok(bulla_dcap_collateral_read(&parts, &anchors, &memory, dcap));
	assert_int_equal(dcap->fault_count, 0);
	struct bulla_attest_collateral collateral = {.dcap = dcap};
	sample_policy(&policy);
	policy.allow_debug = true;
	/* the signing certificate at hand is a later one of the same key: its dates, and nothing else, are wrong then */
	assert_int_not_equal(judge(bulla_buf_view(&quote), &collateral, &policy, 1688169600, &result), BULLA_OK);
	for (unsigned i = 0; i < BULLA_FACTOR_COUNT; i++)
		assert_true(result.factors[i].state != BULLA_FACTOR_FAILED || i == BULLA_FACTOR_TCB_INFO_DATES ||
			i == BULLA_FACTOR_QE_IDENTITY_DATES);
	assert_bytes(bulla_attest_find(&result, BULLA_CLAIM_TCB_STATUS, 0)->bytes, bulla_bytes_str("UpToDate"));
	bulla_free(dcap);
}

static void every_flip_in_a_genuine_quote_is_refused(void **state)
{
	struct bulla_attest_policy policy;
	struct bulla_attest_result result;
	BULLA_AUTO_BUF quote;

	(void)state;
	if (!sample_read("tdx/v5-tdx15-svn2.bin", &quote))
		skip();
	without_collateral(&policy);
	int64_t at = 1770000000;
	assert_ok(judge(bulla_buf_view(&quote), NULL, &policy, at, &result));
	size_t chain = 48 + 6 + 648 + 4 + 128 + 6 + 384 + 64 + 2;
	for (size_t i = 0; i < quote.n; i += i < chain ? 1 : 11) {
		quote.p[i] ^= (uint8_t)(1u << (i % 8));
		bulla_rc rc = judge(bulla_buf_view(&quote), NULL, &policy, at, &result);
		/* line ends between the base64 lines of the PEM and behind the chain are not signed by anyone */
		if (rc == BULLA_OK)
			printf("# flip at %zu accepted\n", i);
		assert_int_not_equal(rc, BULLA_OK);
		quote.p[i] ^= (uint8_t)(1u << (i % 8));
	}
	for (size_t n = 0; n < quote.n; n += 13) {
		assert_int_not_equal(judge(bulla_bytes_of(quote.p, n), NULL, &policy, at, &result), BULLA_OK);
		assert_int_not_equal(result.failed, BULLA_FACTOR_COUNT);
	}
	assert_ok(bulla_buf_append(&quote, BULLA_BYTES_LITERAL("\x00")));
	assert_int_not_equal(judge(bulla_buf_view(&quote), NULL, &policy, at, &result), BULLA_OK);
	assert_factor(&result, BULLA_FACTOR_TRAILING);
}

static void a_genuine_event_log_gives_the_registers(void **state)
{
	struct bulla_attest_policy policy;
	struct bulla_attest_result result;
	struct bulla_attest_collateral collateral = {0};
	BULLA_AUTO_BUF quote, log;

	(void)state;
	if (!sample_read("tdx/v4-gcp-with-ccel.bin", &quote))
		skip();
	assert_true(sample_read("tdx/ccel.bin", &log));
	without_collateral(&policy);
	policy.dcap.demand_event_log = true;
	collateral.event_log = bulla_buf_view(&log);
	assert_ok(judge(bulla_buf_view(&quote), &collateral, &policy, 1730000000, &result));
	assert_int_equal(result.factors[BULLA_FACTOR_TDX_EVENT_LOG].state, BULLA_FACTOR_HELD);
	assert_int_not_equal(judge(bulla_buf_view(&quote), NULL, &policy, 1730000000, &result), BULLA_OK);
	assert_factor(&result, BULLA_FACTOR_TDX_EVENT_LOG);
	log.p[200] ^= 1;
	assert_int_not_equal(judge(bulla_buf_view(&quote), &collateral, &policy, 1730000000, &result), BULLA_OK);
	assert_factor(&result, BULLA_FACTOR_TDX_EVENT_LOG);
	log.p[200] ^= 1;
	size_t events;
	bulla_bytes registers = bulla_bytes_of(quote.p + 48 + 328, 192);
	for (size_t n = 0; n < 2000; n++)
		assert_int_not_equal(bulla_ccel_replay(bulla_bytes_of(log.p, n), registers, &events), BULLA_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(genuine_quotes_get_their_verdict),
		cmocka_unit_test(genuine_collateral_gives_intel_s_status),
		cmocka_unit_test(a_genuine_platform_below_all_levels_is_refused),
		cmocka_unit_test(pcs_answers_are_taken_as_they_come),
		cmocka_unit_test(every_flip_in_a_genuine_quote_is_refused),
		cmocka_unit_test(a_genuine_event_log_gives_the_registers),
	};

	return cmocka_run_group_tests_name("attest_dcap", tests, NULL, NULL);
}
