#include "test.h"
#include "wire/cbor.h"
#include "wire/text.h"

static size_t from_hex(const char *hex, uint8_t *ret, size_t max)
{
	size_t n = 0;

	for (; hex[0] != 0 && n < max; hex += 2, n++) {
		unsigned value = 0;

		for (int i = 0; i < 2; i++)
			value = value << 4 | (unsigned)(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
		ret[n] = (uint8_t)value;
	}
	return n;
}

/* RFC 8949 appendix A: what a strict reader takes, and what it takes with floats. */
static const char *const taken[] = {"00", "01", "0a", "17", "1818", "1819", "1864", "1903e8", "1a000f4240",
	"1b000000e8d4a51000", "1bffffffffffffffff", "c249010000000000000000", "3bffffffffffffffff",
	"c349010000000000000000", "20", "29", "3863", "3903e7", "f4", "f5", "f6",
	"c074323031332d30332d32315432303a30343a30305a", "c11a514b67b0", "d74401020304", "d818456449455446",
	"d82076687474703a2f2f7777772e6578616d706c652e636f6d", "40", "4401020304", "60", "6161", "6449455446", "62225c",
	"62c3bc", "63e6b0b4", "64f0908591", "80", "83010203", "8301820203820405",
	"98190102030405060708090a0b0c0d0e0f101112131415161718181819", "a0", "a201020304", "a26161016162820203",
	"826161a161626163", "a56161614161626142616361436164614461656145"};
static const char *const floats[] = {"f90000", "f98000", "f93c00", "fb3ff199999999999a", "f93e00", "f97bff",
	"fa47c35000", "fa7f7fffff", "fb7e37e43c8800759c", "f90001", "f90400", "f9c400", "fbc010666666666666", "f97c00",
	"f97e00", "f9fc00", "fa7f800000", "fa7fc00000", "faff800000", "fb7ff0000000000000", "fb7ff8000000000000",
	"fbfff0000000000000", "c1fb41d452d9e2000000"};
static const char *const refused[] = {"f7", "f0", "f8ff", "f818", "5f42010243030405ff", "7f657374726561646d696e67ff",
	"9fff", "9f018202039f0405ffff", "9f01820203820405ff", "83018202039f0405ff", "83019f0203ff820405",
	"9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff", "bf61610161629f0203ffff", "826161bf61626163ff",
	"bf6346756ef563416d7421ff",
	/* RFC 8949 appendix F: not well-formed */
	"18", "19", "1a", "1b", "1901", "1a0102", "1b01020304050607", "38", "58", "78", "98", "9a01ff00", "b8", "d8", "f8",
	"f900", "fa0000", "fb000000", "41", "61", "5affffffff00", "5bffffffffffffffff010203", "7affffffff00", "81", "8181",
	"8200", "a1", "a20102", "a100", "a2000000", "c0", "1c", "1d", "1e", "3c", "5c", "7e", "9d", "be", "dc", "fc", "fd",
	"fe", "ff", "81ff", "8200ff", "a1ff", "a1ff00", "a100ff", "1f", "3f", "df", "f800", "f801", "f81f",
	/* longer than needed */
	"1800", "1817", "1900ff", "1a0000ffff", "1b00000000ffffffff", "3817", "5800", "7800", "9800", "b800", "d817",
	/* order, duplicates, keys, UTF-8 */
	"a203040102", "a2616201616101", "a201020102", "a2416101416102", "a18001", "a1c10001", "a1f401", "61ff", "62c080",
	"63eda080", "64f4908080"};

static bulla_rc skip_hex(const char *hex, struct bulla_cbor_options options)
{
	uint8_t bytes[128];
	bulla_cbor_rd r = bulla_cbor_rd_with(bulla_bytes_of(bytes, from_hex(hex, bytes, sizeof(bytes))), options);
	bulla_bytes raw;

	BULLA_TRY(bulla_cbor_rd_skip(&r, &raw));
	return bulla_cbor_rd_end(&r);
}

static void appendix_a_is_read_as_it_must(void **state)
{
	const struct bulla_cbor_options strict = {0}, with_floats = {.floats = true};

	(void)state;
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		assert_ok(skip_hex(taken[i], strict));
	for (size_t i = 0; i < sizeof(floats) / sizeof(floats[0]); i++) {
		assert_ok(skip_hex(floats[i], with_floats));
		assert_rc(BULLA_E_FORMAT, skip_hex(floats[i], strict));
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (skip_hex(refused[i], strict) == BULLA_OK)
			fail_msg("%s was taken", refused[i]);
	}
}

static void every_truncation_of_appendix_a_is_refused(void **state)
{
	uint8_t bytes[128];

	(void)state;
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		size_t size = from_hex(taken[i], bytes, sizeof(bytes));

		for (size_t n = 0; n < size; n++)
			assert_int_not_equal(bulla_cbor_check(bulla_bytes_of(n == 0 ? NULL : bytes, n)), BULLA_OK);
	}
}

