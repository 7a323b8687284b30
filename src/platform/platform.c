#include "platform/platform.h"

#include "base/log.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "io/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOP_US 12000000 /* the engine drains for up to 10 s */
#define END_KILL 300     /* looks of 10 ms until what does not end is killed, and until nobody waits any more */
#define END_TRIES 1500

static bulla_rc format(char *ret, size_t size, const char *pattern, const char *a, const char *b)
{
	/* the patterns are literals of this file with at most two %s */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	int n = snprintf(ret, size, pattern, a, b);
#pragma GCC diagnostic pop

	return n > 0 && (size_t)n < size ? BULLA_OK : BULLA_FAIL(BULLA_E_ARGUMENT, "a path is too long");
}

static bulla_rc new_child(struct bulla_platform *p, const char *log_folder, const char *program, struct bulla_child **ret)
{
	char path[BULLA_PLATFORM_PATH], log_path[BULLA_PLATFORM_PATH];
	void *memory = NULL;

	if (p->child_count == BULLA_PLATFORM_CHILDREN)
		return BULLA_FAIL(BULLA_E_LIMIT, "the deployment has too many processes");
	BULLA_TRY(format(log_path, sizeof(log_path), "%s/%s", p->options.state, log_folder));
	BULLA_TRY(format(path, sizeof(path), "%s/%s", p->options.programs, program));
	BULLA_TRY(bulla_alloc(1, sizeof(struct bulla_child), &memory));
	struct bulla_child *child = memory;
	p->children[p->child_count++] = child; /* from here on end_from frees it */
	BULLA_TRY(bulla_child_init(child, &p->loop, log_path));
	*ret = child;
	return bulla_child_arg(child, path);
}

/* --option FOLDER/NAME */
static bulla_rc option_path(struct bulla_child *child, const char *option, const char *folder, const char *name)
{
	char path[BULLA_PLATFORM_PATH];

	BULLA_TRY(format(path, sizeof(path), "%s/%s", folder, name));
	BULLA_TRY(bulla_child_arg(child, option));
	return bulla_child_arg(child, path);
}

static bulla_rc add_broker(struct bulla_platform *p, uint32_t port)
{
	struct bulla_child *child = NULL;
	char listen[32];

	p->port = port;
	BULLA_TRY(new_child(p, "broker/log", "bulla-kms", &child));
	BULLA_TRY(option_path(child, "--state", p->options.state, "broker"));
	BULLA_TRY(option_path(child, "--socket", p->options.runtime, "broker.sock"));
	BULLA_TRY(option_path(child, "--tls-socket", p->options.runtime, "broker-tls.sock"));
	if (p->options.owner != NULL) {
		BULLA_TRY(bulla_child_arg(child, "--owner"));
		BULLA_TRY(bulla_child_arg(child, p->options.owner));
	}
	if (port == 0)
		return BULLA_OK;
	snprintf(listen, sizeof(listen), "127.0.0.1:%u", port);
	BULLA_TRY(bulla_child_arg(child, "--listen"));
	return bulla_child_arg(child, listen);
}

static bulla_rc add_engine(struct bulla_platform *p)
{
	struct bulla_child *child = NULL;

	BULLA_TRY(new_child(p, "host/log", "bullad", &child));
	BULLA_TRY(option_path(child, "--state", p->options.state, "host"));
	BULLA_TRY(option_path(child, "--socket", p->options.runtime, "bullad.sock"));
	BULLA_TRY(option_path(child, "--broker", p->options.runtime, "broker.sock"));
	return option_path(child, "--broker-tls", p->options.runtime, "broker-tls.sock");
}

static bulla_rc enclave_address(const struct bulla_platform *p, const struct bulla_deployed_agent *agent, uint32_t replica,
	char ret[BULLA_PLATFORM_PATH])
{
	int n = snprintf(ret, BULLA_PLATFORM_PATH, "unix:%s/enclave-%.*s-%u.sock", p->options.runtime, (int)agent->label.n,
		(const char *)agent->label.p, replica);

	return n > 0 && n < BULLA_PLATFORM_PATH ? BULLA_OK : BULLA_FAIL(BULLA_E_ARGUMENT, "a socket's path is too long");
}

