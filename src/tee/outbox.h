#pragma once
/* Results that the host has not yet called stored: at most BULLA_MAX_OUTBOX_RESULTS and BULLA_MAX_OUTBOX_BYTES, kept in
 * their final form so that they can be sent again. engine.md section 8. */
#include "base/buf.h"
#include "base/limits.h"

#define BULLA_OUTBOX_LINKS 8

struct bulla_outbox_entry {
	bulla_digest receipt;
	struct bulla_buf body;  /* `executed` message */
	bool used;
	uint16_t links[BULLA_OUTBOX_LINKS]; /* which of my links it carried */
	size_t link_count;
};

struct bulla_outbox {
	struct bulla_outbox_entry *entries; /* BULLA_MAX_OUTBOX_RESULTS */
	uint32_t count;
	size_t bytes;
};

/* Room for BULLA_MAX_OUTBOX_RESULTS results. BULLA_E_MEMORY. */
BULLA_CHECK bulla_rc bulla_outbox_init(struct bulla_outbox *outbox);
void bulla_outbox_done(struct bulla_outbox *outbox);

/* Is there room for `more` results besides those that are there? */
bool bulla_outbox_has_room(const struct bulla_outbox *outbox, uint32_t more);

/* A free place with an empty body. BULLA_E_BUSY when full. It counts once bulla_outbox_kept was called. */
BULLA_CHECK bulla_rc bulla_outbox_take(struct bulla_outbox *outbox, struct bulla_outbox_entry **ret);

/* The place holds a result now, whose body is complete. */
void bulla_outbox_kept(struct bulla_outbox *outbox, struct bulla_outbox_entry *entry);

/* The entry of this receipt, or NULL. */
struct bulla_outbox_entry *bulla_outbox_find(const struct bulla_outbox *outbox, const bulla_digest *receipt);

/* The host has stored it, or it was dropped: the place is free again. */
void bulla_outbox_forget(struct bulla_outbox *outbox, struct bulla_outbox_entry *entry);
