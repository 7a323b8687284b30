/* The broker's server with a real broker behind it: who may say what on its sockets, what hostile and slow ones cost the others,
 * and that what it answered to outlives it. */
#define _GNU_SOURCE
#include "broker/server.h"

#include "crypto/aead.h"
#include "io/tls.h"
#include "real.h"
#include "speaker.h"

#include <fcntl.h>

#define MANY 1024 /* connections that it takes */

static char socket_path[64], tls_path[64];
static struct speaker_program program;
static const bulla_bytes nothing = {NULL, 0};

static bulla_rc serve(void *ctx)
{
	const struct bulla_server_options options = {.socket = socket_path, .tls_socket = tls_path};
	bulla_rc rc = bulla_server_run(broker, &options);

	(void)ctx;
	bulla_aead_done();
	return rc;
}

static int start(void **state)
{
	(void)state;
	program = (struct speaker_program){.run = serve};
	speaker_start(&program, socket_path);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	return speaker_stop(&program) != BULLA_OK;
}

/* An honest client is answered within a second. */
static void others_are_served(void)
{
	struct bulla_frame reply;
	int64_t from = bulla_mono_us(bulla_sys_clock());
	bulla_rc rc = speaker_call(socket_path, BULLA_ROLE_CLIENT, BULLA_OP_KEYS, nothing, &reply);

	assert_true(rc == BULLA_OK || rc == BULLA_E_NOT_FOUND);
	assert_true(bulla_mono_us(bulla_sys_clock()) - from < 1000000);
}

static void each_role_has_its_operations(void **state)
{
	static const uint8_t of_hosts[] = {BULLA_OP_ADVANCE, BULLA_OP_SYNC, BULLA_OP_RECORD, BULLA_OP_BROKER_KEYS};
	static const uint8_t of_nobody[] = {BULLA_OP_START, BULLA_OP_EXECUTE, BULLA_OP_CHALLENGE, BULLA_OP_ATTEST, 200};
	struct bulla_frame reply;
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof(of_hosts); i++) {
		assert_rc(BULLA_E_UNSUPPORTED, speaker_call(socket_path, BULLA_ROLE_CLIENT, of_hosts[i], nothing, &reply));
		assert_true(speaker_call(socket_path, BULLA_ROLE_HOST, of_hosts[i], nothing, &reply) != BULLA_E_UNSUPPORTED);
	}
	for (size_t i = 0; i < sizeof(of_nobody); i++)
		assert_rc(BULLA_E_UNSUPPORTED, speaker_call(socket_path, BULLA_ROLE_HOST, of_nobody[i], nothing, &reply));
	assert_rc(BULLA_E_NOT_FOUND, speaker_call(socket_path, BULLA_ROLE_CLIENT, BULLA_OP_KEYS, nothing, &reply));
	/* instances and brokers do not speak on this socket */
	for (uint8_t role = 0; role < 9; role++) {
		if (role == BULLA_ROLE_CLIENT || role == BULLA_ROLE_HOST)
			continue;
		fd = speaker_dial(socket_path);
		(void)speaker_hello(fd, role);
		assert_true(speaker_is_ended(fd));
		close(fd);
	}
}

static void rubbish_gets_an_error_and_costs_its_connection_at_most(void **state)
{
	static const uint8_t ops[] = {BULLA_OP_ADVANCE, BULLA_OP_SYNC, BULLA_OP_RECORD, BULLA_OP_PUT_MANIFEST, BULLA_OP_REVOKE,
		BULLA_OP_DEMAND};
	static const uint8_t bad[] = {0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f}, long_demand[] = {0x10, 0x81, 0xdd, 0xdb, 0x01};
	static const uint8_t heads[][BULLA_FRAME_HEADER] = {
		{0, 0, 0, 0, 9, BULLA_OP_KEYS, 0, 0, 1}, {0, 0, 0, 0, 1, BULLA_OP_KEYS, 0, 0x40, 1}, /* version, flags */
		{0xff, 0xff, 0xff, 0x7f, 1, BULLA_OP_KEYS, 0, 0, 1}, {1, 0, 4, 0, 1, BULLA_OP_KEYS, 0, 0, 1}}; /* lengths */
	struct bulla_frame reply;
	int fd;

	(void)state;
	fd = speaker_open(socket_path, BULLA_ROLE_HOST);
	for (uint32_t i = 0; i < sizeof(ops); i++) {
		assert_true(speaker_ask(fd, ops[i], i + 1, BULLA_BYTES_ARRAY(bad)));
		assert_true(speaker_reply(fd, i + 1, &reply) != BULLA_OK && reply.stream == i + 1);
	}
	assert_true(speaker_ask(fd, BULLA_OP_DEMAND, 99, BULLA_BYTES_ARRAY(long_demand)));
	assert_rc(BULLA_E_LIMIT, speaker_reply(fd, 99, &reply));
	close(fd);
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		fd = speaker_open(socket_path, BULLA_ROLE_CLIENT);
		(void)speaker_send(fd, BULLA_BYTES_ARRAY(heads[i]));
		assert_true(speaker_is_ended(fd));
		close(fd);
	}
	others_are_served();
}

