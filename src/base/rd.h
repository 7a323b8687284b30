#pragma once
/* The one way in for bytes from outside: a reader. Each read moves past what it returned, or nothing on failure. */
#include "base/bytes.h"

typedef struct bulla_rd {
	const uint8_t *p;
	size_t n;  /* bytes in all */
	size_t at; /* bytes read */
} bulla_rd;

/* At the first byte; the bytes stay the caller's. */
static inline bulla_rd bulla_rd_of(bulla_bytes bytes)
{
	return (bulla_rd){bytes.p, bytes.n, 0};
}

/* Bytes not read yet. */
static inline size_t bulla_rd_left(const bulla_rd *r)
{
	return r->n - r->at;
}

/* Views of size bytes; BULLA_E_TRUNCATED when fewer are left. */
BULLA_CHECK bulla_rc bulla_rd_bytes(bulla_rd *r, size_t size, bulla_bytes *ret);

/* Copies exactly size bytes into ret. */
BULLA_CHECK bulla_rc bulla_rd_copy(bulla_rd *r, size_t size, uint8_t *ret);
BULLA_CHECK bulla_rc bulla_rd_digest(bulla_rd *r, bulla_digest *ret);
BULLA_CHECK bulla_rc bulla_rd_skip(bulla_rd *r, size_t size);

/* Fixed-width unsigned integers, big and little endian. */
BULLA_CHECK bulla_rc bulla_rd_u8(bulla_rd *r, uint8_t *ret);
BULLA_CHECK bulla_rc bulla_rd_u16be(bulla_rd *r, uint16_t *ret);
BULLA_CHECK bulla_rc bulla_rd_u32be(bulla_rd *r, uint32_t *ret);
BULLA_CHECK bulla_rc bulla_rd_u64be(bulla_rd *r, uint64_t *ret);
BULLA_CHECK bulla_rc bulla_rd_u16le(bulla_rd *r, uint16_t *ret);
BULLA_CHECK bulla_rc bulla_rd_u32le(bulla_rd *r, uint32_t *ret);
BULLA_CHECK bulla_rc bulla_rd_u64le(bulla_rd *r, uint64_t *ret);

/* BULLA_E_TRAILING unless everything was read. */
BULLA_CHECK bulla_rc bulla_rd_end(const bulla_rd *r);
