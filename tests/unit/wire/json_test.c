#include "test.h"
#include "wire/json.h"
#include "wire/json_unescape.h"

static bulla_rc parse(const char *text)
{
	bulla_json value;

	return bulla_json_parse(bulla_bytes_str(text), &value);
}

/* In the manner of JSONTestSuite: y_ must be taken, n_ must be refused. Its i_ cases (either is allowed) are refused
 * where they are no Unicode and taken where they are only large. */
static const char *const y_cases[] = {"[]", " [] ", "[[]   ]", "[\"\"]", "[\"a\"]", "[false]", "[null, 1, \"1\", {}]",
	"[null]", "[1\n]", " [1]", "[1,null,null,null,2]", "[2] ", "[123e65]", "[0e+1]", "[0e1]", "[ 4]",
	"[-0.000000000000000000000000000000000000000000000000000000000000000000000000000001]", "[20e1]", "[-0]", "[-123]",
	"[-1]", "[1E22]", "[1E-2]", "[1E+2]", "[123e45]", "[123.456e78]", "[1e-2]", "[1e+2]", "[123]", "[123.456789]",
	"{\"asd\":\"sdf\", \"dfg\":\"fgh\"}", "{\"asd\":\"sdf\"}", "{}", "{\"\":0}", "{\"foo\\u0000bar\": 42}",
	"{ \"min\": -1.0e+28, \"max\": 1.0e+28 }", "{\"a\":[]}", "{\n\"a\": \"b\"\n}", "[\"\\u0060\\u012a\\u12AB\"]",
	"[\"\\uD801\\udc37\"]", "[\"\\ud83d\\ude39\\ud83d\\udc8d\"]", "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "[\"\\\\u0000\"]",
	"[\"\\\"\"]", "[\"a/*b*/c/*d//e\"]", "[\"\\\\a\"]", "[\"\\\\n\"]", "[\"\\u0012\"]", "[\"\\uFFFF\"]", "[\"asd\"]",
	"[ \"asd\"]", "[\"\\uDBFF\\uDFFF\"]", "[\"new\\u00A0line\"]", "[\"\xf4\x8f\xbf\xbf\"]", "[\"\xef\xbf\xbf\"]",
	"[\"\\u0000\"]", "[\"\\u002c\"]", "[\"\xcf\x80\"]", "[\"\xf0\x9b\xbf\xbf\"]", "[\"asd \"]", "\" \"",
	"[\"\\uD834\\uDd1e\"]", "[\"\\u0821\"]", "[\"\\u0123\"]", "[\"\xe2\x80\xa8\"]", "[\"\xe2\x80\xa9\"]",
	"[\"\\u0061\\u30af\\u30EA\\u30b9\"]", "[\"new\\u000Aline\"]", "[\"\x7f\"]", "[\"\\uA66D\"]", "[\"\\u005C\"]",
	"[\"\xe2\x8d\x82\xe3\x88\xb4\xe2\x8d\x82\"]", "[\"\\u10FF\"]", "[\"\\u200B\"]", "[\"\\u2064\"]", "[\"\\uFDD0\"]",
	"[\"\\uFFFE\"]", "[\"\\u0022\"]", "[\"\xe2\x82\xac\xf0\x9d\x84\x9e\"]", "[\"a\x7f""a\"]", "false", "42", "-0.1",
	"null", "\"asd\"", "true", "\"\"", "[\"a\"]\n", "[true]", " [] \r\n\t", "[1.5e+9999]", "[123123e100000]",
	"[-123123123123123123123123123123]", "[0.4e00669999999999999999999999999999999999999999999999]"};

static const char *const n_cases[] = {"", " ", "[1 true]", "[a\xe5]", "[\"\": 1]", "[\"\"],", "[,1]", "[1,,2]",
	"[\"x\",,]", "[\"x\"]]", "[\"\",]", "[\"x\"", "[x", "[3[4]]", "[\xff]", "[1:2]", "[,]", "[-]", "[   , \"\"]",
	"[\"a\",\n4\n,1,", "[1,]", "[1,,]", "[\"\va\"\\f]", "[*]", "[\"\"", "[1,", "[1,\n1\n,1", "[{}", "[fals]", "[nul]",
	"[tru]", "[++1234]", "[+1]", "[+Inf]", "[-01]", "[-1.0.]", "[-2.]", "[-NaN]", "[.-1]", "[.2e-3]", "[0.1.2]",
	"[0.3e+]", "[0.3e]", "[0.e1]", "[0E+]", "[0E]", "[0e+]", "[0e]", "[1.0e+]", "[1.0e-]", "[1.0e]", "[1 000.0]",
	"[1eE2]", "[2.e+3]", "[2.e-3]", "[2.e3]", "[9.e+]", "[Inf]", "[NaN]", "[\xef\xbc\x91]", "[1+2]", "[0x1]", "[0x42]",
	"[Infinity]", "[0e+-1]", "[-123.123foo]", "[123\xe5]", "[1e1\xe5]", "[0\xe5]", "[-Infinity]", "[-foo]", "[- 1]",
	"[-012]", "[-.123]", "[-1x]", "[1ea]", "[1e\xe5]", "[1.]", "[.123]", "[1.2a-3]", "[1.8011670033376514H-308]",
	"[012]", "[\"x\", truth]", "{[: \"x\"}", "{\"x\", null}", "{\"x\"::\"b\"}", "{\"a\":\"a\" 123}",
	"{key: 'value'}", "{\"\xb9\":\"0\",}", "{\"a\" b}", "{:\"b\"}", "{\"a\" \"b\"}", "{\"a\":", "{\"a\"", "{1:1}",
	"{9999E9999:1}", "{null:null,null:null}", "{\"id\":0,,,,,}", "{'a':0}", "{\"id\":0,}", "{\"a\":\"b\"}/**/",
	"{\"a\":\"b\"}/**//", "{\"a\":\"b\"}//", "{\"a\":\"b\"}/", "{\"a\":\"b\",,\"c\":\"d\"}", "{a: \"b\"}",
	"{\"a\":\"a", "{ \"foo\" : \"bar\", \"a\" }", "{\"a\":\"b\"}#", "[\"\\uD800\\\"]", "[\"\\uD800\\u\"]",
	"[\"\\uD800\\u1\"]", "[\"\\uD800\\u1x\"]", "[\xc3\xa9]", "[\"\\x00\"]", "[\"\\\\\\\"]", "[\"\\\t\"]",
	"[\"\\\xf0\x9f\x8c\x80\"]", "[\"\\\"]", "[\"\\u00A\"]", "[\"\\uD834\\uDd\"]", "[\"\\uD800\\uD800\\x\"]",
	"[\"\\u\xe5\"]", "[\"\\a\"]", "[\"\\uqqqq\"]", "[\"\\\xe5\"]", "[\\u0020\"asd\"]", "[\\n]", "\"", "['single quote']",
	"abc", "[\"\\", "[\"new\nline\"]", "[\"\t\"]", "\"\\UA66D\"", "\"\"x", "[\xe2\x81\xa0]", "\xef\xbb\xbf", "<.>",
	"[<null>]", "[1]x", "[1]]", "[\"asd]", "a\xc3\xa5", "[True]", "1]", "{\"x\": true,", "[][]", "]",
	"\xef\xbb\xbf{}", "\xe5", "[", "{", "[\"a\",\"b", "2@", "{}}", "{\"\":", "{\"a\":/*comment*/\"b\"}",
	"{\"a\": true} \"x\"", "['", "[\",", "[{", "{,", "{[", "{]", "*", "{\"a\":\"b\"}#{}", "[\\u000A\"\"]",
	"[1\n,1\n", "\xc3\xa5", "[\f]", "nullx", "01", "-", "1e", "\"\\u12\"",
	/* no Unicode: i_ cases of the suite */
	"[\"\\uDADA\"]", "[\"\\uD888\\u1234\"]", "[\"\xe6\x97\xa5\xd1\x88\xfa\"]", "[\"\\uD800\\n\"]", "[\"\\uDd1ea\"]",
	"[\"\\uD800\\uD800\\n\"]", "[\"\\ud800\"]", "[\"\\ud800""abc\"]", "[\"\xff\"]", "[\"\\uDd1e\\uD834\"]",
	"[\"\xe9\"]", "[\"\\uDFAA\"]", "[\"\xe0\xff\"]", "[\"\xfc\x80\x80\x80\x80\x80\"]", "[\"\xc0\xaf\"]", "[\"\x81\"]",
	"[\"\xed\xa0\x80\"]", "[\"\xf4\xbf\xbf\xbf\"]"};

static void json_test_suite(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(y_cases) / sizeof(y_cases[0]); i++) {
		if (parse(y_cases[i]) != BULLA_OK)
			fail_msg("refused: %s", y_cases[i]);
	}
	for (size_t i = 0; i < sizeof(n_cases) / sizeof(n_cases[0]); i++) {
		if (parse(n_cases[i]) == BULLA_OK)
			fail_msg("taken: %s", n_cases[i]);
	}
	assert_rc(BULLA_E_FORMAT, bulla_json_parse(bulla_bytes_of("[\0]", 3), &(bulla_json){{NULL, 0}}));
	assert_rc(BULLA_E_TRAILING, bulla_json_parse(bulla_bytes_of("1\0", 2), &(bulla_json){{NULL, 0}}));
	assert_rc(BULLA_E_FORMAT, bulla_json_parse(bulla_bytes_of("\"\0\"", 3), &(bulla_json){{NULL, 0}}));
}

