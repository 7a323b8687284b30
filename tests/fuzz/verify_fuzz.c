/* Hostile bundles: any verdict but a crash, none of them good unless the trailer was right; the same verdict for the same
 * bytes in other pieces. */
#include "base/secret.h"
#include "fuzz.h"
#include "verify/verify.h"

static void judge(bulla_bytes bundle, size_t piece, struct bulla_verify_result *ret)
{
	struct bulla_verify *v;

	fuzz_assert(bulla_verify_new(NULL, &v) == BULLA_OK);
	for (size_t at = 0; at < bundle.n; at += piece) {
		size_t n = at + piece < bundle.n ? piece : bundle.n - at;

		fuzz_assert(bulla_verify_feed(v, bulla_bytes_of(bundle.p + at, n)) == BULLA_OK);
	}
	fuzz_assert(bulla_verify_end(v, ret) == BULLA_OK);
	bulla_verify_free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bulla_verify_result whole, pieces;

	judge(bulla_bytes_of(p, n), n + 1, &whole);
	judge(bulla_bytes_of(p, n), 977, &pieces);
	fuzz_assert(whole.verdict == pieces.verdict && whole.rc == pieces.rc);
	fuzz_assert(whole.verdict == BULLA_VERDICT_REFUSED || whole.verdict == BULLA_VERDICT_UNKNOWN_SIGNER);
	fuzz_assert(whole.verdict != BULLA_VERDICT_REFUSED || (whole.rc != BULLA_OK && whole.text != NULL));
	return 0;
}
