#pragma once
/* The one source of chance in the simulator: splitmix64. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_rng {
	uint64_t state;
};

static inline uint64_t sim_rng_next(struct sim_rng *rng)
{
	uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* 0 .. below - 1 */
static inline uint64_t sim_rng_below(struct sim_rng *rng, uint64_t below)
{
	return below == 0 ? 0 : sim_rng_next(rng) % below;
}

/* True once in `in` times. */
static inline bool sim_rng_one_in(struct sim_rng *rng, uint64_t in)
{
	return in != 0 && sim_rng_below(rng, in) == 0;
}
