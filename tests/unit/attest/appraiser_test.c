#include "attest/appraiser.h"

#include <string.h>

#include "base/mem.h"
#include "dcap_lab.h"
#include "test.h"

#define NOW (LAB_NOW * 1000)

static unsigned counter;

static bulla_rc count(void *ctx, uint8_t *ret, size_t size)
{
	(void)ctx;
	counter++;
	for (size_t i = 0; i < size; i++)
		ret[i] = (uint8_t)(counter >> (8 * (i % 2)));
	return BULLA_OK;
}

static bulla_rc no_random(void *ctx, uint8_t *ret, size_t size)
{
	(void)ctx;
	(void)ret;
	(void)size;
	return BULLA_E_RANDOM;
}

static const struct bulla_random numbers = {NULL, count};

struct world {
	struct dcap_lab lab;
	struct bulla_appraiser *appraiser;
	struct bulla_sign_key *key;
	struct bulla_buf token;
	bulla_digest subject;
	uint8_t challenge[BULLA_CHALLENGE_SIZE];
};

static void world_open(struct world *world)
{
	bulla_zero(world, sizeof(*world));
	dcap_lab_open(&world->lab);
	assert_ok(bulla_alloc(1, sizeof(*world->appraiser), (void **)&world->appraiser));
	bulla_appraiser_init(world->appraiser);
	assert_ok(bulla_sign_key_new(BULLA_ES256, &world->key));
	world->appraiser->policy = &world->lab.policy;
	world->appraiser->anchors = (struct bulla_attest_anchors){&world->lab.anchor, 1};
	world->appraiser->key = world->key;
	world->appraiser->developer = "bulla";
	world->appraiser->build = "test";
	world->appraiser->challenge_ms = 60000;
	world->appraiser->period_ms = 300000;
	world->subject.b[0] = 1;
	bulla_buf_init(&world->token, 1 << 16);
}

static void world_close(struct world *world)
{
	dcap_lab_close(&world->lab);
	bulla_free(world->appraiser);
	bulla_sign_key_free(world->key);
	bulla_buf_done(&world->token);
}

/* Evidence over what stands in world->challenge. */
static void answer(struct world *world)
{
	bulla_zero(world->lab.body + 520, 64);
	bulla_copy(world->lab.body + 520, world->challenge, sizeof(world->challenge));
	assert_ok(dcap_lab_judge(&world->lab));
}

static bulla_rc verify(struct world *world, int64_t now)
{
	bulla_buf_clear(&world->token);
	return bulla_appraiser_verify(world->appraiser, &world->subject, BULLA_BYTES_ARRAY(world->challenge),
		bulla_bytes_of(world->lab.quote, world->lab.quote_size), &world->lab.collateral, now, &world->token);
}

static void challenge(struct world *world)
{
	assert_ok(bulla_appraiser_challenge(world->appraiser, &numbers, NOW, world->challenge));
}

static void an_answer_counts_once(void **state)
{
	struct world world;

	(void)state;
	world_open(&world);
	assert_rc(BULLA_E_NOT_FOUND, bulla_appraiser_holds(world.appraiser, &world.subject, NOW));
	challenge(&world);
	answer(&world);
	assert_ok(verify(&world, NOW));
	assert_true(world.token.n > 100);
	assert_ok(bulla_appraiser_holds(world.appraiser, &world.subject, NOW));
	assert_rc(BULLA_E_BINDER, verify(&world, NOW)); /* replay */
	assert_int_equal(world.token.n, 0);
	assert_ok(bulla_appraiser_holds(world.appraiser, &world.subject, NOW)); /* a replay ends nobody's appraisal */
	world_close(&world);
}

