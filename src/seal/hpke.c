#include "seal/hpke.h"

#include "base/wr.h"
#include "crypto/aead.h"
#include "crypto/ecdh.h"
#include "crypto/kdf.h"
#include "crypto/random.h"

#define SUITE_KDF 0x0001  /* HKDF-SHA256 */
#define SUITE_AEAD 0x0002 /* AES-256-GCM */
#define VERSION_LABEL BULLA_BYTES_LITERAL("HPKE-v1")
#define NOTHING ((bulla_bytes){NULL, 0})

/* --- RFC 9180 section 4: labeled HKDF under a suite id --- */

struct suite {
	uint8_t id[10];
	size_t size;
};

static struct suite kem_suite(const struct bulla_kem *kem)
{
	return (struct suite){{'K', 'E', 'M', (uint8_t)(kem->id >> 8), (uint8_t)kem->id}, 5};
}

static struct suite hpke_suite(const struct bulla_kem *kem)
{
	return (struct suite){{'H', 'P', 'K', 'E', (uint8_t)(kem->id >> 8), (uint8_t)kem->id, 0, SUITE_KDF, 0, SUITE_AEAD}, 10};
}

static bulla_rc labeled_extract(const struct suite *suite, bulla_bytes salt, const char *label, bulla_bytes ikm,
	bulla_secret *ret)
{
	const bulla_bytes parts[] = {VERSION_LABEL, bulla_bytes_of(suite->id, suite->size), bulla_bytes_str(label), ikm};

	return bulla_hkdf_extract(salt, parts, 4, ret);
}

static bulla_rc labeled_expand(const struct suite *suite, bulla_secret prk, const char *label, bulla_bytes info,
	size_t size, bulla_secret *ret)
{
	const uint8_t length[] = {(uint8_t)(size >> 8), (uint8_t)size};
	const bulla_bytes parts[] = {BULLA_BYTES_ARRAY(length), VERSION_LABEL, bulla_bytes_of(suite->id, suite->size),
		bulla_bytes_str(label), info};

	return bulla_hkdf_expand(prk, parts, 5, size, ret);
}

/* --- section 4.1: DHKEM(X25519, HKDF-SHA256) --- */

/* ExtractAndExpand of a Diffie-Hellman value. */
static bulla_rc shared_secret(bulla_secret dh, bulla_bytes enc, bulla_bytes public_key, bulla_secret *ret)
{
	const struct suite suite = kem_suite(&bulla_kem_x25519);
	BULLA_AUTO_SECRET prk = BULLA_SECRET_NONE;
	uint8_t context[2 * BULLA_X25519_SIZE];

	bulla_copy(context, enc.p, BULLA_X25519_SIZE);
	bulla_copy(context + BULLA_X25519_SIZE, public_key.p, BULLA_X25519_SIZE);
	BULLA_TRY(labeled_extract(&suite, NOTHING, "eae_prk", bulla_secret_view(dh), &prk));
	return labeled_expand(&suite, prk, "shared_secret", BULLA_BYTES_ARRAY(context), 32, ret);
}

static bulla_rc x25519_encap(bulla_bytes public_key, const struct bulla_random *random, uint8_t *ret_enc,
	bulla_secret *ret)
{
	BULLA_AUTO_SECRET ephemeral = BULLA_SECRET_NONE, dh = BULLA_SECRET_NONE;

	BULLA_TRY(bulla_hpke_new(&bulla_kem_x25519, random, &ephemeral, ret_enc));
	BULLA_TRY(bulla_x25519(ephemeral, public_key, &dh));
	return shared_secret(dh, bulla_bytes_of(ret_enc, BULLA_X25519_SIZE), public_key, ret);
}

static bulla_rc x25519_decap(bulla_secret private_key, bulla_bytes enc, bulla_secret *ret)
{
	BULLA_AUTO_SECRET dh = BULLA_SECRET_NONE;
	uint8_t public_key[BULLA_X25519_SIZE];

	BULLA_TRY(bulla_x25519_public(private_key, public_key));
	BULLA_TRY(bulla_x25519(private_key, enc, &dh));
	return shared_secret(dh, enc, BULLA_BYTES_ARRAY(public_key), ret);
}

