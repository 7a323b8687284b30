#pragma once
/* From a checked workflow to the compiled plan that engine, broker, enclaves and verifiers read (flow/plan.h). */
#include "base/buf.h"
#include "cmd/names.h"
#include "cmd/project.h"
#include "flow/plan.h"

/* Writes the plan of one workflow (appends to ret_plan) and reads it back: what comes out is a valid plan.
 * BULLA_E_LIMIT when it passes the limits of a plan. */
BULLA_CHECK bulla_rc plan_compile(struct arena *arena, const struct project *project, const struct workflow *workflow,
	bulla_secret name_key, struct bulla_buf *ret_plan);
