#pragma once
/* The one binder of all our evidence (PROTOCOL.md section 4): what a TEE's statement is bound to. Nitro documents carry it as
 * user_data, the others in their 64 bytes of report data. */
#include "base/bytes.h"

#define BULLA_BINDER_BYTES 64

/* Purposes: "session" (challenge by the broker, channel as channel/binding.h makes it of the TLS connection), "client" and
 * "server" (who speaks on an attested channel; challenge by the other side, channel likewise), "boot" (challenge zero,
 * channel = digest(SPKI of the RSA key)), and "release" (challenge = bulla_release_challenge of the connection, channel =
 * digest(SPKI of the RSA key)). No purpose is accepted in another's place. */
struct bulla_binder {
	bulla_bytes tee;        /* the driver's word: "nitro" (also for documents of the development TEE), "sev-snp", ... */
	bulla_bytes purpose;    /* "session", "client", "server", "boot" or "release" */
	bulla_digest challenge;
	bulla_digest channel;
	bulla_digest key;       /* digest(SPKI of the receipt key) = instance kid */
	bulla_bytes agents;     /* handles hosted, 8 bytes each, in rising order, end to end */
	bulla_digest manifest;
};

/* SHA-512("bulla-att-v1" || deterministic CBOR [tee, purpose, challenge, channel, key, [agent...], manifest]).
 * BULLA_E_ARGUMENT: another purpose, a tee word of 0 or more than 16 bytes, agents that are not whole, not rising, or more
 * than BULLA_MAX_AGENTS. */
BULLA_CHECK bulla_rc bulla_binder_make(const struct bulla_binder *binder, uint8_t ret[BULLA_BINDER_BYTES]);
