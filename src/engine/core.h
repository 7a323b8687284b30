#pragma once
/* The host's engine as a pure machine (engine.md sections 3, 4, 6): no I/O, no clock, no thread. Inputs go in through
 * bulla_engine_step, effects come out through a table that the owner gives: real ones in bullad, virtual ones in the
 * simulator. Everything of one turn (several inputs, then TURN) is gathered: one journal submission, one ADVANCE frame
 * to the broker, one STORED frame per enclave.
 *
 * Guarantees (engine.md section 3): G1 acknowledged => record durable; G2 what acts outside is dispatched => its causes
 * durable (no step does yet); G3 commit sent => run durable, result durable or in escrow; G4 permits are asked with or after
 * the parents' commits; G5 at least once, commit once. */
#include "base/bytes.h"
#include "base/limits.h"
#include "journal/format.h"
#include "receipt/position.h"
#include "wire/ops.h"

struct bulla_engine;

/* A connection, numbered by the owner: never 0, a number is not used again, and its last 10 bits are a place that no
 * other live connection has (at most BULLA_MAX_PEERS connections). */
typedef uint32_t bulla_engine_peer;

/* Where a durable record is. */
struct bulla_engine_place {
	uint32_t segment;
	uint32_t offset; /* bytes into the segment's file: of the record's header */
	uint32_t bytes;  /* header and body */
};

/* --- records of the host's journal; the numbers are engine.md section 4's, bodies: engine/records.h --- */
enum bulla_engine_record {
	BULLA_HOST_STARTED = 1,
	BULLA_HOST_RESULT = 2,
	BULLA_HOST_GIVEN_UP = 3,
	BULLA_HOST_TOKENS = 4,
	BULLA_HOST_ORDER = 5,
	BULLA_HOST_OBJECT = 6,
	BULLA_HOST_CLOSED = 7,
	BULLA_HOST_COPIED = 8,
};

/* --- questions to the librarian, which owns the catalogue (engine.md section 5) --- */
enum bulla_engine_question {
	/* ask */
	BULLA_ENGINE_FIND_RUN = 1, /* arg: run id. LOADED body: struct of engine/records.h `row`; BULLA_E_NOT_FOUND */
	BULLA_ENGINE_LOAD_RUN,     /* arg: run id. body: bulla_spans_sum (engine/spans.h); BULLA_E_NOT_FOUND */
	BULLA_ENGINE_LOAD_SPANS,   /* arg: run_no u64le, spans as in a row. body: these framed records, in order */
	BULLA_ENGINE_LIST_RUNS,    /* arg: a `list` message. body: a `listing` message of ended runs, newest first */
	BULLA_ENGINE_INDEX_RUN,    /* arg: run id. body: bulla_spans_index; BULLA_E_NOT_FOUND */
	BULLA_ENGINE_SUM_SPANS,    /* arg: as of LOAD_SPANS. body: as of LOAD_RUN; of a run that goes on */
	/* tell */
	BULLA_ENGINE_PUT_ROW,    /* arg: row of a run that ended */
	BULLA_ENGINE_PUT_OBJECT, /* arg: an `object` message */
};

/* For logs and metrics. */
enum bulla_engine_note {
	BULLA_NOTE_RUN_STUCK = 1,    /* number: run_no */
	BULLA_NOTE_INSTANCE_LOST,    /* peer */
	BULLA_NOTE_INSTANCE_REFUSED, /* a bulla_rc of the broker */
	BULLA_NOTE_BROKER_DOWN,
	BULLA_NOTE_BROKER_UP,
	BULLA_NOTE_BAD_MESSAGE, /* op */
	BULLA_NOTE_SYNCED,      /* runs reconciled */
};

/* --- inputs --- */
enum bulla_engine_input_kind {
	BULLA_ENGINE_PEER_UP = 1, /* peer, role: HELLO is done */
	BULLA_ENGINE_PEER_DOWN,   /* peer */
	BULLA_ENGINE_FRAME,       /* peer, op, flags, stream, body: whole messages (chunks joined) */
	BULLA_ENGINE_DURABLE,     /* the oldest submission that was not durable now is: lsn and place of its first record */
	BULLA_ENGINE_TIME,        /* now_ms; at least at the time that arm asked for */
	BULLA_ENGINE_LOADED,      /* answer of the librarian: ticket, rc, body */
	BULLA_ENGINE_TURN,        /* end of a turn: gathered effects go out. now_ms, backlog, has_room */
};

struct bulla_engine_input {
	enum bulla_engine_input_kind kind;
	bulla_engine_peer peer;
	enum bulla_role role;
	uint8_t op;       /* enum bulla_op_number */
	uint16_t flags;   /* BULLA_ENGINE_REPLY | _ERROR | _EVENT */
	uint32_t stream;
	bulla_bytes body; /* borrowed during the call */
	uint64_t lsn;
	struct bulla_engine_place place;
	int64_t now_ms;   /* of a clock that only goes on: timers and deadlines; never less than before */
	int64_t wall_ms;  /* Unix ms, as people have it: dates in records; may be set, forth and back. 0: now_ms */
	uint64_t ticket;
	enum bulla_engine_question question; /* LOADED: the one that was asked */
	bulla_rc rc;
	size_t backlog;   /* bytes submitted to the journal and not durable */
	bool has_room;    /* the journal has a spare segment */
};