/* Rewrites the item at r with the writer. */
static void rewrite(bulla_cbor_rd *r, bulla_wr *w)
{
	enum bulla_cbor_type type;
	struct bulla_cbor_map map;
	bulla_bytes view;
	uint64_t number;
	int64_t integer;
	size_t count;
	bool truth;

	if (bulla_cbor_rd_peek(r, &type) != BULLA_OK)
		return;
	switch (type) {
	case BULLA_CBOR_UINT:
		assert_ok(bulla_cbor_rd_uint(r, &number));
		bulla_cbor_wr_uint(w, number);
		break;
	case BULLA_CBOR_NEGATIVE:
		if (bulla_cbor_rd_int(r, &integer) == BULLA_OK) {
			bulla_cbor_wr_int(w, integer);
		} else { /* beyond int64_t */
			assert_ok(bulla_cbor_rd_skip(r, &view));
			bulla_cbor_wr_raw(w, view);
		}
		break;
	case BULLA_CBOR_BYTES:
		assert_ok(bulla_cbor_rd_bytes(r, &view));
		bulla_cbor_wr_bytes(w, view);
		break;
	case BULLA_CBOR_TEXT:
		assert_ok(bulla_cbor_rd_text(r, SIZE_MAX, &view));
		bulla_cbor_wr_text(w, view);
		break;
	case BULLA_CBOR_ARRAY:
		assert_ok(bulla_cbor_rd_array(r, SIZE_MAX, &count));
		bulla_cbor_wr_array(w, count);
		for (size_t i = 0; i < count; i++)
			rewrite(r, w);
		break;
	case BULLA_CBOR_MAP:
		assert_ok(bulla_cbor_rd_map(r, SIZE_MAX, &map));
		bulla_cbor_wr_map(w, map.left);
		for (size_t left = map.left * 2; left > 0; left--)
			rewrite(r, w);
		break;
	case BULLA_CBOR_TAG:
		assert_ok(bulla_cbor_rd_tag(r, &number));
		bulla_cbor_wr_tag(w, number);
		rewrite(r, w);
		break;
	case BULLA_CBOR_BOOL:
		assert_ok(bulla_cbor_rd_bool(r, &truth));
		bulla_cbor_wr_bool(w, truth);
		break;
	case BULLA_CBOR_NULL:
		assert_ok(bulla_cbor_rd_null(r));
		bulla_cbor_wr_null(w);
		break;
	case BULLA_CBOR_FLOAT:
	case BULLA_CBOR_OTHER:
		fail_msg("not in a deterministic document");
	}
}

static void what_is_taken_is_written_the_same(void **state)
{
	uint8_t bytes[128], memory[128];

	(void)state;
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		bulla_bytes in = bulla_bytes_of(bytes, from_hex(taken[i], bytes, sizeof(bytes))), out;
		bulla_cbor_rd r = bulla_cbor_rd_of(in);
		bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

		rewrite(&r, &w);
		assert_ok(bulla_cbor_rd_end(&r));
		assert_ok(bulla_wr_end(&w, &out));
		assert_bytes(in, out);
	}
}

