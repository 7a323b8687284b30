#pragma once
/* The plan check that enclave, broker and verifier share: which slots are the parents of a slot, and are these receipts
 * exactly them. A parent is a filled slot: of a step that must be closed first, that gives an input, or that decides a
 * condition; where such a step was skipped, the receipts whose outcomes skipped it stand in its place. */
#include "flow/flow.h"

/* One parent's receipt, as far as the plan cares. */
struct bulla_flow_parent {
	uint16_t step;
	uint8_t outcome; /* of the receipt */
	uint32_t item;
	uint32_t attempt;
	bulla_digest digest; /* of the receipt (step 0: of the start record) */
};

/* One input of a step, resolved. */
struct bulla_flow_binding {
	uint32_t input;  /* place in the step's list of inputs */
	uint32_t parent; /* index into the parents given; BULLA_FLOW_NO_SLOT: all sources were skipped, the value is null */
	uint16_t part;   /* of that parent's step */
	uint32_t element; /* for_each: which element of that part; BULLA_FLOW_NO_SLOT: the part itself */
};

/* Parents of a wanted slot, from the fold (host and broker), in (step, item) order. BULLA_E_PLAN when a parent is still
 * open, BULLA_E_LIMIT when capacity does not suffice. Writes BULLA_MAX_PARENTS at most unless a for_each is joined. */
BULLA_CHECK bulla_rc bulla_flow_parents(const struct bulla_flow *flow, const struct bulla_flow_run *run, uint16_t step,
					uint32_t item, struct bulla_flow_parent *ret_parents, size_t capacity,
					size_t *ret_count);

/* Are these exactly the parents that the plan demands of this slot (enclave, verifier)? They come in (step, item)
 * order. Checks: none missing, none too many, none failed, every step without receipt is skipped by the outcomes
 * shown, the slot's own conditions hold. BULLA_E_PLAN, BULLA_E_PARENT (missing or too many), BULLA_E_ARGUMENT. */
BULLA_CHECK bulla_rc bulla_flow_check_parents(const struct bulla_flow *flow, uint16_t step, uint32_t item,
	const struct bulla_flow_parent *parents, size_t count);

/* Which part of which parent each input of the slot reads; parents as checked above. One binding per input; a join of a
 * for_each step gives one per item, in order. BULLA_E_LIMIT when capacity does not suffice, BULLA_E_PARENT. */
BULLA_CHECK bulla_rc bulla_flow_bind(const struct bulla_flow *flow, uint16_t step, uint32_t item,
	const struct bulla_flow_parent *parents, size_t count,
	struct bulla_flow_binding *ret_bindings, size_t capacity, size_t *ret_count);
