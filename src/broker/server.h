#pragma once
/* The broker's turn: frames of the host on a unix socket; TLS with frames of instances or the KMS API. */
#include "broker/broker.h"
#include "broker/collateral.h"

struct bulla_server_options {
	const char *socket;     /* path: frames of the host */
	const char *tls_socket; /* path: TLS, what the host's relay dials; NULL: none */
	const char *listen;     /* HOST:PORT: TLS; NULL: none */
	const char *collateral[BULLA_COLLATERAL_KEPT]; /* files: for evidence that comes without */
	size_t collateral_count;
	const struct bulla_attest_policy *demanded; /* of evidence, beside the manifest; NULL: nothing */
};

/* Serves until SIGTERM or SIGINT (BULLA_OK), or until something final happens. */
BULLA_CHECK bulla_rc bulla_server_run(struct bulla_broker *broker, const struct bulla_server_options *options);
