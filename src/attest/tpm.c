#include "attest/tpm.h"

#include "base/rd.h"
#include "crypto/hash.h"

#define TPM_GENERATED 0xff544347u /* "\xffTCG": made inside of a TPM, not signed on request */
#define TPM_ST_ATTEST_QUOTE 0x8018
#define TPM_ALG_SHA256 0x000b

static bulla_rc read_sized(bulla_rd *r, bulla_bytes *ret)
{
	uint16_t size;

	BULLA_TRY(bulla_rd_u16be(r, &size));
	return bulla_rd_bytes(r, size, ret);
}

static bulla_rc read_selection(bulla_rd *r, uint32_t *ret)
{
	uint32_t count;
	uint16_t hash;
	uint8_t size;
	bulla_bytes bits;

	BULLA_TRY(bulla_rd_u32be(r, &count));
	BULLA_TRY(bulla_rd_u16be(r, &hash));
	BULLA_TRY(bulla_rd_u8(r, &size));
	if (count != 1 || hash != TPM_ALG_SHA256 || size != BULLA_TPM_PCRS / 8)
		return BULLA_FAIL(BULLA_E_FORMAT, "the quote is not over one bank of SHA-256 registers");
	BULLA_TRY(bulla_rd_bytes(r, size, &bits));
	*ret = bits.p[0] | (uint32_t)bits.p[1] << 8 | (uint32_t)bits.p[2] << 16;
	return *ret != 0 ? BULLA_OK : BULLA_FAIL(BULLA_E_FORMAT, "the quote is over no register");
}

bulla_rc bulla_tpm_quote_read(bulla_bytes message, struct bulla_tpm_quote *ret)
{
	bulla_rd r = bulla_rd_of(message);
	struct bulla_tpm_quote quote;
	bulla_bytes signer;
	uint32_t magic;
	uint16_t type;

	BULLA_TRY(bulla_rd_u32be(&r, &magic));
	BULLA_TRY(bulla_rd_u16be(&r, &type));
	if (magic != TPM_GENERATED || type != TPM_ST_ATTEST_QUOTE)
		return BULLA_FAIL(BULLA_E_FORMAT, "the structure is no quote made by a TPM");
	BULLA_TRY(read_sized(&r, &signer));
	BULLA_TRY(read_sized(&r, &quote.nonce));
	BULLA_TRY(bulla_rd_skip(&r, 8 + 4 + 4 + 1)); /* clock, resets, restarts, safe */
	BULLA_TRY(bulla_rd_bytes(&r, 8, &quote.firmware));
	BULLA_TRY(read_selection(&r, &quote.selected));
	BULLA_TRY(read_sized(&r, &quote.pcr_digest));
	BULLA_TRY(bulla_rd_end(&r));
	if (quote.pcr_digest.n != 32)
		return BULLA_FAIL(BULLA_E_FORMAT, "the quote's digest is no SHA-256");
	*ret = quote;
	return BULLA_OK;
}

bool bulla_tpm_pcrs_match(const struct bulla_tpm_quote *quote, const uint8_t pcrs[BULLA_TPM_PCRS][32], uint32_t given)
{
	struct bulla_sha256 hash;
	bulla_digest digest;

	if ((quote->selected & ~given) != 0)
		return false;
	bulla_sha256_init(&hash);
	for (unsigned i = 0; i < BULLA_TPM_PCRS; i++)
		if ((quote->selected >> i & 1) != 0)
			bulla_sha256_add(&hash, bulla_bytes_of(pcrs[i], 32));
	bulla_sha256_end(&hash, &digest);
	return bulla_bytes_eq(quote->pcr_digest, bulla_bytes_digest(&digest));
}
