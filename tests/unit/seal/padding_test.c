#include "seal/internal.h"
#include "slab.h"

static void classes(void **state)
{
	static const struct {
		size_t size;
		uint32_t class_size;
	} cases[] = {{0, 2048}, {2048, 2048}, {2049, 8192}, {8192, 8192}, {8193, 32768}, {32769, 131072}, {131073, 524288},
		{524289, 1048576}, {1048576, 1048576}};
	uint32_t class_size = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_ok(bulla_padding_class((struct bulla_padding_rule){0, 0}, cases[i].size, &class_size));
		assert_int_equal(class_size, cases[i].class_size);
	}
	for (uint8_t rule = 0; rule < 3; rule++)
		assert_rc(BULLA_E_LIMIT, bulla_padding_class((struct bulla_padding_rule){rule, 2048}, 1048577, &class_size));
	assert_ok(bulla_padding_class((struct bulla_padding_rule){1, 2048}, 2048, &class_size));
	assert_int_equal(class_size, 2048);
	assert_rc(BULLA_E_LIMIT, bulla_padding_class((struct bulla_padding_rule){1, 2048}, 2049, &class_size));
	assert_rc(BULLA_E_ARGUMENT, bulla_padding_class((struct bulla_padding_rule){1, 0}, 0, &class_size));
	assert_ok(bulla_padding_class((struct bulla_padding_rule){2, 0}, 77, &class_size));
	assert_int_equal(class_size, 0);
	assert_rc(BULLA_E_ARGUMENT, bulla_padding_class((struct bulla_padding_rule){3, 0}, 1, &class_size));
}

static void digest_is_of_what_is_written(void **state)
{
	static uint8_t padded[36 + 131072], payload[65536];
	static const uint8_t salt[32] = {1, 2, 3};
	static const size_t sizes[] = {0, 1, 1023, 1024, 20000, 65536};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint32_t class_size;
		bulla_digest streamed, whole;

		assert_ok(bulla_padding_class((struct bulla_padding_rule){0, 0}, sizes[i], &class_size));
		bulla_padding_write(BULLA_BYTES_ARRAY(salt), bulla_bytes_of(payload, sizes[i]), class_size, padded);
		bulla_sha256(bulla_bytes_of(padded, bulla_padding_size(sizes[i], class_size)), &whole);
		bulla_padding_digest(BULLA_BYTES_ARRAY(salt), bulla_bytes_of(payload, sizes[i]), class_size, &streamed);
		assert_true(bulla_digest_eq(&whole, &streamed));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes),
		cmocka_unit_test(digest_is_of_what_is_written),
	};

	return cmocka_run_group_tests_name("seal_padding", tests, NULL, NULL);
}
