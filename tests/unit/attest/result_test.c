#include <pthread.h>
#include <string.h>

#include "attest/deny.h"
#include "attest/der.h"
#include "attest/ear.h"
#include "attest/ratls.h"
#include "attest/reference.h"
#include "attest/show.h"
#include "attest/textual.h"
#include "base/mem.h"
#include "cose/sign1.h"
#include "crypto/hash.h"
#include "dcap_lab.h"
#include "test.h"
#include "wire/cbor.h"
#include "wire/text.h"

/* A result as an appraisal leaves it: factors given, the rest not a rule. */
static void fill(struct bulla_attest_result *result, enum bulla_assurance assurance)
{
	*result = (struct bulla_attest_result){.failed = BULLA_FACTOR_COUNT, .accepted = true, .tee = BULLA_TEE_TDX,
		.assurance = (uint8_t)assurance};
	result->factors[BULLA_FACTOR_SIGNATURE].state = BULLA_FACTOR_HELD;
	result->factors[BULLA_FACTOR_MEASUREMENT].state = BULLA_FACTOR_HELD;
	result->factors[BULLA_FACTOR_TCB_LEVEL].state = BULLA_FACTOR_HELD;
}

static void the_vector_says_what_is_worth_what(void **state)
{
	struct bulla_attest_result result;
	int8_t vector[BULLA_AR4SI_COUNT];

	(void)state;
	fill(&result, BULLA_ASSURANCE_HARDWARE);
	bulla_ear_vector(&result, vector);
	assert_int_equal(vector[BULLA_AR4SI_HARDWARE], 2);
	assert_int_equal(vector[BULLA_AR4SI_EXECUTABLES], 3);
	assert_int_equal(bulla_ear_status(&result), BULLA_EAR_AFFIRMING);
	result.factors[BULLA_FACTOR_TCB_STATUS].state = BULLA_FACTOR_FAILED;
	bulla_ear_vector(&result, vector);
	assert_int_equal(vector[BULLA_AR4SI_HARDWARE], 32);
	result.factors[BULLA_FACTOR_DEBUG].state = BULLA_FACTOR_FAILED;
	bulla_ear_vector(&result, vector);
	assert_int_equal(vector[BULLA_AR4SI_CONFIGURATION], 96);
	fill(&result, BULLA_ASSURANCE_DEV); /* dev is never more than contraindicated, however well it holds */
	bulla_ear_vector(&result, vector);
	assert_int_equal(vector[BULLA_AR4SI_HARDWARE], 96);
	assert_int_equal(bulla_ear_status(&result), BULLA_EAR_CONTRAINDICATED);
	fill(&result, BULLA_ASSURANCE_HARDWARE);
	result.factors[BULLA_FACTOR_SIGNATURE].state = BULLA_FACTOR_FAILED;
	bulla_ear_vector(&result, vector);
	for (unsigned i = 0; i < BULLA_AR4SI_COUNT; i++)
		assert_int_equal(vector[i], 99);
	fill(&result, BULLA_ASSURANCE_HARDWARE);
	result.accepted = false; /* a wrong nonce: nothing in the vector, but not affirmed */
	assert_int_equal(bulla_ear_status(&result), BULLA_EAR_CONTRAINDICATED);
}

static const struct bulla_ear_about about = {.developer = "bulla", .build = "test", .policy = "p1", .issued_s = 1795000000,
	.nonce = {(const uint8_t *)"nonce", 5}};

