#include "cose/sign1.h"
#include "vectors.h"

#include <string.h>

#define TYPE BULLA_CONTENT("test")

/* Keys and messages of cose-wg/Examples (public domain), sign1-tests and ecdsa-examples. */
#define P256_X "bac5b11cad8f99f9c72b05cf4b9e26d244dc189f745228255a219a86d6a09eff"
#define P256_Y "20138bf82dc1b6d562be0fa54ab7804a3a64b6d72ccfed6b6fb6ed28bbfc117e"
#define P384_X "9132723f6292b010619dbe248d698c17b58756c639e7150f81bee4eb8ac37236ad0a1a19d67be32a66263e1e524d129c"
#define P384_Y "98cd3078c554d832ac603c4326410ff61662459b41f1f3df5dbcc83598ff7c5ed8411ca735679d1c4cb3009397d9ef2c"
#define P521_X "0072992cb3ac08ecf3e5c63dedec0d51a8c1f79ef2f82f94f3c737bf5de7986671eac625fe8257bbd0394644caaa3aaf8f27a4585fbbc" \
	"ad0f2457620085e5c8f42ad"
#define P521_Y "01dca6947bce88bc5790485ac97427342bc35f887d86d65a089377e247e60baa55e4e8501e2ada5724ac51d6909008033ebc10ac999b9" \
	"d7f5cc2519f3fe1ea1d9475"
#define CONTENT "54546869732069732074686520636f6e74656e742e"
#define SIGNATURE "58408eb33e4ca31d1c465ab05aac34cc6b23d58fef5c083106c4d25a91aef0b0117e2af9a291aa32e14ab834dc56ed2a223444547" \
	"e01f11d3b0916e5a4c345cacb36"

struct example {
	const char *message;
	bulla_rc parse;
	bulla_rc verify;
	const char *aad;
	enum bulla_key_type type;
	enum bulla_sign_alg alg;
	const char *x, *y;
};

