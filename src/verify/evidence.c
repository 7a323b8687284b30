/* Instances: evidence at its own time, and what it is bound to. */
#include "crypto/hash.h"
#include "judge/judge.h"
#include "verify/state.h"

/* Which of our checks a factor of the appraisal belongs to. */
static enum bulla_verify_check check_of(enum bulla_factor factor)
{
	static const struct {
		bulla_rc rc;
		enum bulla_verify_check check;
	} rows[] = {
		{BULLA_E_EVIDENCE_FORMAT, BULLA_VERIFY_EVIDENCE_FORM},
		{BULLA_E_EVIDENCE_CHAIN, BULLA_VERIFY_EVIDENCE_CHAIN},
		{BULLA_E_REVOKED, BULLA_VERIFY_EVIDENCE_CHAIN},
		{BULLA_E_EVIDENCE_SIGNATURE, BULLA_VERIFY_EVIDENCE_SIGNATURE},
		{BULLA_E_EVIDENCE_STALE, BULLA_VERIFY_EVIDENCE_TIME},
		{BULLA_E_CLOCK, BULLA_VERIFY_EVIDENCE_TIME},
		{BULLA_E_EVIDENCE_DEBUG, BULLA_VERIFY_EVIDENCE_DEBUG},
		{BULLA_E_BINDER, BULLA_VERIFY_EVIDENCE_BINDER},
		{BULLA_E_MEASUREMENT, BULLA_VERIFY_EVIDENCE_MEASUREMENT},
	};

	if (factor == BULLA_FACTOR_MANIFEST)
		return BULLA_VERIFY_EVIDENCE_MANIFEST;
	if (factor == BULLA_FACTOR_BUNDLES)
		return BULLA_VERIFY_EVIDENCE_BUNDLES;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].rc == bulla_factor_rc(factor))
			return rows[i].check;
	return BULLA_VERIFY_EVIDENCE_POLICY;
}

static bulla_rc note_factors(struct bulla_verify *v, const struct bulla_attest_result *result)
{
	for (unsigned i = 0; i < BULLA_FACTOR_COUNT; i++) {
		const struct bulla_factor_result *row = &result->factors[i];

		if (row->state == BULLA_FACTOR_FAILED)
			return verify_failed(v, check_of(i), bulla_factor_rc(i), row->text);
		if (row->state == BULLA_FACTOR_HELD)
			verify_held(v, check_of(i));
	}
	return BULLA_OK;
}

/* In "boot" evidence the public key is the RSA key whose digest is the channel. */
static bool public_key_fits(const struct bulla_instance *instance, const struct bulla_attest_result *result)
{
	const struct bulla_attest_claim *claim = bulla_attest_find(result, BULLA_CLAIM_PUBLIC_KEY, 0);
	bulla_digest digest;

	if (instance->purpose == BULLA_PURPOSE_SESSION || claim == NULL)
		return true;
	bulla_sha256(claim->bytes, &digest);
	return bulla_digest_eq(&digest, &instance->channel);
}

/* Errors that come before any factor is looked at. */
static bulla_rc early_error(struct bulla_verify *v, bulla_rc rc)
{
	if (rc == BULLA_E_NOT_FOUND || rc == BULLA_E_FORMAT)
		return verify_failed(v, BULLA_VERIFY_INSTANCE_AGENTS, BULLA_E_PRODUCER,
			"an instance hosts agents that its manifest does not have");
	if (rc == BULLA_E_MEASUREMENT)
		return verify_failed(v, BULLA_VERIFY_EVIDENCE_MEASUREMENT, rc, "no image of this TEE is accepted for the agent");
	return verify_failed(v, BULLA_VERIFY_EVIDENCE_POLICY, rc, "the manifest's evidence policy does not allow this");
}

static bulla_rc appraise(struct bulla_verify *v, const struct bulla_instance *instance, const struct bulla_manifest *m,
	struct verify_instance *ret)
{
	const struct bulla_attest_anchors anchors = {v->anchors, v->anchor_count};
	const struct bulla_judge_time time = {(int64_t)(instance->time_ms & INT64_MAX), false};
	struct bulla_attest_result result = {.rc = BULLA_OK};
	const struct bulla_attest_claim *claim;
	bulla_rc rc = bulla_judge_instance_by(m, instance, &anchors, time, &v->cache, &result);