static void tokens_are_signed_and_readable(void **state)
{
	static const enum bulla_sign_alg algs[] = {BULLA_ES256, BULLA_ES384};
	struct bulla_attest_result result;

	(void)state;
	fill(&result, BULLA_ASSURANCE_HARDWARE);
	for (unsigned i = 0; i < 2; i++) {
		BULLA_AUTO_SIGN_KEY key = NULL;
		BULLA_AUTO_VERIFY_KEY public = NULL;
		BULLA_AUTO_BUF buf;
		uint8_t json[8192], signature[96];
		bulla_json claims, submods, item;
		size_t n;

		bulla_buf_init(&buf, 65536);
		assert_ok(bulla_sign_key_new(algs[i], &key));
		assert_ok(bulla_verify_key_spki(bulla_sign_key_spki(key), &public));
		assert_ok(bulla_ear_jwt(&result, &about, key, &buf));
		const uint8_t *first = memchr(buf.p, '.', buf.n);
		const uint8_t *second = memchr(first + 1, '.', buf.n - (size_t)(first + 1 - buf.p));
		bulla_bytes tail = bulla_bytes_of(second + 1, buf.n - (size_t)(second + 1 - buf.p));
		assert_ok(bulla_text_base64url(tail, sizeof(signature), signature, &n));
		assert_ok(bulla_verify(public, algs[i], bulla_bytes_of(buf.p, (size_t)(second - buf.p)), bulla_bytes_of(signature, n)));
		assert_ok(bulla_text_base64url(bulla_bytes_of(first + 1, (size_t)(second - first - 1)), sizeof(json), json, &n));
		assert_ok(bulla_json_parse(bulla_bytes_of(json, n), &claims));
		assert_ok(bulla_json_get_str(claims, "submods", &submods));
		assert_ok(bulla_json_get_str(submods, "tdx", &item));
		assert_ok(bulla_json_get_str(item, "ear.status", &item));
		assert_true(bulla_json_string_is(item, bulla_bytes_str("affirming")));
		assert_ok(bulla_json_get_str(claims, "eat_nonce", &item));
		assert_true(bulla_json_string_is(item, bulla_bytes_str("bm9uY2U")));

		bulla_buf_clear(&buf);
		assert_ok(bulla_ear_cwt(&result, &about, key, &buf));
		assert_ok(bulla_cbor_check(bulla_buf_view(&buf)));
		struct bulla_sign1 sign1;
		assert_ok(bulla_sign1_parse(bulla_buf_view(&buf), &sign1));
		assert_ok(bulla_sign1_verify(&sign1, public, algs[i], (bulla_bytes){NULL, 0}));
		assert_ok(bulla_cbor_check(sign1.payload));
	}
}

static void ra_tls_binds_the_key(void **state)
{
	uint8_t claims_memory[256], value_memory[1024], report_data[64];
	bulla_wr c = bulla_wr_fixed(claims_memory, sizeof(claims_memory));
	bulla_wr w = bulla_wr_fixed(value_memory, sizeof(value_memory));
	bulla_bytes claims, value, spki = BULLA_BYTES_LITERAL("spki"), nonce = BULLA_BYTES_LITERAL("nonce");
	struct bulla_ratls evidence = {.quote = BULLA_BYTES_LITERAL("quote")}, read;

	(void)state;
	bulla_ratls_claims_write(&c, spki, nonce);
	assert_ok(bulla_wr_end(&c, &claims));
	assert_ok(bulla_cbor_check(claims));
	evidence.claims = claims;
	bulla_ratls_write(&w, &evidence);
	assert_ok(bulla_wr_end(&w, &value));
	assert_ok(bulla_ratls_read(value, &read));
	assert_bytes(read.quote, evidence.quote);
	assert_ok(bulla_ratls_check(read.claims, spki, nonce));
	assert_ok(bulla_ratls_check(read.claims, spki, (bulla_bytes){NULL, 0}));
	assert_rc(BULLA_E_BINDER, bulla_ratls_check(read.claims, BULLA_BYTES_LITERAL("other"), nonce));
	assert_rc(BULLA_E_BINDER, bulla_ratls_check(read.claims, spki, BULLA_BYTES_LITERAL("other")));
	assert_rc(BULLA_E_BINDER, bulla_ratls_check(BULLA_BYTES_LITERAL("\xa0"), spki, nonce));
	bulla_ratls_report_data(claims, report_data);
	assert_true(bulla_bytes_is_zero_ct(bulla_bytes_of(report_data + 32, 32)));
	for (size_t n = 0; n < value.n; n++)
		assert_int_not_equal(bulla_ratls_read(bulla_bytes_of(value.p, n), &read), BULLA_OK);
	/* Gramine's form: keys in any order */
	assert_rc(BULLA_E_DUPLICATE, bulla_ratls_check(BULLA_BYTES_LITERAL("\xa2\x65nonce\x41\x01\x65nonce\x41\x02"), spki, nonce));
}

