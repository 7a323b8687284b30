#include "test.h"
#include "wire/text.h"

typedef void encode_to(bulla_wr *w, bulla_bytes bytes);

static bulla_bytes encoded(encode_to *encode, bulla_bytes bytes)
{
	static uint8_t memory[1024];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes out;

	encode(&w, bytes);
	assert_ok(bulla_wr_end(&w, &out));
	return out;
}

/* RFC 4648 section 10; base32 by https://www.crockford.com/base32.html */
static const struct {
	const char *plain, *hex, *base64, *base64url, *base32;
} vectors[] = {
	{"", "", "", "", ""},
	{"f", "66", "Zg==", "Zg", "cr"},
	{"fo", "666f", "Zm8=", "Zm8", "csqg"},
	{"foo", "666f6f", "Zm9v", "Zm9v", "csqpy"},
	{"foob", "666f6f62", "Zm9vYg==", "Zm9vYg", "csqpyrg"},
	{"fooba", "666f6f6261", "Zm9vYmE=", "Zm9vYmE", "csqpyrk1"},
	{"foobar", "666f6f626172", "Zm9vYmFy", "Zm9vYmFy", "csqpyrk1e8"},
	{"\xfb\xff\xbe", "fbffbe", "+/++", "-_--", "zfzvw"},
};

static void vectors_go_both_ways(void **state)
{
	uint8_t back[16];
	size_t size;

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		bulla_bytes plain = bulla_bytes_str(vectors[i].plain);

		assert_bytes(encoded(bulla_text_wr_hex, plain), bulla_bytes_str(vectors[i].hex));
		assert_bytes(encoded(bulla_text_wr_base64, plain), bulla_bytes_str(vectors[i].base64));
		assert_bytes(encoded(bulla_text_wr_base64url, plain), bulla_bytes_str(vectors[i].base64url));
		assert_bytes(encoded(bulla_text_wr_base32, plain), bulla_bytes_str(vectors[i].base32));
		assert_ok(bulla_text_hex(bulla_bytes_str(vectors[i].hex), plain.n, back));
		assert_bytes(bulla_bytes_of(back, plain.n), plain);
		assert_ok(bulla_text_base64(bulla_bytes_str(vectors[i].base64), sizeof(back), back, &size));
		assert_bytes(bulla_bytes_of(back, size), plain);
		assert_ok(bulla_text_base64url(bulla_bytes_str(vectors[i].base64url), sizeof(back), back, &size));
		assert_bytes(bulla_bytes_of(back, size), plain);
		assert_true(bulla_text_base32_has_prefix(plain, bulla_bytes_str(vectors[i].base32)));
	}
}

/* Flips every bit of every vector: what is still read must be written the same again. */
static void other_text_is_refused(void **state)
{
	uint8_t text[16], back[16];
	size_t size;

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		bulla_bytes good = bulla_bytes_str(vectors[i].base64), other = {text, good.n};

		for (size_t bit = 0; bit < 8 * good.n; bit++) {
			bulla_copy(text, good.p, good.n);
			text[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (bulla_text_base64(other, sizeof(back), back, &size) == BULLA_OK)
				assert_bytes(encoded(bulla_text_wr_base64, bulla_bytes_of(back, size)), other);
			if (bulla_text_base64url(other, sizeof(back), back, &size) == BULLA_OK)
				assert_bytes(encoded(bulla_text_wr_base64url, bulla_bytes_of(back, size)), other);
			if (bulla_text_hex(other, other.n / 2, back) == BULLA_OK)
				assert_bytes(encoded(bulla_text_wr_hex, bulla_bytes_of(back, other.n / 2)), other);
		}
		for (size_t n = 1; n < good.n; n++)
			assert_true(n % 4 == 0 || bulla_text_base64(bulla_bytes_of(good.p, n), 16, back, &size) != BULLA_OK);
	}
	assert_rc(BULLA_E_FORMAT, bulla_text_base64(bulla_bytes_str("===="), 16, back, &size));
	assert_rc(BULLA_E_FORMAT, bulla_text_base64(bulla_bytes_str("Zm9v\n"), 16, back, &size));
	assert_rc(BULLA_E_FORMAT, bulla_text_base64(bulla_bytes_str("Zg==Zg=="), 16, back, &size));
	assert_rc(BULLA_E_LIMIT, bulla_text_base64(bulla_bytes_str("Zm9v"), 2, back, &size));
	assert_rc(BULLA_E_FORMAT, bulla_text_base64url(bulla_bytes_str("Zg=="), 16, back, &size));
	assert_rc(BULLA_E_FORMAT, bulla_text_base64url(bulla_bytes_str("Zh"), 16, back, &size));
	assert_rc(BULLA_E_FORMAT, bulla_text_hex(bulla_bytes_str("6G"), 1, back));
	assert_rc(BULLA_E_FORMAT, bulla_text_hex(bulla_bytes_str("AA"), 1, back));
	assert_rc(BULLA_E_FORMAT, bulla_text_hex(bulla_bytes_str("666"), 1, back));
}

