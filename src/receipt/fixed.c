#include "receipt/fixed.h"

void bulla_fixed_wr_u8(bulla_wr *w, uint8_t value)
{
	bulla_cbor_wr_bytes_head(w, 1);
	bulla_wr_u8(w, value);
}

void bulla_fixed_wr_u32(bulla_wr *w, uint32_t value)
{
	bulla_cbor_wr_bytes_head(w, 4);
	bulla_wr_u32be(w, value);
}

void bulla_fixed_wr_u64(bulla_wr *w, uint64_t value)
{
	bulla_cbor_wr_bytes_head(w, 8);
	bulla_wr_u64be(w, value);
}

static bulla_rc read_number(bulla_cbor_rd *r, size_t size, uint64_t *ret)
{
	uint8_t bytes[8];
	uint64_t value = 0;

	BULLA_TRY(bulla_cbor_rd_copy(r, size, bytes));
	for (size_t i = 0; i < size; i++)
		value = value << 8 | bytes[i];
	*ret = value;
	return BULLA_OK;
}

bulla_rc bulla_fixed_rd_u8(bulla_cbor_rd *r, uint8_t *ret)
{
	return bulla_cbor_rd_copy(r, 1, ret);
}

bulla_rc bulla_fixed_rd_u32(bulla_cbor_rd *r, uint32_t *ret)
{
	uint64_t value;

	BULLA_TRY(read_number(r, 4, &value));
	*ret = (uint32_t)value;
	return BULLA_OK;
}

bulla_rc bulla_fixed_rd_u64(bulla_cbor_rd *r, uint64_t *ret)
{
	return read_number(r, 8, ret);
}

bulla_rc bulla_fixed_rd_version(bulla_cbor_rd *r, size_t count, uint64_t version)
{
	bulla_cbor_rd at = *r;
	uint64_t found;

	BULLA_TRY(bulla_cbor_rd_expect_array(&at, count));
	BULLA_TRY(bulla_cbor_rd_uint(&at, &found));
	if (found != version)
		return BULLA_FAIL(BULLA_E_VERSION, "a record has a version that this program does not read");
	*r = at;
	return BULLA_OK;
}

bulla_rc bulla_fixed_rd_list(bulla_cbor_rd *r, size_t unit, size_t max, bulla_bytes *ret)
{
	bulla_bytes list;

	BULLA_TRY(bulla_cbor_rd_bytes_max(r, unit * max, &list));
	if (list.n % unit != 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a list ends inside one of its items");
	*ret = list;
	return BULLA_OK;
}
