#pragma once
/* Handles: what the engine sees instead of names (PROTOCOL.md section 1). Only who has the tenant name key can make or undo
 * them: the owner's commands do. */
#include "base/secret.h"
#include "receipt/position.h"

/* First 8 bytes of HMAC-SHA-256(tenant name key, CBOR [kind, name]); kinds: "tenant", "agent", "party", "workflow". */
bulla_handle name_handle(bulla_secret name_key, const char *kind, const char *name);
