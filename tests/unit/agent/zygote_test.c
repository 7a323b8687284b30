#define _GNU_SOURCE
#include "agent/zygote.h"
#include "test.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

/* The hostile agent's program, read once. */
static uint8_t program[4 << 20];
static size_t program_size;
static struct bulla_zygote zygote;
static struct bulla_sandbox made;
static bool answered;

static void keep(void *ctx, bulla_rc rc, const struct bulla_sandbox *sandbox)
{
	(void)ctx;
	assert_ok(rc);
	made = *sandbox;
	answered = true;
}

static int start(void **state)
{
	const struct bulla_sandbox_limits plain = {.memory = 64 << 20, .processes = 8};
	const struct bulla_sandbox_limits network = {.memory = 64 << 20, .processes = 8, .network = 1};
	FILE *file = fopen(getenv("HOSTILE"), "rb");
	bulla_rc rc;

	(void)state;
	assert_non_null(file);
	program_size = fread(program, 1, sizeof(program), file);
	fclose(file);
	assert_int_equal(setenv("PATH", "/nowhere", 1), 0); /* where the enclave finds programs is none of the agents' business */
	rc = bulla_zygote_start(&zygote);
	if (rc == BULLA_E_UNSUPPORTED)
		exit(77);
	assert_ok(rc);
	assert_ok(bulla_zygote_agent(&zygote, 0, BULLA_BYTES_LITERAL("./hostile\0probe\0"), &plain));
	assert_ok(bulla_zygote_agent(&zygote, 1, BULLA_BYTES_LITERAL("./hostile\0probe\0"), &network));
	assert_ok(bulla_zygote_agent(&zygote, 2, BULLA_BYTES_LITERAL("./nothing\0"), &plain));
	assert_rc(BULLA_E_ARGUMENT, bulla_zygote_agent(&zygote, 0, BULLA_BYTES_LITERAL("./hostile\0"), &plain));
	assert_ok(bulla_zygote_agent(&zygote, 3, BULLA_BYTES_LITERAL("sh\0-c\0echo path is $PATH\0"), &plain));
	assert_ok(bulla_zygote_agent(&zygote, 4, BULLA_BYTES_LITERAL("./hostile\0take-name\0"), &plain));
	assert_ok(bulla_zygote_agent(&zygote, 5, BULLA_BYTES_LITERAL("./hostile\0find-name\0"), &plain));
	for (uint32_t id = 4; id < 6; id++)
		assert_ok(bulla_zygote_file(&zygote, id, "hostile", true, bulla_bytes_of(program, program_size)));
	for (uint32_t id = 0; id < 2; id++)
		assert_ok(bulla_zygote_file(&zygote, id, "hostile", true, bulla_bytes_of(program, program_size)));
	assert_ok(bulla_zygote_file(&zygote, 1, "data/deep/file.txt", false, BULLA_BYTES_LITERAL("")));
	assert_rc(BULLA_E_ARGUMENT, bulla_zygote_file(&zygote, 1, "../x", false, BULLA_BYTES_LITERAL("x")));
	assert_rc(BULLA_E_ARGUMENT, bulla_zygote_file(&zygote, 1, "a//x", false, BULLA_BYTES_LITERAL("x")));
	assert_rc(BULLA_E_ARGUMENT, bulla_zygote_file(&zygote, 1, "/etc/x", false, BULLA_BYTES_LITERAL("x")));
	assert_ok(bulla_zygote_seal(&zygote));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	bulla_zygote_stop(&zygote);
	return 0;
}

static void wait_readable(int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&one, 1, 30000), 1);
}

static struct bulla_zygote_ask ask = {.done = keep};

static void spawn(uint32_t id)
{
	answered = false;
	assert_ok(bulla_zygote_spawn(&zygote, id, &ask));
	while (!answered) {
		wait_readable(zygote.fd);
		assert_ok(bulla_zygote_ready(&zygote));
	}
}