static void names_are_unique_however_they_are_written(void **state)
{
	(void)state;
	assert_rc(BULLA_E_DUPLICATE, parse("{\"a\":\"b\",\"a\":\"b\"}"));
	assert_rc(BULLA_E_DUPLICATE, parse("{\"a\":1,\"\\u0061\":2}"));
	assert_rc(BULLA_E_DUPLICATE, parse("{\"\xf0\x9d\x84\x9e\":1,\"b\":{},\"\\uD834\\uDD1E\":2}"));
	assert_rc(BULLA_E_DUPLICATE, parse("[{\"a\":{\"c\":1,\"c\":1}}]"));
	assert_rc(BULLA_E_DUPLICATE, parse("{\"\":1,\"\":2}"));
	assert_ok(parse("{\"a\":{\"a\":{\"a\":1},\"b\":1},\"b\":{\"a\":1}}"));
	assert_ok(parse("[{\"a\":1},{\"a\":1}]"));
}

static bulla_rc parse_many(size_t names, bool twice)
{
	static uint8_t text[16 * (BULLA_MAX_JSON_NAMES + 2)];
	bulla_wr w = bulla_wr_fixed(text, sizeof(text));
	bulla_json_wr j = bulla_json_wr_of(&w);
	bulla_json value;
	bulla_bytes out;

	bulla_json_wr_object(&j);
	for (size_t i = 0; i < names; i++) {
		char name[] = "n0000";
		size_t number = twice && i == names - 1 ? 0 : i;

		for (size_t at = 4; at > 0; at--, number /= 10)
			name[at] = (char)('0' + number % 10);
		bulla_json_wr_name(&j, name);
		bulla_json_wr_int(&j, -1);
	}
	bulla_json_wr_object_end(&j);
	assert_ok(bulla_wr_end(&w, &out));
	return bulla_json_parse(out, &value);
}

