/* sim [--seed N] [--seeds FROM COUNT] [--trace] [--mutant NAME] [--kill host|broker]: runs seeds and says what failed. A
 * seed that fails, fails again in the same way: sim --seed N --trace. */
#include "sim.h"

#include "base/checks.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct sim sim;

static bool one(const struct sim_options *options)
{
	if (sim_run(&sim, options))
		return true;
	printf("seed %llu: %s\n", (unsigned long long)options->seed, sim.failure);
	return false;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Mutants of the model's own actors; those of the product's checks are in checks.def. */
static bool set_mutant(struct sim_options *options, const char *name)
{
	options->mutant = name;
	if (strcmp(name, "EARLY_ANSWER") == 0)
		return options->early_answer = true;
	if (strcmp(name, "EARLY_DURABLE") == 0)
		return options->early_durable = true;
	if (strcmp(name, "NO_PARENTS") == 0)
		return options->no_parents = true;
	if (strcmp(name, "NO_ONCE") == 0)
		return options->no_once = true;
	if (strcmp(name, "NO_INSTANCE") == 0)
		return options->no_instance = true;
	if (strcmp(name, "NO_LISTED") == 0)
		return options->no_listed = true;
	if (strcmp(name, "TRUST_CATALOGUE") == 0)
		return options->trust_catalogue = true;
#ifdef BULLA_MUTANTS
	for (unsigned i = 0; i < BULLA_CHECK_COUNT; i++)
		if (strcmp(bulla_check_name((enum bulla_check)i), name) == 0) {
			bulla_check_remove((enum bulla_check)i);
			return true;
		}
#endif
	return false;
}

/* Kills one process at each of its disk operations in turn, with nothing else going wrong. */
static uint64_t kill_each(struct sim_options options, bool host)
{
	uint64_t failures = 0, k = 0;
	bool killed = true;

	options.quiet = true;
	while (killed) {
		uint64_t *at = host ? &options.kill_host : &options.kill_broker;

		*at = ++k;
		failures += one(&options) ? 0 : 1;
		killed = sim.crashes > 2; /* two more are the end of the world */
	}
	printf("seed %llu: %s killed at each of %llu operations, %llu failed\n", (unsigned long long)options.seed,
		host ? "host" : "broker", (unsigned long long)k - 1, (unsigned long long)failures);
	return failures;
}

int main(int argc, char **argv)
{
	struct sim_options options = {.seed = 1};
	uint64_t from = 1, count = 0, failures = 0, steps = 0, crashes = 0, verified = 0, loads = 0;
	const char *kill = NULL;
	double began = seconds();

	if (bulla_secret_slab_init(1024) != BULLA_OK)
		return 77;
	mallopt(M_MMAP_THRESHOLD, 128 * 1024); /* large buffers stay untouched until used */
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--trace") == 0)
			options.trace = true;
		else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
			from = strtoull(argv[++i], NULL, 10);
			count = 1;
		} else if (strcmp(argv[i], "--seeds") == 0 && i + 2 < argc) {
			from = strtoull(argv[++i], NULL, 10);
			count = strtoull(argv[++i], NULL, 10);
		} else if (strcmp(argv[i], "--kill") == 0 && i + 1 < argc)
			kill = argv[++i];
		else if (strcmp(argv[i], "--mutant") == 0 && i + 1 < argc && set_mutant(&options, argv[i + 1]))
			i++;
		else {
			fprintf(stderr, "sim: what is %s?\n", argv[i]);
			return 77;
		}
	}
	for (uint64_t seed = from; kill != NULL && seed < from + count; seed++) {
		options.seed = seed;
		failures += kill_each(options, strcmp(kill, "host") == 0);
	}
	if (kill != NULL)
		return failures == 0 ? 0 : 1;
	for (uint64_t seed = from; seed < from + count && failures < 10; seed++) {
		options.seed = seed;
		failures += one(&options) ? 0 : 1;
		steps += sim.steps;
		crashes += sim.crashes;
		verified += sim.verified;
		loads += sim.loads;
		if (failures > 0 && options.mutant != NULL) {
			printf("mutant %s is caught\n", options.mutant);
			return 0;
		}
	}
	if (options.mutant != NULL) {
		printf("mutant %s survives %llu seeds\n", options.mutant, (unsigned long long)count);
		return 1;
	}
	printf("%llu seeds, %llu failed, %llu events, %llu crashes, %llu bundles verified, %llu parked runs loaded, %.0f seeds/s\n", (unsigned long long)count,
		(unsigned long long)failures, (unsigned long long)steps, (unsigned long long)crashes, (unsigned long long)verified, (unsigned long long)loads,
		(double)count / (seconds() - began));
	return failures == 0 ? 0 : 1;
}
