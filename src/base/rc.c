#include "base/rc.h"

#include <stddef.h>
#include <string.h>

struct rc_row {
	const char *id;
	const char *text;
};

static const struct rc_row rows[BULLA_RC_COUNT] = {
#define BULLA_RC_ROW_(name, id_, text_) [BULLA_##name] = {id_, text_},
	BULLA_RC_LIST(BULLA_RC_ROW_)
#undef BULLA_RC_ROW_
};

static _Thread_local struct bulla_trail_entry trail[BULLA_TRAIL_MAX];
static _Thread_local unsigned trail_count;

const char *bulla_rc_id(bulla_rc rc)
{
	return (unsigned)rc < BULLA_RC_COUNT ? rows[rc].id : "unknown";
}

const char *bulla_rc_text(bulla_rc rc)
{
	return (unsigned)rc < BULLA_RC_COUNT ? rows[rc].text : "unknown";
}

bulla_rc bulla_rc_from_id(const char *id)
{
	for (unsigned i = 0; i < BULLA_RC_COUNT; i++)
		if (strcmp(rows[i].id, id) == 0)
			return (bulla_rc)i;
	return BULLA_RC_COUNT;
}

const struct bulla_trail_entry *bulla_trail(unsigned *ret_count)
{
	*ret_count = trail_count;
	return trail;
}

void bulla_trail_raise(bulla_rc rc, const char *file, int line, const char *literal, int os_error)
{
	trail[0] = (struct bulla_trail_entry){.file = file, .what = literal, .line = line, .os_error = os_error, .rc = rc};
	trail_count = 1;
}

void bulla_trail_pass(bulla_rc rc, const char *file, int line)
{
	if (trail_count == BULLA_TRAIL_MAX)
		return;
	trail[trail_count++] = (struct bulla_trail_entry){.file = file, .line = line, .rc = rc};
}
