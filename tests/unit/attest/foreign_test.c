/* Envelopes around evidence: each opens to the same bytes, and a damaged one does not. */
#include <stdio.h>
#include <string.h>

#include "attest/chain.h"
#include "attest/foreign.h"
#include "attest/pem.h"
#include "attest/ratls.h"
#include "attest/snp.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "crypto/x509.h"
#include "pki.h"
#include "samples.h"
#include "test.h"
#include "wire/cbor.h"

#define TEXT_MAX 65536

/* Something with the shape of an SNP report. */
static bulla_bytes report(void)
{
	static uint8_t bytes[BULLA_SNP_REPORT_SIZE];

	bytes[0] = 3;
	for (size_t i = 0x50; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	return BULLA_BYTES_ARRAY(bytes);
}

static size_t put_base64(bulla_bytes bytes, bool url, char *ret)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	unsigned bits = 0, value = 0;
	size_t n = 0;

	for (size_t i = 0; i < bytes.n || bits > 0;) {
		if (i < bytes.n) {
			value = value << 8 | bytes.p[i++];
			bits += 8;
		} else {
			value <<= 6 - bits;
			bits = 6;
		}
		for (; bits >= 6; bits -= 6) {
			unsigned digit = value >> (bits - 6) & 63;
			ret[n++] = digit < 62 ? digits[digit] : digit == 62 ? (url ? '-' : '+') : url ? '_' : '/';
		}
		if (i == bytes.n && bits == 0)
			break;
	}
	ret[n] = 0;
	return n;
}

static size_t put_hex(bulla_bytes bytes, char *ret)
{
	for (size_t i = 0; i < bytes.n; i++)
		(void)snprintf(ret + 2 * i, 3, i % 2 == 0 ? "%02x" : "%02X", bytes.p[i]);
	return 2 * bytes.n;
}

static void opens_to(bulla_bytes outside, bulla_bytes inside)
{
	struct bulla_foreign foreign;
	bulla_bytes found;

	assert_ok(bulla_foreign_init(&foreign));
	assert_ok(bulla_foreign_evidence(&foreign, outside, &found));
	assert_bytes(found, inside);
	bulla_foreign_done(&foreign);
}

static void is_refused(bulla_bytes outside)
{
	struct bulla_foreign foreign;
	bulla_bytes found;

	assert_ok(bulla_foreign_init(&foreign));
	assert_int_not_equal(bulla_foreign_evidence(&foreign, outside, &found), BULLA_OK);
	bulla_foreign_done(&foreign);
}

/* `before` + text of the report + `after` */
static void framed(const char *before, size_t (*put)(bulla_bytes, char *), const char *after, bool good)
{
	static char text[2 * TEXT_MAX], digits[TEXT_MAX];

	(void)put(report(), digits);
	(void)snprintf(text, sizeof(text), "%s%s%s", before, digits, after);
	if (good)
		opens_to(bulla_bytes_str(text), report());
	else
		is_refused(bulla_bytes_str(text));
}

static size_t put_url(bulla_bytes bytes, char *ret)
{
	return put_base64(bytes, true, ret);
}

static size_t put_std(bulla_bytes bytes, char *ret)
{
	return put_base64(bytes, false, ret);
}

static void text_is_decoded(void **state)
{
	(void)state;
	framed("", put_hex, "\n", true);
	framed(" \n", put_std, "\n\n", true);
	framed("", put_url, "", true);
	framed("0", put_hex, "", false);
	framed("", put_std, "AA", false); /* one digit too many for a whole byte */
	framed("{\"quote\":\"", put_hex, "\"}", true); /* dstack */
	framed("{\"quote\":\"", put_std, "\"}", true);
	framed("{\"outblob\":\"", put_url, "\"}", true);
	framed("{\"attestation_report\":\"", put_std, "\",\"cert_chain\":{}}", true);
	framed("{\"evidence\":\"", put_std, "\"}", true);
	framed("{\"evidence\":{\"quote\":\"", put_std, "\"}}", true);
	framed("{\"quote\":\"", put_std, "!\"}", false);
	framed("{\"anything\":\"", put_std, "\"}", false);
}

