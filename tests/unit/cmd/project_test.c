#include "cmd/project.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Parses and returns what a person would see, as one string; *ret_count mistakes. The caller frees it. */
static char *mistakes(const char *text, unsigned *ret_count)
{
	struct arena arena;
	struct project project;
	char *out = NULL;
	size_t n = 0;
	FILE *file = open_memstream(&out, &n);

	arena_init(&arena, 1 << 22);
	struct diags diags = {.arena = &arena};
	assert_ok(project_parse(&arena, bulla_bytes_str(text), &diags, &project));
	diag_print(&diags, "bulla.yaml", bulla_bytes_str(text), file);
	fclose(file);
	*ret_count = diags.count;
	arena_done(&arena);
	return out;
}

#define LOAN \
	"project: lending\n" \
	"parties: [underwriter]\n" \
	"agents:\n" \
	"  intake: python3 intake.py\n" \
	"  risk: {run: ./risk, outcome: {grade: [low, refer, high]}, memory: 512M}\n" \
	"  decide: {stream: \"python3 'my file.py'\"}\n" \
	"workflows:\n" \
	"  loan:\n" \
	"    see: {underwriter: [risk.grade]}\n" \
	"    steps:\n" \
	"      - intake\n" \
	"      - risk: {retry: 5, backoff: 2s..5m, timeout: 2m}\n" \
	"      - decide: {input: {risk: risk, who: intake.person.name}}\n"

static void a_good_project_is_read(void **state)
{
	struct arena arena;
	struct project p;

	(void)state;
	arena_init(&arena, 1 << 22);
	struct diags diags = {.arena = &arena};
	assert_ok(project_parse(&arena, bulla_bytes_str(LOAN), &diags, &p));
	assert_int_equal(diags.count, 0);
	assert_string_equal(p.name, "lending");
	assert_int_equal(p.party_count, 2);
	assert_int_equal(p.agent_count, 3);
	assert_int_equal(p.agents[1].outcome_count, 3);
	assert_true(p.agents[1].memory == UINT64_C(512) << 20);
	assert_int_equal(p.agents[2].binding, BINDING_STREAM);
	assert_int_equal(p.agents[2].word_count, 2);
	assert_string_equal(p.agents[2].words[1], "my file.py");
	const struct workflow *loan = project_workflow(&p, "loan");
	assert_non_null(loan);
	assert_int_equal(loan->step_count, 3);
	assert_int_equal(loan->steps[0].inputs[0].ref.kind, REF_INPUT);
	assert_int_equal(loan->steps[1].inputs[0].ref.step, 0);
	assert_int_equal(loan->steps[1].tries, 5);
	assert_int_equal(loan->steps[1].backoff_max_ms, 300000);
	assert_int_equal(loan->steps[2].input_count, 2);
	assert_string_equal(loan->steps[2].inputs[1].name, "who");
	assert_string_equal(loan->steps[2].inputs[1].ref.fields[1], "name");
	assert_int_equal(loan->see_count, 4); /* input, result, logs for the owner; risk.grade */
	arena_done(&arena);
}

static const struct {
	const char *from, *to; /* LOAN with `from` replaced by `to` ... */
	const char *says;      /* ... prints this */
} cases[] = {
	{"- risk: {retry: 5", "- risc: {retry: 5", "bulla.yaml:12:9: error[unknown-agent]: `risc` is not in `agents`\n"},
	{"- risk: {retry: 5", "- risc: {retry: 5", "\n        ^~~~ did you mean `risk`?\n"},
	{"retry: 5", "retyr: 5", "bulla.yaml:12:16: error[unknown-key]: a step has no key `retyr`\n"},
	{"retry: 5", "retyr: 5", "^~~~~ did you mean `retry`?\n"},
	{"      - intake\n", "      - intake: {input: decide}\n",
		"bulla.yaml:11:25: error[reads-below]: `intake` reads `decide`, a step below it\n"},
	{"      - intake\n", "      - intake: {input: decide}\n", "^~~~~~ move line 13 up\n"},
	{"timeout: 2m", "timeout: 2", "error[no-unit]: `2` is not a time\n"},
	{"timeout: 2m", "timeout: 2", "^ 2s, 2m, 2h or 2d\n"},
	{"python3 intake.py", "jq {a: .b}", "bulla.yaml:4:"},
	{"python3 intake.py", "jq {a: .b}", "error[yaml]: `: ` inside a value needs quotes\n"},
	{"retry: 5", "retry: 500", "error[bad-number]: `500` is not a number from 1 to 200\n"},
	{"memory: 512M", "memory: 512", "error[bad-size]"},
	{"{run: ./risk", "{run: ./risk, serve: x", "error[bad-agent]"},
	{"project: lending", "project: 9", "error[bad-name]"},
	{"project: lending", "projekt: lending", "did you mean `project`?"},
	{"project: lending", "project: [a, b]", "error[wrong-type]: a name belongs here\n"},
	{"project: lending", "project: &x lending", "error[yaml]: anchors and tags"},
	{"project: lending", "project: lending\nproject: b", "error[duplicate-key]: `project` is there twice\n"},
	{"project: lending", "? [a, b]\n: c\nproject: b", "error[yaml]: a key is a word"},
	{"see: {underwriter", "see: {underwriters", "error[unknown-party]"},
	{"risk.grade]", "risk..grade]", "error[bad-reference]"},
	{"      - intake\n", "      - parallel: [intake]\n", "error[unsupported]: `parallel` is not built yet"},
	{"[low, refer, high]", "[]", "bulla.yaml:5:40: error[no-outcome]: "},
	{"[low, refer, high]", "[low, low]", "error[duplicate-outcome]: `low` is there twice\n"},
	{"- intake\n", "- \xff\n", "bulla.yaml:11:9: error[yaml]: invalid leading UTF-8 octet\n"},
	{"- intake\n", "- \x01\n", "bulla.yaml:11:9: error[yaml]: control characters are not allowed\n      - ?\n        ^ text in UTF-8\n"},
	{"- intake\n", "- \"\\x1b[2J\"\n", "bulla.yaml:11:9: error[bad-name]: `?[2J` is not a name\n"},
	{"- intake\n", "- \"a\\nb\"\n", "bulla.yaml:11:9: error[bad-name]: `a?b` is not a name\n"},
	{"- intake\n", "- inta\r\n", "\n      - inta\n"},
	{"decide: {stream: \"python3 'my file.py'\"}", "decide: \"python3 'open\"", "error[bad-command]"},
};

