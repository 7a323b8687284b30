/* Reference files: every member reaches its field, and no other one. */
#include "attest/reference.h"

#include "base/mem.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static struct bulla_reference_file *file, *plain;

/* A file with these members besides the least ones. */
static bulla_rc read_with(const char *members)
{
	char text[2048];
	int n = snprintf(text, sizeof(text), "{\"v\":1,\"tee\":[\"tdx\"],\"assurance\":\"hardware\",\"any-image\":true%s%s}",
		members[0] != 0 ? "," : "", members);

	assert_true(n > 0 && (size_t)n < sizeof(text));
	return bulla_reference_read(bulla_bytes_of(text, (size_t)n), file);
}

/* Changes one field back to what it is without the member: then nothing may differ. */
#define FIELD(member_, field_, value_) {member_, offsetof(struct bulla_attest_policy, field_), sizeof(file->policy.field_), value_}

static const struct {
	const char *member;
	size_t offset, size;
	uint64_t value;
} numbers[] = {
	FIELD("\"debug\":true", allow_debug, 1),
	FIELD("\"strict\":true", strict, 1),
	FIELD("\"max-age-s\":7", max_age_ms, 7000),
	FIELD("\"snp\":{\"policy-refused\":5}", snp.guest_policy_refused, 5),
	FIELD("\"snp\":{\"policy-demanded\":5}", snp.guest_policy_demanded, 5),
	FIELD("\"snp\":{\"platform-refused\":5}", snp.platform_refused, 5),
	FIELD("\"snp\":{\"platform-demanded\":32}", snp.platform_demanded, 32),
	FIELD("\"snp\":{\"mitigations\":9}", snp.mitigations_demanded, 9),
	FIELD("\"snp\":{\"guest-svn\":3}", snp.guest_svn_minimum, 3),
	FIELD("\"snp\":{\"guest-svn\":4294967296}", snp.guest_svn_minimum, UINT32_MAX),
	FIELD("\"snp\":{\"vmpl\":[1,3]}", snp.vmpls, 10),
	FIELD("\"snp\":{\"any-csp\":true}", snp.any_csp, 1),
	FIELD("\"snp\":{\"migration\":true}", snp.allow_migration, 1),
	FIELD("\"snp\":{\"masked-chip\":true}", snp.allow_masked_chip, 1),
	FIELD("\"snp\":{\"minimum\":{\"fmc\":6}}", snp.minimum.fmc, 6),
	FIELD("\"snp\":{\"minimum\":{\"bootloader\":6}}", snp.minimum.bootloader, 6),
	FIELD("\"snp\":{\"minimum\":{\"tee\":6}}", snp.minimum.tee, 6),
	FIELD("\"snp\":{\"minimum\":{\"snp\":6}}", snp.minimum.snp, 6),
	FIELD("\"snp\":{\"minimum\":{\"microcode\":6}}", snp.minimum.microcode, 6),
	FIELD("\"dcap\":{\"status\":[\"UpToDate\",\"OutOfDate\"]}", dcap.statuses, 1 | 1 << BULLA_TCB_OUT_OF_DATE),
	FIELD("\"dcap\":{\"any-advisory\":true}", dcap.any_advisory, 1),
	FIELD("\"dcap\":{\"without-collateral\":true}", dcap.without_collateral, 1),
	FIELD("\"dcap\":{\"no-sept-ve-disable\":true}", dcap.allow_no_sept_ve_disable, 1),
	FIELD("\"dcap\":{\"event-log\":true}", dcap.demand_event_log, 1),
	FIELD("\"dcap\":{\"any-service-td\":true}", dcap.any_service_td, 1),
	FIELD("\"dcap\":{\"attributes-refused\":5}", dcap.attributes_refused, 5),
	FIELD("\"dcap\":{\"xfam-refused\":5}", dcap.xfam_refused, 5),
	FIELD("\"dcap\":{\"isvsvn\":5}", dcap.isvsvn_minimum, 5),
	FIELD("\"dcap\":{\"evaluation\":17}", dcap.evaluation_minimum, 17),
	FIELD("\"psa\":{\"legacy\":true}", psa.allow_legacy_profile, 1),
	FIELD("\"psa\":{\"test-keys\":true}", psa.allow_test_keys, 1),
};

