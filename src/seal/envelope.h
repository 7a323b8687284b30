#pragma once
/* Envelopes (protocol.md section 7): sealed state for its readers at its position. doc/formats.md section `envelope`.
 * Nothing on this path allocates but the growth of the caller's buffers. */
#include "base/limits.h"
#include "receipt/position.h"
#include "seal/link.h"

enum bulla_envelope_kind {
	BULLA_ENVELOPE_INPUT = 1,
	BULLA_ENVELOPE_OUTPUT = 2,
	BULLA_ENVELOPE_STATE = 3,
	BULLA_ENVELOPE_LOG = 4,
	BULLA_ENVELOPE_FAILURE = 5,
	BULLA_ENVELOPE_PRIVATE = 6,
};

#define BULLA_PATH_MAX 256        /* bytes of an encoded path */
#define BULLA_ENVELOPE_OVERHEAD 36 /* salt and length before the payload */
/* Largest envelope: header with all readers, padded payload, tag. */
#define BULLA_ENVELOPE_MAX ((size_t)BULLA_MAX_PAYLOAD + 8192)

/* How payloads are padded: enum bulla_padding of manifest.h. FIXED: `size` is the one class. */
struct bulla_padding_rule {
	uint8_t rule; /* 0 classes of 1, 4, 16, 64, 256 KiB, 1 MiB; 1 fixed; 2 exact */
	uint32_t size;
};

/* A path: CBOR array of names (byte strings) and indices (unsigned integers); the whole is the empty array. */
extern const bulla_bytes bulla_path_whole;

/* Writes a path of `count` names, and one index after them unless index is BULLA_PATH_NO_INDEX; view of memory. */
#define BULLA_PATH_NO_INDEX UINT64_MAX
BULLA_CHECK bulla_rc bulla_path_write(const bulla_bytes *names, size_t count, uint64_t index,
	uint8_t memory[BULLA_PATH_MAX], bulla_bytes *ret);

/* True when a reader's key is mixed with the run secret (protocol.md section 7, 3.): strict mode, reader is no party, and
 * not sealed by a party but as `input`. Where it is false, BULLA_SECRET_NONE goes in the run secret's place. */
bool bulla_envelope_is_covered(bool strict, enum bulla_recipient reader, bool sealed_by_party, enum bulla_envelope_kind kind);

/* --- sealing --- */

struct bulla_envelope_reader {
	bulla_link_id link;      /* bulla_link_state for kind `state` */
	bulla_secret secret;     /* the link's, or the state key */
	bulla_secret run_secret; /* BULLA_SECRET_NONE: not covered, 32 zero bytes */
};

struct bulla_envelope_spec {
	struct bulla_position position; /* the producer's */
	enum bulla_envelope_kind kind;
	bulla_bytes path;        /* encoded */
	bulla_digest producer;   /* kid */
	struct bulla_padding_rule padding;
	bulla_secret salt;       /* 32 bytes: bulla_random_secret for a whole, bulla_envelope_part_salt for a part */
	bulla_secret instance;   /* instance secret of the sealing process */
	const struct bulla_random *random;
	const struct bulla_envelope_reader *readers;
	size_t reader_count;     /* 1 .. BULLA_MAX_READERS; `state`: exactly 1 */
};

/* Appends the envelope to ret. BULLA_E_LIMIT: payload above BULLA_MAX_PAYLOAD or the fixed class, too many readers.
 * *ret_digest and *ret_commitment are what receipts name. */
BULLA_CHECK bulla_rc bulla_envelope_seal(const struct bulla_envelope_spec *spec, bulla_bytes payload, struct bulla_buf *ret,
	bulla_digest *ret_digest, bulla_digest *ret_commitment);

/* Salt of a part from the salt of its whole, name by name along the path; the empty path gives a copy of the whole's. */
BULLA_CHECK bulla_rc bulla_envelope_part_salt(bulla_secret whole, bulla_bytes path, bulla_secret *ret);

