#pragma once
/* AMD's published certificates (KDS cert_chain; src/attest/amd/): ARK, ASK and ASVK of Milan, Genoa and Turin. They stand in
 * where collateral lacks them, so that a report and its VCEK or VLEK are enough offline. Believed like any other: the root by
 * its pinned key, the rest by its signature. */
#include "base/bytes.h"

/* Views that live for ever. */
const bulla_bytes *bulla_amd_published(size_t *ret_count);
