#pragma once
/* Attested channel: TLS 1.3, then evidence inside it, before a byte of the application. Either side may show evidence,
 * either may demand it: client to server, server to client, or both (enclave to enclave). Evidence comes after the handshake
 * and is bound to the TLS exporter, both leaf keys, the role of who shows it and a fresh challenge of who demands it
 * (channel/binding.h), so that it can be neither relayed, nor replayed, nor reflected. Who demands appraises again before the
 * appraisal lapses, and at any time by bulla_attested_again; when it lapses or turns bad the channel ends, and the other side
 * is told why.
 *
 * A machine over plain bytes of a TLS connection: no descriptor, no clock. The caller moves bytes (feed; `out` to
 * bulla_tls_write), makes evidence when `todo` says SHOW, appraises when it says JUDGE. What each side shows and demands is
 * its own configuration, never negotiated. */
#include "attest/attest.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/sys.h"
#include "channel/binding.h"
#include "wire/pb.h"

#define BULLA_ATTESTED_CHALLENGE_MS 60000
#define BULLA_ATTESTED_DATA 65536 /* bytes of the application per message */

enum bulla_channel_role { BULLA_CHANNEL_CLIENT = 1, BULLA_CHANNEL_SERVER = 2 };

/* Borrowed for the channel's life: tee, agents, peer_manifest, random. */
struct bulla_attested_options {
	uint8_t role; /* enum bulla_channel_role: who is the TLS client */
	bool shows;
	bool demands;
	const struct bulla_random *random;
	/* shows: */
	bulla_bytes tee;       /* the driver's word */
	bulla_digest key;      /* digest(SPKI) that the evidence speaks for; zero: my TLS certificate's */
	bulla_bytes agents;    /* handles, 8 bytes each, rising; may be empty */
	bulla_digest manifest; /* zero: none */
	/* demands: */
	const bulla_digest *peer_manifest; /* the only one that is taken; NULL: any, the appraisal looks */
};

/* What the other side's evidence must be judged by. Views into the channel. */
struct bulla_channel_ask {
	bulla_bytes evidence;
	struct bulla_pb_list collateral;
	bulla_bytes tee; /* a word, not more: the appraisal finds out what it is */
	bulla_digest nonce;
	bulla_digest key;
	bulla_bytes agents;
	bulla_digest manifest; /* zero: none stated */
	uint8_t binder[BULLA_BINDER_BYTES]; /* what the evidence must carry */
};

enum bulla_attested_todo {
	BULLA_ATTESTED_WAIT,  /* for bytes */
	BULLA_ATTESTED_SHOW,  /* make evidence: bulla_attested_challenge, then bulla_attested_show */
	BULLA_ATTESTED_JUDGE, /* appraise bulla_attested_ask, then bulla_attested_verdict */
	BULLA_ATTESTED_OPEN,  /* all that was demanded was given: the application may speak */
	BULLA_ATTESTED_ENDED, /* send what is in `out`, close; why says why */
};

struct bulla_attested {
	struct bulla_attested_options options;
	struct bulla_channel_ends ends;
	bulla_digest nonce;      /* my newest challenge */
	bulla_digest peer_nonce; /* the other side's */
	int64_t asked_ms;        /* when my challenge went out */
	int64_t renew_ms;        /* when to challenge again */
	int64_t lapses_ms;       /* of what I accepted */
	bool met;                /* the other side's first message came */
	bool asked;              /* my challenge is open */
	bool owes;               /* I owe evidence */
	bool judging;
	bool accepts;            /* I took the other side's evidence */
	bool accepted;           /* it took mine */
	bool ended;
	bulla_rc why;
	struct bulla_buf in;     /* not yet understood */
	size_t message_size;     /* of the message in front that is being judged */
	struct bulla_buf out;    /* plain bytes for TLS; the caller clears it when they are written */
};

/* After the handshake; ends: bulla_channel_ends_of. Puts my first message into out. BULLA_E_ARGUMENT: neither shows nor
 * demands, or a certificate is missing where evidence would speak for it. Owned: bulla_attested_done. */
