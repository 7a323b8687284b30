#include "attest/dcap.h"

const struct bulla_dcap_svn_level *bulla_dcap_svn_level_of(const struct bulla_dcap_svn_level *levels, size_t count,
	unsigned svn)
{
	for (size_t i = 0; i < count; i++)
		if (svn >= levels[i].isvsvn)
			return &levels[i];
	return NULL;
}

static bool reaches(const uint8_t *have, const uint8_t *want, size_t from)
{
	for (size_t i = from; i < 16; i++)
		if (have[i] < want[i])
			return false;
	return true;
}

/* Levels come sorted, the newest first. From module version 1 on, the module has levels of its own: components 0 and 1
 * (its SVN and version) are then not compared here (Intel QVL, checkTcbLevel). */
static const struct bulla_dcap_level *find_level(const struct bulla_dcap_tcb_info *tcb,
	const struct bulla_dcap_platform *platform, const uint8_t *svn)
{
	for (size_t i = 0; i < tcb->level_count; i++) {
		const struct bulla_dcap_level *level = &tcb->levels[i];
		bool sgx = reaches(platform->components, level->sgx, 0) && platform->pcesvn >= level->pcesvn;

		if (sgx && (svn == NULL || reaches(svn, level->tdx, svn[1] > 0 ? 2 : 0)))
			return level;
	}
	return NULL;
}

static const struct bulla_dcap_module *find_module(const struct bulla_dcap_tcb_info *tcb, uint8_t version)
{
	if (version == 0)
		return tcb->has_module ? &tcb->module : NULL;
	for (size_t i = 0; i < tcb->module_count; i++)
		if (tcb->modules[i].version == version)
			return &tcb->modules[i];
	return NULL;
}

/* A component that is out of date or revoked makes the platform's status worse; nothing makes it better. */
static uint8_t converge(uint8_t platform, uint8_t component)
{
	if (platform == BULLA_TCB_REVOKED || component == BULLA_TCB_REVOKED)
		return BULLA_TCB_REVOKED;
	if (component == BULLA_TCB_UNKNOWN)
		return BULLA_TCB_UNKNOWN;
	if (component != BULLA_TCB_OUT_OF_DATE)
		return platform;
	if (platform == BULLA_TCB_UP_TO_DATE || platform == BULLA_TCB_SW_HARDENING_NEEDED)
		return BULLA_TCB_OUT_OF_DATE;
	if (platform == BULLA_TCB_CONFIGURATION_NEEDED || platform == BULLA_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED)
		return BULLA_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED;
	return platform;
}

static void judge(const struct bulla_dcap_tcb_info *tcb, const struct bulla_dcap_platform *platform,
	const uint8_t *svn, struct bulla_dcap_verdict *ret)
{
	*ret = (struct bulla_dcap_verdict){.status = BULLA_TCB_UNKNOWN};
	ret->level = find_level(tcb, platform, svn);
	if (svn != NULL) {
		ret->module = find_module(tcb, svn[1]);
		if (ret->module != NULL && svn[1] > 0)
			ret->module_level = bulla_dcap_svn_level_of(ret->module->levels, ret->module->level_count, svn[0]);
	}
	if (ret->level == NULL || (svn != NULL && (ret->module == NULL || (svn[1] > 0 && ret->module_level == NULL))))
		return;
	ret->status = converge(ret->level->status, platform->qe_status);
	if (ret->module_level != NULL)
		ret->status = converge(ret->status, ret->module_level->status);
}

static bool is_out_of_date(uint8_t status)
{
	return status == BULLA_TCB_OUT_OF_DATE || status == BULLA_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED;
}

static bool needs_configuration(uint8_t status)
{
	return status == BULLA_TCB_CONFIGURATION_NEEDED || status == BULLA_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED ||
		status == BULLA_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED;
}

/* Intel QVL, checkForRelaunch: the launch status and the one that the current SVN would have. */
static uint8_t relaunch(uint8_t launch, uint8_t current)
{
	if (!is_out_of_date(launch) || current > BULLA_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED)
		return launch;
	return needs_configuration(launch) || needs_configuration(current) ?
		BULLA_TCB_RELAUNCH_ADVISED_CONFIGURATION_NEEDED :
		BULLA_TCB_RELAUNCH_ADVISED;
}

void bulla_dcap_evaluate(const struct bulla_dcap_tcb_info *tcb, const struct bulla_dcap_platform *platform,
	struct bulla_dcap_verdict *ret)
{
	struct bulla_dcap_verdict current;

	judge(tcb, platform, platform->tee_tcb_svn, ret);
	if (platform->tee_tcb_svn2 == NULL)
		return;
	judge(tcb, platform, platform->tee_tcb_svn2, &current);
	ret->status = relaunch(ret->status, current.status);
}
