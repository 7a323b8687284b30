#pragma once
/* Boot of an enclave, the part before anybody is spoken to: zygote, manifest, bundles, registers, keys. Blocks. */
#include "agent/agent.h"
#include "base/sys.h"
#include "crypto/sign.h"
#include "flow/plan.h"
#include "manifest/manifest.h"
#include "tee/source.h"

#define BULLA_TEE_AGENTS 16

/* Where an agent's files are. */
struct bulla_tee_bundle {
	bulla_handle agent;
	const char *folder;
};

/* One agent that is hosted here. */
struct bulla_tee_agent {
	bulla_handle handle;
	const struct bulla_agent *row;  /* of the manifest */
	struct bulla_agent_spec spec;
	char command[BULLA_MAX_AGENT_COMMAND];
	struct bulla_agent_pool *pool;  /* made when the loop runs */
};

/* What is fixed once the enclave has booted. */
struct bulla_tee_base {
	struct bulla_zygote zygote;
	struct bulla_source source;     /* of evidence */
	bulla_bytes collateral;         /* that the host gave for it; may be empty */
	const struct bulla_clock *clock;
	const struct bulla_random *random;
	struct bulla_buf manifest_bytes;
	struct bulla_manifest manifest;
	struct bulla_flow *flows;       /* one per workflow, in the manifest's order */
	void **flow_memory;
	struct bulla_tee_agent agents[BULLA_TEE_AGENTS]; /* rising handles */
	size_t agent_count;
	uint8_t handles[BULLA_TEE_AGENTS * sizeof(bulla_handle)];
	struct bulla_sign_key *receipt_key;
	bulla_digest kid;
	bulla_secret instance_secret;
};

/* First act of the program: forks the zygote. Nothing else may have happened yet. */
BULLA_CHECK bulla_rc bulla_tee_fork(struct bulla_tee_base *tee);

/* Reads manifest and bundles; gives the bundles to the zygote; extends PCR16 and 17 and locks them; makes the receipt key
 * and the instance secret (the slab must stand). BULLA_E_MEASUREMENT: a bundle is not the one of the manifest, or the
 * registers are not empty any more. BULLA_E_NOT_FOUND: the manifest has no such agent. source, clock and random are
 * borrowed. */
BULLA_CHECK bulla_rc bulla_tee_boot(struct bulla_tee_base *tee, const char *manifest_path,
	const struct bulla_tee_bundle *bundles, size_t bundle_count, const struct bulla_source *source,
	const struct bulla_clock *clock, const struct bulla_random *random);

/* Stops agents and zygote, frees keys and tables; also what a failed start left. */
void bulla_tee_done(struct bulla_tee_base *tee);

/* Handles hosted, end to end. */
bulla_bytes bulla_tee_handles(const struct bulla_tee_base *tee);

/* The hosted agent with this handle, or NULL. */
struct bulla_tee_agent *bulla_tee_agent_of(struct bulla_tee_base *tee, const bulla_handle *handle);

/* The receipt key, for signing. In a forked copy of the process the instance secret is wiped: this aborts there. */
struct bulla_sign_key *bulla_tee_receipt_key(const struct bulla_tee_base *tee);
