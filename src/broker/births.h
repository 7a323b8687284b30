#pragma once
/* Birth records (protocol.md section 5): the first one of an agent and epoch wins, record, blob and instance record in one
 * piece, as they stand in the ledger's journal (type BIRTH: message `birth`). */
#include "base/buf.h"
#include "receipt/position.h"
#include "wire/messages.h"

#define BULLA_BIRTHS_MAX 4096
#define BULLA_BIRTH_BODY_MAX 600000

struct bulla_births {
	struct bulla_birth_row *rows;
	size_t count;
};

/* Room for BULLA_BIRTHS_MAX rows. BULLA_E_MEMORY. */
BULLA_CHECK bulla_rc bulla_births_init(struct bulla_births *births);
void bulla_births_done(struct bulla_births *births);

/* The body that was kept for this agent and epoch: a `birth` message. BULLA_E_BIRTH_MISSING. */
BULLA_CHECK bulla_rc bulla_births_find(const struct bulla_births *births, bulla_bytes agent, uint64_t epoch,
	bulla_bytes *ret_body);

/* Keeps a body that was checked. BULLA_E_EXISTS: there is one; BULLA_E_LIMIT. */
BULLA_CHECK bulla_rc bulla_births_add(struct bulla_births *births, bulla_bytes body);

/* Bodies of an epoch, in the order they came; *cursor starts at 0; BULLA_E_NOT_FOUND after the last. */
BULLA_CHECK bulla_rc bulla_births_next(const struct bulla_births *births, uint64_t epoch, size_t *cursor,
	bulla_bytes *ret_body);
