#include "receipt/commit.h"

#include "base/checks.h"
#include "cose/mac0.h"
#include "receipt/fixed.h"
#include "receipt/session_mac.h"

#define CONTENT BULLA_CONTENT("commit")
enum { COMMIT_ITEMS = 10, COMMIT_VERSION = 1 };

void bulla_commit_write(bulla_wr *w, const struct bulla_commit *commit)
{
	bulla_cbor_wr_array(w, COMMIT_ITEMS);
	bulla_cbor_wr_uint(w, COMMIT_VERSION);
	bulla_position_write_fields(w, &commit->position);
	bulla_cbor_wr_digest(w, &commit->receipt);
	bulla_fixed_wr_u8(w, commit->outcome);
	bulla_cbor_wr_bytes(w, commit->lengths);
}

bulla_rc bulla_commit_decode(bulla_bytes payload, struct bulla_commit *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(payload);
	struct bulla_commit commit;

	BULLA_TRY(bulla_fixed_rd_version(&r, COMMIT_ITEMS, COMMIT_VERSION));
	BULLA_TRY(bulla_position_read_fields(&r, &commit.position));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &commit.receipt));
	BULLA_TRY(bulla_fixed_rd_u8(&r, &commit.outcome));
	BULLA_TRY(bulla_fixed_rd_list(&r, 4, BULLA_COMMIT_LISTS, &commit.lengths));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	*ret = commit;
	return BULLA_OK;
}

bulla_rc bulla_commit_make(const struct bulla_commit *commit, const uint8_t session[BULLA_SESSION_ID_BYTES],
	bulla_secret key, struct bulla_buf *ret)
{
	uint8_t memory[BULLA_COMMIT_MAX];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes payload;

	if (commit->lengths.n > 4 * BULLA_COMMIT_LISTS)
		return BULLA_FAIL(BULLA_E_LIMIT, "a commit has too many lists");
	bulla_commit_write(&w, commit);
	BULLA_TRY(bulla_wr_end(&w, &payload));
	return bulla_mac0_make(key, CONTENT, bulla_bytes_of(session, BULLA_SESSION_ID_BYTES), payload, ret);
}

bulla_rc bulla_commit_session(bulla_bytes mac0, uint8_t ret[BULLA_SESSION_ID_BYTES])
{
	return bulla_session_mac_id(mac0, CONTENT, ret);
}

bulla_rc bulla_commit_open(bulla_bytes mac0, const uint8_t session[BULLA_SESSION_ID_BYTES], bulla_secret key,
	struct bulla_commit *ret)
{
	bulla_bytes payload;

	BULLA_TRY(bulla_session_mac_open(mac0, CONTENT, session, key, BULLA_CHECK_ON(LEDGER_COMMIT_MAC), &payload));
	return bulla_commit_decode(payload, ret);
}
