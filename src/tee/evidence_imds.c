#include "tee/evidence.h"

#include "io/addr.h"
#include "io/http.h"
#include "wire/json.h"
#include "wire/text.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define WAIT_MS 5000 /* for each of: connected, answered */
#define MESSAGE_MAX 32768
#define TD_REPORT 1024
/* The body has one size: 1024 bytes are 1366 digits. */
#define REQUEST \
	"POST /acc/tdquote HTTP/1.1\r\nHost: 169.254.169.254\r\nContent-Type: application/json\r\n" \
	"Content-Length: 1379\r\n\r\n{\"report\":\""

static bulla_rc wait_for(int fd, short events)
{
	struct pollfd poller = {fd, events, 0};

	return poll(&poller, 1, WAIT_MS) > 0 ? BULLA_OK : BULLA_FAIL(BULLA_E_TIMEOUT, "the quote service does not answer");
}

static bulla_rc ask(int fd, bulla_bytes td_report)
{
	uint8_t memory[2048];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

	bulla_text_wr(&w, REQUEST);
	bulla_text_wr_base64url(&w, td_report);
	bulla_text_wr(&w, "\"}");
	BULLA_TRY(wait_for(fd, POLLOUT));
	BULLA_TRY(bulla_addr_dialled(fd));
	/* a new connection takes 2 KiB at once */
	if (write(fd, memory, w.n) != (ssize_t)w.n)
		return BULLA_FAIL_OS(BULLA_E_UNREACHABLE, "the quote service hangs up", errno);
	return BULLA_OK;
}

/* Until the answer is whole: it views buf. */
static bulla_rc hear(int fd, struct bulla_buf *buf, struct bulla_http_message *ret)
{
	size_t size;
	bulla_rc rc;

	BULLA_TRY(bulla_buf_reserve(buf, MESSAGE_MAX));
	while ((rc = bulla_http_read_response(bulla_buf_view(buf), ret, &size)) == BULLA_E_AGAIN) {
		BULLA_TRY(wait_for(fd, POLLIN));
		ssize_t n = read(fd, buf->p + buf->n, MESSAGE_MAX - buf->n);
		if (n <= 0)
			return BULLA_FAIL(BULLA_E_UNREACHABLE, "the quote service hangs up, or says too much");
		buf->n += (size_t)n;
	}
	return rc;
}

static bulla_rc read_quote(const struct bulla_http_message *response, struct bulla_buf *ret)
{
	bulla_json root, quote;
	bulla_bytes text;

	if (response->status != 200)
		return BULLA_FAIL(BULLA_E_DENIED, "the quote service refuses");
	BULLA_TRY(bulla_json_parse(response->body, &root));
	BULLA_TRY(bulla_json_get_str(root, "quote", &quote));
	BULLA_TRY(bulla_json_string_view(quote, &text));
	BULLA_TRY(bulla_buf_reserve(ret, BULLA_EVIDENCE_TD_QUOTE));
	return bulla_text_base64url(text, BULLA_EVIDENCE_TD_QUOTE, ret->p, &ret->n);
}

bulla_rc bulla_evidence_td_quote(const char *service, bulla_bytes td_report, struct bulla_buf *ret)
{
	struct bulla_http_message response;
	struct bulla_addr addr;
	BULLA_AUTO_BUF answer;
	int fd = -1;
	bulla_rc rc;

	bulla_buf_clear(ret);
	bulla_buf_init(&answer, MESSAGE_MAX);
	if (td_report.n != TD_REPORT)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a TD report has 1024 bytes");
	BULLA_TRY(bulla_addr_parse(bulla_bytes_str(service), &addr));
	BULLA_TRY(bulla_addr_dial(&addr, &fd));
	rc = ask(fd, td_report);
	rc = rc == BULLA_OK ? hear(fd, &answer, &response) : rc;
	rc = rc == BULLA_OK ? read_quote(&response, ret) : rc;
	bulla_addr_close(fd);
	return rc;
}
