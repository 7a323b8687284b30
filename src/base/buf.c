#include "base/buf.h"

#include "base/mem.h"

#include <assert.h>

void bulla_buf_init(struct bulla_buf *buf, size_t max)
{
	*buf = (struct bulla_buf){.max = max};
}

void bulla_buf_done(struct bulla_buf *buf)
{
	if (buf == NULL)
		return;
	if (buf->p != NULL)
		bulla_wipe(buf->p, buf->cap);
	bulla_free(buf->p);
	*buf = (struct bulla_buf){.max = buf->max};
}

void bulla_buf_clear(struct bulla_buf *buf)
{
	if (buf->p != NULL)
		bulla_wipe(buf->p, buf->n);
	buf->n = 0;
}

static size_t grown(const struct bulla_buf *buf, size_t need)
{
	size_t cap = buf->cap < 128 ? 256 : buf->cap * 2;

	while (cap < need)
		cap *= 2;
	return cap < buf->max ? cap : buf->max;
}

bulla_rc bulla_buf_reserve(struct bulla_buf *buf, size_t more)
{
	void *p = NULL;
	size_t cap;

	if (more > buf->max - buf->n)
		return BULLA_FAIL(BULLA_E_LIMIT, "a buffer would pass its maximum");
	if (buf->n + more <= buf->cap)
		return BULLA_OK;
	cap = grown(buf, buf->n + more);
	BULLA_TRY(bulla_alloc_bytes(cap, &p));
	bulla_copy(p, buf->p, buf->n);
	size_t n = buf->n;
	bulla_buf_done(buf);
	buf->p = (uint8_t *)p;
	buf->n = n;
	buf->cap = cap;
	return BULLA_OK;
}

bulla_rc bulla_buf_append(struct bulla_buf *buf, bulla_bytes bytes)
{
	BULLA_TRY(bulla_buf_reserve(buf, bytes.n));
	bulla_copy(buf->p + buf->n, bytes.p, bytes.n);
	buf->n += bytes.n;
	return BULLA_OK;
}

void bulla_buf_consume(struct bulla_buf *buf, size_t size)
{
	assert(size <= buf->n);
	bulla_move(buf->p, buf->p + size, buf->n - size);
	bulla_wipe(buf->p + buf->n - size, size);
	buf->n -= size;
}
