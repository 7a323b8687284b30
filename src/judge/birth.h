#pragma once
/* Is this birth genuine under this manifest? Asked by whoever seals to an agent: enclaves, the owner, auditors. */
#include "judge/judge.h"
#include "seal/birth.h"

/* A birth record with its signer's instance record: the instance's evidence holds (at its own time), it hosts the agent, and
 * its receipt key signed this record for this agent of this manifest and epoch under the manifest's wrapping key. *ret
 * views record. Errors of bulla_judge_instance; BULLA_E_BIRTH_MISSING: the instance shown is not the signer;
 * BULLA_E_KEY_SUBSTITUTED, BULLA_E_KEY_CONTEXT, BULLA_E_KEY_POLICY (seal/birth.h). */
BULLA_CHECK bulla_rc bulla_judge_birth(const struct bulla_manifest *manifest, bulla_bytes record,
	bulla_bytes instance_record, struct bulla_attest_cache *cache, struct bulla_birth *ret);
