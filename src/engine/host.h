#pragma once
/* bullad without its main: loop, journal and librarian threads, connections and relays around the engine's core. */
#include "base/sys.h"

#define BULLA_HOST_ENCLAVES 128
#define BULLA_HOST_PATH 108 /* of a socket */

struct bulla_host_options {
	const char *state;      /* folder: journal, catalogue */
	const char *socket;     /* API: unix socket path */
	const char *broker;     /* address: frames */
	const char *broker_tls; /* address: what RELAY goes to */
	const char *enclaves[BULLA_HOST_ENCLAVES]; /* addresses */
	size_t enclave_count;
};

/* Recovers, serves until SIGTERM or SIGINT, drains (at most 10 s) and returns. What goes wrong on disk is final:
 * BULLA_E_IO, BULLA_E_CORRUPT, BULLA_E_VERSION, BULLA_E_PORT_BUSY. */
BULLA_CHECK bulla_rc bulla_host_run(const struct bulla_host_options *options);
