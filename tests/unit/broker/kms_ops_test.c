/* The operations of the KMS API, one request after the other as a client makes them: what each answers, to whom, and what is
 * left behind in the audit. Evidence has a test of its own (release_test.c). */
#include "broker/kms_use.h"
#include "real.h"
#include "wire/json.h"
#include "wire/text.h"

#include <string.h>

#define ADMIN "arn:aws:iam::000000000000:user/admin"
#define OTHER "arn:aws:iam::111111111111:user/admin"

static char answer[16384], arn[160];

/* body: JSON, where a dollar sign stands for the key's ARN. by: who asks; NULL: nobody that is known. */
static bulla_rc ask_by(const char *by, enum bulla_kms_op op, const char *body)
{
	static struct bulla_kms_use use;
	char text[16384];
	size_t n = 0;
	BULLA_AUTO_BUF ret;
	bulla_rc rc;

	for (const char *p = body; *p != 0; p++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, *p == '$' ? "%s" : "%.1s", *p == '$' ? arn : p);
	use = (struct bulla_kms_use){.principal = by == NULL ? (bulla_bytes){NULL, 0} : bulla_bytes_str(by)};
	assert_ok(bulla_kms_use_init(&use, broker, n));
	bulla_buf_init(&ret, sizeof(answer) - 1);
	rc = bulla_buf_reserve(&use.scratch, 2 * n + 1024);
	if (rc == BULLA_OK)
		rc = bulla_kms_request_parse(op, bulla_bytes_of(text, n), &use.scratch, &use.request);
	assert_ok(rc);
	assert_ok(bulla_kms_use_prepare(&use, broker));
	rc = bulla_kms_use_execute(broker, &use, &ret);
	if (use.audited)
		assert_ok(bulla_kms_use_audit(broker, &use, rc));
	bulla_copy(answer, ret.p, rc == BULLA_OK ? ret.n : 0);
	answer[rc == BULLA_OK ? ret.n : 0] = 0;
	bulla_kms_use_done(&use);
	return rc;
}

static bulla_rc ask(enum bulla_kms_op op, const char *body)
{
	return ask_by(ADMIN, op, body);
}

/* A member of the answer, or of its member `in`, as text. */
static const char *member_of(const char *in, const char *name)
{
	static char text[4096];
	bulla_json object, value;
	size_t n = 0;

	assert_ok(bulla_json_parse(bulla_bytes_str(answer), &object));
	if (in != NULL)
		assert_ok(bulla_json_get_str(object, in, &object));
	if (bulla_json_get_str(object, name, &value) != BULLA_OK)
		return "";
	if (bulla_json_type(value) != BULLA_JSON_STRING)
		n = (size_t)snprintf(text, sizeof(text), "%.*s", (int)value.raw.n, (const char *)value.raw.p);
	else
		assert_ok(bulla_json_string(value, sizeof(text) - 1, (uint8_t *)text, &n));
	text[n] = 0;
	return text;
}

static const char *member(const char *name)
{
	return member_of(NULL, name);
}

static void make_key(const char *body)
{
	assert_ok(ask(BULLA_KMS_CREATE_KEY, body));
	snprintf(arn, sizeof(arn), "%s", member_of("KeyMetadata", "Arn"));
}

static void a_key_is_described_as_it_was_made(void **state)
{
	char id[64];

	(void)state;
	make_key("{\"Description\":\"for the test\"}");
	assert_int_equal(strncmp(arn, "arn:aws:kms:", 12), 0);
	assert_string_equal(member_of("KeyMetadata", "Description"), "for the test");
	assert_string_equal(member_of("KeyMetadata", "KeyState"), "Enabled");
	assert_string_equal(member_of("KeyMetadata", "MultiRegion"), "false");
	snprintf(id, sizeof(id), "%s", member_of("KeyMetadata", "KeyId"));
	assert_int_equal(strlen(id), 36);
	assert_non_null(strstr(arn, id));
	assert_ok(ask(BULLA_KMS_DESCRIBE_KEY, "{\"KeyId\":\"$\"}"));
	assert_string_equal(member_of("KeyMetadata", "Arn"), arn);
	assert_string_equal(member("KeyId"), ""); /* AWS has none here */
	assert_ok(ask(BULLA_KMS_LIST_KEYS, "{}"));
	assert_non_null(strstr(member("Keys"), id));
	assert_string_equal(member("Truncated"), "false");
	assert_rc(BULLA_E_NOT_FOUND, ask(BULLA_KMS_DESCRIBE_KEY, "{\"KeyId\":\"00000000-0000-0000-0000-000000000000\"}"));
}

