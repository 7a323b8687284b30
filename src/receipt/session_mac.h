#pragma once
/* What instance and broker say to each other through the host: a COSE_Mac0 under a key of their session, whose id is the kid. */
#include "base/secret.h"
#include "receipt/permit.h"

/* Session id of one whose MAC is not checked yet: to find the key. */
BULLA_CHECK bulla_rc bulla_session_mac_id(bulla_bytes mac0, const char *content, uint8_t ret[BULLA_SESSION_ID_BYTES]);

/* Its payload, a view into mac0. checked false (mutants only): without looking at the MAC. BULLA_E_MAC, BULLA_E_FORMAT. */
BULLA_CHECK bulla_rc bulla_session_mac_open(bulla_bytes mac0, const char *content, const uint8_t session[BULLA_SESSION_ID_BYTES],
	bulla_secret key, bool checked, bulla_bytes *ret);
