#pragma once
/* JSON around evidence. Projects agree neither on names nor on encodings, so evidence is looked for under the names in use
 * (objects inside objects included), in hexadecimal, base64, base64url or as a list of bytes. */
#include "attest/foreign.h"
#include "wire/json.h"

/* Takes one envelope off: *ret borrows from foreign or text and may be an envelope itself. What stands beside the evidence
 * under known names (certificates, event log) is taken as collateral. BULLA_E_FORMAT, BULLA_E_UNSUPPORTED, BULLA_E_LIMIT. */
BULLA_CHECK bulla_rc bulla_foreign_json(struct bulla_foreign *foreign, bulla_bytes text, bulla_bytes *ret);
