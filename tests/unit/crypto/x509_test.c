#include "crypto/hash.h"
#include "crypto/x509.h"
#include "files.h"

#define DAY INT64_C(86400)
#define P256 (1u << BULLA_KEY_P256)
#define P384 (1u << BULLA_KEY_P384)
#define RSA (1u << BULLA_KEY_RSA)

struct chain {
	const char *files[5];
	size_t count;
	int64_t time;
	unsigned types;
};

static const struct chain nitro = {
	{"nitro-0-root.der", "nitro-1.der", "nitro-2.der", "nitro-3.der", "nitro-4-leaf.der"}, 5, 1744683923, P384};
static const struct chain intel = {{"intel-0-root.der", "intel-1-ca.der", "intel-2-pck.der"}, 3, 1686300000, P256};
static const struct chain amd = {{"amd-0-ark.der", "amd-1-ask.der", "amd-2-vcek.der"}, 3, 1700000000, RSA | P384};

struct loaded {
	uint8_t memory[5][BULLA_CERT_MAX];
	struct bulla_cert certs[5];
	bulla_bytes root;
};

static void load(const struct chain *chain, struct loaded *ret)
{
	for (size_t i = 0; i < chain->count; i++)
		assert_ok(bulla_cert_parse(
			file_read(X509_VECTORS, chain->files[i], ret->memory[i], sizeof(ret->memory[i])), &ret->certs[i]));
	ret->root = ret->certs[0].der;
}

static void vendors_chains_hold(void **state)
{
	static const struct chain *const chains[] = {&nitro, &intel, &amd};
	static struct loaded loaded;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const struct chain *c = chains[i];

		load(c, &loaded);
		assert_ok(bulla_chain_verify(loaded.certs, c->count, loaded.root, c->types, c->time, NULL));
		assert_rc(BULLA_E_EVIDENCE_STALE,
			bulla_chain_verify(loaded.certs, c->count, loaded.root, c->types, loaded.certs[c->count - 1].not_after + 1, NULL));
		assert_rc(BULLA_E_EVIDENCE_STALE,
			bulla_chain_verify(loaded.certs, c->count, loaded.root, c->types, loaded.certs[0].not_before - 1, NULL));
		assert_rc(BULLA_E_EVIDENCE_CHAIN, bulla_chain_verify(loaded.certs, c->count, loaded.certs[1].der, c->types, c->time, NULL));
		assert_rc(BULLA_E_EVIDENCE_CHAIN, bulla_chain_verify(loaded.certs, c->count, loaded.root, 0, c->time, NULL));
		assert_rc(BULLA_E_EVIDENCE_CHAIN, bulla_chain_verify(loaded.certs, 1, loaded.root, c->types, c->time, NULL));
		/* an authority as the leaf, a link left out */
		assert_rc(BULLA_E_EVIDENCE_CHAIN, bulla_chain_verify(loaded.certs, 2, loaded.root, c->types, c->time, NULL));
		loaded.certs[1] = loaded.certs[2];
		assert_rc(BULLA_E_EVIDENCE_CHAIN, bulla_chain_verify(loaded.certs, 2, loaded.root, c->types, c->time, NULL));
	}
}

static void views(void **state)
{
	static struct loaded loaded;
	bulla_bytes value;
	bool critical;

	(void)state;
	load(&intel, &loaded);
	assert_ok(bulla_name_find(loaded.certs[2].subject, BULLA_BYTES_LITERAL("\x55\x04\x03"), &value));
	assert_bytes(value, BULLA_BYTES_LITERAL("Intel SGX PCK Certificate"));
	assert_rc(BULLA_E_NOT_FOUND, bulla_name_find(loaded.certs[2].subject, BULLA_BYTES_LITERAL("\x55\x04\x0b"), &value));
	/* 1.2.840.113741.1.13.1: SGX extensions */
	assert_ok(bulla_cert_extension(&loaded.certs[2], BULLA_BYTES_LITERAL("\x2a\x86\x48\x86\xf8\x4d\x01\x0d\x01"), &value, &critical));
	assert_false(critical);
	assert_rc(BULLA_E_NOT_FOUND,
		bulla_cert_extension(&loaded.certs[0], BULLA_BYTES_LITERAL("\x2a\x86\x48\x86\xf8\x4d\x01\x0d\x01"), &value, &critical));
	load(&nitro, &loaded);
	assert_int_equal(loaded.certs[1].pathlen, 2);
	assert_int_equal(loaded.certs[3].pathlen, 0);
	assert_true(loaded.certs[3].ca);
	assert_false(loaded.certs[4].ca);
	assert_int_equal(loaded.certs[4].usage & BULLA_USAGE_SIGNATURE, BULLA_USAGE_SIGNATURE);
	assert_int_equal(loaded.certs[0].not_before, 1572269285);
	assert_int_equal(loaded.certs[4].alg, BULLA_ES384);
}

