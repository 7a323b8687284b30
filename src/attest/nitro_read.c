#include "attest/nitro.h"

#include "attest/form.h"
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
	struct bulla_form_fault fault; /* in the payload, when it is not the encoding; without text: none */
	unsigned seen;                 /* bit per field */
};

/* at: where the field's value begins */
static bulla_rc broken(struct reading *reading, enum bulla_factor factor, size_t at, const char *text)
{
	reading->fault = (struct bulla_form_fault){factor, at, text};
	return BULLA_FAIL(BULLA_E_EVIDENCE_FORMAT, "a field of a Nitro document breaks its rule");
}

static bulla_rc read_bounded(struct reading *reading, size_t least, size_t most, bulla_bytes *ret)
{
	size_t at = reading->r.rd.at;
	bulla_bytes value;

	BULLA_TRY(bulla_cbor_rd_bytes(&reading->r, &value));
	if (value.n < least || value.n > most)
		return broken(reading, BULLA_FACTOR_FIELDS, at, "a field is empty, or longer than it may be");
	*ret = value;
	return BULLA_OK;
}

static bulla_rc read_optional(struct reading *reading, bulla_bytes *ret)
{
	enum bulla_cbor_type type;

	BULLA_TRY(bulla_cbor_rd_peek(&reading->r, &type));
	if (type == BULLA_CBOR_NULL) {
		*ret = bulla_bytes_of(reading->r.rd.p + reading->r.rd.at, 0);
		return bulla_cbor_rd_null(&reading->r);
	}
	return read_bounded(reading, 0, FIELD_MAX, ret);
}

static bulla_rc read_pcrs(struct reading *reading)
{
	struct bulla_cbor_map map;
	int64_t index;
	bulla_bytes value;

	BULLA_TRY(bulla_cbor_rd_map(&reading->r, BULLA_NITRO_REGISTERS, &map));
	while (bulla_cbor_map_more(&reading->r, &map)) {
		size_t at = reading->r.rd.at;

		BULLA_TRY(bulla_cbor_rd_key_int(&reading->r, &map, &index));
		BULLA_TRY(bulla_cbor_rd_bytes(&reading->r, &value));
		if (index < 0 || index >= BULLA_NITRO_REGISTERS || value.n != PCR_SIZE)
			return broken(reading, BULLA_FACTOR_NITRO_PCRS, at, "a register's number or size is out of bounds");
		reading->doc->pcrs[index] = value;
	}
	return BULLA_OK;
}

static bulla_rc read_cabundle(struct reading *reading)
{
	struct bulla_nitro_fields *doc = reading->doc;
	size_t count, at = reading->r.rd.at;

	BULLA_TRY(bulla_cbor_rd_array(&reading->r, BULLA_NITRO_CHAIN_MAX, &count));
	if (count == 0)
		return broken(reading, BULLA_FACTOR_FIELDS, at, "the certificate bundle is empty");
	for (size_t i = 0; i < count; i++)
		BULLA_TRY(read_bounded(reading, 1, FIELD_MAX, &doc->cabundle[i]));
	doc->cabundle_count = count;
	return BULLA_OK;
}

static bulla_rc read_module_id(struct reading *reading)
{
	size_t at = reading->r.rd.at;

	BULLA_TRY(bulla_cbor_rd_text(&reading->r, MODULE_ID_MAX, &reading->doc->module_id));
	return reading->doc->module_id.n > 0 ? BULLA_OK :
		broken(reading, BULLA_FACTOR_FIELDS, at, "the module id is empty");
}

static bulla_rc read_timestamp(struct reading *reading)
{
	size_t at = reading->r.rd.at;

	BULLA_TRY(bulla_cbor_rd_uint_max(&reading->r, (uint64_t)INT64_MAX / 2, &reading->doc->timestamp_ms));
	return reading->doc->timestamp_ms > 0 ? BULLA_OK :
						broken(reading, BULLA_FACTOR_FIELDS, at, "the document's time is zero");
}

static bulla_rc read_digest(struct reading *reading)
{
	size_t at = reading->r.rd.at;

	BULLA_TRY(bulla_cbor_rd_text(&reading->r, 16, &reading->doc->digest));
	return bulla_bytes_eq_str(reading->doc->digest, "SHA384") ?
		BULLA_OK :
		broken(reading, BULLA_FACTOR_NITRO_DIGEST, at, "the registers' digest is not SHA384");
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
		return broken(reading, BULLA_FACTOR_FIELDS, 0, "a mandatory field is missing, or both kinds of registers are there");
	return BULLA_OK;
}

static bulla_rc read_cose(bulla_bytes document, struct bulla_nitro_fields *doc, struct bulla_form_fault *ret_fault)
{
	struct bulla_sign1 cose;

	if (document.n > BULLA_NITRO_SIZE_MAX) {
		*ret_fault = (struct bulla_form_fault){BULLA_FACTOR_SIZE, BULLA_NITRO_SIZE_MAX,
			"a Nitro document is larger than any can be"};
		return BULLA_FAIL(BULLA_E_LIMIT, "a Nitro document is larger than any can be");
	}
	BULLA_TRY(bulla_form_cose(document, 18, BULLA_BYTES_ARRAY(protected_header), &cose, ret_fault));
	if (cose.signature.n != SIGNATURE_SIZE) {
		*ret_fault = (struct bulla_form_fault){BULLA_FACTOR_SIGNATURE_RANGE, (size_t)(cose.signature.p - document.p),
			"the signature has not 96 bytes"};
		return BULLA_FAIL(BULLA_E_EVIDENCE_FORMAT, "the signature has not 96 bytes");
	}
	doc->protected_raw = cose.protected_raw;
	doc->payload = cose.payload;
	doc->signature = cose.signature;
	return BULLA_OK;
}

bulla_rc bulla_nitro_read(bulla_bytes document, struct bulla_nitro_fields *ret, struct bulla_form_fault *ret_fault)
{
	const struct bulla_cbor_options options = {.indefinite_top_map = true, .unordered_keys = true};
	struct bulla_nitro_fields doc = {0};

	BULLA_TRY(read_cose(document, &doc, ret_fault));
	doc.public_key = doc.user_data = doc.nonce = bulla_bytes_of(doc.payload.p, 0);
	struct reading reading = {.r = bulla_cbor_rd_with(doc.payload, options), .doc = &doc};
	bulla_rc rc = read_payload(&reading);
	if (rc == BULLA_OK) {
		*ret = doc;
		return BULLA_OK;
	}
	*ret_fault = reading.fault.text != NULL ? reading.fault : bulla_form_fault_of(rc, &reading.r, false);
	ret_fault->at += (size_t)(doc.payload.p - document.p);
	return rc;
}
