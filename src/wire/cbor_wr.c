#include "wire/cbor.h"

/* Major types, RFC 8949 section 3.1. */
enum major { UINT = 0, NEGATIVE = 1, BYTES = 2, TEXT = 3, ARRAY = 4, MAP = 5, TAG = 6, SIMPLE = 7 };

enum { SIMPLE_FALSE = 20, SIMPLE_TRUE = 21, SIMPLE_NULL = 22 };

static void write_head(bulla_wr *w, enum major major, uint64_t argument)
{
	unsigned first = (unsigned)major << 5;

	if (argument < 24) {
		bulla_wr_u8(w, (uint8_t)(first | argument));
	} else if (argument <= UINT8_MAX) {
		bulla_wr_u8(w, (uint8_t)(first | 24));
		bulla_wr_u8(w, (uint8_t)argument);
	} else if (argument <= UINT16_MAX) {
		bulla_wr_u8(w, (uint8_t)(first | 25));
		bulla_wr_u16be(w, (uint16_t)argument);
	} else if (argument <= UINT32_MAX) {
		bulla_wr_u8(w, (uint8_t)(first | 26));
		bulla_wr_u32be(w, (uint32_t)argument);
	} else {
		bulla_wr_u8(w, (uint8_t)(first | 27));
		bulla_wr_u64be(w, argument);
	}
}

void bulla_cbor_wr_uint(bulla_wr *w, uint64_t value)
{
	write_head(w, UINT, value);
}

void bulla_cbor_wr_int(bulla_wr *w, int64_t value)
{
	if (value < 0)
		write_head(w, NEGATIVE, ~(uint64_t)value);
	else
		write_head(w, UINT, (uint64_t)value);
}

void bulla_cbor_wr_bytes(bulla_wr *w, bulla_bytes bytes)
{
	write_head(w, BYTES, bytes.n);
	bulla_wr_bytes(w, bytes);
}

void bulla_cbor_wr_digest(bulla_wr *w, const bulla_digest *digest)
{
	bulla_cbor_wr_bytes(w, bulla_bytes_digest(digest));
}

void bulla_cbor_wr_bytes_head(bulla_wr *w, uint64_t size)
{
	write_head(w, BYTES, size);
}

void bulla_cbor_wr_text(bulla_wr *w, bulla_bytes text)
{
	write_head(w, TEXT, text.n);
	bulla_wr_bytes(w, text);
}

void bulla_cbor_wr_str(bulla_wr *w, const char *text)
{
	bulla_cbor_wr_text(w, bulla_bytes_str(text));
}

void bulla_cbor_wr_array(bulla_wr *w, uint64_t count)
{
	write_head(w, ARRAY, count);
}

void bulla_cbor_wr_map(bulla_wr *w, uint64_t count)
{
	write_head(w, MAP, count);
}

void bulla_cbor_wr_tag(bulla_wr *w, uint64_t tag)
{
	write_head(w, TAG, tag);
}

void bulla_cbor_wr_bool(bulla_wr *w, bool value)
{
	write_head(w, SIMPLE, value ? SIMPLE_TRUE : SIMPLE_FALSE);
}

void bulla_cbor_wr_null(bulla_wr *w)
{
	write_head(w, SIMPLE, SIMPLE_NULL);
}

void bulla_cbor_wr_raw(bulla_wr *w, bulla_bytes item)
{
	bulla_wr_bytes(w, item);
}
