#pragma once
/* The supervisor of one project on one machine: broker first, then engine and enclaves as the deployment says. It is also
 * the development TEE: what it starts as an enclave it measures, and its root signs that enclave's documents. */
#include "platform/child.h"
#include "platform/cores.h"
#include "platform/deployment.h"

#define BULLA_PLATFORM_CHILDREN 258 /* broker, engine, enclaves */
#define BULLA_PLATFORM_PATH 1024

struct bulla_platform_options {
	const char *state;    /* folder with host/, broker/, platform/ */
	const char *runtime;  /* folder of the sockets */
	const char *programs; /* folder with bulla-kms, bullad, bulla-enclave */
	const char *owner;    /* digest of the owner's key in hex, for the broker; NULL: it has it already */
};

struct bulla_platform {
	struct bulla_platform_options options;
	const struct bulla_clock *clock;
	const struct bulla_random *random;
	struct bulla_loop loop;
	struct bulla_dev_pki pki;
	struct bulla_sealed enclave; /* bulla-enclave, as measured */
	int lock_fd, signal_fd;
	struct bulla_watch signals;
	struct bulla_child *children[BULLA_PLATFORM_CHILDREN]; /* [0] is the broker, [1] the engine; then enclaves */
	size_t child_count;
	struct bulla_cores cores; /* where they run */
	bulla_digest deployed; /* digest of the deployment that runs; zero: none */
	uint32_t port;         /* of the broker that runs; 0: unix sockets only */
	bool stopping;
	int64_t stop_us; /* when what still runs is killed */
};

/* Takes the project's lock (BULLA_E_EXISTS when another supervisor has it; *ret_pid is its process), opens or makes the
 * development root, starts the broker and what the deployment names; the broker alone when there is no deployment or it
 * cannot be started. Call bulla_platform_close in every case. */
BULLA_CHECK bulla_rc bulla_platform_open(struct bulla_platform *platform, const struct bulla_platform_options *options,
	pid_t *ret_pid);

/* Until SIGTERM or SIGINT: restarts what dies; SIGHUP reads the deployment again. Then stops the engine, the enclaves and
 * the broker, in that order, and returns. */
BULLA_CHECK bulla_rc bulla_platform_run(struct bulla_platform *platform);
void bulla_platform_close(struct bulla_platform *platform);

/* The process that holds the project's lock; 0 when nobody does. Looking takes no lock. state: the same folder. */
BULLA_CHECK bulla_rc bulla_platform_find(const char *state, pid_t *ret_pid);
