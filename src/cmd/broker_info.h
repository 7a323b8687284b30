#pragma once
/* What the local broker shows of itself in its state folder: `public` and `admin.json`, written before it listens. */
#include "base/buf.h"

struct broker_info {
	struct bulla_buf memory;  /* of `public` */
	bulla_bytes tls_spki;
	bulla_bytes ledger_spki;
	bulla_digest tls_pin;     /* digest(tls_spki) */
	struct bulla_buf admin;   /* of `admin.json` */
	bulla_bytes access_key, secret_key, arn; /* text, in admin */
};

/* Reads both from STATE/broker. BULLA_E_NOT_FOUND while the broker has not made them. */
BULLA_CHECK bulla_rc broker_info_read(const char *state, struct broker_info *ret);
void broker_info_done(struct broker_info *info);
