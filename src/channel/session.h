#pragma once
/* The attested session between an instance and the broker (protocol.md section 4): two machines over message bodies.
 * The caller carries the bodies in frames (CHALLENGE, ATTEST) inside its TLS connection, makes evidence, and appraises
 * it. */
#include "base/limits.h"
#include "base/rd.h"
#include "base/secret.h"
#include "base/sys.h"
#include "base/wr.h"
#include "channel/binding.h"

#define BULLA_SESSION_ID 16
#define BULLA_SESSION_HANDLE 8
#define BULLA_CHALLENGE_MS 60000

/* Keys of a session, by kdf from the second exporter. Owned: bulla_session_keys_done. */
struct bulla_session_keys {
	bulla_secret mac_up;   /* instance to broker: commit requests */
	bulla_secret mac_down; /* broker to instance: permits */
	bulla_secret wrap;     /* wrapping key: run secrets in permits */
};

/* exporter: 32 bytes of BULLA_EXPORTER_KEYS; the caller wipes them. */
BULLA_CHECK bulla_rc bulla_session_keys_derive(bulla_bytes exporter, struct bulla_session_keys *ret);
void bulla_session_keys_done(struct bulla_session_keys *keys);

/* What an instance has afterwards. */
struct bulla_session {
	uint8_t id[BULLA_SESSION_ID];
	uint64_t epoch;
	uint64_t time_ms;     /* the broker's clock when it was granted: permits' expiry counts from it */
	uint64_t asked_ms;    /* the instance's monotonic clock when it showed its evidence, for this: before time_ms was read. A
	                       * clock that counts from here is never behind the broker's, however late the host brings the answer */
	uint64_t reattest_ms; /* lapses then, by the broker's clock */
	bulla_bytes collateral; /* instance: the broker's, where it brought none; views the reply */
	struct bulla_session_keys keys;
};

/* --- instance --- */
struct bulla_session_client {
	struct bulla_binder binder;
	bulla_bytes receipt_key;
	int state;
};

/* ends: of this connection. tee: the driver's word ("nitro" also for the
 * development TEE). receipt_key: SPKI DER. agents: handles, 8 bytes each, rising, end to end. Borrowed for the
 * machine's life: tee, receipt_key, agents. */
BULLA_CHECK bulla_rc bulla_session_client_init(struct bulla_session_client *client,
	const struct bulla_channel_ends *ends, bulla_bytes tee,
	bulla_bytes receipt_key, bulla_bytes agents, const bulla_digest *manifest);

/* Body of the CHALLENGE request. */
BULLA_CHECK bulla_rc bulla_session_client_ask(struct bulla_session_client *client, bulla_wr *w);

/* Reply to it: gives nonce and binder for the evidence. */
BULLA_CHECK bulla_rc bulla_session_client_challenge(struct bulla_session_client *client, bulla_bytes body,
	bulla_digest *ret_nonce, uint8_t ret_binder[BULLA_BINDER_BYTES]);

/* Body of the ATTEST request with the evidence (a CMW record, or the bare Nitro document) and what appraising it needs
 * besides (one file; may be empty). */
BULLA_CHECK bulla_rc bulla_session_client_attest(struct bulla_session_client *client, bulla_bytes evidence,
	bulla_bytes collateral, bulla_wr *w);

/* Reply to it: the session. exporter_keys: 32 bytes of BULLA_EXPORTER_KEYS. */
BULLA_CHECK bulla_rc bulla_session_client_done(struct bulla_session_client *client, bulla_bytes body,
	bulla_bytes exporter_keys, struct bulla_session *ret);

/* --- broker --- */
/* Per connection. The challenge is used once, lives 60 s, and belongs to this TLS connection alone. */
struct bulla_session_server {
	bulla_digest channel; /* bulla_channel_digest of the connection */
	bulla_digest challenge;
	int64_t challenge_ms;
	bool open; /* a challenge is out and unused */
};

/* What an ATTEST asks for, for the appraisal. Views into the body. */
struct bulla_session_ask {
	bulla_bytes evidence;
	bulla_bytes collateral; /* may be empty */
	bulla_bytes tee; /* the word of the binder: what the evidence looks like */
	bulla_bytes receipt_key;                                 /* SPKI DER */
	bulla_digest kid;                                        /* its digest */
	uint8_t agents[BULLA_MAX_AGENTS * BULLA_SESSION_HANDLE]; /* handles, rising, end to end */
	size_t agent_count;
	bulla_digest manifest;
	bulla_digest channel;               /* bulla_channel_digest of the connection */
	bulla_digest nonce;                 /* that the evidence must show */
};

/* ends: exporter and keys of this TLS connection; copied. */
void bulla_session_server_init(struct bulla_session_server *server, const struct bulla_channel_ends *ends);

/* Reply body to CHALLENGE; a second ask replaces the first challenge. */
BULLA_CHECK bulla_rc bulla_session_server_challenge(struct bulla_session_server *server,
	const struct bulla_random *random, int64_t wall_ms, bulla_wr *w);

/* Reads an ATTEST body and uses the challenge up (whatever follows). Whether the evidence shows all this is for the appraisal
 * (judge/judge.h); the TEE's word is of what the evidence looks like: if it is something else, the appraisal says so.
 * BULLA_E_EVIDENCE_STALE: no challenge is open or it is older than 60 s. */
BULLA_CHECK bulla_rc bulla_session_server_attest(struct bulla_session_server *server, bulla_bytes body, int64_t wall_ms,
	struct bulla_session_ask *ret);

/* Makes the session: random id, keys from this connection's second exporter, and the reply body to ATTEST. collateral: that the
 * broker judged by, where none came with the evidence; else empty. */
BULLA_CHECK bulla_rc bulla_session_server_grant(const struct bulla_random *random, bulla_bytes exporter_keys,
	uint64_t epoch, uint64_t time_ms, uint64_t reattest_ms,
	bulla_bytes collateral, bulla_wr *w, struct bulla_session *ret);
