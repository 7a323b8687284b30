#pragma once
/* Our programs take turns: one message is handled here, then there. To wake a program on another core costs an interrupt
 * between cores, in a virtual machine 17 to 28 µs; on the same core it is a switch of 3 to 5. So while all the work of our
 * programs' loops fits on one core, and others leave room for that, they share one; else they go where the kernel likes.
 * Only their main threads: journal, catalogue and worker threads, zygotes and agents go where they like always (an agent
 * that sizes itself by its cores must see them all). */
#include "base/bytes.h"

#include <sched.h>
#include <sys/types.h>

#define BULLA_CORES_MAX 256

/* What happened since the last look; percent of one core. */
struct bulla_cores_seen {
	unsigned count;                 /* cores that we may use, at least 2 */
	unsigned busy[BULLA_CORES_MAX]; /* each of them, with all that runs there */
	unsigned ours;                  /* our programs' main threads, together */
};

struct bulla_cores {
	/* the decision: pure, for tests */
	bool shared;
	unsigned core;  /* which of those that we may use, while shared */
	int64_t hold_us, shared_us, back_off_us;
	/* the machine */
	cpu_set_t may_use;
	unsigned numbers[BULLA_CORES_MAX]; /* of the cores that we may use */
	unsigned count;                    /* 0: nothing is done here */
	uint64_t busy[BULLA_CORES_MAX], all[BULLA_CORES_MAX]; /* ticks until the last look */
	uint64_t ours_ns;
	int64_t looked_us, next_us;
};

/* Cores that this process may use; with one, or without /proc, nothing is done ever. */
void bulla_cores_init(struct bulla_cores *cores, int64_t now_us);

/* A look at what the given processes (0: none) and all others did, and what follows from it; when next_us has come. A process
 * that cannot be moved stays where it is. */
void bulla_cores_look(struct bulla_cores *cores, const pid_t *pids, size_t count, int64_t now_us);

/* Whether to share from now on, and which core. Shared until it is nine tenths busy, whoever is there; shared again when our
 * work and a fifth more fits one core and others have as much left elsewhere, after a pause that doubles (1 to 64 s) when it
 * was wrong at once. Exported for tests. */
void bulla_cores_decide(struct bulla_cores *cores, const struct bulla_cores_seen *seen, int64_t now_us);
