#include "dcap_lab.h"

#include "cases.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "crypto/hash.h"
#include "test.h"
#include "wire/json.h"

#define SGX_ARC "\x2a\x86\x48\x86\xf8\x4d\x01\x0d\x01"

/* ---- the PCK extension ---- */
static size_t put(uint8_t *to, const void *from, size_t size)
{
	bulla_copy(to, from, size);
	return size;
}

static size_t wrap(uint8_t tag, const uint8_t *content, size_t size, uint8_t *ret)
{
	size_t n = 0;

	ret[n++] = tag;
	if (size >= 0x100) {
		ret[n++] = 0x82;
		ret[n++] = (uint8_t)(size >> 8);
	} else if (size >= 0x80) {
		ret[n++] = 0x81;
	}
	ret[n++] = (uint8_t)size;
	return n + put(ret + n, content, size);
}

static size_t pair(const uint8_t *suffix, size_t suffix_size, const uint8_t *value, size_t value_size, uint8_t *ret)
{
	uint8_t oid[16], body[1024];
	size_t n = put(oid, SGX_ARC, 9);

	n += put(oid + n, suffix, suffix_size);
	size_t m = wrap(0x06, oid, n, body);
	m += put(body + m, value, value_size);
	return wrap(0x30, body, m, ret);
}

static size_t octets(uint8_t number, size_t size, uint8_t fill, uint8_t *ret)
{
	uint8_t content[32], value[40];

	for (size_t i = 0; i < size; i++)
		content[i] = fill;
	return pair(&number, 1, value, wrap(0x04, content, size, value), ret);
}

static size_t integer(unsigned number, uint8_t *ret)
{
	uint8_t content[3] = {0, (uint8_t)(number >> 8), (uint8_t)number};
	size_t skip = number < 0x80 ? 2 : number < 0x8000 ? 1 : 0;

	if (number >= 0x80 && number < 0x100)
		skip = 1;
	return wrap(0x02, content + skip, 3 - skip, ret);
}

static size_t pck_extension(const struct dcap_lab *lab, uint8_t *ret)
{
	uint8_t tcb[1024], value[1024], all[2048], cpusvn[16] = {0};
	size_t n = 0, m = 0;

	for (uint8_t i = 1; i <= 18; i++) {
		uint8_t suffix[2] = {2, i}, item[40];
		size_t size = i == 18 ? wrap(0x04, cpusvn, 16, item) :
					integer(i == 17 ? lab->pcesvn : lab->components[i - 1], item);
		n += pair(suffix, 2, item, size, tcb + n);
	}
	size_t value_size = wrap(0x30, tcb, n, value);
	m += octets(1, 16, 0x11, all + m);
	m += pair((const uint8_t *)"\x02", 1, value, value_size, all + m);
	m += octets(3, 2, 0, all + m);
	if (!lab->short_extension)
		m += octets(4, 6, 0x44, all + m);
	return wrap(0x30, all, m, ret);
}

/* ---- certificates ---- */
static void make_pck(struct dcap_lab *lab)
{
	uint8_t extension[2048];
	size_t n = pck_extension(lab, extension);
	struct pki_extension row = {"1.2.840.113741.1.13.1", bulla_bytes_of(extension, n)};
	struct pki_spec spec = {.cn = "Intel SGX PCK Certificate", .not_before = lab->now - 100, .not_after = lab->now + 10000,
		.extensions = &row, .extension_count = 1, .serial = 30};
	EVP_PKEY *key = lab->pck.key != NULL ? lab->pck.key : pki_key("P-256");

	lab->pck.key = NULL;
	pki_free(&lab->pck);
	pki_make(&spec, key, &lab->ca, &lab->pck);
}

void dcap_lab_open(struct dcap_lab *lab)
{
	dcap_lab_open_at(lab, LAB_NOW);
}

