#pragma once
/* Inside journal/crc32c*.c: the form that needs no instruction of its own. */
#include "base/bytes.h"

/* Goes on from crc (0 at the start) over bytes; RFC 3720 appendix B.4. */
uint32_t bulla_crc32c_slow(uint32_t crc, bulla_bytes bytes);
