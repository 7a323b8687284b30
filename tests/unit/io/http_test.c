#include "io/http.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

static bulla_rc request(const char *text)
{
	struct bulla_http_message message;
	size_t size = 0;

	return bulla_http_read_request(bulla_bytes_str(text), &message, &size);
}

static const char good[] =
	"POST / HTTP/1.1\r\nHost: kms:1\r\nX-Amz-Target:  TrentService.Decrypt \t\r\nContent-Length: 2"
	"\r\n\r\n{}GET";

static void test_good(void **state)
{
	struct bulla_http_message message;
	size_t size = 0;

	(void)state;
	assert_ok(bulla_http_read_request(bulla_bytes_str(good), &message, &size));
	assert_int_equal(size, strlen(good) - 3);
	assert_true(message.keep_alive);
	assert_bytes(message.method, BULLA_BYTES_LITERAL("POST"));
	assert_bytes(message.body, BULLA_BYTES_LITERAL("{}"));
	assert_bytes(bulla_http_header(&message, "x-amz-target"), BULLA_BYTES_LITERAL("TrentService.Decrypt"));
	assert_int_equal(bulla_http_header(&message, "x-other").n, 0);
}

/* Each prefix is "not yet", whatever it is cut at. */
static void test_truncations(void **state)
{
	struct bulla_http_message message;
	size_t size = 0;

	(void)state;
	for (size_t n = 0; n < strlen(good) - 3; n++) {
		char *cut = (char *)malloc(n + 1); /* its own memory: a read beyond is seen by the sanitizer */

		bulla_copy(cut, good, n);
		assert_rc(BULLA_E_AGAIN, bulla_http_read_request(bulla_bytes_of(cut, n), &message, &size));
		free(cut);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *text;
		bulla_rc rc;
	} rows[] = {
		{"POST / HTTP/1.1\nHost: a\n\n", BULLA_E_FORMAT},
		{"POST / HTTP/1.1\r\nHost : a\r\n\r\n", BULLA_E_FORMAT},
		{"POST / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", BULLA_E_FORMAT},
		{"POST / HTTP/1.1\r\nA: b\rc\r\n\r\n", BULLA_E_FORMAT},
		{"POST / HTTP/1.1\r\nA: b\001c\r\n\r\n", BULLA_E_FORMAT},
		{"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", BULLA_E_FORMAT},
		{"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\nx", BULLA_E_FORMAT},
		{"POST / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\nx", BULLA_E_FORMAT},
		{"POST / HTTP/1.1\r\nContent-Length:\r\n\r\nx", BULLA_E_FORMAT},
		{"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\nx", BULLA_E_LIMIT},
		{"POST / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\nx", BULLA_E_LIMIT},
		{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", BULLA_E_UNSUPPORTED},
		{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\nx", BULLA_E_UNSUPPORTED},
		{"POST / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n", BULLA_E_UNSUPPORTED},
		{"POST / HTTP/2.0\r\n\r\n", BULLA_E_VERSION},
		{"POST  / HTTP/1.1\r\n\r\n", BULLA_E_FORMAT},
		{"post / HTTP/1.1\r\n\r\n", BULLA_E_FORMAT},
		{"POST http://a/ HTTP/1.1\r\n\r\n", BULLA_E_FORMAT},
		{"POST / HTTP/1.1 x\r\n\r\n", BULLA_E_FORMAT},
		{"\r\nPOST / HTTP/1.1\r\n\r\n", BULLA_E_FORMAT},
		{"POST / HTTP/1.1\r\nnocolon\r\n\r\n", BULLA_E_FORMAT},
		{"POST / HTTP/1.1\r\n: v\r\n\r\n", BULLA_E_FORMAT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_rc(rows[i].rc, request(rows[i].text));
}

static void test_limits(void **state)
{
	char *head = (char *)calloc(1, 40000);
	size_t n;

	(void)state;
	strcpy(head, "GET / HTTP/1.1\r\n");
	for (int i = 0; i < 65; i++)
		strcat(head, "a: b\r\n");
	strcat(head, "\r\n");
	assert_rc(BULLA_E_LIMIT, request(head));
	memset(head, 0, 40000);
	strcpy(head, "GET / HTTP/1.1\r\na: ");
	n = strlen(head);
	memset(head + n, 'x', 20000);
	assert_rc(BULLA_E_LIMIT, request(head));
	free(head);
}

static void test_keep_alive(void **state)
{
	struct bulla_http_message message;
	size_t size = 0;

	(void)state;
	assert_ok(bulla_http_read_request(BULLA_BYTES_LITERAL("GET / HTTP/1.0\r\n\r\n"), &message, &size));
	assert_false(message.keep_alive);
	assert_ok(
		bulla_http_read_request(BULLA_BYTES_LITERAL("GET / HTTP/1.1\r\nConnection: Close\r\n\r\n"), &message, &size));
	assert_false(message.keep_alive);
}

static void test_response(void **state)
{
	struct bulla_http_message message;
	size_t size = 0;

	(void)state;
	assert_ok(bulla_http_read_response(BULLA_BYTES_LITERAL("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), &message,
		&size));
	assert_int_equal(message.status, 200);
	assert_bytes(message.body, BULLA_BYTES_LITERAL("abc"));
	assert_rc(BULLA_E_FORMAT,
		bulla_http_read_response(BULLA_BYTES_LITERAL("HTTP/1.1 200 OK\r\n\r\nabc"), &message, &size));
	assert_rc(BULLA_E_FORMAT,
		bulla_http_read_response(BULLA_BYTES_LITERAL("HTTP/1.1 100 Continue\r\n\r\n"), &message, &size));
	assert_rc(BULLA_E_FORMAT,
		bulla_http_read_response(BULLA_BYTES_LITERAL("HTTP/1.1 2x0 OK\r\n\r\n"), &message, &size));
}

static void test_round_trip(void **state)
{
	struct bulla_http_message out = {.method = BULLA_BYTES_LITERAL("POST"),
		.target = BULLA_BYTES_LITERAL("/"),
		.body = BULLA_BYTES_LITERAL("0123456789a"),
		.header_count = 1};
	struct bulla_http_message in;
	uint8_t memory[256];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes wire;
	size_t size = 0;

	(void)state;
	out.headers[0] = (struct bulla_http_header){BULLA_BYTES_LITERAL("x-a"), BULLA_BYTES_LITERAL("v")};
	bulla_http_write_request(&w, &out);
	assert_ok(bulla_wr_end(&w, &wire));
	assert_ok(bulla_http_read_request(wire, &in, &size));
	assert_int_equal(size, wire.n);
	assert_bytes(in.body, out.body);
	assert_bytes(bulla_http_header(&in, "X-A"), BULLA_BYTES_LITERAL("v"));
	out.headers[0].value = BULLA_BYTES_LITERAL("v\r\ninjected: 1");
	w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_http_write_request(&w, &out);
	assert_rc(BULLA_E_ARGUMENT, bulla_wr_end(&w, &wire));
}

static void test_chunked(void **state)
{
	static const struct {
		const char *text;
		bulla_rc rc;
	} cases[] = {{"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", BULLA_OK}, {"0\r\n\r\n", BULLA_OK}, {"3\r\nabc\r\n", BULLA_E_AGAIN},
		{"3\r\nab", BULLA_E_AGAIN}, {"", BULLA_E_AGAIN}, {"3", BULLA_E_AGAIN}, {"3;x=1\r\nabc\r\n0\r\n\r\n", BULLA_E_FORMAT},
		{"3\nabc\r\n0\r\n\r\n", BULLA_E_FORMAT}, {"3\r\nabcd\r\n0\r\n\r\n", BULLA_E_FORMAT},
		{"0\r\nx: y\r\n\r\n", BULLA_E_FORMAT}, {"0\r\n\r\nx", BULLA_E_TRAILING}, {"\r\n", BULLA_E_FORMAT},
		{"-1\r\n", BULLA_E_FORMAT}, {"11\r\n", BULLA_E_LIMIT}, {"ffffffff\r\n", BULLA_E_LIMIT},
		{"000000003\r\nabc\r\n0\r\n\r\n", BULLA_E_FORMAT}};
	struct bulla_buf body;

	(void)state;
	bulla_buf_init(&body, 16);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_rc(cases[i].rc, bulla_http_dechunk(bulla_bytes_str(cases[i].text), &body));
	assert_ok(bulla_http_dechunk(bulla_bytes_str(cases[0].text), &body));
	assert_bytes(bulla_buf_view(&body), BULLA_BYTES_LITERAL("abcde"));
	bulla_buf_done(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),       cmocka_unit_test(test_truncations), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limits),     cmocka_unit_test(test_keep_alive),  cmocka_unit_test(test_response),
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_chunked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