static void read_all(int fd, char *text, size_t size)
{
	size_t n = 0;

	for (;;) {
		ssize_t got;

		wait_readable(fd);
		got = read(fd, text + n, size - 1 - n);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	text[n] = 0;
}

static void run(uint32_t id, char *output, size_t size, struct bulla_sandbox_event *ret)
{
	spawn(id);
	assert_ok(bulla_sandbox_go(&made, BULLA_BYTES_LITERAL("BULLA_RUN=00\0")));
	read_all(made.out, output, size);
	wait_readable(made.control);
	assert_ok(bulla_sandbox_event(&made, ret));
}

static void has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		print_message("%s\nlacks %s\n", text, part);
	assert_non_null(strstr(text, part));
}

static void sandbox_shows_nothing(void **state)
{
	static const char *const closed[] = {"\"shadow\":0", "\"proc\":-1", "\"sys\":-1", "\"root\":0", "\"nsm\":0",
		"\"mem\":0", "\"null\":1", "\"urandom\":1", "\"dev\":5", "\"write_usr\":0", "\"write_agent\":0",
		"\"write_root\":0", "\"write_tmp\":1", "\"exec_tmp\":0", "\"agent\":1", "\"bundles\":-1", "\"inet\":0",
		"\"inet6\":0", "\"vsock\":0", "\"netlink\":0", "\"packet\":0", "\"unix\":1", "\"unshare\":0", "\"userns\":0",
		"\"kill\":0", "\"uid0\":0", "\"setuid\":0", "\"fds\":0", "\"io_uring\":0", "\"pid\":1", "\"host\":\"agent\""};
	struct bulla_sandbox_event event;
	char output[4096];

	(void)state;
	run(0, output, sizeof(output), &event);
	assert_int_equal(event.kind, BULLA_SANDBOX_EXITED);
	assert_int_equal(event.code, 0);
	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
		has(output, closed[i]);
	wait_readable(made.pid_fd);
	bulla_sandbox_close(&made);
}

static void network_is_lo_only(void **state)
{
	struct bulla_sandbox_event event;
	char output[4096];

	(void)state;
	run(1, output, sizeof(output), &event);
	has(output, "\"inet\":1");
	has(output, "\"vsock\":0");
	has(output, "\"netlink\":0");
	has(output, "\"agent\":2");
	bulla_sandbox_close(&made);
}

static void missing_command_is_said(void **state)
{
	struct bulla_sandbox_event event;
	char output[4096];
	char log[4096];

	(void)state;
	run(2, output, sizeof(output), &event);
	assert_int_equal(event.code, 127);
	read_all(made.err, log, sizeof(log));
	has(log, "bulla: the agent's command is not there");
	bulla_sandbox_close(&made);
}

static void commands_are_found_along_the_sandbox_s_path(void **state)
{
	struct bulla_sandbox_event event;
	char output[4096];

	(void)state;
	run(3, output, sizeof(output), &event);
	assert_int_equal(event.code, 0);
	assert_string_equal(output, "path is /usr/local/bin:/usr/bin:/bin\n");
	bulla_sandbox_close(&made);
}

/* Starts one that takes the name and stays. */
static struct bulla_sandbox take_name(uint32_t id)
{
	char text[64] = "";

	spawn(id);
	assert_ok(bulla_sandbox_go(&made, BULLA_BYTES_LITERAL("BULLA_RUN=00\0")));
	wait_readable(made.out);
	assert_true(read(made.out, text, sizeof(text) - 1) > 0);
	has(text, "\"taken\":1");
	return made;
}

static void end(struct bulla_sandbox *sandbox)
{
	bulla_sandbox_kill(sandbox);
	wait_readable(sandbox->pid_fd);
	bulla_sandbox_close(sandbox);
}

