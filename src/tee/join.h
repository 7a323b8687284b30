#pragma once
/* How an enclave comes to speak for its agents: attested session with the broker, then each agent's seed (born here, or
 * released to us), over relays that the host carries (protocol.md sections 4 and 5). A machine without descriptors: the
 * host's connection gives it frames, the turn gives it time. Renews the session before it lapses. */
#include "channel/session.h"
#include "crypto/rsa.h"
#include "tee/boot.h"
#include "tee/peers.h"
#include "tee/uplink.h"

enum bulla_join_state {
	BULLA_JOIN_IDLE,      /* no host yet, or waiting to try again */
	BULLA_JOIN_HANDSHAKE,
	BULLA_JOIN_CHALLENGE,
	BULLA_JOIN_ATTEST,
	BULLA_JOIN_BIRTH_ASK,
	BULLA_JOIN_POLICY,    /* KMS: GetKeyPolicy before a birth */
	BULLA_JOIN_GENERATE,  /* KMS: GenerateDataKey */
	BULLA_JOIN_BIRTH_PUT,
	BULLA_JOIN_DECRYPT,   /* KMS: Decrypt */
	BULLA_JOIN_DONE,
};

struct bulla_join_events {
	void *ctx;
	/* A session stands; keys are the callee's from now on. */
	void (*on_session)(void *ctx, struct bulla_session *session);
	/* Session and all agents' keys are there. */
	void (*on_ready)(void *ctx);
	/* An attempt failed; it will be tried again. */
	void (*on_failed)(void *ctx, bulla_rc why);
};

/* One hosted agent's key. */
struct bulla_join_agent {
	bool born;
	struct bulla_agent_keys keys;
	struct bulla_buf birth; /* its birth record */
};

struct bulla_join {
	struct bulla_tee_base *base;
	struct bulla_peers *peers;
	struct bulla_join_events events;
	struct bulla_tls_context *tls;
	struct bulla_rsa_key *rsa; /* the KMS answers to it */
	struct bulla_frames *host;
	struct bulla_uplink broker, kms;
	enum bulla_join_state state;
	struct bulla_session_client client;
	const struct bulla_kem *kem;
	struct bulla_join_agent agents[BULLA_TEE_AGENTS];
	size_t at;                /* the agent whose birth is under way */
	struct bulla_evidence evidence;
	struct bulla_buf record;  /* my instance record */
	struct bulla_buf scratch; /* requests to the KMS */
	struct bulla_buf answer;  /* of the KMS */
	struct bulla_buf blob;    /* key blob of agents[at] */
	struct bulla_buf record_seen; /* birth record that the broker holds for agents[at] */
	bulla_digest policy;
	uint8_t boot_id[16];
	uint64_t granted_ms;      /* monotonic: when the newest session was granted */
	uint64_t renew_ms;        /* monotonic: renew then; 0: never */
	uint64_t asked_ms;        /* monotonic: evidence was shown */
	int64_t retry_us;         /* monotonic: try again then; 0: no */
	uint32_t failures;
	bulla_rc why;             /* of the newest failure */
	bool close_soon;          /* both uplinks have done their work */
};

/* base, peers: borrowed, booted. Makes the RSA key, which takes a tenth of a second: nobody waits yet but the host. */
BULLA_CHECK bulla_rc bulla_join_init(struct bulla_join *join, struct bulla_tee_base *base, struct bulla_peers *peers,
	const struct bulla_join_events *events);
/* Wipes and frees what it owns; base and peers stay. */
void bulla_join_done(struct bulla_join *join);

/* The host's connection stands (after HELLO): joins, or says at once that the session is there. Borrowed until host_down. */
void bulla_join_host_up(struct bulla_join *join, struct bulla_frames *host);

/* It is gone, and the relays with it; a session that stands stays. */
void bulla_join_host_down(struct bulla_join *join);

/* A frame of the host: true when it belonged to a relay. */
bool bulla_join_message(struct bulla_join *join, const struct bulla_frame *message, int64_t now_us);

/* The host says that the broker wants evidence anew: attests at once, but not more often than once a second. */
void bulla_join_renew(struct bulla_join *join);

/* End of a turn: closes, tries again, renews. */
void bulla_join_turn(struct bulla_join *join, int64_t now_us);

/* When to call turn at the latest (monotonic µs); INT64_MAX: nothing waits. */
int64_t bulla_join_due(const struct bulla_join *join);

/* --- between join.c and join_birth.c. All: an error ends the attempt, which is tried again --- */

/* Asks the broker for the birth of the next agent without keys; with none left the join is finished. */
BULLA_CHECK bulla_rc bulla_join_next_birth(struct bulla_join *join);

/* The broker's reply to BIRTH_ASK or BIRTH_PUT, an error among them. */
BULLA_CHECK bulla_rc bulla_join_birth_reply(struct bulla_join *join, const struct bulla_frame *reply);

/* Callbacks of the uplink to the KMS, ctx: the join. Its TLS stands: the request of this state goes out. */
BULLA_CHECK bulla_rc bulla_join_kms_ready(void *ctx);

/* Plain bytes of its answer, any split. BULLA_E_STATE: nothing was asked; BULLA_E_TRAILING: more than one answer. */
BULLA_CHECK bulla_rc bulla_join_kms_bytes(void *ctx, bulla_bytes bytes);

/* A request to the broker on a new stream. BULLA_E_BROKER: the connection is gone. */
BULLA_CHECK bulla_rc bulla_join_call(struct bulla_join *join, enum bulla_op_number op, bulla_bytes body);

/* All agents have their keys: tells so, and both uplinks close at the end of the turn. */
BULLA_CHECK bulla_rc bulla_join_finished(struct bulla_join *join);

/* What appraising this evidence needs besides, borrowed: what came with it, else what the machine was started with; may be empty. */
bulla_bytes bulla_join_collateral(const struct bulla_join *join, const struct bulla_evidence *evidence);
