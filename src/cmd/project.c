#include "cmd/project.h"

#include "cmd/project_steps.h"

#include <string.h>

int project_agent(const struct project *project, const char *name)
{
	for (unsigned i = 0; i < project->agent_count; i++)
		if (project->agents[i].name != NULL && strcmp(project->agents[i].name, name) == 0)
			return (int)i;
	return -1;
}

int project_party(const struct project *project, const char *name)
{
	for (unsigned i = 0; i < project->party_count; i++)
		if (strcmp(project->parties[i], name) == 0)
			return (int)i;
	return -1;
}

void ref_text(const struct workflow *workflow, const struct ref *ref, char ret[REF_TEXT])
{
	static const char *const words[] = {"input", "", "item", "result", "logs"};
	size_t n = (size_t)snprintf(ret, REF_TEXT, "%s", ref->kind == REF_STEP ? workflow->steps[ref->step].name : words[ref->kind]);

	for (unsigned i = 0; i < ref->field_count && n < REF_TEXT; i++)
		n += (size_t)snprintf(ret + n, REF_TEXT - n, ".%s", ref->fields[i]);
}

const struct workflow *project_workflow(const struct project *project, const char *name)
{
	for (unsigned i = 0; i < project->workflow_count; i++)
		if (project->workflows[i].name != NULL && strcmp(project->workflows[i].name, name) == 0)
			return &project->workflows[i];
	return NULL;
}

static void parse_parties(struct reader *reader, const struct yaml_node *node)
{
	struct project *project = reader->project;
	size_t count = node == NULL ? 0 : node->count;

	project->parties = reader_array(reader, count + 1, sizeof(*project->parties));
	if (project->parties == NULL)
		return;
	project->parties[project->party_count++] = "owner";
	if (node == NULL || !want_kind(reader, node, YAML_LIST, "a list of names"))
		return;
	if (count >= BULLA_MAX_PARTIES) {
		diag_add(reader->diags, node->place, "limit", "there are more than %d parties\n", BULLA_MAX_PARTIES - 1);
		return;
	}
	for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
		const char *name = NULL;

		if (!read_name(reader, child, &name))
			continue;
		if (project_party(project, name) >= 0)
			diag_add(reader->diags, child->place, "duplicate-party", "`%s` is there already\nowner is built in", name);
		else
			project->parties[project->party_count++] = name;
	}
}

static void parse_outcome(struct reader *reader, const struct yaml_node *node, struct agent *agent)
{
	const struct yaml_node *values = node->first;

	if (!want_kind(reader, node, YAML_MAP, "{FIELD: [WORD, ...]}"))
		return;
	if (node->count != 1) {
		diag_add(reader->diags, node->place, "wrong-type", "an outcome is one field of the output\n{grade: [low, high]}");
		return;
	}
	if (!read_name(reader, values->key, &agent->outcome_field) ||
		!read_list(reader, values, BULLA_MAX_FLOW_OUTCOMES, &agent->outcomes, &agent->outcome_count))
		return;
	if (agent->outcome_count == 0)
		diag_add(reader->diags, values->place, "no-outcome", "a field that may say nothing fails every step\n[WORD, ...]");
	for (unsigned i = 1; i < agent->outcome_count; i++)
		for (unsigned j = 0; j < i; j++)
			if (strcmp(agent->outcomes[i], agent->outcomes[j]) == 0)
				diag_add(reader->diags, values->place, "duplicate-outcome", "`%s` is there twice\n", agent->outcomes[i]);
}

static void parse_command(struct reader *reader, const struct yaml_node *node, struct agent *agent)
{
	static const char *const bindings[] = {"run", "serve", "stream"};
	unsigned found = 0;

	for (unsigned i = 0; i < 3; i++) {
		const struct yaml_node *command = yaml_get(node, bindings[i]);

		if (command == NULL)
			continue;
		found++;
		agent->binding = (enum binding)i;
		read_words(reader, command, &agent->words, &agent->word_count);
	}
	if (found != 1)
		diag_add(reader->diags, node->key == NULL ? node->place : node->key->place, "bad-agent",
			"an agent has exactly one of `run`, `serve` and `stream`\n");
}

