#include "cose/mac0.h"

#include "cose/header.h"
#include "crypto/mac.h"

#define TAG_MAC0 17
#define ALG_HMAC_256 5 /* RFC 9053 section 3.1: HMAC 256/256 */

bulla_rc bulla_mac0_make(bulla_secret key, const char *content_type, bulla_bytes kid, bulla_bytes payload,
	struct bulla_buf *ret)
{
	const struct cose_header header = {ALG_HMAC_256, bulla_bytes_str(content_type), kid};
	uint8_t header_bytes[COSE_HEADER_MAX], memory[COSE_PREFIX_MAX];
	bulla_wr head = bulla_wr_fixed(header_bytes, sizeof(header_bytes)), out = bulla_wr_buf(ret);
	bulla_bytes parts[2] = {{NULL, 0}, payload}, protected_raw, written;
	bulla_digest tag;

	bulla_cose_header_write(&head, &header);
	BULLA_TRY(bulla_wr_end(&head, &protected_raw));
	BULLA_TRY(bulla_cose_prefix("MAC0", protected_raw, (bulla_bytes){NULL, 0}, payload.n, memory, &parts[0]));
	bulla_mac_parts(key, parts, 2, &tag);
	bulla_cbor_wr_array(&out, 4);
	bulla_cbor_wr_bytes(&out, protected_raw);
	bulla_cbor_wr_map(&out, 0);
	bulla_cbor_wr_bytes(&out, payload);
	bulla_cbor_wr_digest(&out, &tag);
	return bulla_wr_end(&out, &written);
}

bulla_rc bulla_mac0_open(bulla_bytes message, const char *content_type, bulla_bytes kid, bulla_secret key,
	bulla_bytes *ret_payload)
{
	uint8_t memory[COSE_PREFIX_MAX];
	struct cose_message ours;
	bulla_bytes parts[2];

	BULLA_TRY(bulla_cose_message_ours(message, content_type, &ours));
	if (ours.header.alg != ALG_HMAC_256)
		return BULLA_FAIL(BULLA_E_MAC, "a MAC is of another algorithm");
	if (!bulla_bytes_eq(ours.header.kid, kid))
		return BULLA_FAIL(BULLA_E_MAC, "a thing is MACed under another session");
	BULLA_TRY(bulla_cose_prefix("MAC0", ours.protected_raw, (bulla_bytes){NULL, 0}, ours.payload.n, memory, &parts[0]));
	parts[1] = ours.payload;
	BULLA_TRY(bulla_mac_verify_parts(key, parts, 2, ours.seal));
	*ret_payload = ours.payload;
	return BULLA_OK;
}

bulla_rc bulla_mac0_peek(bulla_bytes message, const char *content_type, bulla_bytes *ret_kid, bulla_bytes *ret_payload)
{
	struct cose_message ours;

	BULLA_TRY(bulla_cose_message_ours(message, content_type, &ours));
	*ret_kid = ours.header.kid;
	*ret_payload = ours.payload;
	return BULLA_OK;
}

bulla_rc bulla_mac0_parse(bulla_bytes message, struct bulla_sign1 *ret)
{
	return bulla_cose_message_parse(message, TAG_MAC0, ret);
}

bulla_rc bulla_mac0_verify(const struct bulla_sign1 *mac0, bulla_bytes key)
{
	uint8_t memory[COSE_PREFIX_MAX];
	struct bulla_hmac hmac;
	bulla_bytes prefix;
	bulla_digest tag;

	if (mac0->alg != ALG_HMAC_256)
		return BULLA_FAIL(BULLA_E_MAC, "a MAC is of another algorithm");
	BULLA_TRY(bulla_cose_prefix("MAC0", mac0->protected_raw, (bulla_bytes){NULL, 0}, mac0->payload.n, memory, &prefix));
	bulla_hmac_init(&hmac, key);
	bulla_hmac_add(&hmac, prefix);
	bulla_hmac_add(&hmac, mac0->payload);
	bulla_hmac_end(&hmac, &tag);
	return bulla_bytes_eq_ct(mac0->signature, bulla_bytes_digest(&tag)) ? BULLA_OK :
		BULLA_FAIL(BULLA_E_MAC, "a MAC does not verify");
}
