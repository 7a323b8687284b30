/* bullad without its main, with nobody at the other addresses: who may say what on its socket, what hostile and slow clients cost
 * the others, and that it ends in order. */
#define _GNU_SOURCE
#include "engine/host.h"

#include "io/sys.h"
#include "speaker.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

static char folder[] = "/tmp/bulla-host-XXXXXX", socket_path[64], nowhere[64];
static struct speaker_program program;
static const bulla_bytes nothing = {NULL, 0};

static bulla_rc serve(void *ctx)
{
	const struct bulla_host_options options = {.state = folder, .socket = socket_path, .broker = nowhere, .broker_tls = nowhere,
		.enclaves = {nowhere}, .enclave_count = 1};

	(void)ctx;
	return bulla_host_run(&options);
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

	assert_ok(speaker_call(socket_path, BULLA_ROLE_CLIENT, BULLA_OP_STATUS, nothing, &reply));
	assert_true(bulla_mono_us(bulla_sys_clock()) - from < 1000000);
}

static void only_clients_speak_and_only_of_runs(void **state)
{
	static const uint8_t of_others[] = {BULLA_OP_EXECUTE, BULLA_OP_STORED, BULLA_OP_RELAY, BULLA_OP_ADVANCE, BULLA_OP_TOKENS,
		BULLA_OP_RECORD, BULLA_OP_ATTEST, 200};
	struct bulla_frame reply;

	(void)state;
	for (size_t i = 0; i < sizeof(of_others); i++)
		assert_rc(BULLA_E_UNSUPPORTED, speaker_call(socket_path, BULLA_ROLE_CLIENT, of_others[i], nothing, &reply));
	for (uint8_t role = 0; role < 9; role++) {
		int fd = speaker_dial(socket_path);

		if (role != BULLA_ROLE_CLIENT) {
			(void)speaker_hello(fd, role);
			assert_true(speaker_is_ended(fd));
		}
		close(fd);
	}
	others_are_served();
}

static void rubbish_gets_an_error_and_costs_its_connection_at_most(void **state)
{
	static const uint8_t ops[] = {BULLA_OP_START, BULLA_OP_WAIT, BULLA_OP_GET, BULLA_OP_REVOKE, BULLA_OP_BUNDLE,
		BULLA_OP_PUT_MANIFEST};
	static const uint8_t bad[] = {0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f};
	static const uint8_t heads[][BULLA_FRAME_HEADER] = {
		{0, 0, 0, 0, 9, BULLA_OP_STATUS, 0, 0, 1}, {0, 0, 0, 0, 1, BULLA_OP_STATUS, 0, 0x40, 1}, /* version, flags */
		{0xff, 0xff, 0xff, 0x7f, 1, BULLA_OP_STATUS, 0, 0, 1}, {1, 0, 4, 0, 1, BULLA_OP_STATUS, 0, 0, 1}}; /* lengths */
	struct bulla_frame reply;
	int fd = speaker_open(socket_path, BULLA_ROLE_CLIENT);

	(void)state;
	for (uint32_t i = 0; i < sizeof(ops); i++) {
		assert_true(speaker_ask(fd, ops[i], i + 1, BULLA_BYTES_ARRAY(bad)));
		assert_true(speaker_reply(fd, i + 1, &reply) != BULLA_OK && reply.stream == i + 1);
	}
	close(fd);
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		fd = speaker_open(socket_path, BULLA_ROLE_CLIENT);
		(void)speaker_send(fd, BULLA_BYTES_ARRAY(heads[i]));
		assert_true(speaker_is_ended(fd));
		close(fd);
	}
	others_are_served();
}

static void who_does_not_read_waits_alone(void **state)
{
	static uint8_t many[4096 * BULLA_FRAME_HEADER];
	bulla_wr w = bulla_wr_fixed(many, sizeof(many));
	bool held = false;
	int fd = speaker_open(socket_path, BULLA_ROLE_CLIENT);

	(void)state;
	for (uint32_t i = 1; i <= 4096; i++)
		bulla_frame_write(&w, &(struct bulla_frame){.op = BULLA_OP_STATUS, .stream = i});
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

/* A second one on the same socket is refused, and the first one goes on. */
static void a_socket_has_one_host(void **state)
{
	(void)state;
	assert_rc(BULLA_E_PORT_BUSY, serve(NULL));
	others_are_served();
}

static int set_up(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
	snprintf(nowhere, sizeof(nowhere), "unix:%s/nowhere", folder);
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_clients_speak_and_only_of_runs, start, stop),
		cmocka_unit_test_setup_teardown(rubbish_gets_an_error_and_costs_its_connection_at_most, start, stop),
		cmocka_unit_test_setup_teardown(who_does_not_read_waits_alone, start, stop),
		cmocka_unit_test_setup_teardown(a_socket_has_one_host, start, stop),
	};

	return cmocka_run_group_tests_name("engine_host", tests, set_up, tear_down);
}
