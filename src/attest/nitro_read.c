#include "attest/nitro.h"

#include "wire/cbor.h"

#define FIELD_MAX 1024      /* certificate and the three optional fields */
#define MODULE_ID_MAX 128
#define SIGNATURE_SIZE 96
#define PCR_SIZE 48
#define TOP_FIELDS 32

/* {1: -35}: ES384 and nothing else (all genuine documents) */
static const uint8_t protected_header[] = {0xa1, 0x01, 0x38, 0x22};

enum field { MODULE_ID, DIGEST, TIMESTAMP, PCRS, TPM_PCRS, CERTIFICATE, CABUNDLE, PUBLIC_KEY, USER_DATA, NONCE, FIELDS };

static const char *const names[FIELDS] = {"module_id", "digest", "timestamp", "pcrs", "nitrotpm_pcrs", "certificate",
	"cabundle", "public_key", "user_data", "nonce"};

struct reading {
	bulla_cbor_rd r;
	struct bulla_nitro_fields *doc;
	enum bulla_factor factor; /* the rule that broke, when it is not the encoding */
	unsigned seen;            /* bit per field */
};

static bulla_rc broken(struct reading *reading, enum bulla_factor factor)
{
	reading->factor = factor;
	return BULLA_FAIL(BULLA_E_EVIDENCE_FORMAT, "a field of a Nitro document breaks its rule");
}

static bulla_rc read_bounded(struct reading *reading, size_t least, size_t most, bulla_bytes *ret)
{
	bulla_bytes value;

	BULLA_TRY(bulla_cbor_rd_bytes(&reading->r, &value));
	if (value.n < least || value.n > most)
		return broken(reading, BULLA_FACTOR_FIELDS);
	*ret = value;
	return BULLA_OK;
}

static bulla_rc read_optional(struct reading *reading, bulla_bytes *ret)
{
	enum bulla_cbor_type type;

	BULLA_TRY(bulla_cbor_rd_peek(&reading->r, &type));
	if (type == BULLA_CBOR_NULL)
		return bulla_cbor_rd_null(&reading->r);
	return read_bounded(reading, 0, FIELD_MAX, ret);
}

static bulla_rc read_pcrs(struct reading *reading)
{
	struct bulla_cbor_map map;
	int64_t index;
	bulla_bytes value;

	BULLA_TRY(bulla_cbor_rd_map(&reading->r, BULLA_NITRO_REGISTERS, &map));
	while (bulla_cbor_map_more(&reading->r, &map)) {
		BULLA_TRY(bulla_cbor_rd_key_int(&reading->r, &map, &index));
		BULLA_TRY(bulla_cbor_rd_bytes(&reading->r, &value));
		if (index < 0 || index >= BULLA_NITRO_REGISTERS || value.n != PCR_SIZE)
			return broken(reading, BULLA_FACTOR_NITRO_PCRS);
		reading->doc->pcrs[index] = value;
	}
	return BULLA_OK;
}

static bulla_rc read_cabundle(struct reading *reading)
{
	struct bulla_nitro_fields *doc = reading->doc;
	size_t count;

	BULLA_TRY(bulla_cbor_rd_array(&reading->r, BULLA_NITRO_CHAIN_MAX, &count));
	if (count == 0)
		return broken(reading, BULLA_FACTOR_FIELDS);
	for (size_t i = 0; i < count; i++)
		BULLA_TRY(read_bounded(reading, 1, FIELD_MAX, &doc->cabundle[i]));
	doc->cabundle_count = count;
	return BULLA_OK;
}

static bulla_rc read_module_id(struct reading *reading)
{
	BULLA_TRY(bulla_cbor_rd_text(&reading->r, MODULE_ID_MAX, &reading->doc->module_id));
	return reading->doc->module_id.n > 0 ? BULLA_OK : broken(reading, BULLA_FACTOR_FIELDS);
}

static bulla_rc read_timestamp(struct reading *reading)
{
	BULLA_TRY(bulla_cbor_rd_uint_max(&reading->r, (uint64_t)INT64_MAX / 2, &reading->doc->timestamp_ms));
	return reading->doc->timestamp_ms > 0 ? BULLA_OK : broken(reading, BULLA_FACTOR_FIELDS);
}

static bulla_rc read_digest(struct reading *reading)
{
	BULLA_TRY(bulla_cbor_rd_text(&reading->r, 16, &reading->doc->digest));
	return bulla_bytes_eq_str(reading->doc->digest, "SHA384") ? BULLA_OK : broken(reading, BULLA_FACTOR_NITRO_DIGEST);
}

static bulla_rc read_value(struct reading *reading, enum field field)
{
	struct bulla_nitro_fields *doc = reading->doc;

	switch (field) {
	case MODULE_ID:
		return read_module_id(reading);
	case DIGEST:
		return read_digest(reading);
	case TIMESTAMP:
		return read_timestamp(reading);
	case TPM_PCRS:
		doc->tpm = true;
		return read_pcrs(reading);
	case PCRS:
		return read_pcrs(reading);
	case CERTIFICATE:
		return read_bounded(reading, 1, FIELD_MAX, &doc->certificate);
	case CABUNDLE:
		return read_cabundle(reading);
	case PUBLIC_KEY:
		return read_optional(reading, &doc->public_key);
	case USER_DATA:
		return read_optional(reading, &doc->user_data);
	case NONCE:
		return read_optional(reading, &doc->nonce);
	case FIELDS:
		break;
	}
	return BULLA_E_ARGUMENT;
}

