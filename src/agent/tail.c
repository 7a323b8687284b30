#include "base/limits.h"
#include "base/wr.h"

#include "agent/pool_internal.h"

void bulla_agent_tail_add(struct bulla_agent_tail *tail, bulla_bytes bytes)
{
	const size_t keep = BULLA_MAX_AGENT_LOG;

	if (bytes.n > keep) { /* a flood: only its end matters */
		tail->dropped += bytes.n - keep;
		bytes = bulla_bytes_of(bytes.p + (bytes.n - keep), keep);
	}
	if (tail->n + bytes.n > sizeof(tail->bytes)) {
		size_t stay = keep - bytes.n < tail->n ? keep - bytes.n : tail->n;

		tail->dropped += tail->n - stay;
		bulla_move(tail->bytes, tail->bytes + (tail->n - stay), stay);
		tail->n = stay;
	}
	bulla_copy(tail->bytes + tail->n, bytes.p, bytes.n);
	tail->n += bytes.n;
}

bulla_bytes bulla_agent_tail_view(const struct bulla_agent_tail *tail, uint64_t *ret_dropped)
{
	size_t over = tail->n > BULLA_MAX_AGENT_LOG ? tail->n - BULLA_MAX_AGENT_LOG : 0;

	*ret_dropped = tail->dropped + over;
	return bulla_bytes_of(tail->bytes + over, tail->n - over);
}