static void cmw_is_opened_in_every_form(void **state)
{
	static char inner[2 * TEXT_MAX], outer[2 * TEXT_MAX], digits[TEXT_MAX];
	static uint8_t memory[8192];
	bulla_bytes written;

	(void)state;
	framed("[\"application/x\",\"", put_url, "\"]", true);
	framed("[\"application/x\",\"", put_url, "\",4]", true);
	framed("[\"application/x\",\"", put_url, "\",8]", false); /* results, not evidence */
	framed("[\"", put_url, "\"]", false);
	framed("{\"__cmwc_t\":\"tag:x\",\"a\":[\"application/x\",\"", put_url, "\"]}", true);
	framed("{\"__cmwc_t\":\"tag:x\",\"b\":[\"y\",\"AAAA\"],\"a\":[\"application/x\",\"", put_url, "\"]}", false);
	/* ratsd: a collection in base64url inside of a JSON token */
	(void)put_url(report(), digits);
	(void)snprintf(inner, sizeof(inner), "{\"__cmwc_t\":\"tag:x\",\"tsm-report\":[\"application/x\",\"%s\"]}", digits);
	(void)put_url(bulla_bytes_str(inner), digits);
	(void)snprintf(outer, sizeof(outer), "{\"cmw\":\"%s\",\"eat_nonce\":\"AAAA\"}", digits);
	opens_to(bulla_bytes_str(outer), report());
	/* tag and collection in CBOR */
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_cbor_wr_tag(&w, 1668546817 + 263);
	bulla_cbor_wr_bytes(&w, report());
	assert_ok(bulla_wr_end(&w, &written));
	opens_to(written, report());
	is_refused(bulla_bytes_of(written.p, written.n - 1));
	const struct bulla_cmw_item item = {BULLA_BYTES_LITERAL("a"), {.content_format = 263, .value = report()}};
	w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_cmw_collection_write(&w, (bulla_bytes){NULL, 0}, &item, 1);
	assert_ok(bulla_wr_end(&w, &written));
	opens_to(written, report());
}

static void amd_s_answers_are_split(void **state)
{
	static uint8_t bytes[4096];
	struct bulla_foreign foreign;
	bulla_bytes found;

	(void)state;
	/* status 0, size 1184, 24 reserved, the report, zeros */
	bytes[4] = 0xa0;
	bytes[5] = 0x04;
	bulla_copy(bytes + 32, report().p, report().n);
	opens_to(bulla_bytes_of(bytes, 4000), report());
	bytes[3999] = 1;
	opens_to(bulla_bytes_of(bytes, 4000), bulla_bytes_of(bytes, 4000));
	/* report, then a table: one entry of 10 bytes at 48, the end's entry */
	bulla_zero(bytes, sizeof(bytes));
	bulla_copy(bytes, report().p, report().n);
	uint8_t *table = bytes + report().n;
	table[0] = 1;
	table[16] = 48;
	table[20] = 10;
	assert_ok(bulla_foreign_init(&foreign));
	assert_ok(bulla_foreign_evidence(&foreign, bulla_bytes_of(bytes, report().n + 58), &found));
	assert_bytes(found, report());
	assert_int_equal(foreign.collateral.certificate_table.n, 58);
	bulla_foreign_done(&foreign);
	opens_to(bulla_bytes_of(bytes, report().n + 57), bulla_bytes_of(bytes, report().n + 57)); /* the entry ends outside */
	opens_to(bulla_bytes_of(bytes, report().n + 1), bulla_bytes_of(bytes, report().n + 1));
}

