/* Every family's accepted case, broken in one place after the other: expectations, policy, bytes of evidence and collateral. With
 * BULLA_CASES set to the folder where the labs' tests have left their cases, what is refused by a rule for the first time becomes a
 * case too: that is how tests/vectors/attest is made (tools/attest_cases). */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "attest/deny.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cases.h"
#include "samples.h"
#include "test.h"

struct family {
	const char *name;
	struct bulla_buf file;
	struct attest_replay replay;
	struct bulla_attest_result result;
	size_t unsigned_from; /* azure: where the HCL report begins */
};

static const char *const names[] = {"nitro", "nitrotpm", "snp", "tdx", "sgx", "azure", "psa", "cca"};

static bool read_held(const char *name, struct bulla_buf *ret)
{
	const char *folder = getenv("BULLA_CASES");
	char path[512];
	uint8_t chunk[4096];
	size_t n;

	(void)snprintf(path, sizeof(path), "tests/vectors/attest/%s-held.case", name);
	if (folder == NULL)
		return sample_read(path, ret);
	(void)snprintf(path, sizeof(path), "%s/%s-held.case", folder, name);
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	bulla_buf_init(ret, 1 << 20);
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		assert_ok(bulla_buf_append(ret, bulla_bytes_of(chunk, n)));
	fclose(file);
	return true;
}

static void family_open(struct family *family, const char *name)
{
	*family = (struct family){.name = name};
	assert_true(read_held(name, &family->file));
	case_open(bulla_buf_view(&family->file), &family->replay);
	bulla_rc rc = case_run(name, &family->replay, &family->result);
	assert_accepted(&family->result);
	assert_ok(rc);
	static const char member[] = "\"hcl_report\":\"";
	const size_t n = sizeof(member) - 1;
	bulla_bytes evidence = family->replay.evidence;
	for (size_t i = 0; i + n < evidence.n; i++)
		if (bulla_bytes_eq_str(bulla_bytes_of(evidence.p + i, n), member))
			family->unsigned_from = i + n;
}

static void family_close(struct family *family)
{
	case_close(&family->replay);
	bulla_buf_done(&family->file);
}

/* As it stands, refused by the rule; then as it was read. */
static void refused(struct family *family, enum bulla_factor factor)
{
	assert_int_not_equal(case_run(family->name, &family->replay, &family->result), BULLA_OK);
	assert_factor(&family->result, factor);
	case_close(&family->replay);
	case_open(bulla_buf_view(&family->file), &family->replay);
}

static bool is(const struct family *family, const char *name)
{
	return bulla_bytes_eq_str(bulla_bytes_str(name), family->name);
}

static bool has_chain(const struct family *family)
{
	return !is(family, "psa") && !is(family, "cca");
}

static void break_expectations(struct family *family)
{
	static const uint8_t other[64] = {0xee};
	const struct bulla_attest_expected something = BULLA_EXPECT_BYTES(bulla_bytes_of(other, 32));
	struct bulla_attest_binding *binding = &family->replay.binding;

	*binding = sample_binding();
	binding->binder = BULLA_EXPECT_BYTES(BULLA_BYTES_ARRAY(other));
	refused(family, BULLA_FACTOR_BINDER);
	*binding = sample_binding();
	binding->nonce = something;
	refused(family, BULLA_FACTOR_NONCE);
	*binding = sample_binding();
	binding->public_key = something;
	refused(family, BULLA_FACTOR_PUBLIC_KEY);
	*binding = sample_binding();
	binding->manifest = something;
	refused(family, BULLA_FACTOR_MANIFEST);
	*binding = sample_binding();
	binding->bundles = something;
	refused(family, BULLA_FACTOR_BUNDLES);
}

static void break_policy(struct family *family)
{
	static const uint8_t other[48] = {0xee};
	struct bulla_attest_policy *policy = &family->replay.policy;
	const struct bulla_attest_value value = {BULLA_CLAIM_REPORT_ID, 0, BULLA_BYTES_ARRAY(other)};
	const struct bulla_attest_reference image = {&value, 1};
	const bulla_bytes platform = BULLA_BYTES_ARRAY(other);

	policy->tees = BULLA_TEE_BIT(is(family, "sgx") ? BULLA_TEE_TDX : BULLA_TEE_SGX);
	refused(family, BULLA_FACTOR_TEE);
	family->replay.anchor_list[0].assurance = BULLA_ASSURANCE_DEV;
	policy->assurance = BULLA_ASSURANCE_HARDWARE;
	refused(family, BULLA_FACTOR_CLASS);
	policy->references = &image;
	policy->reference_count = 1;
	policy->any_measurement = false;
	refused(family, BULLA_FACTOR_MEASUREMENT);
	policy->required = &value;
	policy->required_count = 1;
	refused(family, BULLA_FACTOR_REQUIRED);
	policy->platforms = &platform;
	policy->platform_count = 1;
	refused(family, BULLA_FACTOR_PLATFORM_ALLOWED);
	family->replay.anchor_list[0].id = BULLA_BYTES_ARRAY(other);
	refused(family, has_chain(family) ? BULLA_FACTOR_ANCHOR : BULLA_FACTOR_PSA_INSTANCE);
	family->replay.anchor_list[0].tee = BULLA_TEE_COUNT;
	refused(family, BULLA_FACTOR_ANCHOR);
	family->replay.time = (struct bulla_attest_time){INT64_C(4000000000000), BULLA_CLOCK_AT};
	if (has_chain(family))
		refused(family, BULLA_FACTOR_CHAIN_DATES);
	family->replay.time = (struct bulla_attest_time){1000, BULLA_CLOCK_ONLINE};
	if (!has_chain(family))
		refused(family, BULLA_FACTOR_CLOCK);
	case_close(&family->replay);
	case_open(bulla_buf_view(&family->file), &family->replay);
}

