#include "kms/glob.h"
#include "kms/owner.h"
#include "kms/policy.h"
#include "test.h"

#include <stdio.h>

static const uint8_t pcrs[3][48] = {{1}, {2}, {3}};
static const uint8_t tenant[8] = {4}, agent[8] = {5};
static const struct bulla_attest_value registers[] = {{BULLA_CLAIM_PCR, 0, {pcrs[0], 48}}, {BULLA_CLAIM_PCR, 1, {pcrs[1], 48}},
	{BULLA_CLAIM_PCR, 2, {pcrs[2], 48}}};
static const struct bulla_kms_image nitro = {{(const uint8_t *)"nitro", 5}, registers, 3};
static struct bulla_kms_context context;

static struct bulla_kms_facts facts_of(const char *action, bool attested)
{
	struct bulla_kms_facts facts = {
		.action = bulla_bytes_str(action),
		.resource = BULLA_BYTES_LITERAL("arn:aws:kms:local:000000000000:key/x"),
		.account = BULLA_BYTES_LITERAL("000000000000"),
		.context = &context,
		.attested = attested,
		.secure_transport = true,
		.wall_ms = INT64_C(1800000000000),
	};

	for (size_t i = 0; attested && i < 3; i++)
		facts.pcrs[i] = bulla_bytes_of(pcrs[i], 48);
	return facts;
}

static void test_glob(void **state)
{
	(void)state;
	assert_true(bulla_kms_glob(BULLA_BYTES_LITERAL("kms:*"), BULLA_BYTES_LITERAL("kms:Decrypt")));
	assert_true(bulla_kms_glob(BULLA_BYTES_LITERAL("*"), BULLA_BYTES_LITERAL("")));
	assert_true(bulla_kms_glob(BULLA_BYTES_LITERAL("a*b?d*"), BULLA_BYTES_LITERAL("axxbbcd")));
	assert_false(bulla_kms_glob(BULLA_BYTES_LITERAL("kms:De?rypt"), BULLA_BYTES_LITERAL("kms:Derypt")));
	assert_false(bulla_kms_glob(BULLA_BYTES_LITERAL("a*a"), BULLA_BYTES_LITERAL("ab")));
	assert_false(bulla_kms_glob(BULLA_BYTES_LITERAL(""), BULLA_BYTES_LITERAL("a")));
}

static void test_default_policy(void **state)
{
	BULLA_AUTO_BUF policy;
	bulla_bytes admin = BULLA_BYTES_LITERAL("arn:aws:iam::000000000000:user/admin");
	struct bulla_kms_facts facts;
	uint8_t other[48] = {9};

	(void)state;
	bulla_buf_init(&policy, 8192);
	assert_ok(bulla_kms_default_policy(admin, &nitro, 1, tenant, agent, &policy));
	assert_ok(bulla_kms_policy_check(bulla_buf_view(&policy)));
	context = (struct bulla_kms_context){.count = 0};
	assert_ok(
		bulla_kms_context_add(&context, BULLA_BYTES_LITERAL("bulla:tenant"), BULLA_BYTES_LITERAL("0400000000000000")));
	assert_ok(
		bulla_kms_context_add(&context, BULLA_BYTES_LITERAL("bulla:agent"), BULLA_BYTES_LITERAL("0500000000000000")));
	facts = facts_of("kms:GenerateDataKey", true);
	assert_ok(bulla_kms_policy_eval(bulla_buf_view(&policy), &facts));
	facts = facts_of("kms:Decrypt", true);
	assert_ok(bulla_kms_policy_eval(bulla_buf_view(&policy), &facts));
	facts.pcrs[1] = BULLA_BYTES_ARRAY(other);
	assert_rc(BULLA_E_MEASUREMENT, bulla_kms_policy_eval(bulla_buf_view(&policy), &facts));
	facts.pcrs[1] = (bulla_bytes){NULL, 0};
	assert_rc(BULLA_E_MEASUREMENT, bulla_kms_policy_eval(bulla_buf_view(&policy), &facts));
	facts = facts_of("kms:Decrypt", false);
	assert_rc(BULLA_E_EVIDENCE_MISSING, bulla_kms_policy_eval(bulla_buf_view(&policy), &facts));
	facts.principal = admin; /* the owner gets no seed either */
	assert_rc(BULLA_E_EVIDENCE_MISSING, bulla_kms_policy_eval(bulla_buf_view(&policy), &facts));
	facts = facts_of("kms:Encrypt", true);
	facts.principal = admin;
	assert_rc(BULLA_E_DENIED, bulla_kms_policy_eval(bulla_buf_view(&policy), &facts));
	facts = facts_of("kms:PutKeyPolicy", true);
	assert_rc(BULLA_E_DENIED, bulla_kms_policy_eval(bulla_buf_view(&policy), &facts));
	facts.principal = admin;
	assert_ok(bulla_kms_policy_eval(bulla_buf_view(&policy), &facts));
	facts = facts_of("kms:GetKeyPolicy", false);
	assert_ok(bulla_kms_policy_eval(bulla_buf_view(&policy), &facts));
	context.pairs[0].value = BULLA_BYTES_LITERAL("0600000000000000"); /* of another agent */
	facts = facts_of("kms:Decrypt", true);
	assert_rc(BULLA_E_DENIED, bulla_kms_policy_eval(bulla_buf_view(&policy), &facts));
}

