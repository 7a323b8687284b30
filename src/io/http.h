#pragma once
/* HTTP/1.1 (RFC 9110, 9112), the strict subset that API clients speak: one message per parse, bodies by Content-Length
 * only; chunked, obs-fold, bare CR or LF, blanks before a colon, duplicate or differing Content-Length,
 * Transfer-Encoding, Upgrade and trailing garbage are refused. Limits come before everything. Pure: views into the
 * caller's bytes. */
#include "base/buf.h"
#include "base/wr.h"

#define BULLA_HTTP_HEADERS_MAX 64
#define BULLA_HTTP_HEAD_MAX 16384
#define BULLA_HTTP_BODY_MAX 1048576

struct bulla_http_header {
	bulla_bytes name;  /* as sent; compare without regard to case */
	bulla_bytes value; /* outer blanks trimmed */
};

struct bulla_http_message {
	bulla_bytes method; /* requests: upper-case token */
	bulla_bytes target; /* requests: origin form, begins with '/' */
	unsigned status;    /* responses: 100 to 599 */
	unsigned minor;     /* HTTP/1.minor: 0 or 1 */
	bool keep_alive;
	struct bulla_http_header headers[BULLA_HTTP_HEADERS_MAX];
	size_t header_count;
	bulla_bytes body;
};

/* Reads one request / response off the front of bytes; *ret_size is what it took. BULLA_E_AGAIN: it is not whole yet
 * (or, for a response without Content-Length, never: those are refused). BULLA_E_LIMIT, BULLA_E_FORMAT,
 * BULLA_E_VERSION, BULLA_E_UNSUPPORTED (transfer coding). A HEAD request's response is not supported. */
BULLA_CHECK bulla_rc bulla_http_read_request(bulla_bytes bytes, struct bulla_http_message *ret, size_t *ret_size);
BULLA_CHECK bulla_rc bulla_http_read_response(bulla_bytes bytes, struct bulla_http_message *ret, size_t *ret_size);

/* Only the head of a response, of any framing: for downloads (the caller sees to the body behind *ret_size bytes). */
BULLA_CHECK bulla_rc bulla_http_read_response_head(bulla_bytes bytes, struct bulla_http_message *ret, size_t *ret_size);

/* A whole chunked body (RFC 9112 section 7.1) to ret, up to its maximum; extensions and trailers are refused. BULLA_E_AGAIN:
 * it is not whole yet; BULLA_E_FORMAT, BULLA_E_LIMIT, BULLA_E_TRAILING. */
BULLA_CHECK bulla_rc bulla_http_dechunk(bulla_bytes bytes, struct bulla_buf *ret);

/* The value of the only header of this name (letters in any case); {NULL, 0} when there is none or more than one. */
bulla_bytes bulla_http_header(const struct bulla_http_message *message, const char *name);

/* Names equal without regard to ASCII case. */
bool bulla_http_name_eq(bulla_bytes name, const char *other);

/* Writes method, target, headers as given, content-length, body. A header with a byte outside printable ASCII, or CR,
 * LF: the writer fails with BULLA_E_ARGUMENT (no header injection). */
void bulla_http_write_request(bulla_wr *w, const struct bulla_http_message *message);
/* Status line with its standard reason, headers as given, content-length, body. */
void bulla_http_write_response(bulla_wr *w, const struct bulla_http_message *message);
