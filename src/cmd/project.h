#pragma once
/* What an author writes, checked: the model of bulla.yaml (EXPERIENCE.md section 3). Every name is resolved, every value in
 * range; what does not hold is in diags, with its place. */
#include "base/limits.h"
#include "cmd/yaml_tree.h"

#define PROJECT_FIELDS_MAX 8

enum ref_kind { REF_INPUT, REF_STEP, REF_ITEM, REF_RESULT, REF_LOGS };

/* `input.person.name`, `risk.grade`, `result`. */
struct ref {
	enum ref_kind kind;
	unsigned step; /* REF_STEP: index into the workflow's steps */
	unsigned field_count;
	const char *fields[PROJECT_FIELDS_MAX];
	struct place place;
};

/* One part of a step's input: the whole input when name is NULL, else that member of an object. */
struct input {
	const char *name;
	struct ref ref;
};

/* `if: {risk: [low, refer]}`: one key of it. */
struct condition {
	unsigned step;
	uint64_t outcomes; /* bit per outcome of that step's agent */
};

enum step_kind { STEP_AGENT, STEP_SIGNAL, STEP_SLEEP };

struct step {
	const char *name;
	enum step_kind kind;
	unsigned agent; /* STEP_AGENT: index into the project's agents; STEP_SIGNAL: into its parties */
	struct input *inputs;
	unsigned input_count;
	struct condition *conditions;
	unsigned condition_count;
	unsigned tries;
	int64_t backoff_min_ms, backoff_max_ms;
	int64_t timeout_ms; /* STEP_SLEEP: how long */
	bool has_for_each;
	struct ref for_each;
	unsigned max_items;
	bool has_undo;
	unsigned undo; /* agent */
	bool fresh;
	struct place place;
};

/* Who of the parties sees what. */
struct see {
	unsigned party;
	struct ref ref;
};

struct workflow {
	const char *name;
	struct step *steps;
	unsigned step_count;
	struct see *sees;
	unsigned see_count;
	int64_t timeout_ms;
	bool receipts_each;
	struct place place;
};

enum binding { BINDING_RUN, BINDING_SERVE, BINDING_STREAM };

struct agent {
	const char *name;
	enum binding binding;
	const char **words; /* the command, split */
	unsigned word_count;
	uint64_t memory; /* bytes */
	unsigned cpus;
	unsigned at_once; /* steps at a time: sandboxes of `run`, questions that a long-lived process holds */
	const char **may;
	unsigned may_count;
	const char *outcome_field; /* NULL: none, the outcome is `ok` */
	const char **outcomes;
	unsigned outcome_count;
	struct place place;
};

struct project {
	const char *name;
	const char **parties; /* [0] is "owner" */
	unsigned party_count;
	struct agent *agents;
	unsigned agent_count;
	struct workflow *workflows;
	unsigned workflow_count;
	unsigned approve_need;
	unsigned *approvers; /* party indices */
	unsigned approver_count;
	const char *tee; /* "dev" unless the file says otherwise */
	int64_t max_age_ms;
	unsigned broker_port; /* 0: unix sockets only */
};

/* Reads the text of a bulla.yaml into *ret. Mistakes go to diags (the caller looks at diags->count); an error is returned
 * only when memory ends. Everything lives in the arena. */
BULLA_CHECK bulla_rc project_parse(struct arena *arena, bulla_bytes text, struct diags *diags, struct project *ret);

/* `risk.grade` as it is written; a longer one is cut. */
#define REF_TEXT 320
void ref_text(const struct workflow *workflow, const struct ref *ref, char ret[REF_TEXT]);

/* The agent or party of this name, or -1. */
int project_agent(const struct project *project, const char *name);
int project_party(const struct project *project, const char *name);
const struct workflow *project_workflow(const struct project *project, const char *name);
