#pragma once
/* Inside of the decoder: what a plan must satisfy beyond its form, and what is derived from it. */
#include "flow/plan.h"

/* References, kinds and readers; sets forward_count. BULLA_E_FORMAT, BULLA_E_LIMIT. */
BULLA_CHECK bulla_rc bulla_flow_plan_check(struct bulla_flow *flow);

/* Fills deps, waiting and undone_by of every step of a checked plan; flow->refs has room for them. */
void bulla_flow_plan_derive(struct bulla_flow *flow);

/* Outcomes (not failures) a step can end with: 1..BULLA_MAX_FLOW_OUTCOMES. */
unsigned bulla_flow_outcome_count(const struct bulla_flow_step *step);
