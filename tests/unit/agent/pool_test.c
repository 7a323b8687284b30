/* Pools against hostile agents: each limit, each failure class; what does not misbehave goes on. */
#include "agent/agent.h"
#include "base/limits.h"
#include "base/mem.h"
#include "pool_loop.h"
#include "test.h"
#include "wire/kinds.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOSTILE_STREAM, HOSTILE_EAGER, ECHO, RETRY, FAIL, CRASH, HANG, FORK, MEMORY, NETWORK, FLOOD_OUT, FLOOD_ERR, MOUNT,
	PTRACE, TWO, RUBBISH, EMPTY, FACTS, SERVE, SERVE_BAD, AGENTS };

struct agent_row {
	enum bulla_agent_binding binding;
	bulla_bytes command;
	uint32_t in_flight;
	uint32_t reuse;
};

#define COMMAND(text) {(const uint8_t *)(text), sizeof(text) - 1}
static const struct agent_row rows[AGENTS] = {
	[HOSTILE_STREAM] = {BULLA_AGENT_STREAM, COMMAND("./hostile\0stream\0"), 4, 0},
	[HOSTILE_EAGER] = {BULLA_AGENT_STREAM, COMMAND("./hostile\0eager\0"), 1, 0},
	[ECHO] = {BULLA_AGENT_RUN, COMMAND("cat\0"), 0, 0},
	[RETRY] = {BULLA_AGENT_RUN, COMMAND("sh\0-c\0echo soon >&2; exit 75\0"), 0, 0},
	[FAIL] = {BULLA_AGENT_RUN, COMMAND("sh\0-c\0exit 3\0"), 0, 0},
	[CRASH] = {BULLA_AGENT_RUN, COMMAND("./hostile\0crash\0"), 0, 0},
	[HANG] = {BULLA_AGENT_RUN, COMMAND("./hostile\0hang\0"), 0, 0},
	[FORK] = {BULLA_AGENT_RUN, COMMAND("./hostile\0fork\0"), 0, 0},
	[MEMORY] = {BULLA_AGENT_RUN, COMMAND("./hostile\0memory\0"), 0, 0},
	[NETWORK] = {BULLA_AGENT_RUN, COMMAND("./hostile\0network\0"), 0, 0},
	[FLOOD_OUT] = {BULLA_AGENT_RUN, COMMAND("./hostile\0flood-out\0"), 0, 0},
	[FLOOD_ERR] = {BULLA_AGENT_RUN, COMMAND("./hostile\0flood-err\0"), 0, 0},
	[MOUNT] = {BULLA_AGENT_RUN, COMMAND("./hostile\0mount\0"), 0, 0},
	[PTRACE] = {BULLA_AGENT_RUN, COMMAND("./hostile\0ptrace\0"), 0, 0},
	[TWO] = {BULLA_AGENT_RUN, COMMAND("sh\0-c\0echo 1 2\0"), 0, 0},
	[RUBBISH] = {BULLA_AGENT_RUN, COMMAND("echo\0hello\0"), 0, 0},
	[EMPTY] = {BULLA_AGENT_RUN, COMMAND("true\0"), 0, 0},
	[FACTS] = {BULLA_AGENT_RUN, COMMAND("sh\0facts.sh\0"), 0, 0},
	[SERVE] = {BULLA_AGENT_SERVE, COMMAND("python3\0-IS\0serve.py\0"), 2, 0},
	[SERVE_BAD] = {BULLA_AGENT_SERVE, COMMAND("sh\0-c\0echo no >&2; exit 1\0"), 1, 0},
};

static const char facts_script[] =
	"printf '[\"%s\",\"%s\",%s,%s,\"%s\"]' $BULLA_RUN $BULLA_STEP $BULLA_ATTEMPT $BULLA_DEADLINE $BULLA_ONCE\n";

