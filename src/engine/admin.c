#include "engine/admin.h"

#include "base/checks.h"

bulla_rc bulla_admin_check(uint8_t op, bool own)
{
	if (BULLA_CHECK_ON(HOST_ADMIN) && !own && (op == BULLA_OP_DRAIN || op == BULLA_OP_PUT_MANIFEST))
		return BULLA_FAIL(BULLA_E_ADMIN, "this changes the engine for everybody");
	return BULLA_OK;
}
