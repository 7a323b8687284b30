#include "crypto/sign.h"

#include "base/mem.h"
#include "base/wr.h"
#include "crypto/ecdsa.h"
#include "crypto/hash.h"
#include "crypto/internal.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

/* SubjectPublicKeyInfo of an uncompressed point is this prefix and the two coordinates (RFC 5480): one form accepted. */
struct curve {
	const char *name;
	enum bulla_key_type type;
	size_t half;
	size_t prefix_size;
	uint8_t prefix[27];
};

static const struct curve curves[] = {
	{"P-256", BULLA_KEY_P256, 32, 27, {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
		0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04}},
	{"P-384", BULLA_KEY_P384, 48, 24, {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
		0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04}},
	{"P-521", BULLA_KEY_P521, 66, 26, {0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
		0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23, 0x03, 0x81, 0x86, 0x00, 0x04}},
};
#define CURVES (sizeof(curves) / sizeof(curves[0]))

struct algorithm {
	enum bulla_sign_alg alg;
	enum bulla_key_type type;
	const char *md;
	size_t digest_size;
	int padding; /* RSA only */
};

static const struct algorithm algorithms[] = {
	{BULLA_ES256, BULLA_KEY_P256, "SHA256", 32, 0},
	{BULLA_ES384, BULLA_KEY_P384, "SHA384", 48, 0},
	{BULLA_ES512, BULLA_KEY_P521, "SHA512", 64, 0},
	{BULLA_PS256, BULLA_KEY_RSA, "SHA256", 32, RSA_PKCS1_PSS_PADDING},
	{BULLA_PS384, BULLA_KEY_RSA, "SHA384", 48, RSA_PKCS1_PSS_PADDING},
	{BULLA_PS512, BULLA_KEY_RSA, "SHA512", 64, RSA_PKCS1_PSS_PADDING},
	{BULLA_RS256, BULLA_KEY_RSA, "SHA256", 32, RSA_PKCS1_PADDING},
	{BULLA_RS384, BULLA_KEY_RSA, "SHA384", 48, RSA_PKCS1_PADDING},
	{BULLA_RS512, BULLA_KEY_RSA, "SHA512", 64, RSA_PKCS1_PADDING},
};

struct bulla_verify_key {
	EVP_PKEY *key;
	EVP_PKEY_CTX *ctx; /* ready to verify with `prepared` */
	const struct algorithm *prepared;
	enum bulla_key_type type;
	size_t spki_size;
	bulla_digest kid;
	uint8_t spki[BULLA_SPKI_MAX];
};

struct bulla_sign_key {
	EVP_PKEY *key;
	EVP_PKEY_CTX *ctx; /* ready to sign */
	const struct algorithm *algorithm;
	const struct curve *curve;
	size_t spki_size;
	bulla_digest kid;
	uint8_t spki[BULLA_SPKI_MAX];
};

static const struct algorithm *algorithm_of(enum bulla_sign_alg alg)
{
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		if (algorithms[i].alg == alg)
			return &algorithms[i];
	return NULL;
}

static const struct curve *curve_of(enum bulla_key_type type)
{
	for (size_t i = 0; i < CURVES; i++)
		if (curves[i].type == type)
			return &curves[i];
	return NULL;
}

static void hash_parts(const struct algorithm *algorithm, const bulla_bytes *parts, size_t count, uint8_t ret[64])
{
	if (algorithm->digest_size == BULLA_SHA384_SIZE) {
		bulla_sha384_parts(parts, count, ret);
	} else if (algorithm->digest_size == BULLA_SHA512_SIZE) {
		bulla_sha512_parts(parts, count, ret);
	} else {
		bulla_digest digest;

		bulla_sha256_parts(parts, count, &digest);
		bulla_copy(ret, digest.b, sizeof(digest.b));
	}
}

static bulla_rc write_spki(EVP_PKEY *key, uint8_t ret[BULLA_SPKI_MAX], size_t *ret_size)
{
	int size = i2d_PUBKEY(key, NULL);

	if (size <= 0 || size > BULLA_SPKI_MAX)
		return CRYPTO_FAIL(BULLA_E_UNSUPPORTED, "a public key has another kind or size than this reads");
	i2d_PUBKEY(key, &ret);
	*ret_size = (size_t)size;
	return BULLA_OK;
}

/* --- signing --- */

