#define _GNU_SOURCE
#include "io/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

/* Room for each kind behind one pointer; sockaddr_storage is large and aligned enough for all (RFC 3493 section 3.10).
 */
union any_address {
	struct sockaddr any;
	struct sockaddr_un un;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_vm vm;
	struct sockaddr_storage storage;
};

static void keep(struct bulla_addr *ret, enum bulla_addr_kind kind, const union any_address *address, size_t size)
{
	*ret = (struct bulla_addr){.kind = kind, .size = (socklen_t)size};
	bulla_copy(&ret->sock, address, size);
}

static bool after(bulla_bytes text, const char *prefix, bulla_bytes *ret)
{
	size_t n = strlen(prefix);

	if (text.n < n || !bulla_bytes_eq((bulla_bytes){text.p, n}, bulla_bytes_str(prefix)))
		return false;
	*ret = (bulla_bytes){text.p + n, text.n - n};
	return true;
}

static bulla_rc parse_number(bulla_bytes text, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (text.n == 0 || text.n > 10)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "an address has a number missing");
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return BULLA_FAIL(BULLA_E_ARGUMENT, "an address has something else where its number is");
		value = value * 10 + (uint64_t)(text.p[i] - '0');
	}
	if (value > max)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a number in an address is too large");
	*ret = value;
	return BULLA_OK;
}

static bulla_rc parse_unix(bulla_bytes path, struct bulla_addr *ret)
{
	union any_address address = {.un = {.sun_family = AF_UNIX}};

	if (path.n == 0 || path.n >= sizeof(address.un.sun_path) || memchr(path.p, 0, path.n) != NULL)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a socket's path is empty or longer than 107 bytes");
	bulla_copy(address.un.sun_path, path.p, path.n);
	keep(ret, BULLA_ADDR_UNIX, &address, offsetof(struct sockaddr_un, sun_path) + path.n + 1);
	return BULLA_OK;
}

static bool split_last(bulla_bytes text, bulla_bytes *ret_head, bulla_bytes *ret_tail)
{
	for (size_t i = text.n; i > 0; i--) {
		if (text.p[i - 1] != ':')
			continue;
		*ret_head = (bulla_bytes){text.p, i - 1};
		*ret_tail = (bulla_bytes){text.p + i, text.n - i};
		return true;
	}
	return false;
}

static bulla_rc parse_vsock(bulla_bytes text, struct bulla_addr *ret)
{
	union any_address address = {.vm = {.svm_family = AF_VSOCK}};
	bulla_bytes cid, port;
	uint64_t number;

	if (!split_last(text, &cid, &port))
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a vsock address is vsock:CID:PORT");
	BULLA_TRY(parse_number(cid, UINT32_MAX, &number));
	address.vm.svm_cid = (unsigned)number;
	BULLA_TRY(parse_number(port, UINT32_MAX, &number));
	address.vm.svm_port = (unsigned)number;
	keep(ret, BULLA_ADDR_VSOCK, &address, sizeof(address.vm));
	return BULLA_OK;
}

static bulla_rc parse_tcp(bulla_bytes text, struct bulla_addr *ret)
{
	union any_address address = {.storage = {0}};
	bulla_bytes host, port;
	uint64_t number;
	char name[64] = {0};

	if (!split_last(text, &host, &port) || host.n == 0 || host.n >= sizeof(name))
		return BULLA_FAIL(BULLA_E_ARGUMENT, "an address is unix:PATH, vsock:CID:PORT or HOST:PORT");
	BULLA_TRY(parse_number(port, 65535, &number));
	bulla_copy(name, host.p, host.n);
	if (strcmp(name, "localhost") == 0)
		bulla_copy(name, "127.0.0.1", 10);
	if (name[0] == '[' && name[host.n - 1] == ']') {
		name[host.n - 1] = '\0';
		address.in6.sin6_family = AF_INET6;
		address.in6.sin6_port = htons((uint16_t)number);
		if (inet_pton(AF_INET6, name + 1, &address.in6.sin6_addr) != 1)
			return BULLA_FAIL(BULLA_E_ARGUMENT, "not a numeric IPv6 address");
		keep(ret, BULLA_ADDR_TCP, &address, sizeof(address.in6));
		return BULLA_OK;
	}
	address.in.sin_family = AF_INET;
	address.in.sin_port = htons((uint16_t)number);
	if (inet_pton(AF_INET, name, &address.in.sin_addr) != 1)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "not a numeric IPv4 address");
	keep(ret, BULLA_ADDR_TCP, &address, sizeof(address.in));
	return BULLA_OK;
}

