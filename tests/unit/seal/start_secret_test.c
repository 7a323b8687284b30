#include "crypto/random.h"
#include "seal/start_secret.h"
#include "slab.h"

static void bound_to_its_start(void **state)
{
	BULLA_AUTO_SECRET day = BULLA_SECRET_NONE, secret = BULLA_SECRET_NONE, back = BULLA_SECRET_NONE;
	struct bulla_start start = {.tenant = {{1}}, .workflow = {{2}}, .manifest = {{3}}, .run = {{4}}, .party = {{5}},
		.day_key = {{6}}}, other;
	uint8_t public_key[BULLA_HPKE_PUBLIC_MAX];
	BULLA_AUTO_BUF sealed = {0};

	(void)state;
	bulla_buf_init(&sealed, BULLA_SEALED_SECRET_MAX);
	assert_ok(bulla_hpke_new(BULLA_KEM_X25519, bulla_random_os(), &day, public_key));
	assert_ok(bulla_random_secret(bulla_random_os(), 32, &secret));
	assert_ok(bulla_start_secret_seal(&start, BULLA_KEM_X25519, bulla_bytes_of(public_key, 32), secret, bulla_random_os(), &sealed));
	assert_int_equal(sealed.n, 80);
	start.secret = bulla_buf_view(&sealed);
	assert_ok(bulla_start_secret_open(&start, BULLA_KEM_X25519, day, &back));
	assert_bytes(bulla_secret_view(back), bulla_secret_view(secret));
	bulla_secret_free(&back);
	other = start;
	other.tenant.b[0] ^= 1;
	assert_rc(BULLA_E_MAC, bulla_start_secret_open(&other, BULLA_KEM_X25519, day, &back));
	other = start;
	other.workflow.b[0] ^= 1;
	assert_rc(BULLA_E_MAC, bulla_start_secret_open(&other, BULLA_KEM_X25519, day, &back));
	other = start;
	other.manifest.b[0] ^= 1;
	assert_rc(BULLA_E_MAC, bulla_start_secret_open(&other, BULLA_KEM_X25519, day, &back));
	other = start;
	other.run.b[0] ^= 1;
	assert_rc(BULLA_E_MAC, bulla_start_secret_open(&other, BULLA_KEM_X25519, day, &back));
	other = start;
	other.party.b[0] ^= 1;
	assert_rc(BULLA_E_MAC, bulla_start_secret_open(&other, BULLA_KEM_X25519, day, &back));
	other = start;
	other.day_key.b[0] ^= 1;
	assert_rc(BULLA_E_MAC, bulla_start_secret_open(&other, BULLA_KEM_X25519, day, &back));
	for (size_t size = 0; size < sealed.n; size++) {
		start.secret.n = size;
		assert_rc(BULLA_E_TRUNCATED, bulla_start_secret_open(&start, BULLA_KEM_X25519, day, &back));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bound_to_its_start),
	};

	return cmocka_run_group_tests_name("seal_start_secret", tests, slab_up, slab_down);
}
