#define _GNU_SOURCE
#include "platform/child.h"

#include "base/rd.h"
#include "base/wr.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAX 4096
#define RESPONSE_MAX 65536
#define QUICK_US 2000000
#define BACKOFF_FIRST_US 10000
#define BACKOFF_MOST_US 1000000

bulla_rc bulla_child_init(struct bulla_child *child, struct bulla_loop *loop, const char *log_path)
{
	child->loop = loop;
	child->nsm_fd = -1;
	child->watch.fd = -1;
	child->wanted = true;
	bulla_buf_init(&child->in, REQUEST_MAX + 4);
	size_t n = strlen(log_path);
	if (n >= sizeof(child->log_path))
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a log's path is too long");
	bulla_copy(child->log_path, log_path, n);
	return BULLA_OK;
}

static void close_module(struct bulla_child *child)
{
	if (child->nsm_fd < 0)
		return;
	bulla_loop_remove(child->loop, &child->watch);
	close(child->nsm_fd);
	child->nsm_fd = -1;
	child->watch.fd = -1;
	bulla_dev_nsm_done(&child->nsm);
	bulla_buf_clear(&child->in);
}

void bulla_child_done(struct bulla_child *child)
{
	close_module(child);
	bulla_buf_done(&child->in);
}

bulla_rc bulla_child_arg(struct bulla_child *child, const char *text)
{
	size_t n = strlen(text) + 1;

	if (child->arg_count == BULLA_CHILD_ARGS || n > sizeof(child->text) - child->text_size)
		return BULLA_FAIL(BULLA_E_LIMIT, "a process has too many arguments");
	bulla_copy(child->text + child->text_size, text, n);
	child->argv[child->arg_count++] = child->text + child->text_size;
	child->text_size += n;
	return BULLA_OK;
}

/* An enclave that does not read its answers, or writes no requests, loses its module: it can then only die. */
static bool send_answer(struct bulla_child *child, bulla_bytes answer)
{
	uint8_t head[4];
	bulla_wr w = bulla_wr_fixed(head, sizeof(head));
	bulla_bytes parts[2] = {{NULL, 0}, answer};

	bulla_wr_u32le(&w, (uint32_t)answer.n);
	if (bulla_wr_end(&w, &parts[0]) != BULLA_OK)
		return false;
	for (size_t i = 0; i < 2; i++)
		if (send(child->nsm_fd, parts[i].p, parts[i].n, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)parts[i].n)
			return false;
	return true;
}

/* Answers every whole request in the buffer; false when the stream is broken. */
static bool answer_all(struct bulla_child *child)
{
	while (child->in.n >= 4) {
		bulla_rd r = bulla_rd_of(bulla_buf_view(&child->in));
		bulla_bytes request;
		uint32_t size;
		BULLA_AUTO_BUF answer;

		bulla_buf_init(&answer, RESPONSE_MAX);
		if (bulla_rd_u32le(&r, &size) != BULLA_OK || size > REQUEST_MAX)
			return false;
		if (bulla_rd_bytes(&r, size, &request) != BULLA_OK)
			return true;
		if (bulla_dev_nsm_answer(&child->nsm, request, &answer) != BULLA_OK ||
			!send_answer(child, bulla_buf_view(&answer)))
			return false;
		bulla_buf_consume(&child->in, 4 + (size_t)size);
	}
	return true;
}

static void on_request(void *ctx, uint32_t events)
{
	struct bulla_child *child = ctx;
	uint8_t bytes[REQUEST_MAX];
	ssize_t n = recv(child->nsm_fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || bulla_buf_append(&child->in, bulla_bytes_of(bytes, (size_t)n)) != BULLA_OK || !answer_all(child))
		close_module(child);
}

static bulla_rc open_module(struct bulla_child *child, const struct bulla_dev_pki *pki, const struct bulla_clock *clock,
	const struct bulla_random *random, int *ret_theirs)
{
	int pair[2];

	BULLA_TRY(bulla_sealed_load(child->enclave, child->argv[0]));
	BULLA_TRY(bulla_dev_nsm_init(&child->nsm, pki, clock, random,
		(const uint8_t(*)[BULLA_NITRO_PCR_SIZE])child->enclave->measured));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a socket for the security module cannot be made", errno);
	child->nsm_fd = pair[0];
	child->watch = (struct bulla_watch){.ctx = child, .on_ready = on_request, .fd = pair[0]};
	*ret_theirs = pair[1];
	return bulla_loop_add(child->loop, &child->watch, EPOLLIN);
}

/* In the new process: only async-signal-safe calls. */
_Noreturn static void become(const struct bulla_child *child, int module)
{
	sigset_t none;
	int log = open(child->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	prctl(PR_SET_NO_NEW_PRIVS, child->enclave != NULL ? 1 : 0, 0, 0, 0);
	if (log < 0 || null < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		_exit(127);
	if (module >= 0 && module != BULLA_CHILD_NSM_FD && dup2(module, BULLA_CHILD_NSM_FD) < 0)
		_exit(127);
	if (module == BULLA_CHILD_NSM_FD)
		fcntl(module, F_SETFD, 0);
	/* exec does not write to what argv points to: the casts take only const away */
	if (child->enclave != NULL) {
		close_range(BULLA_CHILD_NSM_FD + 1, (unsigned)child->enclave->fd - 1, 0);
		close_range((unsigned)child->enclave->fd + 1, ~0U, 0);
		fexecve(child->enclave->fd, (char *const *)(uintptr_t)child->argv, environ);
		_exit(127);
	}
	close_range(3, ~0U, 0);
	execv(child->argv[0], (char *const *)(uintptr_t)child->argv);
	_exit(127);
}

bulla_rc bulla_child_start(struct bulla_child *child, const struct bulla_dev_pki *pki, const struct bulla_clock *clock,
	const struct bulla_random *random)
{
	int theirs = -1;
	pid_t pid;

	if (child->enclave != NULL)
		BULLA_TRY(open_module(child, pki, clock, random, &theirs));
	pid = fork();
	if (pid == 0)
		become(child, theirs);
	if (theirs >= 0)
		close(theirs);
	if (pid < 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a process cannot be started", errno);
	child->pid = pid;
	child->started_us = bulla_mono_us(clock);
	return BULLA_OK;
}

void bulla_child_died(struct bulla_child *child, int64_t now_us)
{
	int64_t wait = BACKOFF_FIRST_US;

	close_module(child);
	child->pid = 0;
	child->quick_deaths = now_us - child->started_us < QUICK_US ? child->quick_deaths + 1 : 0;
	for (unsigned i = 1; i < child->quick_deaths && wait < BACKOFF_MOST_US; i++)
		wait *= 2;
	child->next_us = now_us + (wait < BACKOFF_MOST_US ? wait : BACKOFF_MOST_US);
}

void bulla_child_stop(struct bulla_child *child, int signal_number)
{
	child->wanted = false;
	if (child->pid > 0)
		kill(child->pid, signal_number);
}
