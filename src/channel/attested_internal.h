#pragma once
/* Between attested.c (who may do what when) and attested_wire.c (messages). */
#include "channel/attested.h"
#include "wire/messages.h"

/* Before each message: kind (u8), size (u24, big endian). */
enum attested_kind { ATTESTED_HELLO = 1, ATTESTED_EVIDENCE = 2, ATTESTED_VERDICT = 3, ATTESTED_DATA = 4 };
#define ATTESTED_HEAD 4
#define ATTESTED_SMALL 256 /* hello and verdict */
#define ATTESTED_EVIDENCE_MAX (2 * BULLA_MAX_EVIDENCE + 8192)

/* What evidence says it is bound to. */
struct attested_claim {
	uint64_t role;
	bulla_bytes tee, agents;
	bulla_digest nonce, key, manifest;
	struct bulla_channel_ends ends;
};

/* The one binder of evidence on channels. */
BULLA_CHECK bulla_rc attested_bind(const struct attested_claim *claim, uint8_t ret[BULLA_BINDER_BYTES]);

/* My own claim, for the newest challenge of the other side. */
void attested_claim_mine(const struct bulla_attested *channel, struct attested_claim *ret);

/* Messages to the other side, appended to channel->out. Hello and verdict: what has no room ends the channel. Evidence:
 * BULLA_E_LIMIT where it and its collateral pass ATTESTED_EVIDENCE_MAX. Data is cut into BULLA_ATTESTED_DATA bytes each. */
void attested_put_hello(struct bulla_attested *channel);
void attested_put_verdict(struct bulla_attested *channel, bulla_rc why, int64_t life_ms);
BULLA_CHECK bulla_rc attested_put_evidence(struct bulla_attested *channel, bulla_bytes evidence,
	const bulla_bytes *collateral, size_t count);
BULLA_CHECK bulla_rc attested_put_data(struct bulla_attested *channel, bulla_bytes data);

/* Message in front of channel->in: BULLA_E_AGAIN when it is not whole. */
BULLA_CHECK bulla_rc attested_next(const struct bulla_attested *channel, uint8_t *ret_kind, bulla_bytes *ret_body);

/* An evidence message: its claim, and the rest in *ret. */
BULLA_CHECK bulla_rc attested_read_evidence(bulla_bytes body, struct attested_claim *ret_claim,
	struct bulla_channel_ask *ret);

/* A verdict: BULLA_OK and how long, or why not. */
BULLA_CHECK bulla_rc attested_read_verdict(bulla_bytes body, bulla_rc *ret_why, uint64_t *ret_life_ms);
