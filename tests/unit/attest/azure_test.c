#include <stdio.h>

#include "attest/azure.h"
#include "azure_lab.h"
#include "pki.h"
#include "samples.h"
#include "test.h"

struct lab {
	struct bulla_buf text, issuer, root;
	struct bulla_attest_collateral collateral;
	struct bulla_attest_policy policy;
	struct bulla_attest_binding binding;
	struct bulla_attest_result result;
};

static bool lab_open(struct lab *lab)
{
	*lab = (struct lab){0};
	if (!sample_read("azure-vtpm/snp-evidence-v2.json", &lab->text)) {
		printf("# SKIPPED: no genuine samples of Azure (set BULLA_VECTORS)\n");
		return false;
	}
	sample_pem("roots/amd-milan-ask-ark.pem", 0, &lab->issuer);
	sample_pem("roots/amd-milan-ask-ark.pem", 1, &lab->root);
	lab->collateral.certificates[0] = bulla_buf_view(&lab->issuer);
	lab->collateral.certificates[1] = bulla_buf_view(&lab->root);
	lab->collateral.certificate_count = 2;
	sample_policy(&lab->policy);
	lab->binding = sample_binding();
	return true;
}

static void lab_close(struct lab *lab)
{
	bulla_buf_done(&lab->text);
	bulla_buf_done(&lab->issuer);
	bulla_buf_done(&lab->root);
}

static bulla_rc lab_judge(struct lab *lab)
{
	struct bulla_attest_anchors anchors = bulla_attest_vendor_anchors();

	return bulla_attest_appraise(bulla_buf_view(&lab->text), &lab->collateral, &anchors, &lab->policy, &lab->binding,
		sample_time(1770000000), NULL, &lab->result);
}

static void the_genuine_evidence_holds(void **state)
{
	struct lab lab;
	uint8_t user_data[64];

	(void)state;
	if (!lab_open(&lab))
		skip();
	bulla_rc rc = lab_judge(&lab);
	assert_accepted(&lab.result);
	assert_ok(rc);
	assert_int_equal(lab.result.tee, BULLA_TEE_AZ_SNP);
	assert_int_equal(bulla_attest_find(&lab.result, BULLA_CLAIM_NONCE, 0)->bytes.n, 48);
	assert_int_equal(bulla_attest_find(&lab.result, BULLA_CLAIM_PCR, 23)->bytes.n, 32);
	bulla_copy(user_data, bulla_attest_find(&lab.result, BULLA_CLAIM_USER_DATA, 0)->bytes.p, 64);
	lab.binding.binder = BULLA_EXPECT_BYTES(BULLA_BYTES_ARRAY(user_data));
	lab.binding.nonce = BULLA_EXPECT_BYTES(bulla_bytes_of(user_data, 48)); /* this one put the nonce there too */
	assert_ok(lab_judge(&lab));
	user_data[0] ^= 1;
	assert_int_not_equal(lab_judge(&lab), BULLA_OK);
	assert_int_equal(lab.result.factors[BULLA_FACTOR_BINDER].state, BULLA_FACTOR_FAILED);
	assert_int_equal(lab.result.factors[BULLA_FACTOR_NONCE].state, BULLA_FACTOR_FAILED);
	/* never taken for a bare SNP guest */
	lab.binding = sample_binding();
	lab.policy.tees = BULLA_TEE_BIT(BULLA_TEE_SNP);
	assert_int_not_equal(lab_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_TEE);
	lab_close(&lab);
}

/* The first character of the value behind a name. */
static size_t find(const struct lab *lab, const char *word)
{
	size_t n = bulla_bytes_str(word).n;

	for (size_t i = 0; i + n < lab->text.n; i++)
		if (bulla_bytes_eq_str(bulla_bytes_of(lab->text.p + i, n), word)) {
			i += n;
			while (lab->text.p[i] == ':' || lab->text.p[i] == ' ' || lab->text.p[i] == '[' || lab->text.p[i] == '\n' ||
				lab->text.p[i] == '"')
				i++;
			return i;
		}
	fail();
	return 0;
}

