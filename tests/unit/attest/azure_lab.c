#include "azure_lab.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <stdio.h>

#include "base/mem.h"
#include "cases.h"
#include "crypto/hash.h"
#include "test.h"

#define HCL_SIZE (32 + 1184 + 20)

static void base64url(bulla_bytes bytes, char *ret)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned bits = 0, value = 0;
	size_t n = 0;

	for (size_t i = 0; i < bytes.n; i++) {
		value = value << 8 | bytes.p[i];
		for (bits += 8; bits >= 6; bits -= 6)
			ret[n++] = digits[value >> (bits - 6) & 63];
	}
	if (bits > 0)
		ret[n++] = digits[value << (6 - bits) & 63];
	ret[n] = 0;
}

static void hexadecimal(bulla_bytes bytes, char *ret)
{
	for (size_t i = 0; i < bytes.n; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", bytes.p[i]);
}

/* {"keys": [{"kid": "HCLAkPub", ...}], "user-data": ...} */
static size_t write_runtime(const struct azure_lab *lab, char *ret, size_t size)
{
	uint8_t modulus[512];
	char n[700], user_data[129];
	BIGNUM *bn = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(lab->vtpm, OSSL_PKEY_PARAM_RSA_N, &bn), 1);
	base64url(bulla_bytes_of(modulus, (size_t)BN_bn2bin(bn, modulus)), n);
	BN_free(bn);
	hexadecimal(BULLA_BYTES_ARRAY(lab->user_data), user_data);
	return (size_t)snprintf(ret, size,
		"{\"keys\":[{\"kid\":\"HCLAkPub\",\"key_ops\":[\"sign\"],\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"%s\"}],"
		"\"user-data\":\"%s\"}", n, user_data);
}

static void put_u32le(uint8_t *p, size_t value)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(value >> (8 * i));
}

static size_t write_hcl(const struct azure_lab *lab, const char *runtime, size_t size, uint8_t *ret)
{
	bulla_zero(ret, HCL_SIZE);
	bulla_copy(ret, "HCLA", 4);
	bulla_copy(ret + 32, lab->hardware, sizeof(lab->hardware));
	put_u32le(ret + 1216, size + 20);
	put_u32le(ret + 1220, 1);
	put_u32le(ret + 1224, lab->snp ? 2 : 4);
	put_u32le(ret + 1228, 1); /* SHA-256 */
	put_u32le(ret + 1232, size);
	bulla_copy(ret + HCL_SIZE, runtime, size);
	return HCL_SIZE + size;
}

/* TPMS_ATTEST of a quote over all 24 registers (TPM 2.0 part 2, 10.12.8) */
size_t azure_lab_message(const struct azure_lab *lab, uint8_t *ret)
{
	bulla_wr w = bulla_wr_fixed(ret, 512);
	bulla_digest digest;
	bulla_bytes written;
	uint8_t clock[25] = {0};

	bulla_sha256(bulla_bytes_of(lab->pcrs, sizeof(lab->pcrs)), &digest);
	bulla_wr_u32be(&w, lab->magic);
	bulla_wr_u16be(&w, 0x8018);
	bulla_wr_u16be(&w, 0);
	bulla_wr_u16be(&w, sizeof(lab->nonce));
	bulla_wr_bytes(&w, BULLA_BYTES_ARRAY(lab->nonce));
	bulla_wr_bytes(&w, BULLA_BYTES_ARRAY(clock));
	bulla_wr_u32be(&w, 1);
	bulla_wr_u16be(&w, 0x000b);
	bulla_wr_u8(&w, 3);
	bulla_wr_bytes(&w, BULLA_BYTES_LITERAL("\xff\xff\xff"));
	bulla_wr_u16be(&w, 32);
	bulla_wr_bytes(&w, bulla_bytes_digest(&digest));
	assert_ok(bulla_wr_end(&w, &written));
	return written.n;
}

size_t azure_lab_hcl(struct azure_lab *lab, void (*bind)(void *ctx, const bulla_digest *runtime), void *ctx, uint8_t *ret)
{
	char runtime[2048];
	size_t size = write_runtime(lab, runtime, sizeof(runtime));
	bulla_digest digest;

	bulla_sha256(bulla_bytes_of(runtime, size), &digest);
	bind(ctx, &digest);
	return write_hcl(lab, runtime, size, ret);
}