/* Takes over key. */
static bulla_rc sign_key_from(EVP_PKEY *pkey, struct bulla_sign_key **ret)
{
	BULLA_AUTO_SIGN_KEY key = NULL;
	char group[16] = "";
	void *p = NULL;
	bulla_rc rc = bulla_alloc(1, sizeof(*key), &p);

	if (rc != BULLA_OK) {
		EVP_PKEY_free(pkey);
		return rc;
	}
	key = p;
	key->key = pkey;
	if (!EVP_PKEY_is_a(pkey, "EC") || EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) != 1)
		return CRYPTO_FAIL(BULLA_E_UNSUPPORTED, "a private key is not on a named curve");
	key->curve = OBJ_txt2nid(group) == NID_X9_62_prime256v1 ? &curves[0] : &curves[1];
	key->algorithm = &algorithms[key->curve->type == BULLA_KEY_P256 ? 0 : 1];
	BULLA_TRY(write_spki(pkey, key->spki, &key->spki_size));
	if (key->spki_size != key->curve->prefix_size + 2 * key->curve->half ||
		!bulla_bytes_eq(bulla_bytes_of(key->spki, key->curve->prefix_size),
			bulla_bytes_of(key->curve->prefix, key->curve->prefix_size)))
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "a private key is neither P-256 nor P-384");
	bulla_sha256(bulla_sign_key_spki(key), &key->kid);
	key->ctx = EVP_PKEY_CTX_new(pkey, NULL);
	if (key->ctx == NULL || EVP_PKEY_sign_init(key->ctx) != 1)
		return CRYPTO_FAIL(BULLA_E_CRYPTO, "a signing key cannot be set up");
	*ret = bulla_take(&key);
	return BULLA_OK;
}

bulla_rc bulla_sign_key_new(enum bulla_sign_alg alg, struct bulla_sign_key **ret)
{
	EVP_PKEY *key;

	if (alg != BULLA_ES256 && alg != BULLA_ES384)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "only ES256 and ES384 keys are made");
	key = EVP_EC_gen(alg == BULLA_ES256 ? "P-256" : "P-384");
	if (key == NULL)
		return CRYPTO_FAIL(BULLA_E_CRYPTO, "a signing key cannot be made");
	return sign_key_from(key, ret);
}

bulla_rc bulla_sign_key_import(bulla_bytes pkcs8, struct bulla_sign_key **ret)
{
	const uint8_t *p = pkcs8.p;
	PKCS8_PRIV_KEY_INFO *info = NULL;
	EVP_PKEY *key = NULL;

	if (pkcs8.n > 0 && pkcs8.n <= BULLA_SPKI_MAX)
		info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)pkcs8.n);
	if (info != NULL && p == pkcs8.p + pkcs8.n)
		key = EVP_PKCS82PKEY(info);
	PKCS8_PRIV_KEY_INFO_free(info);
	if (key == NULL)
		return CRYPTO_FAIL(BULLA_E_FORMAT, "a private key is not in its PKCS#8 form");
	return sign_key_from(key, ret);
}

bulla_rc bulla_sign_key_export(const struct bulla_sign_key *key, struct bulla_buf *ret)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key->key);
	uint8_t *der = NULL;
	int size = info != NULL ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;
	bulla_rc rc = BULLA_E_CRYPTO;

	PKCS8_PRIV_KEY_INFO_free(info);
	if (size > 0)
		rc = bulla_buf_append(ret, bulla_bytes_of(der, (size_t)size));
	OPENSSL_clear_free(der, size > 0 ? (size_t)size : 0);
	if (size <= 0)
		return CRYPTO_FAIL(BULLA_E_CRYPTO, "a private key cannot be written");
	return rc;
}

struct bulla_sign_key *bulla_sign_key_free(struct bulla_sign_key *key)
{
	if (key != NULL) {
		EVP_PKEY_CTX_free(key->ctx);
		EVP_PKEY_free(key->key);
	}
	bulla_free(key);
	return NULL;
}

enum bulla_sign_alg bulla_sign_key_alg(const struct bulla_sign_key *key)
{
	return key->algorithm->alg;
}

bulla_bytes bulla_sign_key_spki(const struct bulla_sign_key *key)
{
	return bulla_bytes_of(key->spki, key->spki_size);
}

const bulla_digest *bulla_sign_key_kid(const struct bulla_sign_key *key)
{
	return &key->kid;
}

size_t bulla_sign_key_size(const struct bulla_sign_key *key)
{
	return 2 * key->curve->half;
}

