/* Nothing is cached across a change of policy or past an expiry: chains of VCEKs and PCKs whose signatures were verified before, and
 * Intel's collateral, which is read once and used many times. (Nitro's is in nitro_test.c.) Each case accepts, changes one
 * thing, and asks again with the same cache and the same collateral. */
#include "attest/cache.h"

#include "attest/appraiser.h"
#include "base/mem.h"
#include "dcap_lab.h"
#include "snp_lab.h"
#include "test.h"

#include <string.h>

#define DAY INT64_C(86400)

static struct bulla_attest_cache cache;

/* ---- SEV-SNP ---- */
static struct snp_lab snp;

static bulla_rc snp_again(void)
{
	struct bulla_attest_anchors anchors = {&snp.anchor, 1};

	return bulla_attest_appraise(BULLA_BYTES_ARRAY(snp.report), &snp.collateral, &anchors, &snp.policy, &snp.binding, snp.time,
		&cache, &snp.result);
}

/* A fresh world whose chain is in the cache: asking again costs no signature of a certificate. */
static uint64_t snp_cached(void)
{
	snp_lab_open(&snp, LAB_NOW);
	snp_lab_sign(&snp);
	bulla_attest_cache_init(&cache);
	assert_ok(snp_again());
	uint64_t cost = cache.misses;
	assert_true(cost > 0 && cache.hits == 0);
	assert_ok(snp_again());
	assert_true(cache.misses == cost && cache.hits == cost);
	return cost;
}

static void snp_refused(bulla_rc rc, enum bulla_factor factor)
{
	assert_rc(rc, snp_again());
	assert_factor(&snp.result, factor);
	snp_lab_unchain(&snp);
}

static void a_vcek_ends_with_its_dates(void **state)
{
	(void)state;
	uint64_t cost = snp_cached();
	snp.time.now_ms = (LAB_NOW + 1000000) * 1000; /* its last second */
	assert_ok(snp_again());
	assert_true(cache.misses == cost);
	snp.time.now_ms += 1000;
	assert_rc(BULLA_E_EVIDENCE_STALE, snp_again());
	assert_true(cache.misses > cost); /* what is over is not remembered either */
	snp_refused(BULLA_E_EVIDENCE_STALE, BULLA_FACTOR_CHAIN_DATES);
	(void)snp_cached();
	snp.time.now_ms = (LAB_NOW - 101) * 1000;
	snp_refused(BULLA_E_EVIDENCE_STALE, BULLA_FACTOR_CHAIN_DATES);
}

static void another_policy_verifies_a_vcek_anew(void **state)
{
	(void)state;
	uint64_t cost = snp_cached();
	snp.policy.generation++;
	assert_ok(snp_again());
	assert_true(cache.misses == 2 * cost);
	snp.policy.generation--; /* the older one's were not lost */
	assert_ok(snp_again());
	assert_true(cache.misses == 2 * cost);
	/* a rule that changes bites at once, whatever the number says */
	snp.policy.snp.minimum.microcode = 0xdc;
	snp_refused(BULLA_E_EVIDENCE_POLICY, BULLA_FACTOR_SNP_TCB_MINIMUM);
	(void)snp_cached();
	snp.anchor.assurance = BULLA_ASSURANCE_DEV;
	snp_refused(BULLA_E_EVIDENCE_POLICY, BULLA_FACTOR_CLASS);
	(void)snp_cached();
	snp.anchor_id.b[0] ^= 1; /* nobody trusts that root any more */
	snp_refused(BULLA_E_EVIDENCE_CHAIN, BULLA_FACTOR_ANCHOR);
}

