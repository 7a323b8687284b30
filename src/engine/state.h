#pragma once
/* Inside of the engine's core: its state, shared by the files of this folder that make it up. Nobody else includes it.
 *
 *   core.c    inputs, turns            book.c    history: facts, records, ends of runs
 *   runs.c    runs, names, numbers     runner.c  one step to its committed receipt: instances, permits, commits
 *   objects.c links, records           advance.c messages to and from the broker
 *   enclave.c what enclaves answer     client.c  starting and waiting
 *   api.c     other operations         result.c  answers made of a run's records
 *   replay.c  recovery                     park.c    idle runs
 *   projects.c manifests                   bundle.c  bundles in the making, bundle_items.c what is in them
 *   spans.c   records read back            records.c bodies of records */
#include "engine/core.h"
#include "engine/pool.h"
#include "engine/records.h"
#include "flow/flow.h"
#include "flow/parents.h"
#include "manifest/manifest.h"

#define NO_REF UINT32_MAX
#define STEP_BITS 12
#define MANIFESTS_MAX BULLA_MAX_MANIFESTS_OPEN
#define INSTANCES_MAX 128
#define INSTANCE_OPEN 256
#define INSTANCE_AGENTS 16
#define PENDING_MAX 1024 /* questions under way */
#define ADVANCE_RUNS 256 /* runs in one ADVANCE frame */
#define SPECULATE_SLOTS 64

/* A slot of a resident run: run index and step. (for_each: items will need a wider one.) */
typedef uint32_t ref;

/* Where the engine is with a slot that the fold wants. */
enum phase {
	IDLE = 0,
	BACKOFF,    /* its time has not come */
	QUEUED,     /* waits for an instance */
	ASKED,      /* waits for a permit */
	PERMITTED,  /* has one; waits for the instance's window or for its causes to be durable */
	RUNNING,    /* in the enclave */
	WRITING,    /* result on its way to the journal */
	COMMITTING, /* durable; waits for the ledger */
	LIMBO,      /* after a restart: open in the ledger, perhaps still in an enclave */
	CLOCKED,    /* waits for the broker's clock */
	COMMITTED,
	LOADING,    /* an instance has room; the parked run's records are on their way back */
};

struct work {
	uint8_t phase; /* enum phase */
	uint8_t outcome;
	bool speculated; /* the permit was asked with the parent's commit: the fold does not want the slot yet */
	bool tell_lost;  /* the attempt before this one is to be given up at the broker */
	bool advancing;  /* in the list of the next ADVANCE */
	bool need_sent;  /* the enclave asked for objects once */
	bool durable;    /* result is in the journal for good */
	bool escrowed;   /* the broker got the result with its commit, and was not yet told that it is stored here */
	uint8_t instance; /* index + 1: a place is reserved there, from ASKED until the answer */
	uint8_t source;   /* index + 1: where the result came from */
	uint8_t open;     /* index in the instance's open table, while RUNNING */
	uint8_t ask;      /* counts what was asked of the broker: answers to older questions are ignored */
	uint32_t attempt;
	ref next;         /* queue of its agent or instance */
	ref speculation;  /* the slot whose permit was asked together with this commit */
	struct bulla_block *permit, *result, *token; /* result: body of RESULT */
	bulla_digest receipt, maker;                 /* of result: digest, kid of who signed it */
	int64_t since_ms; /* RUNNING: dispatched */
	int64_t deadline_ms;
};

/* Somebody who waits for a run. */
struct waiter {
	bulla_engine_peer peer;
	uint32_t stream, next; /* next: in engine->waiters, NO_REF at the end */
	uint8_t op;            /* of the reply */
	bool follow, on_start; /* on_start: is answered when STARTED is durable */
};