/* Truncations never parse; a flipped bit never both parses and verifies. */
static void every_change_is_refused(void **state)
{
	static struct loaded loaded;
	static uint8_t copy[BULLA_CERT_MAX];
	BULLA_AUTO_VERIFY_KEY key = NULL;
	struct bulla_cert cert;

	(void)state;
	load(&intel, &loaded);
	assert_ok(bulla_cert_key(&loaded.certs[0], &key));
	bulla_bytes der = loaded.certs[1].der;
	for (size_t size = 0; size < der.n; size++)
		assert_int_not_equal(bulla_cert_parse(bulla_bytes_of(der.p, size), &cert), BULLA_OK);
	bulla_copy(copy, der.p, der.n);
	assert_rc(BULLA_E_TRAILING, bulla_cert_parse(bulla_bytes_of(copy, der.n + 1), &cert));
	for (size_t bit = 0; bit < 8 * der.n; bit += 3) {
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (bulla_cert_parse(bulla_bytes_of(copy, der.n), &cert) == BULLA_OK && bulla_cert_signed_by(&cert, key) == BULLA_OK)
			fail_msg("bit %zu does not matter", bit);
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_rc(BULLA_E_LIMIT, bulla_cert_parse(bulla_bytes_of(copy, BULLA_CERT_MAX + 1), &cert));
}

static void crls(void **state)
{
	static struct loaded loaded;
	static uint8_t root_memory[8192], platform_memory[8192];
	struct bulla_crl root, platform;
	struct bulla_cert revoked;

	(void)state;
	load(&intel, &loaded);
	bulla_bytes platform_der = file_read(X509_VECTORS, "intel-platform.crl", platform_memory, sizeof(platform_memory));
	assert_ok(bulla_crl_parse(file_read(X509_VECTORS, "intel-root.crl", root_memory, sizeof(root_memory)), &root));
	assert_ok(bulla_crl_parse(platform_der, &platform));
	assert_ok(bulla_crl_verify(&root, &loaded.certs[0], intel.time));
	assert_ok(bulla_crl_verify(&platform, &loaded.certs[1], intel.time));
	assert_rc(BULLA_E_EVIDENCE_CHAIN, bulla_crl_verify(&platform, &loaded.certs[0], intel.time));
	assert_rc(BULLA_E_EVIDENCE_STALE, bulla_crl_verify(&platform, &loaded.certs[1], platform.next_update + 1));
	assert_rc(BULLA_E_EVIDENCE_STALE, bulla_crl_verify(&platform, &loaded.certs[1], platform.this_update - 1));
	assert_ok(bulla_crl_check(&root, &loaded.certs[1]));
	assert_ok(bulla_crl_check(&platform, &loaded.certs[2]));
	assert_rc(BULLA_E_EVIDENCE_CHAIN, bulla_crl_check(&root, &loaded.certs[2]));
	revoked = loaded.certs[2];
	revoked.serial = BULLA_BYTES_LITERAL("\x6f\xc3\x4e\x50\x23\xe7\x28\x92\x34\x35\xd6\x1a\xa4\xb8\x3c\x61\x81\x66\xad\x35");
	assert_rc(BULLA_E_REVOKED, bulla_crl_check(&platform, &revoked));
	for (size_t size = 0; size < platform_der.n; size += 7)
		assert_int_not_equal(bulla_crl_parse(bulla_bytes_of(platform_der.p, size), &platform), BULLA_OK);
	for (size_t at = 0; at < platform_der.n; at += 11) {
		platform_memory[at] ^= 1;
		if (bulla_crl_parse(platform_der, &platform) == BULLA_OK &&
			bulla_crl_verify(&platform, &loaded.certs[1], intel.time) == BULLA_OK)
			fail_msg("byte %zu does not matter", at);
		platform_memory[at] ^= 1;
	}
}

/* --- chains of our own, with one thing wrong each --- */

struct made {
	struct bulla_sign_key *keys[3];
	struct bulla_buf der[3];
	struct bulla_cert certs[3];
};

struct wish {
	const char *what;
	void (*spoil)(struct bulla_cert_spec specs[3]);
	bulla_rc rc;
};

#define NOW INT64_C(1800000000)

static void make_chain(struct made *made, void (*spoil)(struct bulla_cert_spec specs[3]))
{
	struct bulla_cert_spec specs[3] = {
		{.common_name = "test root", .organization = "bulla DEVELOPMENT ONLY", .serial = BULLA_BYTES_LITERAL("\x80"),
			.not_before = NOW - DAY, .not_after = NOW + DAY, .ca = true, .pathlen = -1, .usage = BULLA_USAGE_CERT_SIGN},
		{.common_name = "test middle", .serial = BULLA_BYTES_LITERAL("\x01\x02"), .not_before = NOW - DAY,
			.not_after = NOW + DAY, .ca = true, .pathlen = 0, .usage = BULLA_USAGE_CERT_SIGN | BULLA_USAGE_CRL_SIGN},
		{.common_name = "test leaf", .serial = BULLA_BYTES_LITERAL("\x03"), .not_before = NOW - DAY, .not_after = NOW + DAY,
			.pathlen = -1, .usage = BULLA_USAGE_SIGNATURE, .extension_oid = BULLA_BYTES_LITERAL("\x2b\x06\x01\x04\x01"),
			.extension_value = BULLA_BYTES_LITERAL("\x05\x00")},
	};

	if (spoil != NULL)
		spoil(specs);
	for (size_t i = 0; i < 3; i++) {
		if (made->keys[i] == NULL)
			assert_ok(bulla_sign_key_new(BULLA_ES384, &made->keys[i]));
		specs[i].spki = bulla_sign_key_spki(made->keys[i]);
		if (i > 0)
			specs[i].issuer = made->certs[i - 1].subject;
		bulla_buf_done(&made->der[i]);
		bulla_buf_init(&made->der[i], 4096);
		assert_ok(bulla_cert_write(&specs[i], made->keys[i > 0 ? i - 1 : 0], &made->der[i]));
		assert_ok(bulla_cert_parse(bulla_buf_view(&made->der[i]), &made->certs[i]));
	}
}

static void free_chain(struct made *made)
{
	for (size_t i = 0; i < 3; i++) {
		bulla_sign_key_free(made->keys[i]);
		bulla_buf_done(&made->der[i]);
	}
}

static void middle_is_no_ca(struct bulla_cert_spec s[3])
{
	s[1].ca = false;
}
static void middle_may_not_sign(struct bulla_cert_spec s[3])
{
	s[1].usage = BULLA_USAGE_CRL_SIGN;
}
static void root_allows_no_middle(struct bulla_cert_spec s[3])
{
	s[0].pathlen = 0;
}
static void leaf_is_a_ca(struct bulla_cert_spec s[3])
{
	s[2].ca = true;
}
static void leaf_is_old(struct bulla_cert_spec s[3])
{
	s[2].not_after = NOW - 1;
}
static void middle_is_young(struct bulla_cert_spec s[3])
{
	s[1].not_before = NOW + 1;
}

static void made_chains(void **state)
{
	static const struct wish wishes[] = {
		{"nothing wrong", NULL, BULLA_OK},
		{"middle is no authority", middle_is_no_ca, BULLA_E_EVIDENCE_CHAIN},
		{"middle may not sign", middle_may_not_sign, BULLA_E_EVIDENCE_CHAIN},
		{"root allows no middle", root_allows_no_middle, BULLA_E_EVIDENCE_CHAIN},
		{"leaf is an authority", leaf_is_a_ca, BULLA_E_EVIDENCE_CHAIN},
		{"leaf is too old", leaf_is_old, BULLA_E_EVIDENCE_STALE},
		{"middle is not valid yet", middle_is_young, BULLA_E_EVIDENCE_STALE},
	};
	struct made made = {.keys = {NULL}};

	(void)state;
	for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
		make_chain(&made, wishes[i].spoil);
		assert_rc(wishes[i].rc, bulla_chain_verify(made.certs, 3, bulla_buf_view(&made.der[0]), P384, NOW, NULL));
	}
	free_chain(&made);
}

