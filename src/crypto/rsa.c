#include "crypto/rsa.h"

#include "base/mem.h"
#include "crypto/internal.h"
#include "crypto/sign.h"
#include "wire/der.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define RSA_PKCS8_MAX 4096
#define RSA_EXPONENT_MAX 8

/* AlgorithmIdentifier rsaEncryption with its NULL (RFC 3279 section 2.3.1) */
static const uint8_t rsa_encryption[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
	0x05, 0x00};

struct bulla_rsa_key {
	EVP_PKEY *key;
	uint8_t spki[BULLA_SPKI_MAX];
	size_t spki_size;
};

/* Takes over pkey. */
static bulla_rc key_from(EVP_PKEY *pkey, struct bulla_rsa_key **ret)
{
	BULLA_AUTO_RSA_KEY key = NULL;
	void *p = NULL;
	bulla_rc rc = bulla_alloc(1, sizeof(*key), &p);
	uint8_t *out;
	int size;

	if (rc != BULLA_OK) {
		EVP_PKEY_free(pkey);
		return rc;
	}
	key = p;
	key->key = pkey;
	size = i2d_PUBKEY(pkey, NULL);
	if (size <= 0 || size > BULLA_SPKI_MAX || !EVP_PKEY_is_a(pkey, "RSA") ||
		EVP_PKEY_get_bits(pkey) != 8 * BULLA_RSA_SIZE)
		return CRYPTO_FAIL(BULLA_E_UNSUPPORTED, "a private key is no RSA-2048 key");
	out = key->spki;
	key->spki_size = (size_t)i2d_PUBKEY(pkey, &out);
	*ret = bulla_take(&key);
	return BULLA_OK;
}

bulla_rc bulla_rsa_key_new(struct bulla_rsa_key **ret)
{
	EVP_PKEY *key = EVP_RSA_gen(8 * BULLA_RSA_SIZE);

	if (key == NULL)
		return CRYPTO_FAIL(BULLA_E_CRYPTO, "an RSA key cannot be made");
	return key_from(key, ret);
}

bulla_rc bulla_rsa_key_import(bulla_bytes pkcs8, struct bulla_rsa_key **ret)
{
	const uint8_t *p = pkcs8.p;
	EVP_PKEY *key = NULL;

	if (pkcs8.n > 0 && pkcs8.n <= RSA_PKCS8_MAX)
		key = d2i_AutoPrivateKey(NULL, &p, (long)pkcs8.n);
	if (key == NULL)
		return CRYPTO_FAIL(BULLA_E_FORMAT, "a private key is not in its PKCS#8 form");
	return key_from(key, ret);
}

struct bulla_rsa_key *bulla_rsa_key_free(struct bulla_rsa_key *key)
{
	if (key != NULL)
		EVP_PKEY_free(key->key);
	bulla_free(key);
	return NULL;
}

bulla_bytes bulla_rsa_key_spki(const struct bulla_rsa_key *key)
{
	return bulla_bytes_of(key->spki, key->spki_size);
}

/* --- public keys --- */

