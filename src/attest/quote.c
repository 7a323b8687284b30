#include "attest/quote.h"

#include "base/rd.h"

#define TEE_SGX 0
#define TEE_TDX 0x81
#define KEY_P256 2
#define CERTIFICATION_QE_REPORT 6
#define AUTH_DATA_MAX 1024

/* Quoting services hand a TD's quote over in a zero-filled buffer for the longest one, and guests pass the whole buffer on
 * (seen: 5005, 5006, 5243 and 8000 bytes). Its rest is at least what a quote of version 5 with a TD report 1.5 has more (6 + 64),
 * less the zero that ends a PEM text; anything shorter, or in a quote of version 5, was appended. */
#define PADDING_LEAST 69

bulla_bytes bulla_quote_intel(void)
{
	static const uint8_t vendor[] = {0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07};

	return BULLA_BYTES_ARRAY(vendor);
}

struct reading {
	bulla_rd r;
	struct bulla_quote *quote;
	struct bulla_form_fault fault;
};

static bulla_rc broken(struct reading *reading, enum bulla_factor factor, size_t at, const char *text)
{
	reading->fault = (struct bulla_form_fault){factor, at, text};
	return BULLA_FAIL(BULLA_E_EVIDENCE_FORMAT, "a field of a DCAP quote breaks its rule");
}

static bulla_rc read_header(struct reading *reading)
{
	struct bulla_quote *quote = reading->quote;
	uint16_t key_type;
	uint32_t tee;

	BULLA_TRY(bulla_rd_u16le(&reading->r, &quote->version));
	if (quote->version < 3 || quote->version > 5)
		return broken(reading, BULLA_FACTOR_VERSION, 0, "the quote's version is not 3 to 5");
	BULLA_TRY(bulla_rd_u16le(&reading->r, &key_type));
	if (key_type != KEY_P256)
		return broken(reading, BULLA_FACTOR_ALGORITHM, 2, "the attestation key is not of P-256");
	BULLA_TRY(bulla_rd_u32le(&reading->r, &tee));
	if (tee != TEE_SGX && (tee != TEE_TDX || quote->version == 3))
		return broken(reading, BULLA_FACTOR_VERSION, 4, "the quote is of no TEE that its version knows");
	quote->tdx = tee == TEE_TDX;
	BULLA_TRY(bulla_rd_bytes(&reading->r, 4, &quote->reserved));
	BULLA_TRY(bulla_rd_bytes(&reading->r, 16, &quote->vendor));
	return bulla_rd_skip(&reading->r, 20);
}

static bulla_rc read_descriptor(struct reading *reading, size_t *ret_size)
{
	static const size_t sizes[] = {0, BULLA_SGX_BODY_SIZE, BULLA_TD10_BODY_SIZE, BULLA_TD15_BODY_SIZE};
	struct bulla_quote *quote = reading->quote;
	size_t at = reading->r.at;
	uint16_t type;
	uint32_t size;

	BULLA_TRY(bulla_rd_u16le(&reading->r, &type));
	BULLA_TRY(bulla_rd_u32le(&reading->r, &size));
	if (type < 1 || type > 3 || (type != 1) != quote->tdx)
		return broken(reading, BULLA_FACTOR_VERSION, at, "the body's type is not one of this TEE");
	if (size != sizes[type])
		return broken(reading, BULLA_FACTOR_SIZE, at + 2, "the body has another size than its type");
	quote->td15 = type == 3;
	*ret_size = size;
	return BULLA_OK;
}

static bulla_rc read_body(struct reading *reading)
{
	struct bulla_quote *quote = reading->quote;
	size_t size = quote->tdx ? BULLA_TD10_BODY_SIZE : BULLA_SGX_BODY_SIZE;

	if (quote->version == 5)
		BULLA_TRY(read_descriptor(reading, &size));
	BULLA_TRY(bulla_rd_bytes(&reading->r, size, &quote->body));
	quote->signed_part = bulla_bytes_of(reading->r.p, reading->r.at);
	return BULLA_OK;
}

