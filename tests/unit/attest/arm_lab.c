#include "arm_lab.h"

#include "cases.h"
#include "cose/cmw.h"
#include "crypto/hash.h"
#include "samples.h"
#include "test.h"
#include "wire/cbor.h"

#include <openssl/hmac.h>

static void write_sign1(bulla_wr *w, EVP_PKEY *key, int64_t alg, bulla_bytes payload)
{
	uint8_t protected_memory[8], to_sign_memory[4096], signature[96];
	bulla_wr header = bulla_wr_fixed(protected_memory, sizeof(protected_memory));
	bulla_wr body = bulla_wr_fixed(to_sign_memory, sizeof(to_sign_memory));
	bulla_bytes protected_raw, to_sign;
	size_t half = EVP_PKEY_get_bits(key) == 256 ? 32 : 48;

	bulla_cbor_wr_map(&header, 1);
	bulla_cbor_wr_uint(&header, 1);
	bulla_cbor_wr_int(&header, alg);
	assert_ok(bulla_wr_end(&header, &protected_raw));
	bulla_cbor_wr_array(&body, 4);
	bulla_cbor_wr_str(&body, "Signature1");
	bulla_cbor_wr_bytes(&body, protected_raw);
	bulla_cbor_wr_bytes(&body, (bulla_bytes){NULL, 0});
	bulla_cbor_wr_bytes(&body, payload);
	assert_ok(bulla_wr_end(&body, &to_sign));
	pki_sign(key, to_sign, signature, half);
	bulla_cbor_wr_tag(w, 18);
	bulla_cbor_wr_array(w, 4);
	bulla_cbor_wr_bytes(w, protected_raw);
	bulla_cbor_wr_map(w, 0);
	bulla_cbor_wr_bytes(w, payload);
	bulla_cbor_wr_bytes(w, bulla_bytes_of(signature, 2 * half));
}

/* COSE_Mac0 with HMAC 256/256 under lab->nonce's bytes, which are the device's secret here. */
static void write_mac0(struct arm_lab *lab, bulla_wr *w, bulla_bytes payload)
{
	uint8_t memory[4096], tag[32];
	bulla_wr body = bulla_wr_fixed(memory, sizeof(memory));
	const bulla_bytes protected_raw = BULLA_BYTES_LITERAL("\xa1\x01\x05");
	bulla_bytes to_mac;
	unsigned size = sizeof(tag);

	bulla_cbor_wr_array(&body, 4);
	bulla_cbor_wr_str(&body, "MAC0");
	bulla_cbor_wr_bytes(&body, protected_raw);
	bulla_cbor_wr_bytes(&body, (bulla_bytes){NULL, 0});
	bulla_cbor_wr_bytes(&body, payload);
	assert_ok(bulla_wr_end(&body, &to_mac));
	assert_non_null(HMAC(EVP_sha256(), lab->nonce, 32, to_mac.p, to_mac.n, tag, &size));
	bulla_cbor_wr_tag(w, 17);
	bulla_cbor_wr_array(w, 4);
	bulla_cbor_wr_bytes(w, protected_raw);
	bulla_cbor_wr_map(w, 0);
	bulla_cbor_wr_bytes(w, payload);
	bulla_cbor_wr_bytes(w, BULLA_BYTES_ARRAY(tag));
}

static bulla_bytes patched(bulla_bytes find, bulla_bytes put, bulla_bytes payload)
{
	static uint8_t bytes[4096];
	size_t at = 0;

	if (put.n == 0)
		return payload;
	while (find.n > 0 && !bulla_bytes_eq(bulla_bytes_of(payload.p + at, find.n), find))
		at++;
	at = find.n > 0 ? at : payload.n;
	bulla_copy(bytes, payload.p, at);
	bulla_copy(bytes + at, put.p, put.n);
	bulla_copy(bytes + at + put.n, payload.p + at + find.n, payload.n - at - find.n);
	return bulla_bytes_of(bytes, payload.n - find.n + put.n);
}