/* Each bit of a document: flipped, it is refused or is another document in the one form. */
static void every_flipped_bit_is_refused_or_canonical(void **state)
{
	uint8_t bytes[128], memory[256];

	(void)state;
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		size_t size = from_hex(taken[i], bytes, sizeof(bytes));

		for (size_t bit = 0; bit < 8 * size; bit++) {
			bulla_bytes in = bulla_bytes_of(bytes, size), out;
			bulla_cbor_rd r = bulla_cbor_rd_of(in);
			bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (bulla_cbor_check(in) == BULLA_OK) {
				rewrite(&r, &w);
				assert_ok(bulla_wr_end(&w, &out));
				assert_bytes(in, out);
			}
			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

static void reads_of_another_type_move_nothing(void **state)
{
	const uint8_t text[] = {0x61, 'a'};
	bulla_cbor_rd r = bulla_cbor_rd_of(BULLA_BYTES_ARRAY(text));
	struct bulla_cbor_map map;
	bulla_bytes view = {NULL, 77};
	uint64_t number = 77;
	int64_t integer = 77;
	size_t count = 77;
	bool truth;

	(void)state;
	assert_rc(BULLA_E_FORMAT, bulla_cbor_rd_uint(&r, &number));
	assert_rc(BULLA_E_FORMAT, bulla_cbor_rd_int(&r, &integer));
	assert_rc(BULLA_E_FORMAT, bulla_cbor_rd_bytes(&r, &view));
	assert_rc(BULLA_E_FORMAT, bulla_cbor_rd_array(&r, 10, &count));
	assert_rc(BULLA_E_FORMAT, bulla_cbor_rd_map(&r, 10, &map));
	assert_rc(BULLA_E_FORMAT, bulla_cbor_rd_tag(&r, &number));
	assert_rc(BULLA_E_FORMAT, bulla_cbor_rd_bool(&r, &truth));
	assert_rc(BULLA_E_FORMAT, bulla_cbor_rd_null(&r));
	assert_rc(BULLA_E_LIMIT, bulla_cbor_rd_text(&r, 0, &view));
	assert_int_equal(number, 77);
	assert_int_equal(integer, 77);
	assert_int_equal(view.n, 77);
	assert_int_equal(count, 77);
	assert_int_equal(r.rd.at, 0);
	assert_ok(bulla_cbor_rd_expect_text(&r, "a"));
	assert_ok(bulla_cbor_rd_end(&r));
}

static void numbers_keep_their_limits(void **state)
{
	static const struct {
		const char *hex;
		int64_t value;
		bulla_rc rc;
	} cases[] = {{"1b7fffffffffffffff", INT64_MAX, BULLA_OK}, {"3b7fffffffffffffff", INT64_MIN, BULLA_OK},
		{"1b8000000000000000", 0, BULLA_E_LIMIT}, {"3b8000000000000000", 0, BULLA_E_LIMIT}, {"3863", -100, BULLA_OK}};
	uint8_t bytes[16], memory[16];
	uint64_t number;
	uint32_t small;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bulla_bytes in = bulla_bytes_of(bytes, from_hex(cases[i].hex, bytes, sizeof(bytes))), out;
		bulla_cbor_rd r = bulla_cbor_rd_of(in);
		bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
		int64_t value = 0;

		assert_rc(cases[i].rc, bulla_cbor_rd_int(&r, &value));
		assert_true(value == cases[i].value);
		if (cases[i].rc != BULLA_OK)
			continue;
		bulla_cbor_wr_int(&w, value);
		assert_ok(bulla_wr_end(&w, &out));
		assert_bytes(in, out);
	}
	bulla_cbor_rd r = bulla_cbor_rd_of(bulla_bytes_of(bytes, from_hex("1b0000000100000000", bytes, sizeof(bytes))));
	assert_rc(BULLA_E_LIMIT, bulla_cbor_rd_u32(&r, &small));
	assert_rc(BULLA_E_LIMIT, bulla_cbor_rd_uint_max(&r, 0xffffffff, &number));
	assert_ok(bulla_cbor_rd_uint_max(&r, UINT64_C(0x100000000), &number));
}

static bulla_rc walk_map(bulla_bytes in, struct bulla_cbor_options options, size_t max, size_t *ret_pairs)
{
	bulla_cbor_rd r = bulla_cbor_rd_with(in, options);
	struct bulla_cbor_map map;
	bulla_bytes key, value;
	size_t pairs = 0;

	BULLA_TRY(bulla_cbor_rd_map(&r, max, &map));
	for (; bulla_cbor_map_more(&r, &map); pairs++) {
		BULLA_TRY(bulla_cbor_rd_key_text(&r, &map, &key));
		BULLA_TRY(bulla_cbor_rd_skip(&r, &value));
	}
	*ret_pairs = pairs;
	return bulla_cbor_rd_end(&r);
}

static void maps_of_others_are_read_with_options_only(void **state)
{
	const struct bulla_cbor_options strict = {0};
	const struct bulla_cbor_options foreign = {.indefinite_top_map = true, .unordered_keys = true};
	static const struct {
		const char *hex;
		bulla_rc strict, foreign;
	} cases[] = {
		{"a2616101616202", BULLA_OK, BULLA_OK},
		{"a2616201616102", BULLA_E_FORMAT, BULLA_OK},
		{"a2616101616102", BULLA_E_DUPLICATE, BULLA_E_DUPLICATE},
		{"bf616201616102ff", BULLA_E_FORMAT, BULLA_OK},
		{"bf616201616202ff", BULLA_E_FORMAT, BULLA_E_DUPLICATE},
		{"bf6162016161ff", BULLA_E_FORMAT, BULLA_E_FORMAT},
		{"bf616201616102", BULLA_E_FORMAT, BULLA_E_TRUNCATED},
		{"bf616201616102ff00", BULLA_E_FORMAT, BULLA_E_TRAILING},
		{"a2616201616180", BULLA_E_FORMAT, BULLA_OK},
		{"a26162016161bfff", BULLA_E_FORMAT, BULLA_E_FORMAT},
		{"a261620161619fff", BULLA_E_FORMAT, BULLA_E_FORMAT},
		{"a261620161615f4100ff", BULLA_E_FORMAT, BULLA_E_FORMAT},
		{"a4616101616202616303616404", BULLA_E_LIMIT, BULLA_E_LIMIT},
		{"bf616101616202616303616404ff", BULLA_E_FORMAT, BULLA_E_LIMIT},
	};
	uint8_t bytes[64];
	size_t pairs;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bulla_bytes in = bulla_bytes_of(bytes, from_hex(cases[i].hex, bytes, sizeof(bytes)));

		assert_rc(cases[i].strict, walk_map(in, strict, 3, &pairs));
		assert_rc(cases[i].foreign, walk_map(in, foreign, 3, &pairs));
	}
}

