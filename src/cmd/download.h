#pragma once
/* One HTTPS GET of a public server, blocking: for collateral. Certificates by the system's roots or the user's; one
 * redirect, to https again; sizes and time are limited. Only `bulla attest fetch` speaks to a network by names. */
#include "base/limits.h"
#include "io/http.h"
#include "io/tls.h"

#define DOWNLOAD_URL 1024
#define DOWNLOAD_MS 20000 /* per request, connect to last byte */

struct download {
	struct bulla_buf raw;  /* the head as it came; message views it */
	struct bulla_buf body; /* at most BULLA_MAX_COLLATERAL bytes */
	struct bulla_http_message message; /* status and headers */
};

/* Empty, room for BULLA_MAX_COLLATERAL bytes of body; done frees it. */
void download_init(struct download *ret);
void download_done(struct download *download);

/* True for https://NAME[:PORT][/PATH], short enough that paths can follow. */
bool download_is_base(const char *url);

/* Whatever status there is in the end, BULLA_OK: the caller looks at it. BULLA_E_ARGUMENT: no https URL; BULLA_E_UNREACHABLE,
 * BULLA_E_TIMEOUT, BULLA_E_SIGNATURE (the server's certificate), BULLA_E_TRUNCATED (it ended early), BULLA_E_LIMIT (too
 * large), BULLA_E_FORMAT, BULLA_E_DENIED (a second redirect, or to somewhere else than https). */
BULLA_CHECK bulla_rc download_get(struct bulla_tls_context *tls, const char *url, struct download *ret);