static bulla_rc add_enclave(struct bulla_platform *p, const struct bulla_deployment *deployment,
	const struct bulla_deployed_agent *agent, uint32_t replica)
{
	bulla_bytes manifest = agent->manifest.n > 0 ? agent->manifest : deployment->manifest;
	char text[BULLA_DEPLOYMENT_PATH + 32], address[BULLA_PLATFORM_PATH];
	struct bulla_child *child = NULL;

	BULLA_TRY(enclave_address(p, agent, replica, address));
	BULLA_TRY(new_child(p, "platform/enclaves.log", "bulla-enclave", &child));
	child->enclave = &p->enclave;
	child->may_leave = agent->manifest.n > 0;
	BULLA_TRY(bulla_child_arg(child, "--listen"));
	BULLA_TRY(bulla_child_arg(child, address));
	BULLA_TRY(bulla_child_arg(child, "--nsm"));
	BULLA_TRY(bulla_child_arg(child, "fd:3"));
	snprintf(text, sizeof(text), "%.*s", (int)manifest.n, (const char *)manifest.p);
	BULLA_TRY(bulla_child_arg(child, "--manifest"));
	BULLA_TRY(bulla_child_arg(child, text));
	snprintf(text, sizeof(text), "%.*s=%.*s", (int)agent->handle.n, (const char *)agent->handle.p, (int)agent->bundle.n,
		(const char *)agent->bundle.p);
	BULLA_TRY(bulla_child_arg(child, "--agent"));
	BULLA_TRY(bulla_child_arg(child, text));
	BULLA_TRY(bulla_child_arg(p->children[1], "--enclave"));
	return bulla_child_arg(p->children[1], address);
}

static bulla_rc start(struct bulla_platform *p, struct bulla_child *child)
{
	bulla_rc rc = bulla_child_start(child, &p->pki, p->clock, p->random);

	if (rc == BULLA_OK)
		bulla_log(BULLA_LOG_INFO, "platform.started", bulla_log_u64("pid", child->pid));
	else
		bulla_log(BULLA_LOG_ERROR, "platform.start-failed", bulla_log_rc(rc));
	return rc;
}

static bulla_rc start_all(struct bulla_platform *p, size_t from)
{
	for (size_t i = p->child_count; i > from; i--) /* enclaves first: their boot takes longest */
		if (p->children[i - 1]->pid == 0)
			BULLA_TRY(start(p, p->children[i - 1]));
	return BULLA_OK;
}

/* The deployment, or BULLA_E_NOT_FOUND before the first `bulla up` wrote one. */
static bulla_rc read_deployment(struct bulla_platform *p, struct bulla_buf *bytes, struct bulla_deployment *ret)
{
	char path[BULLA_PLATFORM_PATH];

	BULLA_TRY(format(path, sizeof(path), "%s/%s", p->options.state, "platform/deployment"));
	BULLA_TRY(bulla_sys_read_file(path, bytes));
	return bulla_deployment_read(bulla_buf_view(bytes), ret);
}

/* Is anybody left? What enclaves leave behind when they die (zygotes, sandboxes) is the supervisor's too. */
static bool reap(struct bulla_platform *p)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < p->child_count; i++) {
			if (p->children[i]->pid != pid)
				continue;
			bulla_log(BULLA_LOG_WARN, "platform.died", bulla_log_u64("pid", pid), bulla_log_u64("status", status));
			bulla_child_died(p->children[i], bulla_mono_us(p->clock));
			if (p->children[i]->may_leave && WIFEXITED(status) && WEXITSTATUS(status) == 0)
				p->children[i]->wanted = false;
		}
	return pid == 0;
}

