/* bulla check: checks bulla.yaml, prints steps and who could read what. Needs no key and no running part. */
#include "cmd/programs.h"

#include <stdio.h>
#include <string.h>

static void print_ref(const struct workflow *workflow, const struct ref *ref)
{
	char text[REF_TEXT];

	ref_text(workflow, ref, text);
	printf("%s", text);
}

static void print_step(const struct project *project, const struct workflow *workflow, const struct step *step)
{
	const struct agent *agent = &project->agents[step->agent];

	printf("  %-14s", step->name);
	printf(" agent %-12s reads ", agent->name);
	for (unsigned i = 0; i < step->input_count; i++) {
		if (i > 0)
			printf(", ");
		if (step->inputs[i].name != NULL)
			printf("%s: ", step->inputs[i].name);
		print_ref(workflow, &step->inputs[i].ref);
	}
	for (unsigned i = 0; i < agent->outcome_count; i++)
		printf("%s%s", i == 0 ? "  ends " : "|", agent->outcomes[i]);
	printf("\n");
}

static void print_workflow(const struct project *project, const struct workflow *workflow)
{
	printf("workflow %s\n", workflow->name);
	for (unsigned i = 0; i < workflow->step_count; i++)
		print_step(project, workflow, &workflow->steps[i]);
	for (unsigned i = 0; i < workflow->see_count; i++) {
		printf("  %-14s sees ", project->parties[workflow->sees[i].party]);
		print_ref(workflow, &workflow->sees[i].ref);
		printf("\n");
	}
}

static void print_json(const struct project *project)
{
	for (unsigned i = 0; i < project->workflow_count; i++)
		for (unsigned s = 0; s < project->workflows[i].step_count; s++) {
			const struct step *step = &project->workflows[i].steps[s];

			printf("{\"v\":1,\"t\":\"plan\",\"workflow\":");
			json_string(project->workflows[i].name);
			printf(",\"step\":");
			json_string(step->name);
			printf(",\"agent\":");
			json_string(project->agents[step->agent].name);
			printf("}\n");
		}
}

int cmd_check(struct cli *cli)
{
	struct context context;
	int code = context_open(&context, cli);

	code = code == 0 ? programs_check(&context) : code;
	if (code == 0 && cli->json)
		print_json(&context.project);
	else if (code == 0)
		for (unsigned i = 0; i < context.project.workflow_count; i++)
			print_workflow(&context.project, &context.project.workflows[i]);
	if (code == 0)
		say(cli, "%s holds.  next: bulla up", "bulla.yaml");
	context_done(&context);
	return code;
}