/* A certificate with our evidence inside, both ways. */
static void evidence_travels_in_certificates(void **state)
{
	uint8_t cmw_memory[256], ratls_memory[256];
	bulla_wr c = bulla_wr_fixed(cmw_memory, sizeof(cmw_memory)), r = bulla_wr_fixed(ratls_memory, sizeof(ratls_memory));
	struct bulla_cmw record = {.media_type = BULLA_BYTES_LITERAL("application/vnd.bulla.tdx-quote"),
		.value = BULLA_BYTES_LITERAL("evidence"), .ind = BULLA_CMW_EVIDENCE}, read;
	struct bulla_ratls ratls = {BULLA_BYTES_LITERAL("quote"), BULLA_BYTES_LITERAL("\xa0")}, ratls_read;
	struct pki_extension extensions[2] = {{.oid = "1.3.6.1.5.5.7.1.35"}, {.oid = "2.23.133.5.4.9"}};
	struct pki_spec spec = {.cn = "with evidence", .not_before = 1000, .not_after = 2000000000, .extensions = extensions,
		.extension_count = 2, .serial = 9};
	struct pki_cert cert;
	struct bulla_cert parsed;

	(void)state;
	bulla_cmw_extension_write(&c, &record);
	assert_ok(bulla_wr_end(&c, &extensions[0].value));
	bulla_ratls_write(&r, &ratls);
	assert_ok(bulla_wr_end(&r, &extensions[1].value));
	pki_make(&spec, pki_key("P-256"), NULL, &cert);
	assert_ok(bulla_cert_parse(pki_der(&cert), &parsed));
	assert_ok(bulla_cmw_extension_read(&parsed, &read));
	assert_bytes(read.value, record.value);
	assert_bytes(read.media_type, record.media_type);
	assert_ok(bulla_ratls_from_cert(&parsed, &ratls_read));
	assert_bytes(ratls_read.quote, ratls.quote);
	pki_free(&cert);
	spec.extension_count = 0;
	pki_make(&spec, pki_key("P-256"), NULL, &cert);
	assert_ok(bulla_cert_parse(pki_der(&cert), &parsed));
	assert_rc(BULLA_E_NOT_FOUND, bulla_cmw_extension_read(&parsed, &read));
	assert_rc(BULLA_E_NOT_FOUND, bulla_ratls_from_cert(&parsed, &ratls_read));
	pki_free(&cert);
}

/* The binder may be made with each of the three hashes, and holds for that key alone. */
static void ra_tls_takes_three_hashes(void **state)
{
	bulla_bytes spki = BULLA_BYTES_LITERAL("spki"), none = {NULL, 0}, key, claims;
	const struct {
		uint64_t algorithm;
		size_t size;
		bulla_rc rc;
	} rows[] = {{1, 32, BULLA_OK}, {7, 48, BULLA_OK}, {8, 64, BULLA_OK}, {1, 48, BULLA_E_BINDER}, {7, 32, BULLA_E_BINDER},
		{8, 48, BULLA_E_BINDER}, {2, 64, BULLA_E_BINDER}, {10, 64, BULLA_E_BINDER}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t hash[64], key_memory[128], claims_memory[256];
		bulla_wr k = bulla_wr_fixed(key_memory, sizeof(key_memory)), c = bulla_wr_fixed(claims_memory, sizeof(claims_memory));
		bulla_digest digest;

		bulla_sha256(spki, &digest);
		if (rows[i].size == 32)
			bulla_copy(hash, digest.b, 32);
		else if (rows[i].size == 48)
			bulla_sha384(spki, hash);
		else
			bulla_sha512(spki, hash);
		bulla_cbor_wr_array(&k, 2);
		bulla_cbor_wr_uint(&k, rows[i].algorithm);
		bulla_cbor_wr_bytes(&k, bulla_bytes_of(hash, rows[i].size));
		assert_ok(bulla_wr_end(&k, &key));
		bulla_cbor_wr_map(&c, 1);
		bulla_cbor_wr_str(&c, "pubkey-hash");
		bulla_cbor_wr_bytes(&c, key);
		assert_ok(bulla_wr_end(&c, &claims));
		assert_rc(rows[i].rc, bulla_ratls_check(claims, spki, none));
		assert_rc(BULLA_E_BINDER, bulla_ratls_check(claims, BULLA_BYTES_LITERAL("spk1"), none));
	}
}

