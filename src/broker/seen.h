#pragma once
/* Attestation documents that the KMS API saw within their max-age: each one serves once. Known by the digest of the signed
 * payload, not of the whole document: an ECDSA signature has a twin that verifies, too. */
#include "base/bytes.h"

#define BULLA_SEEN_MAX 4096

struct bulla_seen {
	struct {
		bulla_digest digest;
		int64_t until_ms;
	} list[BULLA_SEEN_MAX];
};

/* Notes it until then. BULLA_E_EVIDENCE_REPLAYED: it is noted already; BULLA_E_BUSY: no place is free before some lapse. */
BULLA_CHECK bulla_rc bulla_seen_once(struct bulla_seen *seen, const bulla_digest *digest, int64_t now_ms, int64_t until_ms);