static void parse_agent(struct reader *reader, const struct yaml_node *node, struct agent *agent)
{
	static const char *const keys[] = {"run", "serve", "stream", "packages", "memory", "cpus", "at_once", "may", "outcome"};
	const struct yaml_node *value;

	*agent = (struct agent){.memory = UINT64_C(256) << 20, .cpus = 1, .at_once = 1, .place = node->key->place};
	if (!read_name(reader, node->key, &agent->name))
		return;
	if (node->kind == YAML_SCALAR) {
		read_words(reader, node, &agent->words, &agent->word_count);
		return;
	}
	if (!want_kind(reader, node, YAML_MAP, "a command or {run: COMMAND, ...}"))
		return;
	check_keys(reader, node, keys, sizeof(keys) / sizeof(keys[0]), "an agent");
	parse_command(reader, node, agent);
	if ((value = yaml_get(node, "memory")) != NULL)
		read_size(reader, value, &agent->memory);
	if ((value = yaml_get(node, "cpus")) != NULL)
		read_count(reader, value, 1, 64, &agent->cpus);
	if ((value = yaml_get(node, "at_once")) != NULL)
		read_count(reader, value, 1, BULLA_MAX_AGENT_IN_FLIGHT, &agent->at_once);
	if ((value = yaml_get(node, "outcome")) != NULL)
		parse_outcome(reader, value, agent);
	if ((value = yaml_get(node, "may")) != NULL && read_list(reader, value, 64, &agent->may, &agent->may_count) &&
		agent->may_count > 0)
		diag_add(reader->diags, value->place, "unsupported", "`may` is not built yet: agents reach nothing outside\nremove it");
	if ((value = yaml_get(node, "packages")) != NULL)
		diag_add(reader->diags, value->place, "unsupported", "`packages` is not built yet\nagents see this machine's /usr");
}

static void parse_agents(struct reader *reader, const struct yaml_node *node)
{
	struct project *project = reader->project;

	if (!want_kind(reader, node, YAML_MAP, "{NAME: COMMAND, ...}"))
		return;
	if (node->count > BULLA_MAX_AGENTS) {
		diag_add(reader->diags, node->place, "limit", "there are more than %d agents\n", BULLA_MAX_AGENTS);
		return;
	}
	project->agents = reader_array(reader, node->count, sizeof(*project->agents));
	for (const struct yaml_node *child = node->first; child != NULL && project->agents != NULL; child = child->next)
		parse_agent(reader, child, &project->agents[project->agent_count++]);
}

static void parse_workflows(struct reader *reader, const struct yaml_node *node)
{
	struct project *project = reader->project;

	if (!want_kind(reader, node, YAML_MAP, "{NAME: [STEP, ...]}"))
		return;
	if (node->count > BULLA_MAX_WORKFLOWS) {
		diag_add(reader->diags, node->place, "limit", "there are more than %d workflows\n", BULLA_MAX_WORKFLOWS);
		return;
	}
	project->workflows = reader_array(reader, node->count, sizeof(*project->workflows));
	for (const struct yaml_node *child = node->first; child != NULL && project->workflows != NULL; child = child->next)
		parse_workflow(reader, child, &project->workflows[project->workflow_count++]);
}

static void parse_approve(struct reader *reader, const struct yaml_node *node)
{
	static const char *const keys[] = {"need", "of"};
	struct project *project = reader->project;
	const struct yaml_node *of = yaml_get(node, "of"), *need = yaml_get(node, "need");
	const char **names = NULL;
	unsigned count = 0;

	if (!want_kind(reader, node, YAML_MAP, "{need: N, of: [PARTY, ...]}"))
		return;
	check_keys(reader, node, keys, 2, "`approve`");
	if (of == NULL || need == NULL) {
		diag_add(reader->diags, node->place, "missing-key", "`approve` has `need` and `of`\n");
		return;
	}
	if (!read_list(reader, of, BULLA_MAX_APPROVERS, &names, &count))
		return;
	project->approvers = reader_array(reader, count, sizeof(*project->approvers));
	project->approver_count = 0;
	for (unsigned i = 0; i < count && project->approvers != NULL; i++) {
		int party = project_party(project, names[i]);

		if (party < 0)
			diag_add(reader->diags, of->place, "unknown-party", "`%.40s` is not in `parties`\n", names[i]);
		else
			project->approvers[project->approver_count++] = (unsigned)party;
	}
	read_count(reader, need, 1, count == 0 ? 1 : count, &project->approve_need);
}