struct run {
	bulla_run_id id;
	uint64_t run_no;
	uint32_t generation, next_hash, next_number;
	uint8_t used;          /* 0: free place, 1: resident, 2: ended and kept for questions */
	bool start_durable, start_known; /* start_known: the ledger has the start record */
	bool unsynced;         /* recovered: the ledger's view is not known yet */
	bool recorded;         /* CLOSED is on its way to the journal */
	bool needs_token, sync_asked;
	bool parked, loading;  /* its records are only in the journal; asked for them */
	bool finish_due;       /* it ended while it was parked */
	bool new_objects;      /* its start or a result brought some: later runs find them carried, or are asked by NEED */
	uint16_t manifest, workflow; /* in engine->manifests, and there */
	uint16_t steps_done;
	bulla_rc why;          /* why it was aborted */
	uint32_t seq, waiters; /* seq: next record */
	uint32_t older, newer; /* list of kept ones, or of open ones */
	uint64_t first_lsn;
	int64_t touched_ms;    /* something of it went on */
	bulla_digest start;    /* digest of the start record */
	struct bulla_block *started, *memory, *spans;
	uint32_t span_count, loaded; /* loaded: of them, while a parked run comes back */
	struct bulla_flow_run fold;
	struct work *works;    /* in memory, after the fold's slots */
};

struct agent {
	bulla_handle handle;
	ref head, tail; /* slots that wait for an instance */
	uint32_t count;
};

struct open_step {
	uint32_t stream;
	ref ref;
	uint32_t generation; /* of the run; 0: free */
};

struct instance {
	bulla_engine_peer peer; /* 0: free place */
	bool usable;            /* INSTANCE came and the broker did not refuse it */
	bulla_rc why;
	bulla_digest kid, manifest;
	uint8_t session[16];
	uint16_t agents[INSTANCE_AGENTS];
	bulla_handle handles[INSTANCE_AGENTS];
	uint32_t agent_count, window, reserved, open_count, stream;
	int64_t reattest_ms;
	struct open_step open[INSTANCE_OPEN];
	ref head, tail; /* permitted, waiting for the window */
	bulla_digest stored[INSTANCE_OPEN]; /* to be told */
	uint32_t stored_count;
	int64_t stored_ms; /* since when the first of them waits */
	bool sent;         /* a step, this turn */
	int64_t idle_ms;   /* since when it is of an old epoch without open runs; 0: it is not */
};

struct object {
	uint8_t kind, id_size;
	uint8_t id[32];
	bulla_digest maker; /* kid of the instance that made a link; zero: a party */
	uint32_t next_hash;
	struct bulla_block *body;
};

struct peer {
	bulla_engine_peer id; /* 0: free */
	enum bulla_role role;
	uint64_t *carried;    /* bit per object */
	uint8_t (*start_links)[16]; /* CARRIED_LINKS: ids of starters' links, each in the place of its first byte */
};

struct workflow {
	struct bulla_flow flow;
	void *memory;
	bulla_digest digest;
	uint16_t *agent_of; /* engine->agents per actor */
};

struct project {
	struct bulla_block *bytes; /* put_manifest message */
	struct bulla_manifest manifest;
	struct workflow *workflows;
	uint32_t runs; /* resident ones of it */
	bool used;
};

/* What becomes durable with a submission. */
struct pending_record {
	uint32_t run, generation, offset, bytes;
	uint32_t attempt;
	uint16_t step;
	uint8_t type;
	bool last;   /* of its submission */
	bool urgent; /* and that one's */
};

/* A question under way: to the librarian, or to the broker on behalf of a client. */
struct question {
	uint64_t ticket; /* 0: free */
	bulla_engine_peer peer;
	uint32_t stream;
	uint8_t op;
	bulla_run_id run;          /* of a START that is looked up, of a parked run */
	uint32_t count;            /* records of it that were asked for */
	bool at_broker;            /* else the librarian has it */
	struct bulla_block *body;  /* the client's request */
};

struct timer {
	int64_t due_ms;
	uint64_t run_no;
	ref ref;
	uint32_t generation, attempt;
};