static size_t make_certificate(EVP_PKEY *key, const struct pki_extension *extension, uint8_t *ret)
{
	struct pki_spec spec = {.cn = "enclave", .not_before = 1000, .not_after = 2000000000, .extensions = extension,
		.extension_count = extension == NULL ? 0 : 1, .serial = 5};
	struct pki_cert cert;

	EVP_PKEY_up_ref(key);
	pki_make(&spec, key, NULL, &cert);
	bulla_copy(ret, cert.der, cert.size);
	size_t size = cert.size;
	pki_free(&cert);
	return size;
}

static void certificates_bind_their_key(void **state)
{
	uint8_t claims_memory[256], value_memory[2048], der[4096], spki[256], *p = spki, expected[64];
	EVP_PKEY *key = pki_key("P-256"), *other = pki_key("P-256");
	size_t spki_size = (size_t)i2d_PUBKEY(key, &p);
	bulla_wr c = bulla_wr_fixed(claims_memory, sizeof(claims_memory)), w = bulla_wr_fixed(value_memory, sizeof(value_memory));
	struct bulla_ratls evidence = {.quote = report()};
	struct bulla_foreign foreign;
	bulla_bytes value, found;

	(void)state;
	bulla_ratls_claims_write(&c, bulla_bytes_of(spki, spki_size), (bulla_bytes){NULL, 0});
	assert_ok(bulla_wr_end(&c, &evidence.claims));
	bulla_ratls_write(&w, &evidence);
	assert_ok(bulla_wr_end(&w, &value));
	const struct pki_extension row = {"2.23.133.5.4.9", value};
	size_t size = make_certificate(key, &row, der);
	assert_ok(bulla_foreign_init(&foreign));
	assert_ok(bulla_foreign_evidence(&foreign, bulla_bytes_of(der, size), &found));
	assert_bytes(found, report());
	bulla_ratls_report_data(evidence.claims, expected);
	assert_true(foreign.has_binder);
	assert_bytes(BULLA_BYTES_ARRAY(foreign.binder), BULLA_BYTES_ARRAY(expected));
	/* the same claims in a certificate of another key; a certificate without any */
	size = make_certificate(other, &row, der);
	assert_rc(BULLA_E_BINDER, bulla_foreign_evidence(&foreign, bulla_bytes_of(der, size), &found));
	size = make_certificate(key, NULL, der);
	assert_rc(BULLA_E_UNSUPPORTED, bulla_foreign_evidence(&foreign, bulla_bytes_of(der, size), &found));
	bulla_foreign_done(&foreign);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
}

/* attest/anchors.c leaves out a published root's own signature: it is looked at here. A bit more and it is another root. */
static void published_roots_signed_themselves(void **state)
{
	static const char *const files[] = {"roots/amd-milan-ask-ark.pem", "roots/amd-genoa-ask-ark.pem",
		"roots/amd-turin-ask-ark.pem", "roots/intel-tcb-signing-chain.pem"};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		BULLA_AUTO_VERIFY_KEY key = NULL;
		BULLA_AUTO_BUF text;
		uint8_t memory[8192];
		struct bulla_cert root;
		bulla_bytes chain[2];
		bulla_digest id;
		size_t count;

		if (!sample_read(files[i], &text))
			skip();
		assert_ok(bulla_pem_chain(bulla_buf_view(&text), memory, sizeof(memory), 2, chain, &count));
		assert_ok(bulla_cert_parse(chain[1], &root));
		bulla_sha256(root.der, &id);
		assert_true(bulla_attest_root_is_known(&id));
		assert_ok(bulla_cert_key(&root, &key));
		assert_ok(bulla_cert_signed_by(&root, key));
		id.b[31] ^= 1;
		assert_false(bulla_attest_root_is_known(&id));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_decoded),
		cmocka_unit_test(cmw_is_opened_in_every_form),
		cmocka_unit_test(amd_s_answers_are_split),
		cmocka_unit_test(certificates_bind_their_key),
		cmocka_unit_test(published_roots_signed_themselves),
	};

	return cmocka_run_group_tests_name("attest_foreign", tests, NULL, NULL);
}
