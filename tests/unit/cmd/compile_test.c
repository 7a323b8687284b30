#define _GNU_SOURCE
#include "cmd/compile.h"
#include "cmd/plan.h"
#include "base/mem.h"
#include "crypto/random.h"
#include "flow/flow.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOAN \
	"project: lending\n" \
	"parties: [underwriter]\n" \
	"agents:\n" \
	"  intake: python3 intake.py\n" \
	"  risk: {run: ./risk, outcome: {grade: [low, refer, high]}}\n" \
	"  decide: {stream: python3 decide.py}\n" \
	"workflows:\n" \
	"  loan:\n" \
	"    see: {underwriter: [risk.grade]}\n" \
	"    steps:\n" \
	"      - intake\n" \
	"      - risk: {retry: 5}\n" \
	"      - decide: {input: {risk: risk, who: intake.person.name}}\n"

struct fixture {
	struct arena arena;
	struct project project;
	bulla_secret name_key;
	struct bulla_buf plan;
};

static int set_up(void **state)
{
	static struct fixture f;

	arena_init(&f.arena, 1 << 24);
	struct diags diags = {.arena = &f.arena};
	assert_ok(project_parse(&f.arena, bulla_bytes_str(LOAN), &diags, &f.project));
	assert_int_equal(diags.count, 0);
	assert_ok(bulla_random_secret(bulla_random_os(), 32, &f.name_key));
	bulla_buf_init(&f.plan, 65536);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	bulla_secret_free(&f->name_key);
	bulla_buf_done(&f->plan);
	arena_done(&f->arena);
	return 0;
}

static void a_plan_says_what_the_file_says(void **state)
{
	struct fixture *f = *state;
	struct bulla_flow flow;
	void *memory = NULL;
	size_t size;

	assert_ok(plan_compile(&f->arena, &f->project, &f->project.workflows[0], f->name_key, &f->plan));
	assert_ok(bulla_flow_measure(bulla_buf_view(&f->plan), &size));
	assert_ok(bulla_alloc(size, 1, &memory));
	assert_ok(bulla_flow_decode(bulla_buf_view(&f->plan), memory, size, &flow));
	assert_int_equal(flow.step_count, 4);
	assert_int_equal(flow.steps[2].tries, 5);
	assert_int_equal(flow.steps[2].words.count, 3);
	assert_int_equal(flow.steps[3].inputs.count, 2);
	/* risk: the whole for decide, the grade for the underwriter */
	assert_int_equal(flow.steps[2].parts.count, 2);
	/* intake: the whole for risk, person.name for decide */
	assert_int_equal(flow.steps[1].parts.count, 2);
	const struct bulla_flow_part *name = &flow.parts[flow.steps[1].parts.first + 1];
	assert_int_equal(name->path.count, 2);
	assert_int_equal(name->readers.count, 1);
	const struct bulla_flow_actor *reader = &flow.actors[flow.readers[name->readers.first]];
	bulla_handle decide = name_handle(f->name_key, "agent", "decide");
	assert_int_equal(reader->kind, BULLA_FLOW_AGENT);
	assert_memory_equal(reader->handle, decide.b, 8);
	bulla_free(memory);
}

static void a_plan_is_the_same_every_time_and_names_nobody(void **state)
{
	struct fixture *f = *state;
	struct bulla_buf again;

	bulla_buf_init(&again, 65536);
	assert_ok(plan_compile(&f->arena, &f->project, &f->project.workflows[0], f->name_key, &f->plan));
	assert_ok(plan_compile(&f->arena, &f->project, &f->project.workflows[0], f->name_key, &again));
	assert_bytes(bulla_buf_view(&again), bulla_buf_view(&f->plan));
	assert_null(memmem(again.p, again.n, "decide", 6));
	assert_null(memmem(again.p, again.n, "underwriter", 11));
	bulla_buf_done(&again);
}

static void a_project_becomes_a_manifest(void **state)
{
	char folder[] = "/tmp/bulla-compile-XXXXXX", path[200], home[200];
	struct cli cli = {.color = "auto", .quiet = true};
	struct context context;
	struct compile_facts facts = {.epoch = 7};
	struct bulla_manifest manifest;
	struct bulla_buf bytes;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/bulla.yaml", folder);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	/* one party only: keys of others are files */
	fputs("project: p\nagents: {a: ./a, b: ./b}\nworkflows: {w: [a, b]}\n", file);
	fclose(file);
	snprintf(home, sizeof(home), "%s/home", folder);
	setenv("HOME", home, 1);
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("XDG_STATE_HOME");
	cli.dir = folder;
	assert_int_equal(context_open(&context, &cli), 0);
	assert_int_equal(context_key(&context, true), 0);
	assert_int_equal(context_name_key(&context, true), 0);
	for (unsigned i = 0; i < 2; i++)
		facts.wrapping_keys[i] = BULLA_BYTES_LITERAL("arn:aws:kms:us-east-1:000000000000:key/1");
	facts.ledger_spki = bulla_sign_key_spki(context.key.sign);
	bulla_buf_init(&bytes, BULLA_MAX_MANIFEST);
	assert_int_equal(compile_manifest(&context, &facts, &bytes), 0);
	assert_ok(bulla_manifest_decode(bulla_buf_view(&bytes), &manifest));
	assert_true(manifest.epoch == 7);
	assert_int_equal(manifest.agent_count, 2);
	assert_int_equal(manifest.workflow_count, 1);
	assert_int_equal(manifest.need, 1);
	bulla_manifest_done(&manifest);
	bulla_buf_done(&bytes);
	context_done(&context);
	snprintf(path, sizeof(path), "rm -rf %s", folder);
	assert_int_equal(system(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_plan_says_what_the_file_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_plan_is_the_same_every_time_and_names_nobody, set_up, tear_down),
		cmocka_unit_test(a_project_becomes_a_manifest),
	};

	return bulla_secret_slab_init(64) != BULLA_OK || cmocka_run_group_tests_name("cmd_compile", tests, NULL, NULL);
}
