#pragma once
/* What surrounds a ledger in tests: plans, epochs, verdicts from a table instead of signatures, one real MAC key. Also the
 * words that clients, enclaves and parties would say. */
#include "broker/ledger.h"

#define SIM_PLANS 8
#define SIM_SIGNED 0xbb /* first byte of every signature that is "good" */

struct sim_world {
	const struct bulla_flow *plans[SIM_PLANS];
	bulla_digest workflows[SIM_PLANS]; /* all bytes the index + 1, unless set */
	bulla_digest manifest;             /* the one manifest; zero: all bytes of it are the epoch */
	size_t plan_count;
	bulla_secret mac; /* of all sessions, both ways */
	uint64_t epochs_open; /* bit n: epoch n + 1 still serves; manifest digest: all bytes the epoch */
	uint64_t secrets_kept, secrets_erased;
	const struct bulla_disk *disk; /* for whoever gives the table a `read` */
	bulla_run_id erased; /* the last one */
};

/* Makes the key slab of the process when there is none. */
void sim_world_init(struct sim_world *world);
void sim_world_done(struct sim_world *world);
uint32_t sim_world_add(struct sim_world *world, const struct bulla_flow *flow);
struct bulla_ledger_world sim_world_table(struct sim_world *world);

bulla_digest sim_digest(uint8_t byte);
bulla_digest sim_workflow(uint32_t plan);
bulla_handle sim_handle(uint8_t letter);
bulla_digest sim_instance(uint8_t letter); /* kid */
void sim_session_id(uint32_t number, uint8_t ret[BULLA_SESSION_ID_BYTES]);

/* Appends a start record of these fields / with the usual ones. good: its signature verifies. */
void sim_start_put(const struct bulla_start *start, bool good, struct bulla_buf *ret);
void sim_start_record(const bulla_run_id *run, uint32_t plan, uint8_t epoch, int64_t made_ms, uint8_t input, bool good,
	struct bulla_buf *ret);

/* Appends a commit request of this session; good: its MAC is right. */
void sim_commit(struct sim_world *world, const struct bulla_commit *commit, uint32_t session, bool good,
	struct bulla_buf *ret);

/* Appends a party's receipt record; *ret_digest of the receipt. */
void sim_signal(const struct bulla_receipt *receipt, bool good, struct bulla_buf *ret, bulla_digest *ret_digest);

/* Appends an order by the party with this letter; good: its signature verifies. */
void sim_order(uint8_t kind, const bulla_run_id *run, uint8_t epoch, uint8_t party, bool good, struct bulla_buf *ret);

/* Position of an attempt in a run of this plan. */
struct bulla_position sim_position(const bulla_run_id *run, uint32_t plan, uint32_t step, uint32_t attempt);
