#pragma once
/* The core of an attestation service: fresh challenges that are used once, appraisal, a signed result (EAR). Sans I/O: time
 * and randomness are arguments, the transport is the caller's. Single-threaded. */
#include "attest/cache.h"
#include "attest/ear.h"
#include "base/sys.h"

#define BULLA_APPRAISER_CHALLENGES 256 /* open at once; the oldest goes */
#define BULLA_APPRAISER_SUBJECTS 1024  /* that are watched; the one that lapses first goes */
#define BULLA_CHALLENGE_SIZE 32

struct bulla_challenge {
	uint8_t nonce[BULLA_CHALLENGE_SIZE];
	int64_t expires_ms; /* 0: free */
};

/* Somebody whose appraisal holds until a time, or has ended for a reason. */
struct bulla_subject {
	bulla_digest id;      /* the caller's name for it, e.g. digest of its key; zero: free */
	int64_t expires_ms;
	bulla_rc why;         /* BULLA_OK while it holds */
};

struct bulla_appraiser {
	const struct bulla_attest_policy *policy; /* another policy: bulla_appraiser_policy */
	struct bulla_attest_anchors anchors;
	struct bulla_sign_key *key;  /* signs results; borrowed */
	const char *developer, *build, *policy_id;
	bool cwt;            /* the next result is a CWT, not a JWT */
	int64_t challenge_ms; /* how long a challenge may be answered */
	int64_t period_ms;    /* re-attest at the latest after this */
	struct bulla_challenge challenges[BULLA_APPRAISER_CHALLENGES];
	struct bulla_subject subjects[BULLA_APPRAISER_SUBJECTS];
	struct bulla_attest_cache cache;
	struct bulla_attest_result result; /* of the newest appraisal */
};

/* Everything empty; the caller fills the fields up to period_ms. About 100 KiB: on the heap. */
void bulla_appraiser_init(struct bulla_appraiser *ret);

/* A fresh challenge. BULLA_E_RANDOM. */
BULLA_CHECK bulla_rc bulla_appraiser_challenge(struct bulla_appraiser *appraiser, const struct bulla_random *random,
	int64_t now_ms, uint8_t ret[BULLA_CHALLENGE_SIZE]);

/* Judges evidence that answers the challenge, which is used up whatever comes out, and notes the subject. The challenge must
 * stand where this TEE has a nonce, else in its 64 bytes. Appends the signed result (JWT, or CWT) to ret_token also when it is a
 * refusal; returns why. BULLA_E_BINDER for a challenge that is not open, BULLA_E_EVIDENCE_STALE for one that expired: then no
 * token. collateral may be NULL. */
BULLA_CHECK bulla_rc bulla_appraiser_verify(struct bulla_appraiser *appraiser, const bulla_digest *subject,
	bulla_bytes challenge, bulla_bytes evidence, const struct bulla_attest_collateral *collateral, int64_t now_ms,
	struct bulla_buf *ret_token);

/* BULLA_OK while the subject's appraisal holds; else why not: BULLA_E_EVIDENCE_STALE when it lapsed, the reason of the
 * appraisal that turned bad, BULLA_E_REVOKED, BULLA_E_NOT_FOUND. */
BULLA_CHECK bulla_rc bulla_appraiser_holds(const struct bulla_appraiser *appraiser, const bulla_digest *subject,
	int64_t now_ms);

/* Ends a subject's appraisal on demand: it must attest again. */
void bulla_appraiser_revoke(struct bulla_appraiser *appraiser, const bulla_digest *subject);

/* Another policy: nothing verified under the old one counts any more, all subjects must attest again. */
void bulla_appraiser_policy(struct bulla_appraiser *appraiser, const struct bulla_attest_policy *policy);

/* When the next subject lapses; INT64_MAX when none does. */
int64_t bulla_appraiser_next_ms(const struct bulla_appraiser *appraiser);
