#include "platform/pki.h"

#include "crypto/random.h"
#include "crypto/x509.h"
#include "io/sys.h"

#include <stdio.h>

#define PATH_MAX_BYTES 4096
#define DAY_S 86400

static bulla_rc path_in(const char *folder, const char *name, char ret[PATH_MAX_BYTES])
{
	int n = snprintf(ret, PATH_MAX_BYTES, "%s/%s", folder, name);

	return n > 0 && n < PATH_MAX_BYTES ? BULLA_OK : BULLA_FAIL(BULLA_E_ARGUMENT, "the state folder's path is too long");
}

static bulla_rc write_certificate(const struct bulla_cert_spec *base, const struct bulla_random *random,
	struct bulla_sign_key *issuer, struct bulla_buf *ret)
{
	struct bulla_cert_spec spec = *base;
	uint8_t serial[16];

	BULLA_TRY(bulla_random_fill(random, serial, sizeof(serial)));
	serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x01);
	spec.serial = BULLA_BYTES_ARRAY(serial);
	return bulla_cert_write(&spec, issuer, ret);
}

static bulla_rc make_root(const char *key_path, const char *der_path, const struct bulla_clock *clock,
	const struct bulla_random *random, struct bulla_dev_pki *pki)
{
	int64_t now = bulla_wall_ms(clock) / 1000;
	BULLA_AUTO_BUF pkcs8;

	bulla_buf_init(&pkcs8, 512);
	BULLA_TRY(bulla_sign_key_new(BULLA_ES384, &pki->root));
	const struct bulla_cert_spec spec = {
		.common_name = "bulla DEVELOPMENT ONLY",
		.organization = "bulla dev",
		.spki = bulla_sign_key_spki(pki->root),
		.not_before = now - 60,
		.not_after = now + (int64_t)30 * 365 * DAY_S,
		.ca = true,
		.pathlen = -1,
		.usage = BULLA_USAGE_CERT_SIGN | BULLA_USAGE_CRL_SIGN,
	};
	BULLA_TRY(write_certificate(&spec, random, pki->root, &pki->root_der));
	BULLA_TRY(bulla_sign_key_export(pki->root, &pkcs8));
	/* the key first: without a certificate it is made anew; a certificate without its key could not be mended */
	BULLA_TRY(bulla_sys_write_file(key_path, bulla_buf_view(&pkcs8), 0600));
	return bulla_sys_write_file(der_path, bulla_buf_view(&pki->root_der), 0644);
}

static bulla_rc check_root(const struct bulla_dev_pki *pki)
{
	struct bulla_cert cert;

	BULLA_TRY(bulla_cert_parse(bulla_buf_view(&pki->root_der), &cert));
	if (!bulla_bytes_eq(cert.spki, bulla_sign_key_spki(pki->root)))
		return BULLA_FAIL(BULLA_E_CORRUPT, "the development root's key and certificate do not belong together");
	return BULLA_OK;
}

bulla_rc bulla_dev_pki_open(const char *folder, const struct bulla_clock *clock, const struct bulla_random *random,
	struct bulla_dev_pki *ret)
{
	struct bulla_dev_pki pki = {.root = NULL};
	char key_path[PATH_MAX_BYTES], der_path[PATH_MAX_BYTES];
	BULLA_AUTO_BUF pkcs8;
	bulla_rc rc;

	bulla_buf_init(&pkcs8, 512);
	bulla_buf_init(&pki.root_der, BULLA_DEV_CERT_MAX);
	BULLA_TRY(path_in(folder, "root.key", key_path));
	BULLA_TRY(path_in(folder, "root.der", der_path));
	rc = bulla_sys_read_file(der_path, &pki.root_der);
	if (rc == BULLA_E_NOT_FOUND) {
		rc = make_root(key_path, der_path, clock, random, &pki);
	} else if (rc == BULLA_OK) {
		rc = bulla_sys_read_file(key_path, &pkcs8);
		rc = rc == BULLA_OK ? bulla_sign_key_import(bulla_buf_view(&pkcs8), &pki.root) : rc;
		rc = rc == BULLA_OK ? check_root(&pki) : rc;
	}
	if (rc != BULLA_OK) {
		bulla_dev_pki_done(&pki);
		return rc;
	}
	*ret = pki;
	return BULLA_OK;
}

void bulla_dev_pki_done(struct bulla_dev_pki *pki)
{
	pki->root = bulla_sign_key_free(pki->root);
	bulla_buf_done(&pki->root_der);
}

/* One certificate below `issuer`, whose certificate is issuer_der. */
static bulla_rc issue(const struct bulla_cert_spec *base, struct bulla_sign_key *issuer, bulla_bytes issuer_der,
	const struct bulla_random *random, struct bulla_buf *ret)
{
	struct bulla_cert_spec spec = *base;
	struct bulla_cert cert;

	BULLA_TRY(bulla_cert_parse(issuer_der, &cert));
	spec.issuer = cert.subject;
	return write_certificate(&spec, random, issuer, ret);
}

static bulla_rc make_chain(const struct bulla_dev_pki *pki, const char *module_id, int64_t now,
	const struct bulla_random *random, struct bulla_dev_chain *chain)
{
	BULLA_AUTO_SIGN_KEY instance = NULL;

	BULLA_TRY(bulla_sign_key_new(BULLA_ES384, &instance));
	BULLA_TRY(bulla_sign_key_new(BULLA_ES384, &chain->leaf));
	const struct bulla_cert_spec middle = {
		.common_name = "bulla dev instance, DEVELOPMENT ONLY",
		.spki = bulla_sign_key_spki(instance),
		.not_before = now - 3,
		.not_after = now + DAY_S,
		.ca = true,
		.pathlen = 0,
		.usage = BULLA_USAGE_CERT_SIGN,
	};
	const struct bulla_cert_spec end = {
		.common_name = module_id,
		.organization = "bulla DEVELOPMENT ONLY",
		.spki = bulla_sign_key_spki(chain->leaf),
		.not_before = now - 3,
		.not_after = now + 3 * 3600,
		.pathlen = -1,
		.usage = BULLA_USAGE_SIGNATURE,
	};
	BULLA_TRY(issue(&middle, pki->root, bulla_buf_view(&pki->root_der), random, &chain->instance_der));
	BULLA_TRY(issue(&end, instance, bulla_buf_view(&chain->instance_der), random, &chain->leaf_der));
	chain->ends_ms = (now + 3 * 3600) * 1000;
	return BULLA_OK;
}

bulla_rc bulla_dev_chain_make(const struct bulla_dev_pki *pki, const char *module_id, const struct bulla_clock *clock,
	const struct bulla_random *random, struct bulla_dev_chain *ret)
{
	struct bulla_dev_chain chain = {.leaf = NULL};
	bulla_rc rc;

	bulla_buf_init(&chain.instance_der, BULLA_DEV_CERT_MAX);
	bulla_buf_init(&chain.leaf_der, BULLA_DEV_CERT_MAX);
	rc = make_chain(pki, module_id, bulla_wall_ms(clock) / 1000, random, &chain);
	if (rc != BULLA_OK) {
		bulla_dev_chain_done(&chain);
		return rc;
	}
	*ret = chain;
	return BULLA_OK;
}

void bulla_dev_chain_done(struct bulla_dev_chain *chain)
{
	chain->leaf = bulla_sign_key_free(chain->leaf);
	bulla_buf_done(&chain->instance_der);
	bulla_buf_done(&chain->leaf_der);
}