/* The extension's length has one to four bytes. */
static void evidence_of_every_size_fits_the_extension(void **state)
{
	static const size_t sizes[] = {1, 60, 61, 62, 63, 187, 188, 189, 190, 191, 5000, 65470, 65480, 65490, 65500, 65536, 200000};
	static uint8_t value[200000];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct bulla_cmw record = {.media_type = BULLA_BYTES_LITERAL("application/vnd.bulla.tdx-quote"),
			.value = bulla_bytes_of(value, sizes[i]), .ind = BULLA_CMW_EVIDENCE}, read;
		BULLA_AUTO_BUF buf;
		bulla_bytes extension, content;

		bulla_buf_init(&buf, 1 << 20);
		bulla_wr w = bulla_wr_buf(&buf);
		bulla_cmw_extension_write(&w, &record);
		assert_ok(bulla_wr_end(&w, &extension));
		bulla_rd r = bulla_rd_of(extension);
		assert_ok(bulla_der_take(&r, BULLA_DER_OCTETS, &content));
		assert_ok(bulla_rd_end(&r));
		assert_ok(bulla_cmw_parse(content, &read));
		assert_int_equal(read.value.n, sizes[i]);
	}
}

static void references_are_strict(void **state)
{
	static const char *const bad[] = {
		"{}", "{\"v\":2,\"tee\":[\"tdx\"],\"assurance\":\"hardware\",\"any-image\":true}",
		"{\"v\":1,\"tee\":[],\"assurance\":\"hardware\",\"any-image\":true}",
		"{\"v\":1,\"tee\":[\"vax\"],\"assurance\":\"hardware\",\"any-image\":true}",
		"{\"v\":1,\"tee\":[\"tdx\"],\"assurance\":\"much\",\"any-image\":true}",
		"{\"v\":1,\"tee\":[\"tdx\"],\"assurance\":\"hardware\"}",
		"{\"v\":1,\"tee\":[\"tdx\"],\"assurance\":\"hardware\",\"images\":[{}]}",
		"{\"v\":1,\"tee\":[\"tdx\"],\"assurance\":\"hardware\",\"images\":[{\"pcr\":\"0\"}]}",
		"{\"v\":1,\"tee\":[\"tdx\"],\"assurance\":\"hardware\",\"images\":[{\"nothing\":\"00\"}]}",
		"{\"v\":1,\"tee\":[\"tdx\"],\"assurance\":\"hardware\",\"any-image\":true,\"typo\":1}",
		"{\"v\":1,\"tee\":[\"tdx\"],\"assurance\":\"hardware\",\"any-image\":true,\"dcap\":{\"status\":[\"Revoked\"]}}",
		"{\"v\":1,\"tee\":[\"tdx\"],\"assurance\":\"hardware\",\"any-image\":true,\"snp\":{\"minimum\":{\"x\":1}}}",
		"{\"v\":1,\"v\":1,\"tee\":[\"tdx\"],\"assurance\":\"hardware\",\"any-image\":true}",
	};
	struct bulla_reference_file *file = NULL;
	uint16_t claim, index;

	(void)state;
	assert_ok(bulla_alloc(1, sizeof(*file), (void **)&file));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_not_equal(bulla_reference_read(bulla_bytes_str(bad[i]), file), BULLA_OK);
	assert_ok(bulla_reference_read(
		bulla_bytes_str("{\"v\":1,\"tee\":[\"nitro\"],\"assurance\":\"hardware\",\"images\":[{\"pcr0\":\"00ff\",\"pcr12\":\"AA\"}],"
				"\"platforms\":[\"i-0abc\",\"00\"],\"snp\":{\"vmpl\":[0,2],\"abi\":[1,55]},\"max-age-s\":60}"), file));
	assert_int_equal(file->policy.references[0].count, 2);
	assert_int_equal(file->policy.references[0].values[1].index, 12);
	assert_int_equal(file->policy.snp.vmpls, 5);
	assert_int_equal(file->policy.max_age_ms, 60000);
	assert_bytes(file->policy.platforms[0], bulla_bytes_str("i-0abc"));
	assert_true(bulla_claim_of_name(bulla_bytes_str("tee-tcb-svn2"), &claim, &index));
	assert_int_equal(claim, BULLA_CLAIM_TEE_TCB_SVN2);
	assert_false(bulla_claim_of_name(bulla_bytes_str("0"), &claim, &index));
	bulla_free(file);
}

