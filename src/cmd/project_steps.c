#include "cmd/project_steps.h"

#include <string.h>

struct scope {
	struct reader *reader;
	struct workflow *workflow;
	const struct yaml_node *steps; /* all of them, to tell "below" from "unknown" */
};

static int find_step(const struct workflow *workflow, const char *name, size_t n)
{
	for (unsigned i = 0; i < workflow->step_count; i++)
		if (workflow->steps[i].name != NULL && strlen(workflow->steps[i].name) == n &&
			strncmp(workflow->steps[i].name, name, n) == 0)
			return (int)i;
	return -1;
}

static const struct yaml_node *step_key(const struct yaml_node *item)
{
	if (item->kind == YAML_SCALAR)
		return item;
	return item->kind == YAML_MAP && item->first != NULL ? item->first->key : NULL;
}

/* A name that is no step above: say whether it stands below, is mistyped, or is nothing at all. */
static void report_unknown(const struct scope *scope, const struct yaml_node *node, const char *name, const char *reads)
{
	const char *names[BULLA_MAX_FLOW_INPUTS + 2] = {"input", "result"};
	size_t count = 2;
	const char *near;

	for (const struct yaml_node *item = scope->steps->first; item != NULL; item = item->next) {
		const struct yaml_node *key = step_key(item);

		if (key != NULL && strcmp(key->text, name) == 0) {
			diag_add(scope->reader->diags, node->place, "reads-below", "%s reads `%s`, a step below it\nmove line %u up",
				reads, name, key->place.line);
			return;
		}
	}
	for (unsigned i = 0; i < scope->workflow->step_count && count < BULLA_MAX_FLOW_INPUTS; i++)
		names[count++] = scope->workflow->steps[i].name;
	near = nearest(name, names, count);
	if (near != NULL)
		diag_add(scope->reader->diags, node->place, "unknown-step", "`%.40s` is no step above\ndid you mean `%s`?", name, near);
	else
		diag_add(scope->reader->diags, node->place, "unknown-step", "`%.40s` is no step above\ninput, or a step", name);
}

/* Splits the fields after the first dot. */
static bool parse_fields(struct reader *reader, const struct yaml_node *node, const char *p, struct ref *ref)
{
	while (*p == '.') {
		size_t n = strcspn(p + 1, ".");

		if (n == 0 || ref->field_count == PROJECT_FIELDS_MAX) {
			diag_add(reader->diags, node->place, "bad-reference", "`%.60s` has an empty field, or more than %d\n", node->text,
				PROJECT_FIELDS_MAX);
			return false;
		}
		reader->rc = reader->rc == BULLA_OK ?
			arena_text(reader->arena, bulla_bytes_of(p + 1, n), &ref->fields[ref->field_count++]) : reader->rc;
		p += 1 + n;
	}
	return reader->rc == BULLA_OK;
}

/* reads: who reads, for messages. allow_result: `result` and `logs` are for `see`. */
static bool parse_ref(const struct scope *scope, const struct yaml_node *node, const char *reads, bool in_see, struct ref *ret)
{
	struct ref ref = {.place = node->place};
	char first[64] = "";
	size_t n;
	int step;

	if (!want_kind(scope->reader, node, YAML_SCALAR, "a reference: input, STEP or STEP.FIELD"))
		return false;
	n = strcspn(node->text, ".");
	if (n < sizeof(first))
		bulla_copy(first, node->text, n);
	step = find_step(scope->workflow, first, n);
	if (strcmp(first, "input") == 0)
		ref.kind = REF_INPUT;
	else if (in_see && strcmp(first, "result") == 0)
		ref.kind = REF_RESULT;
	else if (in_see && strcmp(first, "logs") == 0)
		ref.kind = REF_LOGS;
	else if (step >= 0)
		ref = (struct ref){.kind = REF_STEP, .step = (unsigned)step, .place = node->place};
	else {
		report_unknown(scope, node, first, reads);
		return false;
	}
	if (!parse_fields(scope->reader, node, node->text + n, &ref))
		return false;
	*ret = ref;
	return true;
}

static void parse_input(const struct scope *scope, const struct yaml_node *node, struct step *step)
{
	size_t count = node->kind == YAML_MAP ? node->count : 1;
	char reads[48];

	snprintf(reads, sizeof(reads), "`%s`", step->name);
	if (count > BULLA_MAX_FLOW_INPUTS) {
		diag_add(scope->reader->diags, node->place, "limit", "a step has at most %d inputs\n", BULLA_MAX_FLOW_INPUTS);
		return;
	}
	step->inputs = reader_array(scope->reader, count, sizeof(*step->inputs));
	step->input_count = 0;
	if (step->inputs == NULL)
		return;
	if (node->kind != YAML_MAP) {
		step->input_count = parse_ref(scope, node, reads, false, &step->inputs[0].ref) ? 1 : 0;
		return;
	}
	for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
		struct input input = {.name = child->key->text};

		if (parse_ref(scope, child, reads, false, &input.ref))
			step->inputs[step->input_count++] = input;
	}
}

