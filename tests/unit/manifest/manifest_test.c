#include "manifest/manifest.h"

#include "attack.h"
#include "crypto/hash.h"
#include "crypto/slab.h"
#include "manifest/approvals.h"
#include "manifest/bundle_digest.h"
#include "manifest/pcr.h"
#include "receipt/keys.h"
#include "wire/text.h"

/* A small manifest with two approvers (test keys 0 and 1), two agents, two parties. */
struct small {
	struct bulla_approver approvers[2];
	struct bulla_party parties[2];
	struct bulla_agent agents[2];
	struct bulla_workflow workflow;
	struct bulla_earlier earlier;
	struct bulla_manifest m;
	struct bulla_sign_key *keys[2];
	uint8_t memory[4096];
};

static void small_up(struct small *small)
{
	*small = (struct small){0};
	for (int i = 0; i < 2; i++) {
		struct bulla_verify_key *verify;

		assert_ok(test_key(i, &small->keys[i], &verify));
		bulla_verify_key_free(verify);
		small->approvers[i].spki = bulla_sign_key_spki(small->keys[i]);
		small->parties[i].handle.b[0] = (uint8_t)(2 - i); /* unsorted on purpose */
		small->parties[i].spki = bulla_sign_key_spki(small->keys[i]);
		small->parties[i].rights = BULLA_RIGHT_START;
		small->agents[i].handle.b[7] = (uint8_t)(9 - i);
		small->agents[i].bundle.b[0] = (uint8_t)(0x40 + i);
		small->agents[i].binding = BULLA_BINDING_RUN;
		small->agents[i].policy_form = BULLA_POLICY_MANAGED;
	}
	small->workflow.plan = BULLA_BYTES_LITERAL("plan");
	small->earlier.epoch = 4;
	small->m = (struct bulla_manifest){.suite = 1, .mode = 1, .epoch = 5, .need = 2, .approvers = small->approvers,
		.approver_count = 2, .parties = small->parties, .party_count = 2, .agents = small->agents, .agent_count = 2,
		.workflows = &small->workflow, .workflow_count = 1, .assurance = 1, .earlier = &small->earlier,
		.earlier_count = 1};
	bulla_manifest_sort(&small->m);
}

static void small_down(struct small *small)
{
	bulla_sign_key_free(small->keys[0]);
	bulla_sign_key_free(small->keys[1]);
}

/* Encodes and decodes; the bytes stay in small. */
static bulla_rc decoded(struct small *small, struct bulla_manifest *ret)
{
	bulla_wr w = bulla_wr_fixed(small->memory, sizeof(small->memory));

	assert_ok(bulla_manifest_encode(&small->m, &w));
	return bulla_manifest_decode(bulla_bytes_of(small->memory, w.n), ret);
}

static void lookups(void **state)
{
	struct small small;
	struct bulla_manifest m;
	bulla_digest digest;

	(void)state;
	small_up(&small);
	assert_ok(decoded(&small, &m));
	assert_ptr_equal(bulla_manifest_agent(&m, &small.agents[1].handle), &m.agents[1]);
	assert_ptr_equal(bulla_manifest_party(&m, &small.parties[0].handle), &m.parties[0]);
	bulla_sha256(bulla_sign_key_spki(small.keys[0]), &digest);
	assert_non_null(bulla_manifest_party_kid(&m, &digest));
	assert_non_null(bulla_manifest_approver(&m, &digest));
	bulla_sha256(small.workflow.plan, &digest);
	assert_non_null(bulla_manifest_workflow(&m, &digest));
	digest.b[0] ^= 1;
	assert_null(bulla_manifest_workflow(&m, &digest));
	assert_true(bulla_manifest_epoch_open(&m, 5, &m.digest));
	assert_true(bulla_manifest_epoch_open(&m, 4, &small.earlier.manifest));
	assert_false(bulla_manifest_epoch_open(&m, 4, &m.digest));
	assert_false(bulla_manifest_epoch_open(&m, 3, &m.digest));
	bulla_manifest_done(&m);
	small_down(&small);
}

