#pragma once
/* One request of the KMS API as it is carried out: appraisal of its document (in the worker), the key's policy, the
 * operation, the audit event. */
#include "attest/cache.h"
#include "broker/broker.h"
#include "broker/collateral.h"
#include "kms/api.h"
#include "kms/policy.h"
#include "receipt/recipient.h"

#define BULLA_KMS_MAX_AGE_MS INT64_C(300000) /* of documents in Recipient */

struct bulla_kms_use {
	struct bulla_buf body, scratch; /* what request views */
	struct bulla_kms_request request;
	bulla_bytes principal; /* ARN; empty: no credential */
	uint8_t request_id[16];
	int64_t now_ms;
	bool audited;    /* it is about a wrapping key */
	bool policy_bad; /* PutKeyPolicy, CreateKey: the policy is the fault */
	bulla_digest channel;   /* of the connection that carries it (channel/binding.h) */
	int64_t channel_age_ms; /* since that connection's handshake */
	/* of the document */
	struct bulla_attest_anchors anchors;
	struct bulla_attest_anchor anchor_list[64];
	uint8_t assurance; /* least that the manifest in force accepts; without one: hardware */
	struct bulla_attest_result *result;
	bool attested;
	bulla_digest payload; /* what no other document has: digest of what is signed, or the challenge */
	bulla_bytes public_key, module_id;
	/* a recipient instead of a Nitro document (broker/release.h) */
	const struct bulla_epoch *by; /* whose manifest it is judged by; NULL: a Nitro document */
	struct bulla_recipient recipient;
	bulla_digest kid; /* of the instance */
	struct bulla_kms_facts facts;
	bulla_bytes key_arn;
};

/* For one request whose body has body_size bytes; use is all zero before. done also after a failure:
 * BULLA_E_MEMORY, BULLA_E_RANDOM. */
BULLA_CHECK bulla_rc bulla_kms_use_init(struct bulla_kms_use *use, struct bulla_broker *broker, size_t body_size);
void bulla_kms_use_done(struct bulla_kms_use *use);

/* May this be asked without a credential? Then the key's policy decides. */
bool bulla_kms_use_open(enum bulla_kms_op op);

/* Before the worker: the anchors (vendors', and those of the manifests that are open) and how much they must be worth; the
 * manifest that a recipient names. BULLA_E_EVIDENCE_FORMAT, BULLA_E_EPOCH_OLD. */
BULLA_CHECK bulla_rc bulla_kms_use_prepare(struct bulla_kms_use *use, const struct bulla_broker *broker);

/* In the worker: the document holds by itself. BULLA_E_EVIDENCE_*. */
BULLA_CHECK bulla_rc bulla_kms_use_appraise(struct bulla_kms_use *use, struct bulla_attest_cache *cache,
	struct bulla_kept_collateral *kept);

/* In the loop: policy and operation; appends the answer's JSON. */
BULLA_CHECK bulla_rc bulla_kms_use_execute(struct bulla_broker *broker, struct bulla_kms_use *use, struct bulla_buf *ret);

/* Writes the audit event with its outcome. */
BULLA_CHECK bulla_rc bulla_kms_use_audit(struct bulla_broker *broker, const struct bulla_kms_use *use, bulla_rc rc);
