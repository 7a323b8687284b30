#define _GNU_SOURCE
#include "base/ring.h"

#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RING_MAX 65536

bulla_rc bulla_ring_init(struct bulla_ring *ring, uint32_t capacity)
{
	void *slots = NULL;
	int fd;

	if (capacity < 2 || capacity > RING_MAX || (capacity & (capacity - 1)) != 0)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a ring's capacity is a power of two");
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "no eventfd", errno);
	if (bulla_alloc(capacity, sizeof(void *), &slots) != BULLA_OK) {
		close(fd);
		return BULLA_E_MEMORY;
	}
	ring->slots = (void **)slots;
	ring->mask = capacity - 1;
	ring->wake_fd = fd;
	atomic_init(&ring->head, 0);
	atomic_init(&ring->tail, 0);
	return BULLA_OK;
}

void bulla_ring_done(struct bulla_ring *ring)
{
	if (ring->slots == NULL)
		return;
	close(ring->wake_fd);
	bulla_free((void *)ring->slots);
	ring->slots = NULL;
	ring->wake_fd = -1;
}

bulla_rc bulla_ring_put(struct bulla_ring *ring, void *message)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
	uint64_t one = 1;

	if (tail - head > ring->mask)
		return BULLA_E_BUSY; /* not an error worth a trail: the caller keeps it and comes again */
	ring->slots[tail & ring->mask] = message;
	/* sequentially consistent with the taker's look at tail after its head moved: either it sees this message, or we
	 * see that it had emptied the ring and wake it */
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_seq_cst);
	head = atomic_load_explicit(&ring->head, memory_order_seq_cst);
	if (head == tail && write(ring->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		return BULLA_FAIL_OS(BULLA_E_IO, "a thread cannot be woken", errno);
	return BULLA_OK;
}

void *bulla_ring_take(struct bulla_ring *ring)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	void *message;

	if (head == atomic_load_explicit(&ring->tail, memory_order_seq_cst))
		return NULL;
	message = ring->slots[head & ring->mask];
	atomic_store_explicit(&ring->head, head + 1, memory_order_seq_cst);
	return message;
}

uint32_t bulla_ring_count(struct bulla_ring *ring)
{
	return atomic_load_explicit(&ring->tail, memory_order_seq_cst) -
		atomic_load_explicit(&ring->head, memory_order_relaxed);
}

void bulla_ring_quiet(struct bulla_ring *ring)
{
	uint64_t count;

	if (read(ring->wake_fd, &count, sizeof(count)) < 0)
		return; /* nothing was put since */
}

void *bulla_ring_wait_for(struct bulla_ring *ring, int ms)
{
	struct pollfd wait = {.fd = ring->wake_fd, .events = POLLIN};
	void *message = bulla_ring_take(ring);

	if (message != NULL)
		return message;
	poll(&wait, 1, ms);
	bulla_ring_quiet(ring);
	return bulla_ring_take(ring);
}

void *bulla_ring_wait(struct bulla_ring *ring)
{
	struct pollfd wait = {.fd = ring->wake_fd, .events = POLLIN};
	void *message;

	for (;;) {
		message = bulla_ring_take(ring);
		if (message != NULL)
			return message;
		poll(&wait, 1, -1);
		bulla_ring_quiet(ring);
	}
}
