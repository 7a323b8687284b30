#pragma once
/* One HTTPS request to the broker's KMS API and its answer, blocking: for `bulla up`. */
#include "io/http.h"

/* Connects to the unix socket at path, checks that the server's key is the pinned one, sends request (a whole HTTP
 * request), reads the whole response into memory and parses it: ret_response views memory. BULLA_E_UNREACHABLE,
 * BULLA_E_SIGNATURE (another server), BULLA_E_TIMEOUT (10 s), BULLA_E_FORMAT. */
BULLA_CHECK bulla_rc https_call(const char *path, const bulla_digest *pin, bulla_bytes request, struct bulla_buf *memory,
	struct bulla_http_message *ret_response);
