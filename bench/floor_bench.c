/* What the machine gives at best, beside the costs of crypto_bench: durable writes of one page, and a message there and back
 * between two processes and between two threads. Wall-clock microseconds, p50 and p99. One JSON line.
 * Usage: floor_bench [FOLDER], on the disk that the stores use; default: here. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 256, WRITES = 1500, TRIPS = 10000 };

static double samples[TRIPS > WRITES ? TRIPS : WRITES];

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void must(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(const char *name, size_t count)
{
	qsort(samples, count, sizeof(double), compare);
	printf(",\"%s_us\":%.1f,\"%s_p99_us\":%.1f", name, samples[count / 2], name, samples[count * 99 / 100]);
}

/* Overwrites pages of a file that has its blocks, as the journal does. */
static void measure_writes(const char *name, const char *path, int flags, int sync)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0600);
	void *page = NULL;

	must(fd >= 0 && posix_memalign(&page, PAGE, PAGE) == 0, path);
	memset(page, 'x', PAGE);
	for (int i = 0; i < PAGES; i++)
		must(pwrite(fd, page, PAGE, (off_t)i * PAGE) == PAGE, path);
	must(fsync(fd) == 0, path);
	for (int i = 0; i < WRITES; i++) {
		double from = now_us();

		must(pwrite(fd, page, PAGE, (off_t)(i % PAGES) * PAGE) == PAGE, path);
		must(!sync || fdatasync(fd) == 0, path);
		samples[i] = now_us() - from;
	}
	close(fd);
	unlink(path);
	free(page);
	report(name, WRITES);
}

static void echo(int fd)
{
	char bytes[64];
	ssize_t n;

	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		must(write(fd, bytes, (size_t)n) == n, "echo");
}

/* 64 bytes over a unix socket to another process and back. */
static void measure_processes(void)
{
	char bytes[64] = {0};
	int fds[2];
	pid_t pid;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0, "socketpair");
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		echo(fds[1]);
		_exit(0);
	}
	close(fds[1]);
	for (int i = 0; i < TRIPS; i++) {
		double from = now_us();

		must(write(fds[0], bytes, sizeof(bytes)) == sizeof(bytes), "write");
		must(read(fds[0], bytes, sizeof(bytes)) > 0, "read");
		samples[i] = now_us() - from;
	}
	close(fds[0]);
	must(waitpid(pid, NULL, 0) == pid, "waitpid");
	report("unix_round_trip", TRIPS);
}

static int ping_fd, pong_fd;

static void *answer(void *ctx)
{
	uint64_t count;

	for (int i = 0; i < TRIPS; i++)
		if (read(ping_fd, &count, sizeof(count)) != sizeof(count) || write(pong_fd, &count, sizeof(count)) != sizeof(count))
			return ctx;
	return NULL;
}

/* An eventfd to another thread and back: what a handover to a worker costs at least. */
static void measure_threads(void)
{
	uint64_t count = 1;
	pthread_t thread;

	ping_fd = eventfd(0, EFD_CLOEXEC);
	pong_fd = eventfd(0, EFD_CLOEXEC);
	must(ping_fd >= 0 && pong_fd >= 0 && pthread_create(&thread, NULL, answer, NULL) == 0, "thread");
	for (int i = 0; i < TRIPS; i++) {
		double from = now_us();

		must(write(ping_fd, &count, sizeof(count)) == sizeof(count), "write");
		must(read(pong_fd, &count, sizeof(count)) == sizeof(count), "read");
		samples[i] = now_us() - from;
	}
	pthread_join(thread, NULL);
	report("thread_round_trip", TRIPS);
}

int main(int argc, char **argv)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/.floor-bench", argc > 1 ? argv[1] : ".");
	signal(SIGPIPE, SIG_IGN);
	printf("{\"bench\":\"floor\"");
	measure_writes("fdatasync_4k", path, 0, 1);
	measure_writes("odsync_4k", path, O_DSYNC, 0);
	measure_writes("direct_odsync_4k", path, O_DIRECT | O_DSYNC, 0);
	measure_processes();
	measure_threads();
	printf("}\n");
	return 0;
}
