#include "kms/api.h"
#include "test.h"

#include "base/secret.h"
#include "crypto/random.h"

#include <string.h>

static void test_targets(void **state)
{
	enum bulla_kms_op op;

	(void)state;
	assert_ok(bulla_kms_target(BULLA_BYTES_LITERAL("TrentService.Decrypt"), &op));
	assert_int_equal(op, BULLA_KMS_DECRYPT);
	assert_rc(BULLA_E_UNSUPPORTED, bulla_kms_target(BULLA_BYTES_LITERAL("TrentService.CreateGrant"), &op));
	assert_rc(BULLA_E_NOT_FOUND, bulla_kms_target(BULLA_BYTES_LITERAL("TrentService.Nonsense"), &op));
	assert_rc(BULLA_E_NOT_FOUND, bulla_kms_target(BULLA_BYTES_LITERAL("Decrypt"), &op));
	assert_rc(BULLA_E_NOT_FOUND, bulla_kms_target(BULLA_BYTES_LITERAL(""), &op));
}

static bulla_rc parse(enum bulla_kms_op op, const char *body)
{
	BULLA_AUTO_BUF scratch;
	struct bulla_kms_request request;

	bulla_buf_init(&scratch, 65536);
	return bulla_kms_request_parse(op, bulla_bytes_str(body), &scratch, &request);
}

static void test_parse(void **state)
{
	BULLA_AUTO_BUF scratch;
	struct bulla_kms_request r;
	/* as aws-cli 2.17.3 sends it: blanks after ':' and ',' */
	static const char body[] =
		"{\"KeyId\": \"arn:x\", \"KeySpec\": \"AES_256\", \"EncryptionContext\": {\"b\": \"2\", "
		"\"a\": \"\\u0031\"}, \"Recipient\": {\"KeyEncryptionAlgorithm\": \"RSAES_OAEP_SHA_256\", "
		"\"AttestationDocument\": \"ZG9j\"}}";

	(void)state;
	bulla_buf_init(&scratch, 65536);
	assert_ok(bulla_kms_request_parse(BULLA_KMS_GENERATE_DATA_KEY, bulla_bytes_str(body), &scratch, &r));
	assert_bytes(r.key_id, BULLA_BYTES_LITERAL("arn:x"));
	assert_int_equal(r.size, 32);
	assert_true(r.recipient);
	assert_bytes(r.document, BULLA_BYTES_LITERAL("doc"));
	assert_int_equal(r.context.count, 2);
	assert_bytes(r.context.pairs[0].key, BULLA_BYTES_LITERAL("a"));
	assert_bytes(r.context.pairs[0].value, BULLA_BYTES_LITERAL("1"));
}

static void test_parse_refused(void **state)
{
	(void)state;
	assert_rc(BULLA_E_FORMAT, parse(BULLA_KMS_DECRYPT, "[]"));
	assert_rc(BULLA_E_TRUNCATED, parse(BULLA_KMS_DECRYPT, "{"));
	assert_rc(BULLA_E_DUPLICATE, parse(BULLA_KMS_DECRYPT, "{\"KeyId\":\"a\",\"KeyId\":\"a\"}"));
	assert_rc(BULLA_E_UNSUPPORTED, parse(BULLA_KMS_DECRYPT, "{\"GrantTokens\":[\"a\"]}"));
	assert_rc(BULLA_E_UNSUPPORTED, parse(BULLA_KMS_DECRYPT, "{\"DryRun\":true}"));
	assert_rc(BULLA_E_FORMAT, parse(BULLA_KMS_DECRYPT, "{\"CiphertextBlob\":\"a?\"}"));
	assert_rc(BULLA_E_FORMAT, parse(BULLA_KMS_DECRYPT, "{\"CiphertextBlob\":\"\"}"));
	assert_rc(BULLA_E_FORMAT, parse(BULLA_KMS_DECRYPT, "{\"EncryptionContext\":\"a\"}"));
	assert_rc(BULLA_E_FORMAT, parse(BULLA_KMS_DECRYPT, "{\"EncryptionContext\":{\"a\":1}}"));
	assert_rc(BULLA_E_EVIDENCE_MISSING, parse(BULLA_KMS_DECRYPT, "{\"Recipient\":{\"KeyEncryptionAlgorithm\":"
		"\"RSAES_OAEP_SHA_256\"}}"));
	assert_rc(BULLA_E_FORMAT,
		parse(BULLA_KMS_DECRYPT, "{\"Recipient\":{\"KeyEncryptionAlgorithm\":\"RSAES_OAEP_SHA_1\","
			"\"AttestationDocument\":\"ZG9j\"}}"));
	assert_rc(BULLA_E_FORMAT, parse(BULLA_KMS_GENERATE_DATA_KEY, "{\"KeySpec\":\"AES_256\",\"NumberOfBytes\":32}"));
	assert_rc(BULLA_E_FORMAT, parse(BULLA_KMS_GENERATE_DATA_KEY, "{\"KeySpec\":\"AES_512\"}"));
	assert_rc(BULLA_E_LIMIT, parse(BULLA_KMS_GENERATE_DATA_KEY, "{\"NumberOfBytes\":1025}"));
	assert_rc(BULLA_E_UNSUPPORTED, parse(BULLA_KMS_CREATE_KEY, "{\"KeySpec\":\"RSA_2048\"}"));
	assert_ok(parse(BULLA_KMS_CREATE_KEY, "{\"KeySpec\":\"SYMMETRIC_DEFAULT\",\"KeyUsage\":\"ENCRYPT_DECRYPT\"}"));
}

