#include "agent/zygote_internal.h"

#include "base/rd.h"
#include "base/wr.h"
#include "io/addr.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* One answer of the zygote. */
struct answer {
	uint8_t kind;
	bulla_rc rc;
	uint32_t a, b;
	int fds[BULLA_SANDBOX_FDS];
	size_t fd_count;
};

static bulla_rc receive(struct bulla_zygote *zygote, struct answer *ret)
{
	uint8_t memory[32];
	bulla_bytes packet = {0};
	bulla_rd r;
	uint16_t rc;

	BULLA_TRY(bulla_packet_receive(
		zygote->fd, memory, sizeof(memory), &packet, ret->fds, BULLA_SANDBOX_FDS, &ret->fd_count));
	r = bulla_rd_of(packet);
	BULLA_TRY(bulla_rd_u8(&r, &ret->kind));
	BULLA_TRY(bulla_rd_u16le(&r, &rc));
	BULLA_TRY(bulla_rd_u32le(&r, &ret->a));
	BULLA_TRY(bulla_rd_u32le(&r, &ret->b));
	ret->rc = rc < BULLA_RC_COUNT ? (bulla_rc)rc : BULLA_E_FORMAT;
	return bulla_rd_end(&r);
}

/* Boot: one question, one answer, blocking. */
static bulla_rc exchange(struct bulla_zygote *zygote, bulla_wr *w, struct answer *ret)
{
	bulla_bytes packet;

	BULLA_TRY(bulla_wr_end(w, &packet));
	BULLA_TRY(bulla_packet_send(zygote->fd, packet, NULL, 0));
	BULLA_TRY(receive(zygote, ret));
	if (ret->kind != packet.p[0])
		return BULLA_FAIL(BULLA_E_FORMAT, "the zygote answered something else");
	return ret->rc;
}

bulla_rc bulla_zygote_start(struct bulla_zygote *ret)
{
	struct bulla_zygote zygote = {.fd = -1, .pid_fd = -1};
	struct answer hello;
	int pair[2];
	pid_t pid;
	bulla_rc rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "the zygote's socket cannot be made", errno);
	pid = fork();
	if (pid == 0) {
		int fd = dup2(pair[1], 3) == 3 ? 3 : -1; /* nothing else of ours goes along */

		if (fd < 0 || close_range(4, ~0u, 0) != 0)
			_exit(1);
		bulla_nursery_main(fd);
	}
	close(pair[1]);
	zygote.fd = pair[0];
	if (pid < 0) {
		close(pair[0]);
		return BULLA_FAIL_OS(BULLA_E_IO, "the zygote cannot be forked", errno);
	}
	zygote.pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	rc = receive(&zygote, &hello);
	if (rc == BULLA_OK && hello.rc != BULLA_OK)
		rc = BULLA_FAIL(hello.rc == BULLA_E_UNSUPPORTED ? BULLA_E_UNSUPPORTED : BULLA_E_IO,
			"the zygote cannot make its private root");
	if (rc != BULLA_OK) {
		bulla_zygote_stop(&zygote);
		return rc;
	}
	*ret = zygote;
	return BULLA_OK;
}

void bulla_zygote_stop(struct bulla_zygote *zygote)
{
	bulla_addr_close(zygote->fd);
	bulla_addr_close(zygote->pid_fd);
	*zygote = (struct bulla_zygote){.fd = -1, .pid_fd = -1};
}

bulla_rc bulla_zygote_agent(struct bulla_zygote *zygote, uint32_t id, bulla_bytes command,
	const struct bulla_sandbox_limits *limits)
{
	uint8_t memory[BULLA_MAX_AGENT_COMMAND + 32];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	struct answer answer;

	if (command.n == 0 || command.n > BULLA_MAX_AGENT_COMMAND || command.p[command.n - 1] != 0)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "an agent's command is not in its form");
	bulla_wr_u8(&w, BULLA_ZYGOTE_AGENT);
	bulla_wr_u32le(&w, id);
	bulla_wr_u64le(&w, limits->memory);
	bulla_wr_u32le(&w, limits->processes);
	bulla_wr_u32le(&w, limits->network);
	bulla_wr_u32le(&w, limits->sandboxes > 0 ? limits->sandboxes : 1);
	bulla_wr_bytes(&w, command);
	return exchange(zygote, &w, &answer);
}

static bulla_rc send_chunk(struct bulla_zygote *zygote, uint32_t id, bulla_bytes path, bool executable, bool first,
	bulla_bytes chunk)
{
	BULLA_AUTO_BUF packet;
	struct answer answer;
	bulla_wr w;

	bulla_buf_init(&packet, BULLA_ZYGOTE_PACKET);
	w = bulla_wr_buf(&packet);
	bulla_wr_u8(&w, BULLA_ZYGOTE_FILE);
	bulla_wr_u32le(&w, id);
	bulla_wr_u8(&w, executable);
	bulla_wr_u8(&w, first);
	bulla_wr_u16le(&w, (uint16_t)path.n);
	bulla_wr_bytes(&w, path);
	bulla_wr_bytes(&w, chunk);
	return exchange(zygote, &w, &answer);
}

bulla_rc bulla_zygote_file(struct bulla_zygote *zygote, uint32_t id, const char *path, bool executable,
	bulla_bytes content)
{
	bulla_bytes name = bulla_bytes_str(path);
	size_t at = 0;

	if (name.n == 0 || name.n > BULLA_ZYGOTE_PATH)
		return BULLA_FAIL(BULLA_E_LIMIT, "a bundle's path is too long");
	do {
		size_t size = content.n - at < BULLA_ZYGOTE_CHUNK ? content.n - at : BULLA_ZYGOTE_CHUNK;

		BULLA_TRY(send_chunk(zygote, id, name, executable, at == 0, bulla_bytes_of(content.p + at, size)));
		at += size;
	} while (at < content.n);
	return BULLA_OK;
}