/* Ends the children from index `from` on and waits for them; the grave ones are killed. From 0: for all that they left, too. */
static void end_from(struct bulla_platform *p, size_t from)
{
	for (size_t i = from; i < p->child_count; i++)
		bulla_child_stop(p->children[i], SIGTERM);
	for (unsigned tries = 0; p->child_count > from && tries < END_TRIES; tries++) {
		bool left = reap(p), any = from == 0 && left;

		for (size_t i = from; i < p->child_count; i++)
			any = any || p->children[i]->pid > 0;
		if (!any)
			break;
		if (tries == END_KILL)
			for (size_t i = from; i < p->child_count; i++)
				bulla_child_stop(p->children[i], SIGKILL);
		usleep(10000);
	}
	while (p->child_count > from) {
		struct bulla_child *child = p->children[--p->child_count];

		bulla_child_done(child);
		bulla_free(child);
	}
}

static bulla_rc deployed_digest(bulla_bytes bytes, const struct bulla_deployment *deployment, bulla_digest *ret)
{
	char path[BULLA_DEPLOYMENT_PATH + 1] = {0};
	BULLA_AUTO_BUF manifest;

	bulla_buf_init(&manifest, BULLA_MAX_MANIFEST);
	if (deployment->manifest.n > BULLA_DEPLOYMENT_PATH)
		return BULLA_FAIL(BULLA_E_LIMIT, "the manifest's path is too long");
	bulla_copy(path, deployment->manifest.p, deployment->manifest.n);
	BULLA_TRY(bulla_sys_read_file(path, &manifest));
	bulla_deployment_digest(bytes, bulla_buf_view(&manifest), ret);
	return BULLA_OK;
}

static bulla_rc start_deployment(struct bulla_platform *p, const struct bulla_deployment *deployment)
{
	if (p->child_count == 0)
		BULLA_TRY(add_broker(p, deployment->port));
	BULLA_TRY(add_engine(p));
	for (size_t i = 0; i < deployment->agent_count; i++)
		for (uint32_t replica = 0; replica < deployment->agents[i].replicas; replica++)
			BULLA_TRY(add_enclave(p, deployment, &deployment->agents[i], replica));
	return start_all(p, 0);
}

/* Tells `bulla up`. That it cannot be told is no reason to stop: it waits, and says so. */
static void note_deployed(const struct bulla_platform *p, const bulla_digest *digest, bulla_rc result)
{
	char path[BULLA_PLATFORM_PATH];
	uint8_t memory[BULLA_DEPLOYED_MAX];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes text = {memory, 0};
	bulla_rc rc = format(path, sizeof(path), "%s/%s", p->options.state, BULLA_DEPLOYED_NAME);

	rc = rc == BULLA_OK ? bulla_deployed_write(digest, result, &w) : rc;
	rc = rc == BULLA_OK ? bulla_wr_end(&w, &text) : rc;
	rc = rc == BULLA_OK ? bulla_sys_write_file(path, text, 0600) : rc;
	if (rc != BULLA_OK)
		bulla_log(BULLA_LOG_ERROR, "platform.not-noted", bulla_log_rc(rc));
}

/* Makes what runs equal to what the deployment says. The broker stays unless its port changed; all else is started anew
 * when anything changed: the manifest is measured into each enclave. What fails leaves the broker alone, so that the next
 * deployment can be made. */
static bulla_rc deploy(struct bulla_platform *p)
{
	struct bulla_deployment *deployment = NULL;
	void *memory = NULL;
	BULLA_AUTO_FREE void *owned = NULL;
	BULLA_AUTO_BUF bytes;
	bulla_digest digest;
	bulla_rc rc;

	bulla_buf_init(&bytes, BULLA_DEPLOYMENT_MAX);
	BULLA_TRY(bulla_alloc(1, sizeof(*deployment), &memory));
	owned = memory;
	deployment = memory;
	BULLA_TRY(read_deployment(p, &bytes, deployment));
	BULLA_TRY(deployed_digest(bulla_buf_view(&bytes), deployment, &digest));
	if (bulla_digest_eq(&digest, &p->deployed)) {
		note_deployed(p, &digest, BULLA_OK);
		return BULLA_OK;
	}
	bulla_zero(&p->deployed, sizeof(p->deployed));
	end_from(p, deployment->port == p->port ? 1 : 0);
	rc = start_deployment(p, deployment);
	if (rc == BULLA_OK)
		p->deployed = digest;
	else
		end_from(p, 1);
	note_deployed(p, &digest, rc);
	return rc;
}

