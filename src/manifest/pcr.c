#include "manifest/pcr.h"

#include "crypto/hash.h"

void bulla_pcr_extend(uint8_t pcr[BULLA_PCR_BYTES], bulla_bytes data)
{
	bulla_bytes parts[] = {bulla_bytes_of(pcr, BULLA_PCR_BYTES), data};
	uint8_t next[BULLA_SHA384_SIZE];

	bulla_sha384_parts(parts, 2, next);
	bulla_copy(pcr, next, sizeof(next));
}

void bulla_pcr_manifest(const bulla_digest *manifest, uint8_t ret[BULLA_PCR_BYTES])
{
	bulla_zero(ret, BULLA_PCR_BYTES);
	bulla_pcr_extend(ret, bulla_bytes_digest(manifest));
}

/* Takes the next handle, which must be above the last. */
static bulla_rc next_agent(bulla_rd *r, const struct bulla_manifest *manifest, bulla_handle *last, bool first,
	const struct bulla_agent **ret)
{
	bulla_handle handle;

	BULLA_TRY(bulla_rd_copy(r, sizeof(handle.b), handle.b));
	if (!first && bulla_bytes_cmp(bulla_handle_view(last), bulla_handle_view(&handle)) >= 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "handles of hosted agents do not rise");
	*ret = bulla_manifest_agent(manifest, &handle);
	if (*ret == NULL)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "the manifest has no such agent");
	*last = handle;
	return BULLA_OK;
}

bulla_rc bulla_pcr_bundles(const struct bulla_manifest *manifest, bulla_bytes agents, uint8_t ret[BULLA_PCR_BYTES])
{
	uint8_t pcr[BULLA_PCR_BYTES] = {0};
	bulla_rd r = bulla_rd_of(agents);
	const struct bulla_agent *agent;
	bulla_handle last = {0};

	while (bulla_rd_left(&r) > 0) {
		BULLA_TRY(next_agent(&r, manifest, &last, r.at == 0, &agent));
		bulla_pcr_extend(pcr, bulla_bytes_digest(&agent->bundle));
	}
	bulla_copy(ret, pcr, sizeof(pcr));
	return BULLA_OK;
}

bulla_rc bulla_pcr_bundle_data(const struct bulla_manifest *manifest, bulla_bytes agents, bulla_wr *w)
{
	bulla_rd r = bulla_rd_of(agents);
	const struct bulla_agent *agent;
	bulla_handle last = {0};

	while (bulla_rd_left(&r) > 0) {
		BULLA_TRY(next_agent(&r, manifest, &last, r.at == 0, &agent));
		bulla_wr_digest(w, &agent->bundle);
	}
	return w->rc;
}
