#include "crypto/mac.h"
#include "slab.h"
#include "vectors.h"

static void run_vector(const struct vector *v, void *arg)
{
	struct bulla_hmac hmac;
	bulla_digest tag;

	(void)arg;
	bulla_hmac_init(&hmac, v->field[0]);
	bulla_hmac_add(&hmac, v->field[1]);
	bulla_hmac_end(&hmac, &tag);
	assert_int_equal(bulla_bytes_eq(bulla_bytes_digest(&tag), v->field[2]), v->kind == 'v');
}

static void wycheproof(void **state)
{
	(void)state;
	assert_true(vectors_run("hmac_sha256", run_vector, NULL) > 50);
}

/* RFC 4231 section 4.7: a key longer than a block. */
static void long_keys_are_hashed(void **state)
{
	uint8_t key[131], memory[32];
	struct bulla_hmac hmac;
	bulla_digest tag;

	(void)state;
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = 0xaa;
	bulla_hmac_init(&hmac, BULLA_BYTES_ARRAY(key));
	bulla_hmac_add(&hmac, BULLA_BYTES_LITERAL("Test Using Larger Than Block-Size Key - Hash Key First"));
	bulla_hmac_end(&hmac, &tag);
	assert_bytes(bulla_bytes_digest(&tag),
		vectors_hex("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", memory, sizeof(memory)));
}

static void wrong_tags_are_refused(void **state)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;
	bulla_digest tag;

	(void)state;
	assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("0123456789abcdef0123456789abcdef"), &key));
	bulla_mac(key, BULLA_BYTES_LITERAL("message"), &tag);
	assert_ok(bulla_mac_verify(key, BULLA_BYTES_LITERAL("message"), bulla_bytes_digest(&tag)));
	assert_rc(BULLA_E_MAC, bulla_mac_verify(key, BULLA_BYTES_LITERAL("messagE"), bulla_bytes_digest(&tag)));
	assert_rc(BULLA_E_MAC, bulla_mac_verify(key, BULLA_BYTES_LITERAL("message"), bulla_bytes_of(tag.b, 31)));
	assert_rc(BULLA_E_MAC, bulla_mac_verify(key, BULLA_BYTES_LITERAL("message"), (bulla_bytes){NULL, 0}));
	for (size_t bit = 0; bit < 256; bit++) {
		tag.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_rc(BULLA_E_MAC, bulla_mac_verify(key, BULLA_BYTES_LITERAL("message"), bulla_bytes_digest(&tag)));
		tag.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wycheproof),
		cmocka_unit_test(long_keys_are_hashed),
		cmocka_unit_test(wrong_tags_are_refused),
	};

	return cmocka_run_group_tests_name("crypto_mac", tests, slab_up, slab_down);
}
