#include "pki.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "crypto/hash.h"
#include "test.h"

EVP_PKEY *pki_key(const char *curve)
{
	return curve != NULL ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve) :
		EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
}

static void add(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(extension);
	assert_int_equal(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static void add_raw(X509 *cert, const char *oid, bulla_bytes value, int critical)
{
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
	ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();

	ASN1_OCTET_STRING_set(octets, value.p, (int)value.n);
	X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, critical, octets);
	assert_int_equal(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
	ASN1_OCTET_STRING_free(octets);
	ASN1_OBJECT_free(object);
}

static void add_constraints(X509 *cert, const struct pki_spec *spec)
{
	char basic[64] = "critical,CA:FALSE";

	if (spec->plain)
		return;
	if (spec->ca && spec->pathlen >= 0)
		(void)snprintf(basic, sizeof(basic), "critical,CA:TRUE,pathlen:%d", spec->pathlen);
	else if (spec->ca)
		(void)snprintf(basic, sizeof(basic), "critical,CA:TRUE");
	add(cert, NID_basic_constraints, basic);
	if (spec->ca)
		add(cert, NID_key_usage, spec->no_cert_sign ? "critical,cRLSign" : "critical,keyCertSign,cRLSign");
	else
		add(cert, NID_key_usage, spec->no_signature ? "critical,keyAgreement" : "critical,digitalSignature");
}

static void sign_cert(X509 *cert, EVP_PKEY *key)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pkey;

	if (EVP_PKEY_is_a(key, "RSA")) {
		assert_int_equal(EVP_DigestSignInit(context, &pkey, EVP_sha384(), NULL, key), 1);
		EVP_PKEY_CTX_set_rsa_padding(pkey, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey, 48);
	} else {
		const EVP_MD *md = EVP_PKEY_get_bits(key) == 256 ? EVP_sha256() : EVP_sha384();
		assert_int_equal(EVP_DigestSignInit(context, &pkey, md, NULL, key), 1);
	}
	assert_true(X509_sign_ctx(cert, context) > 0);
	EVP_MD_CTX_free(context);
}

static void set_name(X509 *cert, const struct pki_spec *spec, const struct pki_cert *issuer)
{
	X509_NAME *name = X509_NAME_new();

	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)spec->cn, -1, -1, 0);
	X509_set_subject_name(cert, name);
	X509_set_issuer_name(cert, issuer != NULL ? X509_get_subject_name(issuer->x509) : name);
	X509_NAME_free(name);
}

void pki_make(const struct pki_spec *spec, EVP_PKEY *key, const struct pki_cert *issuer, struct pki_cert *ret)
{
	X509 *cert = X509_new();
	uint8_t *p = ret->der;

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), spec->serial);
	ASN1_TIME_set(X509_getm_notBefore(cert), spec->not_before);
	ASN1_TIME_set(X509_getm_notAfter(cert), spec->not_after);
	set_name(cert, spec, issuer);
	X509_set_pubkey(cert, key);
	add_constraints(cert, spec);
	for (size_t i = 0; i < spec->extension_count; i++)
		add_raw(cert, spec->extensions[i].oid, spec->extensions[i].value, 0);
	if (spec->critical != NULL)
		add_raw(cert, spec->critical, BULLA_BYTES_LITERAL("\x05\x00"), 1);
	sign_cert(cert, issuer != NULL ? issuer->key : key);
	ret->key = key;
	ret->x509 = cert;
	int size = i2d_X509(cert, NULL);
	assert_true(size > 0 && (size_t)size <= sizeof(ret->der));
	ret->size = (size_t)i2d_X509(cert, &p);
}

void pki_free(struct pki_cert *cert)
{
	EVP_PKEY_free(cert->key);
	X509_free(cert->x509);
	*cert = (struct pki_cert){0};
}

bulla_bytes pki_der(const struct pki_cert *cert)
{
	return bulla_bytes_of(cert->der, cert->size);
}

bulla_digest pki_digest(const struct pki_cert *cert)
{
	bulla_digest digest;

	bulla_sha256(pki_der(cert), &digest);
	return digest;
}

bulla_digest pki_key_digest(const struct pki_cert *cert)
{
	uint8_t spki[1024], *p = spki;
	bulla_digest digest;

	bulla_sha256(bulla_bytes_of(spki, (size_t)i2d_PUBKEY(cert->key, &p)), &digest);
	return digest;
}

void pki_sign(EVP_PKEY *key, bulla_bytes message, uint8_t *ret, size_t half)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t der[256];
	const uint8_t *p = der;
	size_t size = sizeof(der);

	assert_int_equal(EVP_DigestSignInit(context, NULL, half == 48 ? EVP_sha384() : EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(context, der, &size, message.p, message.n), 1);
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)size);
	assert_true(BN_bn2binpad(ECDSA_SIG_get0_r(sig), ret, (int)half) > 0);
	assert_true(BN_bn2binpad(ECDSA_SIG_get0_s(sig), ret + half, (int)half) > 0);
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(context);
}

struct bulla_sign_key *pki_sign_key(EVP_PKEY *key)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	uint8_t der[1024], *p = der;
	struct bulla_sign_key *ret = NULL;

	assert_ok(bulla_sign_key_import(bulla_bytes_of(der, (size_t)i2d_PKCS8_PRIV_KEY_INFO(info, &p)), &ret));
	PKCS8_PRIV_KEY_INFO_free(info);
	return ret;
}

void pki_point(EVP_PKEY *key, uint8_t *ret, size_t half)
{
	uint8_t point[200];
	size_t size = 0;

	assert_int_equal(EVP_PKEY_get_octet_string_param(key, "pub", point, sizeof(point), &size), 1);
	assert_int_equal(size, 1 + 2 * half);
	bulla_copy(ret, point + 1, 2 * half);
}

size_t pki_crl(const struct pki_cert *issuer, int64_t from, int64_t to, const int *serials, size_t count, uint8_t *ret,
	size_t size)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *time = ASN1_TIME_set(NULL, from);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pkey;

	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x509));
	X509_CRL_set1_lastUpdate(crl, time);
	ASN1_TIME_set(time, to);
	X509_CRL_set1_nextUpdate(crl, time);
	for (size_t i = 0; i < count; i++) {
		X509_REVOKED *revoked = X509_REVOKED_new();
		ASN1_INTEGER *serial = ASN1_INTEGER_new();
		ASN1_INTEGER_set(serial, serials[i]);
		X509_REVOKED_set_serialNumber(revoked, serial);
		ASN1_TIME_set(time, from);
		X509_REVOKED_set_revocationDate(revoked, time);
		X509_CRL_add0_revoked(crl, revoked);
		ASN1_INTEGER_free(serial);
	}
	bool rsa = EVP_PKEY_is_a(issuer->key, "RSA");
	assert_int_equal(EVP_DigestSignInit(context, &pkey, rsa ? EVP_sha384() : EVP_sha256(), NULL, issuer->key), 1);
	if (rsa) {
		EVP_PKEY_CTX_set_rsa_padding(pkey, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey, 48);
	}
	assert_true(X509_CRL_sign_ctx(crl, context) > 0);
	int n = i2d_X509_CRL(crl, NULL);
	assert_true(n > 0 && (size_t)n <= size);
	(void)i2d_X509_CRL(crl, &ret);
	X509_CRL_free(crl);
	ASN1_TIME_free(time);
	EVP_MD_CTX_free(context);
	return (size_t)n;
}
