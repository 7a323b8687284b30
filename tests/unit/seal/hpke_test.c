#include "crypto/aead.h"
#include "crypto/hybrid.h"
#include "crypto/random.h"
#include "seal/hpke.h"
#include "slab.h"
#include "vectors.h"

/* RFC 9180 test vectors, mode base, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. Key, nonce and export were
 * computed by an independent model that reproduces the vector's accumulated exports. */
#define INFO "4f6465206f6e2061204772656369616e2055726e"
#define IKM_E "2cd7c601cefb3d42a62b04b7a9041494c06c7843818e0ce28a8f704ae7ab20f9"
#define IKM_R "dac33b0e9db1b59dbbea58d59a14e7b5896e9bdf98fad6891e99d1686492b9ee"
#define SK_R "497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d"
#define PK_R "430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c"
#define ENC "6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256"
#define KEY "f50b0609186798729ed0564b36ef2ef8044f1f9d05636874d1f46c819c7a669f"
#define NONCE "151d9929e2449747889bc923"
#define EXPORT "7c5ded445732c14fe09727d29b4251c0fd38455fe8440571e687f0886aac94d2" /* of "TestContext" */

static bulla_rc fixed(void *ctx, uint8_t *ret, size_t size)
{
	(void)ctx;
	assert_int_equal(size, 32);
	vectors_hex(IKM_E, ret, size);
	return BULLA_OK;
}

static const struct bulla_random ikm_e = {NULL, fixed};

static bulla_secret secret_of(const char *hex)
{
	bulla_secret secret = BULLA_SECRET_NONE;
	uint8_t memory[64];

	assert_ok(bulla_secret_new(vectors_hex(hex, memory, sizeof(memory)), &secret));
	return secret;
}

static void key_pairs_are_derived(void **state)
{
	BULLA_AUTO_SECRET ikm = secret_of(IKM_R), private_key = BULLA_SECRET_NONE;
	uint8_t public_key[BULLA_HPKE_PUBLIC_MAX], again[BULLA_HPKE_PUBLIC_MAX], memory[32];

	(void)state;
	assert_ok(bulla_hpke_derive(&bulla_kem_x25519, ikm, &private_key, public_key));
	assert_bytes(bulla_secret_view(private_key), vectors_hex(SK_R, memory, sizeof(memory)));
	assert_bytes(bulla_bytes_of(public_key, 32), vectors_hex(PK_R, memory, sizeof(memory)));
	assert_ok(bulla_hpke_public(&bulla_kem_x25519, private_key, again));
	assert_memory_equal(public_key, again, 32);
}

static void messages_are_the_vectors(void **state)
{
	BULLA_AUTO_SECRET private_key = secret_of(SK_R), key = secret_of(KEY);
	uint8_t info[32], public_key[32], enc[BULLA_HPKE_ENC_MAX], right_enc[32], sealed[7 + 16], right[7 + 16], nonce[12], plain[7];
	bulla_bytes info_bytes = vectors_hex(INFO, info, sizeof(info));

	(void)state;
	vectors_hex(NONCE, nonce, sizeof(nonce));
	assert_ok(bulla_hpke_seal(&bulla_kem_x25519, vectors_hex(PK_R, public_key, sizeof(public_key)), info_bytes,
		BULLA_BYTES_LITERAL("aad"), BULLA_BYTES_LITERAL("message"), &ikm_e, enc, sealed));
	assert_bytes(bulla_bytes_of(enc, 32), vectors_hex(ENC, right_enc, sizeof(right_enc)));
	assert_ok(bulla_aead_seal(key, nonce, BULLA_BYTES_LITERAL("aad"), BULLA_BYTES_LITERAL("message"), right));
	assert_memory_equal(sealed, right, sizeof(right));
	assert_ok(bulla_hpke_open(&bulla_kem_x25519, private_key, bulla_bytes_of(enc, 32), info_bytes, BULLA_BYTES_LITERAL("aad"),
		BULLA_BYTES_ARRAY(sealed), plain));
	assert_memory_equal(plain, "message", 7);
	assert_rc(BULLA_E_MAC, bulla_hpke_open(&bulla_kem_x25519, private_key, bulla_bytes_of(enc, 32), info_bytes,
		BULLA_BYTES_LITERAL("aaD"), BULLA_BYTES_ARRAY(sealed), plain));
	assert_rc(BULLA_E_MAC, bulla_hpke_open(&bulla_kem_x25519, private_key, bulla_bytes_of(enc, 32), BULLA_BYTES_LITERAL("x"),
		BULLA_BYTES_LITERAL("aad"), BULLA_BYTES_ARRAY(sealed), plain));
	enc[3] ^= 1;
	assert_rc(BULLA_E_MAC, bulla_hpke_open(&bulla_kem_x25519, private_key, bulla_bytes_of(enc, 32), info_bytes,
		BULLA_BYTES_LITERAL("aad"), BULLA_BYTES_ARRAY(sealed), plain));
}

