#include "crypto/ecdsa.h"

#include "base/rd.h"
#include "base/wr.h"

#include <assert.h>

#define DER_INTEGER 0x02
#define DER_SEQUENCE 0x30

static bulla_bytes without_leading_zeros(bulla_bytes number)
{
	while (number.n > 1 && number.p[0] == 0)
		number = bulla_bytes_of(number.p + 1, number.n - 1);
	return number;
}

static bool needs_zero(bulla_bytes number)
{
	return (number.p[0] & 0x80) != 0;
}

static void write_integer(bulla_wr *w, bulla_bytes number)
{
	bulla_wr_u8(w, DER_INTEGER);
	bulla_wr_u8(w, (uint8_t)(number.n + (needs_zero(number) ? 1 : 0)));
	if (needs_zero(number))
		bulla_wr_u8(w, 0);
	bulla_wr_bytes(w, number);
}

size_t bulla_ecdsa_to_der(bulla_bytes raw, uint8_t ret[ECDSA_DER_MAX])
{
	bulla_wr w = bulla_wr_fixed(ret, ECDSA_DER_MAX);
	bulla_bytes r = without_leading_zeros(bulla_bytes_of(raw.p, raw.n / 2));
	bulla_bytes s = without_leading_zeros(bulla_bytes_of(raw.p + raw.n / 2, raw.n / 2));
	size_t inner = 4 + r.n + s.n + (needs_zero(r) ? 1 : 0) + (needs_zero(s) ? 1 : 0);
	bulla_bytes out = {NULL, 0};

	assert(raw.n >= 2 && raw.n <= 132);
	bulla_wr_u8(&w, DER_SEQUENCE);
	if (inner > 127)
		bulla_wr_u8(&w, 0x81);
	bulla_wr_u8(&w, (uint8_t)inner);
	write_integer(&w, r);
	write_integer(&w, s);
	if (bulla_wr_end(&w, &out) != BULLA_OK)
		return 0;
	return out.n;
}

/* A positive INTEGER in its shortest form, right-aligned into half bytes. */
static bulla_rc read_integer(bulla_rd *rd, size_t half, uint8_t *ret)
{
	uint8_t tag, size;
	bulla_bytes number;

	BULLA_TRY(bulla_rd_u8(rd, &tag));
	BULLA_TRY(bulla_rd_u8(rd, &size));
	BULLA_TRY(bulla_rd_bytes(rd, size, &number));
	if (tag != DER_INTEGER || size == 0 || (number.p[0] & 0x80) != 0)
		return BULLA_FAIL(BULLA_E_SIGNATURE, "a signature is not two positive numbers");
	if (number.p[0] == 0) {
		if (number.n == 1 || (number.p[1] & 0x80) == 0)
			return BULLA_FAIL(BULLA_E_SIGNATURE, "a signature's number is zero or not in its shortest form");
		number = bulla_bytes_of(number.p + 1, number.n - 1);
	}
	if (number.n > half)
		return BULLA_FAIL(BULLA_E_SIGNATURE, "a signature's number is too long for the curve");
	bulla_zero(ret, half);
	bulla_copy(ret + half - number.n, number.p, number.n);
	return BULLA_OK;
}

static bulla_rc read_signature(bulla_rd *rd, size_t half, uint8_t *ret)
{
	uint8_t tag, size;

	BULLA_TRY(bulla_rd_u8(rd, &tag));
	BULLA_TRY(bulla_rd_u8(rd, &size));
	if (size == 0x81) {
		BULLA_TRY(bulla_rd_u8(rd, &size));
		if (size < 128)
			return BULLA_FAIL(BULLA_E_SIGNATURE, "a signature's length is not in its shortest form");
	} else if (size > 127) {
		return BULLA_FAIL(BULLA_E_SIGNATURE, "a signature is too long");
	}
	if (tag != DER_SEQUENCE || size != bulla_rd_left(rd))
		return BULLA_FAIL(BULLA_E_SIGNATURE, "a signature is not a DER sequence");
	BULLA_TRY(read_integer(rd, half, ret));
	BULLA_TRY(read_integer(rd, half, ret + half));
	return bulla_rd_end(rd);
}

bulla_rc bulla_ecdsa_from_der(bulla_bytes der, size_t half, uint8_t *ret)
{
	bulla_rd rd = bulla_rd_of(der);

	if (read_signature(&rd, half, ret) != BULLA_OK)
		return BULLA_FAIL(BULLA_E_SIGNATURE, "a signature is not in its DER form");
	return BULLA_OK;
}