static void names_and_depth_are_bounded(void **state)
{
	char text[2 * BULLA_MAX_JSON_DEPTH + 3];

	(void)state;
	assert_ok(parse_many(64, false));
	assert_ok(parse_many(65, false));
	assert_rc(BULLA_E_DUPLICATE, parse_many(65, true));
	assert_ok(parse_many(BULLA_MAX_JSON_NAMES, false));
	assert_rc(BULLA_E_DUPLICATE, parse_many(BULLA_MAX_JSON_NAMES, true));
	assert_rc(BULLA_E_LIMIT, parse_many(BULLA_MAX_JSON_NAMES + 1, false));
	for (size_t depth = BULLA_MAX_JSON_DEPTH; depth <= BULLA_MAX_JSON_DEPTH + 1; depth++) {
		for (size_t i = 0; i < depth; i++) {
			text[i] = '[';
			text[2 * depth - 1 - i] = ']';
		}
		text[2 * depth] = 0;
		assert_rc(depth > BULLA_MAX_JSON_DEPTH ? BULLA_E_FORMAT : BULLA_OK, parse(text));
	}
}

static const char document[] =
	" {\"risk\": {\"grade\":\"low\",\"li\\u006dit\" : 7500, \"why\":[1, \"two\" ,{\"x\":null}]},\n\t\"ok\":true,"
	"\"text\":\"a\\\"\\u00e9\\ud834\\udd1e\\n\",\"big\":9223372036854775808,\"real\":1.0,\"empty\":{},\"none\":[ ]} ";

static bulla_json get(const char *name)
{
	bulla_json value, member;

	assert_ok(bulla_json_parse(bulla_bytes_str(document), &value));
	assert_ok(bulla_json_get_str(value, name, &member));
	return member;
}