struct pointer_list {
	ref *items;
	uint32_t *generations;
	uint32_t count, capacity;
};

/* Memory of one function at a time: as locals it would be zeroed at every call, which cost more than what is done there. */
#define PARCEL_OBJECTS 64
#define PARCEL_LINKS 16     /* of them a starter's */
struct scratch {
	/* runner_send */
	bulla_bytes parents[BULLA_MAX_PARENTS], envelopes[BULLA_MAX_FLOW_INPUTS], objects[PARCEL_OBJECTS];
	bulla_digest makers[BULLA_MAX_PARENTS]; /* who signed the parents; zero: a party */
	uint8_t maker_of[BULLA_MAX_FLOW_INPUTS];
	struct bulla_pb_list lists[BULLA_MAX_PARENTS];
	struct bulla_flow_binding bindings[BULLA_MAX_FLOW_INPUTS];
	/* the same, and questions for permits */
	struct bulla_flow_parent flow_parents[BULLA_MAX_PARENTS];
	bulla_bytes digests[BULLA_MAX_PARENTS];
	uint8_t ask[4096];
	struct bulla_flow_slot slots[SPECULATE_SLOTS];
	/* advance_flush */
	size_t ends[ADVANCE_RUNS];
	bulla_bytes items[ADVANCE_RUNS];
};

struct bulla_engine {
	struct bulla_engine_effects effects;
	struct bulla_engine_options options;
	struct bulla_pool pool;
	int64_t now_ms, wall_ms; /* bulla_engine_input */
	size_t backlog;
	bool has_room, draining, replaying, stepping;

	struct run **chunks; /* RUN_CHUNK runs each */
	uint32_t *run_hash;
	uint32_t run_count, free_run; /* places ever made; list of free ones through next_hash */
	uint32_t newest, oldest;      /* open runs, by start */
	uint32_t newest_kept, oldest_kept, kept_count;
	uint64_t next_run_no;
	uint64_t *bloom;

	struct agent agents[BULLA_MAX_AGENTS];
	uint32_t agent_count;
	struct instance *instances;
	uint32_t instance_count; /* places ever used */
	struct {
		bulla_bytes *results, *tokens, *events;
		size_t *ends;
		size_t capacity;
	} history; /* memory of the one history that is looked at; grows with the longest run */
	struct project projects[MANIFESTS_MAX];
	bulla_digest newest_manifest;
	uint64_t newest_epoch;

	struct object *objects;
	uint32_t object_count;
	uint32_t *object_hash;
	struct peer peers[BULLA_MAX_PEERS];

	struct waiter *waiters;
	uint32_t waiter_capacity, free_waiter;
	struct question questions[PENDING_MAX];
	struct bundle *bundles[BULLA_MAX_BUNDLES]; /* in the making; NULL: free */
	uint64_t next_ticket;

	/* broker */
	bulla_engine_peer broker;
	uint32_t broker_stream;
	struct pointer_list advancing;
	struct bulla_block *keys; /* newest keys_reply */
	uint32_t syncing;         /* SYNC frames under way */
	int64_t again_ms;         /* everything that waits for the broker is asked again then; 0: no need */
	int64_t limbo_until_ms;
	bool have_limbo;

	/* journal */
	struct bulla_buf journal; /* records of this turn */
	uint32_t journal_count;
	bool journal_urgent;
	bool journal_hurry; /* what was submitted is waited for now */
	uint32_t submissions, urgent_submissions; /* not durable yet */
	struct pending_record *pending;
	uint32_t pending_head, pending_count, pending_capacity;
	uint64_t durable_lsn, next_lsn;
	uint32_t objects_pending; /* OBJECT records that are not durable yet */

	struct timer *timers;
	uint32_t timer_count, timer_capacity;