static const struct example examples[] = {
	/* RFC8152 appendix C.2.1 */
	{"d28443a10126a104423131" CONTENT SIGNATURE, BULLA_OK, BULLA_OK, "", BULLA_KEY_P256, BULLA_ES256, P256_X, P256_Y},
	/* sign-pass-02: external data, and without it */
	{"d28443a10126a104423131" CONTENT "584010729cd711cb3813d8d8e944a8da7111e7b258c9bdca6135f7ae1adbee9509891267837e1e33bd3"
		"6c150326ae62755c6bd8e540c3e8f92d7d225e8db72b8820b", BULLA_OK, BULLA_OK, "11aa22bb33cc44dd55006699", BULLA_KEY_P256,
		BULLA_ES256, P256_X, P256_Y},
	{"d28443a10126a104423131" CONTENT "584010729cd711cb3813d8d8e944a8da7111e7b258c9bdca6135f7ae1adbee9509891267837e1e33bd3"
		"6c150326ae62755c6bd8e540c3e8f92d7d225e8db72b8820b", BULLA_OK, BULLA_E_SIGNATURE, "", BULLA_KEY_P256, BULLA_ES256, P256_X,
		P256_Y},
	/* sign-pass-03: no tag */
	{"8443a10126a104423131" CONTENT SIGNATURE, BULLA_OK, BULLA_OK, "", BULLA_KEY_P256, BULLA_ES256, P256_X, P256_Y},
	/* sign-fail-01: another tag; -02: changed content; -03, -04: another algorithm; -06, -07: changed header */
	{"d903e68443a10126a104423131" CONTENT SIGNATURE, BULLA_E_FORMAT, BULLA_OK, "", BULLA_KEY_P256, BULLA_ES256, P256_X, P256_Y},
	{"d28443a10126a10442313154546869732069732074686520636f6e74656e742f" SIGNATURE, BULLA_OK, BULLA_E_SIGNATURE, "",
		BULLA_KEY_P256, BULLA_ES256, P256_X, P256_Y},
	{"d28445a1013903e6a104423131" CONTENT SIGNATURE, BULLA_OK, BULLA_E_SIGNATURE, "", BULLA_KEY_P256, BULLA_ES256, P256_X, P256_Y},
	{"d2844aa10167756e6b6e6f776ea104423131" CONTENT SIGNATURE, BULLA_E_FORMAT, BULLA_OK, "", BULLA_KEY_P256, BULLA_ES256,
		P256_X, P256_Y},
	{"d28445a201260300a104423131" CONTENT SIGNATURE, BULLA_E_FORMAT, BULLA_OK, "", BULLA_KEY_P256, BULLA_ES256, P256_X, P256_Y},
	{"d28443a10126a104423131" CONTENT "58406520bbaf2081d7e0ed0f95f76eb0733d667005f7467cec4b87b9381a6ba1ede8e00df29f32a3723"
		"0f39a842a54821fdd223092819d7728efb9d3a0080b75380b", BULLA_OK, BULLA_E_SIGNATURE, "", BULLA_KEY_P256, BULLA_ES256, P256_X,
		P256_Y},
	/* no algorithm in the protected header (sign-pass-01 has it outside: we refuse) */
	{"d28441a0a201260442313154546869732069732074686520636f6e74656e742e584087db0d2e5571843b78ac33ecb2830df7b6e0a4d5b7376de33"
		"6b23c591c90c425317e56127fbe04370097ce347087b233bf722b64072beb4486bda4031d27244f", BULLA_E_FORMAT, BULLA_OK, "",
		BULLA_KEY_P256, BULLA_ES256, P256_X, P256_Y},
	/* ecdsa-sig-02 and -03 */
	{"d28444a1013822a1044450333834" CONTENT "58605f150abd1c7d25b32065a14e05d6cb1f665d10769ff455ea9a2e0adab5de63838db257f09"
		"49c41e13330e110eba7b912f34e1546fb1366a2568faa91ec3e6c8d42f4a67a0edf731d88c9aead52258b2e2c4740ef614f02e9d91e9b7b59622a3c",
		BULLA_OK, BULLA_OK, "", BULLA_KEY_P384, BULLA_ES384, P384_X, P384_Y},
	{"d28444a1013823a104581e62696c626f2e62616767696e7340686f626269746f6e2e6578616d706c65" CONTENT "588401664dd6962091b5100d6e"
		"1833d503539330ec2bc8fd3e8996950ce9f70259d9a30f73794f603b0d3e7c5e9c4c2a57e10211f76e79df8ffd1b79d7ef5b9fa7da109001965fa2"
		"d37e093bb13c040399c467b3b9908c09db2b0f1f4996fe07bb02aaa121a8e1c671f3f997ade7d651081017057bd3a8a5fbf394972ea71cfdc15e6f"
		"8fe2e1", BULLA_OK, BULLA_OK, "", BULLA_KEY_P521, BULLA_ES512, P521_X, P521_Y},
};

static void cose_wg_examples(void **state)
{
	uint8_t x[66], y[66], message[512], aad[32];

	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		const struct example *e = &examples[i];
		BULLA_AUTO_VERIFY_KEY key = NULL;
		struct bulla_sign1 sign1;

		assert_ok(bulla_verify_key_point(e->type, vectors_hex(e->x, x, sizeof(x)), vectors_hex(e->y, y, sizeof(y)), &key));
		assert_rc(e->parse, bulla_sign1_parse(vectors_hex(e->message, message, sizeof(message)), &sign1));
		if (e->parse == BULLA_OK)
			assert_rc(e->verify, bulla_sign1_verify(&sign1, key, e->alg, vectors_hex(e->aad, aad, sizeof(aad))));
	}
}

struct ours {
	struct bulla_sign_key *key;
	struct bulla_verify_key *public;
	struct bulla_buf message;
};

