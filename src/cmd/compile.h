#pragma once
/* From a checked project to its manifest: the deterministic bytes that approvers sign and enclaves measure. */
#include "cmd/context.h"
#include "image/measure.h"

/* What the project file does not say: what this machine's broker and development TEE are. */
struct compile_facts {
	uint64_t epoch;
	bulla_digest broker_tls;     /* digest(SPKI) */
	bulla_bytes ledger_spki;
	bulla_bytes wrapping_keys[BULLA_MAX_AGENTS]; /* ARN per agent of the project */
	uint8_t measured[3][BULLA_NITRO_PCR_SIZE];   /* of bulla-enclave */
	struct bulla_earlier *earlier; /* epochs that stay open, falling */
	size_t earlier_count;
	bulla_digest dev_root;       /* digest of the development root's certificate */
};

/* Digest of one agent's files, DIR/agents/NAME; an agent without a folder has no files. */
BULLA_CHECK bulla_rc compile_bundle(const struct context *context, const struct agent *agent, bulla_digest *ret);

/* Writes the manifest (appends), reading it back. Needs the owner's key, the name key, and keys/NAME.pub of all other
 * parties. Says what is missing; returns an exit code, or 0. */
int compile_manifest(struct context *context, const struct compile_facts *facts, struct bulla_buf *ret);
