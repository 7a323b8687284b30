#pragma once
/* DER (X.690): definite lengths in their shortest form, one-byte tags. For certificates, CRLs, vendor extensions, keys. */
#include "base/rd.h"
#include "base/wr.h"

enum bulla_der_tag {
	BULLA_DER_BOOLEAN = 0x01,
	BULLA_DER_INTEGER = 0x02,
	BULLA_DER_BIT_STRING = 0x03,
	BULLA_DER_OCTET_STRING = 0x04,
	BULLA_DER_NULL = 0x05,
	BULLA_DER_OID = 0x06,
	BULLA_DER_ENUMERATED = 0x0a,
	BULLA_DER_UTF8 = 0x0c,
	BULLA_DER_PRINTABLE = 0x13,
	BULLA_DER_IA5 = 0x16,
	BULLA_DER_UTC_TIME = 0x17,
	BULLA_DER_TIME = 0x18,
	BULLA_DER_SEQUENCE = 0x30,
	BULLA_DER_SET = 0x31,
};
/* [n] of a tagged field: primitive (implicit string) and constructed (explicit). */
#define BULLA_DER_CONTEXT(n) (0x80 + (n))
#define BULLA_DER_EXPLICIT(n) (0xa0 + (n))

/* --- reader: every call moves past one element, or nothing on failure. BULLA_E_TRUNCATED, BULLA_E_FORMAT --- */

struct bulla_der {
	uint8_t tag;
	bulla_bytes value; /* the content */
	bulla_bytes whole; /* with tag and length */
};

/* Any element. */
BULLA_CHECK bulla_rc bulla_der_rd(bulla_rd *r, struct bulla_der *ret);

/* One with this tag; its content / its content and itself / a reader of its content. */
BULLA_CHECK bulla_rc bulla_der_rd_value(bulla_rd *r, unsigned tag, bulla_bytes *ret_value);
BULLA_CHECK bulla_rc bulla_der_rd_whole(bulla_rd *r, unsigned tag, bulla_bytes *ret_whole);
BULLA_CHECK bulla_rc bulla_der_rd_enter(bulla_rd *r, unsigned tag, bulla_rd *ret_inner);

/* True when the next element has this tag. */
bool bulla_der_next_is(const bulla_rd *r, unsigned tag);

/* Content octets of an INTEGER in its shortest form (two's complement, at least one octet). */
BULLA_CHECK bulla_rc bulla_der_rd_integer(bulla_rd *r, bulla_bytes *ret);
/* A non-negative INTEGER; BULLA_E_LIMIT above max. */
BULLA_CHECK bulla_rc bulla_der_rd_uint(bulla_rd *r, uint64_t max, uint64_t *ret);
BULLA_CHECK bulla_rc bulla_der_rd_bool(bulla_rd *r, bool *ret);
/* A BIT STRING of whole octets. */
BULLA_CHECK bulla_rc bulla_der_rd_bits(bulla_rd *r, bulla_bytes *ret);
/* UTCTime or GeneralizedTime in the forms of RFC 5280 section 4.1.2.5, as Unix seconds. */
BULLA_CHECK bulla_rc bulla_der_rd_time(bulla_rd *r, int64_t *ret);

/* --- writer: errors stick in w --- */

/* Tag and length; size content bytes must follow. */
void bulla_der_wr_head(bulla_wr *w, unsigned tag, size_t size);
void bulla_der_wr(bulla_wr *w, unsigned tag, bulla_bytes value);
/* A non-negative INTEGER from big-endian bytes. */
void bulla_der_wr_number(bulla_wr *w, bulla_bytes number);
/* A BIT STRING of whole octets. */
void bulla_der_wr_bits(bulla_wr *w, bulla_bytes bits);
/* UTCTime until 2049, GeneralizedTime after (RFC 5280). */
void bulla_der_wr_time(bulla_wr *w, int64_t unix_seconds);
