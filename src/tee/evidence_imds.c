#include "tee/evidence.h"

#include "io/addr.h"
#include "io/http.h"
#include "wire/json.h"
#include "wire/text.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define WAIT_MS 5000 /* for each of: connected, taken, answered */
#define MESSAGE_MAX 32768

static bulla_rc wait_for(int fd, short events)
{
	struct pollfd poller = {fd, events, 0};

	return poll(&poller, 1, WAIT_MS) > 0 ? BULLA_OK : BULLA_FAIL(BULLA_E_TIMEOUT, "the quote service does not answer");
}

static bulla_rc send_all(int fd, bulla_bytes bytes)
{
	for (size_t at = 0; at < bytes.n;) {
		BULLA_TRY(wait_for(fd, POLLOUT));
		ssize_t n = write(fd, bytes.p + at, bytes.n - at);
		if (n < 0)
			return BULLA_FAIL_OS(BULLA_E_UNREACHABLE, "the quote service hangs up", errno);
		at += (size_t)n;
	}
	return BULLA_OK;
}

/* Until the answer is whole: views into buf. */
static bulla_rc receive(int fd, struct bulla_buf *buf, struct bulla_http_message *ret)
{
	size_t size;
	bulla_rc rc;

	while ((rc = bulla_http_read_response(bulla_buf_view(buf), ret, &size)) == BULLA_E_AGAIN) {
		size_t room = buf->max - buf->n < 4096 ? buf->max - buf->n : 4096;

		if (room == 0)
			return BULLA_FAIL(BULLA_E_LIMIT, "the quote service's answer is too long");
		BULLA_TRY(bulla_buf_reserve(buf, room));
		BULLA_TRY(wait_for(fd, POLLIN));
		ssize_t n = read(fd, buf->p + buf->n, room);
		if (n <= 0)
			return BULLA_FAIL_OS(BULLA_E_UNREACHABLE, "the quote service hangs up", errno);
		buf->n += (size_t)n;
	}
	return rc;
}

static bulla_rc write_request(bulla_bytes td_report, struct bulla_buf *ret)
{
	struct bulla_http_message request = {.method = BULLA_BYTES_LITERAL("POST"), .target = BULLA_BYTES_LITERAL("/acc/tdquote"),
		.header_count = 2};
	BULLA_AUTO_BUF body;
	bulla_bytes ignored;

	bulla_buf_init(&body, MESSAGE_MAX);
	bulla_wr w = bulla_wr_buf(&body);
	bulla_text_wr(&w, "{\"report\":\"");
	bulla_text_wr_base64url(&w, td_report);
	bulla_text_wr(&w, "\"}");
	BULLA_TRY(bulla_wr_end(&w, &request.body));
	request.headers[0] = (struct bulla_http_header){BULLA_BYTES_LITERAL("host"), BULLA_BYTES_LITERAL("169.254.169.254")};
	request.headers[1] =
		(struct bulla_http_header){BULLA_BYTES_LITERAL("content-type"), BULLA_BYTES_LITERAL("application/json")};
	w = bulla_wr_buf(ret);
	bulla_http_write_request(&w, &request);
	return bulla_wr_end(&w, &ignored);
}

static bulla_rc read_quote(const struct bulla_http_message *response, struct bulla_buf *ret)
{
	bulla_json root, quote;
	bulla_bytes text;
	size_t size = 0;

	if (response->status != 200)
		return BULLA_FAIL(BULLA_E_DENIED, "the quote service refuses");
	BULLA_TRY(bulla_json_parse(response->body, &root));
	BULLA_TRY(bulla_json_get_str(root, "quote", &quote));
	BULLA_TRY(bulla_json_string_view(quote, &text));
	BULLA_TRY(bulla_buf_reserve(ret, BULLA_EVIDENCE_TD_QUOTE));
	BULLA_TRY(bulla_text_base64url(text, BULLA_EVIDENCE_TD_QUOTE, ret->p, &size));
	ret->n = size;
	return size > 0 ? BULLA_OK : BULLA_FAIL(BULLA_E_FORMAT, "the quote service gives no quote");
}

static bulla_rc exchange(int fd, bulla_bytes td_report, struct bulla_buf *ret)
{
	struct bulla_http_message response;
	BULLA_AUTO_BUF message;

	bulla_buf_init(&message, MESSAGE_MAX);
	BULLA_TRY(wait_for(fd, POLLOUT));
	BULLA_TRY(bulla_addr_dialled(fd));
	BULLA_TRY(write_request(td_report, &message));
	BULLA_TRY(send_all(fd, bulla_buf_view(&message)));
	message.n = 0;
	BULLA_TRY(receive(fd, &message, &response));
	return read_quote(&response, ret);
}

bulla_rc bulla_evidence_td_quote(const char *service, bulla_bytes td_report, struct bulla_buf *ret)
{
	struct bulla_addr addr;
	int fd = -1;
	bulla_rc rc;

	bulla_buf_clear(ret);
	BULLA_TRY(bulla_addr_parse(bulla_bytes_str(service), &addr));
	BULLA_TRY(bulla_addr_dial(&addr, &fd));
	rc = exchange(fd, td_report, ret);
	bulla_addr_close(fd);
	return rc;
}
