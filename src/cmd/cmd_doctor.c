/* bulla doctor: what this machine lacks for Bulla, before it is missed; what to do about each. A line per check; exit 1 when
 * one fails. Changes nothing. */
#include "cmd/local.h"

#include "crypto/hybrid.h"
#include "io/sys.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define KEY_SLOTS 8192 /* of the broker, who needs most */
#define ROOM_MIB 256   /* segments of two journals, and a day's runs */
#define SKEW_S 120

struct doctor {
	struct cli *cli;
	struct context context;
	unsigned faults;
};

/* What a check found: what is always filled, next when it is a fault. */
struct finding {
	bool good;
	char what[160];
	const char *next;
};

static void found(struct finding *ret, bool good, const char *next, const char *what)
{
	ret->good = good;
	ret->next = next;
	snprintf(ret->what, sizeof(ret->what), "%s", what);
}

static void look_programs(struct doctor *d, struct finding *ret)
{
	static const char *const names[] = {"bulla-platform", "bulla-kms", "bullad", "bulla-enclave"};
	char path[CONTEXT_PATH];

	(void)d;
	found(ret, true, NULL, "beside this one");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (local_program(names[i], path) != BULLA_OK) {
			found(ret, false, "make; install all programs into one folder", "");
			snprintf(ret->what, sizeof(ret->what), "%s is missing", names[i]);
		}
}

/* Locked while this command lives. */
static void look_memory(struct doctor *d, struct finding *ret)
{
	bool good = bulla_secret_slab_init(KEY_SLOTS) == BULLA_OK;

	(void)d;
	found(ret, good, "ulimit -l 8192, or LimitMEMLOCK=8M", good ? "can be locked" : "cannot be locked");
}

/* The first number of a file of /proc; missing: -1. */
static long read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[32] = "";
	long value = -1;

	if (file == NULL)
		return -1;
	if (fgets(line, sizeof(line), file) != NULL && sscanf(line, "%ld", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

static void look_sandboxes(struct doctor *d, struct finding *ret)
{
	(void)d;
	if (geteuid() == 0)
		found(ret, true, NULL, "as root");
	else if (read_number("/proc/sys/user/max_user_namespaces") == 0)
		found(ret, false, "sysctl user.max_user_namespaces=1024", "user namespaces are switched off");
	else if (read_number("/proc/sys/kernel/unprivileged_userns_clone") == 0)
		found(ret, false, "sysctl kernel.unprivileged_userns_clone=1", "user namespaces are for root only");
	else if (read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1)
		found(ret, false, "sysctl kernel.apparmor_restrict_unprivileged_userns=0", "AppArmor forbids user namespaces");
	else
		found(ret, true, NULL, "by user namespaces");
}

static void look_cgroups(struct doctor *d, struct finding *ret)
{
	(void)d;
	if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0)
		found(ret, true, NULL, "version 2");
	else if (access("/sys/fs/cgroup/memory", F_OK) == 0)
		found(ret, true, NULL, "version 1");
	else
		found(ret, true, NULL, "none: agents are held by their own limits only");
}

static void look_libcrypto(struct doctor *d, struct finding *ret)
{
	(void)d;
	found(ret, true, NULL,
		bulla_hybrid_available() ? "suite classic; its ML-KEM is of no use yet" : "suite classic; without ML-KEM (3.5 has it)");
}

/* The nearest folder above the state that exists. */
static void look_disk(struct doctor *d, struct finding *ret)
{
	char path[CONTEXT_PATH];
	struct statvfs fs;
	char *slash;
	unsigned long long room;

	snprintf(path, sizeof(path), "%s", d->context.state);
	while (access(path, F_OK) != 0 && (slash = strrchr(path, '/')) != NULL && slash != path)
		*slash = '\0';
	if (statvfs(path, &fs) != 0) {
		found(ret, false, "make the state folder's file system readable", "its room cannot be seen");
		return;
	}
	room = (unsigned long long)fs.f_bavail * fs.f_frsize >> 20;
	found(ret, room >= ROOM_MIB, "free space, or another XDG_STATE_HOME", "");
	snprintf(ret->what, sizeof(ret->what), "%llu MiB free for state, %d wanted", room, ROOM_MIB);
}

/* A file of the past is a poor clock, but it is there. */
static void look_clock(struct doctor *d, struct finding *ret)
{
	char path[CONTEXT_PATH];
	struct stat status;
	int64_t now_s = bulla_wall_ms(bulla_sys_clock()) / 1000;

	path_join(path, d->context.dir, "bulla.yaml");
	if (stat(path, &status) == 0 && status.st_mtime > now_s + SKEW_S) {
		found(ret, false, "timedatectl set-ntp true", "");
		snprintf(ret->what, sizeof(ret->what), "bulla.yaml is %lld min in its future", (long long)(status.st_mtime - now_s) / 60);
		return;
	}
	found(ret, true, NULL, "not before bulla.yaml");
}

static void look_port(struct doctor *d, struct finding *ret)
{
	bool taken = local_port_is_taken(&d->context);

	found(ret, !taken, "stop what has it (ss -ltnp), or another `broker: {port: N}`", taken ? "" :
		d->context.project.broker_port == 0 ? "none is wanted" : "ours or free");
	if (taken)
		snprintf(ret->what, sizeof(ret->what), "127.0.0.1:%u is used by another program", d->context.project.broker_port);
}

static const struct {
	const char *name;
	bool in_project;
	void (*look)(struct doctor *d, struct finding *ret);
} checks[] = {
	{"programs", false, look_programs}, {"memory for keys", false, look_memory}, {"sandboxes", false, look_sandboxes},
	{"cgroups", false, look_cgroups}, {"libcrypto", false, look_libcrypto},
	{"disk", true, look_disk}, {"clock", true, look_clock}, {"port", true, look_port},
};

static void print(struct doctor *d, const char *name, const struct finding *finding)
{
	d->faults += finding->good ? 0 : 1;
	if (!d->cli->json) {
		printf("%-5s %s: %s\n", finding->good ? "ok" : "fail", name, finding->what);
		if (!finding->good)
			printf("next: %s\n", finding->next);
		return;
	}
	printf("{\"v\":1,\"t\":\"check\",\"id\":\"%s\",\"state\":\"%s\",\"what\":", name, finding->good ? "held" : "failed");
	json_string(finding->what);
	printf(",\"next\":");
	json_string(finding->good ? "" : finding->next);
	printf("}\n");
}

static void look_all(struct doctor *d, bool in_project)
{
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct finding finding = {.good = false};

		if (checks[i].in_project != in_project)
			continue;
		checks[i].look(d, &finding);
		print(d, checks[i].name, &finding);
	}
}

int cmd_doctor(struct cli *cli)
{
	struct doctor d = {.cli = cli};
	int code;

	if (cli->tee != NULL && strcmp(cli->tee, "dev") != 0) {
		say_error(cli, "unsupported", NULL, "bulla doctor", "`--tee %.20s` is not built yet; `dev` is", cli->tee);
		return EXIT_USAGE;
	}
	look_all(&d, false);
	code = d.faults == 0 ? context_open(&d.context, cli) : 0;
	if (code == 0 && d.faults == 0)
		look_all(&d, true);
	context_done(&d.context);
	if (code == 0 && d.faults == 0)
		say(cli, "this machine will do.  next: bulla up");
	return code != 0 ? code : d.faults > 0 ? EXIT_FAILED : EXIT_DONE;
}
