#include "receipt/receipt.h"

#include "base/limits.h"
#include "crypto/hash.h"
#include "receipt/fixed.h"
#include "receipt/merkle.h"

enum { RECEIPT_ITEMS = 18, RECORD_ITEMS = 5, RECORD_VERSION = 1, LISTS_MAX = 16 };

void bulla_receipt_write(bulla_wr *w, const struct bulla_receipt *receipt)
{
	const struct bulla_slot *slot = &receipt->position.slot;

	bulla_cbor_wr_array(w, RECEIPT_ITEMS);
	bulla_cbor_wr_uint(w, BULLA_RECEIPT_VERSION);
	bulla_cbor_wr_bytes(w, bulla_handle_view(&slot->tenant));
	bulla_cbor_wr_digest(w, &slot->workflow);
	bulla_cbor_wr_digest(w, &receipt->manifest);
	bulla_cbor_wr_bytes(w, bulla_run_id_view(&slot->run));
	bulla_fixed_wr_u32(w, slot->step);
	bulla_fixed_wr_u32(w, slot->item);
	bulla_fixed_wr_u32(w, receipt->position.attempt);
	bulla_fixed_wr_u8(w, receipt->executor);
	bulla_fixed_wr_u8(w, receipt->reuse);
	bulla_cbor_wr_digest(w, &receipt->agent);
	bulla_cbor_wr_digest(w, &receipt->kid);
	bulla_cbor_wr_digest(w, &receipt->parents);
	bulla_cbor_wr_digest(w, &receipt->inputs);
	bulla_cbor_wr_digest(w, &receipt->outputs);
	bulla_fixed_wr_u8(w, receipt->outcome);
	bulla_cbor_wr_digest(w, &receipt->capabilities);
	bulla_fixed_wr_u64(w, receipt->time_ms);
}

static bulla_rc read_position(bulla_cbor_rd *r, struct bulla_receipt *receipt)
{
	struct bulla_slot *slot = &receipt->position.slot;

	BULLA_TRY(bulla_cbor_rd_copy(r, sizeof(slot->tenant.b), slot->tenant.b));
	BULLA_TRY(bulla_cbor_rd_digest(r, &slot->workflow));
	BULLA_TRY(bulla_cbor_rd_digest(r, &receipt->manifest));
	BULLA_TRY(bulla_cbor_rd_copy(r, sizeof(slot->run.b), slot->run.b));
	BULLA_TRY(bulla_fixed_rd_u32(r, &slot->step));
	BULLA_TRY(bulla_fixed_rd_u32(r, &slot->item));
	return bulla_fixed_rd_u32(r, &receipt->position.attempt);
}

static bulla_rc read_work(bulla_cbor_rd *r, struct bulla_receipt *receipt)
{
	BULLA_TRY(bulla_fixed_rd_u8(r, &receipt->executor));
	BULLA_TRY(bulla_fixed_rd_u8(r, &receipt->reuse));
	BULLA_TRY(bulla_cbor_rd_digest(r, &receipt->agent));
	BULLA_TRY(bulla_cbor_rd_digest(r, &receipt->kid));
	BULLA_TRY(bulla_cbor_rd_digest(r, &receipt->parents));
	BULLA_TRY(bulla_cbor_rd_digest(r, &receipt->inputs));
	BULLA_TRY(bulla_cbor_rd_digest(r, &receipt->outputs));
	BULLA_TRY(bulla_fixed_rd_u8(r, &receipt->outcome));
	BULLA_TRY(bulla_cbor_rd_digest(r, &receipt->capabilities));
	return bulla_fixed_rd_u64(r, &receipt->time_ms);
}

/* What an executor of each kind can say; everything else is a receipt that nobody makes. */
static bulla_rc check_words(const struct bulla_receipt *receipt)
{
	bool agent = receipt->executor == BULLA_EXECUTOR_AGENT;

	if (receipt->executor < BULLA_EXECUTOR_AGENT || receipt->executor > BULLA_EXECUTOR_BROKER)
		return BULLA_FAIL(BULLA_E_FORMAT, "a receipt has an unknown executor");
	if (agent ? receipt->reuse != BULLA_REUSE_FRESH && receipt->reuse != BULLA_REUSE_REUSED
		: receipt->reuse != BULLA_REUSE_NONE)
		return BULLA_FAIL(BULLA_E_FORMAT, "a receipt has a reuse word that its executor cannot have");
	if (!agent && !bulla_bytes_is_zero_ct(bulla_bytes_digest(&receipt->agent)))
		return BULLA_FAIL(BULLA_E_FORMAT, "a receipt names an agent, but none ran");
	return BULLA_OK;
}

