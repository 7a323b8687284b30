#include "io/addr.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bulla_rc parse(const char *text)
{
	struct bulla_addr addr;

	return bulla_addr_parse(bulla_bytes_str(text), &addr);
}

static void test_parse(void **state)
{
	static const char *const good[] = {"unix:/run/x",        "/run/x",       "unix:relative", "vsock:3:5000",
		"vsock:4294967295:1", "127.0.0.1:80", "localhost:0",   "[::1]:65535"};
	static const char *const bad[] = {"",          "unix:",   "vsock:3",         "vsock:x:1",  "vsock:4294967296:1",
		"127.0.0.1", "host:80", "127.0.0.1:65536", "127.0.0.1:", "127.0.0.1:8o",
		"[::1:80",   ":80",     "1.2.3:4"};
	char longer[256] = "unix:/";

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_ok(parse(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_rc(BULLA_E_ARGUMENT, parse(bad[i]));
	for (size_t i = 6; i < sizeof(longer) - 1; i++)
		longer[i] = 'x';
	assert_rc(BULLA_E_ARGUMENT, parse(longer));
	assert_rc(BULLA_E_ARGUMENT, bulla_addr_parse(BULLA_BYTES_LITERAL("unix:/a\0b"), &(struct bulla_addr){.size = 0}));
}

static void test_unix(void **state)
{
	char path[] = "/tmp/bulla-addr-XXXXXX";
	char text[64];
	struct bulla_addr addr;
	struct stat status;
	int listener, other, client, server = -1;

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(text, sizeof(text), "unix:%s/s", path);
	assert_ok(bulla_addr_parse(bulla_bytes_str(text), &addr));
	assert_rc(BULLA_E_UNREACHABLE, bulla_addr_dial(&addr, &client));
	assert_ok(bulla_addr_listen(&addr, 0600, &listener));
	assert_int_equal(stat(text + 5, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_rc(BULLA_E_PORT_BUSY, bulla_addr_listen(&addr, 0600, &other));
	assert_ok(bulla_addr_accept(listener, &server)); /* the look whether somebody answers */
	bulla_addr_close(server);
	assert_rc(BULLA_E_AGAIN, bulla_addr_accept(listener, &server));
	assert_ok(bulla_addr_dial(&addr, &client));
	assert_ok(bulla_addr_dialled(client));
	assert_ok(bulla_addr_accept(listener, &server));
	assert_true(bulla_addr_is_own(server));
	assert_true(bulla_addr_is_own(client));
	assert_false(bulla_addr_is_own(-1));
	bulla_addr_close(listener);
	bulla_addr_close(client);
	bulla_addr_close(server);
	/* stale: nobody answers any more, so it is replaced */
	assert_ok(bulla_addr_listen(&addr, 0660, &listener));
	bulla_addr_close(listener);
	unlink(text + 5);
	rmdir(path);
}

static void test_tcp(void **state)
{
	struct bulla_addr addr;
	uint16_t port = 0;
	char text[32];
	int listener, other;

	(void)state;
	assert_ok(bulla_addr_parse(BULLA_BYTES_LITERAL("127.0.0.1:0"), &addr));
	assert_ok(bulla_addr_listen(&addr, 0, &listener));
	assert_ok(bulla_addr_port(listener, &port));
	snprintf(text, sizeof(text), "127.0.0.1:%u", port);
	assert_ok(bulla_addr_parse(bulla_bytes_str(text), &addr));
	assert_rc(BULLA_E_PORT_BUSY, bulla_addr_listen(&addr, 0, &other));
	bulla_addr_close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_unix),
		cmocka_unit_test(test_tcp)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
