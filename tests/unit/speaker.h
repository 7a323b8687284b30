#pragma once
/* A stranger at a program's socket: frames byte by byte over a blocking descriptor, and the program in a thread of its own, ended
 * by SIGTERM. What is said is up to the test; nothing here is checked before it is sent. */
#include "base/buf.h"
#include "io/frame.h"
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* A connection, -1 when nobody accepts it; who waits longer than ten seconds for a byte gets none. */
static inline int speaker_dial(const char *path)
{
	const struct timeval patience = {.tv_sec = 10};
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && strlen(path) < sizeof(to.sun_path));
	bulla_copy(to.sun_path, path, strlen(path));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* False: the other side takes no more. */
static inline bool speaker_send(int fd, bulla_bytes bytes)
{
	for (size_t at = 0; at < bytes.n;) {
		ssize_t n = send(fd, bytes.p + at, bytes.n - at, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

static inline bool speaker_ask(int fd, uint8_t op, uint32_t stream, bulla_bytes body)
{
	struct bulla_frame frame = {.op = op, .stream = stream, .body = body};
	BULLA_AUTO_BUF buf = {.max = body.n + BULLA_FRAME_HEADER};
	bulla_wr w = bulla_wr_buf(&buf);

	bulla_frame_write(&w, &frame);
	return speaker_send(fd, bulla_buf_view(&buf));
}

/* HELLO: version 1, role, boot id, window 16. */
static inline bool speaker_hello(int fd, uint8_t role)
{
	uint8_t body[24] = {0x08, 1, 0x10, role, 0x1a, 16, [22] = 0x20, [23] = 16};

	return speaker_ask(fd, BULLA_OP_HELLO, 0, BULLA_BYTES_ARRAY(body));
}

static inline int speaker_open(const char *path, uint8_t role)
{
	int fd = speaker_dial(path);

	assert_true(fd >= 0 && speaker_hello(fd, role));
	return fd;
}

static inline bool speaker_take(int fd, uint8_t *ret, size_t size)
{
	for (size_t at = 0; at < size;) {
		ssize_t n = recv(fd, ret + at, size - at, 0);

		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

/* The reply to a stream: its body (up to 64 KiB) is in ret until the next call; its error. BULLA_E_CLOSED: none comes. */
static inline bulla_rc speaker_reply(int fd, uint32_t stream, struct bulla_frame *ret)
{
	static uint8_t memory[BULLA_FRAME_HEADER + 65536];
	size_t size;

	for (;;) {
		if (!speaker_take(fd, memory, BULLA_FRAME_HEADER))
			return BULLA_E_CLOSED;
		size = BULLA_FRAME_HEADER + (memory[0] | (size_t)memory[1] << 8 | (size_t)memory[2] << 16);
		assert_true(size <= sizeof(memory));
		if (!speaker_take(fd, memory + BULLA_FRAME_HEADER, size - BULLA_FRAME_HEADER))
			return BULLA_E_CLOSED;
		assert_ok(bulla_frame_read(bulla_bytes_of(memory, size), ret, &size));
		if ((ret->flags & BULLA_FRAME_REPLY) != 0 && ret->stream == stream)
			return (ret->flags & BULLA_FRAME_ERROR) == 0 ? BULLA_OK : bulla_frames_error_of(ret, NULL);
	}
}

/* One question on a connection of its own. */
static inline bulla_rc speaker_call(const char *path, uint8_t role, uint8_t op, bulla_bytes body, struct bulla_frame *ret)
{
	int fd = speaker_dial(path);
	bulla_rc rc = speaker_hello(fd, role) && speaker_ask(fd, op, 7, body) ? speaker_reply(fd, 7, ret) : BULLA_E_CLOSED;

	close(fd);
	return rc;
}

/* Everything up to its end: true when the other side ends the connection. */
static inline bool speaker_is_ended(int fd)
{
	uint8_t some[4096];
	ssize_t n;

	while ((n = recv(fd, some, sizeof(some), 0)) > 0)
		;
	return n == 0 || errno == ECONNRESET;
}

/* --- the program --- */

struct speaker_program {
	pthread_t thread;
	bulla_rc (*run)(void *ctx);
	void *ctx;
	bulla_rc rc;
};

static inline void *speaker_thread(void *arg)
{
	struct speaker_program *program = arg;

	program->rc = program->run(program->ctx);
	return NULL;
}

/* Runs it until its socket is there. */
static inline void speaker_start(struct speaker_program *program, const char *path)
{
	sigset_t end;
	int fd = -1;

	sigemptyset(&end);
	sigaddset(&end, SIGTERM); /* its loop takes it; nobody else dies of it */
	pthread_sigmask(SIG_BLOCK, &end, NULL);
	assert_int_equal(pthread_create(&program->thread, NULL, speaker_thread, program), 0);
	for (int i = 0; i < 1000 && fd < 0; i++) {
		usleep(10000);
		fd = speaker_dial(path);
	}
	assert_true(fd >= 0);
	close(fd);
}

static inline bulla_rc speaker_stop(struct speaker_program *program)
{
	kill(getpid(), SIGTERM);
	pthread_join(program->thread, NULL);
	return program->rc;
}