bulla_rc bulla_receipt_decode(bulla_bytes payload, struct bulla_receipt *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(payload);
	struct bulla_receipt receipt;

	BULLA_TRY(bulla_fixed_rd_version(&r, RECEIPT_ITEMS, BULLA_RECEIPT_VERSION));
	BULLA_TRY(read_position(&r, &receipt));
	BULLA_TRY(read_work(&r, &receipt));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	BULLA_TRY(check_words(&receipt));
	*ret = receipt;
	return BULLA_OK;
}

void bulla_receipt_digest(const struct bulla_receipt *receipt, bulla_digest *ret)
{
	uint8_t memory[BULLA_RECEIPT_BYTES];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

	bulla_receipt_write(&w, receipt);
	bulla_sha256(bulla_bytes_of(memory, w.n), ret);
}

/* --- records --- */

void bulla_receipt_record_write(bulla_wr *w, bulla_bytes payload, const struct bulla_auth *auth, bulla_bytes outputs,
	bulla_bytes lengths)
{
	bulla_cbor_wr_array(w, RECORD_ITEMS);
	bulla_cbor_wr_uint(w, RECORD_VERSION);
	bulla_cbor_wr_bytes(w, payload);
	bulla_auth_write(w, auth);
	bulla_cbor_wr_bytes(w, outputs);
	bulla_cbor_wr_bytes(w, lengths);
}

bulla_rc bulla_receipt_record_decode(bulla_bytes bytes, struct bulla_receipt_record *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(bytes);
	struct bulla_receipt_record record;
	bulla_digest root;

	BULLA_TRY(bulla_fixed_rd_version(&r, RECORD_ITEMS, RECORD_VERSION));
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, BULLA_RECEIPT_BYTES, &record.payload));
	BULLA_TRY(bulla_auth_read(&r, &record.auth));
	BULLA_TRY(bulla_fixed_rd_list(&r, BULLA_PAIR_BYTES, BULLA_MAX_RECEIPT_PAIRS, &record.outputs));
	BULLA_TRY(bulla_fixed_rd_list(&r, 4, LISTS_MAX, &record.lengths));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	BULLA_TRY(bulla_receipt_decode(record.payload, &record.receipt));
	BULLA_TRY(bulla_merkle_list_root(record.outputs, BULLA_PAIR_BYTES, &root));
	if (!bulla_digest_eq(&root, &record.receipt.outputs))
		return BULLA_FAIL(BULLA_E_GRAPH, "a receipt's outputs are not those that it signs");
	bulla_sha256(record.payload, &record.digest);
	*ret = record;
	return BULLA_OK;
}

bulla_rc bulla_receipt_record_verify(const struct bulla_receipt_record *record, struct bulla_verify_key *key)
{
	if (!bulla_digest_eq(&record->receipt.kid, bulla_verify_key_kid(key)))
		return BULLA_FAIL(BULLA_E_SIGNATURE, "a receipt is signed by another key");
	return bulla_auth_verify(&record->auth, key, BULLA_SIGNED_RECEIPT, record->payload);
}

bulla_rc bulla_receipt_cose(const struct bulla_receipt_record *record, bulla_wr *w)
{
	if (record->auth.batched)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "a receipt of a batch has no signature of its own");
	return bulla_auth_write_sign1(w, &record->auth, &record->receipt.kid, BULLA_SIGNED_RECEIPT, record->payload);
}

/* --- pairs --- */

bulla_rc bulla_pairs_get(bulla_bytes pairs, size_t index, struct bulla_pair *ret)
{
	bulla_rd r = bulla_rd_of(pairs);

	if (index >= bulla_pairs_count(pairs))
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "a list has no such pair");
	BULLA_TRY(bulla_rd_skip(&r, index * BULLA_PAIR_BYTES));
	BULLA_TRY(bulla_rd_digest(&r, &ret->envelope));
	return bulla_rd_digest(&r, &ret->commitment);
}

void bulla_pairs_root(const struct bulla_pair *pairs, size_t count, bulla_digest *ret)
{
	struct bulla_merkle tree;
	uint8_t memory[BULLA_PAIR_BYTES];

	bulla_merkle_init(&tree);
	for (size_t i = 0; i < count; i++) {
		bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

		bulla_wr_digest(&w, &pairs[i].envelope);
		bulla_wr_digest(&w, &pairs[i].commitment);
		if (bulla_merkle_add(&tree, BULLA_BYTES_ARRAY(memory)) != BULLA_OK)
			break; /* 2^32 pairs are not in memory */
	}
	bulla_merkle_root(&tree, ret);
}