#define STATEMENT(effect, condition) \
	"{\"Effect\":\"" effect \
	"\",\"Principal\":\"*\",\"Action\":\"kms:Decrypt\",\"Resource\":\"*\",\"Condition\":{" condition "}}"
#define POLICY(statements) "{\"Version\":\"2012-10-17\",\"Statement\":[" statements "]}"

static void test_conditions(void **state)
{
	static const struct {
		const char *policy;
		bulla_rc rc;
	} rows[] = {
		{POLICY(STATEMENT("Allow", "")), BULLA_OK},
		{POLICY(STATEMENT("Allow", "\"Bool\":{\"aws:SecureTransport\":\"true\"}")), BULLA_OK},
		{POLICY(STATEMENT("Allow", "\"Bool\":{\"aws:SecureTransport\":\"false\"}")), BULLA_E_DENIED},
		{POLICY(STATEMENT("Allow", "\"StringLike\":{\"kms:EncryptionContext:a\":[\"x\",\"v*\"]}")), BULLA_OK},
		{POLICY(STATEMENT("Allow", "\"StringEquals\":{\"kms:EncryptionContext:b\":\"v\"}")), BULLA_E_DENIED},
		{POLICY(STATEMENT("Allow", "\"StringEqualsIfExists\":{\"kms:EncryptionContext:b\":\"v\"}")), BULLA_OK},
		{POLICY(STATEMENT("Allow", "\"StringNotEquals\":{\"kms:EncryptionContext:a\":\"value\"}")), BULLA_E_DENIED},
		{POLICY(STATEMENT("Allow", "\"StringNotEquals\":{\"kms:EncryptionContext:a\":\"other\"}")), BULLA_OK},
		{POLICY(STATEMENT("Allow", "\"ForAllValues:StringEquals\":{\"kms:EncryptionContextKeys\":[\"a\"]}")), BULLA_OK},
		{POLICY(STATEMENT("Allow", "\"ForAllValues:StringEquals\":{\"kms:EncryptionContextKeys\":[\"b\"]}")),
			BULLA_E_DENIED},
		{POLICY(STATEMENT("Allow", "\"ForAnyValue:StringEquals\":{\"kms:EncryptionContextKeys\":[\"b\",\"a\"]}")),
			BULLA_OK},
		{POLICY(STATEMENT("Allow", "\"Null\":{\"kms:RecipientAttestation:PCR0\":\"true\"}")), BULLA_E_MEASUREMENT},
		{POLICY(STATEMENT("Allow", "\"Null\":{\"kms:RecipientAttestation:PCR0\":\"false\"}")), BULLA_OK},
		{POLICY(STATEMENT("Allow", "\"DateLessThan\":{\"aws:CurrentTime\":\"2027-01-15T08:00:01Z\"}")), BULLA_OK},
		{POLICY(STATEMENT("Allow", "\"DateLessThan\":{\"aws:CurrentTime\":\"2027-01-15T08:00:00Z\"}")), BULLA_E_DENIED},
		{POLICY(STATEMENT("Allow", "") "," STATEMENT("Deny", "")), BULLA_E_DENIED},
		{POLICY(STATEMENT("Allow", "") "," STATEMENT("Deny", "\"Bool\":{\"aws:SecureTransport\":\"false\"}")),
			BULLA_OK},
		{POLICY("{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"},\"NotAction\":\"kms:Enc*\",\"Resource\":\"*\"}"),
			BULLA_OK},
		{POLICY("{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::000000000000:root\"},\"Action\":\"*\","
			"\"Resource\":\"*\"}"),
			BULLA_E_DENIED},
	};

	(void)state;
	context = (struct bulla_kms_context){.count = 0};
	assert_ok(bulla_kms_context_add(&context, BULLA_BYTES_LITERAL("a"), BULLA_BYTES_LITERAL("value")));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bulla_kms_facts facts = facts_of("kms:Decrypt", true);

		assert_ok(bulla_kms_policy_check(bulla_bytes_str(rows[i].policy)));
		assert_rc(rows[i].rc, bulla_kms_policy_eval(bulla_bytes_str(rows[i].policy), &facts));
	}
}

