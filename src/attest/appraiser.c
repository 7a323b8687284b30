#include "attest/appraiser.h"

void bulla_appraiser_init(struct bulla_appraiser *ret)
{
	bulla_zero(ret, sizeof(*ret));
	bulla_attest_cache_init(&ret->cache);
}

static struct bulla_challenge *oldest_challenge(struct bulla_appraiser *appraiser)
{
	struct bulla_challenge *oldest = &appraiser->challenges[0];

	for (size_t i = 1; i < BULLA_APPRAISER_CHALLENGES && oldest->expires_ms != 0; i++)
		if (appraiser->challenges[i].expires_ms < oldest->expires_ms)
			oldest = &appraiser->challenges[i];
	return oldest;
}

bulla_rc bulla_appraiser_challenge(struct bulla_appraiser *appraiser, const struct bulla_random *random, int64_t now_ms,
	uint8_t ret[BULLA_CHALLENGE_SIZE])
{
	struct bulla_challenge challenge = {.expires_ms = now_ms + appraiser->challenge_ms};

	BULLA_TRY(random->fill(random->ctx, challenge.nonce, sizeof(challenge.nonce)));
	*oldest_challenge(appraiser) = challenge;
	bulla_copy(ret, challenge.nonce, sizeof(challenge.nonce));
	return BULLA_OK;
}

/* Used up here, before anything is looked at: nobody answers a challenge twice. */
static bulla_rc use_challenge(struct bulla_appraiser *appraiser, bulla_bytes challenge, int64_t now_ms)
{
	for (size_t i = 0; i < BULLA_APPRAISER_CHALLENGES; i++) {
		struct bulla_challenge *open = &appraiser->challenges[i];

		if (open->expires_ms == 0 || !bulla_bytes_eq_ct(challenge, BULLA_BYTES_ARRAY(open->nonce)))
			continue;
		bool late = now_ms > open->expires_ms;
		*open = (struct bulla_challenge){.expires_ms = 0};
		return late ? BULLA_FAIL(BULLA_E_EVIDENCE_STALE, "the challenge has expired") : BULLA_OK;
	}
	return BULLA_FAIL(BULLA_E_BINDER, "the challenge is not open: never given, or answered before");
}

/* ---- subjects ---- */
static struct bulla_subject *find_subject(const struct bulla_appraiser *appraiser, const bulla_digest *id)
{
	for (size_t i = 0; i < BULLA_APPRAISER_SUBJECTS; i++)
		if (bulla_digest_eq(&appraiser->subjects[i].id, id))
			return (struct bulla_subject *)(uintptr_t)&appraiser->subjects[i];
	return NULL;
}

static struct bulla_subject *room_for(struct bulla_appraiser *appraiser)
{
	struct bulla_subject *first = &appraiser->subjects[0];

	for (size_t i = 1; i < BULLA_APPRAISER_SUBJECTS; i++)
		if (appraiser->subjects[i].expires_ms < first->expires_ms)
			first = &appraiser->subjects[i];
	return first;
}

static void note(struct bulla_appraiser *appraiser, const bulla_digest *id, bulla_rc why, int64_t expires_ms)
{
	struct bulla_subject *subject = find_subject(appraiser, id);

	if (subject == NULL && why != BULLA_OK)
		return; /* a stranger's refusal is told to the stranger, not kept */
	if (subject == NULL)
		subject = room_for(appraiser);
	*subject = (struct bulla_subject){*id, expires_ms, why};
}

bulla_rc bulla_appraiser_holds(const struct bulla_appraiser *appraiser, const bulla_digest *subject, int64_t now_ms)
{
	const struct bulla_subject *known = find_subject(appraiser, subject);

	if (known == NULL)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "nobody of this name was appraised");
	if (known->why != BULLA_OK)
		return BULLA_FAIL(known->why, "its newest appraisal turned bad, or was revoked");
	return now_ms <= known->expires_ms ? BULLA_OK : BULLA_FAIL(BULLA_E_EVIDENCE_STALE, "its appraisal has lapsed");
}

void bulla_appraiser_revoke(struct bulla_appraiser *appraiser, const bulla_digest *subject)
{
	struct bulla_subject *known = find_subject(appraiser, subject);

	if (known != NULL)
		known->why = BULLA_E_REVOKED;
}

void bulla_appraiser_policy(struct bulla_appraiser *appraiser, const struct bulla_attest_policy *policy)
{
	appraiser->policy = policy;
	bulla_attest_cache_init(&appraiser->cache);
	for (size_t i = 0; i < BULLA_APPRAISER_SUBJECTS; i++)
		appraiser->subjects[i].expires_ms = 0;
}

int64_t bulla_appraiser_next_ms(const struct bulla_appraiser *appraiser)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < BULLA_APPRAISER_SUBJECTS; i++) {
		const struct bulla_subject *subject = &appraiser->subjects[i];

		if (subject->expires_ms != 0 && subject->why == BULLA_OK && subject->expires_ms < next)
			next = subject->expires_ms;
	}
	return next;
}

/* ---- judging ---- */
static struct bulla_attest_binding binding_of(bulla_bytes challenge, bulla_bytes evidence)
{
	const struct bulla_attest_expected any = BULLA_EXPECT_ANYTHING;
	struct bulla_attest_binding binding = {any, any, any, any, any};
	enum bulla_tee tee = bulla_attest_guess(evidence);

	/* a wrong guess puts the challenge where this evidence has nothing: refused */
	if (bulla_attest_has_nonce(tee))
		binding.nonce = BULLA_EXPECT_BYTES(challenge);
	else
		binding.binder = BULLA_EXPECT_BYTES(challenge);
	return binding;
}

static int64_t expiry(const struct bulla_appraiser *appraiser, int64_t now_ms)
{
	int64_t latest = now_ms + appraiser->period_ms;

	return appraiser->result.valid_to_ms < latest ? appraiser->result.valid_to_ms : latest;
}

bulla_rc bulla_appraiser_verify(struct bulla_appraiser *appraiser, const bulla_digest *subject, bulla_bytes challenge,
	bulla_bytes evidence, const struct bulla_attest_collateral *collateral, int64_t now_ms, struct bulla_buf *ret_token)
{
	struct bulla_attest_binding binding = binding_of(challenge, evidence);
	const struct bulla_attest_time time = {now_ms, BULLA_CLOCK_ONLINE};

	if (bulla_bytes_is_zero_ct(bulla_bytes_digest(subject)))
		return BULLA_FAIL(BULLA_E_ARGUMENT, "the subject has no name");
	BULLA_TRY(use_challenge(appraiser, challenge, now_ms));
	bulla_rc verdict = bulla_attest_appraise(evidence, collateral, &appraiser->anchors, appraiser->policy, &binding, time,
		&appraiser->cache, &appraiser->result);
	int64_t until = verdict == BULLA_OK ? expiry(appraiser, now_ms) : now_ms;
	note(appraiser, subject, verdict, until);
	const struct bulla_ear_about about = {.developer = appraiser->developer, .build = appraiser->build,
		.policy = appraiser->policy_id, .nonce = challenge, .issued_s = now_ms / 1000, .expires_s = until / 1000};
	BULLA_TRY((appraiser->cwt ? bulla_ear_cwt : bulla_ear_jwt)(&appraiser->result, &about, appraiser->key, ret_token));
	return verdict;
}
