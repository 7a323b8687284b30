#include "channel/service.h"
#include "crypto/random.h"
#include "lab.h"
#include "test.h"
#include "wire/json.h"
#include "wire/text.h"

#include <stdio.h>
#include <string.h>

#define CHALLENGE_MS 60000
#define PERIOD_MS 300000

static struct bulla_service service;
static struct bulla_foreign request_memory;
static struct bulla_buf answer;
static struct bulla_http_message reply;

static unsigned call(const char *method, const char *target, const char *body, int64_t now_ms)
{
	const struct bulla_http_message message = {.method = bulla_bytes_str(method), .target = bulla_bytes_str(target),
		.minor = 1, .keep_alive = true, .body = bulla_bytes_str(body)};
	size_t size;

	bulla_buf_clear(&answer);
	assert_ok(bulla_service_answer(&service, &message, now_ms, &answer));
	assert_ok(bulla_http_read_response(bulla_buf_view(&answer), &reply, &size));
	assert_int_equal(size, answer.n);
	return reply.status;
}

static bulla_bytes field(const char *name)
{
	bulla_json body, value;
	bulla_bytes text = {NULL, 0};

	assert_ok(bulla_json_parse(reply.body, &body));
	assert_ok(bulla_json_get_str(body, name, &value));
	assert_ok(bulla_json_string_view(value, &text));
	return text;
}

static void ask(char ret[2 * BULLA_CHALLENGE_SIZE + 1], int64_t now_ms)
{
	assert_int_equal(call("POST", "/challenge", "", now_ms), 200);
	bulla_bytes hex = field("challenge");
	assert_int_equal(hex.n, 2 * BULLA_CHALLENGE_SIZE);
	bulla_copy(ret, hex.p, hex.n);
	ret[hex.n] = '\0';
}

static void verify(const char *challenge, struct lab_enclave *enclave, const char *format, int64_t now_ms)
{
	static char body[65536], base64[32768];
	BULLA_AUTO_BUF evidence;
	bulla_digest nonce;
	uint8_t binder[BULLA_BINDER_BYTES] = {0};
	bulla_wr w = bulla_wr_fixed((uint8_t *)base64, sizeof(base64) - 1);

	bulla_buf_init(&evidence, BULLA_MAX_EVIDENCE);
	assert_ok(bulla_text_hex(bulla_bytes_str(challenge), 32, nonce.b));
	lab_evidence(enclave, &nonce, binder, &evidence);
	bulla_text_wr_base64(&w, bulla_buf_view(&evidence));
	base64[w.n] = '\0';
	(void)snprintf(body, sizeof(body),
		"{\"challenge\": \"%s\", \"subject\": \"%064d\", \"format\": \"%s\", \"evidence\": \"%s\"}", challenge, 7, format, base64);
	assert_int_equal(call("POST", "/verify", body, now_ms), 200);
}

#define HOLDS "/holds/0000000000000000000000000000000000000000000000000000000000000007"

static void assert_field(const char *name, const char *value)
{
	assert_bytes(field(name), bulla_bytes_str(value));
}

static void test_once_and_in_time(void **state)
{
	char challenge[2 * BULLA_CHALLENGE_SIZE + 1];

	(void)state;
	ask(challenge, lab.now_ms);
	verify(challenge, &lab.a, "jwt", lab.now_ms);
	assert_field("verdict", "accepted");
	assert_field("assurance", "dev");
	assert_int_equal(call("GET", HOLDS, "", lab.now_ms), 200);
	assert_field("holds", "yes");
	/* replayed */
	verify(challenge, &lab.a, "jwt", lab.now_ms);
	assert_field("error", "challenge-not-open");
	assert_field("token", "");
	/* expired */
	ask(challenge, lab.now_ms - CHALLENGE_MS - 1);
	verify(challenge, &lab.a, "jwt", lab.now_ms);
	assert_field("error", "challenge-expired");
	assert_field("token", "");
	/* in its last millisecond */
	ask(challenge, lab.now_ms - CHALLENGE_MS);
	verify(challenge, &lab.a, "cwt", lab.now_ms);
	assert_field("verdict", "accepted");
}

