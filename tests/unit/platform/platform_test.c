#include "platform/platform.h"

#include "base/secret.h"
#include "io/sys.h"
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBES 2
#define OPENINGS 20

/* A project's folders with scripts in place of the programs: each notes that it was started and waits. */
struct fixture {
	char folder[64], state[80], runtime[80], programs[80];
	struct bulla_platform_options options;
};

static struct bulla_platform platform;

/* A child that does not outlive a failed test. */
static pid_t fork_mortal(void)
{
	pid_t pid = fork();

	if (pid == 0 && prctl(PR_SET_PDEATHSIG, SIGTERM) != 0)
		_exit(1);
	return pid;
}

static void write_text(const char *folder, const char *name, const char *text, mode_t mode)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static void write_program(const struct fixture *f, const char *name)
{
	write_text(f->programs, name, "#!/bin/sh\necho x >> \"$0.started\"\nexec sleep 600\n", 0700);
}

/* Enclaves are no scripts. */
static void add_stand_in(const struct fixture *f)
{
	const char *stand_in = getenv("BULLA_STAND_IN");
	char path[200];

	snprintf(path, sizeof(path), "%s/bulla-enclave", f->programs);
	assert_non_null(stand_in);
	assert_int_equal(symlink(stand_in, path), 0);
}

static bool exists(const char *folder, const char *name)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return access(path, F_OK) == 0;
}

static int set_up(void **state)
{
	static struct fixture f;

	strcpy(f.folder, "/tmp/bulla-platform-XXXXXX");
	assert_non_null(mkdtemp(f.folder));
	snprintf(f.state, sizeof(f.state), "%s/state", f.folder);
	snprintf(f.runtime, sizeof(f.runtime), "%s/run", f.folder);
	snprintf(f.programs, sizeof(f.programs), "%s/bin", f.folder);
	assert_int_equal(mkdir(f.state, 0700) | mkdir(f.programs, 0700), 0);
	f.options = (struct bulla_platform_options){f.state, f.runtime, f.programs, NULL};
	write_program(&f, "bulla-kms");
	write_program(&f, "bullad");
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", f->folder);
	return system(command);
}

static void leave_a_dead_pid(const struct fixture *f)
{
	char path[120];

	snprintf(path, sizeof(path), "%s/platform", f->state);
	assert_ok(bulla_sys_make_folders(path));
	write_text(path, "lock", "1\n", 0600);
}

/* Looks until a signal ends it; exit 1 when it believed that anybody else than `truth` (0: nobody) holds the lock. */
_Noreturn static void probe_for_ever(const struct fixture *f, pid_t truth)
{
	for (;;) {
		pid_t pid = 0;

		if (bulla_platform_find(f->state, &pid) != BULLA_OK || (pid != 0 && pid != truth))
			_exit(1);
		usleep(1000);
	}
}

static void start_probes(const struct fixture *f, pid_t truth, pid_t pids[PROBES])
{
	for (unsigned i = 0; i < PROBES; i++) {
		pids[i] = fork_mortal();
		if (pids[i] == 0)
			probe_for_ever(f, truth);
		assert_true(pids[i] > 0);
	}
}

static unsigned end_probes(const pid_t pids[PROBES])
{
	unsigned liars = 0;

	for (unsigned i = 0; i < PROBES; i++) {
		int status = 0;

		kill(pids[i], SIGKILL);
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		liars += WIFEXITED(status);
	}
	return liars;
}

static void nobody_is_taken_for_a_supervisor(void **state)
{
	struct fixture *f = *state;
	pid_t pids[PROBES];

	leave_a_dead_pid(f);
	start_probes(f, 0, pids);
	usleep(200000);
	assert_int_equal(end_probes(pids), 0);
}

_Noreturn static void open_again_and_again(const struct fixture *f, int begin)
{
	pid_t other = 0;
	char byte;
	bool good = read(begin, &byte, 1) == 1;

	for (unsigned i = 0; i < OPENINGS && good; i++) {
		good = bulla_platform_open(&platform, &f->options, &other) == BULLA_OK;
		bulla_platform_close(&platform);
	}
	_exit(good ? 0 : 1);
}