static void a_challenge_is_fresh_and_its_own(void **state)
{
	struct world world;
	const struct bulla_random broken = {NULL, no_random};

	(void)state;
	world_open(&world);
	challenge(&world);
	answer(&world);
	assert_rc(BULLA_E_EVIDENCE_STALE, verify(&world, NOW + 60001));
	memset(world.challenge, 99, sizeof(world.challenge)); /* invented */
	answer(&world);
	assert_rc(BULLA_E_BINDER, verify(&world, NOW));
	challenge(&world);
	uint8_t first[BULLA_CHALLENGE_SIZE];
	bulla_copy(first, world.challenge, sizeof(first));
	answer(&world); /* evidence over the first */
	challenge(&world);
	assert_rc(BULLA_E_BINDER, verify(&world, NOW)); /* shown for the second */
	assert_true(world.token.n > 100);               /* a refusal is a signed result too */
	assert_rc(BULLA_E_RANDOM, bulla_appraiser_challenge(world.appraiser, &broken, NOW, first));
	world.subject.b[0] = 0;
	assert_rc(BULLA_E_ARGUMENT, verify(&world, NOW));
	world_close(&world);
}

static void appraisals_lapse_turn_bad_and_end(void **state)
{
	struct world world;
	struct bulla_attest_policy strict;

	(void)state;
	world_open(&world);
	challenge(&world);
	answer(&world);
	assert_ok(verify(&world, NOW));
	assert_true(bulla_appraiser_next_ms(world.appraiser) == NOW + 300000);
	assert_rc(BULLA_E_EVIDENCE_STALE, bulla_appraiser_holds(world.appraiser, &world.subject, NOW + 300001));
	bulla_appraiser_revoke(world.appraiser, &world.subject);
	assert_rc(BULLA_E_REVOKED, bulla_appraiser_holds(world.appraiser, &world.subject, NOW));
	challenge(&world);
	answer(&world);
	assert_ok(verify(&world, NOW)); /* on demand: attested again */
	assert_ok(bulla_appraiser_holds(world.appraiser, &world.subject, NOW));
	/* the same enclave, now in debug mode: its appraisal ends, and it is told why */
	challenge(&world);
	bulla_copy(world.lab.body + 520, world.challenge, sizeof(world.challenge));
	world.lab.body[120] = 1;
	(void)dcap_lab_judge(&world.lab);
	assert_rc(BULLA_E_EVIDENCE_DEBUG, verify(&world, NOW));
	assert_rc(BULLA_E_EVIDENCE_DEBUG, bulla_appraiser_holds(world.appraiser, &world.subject, NOW));
	dcap_lab_reset(&world.lab);
	challenge(&world);
	answer(&world);
	assert_ok(verify(&world, NOW));
	strict = world.lab.policy;
	strict.generation++;
	bulla_appraiser_policy(world.appraiser, &strict);
	assert_rc(BULLA_E_EVIDENCE_STALE, bulla_appraiser_holds(world.appraiser, &world.subject, NOW));
	world_close(&world);
}

/* Collateral that ends sooner than the period ends the appraisal sooner. */
static void no_appraisal_outlives_what_it_rests_on(void **state)
{
	struct world world;

	(void)state;
	world_open(&world);
	world.lab.crl_to = LAB_NOW + 100;
	challenge(&world);
	answer(&world);
	assert_ok(verify(&world, NOW));
	assert_rc(BULLA_E_EVIDENCE_STALE, bulla_appraiser_holds(world.appraiser, &world.subject, NOW + 100001));
	world_close(&world);
}

static void more_challenges_than_fit_drop_the_oldest(void **state)
{
	struct world world;
	uint8_t ignored[BULLA_CHALLENGE_SIZE];

	(void)state;
	world_open(&world);
	challenge(&world);
	answer(&world);
	for (unsigned i = 0; i < BULLA_APPRAISER_CHALLENGES; i++)
		assert_ok(bulla_appraiser_challenge(world.appraiser, &numbers, NOW + 1 + i, ignored));
	assert_rc(BULLA_E_BINDER, verify(&world, NOW));
	world_close(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_counts_once),
		cmocka_unit_test(a_challenge_is_fresh_and_its_own),
		cmocka_unit_test(appraisals_lapse_turn_bad_and_end),
		cmocka_unit_test(no_appraisal_outlives_what_it_rests_on),
		cmocka_unit_test(more_challenges_than_fit_drop_the_oldest),
	};

	return cmocka_run_group_tests_name("attest_appraiser", tests, NULL, NULL);
}
