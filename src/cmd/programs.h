#pragma once
/* Do the agents' commands begin with programs that are there? Asked before anything is started or approved. */
#include "cmd/context.h"

/* Says all that are not, with their places in bulla.yaml; an exit code, or 0. */
int programs_check(struct context *context);
