#pragma once
/* The operating system's randomness through libcrypto: the one place where RAND is called. */
#include "base/secret.h"
#include "base/sys.h"

/* The real random table (base/sys.h); BULLA_E_RANDOM when the source fails. Static. */
const struct bulla_random *bulla_random_os(void);

/* size random bytes from the given table. */
BULLA_CHECK bulla_rc bulla_random_fill(const struct bulla_random *random, uint8_t *ret, size_t size);

/* A fresh secret of size bytes (1..64). */
BULLA_CHECK bulla_rc bulla_random_secret(const struct bulla_random *random, size_t size, bulla_secret *ret);
