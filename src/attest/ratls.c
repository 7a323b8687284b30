#include "attest/ratls.h"

#include "attest/der.h"
#include "crypto/hash.h"
#include "wire/cbor.h"

#define TAG_TCG_QUOTE 60000
#define QUOTE_MAX 65536
#define UTF8_STRING 0x0c

/* IANA Named Information hash algorithms (RFC 6920) */
#define HASH_SHA256 1
#define HASH_SHA384 7
#define HASH_SHA512 8

const bulla_bytes bulla_oid_cmw = {(const uint8_t *)"\x2b\x06\x01\x05\x05\x07\x01\x23", 8};
const bulla_bytes bulla_oid_ratls = {(const uint8_t *)"\x67\x81\x05\x05\x04\x09", 6};

static void write_octets_head(bulla_wr *w, size_t size)
{
	bulla_wr_u8(w, BULLA_DER_OCTETS);
	if (size >= 0x10000) {
		bulla_wr_u8(w, 0x83);
		bulla_wr_u8(w, (uint8_t)(size >> 16));
		bulla_wr_u16be(w, (uint16_t)size);
	} else if (size >= 0x100) {
		bulla_wr_u8(w, 0x82);
		bulla_wr_u16be(w, (uint16_t)size);
	} else {
		if (size >= 0x80)
			bulla_wr_u8(w, 0x81);
		bulla_wr_u8(w, (uint8_t)size);
	}
}

void bulla_cmw_extension_write(bulla_wr *w, const struct bulla_cmw *record)
{
	BULLA_AUTO_BUF buf;
	bulla_bytes cbor;

	bulla_buf_init(&buf, 1 << 20);
	bulla_wr b = bulla_wr_buf(&buf);
	bulla_cmw_write(&b, record);
	bulla_rc rc = bulla_wr_end(&b, &cbor);
	if (rc != BULLA_OK) {
		bulla_wr_fail(w, rc);
		return;
	}
	write_octets_head(w, cbor.n);
	bulla_wr_bytes(w, cbor);
}

static bulla_rc read_extension(const struct bulla_cert *cert, uint8_t *ret_tag, bulla_bytes *ret)
{
	bulla_bytes value;
	bool critical;

	BULLA_TRY(bulla_cert_extension(cert, bulla_oid_cmw, &value, &critical));
	bulla_rd r = bulla_rd_of(value);
	BULLA_TRY(bulla_der_any(&r, ret_tag, ret));
	return bulla_rd_end(&r);
}

bulla_rc bulla_cmw_extension_cbor(const struct bulla_cert *cert, bulla_bytes *ret)
{
	bulla_bytes content;
	uint8_t tag;

	BULLA_TRY(read_extension(cert, &tag, &content));
	if (tag == UTF8_STRING)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the message wrapper is in its JSON form");
	if (tag != BULLA_DER_OCTETS)
		return BULLA_FAIL(BULLA_E_FORMAT, "the message wrapper is neither CBOR nor JSON");
	*ret = content;
	return BULLA_OK;
}

bulla_rc bulla_cmw_extension_read(const struct bulla_cert *cert, struct bulla_cmw *ret)
{
	bulla_bytes content;

	BULLA_TRY(bulla_cmw_extension_cbor(cert, &content));
	return bulla_cmw_parse(content, ret);
}

bulla_rc bulla_cmw_extension_text(const struct bulla_cert *cert, bulla_bytes *ret)
{
	bulla_bytes content;
	uint8_t tag;

	BULLA_TRY(read_extension(cert, &tag, &content));
	if (tag != UTF8_STRING)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the message wrapper is not in its JSON form");
	*ret = content;
	return BULLA_OK;
}

void bulla_ratls_claims_write(bulla_wr *w, bulla_bytes spki, bulla_bytes nonce)
{
	bulla_digest digest;

	bulla_sha256(spki, &digest);
	bulla_cbor_wr_map(w, nonce.n > 0 ? 2 : 1);
	if (nonce.n > 0) {
		bulla_cbor_wr_str(w, "nonce");
		bulla_cbor_wr_bytes(w, nonce);
	}
	bulla_cbor_wr_str(w, "pubkey-hash");
	bulla_cbor_wr_bytes_head(w, 1 + 1 + 2 + 32); /* [1, h'..'] */
	bulla_cbor_wr_array(w, 2);
	bulla_cbor_wr_uint(w, HASH_SHA256);
	bulla_cbor_wr_digest(w, &digest);
}

