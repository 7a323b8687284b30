/* To port from: a TEE that always says no. Copy it, fill in the three functions, list the rules it has in `factors` (new
 * ones are appended to factors.def, new claims to claims.def), add a row to table.c, a value to enum bulla_tee with its
 * name (names.c) and title (show.c), tests in which each rule alone is broken, a fuzz target with its corpus, and its line
 * in doc/attestation.md. Rules:
 * - sniff only guesses; what it is, the signature chain says (set result->tee when the signature holds, not before);
 * - each rule ends held, failed with the byte, or skipped with a reason; what is left unreached fails the appraisal;
 * - nothing is believed before bulla_run_chain and the signature held: return on the first failure up to there;
 * - claims borrow from the evidence, or from bulla_run_keep. */
#include "attest/chain.h"

static const uint8_t factors[] = {BULLA_FACTOR_SIZE, BULLA_FACTOR_TEE, BULLA_FACTOR_ANCHOR, BULLA_FACTOR_SIGNATURE,
	BULLA_FACTOR_CLASS, BULLA_FACTOR_CLOCK, BULLA_FACTOR_NOT_FUTURE, BULLA_FACTOR_FRESH, BULLA_FACTOR_NONCE,
	BULLA_FACTOR_BINDER, BULLA_FACTOR_PUBLIC_KEY, BULLA_FACTOR_DEBUG, BULLA_FACTOR_MEASUREMENT,
	BULLA_FACTOR_REQUIRED, BULLA_FACTOR_MANIFEST, BULLA_FACTOR_BUNDLES, BULLA_FACTOR_PLATFORM_ALLOWED};

static bool sniff(bulla_bytes evidence)
{
	return evidence.n == 0;
}

/* Form, chain, signature: true when the evidence may be believed. */
static bool judge(struct bulla_attest_run *run)
{
	(void)bulla_run_seconds(run, 0);
	return bulla_run_check(run, BULLA_FACTOR_SIZE, run->evidence.n > 0, 0, "there is no evidence");
}

static void appraise(struct bulla_attest_run *run)
{
	const struct bulla_attest_binding *binding = run->binding;
	bulla_bytes report_data = {NULL, 0};

	if (!judge(run))
		return;
	bulla_run_fresh(run, 0, 0);
	bulla_run_policy(run, false, 0);
	bulla_run_bound(run, BULLA_FACTOR_BINDER, &binding->binder, report_data, true);
	bulla_run_no_field(run, BULLA_FACTOR_NONCE, &binding->nonce);
	bulla_run_no_field(run, BULLA_FACTOR_PUBLIC_KEY, &binding->public_key);
	bulla_run_no_field(run, BULLA_FACTOR_MANIFEST, &binding->manifest);
	bulla_run_no_field(run, BULLA_FACTOR_BUNDLES, &binding->bundles);
	bulla_run_platform(run, report_data);
}

extern const struct bulla_attest_ops bulla_attest_skeleton;
const struct bulla_attest_ops bulla_attest_skeleton = {
	.name = "skeleton",
	.media_type = "application/vnd.bulla.skeleton",
	.guess = BULLA_TEE_NONE,
	.tees = 0,
	.factors = factors,
	.factor_count = sizeof(factors),
	.sniff = sniff,
	.appraise = appraise,
};
