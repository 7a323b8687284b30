#include "crypto/hybrid.h"

#include "base/wr.h"
#include "crypto/ecdh.h"
#include "crypto/internal.h"
#include "crypto/random.h"

#include <openssl/evp.h>

#define ML_KEM "ML-KEM-768"
#define ML_KEM_SEED_SIZE 64
#define ML_KEM_PUBLIC_SIZE 1184
#define ML_KEM_CIPHERTEXT_SIZE 1088
#define SHARED_SIZE 32
#define SEED_SIZE 32

bool bulla_hybrid_available(void)
{
	EVP_KEM *kem = EVP_KEM_fetch(NULL, ML_KEM, NULL);
	bool available = kem != NULL;

	EVP_KEM_free(kem);
	ERR_clear_error();
	return available;
}

static bulla_rc demand(void)
{
	if (!bulla_hybrid_available())
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "MLKEM768-X25519 needs libcrypto 3.5 or later");
	return BULLA_OK;
}

/* SHAKE256 (any size) or SHA3-256 of the concatenation of count parts. */
static bulla_rc sha3(const EVP_MD *md, const bulla_bytes *parts, size_t count, uint8_t *ret, size_t size)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool xof = md == EVP_shake256();
	bool done = ctx != NULL && EVP_DigestInit_ex(ctx, md, NULL) == 1;

	for (size_t i = 0; done && i < count; i++)
		done = EVP_DigestUpdate(ctx, parts[i].p, parts[i].n) == 1;
	done = done && (xof ? EVP_DigestFinalXOF(ctx, ret, size) : EVP_DigestFinal_ex(ctx, ret, NULL)) == 1;
	EVP_MD_CTX_free(ctx);
	if (!done)
		return CRYPTO_FAIL(BULLA_E_CRYPTO, "SHA-3 failed");
	return BULLA_OK;
}

/* hpke-pq section on one-stage KDFs: LabeledDerive(ikm, "DeriveKeyPair", "", 32) with SHAKE256. */
bulla_rc bulla_hybrid_derive(bulla_secret ikm, bulla_secret *ret_seed)
{
	const bulla_bytes parts[] = {bulla_secret_view(ikm), BULLA_BYTES_LITERAL("HPKE-v1"),
		BULLA_BYTES_LITERAL("KEM\x64\x7a"), BULLA_BYTES_LITERAL("\x00\x0d"), BULLA_BYTES_LITERAL("DeriveKeyPair"),
		BULLA_BYTES_LITERAL("\x00\x20")};
	BULLA_AUTO_SECRET seed = BULLA_SECRET_NONE;
	uint8_t *p = NULL;

	BULLA_TRY(demand());
	BULLA_TRY(bulla_secret_alloc(SEED_SIZE, &seed, &p));
	BULLA_TRY(sha3(EVP_shake256(), parts, 6, p, SEED_SIZE));
	*ret_seed = bulla_secret_take(&seed);
	return BULLA_OK;
}

/* The two private halves of a seed. */
static bulla_rc expand(bulla_secret seed, bulla_secret *ret_ml_kem, bulla_secret *ret_x25519)
{
	uint8_t both[ML_KEM_SEED_SIZE + BULLA_X25519_SIZE];
	bulla_bytes bytes = bulla_secret_view(seed);
	bulla_rc rc;

	if (bytes.n != SEED_SIZE)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a hybrid private key has 32 bytes");
	rc = sha3(EVP_shake256(), &bytes, 1, both, sizeof(both));
	if (rc == BULLA_OK)
		rc = bulla_secret_new(bulla_bytes_of(both, ML_KEM_SEED_SIZE), ret_ml_kem);
	if (rc == BULLA_OK)
		rc = bulla_secret_new(bulla_bytes_of(both + ML_KEM_SEED_SIZE, BULLA_X25519_SIZE), ret_x25519);
	bulla_wipe(both, sizeof(both));
	return rc;
}

