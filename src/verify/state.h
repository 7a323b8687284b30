#pragma once
/* Inside of the verifier: what it remembers of a bundle while the items go by. */
#include "attest/cache.h"
#include "base/checks.h"
#include "flow/parents.h"
#include "receipt/bundle.h"
#include "receipt/entry.h"
#include "receipt/instance.h"
#include "receipt/merkle.h"
#include "receipt/order.h"
#include "receipt/receipt.h"
#include "receipt/start.h"
#include "receipt/token.h"
#include "seal/envelope.h"
#include "verify/verify.h"

enum { VERIFY_MANIFESTS = 8, VERIFY_INSTANCES = 1024, VERIFY_BATCHES = 64, VERIFY_ANCHORS = 64 };
enum { VERIFY_LINKS = 4096, VERIFY_DAYS = 4 };
#define VERIFY_LEAVES_MAX ((size_t)32 << 20)

/* A manifest of the bundle: the run's is the first. */
struct verify_manifest {
	struct bulla_buf bytes;
	struct bulla_manifest m;
	uint32_t signers, signed_by, trusted; /* approvers of its own that signed; how many; how many of them are trusted */
};

/* An attested receipt key. */
struct verify_instance {
	bulla_digest kid;
	struct bulla_verify_key *key;
	struct bulla_buf agents; /* handles */
	uint8_t manifest;        /* index */
	uint8_t assurance;
	uint8_t tee;
	uint64_t evidence_ms; /* newest */
	uint64_t evidence_first_ms;
	bulla_digest image; /* bulla_judge_image */
};

/* An approver's order. */
struct verify_revocation {
	struct bulla_order order; /* its subject is a view of bytes */
	uint8_t bytes[BULLA_ORDER_SUBJECT_MAX];
	uint64_t epoch; /* of the manifest whose approver signed, by the ledger's word */
};

/* A link: from whom to whom. */
struct verify_link {
	bulla_link_id id;
	bulla_digest sender, recipient_key;
	bulla_handle recipient;
	uint8_t to;
};

/* A birth: whose key it is. */
struct verify_birth {
	bulla_handle agent;
	bulla_digest public_key;
	uint8_t manifest;
};

/* What a slot needs beside the fold: who was permitted, and the leaves of its outputs. */
struct verify_slot {
	bulla_digest who;
	uint64_t permit_ms, sequence;
	uint32_t permitted;   /* attempt; 0: none open */
	uint32_t first_leaf, leaf_count;
};

/* The start record or receipt that waits for its ledger entry. */
struct verify_pending {
	bool is_start, is_receipt;
	struct bulla_receipt receipt; /* of a start record: kid, time, position */
	bulla_digest digest;
	bool batched;
	struct bulla_buf pairs;
	uint8_t tee, assurance; /* of the instance that signed */
};

struct verify_batch {
	bulla_digest kid, root;
	uint8_t kind;
	uint8_t signature[BULLA_AUTH_SIGNATURE_BYTES];
};

struct bulla_verify {
	const struct bulla_trust *trust;
	struct bulla_trust nobody;
	struct bulla_bundle_reader *reader;
	bulla_verify_take *take; /* NULL: nobody helps */
	void *take_ctx;
	struct bulla_verify_result result;
	bool failed, ended;
	uint64_t bytes_read; /* items taken so far */
	struct bulla_bundle_header header;

	struct verify_manifest manifests[VERIFY_MANIFESTS];
	size_t manifest_count;
	bool manifests_done;
	struct bulla_attest_anchor anchors[VERIFY_ANCHORS];
	size_t anchor_count;
	struct bulla_attest_cache cache;

	struct verify_instance *instances; /* VERIFY_INSTANCES */
	size_t instance_count;
	struct verify_day {
		bulla_digest digest;
		uint64_t begins_ms, ends_ms;
	} days[VERIFY_DAYS];
	size_t day_count;
	struct verify_link *links; /* VERIFY_LINKS, made when first needed */
	size_t link_count;
	struct verify_birth births[BULLA_MAX_AGENTS];
	size_t birth_count;
	uint8_t birth_assurance; /* least of who gave birth; NONE: no birth yet */
	struct bulla_verify_key *ledger;
	struct bulla_verify_key *party_keys[BULLA_MAX_PARTIES]; /* made when first needed */
	struct verify_batch batches[VERIFY_BATCHES];
	size_t batch_next;

	void *flow_memory;
	struct bulla_flow flow;
	struct bulla_flow_run run;
	struct bulla_flow_slot *flow_slots;
	struct verify_slot *slots; /* the same indices */
	bool started;
	uint64_t agents_seen[(BULLA_MAX_AGENTS + 63) / 64];
	struct bulla_flow_parent *parents;
	struct bulla_flow_binding *bindings;
	struct bulla_buf leaves; /* digests: hashes of the pairs of all outputs so far */

