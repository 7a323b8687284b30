/* Envelopes around evidence: each opens to the same bytes, and a damaged one does not. */
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "attest/amd.h"
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
#include "wire/der.h"

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

/* The envelope breaks this rule there. */
static void breaks(bulla_bytes outside, enum bulla_factor factor, size_t at, const char *text)
{
	struct bulla_foreign foreign;
	bulla_bytes found;

	assert_ok(bulla_foreign_init(&foreign));
	assert_int_not_equal(bulla_foreign_evidence(&foreign, outside, &found), BULLA_OK);
	assert_int_equal(foreign.fault.factor, factor);
	assert_int_equal(foreign.fault.at, at);
	assert_string_equal(foreign.fault.text, text);
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
	framed("0x", put_hex, "", true);
	framed("0X", put_hex, "\n", true);
	framed("\"", put_std, "\"", true);
	framed("\"", put_hex, "\\n\"", true);
	framed("\xef\xbb\xbf", put_std, "", true);
	framed("-----BEGIN ATTESTATION-----\n", put_std, "\n-----END ATTESTATION-----\n", true);
	for (size_t size = 1; size < 24; size++)
		is_refused(bulla_bytes_of((const uint8_t *)"-----BEGIN ATTESTATION--", size));
	framed("-----BEGIN ATTESTATION----\n", put_std, "\n-----END ATTESTATION-----\n", false);
}

/* Names and places that projects use; nothing is taken under any other name, nor too deep. */
static void json_names_are_many(void **state)
{
	(void)state;
	framed("{\"attestationDocument\":\"", put_std, "\"}", true);
	framed("{\"attestation_doc\":\"", put_hex, "\"}", true);
	framed("{\"Intel-Quote\":\"", put_hex, "\"}", true);
	framed("{\"a\":1,\"result\":{\"data\":{\"tee_report\":\"", put_url, "\"}}}", true);
	framed("{\"quote\":\"short\",\"report\":\"", put_url, "\"}", true);
	framed("{\"vcek\":\"AAAA\",\"cert_chain\":[\"no\",7],\"quote\":\"", put_url, "\"}", true);
	framed("{\"quotes\":\"", put_url, "\"}", false);
	framed("{\"quot\":\"", put_url, "\"}", false);
	framed("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"quote\":\"", put_url, "\"}}}}}}", false);
	framed("{\"quote\":\"?", put_url, "\"}", false);
	framed("{\"quote\":\"", put_url, "\",\"cc_eventlog\":\"!\"}", false);
	is_refused(BULLA_BYTES_LITERAL("[]"));
	is_refused(BULLA_BYTES_LITERAL("[1,2,3]"));
	is_refused(BULLA_BYTES_LITERAL("{\"quote\":[1,2,3]}"));
	is_refused(BULLA_BYTES_LITERAL("{\"quote\":null}"));
	is_refused(BULLA_BYTES_LITERAL("\"AAAA\""));
}

static size_t put_list(bulla_bytes bytes, char *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < bytes.n; i++)
		n += (size_t)snprintf(ret + n, 8, i == 0 ? "%u" : ",%u", bytes.p[i]);
	return n;
}

static size_t put_colons(bulla_bytes bytes, char *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < bytes.n; i++)
		n += (size_t)snprintf(ret + n, 8, i == 0 ? "%02x" : ":%02x", bytes.p[i]);
	return n;
}

