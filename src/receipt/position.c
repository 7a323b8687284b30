#include "receipt/position.h"

#include "base/checks.h"
#include "crypto/hash.h"
#include "crypto/mac.h"
#include "receipt/fixed.h"
#include "wire/text.h"

enum { SLOT_ITEMS = 5, POSITION_ITEMS = 6, TIME_BYTES = 6, RANDOM_BYTES = 10 };

void bulla_slot_write_fields(bulla_wr *w, const struct bulla_slot *slot)
{
	bulla_cbor_wr_bytes(w, bulla_handle_view(&slot->tenant));
	bulla_cbor_wr_digest(w, &slot->workflow);
	bulla_cbor_wr_bytes(w, bulla_run_id_view(&slot->run));
	bulla_fixed_wr_u32(w, slot->step);
	bulla_fixed_wr_u32(w, slot->item);
}

void bulla_slot_write(bulla_wr *w, const struct bulla_slot *slot)
{
	bulla_cbor_wr_array(w, SLOT_ITEMS);
	bulla_slot_write_fields(w, slot);
}

void bulla_position_write_fields(bulla_wr *w, const struct bulla_position *position)
{
	bulla_slot_write_fields(w, &position->slot);
	bulla_fixed_wr_u32(w, position->attempt);
}

void bulla_position_write(bulla_wr *w, const struct bulla_position *position)
{
	bulla_cbor_wr_array(w, POSITION_ITEMS);
	bulla_position_write_fields(w, position);
}

bulla_rc bulla_slot_read_fields(bulla_cbor_rd *r, struct bulla_slot *ret)
{
	bulla_cbor_rd at = *r;
	struct bulla_slot slot;

	BULLA_TRY(bulla_cbor_rd_copy(&at, sizeof(slot.tenant.b), slot.tenant.b));
	BULLA_TRY(bulla_cbor_rd_digest(&at, &slot.workflow));
	BULLA_TRY(bulla_cbor_rd_copy(&at, sizeof(slot.run.b), slot.run.b));
	BULLA_TRY(bulla_fixed_rd_u32(&at, &slot.step));
	BULLA_TRY(bulla_fixed_rd_u32(&at, &slot.item));
	*r = at;
	*ret = slot;
	return BULLA_OK;
}

bulla_rc bulla_position_read_fields(bulla_cbor_rd *r, struct bulla_position *ret)
{
	bulla_cbor_rd at = *r;
	struct bulla_position position;

	BULLA_TRY(bulla_slot_read_fields(&at, &position.slot));
	BULLA_TRY(bulla_fixed_rd_u32(&at, &position.attempt));
	*r = at;
	*ret = position;
	return BULLA_OK;
}

bulla_rc bulla_position_read(bulla_cbor_rd *r, struct bulla_position *ret)
{
	bulla_cbor_rd at = *r;

	BULLA_TRY(bulla_cbor_rd_expect_array(&at, POSITION_ITEMS));
	BULLA_TRY(bulla_position_read_fields(&at, ret));
	*r = at;
	return BULLA_OK;
}

bool bulla_handle_eq(const bulla_handle *a, const bulla_handle *b)
{
	return bulla_bytes_eq(bulla_handle_view(a), bulla_handle_view(b));
}

bool bulla_run_id_eq(const bulla_run_id *a, const bulla_run_id *b)
{
	return bulla_bytes_eq(bulla_run_id_view(a), bulla_run_id_view(b));
}

bool bulla_slot_eq(const struct bulla_slot *a, const struct bulla_slot *b)
{
	return a->step == b->step && a->item == b->item && bulla_run_id_eq(&a->run, &b->run) &&
		bulla_digest_eq(&a->workflow, &b->workflow) && bulla_handle_eq(&a->tenant, &b->tenant);
}

bool bulla_position_eq(const struct bulla_position *a, const struct bulla_position *b)
{
	return a->attempt == b->attempt && bulla_slot_eq(&a->slot, &b->slot);
}

bulla_rc bulla_position_check(const struct bulla_position *expected, const struct bulla_position *found)
{
	const struct bulla_slot *a = &expected->slot, *b = &found->slot;

	if (BULLA_CHECK_ON(POSITION_TENANT) && !bulla_handle_eq(&a->tenant, &b->tenant))
		return BULLA_FAIL(BULLA_E_POSITION_TENANT, "the position is of another tenant");
	if (BULLA_CHECK_ON(POSITION_WORKFLOW) && !bulla_digest_eq(&a->workflow, &b->workflow))
		return BULLA_FAIL(BULLA_E_POSITION_WORKFLOW, "the position is of another workflow");
	if (BULLA_CHECK_ON(POSITION_RUN) && !bulla_run_id_eq(&a->run, &b->run))
		return BULLA_FAIL(BULLA_E_POSITION_RUN, "the position is of another run");
	if (BULLA_CHECK_ON(POSITION_STEP) && a->step != b->step)
		return BULLA_FAIL(BULLA_E_POSITION_STEP, "the position is of another step");
	if (BULLA_CHECK_ON(POSITION_ITEM) && a->item != b->item)
		return BULLA_FAIL(BULLA_E_POSITION_ITEM, "the position is of another item");
	if (BULLA_CHECK_ON(POSITION_ATTEMPT) && expected->attempt != found->attempt)
		return BULLA_FAIL(BULLA_E_POSITION_ATTEMPT, "the position is of another attempt");
	return BULLA_OK;
}

void bulla_slot_digest(const struct bulla_slot *slot, bulla_digest *ret)
{
	uint8_t memory[BULLA_SLOT_BYTES];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

	bulla_slot_write(&w, slot);
	bulla_sha256(BULLA_BYTES_ARRAY(memory), ret);
}

bulla_run_id bulla_run_id_make(uint64_t unix_ms, const uint8_t random[RANDOM_BYTES])
{
	bulla_run_id run;

	for (unsigned i = 0; i < TIME_BYTES; i++)
		run.b[i] = (uint8_t)(unix_ms >> (40 - 8 * i));
	bulla_copy(run.b + TIME_BYTES, random, RANDOM_BYTES);
	return run;
}

void bulla_run_id_named(bulla_secret owner_key, bulla_bytes business_id, bulla_run_id *ret)
{
	bulla_digest mac;

	bulla_mac(owner_key, business_id, &mac);
	*ret = bulla_run_id_make(0, mac.b);
}

uint64_t bulla_run_id_ms(const bulla_run_id *run)
{
	uint64_t ms = 0;

	for (unsigned i = 0; i < TIME_BYTES; i++)
		ms = ms << 8 | run->b[i];
	return ms;
}

static bulla_bytes random_part(const bulla_run_id *run)
{
	return bulla_bytes_of(run->b + TIME_BYTES, RANDOM_BYTES);
}

void bulla_run_id_name(const bulla_run_id *run, char ret[BULLA_RUN_NAME_SIZE])
{
	uint8_t name[BULLA_RUN_NAME_SIZE] = {0};
	bulla_wr w = bulla_wr_fixed(name, sizeof(name));

	bulla_text_wr_base32(&w, random_part(run));
	bulla_copy(ret, name, sizeof(name));
}

bool bulla_run_id_has_name(const bulla_run_id *run, bulla_bytes text)
{
	return text.n > 0 && bulla_text_base32_has_prefix(random_part(run), text);
}
