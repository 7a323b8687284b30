#include "receipt/permit.h"

#include "base/checks.h"
#include "base/limits.h"
#include "cose/mac0.h"
#include "receipt/fixed.h"
#include "receipt/merkle.h"
#include "receipt/session_mac.h"

#define CONTENT BULLA_CONTENT("permit")
enum { PERMIT_ITEMS = 16 };

void bulla_permit_write(bulla_wr *w, const struct bulla_permit *permit)
{
	bulla_cbor_wr_array(w, PERMIT_ITEMS);
	bulla_cbor_wr_uint(w, BULLA_PERMIT_VERSION);
	bulla_position_write_fields(w, &permit->position);
	bulla_fixed_wr_u32(w, permit->tries_left);
	bulla_cbor_wr_digest(w, &permit->instance);
	bulla_cbor_wr_digest(w, &permit->manifest);
	bulla_cbor_wr_bytes(w, permit->parents);
	bulla_cbor_wr_bytes(w, BULLA_BYTES_ARRAY(permit->run_secret));
	bulla_fixed_wr_u64(w, permit->time_ms);
	bulla_fixed_wr_u64(w, permit->expires_ms);
	bulla_fixed_wr_u64(w, permit->epoch);
	bulla_fixed_wr_u64(w, permit->sequence);
}

bulla_rc bulla_permit_decode(bulla_bytes payload, struct bulla_permit *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(payload);
	struct bulla_permit permit;

	BULLA_TRY(bulla_fixed_rd_version(&r, PERMIT_ITEMS, BULLA_PERMIT_VERSION));
	BULLA_TRY(bulla_position_read_fields(&r, &permit.position));
	BULLA_TRY(bulla_fixed_rd_u32(&r, &permit.tries_left));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &permit.instance));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &permit.manifest));
	BULLA_TRY(bulla_fixed_rd_list(&r, sizeof(bulla_digest), BULLA_MAX_PARENTS, &permit.parents));
	BULLA_TRY(bulla_cbor_rd_copy(&r, sizeof(permit.run_secret), permit.run_secret));
	BULLA_TRY(bulla_fixed_rd_u64(&r, &permit.time_ms));
	BULLA_TRY(bulla_fixed_rd_u64(&r, &permit.expires_ms));
	BULLA_TRY(bulla_fixed_rd_u64(&r, &permit.epoch));
	BULLA_TRY(bulla_fixed_rd_u64(&r, &permit.sequence));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	*ret = permit;
	return BULLA_OK;
}

bulla_rc bulla_permit_make(const struct bulla_permit *permit, const uint8_t session[BULLA_SESSION_ID_BYTES],
	bulla_secret key, struct bulla_buf *ret)
{
	uint8_t memory[BULLA_PERMIT_MAX];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes payload;

	if (permit->parents.n > BULLA_MAX_PARENTS * sizeof(bulla_digest))
		return BULLA_FAIL(BULLA_E_LIMIT, "a permit has too many parents");
	bulla_permit_write(&w, permit);
	BULLA_TRY(bulla_wr_end(&w, &payload));
	return bulla_mac0_make(key, CONTENT, bulla_bytes_of(session, BULLA_SESSION_ID_BYTES), payload, ret);
}

bulla_rc bulla_permit_session(bulla_bytes mac0, uint8_t ret[BULLA_SESSION_ID_BYTES])
{
	return bulla_session_mac_id(mac0, CONTENT, ret);
}

bulla_rc bulla_permit_open(bulla_bytes mac0, const uint8_t session[BULLA_SESSION_ID_BYTES], bulla_secret key,
	struct bulla_permit *ret)
{
	bulla_bytes payload;

	BULLA_TRY(bulla_session_mac_open(mac0, CONTENT, session, key, BULLA_CHECK_ON(PERMIT_MAC), &payload));
	return bulla_permit_decode(payload, ret);
}

bulla_rc bulla_parents_root(bulla_bytes parents, bulla_digest *ret)
{
	return bulla_merkle_list_root(parents, sizeof(bulla_digest), ret);
}