static void begin_stop(struct bulla_platform *p)
{
	p->stopping = true;
	p->stop_us = bulla_mono_us(p->clock) + STOP_US;
	if (p->child_count > 1)
		bulla_child_stop(p->children[1], SIGTERM);
}

static void on_signal(void *ctx, uint32_t events)
{
	struct bulla_platform *p = ctx;
	int number;

	(void)events;
	while ((number = bulla_loop_signal_take(p->signal_fd)) != 0) {
		bulla_rc rc = BULLA_OK;

		if (number == SIGCHLD)
			reap(p);
		else if (number == SIGHUP)
			rc = deploy(p);
		else if (!p->stopping)
			begin_stop(p);
		if (rc != BULLA_OK)
			bulla_log(BULLA_LOG_ERROR, "platform.not-deployed", bulla_log_rc(rc));
	}
}

static void place_children(struct bulla_platform *p, int64_t now_us)
{
	pid_t pids[BULLA_PLATFORM_CHILDREN];

	if (now_us < p->cores.next_us)
		return;
	for (size_t i = 0; i < p->child_count; i++)
		pids[i] = p->children[i]->pid;
	bulla_cores_look(&p->cores, pids, p->child_count, now_us);
}

/* Restarts what is due; while stopping, waits for the engine to drain, then ends the loop. */
static void on_drain(void *ctx, int64_t now_us)
{
	struct bulla_platform *p = ctx;

	if (p->stopping) {
		if (p->child_count < 2 || p->children[1]->pid == 0 || now_us >= p->stop_us)
			bulla_loop_stop(&p->loop);
		return;
	}
	for (size_t i = 0; i < p->child_count; i++) {
		struct bulla_child *child = p->children[i];

		if (child->pid == 0 && child->wanted && child->next_us <= now_us && start(p, child) != BULLA_OK)
			child->next_us = now_us + 1000000;
	}
	place_children(p, now_us);
}

static int64_t next_deadline(void *ctx)
{
	const struct bulla_platform *p = ctx;
	int64_t next = p->stopping ? p->stop_us : p->cores.next_us;

	for (size_t i = 0; i < p->child_count && !p->stopping; i++)
		if (p->children[i]->pid == 0 && p->children[i]->wanted && p->children[i]->next_us < next)
			next = p->children[i]->next_us;
	return next;
}

static bulla_rc lock_path(const char *state, char ret[BULLA_PLATFORM_PATH])
{
	return format(ret, BULLA_PLATFORM_PATH, "%s/%s", state, "platform/lock");
}

/* The lock is the kernel's record of a whole file: it names its holder, dies with it, and looking takes nothing (fcntl(2)).
 * The file says nothing: what a dead supervisor wrote there would be believed. */
static bulla_rc find_holder(int fd, pid_t *ret_pid)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_GETLK, &lock) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "the project's lock cannot be read", errno);
	*ret_pid = lock.l_type == F_UNLCK ? 0 : lock.l_pid;
	return BULLA_OK;
}

static bulla_rc take_lock(struct bulla_platform *p, pid_t *ret_pid)
{
	const struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[BULLA_PLATFORM_PATH];

	BULLA_TRY(lock_path(p->options.state, path));
	p->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (p->lock_fd < 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "the project's lock cannot be opened", errno);
	if (fcntl(p->lock_fd, F_SETLK, &lock) == 0)
		return BULLA_OK;
	if (errno != EACCES && errno != EAGAIN)
		return BULLA_FAIL_OS(BULLA_E_IO, "the project's lock cannot be taken", errno);
	BULLA_TRY(find_holder(p->lock_fd, ret_pid));
	return BULLA_FAIL(BULLA_E_EXISTS, "the project is up already");
}

