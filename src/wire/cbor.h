#pragma once
/* CBOR (RFC 8949) in deterministic form (section 4.2.1): shortest heads, definite lengths, map keys sorted by their
 * encoded bytes and unique. The writer trusts its caller to sort keys; the reader trusts nobody. No allocation. */
#include "base/limits.h"
#include "base/rd.h"
#include "base/wr.h"

/* --- writer: errors stick in w; see bulla_wr_end --- */

/* One item each, in its shortest form (RFC 8949 section 4.2.1). */
void bulla_cbor_wr_uint(bulla_wr *w, uint64_t value);
void bulla_cbor_wr_int(bulla_wr *w, int64_t value);
void bulla_cbor_wr_bytes(bulla_wr *w, bulla_bytes bytes);
void bulla_cbor_wr_digest(bulla_wr *w, const bulla_digest *digest);
/* Head only; exactly size bytes must follow through bulla_wr_bytes. */
void bulla_cbor_wr_bytes_head(bulla_wr *w, uint64_t size);
/* The caller vouches for valid UTF-8 (a literal or text that was checked). */
void bulla_cbor_wr_text(bulla_wr *w, bulla_bytes text);
void bulla_cbor_wr_str(bulla_wr *w, const char *text);
/* Head only: count items, or count pairs with keys in deterministic order, must follow. */
void bulla_cbor_wr_array(bulla_wr *w, uint64_t count);
void bulla_cbor_wr_map(bulla_wr *w, uint64_t count);
/* One item must follow. */
void bulla_cbor_wr_tag(bulla_wr *w, uint64_t tag);
void bulla_cbor_wr_bool(bulla_wr *w, bool value);
void bulla_cbor_wr_null(bulla_wr *w);
/* An item that is encoded already. */
void bulla_cbor_wr_raw(bulla_wr *w, bulla_bytes item);

/* --- reader --- */

/* What may deviate from the deterministic form, for documents of others. */
struct bulla_cbor_options {
	bool indefinite_top_map; /* the item at offset 0 may be a map of indefinite length (AWS Nitro documents) */
	bool unordered_keys;     /* map keys in any order, still unique; at most BULLA_CBOR_FOREIGN_KEYS per map */
	bool floats;             /* skip may step over floats */
};

#define BULLA_CBOR_FOREIGN_KEYS 32

typedef struct bulla_cbor_rd {
	bulla_rd rd;
	struct bulla_cbor_options options;
} bulla_cbor_rd;

enum bulla_cbor_type {
	BULLA_CBOR_UINT,
	BULLA_CBOR_NEGATIVE,
	BULLA_CBOR_BYTES,
	BULLA_CBOR_TEXT,
	BULLA_CBOR_ARRAY,
	BULLA_CBOR_MAP,
	BULLA_CBOR_TAG,
	BULLA_CBOR_BOOL,
	BULLA_CBOR_NULL,
	BULLA_CBOR_FLOAT,
	BULLA_CBOR_OTHER, /* undefined, other simple values, break, reserved: refused by every read */
};

/* Where a reader is inside a map: made by bulla_cbor_rd_map, moved by bulla_cbor_map_more and the key reads. */
struct bulla_cbor_map {
	size_t left;      /* pairs not yet begun */
	size_t key;       /* offset of the newest key */
	size_t key_size;  /* its encoded size; 0 before the first */
	bool indefinite;
	uint8_t foreign_count;
	uint32_t foreign[BULLA_CBOR_FOREIGN_KEYS]; /* offsets of all keys; with unordered_keys only */
};

/* Strict reader; reader with options. bytes must outlive it and every view it returns. */
static inline bulla_cbor_rd bulla_cbor_rd_of(bulla_bytes bytes)
{
	return (bulla_cbor_rd){.rd = bulla_rd_of(bytes)};
}

/* The same with allowances for what others write. */
static inline bulla_cbor_rd bulla_cbor_rd_with(bulla_bytes bytes, struct bulla_cbor_options options)
{
	return (bulla_cbor_rd){.rd = bulla_rd_of(bytes), .options = options};
}

/* Every read below moves past one item, or past its head for array, map and tag; on failure it moves nothing and
 * writes nothing. BULLA_E_TRUNCATED: the input ends early; BULLA_E_FORMAT: another type, or not the one form. */