static void test_fault(void **state)
{
	static const uint8_t id[16] = {0x12, 0x34};
	BULLA_AUTO_BUF buf;
	struct bulla_http_message message;
	size_t size = 0;

	(void)state;
	bulla_buf_init(&buf, 4096);
	assert_ok(bulla_kms_write_fault(bulla_kms_fault_of(BULLA_E_MEASUREMENT), BULLA_E_MEASUREMENT, id, &buf));
	assert_ok(bulla_http_read_response(bulla_buf_view(&buf), &message, &size));
	assert_int_equal(message.status, 400);
	assert_bytes(bulla_http_header(&message, "x-bulla-error"), BULLA_BYTES_LITERAL("measurement-mismatch"));
	assert_bytes(bulla_http_header(&message, "x-amzn-requestid"),
		BULLA_BYTES_LITERAL("12340000-0000-0000-0000-000000000000"));
	assert_bytes(message.body,
		BULLA_BYTES_LITERAL("{\"__type\":\"AccessDeniedException\",\"message\":\"the measurement is "
			"not an approved one\"}"));
	assert_int_equal(bulla_kms_fault_of(BULLA_E_KEY_CONTEXT), BULLA_KMS_FAULT_INVALID_CIPHERTEXT);
	assert_int_equal(bulla_kms_fault_of(BULLA_E_IO), BULLA_KMS_FAULT_INTERNAL);
}

static void test_uuid(void **state)
{
	static const uint8_t uuid[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	uint8_t memory[36], back[16];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes text;

	(void)state;
	bulla_kms_uuid_write(&w, uuid);
	assert_ok(bulla_wr_end(&w, &text));
	assert_bytes(text, BULLA_BYTES_LITERAL("01020304-0506-0708-090a-0b0c0d0e0f10"));
	assert_ok(bulla_kms_uuid_read(text, back));
	assert_bytes(BULLA_BYTES_ARRAY(back), BULLA_BYTES_ARRAY(uuid));
	memory[8] = '0';
	assert_rc(BULLA_E_FORMAT, bulla_kms_uuid_read(text, back));
}

static void test_blob(void **state)
{
	struct bulla_kms_material material = {.uuid = {1}, .id = {{2}}}, other = {.uuid = {1}, .id = {{2}}};
	struct bulla_kms_context context = {.count = 0}, wrong = {.count = 0};
	BULLA_AUTO_BUF blob, plain;

	(void)state;
	bulla_buf_init(&blob, BULLA_KMS_BLOB_MAX);
	bulla_buf_init(&plain, BULLA_KMS_BLOB_MAX);
	assert_ok(bulla_random_secret(bulla_random_os(), 32, &material.secret));
	assert_ok(bulla_random_secret(bulla_random_os(), 32, &other.secret));
	assert_ok(bulla_kms_context_add(&context, BULLA_BYTES_LITERAL("b"), BULLA_BYTES_LITERAL("2")));
	assert_ok(bulla_kms_context_add(&context, BULLA_BYTES_LITERAL("a"), BULLA_BYTES_LITERAL("1")));
	/* a boundary moved between key and value is another context */
	assert_ok(bulla_kms_context_add(&wrong, BULLA_BYTES_LITERAL("a1b"), BULLA_BYTES_LITERAL("2")));
	assert_ok(bulla_kms_blob_seal(&material, &context, bulla_random_os(), BULLA_BYTES_LITERAL("secret"), &blob));
	assert_ok(bulla_kms_blob_open(&material, &context, bulla_buf_view(&blob), &plain));
	assert_bytes(bulla_buf_view(&plain), BULLA_BYTES_LITERAL("secret"));
	assert_rc(BULLA_E_KEY_CONTEXT, bulla_kms_blob_open(&material, &wrong, bulla_buf_view(&blob), &plain));
	assert_rc(BULLA_E_KEY_CONTEXT, bulla_kms_blob_open(&material, NULL, bulla_buf_view(&blob), &plain));
	assert_rc(BULLA_E_KEY_CONTEXT, bulla_kms_blob_open(&other, &context, bulla_buf_view(&blob), &plain));
	for (size_t bit = 0; bit < 8 * blob.n; bit++) {
		blob.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		bulla_rc rc = bulla_kms_blob_open(&material, &context, bulla_buf_view(&blob), &plain);
		blob.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_true(rc == BULLA_E_KEY_CONTEXT || rc == BULLA_E_FORMAT);
	}
	for (size_t n = 0; n < blob.n; n++)
		assert_int_not_equal(bulla_kms_blob_open(&material, &context, bulla_bytes_of(blob.p, n), &plain), BULLA_OK);
	bulla_secret_free(&material.secret);
	bulla_secret_free(&other.secret);
}

static int set_up(void **state)
{
	(void)state;
	return bulla_secret_slab_init(32) == BULLA_OK ? 0 : 1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_targets), cmocka_unit_test(test_parse), cmocka_unit_test(test_parse_refused),
		cmocka_unit_test(test_fault),   cmocka_unit_test(test_uuid),  cmocka_unit_test(test_blob),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
