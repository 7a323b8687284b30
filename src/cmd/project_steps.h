#pragma once
/* Workflows of bulla.yaml: steps, references, conditions, readers. */
#include "cmd/project_values.h"

/* One entry of `workflows`: a list of steps, or a map with `steps`. Agents and parties are known by then. */
void parse_workflow(struct reader *reader, const struct yaml_node *node, struct workflow *workflow);