bulla_rc bulla_zygote_seal(struct bulla_zygote *zygote)
{
	uint8_t memory[1];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	struct answer answer;

	bulla_wr_u8(&w, BULLA_ZYGOTE_SEAL);
	BULLA_TRY(exchange(zygote, &w, &answer));
	zygote->features = answer.a;
	if (fcntl(zygote->fd, F_SETFL, O_NONBLOCK) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "the zygote's socket cannot be set", errno);
	return BULLA_OK;
}

bulla_rc bulla_zygote_spawn(struct bulla_zygote *zygote, uint32_t id, struct bulla_zygote_ask *ask)
{
	uint8_t memory[5];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes packet;
	bulla_rc rc;

	bulla_wr_u8(&w, BULLA_ZYGOTE_SPAWN);
	bulla_wr_u32le(&w, id);
	BULLA_TRY(bulla_wr_end(&w, &packet));
	rc = bulla_packet_send(zygote->fd, packet, NULL, 0);
	if (rc == BULLA_E_AGAIN)
		return BULLA_FAIL(BULLA_E_BUSY, "the zygote has enough to do");
	BULLA_TRY(rc);
	ask->next = NULL;
	if (zygote->last != NULL)
		zygote->last->next = ask;
	else
		zygote->first = ask;
	zygote->last = ask;
	return BULLA_OK;
}

bulla_rc bulla_zygote_ready(struct bulla_zygote *zygote)
{
	for (;;) {
		struct bulla_sandbox sandbox;
		struct bulla_zygote_ask *ask;
		struct answer answer;
		bulla_rc rc = receive(zygote, &answer);

		if (rc == BULLA_E_AGAIN)
			return BULLA_OK;
		BULLA_TRY(rc);
		ask = zygote->first;
		if (ask == NULL || (answer.rc == BULLA_OK && answer.fd_count != BULLA_SANDBOX_FDS))
			return BULLA_FAIL(BULLA_E_FORMAT, "the zygote answered what was not asked");
		zygote->first = ask->next;
		if (zygote->first == NULL)
			zygote->last = NULL;
		sandbox = (struct bulla_sandbox){.pid_fd = answer.fds[0], .control = answer.fds[1], .in = answer.fds[2],
			.out = answer.fds[3], .err = answer.fds[4], .pid = (int32_t)answer.a, .slot = answer.b};
		ask->done(ask->ctx, answer.rc, answer.rc == BULLA_OK ? &sandbox : NULL);
	}
}

bulla_rc bulla_sandbox_go(const struct bulla_sandbox *sandbox, bulla_bytes environment)
{
	uint8_t memory[BULLA_SANDBOX_ENVIRONMENT];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes packet;

	bulla_wr_u8(&w, BULLA_SANDBOX_GO);
	bulla_wr_bytes(&w, environment);
	BULLA_TRY(bulla_wr_end(&w, &packet));
	return bulla_packet_send(sandbox->control, packet, NULL, 0);
}

void bulla_sandbox_term(const struct bulla_sandbox *sandbox)
{
	const uint8_t packet[1] = {BULLA_SANDBOX_TERM};

	if (bulla_packet_send(sandbox->control, BULLA_BYTES_ARRAY(packet), NULL, 0) != BULLA_OK)
		bulla_sandbox_kill(sandbox);
}

void bulla_sandbox_kill(const struct bulla_sandbox *sandbox)
{
	syscall(SYS_pidfd_send_signal, sandbox->pid_fd, SIGKILL, NULL, 0);
}

bulla_rc bulla_sandbox_ask_socket(const struct bulla_sandbox *sandbox)
{
	const uint8_t packet[1] = {BULLA_SANDBOX_SOCK};

	return bulla_packet_send(sandbox->control, BULLA_BYTES_ARRAY(packet), NULL, 0);
}

bulla_rc bulla_sandbox_event(const struct bulla_sandbox *sandbox, struct bulla_sandbox_event *ret)
{
	uint8_t memory[8];
	bulla_bytes packet = {0};
	size_t count = 0;
	int fd = -1;

	BULLA_TRY(bulla_packet_receive(sandbox->control, memory, sizeof(memory), &packet, &fd, 1, &count));
	if (packet.n == 4 && packet.p[0] == BULLA_SANDBOX_EXIT) {
		*ret = (struct bulla_sandbox_event){.kind = BULLA_SANDBOX_EXITED, .signal = packet.p[1], .code = packet.p[2],
			.memory = packet.p[3] != 0, .fd = -1};
		return BULLA_OK;
	}
	if (packet.p[0] != BULLA_SANDBOX_SOCK || count != 1)
		return BULLA_FAIL(BULLA_E_FORMAT, "a sandbox said something else");
	*ret = (struct bulla_sandbox_event){.kind = BULLA_SANDBOX_SOCKET, .fd = fd};
	return BULLA_OK;
}

void bulla_sandbox_close(struct bulla_sandbox *sandbox)
{
	const int fds[] = {sandbox->pid_fd, sandbox->control, sandbox->in, sandbox->out, sandbox->err};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		bulla_addr_close(fds[i]);
	*sandbox = (struct bulla_sandbox){.pid_fd = -1, .control = -1, .in = -1, .out = -1, .err = -1};
}
