#include "attest/snp.h"

#include "attest/chain.h"

static const uint8_t factors[] = {BULLA_FACTOR_SIZE, BULLA_FACTOR_TRAILING, BULLA_FACTOR_VERSION, BULLA_FACTOR_RESERVED,
	BULLA_FACTOR_ALGORITHM, BULLA_FACTOR_TEE, BULLA_FACTOR_ANCHOR, BULLA_FACTOR_TEST_KEY,
	BULLA_FACTOR_CHAIN_FORM, BULLA_FACTOR_CHAIN_ORDER,
	BULLA_FACTOR_CHAIN_SIGNATURES, BULLA_FACTOR_CHAIN_DATES, BULLA_FACTOR_CHAIN_CA, BULLA_FACTOR_CHAIN_KEYS,
	BULLA_FACTOR_LEAF_USAGE, BULLA_FACTOR_CRL_SIGNATURE, BULLA_FACTOR_CRL_DATES, BULLA_FACTOR_REVOCATION,
	BULLA_FACTOR_SIGNATURE_RANGE, BULLA_FACTOR_SIGNATURE, BULLA_FACTOR_CLASS, BULLA_FACTOR_CLOCK,
	BULLA_FACTOR_NOT_FUTURE, BULLA_FACTOR_FRESH, BULLA_FACTOR_NONCE, BULLA_FACTOR_BINDER, BULLA_FACTOR_PUBLIC_KEY,
	BULLA_FACTOR_DEBUG, BULLA_FACTOR_MEASUREMENT, BULLA_FACTOR_REQUIRED, BULLA_FACTOR_MANIFEST, BULLA_FACTOR_BUNDLES,
	BULLA_FACTOR_PLATFORM_ALLOWED, BULLA_FACTOR_SNP_SIGNER, BULLA_FACTOR_SNP_GENERATION,
	BULLA_FACTOR_SNP_TCB_CERTIFICATE, BULLA_FACTOR_SNP_CHIP, BULLA_FACTOR_SNP_CSP, BULLA_FACTOR_SNP_TCB_ORDER,
	BULLA_FACTOR_SNP_TCB_MINIMUM, BULLA_FACTOR_SNP_MIGRATION, BULLA_FACTOR_SNP_GUEST_POLICY, BULLA_FACTOR_SNP_ABI,
	BULLA_FACTOR_SNP_VMPL, BULLA_FACTOR_SNP_PLATFORM, BULLA_FACTOR_SNP_GUEST_SVN, BULLA_FACTOR_SNP_MITIGATIONS};

#define POLICY_MUST_BE_ONE (UINT64_C(1) << 17)
#define POLICY_MIGRATION (UINT64_C(1) << 18)
#define POLICY_DEBUG (UINT64_C(1) << 19)
#define FLAG_MASK_CHIP (1u << 1)

static bool sniff(bulla_bytes evidence)
{
	const uint8_t *p = evidence.p;

	if (evidence.n == BULLA_SNP_REPORT_SIZE && p[3] == 0)
		return true; /* of whatever version */
	return evidence.n >= 4 && p[0] > 0 && p[0] < 16 && p[1] == 0 && p[2] == 0 && p[3] == 0;
}

/* ---- form ---- */
struct range {
	uint16_t at, size, from_version, to_version;
};

/* Bytes that must be zero in versions from..to (firmware ABI 56860, table "ATTESTATION_REPORT"). */
static const struct range reserved[] = {
	{0x04c, 4, 0, 9},
	{0x188, 24, 0, 2},
	{0x18b, 21, 3, 9},
	{0x1eb, 1, 0, 9},
	{0x1ef, 1, 0, 9},
	{0x1f8, 16, 0, 4},
	{0x208, 0x2a0 - 0x208, 0, 9},
	{0x2a0 + 48, 24, 0, 9}, /* r is 48 of 72 bytes, little-endian */
	{0x2e8 + 48, 24, 0, 9},
	{0x330, BULLA_SNP_REPORT_SIZE - 0x330, 0, 9},
};