BULLA_CHECK bulla_rc bulla_attested_init(struct bulla_attested *channel, const struct bulla_attested_options *options,
	const struct bulla_channel_ends *ends, int64_t now_ms);
void bulla_attested_done(struct bulla_attested *channel);

/* Plain bytes from TLS. Application data is appended to ret_data. Any error ends the channel (out then says why to the other
 * side): BULLA_E_FORMAT, _LIMIT, _VERSION, _STATE (data before it is open, evidence nobody asked for),
 * BULLA_E_EVIDENCE_REPLAYED (a second one for one challenge), BULLA_E_CHANNEL_MODE,
 * BULLA_E_CHANNEL_REFLECTED (my own challenge), _NONCE (replay), _RELAYED (another TLS connection), _ROLE (reflected or
 * swapped), _KEY, _MANIFEST, BULLA_E_EVIDENCE_STALE (too late), BULLA_E_CLOSED (orderly), or the other side's verdict. */
BULLA_CHECK bulla_rc bulla_attested_feed(struct bulla_attested *channel, bulla_bytes bytes, int64_t now_ms,
	struct bulla_buf *ret_data);

/* What the channel waits for its owner to do. */
enum bulla_attested_todo bulla_attested_todo(const struct bulla_attested *channel);

/* SHOW: nonce and binder that the evidence must carry. */
BULLA_CHECK bulla_rc bulla_attested_challenge(const struct bulla_attested *channel, bulla_digest *ret_nonce,
	uint8_t ret_binder[BULLA_BINDER_BYTES]);

/* The evidence, and what appraising it needs besides. BULLA_E_STATE, BULLA_E_LIMIT. */
BULLA_CHECK bulla_rc bulla_attested_show(struct bulla_attested *channel, bulla_bytes evidence, const bulla_bytes *collateral,
	size_t collateral_count);

/* JUDGE: the one question that is open; views into the channel until the next feed or verdict. BULLA_E_STATE. */
BULLA_CHECK bulla_rc bulla_attested_ask(const struct bulla_attested *channel, struct bulla_channel_ask *ret);

/* Judges it by attest/: evidence bound to this connection, policy as given, fresh at now_ms. */
BULLA_CHECK bulla_rc bulla_channel_appraise(const struct bulla_channel_ask *ask,
	const struct bulla_attest_collateral *collateral,
	const struct bulla_attest_anchors *anchors,
	const struct bulla_attest_policy *policy, int64_t now_ms,
	struct bulla_attest_cache *cache, struct bulla_attest_result *ret);

/* The answer: BULLA_OK for the next life_ms, or why not: then the channel ends. Goes on with what was fed meanwhile, as
 * bulla_attested_feed does. */
BULLA_CHECK bulla_rc bulla_attested_verdict(struct bulla_attested *channel, bulla_rc verdict, int64_t life_ms, int64_t now_ms,
	struct bulla_buf *ret_data);

/* Demands evidence anew; data goes on meanwhile. BULLA_E_STATE unless this side demands and no challenge is open. */
BULLA_CHECK bulla_rc bulla_attested_again(struct bulla_attested *channel, int64_t now_ms);

/* Time passes: challenges anew at four fifths of an appraisal's life; BULLA_E_EVIDENCE_STALE (and the end) when it lapsed or
 * a challenge got no answer in a minute. bulla_attested_due: when to call at the latest; INT64_MAX: never. */
BULLA_CHECK bulla_rc bulla_attested_tick(struct bulla_attested *channel, int64_t now_ms);
int64_t bulla_attested_due(const struct bulla_attested *channel);

/* Application data; any size is cut into messages. BULLA_E_STATE unless open. */
BULLA_CHECK bulla_rc bulla_attested_write(struct bulla_attested *channel, bulla_bytes data);

/* Ends it: why = BULLA_E_CLOSED in order, or the reason that the other side is told. */
void bulla_attested_end(struct bulla_attested *channel, bulla_rc why);