static void lists_of_bytes_are_read(void **state)
{
	(void)state;
	framed("[", put_list, "]", true);
	framed("{\"quote\":[", put_list, "]}", true);
	framed("[", put_list, ",256]", false);
	framed("[", put_list, ",\"\"]", false);
	framed("", put_colons, "", true);
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
	framed("[\"application/vnd.bulla.snp-report\",\"", put_url, "\",4]", true);
	framed("[\"application/vnd.bulla.tdx-quote\",\"", put_url, "\",4]", false); /* our label of another kind */
	framed("[\"", put_url, "\"]", false);
	framed("{\"__cmwc_t\":\"tag:x\",\"a\":[\"application/x\",\"", put_url, "\"]}", true);
	framed("{\"__cmwc_t\":\"tag:x\",\"b\":[\"y\",\"AAAA\"],\"a\":[\"application/x\",\"", put_url, "\"]}", false);
	framed("{\"a\":[\"application/x\",\"", put_url, "\"]}", true); /* without a type */
	framed("{\"__cmwc_t\":\"tag:x\",\"n\":{\"b\":[30001,\"AAAA\",2],\"a\":[30000,\"", put_url, "\",4]}}", true);
	framed("{\"__cmwc_t\":\"tag:x\",\"a\":[null,\"", put_url, "\"]}", false);
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
	for (size_t n = 2; n < written.n; n += 7)
		breaks(bulla_bytes_of(written.p, n), BULLA_FACTOR_SIZE, n, "the bytes end early");
	memory[written.n] = 0;
	breaks(bulla_bytes_of(written.p, written.n + 1), BULLA_FACTOR_TRAILING, written.n, "bytes follow the end");
	const struct bulla_cmw_item item = {BULLA_BYTES_LITERAL("a"), {.content_format = 263, .value = report()}};
	w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_cmw_collection_write(&w, (bulla_bytes){NULL, 0}, &item, 1);
	assert_ok(bulla_wr_end(&w, &written));
	opens_to(written, report());
	/* a byte string around all */
	w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_cbor_wr_bytes(&w, report());
	assert_ok(bulla_wr_end(&w, &written));
	opens_to(written, report());
}

/* before + the report in base64url + after breaks the rule at an offset, beyond `before` counted from behind the report. */
static void json_breaks(const char *before, const char *after, enum bulla_factor factor, size_t at, const char *what)
{
	static char text[2 * TEXT_MAX], digits[TEXT_MAX];
	size_t n = put_url(report(), digits), begin = bulla_bytes_str(before).n;

	(void)snprintf(text, sizeof(text), "%s%s%s", before, digits, after);
	breaks(bulla_bytes_str(text), factor, at < begin ? at : at + n, what);
}

static void a_wrapped_message_says_what_is_wrong_where(void **state)
{
	static const char *const other[] = {"-1", "\"x\"", "null", "4.0", "4294967296"};
	const char *head = "[\"a/b\",\"", *deep = "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":[1,\"";
	char after[64];

	(void)state;
	json_breaks(head, "\",0]", BULLA_FACTOR_FIELDS, 10, "a wrapped message says that it holds nothing");
	json_breaks(head, "\",2]", BULLA_FACTOR_FIELDS, 10, "the CMW record says that it holds no evidence");
	json_breaks(head, "\",64]", BULLA_FACTOR_FIELDS, 10, "the CMW record says that it holds no evidence");
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		(void)snprintf(after, sizeof(after), "\",%s]", other[i]);
		json_breaks(head, after, BULLA_FACTOR_FIELDS, 10, "the indicator of a wrapped message is no number that it may be");
	}
	json_breaks(head, "!AAA\"]", BULLA_FACTOR_ENCODING, 8, "a character is no base64url");
	const char *standard = "a value is in base64, or padded: base64url without padding must be there";
	json_breaks(head, "AAA=\"]", BULLA_FACTOR_ENCODING, 11, standard);
	json_breaks(head, "A/AA\"]", BULLA_FACTOR_ENCODING, 9, standard);
	json_breaks("[null,\"", "\"]", BULLA_FACTOR_FIELDS, 1, "the type of a wrapped message is neither a media type nor a number");
	json_breaks("{\"a\":[1,\"", "\"],\"b\":[2,\"AAAA\"]}", BULLA_FACTOR_FIELDS, 16,
		"the wrapped messages hold more than one piece of evidence");
	json_breaks(deep, "\"]}}}}}", BULLA_FACTOR_FIELDS, 20, "collections inside collections are nested too deeply");
	framed(deep + 5, put_url, "\"]}}}}", true);
}

/* Places in the evidence are those of the characters that it was decoded from. */
static void what_was_decoded_has_its_place_in_the_json(void **state)
{
	static char text[2 * TEXT_MAX], digits[TEXT_MAX];
	struct bulla_foreign foreign;
	bulla_bytes found;
	size_t n = put_url(report(), digits), at;

	(void)state;
	(void)snprintf(text, sizeof(text), "  {\"x\":[\"a/b\",\"%s\"]}", digits);
	const bulla_bytes given = bulla_bytes_str(text);
	assert_ok(bulla_foreign_init(&foreign));
	assert_ok(bulla_foreign_evidence(&foreign, given, &found));
	assert_true(bulla_foreign_place(&foreign, given, found.p, &at));
	assert_int_equal(at, 15);
	assert_true(bulla_foreign_place(&foreign, given, found.p + 300, &at));
	assert_int_equal(at, 15 + 400);
	assert_true(bulla_foreign_place(&foreign, given, found.p + found.n, &at));
	assert_int_equal(at, 15 + n);
	assert_false(bulla_foreign_place(&foreign, given, found.p + found.n + 1, &at));
	bulla_foreign_done(&foreign);
}