/* Commitment of a payload: digest(padded). */
BULLA_CHECK bulla_rc bulla_envelope_commitment(bulla_secret salt, bulla_bytes payload, struct bulla_padding_rule padding,
	bulla_digest *ret);

/* Who opened the whole: the part at path with these bytes must have this commitment. BULLA_E_PART. */
BULLA_CHECK bulla_rc bulla_envelope_part_check(bulla_secret whole_salt, bulla_bytes path, bulla_bytes part,
	struct bulla_padding_rule padding, const bulla_digest *commitment);

/* --- reading --- */

/* A parsed envelope: views into its bytes. */
struct bulla_envelope {
	struct bulla_position position;
	enum bulla_envelope_kind kind;
	bulla_bytes path;
	bulla_digest producer;
	bulla_digest commitment;
	uint32_t padding; /* payload bytes of its class; 0: exact */
	bulla_bytes core;
	bulla_bytes header;
	bulla_bytes readers;    /* the encoded array */
	size_t reader_count;
	bulla_bytes ciphertext; /* empty: only the header was kept */
	bulla_digest digest;    /* digest(header) */
};

/* BULLA_E_NOT_ENVELOPE for anything else. */
BULLA_CHECK bulla_rc bulla_envelope_parse(bulla_bytes bytes, struct bulla_envelope *ret);

/* The i-th reader. */
BULLA_CHECK bulla_rc bulla_envelope_reader_at(const struct bulla_envelope *envelope, size_t index, bulla_link_id *ret_link,
	bulla_bytes *ret_wrapped);

/* The same envelope without its ciphertext; appends to ret. */
BULLA_CHECK bulla_rc bulla_envelope_strip(const struct bulla_envelope *envelope, struct bulla_buf *ret);

/* What the reader knows of its own accord: from the plan and the committed parent. */
struct bulla_envelope_expected {
	struct bulla_position position;
	enum bulla_envelope_kind kind;
	bulla_bytes path;
	bulla_digest producer; /* kid in the parent's receipt; in the start record for `input` */
};

/* Position, kind and path, producer, in the order of protocol.md: BULLA_E_POSITION_TENANT, _WORKFLOW, _RUN, _STEP, _ITEM,
 * _ATTEMPT, _PATH (also for another kind), BULLA_E_PRODUCER. */
BULLA_CHECK bulla_rc bulla_envelope_check(const struct bulla_envelope *envelope,
	const struct bulla_envelope_expected *expected);

struct bulla_envelope_keys {
	void *ctx;
	/* BULLA_OK and the link: accepted by me. BULLA_E_NOT_ADDRESSED: known, for somebody else. BULLA_E_NOT_FOUND: unknown.
	 * Another error (a link that was refused) is what open returns unless another entry is mine. */
	bulla_rc (*find)(void *ctx, const bulla_link_id *id, const struct bulla_link **ret);
	bulla_secret state;      /* my agent's state key, for kind `state`; else none */
	bulla_secret run_secret; /* none where bulla_envelope_is_covered says no */
};

/* What came out. The salt is owned by the caller: it makes the parts' salts. */
struct bulla_opened {
	bulla_bytes payload; /* view into the buffer given to open */
	bulla_secret salt;
};

/* All checks of protocol.md section 7 in their order, then the payload in `memory` (appended; wiped with it). After the
 * checks of bulla_envelope_check: BULLA_E_NOT_ADDRESSED, BULLA_E_LINK_UNKNOWN, BULLA_E_LINK_SENDER (a link of another sender
 * than the producer), BULLA_E_ENVELOPE_DAMAGED, BULLA_E_COMMITMENT. */
BULLA_CHECK bulla_rc bulla_envelope_open(const struct bulla_envelope *envelope,
	const struct bulla_envelope_expected *expected, const struct bulla_envelope_keys *keys, struct bulla_buf *memory,
	struct bulla_opened *ret);
