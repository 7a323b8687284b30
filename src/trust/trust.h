#pragma once
/* What a manifest says about evidence: which instances are its agents' enclaves, which births are genuine. Broker, enclave,
 * owner and auditor ask the same questions here and get the same answers (PROTOCOL.md sections 4, 5, 11). */
#include "attest/attest.h"
#include "manifest/manifest.h"
#include "receipt/instance.h"
#include "seal/birth.h"

#define BULLA_TRUST_IMAGES 8 /* accepted images per agent */

/* A manifest's evidence policy, read once. */
struct bulla_trust;

/* manifest is borrowed and must outlive the result. BULLA_E_FORMAT: an unknown TEE word or claim; BULLA_E_LIMIT. */
BULLA_CHECK bulla_rc bulla_trust_new(const struct bulla_manifest *manifest, struct bulla_trust **ret);
struct bulla_trust *bulla_trust_free(struct bulla_trust *trust);

/* When the question is asked: online, evidence must be fresh (the manifest's max_age) at now_ms; in audit it is judged at
 * its own time, which must be that of the record. */
struct bulla_trust_time {
	bool audit;
	int64_t now_ms; /* online only */
};

/* An instance that holds: */
struct bulla_trusted {
	bulla_digest kid;
	enum bulla_tee tee;
	enum bulla_assurance assurance;
	int64_t time_ms;     /* the evidence's own, where it has one; else the time it was judged at */
	int64_t valid_to_ms; /* the appraisal lapses then */
};

/* Appraises an instance record: form of the receipt key, agents of this manifest, the manifest itself, and the evidence:
 * chain to an anchor of the manifest or a vendor, measurement of an accepted image of each agent, PCR16 and PCR17, binder
 * over the record's fields, nonce = challenge. A "boot" record shows the RSA key whose digest is `channel`.
 * *ret_appraisal (may be NULL): the whole list of factors. Errors: BULLA_E_BINDER, BULLA_E_MEASUREMENT,
 * BULLA_E_EVIDENCE_*, BULLA_E_EPOCH_OLD (made for another manifest), BULLA_E_NOT_FOUND (hosts an agent that is none). */
BULLA_CHECK bulla_rc bulla_trust_instance(const struct bulla_trust *trust, const struct bulla_instance *instance,
	struct bulla_trust_time time, struct bulla_attest_cache *cache, struct bulla_attest_result *ret_appraisal,
	struct bulla_trusted *ret);

/* A birth record with its signer's instance record: the instance is appraised in audit, hosts the agent, and signed this
 * record for this agent of this manifest and epoch under the manifest's wrapping key. *ret views record. Errors as above,
 * BULLA_E_KEY_SUBSTITUTED, BULLA_E_KEY_CONTEXT, BULLA_E_KEY_POLICY, BULLA_E_BIRTH_MISSING (instance of another kid). */
BULLA_CHECK bulla_rc bulla_trust_birth(const struct bulla_trust *trust, bulla_bytes record, bulla_bytes instance_record,
	struct bulla_attest_cache *cache, struct bulla_birth *ret);
