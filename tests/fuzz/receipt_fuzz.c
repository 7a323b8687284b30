/* First byte: which record. What decodes is written again as the same bytes: one form per value. */
#include "fuzz.h"
#include "receipt/commit.h"
#include "receipt/entry.h"
#include "receipt/instance.h"
#include "receipt/order.h"
#include "receipt/permit.h"
#include "receipt/receipt.h"
#include "receipt/recipient.h"
#include "receipt/start.h"
#include "receipt/token.h"

static uint8_t memory[1 << 18];

static bool again_receipt(bulla_bytes in, bulla_wr *w)
{
	struct bulla_receipt_record record;
	struct bulla_receipt receipt;

	if (bulla_receipt_decode(in, &receipt) == BULLA_OK) {
		bulla_receipt_write(w, &receipt);
		return true;
	}
	if (bulla_receipt_record_decode(in, &record) != BULLA_OK)
		return false;
	bulla_receipt_record_write(w, record.payload, &record.auth, record.outputs, record.lengths);
	return true;
}

static bool again_start(bulla_bytes in, bulla_wr *w)
{
	struct bulla_start_record record;
	struct bulla_start start;

	if (bulla_start_decode(in, &start) == BULLA_OK)
		return bulla_start_write(w, &start) == BULLA_OK;
	if (bulla_start_record_decode(in, &record) != BULLA_OK)
		return false;
	bulla_start_record_write(w, record.payload, &record.auth);
	return true;
}

static bool again_token(bulla_bytes in, bulla_wr *w)
{
	struct bulla_token_record record;
	struct bulla_token token;

	if (bulla_token_decode(in, &token) == BULLA_OK) {
		bulla_token_write(w, &token);
		return true;
	}
	if (bulla_token_record_decode(in, &record) != BULLA_OK)
		return false;
	bulla_token_record_write(w, &record.token, &record.auth);
	return true;
}

static bool again_permit(bulla_bytes in, bulla_wr *w)
{
	struct bulla_permit permit;

	if (bulla_permit_decode(in, &permit) != BULLA_OK)
		return false;
	bulla_permit_write(w, &permit);
	return true;
}

static bool again_commit(bulla_bytes in, bulla_wr *w)
{
	struct bulla_commit commit;

	if (bulla_commit_decode(in, &commit) != BULLA_OK)
		return false;
	bulla_commit_write(w, &commit);
	return true;
}

static bool again_order(bulla_bytes in, bulla_wr *w)
{
	struct bulla_order order;

	if (bulla_order_decode(in, &order) != BULLA_OK)
		return false;
	bulla_order_write(w, &order);
	return true;
}

static bool again_instance(bulla_bytes in, bulla_wr *w)
{
	struct bulla_instance instance;

	return bulla_instance_decode(in, &instance) == BULLA_OK && bulla_instance_write(w, &instance) == BULLA_OK;
}

static bool again_entry(bulla_bytes in, bulla_wr *w)
{
	struct bulla_entry entry;

	if (bulla_entry_decode(in, &entry) != BULLA_OK)
		return false;
	bulla_entry_write(w, &entry);
	return true;
}

static bool again_recipient(bulla_bytes in, bulla_wr *w)
{
	BULLA_AUTO_BUF scratch, made;
	struct bulla_recipient recipient;

	bulla_buf_init(&scratch, sizeof(memory));
	bulla_buf_init(&made, sizeof(memory));
	if (bulla_recipient_decode(in, &recipient) != BULLA_OK ||
		bulla_recipient_write(&recipient, &scratch, &made) != BULLA_OK)
		return false;
	bulla_wr_bytes(w, bulla_buf_view(&made));
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static bool (*const again[])(bulla_bytes in, bulla_wr *w) = {again_receipt, again_start, again_token, again_permit,
		again_commit, again_order, again_instance, again_entry, again_recipient};
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes in, out;

	if (n < 1)
		return 0;
	in = bulla_bytes_of(p + 1, n - 1);
	if (again[p[0] % 9](in, &w) && bulla_wr_end(&w, &out) == BULLA_OK)
		fuzz_assert(bulla_bytes_eq(in, out));
	return 0;
}
