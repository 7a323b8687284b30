#include "cose/nitro_doc.h"

#include "wire/cbor.h"

#define MAP_INDEFINITE 0xbf
#define BREAK 0xff

static const uint8_t protected_header[] = {0xa1, 0x01, 0x38, 0x22}; /* {1: -35}: ES384 */

static void write_optional(bulla_wr *w, const char *key, bulla_bytes value)
{
	bulla_cbor_wr_str(w, key);
	if (value.n == 0)
		bulla_cbor_wr_null(w);
	else
		bulla_cbor_wr_bytes(w, value);
}

static void write_pcrs(bulla_wr *w, const struct bulla_nitro_doc *doc)
{
	unsigned count = 0;

	for (unsigned i = 0; i < BULLA_NITRO_PCRS; i++)
		count += doc->listed >> i & 1;
	bulla_cbor_wr_str(w, "pcrs");
	bulla_cbor_wr_map(w, count);
	for (unsigned i = 0; i < BULLA_NITRO_PCRS; i++) {
		if ((doc->listed >> i & 1) == 0)
			continue;
		bulla_cbor_wr_uint(w, i);
		bulla_cbor_wr_bytes(w, bulla_bytes_of(doc->pcrs[i], BULLA_NITRO_PCR_SIZE));
	}
}

/* Keys in the order of genuine documents, which is not the canonical one. */
static void write_payload(bulla_wr *w, const struct bulla_nitro_doc *doc)
{
	if (doc->definite)
		bulla_cbor_wr_map(w, 9);
	else
		bulla_wr_u8(w, MAP_INDEFINITE);
	bulla_cbor_wr_str(w, "module_id");
	bulla_cbor_wr_text(w, doc->module_id);
	bulla_cbor_wr_str(w, "digest");
	bulla_cbor_wr_str(w, "SHA384");
	bulla_cbor_wr_str(w, "timestamp");
	bulla_cbor_wr_uint(w, doc->timestamp_ms);
	write_pcrs(w, doc);
	bulla_cbor_wr_str(w, "certificate");
	bulla_cbor_wr_bytes(w, doc->certificate);
	bulla_cbor_wr_str(w, "cabundle");
	bulla_cbor_wr_array(w, doc->cabundle_count);
	for (size_t i = 0; i < doc->cabundle_count; i++)
		bulla_cbor_wr_bytes(w, doc->cabundle[i]);
	write_optional(w, "public_key", doc->public_key);
	write_optional(w, "user_data", doc->user_data);
	write_optional(w, "nonce", doc->nonce);
	if (!doc->definite)
		bulla_wr_u8(w, BREAK);
}

/* RFC 9052 section 4.4: Sig_structure of a COSE_Sign1 without external data. */
static bulla_rc sign_payload(struct bulla_sign_key *key, bulla_bytes payload, uint8_t ret[BULLA_ES384_SIZE])
{
	uint8_t head[64];
	bulla_wr w = bulla_wr_fixed(head, sizeof(head));
	bulla_bytes parts[2] = {{NULL, 0}, payload};

	bulla_cbor_wr_array(&w, 4);
	bulla_cbor_wr_str(&w, "Signature1");
	bulla_cbor_wr_bytes(&w, BULLA_BYTES_ARRAY(protected_header));
	bulla_cbor_wr_bytes(&w, (bulla_bytes){NULL, 0});
	bulla_cbor_wr_bytes_head(&w, payload.n);
	BULLA_TRY(bulla_wr_end(&w, &parts[0]));
	return bulla_sign_parts(key, parts, 2, ret);
}

bulla_rc bulla_nitro_doc_write(const struct bulla_nitro_doc *doc, struct bulla_sign_key *key, struct bulla_buf *ret)
{
	BULLA_AUTO_BUF payload;
	uint8_t signature[BULLA_ES384_SIZE];
	bulla_bytes bytes, ignored;
	bulla_wr w;

	bulla_buf_init(&payload, BULLA_NITRO_DOC_MAX);
	if (bulla_sign_key_alg(key) != BULLA_ES384)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "Nitro documents are signed with P-384 keys");
	w = bulla_wr_buf(&payload);
	write_payload(&w, doc);
	BULLA_TRY(bulla_wr_end(&w, &bytes));
	BULLA_TRY(sign_payload(key, bytes, signature));
	w = bulla_wr_buf(ret);
	bulla_cbor_wr_array(&w, 4);
	bulla_cbor_wr_bytes(&w, BULLA_BYTES_ARRAY(protected_header));
	bulla_cbor_wr_map(&w, 0);
	bulla_cbor_wr_bytes(&w, bytes);
	bulla_cbor_wr_bytes(&w, BULLA_BYTES_ARRAY(signature));
	return bulla_wr_end(&w, &ignored);
}
