#pragma once
/* First in, first out, objects of one size. Grows to a limit and then stays: after warm-up nothing is allocated, and a short
 * queue uses little memory however much has passed through it. */
#include "base/bytes.h"

struct ledger_queue {
	uint8_t *items;
	size_t item; /* bytes of one */
	uint32_t room, max, head, count;
};

/* Objects of item bytes, at most max. Allocates nothing yet. */
void ledger_queue_init(struct ledger_queue *queue, size_t item, uint32_t max);
void ledger_queue_done(struct ledger_queue *queue);

/* A place at the end, to be written by the caller. BULLA_E_BUSY: max are in it; BULLA_E_MEMORY. */
BULLA_CHECK bulla_rc ledger_queue_push(struct ledger_queue *queue, void **ret);

/* The oldest; NULL: none. Pop takes it away. */
void *ledger_queue_front(const struct ledger_queue *queue);
void ledger_queue_pop(struct ledger_queue *queue);