static bool check_reserved(struct bulla_attest_run *run, const struct bulla_snp_report *report)
{
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		const struct range *range = &reserved[i];
		bool applies = report->version >= range->from_version && report->version <= range->to_version;

		for (size_t k = 0; applies && k < range->size; k++)
			if (report->raw.p[range->at + k] != 0)
				return bulla_run_stop(run, BULLA_FACTOR_RESERVED, bulla_run_in(run, report->raw, range->at + k),
					"a reserved byte is not zero");
	}
	if ((report->key_flags & ~UINT32_C(0x1f)) != 0)
		return bulla_run_stop(run, BULLA_FACTOR_RESERVED, bulla_run_in(run, report->raw, 0x48), "reserved key flags are not zero");
	return bulla_run_check(run, BULLA_FACTOR_RESERVED, (report->policy & POLICY_MUST_BE_ONE) != 0, bulla_run_in(run, report->raw, 0x08),
		"bit 17 of the guest policy is not one");
}

static void record_tcbs(struct bulla_attest_run *run, const struct bulla_snp_report *report)
{
	bulla_run_claim(run, BULLA_CLAIM_REPORTED_TCB, 0, report->reported_tcb);
	bulla_run_claim(run, BULLA_CLAIM_COMMITTED_TCB, 0, report->committed_tcb);
	bulla_run_claim(run, BULLA_CLAIM_CURRENT_TCB, 0, report->current_tcb);
	bulla_run_claim(run, BULLA_CLAIM_LAUNCH_TCB, 0, report->launch_tcb);
	bulla_run_claim(run, BULLA_CLAIM_CHIP_ID, 0, report->chip_id);
	if (report->version < 5)
		return;
	bulla_run_claim_number(run, BULLA_CLAIM_LAUNCH_MIT_VECTOR, 0, (bulla_bytes){NULL, 0}, report->launch_mitigations);
	bulla_run_claim_number(run, BULLA_CLAIM_CURRENT_MIT_VECTOR, 0, (bulla_bytes){NULL, 0},
		report->current_mitigations);
}

static void record_claims(struct bulla_attest_run *run, const struct bulla_snp_report *report)
{
	const bulla_bytes at = report->raw;

	bulla_run_claim_number(run, BULLA_CLAIM_REPORT_VERSION, 0, at, report->version);
	bulla_run_claim(run, BULLA_CLAIM_MEASUREMENT, 0, report->measurement);
	bulla_run_claim(run, BULLA_CLAIM_REPORT_DATA, 0, report->report_data);
	bulla_run_claim(run, BULLA_CLAIM_HOST_DATA, 0, report->host_data);
	bulla_run_claim(run, BULLA_CLAIM_ID_KEY_DIGEST, 0, report->id_key_digest);
	bulla_run_claim(run, BULLA_CLAIM_AUTHOR_KEY_DIGEST, 0, report->author_key_digest);
	bulla_run_claim(run, BULLA_CLAIM_FAMILY_ID, 0, report->family_id);
	bulla_run_claim(run, BULLA_CLAIM_IMAGE_ID, 0, report->image_id);
	bulla_run_claim(run, BULLA_CLAIM_REPORT_ID, 0, report->report_id);
	bulla_run_claim(run, BULLA_CLAIM_REPORT_ID_MA, 0, report->report_id_ma);
	bulla_run_claim_number(run, BULLA_CLAIM_GUEST_SVN, 0, at, report->guest_svn);
	bulla_run_claim_number(run, BULLA_CLAIM_GUEST_POLICY, 0, at, report->policy);
	bulla_run_claim_number(run, BULLA_CLAIM_VMPL, 0, at, report->vmpl);
	bulla_run_claim_number(run, BULLA_CLAIM_PLATFORM_INFO, 0, at, report->platform_info);
	record_tcbs(run, report);
}