	struct bulla_buf out, scratch; /* of one message */
	struct scratch local;
	uint32_t *replay_numbers; /* while replaying: chains of runs (index + 1) by number */
	uint64_t replay_last;     /* highest number */
	struct bulla_engine_counts counts;
	int64_t parked_ms;  /* idle runs were looked for */
	int64_t checked_ms; /* deadlines of running steps were looked at */
};

/* --- runs.c --- */
struct run *run_at(struct bulla_engine *e, uint32_t index);
static inline ref ref_of(uint32_t run, uint16_t step)
{
	return run << STEP_BITS | step;
}
static inline uint32_t run_of(ref r)
{
	return r >> STEP_BITS;
}
static inline uint16_t step_of(ref r)
{
	return (uint16_t)(r & ((1U << STEP_BITS) - 1));
}
static inline struct run *run_by_ref(struct bulla_engine *e, ref r)
{
	return run_at(e, run_of(r));
}
static inline struct work *work_at(struct bulla_engine *e, ref r)
{
	return &run_by_ref(e, r)->works[step_of(r)];
}
BULLA_CHECK bulla_rc runs_init(struct bulla_engine *e);
void runs_done(struct bulla_engine *e);
uint32_t run_find(struct bulla_engine *e, const bulla_run_id *id); /* NO_REF: not resident */
BULLA_CHECK bulla_rc run_new(struct bulla_engine *e, const bulla_run_id *id, uint16_t project, uint16_t workflow,
	uint32_t *ret);
bool run_forget(struct bulla_engine *e); /* the oldest kept one; false: there is none */
void run_keep(struct bulla_engine *e, uint32_t index); /* from open to kept; the oldest kept one goes */
const struct workflow *run_workflow(const struct bulla_engine *e, const struct run *run);
const struct bulla_flow *run_flow(const struct bulla_engine *e, const struct run *run);
BULLA_CHECK bulla_rc run_span(struct bulla_engine *e, struct run *run, struct bulla_engine_place place);
bool bloom_has(const struct bulla_engine *e, const bulla_run_id *id);
void bloom_add(struct bulla_engine *e, const bulla_run_id *id);
BULLA_CHECK bulla_rc waiter_add(struct bulla_engine *e, struct run *run, const struct waiter *waiter);
void waiter_free(struct bulla_engine *e, uint32_t index);

/* --- objects.c --- */
#define NO_OBJECT UINT32_MAX
BULLA_CHECK bulla_rc objects_init(struct bulla_engine *e);
void objects_done(struct bulla_engine *e);
uint32_t object_find(const struct bulla_engine *e, uint8_t kind, bulla_bytes id);
/* Keeps a new object; *ret_new: it was not there. maker NULL: a party. */
BULLA_CHECK bulla_rc object_keep(struct bulla_engine *e, const struct bulla_msg_object *object,
	const bulla_digest *maker, bool *ret_new);
/* Keeps, and if new writes it to journal and catalogue. */
BULLA_CHECK bulla_rc object_learn(struct bulla_engine *e, const struct bulla_msg_object *object,
	const bulla_digest *maker);
/* Lists of `object` messages: the links that an enclave made, none is kept when one is odd; instance records that the broker
 * names. BULLA_E_FORMAT: another kind, or a link whose id is not its digest's. */
BULLA_CHECK bulla_rc links_learn(struct bulla_engine *e, const struct bulla_pb_list *list, const bulla_digest *maker);
BULLA_CHECK bulla_rc instances_learn(struct bulla_engine *e, const struct bulla_pb_list *list);
/* A starter's links stay with its run: STARTED holds them. BULLA_E_FORMAT, BULLA_E_LIMIT. */
BULLA_CHECK bulla_rc links_of_start(const struct bulla_pb_list *list);
bool object_carried(const struct bulla_engine *e, bulla_engine_peer peer, uint32_t object);
void object_mark_carried(struct bulla_engine *e, bulla_engine_peer peer, uint32_t object);
/* Collects encoded `object` messages for one frame. */
struct parcel {
	bulla_bytes links[PARCEL_LINKS]; /* `object` messages out of a run's start; what does not fit is asked for */
	size_t link_count;
	uint32_t objects[PARCEL_OBJECTS];
	size_t count;
};
/* Adds an object unless it was carried to this peer or is in the parcel. */
void parcel_add(const struct bulla_engine *e, struct parcel *parcel, bulla_engine_peer peer, uint32_t object);
/* Links of the run's starter that this envelope names. */
void parcel_add_start_links(struct bulla_engine *e, struct parcel *parcel, bulla_engine_peer peer, const struct run *run,
	bulla_bytes envelope);