bulla_rc bulla_platform_find(const char *state, pid_t *ret_pid)
{
	char path[BULLA_PLATFORM_PATH];
	bulla_rc rc;
	int fd;

	*ret_pid = 0;
	BULLA_TRY(lock_path(state, path));
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? BULLA_OK : BULLA_FAIL_OS(BULLA_E_IO, "the project's lock cannot be opened", errno);
	rc = find_holder(fd, ret_pid);
	close(fd);
	return rc;
}

static bulla_rc make_folders(const struct bulla_platform_options *options)
{
	static const char *const names[] = {"platform", "broker", "host"};
	char path[BULLA_PLATFORM_PATH];

	for (size_t i = 0; i < 3; i++) {
		BULLA_TRY(format(path, sizeof(path), "%s/%s", options->state, names[i]));
		BULLA_TRY(bulla_sys_make_folders(path));
	}
	return bulla_sys_make_folders(options->runtime);
}

static bulla_rc open_loop(struct bulla_platform *p)
{
	static const int signals[] = {SIGCHLD, SIGHUP, SIGTERM, SIGINT, 0};
	const struct bulla_loop_hooks hooks = {.ctx = p, .drain = on_drain, .next_deadline = next_deadline};

	BULLA_TRY(bulla_loop_signals(signals, &p->signal_fd));
	BULLA_TRY(bulla_loop_init(&p->loop, p->clock, &hooks));
	p->signals = (struct bulla_watch){.ctx = p, .on_ready = on_signal, .fd = p->signal_fd};
	return bulla_loop_add(&p->loop, &p->signals, EPOLLIN);
}

bulla_rc bulla_platform_open(struct bulla_platform *platform, const struct bulla_platform_options *options, pid_t *ret_pid)
{
	char folder[BULLA_PLATFORM_PATH];
	bulla_rc rc;

	bulla_zero(platform, sizeof(*platform));
	platform->options = *options;
	platform->clock = bulla_sys_clock();
	platform->random = bulla_random_os();
	platform->lock_fd = -1;
	bulla_cores_init(&platform->cores, bulla_mono_us(platform->clock));
	bulla_sealed_init(&platform->enclave);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "orphans cannot be adopted", errno);
	BULLA_TRY(make_folders(options));
	BULLA_TRY(take_lock(platform, ret_pid));
	BULLA_TRY(format(folder, sizeof(folder), "%s/%s", options->state, "platform"));
	BULLA_TRY(bulla_dev_pki_open(folder, platform->clock, platform->random, &platform->pki));
	BULLA_TRY(open_loop(platform));
	rc = deploy(platform);
	if (rc != BULLA_OK)
		bulla_log(rc == BULLA_E_NOT_FOUND ? BULLA_LOG_INFO : BULLA_LOG_ERROR, "platform.not-deployed", bulla_log_rc(rc));
	if (platform->child_count == 0) /* `bulla up` needs its keys to make the first deployment, or a better one */
		BULLA_TRY(add_broker(platform, 0));
	return start_all(platform, 0);
}

bulla_rc bulla_platform_run(struct bulla_platform *platform)
{
	bulla_rc rc = bulla_loop_run(&platform->loop);

	end_from(platform, 0);
	return rc;
}

void bulla_platform_close(struct bulla_platform *platform)
{
	end_from(platform, 0);
	bulla_sealed_done(&platform->enclave);
	bulla_dev_pki_done(&platform->pki);
	bulla_loop_done(&platform->loop);
	if (platform->signal_fd > 0)
		close(platform->signal_fd);
	if (platform->lock_fd >= 0)
		close(platform->lock_fd);
}
