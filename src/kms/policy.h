#pragma once
/* Key policies: the subset of AWS's language that facts section 1.6 names. Explicit Deny > Allow > implicit deny. What
 * is not understood (operator, condition key, NotPrincipal) is refused when the policy is put, never ignored when it is
 * used. */
#include "attest/attest.h"
#include "kms/context.h"

#define BULLA_KMS_POLICY_BYTES 32768
#define BULLA_KMS_PCRS 32

/* What a request shows. Empty views: absent. */
struct bulla_kms_facts {
	bulla_bytes action;                      /* "kms:Decrypt" */
	bulla_bytes resource;                    /* key ARN */
	bulla_bytes principal;                   /* ARN of the caller; empty: not authenticated */
	bulla_bytes account;                     /* whose the keys are: "000000000000" */
	const struct bulla_kms_context *context; /* NULL: none */
	bulla_bytes pcrs[BULLA_KMS_PCRS];        /* raw registers of an appraised document, empty: absent */
	const struct bulla_attest_result *evidence; /* appraised, of any TEE; NULL: none */
	bool attested;                           /* pcrs and evidence hold; else no RecipientAttestation key exists */
	bool secure_transport;
	int64_t wall_ms;
};

/* Condition keys of attestation: AWS's kms:RecipientAttestation:{ImageSha384, PCRn, NitroTPMPCRn} for Nitro documents; and ours
 * for evidence of every TEE: bulla:RecipientAttestation:{tee, assurance, CLAIM, CLAIM:INDEX}, claims of attest/claims.def
 * ("measurement", "rtmr:1", "mrsigner", "host-data"): bytes in hexadecimal, numbers in decimal, text as it is. */

/* BULLA_OK when the text is a policy of the subset; BULLA_E_FORMAT, BULLA_E_UNSUPPORTED. */
BULLA_CHECK bulla_rc bulla_kms_policy_check(bulla_bytes policy);

/* BULLA_OK: allowed. BULLA_E_DENIED. Where only conditions on attested registers stood in the way of an Allow:
 * BULLA_E_MEASUREMENT with evidence, BULLA_E_EVIDENCE_MISSING without. A policy that was not checked before may give
 * BULLA_E_FORMAT: deny. */
BULLA_CHECK bulla_rc bulla_kms_policy_eval(bulla_bytes policy, const struct bulla_kms_facts *facts);
