#include "attack.h"
#include "crypto/random.h"
#include "seal/birth.h"
#include "slab.h"

static struct {
	struct bulla_sign_key *instance, *other;
	struct bulla_verify_key *instance_public;
	bulla_secret seed;
	struct bulla_agent_keys keys;
	struct bulla_birth birth;
	struct bulla_birth_expected expected;
	struct bulla_buf record;
} world;

static int up(void **state)
{
	if (slab_up(state) != 0 || bulla_sign_key_new(BULLA_ES256, &world.instance) != BULLA_OK ||
		bulla_sign_key_new(BULLA_ES256, &world.other) != BULLA_OK ||
		bulla_verify_key_spki(bulla_sign_key_spki(world.instance), &world.instance_public) != BULLA_OK ||
		bulla_random_secret(bulla_random_os(), BULLA_SEED_SIZE, &world.seed) != BULLA_OK ||
		bulla_agent_keys_derive(world.seed, &bulla_kem_x25519, &world.keys) != BULLA_OK)
		return -1;
	world.birth = (struct bulla_birth){.tenant = {{1}}, .agent = {{2}}, .epoch = 3, .manifest = {{4}}, .kem = BULLA_KEM_NUMBER_X25519,
		.public_key = bulla_bytes_of(world.keys.public_key, world.keys.public_size), .blob = {{5}},
		.wrapping_key = BULLA_BYTES_LITERAL("key-1"), .policy_form = 1, .policy = {{6}}, .evidence = {{7}}};
	world.expected = (struct bulla_birth_expected){.tenant = {{1}}, .agent = {{2}}, .epoch = 3, .manifest = {{4}},
		.wrapping_key = BULLA_BYTES_LITERAL("key-1"), .policy_form = 1, .evidence = {{7}}};
	bulla_buf_init(&world.record, BULLA_BIRTH_MAX);
	return bulla_birth_make(&world.birth, world.instance, &world.record) == BULLA_OK ? 0 : -1;
}

static int down(void **state)
{
	bulla_sign_key_free(world.instance);
	bulla_sign_key_free(world.other);
	bulla_verify_key_free(world.instance_public);
	bulla_agent_keys_done(&world.keys);
	bulla_secret_free(&world.seed);
	bulla_buf_done(&world.record);
	return slab_down(state);
}

static bulla_rc verify(bulla_bytes record, const struct bulla_birth_expected *expected)
{
	struct bulla_birth birth;

	return bulla_birth_verify(record, expected, world.instance_public, &birth);
}

static void a_birth_verifies(void **state)
{
	struct bulla_birth birth;
	struct bulla_agent_keys again;

	(void)state;
	assert_ok(bulla_birth_verify(bulla_buf_view(&world.record), &world.expected, world.instance_public, &birth));
	assert_bytes(birth.public_key, world.birth.public_key);
	assert_true(bulla_digest_eq(&birth.signer, bulla_sign_key_kid(world.instance)));
	assert_ok(bulla_agent_keys_derive(world.seed, &bulla_kem_x25519, &again));
	assert_ok(bulla_birth_check_keys(&birth, &again, &world.birth.blob));
	assert_bytes(bulla_secret_view(again.state), bulla_secret_view(world.keys.state));
	bulla_agent_keys_done(&again);
}

/* A host, or an account's administrator, writes a record for a key of its own. */
static void a_record_of_another_key(void **state)
{
	BULLA_AUTO_BUF forged = {0};
	struct bulla_birth birth;

	(void)state;
	bulla_buf_init(&forged, BULLA_BIRTH_MAX);
	assert_ok(bulla_birth_make(&world.birth, world.other, &forged));
	assert_attack(BIRTH_SIGNATURE, BULLA_E_KEY_SUBSTITUTED, verify(bulla_buf_view(&forged), &world.expected));
	assert_ok(bulla_birth_peek(bulla_buf_view(&forged), &birth));
	assert_true(bulla_digest_eq(&birth.signer, bulla_sign_key_kid(world.other)));
}

