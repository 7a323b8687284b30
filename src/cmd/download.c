#include "cmd/download.h"

#include "io/addr.h"
#include "io/sys.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define SCHEME "https://"
#define HOST_MAX 256
#define PORT_MAX 8
#define RAW_MAX (BULLA_HTTP_HEAD_MAX + 2 * (size_t)BULLA_MAX_COLLATERAL)

struct url {
	char host[HOST_MAX], port[PORT_MAX], path[DOWNLOAD_URL];
};

struct exchange {
	int fd;
	struct bulla_tls *tls;
	struct bulla_buf out;
	int64_t until_us;
	bool ended; /* the server closed in order */
};

void download_init(struct download *ret)
{
	bulla_buf_init(&ret->raw, RAW_MAX);
	bulla_buf_init(&ret->body, BULLA_MAX_COLLATERAL);
}

void download_done(struct download *download)
{
	bulla_buf_done(&download->raw);
	bulla_buf_done(&download->body);
}

/* ---- where ---- */
static bool copy_part(const char *from, size_t size, char *ret, size_t max)
{
	if (size == 0 || size >= max)
		return false;
	bulla_copy(ret, from, size);
	ret[size] = '\0';
	return true;
}

/* https://NAME[:PORT]/PATH; addresses in brackets are not names of public servers. */
static bulla_rc parse_url(const char *text, struct url *ret)
{
	const char *host = text + sizeof(SCHEME) - 1;
	size_t host_size, port_size = 0;

	if (strncmp(text, SCHEME, sizeof(SCHEME) - 1) != 0)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "collateral is fetched over https");
	host_size = strcspn(host, ":/");
	const char *rest = host + host_size;
	if (*rest == ':')
		port_size = strspn(rest + 1, "0123456789");
	if (!copy_part(host, host_size, ret->host, sizeof(ret->host)) ||
		!copy_part(port_size > 0 ? rest + 1 : "443", port_size > 0 ? port_size : 3, ret->port, sizeof(ret->port)))
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a URL is https://NAME[:PORT]/PATH");
	rest += *rest == ':' ? port_size + 1 : 0;
	if (*rest != '/' && *rest != '\0')
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a URL is https://NAME[:PORT]/PATH");
	if (!copy_part(*rest == '/' ? rest : "/", *rest == '/' ? strlen(rest) : 1, ret->path, sizeof(ret->path)))
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a URL is too long");
	return BULLA_OK;
}

bool download_is_base(const char *url)
{
	struct url ignored;

	return strlen(url) < DOWNLOAD_URL / 2 && parse_url(url, &ignored) == BULLA_OK;
}

static bulla_rc wait_ready(const struct exchange *x, short events)
{
	int64_t left = x->until_us - bulla_mono_us(bulla_sys_clock());
	struct pollfd fd = {.fd = x->fd, .events = events};
	int n = left <= 0 ? 0 : poll(&fd, 1, (int)(left / 1000) + 1);

	if (n < 0 && errno != EINTR)
		return BULLA_FAIL_OS(BULLA_E_IO, "waiting on a server is refused", errno);
	return n == 0 ? BULLA_FAIL(BULLA_E_TIMEOUT, "the server does not answer") : BULLA_OK;
}

static bulla_rc dial_one(struct exchange *x, const struct addrinfo *info)
{
	struct bulla_addr addr = {.kind = BULLA_ADDR_TCP, .size = info->ai_addrlen};

	if (info->ai_addrlen > sizeof(addr.sock))
		return BULLA_E_UNREACHABLE;
	bulla_copy(&addr.sock, info->ai_addr, info->ai_addrlen);
	BULLA_TRY(bulla_addr_dial(&addr, &x->fd));
	BULLA_TRY(wait_ready(x, POLLOUT));
	return bulla_addr_dialled(x->fd);
}