/* The one with this id; false: the start brought none, or the parcel is full. */
bool parcel_add_start_link(struct parcel *parcel, const struct run *run, bulla_bytes id);
static inline size_t parcel_size(const struct parcel *parcel)
{
	return parcel->count + parcel->link_count;
}
/* The next link that an envelope names, of those that are known; *at is 0 before the first. NO_OBJECT: no more. */
uint32_t object_next_link(const struct bulla_engine *e, bulla_bytes envelope, size_t *at);
/* Links that this envelope names and the instance record of who made them. */
void parcel_add_links(const struct bulla_engine *e, struct parcel *parcel, bulla_engine_peer peer, bulla_bytes envelope,
	const bulla_digest *maker);
void parcel_add_instance(const struct bulla_engine *e, struct parcel *parcel, bulla_engine_peer peer,
	const bulla_digest *kid);
/* Encodes into blocks of views: writes the messages to buf, their views to ret_items[PARCEL_OBJECTS]; marks them as carried. */
BULLA_CHECK bulla_rc parcel_pack(struct bulla_engine *e, const struct parcel *parcel, bulla_engine_peer peer,
	struct bulla_block **ret_memory, bulla_bytes *ret_items);

/* --- projects.c --- */
/* The agent with this handle, known from now on: manifests and instances come in any order. */
uint16_t agent_index(struct bulla_engine *e, const uint8_t handle[8]);
/* Index in e->projects, decoded again from the objects if need be. BULLA_E_NOT_FOUND; BULLA_E_LIMIT. */
BULLA_CHECK bulla_rc project_find(struct bulla_engine *e, const bulla_digest *manifest, uint16_t *ret);
void projects_done(struct bulla_engine *e);

/* --- core.c --- */
struct peer *peer_of(struct bulla_engine *e, bulla_engine_peer id);
BULLA_CHECK bulla_rc timer_add(struct bulla_engine *e, int64_t due_ms, ref r, uint32_t attempt);
BULLA_CHECK bulla_rc list_add(struct pointer_list *list, ref r, uint32_t generation);
static inline struct bulla_buf *clear_buf(struct bulla_buf *buf)
{
	buf->n = 0;
	return buf;
}
struct question *question_new(struct bulla_engine *e, bulla_engine_peer peer, uint32_t stream, uint8_t op);
struct question *question_find(struct bulla_engine *e, uint64_t ticket);
void question_free(struct bulla_engine *e, struct question *q);

/* --- book.c: history --- */
/* Adds a record of the run to this turn's submission. */
BULLA_CHECK bulla_rc book_append(struct bulla_engine *e, uint32_t run, uint8_t type, uint16_t step, uint32_t attempt,
	bulla_bytes body, bool urgent);
