/* What decodes is written again as the same bytes. */
#include "fuzz.h"
#include "manifest/manifest.h"

static uint8_t memory[1 << 16];

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_manifest manifest = {0};
	bulla_bytes in = bulla_bytes_of(p, n), out;

	if (bulla_manifest_decode(in, &manifest) != BULLA_OK)
		return 0;
	if (bulla_manifest_encode(&manifest, &w) == BULLA_OK && bulla_wr_end(&w, &out) == BULLA_OK)
		fuzz_assert(bulla_bytes_eq(in, out));
	bulla_manifest_done(&manifest);
	return 0;
}
