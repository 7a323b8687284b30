#pragma once
/* AWS Signature Version 4, signing and verifying. The verifier honours any SignedHeaders list, uses the raw Host, takes
 * the payload hash from the body, and accepts 15 minutes of skew. */
#include "base/buf.h"
#include "io/http.h"

struct bulla_kms_credential {
	bulla_bytes access_key;      /* text */
	bulla_bytes secret_key;      /* text; borrowed from a place that is wiped */
	bulla_bytes region, service; /* "us-east-1", "kms" */
};

/* Scope and claims of a request's Authorization header. */
struct bulla_kms_authorization {
	bulla_bytes access_key, date, region, service; /* date: YYYYMMDD */
	bulla_bytes signed_headers, signature;
};

/* BULLA_E_NOT_FOUND: no Authorization header; BULLA_E_FORMAT: there, and not complete. */
BULLA_CHECK bulla_rc bulla_kms_sigv4_parse(const struct bulla_http_message *request,
	struct bulla_kms_authorization *ret);

/* BULLA_E_SIGNATURE: does not verify; BULLA_E_CLOCK: x-amz-date off by more than 15 minutes or missing; BULLA_E_FORMAT:
 * host or x-amz-target not signed, scope of another region, service or day, UNSIGNED-PAYLOAD. */
BULLA_CHECK bulla_rc bulla_kms_sigv4_verify(const struct bulla_http_message *request,
	const struct bulla_kms_authorization *authorization,
	const struct bulla_kms_credential *credential, int64_t wall_ms);

/* Appends x-amz-date and authorization to the request's headers (signing all that are there, host among them); scratch
 * holds the texts and lives as long as the request. */
BULLA_CHECK bulla_rc bulla_kms_sigv4_sign(struct bulla_http_message *request,
	const struct bulla_kms_credential *credential, int64_t wall_ms,
	struct bulla_buf *scratch);
