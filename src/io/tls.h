#pragma once
/* TLS 1.3 only, as a machine over bytes (memory BIOs): no descriptor, so that it also runs over a relay. No resumption,
 * no tickets, no early data, no renegotiation. The server is known by the SHA-256 of its SubjectPublicKeyInfo, names and
 * issuers mean nothing (protocol.md section 4); on attested channels either side is known by evidence that comes after the
 * handshake and names its key. Only public servers are known by names.
 * The only file that sees libssl. */
#include "base/buf.h"
#include "base/bytes.h"

/* What a server has, or what a client demands; shared by its connections. */
struct bulla_tls_context;
struct bulla_tls;

/* ALPN protocols that this project speaks. */
enum bulla_tls_alpn { BULLA_TLS_FRAMES = 1 /* "bulla/1" */, BULLA_TLS_HTTP = 2 /* "http/1.1" */ };

/* Server: private key as DER (SEC1 or PKCS#8, P-256) and its certificate as DER. A client that offers neither protocol
 * gets BULLA_TLS_HTTP when it offers no ALPN at all, and is refused when it offers only others. */
BULLA_CHECK bulla_rc bulla_tls_server_new(bulla_bytes key_der, bulla_bytes certificate_der,
	struct bulla_tls_context **ret);

/* Client that accepts exactly the server key with this SPKI digest. */
BULLA_CHECK bulla_rc bulla_tls_client_new(const bulla_digest *pin, struct bulla_tls_context **ret);

/* Attested channels: both sides show a certificate (P-256, key and certificate as for a server), any key is taken. Who is
 * on the other side is nobody's word until its evidence names that key (channel/attested.h). */
BULLA_CHECK bulla_rc bulla_tls_mutual_new(bool server, bulla_bytes key_der, bulla_bytes certificate_der,
	struct bulla_tls_context **ret);

/* Clients of servers that the whole world knows: certificates up to a root of ca_file (PEM), NULL: of the system's store;
 * TLS 1.2 is taken too. BULLA_E_IO: there is no such file, or nothing in it. */
BULLA_CHECK bulla_rc bulla_tls_public_new(const char *ca_file, struct bulla_tls_context **ret);

/* A connection to a public server whose certificate must be for this DNS name (or IP address). Feeding it gives
 * BULLA_E_SIGNATURE when the certificate is not for this name, not up to a root, or not in its time. http/1.1. */
BULLA_CHECK bulla_rc bulla_tls_public_open(struct bulla_tls_context *context, const char *name, struct bulla_tls **ret);

/* Connections must be gone. NULL is allowed. */
struct bulla_tls_context *bulla_tls_context_free(struct bulla_tls_context *context);

/* One connection; alpn: what a client asks for, ignored for servers. A client's first flight is ready at once. */
BULLA_CHECK bulla_rc bulla_tls_new(struct bulla_tls_context *context, enum bulla_tls_alpn alpn, struct bulla_tls **ret);
struct bulla_tls *bulla_tls_free(struct bulla_tls *tls);

/* Bytes from the other side: goes on with the handshake, appends plain text to ret_plain. BULLA_E_CLOSED: the other
 * side ended in order (close_notify), what was appended before is good. BULLA_E_SIGNATURE: not the pinned key.
 * BULLA_E_CRYPTO: anything else; the connection has to end (after sending what bulla_tls_take gives: the alert). */
BULLA_CHECK bulla_rc bulla_tls_feed(struct bulla_tls *tls, bulla_bytes bytes, struct bulla_buf *ret_plain);

/* True after the handshake. */
bool bulla_tls_ready(const struct bulla_tls *tls);

/* Protocol chosen; 0 before the handshake ended. */
enum bulla_tls_alpn bulla_tls_protocol(const struct bulla_tls *tls);

/* digest(SPKI) of the client's and of the server's certificate; zero where a client showed none. BULLA_E_STATE before the
 * handshake ended. */
BULLA_CHECK bulla_rc bulla_tls_keys(const struct bulla_tls *tls, bulla_digest *ret_client, bulla_digest *ret_server);

/* Encrypts plain text; only after the handshake (BULLA_E_STATE). */
BULLA_CHECK bulla_rc bulla_tls_write(struct bulla_tls *tls, bulla_bytes plain);

/* Queues close_notify. */
void bulla_tls_close(struct bulla_tls *tls);

/* Appends the bytes that have to go to the other side to ret and forgets them. */
BULLA_CHECK bulla_rc bulla_tls_take(struct bulla_tls *tls, struct bulla_buf *ret);

/* RFC 8446 section 7.5 exporter without context value; size <= 64. BULLA_E_STATE before the handshake ended. */
BULLA_CHECK bulla_rc bulla_tls_export(const struct bulla_tls *tls, const char *label, size_t size, uint8_t *ret);
