#include "base/rd.h"

bulla_rc bulla_rd_bytes(bulla_rd *r, size_t size, bulla_bytes *ret)
{
	if (size > r->n - r->at)
		return BULLA_FAIL(BULLA_E_TRUNCATED, "the bytes end inside a field");
	*ret = (bulla_bytes){size > 0 ? r->p + r->at : NULL, size};
	r->at += size;
	return BULLA_OK;
}

bulla_rc bulla_rd_copy(bulla_rd *r, size_t size, uint8_t *ret)
{
	bulla_bytes view;

	BULLA_TRY(bulla_rd_bytes(r, size, &view));
	bulla_copy(ret, view.p, size);
	return BULLA_OK;
}

bulla_rc bulla_rd_digest(bulla_rd *r, bulla_digest *ret)
{
	bulla_bytes view;

	BULLA_TRY(bulla_rd_bytes(r, sizeof(ret->b), &view));
	bulla_copy(ret->b, view.p, sizeof(ret->b)); /* of known size */
	return BULLA_OK;
}

bulla_rc bulla_rd_skip(bulla_rd *r, size_t size)
{
	bulla_bytes ignored;

	return bulla_rd_bytes(r, size, &ignored);
}

static inline bulla_rc read_be(bulla_rd *r, size_t size, uint64_t *ret)
{
	bulla_bytes view;
	uint64_t value = 0;

	BULLA_TRY(bulla_rd_bytes(r, size, &view));
	for (size_t i = 0; i < size; i++)
		value = value << 8 | view.p[i];
	*ret = value;
	return BULLA_OK;
}

static inline bulla_rc read_le(bulla_rd *r, size_t size, uint64_t *ret)
{
	bulla_bytes view;
	uint64_t value = 0;

	BULLA_TRY(bulla_rd_bytes(r, size, &view));
	for (size_t i = size; i > 0; i--)
		value = value << 8 | view.p[i - 1];
	*ret = value;
	return BULLA_OK;
}

bulla_rc bulla_rd_u8(bulla_rd *r, uint8_t *ret)
{
	return bulla_rd_copy(r, 1, ret);
}

bulla_rc bulla_rd_u16be(bulla_rd *r, uint16_t *ret)
{
	uint64_t value;

	BULLA_TRY(read_be(r, 2, &value));
	*ret = (uint16_t)value;
	return BULLA_OK;
}

bulla_rc bulla_rd_u32be(bulla_rd *r, uint32_t *ret)
{
	uint64_t value;

	BULLA_TRY(read_be(r, 4, &value));
	*ret = (uint32_t)value;
	return BULLA_OK;
}

bulla_rc bulla_rd_u64be(bulla_rd *r, uint64_t *ret)
{
	return read_be(r, 8, ret);
}

bulla_rc bulla_rd_u16le(bulla_rd *r, uint16_t *ret)
{
	uint64_t value;

	BULLA_TRY(read_le(r, 2, &value));
	*ret = (uint16_t)value;
	return BULLA_OK;
}

bulla_rc bulla_rd_u32le(bulla_rd *r, uint32_t *ret)
{
	uint64_t value;

	BULLA_TRY(read_le(r, 4, &value));
	*ret = (uint32_t)value;
	return BULLA_OK;
}

bulla_rc bulla_rd_u64le(bulla_rd *r, uint64_t *ret)
{
	return read_le(r, 8, ret);
}

bulla_rc bulla_rd_end(const bulla_rd *r)
{
	if (r->at != r->n)
		return BULLA_FAIL(BULLA_E_TRAILING, "bytes follow the end");
	return BULLA_OK;
}