bulla_rc bulla_sign_parts(struct bulla_sign_key *key, const bulla_bytes *parts, size_t count, uint8_t *ret)
{
	uint8_t digest[64], der[ECDSA_DER_MAX];
	size_t size = sizeof(der);

	hash_parts(key->algorithm, parts, count, digest);
	if (EVP_PKEY_sign(key->ctx, der, &size, digest, key->algorithm->digest_size) != 1)
		return CRYPTO_FAIL(BULLA_E_CRYPTO, "signing failed");
	return bulla_ecdsa_from_der(bulla_bytes_of(der, size), key->curve->half, ret);
}

bulla_rc bulla_sign(struct bulla_sign_key *key, bulla_bytes message, uint8_t *ret)
{
	return bulla_sign_parts(key, &message, 1, ret);
}

/* --- verifying --- */

static bulla_rc verify_key_alloc(enum bulla_key_type type, struct bulla_verify_key **ret)
{
	void *p = NULL;

	BULLA_TRY(bulla_alloc(1, sizeof(**ret), &p));
	*ret = p;
	(*ret)->type = type;
	return BULLA_OK;
}

/* point: 0x04 x y. libcrypto checks that it is on the curve. */
static EVP_PKEY *from_point(const struct curve *curve, bulla_bytes point)
{
	char name[8] = "";
	uint8_t octets[1 + 2 * 66];
	OSSL_PARAM params[3];

	bulla_copy(name, curve->name, 6);
	bulla_copy(octets, point.p, point.n);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, octets, point.n);
	params[2] = OSSL_PARAM_construct_end();
	return bulla_key_from_params("EC", params);
}

static const struct curve *curve_of_spki(bulla_bytes spki)
{
	for (size_t i = 0; i < CURVES; i++)
		if (spki.n == curves[i].prefix_size + 2 * curves[i].half &&
			bulla_bytes_eq(bulla_bytes_of(spki.p, curves[i].prefix_size),
				bulla_bytes_of(curves[i].prefix, curves[i].prefix_size)))
			return &curves[i];
	return NULL;
}

static bulla_rc load_point(struct bulla_verify_key *key, const struct curve *curve, bulla_bytes spki)
{
	size_t before = curve->prefix_size - 1; /* the point begins with the prefix's last byte, 04 */

	key->key = from_point(curve, bulla_bytes_of(spki.p + before, spki.n - before));
	if (key->key == NULL)
		return CRYPTO_FAIL(BULLA_E_FORMAT, "a public key is not a point of its curve");
	bulla_copy(key->spki, spki.p, spki.n);
	key->spki_size = spki.n;
	return BULLA_OK;
}

static bulla_rc load_rsa(struct bulla_verify_key *key, bulla_bytes spki)
{
	BULLA_TRY(bulla_rsa_public(spki, &key->key));
	if (EVP_PKEY_get_bits(key->key) < 2048)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "a public key has another kind or size than this reads");
	bulla_copy(key->spki, spki.p, spki.n);
	key->spki_size = spki.n;
	return BULLA_OK;
}

bulla_rc bulla_verify_key_spki(bulla_bytes spki, struct bulla_verify_key **ret)
{
	BULLA_AUTO_VERIFY_KEY key = NULL;
	const struct curve *curve = curve_of_spki(spki);

	if (spki.n == 0 || spki.n > BULLA_SPKI_MAX)
		return BULLA_FAIL(BULLA_E_FORMAT, "a public key has an impossible size");
	BULLA_TRY(verify_key_alloc(curve != NULL ? curve->type : BULLA_KEY_RSA, &key));
	if (curve != NULL)
		BULLA_TRY(load_point(key, curve, spki));
	else
		BULLA_TRY(load_rsa(key, spki));
	bulla_sha256(spki, &key->kid);
	*ret = bulla_take(&key);
	return BULLA_OK;
}

bulla_rc bulla_verify_key_point(enum bulla_key_type type, bulla_bytes x, bulla_bytes y, struct bulla_verify_key **ret)
{
	const struct curve *curve = curve_of(type);
	uint8_t spki[27 + 2 * 66];
	bulla_wr w = bulla_wr_fixed(spki, sizeof(spki));
	bulla_bytes written;

	if (curve == NULL || x.n != curve->half || y.n != curve->half)
		return BULLA_FAIL(BULLA_E_FORMAT, "a point has other sizes than its curve's");
	bulla_wr_bytes(&w, bulla_bytes_of(curve->prefix, curve->prefix_size));
	bulla_wr_bytes(&w, x);
	bulla_wr_bytes(&w, y);
	BULLA_TRY(bulla_wr_end(&w, &written));
	return bulla_verify_key_spki(written, ret);
}

