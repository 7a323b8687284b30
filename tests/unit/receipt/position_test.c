#include "receipt/position.h"

#include "attack.h"
#include "crypto/slab.h"

static struct bulla_position sample(void)
{
	struct bulla_position position = {.slot = {.step = 3, .item = 2}, .attempt = 1};

	for (unsigned i = 0; i < 16; i++)
		position.slot.run.b[i] = (uint8_t)(0x10 + i);
	position.slot.tenant.b[0] = 1;
	position.slot.workflow.b[31] = 2;
	return position;
}

static void sizes(void **state)
{
	struct bulla_position position = sample();
	uint8_t memory[128];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory)), s = bulla_wr_fixed(memory, sizeof(memory));

	(void)state;
	bulla_position_write(&w, &position);
	assert_int_equal(w.n, BULLA_POSITION_BYTES);
	bulla_slot_write(&s, &position.slot);
	assert_int_equal(s.n, BULLA_SLOT_BYTES);
}

/* One attack per part of the position; each has its own error, and only its check stops it. */
static void attacks(void **state)
{
	struct bulla_position mine = sample(), other = sample();

	(void)state;
	assert_ok(bulla_position_check(&mine, &other));
	assert_true(bulla_position_eq(&mine, &other));
	other.slot.tenant.b[0] ^= 1;
	assert_attack(POSITION_TENANT, BULLA_E_POSITION_TENANT, bulla_position_check(&mine, &other));
	other = mine;
	other.slot.workflow.b[31] ^= 1;
	assert_attack(POSITION_WORKFLOW, BULLA_E_POSITION_WORKFLOW, bulla_position_check(&mine, &other));
	other = mine;
	other.slot.run.b[0] ^= 1;
	assert_attack(POSITION_RUN, BULLA_E_POSITION_RUN, bulla_position_check(&mine, &other));
	other = mine;
	other.slot.step++;
	assert_attack(POSITION_STEP, BULLA_E_POSITION_STEP, bulla_position_check(&mine, &other));
	other = mine;
	other.slot.item++;
	assert_attack(POSITION_ITEM, BULLA_E_POSITION_ITEM, bulla_position_check(&mine, &other));
	other = mine;
	other.attempt++;
	assert_attack(POSITION_ATTEMPT, BULLA_E_POSITION_ATTEMPT, bulla_position_check(&mine, &other));
	assert_false(bulla_position_eq(&mine, &other));
	assert_true(bulla_slot_eq(&mine.slot, &other.slot));
}

/* The order of protocol.md section 7 decides which error is named. */
static void first_difference(void **state)
{
	struct bulla_position mine = sample(), other = sample();

	(void)state;
	other.attempt++;
	other.slot.step++;
	assert_rc(BULLA_E_POSITION_STEP, bulla_position_check(&mine, &other));
	other.slot.run.b[15] ^= 1;
	assert_rc(BULLA_E_POSITION_RUN, bulla_position_check(&mine, &other));
	other.slot.tenant.b[7] ^= 1;
	assert_rc(BULLA_E_POSITION_TENANT, bulla_position_check(&mine, &other));
}

static void once_is_of_the_slot(void **state)
{
	struct bulla_position a = sample(), b = sample();
	bulla_digest first, second;

	(void)state;
	b.attempt = 9;
	bulla_slot_digest(&a.slot, &first);
	bulla_slot_digest(&b.slot, &second);
	assert_true(bulla_digest_eq(&first, &second));
	b.slot.item++;
	bulla_slot_digest(&b.slot, &second);
	assert_false(bulla_digest_eq(&first, &second));
}

static void run_ids(void **state)
{
	static const uint8_t random[10] = {0x00, 0x44, 0x32, 0x14, 0xc7, 0x42, 0x54, 0xb6, 0x35, 0xff};
	bulla_run_id run = bulla_run_id_make(0x010203040506, random);
	char name[BULLA_RUN_NAME_SIZE];

	(void)state;
	assert_int_equal(bulla_run_id_ms(&run), 0x010203040506);
	bulla_run_id_name(&run, name);
	/* 00443214c74254b635ff in groups of five bits */
	assert_string_equal(name, "0123456789abcdfz");
	assert_true(bulla_run_id_has_name(&run, BULLA_BYTES_LITERAL("01234567")));
	assert_true(bulla_run_id_has_name(&run, BULLA_BYTES_LITERAL("OI23")));
	assert_false(bulla_run_id_has_name(&run, BULLA_BYTES_LITERAL("012340")));
	assert_false(bulla_run_id_has_name(&run, BULLA_BYTES_LITERAL("")));
	assert_true(bulla_run_id_has_name(&run, bulla_bytes_str(name)));
}

static void named_runs(void **state)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;
	bulla_run_id a, b, c;

	(void)state;
	assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("0123456789abcdef0123456789abcdef"), &key));
	bulla_run_id_named(key, BULLA_BYTES_LITERAL("order 7"), &a);
	bulla_run_id_named(key, BULLA_BYTES_LITERAL("order 7"), &b);
	bulla_run_id_named(key, BULLA_BYTES_LITERAL("order 8"), &c);
	assert_true(bulla_run_id_eq(&a, &b));
	assert_false(bulla_run_id_eq(&a, &c));
	assert_int_equal(bulla_run_id_ms(&a), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(attacks),
		cmocka_unit_test(first_difference),
		cmocka_unit_test(once_is_of_the_slot),
		cmocka_unit_test(run_ids),
		cmocka_unit_test(named_runs),
	};

	return cmocka_run_group_tests(tests, slab_up, slab_down);
}
