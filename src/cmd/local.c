#define _GNU_SOURCE
#include "cmd/local.h"

#include "cmd/names.h"
#include "io/addr.h"
#include "io/sys.h"
#include "platform/platform.h"
#include "wire/messages.h"
#include "wire/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STEP_MS 5
#define REVOKED_MS 3000
#define BROKER_MS 15000
#define RESTART_MS 3000
#define TELL_MS 5000
#define PORT_MS 1500 /* who stops frees its port sooner */
#define RUNTIME_MAX 76 /* and the longest name of a socket there: 107 bytes are what sockaddr_un takes */
#define ROOM_BYTES ((uint64_t)68 << 20)

static void pause_ms(long ms)
{
	const struct timespec time = {.tv_nsec = ms * 1000000};

	nanosleep(&time, NULL);
}

static int64_t now_ms(void)
{
	return bulla_mono_us(bulla_sys_clock()) / 1000;
}

bulla_rc local_program(const char *name, char ret[CONTEXT_PATH])
{
	char self[CONTEXT_PATH];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n <= 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "the folder of this program cannot be found", errno);
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (slash != NULL)
		*slash = '\0';
	path_join(ret, self, name);
	return access(ret, X_OK) == 0 ? BULLA_OK : BULLA_FAIL(BULLA_E_NOT_FOUND, "a program of Bulla is missing");
}

