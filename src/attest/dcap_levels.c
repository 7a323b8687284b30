#include "attest/dcap_judge.h"
#include "wire/json.h"

#define MISCSELECT_AT 16
#define ATTRIBUTES_AT 48
#define MRSIGNER_AT 128
#define ISVPRODID_AT 256
#define ISVSVN_AT 258
#define ADVISORY_MAX 64

static const uint8_t collateral_factors[] = {BULLA_FACTOR_CRL_SIGNATURE, BULLA_FACTOR_CRL_DATES,
	BULLA_FACTOR_REVOCATION, BULLA_FACTOR_QE_IDENTITY_SIGNATURE, BULLA_FACTOR_QE_IDENTITY_DATES,
	BULLA_FACTOR_QE_IDENTITY, BULLA_FACTOR_QE_LEVEL, BULLA_FACTOR_TCB_INFO_SIGNATURE, BULLA_FACTOR_TCB_INFO_DATES,
	BULLA_FACTOR_TCB_INFO_PLATFORM, BULLA_FACTOR_TCB_EVALUATION, BULLA_FACTOR_TCB_LEVEL, BULLA_FACTOR_TCB_STATUS,
	BULLA_FACTOR_TCB_ADVISORIES};

/* What the reading found wrong; what it verified holds. */
static bool take_faults(struct bulla_attest_run *run, const struct bulla_dcap_collateral *collateral)
{
	bool ok = true;

	for (size_t i = 0; i < collateral->fault_count; i++)
		ok = bulla_run_fail(run, collateral->faults[i].factor, 0, collateral->faults[i].text) && ok;
	bulla_run_hold(run, BULLA_FACTOR_CRL_SIGNATURE);
	bulla_run_hold(run, BULLA_FACTOR_QE_IDENTITY_SIGNATURE);
	bulla_run_hold(run, BULLA_FACTOR_TCB_INFO_SIGNATURE);
	return ok;
}

/* Read under the caller's anchors then; it must be the root of this quote now. */
static bool same_root(struct bulla_attest_run *run, const struct bulla_dcap_collateral *collateral,
	const struct bulla_cert *root)
{
	bool same = bulla_bytes_eq(collateral->tcb_signer.root.spki, root->spki) &&
		bulla_bytes_eq(collateral->qe_signer.root.spki, root->spki) &&
		bulla_bytes_eq(collateral->crl_signer.root.spki, root->spki);

	return bulla_run_check(run, BULLA_FACTOR_TCB_INFO_SIGNATURE, same, 0, "the collateral has another root than the quote");
}

static void check_window(struct bulla_attest_run *run, enum bulla_factor factor, int64_t time, int64_t from, int64_t to,
	const char *early, const char *late)
{
	bulla_run_window(run, from, to);
	if (time < from || time > to)
		bulla_run_fail(run, factor, 0, time < from ? early : late);
}

static void check_dates(struct bulla_attest_run *run, const struct bulla_dcap_collateral *c, int64_t time)
{
	check_window(run, BULLA_FACTOR_TCB_INFO_DATES, time, c->tcb.issued, c->tcb.next, "the TCB info is not yet valid", "the TCB info is out of date");
	check_window(run, BULLA_FACTOR_TCB_INFO_DATES, time, c->tcb_signer.cert.not_before, c->tcb_signer.cert.not_after,
		"the TCB signing certificate is not yet valid", "the TCB signing certificate has expired");
	check_window(run, BULLA_FACTOR_QE_IDENTITY_DATES, time, c->qe.issued, c->qe.next,
		"the QE identity is not yet valid", "the QE identity is out of date");
	check_window(run, BULLA_FACTOR_QE_IDENTITY_DATES, time, c->qe_signer.cert.not_before,
		c->qe_signer.cert.not_after, "the TCB signing certificate is not yet valid", "the TCB signing certificate has expired");
	check_window(run, BULLA_FACTOR_CRL_DATES, time, c->pck_crl.this_update, c->pck_crl.next_update,
		"the PCK revocation list is not yet valid", "the PCK revocation list is out of date");
	check_window(run, BULLA_FACTOR_CRL_DATES, time, c->root_crl.this_update, c->root_crl.next_update,
		"the root's revocation list is not yet valid", "the root's revocation list is out of date");
	bulla_run_hold(run, BULLA_FACTOR_TCB_INFO_DATES);
	bulla_run_hold(run, BULLA_FACTOR_QE_IDENTITY_DATES);
	bulla_run_hold(run, BULLA_FACTOR_CRL_DATES);
}

