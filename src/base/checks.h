#pragma once
/* Names of the security checks, so that tests can show each one is alive. In normal builds BULLA_CHECK_ON is the
 * constant true and nothing can switch a check off; only -Dmutants=true builds have the switch.
 *
 *	if (BULLA_CHECK_ON(POSITION_RUN) && !bulla_bytes_eq(position->run, mine->run))
 *		return BULLA_FAIL(BULLA_E_POSITION_RUN, "the envelope is of another run");
 */
#include <stdbool.h>

enum bulla_check {
#define BULLA_CHECK_ROW(name, where) BULLA_CHECK_NAME_##name,
#include "base/checks.def"
#undef BULLA_CHECK_ROW
	BULLA_CHECK_COUNT
};

/* Names as in checks.def; NULL outside the list. */
const char *bulla_check_name(enum bulla_check check);

#ifdef BULLA_MUTANTS
#define BULLA_CHECK_ON(name) bulla_check_is_on(BULLA_CHECK_NAME_##name)

/* False while a test has taken the check away (bulla_check_remove). */
bool bulla_check_is_on(enum bulla_check check);

/* Takes one check away / puts all of them back. Tests only; not for several threads. */
void bulla_check_remove(enum bulla_check check);
void bulla_check_restore(void);
#else
#define BULLA_CHECK_ON(name) ((void)BULLA_CHECK_NAME_##name, true)
#endif
