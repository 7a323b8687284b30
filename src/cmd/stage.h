#pragma once
/* Copies of agents' files for the enclaves: a change in the project folder reaches no running agent, and paths that the host
 * sees hold handles instead of names. */
#include "cmd/context.h"

/* Copies DIR/agents/NAME to STATE/platform/bundles/HANDLE-DIGEST unless that copy is there already; an agent without a
 * folder gets an empty one. The copy's path goes into ret. */
BULLA_CHECK bulla_rc stage_agent(const struct context *context, const struct agent *agent, char ret[CONTEXT_PATH]);