static void check_revocation(struct bulla_attest_run *run, const struct bulla_dcap_collateral *c,
	const struct bulla_dcap_judged *judged)
{
	const struct bulla_cert *below_root[] = {&judged->certs[1], &c->crl_signer.cert, &c->tcb_signer.cert,
		&c->qe_signer.cert};

	for (size_t i = 0; i < 4; i++)
		if (bulla_crl_check(&c->root_crl, below_root[i]) != BULLA_OK)
			bulla_run_fail(run, BULLA_FACTOR_REVOCATION, bulla_run_at(run, below_root[i]->der),
				"a CA or signing certificate is revoked");
	/* the processor CA's list says nothing about a platform CA's certificate */
	if (!bulla_bytes_eq(c->crl_signer.cert.spki, judged->certs[1].spki) &&
		!bulla_run_fail(run, BULLA_FACTOR_CRL_SIGNATURE, bulla_run_at(run, judged->certs[1].der),
			"the PCK revocation list is of another PCK CA than this one"))
		return;
	bulla_run_check(run, BULLA_FACTOR_REVOCATION, bulla_crl_check(&c->pck_crl, &judged->certs[2]) == BULLA_OK,
		bulla_run_at(run, judged->certs[2].der), "the PCK certificate is revoked");
}

static bool masked_equal(const uint8_t *found, const uint8_t *want, const uint8_t *mask, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (((found[i] ^ want[i]) & mask[i]) != 0)
			return false;
	return true;
}

static unsigned u16_at(bulla_bytes bytes, size_t at)
{
	return bytes.p[at] | (unsigned)bytes.p[at + 1] << 8;
}

static uint8_t check_qe(struct bulla_attest_run *run, const struct bulla_dcap_qe_identity *qe,
	const struct bulla_quote *quote)
{
	const uint8_t *report = quote->qe_report.p;
	bool same = qe->tdx == quote->tdx &&
		masked_equal(report + MISCSELECT_AT, qe->miscselect, qe->miscselect_mask, 4) &&
		masked_equal(report + ATTRIBUTES_AT, qe->attributes, qe->attributes_mask, 16) &&
		bulla_bytes_eq(bulla_bytes_of(report + MRSIGNER_AT, 32), BULLA_BYTES_ARRAY(qe->mrsigner)) &&
		u16_at(quote->qe_report, ISVPRODID_AT) == qe->isvprodid;
	const struct bulla_dcap_svn_level *level =
		bulla_dcap_svn_level_of(qe->levels, qe->level_count, u16_at(quote->qe_report, ISVSVN_AT));

	bulla_run_check(run, BULLA_FACTOR_QE_IDENTITY, same, bulla_run_at(run, quote->qe_report),
		"the quoting enclave is not the one of the identity");
	bulla_run_check(run, BULLA_FACTOR_QE_LEVEL, level != NULL, bulla_run_in(run, quote->qe_report, ISVSVN_AT), "the quoting enclave is below all levels");
	return level != NULL ? level->status : BULLA_TCB_UNKNOWN;
}

static bool is_accepted(const struct bulla_dcap_policy *policy, bulla_bytes advisory)
{
	return policy->any_advisory || bulla_bytes_in(advisory, policy->advisories, policy->advisory_count);
}

static void check_advisories(struct bulla_attest_run *run, bulla_bytes list, unsigned *index)
{
	bulla_json name, item;

	for (struct bulla_json_iter iter = bulla_json_begin((bulla_json){list}); bulla_json_next(&iter, &name, &item);) {
		bulla_bytes advisory;

		if (bulla_json_string_view(item, &advisory) != BULLA_OK) {
			bulla_run_fail(run, BULLA_FACTOR_TCB_ADVISORIES, 0, "an advisory is no plain name");
			continue;
		}
		bulla_run_claim(run, BULLA_CLAIM_ADVISORY, (*index)++, advisory);
		if (!is_accepted(&run->policy->dcap, advisory))
			bulla_run_fail(run, BULLA_FACTOR_TCB_ADVISORIES, 0, "an advisory of the level is not accepted");
	}
}

