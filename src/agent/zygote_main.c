/* The zygote process: takes agents and bundles, then makes sandboxes. */
#include "agent/zygote_internal.h"

#include "base/mem.h"
#include "base/rd.h"
#include "base/wr.h"
#include "io/addr.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SPACES (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

struct nursery {
	int fd;
	int proc;
	bool userns_outside; /* made without root: sandboxes' user 1000 is our only user */
	bool userns;         /* sandboxes get user namespaces */
	uint32_t users;      /* outside: the sandbox in slot n is user n + this */
	bool landlock;
	bool sealed;
	struct bulla_cgroups cgroups;
	uint32_t agent_count;
	struct bulla_nursery_agent *agents[BULLA_MAX_AGENTS];
	int slots[BULLA_MAX_AGENT_SANDBOXES]; /* pid_fd of the sandbox there, or -1 */
	int nets[BULLA_MAX_AGENT_SANDBOXES];  /* network namespace of the slot, or -1 */
	uint8_t packet[BULLA_ZYGOTE_PACKET];
};

/* Both ends of the agent's three streams and of its control socket: [i][0] is the sandbox's, [i][1] the enclave's. */
struct streams {
	int fd[4][2];
};

static pid_t clone_process(uint64_t flags, int into, int *ret_pid_fd)
{
	struct clone_args arguments = {
		.flags = flags | CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)ret_pid_fd, .exit_signal = SIGCHLD};

	if (into >= 0) {
		arguments.flags |= CLONE_INTO_CGROUP;
		arguments.cgroup = (uint32_t)into;
	}
	return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

/* Can root make user namespaces here? */
static bool try_userns(void)
{
	int pid_fd = -1;
	pid_t pid = clone_process(CLONE_NEWUSER, -1, &pid_fd);

	if (pid == 0)
		_exit(0);
	bulla_addr_close(pid_fd);
	return pid > 0;
}

/* First of this zygote's users outside. */
static uint32_t choose_users(void)
{
	uint32_t n = 0;
	bool good = getrandom(&n, sizeof(n), 0) == (ssize_t)sizeof(n);
	uint32_t first = BULLA_SANDBOX_OUTER_UID + n % (1u << 24) * BULLA_MAX_AGENT_SANDBOXES;

	setfsuid(first); /* tells by the next call's answer whether there is such a user here */
	return (uint32_t)setfsuid(geteuid()) == first && good ? first : BULLA_SANDBOX_OUTER_UID_SHARED;
}

static bulla_rc take_agent(struct nursery *nursery, bulla_rd *r)
{
	struct bulla_sandbox_limits limits;
	struct bulla_nursery_agent *agent;
	char path[32];
	uint32_t id;
	void *memory;

	BULLA_TRY(bulla_rd_u32le(r, &id));
	BULLA_TRY(bulla_rd_u64le(r, &limits.memory));
	BULLA_TRY(bulla_rd_u32le(r, &limits.processes));
	BULLA_TRY(bulla_rd_u32le(r, &limits.network));
	BULLA_TRY(bulla_rd_u32le(r, &limits.sandboxes));
	if (id >= BULLA_MAX_AGENTS || nursery->agents[id] != NULL || nursery->sealed ||
		bulla_rd_left(r) > BULLA_MAX_AGENT_COMMAND)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "an agent cannot be announced like that");
	BULLA_TRY(bulla_alloc(1, sizeof(*agent), &memory));
	agent = memory;
	agent->limits = limits;
	agent->command_size = (uint32_t)bulla_rd_left(r);
	BULLA_TRY(bulla_rd_copy(r, agent->command_size, (uint8_t *)agent->command));
	nursery->agents[id] = agent;
	nursery->agent_count++;
	snprintf(path, sizeof(path), "/bundles/%u", id);
	return mkdir(path, 0755) == 0 ? BULLA_OK : BULLA_FAIL_OS(BULLA_E_IO, "a bundle's folder cannot be made", errno);
}

/* Makes the folders above the file. The path was checked by the sender's side and is checked again by the kernel: the
 * root holds nothing else. */
static bulla_rc make_folders(char *path)
{
	for (char *at = path + sizeof("/bundles/") - 1; *at != 0; at++) {
		if (*at != '/')
			continue;
		*at = 0;
		if (mkdir(path, 0755) != 0 && errno != EEXIST)
			return BULLA_FAIL_OS(BULLA_E_IO, "a folder of a bundle cannot be made", errno);
		*at = '/';
	}
	return BULLA_OK;
}

