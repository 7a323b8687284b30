#include "broker/seen.h"

#include "base/checks.h"

#define WAYS 16 /* places a digest may be in */

bulla_rc bulla_seen_once(struct bulla_seen *seen, const bulla_digest *digest, int64_t now_ms, int64_t until_ms)
{
	size_t home = (size_t)(digest->b[0] << 8 | digest->b[1]) % (BULLA_SEEN_MAX / WAYS) * WAYS;
	size_t place = BULLA_SEEN_MAX;

	for (size_t i = home; i < home + WAYS; i++) {
		bool live = seen->list[i].until_ms > now_ms;

		if (BULLA_CHECK_ON(EVIDENCE_ONCE) && live && bulla_digest_eq(&seen->list[i].digest, digest))
			return BULLA_FAIL(BULLA_E_EVIDENCE_REPLAYED, "this document was shown before");
		if (!live)
			place = i;
	}
	if (place == BULLA_SEEN_MAX)
		return BULLA_FAIL(BULLA_E_BUSY, "too many documents at a time");
	seen->list[place].digest = *digest;
	seen->list[place].until_ms = until_ms;
	return BULLA_OK;
}
