#pragma once
/* Addresses: unix:PATH, vsock:CID:PORT, HOST:PORT (numeric IPv4, [IPv6] or the name localhost; nothing is resolved).
 * A text beginning with '/' is a unix path too. All sockets are non-blocking, close-on-exec. */
#include "base/bytes.h"

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

enum bulla_addr_kind { BULLA_ADDR_UNIX = 1, BULLA_ADDR_VSOCK = 2, BULLA_ADDR_TCP = 3 };

struct bulla_addr {
	enum bulla_addr_kind kind;
	socklen_t size;
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_storage storage;
	} sock;
};

/* BULLA_E_ARGUMENT when the text is no address (a path too long for a socket counts). Port 0 is allowed for TCP. */
BULLA_CHECK bulla_rc bulla_addr_parse(bulla_bytes text, struct bulla_addr *ret);

/* Listens. A stale unix socket (nobody answers) is replaced; a live one, or a used port: BULLA_E_PORT_BUSY.
 * mode: permission bits of a unix socket (0600, 0660); ignored otherwise. */
BULLA_CHECK bulla_rc bulla_addr_listen(const struct bulla_addr *addr, unsigned mode, int *ret_fd);

/* The port that a TCP listener got. */
BULLA_CHECK bulla_rc bulla_addr_port(int fd, uint16_t *ret);

/* Next waiting connection; BULLA_E_AGAIN when there is none. TCP gets NODELAY. */
BULLA_CHECK bulla_rc bulla_addr_accept(int fd, int *ret_fd);

/* Starts to connect; usable at once for unix, else when writable. BULLA_E_UNREACHABLE. */
BULLA_CHECK bulla_rc bulla_addr_dial(const struct bulla_addr *addr, int *ret_fd);

/* After a dialled socket became writable: BULLA_OK, or BULLA_E_UNREACHABLE. */
BULLA_CHECK bulla_rc bulla_addr_dialled(int fd);

/* Is the other end of this unix connection the user that this program runs as, or root? By the kernel's word when it was
 * connected. False where it has none: other kinds of connection. */
bool bulla_addr_is_own(int fd);

/* Closes; -1 is allowed. */
void bulla_addr_close(int fd);
