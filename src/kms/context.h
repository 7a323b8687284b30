#pragma once
/* Encryption contexts: string maps bound to ciphertexts as additional data (facts: AWS compares them exactly, in any
 * order).
 */
#include "base/wr.h"

#define BULLA_KMS_CONTEXT_MAX 16
#define BULLA_KMS_CONTEXT_BYTES 1024 /* of one key or value */

struct bulla_kms_pair {
	bulla_bytes key, value; /* UTF-8, borrowed */
};

struct bulla_kms_context {
	struct bulla_kms_pair pairs[BULLA_KMS_CONTEXT_MAX]; /* kept in ascending order of keys */
	size_t count;
};

/* BULLA_E_LIMIT, BULLA_E_DUPLICATE. */
BULLA_CHECK bulla_rc bulla_kms_context_add(struct bulla_kms_context *context, bulla_bytes key, bulla_bytes value);

/* Canonical form: count u32, then len(k) u32 k len(v) u32 v, ascending by bytes of k, big-endian. */
void bulla_kms_context_write(bulla_wr *w, const struct bulla_kms_context *context);

/* The context of an agent's seed (protocol.md section 5), computed by measured code. Keys: bulla:agent, bulla:epoch,
 * bulla:manifest, bulla:tenant; values in lower-case hex, the epoch in decimal. */
struct bulla_kms_seed_context {
	struct bulla_kms_context context;
	uint8_t text[160]; /* what the values are views of: do not move */
};
BULLA_CHECK bulla_rc bulla_kms_seed_context_make(const uint8_t tenant[8], const uint8_t agent[8], uint64_t epoch,
	const bulla_digest *manifest, struct bulla_kms_seed_context *ret);