void dcap_lab_open_at(struct dcap_lab *lab, int64_t now)
{
	struct pki_spec root = {.cn = "Intel SGX Root CA", .not_before = now - 100, .not_after = now + 10000,
		.ca = true, .pathlen = 1, .serial = 1};
	struct pki_spec ca = {.cn = "Intel SGX PCK Platform CA", .not_before = now - 100, .not_after = now + 10000,
		.ca = true, .pathlen = 0, .serial = 20};
	struct pki_spec signer = {.cn = "Intel SGX TCB Signing", .not_before = now - 100, .not_after = now + 10000,
		.serial = 40};

	*lab = (struct dcap_lab){.now = now};
	bulla_buf_init(&lab->memory, 1 << 17);
	pki_make(&root, pki_key("P-256"), NULL, &lab->root);
	pki_make(&ca, pki_key("P-256"), &lab->root, &lab->ca);
	pki_make(&signer, pki_key("P-256"), &lab->root, &lab->signer);
	lab->attestation = pki_key("P-256");
	dcap_lab_reset(lab);
}

void dcap_lab_close(struct dcap_lab *lab)
{
	pki_free(&lab->root);
	pki_free(&lab->ca);
	pki_free(&lab->pck);
	pki_free(&lab->signer);
	EVP_PKEY_free(lab->attestation);
	bulla_buf_done(&lab->memory);
}

/* ---- fields as they must be ---- */
static const char zeros48[] =
	"000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000";

/* The day before or after, at midnight. */
static void date(int64_t seconds, char ret[32])
{
	time_t t = (time_t)(seconds - seconds % 86400);
	struct tm tm;

	assert_non_null(gmtime_r(&t, &tm));
	assert_int_not_equal(strftime(ret, 32, "%Y-%m-%dT%H:%M:%SZ", &tm), 0);
}

static void set_texts(struct dcap_lab *lab)
{
	char sgx[1024] = "", tdx[1024] = "", from[32], to[32];

	date(lab->now, from);
	date(lab->now + 30 * 86400, to);

	for (int i = 0; i < 16; i++) {
		(void)snprintf(sgx + strlen(sgx), sizeof(sgx) - strlen(sgx), "%s{\"svn\":%d}", i > 0 ? "," : "", i < 4 ? 5 : 0);
		(void)snprintf(tdx + strlen(tdx), sizeof(tdx) - strlen(tdx), "%s{\"svn\":%d}", i > 0 ? "," : "", i == 2 ? 3 : 0);
	}
	(void)snprintf(lab->tcb_info, sizeof(lab->tcb_info),
		"{\"id\":\"TDX\",\"version\":3,\"issueDate\":\"%s\",\"nextUpdate\":\"%s\","
		"\"fmspc\":\"444444444444\",\"pceId\":\"0000\",\"tcbType\":0,\"tcbEvaluationDataNumber\":17,"
		"\"tdxModule\":{\"mrsigner\":\"%s\",\"attributes\":\"0000000000000000\",\"attributesMask\":\"FFFFFFFFFFFFFFFF\"},"
		"\"tdxModuleIdentities\":[{\"id\":\"TDX_01\",\"mrsigner\":\"%s\",\"attributes\":\"0000000000000000\","
		"\"attributesMask\":\"FFFFFFFFFFFFFFFF\",\"tcbLevels\":[{\"tcb\":{\"isvsvn\":5},\"tcbDate\":\"2024-03-13T00:00:00Z\","
		"\"tcbStatus\":\"UpToDate\"},{\"tcb\":{\"isvsvn\":2},\"tcbDate\":\"2023-03-13T00:00:00Z\",\"tcbStatus\":\"OutOfDate\"}]}],"
		"\"tcbLevels\":[{\"tcb\":{\"sgxtcbcomponents\":[%s],\"pcesvn\":11,\"tdxtcbcomponents\":[%s]},"
		"\"tcbDate\":\"2024-03-13T00:00:00Z\",\"tcbStatus\":\"UpToDate\"}]}",
		from, to, zeros48, zeros48, sgx, tdx);
	(void)snprintf(lab->qe_identity, sizeof(lab->qe_identity),
		"{\"id\":\"TD_QE\",\"version\":2,\"issueDate\":\"%s\",\"nextUpdate\":\"%s\","
		"\"tcbEvaluationDataNumber\":17,\"miscselect\":\"00000000\",\"miscselectMask\":\"FFFFFFFF\","
		"\"attributes\":\"11000000000000000000000000000000\",\"attributesMask\":\"FBFFFFFFFFFFFFFF0000000000000000\","
		"\"mrsigner\":\"DC9E2A7C6F948F17474E34A7FC43ED030F7C1563F1BABDDF6340C82E0E54A8C5\",\"isvprodid\":2,"
		"\"tcbLevels\":[{\"tcb\":{\"isvsvn\":4},\"tcbDate\":\"2024-03-13T00:00:00Z\",\"tcbStatus\":\"UpToDate\"},"
		"{\"tcb\":{\"isvsvn\":2},\"tcbDate\":\"2023-03-13T00:00:00Z\",\"tcbStatus\":\"OutOfDate\"}]}",
		from, to);
}

