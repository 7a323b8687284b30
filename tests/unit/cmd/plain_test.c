#include "cmd/plain.h"

#include "cmd/say.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *text, *line, *lines;
} cases[] = {
	{"plain, caf\xc3\xa9\t|", "plain, caf\xc3\xa9\t|", "plain, caf\xc3\xa9\t|"},
	{"a\nb", "a?b", "a\nb"},
	{"a\r\033[2Jb", "a??[2Jb", "a??[2Jb"},
	{"a\x7f" "b", "a?b", "a?b"},
	{"a\xc2\x9b" "2Jb", "a?2Jb", "a?2Jb"},
	{"a\xc2\xa0" "b\xc2", "a\xc2\xa0" "b\xc2", "a\xc2\xa0" "b\xc2"},
};

static void check(const char *text, bool lines, const char *expected)
{
	char *out = NULL;
	size_t n = 0;
	FILE *file = open_memstream(&out, &n);

	plain_print(bulla_bytes_str(text), lines, file);
	fclose(file);
	assert_string_equal(out, expected);
	free(out);
}

static void control_characters_do_not_reach_a_terminal(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check(cases[i].text, false, cases[i].line);
		check(cases[i].text, true, cases[i].lines);
	}
}

/* What json_bytes writes to stdout. */
static void json_of(bulla_bytes bytes, char ret[256])
{
	int pair[2], saved = dup(1);
	ssize_t n;

	fflush(stdout);
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(dup2(pair[1], 1), 1);
	json_bytes(bytes);
	fflush(stdout);
	assert_int_equal(dup2(saved, 1), 1);
	n = read(pair[0], ret, 255);
	assert_true(n >= 0);
	ret[n] = '\0';
	close(pair[0]);
	close(pair[1]);
	close(saved);
}

static void bytes_are_json_whatever_they_are(void **state)
{
	char out[256];

	(void)state;
	json_of(BULLA_BYTES_LITERAL("a\"\\\n\x01\0b caf\xc3\xa9"), out);
	assert_string_equal(out, "\"a\\\"\\\\\\u000a\\u0001\\u0000b caf\xc3\xa9\"");
	json_of(BULLA_BYTES_LITERAL("a\xff" "b\xc3"), out); /* not UTF-8 */
	assert_string_equal(out, "\"a\\ufffdb\\ufffd\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(control_characters_do_not_reach_a_terminal),
		cmocka_unit_test(bytes_are_json_whatever_they_are),
	};

	return cmocka_run_group_tests_name("cmd_plain", tests, NULL, NULL);
}