static void values_are_found_and_keep_their_text(void **state)
{
	const bulla_bytes path[] = {BULLA_BYTES_LITERAL("risk"), BULLA_BYTES_LITERAL("limit"), BULLA_BYTES_LITERAL("x")};
	struct bulla_json_iter iter;
	bulla_json value, found, name;
	int64_t number;

	(void)state;
	assert_ok(bulla_json_parse(bulla_bytes_str(document), &value));
	assert_int_equal(value.raw.n, sizeof(document) - 3);
	assert_int_equal(bulla_json_count(value), 7);
	assert_ok(bulla_json_select(value, path, 2, &found));
	assert_bytes(found.raw, bulla_bytes_str("7500"));
	assert_ok(bulla_json_int(found, 0, 10000, &number));
	assert_int_equal(number, 7500);
	assert_ok(bulla_json_select(value, path, 0, &found));
	assert_bytes(found.raw, value.raw);
	assert_rc(BULLA_E_FORMAT, bulla_json_select(value, path, 3, &found));
	assert_rc(BULLA_E_NOT_FOUND, bulla_json_get_str(value, "ris", &found));
	assert_rc(BULLA_E_NOT_FOUND, bulla_json_get_str(value, "risky", &found));
	assert_ok(bulla_json_get_str(get("risk"), "why", &found));
	assert_bytes(found.raw, bulla_bytes_str("[1, \"two\" ,{\"x\":null}]"));
	assert_int_equal(bulla_json_count(found), 3);
	iter = bulla_json_begin(found);
	assert_true(bulla_json_next(&iter, &name, &found));
	assert_int_equal(name.raw.n, 0);
	assert_true(bulla_json_next(&iter, &name, &found));
	assert_true(bulla_json_string_is(found, bulla_bytes_str("two")));
	assert_false(bulla_json_string_is(found, bulla_bytes_str("tw")));
	assert_false(bulla_json_string_is(found, bulla_bytes_str("two ")));
	assert_true(bulla_json_next(&iter, &name, &found));
	assert_int_equal(bulla_json_type(found), BULLA_JSON_OBJECT);
	assert_false(bulla_json_next(&iter, &name, &found));
	assert_int_equal(bulla_json_count(get("empty")), 0);
	assert_int_equal(bulla_json_count(get("none")), 0);
	assert_int_equal(bulla_json_count(get("ok")), 0);
}

/* Whatever it is given, it stays inside and ends. */
static void unescaping_stays_inside(void **state)
{
	static const char *const texts[] = {"\"", "\"\\", "\"\\u", "\"\\u00", "\"\\ud800", "\"\\ud800\\u", "\"abc", "\"\\q\""};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		bulla_bytes text = bulla_bytes_str(texts[i]);
		struct bulla_json_unescape u = bulla_json_unescape_of(text.p, text.n, 0);
		size_t count = 0;

		while (bulla_json_unescape_next(&u) >= 0)
			assert_true(++count < 16);
		assert_true(u.at <= text.n);
	}
}

static void scalars_have_types_and_ranges(void **state)
{
	uint8_t text[16];
	bulla_bytes view;
	int64_t number;
	size_t size;
	bool truth;

	(void)state;
	assert_ok(bulla_json_bool(get("ok"), &truth));
	assert_true(truth);
	assert_rc(BULLA_E_FORMAT, bulla_json_bool(get("text"), &truth));
	assert_rc(BULLA_E_FORMAT, bulla_json_int(get("ok"), 0, 1, &number));
	assert_rc(BULLA_E_LIMIT, bulla_json_int(get("big"), INT64_MIN, INT64_MAX, &number));
	assert_rc(BULLA_E_FORMAT, bulla_json_int(get("real"), 0, 1, &number));
	assert_ok(bulla_json_string(get("text"), sizeof(text), text, &size));
	assert_bytes(bulla_bytes_of(text, size), bulla_bytes_str("a\"\xc3\xa9\xf0\x9d\x84\x9e\n"));
	assert_rc(BULLA_E_LIMIT, bulla_json_string(get("text"), size - 1, text, &size));
	assert_rc(BULLA_E_FORMAT, bulla_json_string(get("risk"), sizeof(text), text, &size));
	assert_rc(BULLA_E_UNSUPPORTED, bulla_json_string_view(get("text"), &view));
	assert_rc(BULLA_E_FORMAT, bulla_json_string_view(get("ok"), &view));
}