/* What was encrypted comes back under the same context, and under no other one. */
static void encrypt_and_decrypt(void **state)
{
	char blob[2048], body[4096];

	(void)state;
	make_key("{}");
	assert_ok(ask(BULLA_KMS_ENCRYPT, "{\"KeyId\":\"$\",\"Plaintext\":\"c2VjcmV0\",\"EncryptionContext\":{\"a\":\"1\"}}"));
	assert_string_equal(member("KeyId"), arn);
	assert_string_equal(member("EncryptionAlgorithm"), "SYMMETRIC_DEFAULT");
	assert_null(strstr(answer, "c2VjcmV0"));
	snprintf(blob, sizeof(blob), "%s", member("CiphertextBlob"));
	snprintf(body, sizeof(body), "{\"CiphertextBlob\":\"%s\",\"EncryptionContext\":{\"a\":\"1\"}}", blob);
	assert_ok(ask(BULLA_KMS_DECRYPT, body));
	assert_string_equal(member("Plaintext"), "c2VjcmV0");
	assert_string_equal(member("KeyId"), arn);
	snprintf(body, sizeof(body), "{\"CiphertextBlob\":\"%s\",\"EncryptionContext\":{\"a\":\"2\"}}", blob);
	assert_rc(BULLA_E_KEY_CONTEXT, ask(BULLA_KMS_DECRYPT, body));
	snprintf(body, sizeof(body), "{\"CiphertextBlob\":\"%s\"}", blob);
	assert_rc(BULLA_E_KEY_CONTEXT, ask(BULLA_KMS_DECRYPT, body));
	assert_rc(BULLA_E_KEY_CONTEXT, ask(BULLA_KMS_DECRYPT, "{\"CiphertextBlob\":\"AAAA\"}"));
	make_key("{}"); /* the request names another key than the blob */
	snprintf(body, sizeof(body), "{\"KeyId\":\"$\",\"CiphertextBlob\":\"%s\",\"EncryptionContext\":{\"a\":\"1\"}}", blob);
	assert_rc(BULLA_E_KEY_SUBSTITUTED, ask(BULLA_KMS_DECRYPT, body));
}

static void data_keys_come_sealed_and_in_clear(void **state)
{
	char plain[64], body[4096];

	(void)state;
	make_key("{}");
	assert_ok(ask(BULLA_KMS_GENERATE_DATA_KEY, "{\"KeyId\":\"$\",\"KeySpec\":\"AES_256\"}"));
	snprintf(plain, sizeof(plain), "%s", member("Plaintext"));
	assert_int_equal(strlen(plain), 44);
	snprintf(body, sizeof(body), "{\"CiphertextBlob\":\"%s\"}", member("CiphertextBlob"));
	assert_ok(ask(BULLA_KMS_DECRYPT, body));
	assert_string_equal(member("Plaintext"), plain);
	assert_ok(ask(BULLA_KMS_GENERATE_DATA_KEY_WITHOUT_PLAINTEXT, "{\"KeyId\":\"$\",\"NumberOfBytes\":16}"));
	assert_string_equal(member("Plaintext"), "");
	assert_true(strlen(member("CiphertextBlob")) > 16);
	assert_rc(BULLA_E_FORMAT, ask(BULLA_KMS_GENERATE_DATA_KEY, "{\"KeyId\":\"$\"}"));
	assert_ok(ask(BULLA_KMS_GENERATE_RANDOM, "{\"NumberOfBytes\":24}"));
	assert_int_equal(strlen(member("Plaintext")), 32);
	assert_rc(BULLA_E_FORMAT, ask(BULLA_KMS_GENERATE_RANDOM, "{}"));
	assert_rc(BULLA_E_EVIDENCE_MISSING, ask_by(NULL, BULLA_KMS_GENERATE_RANDOM, "{\"NumberOfBytes\":24}"));
}

