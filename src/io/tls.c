#include "io/tls.h"

#include "base/mem.h"
#include "crypto/hash.h"
#include "crypto/x509.h"
#include "io/tls_internal.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509.h>

/* Wire form of ALPN (RFC 7301). */
static const uint8_t alpn_frames[] = "\x07"
	"bulla/1";
static const uint8_t alpn_http[] = "\x08"
	"http/1.1";

static bulla_rc crypto_failed(void)
{
	ERR_clear_error(); /* our trail says where; libcrypto's texts stay inside */
	return BULLA_FAIL(BULLA_E_CRYPTO, "TLS failed");
}

static bool harden(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
		SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 && SSL_CTX_set_num_tickets(ctx, 0) == 1 &&
		SSL_CTX_set_max_early_data(ctx, 0) == 1 &&
		SSL_CTX_set_ciphersuites(ctx,
			"TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256") == 1;
}

bulla_rc bulla_tls_context_make(bool server, struct bulla_tls_context **ret)
{
	struct bulla_tls_context *context;
	void *p = NULL;

	BULLA_TRY(bulla_alloc(1, sizeof(*context), &p));
	context = (struct bulla_tls_context *)p;
	context->server = server;
	context->ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	if (context->ctx == NULL || !harden(context->ctx)) {
		bulla_tls_context_free(context);
		return crypto_failed();
	}
	*ret = context;
	return BULLA_OK;
}

struct bulla_tls_context *bulla_tls_context_free(struct bulla_tls_context *context)
{
	if (context == NULL)
		return NULL;
	SSL_CTX_free(context->ctx);
	bulla_free(context);
	return NULL;
}

static bool key_digest(X509 *certificate, bulla_digest *ret)
{
	unsigned char *der = NULL;
	int size;

	*ret = (bulla_digest){{0}};
	if (certificate == NULL)
		return true;
	size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
	if (size <= 0)
		return false;
	bulla_sha256(bulla_bytes_of(der, (size_t)size), ret);
	OPENSSL_free(der);
	return true;
}

/* Replaces certificate verification: names, dates and issuers mean nothing, the key is everything. The handshake's own
 * signature shows that the other side has it. */
static int check_pin(X509_STORE_CTX *store, void *arg)
{
	struct bulla_tls *tls;
	SSL *ssl = (SSL *)X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	const struct bulla_tls_context *context = (const struct bulla_tls_context *)arg;
	X509 *leaf = X509_STORE_CTX_get0_cert(store);
	bulla_digest digest;

	tls = ssl == NULL ? NULL : (struct bulla_tls *)SSL_get_app_data(ssl);
	if (tls == NULL || leaf == NULL || !key_digest(leaf, &digest))
		return 0;
	tls->pin_failed = !bulla_digest_eq(&digest, &context->pin);
	return tls->pin_failed ? 0 : 1;
}