/* What a step reads when it does not say: the step above, or the run's input. */
static bool default_input(const struct scope *scope, struct step *step)
{
	unsigned above = scope->workflow->step_count;

	step->inputs = reader_array(scope->reader, 1, sizeof(*step->inputs));
	if (step->inputs == NULL)
		return false;
	step->inputs[0] = (struct input){.ref = {.kind = above == 0 ? REF_INPUT : REF_STEP,
		.step = above == 0 ? 0 : above - 1, .place = step->place}};
	step->input_count = 1;
	return true;
}

static void parse_backoff(struct reader *reader, const struct yaml_node *node, struct step *step)
{
	const char *split = node->kind == YAML_SCALAR ? strstr(node->text, "..") : NULL;
	struct yaml_node low = *node, high = *node;

	if (split == NULL || reader->rc != BULLA_OK) {
		diag_add(reader->diags, node->place, "bad-backoff", "a backoff is LEAST..MOST\n1s..1m");
		return;
	}
	reader->rc = arena_text(reader->arena, bulla_bytes_of(node->text, (size_t)(split - node->text)), &low.text);
	high.text = split + 2;
	if (reader->rc == BULLA_OK && read_time(reader, &low, &step->backoff_min_ms) &&
		read_time(reader, &high, &step->backoff_max_ms) && step->backoff_max_ms < step->backoff_min_ms)
		diag_add(reader->diags, node->place, "bad-backoff", "the most is less than the least\n");
}

static void parse_agent_name(const struct scope *scope, const struct yaml_node *node, struct step *step)
{
	struct project *project = scope->reader->project;
	const char *names[BULLA_MAX_AGENTS];
	const char *near;
	int agent = project_agent(project, node->text);

	if (agent >= 0) {
		step->agent = (unsigned)agent;
		return;
	}
	for (unsigned i = 0; i < project->agent_count; i++)
		names[i] = project->agents[i].name == NULL ? "" : project->agents[i].name;
	near = nearest(node->text, names, project->agent_count);
	if (near != NULL)
		diag_add(scope->reader->diags, node->place, "unknown-agent", "`%.40s` is not in `agents`\ndid you mean `%s`?", node->text,
			near);
	else
		diag_add(scope->reader->diags, node->place, "unknown-agent", "`%.40s` is not in `agents`\n", node->text);
}

static void refuse_later_keys(struct reader *reader, const struct yaml_node *node)
{
	static const char *const later[] = {"if", "for_each", "max_items", "undo", "signal", "sleep"};

	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		const struct yaml_node *value = yaml_get(node, later[i]);

		if (value != NULL)
			diag_add(reader->diags, value->key->place, "unsupported",
				"`%s` is not built yet\nsteps in a row, with retry and timeout",
				later[i]);
	}
}

static void parse_step_map(const struct scope *scope, const struct yaml_node *node, struct step *step)
{
	static const char *const keys[] = {"agent", "input", "if", "retry", "backoff", "timeout", "for_each", "max_items", "undo",
		"fresh", "signal", "sleep"};
	struct reader *reader = scope->reader;
	const struct yaml_node *value;

	check_keys(reader, node, keys, sizeof(keys) / sizeof(keys[0]), "a step");
	refuse_later_keys(reader, node);
	value = yaml_get(node, "agent");
	parse_agent_name(scope, value != NULL ? value : node->key, step);
	if ((value = yaml_get(node, "input")) != NULL)
		parse_input(scope, value, step);
	if ((value = yaml_get(node, "retry")) != NULL)
		read_count(reader, value, 1, BULLA_MAX_FLOW_TRIES, &step->tries);
	if ((value = yaml_get(node, "backoff")) != NULL)
		parse_backoff(reader, value, step);
	if ((value = yaml_get(node, "timeout")) != NULL)
		read_time(reader, value, &step->timeout_ms);
	if ((value = yaml_get(node, "fresh")) != NULL)
		read_flag(reader, value, &step->fresh);
}

static void parse_step(const struct scope *scope, const struct yaml_node *item)
{
	struct reader *reader = scope->reader;
	struct workflow *workflow = scope->workflow;
	const struct yaml_node *key = step_key(item);
	struct step step = {.tries = 3, .backoff_min_ms = 1000, .backoff_max_ms = 60000, .timeout_ms = 300000};

	if (key == NULL || (item->kind == YAML_MAP && item->count != 1)) {
		diag_add(reader->diags, item->place, "bad-step", "a step is NAME or NAME: {...}\n");
		return;
	}
	if (strcmp(key->text, "parallel") == 0) {
		diag_add(reader->diags, key->place, "unsupported", "`parallel` is not built yet\nput the steps in a row");
		return;
	}
	step.place = key->place;
	if (!read_name(reader, key, &step.name) || !default_input(scope, &step))
		return;
	if (find_step(workflow, step.name, strlen(step.name)) >= 0 || strcmp(step.name, "input") == 0 ||
		strcmp(step.name, "result") == 0 || strcmp(step.name, "logs") == 0 || strcmp(step.name, "item") == 0)
		diag_add(reader->diags, key->place, "duplicate-step", "`%s` is taken\nNAME: {agent: %s}", step.name, step.name);
	if (item->kind == YAML_SCALAR)
		parse_agent_name(scope, item, &step);
	else if (item->first->kind == YAML_MAP)
		parse_step_map(scope, item->first, &step);
	else
		want_kind(reader, item->first, YAML_MAP, "{agent: NAME, ...}");
	workflow->steps[workflow->step_count++] = step;
}