/* An ML-KEM key from one octet string: "seed" (private) or "pub". */
static EVP_PKEY *ml_kem_key(const char *name, int selection, bulla_bytes octets)
{
	uint8_t copy[ML_KEM_PUBLIC_SIZE];
	OSSL_PARAM params[2];
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, ML_KEM, NULL);
	EVP_PKEY *key = NULL;

	bulla_copy(copy, octets.p, octets.n);
	params[0] = OSSL_PARAM_construct_octet_string(name, copy, octets.n);
	params[1] = OSSL_PARAM_construct_end();
	if (ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 && EVP_PKEY_fromdata(ctx, &key, selection, params) != 1)
		key = NULL;
	bulla_wipe(copy, sizeof(copy));
	EVP_PKEY_CTX_free(ctx);
	return key;
}

bulla_rc bulla_hybrid_public(bulla_secret seed, uint8_t ret_public[BULLA_HYBRID_PUBLIC_SIZE])
{
	BULLA_AUTO_SECRET ml_kem = BULLA_SECRET_NONE, x25519 = BULLA_SECRET_NONE;
	EVP_PKEY *key;
	size_t size = 0;
	bool done;

	BULLA_TRY(demand());
	BULLA_TRY(expand(seed, &ml_kem, &x25519));
	key = ml_kem_key("seed", EVP_PKEY_KEYPAIR, bulla_secret_view(ml_kem));
	done = key != NULL && EVP_PKEY_get_octet_string_param(key, "pub", ret_public, ML_KEM_PUBLIC_SIZE, &size) == 1 &&
		size == ML_KEM_PUBLIC_SIZE;
	EVP_PKEY_free(key);
	if (!done)
		return CRYPTO_FAIL(BULLA_E_CRYPTO, "an ML-KEM public key cannot be computed");
	return bulla_x25519_public(x25519, ret_public + ML_KEM_PUBLIC_SIZE);
}

/* X-Wing's combiner: SHA3-256(ss_M || ss_X || ct_X || pk_X || label). */
static bulla_rc combine(bulla_secret ml_kem, bulla_secret x25519, bulla_bytes x25519_enc, bulla_bytes x25519_public,
	bulla_secret *ret)
{
	const bulla_bytes parts[] = {bulla_secret_view(ml_kem), bulla_secret_view(x25519), x25519_enc, x25519_public,
		BULLA_BYTES_LITERAL("\\.//^\\")};
	BULLA_AUTO_SECRET shared = BULLA_SECRET_NONE;
	uint8_t *p = NULL;

	BULLA_TRY(bulla_secret_alloc(SHARED_SIZE, &shared, &p));
	BULLA_TRY(sha3(EVP_sha3_256(), parts, 5, p, SHARED_SIZE));
	*ret = bulla_secret_take(&shared);
	return BULLA_OK;
}

static bulla_rc ml_kem_encap(bulla_bytes public_key, uint8_t *ret_enc, uint8_t *ret_shared)
{
	EVP_PKEY *key = ml_kem_key("pub", EVP_PKEY_PUBLIC_KEY, public_key);
	EVP_PKEY_CTX *ctx = key != NULL ? EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL) : NULL;
	size_t enc_size = ML_KEM_CIPHERTEXT_SIZE, shared_size = SHARED_SIZE;
	bool done = ctx != NULL && EVP_PKEY_encapsulate_init(ctx, NULL) == 1 &&
		EVP_PKEY_encapsulate(ctx, ret_enc, &enc_size, ret_shared, &shared_size) == 1 &&
		enc_size == ML_KEM_CIPHERTEXT_SIZE && shared_size == SHARED_SIZE;

	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	if (!done)
		return CRYPTO_FAIL(BULLA_E_CRYPTO, "ML-KEM failed to encapsulate");
	return BULLA_OK;
}