bulla_rc bulla_tls_client_new(const bulla_digest *pin, struct bulla_tls_context **ret)
{
	struct bulla_tls_context *context = NULL;

	BULLA_TRY(bulla_tls_context_make(false, &context));
	context->pin = *pin;
	SSL_CTX_set_verify(context->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(context->ctx, check_pin, context);
	*ret = context;
	return BULLA_OK;
}

bulla_rc bulla_tls_keys(const struct bulla_tls *tls, bulla_digest *ret_client, bulla_digest *ret_server)
{
	bulla_digest mine, theirs;

	if (!tls->ready || tls->failed)
		return BULLA_FAIL(BULLA_E_STATE, "no TLS handshake yet");
	if (!key_digest(SSL_get_certificate(tls->ssl), &mine) || !key_digest(SSL_get0_peer_certificate(tls->ssl), &theirs))
		return crypto_failed();
	*ret_client = tls->context->server ? theirs : mine;
	*ret_server = tls->context->server ? mine : theirs;
	return BULLA_OK;
}

static bool attach(struct bulla_tls *tls, enum bulla_tls_alpn alpn)
{
	const uint8_t *offer = alpn == BULLA_TLS_HTTP ? alpn_http : alpn_frames;
	unsigned size = alpn == BULLA_TLS_HTTP ? sizeof(alpn_http) - 1 : sizeof(alpn_frames) - 1;

	tls->ssl = SSL_new(tls->context->ctx);
	tls->in = BIO_new(BIO_s_mem());
	tls->out = BIO_new(BIO_s_mem());
	if (tls->ssl == NULL || tls->in == NULL || tls->out == NULL) {
		BIO_free(tls->in);
		BIO_free(tls->out);
		return false;
	}
	SSL_set_bio(tls->ssl, tls->in, tls->out);
	SSL_set_app_data(tls->ssl, tls);
	if (tls->context->server)
		SSL_set_accept_state(tls->ssl);
	else
		SSL_set_connect_state(tls->ssl);
	return tls->context->server || SSL_set_alpn_protos(tls->ssl, offer, size) == 0;
}

/* Goes on with the handshake as far as the bytes reach. */
static bulla_rc handshake(struct bulla_tls *tls)
{
	int done;

	ERR_clear_error();
	done = SSL_do_handshake(tls->ssl);
	if (done == 1) {
		tls->ready = true;
		if (!tls->context->server && tls->context->name_server == NULL && bulla_tls_protocol(tls) == 0)
			return BULLA_FAIL(BULLA_E_CRYPTO, "the server speaks another protocol");
		return BULLA_OK;
	}
	if (SSL_get_error(tls->ssl, done) == SSL_ERROR_WANT_READ)
		return BULLA_OK;
	tls->failed = true;
	if (tls->pin_failed || (tls->context->name_server != NULL && SSL_get_verify_result(tls->ssl) != X509_V_OK)) {
		ERR_clear_error();
		return tls->pin_failed
		? BULLA_FAIL(BULLA_E_SIGNATURE, "the server has another key than the pinned one")
		: BULLA_FAIL(BULLA_E_SIGNATURE, "the server's certificate is not for this name, or of no known root");
	}
	return crypto_failed();
}

bulla_rc bulla_tls_open(struct bulla_tls_context *context, enum bulla_tls_alpn alpn, const char *name, struct bulla_tls **ret)
{
	struct bulla_tls *tls;
	void *p = NULL;

	if ((context->name_server != NULL) != (name != NULL))
		return BULLA_FAIL(BULLA_E_ARGUMENT, "public servers have names, and they alone");
	BULLA_TRY(bulla_alloc(1, sizeof(*tls), &p));
	tls = (struct bulla_tls *)p;
	tls->context = context;
	if (!attach(tls, alpn) || (name != NULL && !context->name_server(tls->ssl, name)) ||
		(!context->server && handshake(tls) != BULLA_OK)) {
		bulla_tls_free(tls);
		return crypto_failed();
	}
	*ret = tls;
	return BULLA_OK;
}

bulla_rc bulla_tls_new(struct bulla_tls_context *context, enum bulla_tls_alpn alpn, struct bulla_tls **ret)
{
	return bulla_tls_open(context, alpn, NULL, ret);
}

struct bulla_tls *bulla_tls_free(struct bulla_tls *tls)
{
	if (tls == NULL)
		return NULL;
	SSL_free(tls->ssl);
	bulla_free(tls);
	return NULL;
}

static bulla_rc read_plain(struct bulla_tls *tls, struct bulla_buf *ret_plain)
{
	size_t got = 0;

	for (;;) {
		int done;

		BULLA_TRY(bulla_buf_reserve(ret_plain, 16384));
		ERR_clear_error();
		done = SSL_read_ex(tls->ssl, ret_plain->p + ret_plain->n, 16384, &got);
		if (done == 1) {
			ret_plain->n += got;
			continue;
		}
		switch (SSL_get_error(tls->ssl, done)) {
		case SSL_ERROR_WANT_READ:
			return BULLA_OK;
		case SSL_ERROR_ZERO_RETURN:
			tls->closed = true;
			return BULLA_E_CLOSED;
		default:
			tls->failed = true;
			return crypto_failed();
		}
	}
}

bulla_rc bulla_tls_feed(struct bulla_tls *tls, bulla_bytes bytes, struct bulla_buf *ret_plain)
{
	if (tls->failed)
		return BULLA_FAIL(BULLA_E_CRYPTO, "the connection failed before");
	if (tls->closed)
		return BULLA_E_CLOSED;
	if (bytes.n > BULLA_ALLOC_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "too many bytes at once");
	if (bytes.n > 0 && BIO_write(tls->in, bytes.p, (int)bytes.n) != (int)bytes.n)
		return crypto_failed();
	if (!tls->ready)
		BULLA_TRY(handshake(tls));
	if (!tls->ready)
		return BULLA_OK;
	return read_plain(tls, ret_plain);
}

bool bulla_tls_ready(const struct bulla_tls *tls)
{
	return tls->ready;
}

enum bulla_tls_alpn bulla_tls_protocol(const struct bulla_tls *tls)
{
	const unsigned char *name = NULL;
	unsigned size = 0;
	bulla_bytes view;

	SSL_get0_alpn_selected(tls->ssl, &name, &size);
	view = bulla_bytes_of(name, size);
	if (!tls->ready)
		return (enum bulla_tls_alpn)0;
	if (bulla_bytes_eq_str(view, "bulla/1"))
		return BULLA_TLS_FRAMES;
	if (bulla_bytes_eq_str(view, "http/1.1") || (tls->context->server && size == 0))
		return BULLA_TLS_HTTP;
	return (enum bulla_tls_alpn)0;
}

bulla_rc bulla_tls_write(struct bulla_tls *tls, bulla_bytes plain)
{
	size_t put = 0;

	if (!tls->ready || tls->failed)
		return BULLA_FAIL(BULLA_E_STATE, "no TLS handshake yet");
	if (plain.n == 0)
		return BULLA_OK;
	ERR_clear_error();
	if (SSL_write_ex(tls->ssl, plain.p, plain.n, &put) != 1 || put != plain.n)
		return crypto_failed();
	return BULLA_OK;
}

void bulla_tls_close(struct bulla_tls *tls)
{
	if (tls->ready && !tls->failed)
		SSL_shutdown(tls->ssl);
	ERR_clear_error();
}

bulla_rc bulla_tls_take(struct bulla_tls *tls, struct bulla_buf *ret)
{
	size_t size = BIO_ctrl_pending(tls->out);

	if (size == 0)
		return BULLA_OK;
	BULLA_TRY(bulla_buf_reserve(ret, size));
	if (BIO_read(tls->out, ret->p + ret->n, (int)size) != (int)size)
		return crypto_failed();
	ret->n += size;
	return BULLA_OK;
}

bulla_rc bulla_tls_export(const struct bulla_tls *tls, const char *label, size_t size, uint8_t *ret)
{
	bulla_bytes text = bulla_bytes_str(label);

	if (!tls->ready || tls->failed || size > 64)
		return BULLA_FAIL(BULLA_E_STATE, "no TLS handshake yet");
	if (SSL_export_keying_material(tls->ssl, ret, size, label, text.n, NULL, 0, 0) != 1) {
		bulla_wipe(ret, size);
		return crypto_failed();
	}
	return BULLA_OK;
}
