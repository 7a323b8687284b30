/* The verdict with helpers is the verdict without, whatever is wrong with the bundle and however many help. */
#include "cmd/verify_pool.h"

#include "base/mem.h"
#include "crypto/slab.h"
#include "test.h"
#include "verify/maker.h"

#include <signal.h>

static struct maker maker;
static struct bulla_trust trust;

static bulla_rc read_bytes(void *ctx, struct bulla_verify *verify)
{
	return bulla_verify_feed(verify, *(const bulla_bytes *)ctx);
}

static void judge(unsigned workers, bulla_bytes bundle, struct bulla_verify_result *ret)
{
	assert_ok(verify_with(workers, 0, &trust, read_bytes, &bundle, ret));
}

static void expect_same(bulla_bytes bundle, const struct bulla_verify_result *alone, unsigned workers)
{
	struct bulla_verify_result helped;

	judge(workers, bundle, &helped);
	assert_int_equal(helped.verdict, alone->verdict);
	assert_int_equal(helped.rc, alone->rc);
	assert_int_equal(helped.failed, alone->failed);
	assert_ptr_equal(helped.text, alone->text);
	assert_int_equal(helped.step, alone->step);
	assert_int_equal(helped.item, alone->item);
	assert_int_equal(helped.attempt, alone->attempt);
	assert_int_equal(helped.at, alone->at);
	for (unsigned i = 0; i < BULLA_VERIFY_COUNT; i++) {
		assert_int_equal(helped.checks[i].state, alone->checks[i].state);
		assert_int_equal(helped.checks[i].times, alone->checks[i].times);
	}
	assert_int_equal(helped.facts.receipts, alone->facts.receipts);
	assert_int_equal(helped.facts.entries, alone->facts.entries);
	assert_int_equal(helped.facts.steps, alone->facts.steps);
	assert_int_equal(helped.facts.ended_ms, alone->facts.ended_ms);
}

static void expect_however_many(bulla_bytes bundle, enum bulla_verdict verdict)
{
	static const unsigned workers[] = {1, 3, VERIFY_WORKERS};
	struct bulla_verify_result alone;

	judge(0, bundle, &alone);
	assert_int_equal(alone.verdict, verdict);
	for (size_t i = 0; i < sizeof(workers) / sizeof(workers[0]); i++)
		expect_same(bundle, &alone, workers[i]);
}

static struct maker_hooks lone(void)
{
	struct maker_hooks hooks = MAKER_HONEST;

	hooks.lone = true;
	return hooks;
}

static void honest(void **state)
{
	(void)state;
	for (uint8_t outcome = 0; outcome < 3; outcome++)
		expect_however_many(maker_run(&maker, outcome, lone()), BULLA_VERDICT_DEV_ONLY);
}

/* Wrong signatures, alone and before and after other mistakes. */
static void forged(void **state)
{
	struct maker_hooks hooks = lone();

	(void)state;
	hooks.receipt_signer = MAKER_STRANGER;
	expect_however_many(maker_run(&maker, 0, hooks), BULLA_VERDICT_REFUSED);
	hooks.ledger_signer = MAKER_STRANGER; /* later than the receipts: these are named */
	expect_however_many(maker_run(&maker, 0, hooks), BULLA_VERDICT_REFUSED);
	hooks = lone();
	hooks.starter = MAKER_STRANGER; /* earlier than them */
	hooks.receipt_signer = MAKER_STRANGER;
	expect_however_many(maker_run(&maker, 0, hooks), BULLA_VERDICT_REFUSED);
	hooks = lone();
	hooks.answerer = MAKER_STRANGER;
	expect_however_many(maker_run(&maker, 1, hooks), BULLA_VERDICT_REFUSED);
}

/* One bit anywhere. */
static void flipped(void **state)
{
	static uint8_t copy[1 << 16];
	bulla_bytes bundle = maker_run(&maker, 0, lone());
	struct bulla_verify_result alone;

	(void)state;
	assert_true(bundle.n <= sizeof(copy));
	for (size_t at = 5; at < bundle.n; at += bundle.n / 60) {
		bulla_copy(copy, bundle.p, bundle.n);
		copy[at] ^= 16;
		judge(0, bulla_bytes_of(copy, bundle.n), &alone);
		assert_int_equal(alone.verdict, BULLA_VERDICT_REFUSED);
		expect_same(bulla_bytes_of(copy, bundle.n), &alone, 2);
	}
}

/* --- the pool alone --- */

static struct bulla_sign_key *key;

static unsigned give(struct verify_pool *pool, unsigned jobs, unsigned wrong)
{
	uint8_t payload[300] = {0};
	unsigned taken = 0;

	for (unsigned i = 0; i < jobs; i++) {
		struct bulla_auth auth;
		struct bulla_verify_job job = {.kind = BULLA_SIGNED_RECEIPT, .spki = bulla_sign_key_spki(key),
			.payload = BULLA_BYTES_ARRAY(payload), .auth = &auth};

		payload[0] = (uint8_t)i;
		assert_ok(bulla_auth_sign(key, BULLA_SIGNED_RECEIPT, job.payload, &auth));
		auth.signature[9] ^= i == wrong;
		taken += verify_pool_take(pool, &job);
	}
	return taken;
}

static void answers(void **state)
{
	struct verify_pool pool;

	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++) {
		verify_pool_init(&pool, workers, 0);
		assert_true(give(&pool, 100, 100) > 0);
		assert_int_equal(pool.count, workers);
		assert_true(verify_pool_end(&pool));
		verify_pool_init(&pool, workers, 0);
		assert_true(give(&pool, 1, 0) == 1); /* taken, and wrong */
		assert_false(verify_pool_end(&pool));
	}
	verify_pool_init(&pool, 0, 0);
	assert_int_equal(give(&pool, 10, 10), 0);
	assert_true(verify_pool_end(&pool));
	verify_pool_init(&pool, 2, 8);
	assert_int_equal(give(&pool, 8, 8), 0); /* not worth it yet */
	assert_int_equal(pool.count, 0);
	assert_true(verify_pool_end(&pool));
}

/* A helper that is killed has not answered. */
static void killed(void **state)
{
	struct verify_pool pool;

	(void)state;
	verify_pool_init(&pool, 1, 0);
	assert_int_equal(give(&pool, 1, 1), 1);
	kill(pool.workers[0].pid, SIGKILL);
	assert_false(verify_pool_end(&pool));
	verify_pool_init(&pool, 1, 0);
	assert_int_equal(give(&pool, 1, 1), 1);
	kill(pool.workers[0].pid, SIGKILL);
	(void)give(&pool, 200, 200); /* nothing is sent to it, and nobody dies of it */
	assert_false(verify_pool_end(&pool));
}

static void as_many_as_cpus(void **state)
{
	(void)state;
	assert_true(verify_pool_cpus() <= VERIFY_WORKERS);
}

static int up(void **state)
{
	if (slab_up(state) != 0)
		return 1;
	maker_up(&maker);
	maker_run(&maker, 0, MAKER_HONEST);
	bulla_trust_of(&maker.manifest, &trust);
	return bulla_sign_key_new(BULLA_ES256, &key) == BULLA_OK ? 0 : 1;
}

static int down(void **state)
{
	bulla_sign_key_free(key);
	maker_down(&maker);
	return slab_down(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(honest),
		cmocka_unit_test(forged),
		cmocka_unit_test(flipped),
		cmocka_unit_test(answers),
		cmocka_unit_test(killed),
		cmocka_unit_test(as_many_as_cpus),
	};

	return cmocka_run_group_tests(tests, up, down);
}