#define BULLA_ENGINE_REPLY 1U  /* as BULLA_FRAME_REPLY */
#define BULLA_ENGINE_ERROR 2U  /* as BULLA_FRAME_ERROR */
#define BULLA_ENGINE_EVENT 16U /* as BULLA_FRAME_EVENT */

/* --- effects; views are valid during the call only; none may enter the engine again: what it causes is an input of later --- */
struct bulla_engine_effects {
	void *ctx;
	/* A request of the engine's: to an enclave or the broker. BULLA_E_BUSY: the other side's window is full, the engine
	 * tries again later. Other errors: the connection is ending; PEER_DOWN follows. */
	bulla_rc (*call)(void *ctx, bulla_engine_peer peer, enum bulla_op_number op, uint32_t stream, bulla_bytes body);
	/* Final answers to a peer's request, and events before. Errors are of no interest: PEER_DOWN follows. */
	void (*reply)(void *ctx, bulla_engine_peer peer, enum bulla_op_number op, uint32_t stream, bulla_bytes body);
	void (*event)(void *ctx, bulla_engine_peer peer, enum bulla_op_number op, uint32_t stream, bulla_bytes body);
	void (*error)(void *ctx, bulla_engine_peer peer, enum bulla_op_number op, uint32_t stream, bulla_rc rc,
		uint64_t retry_ms);
	/* Submits count framed records (journal/format.h); DURABLE answers each submission, in order. An error is final. No
	 * record, urgent: what was submitted before is urgent from now on, and there is no answer. */
	bulla_rc (*append)(void *ctx, bulla_bytes records, uint32_t count, bool urgent);
	/* Wake me with TIME at due_ms (INT64_MAX: no need). The newest call counts. */
	void (*arm)(void *ctx, int64_t due_ms);
	/* Asks the librarian; LOADED with this ticket answers. BULLA_E_BUSY: too many questions. */
	bulla_rc (*ask)(void *ctx, uint64_t ticket, enum bulla_engine_question question, bulla_bytes arg);
	/* Tells the librarian: no answer. Order is kept. BULLA_E_BUSY: its queue is full, the engine tells later. */
	bulla_rc (*tell)(void *ctx, enum bulla_engine_question question, bulla_bytes arg);
	/* An event for the log. */
	void (*note)(void *ctx, enum bulla_engine_note note, uint64_t number);
};

struct bulla_engine_options {
	uint32_t residents;   /* runs in memory at once, at most BULLA_MAX_RUN_RESIDENT; 0: that */
	uint32_t closed_kept; /* ended runs that stay in memory for late questions; 0: 64 */
	uint64_t next_run_no; /* above every run_no that the catalogue knows; at least 1 */
	int64_t now_ms, wall_ms; /* as in inputs */
	int64_t park_ms; /* a run idle for so long leaves its records to the journal; 0: 10 minutes */
	uint32_t escrow_runs; /* open runs up to which commits carry their results; 0: 32 */
	uint32_t facts_max; /* of a run; 0: BULLA_MAX_FLOW_FACTS */
	size_t load_bytes;  /* of records read back at once; 0: 1 MiB */
	size_t piece_bytes; /* of a bundle that are sent at once, and the rest of the item that they end in; 0: 64 KiB */
};

/* options and effects are copied; effects->ctx outlives the engine. BULLA_E_MEMORY. */
BULLA_CHECK bulla_rc bulla_engine_new(const struct bulla_engine_options *options,
	const struct bulla_engine_effects *effects, struct bulla_engine **ret);
struct bulla_engine *bulla_engine_free(struct bulla_engine *engine);

/* The manifest in force and its approvals (PUT_MANIFEST's content; also at start, before replay). Kept as copies. A
 * manifest that is there already, or an older epoch that runs still use, is no error. BULLA_E_FORMAT and so on. */
BULLA_CHECK bulla_rc bulla_engine_manifest(struct bulla_engine *engine, bulla_bytes manifest,
	const bulla_bytes *approvals, size_t count);

/* --- before the first step: what was stored --- */
/* A stored object; an `object` message. */
BULLA_CHECK bulla_rc bulla_engine_recall_object(struct bulla_engine *engine, bulla_bytes object);
/* The id of an ended run, so that its number is not given to another start. */
void bulla_engine_recall_run(struct bulla_engine *engine, const bulla_run_id *run);
/* Each record of the journal from bulla_engine_replay_lsn (as the catalogue has it) on, in order. BULLA_E_CORRUPT: not
 * what this engine writes; BULLA_E_VERSION: unknown record type. */
BULLA_CHECK bulla_rc bulla_engine_replay(struct bulla_engine *engine, const struct bulla_journal_record *record,
	struct bulla_engine_place place);

/* One input. An error is final (memory, journal): the program ends and recovers. Hostile or odd frames are no errors:
 * they are answered or noted. */
BULLA_CHECK bulla_rc bulla_engine_step(struct bulla_engine *engine, const struct bulla_engine_input *input);

/* The lsn from which a restart has to replay: everything before it is in the catalogue. */
uint64_t bulla_engine_replay_lsn(const struct bulla_engine *engine);

/* No new starts, no new permits; true when nothing is under way in enclaves or on its way to the journal. */
void bulla_engine_drain(struct bulla_engine *engine);
bool bulla_engine_idle(const struct bulla_engine *engine);

/* For tests and metrics. */
struct bulla_engine_counts {
	uint64_t started, done, failed, steps, retries, lost;
	uint32_t resident, open, waiting, parked;
};
void bulla_engine_count(const struct bulla_engine *engine, struct bulla_engine_counts *ret);
