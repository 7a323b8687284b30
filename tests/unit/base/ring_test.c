#include "base/ring.h"
#include "test.h"

#include <pthread.h>

static int numbers[200000];

static void test_order_and_full(void **state)
{
	struct bulla_ring ring;

	(void)state;
	assert_rc(BULLA_E_ARGUMENT, bulla_ring_init(&ring, 3));
	assert_ok(bulla_ring_init(&ring, 4));
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 4; i++)
			assert_ok(bulla_ring_put(&ring, &numbers[i]));
		assert_rc(BULLA_E_BUSY, bulla_ring_put(&ring, &numbers[4]));
		assert_int_equal(bulla_ring_count(&ring), 4);
		for (int i = 0; i < 4; i++)
			assert_ptr_equal(bulla_ring_take(&ring), &numbers[i]);
		assert_null(bulla_ring_take(&ring));
	}
	bulla_ring_done(&ring);
}

static void *put_all(void *arg)
{
	struct bulla_ring *ring = (struct bulla_ring *)arg;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		while (bulla_ring_put(ring, &numbers[i]) == BULLA_E_BUSY)
			;
	return NULL;
}

/* A lost wake-up would hang here. */
static void test_two_threads(void **state)
{
	struct bulla_ring ring;
	pthread_t thread;

	(void)state;
	assert_ok(bulla_ring_init(&ring, 8));
	assert_int_equal(pthread_create(&thread, NULL, put_all, &ring), 0);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		assert_ptr_equal(bulla_ring_wait(&ring), &numbers[i]);
	pthread_join(thread, NULL);
	bulla_ring_done(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_order_and_full), cmocka_unit_test(test_two_threads)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