EVP_PKEY *bulla_key_from_params(const char *kind, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
	EVP_PKEY *key = NULL;

	if (ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static EVP_PKEY *from_numbers(bulla_bytes modulus, bulla_bytes exponent)
{
	BIGNUM *n = BN_bin2bn(modulus.p, (int)modulus.n, NULL);
	BIGNUM *e = BN_bin2bn(exponent.p, (int)exponent.n, NULL);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	if (n != NULL && e != NULL && build != NULL && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
		OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		params = OSSL_PARAM_BLD_to_param(build);
	if (params != NULL)
		key = bulla_key_from_params("RSA", params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	BN_free(n);
	BN_free(e);
	return key;
}

/* A positive INTEGER that is odd, without the octet that holds its sign. */
static bulla_rc read_odd(bulla_rd *r, bulla_bytes *ret)
{
	bulla_bytes number;

	BULLA_TRY(bulla_der_rd_integer(r, &number));
	if ((number.p[0] & 0x80) != 0 || (number.p[number.n - 1] & 1) == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "an RSA key's number is negative or even");
	*ret = number.p[0] == 0 ? bulla_bytes_of(number.p + 1, number.n - 1) : number;
	return BULLA_OK;
}

/* RSAPublicKey (RFC 8017 appendix A.1.1) */
static bulla_rc read_public(bulla_bytes spki, bulla_bytes *ret_modulus, bulla_bytes *ret_exponent)
{
	bulla_rd r = bulla_rd_of(spki), outer, numbers;
	bulla_bytes algorithm, bits;

	BULLA_TRY(bulla_der_rd_enter(&r, BULLA_DER_SEQUENCE, &outer));
	BULLA_TRY(bulla_rd_end(&r));
	BULLA_TRY(bulla_der_rd_whole(&outer, BULLA_DER_SEQUENCE, &algorithm));
	BULLA_TRY(bulla_der_rd_bits(&outer, &bits));
	BULLA_TRY(bulla_rd_end(&outer));
	if (!bulla_bytes_eq(algorithm, BULLA_BYTES_ARRAY(rsa_encryption)))
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "a public key has another kind or size than this reads");
	r = bulla_rd_of(bits);
	BULLA_TRY(bulla_der_rd_enter(&r, BULLA_DER_SEQUENCE, &numbers));
	BULLA_TRY(bulla_rd_end(&r));
	BULLA_TRY(read_odd(&numbers, ret_modulus));
	BULLA_TRY(read_odd(&numbers, ret_exponent));
	return bulla_rd_end(&numbers);
}

bulla_rc bulla_rsa_public(bulla_bytes spki, EVP_PKEY **ret)
{
	bulla_bytes modulus, exponent;
	EVP_PKEY *key;
	bulla_rc rc;

	if (spki.n > BULLA_SPKI_MAX)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "a public key has another kind or size than this reads");
	rc = read_public(spki, &modulus, &exponent);
	if (rc != BULLA_OK && rc != BULLA_E_UNSUPPORTED)
		return BULLA_FAIL(BULLA_E_FORMAT, "a public key is not in its one DER form");
	BULLA_TRY(rc);
	if (exponent.n > RSA_EXPONENT_MAX || (exponent.n == 1 && exponent.p[0] < 3))
		return BULLA_FAIL(BULLA_E_FORMAT, "an RSA key's exponent has an impossible size");
	key = from_numbers(modulus, exponent);
	if (key == NULL)
		return CRYPTO_FAIL(BULLA_E_FORMAT, "an RSA key cannot be made of these numbers");
	*ret = key;
	return BULLA_OK;
}

bulla_rc bulla_rsa_spki(bulla_bytes modulus, bulla_bytes exponent, uint8_t *ret_memory, bulla_bytes *ret)
{
	uint8_t key_memory[BULLA_SPKI_MAX], bits_memory[BULLA_SPKI_MAX];
	bulla_wr numbers = bulla_wr_fixed(key_memory, sizeof(key_memory)), key = bulla_wr_fixed(bits_memory, sizeof(bits_memory));
	bulla_wr whole = bulla_wr_fixed(ret_memory, BULLA_SPKI_MAX);
	bulla_bytes part;

	if (modulus.n == 0 || exponent.n == 0 || exponent.n > RSA_EXPONENT_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "an RSA key's numbers have impossible sizes");
	bulla_der_wr_number(&numbers, modulus);
	bulla_der_wr_number(&numbers, exponent);
	BULLA_TRY(bulla_wr_end(&numbers, &part));
	bulla_der_wr(&key, BULLA_DER_SEQUENCE, part);
	BULLA_TRY(bulla_wr_end(&key, &part));
	numbers = bulla_wr_fixed(key_memory, sizeof(key_memory));
	bulla_wr_bytes(&numbers, BULLA_BYTES_ARRAY(rsa_encryption));
	bulla_der_wr_bits(&numbers, part);
	BULLA_TRY(bulla_wr_end(&numbers, &part));
	bulla_der_wr(&whole, BULLA_DER_SEQUENCE, part);
	return bulla_wr_end(&whole, ret);
}

/* RSAES-OAEP with SHA-256 for both hashes: AWS's RSAES_OAEP_SHA_256. */
static bool use_oaep(EVP_PKEY_CTX *ctx)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
		EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1;
}

static EVP_PKEY *public_key(bulla_bytes spki)
{
	EVP_PKEY *key = NULL;

	if (bulla_rsa_public(spki, &key) == BULLA_OK && EVP_PKEY_get_bits(key) == 8 * BULLA_RSA_SIZE)
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

bulla_rc bulla_rsa_seal(bulla_bytes spki, bulla_secret plain, uint8_t ret[BULLA_RSA_SIZE])
{
	bulla_bytes bytes = bulla_secret_view(plain);
	EVP_PKEY *key = public_key(spki);
	EVP_PKEY_CTX *ctx;
	size_t size = BULLA_RSA_SIZE;
	bool done;

	if (key == NULL)
		return CRYPTO_FAIL(BULLA_E_FORMAT, "the recipient's key is not an RSA-2048 key");
	ctx = EVP_PKEY_CTX_new(key, NULL);
	done = ctx != NULL && EVP_PKEY_encrypt_init(ctx) == 1 && use_oaep(ctx) &&
		EVP_PKEY_encrypt(ctx, ret, &size, bytes.p, bytes.n) == 1 && size == BULLA_RSA_SIZE;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	if (!done)
		return CRYPTO_FAIL(BULLA_E_CRYPTO, "RSA-OAEP failed to seal");
	return BULLA_OK;
}

bulla_rc bulla_rsa_open(struct bulla_rsa_key *key, bulla_bytes sealed, bulla_secret *ret)
{
	uint8_t plain[BULLA_RSA_SIZE];
	size_t size = sizeof(plain);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->key, NULL);
	bool done = ctx != NULL && sealed.n == BULLA_RSA_SIZE && EVP_PKEY_decrypt_init(ctx) == 1 && use_oaep(ctx) &&
		EVP_PKEY_decrypt(ctx, plain, &size, sealed.p, sealed.n) == 1 && size > 0 && size <= BULLA_SECRET_MAX;
	bulla_rc rc = BULLA_E_CRYPTO;

	EVP_PKEY_CTX_free(ctx);
	if (done)
		rc = bulla_secret_new(bulla_bytes_of(plain, size), ret);
	bulla_wipe(plain, sizeof(plain));
	if (!done)
		return CRYPTO_FAIL(BULLA_E_CRYPTO, "RSA-OAEP does not open");
	return rc;
}
