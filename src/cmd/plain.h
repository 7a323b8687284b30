#pragma once
/* Text of others on a terminal: what an agent or a file's author wrote is shown, but commands nothing. */
#include "base/bytes.h"

#include <stdio.h>

/* Writes text; control characters (C0 but tab, DEL, C1 in UTF-8: ISO/IEC 6429, RFC 3629) become '?'. lines: newlines stay. */
void plain_print(bulla_bytes text, bool lines, FILE *out);
