#include "base/log.h"
#include "test.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* What one call writes, without its time. */
static size_t logged(enum bulla_log_level highest, enum bulla_log_level level, const bulla_digest *digest, char ret[512])
{
	int ends[2];
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	bulla_log_init(ends[1], highest);
	bulla_log_write(level, "test.event", (const struct bulla_log_pair[]){bulla_log_u64("count", 7),
		bulla_log_rc(BULLA_E_POSITION_RUN), bulla_log_digest("id", digest), {BULLA_LOG_END, NULL, 0, NULL}});
	n = read(ends[0], ret, 511);
	bulla_log_init(2, BULLA_LOG_INFO);
	close(ends[0]);
	close(ends[1]);
	ret[n > 0 ? n : 0] = 0;
	return n > 0 ? (size_t)n : 0;
}

static void an_event_is_one_line_of_json(void **state)
{
	const bulla_digest digest = {{0xab, 0x01}};
	char line[512];
	size_t n = logged(BULLA_LOG_INFO, BULLA_LOG_WARN, &digest, line);

	(void)state;
	assert_true(n > 0 && line[n - 1] == '\n');
	assert_non_null(strstr(line, "\"level\":\"warn\",\"event\":\"test.event\",\"count\":7,\"rc\":\"position-run\",\"id\":\"ab01"));
	assert_ptr_equal(strchr(line, '\n'), line + n - 1);
	assert_memory_equal(line, "{\"ms\":", 6);
}

static void what_is_above_the_level_is_not_written(void **state)
{
	const bulla_digest digest = {{0}};
	char line[512];

	(void)state;
	assert_int_equal(logged(BULLA_LOG_WARN, BULLA_LOG_INFO, &digest, line), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_is_one_line_of_json),
		cmocka_unit_test(what_is_above_the_level_is_not_written),
	};

	return cmocka_run_group_tests_name("base_log", tests, NULL, NULL);
}
