#include "crypto/hash.h"
#include "vectors.h"

/* FIPS 180-4 examples: "abc" and the empty message. */
static void known_answers(void **state)
{
	uint8_t memory[64], out[64];
	bulla_digest digest;

	(void)state;
	bulla_sha256(BULLA_BYTES_LITERAL("abc"), &digest);
	assert_bytes(bulla_bytes_digest(&digest),
		vectors_hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", memory, sizeof(memory)));
	bulla_sha256((bulla_bytes){NULL, 0}, &digest);
	assert_bytes(bulla_bytes_digest(&digest),
		vectors_hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", memory, sizeof(memory)));
	bulla_sha384(BULLA_BYTES_LITERAL("abc"), out);
	assert_bytes(bulla_bytes_of(out, 48), vectors_hex("cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086"
		"072ba1e7cc2358baeca134c825a7", memory, sizeof(memory)));
	bulla_sha512(BULLA_BYTES_LITERAL("abc"), out);
	assert_bytes(bulla_bytes_of(out, 64), vectors_hex("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192"
		"992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f", memory, sizeof(memory)));
}

static void any_split_gives_the_same(void **state)
{
	uint8_t message[200];
	bulla_digest whole, parts;

	(void)state;
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)i;
	bulla_sha256(BULLA_BYTES_ARRAY(message), &whole);
	for (size_t at = 0; at <= sizeof(message); at++) {
		const bulla_bytes two[] = {bulla_bytes_of(message, at), bulla_bytes_of(message + at, sizeof(message) - at)};
		uint8_t long_whole[64], long_parts[64];

		bulla_sha256_parts(two, 2, &parts);
		assert_true(bulla_digest_eq(&whole, &parts));
		bulla_sha384(BULLA_BYTES_ARRAY(message), long_whole);
		bulla_sha384_parts(two, 2, long_parts);
		assert_memory_equal(long_whole, long_parts, 48);
		bulla_sha512(BULLA_BYTES_ARRAY(message), long_whole);
		bulla_sha512_parts(two, 2, long_parts);
		assert_memory_equal(long_whole, long_parts, 64);
	}
}

static void a_prefix_can_be_forked(void **state)
{
	struct bulla_sha256 prefix, copy;
	bulla_digest forked, whole;

	(void)state;
	bulla_sha256_init(&prefix);
	bulla_sha256_add(&prefix, BULLA_BYTES_LITERAL("a"));
	copy = prefix;
	bulla_sha256_add(&copy, BULLA_BYTES_LITERAL("bc"));
	bulla_sha256_end(&copy, &forked);
	bulla_sha256(BULLA_BYTES_LITERAL("abc"), &whole);
	assert_true(bulla_digest_eq(&forked, &whole));
	assert_true(bulla_bytes_is_zero_ct(BULLA_BYTES_ARRAY(copy.state)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(any_split_gives_the_same),
		cmocka_unit_test(a_prefix_can_be_forked),
	};

	return cmocka_run_group_tests_name("crypto_hash", tests, NULL, NULL);
}
