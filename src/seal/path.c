#include "seal/envelope.h"
#include "seal/internal.h"

static const uint8_t whole[] = {0x80};
const bulla_bytes bulla_path_whole = {whole, sizeof(whole)};

bulla_rc bulla_path_write(const bulla_bytes *names, size_t count, uint64_t index, uint8_t memory[BULLA_PATH_MAX],
	bulla_bytes *ret)
{
	bulla_wr w = bulla_wr_fixed(memory, BULLA_PATH_MAX);

	bulla_cbor_wr_array(&w, count + (index != BULLA_PATH_NO_INDEX ? 1 : 0));
	for (size_t i = 0; i < count; i++)
		bulla_cbor_wr_bytes(&w, names[i]);
	if (index != BULLA_PATH_NO_INDEX)
		bulla_cbor_wr_uint(&w, index);
	return bulla_wr_end(&w, ret);
}

bulla_rc bulla_path_read(bulla_cbor_rd *r, bulla_bytes *ret)
{
	bulla_cbor_rd start = *r;
	enum bulla_cbor_type type;
	bulla_bytes path, item;
	size_t count;

	BULLA_TRY(bulla_cbor_rd_array(r, BULLA_PATH_NAMES, &count));
	for (size_t i = 0; i < count; i++) {
		BULLA_TRY(bulla_cbor_rd_peek(r, &type));
		if (type != BULLA_CBOR_BYTES && type != BULLA_CBOR_UINT)
			return BULLA_FAIL(BULLA_E_FORMAT, "a path has something else than names and indices");
		BULLA_TRY(bulla_cbor_rd_skip(r, &item));
	}
	BULLA_TRY(bulla_cbor_rd_skip(&start, &path));
	if (path.n > BULLA_PATH_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "a path is too long");
	*ret = path;
	return BULLA_OK;
}

bulla_rc bulla_envelope_part_salt(bulla_secret whole_salt, bulla_bytes path, bulla_secret *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(path);
	BULLA_AUTO_SECRET salt = BULLA_SECRET_NONE, next = BULLA_SECRET_NONE;
	bulla_bytes item;
	size_t count;

	BULLA_TRY(bulla_cbor_rd_array(&r, BULLA_PATH_NAMES, &count));
	BULLA_TRY(bulla_secret_new(bulla_secret_view(whole_salt), &salt));
	for (size_t i = 0; i < count; i++) {
		BULLA_TRY(bulla_cbor_rd_skip(&r, &item));
		BULLA_TRY(bulla_kdf(salt, BULLA_LABEL_PART, item, &next));
		bulla_secret_free(&salt);
		salt = bulla_secret_take(&next);
	}
	BULLA_TRY(bulla_cbor_rd_end(&r));
	*ret = bulla_secret_take(&salt);
	return BULLA_OK;
}
