#define TEXT(literal) {(const uint8_t *)(literal), sizeof(literal) - 1}

#include "kms/sigv4.h"
#include "test.h"

#include <string.h>

static const struct bulla_kms_credential credential = {
	.access_key = TEXT("AKIDEXAMPLE"),
	.secret_key = TEXT("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
	.region = TEXT("us-east-1"),
	.service = TEXT("service"),
};
static const int64_t then_ms = INT64_C(1440938160000); /* 20150830T123600Z */

static bulla_rc verify_at(const char *text, const struct bulla_kms_credential *by, int64_t now_ms)
{
	struct bulla_http_message message;
	struct bulla_kms_authorization authorization;
	size_t size = 0;

	BULLA_TRY(bulla_http_read_request(bulla_bytes_str(text), &message, &size));
	BULLA_TRY(bulla_kms_sigv4_parse(&message, &authorization));
	return bulla_kms_sigv4_verify(&message, &authorization, by, now_ms);
}

static bulla_rc verify(const char *text)
{
	return verify_at(text, &credential, then_ms);
}

/* AWS's SigV4 test suite: post-vanilla. */
#define POST_HEAD \
	"POST / HTTP/1.1\r\nHost:example.amazonaws.com\r\nX-Amz-Date:20150830T123600Z\r\n" \
	"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
static const char vanilla[] = POST_HEAD
	"SignedHeaders=host;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b\r\n\r\n";

static void test_aws_vector(void **state)
{
	(void)state;
	assert_ok(verify(vanilla));
}

static void test_skew(void **state)
{
	(void)state;
	assert_ok(verify_at(vanilla, &credential, then_ms + 900000));
	assert_ok(verify_at(vanilla, &credential, then_ms - 900000));
	assert_rc(BULLA_E_CLOCK, verify_at(vanilla, &credential, then_ms + 900001));
	assert_rc(BULLA_E_CLOCK, verify_at(vanilla, &credential, then_ms - 900001));
}

static void test_wrong_keys(void **state)
{
	struct bulla_kms_credential other = credential;

	(void)state;
	other.secret_key = BULLA_BYTES_LITERAL("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEZ");
	assert_rc(BULLA_E_SIGNATURE, verify_at(vanilla, &other, then_ms));
	other = credential;
	other.region = BULLA_BYTES_LITERAL("us-east-2");
	assert_rc(BULLA_E_FORMAT, verify_at(vanilla, &other, then_ms));
	other = credential;
	other.service = BULLA_BYTES_LITERAL("kms");
	assert_rc(BULLA_E_FORMAT, verify_at(vanilla, &other, then_ms));
}

/* Any change of the signed text is refused. */
static void test_every_byte(void **state)
{
	char text[sizeof(vanilla)];

	(void)state;
	for (size_t i = 0; i < sizeof(vanilla) - 1; i++) {
		memcpy(text, vanilla, sizeof(text));
		text[i] = text[i] == 'A' ? 'B' : 'A';
		bulla_rc rc = verify(text);

		/* header names compare without case; blanks after a comma are none of the signed text */
		if (rc == BULLA_OK)
			assert_true(strchr("aA ", vanilla[i]) != NULL);
	}
}

static void test_forms(void **state)
{
	static const struct {
		const char *text;
		bulla_rc rc;
	} rows[] = {
		{"POST / HTTP/1.1\r\nHost: a\r\n\r\n", BULLA_E_NOT_FOUND},
		{"POST / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eDp5\r\n\r\n", BULLA_E_FORMAT},
		{POST_HEAD "SignedHeaders=host;x-amz-date\r\n\r\n", BULLA_E_FORMAT},
		/* x-amz-date not signed, host not signed, not in order, not there */
		{POST_HEAD
			"SignedHeaders=host, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b\r\n\r\n",
			BULLA_E_FORMAT},
		{POST_HEAD
			"SignedHeaders=x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b\r\n\r\n",
			BULLA_E_FORMAT},
		{POST_HEAD "SignedHeaders=x-amz-date;host, "
			"Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b\r\n\r\n",
			BULLA_E_FORMAT},
		{POST_HEAD
			"SignedHeaders=host;via;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
			"\r\n\r\n",
			BULLA_E_FORMAT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_rc(rows[i].rc, verify(rows[i].text));
}

static void test_sign_verify(void **state)
{
	struct bulla_http_message request = {.method = BULLA_BYTES_LITERAL("POST"),
		.target = BULLA_BYTES_LITERAL("/"),
		.body = BULLA_BYTES_LITERAL("{}"),
		.header_count = 2};
	BULLA_AUTO_BUF scratch, wire;
	bulla_bytes text;
	char copy[2048] = {0};

	(void)state;
	bulla_buf_init(&scratch, 16384);
	bulla_buf_init(&wire, 16384);
	request.headers[0] = (struct bulla_http_header){BULLA_BYTES_LITERAL("x-amz-target"), BULLA_BYTES_LITERAL("T.a  b")};
	request.headers[1] = (struct bulla_http_header){BULLA_BYTES_LITERAL("host"), BULLA_BYTES_LITERAL("k:8443")};
	for (int64_t ms = 0; ms < INT64_C(4102444800000); ms += INT64_C(12345678901)) {
		bulla_wr w = bulla_wr_buf(&wire);

		request.header_count = 2;
		bulla_buf_clear(&scratch);
		bulla_buf_clear(&wire);
		assert_ok(bulla_kms_sigv4_sign(&request, &credential, ms, &scratch));
		bulla_http_write_request(&w, &request);
		assert_ok(bulla_wr_end(&w, &text));
		memcpy(copy, text.p, text.n);
		copy[text.n] = 0;
		assert_ok(verify_at(copy, &credential, ms));
		copy[text.n - 1] = ' ';
		assert_rc(BULLA_E_SIGNATURE, verify_at(copy, &credential, ms));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aws_vector), cmocka_unit_test(test_skew),  cmocka_unit_test(test_wrong_keys),
		cmocka_unit_test(test_every_byte), cmocka_unit_test(test_forms), cmocka_unit_test(test_sign_verify),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
