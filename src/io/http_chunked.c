#include "base/buf.h"
#include "base/rd.h"
#include "io/http.h"

#define DIGITS_MAX 8

static bool digit(uint8_t c, size_t *value)
{
	size_t d = c >= '0' && c <= '9' ? (size_t)(c - '0') : c >= 'a' && c <= 'f' ? (size_t)(c - 'a' + 10)
		: c >= 'A' && c <= 'F' ? (size_t)(c - 'A' + 10)
		: 16;

	if (d == 16)
		return false;
	*value = *value * 16 + d;
	return true;
}

static bulla_rc read_crlf(bulla_rd *r)
{
	uint8_t cr, lf;

	if (bulla_rd_left(r) < 2)
		return BULLA_E_AGAIN;
	BULLA_TRY(bulla_rd_u8(r, &cr));
	BULLA_TRY(bulla_rd_u8(r, &lf));
	return cr == '\r' && lf == '\n' ? BULLA_OK : BULLA_FAIL(BULLA_E_FORMAT, "a chunk ends with something else than CRLF");
}

/* chunk-size CRLF */
static bulla_rc read_size(bulla_rd *r, size_t *ret)
{
	size_t n = 0;

	*ret = 0;
	while (bulla_rd_left(r) > 0 && n <= DIGITS_MAX && digit(r->p[r->at], ret)) {
		BULLA_TRY(bulla_rd_skip(r, 1));
		n++;
	}
	if (bulla_rd_left(r) == 0)
		return n > DIGITS_MAX ? BULLA_FAIL(BULLA_E_LIMIT, "a chunk is too large") : BULLA_E_AGAIN;
	if (n == 0 || n > DIGITS_MAX)
		return BULLA_FAIL(BULLA_E_FORMAT, "a chunk begins with its size");
	return read_crlf(r);
}

bulla_rc bulla_http_dechunk(bulla_bytes bytes, struct bulla_buf *ret)
{
	bulla_rd r = bulla_rd_of(bytes);
	bulla_bytes chunk;
	size_t size;

	bulla_buf_clear(ret);
	do {
		BULLA_TRY(read_size(&r, &size));
		if (size > ret->max - ret->n)
			return BULLA_FAIL(BULLA_E_LIMIT, "a body is too long");
		if (bulla_rd_left(&r) < size)
			return BULLA_E_AGAIN;
		BULLA_TRY(bulla_rd_bytes(&r, size, &chunk));
		BULLA_TRY(bulla_buf_append(ret, chunk));
		BULLA_TRY(read_crlf(&r));
	} while (size > 0);
	return bulla_rd_end(&r);
}
