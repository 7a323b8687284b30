/* Names of verdicts and checks. */
#include "verify/verify.h"

static const struct {
	const char *id, *text;
} checks[BULLA_VERIFY_COUNT] = {
#define BULLA_VERIFY_CHECK(name, id, text) {id, text},
#include "verify/checks.def"
#undef BULLA_VERIFY_CHECK
};

const char *bulla_verify_check_id(enum bulla_verify_check check)
{
	return (unsigned)check < BULLA_VERIFY_COUNT ? checks[check].id : "unknown";
}

const char *bulla_verify_check_text(enum bulla_verify_check check)
{
	return (unsigned)check < BULLA_VERIFY_COUNT ? checks[check].text : "unknown";
}

static const struct {
	const char *word, *id;
} verdicts[] = {
	[BULLA_VERDICT_VERIFIED] = {"VERIFIED", "verified"},
	[BULLA_VERDICT_DEV_ONLY] = {"DEV ONLY", "dev-only"},
	[BULLA_VERDICT_EMULATOR_ONLY] = {"EMULATOR ONLY", "emulator-only"},
	[BULLA_VERDICT_UNKNOWN_SIGNER] = {"UNKNOWN SIGNER", "unknown-signer"},
	[BULLA_VERDICT_REFUSED] = {"REFUSED", "refused"},
};

const char *bulla_verdict_word(enum bulla_verdict verdict)
{
	return verdicts[verdict].word;
}

const char *bulla_verdict_id(enum bulla_verdict verdict)
{
	return verdicts[verdict].id;
}

int bulla_verdict_exit(enum bulla_verdict verdict, unsigned accept)
{
	if (verdict == BULLA_VERDICT_VERIFIED || (verdict == BULLA_VERDICT_DEV_ONLY && (accept & BULLA_ACCEPT_DEV) != 0) ||
		(verdict == BULLA_VERDICT_EMULATOR_ONLY && (accept & BULLA_ACCEPT_EMULATOR) != 0))
		return 0;
	return verdict == BULLA_VERDICT_REFUSED ? 1 : 4;
}
