#include "crypto/cms.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "files.h"
#include "rsa_key.h"

#include <openssl/cms.h>
#include <openssl/err.h>


static void round_trip(size_t size)
{
	static uint8_t plain[4096];
	BULLA_AUTO_BUF message = {0};
	BULLA_AUTO_BUF back = {0};

	bulla_buf_init(&message, BULLA_CMS_MAX);
	bulla_buf_init(&back, 8192);
	assert_ok(bulla_random_fill(bulla_random_os(), plain, size));
	assert_ok(bulla_cms_seal(bulla_rsa_key_spki(key), bulla_bytes_of(plain, size), bulla_random_os(), &message));
	assert_ok(bulla_cms_open(key, bulla_buf_view(&message), &back));
	assert_bytes(bulla_buf_view(&back), bulla_bytes_of(plain, size));
}

static void all_sizes_travel(void **state)
{
	static const size_t sizes[] = {1, 15, 16, 17, 32, 64, 983, 984, 999, 1000, 2000, 4095, 4096};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		round_trip(sizes[i]);
}

/* The bytes around the key id, the wrapped key, the IV and the content are those of the real answers; 493 bytes for a key
 * of 32 bytes. */
static void shape_is_aws(void **state)
{
	static const struct {
		size_t from, to;
	} same[] = {{0, 33}, {65, 131}, {387, 415}, {431, 434}};
	static uint8_t memory[8192];
	uint8_t plain[32] = {0};
	bulla_bytes real = file_read(CMS_VECTORS, "ciphertext-for-recipient-1.ber", memory, sizeof(memory));
	BULLA_AUTO_BUF message = {0};
	bulla_digest key_id;

	(void)state;
	bulla_buf_init(&message, BULLA_CMS_MAX);
	assert_ok(bulla_cms_seal(bulla_rsa_key_spki(key), bulla_bytes_of(plain, 15), bulla_random_os(), &message));
	assert_int_equal(message.n, real.n);
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		assert_memory_equal(message.p + same[i].from, real.p + same[i].from, same[i].to - same[i].from);
	assert_memory_equal(message.p + 451, real.p + 451, 10);
	bulla_sha256(bulla_rsa_key_spki(key), &key_id);
	assert_memory_equal(message.p + 33, key_id.b, 32);
	bulla_buf_clear(&message);
	assert_ok(bulla_cms_seal(bulla_rsa_key_spki(key), BULLA_BYTES_ARRAY(plain), bulla_random_os(), &message));
	assert_int_equal(message.n, 493);
}

/* Both real answers parse; without their keys they do not open. */
static void real_answers_parse(void **state)
{
	static uint8_t memory[8192];
	BULLA_AUTO_BUF back = {0};

	(void)state;
	bulla_buf_init(&back, 8192);
	assert_rc(BULLA_E_CRYPTO,
		bulla_cms_open(key, file_read(CMS_VECTORS, "ciphertext-for-recipient-1.ber", memory, sizeof(memory)), &back));
	assert_rc(BULLA_E_CRYPTO,
		bulla_cms_open(key, file_read(CMS_VECTORS, "ciphertext-for-recipient-4.ber", memory, sizeof(memory)), &back));
}

/* libcrypto's own reader takes our message apart, and its DER form of it is read by ours. */
static void libcrypto_agrees(void **state)
{
	BULLA_AUTO_BUF message = {0};
	BULLA_AUTO_BUF back = {0};
	const uint8_t *p;
	CMS_ContentInfo *info;
	uint8_t *der = NULL;
	int size;

	(void)state;
	bulla_buf_init(&message, BULLA_CMS_MAX);
	bulla_buf_init(&back, 8192);
	assert_ok(bulla_cms_seal(bulla_rsa_key_spki(key), BULLA_BYTES_LITERAL("a key of some bytes"), bulla_random_os(), &message));
	p = message.p;
	info = d2i_CMS_ContentInfo(NULL, &p, (long)message.n);
	assert_non_null(info);
	size = i2d_CMS_ContentInfo(info, &der);
	assert_true(size > 0);
	assert_ok(bulla_cms_open(key, bulla_bytes_of(der, (size_t)size), &back));
	assert_bytes(bulla_buf_view(&back), BULLA_BYTES_LITERAL("a key of some bytes"));
	OPENSSL_free(der);
	CMS_ContentInfo_free(info);
}

/* Wrong key, damaged key, damaged padding, all one error: nobody learns which. Changed shape is a form error. */
static void every_failure_is_one(void **state)
{
	BULLA_AUTO_BUF message = {0};
	BULLA_AUTO_BUF back = {0};

	(void)state;
	bulla_buf_init(&message, BULLA_CMS_MAX);
	bulla_buf_init(&back, 8192);
	assert_ok(bulla_cms_seal(bulla_rsa_key_spki(key), BULLA_BYTES_LITERAL("0123456789abcdef0123456789abcde"), bulla_random_os(), &message));
	for (size_t at = 131; at < 387; at += 51) {
		message.p[at] ^= 1;
		assert_rc(BULLA_E_CRYPTO, bulla_cms_open(key, bulla_buf_view(&message), &back));
		message.p[at] ^= 1;
	}
	message.p[435 + 15] ^= 2; /* of the block before the last: turns the padding 01 into 03 */
	assert_rc(BULLA_E_CRYPTO, bulla_cms_open(key, bulla_buf_view(&message), &back));
	message.p[435 + 15] ^= 2;
	for (size_t size = 0; size < message.n; size++)
		if (bulla_cms_open(key, bulla_bytes_of(message.p, size), &back) == BULLA_OK)
			fail_msg("%zu bytes open", size);
	assert_ok(bulla_buf_append(&message, BULLA_BYTES_LITERAL("x")));
	assert_rc(BULLA_E_TRAILING, bulla_cms_open(key, bulla_buf_view(&message), &back));
	assert_int_equal(back.n, 0);
}

static void limits(void **state)
{
	static uint8_t plain[4097];
	BULLA_AUTO_BUF message = {0};

	(void)state;
	bulla_buf_init(&message, 2 * BULLA_CMS_MAX);
	assert_rc(BULLA_E_LIMIT, bulla_cms_seal(bulla_rsa_key_spki(key), BULLA_BYTES_ARRAY(plain), bulla_random_os(), &message));
	assert_rc(BULLA_E_LIMIT, bulla_cms_seal(bulla_rsa_key_spki(key), bulla_bytes_of(plain, 0), bulla_random_os(), &message));
	assert_int_equal(message.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_sizes_travel),
		cmocka_unit_test(shape_is_aws),
		cmocka_unit_test(real_answers_parse),
		cmocka_unit_test(libcrypto_agrees),
		cmocka_unit_test(every_failure_is_one),
		cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests_name("crypto_cms", tests, up, down);
}
