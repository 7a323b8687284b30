/* Two independent readers of JSON, ours and jansson, agree on generated texts: taken or refused, and number of members.
 * Known differences are stepped around: jansson refuses numbers beyond a double. */
#include <jansson.h>
#include <string.h>

#include "test.h"
#include "wire/json.h"

static uint64_t seed = 1;

static unsigned any(unsigned below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(seed >> 33) % below;
}

static void put(char *text, size_t *n, const char *piece)
{
	bulla_copy(text + *n, piece, strlen(piece));
	*n += strlen(piece);
}

static void generate(char *text, size_t *n, unsigned depth)
{
	static const char *const scalars[] = {"1", "-2.5e3", "true", "null", "\"\\ud834\\udd1e\"", "0", "\"\xc3\xa9\"", "\"\"", " 7 "};
	static const char *const names[] = {"\"a\":", "\"b\" :", "\"c\": ", "\"\\u0041\":", "\"\\u0061\":", "\"A\":"};
	unsigned kind = depth == 0 ? 2 : any(4), count = any(4);

	if (kind >= 2) {
		put(text, n, scalars[any(sizeof(scalars) / sizeof(scalars[0]))]);
		return;
	}
	put(text, n, kind == 0 ? "{" : "[");
	for (unsigned i = 0; i < count; i++) {
		put(text, n, i == 0 ? "" : ",");
		put(text, n, kind == 0 ? names[any(sizeof(names) / sizeof(names[0]))] : "");
		generate(text, n, depth - 1);
	}
	put(text, n, kind == 0 ? "}" : "]");
}

/* One byte replaced, taken out or doubled. */
static void damage(char *text, size_t *n)
{
	static const char bytes[] = "{}[],:\"\\0129-+.eEtfnul \n\x01\x80\xc3";
	size_t at = any((unsigned)*n);

	switch (any(3)) {
	case 0:
		text[at] = bytes[any(sizeof(bytes) - 1)];
		break;
	case 1:
		bulla_move(text + at, text + at + 1, --*n - at);
		break;
	default:
		bulla_move(text + at + 1, text + at, (*n)++ - at);
	}
}

static void both_say_the_same(void **state)
{
	size_t taken = 0;
	char text[4096];

	(void)state;
	for (int i = 0; i < 50000; i++) {
		size_t n = 0;
		json_error_t error = {0};
		json_t *theirs;
		bulla_json ours;
		bulla_rc rc;

		generate(text, &n, 3);
		if (any(2) == 0)
			damage(text, &n);
		theirs = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
		rc = bulla_json_parse(bulla_bytes_of(text, n), &ours);
		if (theirs == NULL && json_error_code(&error) == json_error_numeric_overflow)
			continue;
		if ((theirs != NULL) != (rc == BULLA_OK))
			fail_msg("jansson %s, we say %s: %.*s", theirs != NULL ? "takes" : "refuses", bulla_rc_id(rc), (int)n, text);
		if (theirs != NULL) {
			size_t count = json_is_object(theirs) ? json_object_size(theirs) : json_array_size(theirs);

			assert_int_equal(count, bulla_json_count(ours));
			taken++;
		}
		json_decref(theirs);
	}
	assert_true(taken > 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(both_say_the_same)};

	return cmocka_run_group_tests_name("wire_json_oracle", tests, NULL, NULL);
}