BULLA_CHECK bulla_rc book_begin(struct bulla_engine *e, uint32_t run, int64_t at_ms);
/* The ledger took (or refused) the result of a slot. */
BULLA_CHECK bulla_rc book_committed(struct bulla_engine *e, ref r);
/* The broker's own receipt for a slot. BULLA_E_AGAIN: it is not for this one, or for another attempt of it. */
BULLA_CHECK bulla_rc book_clocked(struct bulla_engine *e, ref r, bulla_bytes receipt);
BULLA_CHECK bulla_rc book_lost(struct bulla_engine *e, ref r);
/* New commands of the run go to the runner; ends the run when it has ended. */
BULLA_CHECK bulla_rc book_decide(struct bulla_engine *e, uint32_t run);
/* How long from now until that date, which the fold gave. */
int64_t book_wait(struct bulla_engine *e, ref r, int64_t due_ms);
/* All outstanding commands, after recovery. */
BULLA_CHECK bulla_rc book_resume(struct bulla_engine *e, uint32_t run);
/* The broker said that the run is over, or refused its start. */
BULLA_CHECK bulla_rc book_abort(struct bulla_engine *e, uint32_t run, uint8_t state, bulla_rc why);
/* So does the ledger, of a run that has ended and waits for its token. */
BULLA_CHECK bulla_rc book_token_refused(struct bulla_engine *e, uint32_t run, bulla_rc why);
BULLA_CHECK bulla_rc book_durable(struct bulla_engine *e, uint64_t lsn, struct bulla_engine_place place);
BULLA_CHECK bulla_rc book_replayed(struct bulla_engine *e, const struct pending_record *record, uint64_t lsn,
	struct bulla_engine_place place);
BULLA_CHECK bulla_rc book_flush(struct bulla_engine *e);
BULLA_CHECK bulla_rc book_turn(struct bulla_engine *e); /* end of a turn: flushes, or waits for a batch under way */
BULLA_CHECK bulla_rc book_finish(struct bulla_engine *e, uint32_t run);
struct bulla_rec_closed book_closed(const struct bulla_engine *e, const struct run *run);
ref book_last(uint32_t index, const struct run *run); /* slot of the final receipt */
bulla_rc book_why(struct bulla_engine *e, const struct run *run);
void book_event(struct bulla_engine *e, ref r, enum bulla_step_state state);
bulla_rc book_ahead(struct bulla_engine *e, ref r); /* of a step whose result ends its run */

/* --- runner.c: one step to its committed receipt --- */
BULLA_CHECK bulla_rc runner_want(struct bulla_engine *e, ref r, uint32_t attempt, int64_t due_ms);
BULLA_CHECK bulla_rc runner_assign(struct bulla_engine *e, ref r);
bool runner_serves(struct bulla_engine *e, const struct run *run, uint16_t agent); /* however busy it is */
/* Why none does: BULLA_E_REVOKED, BULLA_E_UNREACHABLE; BULLA_OK when one does. */
bulla_rc runner_why(struct bulla_engine *e, const struct run *run, uint16_t agent);
struct instance *runner_pick(struct bulla_engine *e, const struct run *run, uint16_t agent);
void runner_release(struct bulla_engine *e, ref r);
BULLA_CHECK bulla_rc runner_permitted(struct bulla_engine *e, ref r, bulla_bytes permit);
BULLA_CHECK bulla_rc runner_retry(struct bulla_engine *e, ref r);
/* A start that is written at once and before its first step runs: a few dozen such, and a result of each, that nobody had
 * waited for would be the backlog that refuses more. */
static inline bool start_is_large(const struct run *run)
{
	return run->started != NULL && run->started->size > ((size_t)16 << 10);
}