	if (rc != BULLA_OK && result.rc == BULLA_OK)
		return early_error(v, rc);
	BULLA_TRY(note_factors(v, &result));
	BULLA_TRY(rc);
	verify_held(v, BULLA_VERIFY_INSTANCE_AGENTS);
	BULLA_TRY(VERIFY(v, EVIDENCE_BINDER, public_key_fits(instance, &result), BULLA_E_BINDER,
		"the evidence's public key is another one"));
	claim = bulla_attest_find(&result, BULLA_CLAIM_TIME, 0);
	ret->evidence_ms = claim != NULL ? claim->number : instance->time_ms;
	ret->assurance = result.assurance;
	bulla_judge_image(&result, &ret->image);
	ret->tee = result.tee;
	return BULLA_OK;
}

/* --- the record --- */

static bulla_rc find_manifest(struct bulla_verify *v, const struct bulla_digest *digest, uint8_t *ret)
{
	for (size_t i = 0; i < v->manifest_count; i++)
		if (bulla_digest_eq(&v->manifests[i].m.digest, digest)) {
			*ret = (uint8_t)i;
			return BULLA_OK;
		}
	return verify_failed(v, BULLA_VERIFY_INSTANCE_AGENTS, BULLA_E_EPOCH_OLD,
		"an instance is of a manifest that the bundle does not have");
}

struct verify_instance *verify_instance_find(struct bulla_verify *v, const bulla_digest *kid)
{
	for (size_t i = 0; i < v->instance_count; i++)
		if (bulla_digest_eq(&v->instances[i].kid, kid))
			return &v->instances[i];
	return NULL;
}

static bulla_rc new_instance(struct bulla_verify *v, const struct bulla_instance *record,
	const struct verify_instance *attested)
{
	struct verify_instance *place = &v->instances[v->instance_count];
	struct bulla_verify_key *key;
	bulla_rc rc;

	if (v->instance_count == VERIFY_INSTANCES)
		return verify_failed(v, BULLA_VERIFY_BUNDLE_ORDER, BULLA_E_LIMIT, "too many instances");
	rc = bulla_verify_key_spki(record->receipt_key, &key);
	if (rc == BULLA_OK && bulla_verify_key_type(key) != BULLA_KEY_P256) {
		bulla_verify_key_free(key);
		rc = BULLA_E_FORMAT;
	}
	BULLA_TRY(verify_form(v, BULLA_VERIFY_INSTANCE_KEY, rc, "a receipt key is no P-256 key"));
	verify_held(v, BULLA_VERIFY_INSTANCE_KEY);
	*place = *attested;
	place->key = key;
	place->evidence_first_ms = attested->evidence_ms;
	bulla_buf_init(&place->agents, BULLA_MAX_AGENTS * sizeof(bulla_handle));
	v->instance_count++;
	v->result.facts.instances++;
	return bulla_buf_append(&place->agents, record->agents);
}

/* Renewed evidence of an instance that is known: the same key, agents and manifest. */
static bulla_rc renewed(struct bulla_verify *v, const struct bulla_instance *record, struct verify_instance *known,
	const struct verify_instance *attested)
{
	BULLA_TRY(VERIFY(v, INSTANCE_KEY,
		known->manifest == attested->manifest &&
			bulla_bytes_eq(bulla_buf_view(&known->agents), record->agents),
		BULLA_E_BINDER, "two records of one receipt key differ"));
	if (attested->evidence_ms > known->evidence_ms)
		known->evidence_ms = attested->evidence_ms;
	if (attested->evidence_ms < known->evidence_first_ms)
		known->evidence_first_ms = attested->evidence_ms;
	return BULLA_OK;
}

static void note_time(struct bulla_verify_facts *facts, uint64_t ms)
{
	if (facts->evidence_first_ms == 0 || ms < facts->evidence_first_ms)
		facts->evidence_first_ms = ms;
	if (ms > facts->evidence_last_ms)
		facts->evidence_last_ms = ms;
}

bulla_rc verify_instance_item(struct bulla_verify *v, bulla_bytes body)
{
	struct verify_instance attested = {0}, *known;
	struct bulla_instance record;

	BULLA_TRY(verify_form(v, BULLA_VERIFY_INSTANCE_KEY, bulla_instance_decode(body, &record),
		"an instance record is not in its form"));
	BULLA_TRY(find_manifest(v, &record.manifest, &attested.manifest));
	BULLA_TRY(appraise(v, &record, &v->manifests[attested.manifest].m, &attested));
	bulla_instance_kid(&record, &attested.kid);
	note_time(&v->result.facts, attested.evidence_ms);
	known = verify_instance_find(v, &attested.kid);
	return known != NULL ? renewed(v, &record, known, &attested) : new_instance(v, &record, &attested);
}