/* The root's name and place, but another key: signatures decide, not names. */
static void a_root_of_the_same_name(void **state)
{
	struct made made = {.keys = {NULL}}, other = {.keys = {NULL}};

	(void)state;
	make_chain(&made, NULL);
	make_chain(&other, NULL);
	other.certs[0] = made.certs[0];
	assert_rc(BULLA_E_EVIDENCE_CHAIN, bulla_chain_verify(other.certs, 3, bulla_buf_view(&made.der[0]), P384, NOW, NULL));
	free_chain(&made);
	free_chain(&other);
}

struct seen {
	bulla_digest pairs[8][2];
	size_t count, hits;
};

static bool known(void *ctx, const bulla_digest *kid, const bulla_digest *cert)
{
	struct seen *seen = ctx;

	for (size_t i = 0; i < seen->count; i++)
		if (bulla_digest_eq(&seen->pairs[i][0], kid) && bulla_digest_eq(&seen->pairs[i][1], cert)) {
			seen->hits++;
			return true;
		}
	return false;
}

static void add(void *ctx, const bulla_digest *kid, const bulla_digest *cert)
{
	struct seen *seen = ctx;

	seen->pairs[seen->count][0] = *kid;
	seen->pairs[seen->count++][1] = *cert;
}

static void a_cache_saves_signatures_only(void **state)
{
	struct made made = {.keys = {NULL}};
	struct seen seen = {.count = 0};
	const struct bulla_cert_cache cache = {&seen, known, add};

	(void)state;
	make_chain(&made, NULL);
	assert_ok(bulla_chain_verify(made.certs, 3, bulla_buf_view(&made.der[0]), P384, NOW, &cache));
	assert_int_equal(seen.count, 2);
	assert_ok(bulla_chain_verify(made.certs, 3, bulla_buf_view(&made.der[0]), P384, NOW, &cache));
	assert_int_equal(seen.hits, 2);
	assert_rc(BULLA_E_EVIDENCE_STALE, bulla_chain_verify(made.certs, 3, bulla_buf_view(&made.der[0]), P384, NOW + 2 * DAY, &cache));
	free_chain(&made);
}

