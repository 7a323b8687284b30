#include "agent/pool_internal.h"
#include "base/wr.h"

#include <stdio.h>

static void put(bulla_wr *w, const char *text)
{
	bulla_wr_bytes(w, bulla_bytes_str(text));
}

static void put_number(bulla_wr *w, const char *name, int64_t value)
{
	char text[64];

	snprintf(text, sizeof(text), "%s%lld", name, (long long)value);
	put(w, text);
	bulla_wr_u8(w, 0);
}

void bulla_agent_environment(const struct bulla_agent_facts *facts, bulla_wr *w)
{
	char once[65];

	for (size_t i = 0; i < 32; i++)
		snprintf(once + 2 * i, 3, "%02x", facts->once.b[i]);
	put(w, "BULLA_RUN=");
	bulla_wr_bytes(w, facts->run);
	bulla_wr_u8(w, 0);
	put(w, "BULLA_STEP=");
	bulla_wr_bytes(w, facts->step);
	bulla_wr_u8(w, 0);
	put_number(w, "BULLA_ATTEMPT=", facts->attempt);
	put_number(w, "BULLA_DEADLINE=", facts->deadline_s);
	put(w, "BULLA_ONCE=");
	put(w, once);
	bulla_wr_u8(w, 0);
}
