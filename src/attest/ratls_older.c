#include "attest/ratls.h"

#include "attest/quote.h"
#include "base/rd.h"
#include "crypto/hash.h"
#include "wire/der.h"
#include "wire/text.h"

#define SGX_SIGNED (BULLA_QUOTE_HEADER_SIZE + BULLA_SGX_BODY_SIZE)
#define SGX_REPORT_DATA (BULLA_QUOTE_HEADER_SIZE + 320)
#define PEM_LINE 48 /* bytes: 64 digits */
#define PEM_MAX 2048
#define REMOTE 2

/* content octets */
#define GRAMINE "\x2a\x86\x48\x86\xf8\x4d\x8a\x39\x06"
#define DSTACK "\x2b\x06\x01\x04\x01\x83\xe7\x3d\x01\x01"
#define OPEN_ENCLAVE_REPORT "\x2b\x06\x01\x04\x01\x82\x37\x69\x01"
#define OPEN_ENCLAVE_EVIDENCE "\x2b\x06\x01\x04\x01\x82\x37\x69\x02"
#define OPEN_ENCLAVE_FIRST "\x2a\x86\x48\x86\xf7\x14\x0a\x01\x01"

static bulla_rc find(const struct bulla_cert *cert, bulla_bytes oid, bulla_bytes *ret)
{
	bool critical;

	return bulla_cert_extension(cert, oid, ret, &critical);
}

static void put_hash(bulla_bytes bytes, uint8_t ret[64])
{
	bulla_digest digest;

	bulla_sha256(bytes, &digest);
	bulla_zero(ret, 64);
	bulla_copy(ret, digest.b, sizeof(digest.b));
}

/* ---- Open Enclave ---- */

/* include/openenclave/internal/report.h: u32 version, u32 type, u64 size; common/attest_plugin.h: u32 version, 16 bytes of
 * format, u64 size. */
bool bulla_oe_header(bulla_bytes bytes, bulla_bytes *ret)
{
	bulla_rd r = bulla_rd_of(bytes), other = r;
	uint32_t version = 0, type = 0;
	uint64_t size = 0;

	if (bulla_rd_u32le(&r, &version) != BULLA_OK || version != 1)
		return false;
	other = r;
	if (bulla_rd_u32le(&r, &type) != BULLA_OK || bulla_rd_u64le(&r, &size) != BULLA_OK || type != REMOTE ||
		size != bulla_rd_left(&r)) {
		r = other;
		if (bulla_rd_skip(&r, 16) != BULLA_OK || bulla_rd_u64le(&r, &size) != BULLA_OK || size != bulla_rd_left(&r))
			return false;
	}
	return bulla_rd_bytes(&r, (size_t)size, ret) == BULLA_OK;
}

static bool report_data(bulla_bytes quote, bulla_bytes *ret)
{
	if (quote.n < SGX_SIGNED + 4 || quote.p[0] != 3 || quote.p[1] != 0)
		return false;
	*ret = bulla_bytes_of(quote.p + SGX_REPORT_DATA, 64);
	return true;
}

bool bulla_oe_claims(bulla_bytes bytes, bulla_bytes *ret_quote, uint8_t ret_binder[64])
{
	bulla_rd r = bulla_rd_of(bytes);
	uint8_t wanted[64];
	uint32_t size;
	bulla_bytes data;

	if (!report_data(bytes, &data) || bulla_rd_skip(&r, SGX_SIGNED) != BULLA_OK || bulla_rd_u32le(&r, &size) != BULLA_OK ||
		bulla_rd_left(&r) <= size)
		return false;
	size_t whole = SGX_SIGNED + 4 + (size_t)size;
	put_hash(bulla_bytes_of(bytes.p + whole, bytes.n - whole), wanted);
	if (!bulla_bytes_eq(data, BULLA_BYTES_ARRAY(wanted)))
		return false;
	*ret_quote = bulla_bytes_of(bytes.p, whole);
	bulla_copy(ret_binder, wanted, sizeof(wanted));
	return true;
}