/* A result that is in the journal or in escrow, of a run that is durable: its commit is asked for. */
BULLA_CHECK bulla_rc runner_commit(struct bulla_engine *e, ref r);
BULLA_CHECK bulla_rc runner_dispatch(struct bulla_engine *e, ref r);
/* A place in the instance's open table for the slot; BULLA_E_BUSY. EXECUTE with these objects on its stream. */
BULLA_CHECK bulla_rc runner_open(struct bulla_engine *e, ref r, struct instance *i);
BULLA_CHECK bulla_rc runner_send(struct bulla_engine *e, ref r, struct instance *i, struct parcel *parcel);
BULLA_CHECK bulla_rc runner_kick(struct bulla_engine *e, struct instance *i);
/* --- enclave.c: what enclaves answer and say --- */
BULLA_CHECK bulla_rc runner_stop(struct bulla_engine *e, ref r);
BULLA_CHECK bulla_rc runner_give_up(struct bulla_engine *e, ref r);
BULLA_CHECK bulla_rc runner_result_durable(struct bulla_engine *e, ref r, uint32_t attempt);
BULLA_CHECK bulla_rc runner_frame(struct bulla_engine *e, const struct bulla_engine_input *in);
BULLA_CHECK bulla_rc runner_up(struct bulla_engine *e, bulla_engine_peer peer);
BULLA_CHECK bulla_rc runner_down(struct bulla_engine *e, bulla_engine_peer peer);
BULLA_CHECK bulla_rc runner_time(struct bulla_engine *e);
/* Are there enclaves of another epoch than the newest? They are looked after by runner_time. */
bool runner_has_old(const struct bulla_engine *e);
BULLA_CHECK bulla_rc runner_flush(struct bulla_engine *e);
/* When runner_flush has something that can wait no longer; INT64_MAX: never. */
int64_t runner_due(const struct bulla_engine *e);
BULLA_CHECK bulla_rc runner_resume(struct bulla_engine *e, struct instance *i);
/* A refusal of the instance, not of what it wanted: it gets nothing more until it has attested again. */
bool runner_is_of_instance(bulla_rc rc);
void runner_refused(struct bulla_engine *e, struct instance *i, bulla_rc why);
struct instance *instance_of(struct bulla_engine *e, bulla_engine_peer peer);
static inline struct instance *instance_at(struct bulla_engine *e, const struct work *work)
{
	return work->instance ? &e->instances[work->instance - 1] : NULL;
}

/* --- park.c --- */
void park_time(struct bulla_engine *e);
/* Records of a parked run are wanted: for this slot at that instance; because it ends; for its start. */
BULLA_CHECK bulla_rc park_load(struct bulla_engine *e, ref r, struct instance *i);
BULLA_CHECK bulla_rc park_finish(struct bulla_engine *e, uint32_t index);
BULLA_CHECK bulla_rc park_wake(struct bulla_engine *e, uint32_t index);
BULLA_CHECK bulla_rc park_loaded(struct bulla_engine *e, const struct question *q, const struct bulla_engine_input *in);
/* arg of LOAD_SPANS, in e->scratch. */
BULLA_CHECK bulla_rc park_question(struct bulla_engine *e, const struct run *run, bulla_bytes *ret);

/* --- advance.c: to and from the broker --- */
BULLA_CHECK bulla_rc advance_add(struct bulla_engine *e, ref r);
BULLA_CHECK bulla_rc advance_flush(struct bulla_engine *e);
BULLA_CHECK bulla_rc advance_all(struct bulla_engine *e); /* everything that waits for the broker */
void advance_again(struct bulla_engine *e, int64_t delay_ms);
BULLA_CHECK bulla_rc broker_up(struct bulla_engine *e, bulla_engine_peer peer);
BULLA_CHECK bulla_rc broker_down(struct bulla_engine *e);
BULLA_CHECK bulla_rc broker_frame(struct bulla_engine *e, const struct bulla_engine_input *in);
BULLA_CHECK bulla_rc broker_call(struct bulla_engine *e, enum bulla_op_number op, uint64_t ticket, bulla_bytes body);

/* --- replay.c --- */
void replay_forget(struct bulla_engine *e, uint32_t run); /* its place goes to another one */
void replay_done(struct bulla_engine *e); /* the first step: nothing is looked up by number any more */
BULLA_CHECK bulla_rc sync_ask(struct bulla_engine *e);
BULLA_CHECK bulla_rc sync_answer(struct bulla_engine *e, bulla_bytes body);
BULLA_CHECK bulla_rc limbo_end(struct bulla_engine *e); /* nobody brought those results: they are lost */