static void make(struct ours *ours, enum bulla_sign_alg alg)
{
	bulla_buf_init(&ours->message, 1024);
	assert_ok(bulla_sign_key_new(alg, &ours->key));
	assert_ok(bulla_verify_key_spki(bulla_sign_key_spki(ours->key), &ours->public));
	assert_ok(bulla_sign1_make(ours->key, TYPE, BULLA_BYTES_LITERAL("payload"), &ours->message));
}

static void done(struct ours *ours)
{
	bulla_sign_key_free(ours->key);
	bulla_verify_key_free(ours->public);
	bulla_buf_done(&ours->message);
}

static void ours_open(void **state)
{
	struct ours ours = {.key = NULL}, other = {.key = NULL};
	bulla_bytes payload;
	bulla_digest kid;

	(void)state;
	make(&ours, BULLA_ES384);
	assert_ok(bulla_sign1_open(bulla_buf_view(&ours.message), TYPE, ours.public, &payload));
	done(&ours);
	make(&ours, BULLA_ES256);
	make(&other, BULLA_ES256);
	assert_ok(bulla_sign1_open(bulla_buf_view(&ours.message), TYPE, ours.public, &payload));
	assert_bytes(payload, BULLA_BYTES_LITERAL("payload"));
	assert_ok(bulla_sign1_peek(bulla_buf_view(&ours.message), TYPE, &kid, &payload));
	assert_true(bulla_digest_eq(&kid, bulla_sign_key_kid(ours.key)));
	assert_rc(BULLA_E_FORMAT, bulla_sign1_open(bulla_buf_view(&ours.message), BULLA_CONTENT("other"), ours.public, &payload));
	assert_rc(BULLA_E_FORMAT, bulla_sign1_peek(bulla_buf_view(&ours.message), BULLA_CONTENT("other"), &kid, &payload));
	assert_rc(BULLA_E_SIGNATURE, bulla_sign1_open(bulla_buf_view(&ours.message), TYPE, other.public, &payload));
	done(&other);
	done(&ours);
}

static void every_change_is_refused(void **state)
{
	struct ours ours = {.key = NULL};
	bulla_bytes payload;

	(void)state;
	make(&ours, BULLA_ES256);
	for (size_t bit = 0; bit < 8 * ours.message.n; bit++) {
		ours.message.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (bulla_sign1_open(bulla_buf_view(&ours.message), TYPE, ours.public, &payload) == BULLA_OK)
			fail_msg("bit %zu does not matter", bit);
		ours.message.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t size = 0; size < ours.message.n; size++)
		assert_int_not_equal(
			bulla_sign1_open(bulla_bytes_of(ours.message.p, size), TYPE, ours.public, &payload), BULLA_OK);
	assert_ok(bulla_buf_append(&ours.message, BULLA_BYTES_LITERAL("x")));
	assert_rc(BULLA_E_TRAILING, bulla_sign1_open(bulla_buf_view(&ours.message), TYPE, ours.public, &payload));
	done(&ours);
}

/* The message names RSA's or another curve's algorithm: the caller's key decides, not the message. */
static void the_message_does_not_choose(void **state)
{
	struct ours ours = {.key = NULL};
	struct bulla_sign1 sign1;

	(void)state;
	make(&ours, BULLA_ES256);
	assert_ok(bulla_sign1_parse(bulla_buf_view(&ours.message), &sign1));
	sign1.alg = BULLA_ES384;
	assert_rc(BULLA_E_SIGNATURE, bulla_sign1_verify(&sign1, ours.public, BULLA_ES256, (bulla_bytes){NULL, 0}));
	assert_rc(BULLA_E_ARGUMENT, bulla_sign1_verify(&sign1, ours.public, BULLA_ES384, (bulla_bytes){NULL, 0}));
	done(&ours);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cose_wg_examples),
		cmocka_unit_test(ours_open),
		cmocka_unit_test(every_change_is_refused),
		cmocka_unit_test(the_message_does_not_choose),
	};

	return cmocka_run_group_tests_name("cose_sign1", tests, NULL, NULL);
}