/* No element that is empty, "." or ".."; no zero byte. */
static bool path_is_plain(bulla_bytes path)
{
	size_t from = 0;

	for (size_t i = 0; i <= path.n; i++) {
		size_t size = i - from;

		if (i < path.n && path.p[i] == 0)
			return false;
		if (i < path.n && path.p[i] != '/')
			continue;
		if (size == 0 || (path.p[from] == '.' && (size == 1 || (size == 2 && path.p[from + 1] == '.'))))
			return false;
		from = i + 1;
	}
	return true;
}

static bulla_rc take_file(const struct nursery *nursery, bulla_rd *r)
{
	char name[BULLA_ZYGOTE_PATH + 32];
	bulla_bytes path, content;
	uint32_t id;
	uint16_t size;
	uint8_t executable, first;
	int n;

	BULLA_TRY(bulla_rd_u32le(r, &id));
	BULLA_TRY(bulla_rd_u8(r, &executable));
	BULLA_TRY(bulla_rd_u8(r, &first));
	BULLA_TRY(bulla_rd_u16le(r, &size));
	BULLA_TRY(bulla_rd_bytes(r, size, &path));
	BULLA_TRY(bulla_rd_bytes(r, bulla_rd_left(r), &content));
	if (id >= BULLA_MAX_AGENTS || nursery->agents[id] == NULL || nursery->sealed || size > BULLA_ZYGOTE_PATH ||
		!path_is_plain(path))
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a bundle's file cannot be like that");
	n = snprintf(name, sizeof(name), "/bundles/%u/", id);
	bulla_copy(name + n, path.p, path.n);
	name[(size_t)n + path.n] = 0;
	BULLA_TRY(make_folders(name));
	return bulla_root_write(AT_FDCWD, name, O_WRONLY | (first != 0 ? O_CREAT | O_EXCL : O_APPEND),
		executable != 0 ? 0755 : 0644, content);
}

/* A slot whose sandbox is dead or never was; BULLA_E_BUSY when there is none. */
static bulla_rc find_slot(struct nursery *nursery, uint32_t *ret)
{
	for (uint32_t i = 0; i < BULLA_MAX_AGENT_SANDBOXES; i++) {
		struct pollfd dead = {.fd = nursery->slots[i], .events = POLLIN};

		if (nursery->slots[i] >= 0 && poll(&dead, 1, 0) != 1)
			continue;
		bulla_addr_close(nursery->slots[i]);
		nursery->slots[i] = -1;
		*ret = i;
		return BULLA_OK;
	}
	return BULLA_E_BUSY;
}

static void close_streams(struct streams *streams, int side)
{
	for (int i = 0; i < 4; i++) {
		bulla_addr_close(streams->fd[i][side]);
		streams->fd[i][side] = -1;
	}
}

static bulla_rc open_streams(struct streams *ret)
{
	int pair[2];

	*ret = (struct streams){{{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}}};
	for (int i = 0; i < 4; i++) {
		int mine = i == 0 ? 1 : 0; /* of a pipe: the enclave writes stdin and reads the rest */

		if ((i < 3 ? pipe2(pair, O_CLOEXEC) : socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) != 0)
			return BULLA_FAIL_OS(BULLA_E_IO, "a sandbox's stream cannot be made", errno);
		ret->fd[i][1] = pair[mine];
		ret->fd[i][0] = pair[1 - mine];
		if (fcntl(pair[mine], F_SETFL, O_NONBLOCK) != 0)
			return BULLA_FAIL_OS(BULLA_E_IO, "a stream cannot be set", errno);
	}
	return BULLA_OK;
}

static bulla_rc write_map(const struct nursery *nursery, pid_t pid, const char *file, uint32_t outside)
{
	char path[32];
	char line[48];

	snprintf(path, sizeof(path), "%d/%s", (int)pid, file);
	snprintf(line, sizeof(line), "%u %u 1", BULLA_SANDBOX_UID, outside);
	return bulla_root_write(nursery->proc, path, O_WRONLY, 0, bulla_bytes_str(line));
}

static bulla_rc admit(const struct nursery *nursery, pid_t pid, uint32_t slot, int control)
{
	const uint8_t packet[1] = {BULLA_SANDBOX_MAP};
	uint32_t outside = nursery->userns_outside ? 0 : nursery->users + slot;

	if (nursery->userns) {
		BULLA_TRY(write_map(nursery, pid, "uid_map", outside));
		BULLA_TRY(write_map(nursery, pid, "gid_map", outside));
	}
	return bulla_packet_send(control, BULLA_BYTES_ARRAY(packet), NULL, 0);
}

