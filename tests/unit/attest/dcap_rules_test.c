#include "attest/dcap_judge.h"
#include "crypto/hash.h"
#include "dcap_lab.h"
#include "test.h"

static void refused(struct dcap_lab *lab, enum bulla_factor factor)
{
	assert_int_not_equal(dcap_lab_judge(lab), BULLA_OK);
	assert_factor(&lab->result, factor);
	dcap_lab_reset(lab);
}

static void info(struct dcap_lab *lab, const char *from, const char *to, enum bulla_factor factor)
{
	dcap_lab_replace(lab->tcb_info, sizeof(lab->tcb_info), from, to);
	refused(lab, factor);
}

static void identity(struct dcap_lab *lab, const char *from, const char *to, enum bulla_factor factor)
{
	dcap_lab_replace(lab->qe_identity, sizeof(lab->qe_identity), from, to);
	refused(lab, factor);
}

static void accepted(struct dcap_lab *lab)
{
	bulla_rc rc = dcap_lab_judge(lab);

	assert_accepted(&lab->result);
	assert_ok(rc);
}

static void the_lab_s_quotes_hold(void **state)
{
	struct dcap_lab lab;

	(void)state;
	dcap_lab_open(&lab);
	accepted(&lab);
	lab.reverse_chain = true;
	accepted(&lab);
	dcap_lab_reset(&lab);
	lab.version = 5;
	accepted(&lab);
	lab.td15 = true;
	accepted(&lab);
	lab.with_collateral = false;
	lab.policy.dcap.without_collateral = true;
	accepted(&lab);
	dcap_lab_close(&lab);
}

static void sgx_quotes_hold_too(void **state)
{
	struct dcap_lab lab;

	(void)state;
	dcap_lab_open(&lab);
	lab.version = 3;
	lab.tdx = false;
	bulla_zero(lab.body, sizeof(lab.body));
	lab.body[48] = 0x05;
	lab.body[258] = 3;
	dcap_lab_replace(lab.tcb_info, sizeof(lab.tcb_info), "\"TDX\"", "\"SGX\"");
	dcap_lab_replace(lab.qe_identity, sizeof(lab.qe_identity), "TD_QE", "QE");
	accepted(&lab);
	lab.policy.dcap.isvsvn_minimum = 4;
	assert_int_not_equal(dcap_lab_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_SGX_SVN);
	lab.policy.dcap.isvsvn_minimum = 0;
	lab.body[48] = 0x04; /* not initialised */
	assert_int_not_equal(dcap_lab_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_SGX_ATTRIBUTES);
	lab.body[48] = 0x07;
	assert_int_not_equal(dcap_lab_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_DEBUG);
	dcap_lab_close(&lab);
}

static void patched(struct dcap_lab *lab, size_t at, uint8_t value, enum bulla_factor factor)
{
	accepted(lab);
	lab->quote[at] = value;
	assert_int_not_equal(dcap_lab_judge_quote(lab), BULLA_OK);
	assert_factor(&lab->result, factor);
}

