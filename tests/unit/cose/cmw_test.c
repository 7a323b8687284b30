#include "cose/cmw.h"
#include "vectors.h"

#define EAT "application/eat+cwt"

static const struct bulla_cmw eat = {.media_type = {(const uint8_t *)EAT, sizeof(EAT) - 1},
	.value = {(const uint8_t *)"value", 5}, .ind = BULLA_CMW_EVIDENCE};

static void records_travel(void **state)
{
	static const struct bulla_cmw by_number = {.content_format = 30001, .value = {(const uint8_t *)"v", 1}};
	uint8_t memory[128], hex[128];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes written;
	struct bulla_cmw back;

	(void)state;
	bulla_cmw_write(&w, &eat);
	assert_ok(bulla_wr_end(&w, &written));
	assert_ok(bulla_cmw_parse(written, &back));
	assert_bytes(back.media_type, eat.media_type);
	assert_bytes(back.value, eat.value);
	assert_int_equal(back.ind, 4);
	for (size_t size = 0; size < written.n; size++)
		assert_int_not_equal(bulla_cmw_parse(bulla_bytes_of(memory, size), &back), BULLA_OK);
	w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_cmw_write(&w, &by_number);
	assert_ok(bulla_wr_end(&w, &written));
	assert_bytes(written, vectors_hex("821975314176", hex, sizeof(hex)));
	assert_ok(bulla_cmw_parse(written, &back));
	assert_int_equal(back.content_format, 30001);
}

static void odd_records_are_refused(void **state)
{
	static const struct {
		const char *hex;
		bulla_rc rc;
	} cases[] = {
		{"80", BULLA_E_FORMAT},             /* nothing */
		{"811975314176", BULLA_E_FORMAT},   /* type only */
		{"8260", BULLA_E_TRUNCATED},        /* no value */
		{"82604176", BULLA_E_FORMAT},       /* empty type */
		{"821a000100004176", BULLA_E_LIMIT}, /* no content format */
		{"83197531417600", BULLA_E_FORMAT}, /* ind says nothing */
		{"8319753141761b0000000100000000", BULLA_E_LIMIT},
		{"821975316176", BULLA_E_FORMAT}, /* value is text */
		{"82197531417600", BULLA_E_TRAILING},
		{"d9753182197531417600", BULLA_E_FORMAT}, /* tagged */
	};
	uint8_t memory[64];
	struct bulla_cmw back;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_rc(cases[i].rc, bulla_cmw_parse(vectors_hex(cases[i].hex, memory, sizeof(memory)), &back));
}

static void collections_travel(void **state)
{
	const struct bulla_cmw_item items[] = {
		{BULLA_BYTES_LITERAL("pck"), eat}, {BULLA_BYTES_LITERAL("quote"), eat}, {BULLA_BYTES_LITERAL("collateral"), eat}};
	uint8_t memory[512];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_cmw_item back[BULLA_CMW_ITEMS];
	bulla_bytes written, type;
	size_t count = 0;

	(void)state;
	bulla_cmw_collection_write(&w, BULLA_BYTES_LITERAL("tag:bulla,2026:tdx"), items, 3);
	assert_ok(bulla_wr_end(&w, &written));
	assert_ok(bulla_cmw_collection_parse(written, &type, back, &count));
	assert_int_equal(count, 3);
	assert_bytes(type, BULLA_BYTES_LITERAL("tag:bulla,2026:tdx"));
	assert_bytes(back[2].label, BULLA_BYTES_LITERAL("collateral"));
	assert_bytes(back[1].record.value, eat.value);
	for (size_t size = 0; size < written.n; size++)
		assert_int_not_equal(bulla_cmw_collection_parse(bulla_bytes_of(memory, size), &type, back, &count), BULLA_OK);
}

static void collections_have_one_order_and_a_limit(void **state)
{
	const struct bulla_cmw_item wrong[] = {{BULLA_BYTES_LITERAL("b"), eat}, {BULLA_BYTES_LITERAL("a"), eat}};
	struct bulla_cmw_item many[BULLA_CMW_ITEMS + 1], back[BULLA_CMW_ITEMS];
	char labels[BULLA_CMW_ITEMS + 1][2];
	uint8_t memory[2048];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes written, type;
	size_t count;

	(void)state;
	bulla_cmw_collection_write(&w, (bulla_bytes){NULL, 0}, wrong, 2);
	assert_rc(BULLA_E_ARGUMENT, bulla_wr_end(&w, &written));
	for (size_t i = 0; i <= BULLA_CMW_ITEMS; i++) {
		labels[i][0] = (char)('a' + i);
		many[i] = (struct bulla_cmw_item){bulla_bytes_of(labels[i], 1), eat};
	}
	w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_cmw_collection_write(&w, (bulla_bytes){NULL, 0}, many, BULLA_CMW_ITEMS);
	assert_ok(bulla_wr_end(&w, &written));
	assert_ok(bulla_cmw_collection_parse(written, &type, back, &count));
	assert_int_equal(count, BULLA_CMW_ITEMS);
	w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_cmw_collection_write(&w, (bulla_bytes){NULL, 0}, many, BULLA_CMW_ITEMS + 1);
	assert_rc(BULLA_E_ARGUMENT, bulla_wr_end(&w, &written));
	assert_rc(BULLA_E_FORMAT, bulla_cmw_collection_parse(BULLA_BYTES_LITERAL("\xa0"), &type, back, &count));
	assert_rc(BULLA_E_UNSUPPORTED, bulla_cmw_collection_parse(BULLA_BYTES_LITERAL("\xa1\x61\x61\xa0"), &type, back, &count));
}

static void json_is_written(void **state)
{
	static const struct bulla_cmw by_number = {.content_format = 30001, .value = {(const uint8_t *)"\xfb\xff", 2}};
	const struct bulla_cmw_item items[] = {{BULLA_BYTES_LITERAL("a"), eat}, {BULLA_BYTES_LITERAL("bc"), by_number}};
	const struct bulla_cmw_item wrong[] = {{BULLA_BYTES_LITERAL("bc"), eat}, {BULLA_BYTES_LITERAL("a"), eat}};
	const struct bulla_cmw_item typed[] = {{BULLA_BYTES_LITERAL("__cmwc_t"), eat}};
	uint8_t memory[256];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes written;

	(void)state;
	bulla_cmw_write_json(&w, &eat);
	assert_ok(bulla_wr_end(&w, &written));
	assert_bytes(written, BULLA_BYTES_LITERAL("[\"" EAT "\",\"dmFsdWU\",4]"));
	w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_cmw_collection_write_json(&w, items, 2);
	assert_ok(bulla_wr_end(&w, &written));
	assert_bytes(written, BULLA_BYTES_LITERAL("{\"a\":[\"" EAT "\",\"dmFsdWU\",4],\"bc\":[30001,\"-_8\"]}"));
	for (unsigned i = 0; i < 3; i++) { /* no order, a reserved label, nothing */
		w = bulla_wr_fixed(memory, sizeof(memory));
		bulla_cmw_collection_write_json(&w, i == 0 ? wrong : typed, i == 0 ? 2 : i % 2);
		assert_rc(BULLA_E_ARGUMENT, bulla_wr_end(&w, &written));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_travel),
		cmocka_unit_test(odd_records_are_refused),
		cmocka_unit_test(collections_travel),
		cmocka_unit_test(collections_have_one_order_and_a_limit),
		cmocka_unit_test(json_is_written),
	};

	return cmocka_run_group_tests_name("cose_cmw", tests, NULL, NULL);
}
