#pragma once
/* What the broker makes at its first start and reads ever after: TLS key and certificate, ledger key, the administrator's
 * credential, and the file that tells others the public halves. */
#include "broker/broker.h"

#include <limits.h>

/* folder/name into ret[PATH_MAX]; BULLA_E_ARGUMENT when too long. */
BULLA_CHECK bulla_rc bulla_setup_path(const char *folder, const char *name, char ret[PATH_MAX]);

/* Fills in ledger_key, tls, epochs' digests and the credential. The cells are open. */
BULLA_CHECK bulla_rc bulla_setup_keys(struct bulla_broker *broker, const char *path);
