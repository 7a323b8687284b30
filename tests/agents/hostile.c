/* An agent that does what agents must not: each word of its command line is one misdeed. Tests only. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int count_names(const char *path)
{
	DIR *folder = opendir(path);
	int n = 0;

	if (folder == NULL)
		return -1;
	for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
		n += entry->d_name[0] != '.';
	closedir(folder);
	return n;
}

static int can_open(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int can_socket(int domain, int type)
{
	int fd = socket(domain, type, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int can_execute_tmp(void)
{
	FILE *file = fopen("/tmp/x", "w");
	pid_t pid;
	int status = 0;

	if (file == NULL)
		return -1;
	fputs("#!/bin/sh\nexit 0\n", file);
	fclose(file);
	chmod("/tmp/x", 0755);
	pid = fork();
	if (pid == 0) {
		execl("/tmp/x", "x", (char *)NULL);
		_exit(9);
	}
	return pid < 0 || waitpid(pid, &status, 0) != pid ? -1 : status == 0;
}

/* One JSON object of what it could do. */
static int probe(void)
{
	printf("{\"shadow\":%d,\"proc\":%d,\"sys\":%d,\"root\":%d,\"nsm\":%d,\"mem\":%d,", can_open("/etc/shadow", O_RDONLY),
		count_names("/proc"), count_names("/sys"), can_open("/root", O_RDONLY), can_open("/dev/nsm", O_RDWR),
		can_open("/dev/mem", O_RDONLY));
	printf("\"null\":%d,\"urandom\":%d,\"dev\":%d,", can_open("/dev/null", O_RDWR), can_open("/dev/urandom", O_RDONLY),
		count_names("/dev"));
	printf("\"write_usr\":%d,\"write_agent\":%d,\"write_root\":%d,\"write_tmp\":%d,\"exec_tmp\":%d,",
		can_open("/usr/x", O_WRONLY | O_CREAT), can_open("/agent/x", O_WRONLY | O_CREAT),
		can_open("/x", O_WRONLY | O_CREAT), can_open("/tmp/y", O_WRONLY | O_CREAT), can_execute_tmp());
	printf("\"bundles\":%d,\"agent\":%d,", count_names("/bundles"), count_names("/agent"));
	printf("\"inet\":%d,\"inet6\":%d,\"vsock\":%d,\"netlink\":%d,\"packet\":%d,\"unix\":%d,",
		can_socket(AF_INET, SOCK_STREAM), can_socket(AF_INET6, SOCK_STREAM), can_socket(AF_VSOCK, SOCK_STREAM),
		can_socket(AF_NETLINK, SOCK_RAW), can_socket(AF_PACKET, SOCK_RAW), can_socket(AF_UNIX, SOCK_STREAM));
	printf("\"unshare\":%d,\"userns\":%d,\"kill\":%d,\"uid0\":%d,\"setuid\":%d,\"fds\":%d,\"io_uring\":%d,", unshare(CLONE_NEWNS) == 0,
		unshare(CLONE_NEWUSER) == 0, kill(1, SIGKILL) == 0 && getppid() != 1, geteuid() == 0, setuid(0) == 0,
		fcntl(3, F_GETFD) >= 0 || fcntl(4, F_GETFD) >= 0, (int)(syscall(SYS_io_uring_setup, 1, NULL) >= 0));
	printf("\"pid\":%d,\"host\":\"", (int)getpid() < 20);
	{
		char name[64] = "";

		gethostname(name, sizeof(name) - 1);
		printf("%s\"}\n", name);
	}
	return 0;
}

/* stream: answers lines; the first letter of a job says what to do. */
static int stream(void)
{
	static char line[4 << 20];
	int served = 0;

	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (strstr(line, "\"two\"") != NULL)
			printf("{\"a\":1} {\"b\":2}\n");
		else if (strstr(line, "\"none\"") != NULL)
			printf("\n");
		else if (strstr(line, "\"rubbish\"") != NULL)
			printf("hello\n");
		else if (strstr(line, "\"die-now\"") != NULL)
			abort();
		else if (strstr(line, "\"die-after\"") != NULL) {
			printf("{\"last\":true}\n");
			fflush(stdout);
			_exit(0);
		} else if (strstr(line, "\"eager\"") != NULL)
			printf("{\"n\":1}\n{\"not\":\"asked\"}\n");
		else if (strstr(line, "\"endless\"") != NULL)
			for (;;)
				fputs("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", stdout);
		else if (strstr(line, "\"hang\"") != NULL)
			pause();
		else {
			fprintf(stderr, "job %d\n", served);
			printf("{\"served\":%d,\"size\":%zu}\n", served, strlen(line));
		}
		served++;
		fflush(stdout);
	}
	return 0;
}

static void fork_bomb(void)
{
	int made = 0;

	while (fork() >= 0)
		made++;
	pause();
}

static void eat_memory(void)
{
	static char *volatile kept; /* else clang drops the memory and keeps the loop */

	for (;;) {
		kept = malloc(1 << 20);
		if (kept == NULL)
			exit(3);
		memset(kept, 1, 1 << 20);
	}
}

static int connect_out(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		perror("socket");
	inet_pton(AF_INET, "1.1.1.1", &to.sin_addr);
	return fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0 ? 0 : 1;
}

static int flood(FILE *to)
{
	for (int i = 0; i < 1 << 18; i++)
		fputs("0123456789abcdef", to);
	return 0;
}

/* A name that only a network namespace bounds: takes it and stays / looks for who took it. */
static int abstract_name(int take)
{
	const struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0bulla-meeting"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (!take) {
		printf("{\"met\":%d}\n", connect(fd, (const struct sockaddr *)&name, sizeof(name)) == 0);
		return 0;
	}
	printf("{\"taken\":%d}\n", bind(fd, (const struct sockaddr *)&name, sizeof(name)) == 0 && listen(fd, 1) == 0);
	fflush(stdout);
	pause();
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "probe") == 0)
		return probe();
	if (strcmp(what, "stream") == 0)
		return stream();
	if (strcmp(what, "eager") == 0) {
		printf("{\"early\":true}\n");
		fflush(stdout);
		return stream();
	}
	if (strcmp(what, "fork") == 0)
		fork_bomb();
	if (strcmp(what, "memory") == 0)
		eat_memory();
	if (strcmp(what, "network") == 0)
		return connect_out();
	if (strcmp(what, "flood-out") == 0)
		return flood(stdout);
	if (strcmp(what, "flood-err") == 0) {
		flood(stderr);
		printf("1\n");
		return 0;
	}
	if (strcmp(what, "mount") == 0)
		return mount("none", "/tmp", "tmpfs", 0, NULL) == 0 ? 0 : 1;
	if (strcmp(what, "ptrace") == 0)
		return ptrace(PTRACE_ATTACH, 1, NULL, NULL) == 0 ? 0 : 1;
	if (strcmp(what, "take-name") == 0)
		return abstract_name(1);
	if (strcmp(what, "find-name") == 0)
		return abstract_name(0);
	if (strcmp(what, "hang") == 0)
		pause();
	if (strcmp(what, "crash") == 0)
		raise(SIGSEGV);
	return 64;
}