static bool read_form(struct bulla_attest_run *run, bulla_bytes bytes, struct bulla_snp_report *ret)
{
	bulla_rc rc = bulla_snp_read(bytes, ret);

	if (rc == BULLA_E_TRAILING)
		return bulla_run_stop(run, BULLA_FACTOR_TRAILING, bulla_run_in(run, bytes, BULLA_SNP_REPORT_SIZE), "bytes follow the report's 1184");
	if (rc != BULLA_OK)
		return bulla_run_stop(run, BULLA_FACTOR_SIZE, bulla_run_in(run, bytes, bytes.n), "the report ends before its 1184 bytes");
	bulla_run_hold(run, BULLA_FACTOR_SIZE);
	bulla_run_hold(run, BULLA_FACTOR_TRAILING);
	if (!bulla_run_check(run, BULLA_FACTOR_VERSION, ret->version >= 2 && ret->version <= 5, bulla_run_at(run, bytes),
		"the report's version is not 2 to 5"))
		return false;
	record_claims(run, ret);
	return check_reserved(run, ret) &&
		bulla_run_check(run, BULLA_FACTOR_ALGORITHM, ret->signature_algorithm == 1, bulla_run_in(run, bytes, 0x34),
			"the signature algorithm is not P-384 with SHA-384");
}

/* ---- who signed ---- */
static void reverse(bulla_bytes from, uint8_t *ret)
{
	for (size_t i = 0; i < from.n; i++)
		ret[i] = from.p[from.n - 1 - i];
}

static bool check_signature(struct bulla_attest_run *run, const struct bulla_snp_report *report,
	struct bulla_verify_key *key)
{
	size_t at = bulla_run_in(run, report->raw, BULLA_SNP_SIGNED_SIZE);
	uint8_t signature[96];

	reverse(bulla_bytes_of(report->raw.p + 0x2a0, 48), signature);
	reverse(bulla_bytes_of(report->raw.p + 0x2e8, 48), signature + 48);
	if (!bulla_run_check(run, BULLA_FACTOR_SIGNATURE_RANGE,
		bulla_signature_in_range(BULLA_KEY_P384, BULLA_BYTES_ARRAY(signature)), at,
		"a half of the signature is zero or not below the order"))
		return false;
	bool ok = bulla_verify(key, BULLA_ES384, bulla_bytes_of(report->raw.p, BULLA_SNP_SIGNED_SIZE),
		BULLA_BYTES_ARRAY(signature)) == BULLA_OK;
	return bulla_run_check(run, BULLA_FACTOR_SIGNATURE, ok, at, "the report's signature does not verify");
}

/* The part of a Name's CN behind a prefix; empty when it has another. */
static bulla_bytes name_behind(bulla_bytes name, const char *prefix)
{
	static const uint8_t common_name[] = {0x55, 0x04, 0x03};
	bulla_bytes value, word = bulla_bytes_str(prefix);

	if (bulla_name_find(name, BULLA_BYTES_ARRAY(common_name), &value) != BULLA_OK || value.n <= word.n ||
		!bulla_bytes_eq(bulla_bytes_of(value.p, word.n), word))
		return (bulla_bytes){NULL, 0};
	return bulla_bytes_of(value.p + word.n, value.n - word.n);
}

static bool check_generation(struct bulla_attest_run *run, const struct bulla_snp_report *report,
	const struct bulla_cert *certs, const struct bulla_snp_endorsement *endorsement)
{
	const struct bulla_snp_generation *generation = endorsement->generation;
	bool root = bulla_snp_generation_of_name(name_behind(certs[0].subject, "ARK-")) == generation;
	bool cpu = report->version < 3 ||
		bulla_snp_generation_of_cpu(report->cpu_family, report->cpu_model) == generation;

	bulla_run_claim(run, BULLA_CLAIM_GENERATION, 0, bulla_bytes_str(generation->name));
	return bulla_run_check(run, BULLA_FACTOR_SNP_GENERATION, root && cpu, bulla_run_in(run, report->raw, 0x188),
		"CPUID, certificate and root name different generations");
}