static void write_platform(struct arm_lab *lab, bulla_wr *w, bulla_bytes challenge)
{
	uint8_t memory[2048], implementation[32] = {4}, component[32] = {5}, signer[32] = {7};
	const bool cca = lab->anchor.tee == BULLA_TEE_CCA;
	bulla_wr p = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes payload;

	bulla_cbor_wr_map(&p, (cca ? 8u : 7u) + lab->twice + lab->unknown - lab->no_nonce);
	if (!lab->no_nonce) {
		bulla_cbor_wr_uint(&p, 10);
		bulla_cbor_wr_bytes(&p, challenge);
	}
	bulla_cbor_wr_uint(&p, 256);
	bulla_cbor_wr_bytes(&p, BULLA_BYTES_ARRAY(lab->id));
	bulla_cbor_wr_uint(&p, 265);
	bulla_cbor_wr_str(&p, lab->profile);
	bulla_cbor_wr_uint(&p, 2395);
	bulla_cbor_wr_uint(&p, lab->lifecycle);
	bulla_cbor_wr_uint(&p, 2396);
	bulla_cbor_wr_bytes(&p, BULLA_BYTES_ARRAY(implementation));
	bulla_cbor_wr_uint(&p, 2399);
	bulla_cbor_wr_array(&p, 1);
	bulla_cbor_wr_map(&p, 2);
	bulla_cbor_wr_uint(&p, 2);
	bulla_cbor_wr_bytes(&p, BULLA_BYTES_ARRAY(component));
	bulla_cbor_wr_uint(&p, 5);
	bulla_cbor_wr_bytes(&p, BULLA_BYTES_ARRAY(signer));
	if (cca) {
		bulla_cbor_wr_uint(&p, 2401);
		bulla_cbor_wr_bytes(&p, bulla_bytes_of(signer, 4));
		bulla_cbor_wr_uint(&p, 2402);
		bulla_cbor_wr_str(&p, "sha-256");
	} else {
		bulla_cbor_wr_uint(&p, 2394);
		bulla_cbor_wr_uint(&p, 1);
	}
	if (lab->twice) {
		bulla_cbor_wr_int(&p, -75002);
		bulla_cbor_wr_uint(&p, lab->lifecycle);
	}
	if (lab->unknown) {
		bulla_cbor_wr_uint(&p, 9999);
		bulla_cbor_wr_uint(&p, 1);
	}
	assert_ok(bulla_wr_end(&p, &payload));
	payload = patched(lab->find, lab->put, payload);
	if (lab->cwt)
		bulla_cbor_wr_tag(w, 61);
	if (lab->mac)
		write_mac0(lab, w, payload);
	else
		write_sign1(w, lab->device, lab->alg, payload);
}

void arm_lab_open(struct arm_lab *lab, enum bulla_tee tee)
{
	*lab = (struct arm_lab){0};
	lab->device = pki_key("P-384");
	lab->realm = pki_key("P-384");
	lab->realm_point[0] = 4;
	pki_point(lab->realm, lab->realm_point + 1, 48);
	uint8_t *p = lab->spki;
	lab->spki_size = (size_t)i2d_PUBKEY(lab->device, &p);
	lab->id[0] = 1;
	lab->nonce[0] = 3;
	lab->lifecycle = 0x3000;
	lab->alg = BULLA_ES384;
	lab->profile = tee == BULLA_TEE_PSA ? "tag:psacertified.org,2023:psa#tfm" : "http://arm.com/CCA-SSD/1.0.0";
	lab->anchor = (struct bulla_attest_anchor){(uint8_t)tee, BULLA_ASSURANCE_HARDWARE, BULLA_ANCHOR_DEVICE,
		BULLA_BYTES_ARRAY(lab->id), bulla_bytes_of(lab->spki, lab->spki_size)};
	sample_policy(&lab->policy);
	lab->binding = sample_binding();
	lab->binding.binder = BULLA_EXPECT_BYTES(BULLA_BYTES_ARRAY(lab->nonce));
	bulla_buf_init(&lab->token, 16384);
}

void arm_lab_close(struct arm_lab *lab)
{
	EVP_PKEY_free(lab->device);
	EVP_PKEY_free(lab->realm);
	bulla_buf_done(&lab->token);
}