bulla_rc bulla_addr_parse(bulla_bytes text, struct bulla_addr *ret)
{
	bulla_bytes rest;

	if (after(text, "unix:", &rest))
		return parse_unix(rest, ret);
	if (text.n > 0 && text.p[0] == '/')
		return parse_unix(text, ret);
	if (after(text, "vsock:", &rest))
		return parse_vsock(rest, ret);
	return parse_tcp(text, ret);
}

static bulla_rc new_socket(const struct bulla_addr *addr, int *ret_fd)
{
	int fd = socket(addr->sock.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "no socket", errno);
	*ret_fd = fd;
	return BULLA_OK;
}

/* A socket file of a program that is gone is taken away; one that answers is left alone. */
static void clear_stale(const struct bulla_addr *addr)
{
	struct stat status;
	int fd;

	if (lstat(addr->sock.un.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, &addr->sock.any, addr->size) != 0 && errno == ECONNREFUSED)
		unlink(addr->sock.un.sun_path);
	bulla_addr_close(fd);
}

static bulla_rc bind_and_listen(int fd, const struct bulla_addr *addr, unsigned mode)
{
	int one = 1;

	if (addr->kind == BULLA_ADDR_TCP && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a socket option is refused", errno);
	if (bind(fd, &addr->sock.any, addr->size) != 0)
		return BULLA_FAIL_OS(errno == EADDRINUSE ? BULLA_E_PORT_BUSY : BULLA_E_IO, "cannot listen there", errno);
	if (addr->kind == BULLA_ADDR_UNIX && chmod(addr->sock.un.sun_path, mode) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a socket's mode cannot be set", errno);
	if (listen(fd, 128) != 0)
		return BULLA_FAIL_OS(errno == EADDRINUSE ? BULLA_E_PORT_BUSY : BULLA_E_IO, "cannot listen there", errno);
	return BULLA_OK;
}

bulla_rc bulla_addr_listen(const struct bulla_addr *addr, unsigned mode, int *ret_fd)
{
	int fd;
	bulla_rc rc;

	if (addr->kind == BULLA_ADDR_UNIX)
		clear_stale(addr);
	BULLA_TRY(new_socket(addr, &fd));
	rc = bind_and_listen(fd, addr, mode);
	if (rc != BULLA_OK) {
		close(fd);
		return rc;
	}
	*ret_fd = fd;
	return BULLA_OK;
}

bulla_rc bulla_addr_port(int fd, uint16_t *ret)
{
	union any_address address;
	socklen_t size = sizeof(address);

	if (getsockname(fd, &address.any, &size) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a socket has no name", errno);
	*ret = ntohs(address.any.sa_family == AF_INET6 ? address.in6.sin6_port : address.in.sin_port);
	return BULLA_OK;
}

static void no_delay(int fd)
{
	int one = 1;

	/* fails on what is not TCP, where there is no delay to switch off */
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0)
		return;
}

bulla_rc bulla_addr_accept(int fd, int *ret_fd)
{
	int got = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (got < 0 && (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR))
		return BULLA_E_AGAIN;
	if (got < 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a connection cannot be accepted", errno);
	no_delay(got);
	*ret_fd = got;
	return BULLA_OK;
}

bulla_rc bulla_addr_dial(const struct bulla_addr *addr, int *ret_fd)
{
	int fd;

	BULLA_TRY(new_socket(addr, &fd));
	if (connect(fd, &addr->sock.any, addr->size) != 0 && errno != EINPROGRESS) {
		int os_error = errno;

		close(fd);
		return BULLA_FAIL_OS(BULLA_E_UNREACHABLE, "nobody listens there", os_error);
	}
	if (addr->kind == BULLA_ADDR_TCP)
		no_delay(fd);
	*ret_fd = fd;
	return BULLA_OK;
}

bulla_rc bulla_addr_dialled(int fd)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)
		return BULLA_FAIL_OS(BULLA_E_UNREACHABLE, "nobody listens there", error);
	return BULLA_OK;
}

bool bulla_addr_is_own(int fd)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || size != sizeof(peer))
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}

void bulla_addr_close(int fd)
{
	if (fd >= 0)
		close(fd);
}
