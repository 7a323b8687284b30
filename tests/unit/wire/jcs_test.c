#include "test.h"
#include "wire/jcs.h"

static double from_bits(uint64_t bits)
{
	double number;

	bulla_copy(&number, &bits, sizeof(number));
	return number;
}

static bulla_rc canonical(const char *text, uint8_t *memory, size_t size, bulla_bytes *ret)
{
	bulla_wr w = bulla_wr_fixed(memory, size);
	bulla_json value;

	BULLA_TRY(bulla_json_parse(bulla_bytes_str(text), &value));
	bulla_jcs_write(value, &w);
	return bulla_wr_end(&w, ret);
}

/* RFC 8785 appendix B */
static const struct {
	uint64_t bits;
	const char *text;
} numbers[] = {{0, "0"}, {0x8000000000000000, "0"}, {0x0000000000000001, "5e-324"}, {0x8000000000000001, "-5e-324"},
	{0x7fefffffffffffff, "1.7976931348623157e+308"}, {0xffefffffffffffff, "-1.7976931348623157e+308"},
	{0x4340000000000000, "9007199254740992"}, {0xc340000000000000, "-9007199254740992"},
	{0x4430000000000000, "295147905179352830000"}, {0x44b52d02c7e14af5, "9.999999999999997e+22"},
	{0x44b52d02c7e14af6, "1e+23"}, {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
	{0x444b1ae4d6e2ef4e, "999999999999999700000"}, {0x444b1ae4d6e2ef4f, "999999999999999900000"},
	{0x444b1ae4d6e2ef50, "1e+21"}, {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"}, {0x3eb0c6f7a0b5ed8d, "0.000001"},
	{0x41b3de4355555553, "333333333.3333332"}, {0x41b3de4355555554, "333333333.33333325"},
	{0x41b3de4355555555, "333333333.3333333"}, {0x41b3de4355555556, "333333333.3333334"},
	{0x41b3de4355555557, "333333333.33333343"}, {0xbecbf647612f3696, "-0.0000033333333333333333"},
	{0x43143ff3c1cb0959, "1424953923781206.2"},
	/* a power of two, where the next number below is nearer than the one above */
	{0x3d30000000000000, "5.684341886080802e-14"}, {0x3ff0000000000000, "1"}, {0x4024000000000000, "10"},
	{0x3fb999999999999a, "0.1"}, {0x405edd2f1a9fbe77, "123.456"}};

static void numbers_of_appendix_b(void **state)
{
	uint8_t memory[64];
	bulla_bytes out;

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

		bulla_jcs_number(from_bits(numbers[i].bits), &w);
		assert_ok(bulla_wr_end(&w, &out));
		assert_bytes(out, bulla_bytes_str(numbers[i].text));
	}
	for (uint64_t bits = 0x7ff0000000000000; bits <= 0x7ff8000000000000; bits += 0x0008000000000000) {
		bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

		bulla_jcs_number(from_bits(bits), &w);
		assert_rc(BULLA_E_LIMIT, bulla_wr_end(&w, &out));
	}
}

static const struct {
	const char *in, *out;
} texts[] = {
	/* RFC 8785 section 3.2.2 and 3.2.3 */
	{"{\"numbers\": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],"
		"\"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\", \"literals\": [null, true, false]}",
		"{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],"
		"\"string\":\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"},
	{"{\"\\u20ac\": \"Euro Sign\",\"\\r\": \"Carriage Return\",\"\\ufb33\": \"Hebrew Letter Dalet With Dagesh\","
		"\"1\": \"One\",\"\\ud83d\\ude00\": \"Emoji: Grinning Face\",\"\\u0080\": \"Control\","
		"\"\\u00f6\": \"Latin Small Letter O With Diaeresis\"}",
		"{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xc2\x80\":\"Control\","
		"\"\xc3\xb6\":\"Latin Small Letter O With Diaeresis\",\"\xe2\x82\xac\":\"Euro Sign\","
		"\"\xf0\x9f\x98\x80\":\"Emoji: Grinning Face\",\"\xef\xac\xb3\":\"Hebrew Letter Dalet With Dagesh\"}"},
	{" [ ] ", "[]"},
	{" { } ", "{}"},
	{"-0.0", "0"},
	{"\"\\b\\t\\n\\f\\r\\u007f\\u0000\"", "\"\\b\\t\\n\\f\\r\x7f\\u0000\""},
	{"{\"b\":{\"z\":1,\"y\":[{\"d\":1,\"c\":2}]},\"ab\":1,\"a\":2,\"\":3}",
		"{\"\":3,\"a\":2,\"ab\":1,\"b\":{\"y\":[{\"c\":2,\"d\":1}],\"z\":1}}"},
};

static void texts_of_the_rfc_and_ours(void **state)
{
	uint8_t memory[1024], again[1024];
	bulla_bytes out, same;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_ok(canonical(texts[i].in, memory, sizeof(memory) - 1, &out));
		assert_bytes(out, bulla_bytes_str(texts[i].out));
		memory[out.n] = 0;
		assert_ok(canonical((const char *)memory, again, sizeof(again), &same));
		assert_bytes(same, out);
	}
	assert_rc(BULLA_E_LIMIT, canonical("[1e400]", memory, sizeof(memory), &out));
	assert_rc(BULLA_E_LIMIT, canonical("[1,2,3]", memory, 3, &out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_of_appendix_b),
		cmocka_unit_test(texts_of_the_rfc_and_ours),
	};

	return cmocka_run_group_tests_name("wire_jcs", tests, NULL, NULL);
}
