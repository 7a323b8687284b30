#include "base/wr.h"

bulla_wr bulla_wr_fixed(uint8_t *memory, size_t size)
{
	return (bulla_wr){.p = memory, .cap = size};
}

bulla_wr bulla_wr_buf(struct bulla_buf *buf)
{
	return (bulla_wr){.grow = buf};
}

void bulla_wr_fail(bulla_wr *w, bulla_rc rc)
{
	if (w->rc == BULLA_OK)
		w->rc = rc;
}

/* A buffer grows, or an error is kept. */
void bulla_wr_slowly(bulla_wr *w, bulla_bytes bytes)
{
	if (w->rc != BULLA_OK || bytes.n == 0)
		return;
	if (w->grow != NULL)
		w->rc = bulla_buf_append(w->grow, bytes);
	else
		w->rc = BULLA_FAIL(BULLA_E_LIMIT, "the bytes do not fit where they are written");
	if (w->rc == BULLA_OK)
		w->n += bytes.n;
}

void bulla_wr_bytes(bulla_wr *w, bulla_bytes bytes)
{
	uint8_t *p = bytes.n > 0 ? bulla_wr_room(w, bytes.n) : NULL;

	if (p != NULL)
		bulla_copy(p, bytes.p, bytes.n);
	else
		bulla_wr_slowly(w, bytes);
}

void bulla_wr_digest(bulla_wr *w, const bulla_digest *digest)
{
	bulla_wr_bytes(w, bulla_bytes_digest(digest));
}

void bulla_wr_zeros(bulla_wr *w, size_t size)
{
	static const uint8_t zeros[256];

	while (size > 0 && w->rc == BULLA_OK) {
		size_t some = size < sizeof(zeros) ? size : sizeof(zeros);

		bulla_wr_bytes(w, (bulla_bytes){zeros, some});
		size -= some;
	}
}

static inline void write_be(bulla_wr *w, uint64_t value, size_t size)
{
	uint8_t slow[8], *p = bulla_wr_room(w, size), *out = p != NULL ? p : slow;

	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
	if (p == NULL)
		bulla_wr_slowly(w, (bulla_bytes){slow, size});
}

static inline void write_le(bulla_wr *w, uint64_t value, size_t size)
{
	uint8_t slow[8], *p = bulla_wr_room(w, size), *out = p != NULL ? p : slow;

	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)(value >> (8 * i));
	if (p == NULL)
		bulla_wr_slowly(w, (bulla_bytes){slow, size});
}

void bulla_wr_u16be(bulla_wr *w, uint16_t value)
{
	write_be(w, value, 2);
}

void bulla_wr_u32be(bulla_wr *w, uint32_t value)
{
	write_be(w, value, 4);
}

void bulla_wr_u64be(bulla_wr *w, uint64_t value)
{
	write_be(w, value, 8);
}

void bulla_wr_u16le(bulla_wr *w, uint16_t value)
{
	write_le(w, value, 2);
}

void bulla_wr_u32le(bulla_wr *w, uint32_t value)
{
	write_le(w, value, 4);
}

void bulla_wr_u64le(bulla_wr *w, uint64_t value)
{
	write_le(w, value, 8);
}

bulla_rc bulla_wr_end(const bulla_wr *w, bulla_bytes *ret)
{
	if (w->rc != BULLA_OK) {
		bulla_trail_pass(w->rc, __FILE__, __LINE__);
		return w->rc;
	}
	if (w->grow != NULL)
		*ret = (bulla_bytes){w->grow->n > 0 ? w->grow->p + w->grow->n - w->n : NULL, w->n};
	else
		*ret = (bulla_bytes){w->p, w->n};
	return BULLA_OK;
}
