#include "receipt/entry.h"

#include "cose/sign1.h"
#include "receipt/fixed.h"

#define HEAD_CONTENT BULLA_CONTENT("run-head")
enum { ENTRY_ITEMS = 11, HEAD_ITEMS = 9, HEAD_VERSION = 1 };

void bulla_entry_write(bulla_wr *w, const struct bulla_entry *entry)
{
	bulla_cbor_wr_array(w, ENTRY_ITEMS);
	bulla_cbor_wr_uint(w, entry->kind);
	bulla_fixed_wr_u8(w, entry->outcome);
	bulla_fixed_wr_u8(w, entry->filled);
	bulla_fixed_wr_u32(w, entry->step);
	bulla_fixed_wr_u32(w, entry->item);
	bulla_fixed_wr_u32(w, entry->attempt);
	bulla_fixed_wr_u64(w, entry->sequence);
	bulla_fixed_wr_u64(w, entry->time_ms);
	bulla_fixed_wr_u64(w, entry->other);
	bulla_cbor_wr_digest(w, &entry->digest);
	bulla_cbor_wr_digest(w, &entry->who);
}

bulla_rc bulla_entry_decode(bulla_bytes bytes, struct bulla_entry *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(bytes);
	struct bulla_entry entry;
	uint64_t kind;

	BULLA_TRY(bulla_cbor_rd_expect_array(&r, ENTRY_ITEMS));
	BULLA_TRY(bulla_cbor_rd_uint_max(&r, BULLA_ENTRY_REVOKE, &kind));
	BULLA_TRY(bulla_fixed_rd_u8(&r, &entry.outcome));
	BULLA_TRY(bulla_fixed_rd_u8(&r, &entry.filled));
	BULLA_TRY(bulla_fixed_rd_u32(&r, &entry.step));
	BULLA_TRY(bulla_fixed_rd_u32(&r, &entry.item));
	BULLA_TRY(bulla_fixed_rd_u32(&r, &entry.attempt));
	BULLA_TRY(bulla_fixed_rd_u64(&r, &entry.sequence));
	BULLA_TRY(bulla_fixed_rd_u64(&r, &entry.time_ms));
	BULLA_TRY(bulla_fixed_rd_u64(&r, &entry.other));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &entry.digest));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &entry.who));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	if (kind < BULLA_ENTRY_START || entry.filled > 1)
		return BULLA_FAIL(BULLA_E_FORMAT, "a ledger entry is of no known kind");
	entry.kind = (uint8_t)kind;
	*ret = entry;
	return BULLA_OK;
}

bulla_rc bulla_run_head_make(const struct bulla_run_head *head, struct bulla_sign_key *ledger, struct bulla_buf *ret)
{
	uint8_t memory[BULLA_RUN_HEAD_MAX];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes payload;

	bulla_cbor_wr_array(&w, HEAD_ITEMS);
	bulla_cbor_wr_uint(&w, HEAD_VERSION);
	bulla_cbor_wr_bytes(&w, bulla_handle_view(&head->tenant));
	bulla_cbor_wr_bytes(&w, bulla_run_id_view(&head->run));
	bulla_cbor_wr_uint(&w, head->count);
	bulla_cbor_wr_digest(&w, &head->root);
	bulla_fixed_wr_u64(&w, head->sequence);
	bulla_fixed_wr_u64(&w, head->time_ms);
	bulla_cbor_wr_digest(&w, &head->head);
	bulla_cbor_wr_uint(&w, head->state);
	BULLA_TRY(bulla_wr_end(&w, &payload));
	return bulla_sign1_make(ledger, HEAD_CONTENT, payload, ret);
}

bulla_rc bulla_run_head_open(bulla_bytes sign1, struct bulla_verify_key *ledger, struct bulla_run_head *ret)
{
	struct bulla_run_head head;
	bulla_bytes payload;
	uint64_t state;
	bulla_cbor_rd r;

	BULLA_TRY(bulla_sign1_open(sign1, HEAD_CONTENT, ledger, &payload));
	r = bulla_cbor_rd_of(payload);
	BULLA_TRY(bulla_fixed_rd_version(&r, HEAD_ITEMS, HEAD_VERSION));
	BULLA_TRY(bulla_cbor_rd_copy(&r, sizeof(head.tenant.b), head.tenant.b));
	BULLA_TRY(bulla_cbor_rd_copy(&r, sizeof(head.run.b), head.run.b));
	BULLA_TRY(bulla_cbor_rd_uint(&r, &head.count));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &head.root));
	BULLA_TRY(bulla_fixed_rd_u64(&r, &head.sequence));
	BULLA_TRY(bulla_fixed_rd_u64(&r, &head.time_ms));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &head.head));
	BULLA_TRY(bulla_cbor_rd_uint_max(&r, UINT8_MAX, &state));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	head.state = (uint8_t)state;
	*ret = head;
	return BULLA_OK;
}
