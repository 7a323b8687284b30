/* Committed cases (tests/vectors/attest), named by the family and by the rule that refuses them: each keeps its verdict, and no rule is
 * without one. tools/attest_cases makes them anew. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "samples.h"
#include "test.h"

/* "nitro-chain-ca.case": the factor behind the first dash; BULLA_FACTOR_COUNT for "held". */
static enum bulla_factor factor_of(const char *file)
{
	const char *dash = strchr(file, '-');

	assert_non_null(dash);
	size_t n = strlen(dash + 1) - strlen(".case");
	for (unsigned i = 0; i < BULLA_FACTOR_COUNT; i++)
		if (bulla_bytes_eq_str(bulla_bytes_of(dash + 1, n), bulla_factor_name(i)))
			return i;
	assert_true(bulla_bytes_eq_str(bulla_bytes_of(dash + 1, n), "held"));
	return BULLA_FACTOR_COUNT;
}

static enum bulla_factor check(const char *file)
{
	struct attest_replay replay;
	struct bulla_attest_result result;
	char path[512];
	BULLA_AUTO_BUF buf;

	(void)snprintf(path, sizeof(path), "tests/vectors/attest/%s", file);
	assert_true(sample_read(path, &buf));
	case_open(bulla_buf_view(&buf), &replay);
	bulla_rc rc = case_run("again", &replay, &result);
	enum bulla_factor factor = factor_of(file);
	if (result.failed != (unsigned)factor)
		printf("# %s: %s\n", file, bulla_factor_name(result.failed));
	assert_int_equal(result.failed, factor);
	assert_int_equal(rc == BULLA_OK, factor == BULLA_FACTOR_COUNT);
	if (factor != BULLA_FACTOR_COUNT) {
		assert_rc(bulla_factor_rc(factor), rc);
		assert_non_null(result.factors[factor].text);
		/* the place lies in the evidence, or right behind it */
		assert_true(result.factors[factor].at <= replay.evidence.n);
	}
	case_close(&replay);
	return factor;
}

static void every_case_keeps_its_verdict_and_every_rule_has_one(void **state)
{
	const char *root = getenv("BULLA_SOURCE_ROOT");
	bool seen[BULLA_FACTOR_COUNT + 1] = {false};
	char folder[512];
	unsigned cases = 0, missing = 0;

	(void)state;
	(void)snprintf(folder, sizeof(folder), "%s/tests/vectors/attest", root != NULL ? root : ".");
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		if (strstr(entry->d_name, ".case") != NULL) {
			seen[check(entry->d_name)] = true;
			cases++;
		}
	closedir(dir);
	for (unsigned i = 0; i < BULLA_FACTOR_COUNT; i++)
		if (!seen[i]) {
			printf("# no case breaks %s\n", bulla_factor_name(i));
			missing++;
		}
	printf("# %u cases, %u rules\n", cases, (unsigned)BULLA_FACTOR_COUNT);
	assert_int_equal(missing, 0);
	assert_true(cases >= 200 && BULLA_FACTOR_COUNT >= 45);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_case_keeps_its_verdict_and_every_rule_has_one),
	};

	return cmocka_run_group_tests_name("attest_vectors", tests, NULL, NULL);
}