/* Two questions before the first answer, one byte at a time; then a question whose asker goes. */
static void answers_find_their_askers(void **state)
{
	BULLA_AUTO_BUF both = {.max = 256};
	bulla_wr w = bulla_wr_buf(&both);
	struct bulla_frame frame = {.op = BULLA_OP_SYNC, .stream = 5}, reply;
	int fd;

	(void)state;
	bulla_frame_write(&w, &frame);
	frame.stream = 3;
	bulla_frame_write(&w, &frame);
	fd = speaker_open(socket_path, BULLA_ROLE_HOST);
	for (size_t i = 0; i < both.n; i++)
		assert_true(speaker_send(fd, bulla_bytes_of(both.p + i, 1)));
	assert_ok(speaker_reply(fd, 5, &reply));
	assert_ok(speaker_reply(fd, 3, &reply));
	assert_true(speaker_ask(fd, BULLA_OP_SYNC, 9, nothing));
	close(fd);
	others_are_served();
}

static void who_does_not_read_waits_alone(void **state)
{
	static uint8_t many[4096 * BULLA_FRAME_HEADER];
	bulla_wr w = bulla_wr_fixed(many, sizeof(many));
	bool held = false;
	int fd;

	(void)state;
	for (uint32_t i = 1; i <= 4096; i++)
		bulla_frame_write(&w, &(struct bulla_frame){.op = BULLA_OP_SYNC, .stream = i});
	fd = speaker_open(socket_path, BULLA_ROLE_HOST);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	for (size_t i = 0, at = 0; i < 4096 && !held; i++) {
		ssize_t n = send(fd, many + at, w.n - at, MSG_NOSIGNAL);

		at = n > 0 ? (at + (size_t)n) % w.n : at;
		held = n < 0; /* no more questions, while nobody takes the answers */
		if (n < 0 || i % 64 == 0)
			others_are_served();
	}
	assert_true(held);
	close(fd);
	others_are_served();
}

static void connections_have_a_limit(void **state)
{
	static int fds[MANY + 64];
	struct rlimit files;
	struct bulla_frame reply;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	if (files.rlim_max < 2 * MANY + 256)
		skip();
	files.rlim_cur = 2 * MANY + 256;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	for (int i = 0; i < MANY + 64; i++)
		fds[i] = speaker_dial(socket_path);
	assert_true(speaker_hello(fds[0], BULLA_ROLE_CLIENT) && speaker_ask(fds[0], BULLA_OP_KEYS, 1, nothing));
	assert_rc(BULLA_E_NOT_FOUND, speaker_reply(fds[0], 1, &reply)); /* who was there is served */
	assert_true(speaker_is_ended(fds[MANY + 63]));
	for (int i = 0; i < MANY + 64; i++)
		close(fds[i]);
	for (int i = 0; i < 500 && speaker_call(socket_path, BULLA_ROLE_CLIENT, BULLA_OP_KEYS, nothing, &reply) == BULLA_E_CLOSED; i++)
		usleep(10000); /* until it has seen them go */
	others_are_served();
}

