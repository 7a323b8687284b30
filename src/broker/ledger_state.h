#pragma once
/* Inside broker/ledger*: what the ledger has in memory, and its tables. */
#include "broker/ledger_fact.h"
#include "broker/ledger_index.h"
#include "broker/ledger_pool.h"
#include "broker/ledger_queue.h"
#include "flow/parents.h"

#define LEDGER_SMALL_FLOW 8 /* slots of a fold that comes from a pool */

/* One entry of a run's record; also the memory of attempts that ended. */
struct ledger_row {
	uint32_t next;
	struct bulla_entry entry;
};

struct ledger_escrow {
	struct ledger_escrow *free_next;
	struct bulla_buf bytes;
};

/* A slot that ever had a permit or a receipt. */
struct ledger_slot {
	uint32_t next_hash, next_in_run;
	uint32_t run; /* number in the pool */
	uint32_t step, item;
	uint32_t attempt; /* last one opened; 0: none */
	uint32_t tries_left;
	bool open, filled;
	uint8_t outcome;                          /* of the receipt that filled it */
	uint8_t session[BULLA_SESSION_ID_BYTES];  /* of the open attempt's permit */
	bulla_digest instance, parents;           /* the same: kid, root */
	uint64_t time_ms, expires_ms;             /* the same */
	uint64_t permit_sequence;                 /* the same */
	bulla_digest receipt;                     /* filled */
	uint64_t sequence, filled_ms;             /* filled: of the commit */
	struct ledger_escrow *escrow;             /* NULL: none, or stored */
};

struct ledger_run {
	uint32_t next_hash, next_number;
	uint32_t number; /* in the pool */
	bulla_run_id id;
	uint64_t run_no;
	uint32_t seq; /* of the next record */
	struct bulla_start start; /* no views kept: inputs, lengths, links, secret are empty */
	bulla_digest start_digest;
	uint64_t epoch;
	const struct bulla_flow *flow;
	struct bulla_flow_run fold;
	uint32_t small_slots;         /* number in the pool; 0: fold.slots is from bulla_alloc */
	uint32_t first_row, last_row, row_count;
	uint32_t first_slot, last_slot;
	uint32_t open; /* attempts */
	bool cancelled;
	/* leaving memory: ledger_park.c */
	bool listed; /* among the closed ones */
	uint32_t next_closed, first_page, last_page;
	uint64_t last_lsn;
};

struct ledger_session {
	uint8_t id[BULLA_SESSION_ID_BYTES];
	bulla_digest instance, manifest, image;
	uint64_t epoch;
	int64_t lapses_ms;
	bool used;
	uint8_t ended; /* ledger_ending_of, 0: it stands */
	uint16_t agent_count;
	bulla_handle *agents;
};

/* A revocation in force; order.subject is a view of sign1. */
struct ledger_revocation {
	struct bulla_buf sign1;
	struct bulla_order order;
	struct bulla_entry entry;
};

/* A commit that waits for its token. */
struct ledger_pending {
	struct bulla_token token;
};

/* Records whose place is not known yet, in order. */
struct ledger_touch {
	uint64_t lsn;
	uint32_t run;
};

#define LEDGER_TOUCHES 65536u
#define LEDGER_RECORD_PAGE 1024u
#define LEDGER_CLOSED_KEPT 256u /* where the options name no number */

struct bulla_ledger {
	struct bulla_ledger_world world;
	struct ledger_pool runs, slots, rows, small;
	uint32_t *run_hash, *number_hash, *slot_hash; /* number_hash: by run_no, the size of run_hash */
	uint32_t run_mask, slot_mask;
	struct ledger_session *sessions;
	uint32_t session_count;
	struct ledger_revocation *revocations; /* BULLA_MAX_REVOCATIONS, in the ledger's order */
	uint32_t revocation_count;
	struct ledger_escrow *escrow_free;
	uint64_t next_run_no, next_lsn, durable_lsn, placed_lsn;
	struct ledger_queue touches; /* of struct ledger_touch; at most LEDGER_TOUCHES */
	struct ledger_index index;
	uint32_t first_closed, last_closed, closed_count, closed_kept;
	uint32_t record_page;
	bulla_digest head; /* chain of the last durable batch */
	uint64_t last_ms;  /* of the newest entry: entries never go back in time, whatever the machine's clock does */
	/* the turn */
	struct bulla_buf records, body;
	uint32_t record_count;
	bool hurry; /* somebody waits for one of them */
	struct ledger_queue pending; /* of struct ledger_pending, in order of sequence; at most LEDGER_PENDING */
	struct bulla_ledger_counts counts;
	/* scratch of one question: as locals, lists of this length would be zeroed at every call */
	struct {
		struct bulla_flow_parent list[BULLA_MAX_PARENTS];
		bulla_digest digests[BULLA_MAX_PARENTS], named[BULLA_MAX_PARENTS];
		bulla_bytes items[BULLA_MAX_PARENTS];
	} parents;
	/* scratch of one answer */
	struct bulla_buf permit, receipts, answer, items;
};

#define LEDGER_PENDING 4096u

/* Fills all of the ledger. BULLA_E_MEMORY; done in any case. */
BULLA_CHECK bulla_rc ledger_state_init(struct bulla_ledger *ledger, const struct bulla_ledger_options *options);
void ledger_state_done(struct bulla_ledger *ledger);