static void parse_steps(const struct scope *scope)
{
	struct reader *reader = scope->reader;

	if (!want_kind(reader, scope->steps, YAML_LIST, "a list of steps"))
		return;
	if (scope->steps->count == 0 || scope->steps->count >= BULLA_MAX_FLOW_STEPS) {
		diag_add(reader->diags, scope->steps->place, "limit", "a workflow has 1 to %d steps\n", BULLA_MAX_FLOW_STEPS - 1);
		return;
	}
	scope->workflow->steps = reader_array(reader, scope->steps->count, sizeof(*scope->workflow->steps));
	for (const struct yaml_node *item = scope->steps->first; item != NULL && scope->workflow->steps != NULL; item = item->next)
		parse_step(scope, item);
}

static void add_sees(const struct scope *scope, unsigned party, const struct yaml_node *node)
{
	struct workflow *workflow = scope->workflow;
	const struct yaml_node *child = node->kind == YAML_LIST ? node->first : node;
	const struct yaml_node *end = node->kind == YAML_LIST ? NULL : node->next;

	for (; child != end; child = child->next) {
		struct see see = {.party = party};

		if (parse_ref(scope, child, "`see`", true, &see.ref))
			workflow->sees[workflow->see_count++] = see;
	}
}

/* The owner sees input, result and logs, unless the file says what the owner sees. */
static void parse_see(const struct scope *scope, const struct yaml_node *node)
{
	static const enum ref_kind defaults[] = {REF_INPUT, REF_RESULT, REF_LOGS};
	struct workflow *workflow = scope->workflow;
	size_t room = 3;

	for (const struct yaml_node *child = node == NULL ? NULL : node->first; child != NULL; child = child->next)
		room += child->kind == YAML_LIST ? child->count : 1;
	workflow->sees = reader_array(scope->reader, room, sizeof(*workflow->sees));
	if (workflow->sees == NULL)
		return;
	if (node == NULL || node->kind != YAML_MAP || yaml_get(node, "owner") == NULL)
		for (size_t i = 0; i < 3; i++)
			workflow->sees[workflow->see_count++] = (struct see){.party = 0, .ref = {.kind = defaults[i]}};
	if (node == NULL || !want_kind(scope->reader, node, YAML_MAP, "{PARTY: [REFERENCE, ...]}"))
		return;
	for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
		int party = project_party(scope->reader->project, child->key->text);

		if (party < 0)
			diag_add(scope->reader->diags, child->key->place, "unknown-party", "`%.40s` is not in `parties`\n", child->key->text);
		else
			add_sees(scope, (unsigned)party, child);
	}
}

void parse_workflow(struct reader *reader, const struct yaml_node *node, struct workflow *workflow)
{
	static const char *const keys[] = {"see", "steps", "timeout", "receipts"};
	struct scope scope = {.reader = reader, .workflow = workflow, .steps = node};
	const struct yaml_node *value = NULL;
	bool map = node->kind == YAML_MAP;

	*workflow = (struct workflow){.timeout_ms = INT64_C(30) * 86400000, .place = node->key->place};
	if (!read_name(reader, node->key, &workflow->name))
		return;
	if (map) {
		check_keys(reader, node, keys, sizeof(keys) / sizeof(keys[0]), "a workflow");
		scope.steps = yaml_get(node, "steps");
	}
	if (scope.steps == NULL) {
		diag_add(reader->diags, node->key->place, "missing-key", "a workflow has `steps`\n");
		return;
	}
	parse_steps(&scope);
	parse_see(&scope, map ? yaml_get(node, "see") : NULL);
	if (map && (value = yaml_get(node, "timeout")) != NULL)
		read_time(reader, value, &workflow->timeout_ms);
	if (map && (value = yaml_get(node, "receipts")) != NULL) {
		workflow->receipts_each = value->kind == YAML_SCALAR && strcmp(value->text, "each") == 0;
		if (!workflow->receipts_each && (value->kind != YAML_SCALAR || strcmp(value->text, "batch") != 0))
			diag_add(reader->diags, value->place, "bad-receipts", "`receipts` is `each` or `batch`\n");
	}
}