/* A sample's reference accepts that sample and no other. */
static void a_reference_accepts_its_sample(void **state)
{
	struct dcap_lab lab;
	struct bulla_reference_file *file = NULL;
	BULLA_AUTO_BUF buf;
	bulla_bytes text;

	(void)state;
	bulla_buf_init(&buf, 1 << 18);
	assert_ok(bulla_alloc(1, sizeof(*file), (void **)&file));
	dcap_lab_open(&lab);
	assert_ok(dcap_lab_judge(&lab));
	bulla_wr w = bulla_wr_buf(&buf);
	bulla_reference_write(&w, &lab.result);
	assert_ok(bulla_wr_end(&w, &text));
	assert_ok(bulla_reference_read(text, file));
	lab.policy = file->policy;
	assert_ok(dcap_lab_judge(&lab));
	lab.body[137] = 1;
	assert_int_not_equal(dcap_lab_judge(&lab), BULLA_OK);
	assert_factor(&lab.result, BULLA_FACTOR_MEASUREMENT);
	/* and both ways of printing print */
	w = bulla_wr_buf(&buf);
	bulla_attest_show(&w, &lab.result);
	bulla_attest_show_factors(&w, &lab.result);
	bulla_attest_show_claims(&w, &lab.result);
	assert_ok(bulla_wr_end(&w, &text));
	w = bulla_wr_buf(&buf);
	bulla_attest_show_json(&w, &lab.result);
	assert_ok(bulla_wr_end(&w, &text));
	bulla_json json;
	assert_ok(bulla_json_parse(text, &json));
	dcap_lab_close(&lab);
	bulla_free(file);
}

/* 64 KiB of stack are enough, libcrypto's share included. */
struct small {
	struct dcap_lab *lab;
	bulla_bytes azure;
	bulla_rc quote, json;
	struct bulla_attest_result result;
};

static void *in_small_stack(void *arg)
{
	struct bulla_attest_anchors anchors = bulla_attest_vendor_anchors();
	struct bulla_attest_binding binding = sample_binding();
	struct small *small = arg;
	struct bulla_attest_policy policy;

	small->quote = dcap_lab_judge_quote(small->lab);
	sample_policy(&policy);
	small->json = bulla_attest_appraise(small->azure, NULL, &anchors, &policy, &binding, sample_time(1770000000), NULL,
		&small->result);
	return NULL;
}

static void a_small_stack_is_enough(void **state)
{
	struct dcap_lab lab;
	struct small *small = NULL;
	pthread_attr_t attributes;
	pthread_t thread;
	BULLA_AUTO_BUF azure;

	(void)state;
	dcap_lab_open(&lab);
	assert_ok(dcap_lab_judge(&lab));
	assert_true(sample_read("tests/fuzz/corpus/collateral/azure_snp", &azure));
	assert_ok(bulla_alloc(1, sizeof(*small), (void **)&small));
	small->lab = &lab;
	small->azure = bulla_buf_view(&azure);
	assert_int_equal(pthread_attr_init(&attributes), 0);
	assert_int_equal(pthread_attr_setstacksize(&attributes, 65536), 0);
	assert_int_equal(pthread_create(&thread, &attributes, in_small_stack, small), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_ok(small->quote);
	assert_int_not_equal(small->json, BULLA_OK);
	assert_int_equal(small->result.factors[BULLA_FACTOR_FIELDS].state, BULLA_FACTOR_HELD);
	pthread_attr_destroy(&attributes);
	bulla_free(small);
	dcap_lab_close(&lab);
}

static void every_rule_has_a_name_of_its_own(void **state)
{
	(void)state;
	assert_true(BULLA_FACTOR_COUNT >= 45);
	for (unsigned i = 0; i < BULLA_FACTOR_COUNT; i++) {
		assert_int_not_equal(bulla_factor_rc(i), BULLA_OK);
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(bulla_factor_name(i), bulla_factor_name(j));
	}
	for (unsigned i = 0; i < BULLA_CLAIM_COUNT; i++)
		assert_int_equal(bulla_claim_from_name(bulla_bytes_str(bulla_claim_name(i))), i);
	for (unsigned i = 1; i < BULLA_TEE_COUNT; i++)
		assert_int_equal(bulla_tee_from_name(bulla_bytes_str(bulla_tee_name(i))), i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_vector_says_what_is_worth_what),
		cmocka_unit_test(tokens_are_signed_and_readable),
		cmocka_unit_test(ra_tls_binds_the_key),
		cmocka_unit_test(evidence_travels_in_certificates),
		cmocka_unit_test(ra_tls_takes_three_hashes),
		cmocka_unit_test(evidence_of_every_size_fits_the_extension),
		cmocka_unit_test(references_are_strict),
		cmocka_unit_test(a_reference_accepts_its_sample),
		cmocka_unit_test(a_small_stack_is_enough),
		cmocka_unit_test(every_rule_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests_name("attest_result", tests, NULL, NULL);
}
