#pragma once
/* Small flows for tests: a builder with fixed arrays, and ready-made plans. */
#include "flow/plan.h"

#define FLOWS_MAX 64

struct flows {
	struct bulla_flow flow;
	struct bulla_flow_step steps[FLOWS_MAX];
	struct bulla_flow_actor actors[FLOWS_MAX];
	struct bulla_flow_input inputs[FLOWS_MAX];
	struct bulla_flow_source sources[FLOWS_MAX];
	struct bulla_flow_condition conditions[FLOWS_MAX];
	struct bulla_flow_part parts[FLOWS_MAX];
	bulla_bytes names[FLOWS_MAX];
	uint16_t readers[FLOWS_MAX];
	uint16_t refs[FLOWS_MAX];
	uint8_t bytes[16384];
	/* the decoded one */
	struct bulla_flow decoded;
	uint64_t memory[8192];
};

/* Empty flow with step 0; clear names. */
void flows_init(struct flows *f);

/* An actor with a handle made of eight times `letter`; gives its index. */
uint16_t flows_actor(struct flows *f, uint8_t kind, uint8_t letter);

/* A step of this kind and actor with tries 3, back-off 1 s..8 s, time-out 5 s (party: 60 s, clock: 10 s); gives its index. */
uint16_t flows_step(struct flows *f, uint8_t kind, uint16_t actor);

/* The newest step reads the whole output of `from` (which gets the part and the reader) under `key`; NULL: alone. */
void flows_reads(struct flows *f, uint16_t from, const char *key);

/* The newest step may end with these words (up to NULL), by the field `field`. */
void flows_words(struct flows *f, const char *field, const char *const *words);

/* The newest step runs only if `on` ended with an outcome of the mask. */
void flows_if(struct flows *f, uint16_t on, uint64_t mask);

/* The newest step comes after `step`. */
void flows_after(struct flows *f, uint16_t step);

/* Encodes and decodes: f->decoded. Aborts the test when that fails. */
const struct bulla_flow *flows_done(struct flows *f);

/* input -> a -> b -> ... : `steps` agent steps, actors 'a', 'b', ... */
const struct bulla_flow *flows_linear(struct flows *f, unsigned steps);

/* input -> a (low, refer, high) -> b if low; c (a party) if refer; d (sleep) if high; e after them all. */
const struct bulla_flow *flows_branches(struct flows *f);

/* input -> a -> {b, c} -> d */
const struct bulla_flow *flows_parallel(struct flows *f);