static void set_bodies(struct dcap_lab *lab)
{
	static const uint8_t qe_signer[32] = {0xdc, 0x9e, 0x2a, 0x7c, 0x6f, 0x94, 0x8f, 0x17, 0x47, 0x4e, 0x34, 0xa7, 0xfc,
		0x43, 0xed, 0x03, 0x0f, 0x7c, 0x15, 0x63, 0xf1, 0xba, 0xbd, 0xdf, 0x63, 0x40, 0xc8, 0x2e, 0x0e, 0x54, 0xa8,
		0xc5};

	bulla_zero(lab->body, sizeof(lab->body));
	bulla_zero(lab->qe_report, sizeof(lab->qe_report));
	lab->body[0] = 6; /* TEE_TCB_SVN: module SVN 6, version 1 */
	lab->body[1] = 1;
	lab->body[2] = 3;
	lab->body[123] = 0x10; /* SEPT_VE_DISABLE */
	lab->body[136] = 0xaa;
	lab->body[520] = 7;
	lab->body[584] = 6;
	lab->body[585] = 1;
	lab->body[586] = 3;
	lab->qe_report[48] = 0x11;
	bulla_copy(lab->qe_report + 128, qe_signer, 32);
	lab->qe_report[256] = 2;
	lab->qe_report[258] = 4;
}

void dcap_lab_reset(struct dcap_lab *lab)
{
	lab->short_extension = false;
	lab->version = 4;
	lab->tdx = true;
	lab->td15 = lab->reverse_chain = lab->sign_by_pck = false;
	lab->certification_type = 5;
	for (unsigned i = 0; i < 16; i++)
		lab->components[i] = 5;
	lab->pcesvn = 11;
	lab->revoked_pck = lab->revoked_ca = 0;
	lab->crl_from = lab->now - 10;
	lab->crl_to = lab->now + 1000;
	lab->with_collateral = true;
	set_bodies(lab);
	set_texts(lab);
	lab->anchor_id = pki_key_digest(&lab->root);
	lab->anchor = (struct bulla_attest_anchor){BULLA_TEE_TDX, BULLA_ASSURANCE_HARDWARE, BULLA_ANCHOR_KEY,
		bulla_bytes_digest(&lab->anchor_id), {NULL, 0}};
	bulla_attest_policy_init(&lab->policy);
	lab->policy.tees = BULLA_TEE_BIT(BULLA_TEE_TDX) | BULLA_TEE_BIT(BULLA_TEE_SGX);
	lab->policy.assurance = BULLA_ASSURANCE_HARDWARE;
	lab->policy.any_measurement = true;
	lab->binding = sample_binding();
	lab->collateral = (struct bulla_attest_collateral){0};
	lab->time = (struct bulla_attest_time){lab->now * 1000, BULLA_CLOCK_ONLINE};
}

/* ---- making ---- */
static size_t pem(const struct pki_cert *cert, char *ret, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;

	PEM_write_bio_X509(bio, cert->x509);
	size_t n = (size_t)BIO_get_mem_data(bio, &text);
	assert_true(n < size);
	bulla_copy(ret, text, n);
	ret[n] = 0;
	BIO_free(bio);
	return n;
}

