#pragma once
/* The manifest: the compiled project, signed by its approvers (protocol.md section 3, doc/formats.md section `manifest`).
 * Deterministic CBOR; its digest is SHA-256 of the bytes. Decoded into views of those bytes and a few arrays that are
 * allocated once; nested lists stay in CBOR and are walked with bulla_list_next. */
#include "receipt/position.h"

#define BULLA_MANIFEST_VERSION 1

enum bulla_suite { BULLA_SUITE_CLASSIC = 1, BULLA_SUITE_HYBRID = 2 };
enum bulla_mode { BULLA_MODE_STRICT = 1, BULLA_MODE_DETECT = 2 };
enum bulla_padding { BULLA_PADDING_CLASSES = 0, BULLA_PADDING_FIXED = 1, BULLA_PADDING_EXACT = 2 };
enum bulla_binding { BULLA_BINDING_RUN = 1, BULLA_BINDING_SERVE = 2, BULLA_BINDING_STREAM = 3 };
enum bulla_policy_form { BULLA_POLICY_MANAGED = 1, BULLA_POLICY_FROZEN = 2 };

/* What a party may do, beside reading what the plans give it. */
#define BULLA_RIGHT_START (1u << 0)
#define BULLA_RIGHT_SIGNAL (1u << 1)
#define BULLA_RIGHT_CANCEL (1u << 2)
#define BULLA_RIGHT_ERASE (1u << 3)
#define BULLA_RIGHT_ALL 15u

struct bulla_approver {
	bulla_bytes name; /* text, may be empty */
	bulla_bytes spki; /* P-256, DER */
	bulla_digest kid; /* derived: digest(spki) */
};

struct bulla_party {
	bulla_handle handle;
	bulla_bytes name;     /* text, may be empty: then only the handle is known */
	bulla_bytes spki;     /* ES256 key */
	bulla_bytes hpke;     /* public key of the suite's KEM: 32 bytes; hybrid 1216 */
	uint32_t rights;      /* BULLA_RIGHT_* */
	bulla_digest kid;     /* derived: digest(spki) */
};

struct bulla_agent {
	bulla_handle handle;
	bulla_bytes name;         /* text, may be empty */
	bulla_digest bundle;      /* manifest/bundle_digest.h */
	uint8_t binding;          /* enum bulla_binding */
	bulla_bytes command;      /* list of text: argv */
	uint64_t memory_bytes;    /* 0: default 256 MiB */
	uint32_t cpu_milli;       /* 1000 = one CPU; 0: default */
	uint32_t processes;       /* of a run agent: sandboxes at once; 0: default 1 */
	uint32_t in_flight;       /* serve, stream: jobs at once; 0: default 1 */
	bulla_bytes capabilities; /* list of text: "model:NAME", "https://HOST", "secret:NAME" */
	bulla_bytes outcome;      /* list of names (text, or handles as byte strings): path of the public field; empty: always `ok` */
	bulla_bytes words;        /* list of names: its values; index = outcome */
	bulla_bytes images;       /* list of accepted images: see bulla_image_next */
	bulla_bytes wrapping_key; /* text: key id or ARN */
	uint8_t policy_form;      /* enum bulla_policy_form */
};

struct bulla_workflow {
	bulla_handle handle;
	bulla_bytes name; /* text, may be empty */
	bulla_bytes plan; /* flow/plan.h */
	bulla_digest digest; /* derived: digest(plan) */
};

struct bulla_anchor {
	bulla_bytes tee;   /* "dev", "nitro", ... as bulla_tee_name */
	uint8_t assurance; /* 1 dev, 2 emulator, 3 hardware: how the approvers class it */
	uint8_t how;       /* enum bulla_anchor_how of attest/attest.h */
	bulla_bytes id;
	bulla_bytes key;   /* empty unless an endorsed device */
};

struct bulla_earlier {
	uint64_t epoch;
	bulla_digest manifest;
};

