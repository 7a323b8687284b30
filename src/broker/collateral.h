#pragma once
/* Collateral that the broker keeps: what the operator gave it, and what came with evidence that was accepted, until the first
 * thing in it expires. Enclaves whose machine gives them none are judged by it, and are told it: whoever judges them later
 * needs it. One thread's: the worker's. */
#include "judge/judge.h"

#define BULLA_COLLATERAL_KEPT 8

struct bulla_kept_collateral {
	struct {
		struct bulla_buf bytes;
		int64_t until_ms; /* 0: free */
	} list[BULLA_COLLATERAL_KEPT];
	const struct bulla_attest_policy *demanded; /* what who runs the broker asks of evidence beside the manifest; NULL: nothing */
};

/* Nothing is kept, nothing is demanded. */
void bulla_collateral_init(struct bulla_kept_collateral *kept);

/* Frees what is kept. */
void bulla_collateral_done(struct bulla_kept_collateral *kept);

/* Keeps a copy until then; in the place of the same bytes, else of what ends first. BULLA_E_LIMIT: more than
 * BULLA_MAX_EVIDENCE bytes. */
BULLA_CHECK bulla_rc bulla_collateral_keep(struct bulla_kept_collateral *kept, bulla_bytes bytes, int64_t until_ms);

/* bulla_judge_instance, online; evidence that comes without collateral and needs some is judged by what is kept:
 * instance->collateral then views that, until the next call. What the manifest accepts must satisfy kept->demanded, too: it can
 * only narrow, so who judges by the manifest alone (enclaves, auditors) accepts all that the broker does. kept may be NULL. */
BULLA_CHECK bulla_rc bulla_collateral_judge(struct bulla_kept_collateral *kept, const struct bulla_manifest *manifest,
	struct bulla_instance *instance, int64_t now_ms, struct bulla_attest_cache *cache, struct bulla_attest_result *ret);