static void test_lapse_and_turning_bad(void **state)
{
	char challenge[2 * BULLA_CHALLENGE_SIZE + 1];

	(void)state;
	ask(challenge, lab.now_ms);
	verify(challenge, &lab.a, "jwt", lab.now_ms);
	assert_int_equal(call("GET", HOLDS, "", lab.now_ms + PERIOD_MS), 200);
	assert_field("holds", "yes");
	assert_int_equal(call("GET", HOLDS, "", lab.now_ms + PERIOD_MS + 1), 200);
	assert_field("holds", "no");
	assert_field("error", "evidence-stale");
	/* the same subject with another image: what was good ends */
	ask(challenge, lab.now_ms);
	verify(challenge, &lab.strange, "jwt", lab.now_ms);
	assert_field("error", "measurement-mismatch");
	assert_int_equal(call("GET", HOLDS, "", lab.now_ms), 200);
	assert_field("error", "measurement-mismatch");
}

static void test_refusals(void **state)
{
	static const struct {
		bulla_rc why;
		unsigned status;
	} cases[] = {{BULLA_E_FORMAT, 400}, {BULLA_E_LIMIT, 413}, {BULLA_E_TIMEOUT, 408}, {BULLA_E_VERSION, 505},
		{BULLA_E_UNSUPPORTED, 501}};
	size_t size;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bulla_buf_clear(&answer);
		assert_ok(bulla_service_refuse(&service, cases[i].why, &answer));
		assert_ok(bulla_http_read_response(bulla_buf_view(&answer), &reply, &size));
		assert_int_equal(reply.status, cases[i].status);
		assert_false(reply.keep_alive);
		assert_field("error", bulla_rc_id(cases[i].why));
	}
	assert_int_equal(call("GET", "/", "", lab.now_ms), 404);
	assert_int_equal(call("GET", "/challenge", "", lab.now_ms), 405);
	assert_int_equal(call("POST", "/verify", "{\"challenge\": \"\"}", lab.now_ms), 400);
	assert_int_equal(call("POST", "/verify", "{\"challenge\": \"00\", \"format\": \"xml\"}", lab.now_ms), 400);
	assert_int_equal(call("GET", "/holds/", "", lab.now_ms), 400);
	assert_int_equal(call("GET", "/healthz", "", lab.now_ms), 200);
	assert_field("status", "ok");
	assert_int_equal(call("GET", "/.well-known/jwks.json", "", lab.now_ms), 200);
}

static int set_up(void **state)
{
	static struct bulla_appraiser appraiser;
	static struct bulla_attest_anchors anchors;

	if (lab_open(state) != 0)
		return 1;
	anchors = (struct bulla_attest_anchors){&lab.anchor, 1};
	bulla_appraiser_init(&appraiser);
	appraiser.policy = &lab.policy;
	appraiser.anchors = anchors;
	assert_ok(bulla_sign_key_new(BULLA_ES384, &appraiser.key));
	appraiser.developer = appraiser.build = "test";
	appraiser.challenge_ms = CHALLENGE_MS;
	appraiser.period_ms = PERIOD_MS;
	bulla_service_init(&service);
	service.appraiser = &appraiser;
	service.request = &request_memory;
	service.random = bulla_random_os();
	bulla_buf_init(&answer, 1 << 20);
	return bulla_foreign_init(&request_memory) == BULLA_OK ? 0 : 1;
}

static int tear_down(void **state)
{
	bulla_sign_key_free(service.appraiser->key);
	bulla_service_done(&service);
	bulla_foreign_done(&request_memory);
	bulla_buf_done(&answer);
	return lab_close(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_once_and_in_time),
		cmocka_unit_test(test_lapse_and_turning_bad), cmocka_unit_test(test_refusals)};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
