#pragma once
/* Is this instance record's evidence good under this manifest? The one place where a manifest's evidence policy becomes an
 * appraisal: enclave (senders, births), broker (sessions, births) and verifier use the same function. Pure. */
#include "attest/attest.h"
#include "manifest/manifest.h"
#include "receipt/instance.h"

struct bulla_judge_time {
	int64_t now_ms;
	bool online; /* true: the evidence is fresh now (a session is asked for). false: it was good at its own time, which is
	              * near now_ms (a record that is used later; pass the record's own time_ms) */
};

/* Appraises evidence bound to these fields: images that the manifest accepts for every agent named, PCR16 and 17 as the
 * manifest says, the vendors' anchors and the manifest's. *ret_result borrows from the evidence (claims of collateral are
 * copies in it); may be NULL.
 * Errors of attest/factors.def (BULLA_E_EVIDENCE_*, _MEASUREMENT, _BINDER), BULLA_E_NOT_FOUND: an agent the manifest does
 * not have, BULLA_E_EPOCH_OLD: attested under another manifest, BULLA_E_LIMIT: more claims of collateral than a result
 * keeps. About 100 KiB of stack. */
BULLA_CHECK bulla_rc bulla_judge_instance(const struct bulla_manifest *manifest, const struct bulla_instance *instance,
	struct bulla_judge_time time, struct bulla_attest_cache *cache, struct bulla_attest_result *ret_result);

/* The same evidence, bound as the manifest says and under the same anchors, by another policy: what else it must be. Says
 * nothing of the manifest's own rules. Errors as above. */
BULLA_CHECK bulla_rc bulla_judge_instance_under(const struct bulla_attest_policy *policy, const struct bulla_manifest *manifest,
	const struct bulla_instance *instance, struct bulla_judge_time time, struct bulla_attest_cache *cache);

/* SHA-256 of what the evidence says of the image as a whole: PCR0, the launch digest. Zeros where it says nothing. */
void bulla_judge_image(const struct bulla_attest_result *result, bulla_digest *ret);

/* The same by these anchors alone: a verifier takes no anchor's class from the manifest. */
BULLA_CHECK bulla_rc bulla_judge_instance_by(const struct bulla_manifest *manifest, const struct bulla_instance *instance,
	const struct bulla_attest_anchors *anchors, struct bulla_judge_time time, struct bulla_attest_cache *cache,
	struct bulla_attest_result *ret_result);