static bulla_rc x25519_derive(bulla_secret ikm, bulla_secret *ret_private)
{
	const struct suite suite = kem_suite(&bulla_kem_x25519);
	BULLA_AUTO_SECRET prk = BULLA_SECRET_NONE;

	BULLA_TRY(labeled_extract(&suite, NOTHING, "dkp_prk", bulla_secret_view(ikm), &prk));
	return labeled_expand(&suite, prk, "sk", NOTHING, BULLA_X25519_SIZE, ret_private);
}

const struct bulla_kem bulla_kem_x25519 = {
	.id = BULLA_KEM_NUMBER_X25519, .public_size = BULLA_X25519_SIZE, .enc_size = BULLA_X25519_SIZE,
	.derive = x25519_derive, .public_of = bulla_x25519_public, .encap = x25519_encap, .decap = x25519_decap};

/* --- any KEM --- */

bulla_rc bulla_hpke_derive(const struct bulla_kem *kem, bulla_secret ikm, bulla_secret *ret_private,
	uint8_t ret_public[BULLA_HPKE_PUBLIC_MAX])
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;

	BULLA_TRY(kem->derive(ikm, &key));
	BULLA_TRY(kem->public_of(key, ret_public));
	*ret_private = bulla_secret_take(&key);
	return BULLA_OK;
}

bulla_rc bulla_hpke_new(const struct bulla_kem *kem, const struct bulla_random *random, bulla_secret *ret_private,
	uint8_t ret_public[BULLA_HPKE_PUBLIC_MAX])
{
	BULLA_AUTO_SECRET ikm = BULLA_SECRET_NONE;

	BULLA_TRY(bulla_random_secret(random, BULLA_HPKE_PRIVATE_SIZE, &ikm));
	return bulla_hpke_derive(kem, ikm, ret_private, ret_public);
}

bulla_rc bulla_hpke_public(const struct bulla_kem *kem, bulla_secret private_key, uint8_t ret_public[BULLA_HPKE_PUBLIC_MAX])
{
	return kem->public_of(private_key, ret_public);
}

static bulla_rc encap(const struct bulla_kem *kem, bulla_bytes public_key, const struct bulla_random *random, uint8_t *ret_enc,
	bulla_secret *ret)
{
	if (public_key.n != kem->public_size)
		return BULLA_FAIL(BULLA_E_FORMAT, "an HPKE public key has another size than its KEM's");
	return kem->encap(public_key, random, ret_enc, ret);
}

static bulla_rc decap(const struct bulla_kem *kem, bulla_secret private_key, bulla_bytes enc, bulla_secret *ret)
{
	if (enc.n != kem->enc_size)
		return BULLA_FAIL(BULLA_E_FORMAT, "an HPKE encapsulated key has another size than its KEM's");
	return kem->decap(private_key, enc, ret);
}

/* --- section 5.1: the key schedule of base mode --- */

struct schedule {
	struct suite suite;
	bulla_secret secret;
	uint8_t context[65];
};

static void schedule_done(struct schedule *schedule)
{
	bulla_secret_free(&schedule->secret);
}
#define AUTO_SCHEDULE __attribute__((cleanup(schedule_done))) struct schedule

static bulla_rc schedule_context(struct schedule *schedule, bulla_bytes info)
{
	BULLA_AUTO_SECRET id_hash = BULLA_SECRET_NONE, info_hash = BULLA_SECRET_NONE;

	BULLA_TRY(labeled_extract(&schedule->suite, NOTHING, "psk_id_hash", NOTHING, &id_hash));
	BULLA_TRY(labeled_extract(&schedule->suite, NOTHING, "info_hash", info, &info_hash));
	schedule->context[0] = 0; /* mode_base */
	bulla_copy(schedule->context + 1, bulla_secret_view(id_hash).p, 32);
	bulla_copy(schedule->context + 33, bulla_secret_view(info_hash).p, 32);
	return BULLA_OK;
}

static bulla_rc schedule_start(const struct bulla_kem *kem, bulla_secret shared, bulla_bytes info, struct schedule *schedule)
{
	schedule->suite = hpke_suite(kem);
	BULLA_TRY(schedule_context(schedule, info));
	return labeled_extract(&schedule->suite, bulla_secret_view(shared), "secret", NOTHING, &schedule->secret);
}

