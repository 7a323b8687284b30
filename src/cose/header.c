#include "cose/header.h"

#include "cose/sign1.h"

#define LABEL_ALG 1
#define LABEL_CONTENT_TYPE 3
#define LABEL_KID 4

static bulla_rc read_field(bulla_cbor_rd *r, int64_t label, struct cose_header *header)
{
	switch (label) {
	case LABEL_ALG:
		return bulla_cbor_rd_int(r, &header->alg);
	case LABEL_CONTENT_TYPE:
		return bulla_cbor_rd_text(r, COSE_CONTENT_TYPE_MAX, &header->content_type);
	case LABEL_KID:
		return bulla_cbor_rd_bytes_max(r, COSE_KID_MAX, &header->kid);
	default:
		return BULLA_FAIL(BULLA_E_FORMAT, "a protected header has a label that is not understood");
	}
}

bulla_rc bulla_cose_header_read(bulla_bytes protected_raw, struct cose_header *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(protected_raw);
	struct cose_header header = {.alg = 0};
	struct bulla_cbor_map map;
	int64_t label;

	BULLA_TRY(bulla_cbor_rd_map(&r, 3, &map));
	while (bulla_cbor_map_more(&r, &map)) {
		BULLA_TRY(bulla_cbor_rd_key_int(&r, &map, &label));
		BULLA_TRY(read_field(&r, label, &header));
	}
	BULLA_TRY(bulla_cbor_rd_end(&r));
	if (header.alg == 0) /* 0 is reserved (RFC 9053) */
		return BULLA_FAIL(BULLA_E_FORMAT, "a protected header names no algorithm");
	*ret = header;
	return BULLA_OK;
}

void bulla_cose_header_write(bulla_wr *w, const struct cose_header *header)
{
	bulla_cbor_wr_map(w, 1u + (header->content_type.n > 0 ? 1 : 0) + (header->kid.n > 0 ? 1 : 0));
	bulla_cbor_wr_uint(w, LABEL_ALG);
	bulla_cbor_wr_int(w, header->alg);
	if (header->content_type.n > 0) {
		bulla_cbor_wr_uint(w, LABEL_CONTENT_TYPE);
		bulla_cbor_wr_text(w, header->content_type);
	}
	if (header->kid.n > 0) {
		bulla_cbor_wr_uint(w, LABEL_KID);
		bulla_cbor_wr_bytes(w, header->kid);
	}
}

bulla_rc bulla_cose_message_read(bulla_bytes message, uint64_t tag, struct cose_message *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(message);
	struct cose_message found = {.seal = {NULL, 0}};
	enum bulla_cbor_type type, unprotected;
	bulla_bytes raw;

	BULLA_TRY(bulla_cbor_rd_peek(&r, &type));
	if (type == BULLA_CBOR_TAG)
		BULLA_TRY(bulla_cbor_rd_expect_tag(&r, tag));
	BULLA_TRY(bulla_cbor_rd_expect_array(&r, 4));
	BULLA_TRY(bulla_cbor_rd_bytes(&r, &found.protected_raw));
	BULLA_TRY(bulla_cbor_rd_peek(&r, &unprotected));
	BULLA_TRY(bulla_cbor_rd_skip(&r, &raw));
	if (unprotected != BULLA_CBOR_MAP)
		return BULLA_FAIL(BULLA_E_FORMAT, "an unprotected header is no map");
	found.unprotected = raw;
	BULLA_TRY(bulla_cbor_rd_bytes(&r, &found.payload));
	BULLA_TRY(bulla_cbor_rd_bytes(&r, &found.seal));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	BULLA_TRY(bulla_cose_header_read(found.protected_raw, &found.header));
	*ret = found;
	return BULLA_OK;
}

bulla_rc bulla_cose_message_parse(bulla_bytes message, uint64_t tag, struct bulla_sign1 *ret)
{
	struct cose_message found;

	BULLA_TRY(bulla_cose_message_read(message, tag, &found));
	*ret = (struct bulla_sign1){
		.protected_raw = found.protected_raw,
		.unprotected = found.unprotected,
		.payload = found.payload,
		.signature = found.seal,
		.content_type = found.header.content_type,
		.kid = found.header.kid,
		.alg = found.header.alg,
	};
	return BULLA_OK;
}

bulla_rc bulla_cose_message_ours(bulla_bytes message, const char *content_type, struct cose_message *ret)
{
	struct cose_message found;

	if (message.n == 0 || message.p[0] != 0x84)
		return BULLA_FAIL(BULLA_E_FORMAT, "not an array of four without a tag");
	BULLA_TRY(bulla_cose_message_read(message, 0, &found));
	if (found.unprotected.n != 1)
		return BULLA_FAIL(BULLA_E_FORMAT, "an unprotected header is not empty");
	if (!bulla_bytes_eq_str(found.header.content_type, content_type))
		return BULLA_FAIL(BULLA_E_FORMAT, "a signed or MACed thing is of another kind");
	*ret = found;
	return BULLA_OK;
}

bulla_rc bulla_cose_prefix(const char *context, bulla_bytes protected_raw, bulla_bytes aad, size_t payload,
	uint8_t memory[COSE_PREFIX_MAX], bulla_bytes *ret)
{
	bulla_wr w = bulla_wr_fixed(memory, COSE_PREFIX_MAX);

	bulla_cbor_wr_array(&w, 4);
	bulla_cbor_wr_str(&w, context);
	bulla_cbor_wr_bytes(&w, protected_raw);
	bulla_cbor_wr_bytes(&w, aad);
	bulla_cbor_wr_bytes_head(&w, payload);
	return bulla_wr_end(&w, ret);
}
