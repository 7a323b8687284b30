#include "base/checks.h"

#include <stddef.h>

const char *bulla_check_name(enum bulla_check check)
{
	static const char *const names[] = {
#define BULLA_CHECK_ROW(name, where) #name,
#include "base/checks.def"
#undef BULLA_CHECK_ROW
	};

	return (unsigned)check < BULLA_CHECK_COUNT ? names[check] : NULL;
}

#ifdef BULLA_MUTANTS
/* The one check that is taken away; BULLA_CHECK_COUNT: none. */
static enum bulla_check removed = BULLA_CHECK_COUNT;

bool bulla_check_is_on(enum bulla_check check)
{
	return check != removed;
}

void bulla_check_remove(enum bulla_check check)
{
	removed = check;
}

void bulla_check_restore(void)
{
	removed = BULLA_CHECK_COUNT;
}
#endif
