#include "crypto/rsa.h"

#include "base/mem.h"
#include "crypto/internal.h"
#include "crypto/sign.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define RSA_PKCS8_MAX 4096

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

/* RSAES-OAEP with SHA-256 for both hashes: AWS's RSAES_OAEP_SHA_256. */
static bool use_oaep(EVP_PKEY_CTX *ctx)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
		EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1;
}

static EVP_PKEY *public_key(bulla_bytes spki)
{
	const uint8_t *p = spki.p;
	EVP_PKEY *key = NULL;

	if (spki.n > 0 && spki.n <= BULLA_SPKI_MAX)
		key = d2i_PUBKEY(NULL, &p, (long)spki.n);
	if (key != NULL && p == spki.p + spki.n && EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) == 8 * BULLA_RSA_SIZE)
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