static void test_refused_at_put(void **state)
{
	static const struct {
		const char *policy;
		bulla_rc rc;
	} rows[] = {
		{"", BULLA_E_TRUNCATED},
		{"[]", BULLA_E_FORMAT},
		{"{}", BULLA_E_FORMAT},
		{"{\"Statement\":[],\"Statement\":[]}", BULLA_E_DUPLICATE},
		{"{\"Statement\":[{}]}", BULLA_E_FORMAT},
		{"{\"Statement\":[],\"Extra\":1}", BULLA_E_UNSUPPORTED},
		{POLICY(STATEMENT("Permit", "")), BULLA_E_FORMAT},
		{POLICY(STATEMENT("Allow", "\"StringSortOf\":{\"aws:PrincipalArn\":\"x\"}")), BULLA_E_UNSUPPORTED},
		{POLICY(STATEMENT("Allow", "\"StringEquals\":{\"aws:SourceVpc\":\"x\"}")), BULLA_E_UNSUPPORTED},
		{POLICY(STATEMENT("Allow", "\"StringEquals\":{\"kms:RecipientAttestation\":\"x\"}")), BULLA_E_UNSUPPORTED},
		{POLICY(STATEMENT("Allow", "\"StringEquals\":{\"kms:RecipientAttestation:PCR32\":\"x\"}")), BULLA_E_LIMIT},
		{POLICY(STATEMENT("Allow", "\"StringNotEquals\":{\"kms:RecipientAttestation:PCR0\":\"x\"}")),
			BULLA_E_UNSUPPORTED},
		{POLICY(STATEMENT("Allow", "\"StringEqualsIfExists\":{\"kms:RecipientAttestation:PCR0\":\"x\"}")),
			BULLA_E_UNSUPPORTED},
		{POLICY(STATEMENT("Allow", "\"StringEquals\":{\"kms:EncryptionContext:a\":{}}")), BULLA_E_FORMAT},
		{POLICY(STATEMENT("Allow", "\"StringEquals\":{\"kms:EncryptionContext:a\":1}")), BULLA_E_FORMAT},
		{POLICY("{\"Effect\":\"Allow\",\"NotPrincipal\":\"*\",\"Action\":\"*\",\"Resource\":\"*\"}"),
			BULLA_E_UNSUPPORTED},
		{POLICY("{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"x\"},\"Action\":\"*\",\"Resource\":\"*\"}"),
			BULLA_E_UNSUPPORTED},
		{POLICY("{\"Effect\":\"Allow\",\"Principal\":\"x\",\"Action\":\"*\",\"Resource\":\"*\"}"), BULLA_E_FORMAT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_rc(rows[i].rc, bulla_kms_policy_check(bulla_bytes_str(rows[i].policy)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_glob), cmocka_unit_test(test_default_policy),
		cmocka_unit_test(test_conditions), cmocka_unit_test(test_refused_at_put)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
