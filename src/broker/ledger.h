#pragma once
/* The run ledger as a pure machine (protocol.md sections 8 and 9, engine.md sections 3, 4, 11): no I/O, no clock, no
 * thread, no cryptography of its own. A turn of the broker:
 *
 *     bulla_ledger_advance() for each ADVANCE frame     checks, changes memory, gathers records
 *     bulla_ledger_turn()                               records of the turn: one journal submission
 *     ... durable(lsn, chain) ...                       only now the replies go out, in order
 *     bulla_ledger_tokens()                             what the token batch covers, after the replies
 *
 * A reply waits for the lsn that the ledger had when it was made, also when it added no record of its own: what it tells
 * may rest on records still under way. When a call fails with another error than those in the replies (memory, limits of
 * a record), memory and record may disagree: the program ends and recovers. */
#include "base/buf.h"
#include "flow/flow.h"
#include "journal/recover.h"
#include "receipt/commit.h"
#include "receipt/entry.h"
#include "receipt/order.h"
#include "receipt/permit.h"
#include "receipt/receipt.h"
#include "receipt/start.h"
#include "receipt/token.h"

/* Record types of the ledger's journal (engine.md section 4). Bodies: broker/ledger_fact.h. 7 to 9 are kept here only so
 * that the ledger can be replayed with its sessions; epochs and births are broker/'s other tables. */
enum bulla_ledger_record {
	BULLA_LEDGER_RUN = 1,
	BULLA_LEDGER_PERMIT = 2,
	BULLA_LEDGER_COMMIT = 3, /* an enclave's, a party's */
	BULLA_LEDGER_GIVEN_UP = 4,
	BULLA_LEDGER_CLOCK = 5, /* receipts of the broker's own: sleep, time-out, lost */
	BULLA_LEDGER_ORDER = 6,
	BULLA_LEDGER_SESSION = 7,
	BULLA_LEDGER_EPOCH = 8,
	BULLA_LEDGER_BIRTH = 9,
	BULLA_LEDGER_STORED = 10, /* escrow no longer needed */
	BULLA_LEDGER_REVOKE = 11, /* an approver's order: of no run */
};

/* A run's plan and the manifest it belongs to, as far as the ledger cares. */
struct bulla_ledger_plan {
	const struct bulla_flow *flow; /* lives as long as the ledger */
	bulla_handle tenant;
	uint64_t epoch;
};

/* What the ledger cannot know or make by itself: one table, real in broker/, virtual in tests/sim. Calls return at once.
 * Errors of verdicts go to the host as they are. */
struct bulla_ledger_world {
	void *ctx;
	/* The workflow in an accepted manifest that may still be started / may still run. E_EPOCH_CLOSED, E_NOT_FOUND. */
	bulla_rc (*plan)(void *ctx, const bulla_digest *manifest, const bulla_digest *workflow, struct bulla_ledger_plan *ret);
	/* May an instance attested for manifest `session` serve runs of manifest `run`? E_EPOCH_OLD, E_EPOCH_CLOSED. */
	bulla_rc (*serves)(void *ctx, const bulla_digest *session, const bulla_digest *run);
	/* Decodes and verifies, rights included (start, signal, cancel or erase): E_SIGNATURE, E_PARTY, E_NO_RIGHT. For a
	 * signal *ret_party is the party's handle. Views borrow from record. */
	bulla_rc (*open_start)(void *ctx, bulla_bytes record, struct bulla_start_record *ret);
	bulla_rc (*open_signal)(void *ctx, bulla_bytes record, struct bulla_receipt_record *ret, bulla_handle *ret_party);
	bulla_rc (*open_order)(void *ctx, bulla_bytes sign1, const bulla_digest *manifest, struct bulla_order *ret,
		bulla_digest *ret_kid);
	/* An approver's order under the manifest in force, and that manifest's epoch: E_SIGNATURE, E_PARTY, E_EPOCH_OLD. */
	bulla_rc (*open_revocation)(void *ctx, bulla_bytes sign1, struct bulla_order *ret, bulla_digest *ret_kid,
		uint64_t *ret_epoch);
	/* Digest of the bundle that an accepted manifest names for an agent. E_NOT_FOUND. */
	bulla_rc (*bundle)(void *ctx, const bulla_digest *manifest, const bulla_handle *agent, bulla_digest *ret);
	/* Verifies the MAC under the session's key (also of a session that has lapsed while permits of it live): E_MAC,
	 * E_SESSION. */
	bulla_rc (*open_commit)(void *ctx, const uint8_t session[BULLA_SESSION_ID_BYTES], bulla_bytes mac0,
		struct bulla_commit *ret);
	/* Opens the run secret in the start record and keeps it (E_BUSY: no room for one more) / overwrites it for ever: the
	 * run has ended, or was erased. The record that says so has the sequence before bulla_ledger_sequence and is not
	 * durable yet: what a restart needs if it is lost may go only then. Not called in a replay. */
	bulla_rc (*keep_secret)(void *ctx, const struct bulla_start *start);
	void (*erase_secret)(void *ctx, const bulla_run_id *run);
	/* Appends the COSE_Mac0; fills in permit->run_secret for this session first. The same input gives the same bytes. */
	bulla_rc (*make_permit)(void *ctx, const uint8_t session[BULLA_SESSION_ID_BYTES], struct bulla_permit *permit,
		struct bulla_buf *ret);
	/* Appends a receipt record signed by the ledger key; kid is filled in. */
	bulla_rc (*make_receipt)(void *ctx, struct bulla_receipt *receipt, struct bulla_buf *ret);
	/* Appends the signed head of a run's entries; head->head is filled in by the ledger. */
	bulla_rc (*make_head)(void *ctx, const struct bulla_run_head *head, struct bulla_buf *ret);
	/* Reads records back (bulla_journal_scan). NULL: runs that ended stay in memory, until it is full. */
	bulla_rc (*read)(void *ctx, struct bulla_journal_place from, struct bulla_journal_place to, bulla_journal_each each,
		void *arg);
	/* The file of broker/ledger_index.h. NULL: the index of ended runs stays in memory. */
	bulla_rc (*index_write)(void *ctx, uint64_t at, bulla_bytes bytes);
	bulla_rc (*index_read)(void *ctx, uint64_t at, uint8_t *ret, size_t size);
};

