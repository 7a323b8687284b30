#include "receipt/session_mac.h"

#include "cose/mac0.h"

bulla_rc bulla_session_mac_id(bulla_bytes mac0, const char *content, uint8_t ret[BULLA_SESSION_ID_BYTES])
{
	bulla_bytes kid, payload;

	BULLA_TRY(bulla_mac0_peek(mac0, content, &kid, &payload));
	return bulla_bytes_copy_exact(kid, BULLA_SESSION_ID_BYTES, ret);
}

bulla_rc bulla_session_mac_open(bulla_bytes mac0, const char *content, const uint8_t session[BULLA_SESSION_ID_BYTES],
	bulla_secret key, bool checked, bulla_bytes *ret)
{
	bulla_bytes kid;

	if (!checked)
		return bulla_mac0_peek(mac0, content, &kid, ret);
	return bulla_mac0_open(mac0, content, bulla_bytes_of(session, BULLA_SESSION_ID_BYTES), key, ret);
}