static void refuses(void **state)
{
	struct small small;
	struct bulla_manifest m;

	(void)state;
	small_up(&small);
	small.m.need = 3;
	assert_rc(BULLA_E_FORMAT, decoded(&small, &m));
	small.m.need = 0;
	assert_rc(BULLA_E_FORMAT, decoded(&small, &m));
	small.m.need = 2;
	small.m.epoch = 0;
	assert_rc(BULLA_E_FORMAT, decoded(&small, &m));
	small.m.epoch = 4; /* not above the earlier one */
	assert_rc(BULLA_E_FORMAT, decoded(&small, &m));
	small.m.epoch = 5;
	small.agents[1].handle = small.agents[0].handle;
	assert_rc(BULLA_E_DUPLICATE, decoded(&small, &m));
	small.agents[1].handle.b[7] = 0xff;
	small.approvers[1] = small.approvers[0];
	assert_rc(BULLA_E_DUPLICATE, decoded(&small, &m));
	small.approvers[1].spki = bulla_sign_key_spki(small.keys[1]);
	small.parties[1].spki = small.parties[0].spki;
	assert_rc(BULLA_E_DUPLICATE, decoded(&small, &m));
	small.parties[1].spki = bulla_sign_key_spki(small.keys[0]);
	small.parties[1].rights = 16;
	assert_rc(BULLA_E_FORMAT, decoded(&small, &m));
	small.parties[1].rights = 0;
	small.m.mode = 3;
	assert_rc(BULLA_E_FORMAT, decoded(&small, &m));
	small.m.mode = 1;
	small.m.padding = BULLA_PADDING_FIXED;
	assert_rc(BULLA_E_FORMAT, decoded(&small, &m));
	small.m.padding_size = 1024;
	assert_ok(decoded(&small, &m));
	bulla_manifest_done(&m);
	small_down(&small);
}

static void lists(void **state)
{
	uint8_t memory[256];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory)), i = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_image image = {BULLA_BYTES_LITERAL("nitro"), {{BULLA_BYTES_LITERAL("pcr"), 8, BULLA_BYTES_LITERAL("x")}}, 1};
	struct bulla_image out;
	size_t cursor = 0;
	bulla_bytes item;

	(void)state;
	bulla_list_write_text(&w, (bulla_bytes[]){BULLA_BYTES_LITERAL("a"), BULLA_BYTES_LITERAL("bc")}, 2);
	assert_ok(bulla_list_next(bulla_bytes_of(memory, w.n), &cursor, &item));
	assert_bytes(item, BULLA_BYTES_LITERAL("a"));
	assert_ok(bulla_list_next(bulla_bytes_of(memory, w.n), &cursor, &item));
	assert_bytes(item, BULLA_BYTES_LITERAL("bc"));
	assert_rc(BULLA_E_NOT_FOUND, bulla_list_next(bulla_bytes_of(memory, w.n), &cursor, &item));
	bulla_images_write(&i, &image, 1);
	cursor = 0;
	assert_ok(bulla_image_next(bulla_bytes_of(memory, i.n), &cursor, &out));
	assert_int_equal(out.values[0].index, 8);
	assert_rc(BULLA_E_NOT_FOUND, bulla_image_next(bulla_bytes_of(memory, i.n), &cursor, &out));
}

/* --- approvals --- */

static bulla_rc approved(struct small *small, const struct bulla_manifest *m, const int *by, size_t count)
{
	struct bulla_buf bufs[3];
	bulla_bytes approvals[3];
	uint32_t signers = 0;
	bulla_rc rc;

	for (size_t i = 0; i < count; i++) {
		bulla_buf_init(&bufs[i], BULLA_APPROVAL_MAX);
		assert_ok(bulla_approval_make(m, small->keys[by[i]], &bufs[i]));
		approvals[i] = bulla_buf_view(&bufs[i]);
	}
	rc = bulla_approvals_check(m, m, approvals, count, &signers);
	for (size_t i = 0; i < count; i++)
		bulla_buf_done(&bufs[i]);
	return rc;
}