/* Peek: type of the next item, which stays. Uint: BULLA_E_FORMAT for a negative one. */
BULLA_CHECK bulla_rc bulla_cbor_rd_peek(const bulla_cbor_rd *r, enum bulla_cbor_type *ret_type);
BULLA_CHECK bulla_rc bulla_cbor_rd_uint(bulla_cbor_rd *r, uint64_t *ret);
/* BULLA_E_LIMIT above max. */
BULLA_CHECK bulla_rc bulla_cbor_rd_uint_max(bulla_cbor_rd *r, uint64_t max, uint64_t *ret);
BULLA_CHECK bulla_rc bulla_cbor_rd_u32(bulla_cbor_rd *r, uint32_t *ret);
/* Both signs; BULLA_E_LIMIT outside int64_t. */
BULLA_CHECK bulla_rc bulla_cbor_rd_int(bulla_cbor_rd *r, int64_t *ret);
BULLA_CHECK bulla_rc bulla_cbor_rd_bytes(bulla_cbor_rd *r, bulla_bytes *ret);
/* BULLA_E_LIMIT above max bytes. */
BULLA_CHECK bulla_rc bulla_cbor_rd_bytes_max(bulla_cbor_rd *r, size_t max, bulla_bytes *ret);
/* A byte string of exactly size bytes, copied into ret. */
BULLA_CHECK bulla_rc bulla_cbor_rd_copy(bulla_cbor_rd *r, size_t size, uint8_t *ret);
BULLA_CHECK bulla_rc bulla_cbor_rd_digest(bulla_cbor_rd *r, bulla_digest *ret);
/* Valid UTF-8 of at most max bytes. */
BULLA_CHECK bulla_rc bulla_cbor_rd_text(bulla_cbor_rd *r, size_t max, bulla_bytes *ret);
BULLA_CHECK bulla_rc bulla_cbor_rd_bool(bulla_cbor_rd *r, bool *ret);
BULLA_CHECK bulla_rc bulla_cbor_rd_null(bulla_cbor_rd *r);
/* Head; BULLA_E_LIMIT above max items, BULLA_E_TRUNCATED when fewer bytes than items are left. */
BULLA_CHECK bulla_rc bulla_cbor_rd_array(bulla_cbor_rd *r, size_t max, size_t *ret_count);
BULLA_CHECK bulla_rc bulla_cbor_rd_tag(bulla_cbor_rd *r, uint64_t *ret);

/* Head of a map of at most max pairs. Then: while (bulla_cbor_map_more(&r, &map)) { read a key, read the value } */
BULLA_CHECK bulla_rc bulla_cbor_rd_map(bulla_cbor_rd *r, size_t max, struct bulla_cbor_map *ret_map);
/* True while a pair follows. False is certain; after true the key read still finds truncation. */
bool bulla_cbor_map_more(bulla_cbor_rd *r, struct bulla_cbor_map *map);
/* Keys; also checks order (or, with unordered_keys, uniqueness): BULLA_E_FORMAT, BULLA_E_DUPLICATE. */
BULLA_CHECK bulla_rc bulla_cbor_rd_key_int(bulla_cbor_rd *r, struct bulla_cbor_map *map, int64_t *ret);
BULLA_CHECK bulla_rc bulla_cbor_rd_key_text(bulla_cbor_rd *r, struct bulla_cbor_map *map, bulla_bytes *ret);

/* For fixed schemas: exactly this integer, tag, text, array of count, map of count pairs; else BULLA_E_FORMAT. Keys
 * that the caller expects in ascending order need no bulla_cbor_map. */
BULLA_CHECK bulla_rc bulla_cbor_rd_expect_int(bulla_cbor_rd *r, int64_t value);
BULLA_CHECK bulla_rc bulla_cbor_rd_expect_tag(bulla_cbor_rd *r, uint64_t tag);
BULLA_CHECK bulla_rc bulla_cbor_rd_expect_text(bulla_cbor_rd *r, const char *text);
BULLA_CHECK bulla_rc bulla_cbor_rd_expect_array(bulla_cbor_rd *r, size_t count);
BULLA_CHECK bulla_rc bulla_cbor_rd_expect_map(bulla_cbor_rd *r, size_t count);

/* One whole item of any type, checked all the way down (form, order and uniqueness of keys, UTF-8, depth up to
 * BULLA_MAX_CBOR_DEPTH); *ret_raw is its encoding. */
BULLA_CHECK bulla_rc bulla_cbor_rd_skip(bulla_cbor_rd *r, bulla_bytes *ret_raw);

/* Bytes not read yet. */
static inline size_t bulla_cbor_rd_left(const bulla_cbor_rd *r)
{
	return bulla_rd_left(&r->rd);
}

/* BULLA_E_TRAILING unless everything was read. */
BULLA_CHECK bulla_rc bulla_cbor_rd_end(const bulla_cbor_rd *r);

/* bytes are exactly one item in deterministic form. */
BULLA_CHECK bulla_rc bulla_cbor_check(bulla_bytes bytes);
