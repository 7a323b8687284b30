#include "crypto/random.h"
#include "seal/start_secret.h"
#include "slab.h"

static bulla_secret day;
static uint8_t day_public[BULLA_HPKE_PUBLIC_MAX];

static struct bulla_start some_start(void)
{
	return (struct bulla_start){.tenant = {{1}}, .workflow = {{2}}, .manifest = {{3}}, .run = {{4}}, .party = {{5}},
		.day_key = {{6}}};
}

/* What the broker does with a start of another starter's secret. */
static bulla_rc open_both(const struct bulla_start *start, bulla_secret *ret)
{
	BULLA_AUTO_SECRET starter = BULLA_SECRET_NONE;

	BULLA_TRY(bulla_start_sealed_open(start, &bulla_kem_x25519, day, &starter));
	return bulla_start_secret_open(start, &bulla_kem_x25519, starter, ret);
}

static void seal(struct bulla_start *start, const struct bulla_start_sealer *sealer, bulla_secret secret, struct bulla_buf *sealed)
{
	bulla_buf_clear(sealed);
	assert_ok(bulla_start_secret_seal(start, sealer, secret, sealed));
	start->secret = bulla_buf_view(sealed);
}

static void bound_to_its_start(void **state)
{
	BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE, back = BULLA_SECRET_NONE, starter = BULLA_SECRET_NONE;
	struct bulla_start start = some_start(), other;
	uint8_t *const fields[] = {other.tenant.b, other.workflow.b, other.manifest.b, other.run.b, other.party.b, other.day_key.b};
	struct bulla_start_sealer sealer;
	BULLA_AUTO_BUF sealed = {0};

	(void)state;
	bulla_buf_init(&sealed, BULLA_SEALED_SECRET_MAX);
	assert_ok(bulla_start_sealer_new(&start, &bulla_kem_x25519, bulla_bytes_of(day_public, 32), bulla_random_os(), &sealer));
	assert_ok(bulla_random_secret(bulla_random_os(), 32, &secret));
	seal(&start, &sealer, secret, &sealed);
	assert_int_equal(sealed.n, 128);
	assert_ok(open_both(&start, &back));
	assert_bytes(bulla_secret_view(back), bulla_secret_view(secret));
	bulla_secret_free(&back);
	assert_ok(bulla_start_sealed_open(&start, &bulla_kem_x25519, day, &starter));
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		other = start;
		fields[i][0] ^= 1;
		assert_rc(BULLA_E_MAC, open_both(&other, &back));
		/* also where the starter's secret was opened before */
		assert_rc(BULLA_E_MAC, bulla_start_secret_open(&other, &bulla_kem_x25519, starter, &back));
	}
	for (size_t bit = 0; bit < 8 * sealed.n; bit++) {
		sealed.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(open_both(&start, &back), BULLA_OK);
		sealed.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t size = 0; size < sealed.n; size++) {
		start.secret.n = size;
		assert_rc(BULLA_E_TRUNCATED, open_both(&start, &back));
	}
	bulla_start_sealer_done(&sealer);
}

/* One starter's secret serves many starts; what stands for it is the same in these and in no others. */
static void one_sealer_many_starts(void **state)
{
	BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE, back = BULLA_SECRET_NONE;
	struct bulla_start start = some_start();
	struct bulla_start_sealer sealer, second;
	bulla_digest first, digest;
	BULLA_AUTO_BUF sealed = {0};

	(void)state;
	bulla_buf_init(&sealed, BULLA_SEALED_SECRET_MAX);
	assert_ok(bulla_start_sealer_new(&start, &bulla_kem_x25519, bulla_bytes_of(day_public, 32), bulla_random_os(), &sealer));
	assert_ok(bulla_start_sealer_new(&start, &bulla_kem_x25519, bulla_bytes_of(day_public, 32), bulla_random_os(), &second));
	for (uint8_t i = 0; i < 3; i++) {
		start.run.b[5] = i;
		bulla_secret_free(&secret);
		bulla_secret_free(&back);
		assert_ok(bulla_random_secret(bulla_random_os(), 32, &secret));
		seal(&start, &sealer, secret, &sealed);
		assert_ok(open_both(&start, &back));
		assert_bytes(bulla_secret_view(back), bulla_secret_view(secret));
		assert_ok(bulla_start_sealed_digest(&start, &bulla_kem_x25519, i == 0 ? &first : &digest));
		assert_true(i == 0 || bulla_digest_eq(&first, &digest));
	}
	seal(&start, &second, secret, &sealed);
	assert_ok(bulla_start_sealed_digest(&start, &bulla_kem_x25519, &digest));
	assert_false(bulla_digest_eq(&first, &digest));
	seal(&start, &sealer, secret, &sealed);
	start.party.b[0] ^= 1; /* in another one's name */
	assert_ok(bulla_start_sealed_digest(&start, &bulla_kem_x25519, &digest));
	assert_false(bulla_digest_eq(&first, &digest));
	bulla_start_sealer_done(&sealer);
	bulla_start_sealer_done(&second);
}

static int up(void **state)
{
	return slab_up(state) != 0 || bulla_hpke_new(&bulla_kem_x25519, bulla_random_os(), &day, day_public) != BULLA_OK;
}

static int down(void **state)
{
	bulla_secret_free(&day);
	return slab_down(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bound_to_its_start),
		cmocka_unit_test(one_sealer_many_starts),
	};

	return cmocka_run_group_tests_name("seal_start_secret", tests, up, down);
}
