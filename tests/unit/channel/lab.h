#pragma once
/* Attested channels for the tests: real TLS between two sides, development enclaves that make evidence, an appraiser. */
#include "channel/attested.h"
#include "platform/nsm.h"

#define LAB_LIFE_MS 100000

/* A TLS identity. */
struct lab_key {
	struct bulla_buf der, certificate;
	bulla_digest pin;
};

struct lab_enclave {
	struct bulla_dev_nsm module;
	bulla_digest manifest;
};

struct lab_side {
	struct bulla_tls *tls;
	struct bulla_attested channel;
	struct lab_enclave *enclave; /* makes its evidence */
	struct bulla_buf data;       /* of the application */
	struct bulla_buf heard;      /* all plain bytes that came */
};

struct lab_pair {
	struct bulla_tls_context *contexts[2];
	struct lab_side client, server;
};

enum lab_mode { LAB_CLIENT = 1, LAB_SERVER = 2, LAB_MUTUAL = 3 }; /* who shows evidence */

struct lab {
	struct bulla_dev_pki pki, other_pki; /* the anchor, and one that nobody trusts */
	struct lab_key server_key, client_key, other_key;
	struct lab_enclave a, b, strange, stranger; /* stranger: of the other anchor */
	bulla_digest anchor_id;
	struct bulla_attest_anchor anchor;
	struct bulla_attest_value values[1];
	struct bulla_attest_reference image;
	struct bulla_attest_policy policy;
	int64_t now_ms;
};
extern struct lab lab;

int lab_open(void **state);
int lab_close(void **state);

/* TLS with these identities; client_key may be NULL (then the client shows no certificate). */
void lab_tls(const struct lab_key *server_key, const struct lab_key *client_key, struct lab_pair *ret);

/* Both channel machines on top: the usual options of this mode. */
void lab_start(struct lab_pair *pair, enum lab_mode mode);
struct bulla_attested_options lab_options(uint8_t role, enum lab_mode mode);
void lab_free(struct lab_pair *pair);

/* Carries bytes, makes evidence and judges, until nothing moves. The first error of either side, or BULLA_OK. */
bulla_rc lab_run(struct lab_pair *pair);

/* One side does what its machine asks for. */
bulla_rc lab_do(struct lab_side *side);

/* Judges what is open as lab_do does. */
bulla_rc lab_judge(struct lab_side *side);

/* A document of this enclave. */
void lab_evidence(struct lab_enclave *enclave, const bulla_digest *nonce, const uint8_t binder[BULLA_BINDER_BYTES],
	struct bulla_buf *ret);
