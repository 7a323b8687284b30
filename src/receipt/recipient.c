#include "receipt/recipient.h"

#include "cose/cmw.h"
#include "crypto/hash.h"
#include "receipt/fixed.h"

enum { RECIPIENT_ITEMS = 4, RECIPIENT_VERSION = 1 };

void bulla_release_challenge(const bulla_digest *channel, const uint8_t salt[BULLA_RECIPIENT_SALT], uint8_t ret[32])
{
	uint8_t text[15 + sizeof(bulla_digest) + BULLA_RECIPIENT_SALT] = "bulla/1 release";
	bulla_digest digest;

	bulla_copy(text + 15, channel->b, sizeof(channel->b));
	bulla_copy(text + 15 + sizeof(channel->b), salt, BULLA_RECIPIENT_SALT);
	bulla_sha256(BULLA_BYTES_ARRAY(text), &digest);
	bulla_copy(ret, digest.b, sizeof(digest.b));
}

bulla_rc bulla_recipient_write(const struct bulla_recipient *recipient, struct bulla_buf *scratch, struct bulla_buf *ret)
{
	struct bulla_cmw record = {.media_type = BULLA_BYTES_LITERAL(BULLA_RECIPIENT_TYPE), .ind = BULLA_CMW_EVIDENCE};
	bulla_bytes ignored;
	bulla_wr w;

	bulla_buf_clear(scratch);
	w = bulla_wr_buf(scratch);
	bulla_cbor_wr_array(&w, RECIPIENT_ITEMS);
	bulla_cbor_wr_uint(&w, RECIPIENT_VERSION);
	bulla_cbor_wr_bytes(&w, recipient->spki);
	bulla_cbor_wr_bytes(&w, BULLA_BYTES_ARRAY(recipient->salt));
	BULLA_TRY(bulla_instance_write(&w, &recipient->instance));
	BULLA_TRY(bulla_wr_end(&w, &record.value));
	w = bulla_wr_buf(ret);
	bulla_cmw_write(&w, &record);
	return bulla_wr_end(&w, &ignored);
}

bool bulla_recipient_is(bulla_bytes message)
{
	struct bulla_cmw record;

	return bulla_cmw_parse(message, &record) == BULLA_OK &&
		bulla_bytes_eq_str(record.media_type, BULLA_RECIPIENT_TYPE);
}

bulla_rc bulla_recipient_decode(bulla_bytes message, struct bulla_recipient *ret)
{
	struct bulla_recipient recipient;
	struct bulla_cmw record;
	bulla_bytes instance;
	bulla_cbor_rd r;

	BULLA_TRY(bulla_cmw_parse(message, &record));
	if (!bulla_bytes_eq_str(record.media_type, BULLA_RECIPIENT_TYPE) || record.ind != BULLA_CMW_EVIDENCE)
		return BULLA_FAIL(BULLA_E_FORMAT, "a wrapped message is no recipient");
	r = bulla_cbor_rd_of(record.value);
	BULLA_TRY(bulla_fixed_rd_version(&r, RECIPIENT_ITEMS, RECIPIENT_VERSION));
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, BULLA_RECIPIENT_SPKI_MAX, &recipient.spki));
	BULLA_TRY(bulla_cbor_rd_copy(&r, sizeof(recipient.salt), recipient.salt));
	BULLA_TRY(bulla_cbor_rd_skip(&r, &instance));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	BULLA_TRY(bulla_instance_decode(instance, &recipient.instance));
	*ret = recipient;
	return BULLA_OK;
}