static void the_form_is_exact(void **state)
{
	struct dcap_lab lab;

	(void)state;
	dcap_lab_open(&lab);
	patched(&lab, 0, 2, BULLA_FACTOR_VERSION);
	patched(&lab, 0, 6, BULLA_FACTOR_VERSION);
	patched(&lab, 2, 3, BULLA_FACTOR_ALGORITHM);
	patched(&lab, 8, 1, BULLA_FACTOR_RESERVED);
	patched(&lab, 12, 0, BULLA_FACTOR_QE_VENDOR);
	patched(&lab, 632, 0, BULLA_FACTOR_TRAILING);   /* outer length too small */
	patched(&lab, 633, 0xff, BULLA_FACTOR_SIZE);    /* and too large */
	patched(&lab, 764, 5, BULLA_FACTOR_FIELDS);     /* certification data of another kind */
	patched(&lab, 766, 0, BULLA_FACTOR_TRAILING);   /* inner length */
	patched(&lab, 770 + 449, 0x10, BULLA_FACTOR_FIELDS); /* length of the authentication data */
	accepted(&lab);
	lab.quote[lab.quote_size++] = 0;
	assert_int_not_equal(dcap_lab_judge_quote(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_TRAILING);
	lab.version = 5;
	accepted(&lab);
	lab.quote[48] = 1; /* an SGX body in a TDX quote */
	assert_int_not_equal(dcap_lab_judge_quote(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_VERSION);
	dcap_lab_close(&lab);
}

/* Said of the list, not of the certificate: that one is not revoked. */
static void another_ca_s_list_says_nothing(void **state)
{
	const struct pki_spec spec = {.cn = "another PCK CA", .not_before = LAB_NOW - 9000, .not_after = LAB_NOW + 900000, .ca = true,
		.pathlen = 0, .serial = 50};
	struct pki_cert other;
	struct dcap_lab lab;

	(void)state;
	dcap_lab_open(&lab);
	pki_make(&spec, pki_key("P-256"), &lab.root, &other);
	lab.list_ca = &other;
	assert_int_not_equal(dcap_lab_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_CRL_SIGNATURE);
	assert_rc(BULLA_E_EVIDENCE_CHAIN, lab.result.rc);
	assert_int_not_equal(lab.result.factors[BULLA_FACTOR_REVOCATION].state, BULLA_FACTOR_FAILED);
	assert_int_not_equal(lab.result.factors[BULLA_FACTOR_REVOCATION].state, BULLA_FACTOR_HELD);
	lab.list_ca = NULL;
	accepted(&lab);
	pki_free(&other);
	dcap_lab_close(&lab);
}

/* A chain for a quote that carries none comes with the collateral, in any order; nothing else there is taken for it. */
static void a_chain_may_stand_beside_the_quote(void **state)
{
	struct dcap_lab lab;

	(void)state;
	dcap_lab_open(&lab);
	lab.certification_type = 3;
	assert_int_not_equal(dcap_lab_judge(&lab), BULLA_OK);
	const bulla_bytes others[] = {pki_der(&lab.signer), pki_der(&lab.root), pki_der(&lab.ca)};
	for (size_t i = 0; i < 3; i++)
		lab.collateral.certificates[i] = others[i];
	lab.collateral.certificate_count = 3;
	assert_int_not_equal(dcap_lab_judge_quote(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_PCK_PRESENT);
	assert_int_equal(lab.result.factors[BULLA_FACTOR_PCK_PRESENT].at, 636 + 134 + 384 + 64 + 2 + sizeof(lab.auth));
	lab.collateral.certificates[3] = pki_der(&lab.pck);
	lab.collateral.certificate_count = 4;
	bulla_rc rc = dcap_lab_judge_quote(&lab);
	assert_accepted(&lab.result);
	assert_ok(rc);
	dcap_lab_close(&lab);
}

static void what_comes_too_early_is_not_called_old(void **state)
{
	struct dcap_lab lab;

	(void)state;
	dcap_lab_open(&lab);
	accepted(&lab);
	lab.crl_from = LAB_NOW + 500;
	lab.crl_to = LAB_NOW + 1000;
	refused(&lab, BULLA_FACTOR_CRL_DATES);
	assert_string_equal(lab.result.factors[BULLA_FACTOR_CRL_DATES].text, "the PCK revocation list is not yet valid");
	accepted(&lab);
	lab.time.now_ms = (LAB_NOW - 20000) * 1000;
	lab.time.clock = BULLA_CLOCK_AT;
	assert_int_not_equal(dcap_lab_judge_quote(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_CHAIN_DATES);
	assert_string_equal(lab.result.factors[BULLA_FACTOR_CHAIN_DATES].text, "a certificate is not yet valid");
	dcap_lab_close(&lab);
}

static void the_pck_names_its_platform(void **state)
{
	struct dcap_lab lab;

	(void)state;
	dcap_lab_open(&lab);
	lab.short_extension = true;
	refused(&lab, BULLA_FACTOR_PCK_EXTENSION);
	dcap_lab_close(&lab);
}

static void a_quote_may_fill_its_service_s_buffer(void **state)
{
	struct dcap_lab lab;

	(void)state;
	dcap_lab_open(&lab);
	accepted(&lab);
	size_t whole = lab.quote_size;
	bulla_zero(lab.quote + whole, 70);
	lab.quote_size = whole + 68;
	assert_int_not_equal(dcap_lab_judge_quote(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_TRAILING);
	assert_int_equal(lab.result.factors[BULLA_FACTOR_TRAILING].at, whole);
	lab.quote_size = whole + 69;
	assert_ok(dcap_lab_judge_quote(&lab));
	lab.quote[whole + 63] = 1;
	assert_int_not_equal(dcap_lab_judge_quote(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_TRAILING);
	dcap_lab_close(&lab);
}

static void who_signed_what(void **state)
{
	struct dcap_lab lab;

	(void)state;
	dcap_lab_open(&lab);
	patched(&lab, 136 + 48, 0xbb, BULLA_FACTOR_SIGNATURE); /* MRTD */
	patched(&lab, 770 + 64, 0xbb, BULLA_FACTOR_QE_SIGNATURE); /* the quoting enclave's measurement */
	lab.qe_report[320] = 1;
	refused(&lab, BULLA_FACTOR_QE_BINDING);
	lab.qe_report[352] = 1;
	refused(&lab, BULLA_FACTOR_QE_BINDING_TAIL);
	accepted(&lab);
	bulla_zero(lab.quote + 636, 32);
	assert_int_not_equal(dcap_lab_judge_quote(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_SIGNATURE_RANGE);
	lab.certification_type = 3;
	refused(&lab, BULLA_FACTOR_PCK_PRESENT);
	lab.anchor_id.b[0] ^= 1;
	refused(&lab, BULLA_FACTOR_ANCHOR);
	lab.time.now_ms = (LAB_NOW + 20000) * 1000;
	refused(&lab, BULLA_FACTOR_CHAIN_DATES);
	dcap_lab_close(&lab);
}

static void what_the_td_is(void **state)
{
	struct dcap_lab lab;
	bulla_bytes service;

	(void)state;
	dcap_lab_open(&lab);
	lab.body[120] = 1;
	refused(&lab, BULLA_FACTOR_DEBUG);
	lab.body[120] = 2;
	refused(&lab, BULLA_FACTOR_TDX_ATTRIBUTES);
	lab.body[123] = 0;
	refused(&lab, BULLA_FACTOR_TDX_ATTRIBUTES);
	lab.body[112] = 1;
	refused(&lab, BULLA_FACTOR_TDX_SEAM_ATTRIBUTES);
	lab.body[128] = 4;
	lab.policy.dcap.xfam_refused = 4;
	refused(&lab, BULLA_FACTOR_TDX_XFAM);
	lab.version = 5;
	lab.td15 = true;
	lab.body[600] = 1;
	service = bulla_bytes_of(lab.body + 600, 48);
	assert_int_not_equal(dcap_lab_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_TDX_SERVICE_TD);
	lab.policy.dcap.service_tds = &service;
	lab.policy.dcap.service_td_count = 1;
	accepted(&lab);
	dcap_lab_reset(&lab);
	lab.policy.dcap.demand_event_log = true;
	refused(&lab, BULLA_FACTOR_TDX_EVENT_LOG);
	lab.collateral.event_log = BULLA_BYTES_LITERAL("no log");
	refused(&lab, BULLA_FACTOR_TDX_EVENT_LOG);
	lab.binding.binder = BULLA_EXPECT_BYTES(BULLA_BYTES_LITERAL("\x08"));
	refused(&lab, BULLA_FACTOR_BINDER);
	lab.binding.binder = BULLA_EXPECT_BYTES(BULLA_BYTES_LITERAL("\x07"));
	accepted(&lab);
	dcap_lab_close(&lab);
}

/* RTMR3: manifest, then bundles. */
static void registers_hold_manifest_and_bundles(void **state)
{
	struct dcap_lab lab;
	uint8_t digests[96] = {1};

	(void)state;
	dcap_lab_open(&lab);
	digests[40] = 2;
	for (unsigned i = 0; i < 3; i++) {
		uint8_t hash[48], next[48];

		bulla_sha384(bulla_bytes_of(digests + 32 * i, 32), hash);
		bulla_bytes parts[] = {bulla_bytes_of(lab.body + 472, 48), BULLA_BYTES_ARRAY(hash)};
		bulla_sha384_parts(parts, 2, next);
		bulla_copy(lab.body + 472, next, 48);
	}
	lab.binding.manifest = BULLA_EXPECT_BYTES(bulla_bytes_of(digests, 32));
	lab.binding.bundles = BULLA_EXPECT_BYTES(bulla_bytes_of(digests + 32, 64));
	accepted(&lab);
	lab.binding.bundles = BULLA_EXPECT_BYTES(bulla_bytes_of(digests + 32, 32));
	assert_int_not_equal(dcap_lab_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_MANIFEST);
	lab.binding.bundles = BULLA_EXPECT_ANYTHING;
	assert_int_not_equal(dcap_lab_judge(&lab), BULLA_OK);
	dcap_lab_close(&lab);
}

static void collateral_is_signed_and_dated(void **state)
{
	struct dcap_lab lab;

	(void)state;
	dcap_lab_open(&lab);
	lab.with_collateral = false;
	refused(&lab, BULLA_FACTOR_TCB_INFO_SIGNATURE);
	accepted(&lab);
	lab.sign_by_pck = true; /* a PCK key is no TCB signing key */
	refused(&lab, BULLA_FACTOR_TCB_INFO_SIGNATURE);
	info(&lab, "2026-11-18", "2026-11-25", BULLA_FACTOR_TCB_INFO_DATES);
	info(&lab, "2026-12-18", "2026-11-18", BULLA_FACTOR_TCB_INFO_DATES);
	identity(&lab, "2026-12-18", "2026-11-18", BULLA_FACTOR_QE_IDENTITY_DATES);
	lab.crl_to = LAB_NOW - 5;
	refused(&lab, BULLA_FACTOR_CRL_DATES);
	lab.revoked_pck = 30;
	refused(&lab, BULLA_FACTOR_REVOCATION);
	lab.revoked_ca = 20;
	refused(&lab, BULLA_FACTOR_REVOCATION);
	lab.revoked_ca = 40; /* the signer */
	refused(&lab, BULLA_FACTOR_REVOCATION);
	lab.revoked_ca = 41;
	accepted(&lab);
	dcap_lab_close(&lab);
}

static void collateral_fits_the_platform(void **state)
{
	struct dcap_lab lab;

	(void)state;
	dcap_lab_open(&lab);
	info(&lab, "444444444444", "444444444445", BULLA_FACTOR_TCB_INFO_PLATFORM);
	info(&lab, "\"pceId\":\"0000\"", "\"pceId\":\"0001\"", BULLA_FACTOR_TCB_INFO_PLATFORM);
	info(&lab, "\"version\":3", "\"version\":2", BULLA_FACTOR_TCB_INFO_SIGNATURE);
	info(&lab, "\"version\":3", "\"version\":3,\"version\":3", BULLA_FACTOR_TCB_INFO_SIGNATURE);
	lab.policy.dcap.evaluation_minimum = 18;
	refused(&lab, BULLA_FACTOR_TCB_EVALUATION);
	identity(&lab, "DC9E", "DC9F", BULLA_FACTOR_QE_IDENTITY);
	identity(&lab, "\"isvprodid\":2", "\"isvprodid\":3", BULLA_FACTOR_QE_IDENTITY);
	identity(&lab, "\"attributes\":\"11", "\"attributes\":\"13", BULLA_FACTOR_QE_IDENTITY);
	lab.qe_report[258] = 1;
	refused(&lab, BULLA_FACTOR_QE_LEVEL);
	lab.components[3] = 4;
	refused(&lab, BULLA_FACTOR_TCB_LEVEL);
	lab.pcesvn = 10;
	refused(&lab, BULLA_FACTOR_TCB_LEVEL);
	lab.body[2] = 2; /* TDX component below its level */
	refused(&lab, BULLA_FACTOR_TCB_LEVEL);
	dcap_lab_close(&lab);
}

static void statuses_converge(void **state)
{
	struct dcap_lab lab;

	(void)state;
	dcap_lab_open(&lab);
	lab.qe_report[258] = 2; /* QE out of date */
	refused(&lab, BULLA_FACTOR_TCB_STATUS);
	lab.body[0] = 3; /* module out of date */
	refused(&lab, BULLA_FACTOR_TCB_STATUS);
	lab.body[0] = 1; /* module below its levels */
	refused(&lab, BULLA_FACTOR_TCB_STATUS);
	lab.body[1] = 2; /* no such module version */
	refused(&lab, BULLA_FACTOR_TCB_STATUS);
	info(&lab, "\"tcbDate\":\"2024-03-13T00:00:00Z\",\"tcbStatus\":\"UpToDate\"}]}",
		"\"tcbDate\":\"2024-03-13T00:00:00Z\",\"tcbStatus\":\"UpToDate\",\"advisoryIDs\":[\"INTEL-SA-00001\"]}]}",
		BULLA_FACTOR_TCB_ADVISORIES);
	lab.body[64] = 1; /* MRSIGNERSEAM */
	refused(&lab, BULLA_FACTOR_TDX_MODULE);
	lab.body[0] = 3;
	lab.policy.dcap.statuses = BULLA_TCB_BIT(BULLA_TCB_OUT_OF_DATE);
	accepted(&lab);
	dcap_lab_close(&lab);
}

static void a_td_launched_earlier_is_advised_to_relaunch(void **state)
{
	struct dcap_lab lab;

	(void)state;
	dcap_lab_open(&lab);
	lab.version = 5;
	lab.td15 = true;
	lab.body[0] = 3; /* at launch: out of date; now (TEE_TCB_SVN2): 6 */
	assert_int_not_equal(dcap_lab_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_TCB_STATUS);
	assert_bytes(bulla_attest_find(&lab.result, BULLA_CLAIM_TCB_STATUS, 0)->bytes, bulla_bytes_str("TDRelaunchAdvised"));
	lab.policy.dcap.statuses = BULLA_TCB_BIT(BULLA_TCB_RELAUNCH_ADVISED);
	accepted(&lab);
	lab.body[584] = 3; /* out of date now too */
	assert_int_not_equal(dcap_lab_judge(&lab), BULLA_OK);
	assert_bytes(bulla_attest_find(&lab.result, BULLA_CLAIM_TCB_STATUS, 0)->bytes, bulla_bytes_str("OutOfDate"));
	dcap_lab_close(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lab_s_quotes_hold),
		cmocka_unit_test(sgx_quotes_hold_too),
		cmocka_unit_test(the_form_is_exact),
		cmocka_unit_test(another_ca_s_list_says_nothing),
		cmocka_unit_test(a_chain_may_stand_beside_the_quote),
		cmocka_unit_test(what_comes_too_early_is_not_called_old),
		cmocka_unit_test(the_pck_names_its_platform),
		cmocka_unit_test(a_quote_may_fill_its_service_s_buffer),
		cmocka_unit_test(who_signed_what),
		cmocka_unit_test(what_the_td_is),
		cmocka_unit_test(registers_hold_manifest_and_bundles),
		cmocka_unit_test(collateral_is_signed_and_dated),
		cmocka_unit_test(collateral_fits_the_platform),
		cmocka_unit_test(statuses_converge),
		cmocka_unit_test(a_td_launched_earlier_is_advised_to_relaunch),
	};

	return cmocka_run_group_tests_name("attest_dcap_rules", tests, NULL, NULL);
}
