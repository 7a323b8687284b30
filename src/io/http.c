#include "io/http.h"

#include "base/rd.h"
#include "wire/text.h"

#include <string.h>

/* RFC 9110 section 5.6.2 */
static bool is_token(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		(c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

bool bulla_http_name_eq(bulla_bytes name, const char *other)
{
	bulla_bytes b = bulla_bytes_str(other);

	if (name.n != b.n)
		return false;
	for (size_t i = 0; i < b.n; i++)
		if (lower(name.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

/* A line up to CRLF, without it. A CR or LF of its own, or another control character, is refused (RFC 9112
 * section 2.2). */
static bulla_rc read_line(bulla_rd *r, bulla_bytes *ret)
{
	const uint8_t *p = r->p + r->at;
	size_t left = bulla_rd_left(r);
	size_t n = 0;

	while (n < left && p[n] != '\r' && p[n] != '\n')
		if ((p[n] < ' ' && p[n] != '\t') || p[n++] == 0x7f)
			return BULLA_FAIL(BULLA_E_FORMAT, "a control character in a message head");
	if (n + 1 >= left)
		return BULLA_E_AGAIN;
	if (p[n] != '\r' || p[n + 1] != '\n')
		return BULLA_FAIL(BULLA_E_FORMAT, "a line ends with something else than CRLF");
	BULLA_TRY(bulla_rd_bytes(r, n, ret));
	return bulla_rd_skip(r, 2);
}

static bulla_rc read_version(bulla_bytes text, struct bulla_http_message *message)
{
	if (text.n != 8 || !bulla_bytes_eq((bulla_bytes){text.p, 5}, BULLA_BYTES_LITERAL("HTTP/")))
		return BULLA_FAIL(BULLA_E_FORMAT, "no HTTP version");
	if (!bulla_bytes_eq_str(text, "HTTP/1.1") && !bulla_bytes_eq_str(text, "HTTP/1.0"))
		return BULLA_FAIL(BULLA_E_VERSION, "not HTTP/1.1");
	message->minor = (unsigned)(text.p[7] - '0');
	message->keep_alive = message->minor == 1;
	return BULLA_OK;
}

static bulla_bytes up_to(bulla_bytes *rest, char stop)
{
	bulla_bytes part = {rest->p, 0};

	while (part.n < rest->n && rest->p[part.n] != (uint8_t)stop)
		part.n++;
	size_t skip = part.n < rest->n ? part.n + 1 : part.n;
	*rest = (bulla_bytes){rest->p + skip, rest->n - skip};
	return part;
}

static bulla_rc read_request_line(bulla_bytes line, struct bulla_http_message *message)
{
	bulla_bytes rest = line;

	message->method = up_to(&rest, ' ');
	message->target = up_to(&rest, ' ');
	if (message->method.n == 0 || message->method.n > 16 || message->target.n == 0 || message->target.p[0] != '/')
		return BULLA_FAIL(BULLA_E_FORMAT, "a request line is METHOD /target HTTP/1.1");
	for (size_t i = 0; i < message->method.n; i++)
		if (message->method.p[i] < 'A' || message->method.p[i] > 'Z')
			return BULLA_FAIL(BULLA_E_FORMAT, "a method is upper-case letters");
	for (size_t i = 0; i < message->target.n; i++)
		if (message->target.p[i] <= ' ' || message->target.p[i] > 0x7e)
			return BULLA_FAIL(BULLA_E_FORMAT, "a target has printable characters only");
	return read_version(rest, message);
}

static bulla_rc read_status_line(bulla_bytes line, struct bulla_http_message *message)
{
	bulla_bytes rest = line;
	bulla_bytes version = up_to(&rest, ' ');
	bulla_bytes status = up_to(&rest, ' '); /* what is left is the reason: nobody reads it */
	uint64_t number;

	BULLA_TRY(read_version(version, message));
	if (bulla_text_uint(status, 599, &number) != BULLA_OK || number < 200)
		return BULLA_FAIL(BULLA_E_FORMAT, "a final status is 200 to 599");
	message->status = (unsigned)number;
	return BULLA_OK;
}

static bulla_bytes trim(bulla_bytes text)
{
	while (text.n > 0 && (text.p[0] == ' ' || text.p[0] == '\t'))
		text = (bulla_bytes){text.p + 1, text.n - 1};
	while (text.n > 0 && (text.p[text.n - 1] == ' ' || text.p[text.n - 1] == '\t'))
		text.n--;
	return text;
}

static bulla_rc read_header(bulla_bytes line, struct bulla_http_message *message)
{
	bulla_bytes rest = line;
	bulla_bytes name = up_to(&rest, ':');

	if (message->header_count == BULLA_HTTP_HEADERS_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "too many headers");
	if (name.n == 0 || name.n == line.n)
		return BULLA_FAIL(BULLA_E_FORMAT, "a header is NAME: VALUE");
	for (size_t i = 0; i < name.n; i++)
		if (!is_token(name.p[i])) /* a blank before the colon and obs-fold end here */
			return BULLA_FAIL(BULLA_E_FORMAT, "a header name has another character than a token's");
	message->headers[message->header_count++] = (struct bulla_http_header){name, trim(rest)};
	return BULLA_OK;
}

static bulla_rc read_head(bulla_rd *r, struct bulla_http_message *message,
	bulla_rc (*first)(bulla_bytes line, struct bulla_http_message *message))
{
	bulla_bytes line;

	BULLA_TRY(read_line(r, &line));
	BULLA_TRY(first(line, message));
	for (;;) {
		BULLA_TRY(read_line(r, &line));
		if (line.n == 0)
			return BULLA_OK;
		BULLA_TRY(read_header(line, message));
	}
}

static size_t count_of(const struct bulla_http_message *message, const char *name)
{
	size_t count = 0;

	for (size_t i = 0; i < message->header_count; i++)
		count += bulla_http_name_eq(message->headers[i].name, name) ? 1 : 0;
	return count;
}

bulla_bytes bulla_http_header(const struct bulla_http_message *message, const char *name)
{
	if (count_of(message, name) != 1)
		return (bulla_bytes){NULL, 0};
	for (size_t i = 0; i < message->header_count; i++)
		if (bulla_http_name_eq(message->headers[i].name, name))
			return message->headers[i].value;
	return (bulla_bytes){NULL, 0};
}

static bulla_rc content_length(const struct bulla_http_message *message, size_t *ret)
{
	uint64_t value;
	bulla_rc rc = bulla_text_uint(bulla_http_header(message, "content-length"), BULLA_HTTP_BODY_MAX, &value);

	if (rc != BULLA_OK)
		return BULLA_FAIL(rc, "content-length is no number, doubled or too large");
	*ret = (size_t)value;
	return BULLA_OK;
}

/* A list may hide a header's meaning from one reader and show it to another: exact words only. */
static bulla_rc read_connection(struct bulla_http_message *message)
{
	bulla_bytes value = bulla_http_header(message, "connection");

	if (count_of(message, "transfer-encoding") > 0 || count_of(message, "upgrade") > 0)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "bodies come with content-length only");
	if (bulla_http_name_eq(value, "close"))
		message->keep_alive = false;
	else if (bulla_http_name_eq(value, "keep-alive"))
		message->keep_alive = true;
	return BULLA_OK;
}

static bulla_rc read_body(bulla_rd *r, struct bulla_http_message *message, bool must_have_length)
{
	size_t size = 0;

	if (must_have_length || count_of(message, "content-length") > 0)
		BULLA_TRY(content_length(message, &size));
	if (size > bulla_rd_left(r))
		return BULLA_E_AGAIN;
	return bulla_rd_bytes(r, size, &message->body);
}

/* The head; *ret_r stands behind it, before what follows in bytes. */
static bulla_rc read_whole_head(bulla_bytes bytes, bool request, struct bulla_http_message *ret, bulla_rd *ret_r)
{
	bulla_rc rc;

	*ret_r = bulla_rd_of((bulla_bytes){bytes.p, bytes.n < BULLA_HTTP_HEAD_MAX ? bytes.n : BULLA_HTTP_HEAD_MAX});
	*ret = (struct bulla_http_message){.minor = 0};
	rc = read_head(ret_r, ret, request ? read_request_line : read_status_line);
	if (rc == BULLA_E_AGAIN && bytes.n > BULLA_HTTP_HEAD_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "a message head is too long");
	ret_r->n = bytes.n;
	return rc;
}

static bulla_rc read_message(bulla_bytes bytes, bool request, struct bulla_http_message *ret, size_t *ret_size)
{
	bulla_rd r;
	bulla_rc rc = read_whole_head(bytes, request, ret, &r);

	if (rc != BULLA_OK)
		return rc;
	BULLA_TRY(read_connection(ret));
	rc = read_body(&r, ret, !request && ret->status != 204 && ret->status != 304);
	if (rc == BULLA_OK)
		*ret_size = r.at;
	return rc;
}

bulla_rc bulla_http_read_response_head(bulla_bytes bytes, struct bulla_http_message *ret, size_t *ret_size)
{
	bulla_rd r;
	bulla_rc rc = read_whole_head(bytes, false, ret, &r);

	if (rc == BULLA_OK)
		*ret_size = r.at;
	return rc;
}

bulla_rc bulla_http_read_request(bulla_bytes bytes, struct bulla_http_message *ret, size_t *ret_size)
{
	return read_message(bytes, true, ret, ret_size);
}

bulla_rc bulla_http_read_response(bulla_bytes bytes, struct bulla_http_message *ret, size_t *ret_size)
{
	return read_message(bytes, false, ret, ret_size);
}

static bool printable(bulla_bytes text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < ' ' || text.p[i] > 0x7e)
			return false;
	return true;
}

static void put(bulla_wr *w, bulla_bytes text)
{
	if (!printable(text))
		bulla_wr_fail(w, BULLA_FAIL(BULLA_E_ARGUMENT, "a message head has printable characters only"));
	bulla_wr_bytes(w, text);
}

static void put_str(bulla_wr *w, const char *text)
{
	bulla_wr_bytes(w, bulla_bytes_str(text));
}

static void put_rest(bulla_wr *w, const struct bulla_http_message *message)
{
	for (size_t i = 0; i < message->header_count; i++) {
		if (bulla_http_name_eq(message->headers[i].name, "content-length"))
			continue; /* ours is the only one */
		put(w, message->headers[i].name);
		put_str(w, ": ");
		put(w, message->headers[i].value);
		put_str(w, "\r\n");
	}
	put_str(w, "content-length: ");
	bulla_text_wr_uint(w, message->body.n);
	put_str(w, "\r\n\r\n");
	bulla_wr_bytes(w, message->body);
}

void bulla_http_write_request(bulla_wr *w, const struct bulla_http_message *message)
{
	put(w, message->method);
	put_str(w, " ");
	put(w, message->target);
	put_str(w, " HTTP/1.1\r\n");
	put_rest(w, message);
}

static const char *reason(unsigned status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 413:
		return "Content Too Large";
	case 501:
		return "Not Implemented";
	case 503:
		return "Service Unavailable";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return status < 500 ? "Other" : "Internal Server Error";
	}
}

void bulla_http_write_response(bulla_wr *w, const struct bulla_http_message *message)
{
	put_str(w, "HTTP/1.1 ");
	bulla_text_wr_uint(w, message->status);
	put_str(w, " ");
	put_str(w, reason(message->status));
	put_str(w, "\r\n");
	put_rest(w, message);
}
