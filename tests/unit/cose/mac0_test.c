#include "cose/header.h"
#include "cose/mac0.h"
#include "crypto/mac.h"
#include "slab.h"
#include "vectors.h"

#define TYPE BULLA_CONTENT("test")
#define KID BULLA_BYTES_LITERAL("0123456789abcdef")

/* cose-wg/Examples (public domain), mac0-tests. */
#define KEY "849b57219dae48de646d07dbb533566e976686457c1491be3a76dcea6c427188"
#define BODY "a054546869732069732074686520636f6e74656e742e5820"
#define TAG "a1a848d3471f9d61ee49018d244c824772f223ad4f935293f1789fc3a08d8c58"

static bulla_rc verify(const char *hex, bulla_secret key)
{
	uint8_t memory[256], prefix[COSE_PREFIX_MAX];
	struct cose_message message;
	bulla_bytes parts[2];

	BULLA_TRY(bulla_cose_message_read(vectors_hex(hex, memory, sizeof(memory)), 17, &message));
	BULLA_TRY(bulla_cose_prefix("MAC0", message.protected_raw, (bulla_bytes){NULL, 0}, message.payload.n, prefix, &parts[0]));
	parts[1] = message.payload;
	return bulla_mac_verify_parts(key, parts, 2, message.seal);
}

static void cose_wg_examples(void **state)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;
	uint8_t memory[32];

	(void)state;
	assert_ok(bulla_secret_new(vectors_hex(KEY, memory, sizeof(memory)), &key));
	assert_ok(verify("d18443a10105" BODY TAG, key));
	assert_ok(verify("8443a10105" BODY TAG, key));
	assert_rc(BULLA_E_FORMAT, verify("d903e08443a10105" BODY TAG, key));
	assert_rc(BULLA_E_MAC, verify("d18443a10105" BODY "a1a848d3471f9d61ee49018d244c824772f223ad4f935293f1789fc3a08d8c59", key));
	assert_rc(BULLA_E_FORMAT, verify("d1844aa10167756e6b6e6f776e" BODY TAG, key));
	assert_rc(BULLA_E_FORMAT, verify("d18445a201050300" BODY TAG, key));
	assert_rc(BULLA_E_MAC, verify("d18443a10105" BODY "bb9e11ef2bd673f766a398d4e3fad78e0f0be2806bf73fb647471e40b3d98734", key));
}

static void every_change_is_refused(void **state)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;
	BULLA_AUTO_BUF message = {0};
	bulla_bytes payload, kid;

	(void)state;
	bulla_buf_init(&message, 512);
	assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("0123456789abcdef0123456789abcdef"), &key));
	assert_ok(bulla_mac0_make(key, TYPE, KID, BULLA_BYTES_LITERAL("payload"), &message));
	assert_ok(bulla_mac0_open(bulla_buf_view(&message), TYPE, KID, key, &payload));
	assert_bytes(payload, BULLA_BYTES_LITERAL("payload"));
	assert_ok(bulla_mac0_peek(bulla_buf_view(&message), TYPE, &kid, &payload));
	assert_bytes(kid, KID);
	for (size_t bit = 0; bit < 8 * message.n; bit++) {
		message.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (bulla_mac0_open(bulla_buf_view(&message), TYPE, KID, key, &payload) == BULLA_OK)
			fail_msg("bit %zu does not matter", bit);
		message.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t size = 0; size < message.n; size++)
		assert_int_not_equal(bulla_mac0_open(bulla_bytes_of(message.p, size), TYPE, KID, key, &payload), BULLA_OK);
}

static void other_kinds_sessions_and_keys(void **state)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE, other = BULLA_SECRET_NONE;
	BULLA_AUTO_BUF message = {0};
	bulla_bytes payload, kid;

	(void)state;
	bulla_buf_init(&message, 512);
	assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("0123456789abcdef0123456789abcdef"), &key));
	assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("1123456789abcdef0123456789abcdef"), &other));
	assert_ok(bulla_mac0_make(key, TYPE, KID, BULLA_BYTES_LITERAL("payload"), &message));
	assert_rc(BULLA_E_MAC, bulla_mac0_open(bulla_buf_view(&message), TYPE, KID, other, &payload));
	assert_rc(BULLA_E_MAC,
		bulla_mac0_open(bulla_buf_view(&message), TYPE, BULLA_BYTES_LITERAL("1123456789abcdef"), key, &payload));
	assert_rc(BULLA_E_FORMAT, bulla_mac0_open(bulla_buf_view(&message), BULLA_CONTENT("x"), KID, key, &payload));
	assert_rc(BULLA_E_FORMAT, bulla_mac0_peek(bulla_buf_view(&message), BULLA_CONTENT("x"), &kid, &payload));
	bulla_buf_clear(&message);
	assert_ok(bulla_mac0_make(key, TYPE, (bulla_bytes){NULL, 0}, BULLA_BYTES_LITERAL("payload"), &message));
	assert_ok(bulla_mac0_open(bulla_buf_view(&message), TYPE, (bulla_bytes){NULL, 0}, key, &payload));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cose_wg_examples),
		cmocka_unit_test(every_change_is_refused),
		cmocka_unit_test(other_kinds_sessions_and_keys),
	};

	return cmocka_run_group_tests_name("cose_mac0", tests, slab_up, slab_down);
}
