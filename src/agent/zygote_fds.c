#include "agent/zygote_internal.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for the descriptors of one packet, aligned as the kernel wants it. */
union control {
	struct cmsghdr header;
	uint8_t bytes[CMSG_SPACE(sizeof(int) * BULLA_SANDBOX_FDS)];
};

static bulla_rc of_errno(void)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
		return BULLA_E_AGAIN;
	if (errno == EPIPE || errno == ECONNRESET)
		return BULLA_E_CLOSED;
	return BULLA_FAIL_OS(BULLA_E_IO, "a packet socket failed", errno);
}

bulla_rc bulla_packet_send(int fd, bulla_bytes packet, const int *fds, size_t count)
{
	struct iovec part = {.iov_base = (void *)(uintptr_t)packet.p, .iov_len = packet.n};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	union control control = {0};
	ssize_t sent;

	if (count > 0) {
		control.header = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(int) * count), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
		bulla_copy(CMSG_DATA(&control.header), fds, sizeof(int) * count);
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
	}
	do
		sent = sendmsg(fd, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? of_errno() : BULLA_OK;
}

static size_t take_fds(struct msghdr *message, int *ret_fds, size_t capacity)
{
	size_t count = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			bulla_copy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (count < capacity)
				ret_fds[count++] = fd;
			else
				close(fd);
		}
	}
	return count;
}

bulla_rc bulla_packet_receive(int fd, uint8_t *memory, size_t size, bulla_bytes *ret, int *ret_fds, size_t capacity,
	size_t *ret_count)
{
	struct iovec part = {.iov_base = memory, .iov_len = size};
	union control control = {0};
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
	ssize_t got;

	do
		got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && (errno == EINTR || errno == ECONNRESET)); /* a reset is told once; its last words follow */
	if (got < 0)
		return of_errno();
	*ret_count = take_fds(&message, ret_fds, capacity);
	if (got == 0)
		return BULLA_E_CLOSED;
	if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
		return BULLA_FAIL(BULLA_E_LIMIT, "a packet was longer than it may be");
	*ret = bulla_bytes_of(memory, (size_t)got);
	return BULLA_OK;
}