static void who_looks_keeps_no_supervisor_from_starting(void **state)
{
	struct fixture *f = *state;
	pid_t pids[PROBES], supervisor;
	int begin[2], status = -1;

	leave_a_dead_pid(f);
	assert_int_equal(pipe(begin), 0);
	supervisor = fork_mortal(); /* a process of its own: it waits for all children when it ends */
	if (supervisor == 0)
		open_again_and_again(f, begin[0]);
	start_probes(f, supervisor, pids);
	assert_int_equal(write(begin[1], "x", 1), 1);
	assert_int_equal(waitpid(supervisor, &status, 0), supervisor);
	assert_int_equal(end_probes(pids), 0);
	assert_int_equal(status, 0);
	close(begin[0]);
	close(begin[1]);
}

static void a_second_supervisor_is_told_of_the_first(void **state)
{
	struct fixture *f = *state;
	int ready[2], status;
	pid_t first, other = 0;
	char byte;

	assert_int_equal(pipe(ready), 0);
	first = fork_mortal();
	if (first == 0) {
		if (bulla_platform_open(&platform, &f->options, &other) != BULLA_OK || write(ready[1], "x", 1) != 1)
			_exit(1);
		(void)!bulla_platform_run(&platform);
		bulla_platform_close(&platform);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_rc(BULLA_E_EXISTS, bulla_platform_open(&platform, &f->options, &other));
	assert_int_equal(other, first);
	bulla_platform_close(&platform);
	other = 0;
	assert_ok(bulla_platform_find(f->state, &other));
	assert_int_equal(other, first);
	kill(first, SIGTERM);
	assert_int_equal(waitpid(first, &status, 0), first);
	assert_int_equal(status, 0);
	assert_ok(bulla_platform_find(f->state, &other));
	assert_int_equal(other, 0);
	close(ready[0]);
	close(ready[1]);
}

/* One agent; its manifest is any file. */
static void write_deployment(const struct fixture *f)
{
	static struct bulla_deployment deployment;
	char manifest[200], path[200];
	struct bulla_buf bytes;
	bulla_wr w;

	snprintf(manifest, sizeof(manifest), "%s/manifest", f->folder);
	write_text(f->folder, "manifest", "any", 0600);
	deployment = (struct bulla_deployment){.manifest = bulla_bytes_str(manifest), .agent_count = 1};
	deployment.agents[0] = (struct bulla_deployed_agent){BULLA_BYTES_LITERAL("0011223344556677"),
		BULLA_BYTES_LITERAL("00112233"), bulla_bytes_str(f->folder), 1};
	bulla_buf_init(&bytes, BULLA_DEPLOYMENT_MAX);
	w = bulla_wr_buf(&bytes);
	assert_ok(bulla_deployment_write(&deployment, &w));
	snprintf(path, sizeof(path), "%s/platform", f->state);
	assert_ok(bulla_sys_make_folders(path));
	snprintf(path, sizeof(path), "%s/platform/deployment", f->state);
	assert_ok(bulla_sys_write_file(path, bulla_buf_view(&bytes), 0600));
	bulla_buf_done(&bytes);
}

/* What `bulla up` is told. */
static void read_result(const struct fixture *f, bulla_rc *ret)
{
	struct bulla_buf deployment, text;
	char path[200];
	bulla_digest digest, other = {{1}};

	bulla_buf_init(&deployment, BULLA_DEPLOYMENT_MAX);
	bulla_buf_init(&text, BULLA_DEPLOYED_MAX);
	snprintf(path, sizeof(path), "%s/platform/deployment", f->state);
	assert_ok(bulla_sys_read_file(path, &deployment));
	snprintf(path, sizeof(path), "%s/" BULLA_DEPLOYED_NAME, f->state);
	assert_ok(bulla_sys_read_file(path, &text));
	bulla_deployment_digest(bulla_buf_view(&deployment), BULLA_BYTES_LITERAL("any"), &digest);
	assert_ok(bulla_deployed_read(bulla_buf_view(&text), &digest, ret));
	assert_rc(BULLA_E_NOT_FOUND, bulla_deployed_read(bulla_buf_view(&text), &other, ret));
	for (size_t i = 0; i < text.n; i++)
		assert_rc(BULLA_E_FORMAT, bulla_deployed_read(bulla_bytes_of(text.p, i), &digest, ret));
	bulla_buf_done(&deployment);
	bulla_buf_done(&text);
}

static void what_cannot_be_deployed_leaves_the_broker_alone(void **state)
{
	struct fixture *f = *state;
	const bulla_digest none = {{0}};
	bulla_rc result = BULLA_OK;
	pid_t other = 0;

	write_deployment(f); /* and there is no bulla-enclave */
	assert_ok(bulla_platform_open(&platform, &f->options, &other));
	assert_int_equal(platform.child_count, 1);
	assert_non_null(strstr(platform.children[0]->argv[0], "bulla-kms"));
	assert_true(platform.children[0]->pid > 0);
	assert_true(bulla_digest_eq(&platform.deployed, &none));
	read_result(f, &result);
	assert_rc(BULLA_E_NOT_FOUND, result);
	bulla_platform_close(&platform);
}

static bool has_started(const struct fixture *f)
{
	return exists(f->programs, "bulla-enclave.started") && exists(f->programs, "bullad.started");
}

static void what_could_not_be_deployed_is_deployed_when_it_can(void **state)
{
	struct fixture *f = *state;
	int ready[2], status;
	pid_t supervisor, other = 0;
	char byte;

	write_deployment(f);
	assert_int_equal(pipe(ready), 0);
	supervisor = fork_mortal();
	if (supervisor == 0) {
		if (bulla_platform_open(&platform, &f->options, &other) != BULLA_OK || write(ready[1], "x", 1) != 1)
			_exit(1);
		bulla_rc rc = bulla_platform_run(&platform);
		bulla_platform_close(&platform);
		_exit(rc == BULLA_OK ? 0 : 2);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_false(exists(f->programs, "bullad.started"));
	add_stand_in(f);
	kill(supervisor, SIGHUP);
	for (unsigned tries = 0; tries < 500 && !has_started(f); tries++)
		usleep(10000);
	assert_true(has_started(f));
	kill(supervisor, SIGTERM);
	assert_int_equal(waitpid(supervisor, &status, 0), supervisor);
	assert_int_equal(status, 0);
	close(ready[0]);
	close(ready[1]);
}

/* An enclave that leaves a process behind, as one that dies leaves its zygote. */
static void what_children_leave_behind_is_waited_for(void **state)
{
	struct fixture *f = *state;
	pid_t other = 0;

	write_text(f->programs, "bulla-kms",
		"#!/bin/sh\n(trap '' TERM; echo x > \"$0.deaf\"; sleep 0.7; echo x > \"$0.orphan\") &\nexec sleep 600\n", 0700);
	assert_ok(bulla_platform_open(&platform, &f->options, &other));
	for (unsigned tries = 0; tries < 1000 && !exists(f->programs, "bulla-kms.deaf"); tries++)
		usleep(10000);
	bulla_platform_close(&platform);
	assert_true(exists(f->programs, "bulla-kms.orphan"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nobody_is_taken_for_a_supervisor, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_looks_keeps_no_supervisor_from_starting, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_second_supervisor_is_told_of_the_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_children_leave_behind_is_waited_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_deployed_leaves_the_broker_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_could_not_be_deployed_is_deployed_when_it_can, set_up, tear_down),
	};

	return bulla_secret_slab_init(64) != BULLA_OK || cmocka_run_group_tests_name("platform", tests, NULL, NULL);
}
