#pragma once
/* Wrapping keys of the KMS API: what is public about them in the journal of the folder (keys/UUID: CBOR), their material in
 * cells. */
#include "broker/cells.h"
#include "kms/blob.h"

#define BULLA_WRAPPING_MAX 1024
#define BULLA_WRAPPING_ARN 80 /* arn:aws:kms:us-east-1:000000000000:key/UUID */
#define BULLA_WRAPPING_ACCOUNT "000000000000"
#define BULLA_WRAPPING_REGION "us-east-1"

struct bulla_wrapping_key {
	struct bulla_kms_material material; /* secret owned */
	uint8_t arn[BULLA_WRAPPING_ARN];
	size_t arn_size;
	int64_t created_ms;
	struct bulla_buf policy, description;
};

struct bulla_wrapping {
	const struct bulla_disk *disk; /* a folder of its own */
	struct bulla_wrapping_key *list[BULLA_WRAPPING_MAX];
	size_t count;
};

/* Reads what is public; materials follow from their cells by bulla_wrapping_material. disk outlives. */
BULLA_CHECK bulla_rc bulla_wrapping_open(struct bulla_wrapping *keys, const struct bulla_disk *disk);
void bulla_wrapping_done(struct bulla_wrapping *keys);

/* Material out of its cell; taken. A cell without key (a crash between the two writes) is left alone. */
void bulla_wrapping_material(struct bulla_wrapping *keys, const struct bulla_cell *cell, bulla_secret *secret);

/* Makes one, durably. policy was checked. */
BULLA_CHECK bulla_rc bulla_wrapping_create(struct bulla_wrapping *keys, struct bulla_cells *cells,
	const struct bulla_random *random, bulla_bytes policy, bulla_bytes description,
	int64_t now_ms, struct bulla_wrapping_key **ret);

/* By ARN or uuid as text; by uuid. BULLA_E_NOT_FOUND. */
BULLA_CHECK bulla_rc bulla_wrapping_find(struct bulla_wrapping *keys, bulla_bytes id, struct bulla_wrapping_key **ret);
BULLA_CHECK bulla_rc bulla_wrapping_find_uuid(struct bulla_wrapping *keys, const uint8_t uuid[BULLA_KMS_UUID],
	struct bulla_wrapping_key **ret);

/* Replaces the policy (checked), durably. */
BULLA_CHECK bulla_rc bulla_wrapping_put_policy(struct bulla_wrapping *keys, struct bulla_wrapping_key *key,
	bulla_bytes policy);

/* Borrowed from the key. */
static inline bulla_bytes bulla_wrapping_arn(const struct bulla_wrapping_key *key)
{
	return bulla_bytes_of(key->arn, key->arn_size);
}