/* QE report, its signature, authentication data, certification data: to the very end. */
static bulla_rc read_certification(struct reading *reading)
{
	struct bulla_quote *quote = reading->quote;
	uint16_t auth_size;
	uint32_t size;

	BULLA_TRY(bulla_rd_bytes(&reading->r, BULLA_SGX_BODY_SIZE, &quote->qe_report));
	BULLA_TRY(bulla_rd_bytes(&reading->r, 64, &quote->qe_signature));
	BULLA_TRY(bulla_rd_u16le(&reading->r, &auth_size));
	if (auth_size > AUTH_DATA_MAX)
		return broken(reading, BULLA_FACTOR_FIELDS, reading->r.at - 2, "the authentication data is longer than it may be");
	BULLA_TRY(bulla_rd_bytes(&reading->r, auth_size, &quote->qe_auth_data));
	quote->certification_at = reading->r.at;
	BULLA_TRY(bulla_rd_u16le(&reading->r, &quote->certification_type));
	BULLA_TRY(bulla_rd_u32le(&reading->r, &size));
	BULLA_TRY(bulla_rd_bytes(&reading->r, size, &quote->certification));
	return bulla_rd_end(&reading->r);
}

static bool is_padding(const struct reading *reading, size_t size)
{
	bulla_bytes rest = bulla_bytes_of(reading->r.p + reading->r.at + size, reading->r.n - reading->r.at - size);

	return reading->quote->tdx && reading->quote->version == 4 && rest.n >= PADDING_LEAST && bulla_bytes_is_zero_ct(rest);
}

/* The signature data, of its own size, may have nothing behind it. */
static bulla_rc enter_signature(struct reading *reading)
{
	bulla_rd *r = &reading->r;
	uint32_t size;

	BULLA_TRY(bulla_rd_u32le(r, &size));
	if (size > bulla_rd_left(r))
		return broken(reading, BULLA_FACTOR_SIZE, r->n, "the quote ends inside its signature data");
	if (size < bulla_rd_left(r) && !is_padding(reading, size))
		return broken(reading, BULLA_FACTOR_TRAILING, r->at + size, "bytes follow the signature data");
	r->n = r->at + size;
	return BULLA_OK;
}

static bulla_rc read_inside(struct reading *reading)
{
	struct bulla_quote *quote = reading->quote;
	bulla_rd *r = &reading->r;
	uint32_t size;
	uint16_t type;

	BULLA_TRY(bulla_rd_bytes(r, 64, &quote->signature));
	BULLA_TRY(bulla_rd_bytes(r, 64, &quote->attestation_key));
	if (quote->version == 3)
		return read_certification(reading);
	BULLA_TRY(bulla_rd_u16le(r, &type));
	BULLA_TRY(bulla_rd_u32le(r, &size));
	if (type != CERTIFICATION_QE_REPORT)
		return broken(reading, BULLA_FACTOR_FIELDS, r->at - 6, "the certification data is of another kind");
	if (size > bulla_rd_left(r))
		return broken(reading, BULLA_FACTOR_SIZE, r->at - 4, "the certification data reaches beyond what holds it");
	if (size < bulla_rd_left(r))
		return broken(reading, BULLA_FACTOR_TRAILING, r->at + size, "bytes follow the certification data");
	return read_certification(reading);
}

static bulla_rc read_all(struct reading *reading)
{
	BULLA_TRY(read_header(reading));
	BULLA_TRY(read_body(reading));
	BULLA_TRY(enter_signature(reading));
	bulla_rc rc = read_inside(reading);
	if (rc == BULLA_E_TRUNCATED)
		return broken(reading, BULLA_FACTOR_SIZE, reading->r.at, "a field reaches beyond the signature data");
	if (rc == BULLA_E_TRAILING)
		return broken(reading, BULLA_FACTOR_TRAILING, reading->r.at, "bytes follow the certification data");
	return rc;
}

bulla_rc bulla_quote_read(bulla_bytes bytes, struct bulla_quote *ret, struct bulla_form_fault *ret_fault)
{
	struct bulla_quote quote = {.raw = bytes};
	struct reading reading = {.r = bulla_rd_of(bytes), .quote = &quote,
		.fault = {BULLA_FACTOR_SIZE, bytes.n, "the quote ends early"}};

	if (bytes.n > BULLA_QUOTE_SIZE_MAX) {
		*ret_fault = (struct bulla_form_fault){BULLA_FACTOR_SIZE, BULLA_QUOTE_SIZE_MAX,
			"a quote is larger than any can be"};
		return BULLA_FAIL(BULLA_E_LIMIT, "a quote is larger than any can be");
	}
	bulla_rc rc = read_all(&reading);
	if (rc == BULLA_OK)
		*ret = quote;
	else
		*ret_fault = reading.fault;
	return rc;
}