/* Labels may be integers, messages tags, collections inside collections; endorsements stand beside. */
static void put_collection(bulla_wr *w, bool twice)
{
	bulla_cbor_wr_map(w, 2);
	bulla_cbor_wr_uint(w, 1);
	bulla_cbor_wr_map(w, 1);
	bulla_cbor_wr_str(w, "x");
	bulla_cbor_wr_tag(w, 1668546817 + 263);
	bulla_cbor_wr_bytes(w, report());
	bulla_cbor_wr_uint(w, 2);
	bulla_cbor_wr_array(w, 3);
	bulla_cbor_wr_uint(w, 264);
	bulla_cbor_wr_bytes(w, bulla_bytes_str("no certificate, but nobody said it was"));
	bulla_cbor_wr_uint(w, twice ? BULLA_CMW_EVIDENCE : BULLA_CMW_ENDORSEMENTS);
}

static void the_evidence_of_a_collection_is_found(void **state)
{
	static uint8_t memory[8192];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes written;

	(void)state;
	put_collection(&w, false);
	assert_ok(bulla_wr_end(&w, &written));
	opens_to(written, report());
	for (size_t size = 5; size < written.n; size += 7)
		is_refused(bulla_bytes_of(written.p, size));
	w = bulla_wr_fixed(memory, sizeof(memory));
	put_collection(&w, true);
	assert_ok(bulla_wr_end(&w, &written));
	const size_t second = written.n - 1 - 2 - bulla_bytes_str("no certificate, but nobody said it was").n - 3 - 1;
	breaks(written, BULLA_FACTOR_FIELDS, second, "the wrapped messages hold more than one piece of evidence");
	/* one map more than may be */
	const uint8_t maps[] = {0xa1, 0x61, 'a', 0xa1, 0x61, 'a', 0xa1, 0x61, 'a', 0xa1, 0x61, 'a', 0xa1, 0x61, 'a', 0x82, 1, 0x41, 0};
	breaks(BULLA_BYTES_ARRAY(maps), BULLA_FACTOR_FIELDS, 12, "collections inside collections are nested too deeply");
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

/* CMW's extension without its certificate, and a certificate: cut anywhere, or with a byte more. */
static void der_ends_where_it_must(void **state)
{
	static uint8_t memory[4096], der[4096];
	const struct bulla_cmw record = {.content_format = 263, .value = report()};
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	EVP_PKEY *key = pki_key("P-256");
	bulla_bytes value;

	(void)state;
	bulla_cmw_extension_write(&w, &record);
	assert_ok(bulla_wr_end(&w, &value));
	const struct pki_extension row = {"2.23.133.5.4.9", value};
	size_t size = make_certificate(key, &row, der);
	for (size_t n = 2; n < value.n; n += 7)
		breaks(bulla_bytes_of(value.p, n), BULLA_FACTOR_SIZE, n, "the bytes end early");
	memory[value.n] = 0;
	breaks(bulla_bytes_of(value.p, value.n + 1), BULLA_FACTOR_TRAILING, value.n, "bytes follow the end");
	for (size_t n = 2; n < size; n += 7)
		breaks(bulla_bytes_of(der, n), BULLA_FACTOR_SIZE, n, "the bytes end early");
	der[size] = 0;
	breaks(bulla_bytes_of(der, size + 1), BULLA_FACTOR_TRAILING, size, "bytes follow the end");
	EVP_PKEY_free(key);
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

/* A report with certificates behind it, in DER and in PEM: all are taken. */
static void certificates_behind_a_report_are_taken(void **state)
{
	static uint8_t bytes[8192];
	struct bulla_foreign foreign;
	bulla_bytes found;
	EVP_PKEY *key = pki_key("P-256");
	size_t n = report().n;

	(void)state;
	bulla_copy(bytes, report().p, n);
	const size_t first = make_certificate(key, NULL, bytes + n);
	n += first;
	n += make_certificate(key, NULL, bytes + n);
	assert_ok(bulla_foreign_init(&foreign));
	assert_ok(bulla_foreign_evidence(&foreign, bulla_bytes_of(bytes, n), &found));
	assert_bytes(found, report());
	assert_int_equal(foreign.collateral.certificate_count, 2);
	/* one more as digits, as a list of Intel's caching service comes */
	static char digits[TEXT_MAX];
	(void)put_hex(bulla_bytes_of(bytes + report().n, first), digits);
	assert_ok(bulla_foreign_collateral(&foreign, bulla_bytes_str(digits)));
	assert_int_equal(foreign.collateral.certificate_count, 3);
	bulla_foreign_done(&foreign);
	opens_to(bulla_bytes_of(bytes, n - 1), bulla_bytes_of(bytes, n - 1));
	int pem = snprintf((char *)bytes + report().n, 64, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	opens_to(bulla_bytes_of(bytes, report().n + (size_t)pem), report());
	EVP_PKEY_free(key);
}

/* Something with the shape of an SGX quote of version 3: report data of 32 bytes and zeros, three bytes of signature data. */
static bulla_bytes quote_over(bulla_bytes data)
{
	static uint8_t bytes[439];

	bulla_zero(bytes, sizeof(bytes));
	bytes[0] = 3;
	bytes[2] = 2;
	bulla_copy(bytes + 368, data.p, data.n);
	bytes[432] = 3;
	return BULLA_BYTES_ARRAY(bytes);
}

static void binds(const char *oid, bulla_bytes value, EVP_PKEY *key, bulla_bytes inside, bulla_bytes data, bulla_rc rc)
{
	static uint8_t der[8192];
	const struct pki_extension row = {oid, value};
	struct bulla_foreign foreign;
	bulla_bytes found;
	size_t size = make_certificate(key, &row, der);

	assert_ok(bulla_foreign_init(&foreign));
	assert_rc(rc, bulla_foreign_evidence(&foreign, bulla_bytes_of(der, size), &found));
	if (rc == BULLA_OK) {
		assert_bytes(found, inside);
		assert_true(foreign.has_binder);
		assert_bytes(bulla_bytes_of(foreign.binder, data.n), data);
		assert_true(bulla_bytes_is_zero_ct(bulla_bytes_of(foreign.binder + data.n, 64 - data.n)));
	}
	bulla_foreign_done(&foreign);
}

/* SHA-256 of the key's PEM text with the zero that ends it, as Open Enclave takes it. */
static void hash_pem(EVP_PKEY *key, bulla_digest *ret)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;

	assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
	BIO_write(bio, "", 1);
	long size = BIO_get_mem_data(bio, &text);
	bulla_sha256(bulla_bytes_of((const uint8_t *)text, (size_t)size), ret);
	BIO_free(bio);
}

static bulla_bytes oe_report(bulla_bytes quote, unsigned type)
{
	static uint8_t memory[2048];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes written;

	bulla_wr_u32le(&w, 1);
	bulla_wr_u32le(&w, type);
	bulla_wr_u64le(&w, quote.n);
	bulla_wr_bytes(&w, quote);
	assert_ok(bulla_wr_end(&w, &written));
	return written;
}

static bulla_bytes oe_evidence(bulla_bytes claims)
{
	static uint8_t memory[1024];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes written;
	bulla_digest digest;

	bulla_sha256(claims, &digest);
	bulla_bytes quote = quote_over(bulla_bytes_digest(&digest));
	bulla_wr_u32le(&w, 1);
	bulla_wr_zeros(&w, 15);
	bulla_wr_u8(&w, 7);
	bulla_wr_u64le(&w, quote.n + claims.n);
	bulla_wr_bytes(&w, quote);
	bulla_wr_bytes(&w, claims);
	assert_ok(bulla_wr_end(&w, &written));
	return written;
}

static void older_certificates_bind_their_key_too(void **state)
{
	EVP_PKEY *key = pki_key("P-256"), *other = pki_key("P-256");
	const char *ego = "1.3.6.1.4.1.311.105.1", *claims_oid = "1.3.6.1.4.1.311.105.2";
	uint8_t spki[256], *p = spki, octets[512], wide[64];
	bulla_bytes der = {spki, (size_t)i2d_PUBKEY(key, &p)}, parts[] = {BULLA_BYTES_LITERAL("ratls-cert:"), der};
	bulla_digest plain, pem, claims;

	(void)state;
	bulla_sha256(der, &plain);
	bulla_bytes hash = bulla_bytes_digest(&plain), quote = quote_over(hash);
	binds("1.2.840.113741.1337.6", quote, key, quote, hash, BULLA_OK); /* Gramine before 1.8 */
	binds(ego, oe_report(quote, 2), key, quote, hash, BULLA_OK);
	hash_pem(key, &pem);
	quote = quote_over(bulla_bytes_digest(&pem));
	binds(ego, oe_report(quote, 2), key, quote, bulla_bytes_digest(&pem), BULLA_OK); /* Open Enclave */
	binds("1.2.840.113556.10.1.1", oe_report(quote, 2), key, quote, bulla_bytes_digest(&pem), BULLA_OK);
	bulla_sha256(bulla_bytes_digest(&pem), &claims);
	bulla_bytes evidence = oe_evidence(bulla_bytes_digest(&pem));
	quote = quote_over(bulla_bytes_digest(&claims));
	binds(claims_oid, evidence, key, quote, bulla_bytes_digest(&claims), BULLA_OK);
	binds(claims_oid, evidence, other, quote, quote, BULLA_E_BINDER);
	/* dstack: the quote in an OCTET STRING, or bare */
	bulla_sha512_parts(parts, 2, wide);
	bulla_wr w = bulla_wr_fixed(octets, sizeof(octets));
	bulla_bytes value;
	bulla_der_wr(&w, BULLA_DER_OCTET_STRING, quote);
	assert_ok(bulla_wr_end(&w, &value));
	binds("1.3.6.1.4.1.62397.1.1", value, key, quote, BULLA_BYTES_ARRAY(wide), BULLA_OK);
	binds("1.3.6.1.4.1.62397.1.1", quote, key, quote, BULLA_BYTES_ARRAY(wide), BULLA_OK);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
}

/* Outside of certificates: headers come off, claims behind a quote count only under their hash. */
static void open_enclave_s_headers_come_off(void **state)
{
	bulla_bytes claims = BULLA_BYTES_LITERAL("custom claims"), evidence;
	uint8_t copy[1024];
	bulla_digest digest;

	(void)state;
	bulla_sha256(claims, &digest);
	evidence = oe_evidence(claims);
	opens_to(evidence, quote_over(bulla_bytes_digest(&digest)));
	bulla_copy(copy, evidence.p, evidence.n);
	copy[evidence.n - 1] ^= 1; /* other claims: they are bytes too many */
	opens_to(bulla_bytes_of(copy, evidence.n), bulla_bytes_of(copy + 28, evidence.n - 28));
	opens_to(bulla_bytes_of(copy, evidence.n - 1), bulla_bytes_of(copy, evidence.n - 1));
	evidence = oe_report(report(), 1); /* a local report is no evidence */
	opens_to(evidence, evidence);
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

/* Three products: a root that is known and signed itself, and two issuers that it signed. */
static void amd_s_published_certificates_chain(void **state)
{
	const bulla_bytes *published;
	struct bulla_cert root, cert;
	bulla_digest id;
	size_t count;

	(void)state;
	published = bulla_amd_published(&count);
	assert_int_equal(count, 9);
	for (size_t i = 0; i < count; i++) {
		BULLA_AUTO_VERIFY_KEY key = NULL;

		assert_ok(bulla_cert_parse(published[i], &cert));
		if (i % 3 == 0) {
			root = cert;
			bulla_sha256(root.der, &id);
			assert_true(bulla_attest_root_is_known(&id));
		}
		assert_bytes(cert.issuer, root.subject);
		assert_ok(bulla_cert_key(&root, &key));
		assert_ok(bulla_cert_signed_by(&cert, key));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_decoded),
		cmocka_unit_test(json_names_are_many),
		cmocka_unit_test(lists_of_bytes_are_read),
		cmocka_unit_test(the_evidence_of_a_collection_is_found),
		cmocka_unit_test(a_wrapped_message_says_what_is_wrong_where),
		cmocka_unit_test(what_was_decoded_has_its_place_in_the_json),
		cmocka_unit_test(certificates_behind_a_report_are_taken),
		cmocka_unit_test(older_certificates_bind_their_key_too),
		cmocka_unit_test(open_enclave_s_headers_come_off),
		cmocka_unit_test(cmw_is_opened_in_every_form),
		cmocka_unit_test(amd_s_answers_are_split),
		cmocka_unit_test(der_ends_where_it_must),
		cmocka_unit_test(certificates_bind_their_key),
		cmocka_unit_test(amd_s_published_certificates_chain),
		cmocka_unit_test(published_roots_signed_themselves),
	};

	return cmocka_run_group_tests_name("attest_foreign", tests, NULL, NULL);
}