/* Agents without a network get the slot's empty network namespace, one after the other: everything in it has died with the
 * one before, and making one costs half of a sandbox. It is ours: inside they have no rights over it. False: a fresh one. */
static bool enter_net(struct nursery *nursery, uint32_t slot)
{
	if (nursery->nets[slot] >= 0)
		return setns(nursery->nets[slot], CLONE_NEWNET) == 0;
	if (unshare(CLONE_NEWNET) != 0)
		return false;
	nursery->nets[slot] = openat(nursery->proc, "self/ns/net", O_RDONLY | O_CLOEXEC);
	return nursery->nets[slot] >= 0;
}

static uint64_t spaces_of(struct nursery *nursery, uint32_t slot, const struct bulla_sandbox_limits *limits)
{
	bool shared = limits->network == 0 && enter_net(nursery, slot);

	return SPACES | (shared ? 0 : CLONE_NEWNET) | (nursery->userns ? CLONE_NEWUSER : 0);
}

static bulla_rc start_box(struct nursery *nursery, uint32_t id, uint32_t slot, struct streams *streams, pid_t *ret_pid)
{
	struct bulla_cgroup_slot cgroup = {-1, -1};
	struct bulla_box box = {.id = id, .cover = nursery->agent_count > 1, .landlock = nursery->landlock,
		.root = !nursery->userns_outside, .agent = nursery->agents[id],
		.uid = nursery->userns ? BULLA_SANDBOX_UID : nursery->users + slot,
		.in = streams->fd[0][0], .out = streams->fd[1][0], .err = streams->fd[2][0], .control = streams->fd[3][0]};
	int pid_fd = -1;

	if (bulla_cgroups_slot(&nursery->cgroups, slot, &box.agent->limits, &cgroup) != BULLA_OK)
		nursery->cgroups.version = 0; /* rlimits then; the features say so */
	box.events = cgroup.events;
	*ret_pid = clone_process(spaces_of(nursery, slot, &box.agent->limits), cgroup.into, &pid_fd);
	if (*ret_pid == 0)
		bulla_box_main(&box);
	bulla_addr_close(cgroup.events);
	bulla_addr_close(cgroup.into);
	if (*ret_pid < 0)
		return BULLA_FAIL_OS(BULLA_E_UNSUPPORTED, "a sandbox's process cannot be made", errno);
	nursery->slots[slot] = pid_fd;
	if (admit(nursery, *ret_pid, slot, streams->fd[3][1]) == BULLA_OK)
		return BULLA_OK;
	syscall(SYS_pidfd_send_signal, pid_fd, SIGKILL, NULL, 0);
	return BULLA_FAIL(BULLA_E_IO, "a sandbox cannot be admitted");
}

static void answer(const struct nursery *nursery, uint8_t kind, bulla_rc rc, uint32_t a, uint32_t b, const int *fds,
	size_t count)
{
	uint8_t memory[16];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes packet;

	bulla_wr_u8(&w, kind);
	bulla_wr_u16le(&w, (uint16_t)rc);
	bulla_wr_u32le(&w, a);
	bulla_wr_u32le(&w, b);
	if (bulla_wr_end(&w, &packet) != BULLA_OK || bulla_packet_send(nursery->fd, packet, fds, count) != BULLA_OK)
		_exit(1); /* the enclave is gone */
}

static void spawn(struct nursery *nursery, bulla_rd *r)
{
	struct streams streams = {{{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}}};
	uint32_t id = 0;
	uint32_t slot = 0;
	pid_t pid = 0;
	bulla_rc rc = bulla_rd_u32le(r, &id);

	if (rc == BULLA_OK && (id >= BULLA_MAX_AGENTS || nursery->agents[id] == NULL || !nursery->sealed))
		rc = BULLA_E_ARGUMENT;
	if (rc == BULLA_OK)
		rc = find_slot(nursery, &slot);
	if (rc == BULLA_OK)
		rc = open_streams(&streams);
	if (rc == BULLA_OK)
		rc = start_box(nursery, id, slot, &streams, &pid);
	close_streams(&streams, 0);
	if (rc == BULLA_OK) {
		const int fds[BULLA_SANDBOX_FDS] = {
			nursery->slots[slot], streams.fd[3][1], streams.fd[0][1], streams.fd[1][1], streams.fd[2][1]};

		answer(nursery, BULLA_ZYGOTE_SPAWN, rc, (uint32_t)pid, slot, fds, BULLA_SANDBOX_FDS);
	} else {
		answer(nursery, BULLA_ZYGOTE_SPAWN, rc, 0, 0, NULL, 0);
	}
	close_streams(&streams, 1);
}

