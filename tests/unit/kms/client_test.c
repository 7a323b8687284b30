#include "kms/client.h"

#include "crypto/cms.h"
#include "crypto/random.h"
#include "kms/api.h"
#include "test.h"
#include "wire/text.h"

#include <stdio.h>
#include <string.h>

static struct bulla_rsa_key *rsa;
static const uint8_t seed[32] = {1, 2, 3};

static bulla_rc answer(const char *format, bulla_bytes key_id, bool with_blob)
{
	static char memory[8192], cms_text[4096], head[16384];
	BULLA_AUTO_BUF cms, blob;
	struct bulla_http_message response;
	BULLA_AUTO_SECRET got = BULLA_SECRET_NONE;
	bulla_bytes text;
	size_t size = 0;

	bulla_buf_init(&cms, BULLA_CMS_MAX);
	bulla_buf_init(&blob, BULLA_KMS_BLOB_MAX);
	assert_ok(bulla_cms_seal(bulla_rsa_key_spki(rsa), BULLA_BYTES_ARRAY(seed), bulla_random_os(), &cms));
	bulla_wr w = bulla_wr_fixed((uint8_t *)cms_text, sizeof(cms_text) - 1);
	bulla_text_wr_base64(&w, bulla_buf_view(&cms));
	assert_ok(bulla_wr_end(&w, &text));
	cms_text[text.n] = 0;
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(memory, sizeof(memory), format, cms_text);
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(memory), memory);
	assert_ok(bulla_http_read_response(bulla_bytes_str(head), &response, &size));
	BULLA_TRY(bulla_kms_read_key(&response, rsa, key_id, with_blob ? &blob : NULL, &got));
	assert_bytes(bulla_secret_view(got), BULLA_BYTES_ARRAY(seed));
	if (with_blob)
		assert_bytes(bulla_buf_view(&blob), BULLA_BYTES_LITERAL("blob"));
	return BULLA_OK;
}

#define ARN "arn:aws:kms:local:000000000000:key/00000000-0000-4000-8000-000000000001"

static void test_answers(void **state)
{
	bulla_bytes arn = BULLA_BYTES_LITERAL(ARN);
	bulla_bytes uuid = {arn.p + arn.n - 36, 36};

	(void)state;
	assert_ok(
		answer("{\"CiphertextBlob\":\"YmxvYg==\",\"CiphertextForRecipient\":\"%s\",\"KeyId\":\"" ARN "\"}", arn, true));
	assert_ok(answer("{\"CiphertextForRecipient\":\"%s\",\"Plaintext\":null,\"KeyId\":\"" ARN "\"}", uuid, false));
	assert_rc(BULLA_E_KEY_SUBSTITUTED,
		answer("{\"CiphertextForRecipient\":\"%s\",\"KeyId\":\"" ARN "\"}", BULLA_BYTES_LITERAL("other"), false));
	assert_rc(BULLA_E_KEY_SUBSTITUTED, answer("{\"CiphertextForRecipient\":\"%s\"}", arn, false));
	assert_rc(BULLA_E_KEY_SUBSTITUTED,
		answer("{\"CiphertextForRecipient\":\"%s\",\"Plaintext\":\"AAAA\",\"KeyId\":\"" ARN "\"}", arn, false));
	assert_rc(BULLA_E_FORMAT, answer("{\"CiphertextForRecipient\":\"%s\",\"KeyId\":\"" ARN "\"}", arn, true));
	assert_rc(BULLA_E_FORMAT, answer("{\"X\":\"%s\",\"KeyId\":\"" ARN "\"}", arn, false));
}

static bulla_rc refusal(const char *text)
{
	struct bulla_http_message response;
	BULLA_AUTO_SECRET got = BULLA_SECRET_NONE;
	size_t size = 0;

	assert_ok(bulla_http_read_response(bulla_bytes_str(text), &response, &size));
	return bulla_kms_read_key(&response, rsa, BULLA_BYTES_LITERAL("x"), NULL, &got);
}