static bulla_rc ml_kem_decap(bulla_secret seed, bulla_bytes enc, uint8_t *ret_shared)
{
	EVP_PKEY *key = ml_kem_key("seed", EVP_PKEY_KEYPAIR, bulla_secret_view(seed));
	EVP_PKEY_CTX *ctx = key != NULL ? EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL) : NULL;
	size_t shared_size = SHARED_SIZE;
	bool done = ctx != NULL && EVP_PKEY_decapsulate_init(ctx, NULL) == 1 &&
		EVP_PKEY_decapsulate(ctx, ret_shared, &shared_size, enc.p, enc.n) == 1 && shared_size == SHARED_SIZE;

	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	if (!done)
		return CRYPTO_FAIL(BULLA_E_CRYPTO, "ML-KEM failed to decapsulate");
	return BULLA_OK;
}

bulla_rc bulla_hybrid_encap(bulla_bytes public_key, const struct bulla_random *random,
	uint8_t ret_enc[BULLA_HYBRID_ENC_SIZE], bulla_secret *ret)
{
	BULLA_AUTO_SECRET ephemeral = BULLA_SECRET_NONE, x25519 = BULLA_SECRET_NONE, ml_kem = BULLA_SECRET_NONE;
	uint8_t *x25519_enc = ret_enc + ML_KEM_CIPHERTEXT_SIZE, *p = NULL;
	bulla_bytes peer;

	BULLA_TRY(demand());
	if (public_key.n != BULLA_HYBRID_PUBLIC_SIZE)
		return BULLA_FAIL(BULLA_E_FORMAT, "a hybrid public key has 1216 bytes");
	peer = bulla_bytes_of(public_key.p + ML_KEM_PUBLIC_SIZE, BULLA_X25519_SIZE);
	BULLA_TRY(bulla_random_secret(random, BULLA_X25519_SIZE, &ephemeral));
	BULLA_TRY(bulla_x25519_public(ephemeral, x25519_enc));
	BULLA_TRY(bulla_x25519(ephemeral, peer, &x25519));
	BULLA_TRY(bulla_secret_alloc(SHARED_SIZE, &ml_kem, &p));
	BULLA_TRY(ml_kem_encap(bulla_bytes_of(public_key.p, ML_KEM_PUBLIC_SIZE), ret_enc, p));
	return combine(ml_kem, x25519, bulla_bytes_of(x25519_enc, BULLA_X25519_SIZE), peer, ret);
}

bulla_rc bulla_hybrid_decap(bulla_secret seed, bulla_bytes enc, bulla_secret *ret)
{
	BULLA_AUTO_SECRET ml_kem_seed = BULLA_SECRET_NONE, mine = BULLA_SECRET_NONE;
	BULLA_AUTO_SECRET ml_kem = BULLA_SECRET_NONE, x25519 = BULLA_SECRET_NONE;
	uint8_t public_key[BULLA_X25519_SIZE], *p = NULL;
	bulla_bytes x25519_enc;

	BULLA_TRY(demand());
	if (enc.n != BULLA_HYBRID_ENC_SIZE)
		return BULLA_FAIL(BULLA_E_FORMAT, "a hybrid encapsulated key has 1120 bytes");
	x25519_enc = bulla_bytes_of(enc.p + ML_KEM_CIPHERTEXT_SIZE, BULLA_X25519_SIZE);
	BULLA_TRY(expand(seed, &ml_kem_seed, &mine));
	BULLA_TRY(bulla_x25519_public(mine, public_key));
	BULLA_TRY(bulla_x25519(mine, x25519_enc, &x25519));
	BULLA_TRY(bulla_secret_alloc(SHARED_SIZE, &ml_kem, &p));
	BULLA_TRY(ml_kem_decap(ml_kem_seed, bulla_bytes_of(enc.p, ML_KEM_CIPHERTEXT_SIZE), p));
	return combine(ml_kem, x25519, x25519_enc, BULLA_BYTES_ARRAY(public_key), ret);
}