bulla_rc bulla_verify_key_rsa(bulla_bytes modulus, bulla_bytes exponent, struct bulla_verify_key **ret)
{
	uint8_t memory[BULLA_SPKI_MAX];
	bulla_bytes spki;

	if (bulla_rsa_spki(modulus, exponent, memory, &spki) != BULLA_OK)
		return BULLA_FAIL(BULLA_E_FORMAT, "an RSA key has impossible sizes");
	return bulla_verify_key_spki(spki, ret);
}

struct bulla_verify_key *bulla_verify_key_free(struct bulla_verify_key *key)
{
	if (key != NULL) {
		EVP_PKEY_CTX_free(key->ctx);
		EVP_PKEY_free(key->key);
	}
	bulla_free(key);
	return NULL;
}

enum bulla_key_type bulla_verify_key_type(const struct bulla_verify_key *key)
{
	return key->type;
}

bulla_bytes bulla_verify_key_der(const struct bulla_verify_key *key)
{
	return bulla_bytes_of(key->spki, key->spki_size);
}

const bulla_digest *bulla_verify_key_kid(const struct bulla_verify_key *key)
{
	return &key->kid;
}

static bool set_padding(EVP_PKEY_CTX *ctx, const struct algorithm *algorithm)
{
	if (algorithm->padding == 0)
		return true;
	if (EVP_PKEY_CTX_set_rsa_padding(ctx, algorithm->padding) != 1 ||
		EVP_PKEY_CTX_set_signature_md(ctx, EVP_get_digestbyname(algorithm->md)) != 1)
		return false;
	return algorithm->padding != RSA_PKCS1_PSS_PADDING ||
		EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static bulla_rc prepare(struct bulla_verify_key *key, enum bulla_sign_alg alg)
{
	const struct algorithm *algorithm = algorithm_of(alg);

	if (algorithm == NULL || algorithm->type != key->type)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "the key is not one of this signature algorithm");
	if (key->prepared == algorithm)
		return BULLA_OK;
	EVP_PKEY_CTX_free(key->ctx);
	key->prepared = NULL;
	key->ctx = EVP_PKEY_CTX_new(key->key, NULL);
	if (key->ctx == NULL || EVP_PKEY_verify_init(key->ctx) != 1 || !set_padding(key->ctx, algorithm))
		return CRYPTO_FAIL(BULLA_E_CRYPTO, "a verifying key cannot be set up");
	key->prepared = algorithm;
	return BULLA_OK;
}

static bulla_rc verify_prepared(struct bulla_verify_key *key, const bulla_bytes *parts, size_t count,
	bulla_bytes signature)
{
	uint8_t digest[64];

	hash_parts(key->prepared, parts, count, digest);
	if (EVP_PKEY_verify(key->ctx, signature.p, signature.n, digest, key->prepared->digest_size) != 1)
		return CRYPTO_FAIL(BULLA_E_SIGNATURE, "a signature does not verify");
	return BULLA_OK;
}

bulla_rc bulla_verify_parts(struct bulla_verify_key *key, enum bulla_sign_alg alg, const bulla_bytes *parts,
	size_t count, bulla_bytes signature)
{
	const struct curve *curve = curve_of(key->type);
	uint8_t der[ECDSA_DER_MAX];

	BULLA_TRY(prepare(key, alg));
	if (curve == NULL)
		return verify_prepared(key, parts, count, signature);
	if (signature.n != 2 * curve->half)
		return BULLA_FAIL(BULLA_E_SIGNATURE, "a signature has another length than its curve's");
	return verify_prepared(key, parts, count, bulla_bytes_of(der, bulla_ecdsa_to_der(signature, der)));
}

bulla_rc bulla_verify(struct bulla_verify_key *key, enum bulla_sign_alg alg, bulla_bytes message,
	bulla_bytes signature)
{
	return bulla_verify_parts(key, alg, &message, 1, signature);
}

bulla_rc bulla_verify_der(struct bulla_verify_key *key, enum bulla_sign_alg alg, bulla_bytes message,
	bulla_bytes signature)
{
	const struct curve *curve = curve_of(key->type);
	uint8_t raw[BULLA_SIGNATURE_MAX];

	if (curve == NULL)
		return bulla_verify_parts(key, alg, &message, 1, signature);
	BULLA_TRY(bulla_ecdsa_from_der(signature, curve->half, raw));
	return bulla_verify_parts(key, alg, &message, 1, bulla_bytes_of(raw, 2 * curve->half));
}