static void replaced(const char *from, const char *to, char *ret, size_t size)
{
	const char *at = strstr(LOAN, from);

	assert_non_null(at);
	snprintf(ret, size, "%.*s%s%s", (int)(at - LOAN), LOAN, to, at + strlen(from));
}

static void mistakes_say_where_what_and_how(void **state)
{
	char text[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned count = 0;

		replaced(cases[i].from, cases[i].to, text, sizeof(text));
		char *out = mistakes(text, &count);
		if (count == 0 || strstr(out, cases[i].says) == NULL)
			fail_msg("case %zu wants:\n%s\ngot:\n%s", i, cases[i].says, out);
		free(out);
	}
}

/* A line of a thousand agents: the message shows what stands around the mistake, and marks it. */
static void of_a_long_line_a_piece_is_shown(void **state)
{
	char text[20000], line[200] = "", *shown, *mark;
	size_t n = (size_t)snprintf(text, sizeof(text), "project: x\nagents: {");
	unsigned count = 0;

	(void)state;
	for (unsigned i = 0; i < 200; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%sa%u: jq .", i == 0 ? "" : ", ", i);
	snprintf(text + n, sizeof(text) - n, ", wrong: {rum: x}, last: jq .}\nworkflows: {w: [a1]}\n");
	char *out = mistakes(text, &count);
	assert_int_equal(count, 2);
	shown = strstr(out, "wrong: {rum: x}, last: jq .}\n");
	assert_non_null(shown);
	mark = strstr(shown, "\n") + 1;
	while (shown > out && shown[-1] != '\n')
		shown--;
	assert_true(mark - shown < 130);
	snprintf(line, sizeof(line), "%.*s", (int)(strchr(mark, '^') - mark), mark);
	assert_memory_equal(shown + strlen(line), "wrong", 5);
	assert_true(strlen(out) < 1000);
	free(out);
}

/* What comes behind a second `---` is not judged as if it were the project. */
static void a_second_document_is_one_mistake(void **state)
{
	unsigned count = 0;
	char *out = mistakes("project: x\nagents: {a: jq .}\nworkflows: {w: [a]}\n---\nproject: y\n", &count);

	(void)state;
	assert_int_equal(count, 1);
	assert_non_null(strstr(out, "bulla.yaml:4:1: error[yaml]: a second document begins\n"));
	free(out);
}

static void any_text_is_survived(void **state)
{
	char text[4096];
	size_t n = strlen(LOAN);

	(void)state;
	for (size_t i = 0; i < n; i++) { /* truncated at every place, and each byte replaced */
		unsigned count = 0;

		snprintf(text, sizeof(text), "%.*s", (int)i, LOAN);
		free(mistakes(text, &count));
		snprintf(text, sizeof(text), "%s", LOAN);
		text[i] = "\t{[:&*!\x01"[i % 8];
		free(mistakes(text, &count));
	}
}

static void an_empty_file_says_what_to_do(void **state)
{
	struct arena arena;
	struct project project;
	unsigned count = 0;
	char *out = mistakes("", &count);

	(void)state;
	arena_init(&arena, 1 << 20); /* as an empty file is read: without memory */
	struct diags diags = {.arena = &arena};
	assert_ok(project_parse(&arena, (bulla_bytes){NULL, 0}, &diags, &project));
	assert_int_equal(diags.count, 1);
	arena_done(&arena);
	assert_int_equal(count, 1);
	assert_non_null(strstr(out, "bulla init"));
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_project_is_read),
		cmocka_unit_test(mistakes_say_where_what_and_how),
		cmocka_unit_test(of_a_long_line_a_piece_is_shown),
		cmocka_unit_test(a_second_document_is_one_mistake),
		cmocka_unit_test(any_text_is_survived),
		cmocka_unit_test(an_empty_file_says_what_to_do),
	};

	return cmocka_run_group_tests_name("cmd_project", tests, NULL, NULL);
}
