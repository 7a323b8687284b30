#include "base/limits.h"
#include "io/addr.h"
#include "io/pipe.h"
#include "io/sys.h"
#include "io/worker.h"
#include "test.h"

#include <sys/socket.h>
#include <unistd.h>

/* An echo server over frames in the loop, and what happens when its client misbehaves. */
struct server {
	struct bulla_loop loop;
	struct bulla_pipe *pipe;
	struct bulla_frames *frames;
	bulla_rc ended; /* BULLA_RC_COUNT: not yet */
	unsigned requests, drained;
	size_t reply_size;
};

static uint8_t big[200000];

static bulla_rc on_message(void *ctx, struct bulla_frames *frames, const struct bulla_frame *message)
{
	struct server *server = (struct server *)ctx;

	server->requests++;
	return bulla_frames_reply(frames, (enum bulla_op_number)message->op, message->stream,
		bulla_bytes_of(big, server->reply_size));
}

static void on_end(void *ctx, struct bulla_pipe *pipe, bulla_rc why)
{
	struct server *server = (struct server *)ctx;

	assert_ptr_equal(pipe, server->pipe);
	server->pipe = NULL;
	server->ended = why;
}

static void on_drained(void *ctx, struct bulla_pipe *pipe)
{
	(void)pipe;
	((struct server *)ctx)->drained++;
}

static void open_server(struct server *server, int *ret_fd)
{
	static const uint8_t boot[16] = {2};
	int fds[2];
	struct bulla_pipe_events events = {.ctx = server, .on_end = on_end, .on_drained = on_drained};
	struct bulla_frames_events frames_events = {.ctx = server, .on_message = on_message};
	struct bulla_frames_options options = {.role = BULLA_ROLE_HOST, .boot_id = BULLA_BYTES_ARRAY(boot), .window = 4096};

	*server = (struct server){.ended = BULLA_RC_COUNT};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_ok(bulla_loop_init(&server->loop, bulla_sys_clock(), NULL));
	assert_ok(bulla_pipe_new(&server->loop, fds[0], NULL, &events, &server->pipe));
	assert_ok(bulla_pipe_frames(server->pipe, &options, &frames_events, &server->frames));
	*ret_fd = fds[1];
}

static void close_server(struct server *server, int fd)
{
	bulla_pipe_free(server->pipe);
	bulla_loop_done(&server->loop);
	if (fd >= 0)
		close(fd);
}

static void turns(struct server *server, int count)
{
	for (int i = 0; i < count; i++)
		assert_ok(bulla_loop_turn(&server->loop, 0));
}

static const uint8_t hello_frame[] = {
	24, 0, 0, 0, 1, BULLA_OP_HELLO, 0, 0, 0, 0, 0, 0, 0x08, 1, 0x10, 1, 0x1a, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2,
	3,  4, 5, 6, 7, 0x20,           9};

static void send_request(int fd, uint8_t stream)
{
	const uint8_t frame[] = {0, 0, 0, 0, 1, BULLA_OP_STATUS, 0, 0, stream, 1, 0, 0};

	assert_int_equal(write(fd, frame, sizeof(frame)), sizeof(frame));
}

static void test_request_reply_close(void **state)
{
	struct server server;
	uint8_t got[512];
	int fd;

	(void)state;
	open_server(&server, &fd);
	assert_int_equal(write(fd, hello_frame, sizeof(hello_frame)), sizeof(hello_frame));
	for (uint8_t i = 1; i <= 10; i++)
		send_request(fd, i);
	turns(&server, 3);
	assert_int_equal(server.requests, 10);
	assert_true(read(fd, got, sizeof(got)) > 10 * 12); /* HELLO and ten replies */
	close(fd);
	turns(&server, 2);
	assert_rc(BULLA_E_CLOSED, server.ended);
	close_server(&server, -1);
}

