#include "judge/birth.h"

#include "crypto/hash.h"

static bulla_rc check_record(const struct bulla_manifest *manifest, bulla_bytes record,
	const struct bulla_instance *instance, const struct bulla_birth *peeked, struct bulla_birth *ret)
{
	const struct bulla_agent *agent = bulla_manifest_agent(manifest, &peeked->agent);
	BULLA_AUTO_VERIFY_KEY key = NULL;

	if (agent == NULL || !bulla_instance_hosts(instance, &peeked->agent))
		return BULLA_FAIL(BULLA_E_KEY_CONTEXT, "the birth is of an agent that its instance does not host");
	struct bulla_birth_expected expected = {
		.tenant = manifest->tenant,
		.agent = peeked->agent,
		.epoch = manifest->epoch,
		.manifest = manifest->digest,
		.wrapping_key = agent->wrapping_key,
		.policy_form = agent->policy_form,
	};
	bulla_sha256(instance->evidence, &expected.evidence);
	BULLA_TRY(bulla_verify_key_spki(instance->receipt_key, &key));
	return bulla_birth_verify(record, &expected, key, ret);
}

bulla_rc bulla_judge_birth(const struct bulla_manifest *manifest, bulla_bytes record, bulla_bytes instance_record,
	struct bulla_attest_cache *cache, struct bulla_birth *ret)
{
	struct bulla_instance instance;
	struct bulla_birth peeked;
	bulla_digest kid;

	BULLA_TRY(bulla_birth_peek(record, &peeked));
	BULLA_TRY(bulla_instance_decode(instance_record, &instance));
	bulla_instance_kid(&instance, &kid);
	if (!bulla_digest_eq(&kid, &peeked.signer))
		return BULLA_FAIL(BULLA_E_BIRTH_MISSING, "the birth was signed by another instance than the one shown");
	const struct bulla_judge_time own = {.now_ms = (int64_t)instance.time_ms, .online = false};
	BULLA_TRY(bulla_judge_instance(manifest, &instance, own, cache, NULL));
	return check_record(manifest, record, &instance, &peeked, ret);
}