/* Raw sockets: importing http.server would take most of a second on a busy machine. */
static const char serve_script[] =
	"import socket\n"
	"s = socket.socket(); s.bind(('127.0.0.1', 8080)); s.listen(4)\n"
	"import select\n"
	"p, c = select.poll(), {}\n"
	"p.register(s, 1)\n"
	"def answer(f, status, body, extra=b''):\n"
	"  f.sendall(b'HTTP/1.1 %d X\\r\\n%scontent-length: %d\\r\\n\\r\\n%s' % (status, extra, len(body), body))\n"
	"while True:\n"
	"  for fd, _ in p.poll():\n"
	"    if fd == s.fileno():\n"
	"      f, _ = s.accept(); c[f.fileno()] = f; p.register(f, 1); continue\n"
	"    f = c[fd]; d = f.recv(65536)\n"
	"    if not d: p.unregister(fd); f.close(); del c[fd]; continue\n"
	"    if d.startswith(b'GET /ping'): answer(f, 200, b'{\"status\":\"Healthy\"}'); continue\n"
	"    head, _, body = d.partition(b'\\r\\n\\r\\n')\n"
	"    if b'retry' in body: answer(f, 503, b'')\n"
	"    elif b'bad' in body: answer(f, 200, b'<html>')\n"
	"    elif b'error' in body: answer(f, 500, b'{}')\n"
	"    elif b'close' in body: answer(f, 200, b'\"bye\"', b'connection: close\\r\\n'); p.unregister(fd); f.close(); del c[fd]\n"
	"    else: answer(f, 200, b'{\"got\":%d,\"run\":%d}' % (len(body), b'bulla-run: 0123' in head))\n";

static uint8_t program[4 << 20];
static struct bulla_zygote zygote;
static struct pool_loop loop;
static struct bulla_agent_spec specs[AGENTS];

static int start(void **state)
{
	FILE *file = fopen(getenv("HOSTILE"), "rb");
	size_t size;
	bulla_rc rc;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_non_null(file);
	size = fread(program, 1, sizeof(program), file);
	fclose(file);
	rc = bulla_zygote_start(&zygote);
	if (rc == BULLA_E_UNSUPPORTED)
		exit(77);
	assert_ok(rc);
	loop.zygote = &zygote;
	for (uint32_t i = 0; i < AGENTS; i++) {
		struct bulla_sandbox_limits limits = {.memory = 64 << 20, .processes = 16, .network = rows[i].binding == BULLA_AGENT_SERVE};

		specs[i] = (struct bulla_agent_spec){.binding = rows[i].binding, .id = i, .command = rows[i].command,
			.output = 65536, .in_flight = rows[i].in_flight, .reuse = rows[i].reuse};
		assert_ok(bulla_zygote_agent(&zygote, i, rows[i].command, &limits));
		assert_ok(bulla_zygote_file(&zygote, i, "hostile", true, bulla_bytes_of(program, size)));
	}
	assert_ok(bulla_zygote_file(&zygote, FACTS, "facts.sh", false, bulla_bytes_str(facts_script)));
	assert_ok(bulla_zygote_file(&zygote, SERVE, "serve.py", false, bulla_bytes_str(serve_script)));
	assert_ok(bulla_zygote_seal(&zygote));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	bulla_zygote_stop(&zygote);
	return 0;
}

struct outcome {
	struct bulla_agent_job job;
	bool done;
	uint32_t outcome;
	char output[4096];
	char log[512];
	uint64_t dropped, log_size;
	bool reused;
};

static void note(void *ctx, struct bulla_agent_job *job)
{
	struct outcome *outcome = ctx;
	size_t n = job->result.output.n < 4095 ? job->result.output.n : 4095;
	size_t log = job->result.log.n < 511 ? job->result.log.n : 511;

	assert_false(outcome->done);
	outcome->done = true;
	outcome->outcome = job->result.outcome;
	bulla_copy(outcome->output, job->result.output.p, n);
	outcome->output[n] = 0;
	bulla_copy(outcome->log, job->result.log.p, log);
	outcome->log[log] = 0;
	outcome->log_size = job->result.log.n;
	outcome->dropped = job->result.log_dropped;
	outcome->reused = job->result.reused;
}

static void submit(struct bulla_agent_pool *pool, struct outcome *outcome, const char *input, int64_t timeout_us)
{
	*outcome = (struct outcome){.job = {.input = bulla_bytes_str(input), .timeout_us = timeout_us, .done = note,
		.ctx = outcome, .facts = {.run = BULLA_BYTES_LITERAL("0123"), .step = BULLA_BYTES_LITERAL("risk"), .attempt = 2,
			.deadline_s = 1700000000, .once = {.b = {0xab}}}}};
	assert_ok(bulla_agent_submit(pool, &outcome->job));
}

static void drive(struct bulla_agent_pool *pool, struct outcome *outcomes, size_t count)
{
	int64_t end = pool_loop_now(NULL) + 60000000;

	bulla_agent_turn(pool);
	for (size_t i = 0; i < count; i++)
		while (!outcomes[i].done) {
			assert_true(pool_loop_now(NULL) < end);
			assert_ok(pool_loop_turn(&loop, pool, 100));
		}
}

static struct bulla_agent_pool *open_pool(int agent)
{
	struct bulla_agent_loop ops = {.ctx = &loop, .watch = pool_loop_watch, .now_us = pool_loop_now};
	struct bulla_agent_pool *pool;

