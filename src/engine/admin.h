#pragma once
/* Who may ask the engine for what (engine.md section 9). Whoever may connect to its socket may start runs and ask for them:
 * a run's own signatures say who may start it. What changes the engine for everybody is its user's. */
#include "wire/ops.h"

/* own: the caller is the user that the engine runs as, or root (bulla_addr_is_own). BULLA_E_ADMIN. */
BULLA_CHECK bulla_rc bulla_admin_check(uint8_t op, bool own);
