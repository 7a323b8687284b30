#pragma once
/* Links (protocol.md section 6): once per pair of speakers, a secret from one sender (an enclave instance, a party's
 * client) to one recipient, by HPKE and a signature. COSE_Sign1 of kind "link", doc/formats.md section `link`. */
#include "base/limits.h"
#include "cose/sign1.h"
#include "receipt/position.h"
#include "seal/hpke.h"

#define BULLA_LINK_ID_SIZE 16
#define BULLA_LINK_MAX BULLA_MAX_LINK /* bytes of a whole link */
/* A sender makes a new link after an hour or this many envelopes. */
#define BULLA_LINK_AGE_MS INT64_C(3600000)
#define BULLA_LINK_ENVELOPES 65536u

enum bulla_recipient { BULLA_TO_AGENT = 1, BULLA_TO_PARTY = 2, BULLA_TO_BROKER = 3 };

typedef struct bulla_link_id {
	uint8_t b[BULLA_LINK_ID_SIZE];
} bulla_link_id;

/* The link that stands for an agent's own state key: no link object has this id. */
extern const bulla_link_id bulla_link_state;

/* Body of a link: views into the signed bytes. */
struct bulla_link_body {
	bulla_digest sender; /* kid of the sender's receipt or party key */
	enum bulla_recipient to;
	bulla_handle recipient;  /* agent's or party's handle; zeros for the broker */
	bulla_digest recipient_key; /* digest(HPKE public key) */
	uint64_t epoch;
	bulla_digest manifest;
	uint8_t salt[32];
	bulla_bytes enc;
};

/* What a sender keeps, and what a recipient keeps after accepting. The secret is owned: bulla_link_done. */
struct bulla_link {
	bulla_link_id id;
	bulla_digest sender;
	bulla_secret secret;
};

struct bulla_link_spec {
	enum bulla_recipient to;
	bulla_handle recipient;
	const struct bulla_kem *kem;
	bulla_bytes public_key; /* of the recipient: from a birth record, the manifest, the day key */
	uint64_t epoch;
	bulla_digest manifest;
};

/* Makes a link signed by `sender`; appends the COSE_Sign1 to ret. */
BULLA_CHECK bulla_rc bulla_link_make(const struct bulla_link_spec *spec, struct bulla_sign_key *sender,
	const struct bulla_random *random, struct bulla_buf *ret, struct bulla_link *ret_link);

/* Reads a link without believing it: to find its sender's record and whom it is for. */
BULLA_CHECK bulla_rc bulla_link_peek(bulla_bytes link, struct bulla_link_body *ret_body, bulla_link_id *ret_id);

/* What the recipient knows of its own accord. */
struct bulla_link_expected {
	bulla_digest sender; /* kid whose evidence (instance) or manifest entry (party) was checked and which may speak here */
	enum bulla_recipient to;
	bulla_handle recipient;
	bulla_digest manifest; /* of the run */
	uint64_t epoch;        /* that manifest's number */
	bool epoch_open;       /* the manifest in force says so */
};

/* The recipient's checks, once per link: signature (BULLA_E_LINK_SIGNATURE), sender may speak to me in this manifest
 * (BULLA_E_LINK_SENDER), epoch open (BULLA_E_EPOCH_CLOSED). Then the secret. sender_key is the key behind expected->sender. */
BULLA_CHECK bulla_rc bulla_link_accept(bulla_bytes link, const struct bulla_link_expected *expected,
	struct bulla_verify_key *sender_key, const struct bulla_kem *kem, bulla_secret private_key, struct bulla_link *ret);

/* The same checks without a private key: for auditors, and for who only carries links on. */
BULLA_CHECK bulla_rc bulla_link_check(bulla_bytes link, const struct bulla_link_expected *expected,
	struct bulla_verify_key *sender_key);

/* Frees the secret. */
void bulla_link_done(struct bulla_link *link);

/* All 16 bytes. */
bool bulla_link_id_eq(const bulla_link_id *a, const bulla_link_id *b);

/* True when a sender has to make a new one. */
bool bulla_link_is_worn(int64_t made_ms, int64_t now_ms, uint32_t envelopes);