size_t azure_lab_sign(EVP_PKEY *key, bulla_bytes message, uint8_t *ret)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t size = 512;

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, ret, &size, message.p, message.n), 1);
	EVP_MD_CTX_free(ctx);
	return size;
}

static void append(struct bulla_buf *buf, const char *text)
{
	assert_ok(bulla_buf_append(buf, bulla_bytes_str(text)));
}

static void append_member(struct bulla_buf *buf, const char *name, bulla_bytes value, void (*write)(bulla_bytes, char *))
{
	char text[16384];

	write(value, text);
	append(buf, "\"");
	append(buf, name);
	append(buf, "\":\"");
	append(buf, text);
	append(buf, "\"");
}

static void write_quote(struct azure_lab *lab)
{
	uint8_t message[512], signature[512];
	char digits[65];
	EVP_PKEY *other = lab->other_key ? pki_key(NULL) : NULL;
	size_t size = azure_lab_message(lab, message);
	size_t signed_size = azure_lab_sign(other != NULL ? other : lab->vtpm, bulla_bytes_of(message, size), signature);

	EVP_PKEY_free(other);
	append(&lab->text, "\"tpm_quote\":{");
	append_member(&lab->text, "message", bulla_bytes_of(message, size), hexadecimal);
	append(&lab->text, ",");
	append_member(&lab->text, "signature", bulla_bytes_of(signature, signed_size), hexadecimal);
	append(&lab->text, ",\"pcrs\":[");
	for (unsigned i = 0; i < 24; i++) {
		lab->pcrs[i][31] ^= lab->other_pcr && i == 4;
		hexadecimal(BULLA_BYTES_ARRAY(lab->pcrs[i]), digits);
		lab->pcrs[i][31] ^= lab->other_pcr && i == 4;
		append(&lab->text, i > 0 ? ",\"" : "\"");
		append(&lab->text, digits);
		append(&lab->text, "\"");
	}
	append(&lab->text, "]},");
}

void azure_lab_open(struct azure_lab *lab)
{
	*lab = (struct azure_lab){0};
	dcap_lab_open(&lab->dcap);
	lab->vtpm = pki_key(NULL);
	lab->magic = 0xff544347;
	for (unsigned i = 0; i < 24; i++)
		lab->pcrs[i][0] = (uint8_t)i;
	lab->nonce[0] = 7;
	lab->user_data[0] = 8;
	lab->binding = sample_binding();
	bulla_buf_init(&lab->text, 65536);
}

void azure_lab_close(struct azure_lab *lab)
{
	dcap_lab_close(&lab->dcap);
	EVP_PKEY_free(lab->vtpm);
	bulla_buf_done(&lab->text);
}

static void bind_quote(void *ctx, const bulla_digest *runtime)
{
	struct azure_lab *lab = ctx;

	bulla_zero(lab->dcap.body + 520, 64);
	bulla_copy(lab->dcap.body + 520, runtime->b, 32);
	lab->dcap.body[520] ^= lab->unbound;
}

bulla_rc azure_lab_judge(struct azure_lab *lab)
{
	struct dcap_lab *dcap = &lab->dcap;
	uint8_t hcl[4096];
	size_t hcl_size = azure_lab_hcl(lab, bind_quote, lab, hcl);

	(void)dcap_lab_judge(dcap); /* makes quote and collateral; judged alone it is bound to something else */
	bulla_buf_clear(&lab->text);
	append(&lab->text, "{\"version\":1,");
	if (!lab->no_quote)
		write_quote(lab);
	append_member(&lab->text, "hcl_report", bulla_bytes_of(hcl, hcl_size), base64url);
	append(&lab->text, ",");
	append_member(&lab->text, "td_quote", bulla_bytes_of(dcap->quote, dcap->quote_size), base64url);
	append(&lab->text, "}");
	struct bulla_attest_anchors anchors = {&dcap->anchor, 1};
	struct bulla_attest_policy policy = dcap->policy;
	policy.tees = BULLA_TEE_BIT(BULLA_TEE_AZ_TDX);
	const struct attest_case about = {.evidence = bulla_buf_view(&lab->text), .collateral = &dcap->collateral,
		.parts = &dcap->parts, .anchors = &anchors, .policy = &policy, .binding = &lab->binding, .time = dcap->time};
	return case_judge("azure", &about, &lab->result);
}
