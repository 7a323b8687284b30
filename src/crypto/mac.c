#include "crypto/mac.h"

#define BLOCK 64

/* RFC 2104: keys longer than a block are hashed first. */
void bulla_hmac_init(struct bulla_hmac *hmac, bulla_bytes key)
{
	uint8_t pad[BLOCK] = {0};
	bulla_digest shorter;

	if (key.n > BLOCK) {
		bulla_sha256(key, &shorter);
		key = bulla_bytes_digest(&shorter);
	}
	bulla_copy(pad, key.p, key.n);
	for (size_t i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36;
	bulla_sha256_init(&hmac->inner);
	bulla_sha256_add(&hmac->inner, BULLA_BYTES_ARRAY(pad));
	for (size_t i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	bulla_sha256_init(&hmac->outer);
	bulla_sha256_add(&hmac->outer, BULLA_BYTES_ARRAY(pad));
	bulla_wipe(pad, sizeof(pad));
}

void bulla_hmac_add(struct bulla_hmac *hmac, bulla_bytes bytes)
{
	bulla_sha256_add(&hmac->inner, bytes);
}

void bulla_hmac_end(struct bulla_hmac *hmac, bulla_digest *ret)
{
	bulla_digest inner;

	bulla_sha256_end(&hmac->inner, &inner);
	bulla_sha256_add(&hmac->outer, bulla_bytes_digest(&inner));
	bulla_sha256_end(&hmac->outer, ret);
	bulla_wipe(&inner, sizeof(inner));
}

void bulla_mac_parts(bulla_secret key, const bulla_bytes *parts, size_t count, bulla_digest *ret)
{
	struct bulla_hmac hmac;

	bulla_hmac_init(&hmac, bulla_secret_view(key));
	for (size_t i = 0; i < count; i++)
		bulla_hmac_add(&hmac, parts[i]);
	bulla_hmac_end(&hmac, ret);
}

void bulla_mac(bulla_secret key, bulla_bytes message, bulla_digest *ret)
{
	bulla_mac_parts(key, &message, 1, ret);
}

bulla_rc bulla_mac_verify_parts(bulla_secret key, const bulla_bytes *parts, size_t count, bulla_bytes tag)
{
	bulla_digest right;
	bool same;

	bulla_mac_parts(key, parts, count, &right);
	same = bulla_bytes_eq_ct(bulla_bytes_digest(&right), tag);
	bulla_wipe(&right, sizeof(right));
	if (!same)
		return BULLA_FAIL(BULLA_E_MAC, "a MAC does not verify");
	return BULLA_OK;
}

bulla_rc bulla_mac_verify(bulla_secret key, bulla_bytes message, bulla_bytes tag)
{
	return bulla_mac_verify_parts(key, &message, 1, tag);
}
