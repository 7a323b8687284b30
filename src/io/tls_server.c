#include "crypto/x509.h"
#include "io/tls_internal.h"

#include <openssl/err.h>
#include <openssl/x509.h>

/* Who shows a certificate: servers, and both sides of attested channels. */

/* Wire form of ALPN (RFC 7301): our preference first. */
static const uint8_t alpn_both[] = "\x07"
	"bulla/1"
	"\x08"
	"http/1.1";
static bulla_rc crypto_failed(void)
{
	ERR_clear_error(); /* our trail says where; libcrypto's texts stay inside */
	return BULLA_FAIL(BULLA_E_CRYPTO, "TLS failed");
}

static int choose_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_size, const unsigned char *offered,
	unsigned int size, void *arg)
{
	unsigned char *chosen = NULL;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, ret_size, alpn_both, sizeof(alpn_both) - 1, offered, size) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static bool own_certificate(struct bulla_tls_context *context, bulla_bytes key_der, bulla_bytes certificate_der)
{
	return SSL_CTX_use_certificate_ASN1(context->ctx, (int)certificate_der.n, certificate_der.p) == 1 &&
		SSL_CTX_use_PrivateKey_ASN1(EVP_PKEY_EC, context->ctx, key_der.p, (long)key_der.n) == 1 &&
		SSL_CTX_check_private_key(context->ctx) == 1;
}

bulla_rc bulla_tls_server_new(bulla_bytes key_der, bulla_bytes certificate_der, struct bulla_tls_context **ret)
{
	struct bulla_tls_context *context = NULL;

	if (key_der.n > BULLA_SPKI_MAX || certificate_der.n > BULLA_CERT_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "a TLS key or certificate is too long");
	BULLA_TRY(bulla_tls_context_make(true, &context));
	SSL_CTX_set_alpn_select_cb(context->ctx, choose_alpn, NULL);
	if (!own_certificate(context, key_der, certificate_der)) {
		bulla_tls_context_free(context);
		return crypto_failed();
	}
	*ret = context;
	return BULLA_OK;
}

/* Any key will do: the handshake shows that the other side has it, and its evidence will have to name it. */
static int take_any(X509_STORE_CTX *store, void *arg)
{
	(void)arg;
	return X509_STORE_CTX_get0_cert(store) == NULL ? 0 : 1;
}

bulla_rc bulla_tls_mutual_new(bool server, bulla_bytes key_der, bulla_bytes certificate_der, struct bulla_tls_context **ret)
{
	struct bulla_tls_context *context = NULL;

	if (key_der.n > BULLA_SPKI_MAX || certificate_der.n > BULLA_CERT_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "a TLS key or certificate is too long");
	BULLA_TRY(bulla_tls_context_make(server, &context));
	if (server)
		SSL_CTX_set_alpn_select_cb(context->ctx, choose_alpn, NULL);
	SSL_CTX_set_verify(context->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(context->ctx, take_any, NULL);
	if (!own_certificate(context, key_der, certificate_der)) {
		bulla_tls_context_free(context);
		return crypto_failed();
	}
	*ret = context;
	return BULLA_OK;
}