static void people_may_type_base32_as_they_like(void **state)
{
	const uint8_t run[10] = {0x08, 0x42, 0xff, 1, 2, 3, 4, 5, 6, 7};
	bulla_bytes name = encoded(bulla_text_wr_base32, BULLA_BYTES_ARRAY(run));

	(void)state;
	assert_int_equal(name.n, 16);
	assert_bytes(bulla_bytes_of(name.p, 4), bulla_bytes_str("111f"));
	assert_true(bulla_text_base32_has_prefix(BULLA_BYTES_ARRAY(run), bulla_bytes_str("iL1F")));
	assert_true(bulla_text_base32_has_prefix(BULLA_BYTES_ARRAY(run), name));
	assert_true(bulla_text_base32_has_prefix(BULLA_BYTES_ARRAY(run), bulla_bytes_str("")));
	assert_false(bulla_text_base32_has_prefix(BULLA_BYTES_ARRAY(run), bulla_bytes_str("112")));
	assert_false(bulla_text_base32_has_prefix(BULLA_BYTES_ARRAY(run), bulla_bytes_str("!")));
	assert_false(bulla_text_base32_has_prefix(BULLA_BYTES_ARRAY(run), bulla_bytes_str("11111111111111111")));
}

static void decimals_have_one_form_and_a_range(void **state)
{
	static const struct {
		const char *text;
		bulla_rc rc;
		int64_t value;
	} cases[] = {{"0", BULLA_OK, 0}, {"-1", BULLA_OK, -1}, {"9223372036854775807", BULLA_OK, INT64_MAX},
		{"-9223372036854775808", BULLA_OK, INT64_MIN}, {"9223372036854775808", BULLA_E_LIMIT, 0},
		{"-9223372036854775809", BULLA_E_LIMIT, 0}, {"99999999999999999999", BULLA_E_LIMIT, 0},
		{"", BULLA_E_FORMAT, 0}, {"-", BULLA_E_FORMAT, 0}, {"-0", BULLA_E_FORMAT, 0}, {"01", BULLA_E_FORMAT, 0},
		{"+1", BULLA_E_FORMAT, 0}, {" 1", BULLA_E_FORMAT, 0}, {"1 ", BULLA_E_FORMAT, 0}, {"1e3", BULLA_E_FORMAT, 0},
		{"--1", BULLA_E_FORMAT, 0}};
	uint8_t memory[32];
	uint64_t number;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
		int64_t value = 0;
		bulla_bytes out;

		assert_rc(cases[i].rc, bulla_text_int(bulla_bytes_str(cases[i].text), INT64_MIN, INT64_MAX, &value));
		assert_true(value == cases[i].value);
		if (cases[i].rc != BULLA_OK)
			continue;
		bulla_text_wr_int(&w, value);
		assert_ok(bulla_wr_end(&w, &out));
		assert_bytes(out, bulla_bytes_str(cases[i].text));
	}
	assert_ok(bulla_text_uint(bulla_bytes_str("18446744073709551615"), UINT64_MAX, &number));
	assert_true(number == UINT64_MAX);
	assert_rc(BULLA_E_LIMIT, bulla_text_uint(bulla_bytes_str("18446744073709551616"), UINT64_MAX, &number));
	assert_rc(BULLA_E_LIMIT, bulla_text_uint(bulla_bytes_str("11"), 10, &number));
	assert_rc(BULLA_E_LIMIT, bulla_text_uint(bulla_bytes_str("5"), 4, &number));
}

static void utf8_has_one_form(void **state)
{
	static const char *const good[] = {"", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9d\x84\x9e", "\xef\xbf\xbf",
		"\xf4\x8f\xbf\xbf", "\xed\x9f\xbf", "\xee\x80\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80"};
	static const char *const bad[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3(", "\xe0\x80\x80",
		"\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xe2\x82", "\xe2(\xa1", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe", "\xff", "\xf0\x9d\x84", "\xf0\x9d\x84("};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(bulla_text_is_utf8(bulla_bytes_str(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(bulla_text_is_utf8(bulla_bytes_str(bad[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_go_both_ways),
		cmocka_unit_test(other_text_is_refused),
		cmocka_unit_test(people_may_type_base32_as_they_like),
		cmocka_unit_test(decimals_have_one_form_and_a_range),
		cmocka_unit_test(utf8_has_one_form),
	};

	return cmocka_run_group_tests_name("wire_text", tests, NULL, NULL);
}
