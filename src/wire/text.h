#pragma once
/* Text forms of bytes and numbers. Every decoder accepts exactly what its encoder writes, except base32, which people
 * type. Encoders write to a bulla_wr, where errors stick; decoders fill memory of the caller. */
#include "base/rd.h"
#include "base/wr.h"

/* True for well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). */
bool bulla_text_is_utf8(bulla_bytes text);

/* Characters from zero-terminated text, without its zero. */
void bulla_text_wr(bulla_wr *w, const char *text);

/* --- hexadecimal, lower case --- */

/* Two digits a byte. */
void bulla_text_wr_hex(bulla_wr *w, bulla_bytes bytes);
/* text is 2 * size digits: size bytes into ret. BULLA_E_FORMAT otherwise; ret is then undefined. */
BULLA_CHECK bulla_rc bulla_text_hex(bulla_bytes text, size_t size, uint8_t *ret);

/* --- RFC 4648: base64 with padding; base64url without --- */

/* Errors stick in w. */
void bulla_text_wr_base64(bulla_wr *w, bulla_bytes bytes);
void bulla_text_wr_base64url(bulla_wr *w, bulla_bytes bytes);
/* At most max bytes into ret, their number into *ret_size. BULLA_E_FORMAT for other characters, wrong or missing
 * padding, bits behind the end; BULLA_E_LIMIT when max does not suffice. ret is undefined on failure. */
BULLA_CHECK bulla_rc bulla_text_base64(bulla_bytes text, size_t max, uint8_t *ret, size_t *ret_size);
BULLA_CHECK bulla_rc bulla_text_base64url(bulla_bytes text, size_t max, uint8_t *ret, size_t *ret_size);

/* --- Crockford base32, lower case: names of runs. https://www.crockford.com/base32.html --- */

/* Most significant bit first; the last character is filled up with zero bits. 10 bytes are 16 characters. */
void bulla_text_wr_base32(bulla_wr *w, bulla_bytes bytes);
/* Does the base32 form of bytes begin with what was typed, in either case, with i and l read as 1 and o as 0? False for what is
 * no base32. */
bool bulla_text_base32_has_prefix(bulla_bytes bytes, bulla_bytes typed);

/* --- decimal --- */

/* Without leading zeros; errors stick in w. */
void bulla_text_wr_uint(bulla_wr *w, uint64_t value);
void bulla_text_wr_int(bulla_wr *w, int64_t value);
/* Digits only, no leading zero, the whole text. BULLA_E_FORMAT; BULLA_E_LIMIT above max. */
BULLA_CHECK bulla_rc bulla_text_uint(bulla_bytes text, uint64_t max, uint64_t *ret);
/* The same with an optional '-' (not before 0) and both limits. */
BULLA_CHECK bulla_rc bulla_text_int(bulla_bytes text, int64_t min, int64_t max, int64_t *ret);