/* All sandboxes together: each agent's share for those that run and the one being made, and a little for this process. */
static bool join_cgroup(const struct nursery *nursery)
{
	uint64_t bytes = 32 << 20;
	uint32_t processes = 16;

	for (uint32_t i = 0; i < BULLA_MAX_AGENTS; i++) {
		const struct bulla_nursery_agent *agent = nursery->agents[i];
		uint32_t sandboxes = agent == NULL ? 0 : agent->limits.sandboxes + 1;

		bytes += agent == NULL ? 0 : agent->limits.memory * sandboxes;
		processes += agent == NULL ? 0 : (agent->limits.processes + 1) * sandboxes;
	}
	return bulla_cgroups_join(&nursery->cgroups, bytes, processes);
}

static uint32_t features_of(const struct nursery *nursery)
{
	static const uint32_t of_version[] = {0, BULLA_SANDBOX_CGROUP_SHARED, BULLA_SANDBOX_CGROUP};

	return (nursery->userns ? BULLA_SANDBOX_USERNS : 0) | (nursery->landlock ? BULLA_SANDBOX_LANDLOCK : 0) |
		of_version[nursery->cgroups.version];
}

static void seal(struct nursery *nursery)
{
	bulla_rc rc = bulla_root_seal();

	if (!join_cgroup(nursery))
		nursery->cgroups.version = 0;
	nursery->sealed = rc == BULLA_OK;
	answer(nursery, BULLA_ZYGOTE_SEAL, rc, features_of(nursery), 0, NULL, 0);
}

/* The enclave is gone: so is everything here. */
static _Noreturn void end(const struct nursery *nursery)
{
	for (uint32_t i = 0; i < BULLA_MAX_AGENT_SANDBOXES; i++) {
		struct pollfd dead = {.fd = nursery->slots[i], .events = POLLIN};

		if (nursery->slots[i] < 0)
			continue;
		syscall(SYS_pidfd_send_signal, nursery->slots[i], SIGKILL, NULL, 0);
		poll(&dead, 1, 1000);
	}
	bulla_cgroups_remove(&nursery->cgroups, BULLA_MAX_AGENT_SANDBOXES);
	_exit(0);
}

static void serve(struct nursery *nursery)
{
	bulla_bytes packet = {0};
	bulla_rd r;
	uint8_t kind = 0;
	size_t count;

	if (bulla_packet_receive(nursery->fd, nursery->packet, sizeof(nursery->packet), &packet, NULL, 0, &count) != BULLA_OK)
		end(nursery);
	r = bulla_rd_of(packet);
	if (bulla_rd_u8(&r, &kind) != BULLA_OK)
		end(nursery);
	if (kind == BULLA_ZYGOTE_AGENT)
		answer(nursery, kind, take_agent(nursery, &r), 0, 0, NULL, 0);
	else if (kind == BULLA_ZYGOTE_FILE)
		answer(nursery, kind, take_file(nursery, &r), 0, 0, NULL, 0);
	else if (kind == BULLA_ZYGOTE_SEAL)
		seal(nursery);
	else if (kind == BULLA_ZYGOTE_SPAWN)
		spawn(nursery, &r);
	else
		end(nursery);
}

_Noreturn void bulla_nursery_main(int fd)
{
	struct nursery *nursery = NULL;
	void *memory = NULL;
	bulla_rc rc = bulla_alloc(1, sizeof(*nursery), &memory);

	if (rc != BULLA_OK)
		_exit(1);
	nursery = memory;
	nursery->fd = fd;
	for (uint32_t i = 0; i < BULLA_MAX_AGENT_SANDBOXES; i++)
		nursery->slots[i] = nursery->nets[i] = -1;
	prctl(PR_SET_NAME, "bulla-zygote");
	signal(SIGCHLD, SIG_IGN); /* sandboxes need no burial: their descriptors tell */
	signal(SIGINT, SIG_IGN);  /* it ends with its enclave, not with a key press */
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	bulla_cgroups_open(&nursery->cgroups);
	rc = bulla_root_make(&nursery->proc, &nursery->userns_outside);
	nursery->userns = nursery->userns_outside || try_userns();
	nursery->users = choose_users();
	nursery->landlock = bulla_landlock_present();
	answer(nursery, BULLA_ZYGOTE_HELLO, rc, 0, 0, NULL, 0);
	if (rc != BULLA_OK)
		_exit(1);
	for (;;)
		serve(nursery);
}
