#include "broker/release.h"

#include "base/checks.h"
#include "crypto/hash.h"

bulla_rc bulla_release_prepare(struct bulla_kms_use *use, const struct bulla_broker *broker)
{
	if (bulla_recipient_decode(use->request.document, &use->recipient) != BULLA_OK)
		return BULLA_FAIL(BULLA_E_EVIDENCE_FORMAT, "a recipient is not in its form");
	bulla_instance_kid(&use->recipient.instance, &use->kid);
	return bulla_epochs_open(&broker->epochs, &use->recipient.instance.manifest, &use->by);
}

/* The evidence answers this connection, which both sides made: it is no older. A relayed or replayed one does not. */
static bulla_rc check_channel(const struct bulla_kms_use *use)
{
	const struct bulla_recipient *recipient = &use->recipient;
	uint8_t challenge[sizeof(recipient->instance.challenge)];

	bulla_release_challenge(&use->channel, recipient->salt, challenge);
	if (BULLA_CHECK_ON(RELEASE_CHANNEL) &&
		!bulla_bytes_eq(BULLA_BYTES_ARRAY(challenge), BULLA_BYTES_ARRAY(recipient->instance.challenge)))
		return BULLA_FAIL(BULLA_E_EVIDENCE_REPLAYED, "the evidence was made for another connection");
	if (BULLA_CHECK_ON(RELEASE_FRESH) && use->channel_age_ms > BULLA_KMS_MAX_AGE_MS)
		return BULLA_FAIL(BULLA_E_EVIDENCE_STALE, "the connection that the evidence was made for is too old");
	return BULLA_OK;
}

static bulla_rc check_made_for(const struct bulla_kms_use *use)
{
	const struct bulla_recipient *recipient = &use->recipient;
	bulla_digest key;

	if (BULLA_CHECK_ON(RELEASE_PURPOSE) && recipient->instance.purpose != BULLA_PURPOSE_RELEASE)
		return BULLA_FAIL(BULLA_E_BINDER, "the evidence was made for something else than a release");
	BULLA_TRY(check_channel(use));
	bulla_sha256(recipient->spki, &key);
	if (BULLA_CHECK_ON(RELEASE_KEY) && !bulla_digest_eq(&key, &recipient->instance.channel))
		return BULLA_FAIL(BULLA_E_KEY_SUBSTITUTED, "the key to answer to is not the one in the evidence");
	return BULLA_OK;
}

bulla_rc bulla_release_appraise(struct bulla_kms_use *use, struct bulla_attest_cache *cache, struct bulla_kept_collateral *kept)
{
	struct bulla_instance *instance = &use->recipient.instance;

	BULLA_TRY(check_made_for(use));
	BULLA_TRY(bulla_collateral_judge(kept, &use->by->manifest, instance, use->now_ms, cache, use->result));
	instance->collateral = (bulla_bytes){NULL, 0}; /* what is kept may be others later */
	/* its own epoch may ask less than the one in force */
	if (BULLA_CHECK_ON(RELEASE_CLASS) && use->result->assurance < use->assurance)
		return BULLA_FAIL(BULLA_E_EVIDENCE_POLICY, "the evidence is worth less than the manifest in force demands");
	bulla_copy(use->payload.b, instance->challenge, sizeof(use->payload.b));
	use->public_key = use->recipient.spki;
	return BULLA_OK;
}
