/* Sandboxed start, and a pooled `stream` call against the bare pipe it rides on. One JSON line. */
#include "agent/agent.h"
#include "../tests/unit/agent/pool_loop.h"
#include "wire/kinds.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STARTS 100
#define CALLS 20000

static uint8_t program[4 << 20];
static struct bulla_zygote zygote;
static struct pool_loop loop = {.zygote = &zygote};
static bool done;
static uint32_t outcome;

static void must(bulla_rc rc)
{
	if (rc == BULLA_OK)
		return;
	fprintf(stderr, "agent_bench: %s\n", bulla_rc_id(rc));
	exit(1);
}

static void note(void *ctx, struct bulla_agent_job *job)
{
	(void)ctx;
	done = true;
	outcome = job->result.outcome;
}

static int compare(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static int64_t call(struct bulla_agent_pool *pool, struct bulla_agent_job *job)
{
	int64_t from = pool_loop_now(NULL);

	done = false;
	must(bulla_agent_submit(pool, job));
	bulla_agent_turn(pool);
	while (!done)
		must(pool_loop_turn(&loop, pool, 1000));
	if (outcome != BULLA_OUTCOME_OK)
		must(BULLA_E_STATE);
	return pool_loop_now(NULL) - from;
}

static void wait_ready(struct bulla_agent_pool *pool)
{
	while (bulla_agent_stats(pool).ready == 0)
		must(pool_loop_turn(&loop, pool, 1000));
}

/* A fresh sandbox per attempt: with the one made ahead, and the whole cycle back to a ready one. */
static void measure_starts(struct bulla_agent_pool *pool, struct bulla_agent_job *job, int64_t ret_prepared[STARTS],
	int64_t ret_cycle[STARTS])
{
	for (int i = 0; i < STARTS; i++) {
		int64_t from = pool_loop_now(NULL);

		wait_ready(pool);
		ret_cycle[i] = call(pool, job);
		wait_ready(pool);
		ret_cycle[i] += pool_loop_now(NULL) - from - ret_cycle[i];
		usleep(10000); /* now the next one stands and waits */
		ret_prepared[i] = call(pool, job);
	}
	qsort(ret_prepared, STARTS, sizeof(int64_t), compare);
	qsort(ret_cycle, STARTS, sizeof(int64_t), compare);
}

/* The same bytes over a bare pair of pipes to the same program. */
static double bare_pipe(const char *path, const char *text)
{
	int in[2], out[2];
	char answer[2048];
	size_t size = strlen(text);
	int64_t from;
	pid_t pid;

	if (pipe(in) != 0 || pipe(out) != 0)
		exit(1);
	pid = fork();
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl(path, path, "A", (char *)NULL);
		_exit(1);
	}
	from = pool_loop_now(NULL);
	for (int i = 0; i < CALLS; i++)
		if (write(in[1], text, size) < 0 || read(out[0], answer, sizeof(answer)) <= 0)
			exit(1);
	from = pool_loop_now(NULL) - from;
	kill(pid, SIGKILL);
	return (double)from / CALLS;
}

int main(int argc, char **argv)
{
	const struct bulla_sandbox_limits limits = {.memory = 64 << 20, .processes = 8};
	const struct bulla_agent_loop ops = {.ctx = &loop, .watch = pool_loop_watch, .now_us = pool_loop_now};
	struct bulla_agent_spec stream = {.binding = BULLA_AGENT_STREAM, .id = 0, .command = BULLA_BYTES_LITERAL("./stepper\0A\0")};
	struct bulla_agent_spec runs[2] = {
		{.binding = BULLA_AGENT_RUN, .id = 1, .command = BULLA_BYTES_LITERAL("cat\0")},
		{.binding = BULLA_AGENT_RUN, .id = 0, .command = BULLA_BYTES_LITERAL("./stepper\0A\0")}};
	struct bulla_agent_job job = {.timeout_us = 5000000, .done = note};
	const char *path = argc > 1 ? argv[1] : "";
	static char text[1032];
	static int64_t prepared[2][STARTS], cycle[2][STARTS];
	struct bulla_agent_pool *pool;
	double pipe_us, call_us;
	int64_t from;
	FILE *file = fopen(path, "rb");
	size_t size = file == NULL ? 0 : fread(program, 1, sizeof(program), file);

	signal(SIGPIPE, SIG_IGN);
	memset(text, 'x', 1026);
	text[0] = text[1025] = '"';
	text[1026] = '\n';
	must(size == 0 ? BULLA_E_NOT_FOUND : bulla_zygote_start(&zygote));
	must(bulla_zygote_agent(&zygote, 0, stream.command, &limits));
	must(bulla_zygote_agent(&zygote, 1, runs[0].command, &limits));
	for (uint32_t id = 0; id < 2; id++)
		must(bulla_zygote_file(&zygote, id, "stepper", true, bulla_bytes_of(program, size)));
	must(bulla_zygote_seal(&zygote));
	job.input = bulla_bytes_of(text, 1026);
	pipe_us = bare_pipe(path, text);
	must(bulla_agent_pool_new(&stream, &zygote, &ops, &pool));
	for (int i = 0; i < 1000; i++)
		call(pool, &job);
	from = pool_loop_now(NULL);
	for (int i = 0; i < CALLS / 2; i++)
		call(pool, &job);
	call_us = (double)(pool_loop_now(NULL) - from) / (CALLS / 2);
	bulla_agent_pool_free(pool);
	job.input = bulla_bytes_of(text, 1027); /* with its line end */
	for (int i = 0; i < 2; i++) {
		must(bulla_agent_pool_new(&runs[i], &zygote, &ops, &pool));
		measure_starts(pool, &job, prepared[i], cycle[i]);
		bulla_agent_pool_free(pool);
	}
	bulla_zygote_stop(&zygote);
	printf("{\"bench\":\"agent\",\"pipe_us\":%.1f,\"stream_call_us\":%.1f,\"over_pipe_us\":%.1f,"
		"\"run_prepared_p50_us\":%lld,\"run_prepared_p90_us\":%lld,\"run_cycle_p50_us\":%lld,"
		"\"run_c_prepared_p50_us\":%lld,\"run_c_cycle_p50_us\":%lld}\n",
		pipe_us, call_us, call_us - pipe_us, (long long)prepared[0][STARTS / 2], (long long)prepared[0][STARTS * 9 / 10],
		(long long)cycle[0][STARTS / 2], (long long)prepared[1][STARTS / 2], (long long)cycle[1][STARTS / 2]);
	return 0;
}
