#include "crypto/hash.h"
#include "crypto/x509.h"
#include "files.h"

#define DAY INT64_C(86400)

struct chain {
	const char *files[5];
	size_t count;
	int64_t time;
};

static const struct chain nitro = {
	{"nitro-0-root.der", "nitro-1.der", "nitro-2.der", "nitro-3.der", "nitro-4-leaf.der"}, 5, 1744683923};
static const struct chain intel = {{"intel-0-root.der", "intel-1-ca.der", "intel-2-pck.der"}, 3, 1686300000};
static const struct chain amd = {{"amd-0-ark.der", "amd-1-ask.der", "amd-2-vcek.der"}, 3, 1700000000};

struct loaded {
	uint8_t memory[5][BULLA_CERT_MAX];
	struct bulla_cert certs[5];
};

static void load(const struct chain *chain, struct loaded *ret)
{
	for (size_t i = 0; i < chain->count; i++)
		assert_ok(bulla_cert_parse(
			file_read(X509_VECTORS, chain->files[i], ret->memory[i], sizeof(ret->memory[i])), &ret->certs[i]));
}

/* Each certificate is signed by the one before it, the root by itself, and by no other. */
static void vendors_signatures_hold(void **state)
{
	static const struct chain *const chains[] = {&nitro, &intel, &amd};
	static struct loaded loaded;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		load(chains[i], &loaded);
		for (size_t issuer = 0; issuer < chains[i]->count; issuer++) {
			BULLA_AUTO_VERIFY_KEY key = NULL;

			assert_ok(bulla_cert_key(&loaded.certs[issuer], &key));
			for (size_t j = 0; j < chains[i]->count; j++)
				assert_rc(issuer == (j == 0 ? 0 : j - 1) ? BULLA_OK : BULLA_E_SIGNATURE,
					bulla_cert_signed_by(&loaded.certs[j], key));
		}
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

#define NOW INT64_C(1800000000)

/* What is written is read as it was meant; a root of the same name and place, but with another key, has signed nothing. */
static void made_certificates(void **state)
{
	const struct bulla_cert_spec root = {.common_name = "test root", .organization = "bulla DEVELOPMENT ONLY",
		.serial = BULLA_BYTES_LITERAL("\x80"), .not_before = NOW - DAY, .not_after = NOW + DAY, .ca = true, .pathlen = 0,
		.usage = BULLA_USAGE_CERT_SIGN};
	struct bulla_cert_spec leaf = {.common_name = "test leaf", .serial = BULLA_BYTES_LITERAL("\x03"), .not_before = NOW,
		.not_after = NOW + 1, .pathlen = -1, .usage = BULLA_USAGE_SIGNATURE,
		.extension_oid = BULLA_BYTES_LITERAL("\x2b\x06\x01\x04\x01"), .extension_value = BULLA_BYTES_LITERAL("\x05\x00")};
	BULLA_AUTO_BUF der = {.max = 4096}, other_der = {.max = 4096}, leaf_der = {.max = 4096};
	struct bulla_buf *ders[2] = {&der, &other_der};
	struct bulla_cert certs[2], cert;
	bulla_bytes value;
	bool critical;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		BULLA_AUTO_SIGN_KEY key = NULL;
		BULLA_AUTO_VERIFY_KEY verify_key = NULL;
		struct bulla_cert_spec spec = root;

		assert_ok(bulla_sign_key_new(BULLA_ES384, &key));
		spec.spki = leaf.spki = bulla_sign_key_spki(key);
		assert_ok(bulla_cert_write(&spec, key, ders[i]));
		assert_ok(bulla_cert_parse(bulla_buf_view(ders[i]), &certs[i]));
		assert_ok(bulla_cert_key(&certs[i], &verify_key));
		assert_ok(bulla_cert_signed_by(&certs[i], verify_key));
		leaf.issuer = certs[i].subject;
		leaf_der.n = 0;
		assert_ok(bulla_cert_write(&leaf, key, &leaf_der));
		assert_ok(bulla_cert_parse(bulla_buf_view(&leaf_der), &cert));
		assert_ok(bulla_cert_signed_by(&cert, verify_key));
		for (size_t j = 0; j < i; j++) {
			BULLA_AUTO_VERIFY_KEY other = NULL;

			assert_ok(bulla_cert_key(&certs[j], &other));
			assert_bytes(certs[j].subject, cert.issuer);
			assert_rc(BULLA_E_SIGNATURE, bulla_cert_signed_by(&cert, other));
		}
	}
	assert_true(certs[0].has_basic && certs[0].ca && certs[0].pathlen == 0 && certs[0].usage == BULLA_USAGE_CERT_SIGN);
	assert_true(!cert.ca && cert.pathlen == -1 && cert.usage == BULLA_USAGE_SIGNATURE);
	assert_true(cert.not_before == NOW && cert.not_after == NOW + 1);
	assert_ok(bulla_cert_extension(&cert, leaf.extension_oid, &value, &critical));
	assert_bytes(value, leaf.extension_value);
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
		cmocka_unit_test(vendors_signatures_hold),
		cmocka_unit_test(views),
		cmocka_unit_test(every_change_is_refused),
		cmocka_unit_test(crls),
		cmocka_unit_test(made_certificates),
		cmocka_unit_test(odd_wishes_are_refused),
	};

	return cmocka_run_group_tests_name("crypto_x509", tests, NULL, NULL);
}