	assert_ok(bulla_agent_pool_new(&specs[agent], &zygote, &ops, &pool));
	return pool;
}

/* One attempt of one agent. */
static void one(int agent, const char *input, int64_t timeout_us, struct outcome *ret)
{
	struct bulla_agent_pool *pool = open_pool(agent);

	submit(pool, ret, input, timeout_us);
	drive(pool, ret, 1);
	bulla_agent_pool_free(pool);
	assert_int_equal(loop.count, 0);
}

#define SECOND 1000000

static void run_gives_its_output(void **state)
{
	struct outcome outcome;

	(void)state;
	one(ECHO, " {\"a\": [1, 2]}\n", 30 * SECOND, &outcome);
	assert_int_equal(outcome.outcome, BULLA_OUTCOME_OK);
	assert_string_equal(outcome.output, "{\"a\": [1, 2]}");
	assert_false(outcome.reused);
	one(FACTS, "1", 30 * SECOND, &outcome);
	assert_string_equal(outcome.output,
		"[\"0123\",\"risk\",2,1700000000,\"ab00000000000000000000000000000000000000000000000000000000000000\"]");
}

static void run_takes_large_input(void **state)
{
	static char text[60000];
	struct outcome outcome;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[0] = text[sizeof(text) - 2] = '"';
	one(ECHO, text, 30 * SECOND, &outcome);
	assert_int_equal(outcome.outcome, BULLA_OUTCOME_OK);
}