static void test_refusals(void **state)
{
	(void)state;
	assert_rc(BULLA_E_KEY_CONTEXT,
		refusal("HTTP/1.1 400 X\r\nContent-Length: 40\r\n\r\n{\"__type\":\"InvalidCiphertextException\" }"));
	assert_rc(BULLA_E_DENIED,
		refusal("HTTP/1.1 400 X\r\nContent-Length: 34\r\n\r\n{\"__type\":\"AccessDeniedException\"}"));
	assert_rc(BULLA_E_EVIDENCE_DEBUG,
		refusal("HTTP/1.1 400 X\r\nX-Bulla-Error: evidence-debug\r\nContent-Length: 2\r\n\r\n{}"));
	assert_rc(BULLA_E_UNREACHABLE, refusal("HTTP/1.1 500 X\r\nX-Bulla-Error: ok\r\nContent-Length: 2\r\n\r\n{}"));
	assert_rc(BULLA_E_UNREACHABLE, refusal("HTTP/1.1 502 X\r\nContent-Length: 3\r\n\r\n<h>"));
}

/* What the client writes is what the server's reader takes. */
static void test_requests(void **state)
{
	static const uint8_t tenant[8] = {1}, agent[8] = {2};
	static const bulla_digest manifest = {{3}};
	struct bulla_kms_seed_context context;
	struct bulla_kms_credential credential = {BULLA_BYTES_LITERAL("AK"), BULLA_BYTES_LITERAL("SK"),
		BULLA_BYTES_LITERAL("local"), BULLA_BYTES_LITERAL("kms")};
	struct bulla_kms_call call = {.host = BULLA_BYTES_LITERAL("kms"),
		.key_id = BULLA_BYTES_LITERAL(ARN),
		.context = &context.context,
		.document = BULLA_BYTES_LITERAL("doc"),
		.sign = bulla_kms_sigv4_sign,
		.credential = &credential,
		.wall_ms = 1000};
	struct bulla_kms_authorization authorization;
	struct bulla_http_message message;
	struct bulla_kms_request request;
	BULLA_AUTO_BUF wire, scratch;
	enum bulla_kms_op op;
	size_t size = 0;

	(void)state;
	bulla_buf_init(&wire, 1 << 20);
	bulla_buf_init(&scratch, 1 << 20);
	assert_ok(bulla_kms_seed_context_make(tenant, agent, 7, &manifest, &context));
	assert_ok(bulla_kms_write_decrypt(&call, BULLA_BYTES_LITERAL("blob"), &wire));
	assert_ok(bulla_http_read_request(bulla_buf_view(&wire), &message, &size));
	assert_int_equal(size, wire.n);
	assert_ok(bulla_kms_sigv4_parse(&message, &authorization));
	assert_ok(bulla_kms_sigv4_verify(&message, &authorization, &credential, 1000));
	assert_ok(bulla_kms_target(bulla_http_header(&message, "x-amz-target"), &op));
	assert_int_equal(op, BULLA_KMS_DECRYPT);
	assert_ok(bulla_kms_request_parse(op, message.body, &scratch, &request));
	assert_bytes(request.blob, BULLA_BYTES_LITERAL("blob"));
	assert_bytes(request.document, BULLA_BYTES_LITERAL("doc"));
	assert_int_equal(request.context.count, 4);
	assert_bytes(request.context.pairs[1].key, BULLA_BYTES_LITERAL("bulla:epoch"));
	assert_bytes(request.context.pairs[1].value, BULLA_BYTES_LITERAL("7"));
}

static int set_up(void **state)
{
	(void)state;
	return bulla_secret_slab_init(32) == BULLA_OK && bulla_rsa_key_new(&rsa) == BULLA_OK ? 0 : 1;
}

static int tear_down(void **state)
{
	(void)state;
	bulla_rsa_key_free(rsa);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers), cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_requests)};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