static void a_revocation_bites_on_a_cached_chain(void **state)
{
	const int issuer = 7;
	uint8_t list[2048];

	(void)state;
	(void)snp_cached();
	snp.collateral.crl_count = 1;
	snp.collateral.crls[0] = bulla_bytes_of(list, pki_crl(&snp.root, LAB_NOW - 10, LAB_NOW + 10, NULL, 0, list, sizeof(list)));
	assert_ok(snp_again());
	snp.time.now_ms = (LAB_NOW + 11) * 1000; /* the list ended: nobody knows any more */
	assert_rc(BULLA_E_EVIDENCE_STALE, snp_again());
	assert_factor(&snp.result, BULLA_FACTOR_CRL_DATES);
	snp.time.now_ms = LAB_NOW * 1000;
	assert_ok(snp_again());
	snp.collateral.crls[0] = bulla_bytes_of(list, pki_crl(&snp.root, LAB_NOW - 10, LAB_NOW + 10, &issuer, 1, list, sizeof(list)));
	snp_refused(BULLA_E_REVOKED, BULLA_FACTOR_REVOCATION);
}

/* A certificate of the same names and key that its issuer did not sign, after the real one is in the cache. */
static void only_the_very_certificate_is_remembered(void **state)
{
	static uint8_t forged[4096];

	(void)state;
	(void)snp_cached();
	bulla_copy(forged, snp.leaf.der, snp.leaf.size);
	forged[snp.leaf.size - 1] ^= 1;
	snp.collateral.certificates[0] = bulla_bytes_of(forged, snp.leaf.size);
	snp_refused(BULLA_E_EVIDENCE_CHAIN, BULLA_FACTOR_CHAIN_SIGNATURES);
}

/* ---- TDX ---- */
static struct dcap_lab tdx;

static bulla_rc tdx_again(void)
{
	struct bulla_attest_anchors anchors = {&tdx.anchor, 1};

	return bulla_attest_appraise(bulla_bytes_of(tdx.quote, tdx.quote_size), &tdx.collateral, &anchors, &tdx.policy, &tdx.binding,
		tdx.time, &cache, &tdx.result);
}

/* As above: the collateral was read once, before. */
static uint64_t tdx_cached(void)
{
	dcap_lab_open(&tdx);
	tdx.crl_to = LAB_NOW + 100 * DAY;
	assert_ok(dcap_lab_judge(&tdx));
	bulla_attest_cache_init(&cache);
	assert_ok(tdx_again());
	uint64_t cost = cache.misses;
	assert_true(cost > 0);
	assert_ok(tdx_again());
	assert_true(cache.misses == cost && cache.hits > 0);
	return cost;
}

static void tdx_refused(bulla_rc rc, enum bulla_factor factor)
{
	assert_rc(rc, tdx_again());
	assert_factor(&tdx.result, factor);
	dcap_lab_close(&tdx);
}

/* All other things of the lab are good until after NOON. */
#define NOON INT64_C(1795003200)

static void end_at_noon(char *text)
{
	static const char sooner[] = "\"nextUpdate\":\"2026-11-18T12:00:00Z\"";
	char *at = strstr(text, "\"nextUpdate\"");

	assert_non_null(at);
	bulla_copy(at, sooner, sizeof(sooner) - 1);
}

static void collateral_ends_with_its_next_update(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		dcap_lab_open(&tdx);
		tdx.crl_to = LAB_NOW + 100 * DAY;
		end_at_noon(i == 0 ? tdx.tcb_info : tdx.qe_identity);
		assert_ok(dcap_lab_judge(&tdx));
		bulla_attest_cache_init(&cache);
		tdx.time.now_ms = NOON * 1000;
		assert_ok(tdx_again());
		assert_true(tdx.result.valid_to_ms == NOON * 1000);
		tdx.time.now_ms += 1000;
		tdx_refused(BULLA_E_EVIDENCE_STALE, i == 0 ? BULLA_FACTOR_TCB_INFO_DATES : BULLA_FACTOR_QE_IDENTITY_DATES);
	}
}

