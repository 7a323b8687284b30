#include "crypto/aead.h"

#include "base/mem.h"
#include "crypto/internal.h"

#include <openssl/evp.h>

const uint8_t bulla_aead_nonce_zero[BULLA_AEAD_NONCE_SIZE] = {0};

/* One prepared context per thread and direction. Exception to "thread-local only the error trail" (architecture section
 * 10, rule 5): making a context costs as much as sealing a kilobyte. It is a cache: every call sets key and nonce anew. */
static _Thread_local struct {
	EVP_CIPHER_CTX *seal;
	EVP_CIPHER_CTX *open;
} kept;

void bulla_aead_done(void)
{
	EVP_CIPHER_CTX_free(kept.seal);
	EVP_CIPHER_CTX_free(kept.open);
	kept.seal = kept.open = NULL;
}

static EVP_CIPHER_CTX *prepare(int encrypt)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (cipher == NULL || ctx == NULL || EVP_CipherInit_ex2(ctx, cipher, NULL, NULL, encrypt, NULL) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		ctx = NULL;
	}
	EVP_CIPHER_free(cipher); /* the context holds its own reference */
	return ctx;
}

static bulla_rc begin(EVP_CIPHER_CTX **slot, int encrypt, bulla_secret key, const uint8_t *nonce, bulla_bytes aad)
{
	bulla_bytes key_bytes = bulla_secret_view(key);
	int n = 0;

	if (key_bytes.n != BULLA_AEAD_KEY_SIZE)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "an AEAD key has 32 bytes");
	if (aad.n > BULLA_ALLOC_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "the bytes are too many for one call");
	if (*slot == NULL)
		*slot = prepare(encrypt);
	if (*slot == NULL || EVP_CipherInit_ex2(*slot, NULL, key_bytes.p, nonce, encrypt, NULL) != 1)
		return CRYPTO_FAIL(BULLA_E_CRYPTO, "AES-256-GCM cannot be set up");
	if (aad.n > 0 && EVP_CipherUpdate(*slot, NULL, &n, aad.p, (int)aad.n) != 1)
		return CRYPTO_FAIL(BULLA_E_CRYPTO, "AES-256-GCM refused the associated data");
	return BULLA_OK;
}

bulla_rc bulla_aead_seal(bulla_secret key, const uint8_t nonce[BULLA_AEAD_NONCE_SIZE], bulla_bytes aad,
	bulla_bytes plain, uint8_t *ret)
{
	int n = 0;

	if (plain.n > BULLA_ALLOC_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "the bytes are too many for one call");
	BULLA_TRY(begin(&kept.seal, 1, key, nonce, aad));
	if ((plain.n == 0 || EVP_EncryptUpdate(kept.seal, ret, &n, plain.p, (int)plain.n) == 1) &&
		EVP_EncryptFinal_ex(kept.seal, ret + plain.n, &n) == 1 &&
		EVP_CIPHER_CTX_ctrl(kept.seal, EVP_CTRL_AEAD_GET_TAG, BULLA_AEAD_TAG_SIZE, ret + plain.n) == 1)
		return BULLA_OK;
	bulla_wipe(ret, plain.n + BULLA_AEAD_TAG_SIZE);
	return CRYPTO_FAIL(BULLA_E_CRYPTO, "AES-256-GCM failed to seal");
}

bulla_rc bulla_aead_open(bulla_secret key, const uint8_t nonce[BULLA_AEAD_NONCE_SIZE], bulla_bytes aad,
	bulla_bytes sealed, uint8_t *ret)
{
	uint8_t tag[BULLA_AEAD_TAG_SIZE], last[1];
	size_t size;
	int n = 0;

	if (sealed.n < BULLA_AEAD_TAG_SIZE)
		return BULLA_FAIL(BULLA_E_MAC, "sealed bytes without a tag");
	if (sealed.n > BULLA_ALLOC_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "the bytes are too many for one call");
	size = sealed.n - BULLA_AEAD_TAG_SIZE;
	bulla_copy(tag, sealed.p + size, sizeof(tag));
	BULLA_TRY(begin(&kept.open, 0, key, nonce, aad));
	if ((size == 0 || EVP_DecryptUpdate(kept.open, ret, &n, sealed.p, (int)size) == 1) &&
		EVP_CIPHER_CTX_ctrl(kept.open, EVP_CTRL_AEAD_SET_TAG, (int)sizeof(tag), tag) == 1 &&
		EVP_DecryptFinal_ex(kept.open, last, &n) == 1)
		return BULLA_OK;
	bulla_wipe(ret, size);
	return CRYPTO_FAIL(BULLA_E_MAC, "the tag of sealed bytes is wrong");
}

bulla_rc bulla_key_wrap(bulla_secret kek, bulla_secret key, uint8_t ret[BULLA_WRAPPED_SIZE])
{
	bulla_bytes bytes = bulla_secret_view(key);

	if (bytes.n != BULLA_AEAD_KEY_SIZE)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "only keys of 32 bytes are wrapped");
	return bulla_aead_seal(kek, bulla_aead_nonce_zero, (bulla_bytes){NULL, 0}, bytes, ret);
}

bulla_rc bulla_key_unwrap(bulla_secret kek, bulla_bytes wrapped, bulla_secret *ret)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;
	uint8_t *p = NULL;

	if (wrapped.n != BULLA_WRAPPED_SIZE)
		return BULLA_FAIL(BULLA_E_FORMAT, "a wrapped key has 48 bytes");
	BULLA_TRY(bulla_secret_alloc(BULLA_AEAD_KEY_SIZE, &key, &p));
	BULLA_TRY(bulla_aead_open(kek, bulla_aead_nonce_zero, (bulla_bytes){NULL, 0}, wrapped, p));
	*ret = bulla_secret_take(&key);
	return BULLA_OK;
}