static void exports_are_the_vectors(void **state)
{
	BULLA_AUTO_SECRET private_key = secret_of(SK_R), sent = BULLA_SECRET_NONE, received = BULLA_SECRET_NONE;
	uint8_t info[32], public_key[32], enc[BULLA_HPKE_ENC_MAX], right[32];
	bulla_bytes info_bytes = vectors_hex(INFO, info, sizeof(info));

	(void)state;
	assert_ok(bulla_hpke_send_export(&bulla_kem_x25519, vectors_hex(PK_R, public_key, sizeof(public_key)), info_bytes,
		BULLA_BYTES_LITERAL("TestContext"), &ikm_e, enc, &sent));
	assert_bytes(bulla_secret_view(sent), vectors_hex(EXPORT, right, sizeof(right)));
	assert_ok(bulla_hpke_receive_export(&bulla_kem_x25519, private_key, bulla_bytes_of(enc, 32), info_bytes,
		BULLA_BYTES_LITERAL("TestContext"), &received));
	assert_bytes(bulla_secret_view(received), BULLA_BYTES_ARRAY(right));
}

static void wrong_sizes_and_points(void **state)
{
	BULLA_AUTO_SECRET private_key = secret_of(SK_R), out = BULLA_SECRET_NONE;
	uint8_t zeros[33] = {0}, enc[BULLA_HPKE_ENC_MAX];

	(void)state;
	for (size_t size = 0; size <= 33; size += size == 31 ? 2 : 1) {
		assert_rc(BULLA_E_FORMAT, bulla_hpke_send_export(&bulla_kem_x25519, bulla_bytes_of(zeros, size), (bulla_bytes){NULL, 0},
			(bulla_bytes){NULL, 0}, bulla_random_os(), enc, &out));
		assert_rc(BULLA_E_FORMAT, bulla_hpke_receive_export(&bulla_kem_x25519, private_key, bulla_bytes_of(zeros, size),
			(bulla_bytes){NULL, 0}, (bulla_bytes){NULL, 0}, &out));
	}
	assert_rc(BULLA_E_CRYPTO, bulla_hpke_receive_export(&bulla_kem_x25519, private_key, bulla_bytes_of(zeros, 32),
		(bulla_bytes){NULL, 0}, (bulla_bytes){NULL, 0}, &out));
}

/* Where libcrypto has no ML-KEM the suite is refused, never replaced; where it has, both sides agree. */
static void hybrid_works_or_says_no(void **state)
{
	static uint8_t public_key[BULLA_HPKE_PUBLIC_MAX], enc[BULLA_HPKE_ENC_MAX];
	BULLA_AUTO_SECRET private_key = BULLA_SECRET_NONE, a = BULLA_SECRET_NONE, b = BULLA_SECRET_NONE;
	const struct bulla_kem *kem;
	bulla_rc rc = bulla_kem_of_suite(2, &kem);

	(void)state;
	assert_rc(BULLA_E_UNSUPPORTED, bulla_kem_of_suite(0, &kem));
	assert_rc(BULLA_E_UNSUPPORTED, bulla_kem_of_suite(3, &kem));
	if (!bulla_hybrid_available()) {
		assert_rc(BULLA_E_UNSUPPORTED, rc);
		assert_rc(BULLA_E_UNSUPPORTED, bulla_hpke_new(&bulla_kem_hybrid, bulla_random_os(), &private_key, public_key));
		assert_rc(BULLA_E_UNSUPPORTED, bulla_hpke_send_export(&bulla_kem_hybrid, BULLA_BYTES_ARRAY(public_key),
			(bulla_bytes){NULL, 0}, (bulla_bytes){NULL, 0}, bulla_random_os(), enc, &a));
		return;
	}
	assert_ok(rc);
	assert_ok(bulla_hpke_new(kem, bulla_random_os(), &private_key, public_key));
	assert_ok(bulla_hpke_send_export(kem, BULLA_BYTES_ARRAY(public_key), (bulla_bytes){NULL, 0}, (bulla_bytes){NULL, 0},
		bulla_random_os(), enc, &a));
	assert_ok(bulla_hpke_receive_export(kem, private_key, BULLA_BYTES_ARRAY(enc), (bulla_bytes){NULL, 0}, (bulla_bytes){NULL, 0},
		&b));
	assert_bytes(bulla_secret_view(a), bulla_secret_view(b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_pairs_are_derived),
		cmocka_unit_test(messages_are_the_vectors),
		cmocka_unit_test(exports_are_the_vectors),
		cmocka_unit_test(wrong_sizes_and_points),
		cmocka_unit_test(hybrid_works_or_says_no),
	};

	return cmocka_run_group_tests_name("seal_hpke", tests, slab_up, slab_down);
}