/* Key and nonce of the first message. */
static bulla_rc schedule_message(const struct schedule *schedule, bulla_secret *ret_key,
	uint8_t ret_nonce[BULLA_AEAD_NONCE_SIZE])
{
	BULLA_AUTO_SECRET nonce = BULLA_SECRET_NONE;
	bulla_bytes context = BULLA_BYTES_ARRAY(schedule->context);

	BULLA_TRY(labeled_expand(&schedule->suite, schedule->secret, "base_nonce", context, BULLA_AEAD_NONCE_SIZE, &nonce));
	BULLA_TRY(labeled_expand(&schedule->suite, schedule->secret, "key", context, BULLA_AEAD_KEY_SIZE, ret_key));
	bulla_copy(ret_nonce, bulla_secret_view(nonce).p, BULLA_AEAD_NONCE_SIZE);
	return BULLA_OK;
}

static bulla_rc schedule_export(const struct schedule *schedule, bulla_bytes export_context, bulla_secret *ret)
{
	BULLA_AUTO_SECRET exporter = BULLA_SECRET_NONE;

	BULLA_TRY(labeled_expand(&schedule->suite, schedule->secret, "exp", BULLA_BYTES_ARRAY(schedule->context), 32, &exporter));
	return labeled_expand(&schedule->suite, exporter, "sec", export_context, BULLA_HPKE_EXPORT_SIZE, ret);
}

/* --- section 6: single-shot --- */

bulla_rc bulla_hpke_seal(const struct bulla_kem *kem, bulla_bytes public_key, bulla_bytes info, bulla_bytes aad, bulla_bytes plain,
	const struct bulla_random *random, uint8_t ret_enc[BULLA_HPKE_ENC_MAX], uint8_t *ret_sealed)
{
	BULLA_AUTO_SECRET shared = BULLA_SECRET_NONE, key = BULLA_SECRET_NONE;
	AUTO_SCHEDULE schedule = {.secret = BULLA_SECRET_NONE};
	uint8_t nonce[BULLA_AEAD_NONCE_SIZE];

	BULLA_TRY(encap(kem, public_key, random, ret_enc, &shared));
	BULLA_TRY(schedule_start(kem, shared, info, &schedule));
	BULLA_TRY(schedule_message(&schedule, &key, nonce));
	return bulla_aead_seal(key, nonce, aad, plain, ret_sealed);
}

bulla_rc bulla_hpke_open(const struct bulla_kem *kem, bulla_secret private_key, bulla_bytes enc, bulla_bytes info, bulla_bytes aad,
	bulla_bytes sealed, uint8_t *ret)
{
	BULLA_AUTO_SECRET shared = BULLA_SECRET_NONE, key = BULLA_SECRET_NONE;
	AUTO_SCHEDULE schedule = {.secret = BULLA_SECRET_NONE};
	uint8_t nonce[BULLA_AEAD_NONCE_SIZE];

	BULLA_TRY(decap(kem, private_key, enc, &shared));
	BULLA_TRY(schedule_start(kem, shared, info, &schedule));
	BULLA_TRY(schedule_message(&schedule, &key, nonce));
	return bulla_aead_open(key, nonce, aad, sealed, ret);
}

bulla_rc bulla_hpke_send_export(const struct bulla_kem *kem, bulla_bytes public_key, bulla_bytes info, bulla_bytes context,
	const struct bulla_random *random, uint8_t ret_enc[BULLA_HPKE_ENC_MAX], bulla_secret *ret)
{
	BULLA_AUTO_SECRET shared = BULLA_SECRET_NONE;
	AUTO_SCHEDULE schedule = {.secret = BULLA_SECRET_NONE};

	BULLA_TRY(encap(kem, public_key, random, ret_enc, &shared));
	BULLA_TRY(schedule_start(kem, shared, info, &schedule));
	return schedule_export(&schedule, context, ret);
}

bulla_rc bulla_hpke_receive_export(const struct bulla_kem *kem, bulla_secret private_key, bulla_bytes enc, bulla_bytes info,
	bulla_bytes context, bulla_secret *ret)
{
	BULLA_AUTO_SECRET shared = BULLA_SECRET_NONE;
	AUTO_SCHEDULE schedule = {.secret = BULLA_SECRET_NONE};

	BULLA_TRY(decap(kem, private_key, enc, &shared));
	BULLA_TRY(schedule_start(kem, shared, info, &schedule));
	return schedule_export(&schedule, context, ret);
}
