#pragma once
/* Where a piece of state belongs: tenant, workflow, run, step, item, attempt (protocol.md section 1). Every part has a
 * fixed width in bytes, so positions are the same number of bytes always and a contract can rebuild them. */
#include "base/secret.h"
#include "wire/cbor.h"

/* First 8 bytes of HMAC(tenant name key, CBOR [kind, name]): all that the host sees of a name. */
typedef struct bulla_handle {
	uint8_t b[8];
} bulla_handle;

/* 48-bit Unix ms (big endian), then 80 random bits; or 6 zero bytes, then HMAC(owner key, business id). */
typedef struct bulla_run_id {
	uint8_t b[16];
} bulla_run_id;

/* Steps count from 0, which is `input`; items and attempts count from 0 and 1. */
#define BULLA_STEP_INPUT 0u
/* Stands for the run as a whole where a slot is asked for: the broker's receipt of an erased run. */
#define BULLA_STEP_RUN UINT32_MAX

struct bulla_slot {
	bulla_handle tenant;
	bulla_digest workflow;
	bulla_run_id run;
	uint32_t step;
	uint32_t item;
};

struct bulla_position {
	struct bulla_slot slot;
	uint32_t attempt;
};

/* Sizes of the CBOR arrays [h'tenant', h'workflow', h'run', h'step', h'item'] and [..., h'attempt']. */
#define BULLA_SLOT_BYTES 71
#define BULLA_POSITION_BYTES 76

/* Borrowed: 8 bytes. */
static inline bulla_bytes bulla_handle_view(const bulla_handle *handle)
{
	return (bulla_bytes){handle->b, sizeof(handle->b)};
}

/* The same of a run's id: 32 bytes. */
static inline bulla_bytes bulla_run_id_view(const bulla_run_id *run)
{
	return (bulla_bytes){run->b, sizeof(run->b)};
}

/* Writes the arrays; exactly BULLA_SLOT_BYTES and BULLA_POSITION_BYTES. */
void bulla_slot_write(bulla_wr *w, const struct bulla_slot *slot);
void bulla_position_write(bulla_wr *w, const struct bulla_position *position);

/* Writes and reads only the fields, without the array's head: for records that hold a position among other fields. */
void bulla_slot_write_fields(bulla_wr *w, const struct bulla_slot *slot);
void bulla_position_write_fields(bulla_wr *w, const struct bulla_position *position);
BULLA_CHECK bulla_rc bulla_slot_read_fields(bulla_cbor_rd *r, struct bulla_slot *ret);
BULLA_CHECK bulla_rc bulla_position_read_fields(bulla_cbor_rd *r, struct bulla_position *ret);

/* The whole array, as the next item of a longer text. BULLA_E_FORMAT, BULLA_E_TRUNCATED. */
BULLA_CHECK bulla_rc bulla_position_read(bulla_cbor_rd *r, struct bulla_position *ret);

/* All bytes and fields; no secrets, so not in constant time. */
bool bulla_handle_eq(const bulla_handle *a, const bulla_handle *b);
bool bulla_run_id_eq(const bulla_run_id *a, const bulla_run_id *b);
bool bulla_slot_eq(const struct bulla_slot *a, const struct bulla_slot *b);
bool bulla_position_eq(const struct bulla_position *a, const struct bulla_position *b);

/* BULLA_OK, or the error of the first part that differs, in the order of protocol.md section 7: tenant, workflow, run,
 * step, item, attempt (BULLA_E_POSITION_*). */
BULLA_CHECK bulla_rc bulla_position_check(const struct bulla_position *expected, const struct bulla_position *found);

/* digest(CBOR slot): the value of BULLA_ONCE, the same for all attempts. */
void bulla_slot_digest(const struct bulla_slot *slot, bulla_digest *ret);

/* A run id of this time (ms since 1970, 48 bits) and these 10 random bytes. */
bulla_run_id bulla_run_id_make(uint64_t unix_ms, const uint8_t random[10]);

/* The run id of a business id (`--id`): zero time, first 10 bytes of HMAC-SHA-256(owner key, business id).
 * owner_key: kdf of the owner's key, label "owner-run-id". */
void bulla_run_id_named(bulla_secret owner_key, bulla_bytes business_id, bulla_run_id *ret);

/* Milliseconds in a run id; 0 for a named one. */
uint64_t bulla_run_id_ms(const bulla_run_id *run);

/* What people see: the last 80 bits in Crockford base32, 16 small characters (8 are shown), and a zero. */
#define BULLA_RUN_NAME_SIZE 17
void bulla_run_id_name(const bulla_run_id *run, char ret[BULLA_RUN_NAME_SIZE]);

/* True when the run's name begins with text (1 to 16 characters; case and Crockford's O, I, L are forgiven). */
bool bulla_run_id_has_name(const bulla_run_id *run, bulla_bytes text);
