/* bulla-relay LISTEN CONNECT DELAY-US: a unix socket in front of another one; every byte, in each direction, leaves that
 * much later than it came. Bandwidth stays as it is. Stands between host and broker for a figure of a distant broker. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PAIRS = 64, RING = 1 << 20, STAMPS = 4096 };

/* One direction: bytes in a ring, and when each piece may leave. */
struct way {
	int from, to;
	uint8_t *bytes;
	size_t head, tail; /* ever written, ever sent */
	struct {
		size_t end;
		int64_t due_ns;
	} stamps[STAMPS];
	size_t first, last;
	bool ended; /* nothing more comes */
	bool shut;
};

struct pair {
	bool used;
	struct way way[2];
};

static struct pair pairs[PAIRS];
static int64_t delay_ns;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int open_unix(const char *path, bool listening)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc;

	if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
		return -1;
	strcpy(address.sun_path, path);
	rc = listening ? bind(fd, (struct sockaddr *)&address, sizeof(address)) : connect(fd, (struct sockaddr *)&address, sizeof(address));
	if (rc != 0 || (listening && listen(fd, 16) != 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void free_pair(struct pair *pair)
{
	close(pair->way[0].from);
	close(pair->way[0].to);
	free(pair->way[0].bytes);
	free(pair->way[1].bytes);
	memset(pair, 0, sizeof(*pair));
}

static void take(int listener, const char *target)
{
	struct pair *pair = pairs;
	int in = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), out;

	while (pair < pairs + PAIRS && pair->used)
		pair++;
	out = in < 0 || pair == pairs + PAIRS ? -1 : open_unix(target, false);
	if (out < 0) {
		if (in >= 0)
			close(in);
		return;
	}
	pair->used = true;
	pair->way[0] = (struct way){.from = in, .to = out, .bytes = malloc(RING)};
	pair->way[1] = (struct way){.from = out, .to = in, .bytes = malloc(RING)};
	if (pair->way[0].bytes == NULL || pair->way[1].bytes == NULL)
		free_pair(pair);
}

static bool has_room(const struct way *way)
{
	return !way->ended && way->head - way->tail < RING && way->last - way->first < STAMPS;
}

static void fill(struct way *way)
{
	size_t at = way->head % RING, room = RING - (way->head - way->tail);
	ssize_t n = read(way->from, way->bytes + at, room < RING - at ? room : RING - at);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		way->ended = true;
		return;
	}
	way->head += (size_t)n;
	way->stamps[way->last % STAMPS].end = way->head;
	way->stamps[way->last++ % STAMPS].due_ns = now_ns() + delay_ns;
}

/* Sends what is due. False: the other side is gone. */
static bool drain(struct way *way, int64_t now)
{
	while (way->first < way->last && way->stamps[way->first % STAMPS].due_ns <= now) {
		size_t at = way->tail % RING, size = way->stamps[way->first % STAMPS].end - way->tail;
		ssize_t n = send(way->to, way->bytes + at, size < RING - at ? size : RING - at, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		way->tail += (size_t)n;
		if (way->tail == way->stamps[way->first % STAMPS].end)
			way->first++;
	}
	if (way->ended && !way->shut && way->first == way->last) {
		shutdown(way->to, SHUT_WR);
		way->shut = true;
	}
	return true;
}

/* Nanoseconds until the next piece is due; a socket that is full is tried again after 100 us. */
static int64_t pause_ns(int64_t now)
{
	int64_t least = 1000000000;

	for (int i = 0; i < PAIRS * 2; i++) {
		const struct way *way = &pairs[i / 2].way[i % 2];
		int64_t left;

		if (!pairs[i / 2].used || way->first == way->last)
			continue;
		left = way->stamps[way->first % STAMPS].due_ns - now;
		left = left > 0 ? left : 100000;
		least = left < least ? left : least;
	}
	return least;
}

static void turn(int listener, const char *target)
{
	struct pollfd fds[1 + PAIRS * 2] = {{.fd = listener, .events = POLLIN}};
	int64_t pause = pause_ns(now_ns());
	struct timespec timeout = {pause / 1000000000, pause % 1000000000};

	for (int i = 0; i < PAIRS * 2; i++) {
		struct way *way = &pairs[i / 2].way[i % 2];

		fds[1 + i] = (struct pollfd){.fd = pairs[i / 2].used && has_room(way) ? way->from : -1, .events = POLLIN};
	}
	if (ppoll(fds, 1 + PAIRS * 2, &timeout, NULL) > 0) {
		for (int i = 0; i < PAIRS * 2; i++)
			if (fds[1 + i].revents != 0)
				fill(&pairs[i / 2].way[i % 2]);
		if (fds[0].revents != 0)
			take(listener, target);
	}
	for (int i = 0; i < PAIRS; i++) {
		bool alive = pairs[i].used && drain(&pairs[i].way[0], now_ns()) && drain(&pairs[i].way[1], now_ns());

		if (pairs[i].used && (!alive || (pairs[i].way[0].shut && pairs[i].way[1].shut)))
			free_pair(&pairs[i]);
	}
}

int main(int argc, char **argv)
{
	int listener = argc == 4 ? open_unix(argv[1], true) : -1;

	if (listener < 0) {
		fputs("usage: bulla-relay LISTEN CONNECT DELAY-US (paths of unix sockets; LISTEN must not exist)\n", stderr);
		return 2;
	}
	delay_ns = strtoll(argv[3], NULL, 10) * 1000;
	prctl(PR_SET_TIMERSLACK, 1000UL);
	puts("ready");
	fflush(stdout);
	for (;;)
		turn(listener, argv[2]);
}
