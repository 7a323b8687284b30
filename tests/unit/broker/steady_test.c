#include "test.h"

#include "broker/steady.h"

static int64_t date_ms, passed_us;

static int64_t date(void *ctx)
{
	(void)ctx;
	return date_ms;
}

static int64_t passed(void *ctx)
{
	(void)ctx;
	return passed_us;
}

static const struct bulla_clock real = {.wall_ms = date, .mono_us = passed};
static struct bulla_steady steady;

/* So much time goes by, for the date too. */
static int64_t pass(int64_t ms)
{
	date_ms += ms;
	passed_us += ms * 1000;
	return bulla_wall_ms(&steady.table);
}

/* After so much time it is so far ahead of the date. */
static void assert_ahead(int64_t ms, int64_t ahead_ms)
{
	int64_t now_ms = pass(ms);

	assert_int_equal(now_ms - date_ms, ahead_ms);
}

static void begin(void)
{
	date_ms = INT64_C(1800000000000);
	passed_us = 5000000;
	bulla_steady_init(&steady, &real, &real);
	assert_int_equal(bulla_wall_ms(&steady.table), date_ms);
}

static void it_goes_with_the_date(void **state)
{
	(void)state;
	begin();
	assert_ahead(10, 0);
	date_ms += BULLA_STEADY_SLIP_MS; /* adjusted */
	assert_ahead(1, 0);
	date_ms -= 700;
	assert_ahead(1, 700);
	assert_ahead(5, 700); /* not back, and not slower */
	assert_false(steady.jumped);
}

static void a_date_that_is_ahead_for_a_moment_is_not_taken(void **state)
{
	int64_t now_ms;

	(void)state;
	begin();
	now_ms = pass(10);
	date_ms += BULLA_STEADY_SLIP_MS + 1;
	assert_int_equal(pass(7), now_ms + 7);
	assert_true(steady.jumped);
	assert_int_equal(pass(BULLA_STEADY_HOLD_MS - 1), now_ms + 7 + BULLA_STEADY_HOLD_MS - 1);
	date_ms -= BULLA_STEADY_SLIP_MS + 1; /* and right again */
	assert_ahead(10, 0);
	date_ms += 3600000; /* once more: the time of holding begins anew */
	assert_ahead(BULLA_STEADY_HOLD_MS, -3600000);
	assert_ahead(BULLA_STEADY_HOLD_MS, 0); /* it stays ahead: so it is */
}

static void it_never_goes_back(void **state)
{
	int64_t ahead_ms, now_ms;

	(void)state;
	begin();
	now_ms = pass(10);
	date_ms -= INT64_C(31536000000);
	assert_int_equal(pass(20), now_ms + 20);
	bulla_steady_init(&steady, &real, &real); /* started again, with a ledger that was written before */
	bulla_steady_floor(&steady, now_ms, &ahead_ms);
	assert_int_equal(ahead_ms, now_ms - date_ms);
	assert_int_equal(pass(20), now_ms + 20);
	bulla_steady_floor(&steady, 5, &ahead_ms);
	assert_int_equal(ahead_ms, 0);
	assert_int_equal(pass(20), now_ms + 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_goes_with_the_date),
		cmocka_unit_test(a_date_that_is_ahead_for_a_moment_is_not_taken),
		cmocka_unit_test(it_never_goes_back),
	};

	return cmocka_run_group_tests_name("broker_steady", tests, NULL, NULL);
}