static void lists_and_certificates_end_with_their_dates(void **state)
{
	(void)state;
	dcap_lab_open(&tdx);
	assert_ok(dcap_lab_judge(&tdx)); /* lists of a thousand seconds */
	bulla_attest_cache_init(&cache);
	tdx.time.now_ms = (LAB_NOW + 1000) * 1000;
	assert_ok(tdx_again());
	tdx.time.now_ms += 1000;
	tdx_refused(BULLA_E_EVIDENCE_STALE, BULLA_FACTOR_CRL_DATES);
	uint64_t cost = tdx_cached();
	tdx.time.now_ms = (LAB_NOW + 10000 * DAY) * 1000;
	assert_rc(BULLA_E_EVIDENCE_STALE, tdx_again());
	assert_true(cache.misses > cost && tdx.result.factors[BULLA_FACTOR_CHAIN_DATES].state == BULLA_FACTOR_FAILED);
	dcap_lab_close(&tdx);
}

static void a_raised_evaluation_number_bites_at_once(void **state)
{
	(void)state;
	(void)tdx_cached(); /* data number 17 */
	tdx.policy.dcap.evaluation_minimum = 17;
	assert_ok(tdx_again());
	tdx.policy.dcap.evaluation_minimum = 18;
	assert_rc(BULLA_E_EVIDENCE_STALE, tdx_again());
	assert_factor(&tdx.result, BULLA_FACTOR_TCB_EVALUATION);
	tdx.policy.dcap.evaluation_minimum = 17;
	assert_ok(tdx_again());
	dcap_lab_close(&tdx);
}

static void another_policy_verifies_a_pck_anew(void **state)
{
	(void)state;
	uint64_t cost = tdx_cached();
	tdx.policy.generation++;
	assert_ok(tdx_again());
	assert_true(cache.misses == 2 * cost);
	tdx.policy.dcap.attributes_refused = UINT64_C(1) << 28; /* SEPT_VE_DISABLE, which this TD has */
	tdx_refused(BULLA_E_EVIDENCE_POLICY, BULLA_FACTOR_TDX_ATTRIBUTES);
	(void)tdx_cached();
	tdx.policy.dcap.isvsvn_minimum = 9;
	tdx.policy.tees = BULLA_TEE_BIT(BULLA_TEE_SGX);
	tdx_refused(BULLA_E_EVIDENCE_POLICY, BULLA_FACTOR_TEE);
	(void)tdx_cached();
	tdx.anchor_id.b[0] ^= 1;
	tdx_refused(BULLA_E_EVIDENCE_CHAIN, BULLA_FACTOR_ANCHOR);
}

/* Newer collateral in the older one's place: what it revokes and what it calls old is so at the next call. */
static void newer_collateral_bites_at_once(void **state)
{
	(void)state;
	(void)tdx_cached();
	tdx.revoked_pck = 30;
	(void)dcap_lab_judge(&tdx);
	assert_rc(BULLA_E_REVOKED, tdx_again());
	assert_factor(&tdx.result, BULLA_FACTOR_REVOCATION);
	tdx.revoked_pck = 0;
	assert_ok(dcap_lab_judge(&tdx));
	assert_ok(tdx_again());
	dcap_lab_replace(tdx.tcb_info, sizeof(tdx.tcb_info), "\"pcesvn\":11", "\"pcesvn\":12"); /* this platform's is 11 */
	(void)dcap_lab_judge(&tdx);
	tdx_refused(BULLA_E_EVIDENCE_POLICY, BULLA_FACTOR_TCB_LEVEL);
}

/* ---- the service ---- */
static bulla_rc fill(void *ctx, uint8_t *ret, size_t size)
{
	(void)ctx;
	memset(ret, 0x5a, size);
	return BULLA_OK;
}

