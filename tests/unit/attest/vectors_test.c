/* Committed evidence, one file per rule, named by the rule that refuses it (made by the tests beside, with BULLA_DUMP): the
 * verdicts must stay. They are also the corpora of the fuzz targets. */
#include <stdio.h>

#include "attest/nitro.h"
#include "attest/pem.h"
#include "attest/quote.h"
#include "crypto/hash.h"
#include "samples.h"
#include "test.h"

#define NOW INT64_C(1795000000)

static bulla_rc judge(bulla_bytes evidence, enum bulla_tee family, bulla_bytes root, struct bulla_attest_result *ret)
{
	struct bulla_attest_binding binding = sample_binding();
	struct bulla_attest_policy policy;
	bulla_digest id;

	bulla_sha256(root, &id);
	struct bulla_attest_anchor anchor = {(uint8_t)family, BULLA_ASSURANCE_DEV, BULLA_ANCHOR_CERTIFICATE,
		bulla_bytes_digest(&id), {NULL, 0}};
	struct bulla_attest_anchors anchors = {&anchor, 1};
	sample_policy(&policy);
	policy.assurance = BULLA_ASSURANCE_DEV;
	policy.dcap.without_collateral = true;
	return bulla_attest_appraise(evidence, NULL, &anchors, &policy, &binding, sample_time(NOW), NULL, ret);
}

static enum bulla_factor factor_of(const char *name)
{
	char dashed[64];
	size_t n = 0;

	for (; name[n] != 0 && n < sizeof(dashed) - 1; n++)
		dashed[n] = name[n] == '_' ? '-' : name[n];
	dashed[n] = 0;
	for (unsigned i = 0; i < BULLA_FACTOR_COUNT; i++)
		if (bulla_bytes_eq_str(bulla_bytes_str(dashed), bulla_factor_name(i)))
			return i;
	return BULLA_FACTOR_COUNT;
}

static void check(const char *path, const char *name, bulla_bytes evidence, enum bulla_tee family, bulla_bytes root)
{
	struct bulla_attest_result result;
	enum bulla_factor factor = factor_of(name);
	bulla_rc rc = judge(evidence, family, root, &result);

	if (result.failed != (unsigned)factor)
		printf("# %s: %s\n", path, bulla_factor_name(result.failed));
	assert_int_equal(result.failed, factor);
	assert_int_equal(rc == BULLA_OK, factor == BULLA_FACTOR_COUNT);
}

static void nitro_vectors_keep_their_verdict(void **state)
{
	static const char *const names[] = {"held", "fields", "encoding", "nitro_digest", "nitro_module", "nitro_pcrs",
		"unknown_fields", "chain_form", "chain_ca", "leaf_usage", "signature", "signature_range", "debug"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct bulla_nitro_fields doc;
		enum bulla_factor factor;
		bulla_bytes root = {NULL, 0};
		char path[128];
		size_t at;
		BULLA_AUTO_BUF buf;

		(void)snprintf(path, sizeof(path), "tests/fuzz/corpus/nitro/%s", names[i]);
		assert_true(sample_read(path, &buf));
		if (bulla_nitro_read(bulla_buf_view(&buf), &doc, &at, &factor) == BULLA_OK)
			root = doc.cabundle[0];
		check(path, names[i], bulla_buf_view(&buf), BULLA_TEE_DEV, root);
	}
}

static void quote_vectors_keep_their_verdict(void **state)
{
	static const char *const names[] = {"held", "version", "algorithm", "reserved_zero", "qe_vendor", "trailing", "size",
		"fields", "signature", "qe_signature", "qe_binding", "qe_binding_tail", "signature_range", "pck_present", "debug"};
	static uint8_t memory[8192];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct bulla_quote quote;
		enum bulla_factor factor;
		bulla_bytes chain[3], root = {NULL, 0};
		char path[128];
		size_t at, count;
		BULLA_AUTO_BUF buf;

		(void)snprintf(path, sizeof(path), "tests/fuzz/corpus/quote/tdx_%s", names[i]);
		assert_true(sample_read(path, &buf));
		if (bulla_quote_read(bulla_buf_view(&buf), &quote, &factor, &at) == BULLA_OK &&
			bulla_pem_chain(quote.certification, memory, sizeof(memory), 3, chain, &count) == BULLA_OK && count == 3)
			root = chain[2];
		check(path, names[i], bulla_buf_view(&buf), BULLA_TEE_TDX, root);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nitro_vectors_keep_their_verdict),
		cmocka_unit_test(quote_vectors_keep_their_verdict),
	};

	return cmocka_run_group_tests_name("attest_vectors", tests, NULL, NULL);
}