/* --- client.c, result.c --- */
struct bulla_start;
BULLA_CHECK bulla_rc find_workflow(struct bulla_engine *e, const struct bulla_start *start, uint16_t *ret_project,
	uint16_t *ret_workflow);
void client_refuse(struct bulla_engine *e, const struct bulla_engine_input *in, bulla_rc rc, uint64_t retry_ms);
/* Remembers the client's request until LOADED. */
BULLA_CHECK bulla_rc client_ask(struct bulla_engine *e, const struct bulla_engine_input *in,
				enum bulla_engine_question question, bulla_bytes arg);
BULLA_CHECK bulla_rc api_list(struct bulla_engine *e, const struct bulla_engine_input *in);
BULLA_CHECK bulla_rc api_listed(struct bulla_engine *e, const struct question *q, const struct bulla_engine_input *answer);
BULLA_CHECK bulla_rc api_status(struct bulla_engine *e, const struct bulla_engine_input *in);
BULLA_CHECK bulla_rc api_keys(struct bulla_engine *e, const struct bulla_engine_input *in);
BULLA_CHECK bulla_rc api_put_manifest(struct bulla_engine *e, const struct bulla_engine_input *in);
BULLA_CHECK bulla_rc client_frame(struct bulla_engine *e, const struct bulla_engine_input *in);
BULLA_CHECK bulla_rc client_loaded(struct bulla_engine *e, const struct bulla_engine_input *in);
BULLA_CHECK bulla_rc client_broker_answer(struct bulla_engine *e, struct question *q, const struct bulla_engine_input *in);
BULLA_CHECK bulla_rc client_start_durable(struct bulla_engine *e, uint32_t run);
BULLA_CHECK bulla_rc client_ended(struct bulla_engine *e, uint32_t run);
void client_down(struct bulla_engine *e, bulla_engine_peer peer);

/* A run's records, of a resident run or read back. */
struct history {
	bulla_run_id id;
	bulla_bytes started; /* body of STARTED */
	const bulla_bytes *results; /* bodies of RESULT, in order; in the engine's memory until the next history */
	const bulla_bytes *tokens;
	size_t result_count, token_count;
	bulla_digest manifest, workflow;
	struct bulla_rec_closed closed; /* state BULLA_RUN_OPEN: not closed */
	int64_t started_ms;
};
void history_done(struct bulla_engine *e);
BULLA_CHECK bulla_rc history_of_run(struct bulla_engine *e, uint32_t run, struct history *ret);
BULLA_CHECK bulla_rc history_of_records(struct bulla_engine *e, bulla_bytes records, struct history *ret);
/* run_result message into e->out, for this peer. */
BULLA_CHECK bulla_rc result_write(struct bulla_engine *e, const struct history *h, bulla_engine_peer peer);

/* --- bundle.c, bundle_items.c --- */
struct bundle;
void bundles_done(struct bulla_engine *e);
BULLA_CHECK bulla_rc api_bundle(struct bulla_engine *e, const struct bulla_engine_input *in);
/* Answers to its questions: the librarian's; the broker's page of the ledger's record, or why there is none. */
BULLA_CHECK bulla_rc bundle_loaded(struct bulla_engine *e, const struct question *q, const struct bulla_engine_input *answer);
BULLA_CHECK bulla_rc bundle_paged(struct bulla_engine *e, const struct question *q, bulla_rc rc, bulla_bytes record);
/* The client has a piece; wants no more; is gone. */
BULLA_CHECK bulla_rc bundle_seen(struct bulla_engine *e, const struct bulla_engine_input *in);
void bundle_cancel(struct bulla_engine *e, const struct bulla_engine_input *in);
void bundles_down(struct bulla_engine *e, bulla_engine_peer peer);
/* What could not be asked is asked again, clients that take nothing are let go; when that is due, INT64_MAX: never. */
BULLA_CHECK bulla_rc bundles_time(struct bulla_engine *e);
int64_t bundles_due(const struct bulla_engine *e);