static bool check_signer(struct bulla_attest_run *run, const struct bulla_snp_report *report,
	const struct bulla_cert *certs, const struct bulla_snp_endorsement *endorsement)
{
	bool vlek = endorsement->signer == BULLA_SNP_VLEK;
	bool issuer = (name_behind(certs[1].subject, "SEV-VLEK-").n > 0) == vlek;
	unsigned kind = report->key_flags >> 2 & 7;

	bulla_run_claim(run, BULLA_CLAIM_SIGNER, 0, bulla_bytes_str(vlek ? "VLEK" : "VCEK"));
	return bulla_run_check(run, BULLA_FACTOR_SNP_SIGNER, kind == (unsigned)endorsement->signer && issuer,
		bulla_run_in(run, report->raw, 0x48), "the report was signed by another kind of key than the chain's");
}

static bool chip_matches(const struct bulla_snp_report *report, bulla_bytes hardware_id)
{
	size_t n = hardware_id.n;

	return (n == 64 || n == 8) && bulla_bytes_eq(bulla_bytes_of(report->chip_id.p, n), hardware_id) &&
		bulla_bytes_is_zero_ct(bulla_bytes_of(report->chip_id.p + n, 64 - n)) &&
		!bulla_bytes_is_zero_ct(hardware_id);
}

static void check_chip(struct bulla_attest_run *run, const struct bulla_snp_report *report,
	const struct bulla_snp_endorsement *endorsement)
{
	const struct bulla_snp_policy *policy = &run->policy->snp;
	bool zero = bulla_bytes_is_zero_ct(report->chip_id);
	size_t at = bulla_run_at(run, report->chip_id);

	if (endorsement->signer == BULLA_SNP_VLEK) {
		bulla_run_check(run, BULLA_FACTOR_SNP_CHIP, zero, at, "a chip id stands in a report signed by a VLEK");
		bulla_run_claim(run, BULLA_CLAIM_CSP_ID, 0, endorsement->csp_id);
		if (policy->any_csp)
			bulla_run_skip(run, BULLA_FACTOR_SNP_CSP, BULLA_WHY_POLICY_ANY);
		else
			bulla_run_check(run, BULLA_FACTOR_SNP_CSP,
				bulla_bytes_in(endorsement->csp_id, policy->csps, policy->csp_count), 0,
				"the VLEK's cloud provider is not an accepted one");
		return;
	}
	bulla_run_skip(run, BULLA_FACTOR_SNP_CSP, BULLA_WHY_NO_SUCH_FIELD);
	if (zero && (report->key_flags & FLAG_MASK_CHIP) != 0 && policy->allow_masked_chip)
		bulla_run_skip(run, BULLA_FACTOR_SNP_CHIP, BULLA_WHY_POLICY_ANY);
	else
		bulla_run_check(run, BULLA_FACTOR_SNP_CHIP, chip_matches(report, endorsement->hardware_id), at,
			"the certificate is for another chip");
}

