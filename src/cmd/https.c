#include "cmd/https.h"

#include "io/addr.h"
#include "io/sys.h"
#include "io/tls.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#define LIMIT_US 10000000

struct call {
	int fd;
	struct bulla_tls_context *context;
	struct bulla_tls *tls;
	struct bulla_buf out; /* bytes for the server */
	int64_t until_us;
	bool sent; /* the request is in the TLS stream */
};

static bulla_rc wait_ready(const struct call *call, short events)
{
	int64_t left = call->until_us - bulla_mono_us(bulla_sys_clock());
	struct pollfd fd = {.fd = call->fd, .events = events};
	int n = left <= 0 ? 0 : poll(&fd, 1, (int)(left / 1000) + 1);

	if (n < 0 && errno != EINTR)
		return BULLA_FAIL_OS(BULLA_E_IO, "waiting on the broker is refused", errno);
	return n == 0 ? BULLA_FAIL(BULLA_E_TIMEOUT, "the broker does not answer") : BULLA_OK;
}

static bulla_rc flush(struct call *call)
{
	BULLA_TRY(bulla_tls_take(call->tls, &call->out));
	while (call->out.n > 0) {
		BULLA_TRY(wait_ready(call, POLLOUT));
		ssize_t n = send(call->fd, call->out.p, call->out.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return BULLA_FAIL(BULLA_E_UNREACHABLE, "the broker closed the connection");
		if (n > 0)
			bulla_buf_consume(&call->out, (size_t)n);
	}
	return BULLA_OK;
}

static bulla_rc receive(struct call *call, struct bulla_buf *plain)
{
	uint8_t bytes[16384];
	ssize_t n;

	BULLA_TRY(wait_ready(call, POLLIN));
	n = recv(call->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return BULLA_OK;
	if (n <= 0)
		return BULLA_FAIL(BULLA_E_UNREACHABLE, "the broker closed the connection");
	return bulla_tls_feed(call->tls, bulla_bytes_of(bytes, (size_t)n), plain);
}

static bulla_rc exchange(struct call *call, bulla_bytes request, struct bulla_buf *memory,
	struct bulla_http_message *ret_response)
{
	bulla_rc rc = BULLA_E_AGAIN;
	size_t size;

	while (rc == BULLA_E_AGAIN) {
		BULLA_TRY(flush(call));
		BULLA_TRY(receive(call, memory));
		if (bulla_tls_ready(call->tls) && !call->sent) {
			BULLA_TRY(bulla_tls_write(call->tls, request));
			call->sent = true;
		}
		rc = bulla_http_read_response(bulla_buf_view(memory), ret_response, &size);
	}
	return rc;
}

bulla_rc https_call(const char *path, const bulla_digest *pin, bulla_bytes request, struct bulla_buf *memory,
	struct bulla_http_message *ret_response)
{
	struct call call = {.fd = -1, .until_us = bulla_mono_us(bulla_sys_clock()) + LIMIT_US};
	struct bulla_addr addr;
	bulla_rc rc;

	bulla_buf_init(&call.out, 65536);
	rc = bulla_addr_parse(bulla_bytes_str(path), &addr);
	rc = rc == BULLA_OK ? bulla_addr_dial(&addr, &call.fd) : rc;
	rc = rc == BULLA_OK ? bulla_tls_client_new(pin, &call.context) : rc;
	rc = rc == BULLA_OK ? bulla_tls_new(call.context, BULLA_TLS_HTTP, &call.tls) : rc;
	rc = rc == BULLA_OK ? exchange(&call, request, memory, ret_response) : rc;
	bulla_tls_free(call.tls);
	bulla_tls_context_free(call.context);
	bulla_addr_close(call.fd);
	bulla_buf_done(&call.out);
	return rc;
}
