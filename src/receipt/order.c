#include "receipt/order.h"

#include "base/rd.h"
#include "cose/sign1.h"
#include "crypto/hash.h"
#include "receipt/fixed.h"

#define CONTENT BULLA_CONTENT("order")
enum { ORDER_ITEMS = 7 };

void bulla_order_write(bulla_wr *w, const struct bulla_order *order)
{
	bulla_cbor_wr_array(w, ORDER_ITEMS);
	bulla_cbor_wr_uint(w, BULLA_ORDER_VERSION);
	bulla_cbor_wr_uint(w, order->kind);
	bulla_cbor_wr_bytes(w, bulla_handle_view(&order->tenant));
	bulla_cbor_wr_digest(w, &order->manifest);
	bulla_cbor_wr_bytes(w, bulla_run_id_view(&order->run));
	bulla_cbor_wr_bytes(w, order->subject);
	bulla_fixed_wr_u64(w, order->time_ms);
}

/* Each kind has exactly its own subject. */
static bool subject_fits(uint8_t kind, size_t size)
{
	if (kind == BULLA_ORDER_REVOKE_INSTANCE)
		return size == sizeof(bulla_digest);
	if (kind == BULLA_ORDER_REVOKE_EPOCH)
		return size == 8;
	if (kind == BULLA_ORDER_REVOKE_MEASUREMENT)
		return size >= 32 && size <= BULLA_ORDER_SUBJECT_MAX;
	return size == 0;
}

static bulla_rc check_subject(const struct bulla_order *order)
{
	bool of_run = order->kind == BULLA_ORDER_CANCEL || order->kind == BULLA_ORDER_ERASE;

	if (!subject_fits(order->kind, order->subject.n))
		return BULLA_FAIL(BULLA_E_FORMAT, "an order is about something that its kind cannot be about");
	if (!of_run && !bulla_bytes_is_zero_ct(bulla_run_id_view(&order->run)))
		return BULLA_FAIL(BULLA_E_FORMAT, "a revocation names a run");
	return BULLA_OK;
}

bulla_rc bulla_order_decode(bulla_bytes payload, struct bulla_order *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(payload);
	struct bulla_order order;
	uint64_t kind;

	BULLA_TRY(bulla_fixed_rd_version(&r, ORDER_ITEMS, BULLA_ORDER_VERSION));
	BULLA_TRY(bulla_cbor_rd_uint_max(&r, BULLA_ORDER_REVOKE_MEASUREMENT, &kind));
	BULLA_TRY(bulla_cbor_rd_copy(&r, sizeof(order.tenant.b), order.tenant.b));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &order.manifest));
	BULLA_TRY(bulla_cbor_rd_copy(&r, sizeof(order.run.b), order.run.b));
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, BULLA_ORDER_SUBJECT_MAX, &order.subject));
	BULLA_TRY(bulla_fixed_rd_u64(&r, &order.time_ms));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	if (kind < BULLA_ORDER_CANCEL)
		return BULLA_FAIL(BULLA_E_FORMAT, "an order is of no known kind");
	order.kind = (uint8_t)kind;
	BULLA_TRY(check_subject(&order));
	*ret = order;
	return BULLA_OK;
}

bulla_rc bulla_order_make(const struct bulla_order *order, struct bulla_sign_key *key, struct bulla_buf *ret)
{
	uint8_t memory[BULLA_ORDER_MAX];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes payload;

	BULLA_TRY(check_subject(order));
	bulla_order_write(&w, order);
	BULLA_TRY(bulla_wr_end(&w, &payload));
	return bulla_sign1_make(key, CONTENT, payload, ret);
}

bulla_rc bulla_order_digest(const struct bulla_order *order, bulla_digest *ret)
{
	uint8_t memory[BULLA_ORDER_MAX];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes payload;

	bulla_order_write(&w, order);
	BULLA_TRY(bulla_wr_end(&w, &payload));
	bulla_sha256(payload, ret);
	return BULLA_OK;
}

static bool is(bulla_bytes subject, const bulla_digest *digest)
{
	return digest != NULL && bulla_bytes_eq(subject, bulla_bytes_digest(digest));
}

static bool is_measured(bulla_bytes subject, const bulla_digest *image)
{
	bulla_digest digest;

	bulla_sha256(subject, &digest);
	return image != NULL && bulla_digest_eq(&digest, image);
}

bool bulla_order_revokes(const struct bulla_order *order, uint64_t epoch, const struct bulla_revocable *what)
{
	bulla_rd r = bulla_rd_of(order->subject);
	uint64_t number = 0;

	switch (order->kind) {
	case BULLA_ORDER_REVOKE_INSTANCE:
		return is(order->subject, what->instance);
	case BULLA_ORDER_REVOKE_EPOCH:
		return bulla_rd_u64be(&r, &number) == BULLA_OK && (number == what->epoch || number == what->run_epoch);
	case BULLA_ORDER_REVOKE_MEASUREMENT:
		return (what->run_epoch <= epoch && is(order->subject, what->bundle)) ||
		(what->epoch <= epoch && is_measured(order->subject, what->image));
	default:
		return false;
	}
}

bulla_rc bulla_order_peek(bulla_bytes sign1, bulla_digest *ret_kid, struct bulla_order *ret)
{
	bulla_digest kid;
	bulla_bytes payload;

	BULLA_TRY(bulla_sign1_peek(sign1, CONTENT, &kid, &payload));
	BULLA_TRY(bulla_order_decode(payload, ret));
	*ret_kid = kid;
	return BULLA_OK;
}

bulla_rc bulla_order_open(bulla_bytes sign1, struct bulla_verify_key *key, struct bulla_order *ret)
{
	bulla_bytes payload;

	BULLA_TRY(bulla_sign1_open(sign1, CONTENT, key, &payload));
	return bulla_order_decode(payload, ret);
}
