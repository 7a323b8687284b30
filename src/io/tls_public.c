#include "io/tls_internal.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

static bool name_server(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	char sni[TLSEXT_MAXLEN_host_name + 1] = {0};
	size_t n = strlen(name);

	if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1)
		return true; /* no SNI for addresses (RFC 6066 section 3) */
	ERR_clear_error();
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (n > TLSEXT_MAXLEN_host_name)
		return false;
	bulla_copy(sni, name, n); /* SSL_set_tlsext_host_name casts away that the name is not to be changed */
	return SSL_set1_host(ssl, name) == 1 &&
		SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, sni) == 1;
}

bulla_rc bulla_tls_public_new(const char *ca_file, struct bulla_tls_context **ret)
{
	struct bulla_tls_context *context = NULL;
	int loaded;

	BULLA_TRY(bulla_tls_context_make(false, &context));
	context->name_server = name_server;
	SSL_CTX_set_verify(context->ctx, SSL_VERIFY_PEER, NULL);
	loaded = ca_file == NULL ? SSL_CTX_set_default_verify_paths(context->ctx)
		: SSL_CTX_load_verify_file(context->ctx, ca_file);
	if (loaded != 1 || SSL_CTX_set_min_proto_version(context->ctx, TLS1_2_VERSION) != 1) {
		ERR_clear_error();
		bulla_tls_context_free(context);
		return BULLA_FAIL(BULLA_E_IO, "the roots of public servers cannot be read");
	}
	*ret = context;
	return BULLA_OK;
}

bulla_rc bulla_tls_public_open(struct bulla_tls_context *context, const char *name, struct bulla_tls **ret)
{
	if (name == NULL || name[0] == '\0')
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a public server has a name");
	return bulla_tls_open(context, BULLA_TLS_HTTP, name, ret);
}
