/* First byte: request, response, or (2) a chunked body. What is read stays inside; written again it is read as the same. */
#include "fuzz.h"
#include "io/http.h"

static uint8_t written[1 << 17];
static struct bulla_http_message message, again;

static bulla_rc read_one(bool request, bulla_bytes in, struct bulla_http_message *ret, size_t *ret_size)
{
	return request ? bulla_http_read_request(in, ret, ret_size) : bulla_http_read_response(in, ret, ret_size);
}

/* content-length and connection are the writer's business. */
static void drop_framing(struct bulla_http_message *in)
{
	size_t kept = 0;

	for (size_t i = 0; i < in->header_count; i++) {
		if (!bulla_http_name_eq(in->headers[i].name, "content-length"))
			in->headers[kept++] = in->headers[i];
	}
	in->header_count = kept;
}

static void dechunk(bulla_bytes in)
{
	struct bulla_buf body;

	bulla_buf_init(&body, 4096);
	fuzz_assert(bulla_http_dechunk(in, &body) != BULLA_OK || (body.n <= 4096 && body.n < in.n));
	bulla_buf_done(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	bulla_wr w = bulla_wr_fixed(written, sizeof(written));
	bulla_bytes in, out;
	bool request;
	size_t size;

	if (n < 1)
		return 0;
	in = bulla_bytes_of(p + 1, n - 1);
	if ((p[0] & 2) != 0) {
		dechunk(in);
		return 0;
	}
	request = p[0] & 1;
	if (read_one(request, in, &message, &size) != BULLA_OK)
		return 0;
	fuzz_assert(size <= in.n && message.header_count <= BULLA_HTTP_HEADERS_MAX);
	fuzz_assert(message.body.n == 0 || (message.body.p >= in.p && message.body.p + message.body.n <= in.p + size));
	drop_framing(&message);
	if (request)
		bulla_http_write_request(&w, &message);
	else
		bulla_http_write_response(&w, &message);
	if (bulla_wr_end(&w, &out) != BULLA_OK || message.header_count == BULLA_HTTP_HEADERS_MAX) /* no room for its length */
		return 0;
	fuzz_assert(read_one(request, out, &again, &size) == BULLA_OK && size == out.n);
	fuzz_assert(bulla_bytes_eq(message.body, again.body) && message.status == again.status);
	return 0;
}