struct bulla_ledger; /* opaque */

struct bulla_ledger_options {
	struct bulla_ledger_world world;
	uint32_t residents; /* runs in memory at once; 0: BULLA_MAX_RUN_RESIDENT */
	uint32_t sessions;  /* 0: BULLA_MAX_SESSIONS */
	uint32_t closed_kept; /* runs that ended and stay in memory for late questions; 0: 256 */
	uint32_t record_page; /* entries in one answer to RECORD; 0: 1,024 */
};

/* An empty ledger; free takes NULL. BULLA_E_MEMORY. */
BULLA_CHECK bulla_rc bulla_ledger_new(const struct bulla_ledger_options *options, struct bulla_ledger **ret);
void bulla_ledger_free(struct bulla_ledger *ledger);

/* Recovery: each record of the journal, in order; other types than the ledger's are ignored where engine.md names them.
 * BULLA_E_VERSION: unknown type. BULLA_E_CORRUPT: a record that cannot have been written here. */
BULLA_CHECK bulla_rc bulla_ledger_replay(struct bulla_ledger *ledger, const struct bulla_journal_record *record);

/* The same, and where the record is: with a world that can read, runs that ended leave memory. */
BULLA_CHECK bulla_rc bulla_ledger_replay_at(struct bulla_ledger *ledger, const struct bulla_journal_record *record,
	struct bulla_journal_place at);

/* Where records are that became durable (a submission's lsn, count and place), in order; before bulla_ledger_durable. */
BULLA_CHECK bulla_rc bulla_ledger_placed(struct bulla_ledger *ledger, uint64_t lsn, uint32_t count,
	struct bulla_journal_place at);

/* After recovery: lsn of the next record and the head so far; later: when a batch is durable. */
void bulla_ledger_durable(struct bulla_ledger *ledger, uint64_t next_lsn, const bulla_digest *chain);

/* One body of an ADVANCE frame (message `advance`); appends the body of its reply (message `advanced`). may_start false:
 * new runs get BULLA_E_BUSY (no room on the disk, backlog). Never fails for what the host sent but with errors of
 * form (FORMAT, TRUNCATED, TRAILING, DUPLICATE, LIMIT). */
BULLA_CHECK bulla_rc bulla_ledger_advance(struct bulla_ledger *ledger, bulla_bytes advance, int64_t now_ms,
	bool may_start, struct bulla_buf *ret_reply);

/* A body of SYNC (message `sync`); appends message `synced`. Changes nothing. */
BULLA_CHECK bulla_rc bulla_ledger_sync(struct bulla_ledger *ledger, bulla_bytes sync, int64_t now_ms,
	struct bulla_buf *ret_reply);

/* A body of RECORD (message `record_ask`); appends message `record`: a page of entries, after the last one the signed head over
 * all. BULLA_E_RUN_UNKNOWN; BULLA_E_ARGUMENT: from behind the end. */
BULLA_CHECK bulla_rc bulla_ledger_record(struct bulla_ledger *ledger, bulla_bytes ask, int64_t now_ms,
	struct bulla_buf *ret_reply);