static bulla_rc dial(struct exchange *x, const struct url *url)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	bulla_rc rc = BULLA_E_UNREACHABLE;

	if (getaddrinfo(url->host, url->port, &hints, &list) != 0)
		return BULLA_FAIL(BULLA_E_UNREACHABLE, "the server's name cannot be resolved");
	for (const struct addrinfo *one = list; one != NULL && rc != BULLA_OK; one = one->ai_next) {
		rc = dial_one(x, one);
		if (rc != BULLA_OK) {
			bulla_addr_close(x->fd);
			x->fd = -1;
		}
	}
	freeaddrinfo(list);
	return rc == BULLA_E_IO ? BULLA_E_UNREACHABLE : rc;
}

/* ---- exchange ---- */
static bulla_rc flush(struct exchange *x)
{
	BULLA_TRY(bulla_tls_take(x->tls, &x->out));
	while (x->out.n > 0) {
		BULLA_TRY(wait_ready(x, POLLOUT));
		ssize_t n = send(x->fd, x->out.p, x->out.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return BULLA_FAIL(BULLA_E_UNREACHABLE, "the server closed the connection");
		if (n > 0)
			bulla_buf_consume(&x->out, (size_t)n);
	}
	return BULLA_OK;
}

static bulla_rc receive(struct exchange *x, struct bulla_buf *plain)
{
	uint8_t bytes[16384];
	bulla_rc rc;
	ssize_t n;

	if (x->ended)
		return BULLA_FAIL(BULLA_E_TRUNCATED, "the answer ends early");
	BULLA_TRY(wait_ready(x, POLLIN));
	n = recv(x->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return BULLA_OK;
	if (n <= 0)
		return bulla_tls_ready(x->tls) ? BULLA_FAIL(BULLA_E_TRUNCATED, "the answer ends early")
		: BULLA_FAIL(BULLA_E_UNREACHABLE, "the server closed the connection");
	rc = bulla_tls_feed(x->tls, bulla_bytes_of(bytes, (size_t)n), plain);
	x->ended = rc == BULLA_E_CLOSED;
	return x->ended ? BULLA_OK : rc;
}

static bulla_rc content_length(bulla_bytes text, size_t *ret)
{
	size_t value = 0;

	if (text.n == 0 || text.n > 9)
		return BULLA_FAIL(BULLA_E_FORMAT, "an answer says how long it is");
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return BULLA_FAIL(BULLA_E_FORMAT, "an answer says how long it is");
		value = value * 10 + (size_t)(text.p[i] - '0');
	}
	*ret = value;
	return value <= BULLA_MAX_COLLATERAL ? BULLA_OK : BULLA_FAIL(BULLA_E_LIMIT, "a file of collateral is too large");
}

/* The body behind the head, by the one framing that the head names. BULLA_E_AGAIN: not whole yet. */
static bulla_rc read_body(const struct bulla_http_message *head, bulla_bytes rest, struct bulla_buf *ret)
{
	bulla_bytes coding = bulla_http_header(head, "transfer-encoding"), length = bulla_http_header(head, "content-length");
	size_t size = 0;

	bulla_buf_clear(ret);
	if (head->status == 204 || head->status == 304)
		return BULLA_OK;
	if (coding.n > 0 && length.n > 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "an answer with two lengths");
	if (coding.n > 0 && !bulla_http_name_eq(coding, "chunked"))
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "a transfer coding that this does not read");
	if (coding.n > 0)
		return bulla_http_dechunk(rest, ret);
	BULLA_TRY(content_length(length, &size));
	return rest.n < size ? BULLA_E_AGAIN : bulla_buf_append(ret, bulla_bytes_of(rest.p, size));
}

static bulla_rc read_answer(struct download *download)
{
	size_t head_size;
	bulla_bytes raw = bulla_buf_view(&download->raw);

	BULLA_TRY(bulla_http_read_response_head(raw, &download->message, &head_size));
	return read_body(&download->message, bulla_bytes_of(raw.p + head_size, raw.n - head_size), &download->body);
}