static void odd_wishes_are_refused(void **state)
{
	struct bulla_cert_spec spec = {.common_name = "x", .serial = BULLA_BYTES_LITERAL("\x01"), .not_after = NOW, .pathlen = -1,
		.usage = BULLA_USAGE_SIGNATURE};
	BULLA_AUTO_SIGN_KEY key = NULL;
	BULLA_AUTO_BUF der = {0};

	(void)state;
	bulla_buf_init(&der, 4096);
	assert_ok(bulla_sign_key_new(BULLA_ES256, &key));
	assert_rc(BULLA_E_ARGUMENT, bulla_cert_write(&spec, key, &der));
	spec.spki = bulla_sign_key_spki(key);
	assert_ok(bulla_cert_write(&spec, key, &der));
	spec.common_name = "";
	assert_rc(BULLA_E_ARGUMENT, bulla_cert_write(&spec, key, &der));
	spec.common_name = "x";
	spec.usage = 0;
	assert_rc(BULLA_E_ARGUMENT, bulla_cert_write(&spec, key, &der));
	spec.usage = BULLA_USAGE_SIGNATURE;
	spec.not_before = NOW + 1;
	assert_rc(BULLA_E_ARGUMENT, bulla_cert_write(&spec, key, &der));
	spec.serial = (bulla_bytes){NULL, 0};
	assert_rc(BULLA_E_ARGUMENT, bulla_cert_write(&spec, key, &der));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vendors_chains_hold),
		cmocka_unit_test(views),
		cmocka_unit_test(every_change_is_refused),
		cmocka_unit_test(crls),
		cmocka_unit_test(made_chains),
		cmocka_unit_test(a_root_of_the_same_name),
		cmocka_unit_test(a_cache_saves_signatures_only),
		cmocka_unit_test(odd_wishes_are_refused),
	};

	return cmocka_run_group_tests_name("crypto_x509", tests, NULL, NULL);
}
