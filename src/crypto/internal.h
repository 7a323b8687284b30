#pragma once
/* Inside crypto/ only. */
#include "base/rc.h"

#include <openssl/err.h>

/* Raise, and empty libcrypto's error queue: it is not a second error trail. */
#define CRYPTO_FAIL(code, literal) (ERR_clear_error(), BULLA_FAIL(code, literal))