static void parse_tee(struct reader *reader, const struct yaml_node *node)
{
	static const char *const keys[] = {"accept", "max_age", "machines"};
	const struct yaml_node *value;

	if (!want_kind(reader, node, YAML_MAP, "{accept: [TEE, ...], max_age: TIME}"))
		return;
	check_keys(reader, node, keys, sizeof(keys) / sizeof(keys[0]), "`tee`");
	if ((value = yaml_get(node, "max_age")) != NULL)
		read_time(reader, value, &reader->project->max_age_ms);
}

static void parse_broker(struct reader *reader, const struct yaml_node *node)
{
	static const char *const keys[] = {"port", "url"};
	const struct yaml_node *value;

	if (node->kind == YAML_SCALAR && strcmp(node->text, "local") == 0)
		return;
	if (!want_kind(reader, node, YAML_MAP, "local or {port: N}"))
		return;
	check_keys(reader, node, keys, 2, "`broker`");
	if ((value = yaml_get(node, "port")) != NULL)
		read_count(reader, value, 1, 65535, &reader->project->broker_port);
	if ((value = yaml_get(node, "url")) != NULL)
		diag_add(reader->diags, value->place, "unsupported", "a broker elsewhere is not built yet\n`broker: local`");
}

/* What may stand in the file, but only in one form today. */
static void parse_fixed(struct reader *reader, const struct yaml_node *root, const char *key, const char *only)
{
	const struct yaml_node *value = yaml_get(root, key);

	if (value != NULL && (value->kind != YAML_SCALAR || strcmp(value->text, only) != 0))
		diag_add(reader->diags, value->place, "unsupported", "`%s` can only be `%s` today\n", key, only);
}

static void parse_root(struct reader *reader, const struct yaml_node *root)
{
	static const char *const keys[] = {"project", "parties", "agents", "models", "workflows", "tee", "approve", "engine",
		"broker", "keys", "freshness"};
	const struct yaml_node *value;
	static const char *const needed[] = {"project", "agents", "workflows"};

	check_keys(reader, root, keys, sizeof(keys) / sizeof(keys[0]), "a project");
	for (size_t i = 0; i < 3; i++)
		if (yaml_get(root, needed[i]) == NULL)
			diag_add(reader->diags, root->place, "missing-key", "a project has `%s`\n", needed[i]);
	if ((value = yaml_get(root, "project")) != NULL)
		read_name(reader, value, &reader->project->name);
	parse_parties(reader, yaml_get(root, "parties"));
	if ((value = yaml_get(root, "agents")) != NULL)
		parse_agents(reader, value);
	if ((value = yaml_get(root, "workflows")) != NULL)
		parse_workflows(reader, value);
	if ((value = yaml_get(root, "approve")) != NULL)
		parse_approve(reader, value);
	if ((value = yaml_get(root, "tee")) != NULL)
		parse_tee(reader, value);
	if ((value = yaml_get(root, "broker")) != NULL)
		parse_broker(reader, value);
	if ((value = yaml_get(root, "models")) != NULL)
		diag_add(reader->diags, value->place, "unsupported", "`models` is not built yet\nremove it");
	parse_fixed(reader, root, "engine", "embedded");
	parse_fixed(reader, root, "keys", "broker");
	parse_fixed(reader, root, "freshness", "strict");
}

bulla_rc project_parse(struct arena *arena, bulla_bytes text, struct diags *diags, struct project *ret)
{
	static const unsigned owner_alone[] = {0};
	struct reader reader = {.arena = arena, .diags = diags, .project = ret};
	struct yaml_node *root = NULL;

	*ret = (struct project){.approve_need = 1, .approver_count = 1, .tee = "dev", .max_age_ms = 300000};
	ret->approvers = reader_array(&reader, 1, sizeof(*ret->approvers));
	if (ret->approvers != NULL)
		ret->approvers[0] = owner_alone[0];
	BULLA_TRY(yaml_parse(arena, text, diags, &root));
	if (root == NULL) {
		if (diags->count == 0)
			diag_add(diags, (struct place){1, 1, 1}, "yaml", "the file is empty\nbulla init writes one");
		return reader.rc;
	}
	if (want_kind(&reader, root, YAML_MAP, "{project: NAME, agents: ..., workflows: ...}"))
		parse_root(&reader, root);
	return reader.rc;
}
