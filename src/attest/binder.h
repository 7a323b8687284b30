#pragma once
/* The one binder of all our evidence (protocol.md section 4): SHA-512("bulla-att-v1" || CBOR[tee, purpose, challenge,
 * channel, key, agents, manifest]). Nitro carries it in user_data, the others in their 64 bytes of report data. */
#include "attest/attest.h"

struct bulla_binder {
	enum bulla_tee tee;       /* what kind of evidence carries it */
	const char *purpose;      /* "session" or "boot" */
	bulla_digest challenge;   /* the broker's; zero for "boot" */
	bulla_digest channel;     /* digest(TLS exporter "bulla-session"); for "boot" digest(RSA key SPKI) */
	bulla_digest key;         /* digest(receipt key SPKI) */
	const bulla_bytes *agents; /* handles hosted, 8 bytes each, in the manifest's order */
	size_t agent_count;       /* <= BULLA_MAX_AGENTS */
	bulla_digest manifest;    /* manifest digest */
};

/* Writes the 64 bytes. BULLA_E_ARGUMENT for another purpose, BULLA_E_LIMIT for too many agents. */
BULLA_CHECK bulla_rc bulla_binder_make(const struct bulla_binder *binder, uint8_t ret[64]);
