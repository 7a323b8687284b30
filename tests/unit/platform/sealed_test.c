#include "platform/sealed.h"

#include "image/measure.h"
#include "io/sys.h"
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/bulla-sealed-XXXXXX";
static char program[64];

static void copy_stand_in(void)
{
	BULLA_AUTO_BUF bytes;

	bulla_buf_init(&bytes, 8 << 20);
	assert_ok(bulla_sys_read_file(getenv("BULLA_STAND_IN"), &bytes));
	assert_ok(bulla_sys_write_file(program, bulla_buf_view(&bytes), 0700));
}

/* Changes the file without making another one of it, as whoever may write there can at any moment. */
static void swap_program(const char *text)
{
	int file = open(program, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_true(file >= 0);
	assert_int_equal(write(file, text, strlen(text)), strlen(text));
	close(file);
}

static int run(const struct bulla_sealed *sealed)
{
	char *const argv[] = {program, "--code", "42", NULL}, *const none[] = {NULL};
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		fexecve(sealed->fd, argv, none);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The file is exchanged after it was measured: what was measured runs. */
static void what_was_measured_runs(void **state)
{
	uint8_t expected[3][BULLA_NITRO_PCR_SIZE];
	struct bulla_sealed sealed;
	BULLA_AUTO_BUF bytes;

	(void)state;
	bulla_buf_init(&bytes, 8 << 20);
	copy_stand_in();
	bulla_sealed_init(&sealed);
	assert_ok(bulla_sealed_load(&sealed, program));
	assert_ok(bulla_sys_read_file(program, &bytes));
	bulla_dev_measure(bulla_buf_view(&bytes), expected);
	assert_memory_equal(sealed.measured, expected, sizeof(expected));
	swap_program("not what was measured");
	assert_int_equal(run(&sealed), 42);
	assert_int_equal(pwrite(sealed.fd, "x", 1, 0), -1); /* nor can anybody change the copy */
	assert_int_equal(ftruncate(sealed.fd, 0), -1);
	/* the next start sees another program, and says so */
	assert_ok(bulla_sealed_load(&sealed, program));
	assert_memory_not_equal(sealed.measured[0], expected[0], BULLA_NITRO_PCR_SIZE);
	assert_int_not_equal(run(&sealed), 42);
	bulla_sealed_done(&sealed);
}

static void one_copy_serves_all(void **state)
{
	struct bulla_sealed sealed;
	int fd;

	(void)state;
	copy_stand_in();
	bulla_sealed_init(&sealed);
	assert_ok(bulla_sealed_load(&sealed, program));
	fd = sealed.fd;
	assert_ok(bulla_sealed_load(&sealed, program));
	assert_int_equal(sealed.fd, fd);
	bulla_sealed_done(&sealed);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void what_is_no_program_is_refused(void **state)
{
	struct bulla_sealed sealed;

	(void)state;
	bulla_sealed_init(&sealed);
	swap_program("#!/bin/sh\nexit 0\n");
	assert_rc(BULLA_E_FORMAT, bulla_sealed_load(&sealed, program));
	swap_program("");
	assert_rc(BULLA_E_FORMAT, bulla_sealed_load(&sealed, program));
	unlink(program);
	assert_rc(BULLA_E_NOT_FOUND, bulla_sealed_load(&sealed, program));
	assert_int_equal(sealed.fd, -1);
}

static int set_up(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL || getenv("BULLA_STAND_IN") == NULL)
		return 1;
	snprintf(program, sizeof(program), "%s/program", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(program);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_measured_runs),
		cmocka_unit_test(one_copy_serves_all),
		cmocka_unit_test(what_is_no_program_is_refused),
	};

	return cmocka_run_group_tests_name("platform_sealed", tests, set_up, tear_down);
}