/* Two that live at once have no network namespace in common; nothing of one that died is met by the next in its place. */
static void sandboxes_do_not_meet(void **state)
{
	struct bulla_sandbox first, second;
	struct bulla_sandbox_event event;
	char output[4096];

	(void)state;
	first = take_name(4);
	run(5, output, sizeof(output), &event);
	has(output, "\"met\":0");
	bulla_sandbox_close(&made);
	second = take_name(4);
	end(&first);
	first = take_name(4);
	end(&second);
	end(&first);
	run(5, output, sizeof(output), &event);
	has(output, "\"met\":0");
	bulla_sandbox_close(&made);
}

static void kill_takes_everything(void **state)
{
	struct bulla_sandbox_event event;

	(void)state;
	spawn(0);
	bulla_sandbox_kill(&made);
	wait_readable(made.pid_fd);
	assert_rc(BULLA_E_CLOSED, bulla_sandbox_event(&made, &event));
	bulla_sandbox_close(&made);
}

/* A zygote that cannot make user namespaces, as in a container that forbids them: the kernel has none for who lives in a
 * chroot. Its one agent may have one process, takes a name and stays. */
static void start_chrooted(const char *folder, struct bulla_zygote *ret)
{
	const struct bulla_sandbox_limits one = {.memory = 64 << 20, .processes = 1};
	int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(mount("/", folder, NULL, MS_BIND | MS_REC, NULL), 0);
	assert_true(chroot(folder) == 0 && chdir("/") == 0);
	assert_ok(bulla_zygote_start(ret));
	assert_true(fchdir(old) == 0 && chroot(".") == 0);
	close(old);
	assert_int_equal(umount2(folder, MNT_DETACH), 0);
	assert_ok(bulla_zygote_agent(ret, 0, BULLA_BYTES_LITERAL("./hostile\0take-name\0"), &one));
	assert_ok(bulla_zygote_file(ret, 0, "hostile", true, bulla_bytes_of(program, program_size)));
	assert_ok(bulla_zygote_seal(ret));
	assert_int_equal(ret->features & BULLA_SANDBOX_USERNS, 0);
}

/* The kernel counts a user's processes over the whole machine: two enclaves' sandboxes must not be one user. */
static void enclaves_share_no_process_limit(void **state)
{
	struct bulla_zygote usual = zygote;
	struct bulla_zygote other[2];
	struct bulla_sandbox sandbox[2];
	char folder[] = "/tmp/bulla-zygote-XXXXXX";

	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		skip();
	assert_non_null(mkdtemp(folder));
	for (int i = 0; i < 2; i++) {
		start_chrooted(folder, &other[i]);
		zygote = other[i];
		sandbox[i] = take_name(0);
	}
	zygote = usual;
	for (int i = 0; i < 2; i++) {
		end(&sandbox[i]);
		bulla_zygote_stop(&other[i]);
	}
	rmdir(folder); /* not before: it is their root's place */
}

/* Printed, not judged: a shared machine. bench/agent_bench.c measures. */
static void start_is_quick(void **state)
{
	struct timespec from, to;
	struct bulla_sandbox_event event;
	char output[4096];

	(void)state;
	spawn(0);
	usleep(20000);
	clock_gettime(CLOCK_MONOTONIC, &from);
	assert_ok(bulla_sandbox_go(&made, BULLA_BYTES_LITERAL("")));
	read_all(made.out, output, sizeof(output));
	clock_gettime(CLOCK_MONOTONIC, &to);
	wait_readable(made.control);
	assert_ok(bulla_sandbox_event(&made, &event));
	print_message("# start to end of a prepared sandbox: %ld us\n",
		(to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000);
	bulla_sandbox_close(&made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sandbox_shows_nothing),
		cmocka_unit_test(network_is_lo_only),
		cmocka_unit_test(missing_command_is_said),
		cmocka_unit_test(commands_are_found_along_the_sandbox_s_path),
		cmocka_unit_test(sandboxes_do_not_meet),
		cmocka_unit_test(kill_takes_everything),
		cmocka_unit_test(enclaves_share_no_process_limit),
		cmocka_unit_test(start_is_quick),
	};

	return cmocka_run_group_tests_name("agent_zygote", tests, start, stop);
}