static void approvals(void **state)
{
	struct small small;
	struct bulla_manifest m;

	(void)state;
	small_up(&small);
	assert_ok(decoded(&small, &m));
	assert_ok(approved(&small, &m, (const int[]){0, 1}, 2));
	assert_ok(approved(&small, &m, (const int[]){1, 0, 1}, 3));
	/* one approver alone; the same one twice */
	assert_attack(APPROVAL_NUMBER, BULLA_E_APPROVALS, approved(&small, &m, (const int[]){1}, 1));
	assert_attack(APPROVAL_ONCE, BULLA_E_APPROVALS, approved(&small, &m, (const int[]){1, 1}, 2));
	bulla_manifest_done(&m);
	small_down(&small);
}

static void approvals_of_others(void **state)
{
	struct small small;
	struct bulla_manifest m, alone;
	BULLA_AUTO_BUF buf;
	bulla_bytes approval;
	uint32_t signers;
	size_t approver;

	(void)state;
	small_up(&small);
	assert_ok(decoded(&small, &m));
	bulla_buf_init(&buf, BULLA_APPROVAL_MAX);
	assert_ok(bulla_approval_make(&m, small.keys[1], &buf));
	approval = bulla_buf_view(&buf);
	alone = m;
	alone.approver_count = 1;
	alone.need = 1;
	/* a stranger's does not count, and is not an error */
	assert_rc(BULLA_E_PARTY, bulla_approval_check(&m, &alone, approval, &approver));
	assert_rc(BULLA_E_APPROVALS, bulla_approvals_check(&m, &alone, &approval, 1, &signers));
	/* of another manifest, of another epoch */
	alone = m;
	alone.digest.b[0] ^= 1;
	assert_rc(BULLA_E_APPROVALS, bulla_approval_check(&alone, &m, approval, &approver));
	for (size_t bit = 0; bit < 8 * buf.n; bit += 11) {
		buf.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_true(bulla_approval_check(&m, &m, bulla_buf_view(&buf), &approver) != BULLA_OK);
		buf.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	bulla_manifest_done(&m);
	small_down(&small);
}

static void epochs(void **state)
{
	struct bulla_manifest current = {.epoch = 5, .suite = 1}, next = {.epoch = 6, .suite = 1};

	(void)state;
	assert_ok(bulla_manifest_follows(&current, &next));
	next.epoch = 5;
	assert_attack(MANIFEST_EPOCH, BULLA_E_EPOCH_OLD, bulla_manifest_follows(&current, &next));
	next.epoch = 6;
	next.tenant.b[0] = 1;
	assert_rc(BULLA_E_DENIED, bulla_manifest_follows(&current, &next));
	next.tenant.b[0] = 0;
	current.suite = 2;
	assert_rc(BULLA_E_DENIED, bulla_manifest_follows(&current, &next));
}

/* --- registers --- */

static void registers(void **state)
{
	struct small small;
	struct bulla_manifest m;
	uint8_t expected[BULLA_PCR_BYTES] = {0}, got[BULLA_PCR_BYTES], agents[16], data[64];
	bulla_wr w = bulla_wr_fixed(data, sizeof(data));

	(void)state;
	small_up(&small);
	assert_ok(decoded(&small, &m));
	bulla_pcr_extend(expected, bulla_bytes_digest(&m.digest));
	bulla_pcr_manifest(&m.digest, got);
	assert_memory_equal(got, expected, sizeof(got));
	bulla_copy(agents, m.agents[0].handle.b, 8);
	bulla_copy(agents + 8, m.agents[1].handle.b, 8);
	bulla_zero(expected, sizeof(expected));
	bulla_pcr_extend(expected, bulla_bytes_digest(&m.agents[0].bundle));
	bulla_pcr_extend(expected, bulla_bytes_digest(&m.agents[1].bundle));
	assert_ok(bulla_pcr_bundles(&m, BULLA_BYTES_ARRAY(agents), got));
	assert_memory_equal(got, expected, sizeof(got));
	assert_ok(bulla_pcr_bundle_data(&m, BULLA_BYTES_ARRAY(agents), &w));
	assert_memory_equal(data, m.agents[0].bundle.b, 32);
	bulla_copy(agents, m.agents[1].handle.b, 8);
	assert_rc(BULLA_E_FORMAT, bulla_pcr_bundles(&m, BULLA_BYTES_ARRAY(agents), got));
	agents[3] = 1;
	assert_rc(BULLA_E_NOT_FOUND, bulla_pcr_bundles(&m, BULLA_BYTES_ARRAY(agents), got));
	bulla_manifest_done(&m);
	small_down(&small);
}

/* SHA-384(48 zeros || 32 zeros), computed with another tool. */
static void register_vector(void **state)
{
	bulla_digest zero = {{0}};
	uint8_t got[BULLA_PCR_BYTES], expected[BULLA_PCR_BYTES];

	(void)state;
	assert_ok(bulla_text_hex(BULLA_BYTES_LITERAL(
		"6c524a55033dc4d549c9167996954c6c2a0dc75cfdf669d6"
		"df72422fd18629cab16c6aca05866b445eacc215760e5be2"), BULLA_PCR_BYTES, expected));
	bulla_pcr_manifest(&zero, got);
	assert_memory_equal(got, expected, sizeof(got));
}

/* --- bundle digest --- */

static bulla_rc add(struct bulla_bundle_digest *d, const char *path, bool executable, const char *content)
{
	BULLA_TRY(bulla_bundle_digest_file(d, bulla_bytes_str(path), executable, bulla_bytes_str(content).n));
	return bulla_bundle_digest_content(d, bulla_bytes_str(content));
}

static void two_files(const char *first, bool executable, const char *content, bulla_digest *ret)
{
	struct bulla_bundle_digest d;

	bulla_bundle_digest_init(&d);
	assert_ok(add(&d, first, executable, content));
	assert_ok(add(&d, "z/last", false, "x"));
	assert_ok(bulla_bundle_digest_end(&d, ret));
}

static void bundle_digests(void **state)
{
	bulla_digest a, b;

	(void)state;
	two_files("agent", true, "code", &a);
	two_files("agent", true, "code", &b);
	assert_true(bulla_digest_eq(&a, &b));
	two_files("agent", false, "code", &b);
	assert_false(bulla_digest_eq(&a, &b));
	two_files("agenu", true, "code", &b);
	assert_false(bulla_digest_eq(&a, &b));
	two_files("agent", true, "codf", &b);
	assert_false(bulla_digest_eq(&a, &b));
	two_files("agent", true, "codee", &b);
	assert_false(bulla_digest_eq(&a, &b));
}

static void bundle_paths(void **state)
{
	static const char *const bad[] = {"", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "\xff"};
	struct bulla_bundle_digest d;
	bulla_digest digest;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		bulla_bundle_digest_init(&d);
		assert_rc(BULLA_E_FORMAT, add(&d, bad[i], false, ""));
	}
	bulla_bundle_digest_init(&d);
	assert_rc(BULLA_E_FORMAT, bulla_bundle_digest_file(&d, BULLA_BYTES_LITERAL("a\0b"), false, 0));
	assert_ok(add(&d, "b", false, ""));
	assert_rc(BULLA_E_FORMAT, add(&d, "a", false, "")); /* out of order */
	assert_rc(BULLA_E_FORMAT, add(&d, "b", false, "")); /* twice */
	assert_rc(BULLA_E_TRAILING, bulla_bundle_digest_content(&d, BULLA_BYTES_LITERAL("x")));
	assert_ok(bulla_bundle_digest_file(&d, BULLA_BYTES_LITERAL("c"), false, 2));
	assert_ok(bulla_bundle_digest_content(&d, BULLA_BYTES_LITERAL("x")));
	assert_rc(BULLA_E_TRUNCATED, bulla_bundle_digest_end(&d, &digest));
	assert_ok(bulla_bundle_digest_content(&d, BULLA_BYTES_LITERAL("y")));
	assert_ok(bulla_bundle_digest_end(&d, &digest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookups),
		cmocka_unit_test(refuses),
		cmocka_unit_test(lists),
		cmocka_unit_test(approvals),
		cmocka_unit_test(approvals_of_others),
		cmocka_unit_test(epochs),
		cmocka_unit_test(registers),
		cmocka_unit_test(register_vector),
		cmocka_unit_test(bundle_digests),
		cmocka_unit_test(bundle_paths),
	};

	return cmocka_run_group_tests(tests, slab_up, slab_down);
}