static void check_revocation(struct bulla_attest_run *run, const struct bulla_cert *certs, int64_t time)
{
	const struct bulla_attest_collateral *collateral = run->collateral;
	bool revoked = false;

	if (collateral->crl_count == 0) {
		bulla_run_skip(run, BULLA_FACTOR_CRL_SIGNATURE, BULLA_WHY_NO_COLLATERAL);
		bulla_run_skip(run, BULLA_FACTOR_CRL_DATES, BULLA_WHY_NO_COLLATERAL);
		bulla_run_skip(run, BULLA_FACTOR_REVOCATION, BULLA_WHY_NO_COLLATERAL);
		return;
	}
	for (size_t i = 0; i < collateral->crl_count && i < BULLA_ATTEST_CRLS; i++) {
		struct bulla_crl crl;
		bulla_rc rc = bulla_crl_parse(collateral->crls[i], &crl);

		if (rc == BULLA_OK)
			rc = bulla_crl_verify(&crl, &certs[0], time);
		if (rc == BULLA_E_EVIDENCE_STALE)
			bulla_run_fail(run, BULLA_FACTOR_CRL_DATES, 0, "a revocation list is not valid now");
		else if (rc != BULLA_OK)
			bulla_run_fail(run, BULLA_FACTOR_CRL_SIGNATURE, 0, "a revocation list is not the root's");
		else
			revoked = revoked || bulla_crl_check(&crl, &certs[1]) == BULLA_E_REVOKED;
		if (rc == BULLA_OK)
			bulla_run_window(run, crl.this_update, crl.next_update);
	}
	bulla_run_hold(run, BULLA_FACTOR_CRL_SIGNATURE);
	bulla_run_hold(run, BULLA_FACTOR_CRL_DATES);
	bulla_run_check(run, BULLA_FACTOR_REVOCATION, !revoked, 0, "the issuing key (ASK, ASVK) is revoked");
}

/* ---- what AMD's rules and the policy say ---- */
static void check_tcb(struct bulla_attest_run *run, const struct bulla_snp_report *report,
	const struct bulla_snp_endorsement *endorsement)
{
	const struct bulla_snp_generation *generation = endorsement->generation;
	struct bulla_snp_tcb reported = bulla_snp_tcb_of(generation, report->reported_tcb);
	struct bulla_snp_tcb committed = bulla_snp_tcb_of(generation, report->committed_tcb);
	struct bulla_snp_tcb current = bulla_snp_tcb_of(generation, report->current_tcb);
	size_t at = bulla_run_at(run, report->reported_tcb);

	bulla_run_check(run, BULLA_FACTOR_SNP_TCB_CERTIFICATE, bulla_snp_tcb_equal(reported, endorsement->tcb), at,
		"the certificate is for another TCB than the reported one");
	bulla_run_check(run, BULLA_FACTOR_SNP_TCB_ORDER,
		bulla_snp_tcb_at_least(committed, reported) && bulla_snp_tcb_at_least(current, committed), at,
		"reported, committed and current TCB are not in order");
	bulla_run_check(run, BULLA_FACTOR_SNP_TCB_MINIMUM,
		bulla_snp_tcb_at_least(reported, run->policy->snp.minimum), at, "a part of the TCB is below its minimum");
}

static void check_guest(struct bulla_attest_run *run, const struct bulla_snp_report *report)
{
	const struct bulla_snp_policy *policy = &run->policy->snp;
	unsigned minor = report->policy & 0xff, major = report->policy >> 8 & 0xff;
	bool bits = (report->policy & policy->guest_policy_refused) == 0 &&
		(~report->policy & policy->guest_policy_demanded) == 0;
	unsigned vmpls = policy->vmpls == 0 ? 1 : policy->vmpls;

	bulla_run_check(run, BULLA_FACTOR_SNP_MIGRATION,
		(report->policy & POLICY_MIGRATION) == 0 || policy->allow_migration, bulla_run_in(run, report->raw, 0x08),
		"the guest allows a migration agent");
	bulla_run_check(run, BULLA_FACTOR_SNP_GUEST_POLICY, bits, bulla_run_in(run, report->raw, 0x08), "a bit of the guest policy is refused");
	bulla_run_check(run, BULLA_FACTOR_SNP_ABI,
		major > policy->abi_major || (major == policy->abi_major && minor >= policy->abi_minor), bulla_run_in(run, report->raw, 0x08),
		"the guest accepts an older ABI");
	bulla_run_check(run, BULLA_FACTOR_SNP_VMPL, report->vmpl < 4 && (vmpls >> report->vmpl & 1) != 0, bulla_run_in(run, report->raw, 0x30),
		"the privilege level is not an accepted one");
	bulla_run_check(run, BULLA_FACTOR_SNP_GUEST_SVN, report->guest_svn >= policy->guest_svn_minimum, bulla_run_in(run, report->raw, 0x04),
		"the guest's SVN is below its minimum");
}

