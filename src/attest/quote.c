#include "attest/quote.h"

#include "base/rd.h"

#define TEE_SGX 0
#define TEE_TDX 0x81
#define KEY_P256 2
#define CERTIFICATION_QE_REPORT 6
#define AUTH_DATA_MAX 1024

/* Quoting services hand a TD's quote over in a zero-filled buffer for the longest one, and guests pass the whole buffer on
 * (seen: 5006, 5243 and 8000 bytes). Its rest is at least the difference between TD reports 1.0 and 1.5; anything shorter was
 * appended. */
#define PADDING_LEAST 64

struct reading {
	bulla_rd r;
	struct bulla_quote *quote;
	enum bulla_factor factor;
};

static bulla_rc broken(struct reading *reading, enum bulla_factor factor)
{
	reading->factor = factor;
	return BULLA_FAIL(BULLA_E_EVIDENCE_FORMAT, "a field of a DCAP quote breaks its rule");
}

static bulla_rc read_header(struct reading *reading)
{
	struct bulla_quote *quote = reading->quote;
	uint16_t key_type;
	uint32_t tee;

	BULLA_TRY(bulla_rd_u16le(&reading->r, &quote->version));
	if (quote->version < 3 || quote->version > 5)
		return broken(reading, BULLA_FACTOR_VERSION);
	BULLA_TRY(bulla_rd_u16le(&reading->r, &key_type));
	if (key_type != KEY_P256)
		return broken(reading, BULLA_FACTOR_ALGORITHM);
	BULLA_TRY(bulla_rd_u32le(&reading->r, &tee));
	if (tee != TEE_SGX && (tee != TEE_TDX || quote->version == 3))
		return broken(reading, BULLA_FACTOR_VERSION);
	quote->tdx = tee == TEE_TDX;
	BULLA_TRY(bulla_rd_bytes(&reading->r, 4, &quote->reserved));
	BULLA_TRY(bulla_rd_bytes(&reading->r, 16, &quote->vendor));
	return bulla_rd_skip(&reading->r, 20);
}

static bulla_rc read_descriptor(struct reading *reading, size_t *ret_size)
{
	static const size_t sizes[] = {0, BULLA_SGX_BODY_SIZE, BULLA_TD10_BODY_SIZE, BULLA_TD15_BODY_SIZE};
	struct bulla_quote *quote = reading->quote;
	uint16_t type;
	uint32_t size;

	BULLA_TRY(bulla_rd_u16le(&reading->r, &type));
	BULLA_TRY(bulla_rd_u32le(&reading->r, &size));
	if (type < 1 || type > 3 || (type != 1) != quote->tdx)
		return broken(reading, BULLA_FACTOR_VERSION);
	if (size != sizes[type])
		return broken(reading, BULLA_FACTOR_SIZE);
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
		return broken(reading, BULLA_FACTOR_FIELDS);
	BULLA_TRY(bulla_rd_bytes(&reading->r, auth_size, &quote->qe_auth_data));
	BULLA_TRY(bulla_rd_u16le(&reading->r, &quote->certification_type));
	BULLA_TRY(bulla_rd_u32le(&reading->r, &size));
	BULLA_TRY(bulla_rd_bytes(&reading->r, size, &quote->certification));
	return bulla_rd_end(&reading->r);
}

static bool is_padding(const struct reading *reading, size_t size)
{
	bulla_bytes rest = bulla_bytes_of(reading->r.p + reading->r.at + size, reading->r.n - reading->r.at - size);

	return reading->quote->tdx && rest.n >= PADDING_LEAST && bulla_bytes_is_zero_ct(rest);
}

static bulla_rc read_signature(struct reading *reading)
{
	struct bulla_quote *quote = reading->quote;
	uint32_t size;
	uint16_t type;

	BULLA_TRY(bulla_rd_u32le(&reading->r, &size));
	if (size > bulla_rd_left(&reading->r))
		return broken(reading, BULLA_FACTOR_SIZE);
	if (size < bulla_rd_left(&reading->r) && !is_padding(reading, size))
		return broken(reading, BULLA_FACTOR_TRAILING);
	reading->r.n = reading->r.at + size;
	BULLA_TRY(bulla_rd_bytes(&reading->r, 64, &quote->signature));
	BULLA_TRY(bulla_rd_bytes(&reading->r, 64, &quote->attestation_key));
	if (quote->version == 3)
		return read_certification(reading);
	BULLA_TRY(bulla_rd_u16le(&reading->r, &type));
	BULLA_TRY(bulla_rd_u32le(&reading->r, &size));
	if (type != CERTIFICATION_QE_REPORT)
		return broken(reading, BULLA_FACTOR_FIELDS);
	if (size != bulla_rd_left(&reading->r))
		return broken(reading, size < bulla_rd_left(&reading->r) ? BULLA_FACTOR_TRAILING : BULLA_FACTOR_SIZE);
	return read_certification(reading);
}

static bulla_rc read_all(struct reading *reading)
{
	BULLA_TRY(read_header(reading));
	BULLA_TRY(read_body(reading));
	return read_signature(reading);
}

bulla_rc bulla_quote_read(bulla_bytes bytes, struct bulla_quote *ret, enum bulla_factor *ret_factor, size_t *ret_at)
{
	struct bulla_quote quote = {.raw = bytes};
	struct reading reading = {bulla_rd_of(bytes), &quote, BULLA_FACTOR_COUNT};

	if (bytes.n > BULLA_QUOTE_SIZE_MAX) {
		*ret_factor = BULLA_FACTOR_SIZE;
		*ret_at = BULLA_QUOTE_SIZE_MAX;
		return BULLA_FAIL(BULLA_E_LIMIT, "a quote is larger than any can be");
	}
	bulla_rc rc = read_all(&reading);
	if (rc != BULLA_OK) {
		*ret_at = reading.r.at;
		*ret_factor = reading.factor;
		if (reading.factor == BULLA_FACTOR_COUNT)
			*ret_factor = rc == BULLA_E_TRAILING ? BULLA_FACTOR_TRAILING : BULLA_FACTOR_SIZE;
		return rc;
	}
	*ret = quote;
	return BULLA_OK;
}
