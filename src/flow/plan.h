#pragma once
/* The compiled workflow: the one description of a workflow that host, broker, enclave and verifier read. Deterministic
 * CBOR, doc/formats.md section `plan`; its workflow digest is SHA-256 of these bytes. Pure data: no names of agents or
 * parties (handles of 8 bytes), no clear words unless BULLA_FLOW_CLEAR is set.
 *
 * Step 0 is the input; the others follow in the order of the file. A step reads only steps of lower index, so there is
 * no cycle to look for. Undo steps are steps of their own that name the step they undo. */
#include "base/bytes.h"
#include "base/limits.h"
#include "base/wr.h"

#define BULLA_FLOW_VERSION 1   /* of the format */
#define BULLA_FLOW_SEMANTICS 1 /* of decide(): newest number this code carries out */

/* Flags of a plan. */
#define BULLA_FLOW_RECEIPTS_EACH 1U /* no batch signatures */
#define BULLA_FLOW_CLEAR 2U         /* names are UTF-8; else each is a handle of 8 bytes */

/* Flags of a step. */
#define BULLA_FLOW_FRESH 1U /* not on a long-lived agent */

/* Flags of a part. */
#define BULLA_FLOW_EACH 1U /* an array: each element is an envelope of its own */

#define BULLA_FLOW_NONE UINT16_MAX /* no actor, no step */

/* The outcome of a party's step that nobody answered in time (outcome 0: answered). */
#define BULLA_FLOW_OUTCOME_TIMEOUT 1

enum bulla_flow_kind {
	BULLA_FLOW_INPUT = 0, /* step 0, and only it */
	BULLA_FLOW_AGENT = 1,
	BULLA_FLOW_PARTY = 2, /* signal */
	BULLA_FLOW_CLOCK = 3, /* sleep */
};

/* A piece of one of the arrays of struct bulla_flow. */
struct bulla_flow_span {
	uint32_t first, count;
};

/* Who runs a step or reads a part. */
struct bulla_flow_actor {
	uint8_t kind;      /* BULLA_FLOW_AGENT or BULLA_FLOW_PARTY */
	uint8_t handle[8]; /* protocol.md section 1 */
};

/* Where an input's value comes from: a part of an earlier step's output. */
struct bulla_flow_source {
	uint16_t step, part; /* part: place in that step's list */
};

/* One field of a step's input object, or the whole input (key empty: then it is the only one). The first source whose
 * step was not skipped is read; null where all were. */
struct bulla_flow_input {
	bulla_bytes key;
	struct bulla_flow_span sources; /* in flow->sources, at least one */
};

/* `if`: the step runs when, for every condition, the outcome of `step` is in the mask (bit n: outcome n). A step that
 * was skipped satisfies none. */
struct bulla_flow_condition {
	uint16_t step;
	uint64_t mask;
};

/* One output envelope of a step: the value at path, and who reads it. In the plan's order these are the outputs of the
 * receipt; with BULLA_FLOW_EACH one per element. */
struct bulla_flow_part {
	struct bulla_flow_span path; /* in flow->names; empty: the whole output */
	uint8_t flags;
	struct bulla_flow_span readers; /* in flow->readers: actor indices, ascending */
};

struct bulla_flow_step {
	uint8_t kind; /* enum bulla_flow_kind */
	uint8_t flags;
	uint16_t actor;     /* in flow->actors; BULLA_FLOW_NONE for input and clock */
	uint16_t undoes; /* the step this one undoes, or BULLA_FLOW_NONE */
	uint16_t tries;  /* in all, 1.. ; 1 for all but agents */
	uint32_t max_items; /* of for_each; 0: no for_each */
	uint16_t each;      /* for_each: which input gives the items */
	int64_t backoff_min_ms, backoff_max_ms;
	int64_t timeout_ms;                 /* clock: how long it sleeps; party: 0 = none */
	struct bulla_flow_span inputs;      /* in flow->inputs */
	struct bulla_flow_span after;       /* in flow->refs: steps that must be closed first, ascending */
	struct bulla_flow_span conditions;  /* in flow->conditions */
	struct bulla_flow_span outcome;     /* in flow->names: path of the public outcome field; empty: always `ok` */
	struct bulla_flow_span words;       /* in flow->names: its values; index = outcome */
	struct bulla_flow_span parts;       /* in flow->parts */
	/* derived when decoded */
	struct bulla_flow_span deps;    /* in flow->refs: after + sources + conditions, ascending, each once */
	struct bulla_flow_span waiting; /* in flow->refs: forward steps that have this one among their deps, ascending */
	uint16_t undone_by;             /* its undo step, or BULLA_FLOW_NONE */
};

/* A decoded plan: views into the bytes and into the memory it was decoded to; both must outlive it. */
struct bulla_flow {
	bulla_bytes bytes;
	uint32_t semantics, flags;
	int64_t timeout_ms;        /* of the run */
	uint32_t facts_max;        /* of a run; BULLA_MAX_FLOW_FACTS, tests make it less */
	struct bulla_flow_step *steps;
	uint32_t step_count;       /* step 0 included; undo steps included */
	uint32_t forward_count;    /* steps that are no undo steps: they come first */
	struct bulla_flow_actor *actors;
	uint32_t actor_count;
	struct bulla_flow_span log_readers; /* in readers: of logs and of failures */
	struct bulla_flow_input *inputs;
	struct bulla_flow_source *sources;
	struct bulla_flow_condition *conditions;
	struct bulla_flow_part *parts;
	bulla_bytes *names;
	uint16_t *readers;
	uint16_t *refs;
	/* items in the arrays */
	uint32_t input_count, source_count, condition_count, part_count, name_count, reader_count, ref_count;
};

/* Memory (bytes) that bulla_flow_decode needs for this plan, at most BULLA_MAX_FLOW_MEMORY. Checks form and limits, not
 * yet references. BULLA_E_FORMAT, _VERSION, _LIMIT, _TRAILING, _TRUNCATED. */
BULLA_CHECK bulla_rc bulla_flow_measure(bulla_bytes plan, size_t *ret_size);

/* Decodes into size bytes at memory, which is aligned for any type (bulla_alloc), and checks everything that does not
 * need the manifest: references point to earlier steps and existing parts, readers are named, undo steps come last.
 * BULLA_E_LIMIT when size is less than bulla_flow_measure said. On failure ret_flow is not written. */
BULLA_CHECK bulla_rc bulla_flow_decode(bulla_bytes plan, void *memory, size_t size, struct bulla_flow *ret_flow);

/* Writes the plan of a flow whose arrays the compiler filled (deps, waiting, undone_by, bytes and forward_count
 * are not read). The
 * caller decodes what was written: that is the check. */
BULLA_CHECK bulla_rc bulla_flow_encode(const struct bulla_flow *flow, bulla_wr *w);

/* The step; BULLA_E_ARGUMENT outside the plan. */
BULLA_CHECK bulla_rc bulla_flow_step_at(const struct bulla_flow *flow, uint32_t step, const struct bulla_flow_step **ret);