/* NULL: none. */
struct ledger_run *ledger_run_find(const struct bulla_ledger *ledger, const bulla_run_id *id);
struct ledger_run *ledger_run_numbered(const struct bulla_ledger *ledger, uint64_t run_no);
struct ledger_slot *ledger_slot_find(const struct bulla_ledger *ledger, const struct ledger_run *run, uint32_t step,
	uint32_t item);
struct ledger_session *ledger_session_find(const struct bulla_ledger *ledger, const uint8_t id[BULLA_SESSION_ID_BYTES]);
bool ledger_session_hosts(const struct ledger_session *session, const bulla_handle *agent);

/* New ones; nothing changes on failure. */
BULLA_CHECK bulla_rc ledger_run_add(struct bulla_ledger *ledger, const bulla_run_id *id, const struct bulla_flow *flow,
	struct ledger_run **ret);
BULLA_CHECK bulla_rc ledger_slot_add(struct bulla_ledger *ledger, struct ledger_run *run, uint32_t step, uint32_t item,
	struct ledger_slot **ret);
BULLA_CHECK bulla_rc ledger_row_add(struct bulla_ledger *ledger, struct ledger_run *run, const struct bulla_entry *entry);

/* The entry of an attempt that ended in a receipt / that was given up; NULL: it did not. */
const struct bulla_entry *ledger_entry_of(const struct bulla_ledger *ledger, const struct ledger_run *run, uint32_t step,
	uint32_t item, uint32_t attempt, bool with_receipt);

/* Keeps a copy of these bytes / lets it go. */
BULLA_CHECK bulla_rc ledger_escrow_keep(struct bulla_ledger *ledger, struct ledger_slot *slot, bulla_bytes bytes);
void ledger_escrow_drop(struct bulla_ledger *ledger, struct ledger_slot *slot);

/* Takes a run out of memory with all that belongs to it. */
void ledger_run_remove(struct bulla_ledger *ledger, struct ledger_run *run);

/* --- ledger_park.c --- */

/* After each record of a run: remembers that its place is wanted; notes runs that have ended. */
BULLA_CHECK bulla_rc ledger_touch(struct bulla_ledger *ledger, struct ledger_run *run, uint64_t lsn);

/* The run, from memory or from the journal; NULL: there is none. Errors: the journal cannot be read. */
BULLA_CHECK bulla_rc ledger_run_get(struct bulla_ledger *ledger, const bulla_run_id *id, struct ledger_run **ret);

/* --- ledger_revoke.c --- */
/* BULLA_E_REVOKED: the instance behind this session may not run this step. */
BULLA_CHECK bulla_rc ledger_check_revoked(const struct bulla_ledger *ledger, const struct ledger_run *run,
	const struct ledger_session *session, uint32_t step);

/* --- ledger_say.c --- */

/* A new fact comes to be, with its record: numbers it, applies it, gathers the record. entry.sequence and entry.time_ms are
 * filled in. run NULL: a RUN, SESSION or other record of no run. On failure nothing has changed, but for BULLA_E_MEMORY. */
BULLA_CHECK bulla_rc ledger_say(struct bulla_ledger *ledger, struct ledger_run *run, struct ledger_fact *fact,
	int64_t now_ms);

/* --- ledger_apply.c --- */

/* A fact comes to be: what a record says is done to memory. Used when it is new and when it is replayed. */
BULLA_CHECK bulla_rc ledger_apply(struct bulla_ledger *ledger, struct ledger_run *run, const struct ledger_fact *fact);

/* The same for a run's own first record, which makes the run. */
BULLA_CHECK bulla_rc ledger_apply_run(struct bulla_ledger *ledger, const struct ledger_fact *fact,
	struct ledger_run **ret);

/* The same while the journal is read: whichever of the two the record asks for. */
BULLA_CHECK bulla_rc ledger_replay_fact(struct bulla_ledger *ledger, struct ledger_run *run,
	const struct ledger_fact *fact);

/* The token of a filled slot is wanted once more. */
void ledger_token_again(struct bulla_ledger *ledger, const struct ledger_run *run, const struct ledger_slot *slot);

/* --- ledger_rules.c: check, then say --- */
BULLA_CHECK bulla_rc ledger_start(struct bulla_ledger *ledger, const bulla_run_id *id, bulla_bytes record, int64_t now_ms,
	bool may_start);
BULLA_CHECK bulla_rc ledger_commit(struct bulla_ledger *ledger, struct ledger_run *run, bulla_bytes commit,
	bulla_bytes escrow, int64_t now_ms, uint64_t *ret_sequence, bool *ret_filled);
BULLA_CHECK bulla_rc ledger_permit(struct bulla_ledger *ledger, struct ledger_run *run, bulla_bytes ask, int64_t now_ms,
	struct bulla_buf *ret_permit);
BULLA_CHECK bulla_rc ledger_give_up(struct bulla_ledger *ledger, struct ledger_run *run, bulla_bytes slot_ref,
	int64_t now_ms);
BULLA_CHECK bulla_rc ledger_clock(struct bulla_ledger *ledger, struct ledger_run *run, bulla_bytes slot_ref,
	int64_t now_ms, struct bulla_buf *ret_receipt);
BULLA_CHECK bulla_rc ledger_order(struct bulla_ledger *ledger, struct ledger_run *run, bulla_bytes order, int64_t now_ms);
BULLA_CHECK bulla_rc ledger_stored(struct bulla_ledger *ledger, struct ledger_run *run, bulla_bytes slot_ref,
	int64_t now_ms);
