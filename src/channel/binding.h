#pragma once
/* To what evidence on a TLS connection is bound (PROTOCOL.md section 4): the connection's exporter, both leaf keys, who
 * speaks, and the challenge. The one way for sessions with the broker and for attested channels. */
#include "cose/binder.h"
#include "io/tls.h"

#define BULLA_EXPORTER_BINDING "bulla-session"
#define BULLA_EXPORTER_KEYS "bulla-session-keys"
#define BULLA_EXPORTER_SIZE 32

/* A TLS 1.3 connection as both of its ends see it. */
struct bulla_channel_ends {
	bulla_digest exporter;   /* digest of the exporter's 32 bytes (RFC 8446 section 7.5, as RFC 9266 uses it) */
	bulla_digest client_key; /* digest(SPKI) of the client's certificate; zero: it showed none */
	bulla_digest server_key;
};

/* Of a connection after its handshake. BULLA_E_STATE before. */
BULLA_CHECK bulla_rc bulla_channel_ends_of(const struct bulla_tls *tls, struct bulla_channel_ends *ret);

/* The binder's `channel`: digest("bulla/1 channel" || exporter || client_key || server_key). The exporter depends on the
 * server's certificate alone (RFC 8446 section 7.1), so the client's key must be named. */
void bulla_channel_digest(const struct bulla_channel_ends *ends, bulla_digest *ret);
