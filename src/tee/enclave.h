#pragma once
/* The enclave as a machine: the host's frames in, answers out. What it may do is the one table in enclave.c; a step goes
 * permitted -> opened -> running -> sealed -> sent -> stored (engine.md section 8). One thread, no descriptors of its own
 * but those of its agents. */
#include "io/loop.h"
#include "tee/join.h"

struct bulla_enclave;

/* base: booted, borrowed for the enclave's life. loop: for agents' descriptors and the RSA thread. Makes the agents'
 * pools. */
BULLA_CHECK bulla_rc bulla_enclave_new(struct bulla_tee_base *base, struct bulla_loop *loop, struct bulla_enclave **ret);
struct bulla_enclave *bulla_enclave_free(struct bulla_enclave *enclave);

/* Open requests that it accepts at once: for HELLO. */
uint32_t bulla_enclave_window(const struct bulla_enclave *enclave);

/* The host's connection: HELLO came, a message came, it is gone. A second host replaces the first (the caller closes
 * that one). An error ends the connection, never the enclave. */
BULLA_CHECK bulla_rc bulla_enclave_host_up(struct bulla_enclave *enclave, struct bulla_frames *host);
BULLA_CHECK bulla_rc bulla_enclave_message(struct bulla_enclave *enclave, const struct bulla_frame *message);
void bulla_enclave_host_down(struct bulla_enclave *enclave);

/* End of a turn: agents, results (signed together), session. Then when to be called at the latest (monotonic µs). */
void bulla_enclave_turn(struct bulla_enclave *enclave, int64_t now_us);
int64_t bulla_enclave_due(const struct bulla_enclave *enclave);

/* For the status and for tests. */
struct bulla_enclave_stats {
	uint64_t steps, refused, needs, signatures, allocations;
	uint32_t open, outbox;
	bool ready;
};
struct bulla_enclave_stats bulla_enclave_stats(const struct bulla_enclave *enclave);
