#pragma once
/* CRC-32C (RFC 3720 appendix B.4: Castagnoli, reflected), against torn and rotten blocks; never against people. */
#include "base/bytes.h"

/* Continues crc (0 at the start) over bytes: crc32c(crc32c(0, a), b) = crc32c(0, a || b). */
uint32_t bulla_crc32c(uint32_t crc, bulla_bytes bytes);
