/* The first process of a sandbox: makes it, starts the agent, reaps, tells how the agent ended. Everything dies with it. */
#include "agent/zygote_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONTROL 3
#define EVENTS 4
#define ARGUMENTS 256
#define VARIABLES 32

struct running {
	const struct bulla_box *box;
	pid_t agent;
	int signals;
	uint64_t kills; /* of its cgroup before the start */
};

/* stdin, stdout, stderr, control, events at their fixed places; all else closed. */
static bulla_rc place_descriptors(const struct bulla_box *box)
{
	const int from[5] = {box->in, box->out, box->err, box->control, box->events};
	int high[5];

	for (int i = 0; i < 5; i++)
		high[i] = from[i] < 0 ? -1 : fcntl(from[i], F_DUPFD, 32);
	for (int i = 0; i < 5; i++) {
		if (high[i] >= 0 && dup2(high[i], i) < 0)
			return BULLA_FAIL_OS(BULLA_E_IO, "a descriptor cannot be placed", errno);
		if (from[i] < 0)
			close(i);
	}
	if (close_range(EVENTS + 1, ~0u, 0) != 0)
		return BULLA_FAIL_OS(BULLA_E_UNSUPPORTED, "close_range is not there", errno);
	return BULLA_OK;
}

static bulla_rc mount_tmp(const struct bulla_sandbox_limits *limits)
{
	char options[96];

	snprintf(options, sizeof(options), "mode=1777,uid=%u,gid=%u,nr_inodes=4096,size=%llu", BULLA_SANDBOX_UID,
		BULLA_SANDBOX_UID, (unsigned long long)limits->memory / 4);
	if (mount("tmp", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) == 0)
		return BULLA_OK;
	/* without a user namespace the uid is another one: the mode suffices */
	if (mount("tmp", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,nr_inodes=4096,size=64m") == 0)
		return BULLA_OK;
	return BULLA_FAIL_OS(BULLA_E_IO, "/tmp cannot be mounted", errno);
}

static bulla_rc mount_bundle(const struct bulla_box *box)
{
	char path[32];

	snprintf(path, sizeof(path), "/bundles/%u", box->id);
	if (mount(path, "/agent", NULL, MS_BIND, NULL) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "the bundle cannot be mounted", errno);
	if (box->cover && mount("none", "/bundles", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0,size=4k") != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "the other bundles cannot be covered", errno);
	return BULLA_OK;
}

static bulla_rc raise_lo(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc = fd < 0 ? -1 : ioctl(fd, SIOCSIFFLAGS, &request);

	if (fd >= 0)
		close(fd);
	return rc == 0 ? BULLA_OK : BULLA_FAIL_OS(BULLA_E_IO, "lo does not come up", errno);
}

static bulla_rc limit(__rlimit_resource_t resource, uint64_t value)
{
	const struct rlimit both = {value, value};

	if (setrlimit(resource, &both) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a limit cannot be set", errno);
	return BULLA_OK;
}

static bulla_rc set_limits(const struct bulla_box *box)
{
	const struct bulla_sandbox_limits *limits = &box->agent->limits;

	BULLA_TRY(limit(RLIMIT_CORE, 0));
	BULLA_TRY(limit(RLIMIT_NPROC, limits->processes + 1)); /* this process counts too */
	BULLA_TRY(limit(RLIMIT_NOFILE, 1024));
	BULLA_TRY(limit(RLIMIT_FSIZE, limits->memory / 4));
	BULLA_TRY(limit(RLIMIT_MEMLOCK, 65536));
	BULLA_TRY(limit(RLIMIT_MSGQUEUE, 0));
	BULLA_TRY(limit(RLIMIT_SIGPENDING, 256));
	/* not RLIMIT_AS: node reserves address space it never uses. A cgroup counts better than this. */
	return box->events >= 0 ? BULLA_OK : limit(RLIMIT_DATA, limits->memory);
}

static bulla_rc drop_rights(const struct bulla_box *box)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[2] = {0};

	if (setgroups(0, NULL) != 0 && box->root)
		return BULLA_FAIL_OS(BULLA_E_IO, "groups cannot be dropped", errno);
	if (setresgid(box->uid, box->uid, box->uid) != 0 || setresuid(box->uid, box->uid, box->uid) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "the user cannot be changed", errno);
	if (syscall(SYS_capset, &header, none) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "capabilities cannot be dropped", errno);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "the process cannot be protected", errno);
	return BULLA_OK;
}

/* One packet from the enclave; its bytes after the kind. The program ends with the enclave. */
static uint8_t receive(uint8_t *memory, size_t size, bulla_bytes *ret)
{
	bulla_bytes packet = {0};
	size_t count;

	if (bulla_packet_receive(CONTROL, memory, size, &packet, NULL, 0, &count) != BULLA_OK)
		_exit(0);
	*ret = bulla_bytes_of(packet.p + 1, packet.n - 1);
	return packet.p[0];
}

static bulla_rc make_sandbox(const struct bulla_box *box)
{
	uint8_t memory[16];
	bulla_bytes ignored;

	BULLA_TRY(place_descriptors(box));
	if (receive(memory, sizeof(memory), &ignored) != BULLA_SANDBOX_MAP)
		_exit(0);
	setsid();
	BULLA_TRY(mount_tmp(&box->agent->limits));
	BULLA_TRY(mount_bundle(box));
	if (sethostname("agent", 5) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "the host name cannot be set", errno);
	if (box->agent->limits.network != 0)
		BULLA_TRY(raise_lo());
	BULLA_TRY(set_limits(box));
	BULLA_TRY(drop_rights(box));
	if (box->landlock)
		BULLA_TRY(bulla_landlock_restrict());
	return bulla_seccomp_install(box->agent->limits.network != 0);
}

/* Splits zero-ended strings; the last entry becomes NULL. */
static size_t split(char *text, size_t size, char **ret, size_t capacity, size_t count)
{
	for (size_t at = 0, from = 0; at < size && count + 1 < capacity; at++) {
		if (text[at] != 0)
			continue;
		ret[count++] = text + from;
		from = at + 1;
	}
	ret[count] = NULL;
	return count;
}

static void say(const char *text)
{
	bulla_bytes bytes = bulla_bytes_str(text);

	if (write(2, bytes.p, bytes.n) < 0)
		return; /* nobody listens */
}

/* Like execvpe, but along the sandbox's PATH instead of the enclave's. Returns only when it failed. */
static void execute(char **arguments, char **variables)
{
	static const char *const folders[] = {"/usr/local/bin", "/usr/bin", "/bin"};
	char path[BULLA_MAX_AGENT_COMMAND + 32];

	if (strchr(arguments[0], '/') != NULL) {
		execve(arguments[0], arguments, variables);
		return;
	}
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], arguments[0]);
		execve(path, arguments, variables);
		if (errno != ENOENT)
			return;
	}
}

