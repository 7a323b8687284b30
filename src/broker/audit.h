#pragma once
/* Audit events of the KMS API: one JSON line per use of a wrapping key, in the shape of CloudTrail's record (eventVersion 1.08,
 * additionalEventData.recipient as AWS writes it), so that one reader reads both. Never a key, a plaintext, or a document. */
#include "broker/wrapping.h"
#include "kms/api.h"
#include "kms/policy.h"

struct bulla_audit_event {
	const struct bulla_kms_request *request;
	const struct bulla_kms_facts *facts; /* principal, registers */
	bulla_bytes key_arn;                 /* empty: no key was found */
	bulla_bytes module_id;               /* of the document; empty without */
	const bulla_digest *instance;        /* of a recipient: kid; NULL without */
	const uint8_t *request_id;           /* 16 bytes */
	int64_t wall_ms;
	bulla_rc rc;                         /* outcome */
};

/* Appends the line (with its line feed). */
BULLA_CHECK bulla_rc bulla_audit_write(const struct bulla_audit_event *event, struct bulla_buf *ret);
