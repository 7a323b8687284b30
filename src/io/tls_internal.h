#pragma once
/* Between tls.c, tls_public.c and tls_server.c: the three that see libssl. */
#include "io/tls.h"

#include <openssl/ssl.h>

struct bulla_tls_context {
	SSL_CTX *ctx;
	bulla_digest pin; /* client: the server's key */
	bool server;
	/* Client of a public server (io/tls_public.c): what its certificate must be for; NULL for all others. */
	bool (*name_server)(SSL *ssl, const char *name);
};

struct bulla_tls {
	SSL *ssl;
	BIO *in, *out; /* owned by ssl */
	const struct bulla_tls_context *context;
	bool ready, closed, failed, pin_failed;
};

/* A context of TLS 1.3 with everything off that nobody needs; what a side demands is added to it. */
BULLA_CHECK bulla_rc bulla_tls_context_make(bool server, struct bulla_tls_context **ret);

/* name: of a public server; NULL for all others (BULLA_E_ARGUMENT). */
BULLA_CHECK bulla_rc bulla_tls_open(struct bulla_tls_context *context, enum bulla_tls_alpn alpn, const char *name,
	struct bulla_tls **ret);