static void test_bad_frame_ends_connection(void **state)
{
	struct server server;
	int fd;

	(void)state;
	open_server(&server, &fd);
	assert_int_equal(write(fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
	turns(&server, 3);
	assert_rc(BULLA_E_VERSION, server.ended);
	close_server(&server, fd);
}

/* It asks and asks and never reads: from 1 MiB of output on it is not read any more; when it reads, all goes on. */
static void test_slow_reader(void **state)
{
	struct server server;
	uint8_t sink[65536];
	unsigned before;
	int fd, sent = 0;

	(void)state;
	open_server(&server, &fd);
	server.reply_size = 60000;
	assert_int_equal(write(fd, hello_frame, sizeof(hello_frame)), sizeof(hello_frame));
	for (int round = 0; round < 400; round++) {
		send_request(fd, (uint8_t)(sent++ % 250 + 1));
		turns(&server, 1);
		if (bulla_pipe_full(server.pipe))
			break;
	}
	assert_true(bulla_pipe_full(server.pipe));
	before = server.requests;
	for (int i = 0; i < 20; i++) {
		send_request(fd, (uint8_t)(sent++ % 250 + 1));
		turns(&server, 1);
	}
	assert_int_equal(server.requests, before);
	for (int i = 0; i < 1000; i++) {
		while (read(fd, sink, sizeof(sink)) > 0)
			;
		turns(&server, 1);
	}
	assert_int_equal(server.requests, sent);
	assert_true(server.drained >= 1);
	assert_int_equal(server.ended, BULLA_RC_COUNT);
	close_server(&server, fd);
}

static void test_finish_sends_all(void **state)
{
	struct server server;
	uint8_t sink[65536];
	size_t total = 0;
	int fd;

	(void)state;
	open_server(&server, &fd);
	server.reply_size = 60000;
	assert_int_equal(write(fd, hello_frame, sizeof(hello_frame)), sizeof(hello_frame));
	for (uint8_t i = 1; i <= 10; i++)
		send_request(fd, i);
	turns(&server, 2);
	bulla_pipe_finish(server.pipe);
	for (int i = 0; i < 100 && server.pipe != NULL; i++) {
		ssize_t got = read(fd, sink, sizeof(sink));

		total += got > 0 ? (size_t)got : 0;
		turns(&server, 1);
	}
	for (ssize_t got; (got = read(fd, sink, sizeof(sink))) > 0;)
		total += (size_t)got;
	assert_true(total > 10 * 60000);
	assert_rc(BULLA_E_CLOSED, server.ended);
	close_server(&server, fd);
}

struct square {
	struct bulla_job job;
	unsigned in, out;
	bool done;
};

static void square_run(struct bulla_job *job)
{
	struct square *square = (struct square *)(void *)job;

	square->out = square->in * square->in;
}

static void square_done(struct bulla_job *job)
{
	((struct square *)(void *)job)->done = true;
}

static void test_worker(void **state)
{
	static struct square jobs[20];
	struct bulla_loop loop;
	struct bulla_worker *worker;
	unsigned done = 0;

	(void)state;
	assert_ok(bulla_loop_init(&loop, bulla_sys_clock(), NULL));
	assert_ok(bulla_worker_new(&loop, 16, &worker));
	for (unsigned i = 0; i < 16; i++) {
		jobs[i] = (struct square){.job = {square_run, square_done}, .in = i};
		assert_ok(bulla_worker_put(worker, &jobs[i].job));
	}
	assert_rc(BULLA_E_BUSY, bulla_worker_put(worker, &jobs[16].job));
	while (done < 16) {
		assert_ok(bulla_loop_turn(&loop, 1000000));
		done = 0;
		for (unsigned i = 0; i < 16; i++)
			done += jobs[i].done;
	}
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(jobs[i].out, i * i);
	bulla_worker_free(worker);
	bulla_loop_done(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_reply_close),
		cmocka_unit_test(test_bad_frame_ends_connection),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_finish_sends_all),
		cmocka_unit_test(test_worker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
