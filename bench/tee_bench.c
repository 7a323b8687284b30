/* CPU of one enclave per step at many steps in flight: real sandboxes, envelopes, permits and frames; session made by hand.
 * The host's part is not counted: requests are made before, and its thread time is subtracted. One JSON line. */
#include "../tests/unit/tee/world.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 200
#define IN_FLIGHT 32

static int64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static struct world world;

/* Requests of a round, and the digests that the host will call stored. */
static struct bulla_buf requests[IN_FLIGHT];

static void make_round(const char *input)
{
	for (int i = 0; i < IN_FLIGHT; i++) {
		struct world_start start;
		struct world_step step = {.step = 1, .attempt = 1};

		world_start(&world, bulla_bytes_str(input), &start);
		step.parent = start.record;
		step.input = start.envelope;
		step.parent_digest = start.digest;
		step.object = world.runs == 1 ? bulla_buf_view(&world.to_a_object) : bulla_bytes_of(NULL, 0);
		requests[i].n = 0;
		assert_ok(bulla_buf_append(&requests[i], world_execute(&world, &step)));
	}
}

static void forget_all(void)
{
	for (uint32_t i = 0; i < BULLA_MAX_OUTBOX_RESULTS; i++)
		if (world.enclave->outbox.entries[i].used)
			world_stored(&world, &world.enclave->outbox.entries[i].receipt);
	world_turn(&world);
}

int main(int argc, char **argv)
{
	static char input[1027];
	uint64_t signatures = 0, steps = 0;
	int64_t spent = 0;

	if (argc < 2)
		return 2;
	memset(input, 'x', 1026);
	input[0] = input[1025] = '"';
	world_up(&world, argv[1]);
	for (int i = 0; i < IN_FLIGHT; i++)
		bulla_buf_init(&requests[i], WORLD_TEXT);
	for (int round = 0; round < ROUNDS; round++) {
		uint32_t before = world.replies;
		int64_t from;

		make_round(input);
		if (round == 20) {
			spent = 0;
			signatures = world.enclave->stats.signatures;
			steps = world.enclave->stats.steps;
		}
		from = cpu_ns();
		for (int i = 0; i < IN_FLIGHT; i++)
			world_send(&world, BULLA_OP_EXECUTE, bulla_buf_view(&requests[i]));
		while (world.replies < before + IN_FLIGHT)
			world_turn(&world);
		forget_all();
		spent += cpu_ns() - from;
	}
	steps = world.enclave->stats.steps - steps;
	signatures = world.enclave->stats.signatures - signatures;
	printf("{\"bench\":\"tee\",\"in_flight\":%d,\"steps\":%llu,\"cpu_us_per_step\":%.1f,\"signatures\":%llu}\n", IN_FLIGHT,
		(unsigned long long)steps, (double)spent / 1000 / (double)steps, (unsigned long long)signatures);
	for (int i = 0; i < IN_FLIGHT; i++)
		bulla_buf_done(&requests[i]);
	world_down(&world);
	return 0;
}