static void check_verdict(struct bulla_attest_run *run, const struct bulla_dcap_verdict *verdict)
{
	uint32_t accepted = run->policy->dcap.statuses;
	unsigned index = 0;

	if (!bulla_run_check(run, BULLA_FACTOR_TCB_LEVEL, verdict->level != NULL, 0,
		"the platform is below all TCB levels") ||
		verdict->level == NULL)
		return;
	bulla_run_claim(run, BULLA_CLAIM_TCB_STATUS, 0, bulla_bytes_str(bulla_tcb_status_name(verdict->status)));
	bulla_run_claim(run, BULLA_CLAIM_TCB_DATE, 0, verdict->level->date);
	if (accepted == 0)
		accepted = BULLA_TCB_BIT(BULLA_TCB_UP_TO_DATE);
	bulla_run_check(run, BULLA_FACTOR_TCB_STATUS,
		verdict->status < BULLA_TCB_REVOKED && (accepted >> verdict->status & 1) != 0, 0,
		"the TCB status is not an accepted one");
	check_advisories(run, verdict->level->advisories, &index);
	if (verdict->module_level != NULL)
		check_advisories(run, verdict->module_level->advisories, &index);
	bulla_run_hold(run, BULLA_FACTOR_TCB_ADVISORIES);
}

/* TDX body: MRSIGNERSEAM at 64, SEAM attributes at 112. */
static void check_module(struct bulla_attest_run *run, const struct bulla_dcap_verdict *verdict, bulla_bytes body)
{
	const struct bulla_dcap_module *module = verdict->module;
	bool same = module != NULL && (module->version == 0 || verdict->module_level != NULL) &&
		bulla_bytes_eq(bulla_bytes_of(body.p + 64, 48), BULLA_BYTES_ARRAY(module->mrsigner)) &&
		masked_equal(body.p + 112, module->attributes, module->mask, 8);

	bulla_run_check(run, BULLA_FACTOR_TDX_MODULE, same, bulla_run_at(run, body), "the TDX module is not Intel's, or too old");
}

static void check_level(struct bulla_attest_run *run, const struct bulla_dcap_collateral *c,
	const struct bulla_dcap_judged *judged, uint8_t qe_status)
{
	const struct bulla_quote *quote = &judged->quote;
	const struct bulla_dcap_platform platform = {
		.components = judged->pck.components,
		.pcesvn = judged->pck.pcesvn,
		.tee_tcb_svn = quote->tdx ? quote->body.p : NULL,
		.tee_tcb_svn2 = quote->td15 ? quote->body.p + 584 : NULL,
		.qe_status = qe_status,
	};
	struct bulla_dcap_verdict verdict;
	bool same = c->tcb.tdx == quote->tdx && bulla_bytes_eq(BULLA_BYTES_ARRAY(c->tcb.fmspc), judged->pck.fmspc) &&
		bulla_bytes_eq(BULLA_BYTES_ARRAY(c->tcb.pceid), judged->pck.pceid);

	if (!bulla_run_check(run, BULLA_FACTOR_TCB_INFO_PLATFORM, same, 0, "the TCB info is for another platform"))
		return;
	bulla_dcap_evaluate(&c->tcb, &platform, &verdict);
	check_verdict(run, &verdict);
	if (quote->tdx)
		check_module(run, &verdict, quote->body);
}

static void skip_all(struct bulla_attest_run *run)
{
	for (size_t i = 0; i < sizeof(collateral_factors); i++)
		bulla_run_skip(run, collateral_factors[i], BULLA_WHY_NO_COLLATERAL);
	if (run->result->tee == BULLA_TEE_TDX)
		bulla_run_skip(run, BULLA_FACTOR_TDX_MODULE, BULLA_WHY_NO_COLLATERAL);
}

void bulla_dcap_levels(struct bulla_attest_run *run, const struct bulla_dcap_judged *judged)
{
	const struct bulla_dcap_collateral *collateral = run->collateral->dcap;

	if (run->result->tee == BULLA_TEE_SGX)
		bulla_run_skip(run, BULLA_FACTOR_TDX_MODULE, BULLA_WHY_NO_SUCH_FIELD);
	if (collateral == NULL) {
		if (run->policy->dcap.without_collateral)
			skip_all(run);
		else
			bulla_run_fail(run, BULLA_FACTOR_TCB_INFO_SIGNATURE, 0, "there is no collateral for this platform");
		return;
	}
	if (!take_faults(run, collateral) || !same_root(run, collateral, &judged->certs[0]))
		return;
	uint32_t evaluation = collateral->tcb.evaluation < collateral->qe.evaluation ? collateral->tcb.evaluation :
		collateral->qe.evaluation;
	bulla_run_claim_number(run, BULLA_CLAIM_TCB_EVALUATION, 0, (bulla_bytes){NULL, 0}, evaluation);
	bulla_run_check(run, BULLA_FACTOR_TCB_EVALUATION, evaluation >= run->policy->dcap.evaluation_minimum, 0,
		"the collateral is older than the policy demands");
	check_dates(run, collateral, judged->time);
	check_revocation(run, collateral, judged);
	check_level(run, collateral, judged, check_qe(run, &collateral->qe, &judged->quote));
}