static void one_wrong_field_each(void **state)
{
	struct bulla_birth_expected expected = world.expected;
	bulla_bytes record = bulla_buf_view(&world.record);

	(void)state;
	expected.evidence.b[0] ^= 1;
	assert_attack(BIRTH_EVIDENCE, BULLA_E_KEY_SUBSTITUTED, verify(record, &expected));
	expected = world.expected;
	expected.tenant.b[0] ^= 1;
	assert_attack(BIRTH_CONTEXT, BULLA_E_KEY_CONTEXT, verify(record, &expected));
	expected = world.expected;
	expected.agent.b[0] ^= 1;
	assert_attack(BIRTH_CONTEXT, BULLA_E_KEY_CONTEXT, verify(record, &expected));
	expected = world.expected;
	expected.epoch++;
	assert_attack(BIRTH_CONTEXT, BULLA_E_KEY_CONTEXT, verify(record, &expected));
	expected = world.expected;
	expected.manifest.b[0] ^= 1;
	assert_attack(BIRTH_CONTEXT, BULLA_E_KEY_CONTEXT, verify(record, &expected));
	expected = world.expected;
	expected.wrapping_key = BULLA_BYTES_LITERAL("key-2");
	assert_attack(BIRTH_WRAPPING_KEY, BULLA_E_KEY_POLICY, verify(record, &expected));
	expected = world.expected;
	expected.policy_form = 2;
	assert_attack(BIRTH_POLICY, BULLA_E_KEY_POLICY, verify(record, &expected));
}

/* A blob made under the wrapping key from a seed that its maker knows decrypts, and gives other keys. */
static void a_substituted_seed(void **state)
{
	BULLA_AUTO_SECRET seed = BULLA_SECRET_NONE;
	struct bulla_agent_keys keys;
	struct bulla_birth birth;
	bulla_digest other = {{1}};

	(void)state;
	assert_ok(bulla_random_secret(bulla_random_os(), BULLA_SEED_SIZE, &seed));
	assert_ok(bulla_agent_keys_derive(seed, &bulla_kem_x25519, &keys));
	assert_ok(bulla_birth_verify(bulla_buf_view(&world.record), &world.expected, world.instance_public, &birth));
	assert_attack(BIRTH_PUBLIC_KEY, BULLA_E_KEY_SUBSTITUTED, bulla_birth_check_keys(&birth, &keys, &world.birth.blob));
	assert_attack(BIRTH_BLOB, BULLA_E_KEY_SUBSTITUTED, bulla_birth_check_keys(&birth, &world.keys, &other));
	bulla_agent_keys_done(&keys);
}

static void every_change_is_refused(void **state)
{
	bulla_bytes record = bulla_buf_view(&world.record);

	(void)state;
	for (size_t bit = 0; bit < 8 * record.n; bit += 3) {
		world.record.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (verify(record, &world.expected) == BULLA_OK)
			fail_msg("bit %zu does not matter", bit);
		world.record.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t size = 0; size < record.n; size++)
		assert_int_not_equal(verify(bulla_bytes_of(record.p, size), &world.expected), BULLA_OK);
}

static void odd_records_are_not_made(void **state)
{
	struct bulla_birth birth = world.birth;
	BULLA_AUTO_BUF record = {0};

	(void)state;
	bulla_buf_init(&record, BULLA_BIRTH_MAX);
	birth.public_key.n--;
	assert_rc(BULLA_E_FORMAT, bulla_birth_make(&birth, world.instance, &record));
	birth = world.birth;
	birth.policy_form = 0;
	assert_rc(BULLA_E_FORMAT, bulla_birth_make(&birth, world.instance, &record));
	birth.policy_form = 3;
	assert_rc(BULLA_E_LIMIT, bulla_birth_make(&birth, world.instance, &record));
	assert_int_equal(record.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_birth_verifies),
		cmocka_unit_test(a_record_of_another_key),
		cmocka_unit_test(one_wrong_field_each),
		cmocka_unit_test(a_substituted_seed),
		cmocka_unit_test(every_change_is_refused),
		cmocka_unit_test(odd_records_are_not_made),
	};

	return cmocka_run_group_tests_name("seal_birth", tests, up, down);
}