static void each_member_reaches_its_field(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		uint8_t *field = (uint8_t *)&file->policy + numbers[i].offset;
		uint64_t value = 0;

		assert_ok(read_with(numbers[i].member));
		memcpy(&value, field, numbers[i].size); /* little-endian machines */
		if (value != numbers[i].value)
			fail_msg("%s: %llu", numbers[i].member, (unsigned long long)value);
		memcpy(field, (uint8_t *)&plain->policy + numbers[i].offset, numbers[i].size);
		if (memcmp(&file->policy, &plain->policy, sizeof(file->policy)) != 0)
			fail_msg("%s changes more than its field", numbers[i].member);
	}
}

static void lists_reach_theirs(void **state)
{
	(void)state;
	assert_ok(read_with("\"snp\":{\"csp\":[\"CN=a\",\"CN=b\"],\"abi\":[1,55]},\"dcap\":{\"advisories\":[\"INTEL-SA-1\"],"
		"\"service-tds\":[\"00ff\"]},\"psa\":{\"implementations\":[\"aa\",\"bb\"]},\"platforms\":[\"i-1\"],\"required\":{\"pcr8\":\"01\"}"));
	assert_int_equal(file->policy.snp.csp_count, 2);
	assert_bytes(file->policy.snp.csps[1], BULLA_BYTES_LITERAL("CN=b"));
	assert_int_equal(file->policy.snp.abi_major, 1);
	assert_int_equal(file->policy.snp.abi_minor, 55);
	assert_int_equal(file->policy.dcap.advisory_count, 1);
	assert_bytes(file->policy.dcap.advisories[0], BULLA_BYTES_LITERAL("INTEL-SA-1"));
	assert_int_equal(file->policy.dcap.service_td_count, 1);
	assert_bytes(file->policy.dcap.service_tds[0], BULLA_BYTES_LITERAL("\x00\xff"));
	assert_int_equal(file->policy.psa.implementation_count, 2);
	assert_bytes(file->policy.psa.implementations[1], BULLA_BYTES_LITERAL("\xbb"));
	assert_int_equal(file->policy.platform_count, 1);
	assert_int_equal(file->policy.required_count, 1);
	assert_int_equal(file->policy.required[0].claim, BULLA_CLAIM_PCR);
	assert_int_equal(file->policy.required[0].index, 8);
}

static void what_cannot_be_is_refused(void **state)
{
	static const char *const bad[] = {"\"snp\":{\"abi\":[1]}", "\"snp\":{\"abi\":[1,2,3]}", "\"snp\":{\"vmpl\":[4]}", "\"snp\":[]",
		"\"snp\":{\"guest-svn\":-1}", "\"snp\":{\"minimum\":{\"tee\":256}}", "\"snp\":{\"csp\":\"CN=a\"}", "\"snp\":{\"policy\":1}",
		"\"snp\":{\"migration\":1}", "\"snp\":{\"policy-refused\":true}", "\"dcap\":{\"isvsvn\":65536}", "\"dcap\":{\"evaluation\":4294967296}",
		"\"dcap\":{\"status\":[\"Unknown\"]}", "\"dcap\":{\"service-tds\":[\"0\"]}", "\"dcap\":{\"snp\":1}", "\"psa\":{\"keys\":true}",
		"\"psa\":{\"implementations\":[\"xy\"]}", "\"max-age-s\":0", "\"max-age-s\":100000001", "\"required\":{}", "\"platforms\":[\"i\"]"};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		if (read_with(bad[i]) == BULLA_OK)
			fail_msg("%s is taken", bad[i]);
}

static int up(void **state)
{
	(void)state;
	assert_ok(bulla_alloc(1, sizeof(*file), (void **)&file));
	assert_ok(bulla_alloc(1, sizeof(*plain), (void **)&plain));
	assert_ok(read_with(""));
	plain->policy = file->policy;
	return 0;
}

static int down(void **state)
{
	(void)state;
	bulla_free(file);
	bulla_free(plain);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_member_reaches_its_field),
		cmocka_unit_test(lists_reach_theirs),
		cmocka_unit_test(what_cannot_be_is_refused),
	};

	return cmocka_run_group_tests_name("reference", tests, up, down);
}