/* The agent itself. */
static _Noreturn void start_agent(const struct bulla_box *box, bulla_bytes environment)
{
	char fixed[] = "PATH=/usr/local/bin:/usr/bin:/bin\0HOME=/tmp\0TMPDIR=/tmp\0LANG=C.UTF-8";
	char command[BULLA_MAX_AGENT_COMMAND + 1];
	char given[BULLA_SANDBOX_ENVIRONMENT];
	char *arguments[ARGUMENTS];
	char *variables[VARIABLES];
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	bulla_copy(command, box->agent->command, box->agent->command_size);
	bulla_copy(given, environment.p, environment.n);
	split(command, box->agent->command_size, arguments, ARGUMENTS, 0);
	split(given, environment.n, variables, VARIABLES, split(fixed, sizeof(fixed), variables, VARIABLES, 0));
	if (chdir("/agent") == 0 && arguments[0] != NULL)
		execute(arguments, variables);
	say(errno == ENOENT ? "bulla: the agent's command is not there\n" : "bulla: the agent's command cannot be run\n");
	_exit(127);
}

/* The agent's process, made ahead: it takes the go itself, and becomes the agent. */
static _Noreturn void become_agent(const struct bulla_box *box)
{
	uint8_t memory[BULLA_SANDBOX_ENVIRONMENT];
	bulla_bytes environment;

	if (receive(memory, sizeof(memory), &environment) != BULLA_SANDBOX_GO)
		_exit(0);
	if (close_range(CONTROL, ~0u, CLOSE_RANGE_CLOEXEC) != 0)
		_exit(1);
	start_agent(box, environment);
}