void bulla_ratls_report_data(bulla_bytes claims, uint8_t ret[64])
{
	bulla_digest digest;

	bulla_sha256(claims, &digest);
	bulla_zero(ret, 64);
	bulla_copy(ret, digest.b, sizeof(digest.b));
}

void bulla_ratls_write(bulla_wr *w, const struct bulla_ratls *evidence)
{
	bulla_cbor_wr_tag(w, TAG_TCG_QUOTE);
	bulla_cbor_wr_array(w, 2);
	bulla_cbor_wr_bytes(w, evidence->quote);
	bulla_cbor_wr_bytes(w, evidence->claims);
}

bulla_rc bulla_ratls_read(bulla_bytes value, struct bulla_ratls *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(value);
	struct bulla_ratls evidence;

	BULLA_TRY(bulla_cbor_rd_expect_tag(&r, TAG_TCG_QUOTE));
	BULLA_TRY(bulla_cbor_rd_expect_array(&r, 2));
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, QUOTE_MAX, &evidence.quote));
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, BULLA_RATLS_CLAIMS_MAX, &evidence.claims));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	*ret = evidence;
	return BULLA_OK;
}

bulla_rc bulla_ratls_from_cert(const struct bulla_cert *cert, struct bulla_ratls *ret)
{
	bulla_bytes value;
	bool critical;

	BULLA_TRY(bulla_cert_extension(cert, bulla_oid_ratls, &value, &critical));
	return bulla_ratls_read(value, ret);
}

static bool hash_matches(uint64_t algorithm, bulla_bytes hash, bulla_bytes spki)
{
	uint8_t bytes[BULLA_SHA512_SIZE];
	bulla_digest digest;

	if (algorithm == HASH_SHA256) {
		bulla_sha256(spki, &digest);
		return bulla_bytes_eq(hash, bulla_bytes_digest(&digest));
	}
	if (algorithm == HASH_SHA384) {
		bulla_sha384(spki, bytes);
		return bulla_bytes_eq(hash, bulla_bytes_of(bytes, BULLA_SHA384_SIZE));
	}
	bulla_sha512(spki, bytes);
	return algorithm == HASH_SHA512 && bulla_bytes_eq(hash, BULLA_BYTES_ARRAY(bytes));
}

static bulla_rc check_key(bulla_bytes value, bulla_bytes spki)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(value);
	uint64_t algorithm;
	bulla_bytes hash;

	BULLA_TRY(bulla_cbor_rd_expect_array(&r, 2));
	BULLA_TRY(bulla_cbor_rd_uint(&r, &algorithm));
	BULLA_TRY(bulla_cbor_rd_bytes(&r, &hash));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	return hash_matches(algorithm, hash, spki) ? BULLA_OK :
		BULLA_FAIL(BULLA_E_BINDER, "the claims name another key");
}

bulla_rc bulla_ratls_check(bulla_bytes claims, bulla_bytes spki, bulla_bytes nonce)
{
	bulla_cbor_rd r = bulla_cbor_rd_with(claims, (struct bulla_cbor_options){.unordered_keys = true});
	bulla_bytes key, value, found_nonce = {NULL, 0};
	struct bulla_cbor_map map;
	bool named = false;

	BULLA_TRY(bulla_cbor_rd_map(&r, 8, &map));
	while (bulla_cbor_map_more(&r, &map)) {
		BULLA_TRY(bulla_cbor_rd_key_text(&r, &map, &key));
		if (bulla_bytes_eq_str(key, "pubkey-hash")) {
			BULLA_TRY(bulla_cbor_rd_bytes(&r, &value));
			BULLA_TRY(check_key(value, spki));
			named = true;
		} else if (bulla_bytes_eq_str(key, "nonce")) {
			BULLA_TRY(bulla_cbor_rd_bytes(&r, &found_nonce));
		} else {
			BULLA_TRY(bulla_cbor_rd_skip(&r, &value));
		}
	}
	BULLA_TRY(bulla_cbor_rd_end(&r));
	if (!named)
		return BULLA_FAIL(BULLA_E_BINDER, "the claims name no key");
	if (nonce.n > 0 && !bulla_bytes_eq(nonce, found_nonce))
		return BULLA_FAIL(BULLA_E_BINDER, "the claims have another nonce");
	return BULLA_OK;
}