static void foreign_maps_have_a_bounded_number_of_keys(void **state)
{
	const struct bulla_cbor_options foreign = {.indefinite_top_map = true, .unordered_keys = true};
	uint8_t memory[256];
	bulla_bytes raw, out;

	(void)state;
	for (int64_t keys = BULLA_CBOR_FOREIGN_KEYS; keys <= BULLA_CBOR_FOREIGN_KEYS + 1; keys++) {
		bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

		bulla_cbor_wr_map(&w, (uint64_t)keys);
		for (int64_t i = keys; i > 0; i--) {
			bulla_cbor_wr_int(&w, i);
			bulla_cbor_wr_null(&w);
		}
		assert_ok(bulla_wr_end(&w, &out));
		bulla_cbor_rd r = bulla_cbor_rd_with(out, foreign);
		assert_rc(keys > BULLA_CBOR_FOREIGN_KEYS ? BULLA_E_LIMIT : BULLA_OK, bulla_cbor_rd_skip(&r, &raw));
	}
}

static void depth_is_bounded(void **state)
{
	uint8_t bytes[BULLA_MAX_CBOR_DEPTH + 2];
	static const uint8_t heads[] = {0x81, 0xc1};

	(void)state;
	for (size_t kind = 0; kind < 2; kind++) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = heads[kind];
		bytes[BULLA_MAX_CBOR_DEPTH] = 0;
		assert_ok(bulla_cbor_check(bulla_bytes_of(bytes, BULLA_MAX_CBOR_DEPTH + 1)));
		bytes[BULLA_MAX_CBOR_DEPTH] = heads[kind];
		bytes[BULLA_MAX_CBOR_DEPTH + 1] = 0;
		assert_rc(BULLA_E_FORMAT, bulla_cbor_check(bulla_bytes_of(bytes, BULLA_MAX_CBOR_DEPTH + 2)));
	}
}

static void fixed_schemas_are_expected(void **state)
{
	const uint8_t bytes[] = {0xd2, 0xa2, 0x01, 0x82, 0x26, 0x41, 7, 0x02, 0x63, 'a', 'b', 'c'};
	bulla_cbor_rd r = bulla_cbor_rd_of(BULLA_BYTES_ARRAY(bytes));
	uint8_t one = 0;

	(void)state;
	assert_rc(BULLA_E_FORMAT, bulla_cbor_rd_expect_tag(&r, 17));
	assert_ok(bulla_cbor_rd_expect_tag(&r, 18));
	assert_rc(BULLA_E_FORMAT, bulla_cbor_rd_expect_map(&r, 3));
	assert_ok(bulla_cbor_rd_expect_map(&r, 2));
	assert_rc(BULLA_E_FORMAT, bulla_cbor_rd_expect_int(&r, 2));
	assert_ok(bulla_cbor_rd_expect_int(&r, 1));
	assert_ok(bulla_cbor_rd_expect_array(&r, 2));
	assert_ok(bulla_cbor_rd_expect_int(&r, -7));
	assert_rc(BULLA_E_FORMAT, bulla_cbor_rd_copy(&r, 2, &one));
	assert_ok(bulla_cbor_rd_copy(&r, 1, &one));
	assert_int_equal(one, 7);
	assert_ok(bulla_cbor_rd_expect_int(&r, 2));
	assert_rc(BULLA_E_FORMAT, bulla_cbor_rd_expect_text(&r, "abd"));
	assert_ok(bulla_cbor_rd_expect_text(&r, "abc"));
	assert_rc(BULLA_E_TRUNCATED, bulla_cbor_rd_null(&r));
	assert_int_equal(bulla_cbor_rd_left(&r), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appendix_a_is_read_as_it_must),
		cmocka_unit_test(every_truncation_of_appendix_a_is_refused),
		cmocka_unit_test(what_is_taken_is_written_the_same),
		cmocka_unit_test(every_flipped_bit_is_refused_or_canonical),
		cmocka_unit_test(reads_of_another_type_move_nothing),
		cmocka_unit_test(numbers_keep_their_limits),
		cmocka_unit_test(maps_of_others_are_read_with_options_only),
		cmocka_unit_test(foreign_maps_have_a_bounded_number_of_keys),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(fixed_schemas_are_expected),
	};

	return cmocka_run_group_tests_name("wire_cbor", tests, NULL, NULL);
}