static void what_was_answered_is_durable(void **state)
{
	const struct spec spec = {.epoch = 1, .approver = owner, .signer = owner};
	bulla_bytes body = make_put(&spec);
	struct bulla_frame reply;

	(void)state;
	assert_ok(speaker_call(socket_path, BULLA_ROLE_CLIENT, BULLA_OP_PUT_MANIFEST, body, &reply));
	assert_ok(speaker_call(socket_path, BULLA_ROLE_CLIENT, BULLA_OP_KEYS, nothing, &reply));
	assert_int_equal(stop(state), 0);
	reopen_broker();
	assert_non_null(bulla_epochs_current(&broker->epochs));
	assert_int_equal(bulla_epochs_current(&broker->epochs)->manifest.epoch, 1);
	start(state);
	assert_ok(speaker_call(socket_path, BULLA_ROLE_CLIENT, BULLA_OP_KEYS, nothing, &reply));
}

/* --- the KMS API --- */

/* Says text over a TLS connection of its own; what came until `answers` bodies came, or the end. */
static const char *say(const char *text, int answers)
{
	static char got[65536];
	struct bulla_tls_context *context;
	struct bulla_tls *tls;
	BULLA_AUTO_BUF plain = {.max = sizeof(got) - 1}, cipher = {.max = 1 << 18};
	uint8_t some[4096];
	int fd = speaker_dial(tls_path), seen = 0;
	bool asked = false;
	ssize_t n = 1;

	assert_ok(bulla_tls_client_new(&broker->epochs.tls, &context));
	assert_ok(bulla_tls_new(context, BULLA_TLS_HTTP, &tls));
	while (n > 0 && seen < answers) {
		if (bulla_tls_ready(tls) && !asked) {
			assert_ok(bulla_tls_write(tls, bulla_bytes_str(text)));
			asked = true;
		}
		cipher.n = 0;
		assert_ok(bulla_tls_take(tls, &cipher));
		(void)speaker_send(fd, bulla_buf_view(&cipher));
		n = recv(fd, some, sizeof(some), 0);
		if (n > 0 && bulla_tls_feed(tls, bulla_bytes_of(some, (size_t)n), &plain) != BULLA_OK)
			n = 0; /* it ends the connection, behind its answer */
		bulla_copy(got, plain.p, plain.n);
		got[plain.n] = 0;
		seen = 0;
		for (const char *p = got; (p = strstr(p, "HTTP/1.1 ")) != NULL; p++)
			seen++;
	}
	close(fd);
	bulla_tls_free(tls);
	bulla_tls_context_free(context);
	return got;
}

#define REQUEST(target, body, size) \
	"POST / HTTP/1.1\r\nHost: broker\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: TrentService." target \
	"\r\nContent-Length: " size "\r\n\r\n" body

static void requests_are_answered_one_after_the_other(void **state)
{
	const char *got, *second;

	(void)state;
	got = say(REQUEST("ListKeys", "{}", "2") REQUEST("NoSuchThing", "{}", "2"), 2);
	assert_non_null(strstr(got, "MissingAuthenticationToken"));
	second = strstr(strstr(got, "MissingAuthenticationToken"), "HTTP/1.1 ");
	assert_non_null(second);
	assert_non_null(strstr(second, "UnknownOperation"));
	assert_non_null(strstr(say("GET / HTTP/1.1\r\nHost: broker\r\n\r\n", 1), "HTTP/1.1 400"));
	assert_non_null(strstr(say("rubbish\r\n\r\n", 1), "HTTP/1.1 400"));
	assert_non_null(strstr(say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 1), "HTTP/1.1 400"));
	others_are_served();
}

static int set_up_all(void **state)
{
	int rc = set_up(state);

	snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
	snprintf(tls_path, sizeof(tls_path), "%s/tls-socket", folder);
	return rc;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_role_has_its_operations, start, stop),
		cmocka_unit_test_setup_teardown(rubbish_gets_an_error_and_costs_its_connection_at_most, start, stop),
		cmocka_unit_test_setup_teardown(answers_find_their_askers, start, stop),
		cmocka_unit_test_setup_teardown(who_does_not_read_waits_alone, start, stop),
		cmocka_unit_test_setup_teardown(connections_have_a_limit, start, stop),
		cmocka_unit_test_setup_teardown(requests_are_answered_one_after_the_other, start, stop),
		cmocka_unit_test_setup_teardown(what_was_answered_is_durable, start, stop),
	};

	return cmocka_run_group_tests_name("broker_server", tests, set_up_all, tear_down);
}
