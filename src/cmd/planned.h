#pragma once
/* What doc/EXPERIENCE.md shows and is not built: one table. Each answers "is not built yet" with what to do instead;
 * doc/STATUS.md lists the commands, and a test compares the three. */
#include "cmd/cli.h"

struct planned {
	const char *command; /* first word */
	const char *word;    /* second word, or NULL: whatever follows */
	const char *option;  /* NULL: the command itself */
	const char *instead; /* what to do today */
};

/* The row of a command, of its second word (may be NULL) or of one of its options (NULL: none); NULL when there is none. */
const struct planned *planned_find(const char *command, const char *word, const char *option);

/* Says it; returns the exit code. */
int planned_refuse(const struct cli *cli, const struct planned *planned);
