#pragma once
/* What the supervisor runs: written by `bulla up` beside the state, read at start and at SIGHUP. CBOR
 * [2, manifest path, [[agent handle hex, short label, bundle path, replicas, own manifest path or ""]...],
 *  TCP port of the broker or 0]. */
#include "base/bytes.h"
#include "base/limits.h"
#include "base/wr.h"
#include "crypto/hash.h"

#define BULLA_DEPLOYMENT_PATH 1024
#define BULLA_DEPLOYMENT_MAX 262144

struct bulla_deployed_agent {
	bulla_bytes handle; /* 16 hexadecimal digits */
	bulla_bytes label;  /* for file names: the handle's first digits; letters, digits, '-' */
	bulla_bytes bundle; /* folder with the agent's files */
	uint32_t replicas;  /* 1 to 16 */
	bulla_bytes manifest; /* of an earlier epoch that has open runs; empty: the deployment's */
};

struct bulla_deployment {
	bulla_bytes manifest;
	uint32_t port;
	size_t agent_count;
	struct bulla_deployed_agent agents[BULLA_MAX_AGENTS];
};

/* doc/formats.md has the layout. Errors of the writer. */
BULLA_CHECK bulla_rc bulla_deployment_write(const struct bulla_deployment *deployment, bulla_wr *w);

/* Views into bytes. BULLA_E_FORMAT, BULLA_E_LIMIT. */
BULLA_CHECK bulla_rc bulla_deployment_read(bulla_bytes bytes, struct bulla_deployment *ret);

/* What runs is known by the deployment and the manifest's content: a new epoch is written to the same path. */
void bulla_deployment_digest(bulla_bytes deployment, bulla_bytes manifest, bulla_digest *ret);

/* What became of a deployment: the supervisor writes it when it is done, `bulla up` takes it away before it asks and waits
 * for it. Text: the digest in hexadecimal, a blank, the id of the result, a newline. */
#define BULLA_DEPLOYED_NAME "platform/deployed" /* in the state folder */
#define BULLA_DEPLOYED_MAX 128
BULLA_CHECK bulla_rc bulla_deployed_write(const bulla_digest *digest, bulla_rc result, bulla_wr *w);

/* BULLA_E_FORMAT; BULLA_E_NOT_FOUND: it is of another deployment. */
BULLA_CHECK bulla_rc bulla_deployed_read(bulla_bytes text, const bulla_digest *digest, bulla_rc *ret_result);