static void expectations_are_expected_of_every_family(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct family family;

		family_open(&family, names[i]);
		break_expectations(&family);
		break_policy(&family);
		family_close(&family);
	}
}

/* Evidence that is longer or shorter, or larger than any can be. */
static void lengths_are_exact_in_every_family(void **state)
{
	static uint8_t longer[BULLA_MAX_EVIDENCE + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct family family;
		bulla_bytes evidence;

		family_open(&family, names[i]);
		evidence = family.replay.evidence;
		for (size_t n = 0; n < evidence.n; n += n < 64 ? 1 : 29) {
			family.replay.evidence.n = n;
			assert_int_not_equal(case_run(family.name, &family.replay, &family.result), BULLA_OK);
			assert_non_null(family.result.factors[family.result.failed].text);
			assert_true(family.result.factors[family.result.failed].at <= evidence.n);
		}
		bulla_zero(longer, sizeof(longer));
		bulla_copy(longer, evidence.p, evidence.n);
		for (size_t more = 1; more <= 2; more++) {
			family.replay.evidence = bulla_bytes_of(longer, evidence.n + more);
			assert_int_not_equal(case_run(family.name, &family.replay, &family.result), BULLA_OK);
		}
		family.replay.evidence = BULLA_BYTES_ARRAY(longer);
		assert_int_not_equal(case_run(family.name, &family.replay, &family.result), BULLA_OK);
		assert_factor(&family.result, BULLA_FACTOR_SIZE);
		family_close(&family);
	}
}

static bool is_digit(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '+' ||
		c == '/';
}

/* Azure's evidence is text: which of its versions it is, is nobody's word, and a digit may be written in either case. */
static bool same_meaning(const struct family *family, size_t at, uint8_t new)
{
	bulla_bytes old = family->replay.evidence;
	size_t from = at, to = at;

	if (!is(family, "azure"))
		return false;
	/* the HCL header, and the local TDREPORT whose MAC only the processor can check: the quote speaks for it */
	if (at >= family->unsigned_from && at < family->unsigned_from + (32 + 1184) * 4 / 3 + 1)
		return true;
	while (from > 0 && is_digit(old.p[from - 1]))
		from--;
	while (to + 1 < old.n && is_digit(old.p[to + 1]))
		to++;
	return to == from || /* the version */
		((old.p[at] ^ new) & 0xdf) == 0;
}

/* Only to find rules: what the collateral's bytes do is the matter of the other tests. */
static void flip_part(struct family *family, bulla_bytes *part, size_t step)
{
	static uint8_t copy[65536];
	bulla_bytes old = *part;

	if (old.n == 0 || old.n > sizeof(copy))
		return;
	bulla_copy(copy, old.p, old.n);
	*part = bulla_bytes_of(copy, old.n);
	for (size_t i = 0; i < old.n; i += step) {
		copy[i] ^= (uint8_t)(1u << (i / step % 8));
		(void)case_run(family->name, &family->replay, &family->result);
		copy[i] = old.p[i];
	}
	*part = old;
}

static void flip_evidence(struct family *family, size_t step)
{
	static uint8_t copy[65536];
	bulla_bytes old = family->replay.evidence;

	assert_true(old.n <= sizeof(copy));
	bulla_copy(copy, old.p, old.n);
	family->replay.evidence = bulla_bytes_of(copy, old.n);
	for (size_t i = 0; i < old.n; i += step) {
		copy[i] ^= (uint8_t)(1u << (i / step % 8));
		bulla_rc rc = case_run(family->name, &family->replay, &family->result);
		uint8_t new = copy[i];
		copy[i] = old.p[i];
		if (rc == BULLA_OK && !same_meaning(family, i, new))
			printf("# %s: byte %zu, %02x for %02x\n", family->name, i, new, old.p[i]);
		assert_true(rc != BULLA_OK || same_meaning(family, i, new));
	}
	family->replay.evidence = old;
}

static void flips_are_refused_in_every_family(void **state)
{
	size_t step = getenv("BULLA_CASES") != NULL ? 1 : 37;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct family family;

		family_open(&family, names[i]);
		flip_evidence(&family, step);
		for (size_t k = 0; k < family.replay.collateral.certificate_count; k++)
			flip_part(&family, &family.replay.collateral.certificates[k], step);
		for (size_t k = 0; k < family.replay.collateral.crl_count; k++)
			flip_part(&family, &family.replay.collateral.crls[k], step);
		for (size_t k = 0; family.replay.has_parts && k < sizeof(family.replay.parts) / sizeof(bulla_bytes); k++)
			flip_part(&family, (bulla_bytes *)&family.replay.parts + k, 4 * step);
		family_close(&family);
	}
}

