/* Trust files: accepted ones stay within their bounds, and mean the same when read again. */
#include "fuzz.h"
#include "verify/trust.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bulla_trust trust, again;
	unsigned line, line_again;
	bulla_rc rc = bulla_trust_parse(bulla_bytes_of(p, n), &trust, &line);

	fuzz_assert(line >= 1 && line <= n + 1);
	fuzz_assert(bulla_trust_parse(bulla_bytes_of(p, n), &again, &line_again) == rc && line == line_again);
	if (rc != BULLA_OK)
		return 0;
	fuzz_assert(trust.need >= 1 && trust.approver_count <= BULLA_TRUST_APPROVERS);
	fuzz_assert(trust.anchor_count <= BULLA_TRUST_ANCHORS);
	for (size_t i = 0; i < trust.approver_count; i++)
		fuzz_assert(bulla_trust_has(&trust, &trust.approvers[i].kid));
	return 0;
}
