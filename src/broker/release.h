#pragma once
/* Keys released to evidence that has no place for a public key and no time of its own: SNP, TDX, SGX, CCA, Azure
 * (PROTOCOL.md section 5). What a Nitro document says by itself the recipient says in its binder. */
#include "broker/kms_use.h"

/* Reads the recipient of use->request and finds the manifest it names. BULLA_E_EVIDENCE_FORMAT, BULLA_E_EPOCH_OLD,
 * BULLA_E_NOT_FOUND. */
BULLA_CHECK bulla_rc bulla_release_prepare(struct bulla_kms_use *use, const struct bulla_broker *broker);

/* In the worker: it was made for this call on this connection and for this key, and the manifest accepts the enclave. Errors:
 * BULLA_E_BINDER (made for something else than a release), BULLA_E_EVIDENCE_REPLAYED (another connection),
 * BULLA_E_EVIDENCE_STALE (the connection is older than BULLA_KMS_MAX_AGE_MS), BULLA_E_KEY_SUBSTITUTED (another RSA key),
 * BULLA_E_EVIDENCE_POLICY (worth less than the manifest in force demands), those of bulla_judge_instance. kept:
 * broker/collateral.h, may be NULL. */
BULLA_CHECK bulla_rc bulla_release_appraise(struct bulla_kms_use *use, struct bulla_attest_cache *cache,
	struct bulla_kept_collateral *kept);
