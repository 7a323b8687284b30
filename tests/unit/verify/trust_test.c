#include "verify/trust.h"

#include "attest/attest.h"
#include "crypto/slab.h"
#include "receipt/keys.h"

static bulla_rc parse(const char *text, struct bulla_trust *ret, unsigned *ret_line)
{
	return bulla_trust_parse(bulla_bytes_str(text), ret, ret_line);
}

static void reads(void **state)
{
	struct bulla_trust trust;

	(void)state;
	assert_ok(parse("bulla-trust 1\n# by hand\n\ntenant 0102030405060708\nneed 2\nepoch 12\n"
			"anchor dev emulator 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
			"approver sam AQID\napprover - BAUG\n",
		&trust, NULL));
	assert_true(trust.has_tenant && trust.tenant.b[7] == 8);
	assert_int_equal(trust.need, 2);
	assert_int_equal(trust.epoch, 12);
	assert_int_equal(trust.anchors[0].tee, BULLA_TEE_DEV);
	assert_int_equal(trust.anchors[0].assurance, BULLA_ASSURANCE_EMULATOR);
	assert_int_equal(trust.approver_count, 2);
	assert_bytes(trust.approvers[0].name, BULLA_BYTES_LITERAL("sam"));
	assert_true(bulla_trust_has(&trust, &trust.approvers[1].kid));
	assert_ok(parse("bulla-trust 1", &trust, NULL));
	assert_int_equal(trust.need, 1);
}

static void refuses(void **state)
{
	static const struct {
		const char *text;
		bulla_rc rc;
		unsigned line;
	} cases[] = {
		{"", BULLA_E_VERSION, 1},
		{"bulla-trust 2\n", BULLA_E_VERSION, 1},
		{"bulla-trust 1\nhello\n", BULLA_E_FORMAT, 2},
		{"bulla-trust 1\n\nneed 0\n", BULLA_E_FORMAT, 3},
		{"bulla-trust 1\nneed 65\n", BULLA_E_LIMIT, 2},
		{"bulla-trust 1\nneed  1\n", BULLA_E_FORMAT, 2},
		{"bulla-trust 1\nneed 1 1\n", BULLA_E_FORMAT, 2},
		{"bulla-trust 1\ntenant 01\n", BULLA_E_FORMAT, 2},
		{"bulla-trust 1\ntenant 0102030405060708\ntenant 0102030405060708\n", BULLA_E_DUPLICATE, 3},
		{"bulla-trust 1\napprover sam AQID\napprover tim AQID\n", BULLA_E_DUPLICATE, 3},
		{"bulla-trust 1\napprover sam AQI=\n", BULLA_E_FORMAT, 2},
		{"bulla-trust 1\nanchor dev best 00\n", BULLA_E_FORMAT, 2},
		{"bulla-trust 1\nanchor dev dev 00\n", BULLA_E_FORMAT, 2},
		{"bulla-trust 1\nanchor tree dev 00\n", BULLA_E_FORMAT, 2},
		{"bulla-trust 1\nanchor-key tdx dev 00\n", BULLA_E_FORMAT, 2},
		{"bulla-trust 1\nanchor-device cca dev 00 AA\n", BULLA_E_FORMAT, 2},
		{"bulla-trust 1\nanchor-device cca dev 00\n", BULLA_E_FORMAT, 2},
		{"bulla-trust 1\nepoch -1\n", BULLA_E_FORMAT, 2},
		{"bulla-trust 1\none two three four five\n", BULLA_E_FORMAT, 2},
	};
	struct bulla_trust trust;
	unsigned line;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_rc(cases[i].rc, parse(cases[i].text, &trust, &line));
		assert_int_equal(line, cases[i].line);
	}
}

/* What a project prints is what it means by itself. */
static void writes(void **state)
{
	BULLA_AUTO_SIGN_KEY key = NULL;
	BULLA_AUTO_VERIFY_KEY verify = NULL;
	uint8_t text[2048];
	bulla_wr w = bulla_wr_fixed(text, sizeof(text));
	struct bulla_approver approver = {.name = BULLA_BYTES_LITERAL("owner")};
	bulla_digest root = {{7}};
	uint8_t device[33] = {1, 2};
	struct bulla_anchor anchors[] = {{BULLA_BYTES_LITERAL("dev"), 1, 1, bulla_bytes_digest(&root), {NULL, 0}},
		{BULLA_BYTES_LITERAL("tdx"), 2, 2, bulla_bytes_digest(&root), {NULL, 0}},
		{BULLA_BYTES_LITERAL("cca"), 2, 3, BULLA_BYTES_ARRAY(device), BULLA_BYTES_LITERAL("the device's key")},
		{BULLA_BYTES_LITERAL("psa"), 2, 4, BULLA_BYTES_ARRAY(device), BULLA_BYTES_LITERAL("a secret is not told")}};
	struct bulla_manifest manifest = {.tenant.b[0] = 9, .need = 1, .approvers = &approver, .approver_count = 1,
		.anchors = anchors, .anchor_count = 4};
	struct bulla_trust read, direct;

	(void)state;
	assert_ok(test_key(0, &key, &verify));
	approver.spki = bulla_sign_key_spki(key);
	approver.kid = *bulla_sign_key_kid(key);
	assert_ok(bulla_trust_write(&manifest, NULL, &w));
	assert_ok(bulla_trust_parse(bulla_bytes_of(text, w.n), &read, NULL));
	bulla_trust_of(&manifest, &direct);
	assert_true(bulla_handle_eq(&read.tenant, &direct.tenant));
	assert_int_equal(read.need, direct.need);
	assert_int_equal(read.approver_count, 1);
	assert_true(bulla_digest_eq(&read.approvers[0].kid, &direct.approvers[0].kid));
	assert_int_equal(read.anchors[0].assurance, direct.anchors[0].assurance);
	for (size_t i = 0; i < 3; i++) {
		const struct bulla_trust_anchor *a = &read.anchors[i], *b = &direct.anchors[i];

		assert_int_equal(a->how, anchors[i].how);
		assert_int_equal(b->how, anchors[i].how);
		assert_bytes(bulla_bytes_of(a->id, a->id_size), anchors[i].id);
		assert_bytes(bulla_bytes_of(b->id, b->id_size), anchors[i].id);
		assert_bytes(bulla_bytes_of(a->key, a->key_size), anchors[i].key);
		assert_bytes(bulla_bytes_of(b->key, b->key_size), anchors[i].key);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(refuses),
		cmocka_unit_test(writes),
	};

	return cmocka_run_group_tests(tests, slab_up, slab_down);
}