static void run_ends_in_each_class(void **state)
{
	static const struct {
		int agent;
		int64_t timeout_us;
		uint32_t outcome;
	} cases[] = {
		{RETRY, 30 * SECOND, BULLA_OUTCOME_RETRY},
		{FAIL, 30 * SECOND, BULLA_OUTCOME_FAILED},
		{CRASH, 30 * SECOND, BULLA_OUTCOME_CRASH},
		{HANG, SECOND / 5, BULLA_OUTCOME_TIMEOUT},
		{FORK, SECOND / 5, BULLA_OUTCOME_TIMEOUT},
		{MEMORY, 30 * SECOND, BULLA_OUTCOME_MEMORY},
		{NETWORK, 30 * SECOND, BULLA_OUTCOME_FAILED},
		{FLOOD_OUT, 30 * SECOND, BULLA_OUTCOME_OUTPUT},
		{MOUNT, 30 * SECOND, BULLA_OUTCOME_DENIED},
		{PTRACE, 30 * SECOND, BULLA_OUTCOME_DENIED},
		{TWO, 30 * SECOND, BULLA_OUTCOME_OUTPUT},
		{RUBBISH, 30 * SECOND, BULLA_OUTCOME_OUTPUT},
		{EMPTY, 30 * SECOND, BULLA_OUTCOME_OUTPUT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome outcome;

		one(cases[i].agent, "1", cases[i].timeout_us, &outcome);
		if (outcome.outcome != cases[i].outcome)
			print_message("# case %zu: outcome %u, log %s\n", i, outcome.outcome, outcome.log);
		assert_int_equal(outcome.outcome, cases[i].outcome);
		assert_int_equal(outcome.output[0], 0);
	}
}

static void log_is_kept_and_cut(void **state)
{
	struct outcome outcome;

	(void)state;
	one(RETRY, "1", 30 * SECOND, &outcome);
	assert_string_equal(outcome.log, "soon\n");
	one(NETWORK, "1", 30 * SECOND, &outcome);
	assert_non_null(strstr(outcome.log, "not permitted"));
	one(FLOOD_ERR, "1", 30 * SECOND, &outcome);
	assert_int_equal(outcome.outcome, BULLA_OUTCOME_OK);
	assert_int_equal(outcome.log_size, BULLA_MAX_AGENT_LOG);
	assert_int_equal(outcome.dropped + outcome.log_size, 4u << 20);
}

static void stream_answers_in_order(void **state)
{
	struct bulla_agent_pool *pool = open_pool(HOSTILE_STREAM);
	struct outcome outcomes[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		submit(pool, &outcomes[i], "{\n\"a\":\r\n1}", 30 * SECOND);
	drive(pool, outcomes, 8);
	for (int i = 0; i < 8; i++) {
		char expected[64];

		snprintf(expected, sizeof(expected), "{\"served\":%d,\"size\":11}", i);
		assert_string_equal(outcomes[i].output, expected);
		assert_int_equal(outcomes[i].reused, i > 0);
		assert_non_null(strstr(outcomes[i].log, "job") == NULL ? "" : "job");
	}
	bulla_agent_pool_free(pool);
}

/* Inputs larger than the pipe, one behind the other: what waits to be written is never empty, and goes on and on. */
static void stream_takes_large_inputs_without_a_pause(void **state)
{
	enum { JOBS = 120, SIZE = 250000 };
	static struct outcome outcomes[JOBS];
	static char text[SIZE + 1];
	struct bulla_agent_pool *pool = open_pool(HOSTILE_STREAM);

	(void)state;
	for (size_t i = 0; i < SIZE; i++)
		text[i] = i == 0 || i == SIZE - 1 ? '"' : 'x';
	for (int i = 0; i < JOBS; i++)
		submit(pool, &outcomes[i], text, 60 * (int64_t)SECOND);
	drive(pool, outcomes, JOBS);
	for (int i = 0; i < JOBS; i++) {
		char expected[64];

		snprintf(expected, sizeof(expected), "{\"served\":%d,\"size\":%d}", i, SIZE + 1); /* with its line end */
		assert_int_equal(outcomes[i].outcome, BULLA_OUTCOME_OK);
		assert_string_equal(outcomes[i].output, expected);
	}
	bulla_agent_pool_free(pool);
}

/* The misdeed's step fails with this class; the three behind it did not start and succeed. */
static void stream_misdeed(const char *word, uint32_t expected)
{
	struct bulla_agent_pool *pool = open_pool(HOSTILE_STREAM);
	struct outcome outcomes[5];

	submit(pool, &outcomes[0], "0", 30 * SECOND);
	submit(pool, &outcomes[1], word, strcmp(word, "\"hang\"") == 0 ? SECOND : 30 * SECOND);
	for (int i = 2; i < 5; i++)
		submit(pool, &outcomes[i], "3", 30 * SECOND);
	drive(pool, outcomes, 5);
	assert_int_equal(outcomes[0].outcome, BULLA_OUTCOME_OK);
	if (outcomes[1].outcome != expected)
		print_message("%s gave %u\n", word, outcomes[1].outcome);
	assert_int_equal(outcomes[1].outcome, expected);
	for (int i = 2; i < 5; i++)
		assert_int_equal(outcomes[i].outcome, BULLA_OUTCOME_OK);
	bulla_agent_pool_free(pool);
}

static void stream_misdeeds_cost_one_step(void **state)
{
	(void)state;
	stream_misdeed("\"two\"", BULLA_OUTCOME_OUTPUT);
	stream_misdeed("\"none\"", BULLA_OUTCOME_OUTPUT);
	stream_misdeed("\"rubbish\"", BULLA_OUTCOME_OUTPUT);
	stream_misdeed("\"die-now\"", BULLA_OUTCOME_CRASH);
	stream_misdeed("\"endless\"", BULLA_OUTCOME_OUTPUT);
	stream_misdeed("\"hang\"", BULLA_OUTCOME_TIMEOUT);
}

/* It answers and dies: the next attempt was asked of a dead process. With one in flight nothing is lost. */
static void stream_death_between_two_jobs(void **state)
{
	struct bulla_agent_pool *pool;
	struct outcome outcomes[3];

	(void)state;
	specs[HOSTILE_STREAM].in_flight = 1;
	pool = open_pool(HOSTILE_STREAM);
	submit(pool, &outcomes[0], "\"die-after\"", 30 * SECOND);
	submit(pool, &outcomes[1], "1", 30 * SECOND);
	submit(pool, &outcomes[2], "2", 30 * SECOND);
	drive(pool, outcomes, 3);
	assert_string_equal(outcomes[0].output, "{\"last\":true}");
	assert_true(outcomes[1].outcome == BULLA_OUTCOME_OK || outcomes[1].outcome == BULLA_OUTCOME_CRASH);
	assert_int_equal(outcomes[2].outcome, BULLA_OUTCOME_OK);
	specs[HOSTILE_STREAM].in_flight = 4;
	bulla_agent_pool_free(pool);
}

static void stream_that_speaks_first_fails(void **state)
{
	struct bulla_agent_pool *pool = open_pool(HOSTILE_EAGER);
	struct outcome outcome;
	int64_t until = pool_loop_now(NULL) + SECOND / 10;

	(void)state;
	while (pool_loop_now(NULL) < until)
		assert_ok(pool_loop_turn(&loop, pool, 10));
	submit(pool, &outcome, "1", 30 * SECOND);
	drive(pool, &outcome, 1);
	assert_int_equal(outcome.outcome, BULLA_OUTCOME_OUTPUT);
	bulla_agent_pool_free(pool);
}

static void stream_is_replaced(void **state)
{
	struct bulla_agent_pool *pool;
	struct outcome outcomes[7];

	(void)state;
	specs[HOSTILE_STREAM].reuse = 3;
	pool = open_pool(HOSTILE_STREAM);
	for (int i = 0; i < 7; i++)
		submit(pool, &outcomes[i], "1", 30 * SECOND);
	outcomes[4].job.fresh = true;
	drive(pool, outcomes, 7);
	for (int i = 0; i < 7; i++) {
		assert_int_equal(outcomes[i].outcome, BULLA_OUTCOME_OK);
		assert_int_equal(outcomes[i].reused, i != 0 && i != 3 && i != 4);
	}
	specs[HOSTILE_STREAM].reuse = 0;
	bulla_agent_pool_free(pool);
}

static void cancel_ends_jobs(void **state)
{
	struct bulla_agent_pool *pool = open_pool(HANG);
	struct outcome outcomes[2];

	(void)state;
	submit(pool, &outcomes[0], "1", 30 * SECOND);
	submit(pool, &outcomes[1], "1", 30 * SECOND);
	while (outcomes[0].job.box == NULL)
		assert_ok(pool_loop_turn(&loop, pool, 10));
	bulla_agent_cancel(pool, &outcomes[1].job);
	assert_int_equal(outcomes[1].outcome, BULLA_OUTCOME_LOST);
	bulla_agent_cancel(pool, &outcomes[0].job);
	drive(pool, outcomes, 2);
	assert_int_equal(outcomes[0].outcome, BULLA_OUTCOME_LOST);
	bulla_agent_pool_free(pool);
}

static void serve_speaks_http(void **state)
{
	struct bulla_agent_pool *pool = open_pool(SERVE);
	struct outcome outcomes[7];

	(void)state;
	submit(pool, &outcomes[0], "{\"a\":1}", 30 * SECOND);
	submit(pool, &outcomes[1], "\"retry\"", 30 * SECOND);
	submit(pool, &outcomes[2], "\"bad\"", 30 * SECOND);
	submit(pool, &outcomes[3], "\"error\"", 30 * SECOND);
	submit(pool, &outcomes[4], "\"close\"", 30 * SECOND);
	submit(pool, &outcomes[5], "\"close\"", 30 * SECOND);
	submit(pool, &outcomes[6], "12", 30 * SECOND);
	drive(pool, outcomes, 7);
	assert_string_equal(outcomes[0].output, "{\"got\":7,\"run\":1}");
	assert_int_equal(outcomes[1].outcome, BULLA_OUTCOME_RETRY);
	assert_int_equal(outcomes[2].outcome, BULLA_OUTCOME_OUTPUT);
	assert_int_equal(outcomes[3].outcome, BULLA_OUTCOME_FAILED);
	assert_string_equal(outcomes[4].output, "\"bye\"");
	assert_string_equal(outcomes[6].output, "{\"got\":2,\"run\":1}");
	assert_int_equal(bulla_agent_stats(pool).started, 1);
	bulla_agent_pool_free(pool);
	assert_int_equal(loop.count, 0);
}

static void serve_that_does_not_start_fails(void **state)
{
	struct outcome outcome;

	(void)state;
	one(SERVE_BAD, "1", 30 * SECOND, &outcome);
	assert_int_equal(outcome.outcome, BULLA_OUTCOME_FAILED);
	assert_string_equal(outcome.log, "no\n");
}

static void steady_state_allocates_nothing(void **state)
{
	struct bulla_agent_pool *pool = open_pool(HOSTILE_STREAM);
	struct outcome outcome;
	uint64_t before = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		if (i == 10)
			before = bulla_alloc_count();
		submit(pool, &outcome, "[1,2,3]", 30 * SECOND);
		drive(pool, &outcome, 1);
	}
	assert_int_equal(bulla_alloc_count(), before);
	bulla_agent_pool_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run_gives_its_output),
		cmocka_unit_test(run_takes_large_input),
		cmocka_unit_test(run_ends_in_each_class),
		cmocka_unit_test(log_is_kept_and_cut),
		cmocka_unit_test(stream_answers_in_order),
		cmocka_unit_test(stream_takes_large_inputs_without_a_pause),
		cmocka_unit_test(stream_misdeeds_cost_one_step),
		cmocka_unit_test(stream_death_between_two_jobs),
		cmocka_unit_test(stream_that_speaks_first_fails),
		cmocka_unit_test(stream_is_replaced),
		cmocka_unit_test(cancel_ends_jobs),
		cmocka_unit_test(serve_speaks_http),
		cmocka_unit_test(serve_that_does_not_start_fails),
		cmocka_unit_test(steady_state_allocates_nothing),
	};

	return cmocka_run_group_tests_name("agent_pool", tests, start, stop);
}