/* Changes one character behind the word: hexadecimal or base64 alike. */
static void changed(struct lab *lab, const char *word, size_t skip, enum bulla_factor factor)
{
	size_t at = find(lab, word) + skip;
	uint8_t old = lab->text.p[at];

	lab->text.p[at] = old == 'a' ? 'b' : 'a';
	assert_int_not_equal(lab_judge(lab), BULLA_OK);
	assert_factor(&lab->result, factor);
	lab->text.p[at] = old;
}

static void each_part_is_bound_to_the_next(void **state)
{
	struct lab lab;

	(void)state;
	if (!lab_open(&lab))
		skip();
	changed(&lab, "\"message\"", 1, BULLA_FACTOR_TPM_MAGIC);
	changed(&lab, "\"message\"", 120, BULLA_FACTOR_TPM_SIGNATURE);
	changed(&lab, "\"signature\"", 10, BULLA_FACTOR_TPM_SIGNATURE);
	changed(&lab, "\"pcrs\"", 10, BULLA_FACTOR_TPM_PCRS);
	changed(&lab, "\"hcl_report\"", (32 + 0x90) * 4 / 3 + 2, BULLA_FACTOR_SIGNATURE);
	changed(&lab, "\"hcl_report\"", (32 + 1184 + 400) * 4 / 3, BULLA_FACTOR_HCL_BINDING);
	changed(&lab, "\"hcl_report\"", 0, BULLA_FACTOR_ENCODING);
	changed(&lab, "\"vcek\"", 1500, BULLA_FACTOR_CHAIN_SIGNATURES);
	lab.text.p[find(&lab, "\"tpm_qu")] = 'x';
	assert_int_not_equal(lab_judge(&lab), BULLA_OK);
	for (size_t n = 0; n < lab.text.n; n += 97) {
		lab.text.n = n;
		assert_int_not_equal(lab_judge(&lab), BULLA_OK);
	}
	lab_close(&lab);
}

static void lab_refused(struct azure_lab *lab, bool *fault, enum bulla_factor factor)
{
	*fault = true;
	assert_int_not_equal(azure_lab_judge(lab), BULLA_OK);
	assert_factor(&lab->result, factor);
	*fault = false;
}

/* Without genuine samples too. */
static void a_machine_of_our_own_is_bound_throughout(void **state)
{
	struct azure_lab lab;
	uint8_t other[32] = {9};

	(void)state;
	azure_lab_open(&lab);
	lab.binding.nonce = BULLA_EXPECT_BYTES(BULLA_BYTES_ARRAY(lab.nonce));
	lab.binding.binder = BULLA_EXPECT_BYTES(BULLA_BYTES_ARRAY(lab.user_data));
	bulla_rc rc = azure_lab_judge(&lab);
	assert_accepted(&lab.result);
	assert_ok(rc);
	assert_int_equal(lab.result.tee, BULLA_TEE_AZ_TDX);
	lab_refused(&lab, &lab.unbound, BULLA_FACTOR_HCL_BINDING);
	lab_refused(&lab, &lab.other_key, BULLA_FACTOR_TPM_SIGNATURE);
	lab_refused(&lab, &lab.other_pcr, BULLA_FACTOR_TPM_PCRS);
	lab_refused(&lab, &lab.no_quote, BULLA_FACTOR_TPM_MAGIC);
	lab.magic = 0xff544348;
	assert_int_not_equal(azure_lab_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_TPM_MAGIC);
	lab.magic = 0xff544347;
	lab.binding.nonce.value = BULLA_BYTES_ARRAY(other);
	assert_int_not_equal(azure_lab_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_NONCE);
	lab.binding = sample_binding();
	lab.binding.binder = BULLA_EXPECT_BYTES(BULLA_BYTES_ARRAY(other));
	assert_int_not_equal(azure_lab_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_BINDER);
	azure_lab_close(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_genuine_evidence_holds),
		cmocka_unit_test(each_part_is_bound_to_the_next),
		cmocka_unit_test(a_machine_of_our_own_is_bound_throughout),
	};

	return cmocka_run_group_tests_name("attest_azure", tests, NULL, NULL);
}