/* The hash of the key's PEM text as C sees it: with the zero that ends it. */
static bulla_rc put_pem_hash(bulla_bytes spki, uint8_t ret[64])
{
	uint8_t memory[PEM_MAX];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes text;

	bulla_wr_bytes(&w, bulla_bytes_str("-----BEGIN PUBLIC KEY-----\n"));
	for (size_t at = 0; at < spki.n; at += PEM_LINE) {
		bulla_text_wr_base64(&w, bulla_bytes_of(spki.p + at, spki.n - at < PEM_LINE ? spki.n - at : PEM_LINE));
		bulla_wr_u8(&w, '\n');
	}
	bulla_wr_bytes(&w, bulla_bytes_str("-----END PUBLIC KEY-----\n"));
	bulla_wr_u8(&w, 0);
	BULLA_TRY(bulla_wr_end(&w, &text));
	put_hash(text, ret);
	return BULLA_OK;
}

/* Open Enclave hashes the PEM text, EGo the SPKI: the quote says which. Where it says neither, the appraisal refuses. */
static bulla_rc open_enclave(const struct bulla_cert *cert, bulla_bytes value, bulla_bytes *ret, uint8_t ret_binder[64])
{
	bulla_bytes quote = value, data;
	uint8_t of_pem[64];

	(void)bulla_oe_header(value, &quote);
	put_hash(cert->spki, ret_binder);
	BULLA_TRY(put_pem_hash(cert->spki, of_pem));
	if (report_data(quote, &data) && bulla_bytes_eq(data, BULLA_BYTES_ARRAY(of_pem)))
		bulla_copy(ret_binder, of_pem, sizeof(of_pem));
	*ret = value;
	return BULLA_OK;
}

/* The custom claims behind the quote begin with the hash of the key's PEM text. */
static bulla_rc open_enclave_claims(const struct bulla_cert *cert, bulla_bytes value, bulla_bytes *ret,
	uint8_t ret_binder[64])
{
	bulla_bytes evidence = value, quote;
	uint8_t of_pem[64];

	(void)bulla_oe_header(value, &evidence);
	BULLA_TRY(put_pem_hash(cert->spki, of_pem));
	if (!bulla_oe_claims(evidence, &quote, ret_binder) || evidence.n - quote.n < 32 ||
		!bulla_bytes_eq(bulla_bytes_of(evidence.p + quote.n, 32), bulla_bytes_of(of_pem, 32)))
		return BULLA_FAIL(BULLA_E_BINDER, "the claims name another key");
	*ret = quote;
	return BULLA_OK;
}

/* ---- all ---- */
static void dstack(const struct bulla_cert *cert, bulla_bytes value, bulla_bytes *ret, uint8_t ret_binder[64])
{
	const bulla_bytes parts[] = {bulla_bytes_str("ratls-cert:"), cert->spki};
	bulla_rd r = bulla_rd_of(value);

	bulla_sha512_parts(parts, 2, ret_binder);
	if (bulla_der_rd_value(&r, BULLA_DER_OCTET_STRING, ret) != BULLA_OK || bulla_rd_end(&r) != BULLA_OK)
		*ret = value;
}

bulla_rc bulla_ratls_older(const struct bulla_cert *cert, bulla_bytes *ret, uint8_t ret_binder[64])
{
	bulla_bytes value;

	if (find(cert, BULLA_BYTES_LITERAL(GRAMINE), &value) == BULLA_OK) {
		put_hash(cert->spki, ret_binder);
		*ret = value;
		return BULLA_OK;
	}
	if (find(cert, BULLA_BYTES_LITERAL(DSTACK), &value) == BULLA_OK) {
		dstack(cert, value, ret, ret_binder);
		return BULLA_OK;
	}
	if (find(cert, BULLA_BYTES_LITERAL(OPEN_ENCLAVE_EVIDENCE), &value) == BULLA_OK)
		return open_enclave_claims(cert, value, ret, ret_binder);
	if (find(cert, BULLA_BYTES_LITERAL(OPEN_ENCLAVE_REPORT), &value) == BULLA_OK ||
		find(cert, BULLA_BYTES_LITERAL(OPEN_ENCLAVE_FIRST), &value) == BULLA_OK)
		return open_enclave(cert, value, ret, ret_binder);
	return BULLA_FAIL(BULLA_E_NOT_FOUND, "the certificate has no such extension");
}
