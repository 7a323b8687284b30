#pragma once
/* decide(): the only place where workflow semantics live. A run's history is a list of facts; struct bulla_flow_run is
 * their fold; commands are what the history asks for. Pure: integers only, no clock, no random, no allocation.
 *
 * Laws (tests/unit/flow/fold_test.c): any split of a history gives the same state; the union of the deltas that
 * bulla_flow_decide gave, minus what facts closed, is bulla_flow_outstanding; a repeated fact changes nothing; an
 * impossible one is an error and changes nothing. */
#include "flow/plan.h"
#include "wire/kinds.h"

/* Facts. A fact is applied when it is in force: for host and broker that is when the ledger committed it. */
enum bulla_flow_fact {
	BULLA_FLOW_STARTED = 1, /* digest: of the start record; fills step 0 */
	BULLA_FLOW_RESULT = 2,  /* an attempt ended in a receipt: step, item, attempt, outcome, digest. Fills the slot, unless it
	                         * is a failure with tries left. The executor may be an enclave, a party or the broker. */
	BULLA_FLOW_LOST = 3,    /* an attempt ended without a receipt: given up or expired */
	BULLA_FLOW_OPENED = 4,  /* a permit was given: step, item, attempt. Known to the broker; a host may leave it out */
	BULLA_FLOW_ITEMS = 5,   /* arg: number of items of the for_each step `step` */
	BULLA_FLOW_CANCELLED = 6, /* digest: of the order */
	BULLA_FLOW_ERASED = 7,    /* digest: of the order or the broker's receipt */
	BULLA_FLOW_EXPIRED = 8,   /* the run's own time-out, said by the broker's clock; digest */
	BULLA_FLOW_CLOSED = 9,    /* the end of the run was recorded: ends COMPLETE and FAIL */
};

struct bulla_flow_event {
	uint8_t kind;    /* enum bulla_flow_fact */
	uint8_t outcome; /* enum bulla_outcome */
	uint16_t step;
	uint32_t item, attempt, seq; /* seq: place in the run's history; not read */
	int64_t at_ms;               /* when; of the same clock throughout a run */
	uint64_t arg;
	bulla_digest digest;
};

enum bulla_flow_verb {
	BULLA_FLOW_RUN = 1,      /* run this attempt, not before due_ms */
	BULLA_FLOW_UNDO = 2,     /* the same for an undo step */
	BULLA_FLOW_ASK_CLOCK = 3, /* ask the broker's clock for a receipt at due_ms; why: OK (sleep), LOST (too many), LIMIT (facts) */
	BULLA_FLOW_ASK_PARTY = 4, /* a party's answer is awaited; from due_ms on (0: for ever) the clock may be asked */
	BULLA_FLOW_STOP = 5,      /* the run fails: cancel this open attempt */
	BULLA_FLOW_COMPLETE = 6,  /* the run is done; step: the one whose output is `result` */
	BULLA_FLOW_FAIL = 7,      /* the run ends without success; why: enum bulla_outcome of the failure; step, item, attempt */
};

struct bulla_flow_command {
	uint8_t kind, why;
	uint16_t step;
	uint32_t item, attempt;
	int64_t due_ms;
};

enum bulla_flow_slot_state {
	BULLA_FLOW_WAITING = 0, /* for its parents; an undo step: for the run to fail */
	BULLA_FLOW_WANTED = 1,  /* its command is outstanding */
	BULLA_FLOW_FILLED = 2,
	BULLA_FLOW_SKIPPED = 3,
};

struct bulla_flow_slot {
	bulla_digest digest; /* of the receipt that filled it, or of the last attempt's (a failure with tries left) */
	int64_t at_ms;       /* WANTED: when it is due; FILLED, SKIPPED: when */
	uint32_t item;
	uint32_t waits;   /* parents not closed */
	uint32_t next;    /* queue of new commands */
	uint32_t order;   /* how manieth slot of the run to close, 1.. */
	uint16_t step;
	uint16_t attempt; /* WANTED: the attempt wanted; FILLED: the one that filled it */
	uint8_t state, outcome;
	uint8_t failures; /* attempts that ended in a failure receipt */
	uint8_t lost;     /* attempts that ended without a receipt */
	uint8_t queued;
	uint8_t open;     /* the wanted attempt has a permit (OPENED) */
};

/* The fold. Slots of steps without for_each come first, in the order of steps; items of for_each steps follow when
 * their number is known. Small and without pointers into itself: it may be moved, stored and loaded (bulla_flow_run_*
 * below) as long as slots points to the same content. This version carries out no for_each and no undo: bulla_flow_begin
 * refuses them. */