static void check_platform(struct bulla_attest_run *run, const struct bulla_snp_report *report)
{
	const struct bulla_snp_policy *policy = &run->policy->snp;

	bulla_run_check(run, BULLA_FACTOR_SNP_PLATFORM,
		(report->platform_info & policy->platform_refused) == 0 &&
			(~report->platform_info & policy->platform_demanded) == 0,
		bulla_run_in(run, report->raw, 0x40), "a bit of PLATFORM_INFO is refused or missing");
	if (report->version < 5 && policy->mitigations_demanded == 0)
		bulla_run_skip(run, BULLA_FACTOR_SNP_MITIGATIONS, BULLA_WHY_NO_SUCH_FIELD);
	else
		bulla_run_check(run, BULLA_FACTOR_SNP_MITIGATIONS,
			(~report->current_mitigations & policy->mitigations_demanded) == 0, bulla_run_in(run, report->raw, 0x200),
			"a demanded mitigation is missing");
}

bool bulla_snp_judge(struct bulla_attest_run *run, bulla_bytes bytes, struct bulla_snp_report *ret)
{
	struct bulla_cert certs[3];
	struct bulla_snp_endorsement endorsement;
	const struct bulla_attest_anchor *anchor = NULL;
	const struct bulla_chain_rules rules = {BULLA_TEE_SNP, 1u << BULLA_KEY_RSA, 1u << BULLA_KEY_P384, false,
		bulla_run_seconds(run, 0)};
	BULLA_AUTO_VERIFY_KEY key = NULL;

	if (!read_form(run, bytes, ret) || !bulla_snp_pick_chain(run, ret, certs) ||
		!bulla_run_chain(run, certs, 3, &rules, &anchor, &key))
		return false;
	check_revocation(run, certs, rules.time);
	if (bulla_snp_endorsement_read(&certs[2], &endorsement) != BULLA_OK)
		return bulla_run_stop(run, BULLA_FACTOR_CHAIN_FORM, 0, "the certificate's extensions are not AMD's");
	if (!check_signer(run, ret, certs, &endorsement) || !check_generation(run, ret, certs, &endorsement) ||
		!check_signature(run, ret, key))
		return false;
	run->result->assurance = anchor != NULL ? anchor->assurance : BULLA_ASSURANCE_NONE;
	check_chip(run, ret, &endorsement);
	check_tcb(run, ret, &endorsement);
	check_guest(run, ret);
	check_platform(run, ret);
	return true;
}

static void appraise(struct bulla_attest_run *run)
{
	const struct bulla_attest_binding *binding = run->binding;
	struct bulla_snp_report report;

	if (!bulla_snp_judge(run, run->evidence, &report))
		return;
	run->result->tee = BULLA_TEE_SNP;
	bulla_run_fresh(run, 0, 0);
	bulla_run_policy(run, (report.policy & POLICY_DEBUG) != 0, bulla_run_in(run, report.raw, 0x08));
	bulla_run_bound(run, BULLA_FACTOR_BINDER, &binding->binder, report.report_data, true);
	bulla_run_no_field(run, BULLA_FACTOR_NONCE, &binding->nonce);
	bulla_run_no_field(run, BULLA_FACTOR_PUBLIC_KEY, &binding->public_key);
	bulla_run_no_field(run, BULLA_FACTOR_MANIFEST, &binding->manifest);
	bulla_run_no_field(run, BULLA_FACTOR_BUNDLES, &binding->bundles);
	bulla_run_platform(run, report.chip_id);
}

const struct bulla_attest_ops bulla_attest_snp = {
	.name = "sev-snp",
	.media_type = "application/vnd.bulla.snp-report",
	.guess = BULLA_TEE_SNP,
	.tees = BULLA_TEE_BIT(BULLA_TEE_SNP),
	.factors = factors,
	.factor_count = sizeof(factors),
	.sniff = sniff,
	.appraise = appraise,
};
