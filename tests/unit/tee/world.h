#pragma once
/* A whole enclave without a broker: agents in real sandboxes, a session made by hand, a host over frames in memory, a
 * party that seals and opens. For tests and for bench/. */
#include "crypto/random.h"
#include "flow/flows.h"
#include "tee/enclave_internal.h"

#define WORLD_TEXT ((size_t)1 << 20)

struct world {
	struct bulla_tee_base base;
	struct bulla_loop loop;
	struct bulla_enclave *enclave;
	struct bulla_frames *host, *side; /* the host's end, the enclave's end */
	struct flows flows;
	struct bulla_sign_key *owner, *ledger;
	bulla_secret owner_hpke, run_secret, mac_up, mac_down, wrap, party_instance;
	uint8_t owner_public[BULLA_HPKE_PUBLIC_MAX];
	struct bulla_link to_a;         /* the party's link to agent a */
	struct bulla_buf to_a_object;
	uint8_t session[16];
	struct bulla_random_pool random;
	uint64_t runs, permits;
	bulla_run_id run;
	/* the newest reply */
	uint8_t op;
	uint16_t flags;
	struct bulla_buf reply;
	uint32_t replies, events, instances;
	int64_t patience_us;
};

/* Makes it; exits with 77 where sandboxes cannot be made. stepper: path of the agent's program. */
void world_up(struct world *world, const char *stepper);
void world_down(struct world *world);

/* A new run: input sealed for agent a. Views are valid until the next start. */
struct world_start {
	bulla_bytes record, envelope;
	bulla_digest digest;
};
void world_start(struct world *world, bulla_bytes input, struct world_start *ret);

/* An EXECUTE message. One parent, one input. object: may be empty. */
struct world_step {
	uint32_t step, attempt;
	bulla_bytes parent, input, object;
	bulla_digest parent_digest;
};
bulla_bytes world_execute(struct world *world, const struct world_step *step);

/* Sends a request and waits for its final reply: world->op, flags, reply. */
void world_call(struct world *world, enum bulla_op_number op, bulla_bytes body);
/* Sends without waiting / one turn of everything. */
void world_send(struct world *world, enum bulla_op_number op, bulla_bytes body);
void world_turn(struct world *world);
void world_stored(struct world *world, const bulla_digest *receipt);

/* Id of the error in the newest reply; "" when it was none. */
bulla_rc world_error(const struct world *world);

/* The newest reply as an executed step: decoded views into world->reply. */
struct world_result {
	struct bulla_msg_executed executed;
	struct bulla_receipt_record record;
	bulla_bytes outputs[8], link; /* link: an `object` message, when one came */
};
void world_result(struct world *world, struct world_result *ret);

/* Opens an envelope of this enclave as the party. link: the object message that came with it, or an earlier one. */
void world_open(struct world *world, bulla_bytes envelope, bulla_bytes link, struct bulla_buf *ret);
