#pragma once
/* The one way out for bytes: a writer into fixed memory or a growing buffer. The first error sticks; it is checked
 * once, at bulla_wr_end. */
#include "base/buf.h"

typedef struct bulla_wr {
	uint8_t *p;             /* fixed memory, or NULL */
	size_t n;               /* bytes written by this writer */
	size_t cap;             /* size of the fixed memory */
	struct bulla_buf *grow; /* appended to when not NULL */
	bulla_rc rc;            /* first error */
} bulla_wr;

/* Writes into size bytes at memory; BULLA_E_LIMIT (at the end) when they do not suffice. */
bulla_wr bulla_wr_fixed(uint8_t *memory, size_t size);

/* Appends to buf, up to its maximum. */
bulla_wr bulla_wr_buf(struct bulla_buf *buf);

/* Where the next size bytes go, counted as written; NULL: not just so. */
static inline uint8_t *bulla_wr_room(bulla_wr *w, size_t size)
{
	uint8_t *p = NULL;

	if (w->rc != BULLA_OK || (w->grow == NULL ? size > w->cap - w->n : size > w->grow->cap - w->grow->n))
		return NULL;
	if (w->grow == NULL) {
		p = w->p + w->n;
	} else {
		p = w->grow->p + w->grow->n;
		w->grow->n += size;
	}
	w->n += size;
	return p;
}

/* Each appends; what has no room becomes the writer's error (bulla_wr_end tells it). be and le: the order of bytes. slowly:
 * bytes where a buffer must grow first, or an error is kept. */
void bulla_wr_slowly(bulla_wr *w, bulla_bytes bytes);
void bulla_wr_bytes(bulla_wr *w, bulla_bytes bytes);
void bulla_wr_digest(bulla_wr *w, const bulla_digest *digest);
void bulla_wr_zeros(bulla_wr *w, size_t size);
void bulla_wr_u16be(bulla_wr *w, uint16_t value);
void bulla_wr_u32be(bulla_wr *w, uint32_t value);
void bulla_wr_u64be(bulla_wr *w, uint64_t value);
void bulla_wr_u16le(bulla_wr *w, uint16_t value);
void bulla_wr_u32le(bulla_wr *w, uint32_t value);
void bulla_wr_u64le(bulla_wr *w, uint64_t value);

/* One byte: the heads of CBOR and protobuf are made of these. */
static inline void bulla_wr_u8(bulla_wr *w, uint8_t value)
{
	uint8_t *p = bulla_wr_room(w, 1);

	if (p != NULL)
		*p = value;
	else
		bulla_wr_slowly(w, (bulla_bytes){&value, 1});
}

/* Puts a first error into the writer; later writes do nothing. */
void bulla_wr_fail(bulla_wr *w, bulla_rc rc);

/* The first error, or BULLA_OK and a view of what this writer wrote (in a buffer: valid until it changes). */
BULLA_CHECK bulla_rc bulla_wr_end(const bulla_wr *w, bulla_bytes *ret);