static void le(uint8_t *p, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)(value >> (8 * i));
}

static size_t put_header(const struct dcap_lab *lab, uint8_t *q)
{
	static const uint8_t vendor[16] = {0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f,
		0x06, 0x07};

	bulla_zero(q, 48);
	le(q, lab->version, 2);
	le(q + 2, 2, 2);
	le(q + 4, lab->tdx ? 0x81 : 0, 4);
	bulla_copy(q + 12, vendor, 16);
	return 48;
}

static size_t put_certification(struct dcap_lab *lab, uint8_t *q)
{
	size_t n = 0, m;
	uint8_t digest_input[96];
	bulla_digest digest;

	pki_point(lab->attestation, digest_input, 32);
	bulla_copy(digest_input + 64, lab->auth, 32);
	bulla_sha256(BULLA_BYTES_ARRAY(digest_input), &digest);
	if (bulla_bytes_is_zero_ct(bulla_bytes_of(lab->qe_report + 320, 32)))
		bulla_copy(lab->qe_report + 320, digest.b, 32);
	n += put(q + n, lab->qe_report, 384);
	pki_sign(lab->pck.key, bulla_bytes_of(lab->qe_report, 384), q + n, 32);
	n += 64;
	le(q + n, 32, 2);
	n += 2;
	n += put(q + n, lab->auth, 32);
	le(q + n, lab->certification_type, 2);
	uint8_t *size = q + n + 2;
	n += 6;
	m = n;
	n += pem(&lab->pck, (char *)q + n, 4096);
	n += pem(lab->reverse_chain ? &lab->root : &lab->ca, (char *)q + n, 4096);
	n += pem(lab->reverse_chain ? &lab->ca : &lab->root, (char *)q + n, 4096);
	q[n++] = 0;
	le(size, n - m, 4);
	return n;
}

static void make_quote(struct dcap_lab *lab)
{
	uint8_t *q = lab->quote, tail[LAB_QUOTE_MAX];
	size_t body = !lab->tdx ? 384 : lab->td15 ? 648 : 584, n = put_header(lab, q);

	if (lab->version == 5) {
		le(q + n, !lab->tdx ? 1 : lab->td15 ? 3 : 2, 2);
		le(q + n + 2, body, 4);
		n += 6;
	}
	n += put(q + n, lab->body, body);
	size_t tail_size = put_certification(lab, tail);
	size_t nested = lab->version == 3 ? 0 : 6;
	uint8_t *signature = q + n + 4;
	le(q + n, 128 + nested + tail_size, 4);
	pki_sign(lab->attestation, bulla_bytes_of(q, n), signature, 32);
	pki_point(lab->attestation, signature + 64, 32);
	n += 4 + 128;
	if (nested > 0) {
		le(q + n, 6, 2);
		le(q + n + 2, tail_size, 4);
		n += 6;
	}
	lab->quote_size = n + put(q + n, tail, tail_size);
}

