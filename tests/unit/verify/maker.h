#pragma once
/* Makes bundles for tests: a real run of a small workflow with real signatures and a development TEE's evidence. Hooks
 * change one thing before it is signed or written; everything that follows is consistent with the change, as a clever
 * forger would have it. */
#include "flow/flows.h"
#include "flow/parents.h"
#include "manifest/manifest.h"
#include "platform/pki.h"
#include "receipt/bundle.h"
#include "receipt/entry.h"
#include "receipt/instance.h"
#include "receipt/merkle.h"
#include "receipt/receipt.h"
#include "receipt/start.h"
#include "receipt/token.h"
#include "seal/birth.h"
#include "verify/trust.h"
#include "seal/envelope.h"
#include "verify/verify.h"

#define MAKER_T0 UINT64_C(1795270000000)
enum { MAKER_OWNER, MAKER_PARTY, MAKER_LEDGER, MAKER_INSTANCE, MAKER_STRANGER, MAKER_KEYS };
enum { MAKER_ITEMS = 128 };

struct maker;

/* What a hook may see and change. NULL hooks do nothing. */
struct maker_hooks {
	void (*manifest)(struct bulla_manifest *manifest);
	void (*instance)(struct bulla_instance *record);
	void (*pcrs)(uint8_t pcrs[32][48]);
	void (*start)(struct bulla_start *start);
	void (*receipt)(struct bulla_receipt *receipt);
	void (*entry)(struct bulla_entry *entry);
	void (*head)(struct bulla_run_head *head);
	void (*token)(struct bulla_token *token);
	/* Returns true to leave the item out. */
	bool (*drop)(enum bulla_bundle_kind kind, unsigned ordinal);
	int approver;         /* which key approves; -1: nobody */
	int starter;          /* whose key signs the start */
	int receipt_signer;   /* whose key signs agents' receipts */
	int answerer;         /* whose key signs the party's answer */
	int clock_signer;     /* whose key signs clock receipts */
	int ledger_signer;    /* whose key signs head and tokens */
	bool lone;            /* receipts signed one by one */
	int token_signer;
	int orderer;          /* whose key signs the cancel order */
	bool early;           /* the timer's receipt comes too early */
	bool ledger_answers;  /* in the place of agent e */
	bool each;            /* the workflow demands a signature per receipt */
	bool fresh;           /* step e demands a fresh process */
	bool cancel;          /* the run is cancelled after the crash */
	uint8_t revoke;       /* kind of an approver's order, by orderer; 0: none */
	bool revoke_image;    /* REVOKE_MEASUREMENT: of the instance's image, not of agent e's bundle */
	unsigned revoke_at;   /* 0: before the start, 1: before the last permit, 2: before the last commit, 3: after it */
	uint64_t revoke_under; /* the epoch of its manifest, by the ledger's word */
	bool unsigned_order;  /* entry without order */
	bool more_outputs;    /* step e seals one more */
	bool late_manifest;   /* the manifest again, at the end */
	bool boot, boot_wrong; /* evidence of purpose "boot"; with another public key than its channel names */
	unsigned hosted;      /* agents that the instance hosts; 0: all 3 */
	unsigned renewed;     /* a second record of the instance, hosting so many */
	void (*header)(struct bulla_bundle_header *header);
	void (*raw)(enum bulla_bundle_kind kind, uint8_t *body, size_t size);
	bool (*skip_entry)(const struct bulla_entry *entry);
	void (*birth)(struct bulla_birth *birth);
	void (*link)(struct bulla_link_spec *spec, unsigned number);
	void (*envelope)(struct bulla_envelope_spec *spec);
	int birth_signer, link_signer;
	bool old_day;        /* the start's day key ended before */
	int day_signer;
	unsigned second;     /* another epoch's manifest: 1 leaves the run's epoch open, 2 does not, 3 is not approved */
	unsigned early_head; /* the ledger signed when it had so many entries; the others follow */
	bool cut;            /* they do not */
	unsigned births;     /* so often is each birth there; 0: once */
	bool midwife;        /* another instance gave birth, attested under the second root */
	bool other_commitment; /* a receipt signs another content than the envelope has */
};

#define MAKER_HONEST \
	((struct maker_hooks){.approver = MAKER_OWNER, .starter = MAKER_OWNER, .receipt_signer = MAKER_INSTANCE, \
		.answerer = MAKER_PARTY, .clock_signer = MAKER_LEDGER, .ledger_signer = MAKER_LEDGER, .token_signer = MAKER_LEDGER, \
		.orderer = MAKER_OWNER, .birth_signer = MAKER_INSTANCE, .link_signer = -1, \
		.day_signer = MAKER_LEDGER})

struct maker_slot {
	struct bulla_pair pairs[2];
	size_t pair_count;
	uint8_t headers[2][1024]; /* of the envelopes */
	size_t header_sizes[2];
};

struct maker {
	struct maker_hooks hooks;
	struct bulla_sign_key *keys[MAKER_KEYS];
	struct bulla_dev_pki pki[2]; /* who attests: of the instance, of the midwife */
	struct bulla_dev_chain chain[2];
	struct flows flows;
	const struct bulla_flow *flow;
	struct bulla_flow_slot slots[FLOWS_MAX];
	struct bulla_flow_run run;
	struct maker_slot outputs[FLOWS_MAX];
	struct bulla_buf manifest_bytes;
	struct bulla_manifest manifest;
	struct bulla_buf bundle;
	struct bulla_bundle_writer *writer;
	struct bulla_slot slot;
	struct bulla_merkle entries;
	uint64_t now, sequence;
	unsigned ordinal[BULLA_BUNDLE_KINDS];
	struct bulla_batch *batch;
	bool headed;
	size_t before_trailer; /* bytes of the bundle */
	/* HPKE keys of actors: 3 agents, party c, owner; and the links to them from owner, instance, party c */
	bulla_secret private_keys[5];
	uint8_t public_keys[5][BULLA_HPKE_PUBLIC_MAX];
	struct bulla_link links[3][5];
	bulla_secret instance_secret;
};

/* Keys and a development PKI; once per program. */
void maker_up(struct maker *maker);
void maker_down(struct maker *maker);

/* Group set-up and tear-down of tests about one honest run: the slab, the maker, its run, and who is trusted. */
int maker_set_up(struct maker *maker, struct bulla_trust *ret_trust, void **state);
int maker_tear_down(struct maker *maker, void **state);

/* A bundle in maker->bundle: input -> a (a crash, a lost attempt, then `outcome`: 0 low, 1 refer, 2 high) -> b, or c (a
 * party's answer), or d (a timer) -> e. */
bulla_bytes maker_run(struct maker *maker, uint8_t outcome, struct maker_hooks hooks);

/* The verdict over a bundle, fed in pieces of this size. */
bulla_rc maker_verify(bulla_bytes bundle, const struct bulla_trust *trust, size_t piece, struct bulla_verify_result *ret);
