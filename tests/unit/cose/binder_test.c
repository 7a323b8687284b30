#include "cose/binder.h"
#include "base/limits.h"
#include "vectors.h"

static struct bulla_binder example(void)
{
	static const uint8_t agents[] = {1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2};
	struct bulla_binder binder = {.tee = BULLA_BYTES_LITERAL("nitro"), .purpose = BULLA_BYTES_LITERAL("session"),
		.agents = BULLA_BYTES_ARRAY(agents)};

	for (size_t i = 0; i < 32; i++) {
		binder.challenge.b[i] = 0x11;
		binder.channel.b[i] = 0x22;
		binder.key.b[i] = 0x33;
		binder.manifest.b[i] = 0x44;
	}
	return binder;
}

/* Computed by an independent encoder. */
static void golden(void **state)
{
	struct bulla_binder binder = example();
	uint8_t made[BULLA_BINDER_BYTES], right[BULLA_BINDER_BYTES];

	(void)state;
	assert_ok(bulla_binder_make(&binder, made));
	assert_bytes(BULLA_BYTES_ARRAY(made), vectors_hex("daef260db13c8a8ba495b85253a256dda08e0f5f066e4a5e3d940dcde8b7672c8beef0f1"
		"2106ec70c0f18223ac70c9d6d0077da5514ad7b662c659641ca65534", right, sizeof(right)));
}

static void assert_matters(const struct bulla_binder *changed)
{
	struct bulla_binder binder = example();
	uint8_t a[BULLA_BINDER_BYTES], b[BULLA_BINDER_BYTES];

	assert_ok(bulla_binder_make(&binder, a));
	assert_ok(bulla_binder_make(changed, b));
	assert_memory_not_equal(a, b, sizeof(a));
}

static void every_field_matters(void **state)
{
	struct bulla_binder binder = example();

	(void)state;
	binder.tee = BULLA_BYTES_LITERAL("tdx");
	assert_matters(&binder);
	binder = example();
	binder.purpose = BULLA_BYTES_LITERAL("boot");
	assert_matters(&binder);
	binder = example();
	binder.challenge.b[0] = 0;
	assert_matters(&binder);
	binder = example();
	binder.channel.b[0] = 0;
	assert_matters(&binder);
	binder = example();
	binder.key.b[0] = 0;
	assert_matters(&binder);
	binder = example();
	binder.agents.n = 8;
	assert_matters(&binder);
	binder = example();
	binder.manifest.b[0] = 0;
	assert_matters(&binder);
}

static void odd_binders_are_refused(void **state)
{
	static const uint8_t falling[] = {2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1};
	static uint8_t many[8 * (BULLA_MAX_AGENTS + 1)];
	struct bulla_binder binder = example();
	uint8_t made[BULLA_BINDER_BYTES];

	(void)state;
	binder.purpose = BULLA_BYTES_LITERAL("other");
	assert_rc(BULLA_E_ARGUMENT, bulla_binder_make(&binder, made));
	binder = example();
	binder.tee.n = 0;
	assert_rc(BULLA_E_ARGUMENT, bulla_binder_make(&binder, made));
	binder = example();
	binder.agents.n = 15;
	assert_rc(BULLA_E_ARGUMENT, bulla_binder_make(&binder, made));
	binder.agents = BULLA_BYTES_ARRAY(falling);
	assert_rc(BULLA_E_ARGUMENT, bulla_binder_make(&binder, made));
	for (size_t i = 0; i <= BULLA_MAX_AGENTS; i++) {
		many[8 * i] = (uint8_t)(i >> 8);
		many[8 * i + 1] = (uint8_t)i;
	}
	binder.agents = BULLA_BYTES_ARRAY(many);
	assert_rc(BULLA_E_ARGUMENT, bulla_binder_make(&binder, made));
	binder.agents.n -= 8;
	assert_ok(bulla_binder_make(&binder, made));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden),
		cmocka_unit_test(every_field_matters),
		cmocka_unit_test(odd_binders_are_refused),
	};

	return cmocka_run_group_tests_name("cose_binder", tests, NULL, NULL);
}