/* Signals that the zygote ignores would be ignored by the agent, too; a cancel may come before its first instruction. */
static void reset_signals(void)
{
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
}

/* A pipe whose other end the agent's process holds until it has become the agent, or died. */
static void await(int gate)
{
	struct pollfd held = {.fd = gate};

	while (poll(&held, 1, -1) < 0 && errno == EINTR)
		;
	close(gate);
}

static void start(struct running *running)
{
	int gate[2];
	sigset_t child;

	reset_signals();
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	running->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	running->kills = bulla_cgroup_kills(running->box->events >= 0 ? EVENTS : -1);
	if (pipe2(gate, O_CLOEXEC) != 0)
		_exit(1);
	running->agent = fork();
	if (running->agent == 0) {
		close(gate[0]);
		become_agent(running->box);
	}
	if (running->agent < 0)
		say("bulla: the agent's process cannot be made\n");
	close(0);
	close(1);
	close(2);
	close(gate[1]);
	await(gate[0]);
}

static bool passed_memory(const struct running *running, bool failed)
{
	struct rusage usage = {0};

	if (running->box->events >= 0)
		return failed && bulla_cgroup_kills(EVENTS) > running->kills;
	getrusage(RUSAGE_CHILDREN, &usage);
	return failed && (uint64_t)usage.ru_maxrss * 1024 >= running->box->agent->limits.memory / 8 * 7;
}

static _Noreturn void tell_end(const struct running *running, int status)
{
	bool killed = WIFSIGNALED(status);
	uint8_t packet[4] = {BULLA_SANDBOX_EXIT, 0, 0, 0};

	packet[1] = killed ? (uint8_t)WTERMSIG(status) : 0;
	packet[2] = killed ? 0 : (uint8_t)WEXITSTATUS(status);
	packet[3] = passed_memory(running, status != 0);
	bulla_rc rc = bulla_packet_send(CONTROL, BULLA_BYTES_ARRAY(packet), NULL, 0);
	_exit(rc == BULLA_OK ? 0 : 1);
}

static void reap(const struct running *running)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(running->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		;
	for (pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG))
		if (pid == running->agent)
			tell_end(running, status);
}

static void serve_control(const struct running *running)
{
	uint8_t memory[16];
	uint8_t packet[1] = {BULLA_SANDBOX_SOCK};
	bulla_bytes rest;
	int fd;

	switch (receive(memory, sizeof(memory), &rest)) {
	case BULLA_SANDBOX_TERM:
		kill(running->agent, SIGTERM);
		break;
	case BULLA_SANDBOX_SOCK:
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd < 0 || bulla_packet_send(CONTROL, BULLA_BYTES_ARRAY(packet), &fd, 1) != BULLA_OK)
			_exit(1);
		close(fd);
		break;
	default:
		_exit(1);
	}
}

_Noreturn void bulla_box_main(const struct bulla_box *box)
{
	struct running running = {.box = box};
	struct pollfd watched[2] = {{.fd = CONTROL, .events = POLLIN}, {.events = POLLIN}};

	if (make_sandbox(box) != BULLA_OK) {
		unsigned count;

		say("bulla: the sandbox cannot be made: ");
		say(bulla_trail(&count)->what);
		say("\n");
		_exit(1);
	}
	start(&running);
	if (running.agent < 0)
		tell_end(&running, 126 << 8);
	watched[1].fd = running.signals;
	for (;;) {
		if (poll(watched, 2, -1) < 0 && errno != EINTR)
			_exit(1);
		/* the enclave's words first: what is unread when we end would cost it our last one (ECONNRESET) */
		if (watched[0].revents != 0)
			serve_control(&running);
		else if (watched[1].revents != 0)
			reap(&running);
	}
}
