#include "crypto/ecdsa.h"

#include "wire/der.h"

#include <assert.h>

size_t bulla_ecdsa_to_der(bulla_bytes raw, uint8_t ret[ECDSA_DER_MAX])
{
	uint8_t memory[ECDSA_DER_MAX];
	bulla_wr inner = bulla_wr_fixed(memory, sizeof(memory)), w = bulla_wr_fixed(ret, ECDSA_DER_MAX);
	bulla_bytes numbers, out;

	assert(raw.n >= 2 && raw.n <= 132);
	bulla_der_wr_number(&inner, bulla_bytes_of(raw.p, raw.n / 2));
	bulla_der_wr_number(&inner, bulla_bytes_of(raw.p + raw.n / 2, raw.n / 2));
	if (bulla_wr_end(&inner, &numbers) != BULLA_OK)
		return 0;
	bulla_der_wr(&w, BULLA_DER_SEQUENCE, numbers);
	return bulla_wr_end(&w, &out) == BULLA_OK ? out.n : 0;
}

/* A positive INTEGER, right-aligned into half bytes. */
static bulla_rc read_number(bulla_rd *r, size_t half, uint8_t *ret)
{
	bulla_bytes number;

	BULLA_TRY(bulla_der_rd_integer(r, &number));
	if ((number.p[0] & 0x80) != 0)
		return BULLA_FAIL(BULLA_E_SIGNATURE, "a signature's number is negative");
	if (number.p[0] == 0)
		number = bulla_bytes_of(number.p + 1, number.n - 1);
	if (number.n == 0 || number.n > half)
		return BULLA_FAIL(BULLA_E_SIGNATURE, "a signature's number is zero, or too long for the curve");
	bulla_zero(ret, half);
	bulla_copy(ret + half - number.n, number.p, number.n);
	return BULLA_OK;
}

static bulla_rc read_signature(bulla_rd *r, size_t half, uint8_t *ret)
{
	bulla_rd numbers;

	BULLA_TRY(bulla_der_rd_enter(r, BULLA_DER_SEQUENCE, &numbers));
	BULLA_TRY(bulla_rd_end(r));
	BULLA_TRY(read_number(&numbers, half, ret));
	BULLA_TRY(read_number(&numbers, half, ret + half));
	return bulla_rd_end(&numbers);
}

bulla_rc bulla_ecdsa_from_der(bulla_bytes der, size_t half, uint8_t *ret)
{
	bulla_rd rd = bulla_rd_of(der);

	if (read_signature(&rd, half, ret) != BULLA_OK)
		return BULLA_FAIL(BULLA_E_SIGNATURE, "a signature is not in its DER form");
	return BULLA_OK;
}
