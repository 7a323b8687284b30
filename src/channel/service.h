#pragma once
/* The attestation service as answers to HTTP/1.1 requests: challenges, verdicts with a signed result (EAR), who still holds,
 * reference values, the key that results are signed with. Sans I/O: messages, time and randomness are arguments, the
 * connection is the caller's. Single-threaded. The API is in doc/attestation.md, "As a service". */
#include "attest/appraiser.h"
#include "attest/foreign.h"
#include "io/http.h"

struct bulla_service {
	/* Given before the first answer; borrowed. */
	struct bulla_appraiser *appraiser;
	struct bulla_foreign *request;      /* evidence and collateral of one request */
	const struct bulla_foreign *kept;   /* collateral for requests that bring none; NULL: none is kept */
	bulla_bytes references;             /* the reference values as they were given: JSON; empty: any code is taken */
	const struct bulla_random *random;
	/* Own: bulla_service_init, bulla_service_done. */
	struct bulla_buf token, body;
	uint64_t challenges, accepted, refused, bad; /* since the start; bad: requests that were none */
};

/* Clears all, the options too: they are set afterwards. done frees only what is its own. */
void bulla_service_init(struct bulla_service *service);
void bulla_service_done(struct bulla_service *service);

/* Appends the whole answer to one request: always one, also to nonsense. BULLA_E_MEMORY, BULLA_E_LIMIT: none. */
BULLA_CHECK bulla_rc bulla_service_answer(struct bulla_service *service, const struct bulla_http_message *request,
	int64_t now_ms, struct bulla_buf *ret);

/* The answer to bytes that bulla_http_read_request refused (400, 413, 505, 501), or to somebody who took too long
 * (BULLA_E_TIMEOUT: 408): the connection ends after it. */
BULLA_CHECK bulla_rc bulla_service_refuse(struct bulla_service *service, bulla_rc why, struct bulla_buf *ret);
