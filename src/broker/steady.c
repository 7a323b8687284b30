#include "broker/steady.h"

static void set(struct bulla_steady *steady, int64_t ms, int64_t pace_us)
{
	steady->base_ms = ms;
	steady->base_us = pace_us;
	steady->ahead_us = 0;
}

static int64_t wall_ms(void *ctx)
{
	struct bulla_steady *steady = (struct bulla_steady *)ctx;
	int64_t pace_us = bulla_mono_us(steady->pace), date_ms = bulla_wall_ms(steady->real);
	int64_t now_ms = steady->base_ms + (pace_us - steady->base_us) / 1000;

	if (date_ms <= now_ms) {
		steady->ahead_us = 0;
	} else if (date_ms - now_ms <= BULLA_STEADY_SLIP_MS) {
		set(steady, date_ms, pace_us);
		return date_ms;
	} else if (steady->ahead_us == 0) {
		steady->ahead_us = pace_us;
		steady->jumped = true;
	} else if (pace_us - steady->ahead_us >= BULLA_STEADY_HOLD_MS * 1000) {
		set(steady, date_ms, pace_us);
		return date_ms;
	}
	return now_ms;
}

static int64_t mono_us(void *ctx)
{
	return bulla_mono_us(((const struct bulla_steady *)ctx)->real);
}

void bulla_steady_init(struct bulla_steady *steady, const struct bulla_clock *real, const struct bulla_clock *pace)
{
	*steady = (struct bulla_steady){.table = {.ctx = steady, .wall_ms = wall_ms, .mono_us = mono_us}, .real = real, .pace = pace};
	set(steady, bulla_wall_ms(real), bulla_mono_us(pace));
}

void bulla_steady_floor(struct bulla_steady *steady, int64_t least_ms, int64_t *ret_ahead_ms)
{
	int64_t now_ms = wall_ms(steady);

	*ret_ahead_ms = least_ms > now_ms ? least_ms - now_ms : 0;
	if (least_ms > now_ms)
		set(steady, least_ms, bulla_mono_us(steady->pace));
}
