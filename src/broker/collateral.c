#include "broker/collateral.h"

#include "base/checks.h"

void bulla_collateral_init(struct bulla_kept_collateral *kept)
{
	for (size_t i = 0; i < BULLA_COLLATERAL_KEPT; i++) {
		bulla_buf_init(&kept->list[i].bytes, BULLA_MAX_EVIDENCE);
		kept->list[i].until_ms = 0;
	}
	kept->demanded = NULL;
}

void bulla_collateral_done(struct bulla_kept_collateral *kept)
{
	for (size_t i = 0; i < BULLA_COLLATERAL_KEPT; i++)
		bulla_buf_done(&kept->list[i].bytes);
}

bulla_rc bulla_collateral_keep(struct bulla_kept_collateral *kept, bulla_bytes bytes, int64_t until_ms)
{
	size_t place = 0;

	for (size_t i = 0; i < BULLA_COLLATERAL_KEPT; i++) {
		if (kept->list[i].until_ms != 0 && bulla_bytes_eq(bulla_buf_view(&kept->list[i].bytes), bytes)) {
			kept->list[i].until_ms = until_ms > kept->list[i].until_ms ? until_ms : kept->list[i].until_ms;
			return BULLA_OK;
		}
		if (kept->list[i].until_ms < kept->list[place].until_ms)
			place = i;
	}
	kept->list[place].until_ms = 0;
	bulla_buf_clear(&kept->list[place].bytes);
	BULLA_TRY(bulla_buf_append(&kept->list[place].bytes, bytes));
	kept->list[place].until_ms = until_ms;
	return BULLA_OK;
}

/* This collateral was the right one, and the evidence is bad all the same. */
static bool is_verdict(bulla_rc rc, const struct bulla_attest_result *result)
{
	return rc == result->rc && rc != BULLA_E_EVIDENCE_CHAIN && rc != BULLA_E_EVIDENCE_STALE;
}

static bulla_rc judge(struct bulla_kept_collateral *kept, const struct bulla_manifest *manifest, struct bulla_instance *instance,
	int64_t now_ms, struct bulla_attest_cache *cache, struct bulla_attest_result *ret)
{
	const struct bulla_judge_time now = {.now_ms = now_ms, .online = true};
	bulla_rc rc = bulla_judge_instance(manifest, instance, now, cache, ret);

	if (kept == NULL)
		return rc;
	if (rc == BULLA_OK && instance->collateral.n > 0 && ret->valid_to_ms > now_ms)
		return bulla_collateral_keep(kept, instance->collateral, ret->valid_to_ms);
	if (rc != BULLA_E_EVIDENCE_CHAIN || instance->collateral.n > 0)
		return rc;
	for (size_t i = 0; i < BULLA_COLLATERAL_KEPT; i++) {
		if (kept->list[i].until_ms <= now_ms)
			continue;
		instance->collateral = bulla_buf_view(&kept->list[i].bytes);
		rc = bulla_judge_instance(manifest, instance, now, cache, ret);
		if (rc == BULLA_OK || is_verdict(rc, ret))
			return rc;
	}
	instance->collateral = (bulla_bytes){NULL, 0};
	return rc == ret->rc ? rc : BULLA_E_EVIDENCE_CHAIN; /* what nobody can read is no fault of the enclave */
}

bulla_rc bulla_collateral_judge(struct bulla_kept_collateral *kept, const struct bulla_manifest *manifest,
	struct bulla_instance *instance, int64_t now_ms, struct bulla_attest_cache *cache, struct bulla_attest_result *ret)
{
	const struct bulla_judge_time now = {.now_ms = now_ms, .online = true};

	BULLA_TRY(judge(kept, manifest, instance, now_ms, cache, ret));
	if (!BULLA_CHECK_ON(BROKER_DEMANDS) || kept == NULL || kept->demanded == NULL)
		return BULLA_OK;
	return bulla_judge_instance_under(kept->demanded, manifest, instance, now, cache);
}
