#pragma once
/* A new epoch begins while runs of earlier ones go on: their enclaves stay beside the new ones until those runs have ended,
 * and the new manifest leaves their epochs open (engine.md section 6, protocol.md section 3). */
#include "cmd/local.h"
#include "platform/deployment.h"

#define DRAIN_MAX 15 /* epochs; a manifest names one more */

struct drain {
	struct bulla_earlier open[DRAIN_MAX + 1]; /* falling */
	size_t count;
};

/* Which epochs, of the one in force (context->manifest) and those that it leaves open, have open runs. An engine that does
 * not answer may have some of each. */
BULLA_CHECK bulla_rc drain_find(struct context *context, struct drain *ret);

/* Keeps the manifest in force under a name of its own, before the next one takes its place. */
BULLA_CHECK bulla_rc drain_keep_manifest(const struct context *context);

/* Adds the enclaves of those epochs, as the deployment that was written last has them. in_force: the epoch of its agents
 * without a manifest of their own, or 0 when they are the new ones'. */
BULLA_CHECK bulla_rc drain_deploy(struct context *context, const struct drain *drain, uint64_t in_force,
	struct bulla_deployment *deployment);
