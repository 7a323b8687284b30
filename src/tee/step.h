#pragma once
/* The enclave's checks before a step runs (protocol.md section 9), in order, each with its error. Pure: nothing here
 * opens an envelope or touches the world. What passes may be opened: seal/ then does the checks of section 7. */
#include "flow/parents.h"
#include "manifest/manifest.h"
#include "receipt/permit.h"
#include "receipt/receipt.h"
#include "receipt/start.h"
#include "tee/used.h"
#include "wire/pb.h"

/* What this enclave knows, for the session that the permit names. */
struct bulla_step_rules {
	const struct bulla_manifest *manifest;
	const struct bulla_flow *flows;  /* decoded, in the manifest's order of workflows */
	const bulla_handle *agents;      /* hosted here */
	size_t agent_count;
	bulla_digest instance;           /* kid of my receipt key */
	uint8_t session[BULLA_SESSION_ID_BYTES];
	bulla_secret mac;                /* broker to instance */
	const struct bulla_used *used;
};

/* One parent, as it was given and as the permit names it. */
struct bulla_step_parent {
	struct bulla_receipt receipt; /* step `input`: only position, kid and outputs are set */
	bulla_bytes outputs;          /* its pairs */
	bool start;                   /* it is the start record */
	uint8_t executor;             /* enum bulla_executor; PARTY for the start record */
};

/* One envelope to open. */
struct bulla_step_input {
	uint32_t input;               /* place in the step's list of inputs */
	uint32_t parent;              /* index into parents */
	uint16_t part;                /* of the parent's step */
	struct bulla_pair pair;       /* what the parent's receipt says of it */
};

/* A step that passed. Views borrow from the bytes that were checked. */
struct bulla_step {
	struct bulla_permit permit;
	bulla_digest attempt;         /* digest of the position: for bulla_used_add */
	const struct bulla_workflow *workflow;
	const struct bulla_flow *flow;
	const struct bulla_flow_step *plan;
	const struct bulla_agent *agent;
	struct bulla_step_parent parents[BULLA_MAX_PARENTS];
	size_t parent_count;
	struct bulla_flow_binding bindings[BULLA_MAX_FLOW_INPUTS]; /* one per input of the plan; null ones have no parent */
	size_t binding_count;
	struct bulla_step_input inputs[BULLA_MAX_FLOW_INPUTS];     /* one per binding that has a parent, in that order */
	size_t input_count;
	struct bulla_flow_parent plan_parents[BULLA_MAX_PARENTS]; /* scratch */
};

/* permit: COSE_Mac0. parents: receipt records in the plan's order (the start record for step 0). envelopes: digest and
 * commitment of each envelope given, in the plan's order of bindings. now_ms: the broker's clock as this enclave tells it.
 *
 * In order: MAC (BULLA_E_MAC) · instance (BULLA_E_PERMIT_INSTANCE) · expiry (BULLA_E_PERMIT_EXPIRED) · not run here before
 * (BULLA_E_PERMIT_USED) · manifest (BULLA_E_EPOCH_CLOSED, BULLA_E_POSITION_TENANT, BULLA_E_POSITION_WORKFLOW) · this
 * agent's step (BULLA_E_PLAN) · parents are the permit's (BULLA_E_PARENT), of this run and manifest (BULLA_E_POSITION_*,
 * BULLA_E_PARENT), exactly the plan's (BULLA_E_PLAN, BULLA_E_PARENT) · envelopes are the parents' (BULLA_E_NOT_ENVELOPE)
 * · sleep and time-out are the broker's (BULLA_E_CLOCK_RECEIPT). */
BULLA_CHECK bulla_rc bulla_step_check(const struct bulla_step_rules *rules, bulla_bytes permit,
	const struct bulla_pb_list *parents, const struct bulla_pair *envelopes, size_t envelope_count, uint64_t now_ms,
	struct bulla_step *ret);