/* ---- what an appraisal costs in memory ---- */
#define STACK_SIZE 262144
#define STACK_LIMIT 65536
#define HEAP_SLACK 16384 /* libcrypto's caches come and go; the largest evidence has 16 times this */

static _Alignas(4096) uint8_t stack[STACK_SIZE];

static void *judge_again(void *arg)
{
	struct family *family = arg;
	bulla_rc rc = bulla_attest_appraise(family->replay.evidence, &family->replay.collateral, &family->replay.anchors,
		&family->replay.policy, &family->replay.binding, family->replay.time, NULL, &family->result);

	assert_int_equal(rc == BULLA_OK, family->result.accepted);
	return NULL;
}

/* Bytes of a painted stack that the appraisal, libcrypto's part included, wrote to. */
static size_t stack_used(struct family *family)
{
	pthread_attr_t attributes;
	pthread_t thread;
	size_t clean = 0;

	for (size_t i = 0; i < sizeof(stack); i++)
		stack[i] = 0xa5;
	assert_int_equal(pthread_attr_init(&attributes), 0);
	assert_int_equal(pthread_attr_setstack(&attributes, stack, sizeof(stack)), 0);
	assert_int_equal(pthread_create(&thread, &attributes, judge_again, family), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	pthread_attr_destroy(&attributes);
	while (clean < sizeof(stack) && stack[clean] == 0xa5)
		clean++;
	return sizeof(stack) - clean;
}

static size_t heap_used(void)
{
	return mallinfo2().uordblks;
}

static void every_family_is_judged_on_a_small_stack_and_leaves_no_heap(void **state)
{
	static uint8_t larger[BULLA_MAX_EVIDENCE];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct family family;

		family_open(&family, names[i]);
		size_t used = stack_used(&family);
		(void)judge_again(&family); /* libcrypto keeps what it looks up first */
		size_t heap = heap_used() + HEAP_SLACK;
		uint64_t allocations = bulla_alloc_count();
		assert_true(family.result.accepted);
		printf("# %s: %zu bytes of stack\n", names[i], used);
		/* sanitizers put zones around everything on the stack */
		assert_true(used <= STACK_LIMIT || getenv("BULLA_SANITIZED") != NULL);
		(void)judge_again(&family);
		uint64_t each = bulla_alloc_count() - allocations; /* key objects, freed again */
		assert_true(heap_used() <= heap);
		/* as large as evidence may be, beginning like this one */
		bulla_copy(larger, family.replay.evidence.p, family.replay.evidence.n);
		family.replay.evidence = BULLA_BYTES_ARRAY(larger);
		(void)judge_again(&family);
		assert_true(bulla_alloc_count() - allocations <= 2 * each);
		assert_true(heap_used() <= heap);
		family_close(&family);
	}
}

/* OP-TEE's: core/pta/veraison_attestation/sign.c */
static const uint8_t optee[91] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
	0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04, 0x30, 0xa0, 0x42, 0x4c, 0xd2, 0x1c, 0x29, 0x44, 0x83,
	0x8a, 0x2d, 0x75, 0xc9, 0x2b, 0x37, 0xe7, 0x6e, 0xa2, 0x0d, 0x9f, 0x00, 0x89, 0x3a, 0x3b, 0x4e, 0xee, 0x8a, 0x3c, 0x0a,
	0xaf, 0xec, 0x3e, 0xe0, 0x4b, 0x65, 0xe9, 0x24, 0x56, 0xd9, 0x88, 0x8b, 0x52, 0xb3, 0x79, 0xbd, 0xfb, 0xd5, 0x1e, 0xe8,
	0x69, 0xef, 0x1f, 0x0f, 0xc6, 0x5b, 0x66, 0x59, 0x69, 0x5b, 0x6c, 0xce, 0x08, 0x17, 0x23};

static void a_published_key_is_worth_nothing(void **state)
{
	static const char *const devices[] = {"psa", "cca"};

	(void)state;
	assert_true(bulla_key_is_published(BULLA_BYTES_ARRAY(optee)));
	assert_false(bulla_key_is_published(bulla_bytes_of(optee, sizeof(optee) - 1)));
	for (size_t i = 0; i < 2; i++) {
		struct family family;

		family_open(&family, devices[i]);
		family.replay.anchor_list[0].key = BULLA_BYTES_ARRAY(optee);
		refused(&family, BULLA_FACTOR_TEST_KEY);
		family_close(&family);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expectations_are_expected_of_every_family),
		cmocka_unit_test(lengths_are_exact_in_every_family),
		cmocka_unit_test(a_published_key_is_worth_nothing),
		cmocka_unit_test(flips_are_refused_in_every_family),
		cmocka_unit_test(every_family_is_judged_on_a_small_stack_and_leaves_no_heap),
	};

	return cmocka_run_group_tests_name("attest_family", tests, NULL, NULL);
}