struct bulla_flow_run {
	struct bulla_flow_slot *slots; /* the caller's memory */
	uint32_t slot_count, slot_capacity;
	uint32_t head, tail;  /* queue of new commands, in (step, item) order */
	uint32_t open_steps;  /* forward slots not closed */
	uint32_t closed;      /* slots closed so far */
	uint32_t facts;       /* applied, repeats and OPENED not counted */
	uint32_t open_attempts; /* attempts with a permit (OPENED) that did not end */
	uint32_t seed;        /* of back-off jitter: from the run id */
	uint8_t state;        /* enum bulla_run_state; FAILED, CANCELLED, ...: only once nothing more is wanted */
	uint8_t ending;       /* 0, or the state it will end in while undo steps run */
	uint8_t announced;    /* COMPLETE or FAIL was given by decide */
	uint8_t recorded;     /* CLOSED was applied */
	uint8_t why;          /* enum bulla_outcome of the failure that ends it */
	uint16_t result;      /* when DONE: the last step that was not skipped and has an output */
	uint16_t failed_step;
	uint32_t failed_item, failed_attempt;
	int64_t started_ms, ended_ms;
};

#define BULLA_FLOW_NO_SLOT UINT32_MAX

/* Slots a new run of this flow needs: one per step. for_each needs more later: bulla_flow_apply says BULLA_E_LIMIT,
 * the caller moves the slots to larger memory (bulla_flow_run_move) and applies again. */
uint32_t bulla_flow_slots(const struct bulla_flow *flow);

/* An empty history. slots: memory for capacity slots (>= bulla_flow_slots), owned by the caller. seed: any public number
 * that differs between runs. BULLA_E_LIMIT; BULLA_E_UNSUPPORTED: the flow needs what this code does not carry out. */
BULLA_CHECK bulla_rc bulla_flow_begin(const struct bulla_flow *flow, struct bulla_flow_slot *slots, uint32_t capacity,
	uint32_t seed, struct bulla_flow_run *ret_run);

/* Continues in larger memory: copies the slots. */
BULLA_CHECK bulla_rc bulla_flow_run_move(struct bulla_flow_run *run, struct bulla_flow_slot *slots, uint32_t capacity);

/* One fact. O(readers of the step). BULLA_OK also for a repetition. BULLA_E_PLAN: nothing asks for it;
 * BULLA_E_ATTEMPT_NUMBER: another attempt is wanted; BULLA_E_FORK: another receipt is there; BULLA_E_RUN_CLOSED: after
 * the end; BULLA_E_ARGUMENT: no such step or outcome; BULLA_E_LIMIT: facts or slots. Nothing changes on failure. */
BULLA_CHECK bulla_rc bulla_flow_apply(const struct bulla_flow *flow, struct bulla_flow_run *run,
	const struct bulla_flow_event *event);

/* Commands that are new since the last call, in (step, item) order, at most capacity (>= 1); the rest stays queued: call
 * until *ret_count < capacity. */
BULLA_CHECK bulla_rc bulla_flow_decide(const struct bulla_flow *flow, struct bulla_flow_run *run,
	struct bulla_flow_command *ret_commands, size_t capacity, size_t *ret_count);

/* Every command wanted and not closed, one per call, in (step, item) order; *cursor starts at 0. BULLA_E_NOT_FOUND after
 * the last. */
BULLA_CHECK bulla_rc bulla_flow_outstanding(const struct bulla_flow *flow, const struct bulla_flow_run *run,
	size_t *cursor, struct bulla_flow_command *ret_command);

/* Is this attempt of this slot wanted now (the broker's question before a permit)? BULLA_OK, BULLA_E_PLAN,
 * BULLA_E_SLOT_FILLED, BULLA_E_ATTEMPT_NUMBER, BULLA_E_ATTEMPT_OPEN, BULLA_E_RUN_CLOSED, BULLA_E_ARGUMENT; BULLA_E_LIMIT: no attempt
 * begins any more, the clock says so instead. */
BULLA_CHECK bulla_rc bulla_flow_wants(const struct bulla_flow *flow, const struct bulla_flow_run *run, uint16_t step,
	uint32_t item, uint32_t attempt);

/* Tries left to this slot, the wanted attempt counted (>= 1 while it is wanted). */
uint32_t bulla_flow_tries_left(const struct bulla_flow *flow, const struct bulla_flow_slot *slot);

/* The slot; NULL when there is none (yet). */
const struct bulla_flow_slot *bulla_flow_slot_of(const struct bulla_flow *flow, const struct bulla_flow_run *run,
	uint16_t step, uint32_t item);