/* The account's own may do all by the policy that a key gets; others, and who is not known, nothing. */
static void the_policy_decides(void **state)
{
	static const char *const bodies[] = {"{\"KeyId\":\"$\"}", "{\"KeyId\":\"$\",\"KeySpec\":\"AES_256\"}", "{\"KeyId\":\"$\",\"Plaintext\":\"AAAA\"}"};
	static const enum bulla_kms_op ops[] = {BULLA_KMS_DESCRIBE_KEY, BULLA_KMS_GENERATE_DATA_KEY, BULLA_KMS_ENCRYPT};
	static const char for_other[] = "{\"KeyId\":\"$\",\"PolicyName\":\"default\",\"Policy\":\"{\\\"Statement\\\":[{\\\"Effect\\\":\\\"Allow\\\","
		"\\\"Principal\\\":{\\\"AWS\\\":\\\"" OTHER "\\\"},\\\"Action\\\":\\\"kms:Encrypt\\\",\\\"Resource\\\":\\\"*\\\"}]}\"}";

	(void)state;
	make_key("{}");
	for (size_t i = 0; i < 3; i++) {
		assert_ok(ask(ops[i], bodies[i]));
		assert_int_not_equal(ask_by(OTHER, ops[i], bodies[i]), BULLA_OK);
		assert_int_not_equal(ask_by(NULL, ops[i], bodies[i]), BULLA_OK);
	}
	assert_ok(ask(BULLA_KMS_GET_KEY_POLICY, "{\"KeyId\":\"$\"}"));
	assert_string_equal(member("PolicyName"), "default");
	assert_non_null(strstr(member("Policy"), ":root"));
	assert_int_not_equal(ask_by(OTHER, BULLA_KMS_PUT_KEY_POLICY, for_other), BULLA_OK);
	assert_ok(ask(BULLA_KMS_PUT_KEY_POLICY, for_other));
	assert_string_equal(answer, ""); /* as AWS */
	assert_ok(ask_by(OTHER, BULLA_KMS_ENCRYPT, bodies[2]));
	assert_int_not_equal(ask_by(OTHER, BULLA_KMS_DESCRIBE_KEY, bodies[0]), BULLA_OK);
	assert_int_not_equal(ask(BULLA_KMS_ENCRYPT, bodies[2]), BULLA_OK); /* nor may the one before any more */
}

static void policies_that_are_not_evaluated_are_refused(void **state)
{
	static const char *const bad[] = {"{}", "[]", "{\\\"Statement\\\":[{\\\"Effect\\\":\\\"Perhaps\\\"}]}", "no JSON"};
	char body[512];

	(void)state;
	make_key("{}");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(body, sizeof(body), "{\"KeyId\":\"$\",\"Policy\":\"%s\"}", bad[i]);
		assert_rc(BULLA_E_FORMAT, ask(BULLA_KMS_PUT_KEY_POLICY, body));
		snprintf(body, sizeof(body), "{\"Policy\":\"%s\"}", bad[i]);
		assert_rc(BULLA_E_FORMAT, ask(BULLA_KMS_CREATE_KEY, body));
	}
	assert_ok(ask(BULLA_KMS_DESCRIBE_KEY, "{\"KeyId\":\"$\"}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_described_as_it_was_made),
		cmocka_unit_test(encrypt_and_decrypt),
		cmocka_unit_test(data_keys_come_sealed_and_in_clear),
		cmocka_unit_test(the_policy_decides),
		cmocka_unit_test(policies_that_are_not_evaluated_are_refused),
	};

	return cmocka_run_group_tests_name("broker_kms_ops", tests, set_up, tear_down);
}
