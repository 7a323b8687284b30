/* cgroups of the sandboxes. Version 2: one group each, cloned into. Version 1, where the machine still has it: one group
 * for all of the zygote's, entered once and inherited, as moving a process there costs up to 16 ms; each sandbox is then
 * limited by rlimits. Else rlimits alone. */
#include "agent/zygote_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_FOLDER (O_PATH | O_DIRECTORY | O_CLOEXEC)

static int make_folder(int parent, const char *name)
{
	if (mkdirat(parent, name, 0755) != 0 && faccessat(parent, name, F_OK, 0) != 0)
		return -1;
	return openat(parent, name, OPEN_FOLDER);
}

/* Groups of zygotes that were killed: only empty ones go. */
static void sweep(int parent)
{
	int fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	char slot[300];

	for (struct dirent *entry = folder == NULL ? NULL : readdir(folder); entry != NULL; entry = readdir(folder)) {
		long pid = strncmp(entry->d_name, "bulla-", 6) == 0 ? strtol(entry->d_name + 6, NULL, 10) : 0;

		if (pid <= 0 || pid > INT32_MAX || kill((pid_t)pid, 0) == 0)
			continue;
		for (uint32_t i = 0; i < BULLA_MAX_AGENT_SANDBOXES; i++) {
			snprintf(slot, sizeof(slot), "%s/%u", entry->d_name, i);
			unlinkat(parent, slot, AT_REMOVEDIR);
		}
		unlinkat(parent, entry->d_name, AT_REMOVEDIR);
	}
	if (folder != NULL)
		closedir(folder);
}

static int ours_in(const char *root)
{
	char name[32];
	int parent = open(root, OPEN_FOLDER);
	int folder;

	if (parent < 0)
		return -1;
	sweep(parent);
	snprintf(name, sizeof(name), "bulla-%d", (int)getpid());
	folder = make_folder(parent, name);
	close(parent);
	return folder;
}

/* Reads a small file into text; false when it is not there. */
static bool read_text(int folder, const char *name, char *ret, size_t size)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, ret, size - 1);
	close(fd);
	if (n < 0)
		return false;
	ret[n] = 0;
	return true;
}

static bool write_text(int folder, const char *name, const char *text)
{
	return bulla_root_write(folder, name, O_WRONLY, 0, bulla_bytes_str(text)) == BULLA_OK;
}

static bool open_v2(struct bulla_cgroups *ret)
{
	char controllers[256];
	int root = open("/sys/fs/cgroup", OPEN_FOLDER);
	bool good = root >= 0 && read_text(root, "cgroup.controllers", controllers, sizeof(controllers)) &&
		strstr(controllers, "memory") != NULL && strstr(controllers, "pids") != NULL &&
		write_text(root, "cgroup.subtree_control", "+memory +pids");

	if (root >= 0)
		close(root);
	if (!good)
		return false;
	ret->memory = ours_in("/sys/fs/cgroup");
	ret->pids = ret->memory;
	ret->version = ret->memory >= 0 && write_text(ret->memory, "cgroup.subtree_control", "+memory +pids") ? 2 : 0;
	return ret->version == 2;
}

void bulla_cgroups_open(struct bulla_cgroups *ret)
{
	*ret = (struct bulla_cgroups){.memory = -1, .pids = -1};
	if (geteuid() != 0 || open_v2(ret))
		return;
	ret->memory = ours_in("/sys/fs/cgroup/memory");
	ret->pids = ours_in("/sys/fs/cgroup/pids");
	if (ret->memory >= 0 && ret->pids >= 0)
		ret->version = 1;
}

static bool set_limits(int version, int memory, int pids, uint64_t bytes, uint32_t processes)
{
	char limit[24];
	char count[24];

	snprintf(limit, sizeof(limit), "%llu", (unsigned long long)bytes);
	snprintf(count, sizeof(count), "%u", processes);
	return write_text(memory, version == 2 ? "memory.max" : "memory.limit_in_bytes", limit) &&
		write_text(pids, "pids.max", count);
}

bulla_rc bulla_cgroups_slot(const struct bulla_cgroups *groups, uint32_t slot,
	const struct bulla_sandbox_limits *limits, struct bulla_cgroup_slot *ret)
{
	char name[16];
	int folder;
	bool good;

	*ret = (struct bulla_cgroup_slot){-1, -1};
	if (groups->version != 2)
		return BULLA_OK;
	snprintf(name, sizeof(name), "%u", slot);
	folder = make_folder(groups->memory, name);
	good = folder >= 0 && set_limits(2, folder, folder, limits->memory, limits->processes + 1);
	if (good) {
		ret->events = openat(folder, "memory.events", O_RDONLY | O_CLOEXEC);
		ret->into = openat(groups->memory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (folder >= 0)
		close(folder);
	return good ? BULLA_OK : BULLA_FAIL(BULLA_E_IO, "a cgroup cannot be made");
}

bool bulla_cgroups_join(const struct bulla_cgroups *groups, uint64_t bytes, uint32_t processes)
{
	char pid[16];

	if (groups->version != 1)
		return true;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	return set_limits(1, groups->memory, groups->pids, bytes, processes) &&
		write_text(groups->memory, "cgroup.procs", pid) && write_text(groups->pids, "cgroup.procs", pid);
}

/* A group cannot go while its processes are in it: back to the root first. */
static void leave(const struct bulla_cgroups *groups)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (!write_text(groups->memory, "../cgroup.procs", pid) || !write_text(groups->pids, "../cgroup.procs", pid))
		return; /* the groups stay, empty */
}

static void remove_in(int folder, uint32_t slots)
{
	char name[32];

	for (uint32_t i = 0; i < slots; i++) {
		snprintf(name, sizeof(name), "%u", i);
		unlinkat(folder, name, AT_REMOVEDIR);
	}
	snprintf(name, sizeof(name), "../bulla-%d", (int)getpid());
	unlinkat(folder, name, AT_REMOVEDIR);
}

void bulla_cgroups_remove(const struct bulla_cgroups *groups, uint32_t slots)
{
	if (groups->version == 0)
		return;
	if (groups->version == 1)
		leave(groups);
	remove_in(groups->memory, slots);
	if (groups->version == 1)
		remove_in(groups->pids, slots);
}

uint64_t bulla_cgroup_kills(int events)
{
	char text[256];
	const char *at;
	uint64_t kills = 0;
	ssize_t n = events < 0 ? -1 : pread(events, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = 0;
	at = strstr(text, "oom_kill ");
	for (at = at == NULL ? "" : at + 9; *at >= '0' && *at <= '9'; at++)
		kills = kills * 10 + (uint64_t)(*at - '0');
	return kills;
}