/* In the new process. It leaves the terminal and writes its log into the state folder. */
_Noreturn static void become_platform(const char *program, const struct context *context, const char *programs)
{
	char log[CONTEXT_PATH], owner[2 * sizeof(bulla_digest) + 1];
	bulla_wr w = bulla_wr_fixed((uint8_t *)owner, sizeof(owner));
	int out, null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	setsid();
	bulla_text_wr_hex(&w, bulla_bytes_digest(bulla_sign_key_kid(context->key.sign)));
	owner[w.n] = '\0';
	path_join(log, context->state, "platform/log");
	out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (out < 0 || null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(127);
	close_range(3, ~0U, 0);
	execl(program, program, "--state", context->state, "--run", context->runtime, "--bin", programs, "--owner", owner,
		(char *)NULL);
	_exit(127);
}

int local_start_platform(struct context *context)
{
	char program[CONTEXT_PATH], programs[CONTEXT_PATH], folder[CONTEXT_PATH];
	pid_t running = 0, pid;
	bulla_rc rc;

	if (strlen(context->runtime) > RUNTIME_MAX) {
		say_error(context->cli, "limit", context->runtime, "set XDG_RUNTIME_DIR to a shorter one, /run/user/UID or a folder of yours in /tmp",
			"the path of the folder for sockets is longer than %d bytes: no socket can have its name", RUNTIME_MAX);
		return EXIT_USAGE;
	}
	path_join(folder, context->state, "platform");
	rc = bulla_sys_make_folders(folder);
	rc = rc == BULLA_OK ? local_program("bulla-platform", program) : rc;
	rc = rc == BULLA_OK ? bulla_platform_find(context->state, &running) : rc;
	if (rc != BULLA_OK)
		return say_rc(context->cli, rc, folder, "make");
	if (running > 0)
		return 0;
	bulla_copy(programs, program, sizeof(programs));
	*strrchr(programs, '/') = '\0';
	pid = fork();
	if (pid == 0)
		become_platform(program, context, programs);
	if (pid < 0)
		return say_rc(context->cli, BULLA_FAIL_OS(BULLA_E_IO, "the supervisor cannot be started", errno), program, NULL);
	context->supervisor = pid;
	return 0;
}

/* The one that we started is gone, and no other one runs (of two `bulla up` at once one starts it). */
static bool supervisor_ended(struct context *context)
{
	pid_t running = 0;

	if (context->supervisor == 0 || waitpid(context->supervisor, NULL, WNOHANG) != context->supervisor)
		return false;
	context->supervisor = 0;
	return bulla_platform_find(context->state, &running) == BULLA_OK && running == 0;
}

static int say_supervisor_ended(const struct context *context)
{
	char log[CONTEXT_PATH];

	path_join(log, context->state, "platform/log");
	say_error(context->cli, "supervisor-ended", log, "look into that log; where a file is damaged, put the folder back from its copy",
		"the supervisor of `%s` ended as soon as it was started", context->project.name);
	return EXIT_REFUSED;
}

bool local_says_disk_full(const struct context *context)
{
	struct statvfs fs;

	if (statvfs(context->state, &fs) != 0 || (uint64_t)fs.f_bavail * fs.f_frsize >= ROOM_BYTES)
		return false;
	say_error(context->cli, "disk-full", context->state, "free space; what waits goes on by itself",
		"no space for the state of `%s`; nothing is lost", context->project.name);
	return true;
}

bool local_port_is_taken(const struct context *context)
{
	char address[32], path[CONTEXT_PATH];
	struct bulla_addr addr;
	struct client *client = NULL;
	int fd = -1;
	bulla_rc rc;

	if (context->project.broker_port == 0)
		return false;
	path_join(path, context->runtime, "broker.sock");
	rc = client_open(path, &client);
	client_close(client);
	if (rc == BULLA_OK)
		return false;
	snprintf(address, sizeof(address), "127.0.0.1:%u", context->project.broker_port);
	rc = bulla_addr_parse(bulla_bytes_str(address), &addr);
	rc = rc == BULLA_OK ? bulla_addr_listen(&addr, 0600, &fd) : rc;
	bulla_addr_close(fd);
	return rc == BULLA_E_PORT_BUSY;
}

static bool says_port_taken(const struct context *context)
{
	unsigned port = context->project.broker_port;
	char where[64], next[120];

	if (!local_port_is_taken(context))
		return false;
	snprintf(where, sizeof(where), "bulla.yaml, broker: {port: %u}", port);
	snprintf(next, sizeof(next), "stop it (ss -ltnp 'sport = :%u' names it), or another `broker: {port: N}`; bulla up", port);
	say_error(context->cli, "port-busy", where, next, "127.0.0.1:%u is used by another program", port);
	return true;
}

/* Why there is no broker. */
static int say_no_broker(const struct context *context, const struct ended *ended, bool supervisor_gone, bulla_rc why, bulla_rc rc)
{
	char log[CONTEXT_PATH];

	if (local_says_disk_full(context) || says_port_taken(context))
		return EXIT_AGAIN;
	if (why != BULLA_OK)
		return ended_say(ended, context, why);
	if (supervisor_gone)
		return say_supervisor_ended(context);
	path_join(log, context->state, "broker/log");
	return say_rc(context->cli, rc, log, "look into that log; then bulla down, bulla up");
}

/* Does it listen, and has it written who it is? */
static bulla_rc ask_broker(const struct context *context, struct broker_info *ret)
{
	char path[CONTEXT_PATH];
	struct client *client = NULL;

	path_join(path, context->runtime, "broker.sock");
	BULLA_TRY(client_open(path, &client));
	client_close(client);
	return broker_info_read(context->state, ret);
}

/* Who waits longer waits in vain: it ended, or after a while another program still has its port. */
static bool is_hopeless(struct context *context, const struct ended *ended, int64_t until, bulla_rc *ret_why)
{
	return ended_look(ended, ret_why) || (until - now_ms() < BROKER_MS - PORT_MS && local_port_is_taken(context));
}

int local_wait_broker(struct context *context, const struct ended *ended, struct broker_info *ret)
{
	int64_t until = now_ms() + BROKER_MS;
	bulla_rc rc, why = BULLA_OK;
	bool ended_too;

	do {
		ended_too = supervisor_ended(context); /* looked at first: what it started may have answered just before */
		rc = ask_broker(context, ret);
		if (rc == BULLA_OK)
			return 0;
		pause_ms(STEP_MS);
	} while (!ended_too && !is_hopeless(context, ended, until, &why) && now_ms() < until);
	return say_no_broker(context, ended, ended_too, why, rc);
}

bulla_rc local_signal_platform(const struct context *context, int number)
{
	int64_t until = now_ms() + 2000;
	pid_t pid = 0;

	BULLA_TRY(bulla_platform_find(context->state, &pid));
	while (pid == 0 && now_ms() < until) { /* it has just been started and does not hold its lock yet */
		pause_ms(STEP_MS);
		BULLA_TRY(bulla_platform_find(context->state, &pid));
	}
	if (pid <= 0 || kill(pid, number) != 0)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "the supervisor does not run");
	return BULLA_OK;
}

bulla_rc local_connect(const char *path, int64_t wait_ms, struct client **ret)
{
	int64_t until = now_ms() + wait_ms;
	bulla_rc rc;

	for (;;) {
		rc = client_open(path, ret);
		if (rc == BULLA_OK || now_ms() >= until)
			return rc;
		pause_ms(STEP_MS);
	}
}

bulla_rc local_tell_broker(const struct context *context, enum bulla_op_number op, bulla_bytes body)
{
	char path[CONTEXT_PATH];
	struct client *client = NULL;
	BULLA_AUTO_BUF answer;
	bulla_rc rc;

	bulla_buf_init(&answer, 4096);
	path_join(path, context->runtime, "broker.sock");
	BULLA_TRY(local_connect(path, 0, &client));
	rc = client_call(client, op, body, NULL, TELL_MS, &answer);
	client_close(client);
	return rc;
}