/* Every truncation is refused; every flipped bit is refused or read without leaving the text. */
static void damage_is_found_or_harmless(void **state)
{
	uint8_t text[sizeof(document)];
	bulla_json value, name, item;
	uint8_t string[64];
	size_t size;

	(void)state;
	for (size_t n = 0; n + 2 < sizeof(document); n++)
		assert_int_not_equal(bulla_json_parse(bulla_bytes_of(document, n), &value), BULLA_OK);
	for (size_t bit = 0; bit < 8 * (sizeof(document) - 1); bit++) {
		bulla_copy(text, document, sizeof(document));
		text[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (bulla_json_parse(bulla_bytes_of(text, sizeof(document) - 1), &value) != BULLA_OK)
			continue;
		struct bulla_json_iter iter = bulla_json_begin(value);
		while (bulla_json_next(&iter, &name, &item)) {
			assert_true(item.raw.p >= text && item.raw.p + item.raw.n <= text + sizeof(text));
			assert_ok(bulla_json_string(name, sizeof(string), string, &size));
		}
	}
}

static void what_is_written_is_read(void **state)
{
	static const char expected[] = "{\"a\":[1,-2,true,null,{},[]],\"b\":\"q\\\"\\\\\\n\\u0001\xc3\xa9\",\"c\":\"AQI=\","
		"\"d\":\"0102\",\"e\":[7]}";
	const uint8_t bytes[] = {1, 2};
	uint8_t memory[256];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_json_wr j = bulla_json_wr_of(&w);
	bulla_json value;
	bulla_bytes out;

	(void)state;
	bulla_json_wr_object(&j);
	bulla_json_wr_name(&j, "a");
	bulla_json_wr_array(&j);
	bulla_json_wr_int(&j, 1);
	bulla_json_wr_int(&j, -2);
	bulla_json_wr_bool(&j, true);
	bulla_json_wr_null(&j);
	bulla_json_wr_object(&j);
	bulla_json_wr_object_end(&j);
	bulla_json_wr_array(&j);
	bulla_json_wr_array_end(&j);
	bulla_json_wr_array_end(&j);
	bulla_json_wr_name(&j, "b");
	bulla_json_wr_str(&j, "q\"\\\n\x01\xc3\xa9");
	bulla_json_wr_name(&j, "c");
	bulla_json_wr_base64(&j, BULLA_BYTES_ARRAY(bytes));
	bulla_json_wr_name(&j, "d");
	bulla_json_wr_hex(&j, BULLA_BYTES_ARRAY(bytes));
	bulla_json_wr_name(&j, "e");
	bulla_json_wr_raw(&j, (bulla_json){BULLA_BYTES_LITERAL("[7]")});
	bulla_json_wr_object_end(&j);
	assert_ok(bulla_wr_end(&w, &out));
	assert_bytes(out, bulla_bytes_str(expected));
	assert_ok(bulla_json_parse(out, &value));
	bulla_json_wr_str(&j, "\xff");
	assert_rc(BULLA_E_FORMAT, bulla_wr_end(&w, &out));
}

static void the_writer_has_a_depth_limit(void **state)
{
	uint8_t memory[2 * BULLA_MAX_JSON_DEPTH];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_json_wr j = bulla_json_wr_of(&w);
	bulla_bytes out;

	(void)state;
	for (int i = 0; i < BULLA_MAX_JSON_DEPTH - 1; i++)
		bulla_json_wr_array(&j);
	assert_ok(bulla_wr_end(&w, &out));
	bulla_json_wr_array(&j);
	assert_rc(BULLA_E_LIMIT, bulla_wr_end(&w, &out));
}

static void damage_has_a_place(void **state)
{
	const struct {
		const char *text;
		bulla_rc rc;
		size_t at;
	} cases[] = {
		{"{\"a\": 1} ", BULLA_OK, 9},
		{"{\"a\": 1} x", BULLA_E_TRAILING, 9},
		{"{\"a\": 1", BULLA_E_TRUNCATED, 7},
		{"{\"a\": \"bc", BULLA_E_TRUNCATED, 9},
		{"{\"a\": 1, \"\\u0061\": 2}", BULLA_E_DUPLICATE, 9},
		{"[1, 02]", BULLA_E_FORMAT, 5},
		{"[1, trux]", BULLA_E_FORMAT, 4},
		{"[\"ab\", \"c\xff\"]", BULLA_E_FORMAT, 7},
		{"[\"a\x01\"]", BULLA_E_FORMAT, 3},
		{"", BULLA_E_TRUNCATED, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bulla_json value;
		size_t at = SIZE_MAX;

		assert_rc(cases[i].rc, bulla_json_parse_at(bulla_bytes_str(cases[i].text), &value, &at));
		assert_int_equal(at, cases[i].at);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_test_suite),
		cmocka_unit_test(names_are_unique_however_they_are_written),
		cmocka_unit_test(names_and_depth_are_bounded),
		cmocka_unit_test(values_are_found_and_keep_their_text),
		cmocka_unit_test(unescaping_stays_inside),
		cmocka_unit_test(scalars_have_types_and_ranges),
		cmocka_unit_test(damage_is_found_or_harmless),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(the_writer_has_a_depth_limit),
		cmocka_unit_test(damage_has_a_place),
	};

	return cmocka_run_group_tests_name("wire_json", tests, NULL, NULL);
}
