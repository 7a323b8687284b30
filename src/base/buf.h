#pragma once
/* Owned bytes. Every buffer is born with its maximum and is wiped when it goes. */
#include "base/bytes.h"

struct bulla_buf {
	uint8_t *p;
	size_t n;   /* bytes in use */
	size_t cap; /* bytes allocated */
	size_t max; /* never grows beyond */
};

/* An empty buffer that may grow to max bytes. Allocates nothing yet. */
void bulla_buf_init(struct bulla_buf *buf, size_t max);

/* Wipes and frees. The buffer is then empty with the same maximum. NULL is allowed. */
void bulla_buf_done(struct bulla_buf *buf);

/* Makes the buffer empty, keeps (and wipes) its memory. */
void bulla_buf_clear(struct bulla_buf *buf);

/* Room for `more` bytes beyond n; BULLA_E_LIMIT beyond the maximum, BULLA_E_MEMORY. */
BULLA_CHECK bulla_rc bulla_buf_reserve(struct bulla_buf *buf, size_t more);

/* Appends a copy; nothing changes on failure. */
BULLA_CHECK bulla_rc bulla_buf_append(struct bulla_buf *buf, bulla_bytes bytes);

/* Drops the first size bytes (size <= n), moves the rest to the front. */
void bulla_buf_consume(struct bulla_buf *buf, size_t size);

/* View of what is in it; valid until the next change. */
static inline bulla_bytes bulla_buf_view(const struct bulla_buf *buf)
{
	return (bulla_bytes){buf->p, buf->n};
}

#define BULLA_AUTO_BUF __attribute__((cleanup(bulla_buf_done))) struct bulla_buf
