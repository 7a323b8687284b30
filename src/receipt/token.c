#include "receipt/token.h"

#include "crypto/hash.h"
#include "receipt/fixed.h"

enum { TOKEN_ITEMS = 10, RECORD_ITEMS = 3, RECORD_VERSION = 1 };

void bulla_token_write(bulla_wr *w, const struct bulla_token *token)
{
	bulla_cbor_wr_array(w, TOKEN_ITEMS);
	bulla_cbor_wr_uint(w, BULLA_TOKEN_VERSION);
	bulla_slot_write_fields(w, &token->slot);
	bulla_cbor_wr_digest(w, &token->receipt);
	bulla_fixed_wr_u64(w, token->sequence);
	bulla_fixed_wr_u64(w, token->time_ms);
	bulla_cbor_wr_digest(w, &token->head);
}

bulla_rc bulla_token_decode(bulla_bytes payload, struct bulla_token *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(payload);
	struct bulla_token token;

	BULLA_TRY(bulla_fixed_rd_version(&r, TOKEN_ITEMS, BULLA_TOKEN_VERSION));
	BULLA_TRY(bulla_slot_read_fields(&r, &token.slot));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &token.receipt));
	BULLA_TRY(bulla_fixed_rd_u64(&r, &token.sequence));
	BULLA_TRY(bulla_fixed_rd_u64(&r, &token.time_ms));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &token.head));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	*ret = token;
	return BULLA_OK;
}

void bulla_token_digest(const struct bulla_token *token, bulla_digest *ret)
{
	uint8_t memory[BULLA_TOKEN_BYTES];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

	bulla_token_write(&w, token);
	bulla_sha256(bulla_bytes_of(memory, w.n), ret);
}

void bulla_token_record_write(bulla_wr *w, const struct bulla_token *token, const struct bulla_auth *auth)
{
	bulla_cbor_wr_array(w, RECORD_ITEMS);
	bulla_cbor_wr_uint(w, RECORD_VERSION);
	bulla_cbor_wr_bytes_head(w, BULLA_TOKEN_BYTES);
	bulla_token_write(w, token);
	bulla_auth_write(w, auth);
}

bulla_rc bulla_token_record_decode(bulla_bytes bytes, struct bulla_token_record *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(bytes);
	struct bulla_token_record record;

	BULLA_TRY(bulla_fixed_rd_version(&r, RECORD_ITEMS, RECORD_VERSION));
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, BULLA_TOKEN_BYTES, &record.payload));
	BULLA_TRY(bulla_auth_read(&r, &record.auth));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	BULLA_TRY(bulla_token_decode(record.payload, &record.token));
	bulla_sha256(record.payload, &record.digest);
	*ret = record;
	return BULLA_OK;
}
