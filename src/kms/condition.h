#pragma once
/* The Condition part of policy statements. */
#include "kms/policy.h"
#include "wire/json.h"

enum bulla_kms_condition {
	BULLA_KMS_HOLDS,
	BULLA_KMS_FAILS,         /* something else than attestation stands in the way */
	BULLA_KMS_FAILS_ATTESTED /* only keys of RecipientAttestation do */
};

/* Evaluates; facts NULL: only checks that every operator, key and value is understood. BULLA_E_FORMAT,
 * BULLA_E_UNSUPPORTED. */
BULLA_CHECK bulla_rc bulla_kms_condition_eval(bulla_json condition, const struct bulla_kms_facts *facts,
	enum bulla_kms_condition *ret);

/* Calls `match` for a string or each string of a list: *ret_any when one of them matches. BULLA_E_FORMAT for anything
 * that is neither. */
BULLA_CHECK bulla_rc bulla_kms_any_string(bulla_json value, bool (*match)(const void *arg, bulla_bytes text),
	const void *arg, bool *ret_any);

#define BULLA_KMS_POLICY_STRING 2048 /* bytes of one string */