	struct verify_pending pending;
	bool has_order;
	struct bulla_order_seen {
		bulla_digest digest, kid;
		uint8_t kind;
	} order;
	struct verify_revocation *revocations; /* BULLA_MAX_REVOCATIONS, made when first needed; one more waits for its entry */
	size_t revocation_count;
	struct bulla_merkle entries;
	uint64_t last_sequence, last_ms;
	bool has_head;
};

/* The run's manifest; once there is one. */
static inline const struct bulla_manifest *verify_run_manifest(const struct bulla_verify *v)
{
	return &v->manifests[0].m;
}

/* Notes that a check held. Always BULLA_OK. */
bulla_rc verify_held(struct bulla_verify *v, enum bulla_verify_check check);

/* Notes the first check that failed, and where; hands rc on. */
bulla_rc verify_failed(struct bulla_verify *v, enum bulla_verify_check check, bulla_rc rc, const char *text);

/* BULLA_TRY(VERIFY(v, RECEIPT_AGENT, condition, BULLA_E_GRAPH, "what is wrong")): each one can be taken away in builds of
 * mutants, where it then counts as held. */
#define VERIFY(v_, name_, condition_, rc_, literal_) \
	(!(condition_) && BULLA_CHECK_ON(VERIFY_##name_) \
			? verify_failed((v_), BULLA_VERIFY_##name_, BULLA_FAIL((rc_), literal_), "" literal_) \
			: verify_held((v_), BULLA_VERIFY_##name_))

/* Where the next failure is. */
void verify_at(struct bulla_verify *v, uint32_t step, uint32_t item, uint32_t attempt);

/* One item of a bundle, its body as it stands there: each returns BULLA_OK, a failed check's rc, or an error without verdict. */
BULLA_CHECK bulla_rc verify_manifest_item(struct bulla_verify *v, bulla_bytes body);
BULLA_CHECK bulla_rc verify_approval_item(struct bulla_verify *v, bulla_bytes body);
BULLA_CHECK bulla_rc verify_instance_item(struct bulla_verify *v, bulla_bytes body);
BULLA_CHECK bulla_rc verify_day_key_item(struct bulla_verify *v, bulla_bytes body);
BULLA_CHECK bulla_rc verify_start_item(struct bulla_verify *v, bulla_bytes body);
BULLA_CHECK bulla_rc verify_receipt_item(struct bulla_verify *v, bulla_bytes body);
BULLA_CHECK bulla_rc verify_entry_item(struct bulla_verify *v, bulla_bytes body);
BULLA_CHECK bulla_rc verify_order_item(struct bulla_verify *v, bulla_bytes body);
BULLA_CHECK bulla_rc verify_token_item(struct bulla_verify *v, bulla_bytes body);
BULLA_CHECK bulla_rc verify_head_item(struct bulla_verify *v, bulla_bytes body);
BULLA_CHECK bulla_rc verify_envelope_item(struct bulla_verify *v, bulla_bytes body);
BULLA_CHECK bulla_rc verify_birth_item(struct bulla_verify *v, bulla_bytes body);
BULLA_CHECK bulla_rc verify_link_item(struct bulla_verify *v, bulla_bytes body);

/* After the last manifest: anchors, plan, ledger key. */
BULLA_CHECK bulla_rc verify_manifests_end(struct bulla_verify *v);

/* An order that is an approver's, not a party's; and its entry. */
BULLA_CHECK bulla_rc verify_revocation_item(struct bulla_verify *v, bulla_bytes body, const struct bulla_order *order,
	const bulla_digest *kid);
BULLA_CHECK bulla_rc verify_revocation_entry(struct bulla_verify *v, const struct bulla_entry *entry);
/* The instance with this kid may do this step, as far as revocations before it go. */
BULLA_CHECK bulla_rc verify_not_revoked(struct bulla_verify *v, const struct bulla_entry *entry);

/* --- shared --- */
/* NULL when there is none. */
struct verify_instance *verify_instance_find(struct bulla_verify *v, const bulla_digest *kid);
/* The key of a party of the run's manifest; BULLA_E_PARTY. */
BULLA_CHECK bulla_rc verify_party_key(struct bulla_verify *v, const bulla_digest *kid, const struct bulla_party **ret_party,
	struct bulla_verify_key **ret_key);
/* auth over payload by key; batches are checked once. */
BULLA_CHECK bulla_rc verify_auth(struct bulla_verify *v, const struct bulla_auth *auth, struct bulla_verify_key *key,
	enum bulla_signed single, bulla_bytes payload, const bulla_digest *digest);
/* An item in its one form, or the failed check. */
static inline bulla_rc verify_form(struct bulla_verify *v, enum bulla_verify_check check, bulla_rc rc, const char *text)
{
	return rc == BULLA_OK || rc == BULLA_E_MEMORY ? rc : verify_failed(v, check, rc, text);
}