/* A session that broker/ has attested; its keys stay there. agents: handles, 8 bytes each. Gathers a SESSION record. */
struct bulla_ledger_session {
	uint8_t id[BULLA_SESSION_ID_BYTES];
	bulla_digest instance; /* kid of the receipt key */
	bulla_digest manifest;
	bulla_digest image; /* as in struct bulla_revocable */
	uint64_t epoch;     /* the manifest's */
	bulla_bytes agents;
	int64_t lapses_ms;
};
BULLA_CHECK bulla_rc bulla_ledger_session_add(struct bulla_ledger *ledger, const struct bulla_ledger_session *session);

/* Takes an approver's revocation (protocol.md section 3): from now on what it names gets no permit, and its commits are
 * refused. The same order again changes nothing. Errors of world.open_revocation; BULLA_E_LIMIT. */
BULLA_CHECK bulla_rc bulla_ledger_revoke(struct bulla_ledger *ledger, bulla_bytes sign1, int64_t now_ms);

/* BULLA_E_REVOKED when an order in the ledger says so of any part; for sessions, births and releases of keys. */
BULLA_CHECK bulla_rc bulla_ledger_revoked(const struct bulla_ledger *ledger, const struct bulla_revocable *what);

/* Ends the sessions of an instance whose appraisal turned bad: it gets no permits, its commits are refused, for this reason.
 * Gathers SESSION records. */
BULLA_CHECK bulla_rc bulla_ledger_end_sessions(struct bulla_ledger *ledger, const bulla_digest *instance, bulla_rc why,
	int64_t now_ms);

/* Sessions of this instance (NULL: all) lapse at by_ms at the latest: who wants more attests again before. */
BULLA_CHECK bulla_rc bulla_ledger_demand(struct bulla_ledger *ledger, const bulla_digest *instance, int64_t by_ms,
	int64_t now_ms);

/* Any record of broker/'s own tables (EPOCH, BIRTH), in order with the ledger's. *ret_lsn: its sequence. */
BULLA_CHECK bulla_rc bulla_ledger_append(struct bulla_ledger *ledger, uint8_t type, bulla_bytes body,
	uint64_t *ret_lsn);

/* Does somebody wait for the records that the next bulla_ledger_turn takes? Nobody does for STORED: losing it loses space. */
bool bulla_ledger_hurries(const struct bulla_ledger *ledger);

/* Takes the records gathered since the last call: framed, valid until the next change. *ret_count 0: nothing to write.
 * *ret_lsn: what replies made so far wait for: everything below it must be durable. */
void bulla_ledger_turn(struct bulla_ledger *ledger, bulla_bytes *ret_records, uint32_t *ret_count, uint64_t *ret_lsn);

/* Commits that no token covered yet and that are durable, at most `capacity`; each is given once. Fills in the head. */
struct bulla_ledger_commit {
	struct bulla_token token;
};
size_t bulla_ledger_tokens(struct bulla_ledger *ledger, struct bulla_ledger_commit *ret, size_t capacity);

/* Sequence of the next record. */
uint64_t bulla_ledger_sequence(const struct bulla_ledger *ledger);

/* When the newest entry was made, by the broker's clock; 0: there is none. */
uint64_t bulla_ledger_time(const struct bulla_ledger *ledger);

struct bulla_ledger_counts {
	uint64_t runs, permits, commits, refusals;
	uint32_t resident, open;
};
/* As they stand now. */
void bulla_ledger_count(const struct bulla_ledger *ledger, struct bulla_ledger_counts *ret);

/* What the ledger holds of a slot; for SYNC and for the simulator's invariants. */
struct bulla_ledger_slot_view {
	uint32_t step, item, attempt; /* the last attempt; 0: none */
	bool open, filled;
	bulla_digest receipt; /* filled */
	uint8_t outcome;
	uint64_t sequence;
	bulla_bytes escrow;
};
/* Slots of a run in the order of their first permit; *cursor starts at 0. BULLA_E_NOT_FOUND after the last,
 * BULLA_E_RUN_UNKNOWN. */
BULLA_CHECK bulla_rc bulla_ledger_slot_next(struct bulla_ledger *ledger, const bulla_run_id *run, uint32_t *cursor,
	struct bulla_ledger_slot_view *ret);

/* State of a run (enum bulla_run_state); 0: unknown. */
uint8_t bulla_ledger_run_state(struct bulla_ledger *ledger, const bulla_run_id *run);

/* Does it go on? Never reads the journal: runs that go on are in memory. */
bool bulla_ledger_run_is_open(const struct bulla_ledger *ledger, const bulla_run_id *run);
