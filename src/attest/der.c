#include "attest/der.h"

static bulla_rc read_length(bulla_rd *r, size_t *ret)
{
	uint8_t first, byte;
	size_t value = 0;

	BULLA_TRY(bulla_rd_u8(r, &first));
	if (first < 0x80) {
		*ret = first;
		return BULLA_OK;
	}
	unsigned count = first & 0x7f;
	if (count == 0 || count > 3)
		return BULLA_FAIL(BULLA_E_FORMAT, "a DER length is indefinite or beyond 16 MiB");
	for (unsigned i = 0; i < count; i++) {
		BULLA_TRY(bulla_rd_u8(r, &byte));
		value = value << 8 | byte;
	}
	if (value < 0x80 || value >> (8 * (count - 1)) == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a DER length is not the shortest");
	*ret = value;
	return BULLA_OK;
}

bulla_rc bulla_der_any(bulla_rd *r, uint8_t *ret_tag, bulla_bytes *ret_content)
{
	bulla_rd at = *r;
	uint8_t tag;
	size_t size;

	BULLA_TRY(bulla_rd_u8(&at, &tag));
	if ((tag & 0x1f) == 0x1f)
		return BULLA_FAIL(BULLA_E_FORMAT, "a DER tag has more than one byte");
	BULLA_TRY(read_length(&at, &size));
	BULLA_TRY(bulla_rd_bytes(&at, size, ret_content));
	*ret_tag = tag;
	*r = at;
	return BULLA_OK;
}

bulla_rc bulla_der_take(bulla_rd *r, uint8_t tag, bulla_bytes *ret_content)
{
	bulla_rd at = *r;
	bulla_bytes content;
	uint8_t found;

	BULLA_TRY(bulla_der_any(&at, &found, &content));
	if (found != tag)
		return BULLA_FAIL(BULLA_E_FORMAT, "another DER element is expected");
	*ret_content = content;
	*r = at;
	return BULLA_OK;
}

bulla_rc bulla_der_uint(bulla_rd *r, uint8_t tag, uint32_t max, uint32_t *ret)
{
	bulla_bytes content;
	uint32_t value = 0;

	BULLA_TRY(bulla_der_take(r, tag, &content));
	if (content.n == 0 || content.n > 5 || content.p[0] >= 0x80 ||
		(content.n > 1 && content.p[0] == 0 && content.p[1] < 0x80) || (content.n == 5 && content.p[0] != 0))
		return BULLA_FAIL(BULLA_E_FORMAT, "a DER integer is negative, large or not the shortest");
	for (size_t i = 0; i < content.n; i++)
		value = value << 8 | content.p[i];
	if (value > max)
		return BULLA_FAIL(BULLA_E_LIMIT, "a DER integer is beyond its limit");
	*ret = value;
	return BULLA_OK;
}