static bulla_rc ask(struct exchange *x, const struct url *url)
{
	char host[HOST_MAX + PORT_MAX + 1];
	struct bulla_http_message request = {.method = BULLA_BYTES_LITERAL("GET"), .target = bulla_bytes_str(url->path),
		.minor = 1, .header_count = 4};
	BULLA_AUTO_BUF text;
	bulla_bytes bytes;

	(void)snprintf(host, sizeof(host), "%s%s%s", url->host, strcmp(url->port, "443") == 0 ? "" : ":",
		strcmp(url->port, "443") == 0 ? "" : url->port);
	request.headers[0] = (struct bulla_http_header){BULLA_BYTES_LITERAL("host"), bulla_bytes_str(host)};
	request.headers[1] = (struct bulla_http_header){BULLA_BYTES_LITERAL("accept"), BULLA_BYTES_LITERAL("*/*")};
	request.headers[2] = (struct bulla_http_header){BULLA_BYTES_LITERAL("user-agent"), BULLA_BYTES_LITERAL("bulla")};
	request.headers[3] = (struct bulla_http_header){BULLA_BYTES_LITERAL("connection"), BULLA_BYTES_LITERAL("close")};
	bulla_buf_init(&text, 4096);
	bulla_wr w = bulla_wr_buf(&text);
	bulla_http_write_request(&w, &request);
	BULLA_TRY(bulla_wr_end(&w, &bytes));
	return bulla_tls_write(x->tls, bytes);
}

static bulla_rc converse(struct exchange *x, const struct url *url, struct download *download)
{
	bulla_rc rc = BULLA_E_AGAIN;
	bool asked = false;

	while (rc == BULLA_E_AGAIN) {
		BULLA_TRY(flush(x));
		BULLA_TRY(receive(x, &download->raw));
		if (bulla_tls_ready(x->tls) && !asked) {
			BULLA_TRY(ask(x, url));
			asked = true;
		}
		rc = read_answer(download);
	}
	return rc;
}

static bulla_rc get_once(struct bulla_tls_context *tls, const char *text, struct download *download)
{
	struct exchange x = {.fd = -1, .until_us = bulla_mono_us(bulla_sys_clock()) + (int64_t)DOWNLOAD_MS * 1000};
	struct url url;
	bulla_rc rc;

	BULLA_TRY(parse_url(text, &url));
	bulla_buf_clear(&download->raw);
	bulla_buf_clear(&download->body);
	bulla_buf_init(&x.out, 65536);
	rc = dial(&x, &url);
	rc = rc == BULLA_OK ? bulla_tls_public_open(tls, url.host, &x.tls) : rc;
	rc = rc == BULLA_OK ? converse(&x, &url, download) : rc;
	bulla_tls_free(x.tls);
	bulla_addr_close(x.fd);
	bulla_buf_done(&x.out);
	return rc;
}

static bool is_redirect(unsigned status)
{
	return status == 301 || status == 302 || status == 307 || status == 308;
}

bulla_rc download_get(struct bulla_tls_context *tls, const char *url, struct download *ret)
{
	char next[DOWNLOAD_URL];

	BULLA_TRY(get_once(tls, url, ret));
	if (!is_redirect(ret->message.status))
		return BULLA_OK;
	bulla_bytes to = bulla_http_header(&ret->message, "location");
	if (to.n < sizeof(SCHEME) || to.n >= sizeof(next) ||
		!bulla_bytes_eq_str(bulla_bytes_of(to.p, sizeof(SCHEME) - 1), SCHEME))
		return BULLA_FAIL(BULLA_E_DENIED, "a redirect to somewhere else than https");
	bulla_copy(next, to.p, to.n);
	next[to.n] = '\0';
	BULLA_TRY(get_once(tls, next, ret));
	return is_redirect(ret->message.status) ? BULLA_FAIL(BULLA_E_DENIED, "a second redirect") : BULLA_OK;
}
