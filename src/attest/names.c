#include "attest/attest.h"

static const char *const tees[BULLA_TEE_COUNT] = {
	[BULLA_TEE_NONE] = "none",
	[BULLA_TEE_DEV] = "dev",
	[BULLA_TEE_NITRO] = "nitro",
	[BULLA_TEE_NITROTPM] = "nitrotpm",
	[BULLA_TEE_SNP] = "sev-snp",
	[BULLA_TEE_TDX] = "tdx",
	[BULLA_TEE_SGX] = "sgx",
	[BULLA_TEE_AZ_SNP] = "azure-sev-snp",
	[BULLA_TEE_AZ_TDX] = "azure-tdx",
	[BULLA_TEE_PSA] = "psa",
	[BULLA_TEE_CCA] = "cca",
};

struct factor_row {
	const char *name;
	const char *text;
	bulla_rc rc;
};

static const struct factor_row factors[BULLA_FACTOR_COUNT] = {
#define BULLA_FACTOR(name, id, rc_, text_) [BULLA_FACTOR_##name] = {id, text_, BULLA_##rc_},
#include "attest/factors.def"
#undef BULLA_FACTOR
};

struct claim_row {
	const char *name;
	enum bulla_claim_print print;
};

static const struct claim_row claims[BULLA_CLAIM_COUNT] = {
#define BULLA_CLAIM(name, id, print_) [BULLA_CLAIM_##name] = {id, BULLA_PRINT_##print_},
#include "attest/claims.def"
#undef BULLA_CLAIM
};

const char *bulla_tee_name(enum bulla_tee tee)
{
	return (unsigned)tee < BULLA_TEE_COUNT ? tees[tee] : "none";
}

enum bulla_tee bulla_tee_from_name(bulla_bytes name)
{
	for (int i = 1; i < BULLA_TEE_COUNT; i++)
		if (bulla_bytes_eq_str(name, tees[i]))
			return (enum bulla_tee)i;
	return BULLA_TEE_NONE;
}

const char *bulla_assurance_name(enum bulla_assurance assurance)
{
	static const char *const words[] = {"none", "dev", "emulator", "hardware"};

	return (unsigned)assurance < 4 ? words[assurance] : "none";
}

const char *bulla_factor_name(enum bulla_factor factor)
{
	return (unsigned)factor < BULLA_FACTOR_COUNT ? factors[factor].name : "none";
}

const char *bulla_factor_text(enum bulla_factor factor)
{
	return (unsigned)factor < BULLA_FACTOR_COUNT ? factors[factor].text : "none";
}

bulla_rc bulla_factor_rc(enum bulla_factor factor)
{
	return (unsigned)factor < BULLA_FACTOR_COUNT ? factors[factor].rc : BULLA_E_ARGUMENT;
}

const char *bulla_factor_why_text(enum bulla_factor_why why)
{
	static const char *const words[BULLA_WHY_COUNT] = {
		[BULLA_WHY_NONE] = "",
		[BULLA_WHY_NOT_REACHED] = "an earlier factor failed",
		[BULLA_WHY_POLICY_ANY] = "the caller accepts any",
		[BULLA_WHY_NO_COLLATERAL] = "no collateral, as the caller allows",
		[BULLA_WHY_NO_SUCH_FIELD] = "this evidence has no such field",
	};

	return (unsigned)why < BULLA_WHY_COUNT ? words[why] : "";
}

const char *bulla_claim_name(enum bulla_claim claim)
{
	return (unsigned)claim < BULLA_CLAIM_COUNT ? claims[claim].name : "none";
}

enum bulla_claim_print bulla_claim_print(enum bulla_claim claim)
{
	return (unsigned)claim < BULLA_CLAIM_COUNT ? claims[claim].print : BULLA_PRINT_HEX;
}

enum bulla_claim bulla_claim_from_name(bulla_bytes name)
{
	for (int i = 0; i < BULLA_CLAIM_COUNT; i++)
		if (bulla_bytes_eq_str(name, claims[i].name))
			return (enum bulla_claim)i;
	return BULLA_CLAIM_COUNT;
}

const char *bulla_tcb_status_name(enum bulla_tcb_status status)
{
	static const char *const words[] = {
		"UpToDate",
		"SWHardeningNeeded",
		"ConfigurationNeeded",
		"ConfigurationAndSWHardeningNeeded",
		"TDRelaunchAdvised",
		"TDRelaunchAdvisedConfigurationNeeded",
		"OutOfDate",
		"OutOfDateConfigurationNeeded",
		"Revoked",
		"Unknown",
	};

	return (unsigned)status <= BULLA_TCB_UNKNOWN ? words[status] : "Unknown";
}