struct bulla_manifest {
	bulla_bytes bytes;     /* borrowed from the caller of decode */
	bulla_digest digest;   /* derived: digest(bytes) */
	uint8_t suite, mode, padding;
	uint32_t padding_size; /* FIXED: the one class, bytes of payload */
	bulla_handle tenant;
	bulla_digest name_key; /* digest of the tenant name key: to know the right one */
	uint64_t epoch;
	uint64_t delay_ms;     /* the broker accepts the next epoch no sooner after its approval */
	uint32_t need;         /* M of approver_count */
	struct bulla_approver *approvers;
	size_t approver_count;
	struct bulla_party *parties;
	size_t party_count;
	struct bulla_agent *agents;
	size_t agent_count;
	struct bulla_workflow *workflows;
	size_t workflow_count;
	/* evidence policy */
	bulla_bytes tees;      /* list of text */
	uint8_t assurance;     /* least: 1 dev, 2 emulator, 3 hardware */
	uint64_t max_age_ms;
	struct bulla_anchor *anchors; /* beside the vendors' */
	size_t anchor_count;
	bulla_bytes tcb;       /* further policy of the TEEs, encoded CBOR map; empty map: defaults */
	/* broker */
	bulla_bytes broker_url;   /* text */
	bulla_digest broker_tls;  /* digest(SPKI) of its TLS key */
	bulla_bytes ledger_spki;  /* ES256 key of the ledger */
	bulla_digest ledger;      /* derived: digest(ledger_spki) */
	bulla_bytes keys_at;      /* text: "broker", or "aws:ARN" */
	struct bulla_earlier *earlier; /* epochs still open, falling */
	size_t earlier_count;
};

/* Decodes; allocates the arrays. BULLA_E_FORMAT, _VERSION, _LIMIT, _DUPLICATE (handles, keys, epochs), _TRAILING. Plans
 * are decoded by whoever uses them (flow/plan.h). bytes must outlive *ret. */
BULLA_CHECK bulla_rc bulla_manifest_decode(bulla_bytes bytes, struct bulla_manifest *ret);

/* Frees the arrays; NULL is allowed. */
void bulla_manifest_done(struct bulla_manifest *manifest);

/* Writes what the fields say (derived ones are not read); then decode what was written: that is the check. */
BULLA_CHECK bulla_rc bulla_manifest_encode(const struct bulla_manifest *manifest, bulla_wr *w);

/* Puts parties, agents and workflows into rising order of their handles, as encode wants them. */
void bulla_manifest_sort(struct bulla_manifest *manifest);

/* Lookups; NULL when there is none. */
const struct bulla_agent *bulla_manifest_agent(const struct bulla_manifest *manifest, const bulla_handle *handle);
const struct bulla_party *bulla_manifest_party(const struct bulla_manifest *manifest, const bulla_handle *handle);
const struct bulla_party *bulla_manifest_party_kid(const struct bulla_manifest *manifest, const bulla_digest *kid);
const struct bulla_workflow *bulla_manifest_workflow(const struct bulla_manifest *manifest, const bulla_digest *digest);
const struct bulla_approver *bulla_manifest_approver(const struct bulla_manifest *manifest, const bulla_digest *kid);

/* Is this earlier epoch still open under the manifest (its own epoch is)? digest: of that epoch's manifest. */
bool bulla_manifest_epoch_open(const struct bulla_manifest *manifest, uint64_t epoch, const bulla_digest *digest);

/* May `next` follow `current` (protocol.md section 3): same tenant, suite never weaker, higher epoch, and its signers
 * were checked against `current`'s approvers by bulla_approvals_check. BULLA_E_EPOCH_OLD, BULLA_E_DENIED. */
BULLA_CHECK bulla_rc bulla_manifest_follows(const struct bulla_manifest *current, const struct bulla_manifest *next);

/* --- nested lists: deterministic CBOR arrays --- */

/* Writes an array of text strings / of byte strings. */
void bulla_list_write_text(bulla_wr *w, const bulla_bytes *items, size_t count);
void bulla_list_write_bytes(bulla_wr *w, const bulla_bytes *items, size_t count);

/* Walks a list of texts or byte strings that decode has checked. *cursor starts at 0. BULLA_E_NOT_FOUND at the end. */
BULLA_CHECK bulla_rc bulla_list_next(bulla_bytes list, size_t *cursor, bulla_bytes *ret);

/* One value of an accepted image: a claim of attest/claims.def by name ("pcr", "measurement", "mrtd", ...). */
struct bulla_image_value {
	bulla_bytes claim;
	uint32_t index;
	bulla_bytes value;
};
#define BULLA_IMAGE_VALUES 16

struct bulla_image {
	bulla_bytes tee; /* "nitro" also for `dev` documents: they have the same shape */
	struct bulla_image_value values[BULLA_IMAGE_VALUES];
	size_t count;
};

/* Writes a list of images; walks one. CBOR: [[tee, [[claim, index, h'value']...]]...]. */
void bulla_images_write(bulla_wr *w, const struct bulla_image *images, size_t count);
BULLA_CHECK bulla_rc bulla_image_next(bulla_bytes images, size_t *cursor, struct bulla_image *ret);