int local_engine(struct context *context, struct client **ret)
{
	char path[CONTEXT_PATH];
	pid_t pid = 0;
	bulla_rc rc = bulla_platform_find(context->state, &pid);

	path_join(path, context->runtime, "bullad.sock");
	rc = rc == BULLA_OK ? local_connect(path, pid == 0 ? 0 : RESTART_MS, ret) : rc; /* it may just be restarting */
	if (rc == BULLA_OK)
		return 0;
	if (pid != 0 && local_says_disk_full(context))
		return EXIT_AGAIN;
	say_error(context->cli, "engine-unreachable", path, "bulla up", "the engine of `%s` does not run here",
		context->project.name);
	return EXIT_AGAIN;
}

struct readiness {
	unsigned ready;
	bool broker;
	bulla_rc why;
};

/* Enclaves of this manifest that serve, and the first reason why another does not: of it, or not yet known to be of any. An
 * older epoch's has reasons of its own. */
static bulla_rc count_ready(struct client *client, const bulla_digest *manifest, unsigned *ret_ready, bool *ret_broker,
	bulla_rc *ret_why)
{
	struct bulla_msg_status status;
	struct bulla_msg_status_peer peer;
	struct bulla_pb_iter iter;
	bulla_bytes item;
	BULLA_AUTO_BUF answer;

	bulla_buf_init(&answer, 1 << 20);
	*ret_ready = 0;
	*ret_why = BULLA_OK;
	BULLA_TRY(client_call(client, BULLA_OP_STATUS, (bulla_bytes){NULL, 0}, NULL, 5000, &answer));
	BULLA_TRY(bulla_msg_decode(&bulla_msg_status_desc, bulla_buf_view(&answer), &status));
	*ret_broker = status.broker_up != 0;
	iter = bulla_pb_list_begin(&status.peers);
	while (bulla_pb_list_next(&iter, &item)) {
		BULLA_TRY(bulla_msg_decode(&bulla_msg_status_peer_desc, item, &peer));
		bool ours = bulla_bytes_eq(peer.manifest, bulla_bytes_digest(manifest));

		if (peer.up != 0 && peer.why == 0)
			*ret_ready += ours;
		else if (*ret_why == BULLA_OK && (ours || bulla_bytes_is_zero_ct(peer.manifest)))
			*ret_why = peer.why == 0 ? BULLA_E_UNREACHABLE : (bulla_rc)peer.why;
	}
	return BULLA_OK;
}

static int say_not_ready(struct context *context, const struct readiness *found, unsigned agents)
{
	if (local_says_disk_full(context) || (!found->broker && says_port_taken(context)))
		return EXIT_AGAIN;
	say_error(context->cli, found->why == BULLA_OK ? "not-ready" : bulla_rc_id(found->why), context->state,
		"look into platform/enclaves.log there", "%u of %u enclaves serve%s%s%s", found->ready, agents,
		found->broker ? "" : ", the broker is not connected", found->why == BULLA_OK ? "" : ": ",
		found->why == BULLA_OK ? "" : bulla_rc_text(found->why));
	return EXIT_AGAIN;
}

/* One look: BULLA_E_AGAIN while something is not there yet. A client that broke is connected anew. */
static bulla_rc look(const char *path, const bulla_digest *manifest, unsigned agents, int64_t wait_ms,
	struct client **client, struct readiness *ret)
{
	bulla_rc rc = *client == NULL ? local_connect(path, wait_ms, client) : BULLA_OK;

	rc = rc == BULLA_OK ? count_ready(*client, manifest, &ret->ready, &ret->broker, &ret->why) : rc;
	if (rc == BULLA_E_CLOSED) { /* it restarts */
		*client = client_close(*client);
		return BULLA_E_AGAIN;
	}
	BULLA_TRY(rc);
	return ret->ready >= agents && ret->broker ? BULLA_OK : BULLA_E_AGAIN;
}

int local_wait_ready(struct context *context, const bulla_digest *manifest, unsigned agents, int64_t wait_ms)
{
	int64_t begin = now_ms();
	struct readiness found = {.ready = 0};
	struct client *client = NULL;
	char path[CONTEXT_PATH];
	bulla_rc rc;

	path_join(path, context->runtime, "bullad.sock");
	do {
		rc = look(path, manifest, agents, wait_ms, &client, &found);
		if (rc == BULLA_E_AGAIN && !found.broker && now_ms() > begin + PORT_MS && local_port_is_taken(context))
			break;
		if (rc == BULLA_E_AGAIN && found.why == BULLA_E_REVOKED && now_ms() > begin + REVOKED_MS)
			break; /* waiting brings nothing back; until then it may be an older epoch's enclave on its way out */
		if (rc == BULLA_E_AGAIN)
			pause_ms(STEP_MS);
	} while (rc == BULLA_E_AGAIN && now_ms() < begin + wait_ms);
	client_close(client);
	if (rc == BULLA_E_AGAIN)
		return say_not_ready(context, &found, agents);
	return rc == BULLA_OK ? 0 : say_rc(context->cli, rc, path, "look into host/log in the state folder");
}
