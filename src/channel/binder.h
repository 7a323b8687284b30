#pragma once
/* What evidence is bound to: SHA-512("bulla-att-v1" || deterministic CBOR [tee, purpose, challenge, channel, key,
 * agents, manifest]) (protocol.md section 4). Nitro documents carry it as user_data, the challenge as nonce; public_key
 * is there in "boot" evidence only (the RSA key's SubjectPublicKeyInfo), so that no session accepts it and no key goes
 * to a session's. */
#include "base/bytes.h"

#define BULLA_BINDER_SIZE 64
#define BULLA_CHANNEL_HANDLE 8
#define BULLA_CHANNEL_AGENTS_MAX 64

enum bulla_binder_purpose { BULLA_BINDER_SESSION = 1 /* "session" */, BULLA_BINDER_BOOT = 2 /* "boot" */ };

struct bulla_binder_fields {
	bulla_bytes tee; /* text: "nitro" also for documents of the development TEE: the anchor makes the class */
	enum bulla_binder_purpose purpose;
	bulla_digest challenge; /* 32 bytes of the broker; zeros in "boot" */
	bulla_digest channel;   /* digest(exporter "bulla-session"); in "boot": digest(SPKI of the RSA key) */
	bulla_digest key;       /* digest(SPKI of the receipt key) = instance kid */
	const uint8_t (*agents)[BULLA_CHANNEL_HANDLE]; /* handles hosted, ascending */
	size_t agent_count;                            /* <= BULLA_CHANNEL_AGENTS_MAX */
	bulla_digest manifest;
};

/* BULLA_E_ARGUMENT when the agents are not ascending or too many. */
BULLA_CHECK bulla_rc bulla_binder_make(const struct bulla_binder_fields *fields, uint8_t ret[BULLA_BINDER_SIZE]);