static void make_collateral(struct dcap_lab *lab)
{
	struct bulla_attest_anchors anchors = {&lab->anchor, 1};
	struct bulla_dcap_parts *parts = &lab->parts;
	EVP_PKEY *key = lab->sign_by_pck ? lab->pck.key : lab->signer.key;
	size_t n = pem(lab->sign_by_pck ? &lab->pck : &lab->signer, lab->tcb_chain, 4096);

	(void)pem(lab->sign_by_pck ? &lab->ca : &lab->root, lab->tcb_chain + n, 4096);
	const struct pki_cert *list_ca = lab->list_ca != NULL ? lab->list_ca : &lab->ca;
	n = pem(list_ca, lab->ca_chain, 4096);
	(void)pem(&lab->root, lab->ca_chain + n, 4096);
	parts->tcb_info = bulla_bytes_str(lab->tcb_info);
	parts->qe_identity = bulla_bytes_str(lab->qe_identity);
	pki_sign(key, parts->tcb_info, lab->tcb_signature, 32);
	pki_sign(key, parts->qe_identity, lab->qe_signature, 32);
	parts->tcb_info_signature = BULLA_BYTES_ARRAY(lab->tcb_signature);
	parts->qe_identity_signature = BULLA_BYTES_ARRAY(lab->qe_signature);
	parts->tcb_info_chain = parts->qe_identity_chain = bulla_bytes_str(lab->tcb_chain);
	parts->pck_crl_chain = bulla_bytes_str(lab->ca_chain);
	parts->pck_crl = bulla_bytes_of(lab->pck_crl, pki_crl(list_ca, lab->crl_from, lab->crl_to, &lab->revoked_pck,
		lab->revoked_pck != 0, lab->pck_crl, sizeof(lab->pck_crl)));
	parts->root_crl = bulla_bytes_of(lab->root_crl, pki_crl(&lab->root, lab->crl_from, lab->crl_to, &lab->revoked_ca,
		lab->revoked_ca != 0, lab->root_crl, sizeof(lab->root_crl)));
	bulla_buf_clear(&lab->memory);
	assert_ok(bulla_dcap_collateral_read(parts, &anchors, &lab->memory, &lab->dcap));
	lab->collateral.dcap = &lab->dcap;
	sample_dump("tcbinfo", parts->tcb_info, &lab->result);
	sample_dump("qeidentity", parts->qe_identity, &lab->result);
}

bulla_rc dcap_lab_judge_quote(struct dcap_lab *lab)
{
	struct bulla_attest_anchors anchors = {&lab->anchor, 1};

	const struct attest_case about = {.evidence = bulla_bytes_of(lab->quote, lab->quote_size), .collateral = &lab->collateral,
		.parts = &lab->parts, .anchors = &anchors, .policy = &lab->policy, .binding = &lab->binding, .time = lab->time};
	bulla_rc rc = case_judge(lab->tdx ? "tdx" : "sgx", &about, &lab->result);
	sample_dump(lab->tdx ? "tdx" : "sgx", bulla_bytes_of(lab->quote, lab->quote_size), &lab->result);
	return rc;
}

bulla_rc dcap_lab_judge(struct dcap_lab *lab)
{
	make_pck(lab);
	make_quote(lab);
	if (lab->with_collateral)
		make_collateral(lab);
	else
		lab->collateral.dcap = NULL;
	return dcap_lab_judge_quote(lab);
}

void dcap_lab_replace(char *text, size_t size, const char *from, const char *to)
{
	char *at = strstr(text, from);
	char rest[8192];

	assert_non_null(at);
	(void)snprintf(rest, sizeof(rest), "%s", at + strlen(from));
	(void)snprintf(at, size - (size_t)(at - text), "%s%s", to, rest);
}

bulla_bytes dcap_lab_bundle(const struct dcap_lab *lab, struct bulla_buf *ret)
{
	const struct bulla_dcap_parts *parts = &lab->parts;
	const struct {
		const char *name;
		bulla_bytes value;
		bool hex;
	} rows[] = {{"tcb_info", parts->tcb_info, false}, {"tcb_info_signature", parts->tcb_info_signature, true},
		{"tcb_info_issuer_chain", parts->tcb_info_chain, false}, {"qe_identity", parts->qe_identity, false},
		{"qe_identity_signature", parts->qe_identity_signature, true},
		{"qe_identity_issuer_chain", parts->qe_identity_chain, false}, {"pck_crl", parts->pck_crl, true},
		{"pck_crl_issuer_chain", parts->pck_crl_chain, false}, {"root_ca_crl", parts->root_crl, true}};
	bulla_bytes text;

	bulla_buf_init(ret, 1 << 17);
	bulla_wr w = bulla_wr_buf(ret);
	bulla_json_wr j = bulla_json_wr_of(&w);
	bulla_json_wr_object(&j);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bulla_json_wr_name(&j, rows[i].name);
		if (rows[i].hex)
			bulla_json_wr_hex(&j, rows[i].value);
		else
			bulla_json_wr_string(&j, rows[i].value);
	}
	bulla_json_wr_object_end(&j);
	assert_ok(bulla_wr_end(&w, &text));
	return text;
}