static bulla_rc read_field(struct reading *reading, struct bulla_cbor_map *map)
{
	size_t at = reading->r.rd.at;
	bulla_bytes key, ignored;

	BULLA_TRY(bulla_cbor_rd_key_text(&reading->r, map, &key));
	for (unsigned i = 0; i < FIELDS; i++)
		if (bulla_bytes_eq_str(key, names[i])) {
			reading->seen |= 1u << i;
			return read_value(reading, (enum field)i);
		}
	if (reading->doc->unknown++ == 0)
		reading->doc->unknown_at = at;
	return bulla_cbor_rd_skip(&reading->r, &ignored);
}

static bulla_rc read_payload(struct reading *reading)
{
	const unsigned always = 1u << MODULE_ID | 1u << DIGEST | 1u << TIMESTAMP | 1u << CERTIFICATE | 1u << CABUNDLE;
	struct bulla_cbor_map map;

	BULLA_TRY(bulla_cbor_rd_map(&reading->r, TOP_FIELDS, &map));
	while (bulla_cbor_map_more(&reading->r, &map))
		BULLA_TRY(read_field(reading, &map));
	BULLA_TRY(bulla_cbor_rd_end(&reading->r));
	bool pcrs = (reading->seen >> PCRS & 1) != 0, tpm = (reading->seen >> TPM_PCRS & 1) != 0;
	if ((reading->seen & always) != always || pcrs == tpm)
		return broken(reading, BULLA_FACTOR_FIELDS);
	return BULLA_OK;
}

static bulla_rc read_protected(bulla_cbor_rd *r, struct bulla_nitro_fields *doc, enum bulla_factor *ret_factor)
{
	BULLA_TRY(bulla_cbor_rd_bytes(r, &doc->protected_raw));
	if (bulla_bytes_eq(doc->protected_raw, BULLA_BYTES_ARRAY(protected_header)))
		return BULLA_OK;
	*ret_factor = BULLA_FACTOR_ALGORITHM;
	return BULLA_FAIL(BULLA_E_EVIDENCE_FORMAT, "the protected header is not {1: -35}");
}

static bulla_rc read_cose(bulla_cbor_rd *r, struct bulla_nitro_fields *doc, enum bulla_factor *ret_factor)
{
	enum bulla_cbor_type type;

	BULLA_TRY(bulla_cbor_rd_peek(r, &type));
	if (type == BULLA_CBOR_TAG)
		BULLA_TRY(bulla_cbor_rd_expect_tag(r, 18));
	BULLA_TRY(bulla_cbor_rd_expect_array(r, 4));
	BULLA_TRY(read_protected(r, doc, ret_factor));
	BULLA_TRY(bulla_cbor_rd_expect_map(r, 0));
	BULLA_TRY(bulla_cbor_rd_bytes(r, &doc->payload));
	BULLA_TRY(bulla_cbor_rd_bytes(r, &doc->signature));
	BULLA_TRY(bulla_cbor_rd_end(r));
	if (doc->signature.n == SIGNATURE_SIZE)
		return BULLA_OK;
	*ret_factor = BULLA_FACTOR_SIGNATURE_RANGE;
	return BULLA_FAIL(BULLA_E_EVIDENCE_FORMAT, "the signature has not 96 bytes");
}

/* The encoding's rule that an rc stands for. */
static enum bulla_factor factor_of(bulla_rc rc)
{
	if (rc == BULLA_E_TRAILING)
		return BULLA_FACTOR_TRAILING;
	if (rc == BULLA_E_TRUNCATED)
		return BULLA_FACTOR_SIZE;
	if (rc == BULLA_E_DUPLICATE || rc == BULLA_E_LIMIT)
		return BULLA_FACTOR_FIELDS;
	return BULLA_FACTOR_ENCODING;
}

bulla_rc bulla_nitro_read(bulla_bytes document, struct bulla_nitro_fields *ret, size_t *ret_at,
	enum bulla_factor *ret_factor)
{
	const struct bulla_cbor_options options = {.indefinite_top_map = true, .unordered_keys = true};
	bulla_cbor_rd outer = bulla_cbor_rd_of(document);
	enum bulla_factor factor = BULLA_FACTOR_COUNT;
	struct bulla_nitro_fields doc = {0};

	if (document.n > BULLA_NITRO_SIZE_MAX) {
		*ret_factor = BULLA_FACTOR_SIZE;
		return BULLA_FAIL(BULLA_E_LIMIT, "a Nitro document is larger than any can be");
	}
	bulla_rc rc = read_cose(&outer, &doc, &factor);
	size_t at = outer.rd.at;
	if (rc == BULLA_OK) {
		struct reading reading = {bulla_cbor_rd_with(doc.payload, options), &doc, BULLA_FACTOR_COUNT, 0};
		rc = read_payload(&reading);
		factor = reading.factor;
		at = (size_t)(doc.payload.p - document.p) + reading.r.rd.at;
	}
	if (rc != BULLA_OK) {
		*ret_at = at;
		*ret_factor = factor != BULLA_FACTOR_COUNT ? factor : factor_of(rc);
		return rc;
	}
	*ret = doc;
	return BULLA_OK;
}
