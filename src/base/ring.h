#pragma once
/* A fixed ring between exactly two threads: one puts, the other takes. No mutex; an eventfd wakes the taker. Messages
 * are pointers, whose ownership goes with them. Used by loop, writer, librarian and worker threads (engine.md section
 * 1). */
#include "base/bytes.h"

#include <stdatomic.h>

struct bulla_ring {
	void **slots;
	uint32_t mask;                      /* capacity - 1; the capacity is a power of two */
	int wake_fd;                        /* eventfd: readable when something was put since bulla_ring_quiet */
	_Alignas(64) _Atomic uint32_t head; /* next to take */
	_Alignas(64) _Atomic uint32_t tail; /* next to put */
};

/* capacity: a power of two, 2 to 65536. BULLA_E_ARGUMENT, BULLA_E_MEMORY, BULLA_E_IO (no eventfd). */
BULLA_CHECK bulla_rc bulla_ring_init(struct bulla_ring *ring, uint32_t capacity);

/* Both threads have ended or never began. Messages still inside are the caller's to take before. */
void bulla_ring_done(struct bulla_ring *ring);

/* Putting thread: BULLA_E_BUSY when full (nothing happens). message is not NULL. Wakes the taker only when it may
 * sleep, so a busy pair costs no system call. */
BULLA_CHECK bulla_rc bulla_ring_put(struct bulla_ring *ring, void *message);

/* Taking thread: the oldest message, NULL when empty. */
void *bulla_ring_take(struct bulla_ring *ring);

/* Taking thread: messages inside now. */
uint32_t bulla_ring_count(struct bulla_ring *ring);

/* Taking thread, in an event loop: resets wake_fd after it was readable. Call before taking, or a wake-up is lost. */
void bulla_ring_quiet(struct bulla_ring *ring);

/* Taking thread, blocking: waits until a message is there and takes it. Wakes only by put: end threads by a message. */
void *bulla_ring_wait(struct bulla_ring *ring);

/* The same, for so many milliseconds at most: NULL when none came. */
void *bulla_ring_wait_for(struct bulla_ring *ring, int ms);