bulla_rc arm_lab_appraise(struct arm_lab *lab)
{
	struct bulla_attest_anchors anchors = {&lab->anchor, 1};

	const struct attest_case about = {.evidence = bulla_buf_view(&lab->token), .anchors = &anchors, .policy = &lab->policy,
		.binding = &lab->binding, .time = sample_time(1770000000)};
	bulla_rc rc = case_judge(lab->anchor.tee == BULLA_TEE_CCA ? "cca" : "psa", &about, &lab->result);
	sample_dump("arm", bulla_buf_view(&lab->token), &lab->result);
	return rc;
}

bulla_rc arm_lab_psa(struct arm_lab *lab)
{
	bulla_buf_clear(&lab->token);
	bulla_wr w = bulla_wr_buf(&lab->token);
	write_platform(lab, &w, BULLA_BYTES_ARRAY(lab->nonce));
	return arm_lab_appraise(lab);
}

static void write_realm(struct arm_lab *lab, bulla_wr *w)
{
	uint8_t memory[2048], measurement[32] = {6};
	bulla_wr p = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes payload;

	bulla_cbor_wr_map(&p, 7);
	bulla_cbor_wr_uint(&p, 10);
	bulla_cbor_wr_bytes(&p, BULLA_BYTES_ARRAY(lab->nonce));
	bulla_cbor_wr_uint(&p, 44235);
	bulla_cbor_wr_bytes(&p, BULLA_BYTES_ARRAY(lab->nonce));
	bulla_cbor_wr_uint(&p, 44237);
	bulla_cbor_wr_bytes(&p, BULLA_BYTES_ARRAY(lab->realm_point));
	bulla_cbor_wr_uint(&p, 44238);
	bulla_cbor_wr_bytes(&p, BULLA_BYTES_ARRAY(measurement));
	bulla_cbor_wr_uint(&p, 44239);
	bulla_cbor_wr_array(&p, 4);
	for (unsigned i = 0; i < 4; i++)
		bulla_cbor_wr_bytes(&p, BULLA_BYTES_ARRAY(measurement));
	bulla_cbor_wr_uint(&p, 44240);
	bulla_cbor_wr_str(&p, "sha-256");
	bulla_cbor_wr_uint(&p, 44236);
	bulla_cbor_wr_str(&p, "sha-256");
	assert_ok(bulla_wr_end(&p, &payload));
	payload = patched(lab->realm_find, lab->realm_put, payload);
	write_sign1(w, lab->realm_signed_by_other ? lab->device : lab->realm, BULLA_ES384, payload);
}

static void write_half(const struct arm_lab *lab, bulla_wr *w, bulla_bytes token)
{
	const struct bulla_cmw record = {.content_format = lab->half_format, .value = token};

	if (lab->half_format != 0)
		bulla_cmw_write(w, &record);
	else
		bulla_cbor_wr_bytes(w, token);
}

void arm_lab_make_cca(struct arm_lab *lab)
{
	uint8_t platform_memory[4096], realm_memory[4096];
	bulla_wr pw = bulla_wr_fixed(platform_memory, sizeof(platform_memory));
	bulla_wr rw = bulla_wr_fixed(realm_memory, sizeof(realm_memory));
	bulla_bytes platform, realm;
	bulla_digest bound;

	bulla_sha256(BULLA_BYTES_ARRAY(lab->realm_point), &bound);
	if (lab->unbound)
		bound.b[0] ^= 1;
	write_platform(lab, &pw, bulla_bytes_digest(&bound));
	write_realm(lab, &rw);
	assert_ok(bulla_wr_end(&pw, &platform));
	assert_ok(bulla_wr_end(&rw, &realm));
	bulla_buf_clear(&lab->token);
	bulla_wr w = bulla_wr_buf(&lab->token);
	bulla_cbor_wr_tag(&w, 907);
	bulla_cbor_wr_map(&w, 2);
	bulla_cbor_wr_uint(&w, 44234);
	write_half(lab, &w, platform);
	bulla_cbor_wr_uint(&w, 44241);
	write_half(lab, &w, realm);
}

bulla_rc arm_lab_cca(struct arm_lab *lab)
{
	arm_lab_make_cca(lab);
	return arm_lab_appraise(lab);
}