static bulla_rc serve(struct bulla_appraiser *appraiser, const bulla_digest *subject, struct bulla_buf *token)
{
	static const struct bulla_random random = {NULL, fill};
	uint8_t challenge[BULLA_CHALLENGE_SIZE];
	int64_t now_ms = tdx.time.now_ms;

	assert_ok(bulla_appraiser_challenge(appraiser, &random, now_ms, challenge));
	bulla_zero(tdx.body + 520, 64);
	bulla_copy(tdx.body + 520, challenge, sizeof(challenge));
	assert_ok(dcap_lab_judge(&tdx));
	bulla_buf_clear(token);
	return bulla_appraiser_verify(appraiser, subject, BULLA_BYTES_ARRAY(challenge), bulla_bytes_of(tdx.quote, tdx.quote_size),
		&tdx.collateral, now_ms, token);
}

/* Who was accepted is so no longer than the TCB info is, nor under values that were raised since. */
static void the_service_forgets_with_collateral_and_policy(void **state)
{
	struct bulla_appraiser *appraiser = NULL;
	struct bulla_sign_key *key = NULL;
	const bulla_digest subject = {{1}};
	BULLA_AUTO_BUF token;

	(void)state;
	bulla_buf_init(&token, 1 << 16);
	dcap_lab_open(&tdx);
	tdx.crl_to = LAB_NOW + 100 * DAY;
	end_at_noon(tdx.tcb_info);
	assert_ok(bulla_alloc(1, sizeof(*appraiser), (void **)&appraiser));
	bulla_appraiser_init(appraiser);
	assert_ok(bulla_sign_key_new(BULLA_ES256, &key));
	appraiser->policy = &tdx.policy;
	appraiser->anchors = (struct bulla_attest_anchors){&tdx.anchor, 1};
	appraiser->key = key;
	appraiser->developer = appraiser->build = "test";
	appraiser->challenge_ms = 60000;
	appraiser->period_ms = 365 * DAY * 1000;
	tdx.policy.max_age_ms = INT64_MAX;
	assert_ok(serve(appraiser, &subject, &token));
	assert_ok(bulla_appraiser_holds(appraiser, &subject, NOON * 1000 - 1));
	assert_rc(BULLA_E_EVIDENCE_STALE, bulla_appraiser_holds(appraiser, &subject, NOON * 1000 + 1));
	struct bulla_attest_policy raised = tdx.policy;
	raised.generation++;
	raised.dcap.evaluation_minimum = 18;
	bulla_appraiser_policy(appraiser, &raised);
	assert_rc(BULLA_E_EVIDENCE_STALE, bulla_appraiser_holds(appraiser, &subject, tdx.time.now_ms));
	assert_rc(BULLA_E_EVIDENCE_STALE, serve(appraiser, &subject, &token));
	assert_int_equal(appraiser->result.failed, BULLA_FACTOR_TCB_EVALUATION);
	assert_rc(BULLA_E_EVIDENCE_STALE, bulla_appraiser_holds(appraiser, &subject, tdx.time.now_ms));
	bulla_appraiser_policy(appraiser, &tdx.policy);
	assert_ok(serve(appraiser, &subject, &token));
	assert_ok(bulla_appraiser_holds(appraiser, &subject, tdx.time.now_ms));
	bulla_sign_key_free(key);
	bulla_free(appraiser);
	dcap_lab_close(&tdx);
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
		cmocka_unit_test(a_vcek_ends_with_its_dates),
		cmocka_unit_test(another_policy_verifies_a_vcek_anew),
		cmocka_unit_test(a_revocation_bites_on_a_cached_chain),
		cmocka_unit_test(only_the_very_certificate_is_remembered),
		cmocka_unit_test(collateral_ends_with_its_next_update),
		cmocka_unit_test(lists_and_certificates_end_with_their_dates),
		cmocka_unit_test(a_raised_evaluation_number_bites_at_once),
		cmocka_unit_test(another_policy_verifies_a_pck_anew),
		cmocka_unit_test(newer_collateral_bites_at_once),
		cmocka_unit_test(the_service_forgets_with_collateral_and_policy),
	};

	return cmocka_run_group_tests_name("attest_cache", tests, NULL, free_keys);
}
