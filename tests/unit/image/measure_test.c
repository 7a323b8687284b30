#include "image/measure.h"
#include "test.h"
#include "wire/text.h"

#define PROGRAM_PCR0 \
	"06180fbed2480874eccfb1cf69cb275f0346fef0b2bbe6ff38620e1613e57093f0a6ffa44731530ce8bb9d1abdfd92e7"

/* Each register is SHA-384(48 zero bytes || SHA-384(content)); the value for "program" was made with
 * another implementation (Python's hashlib). */
static void measurements_are_those_of_an_image_file(void **state)
{
	uint8_t pcr[3][BULLA_NITRO_PCR_SIZE], again[3][BULLA_NITRO_PCR_SIZE], expected[BULLA_NITRO_PCR_SIZE];

	(void)state;
	bulla_dev_measure(BULLA_BYTES_LITERAL("program"), pcr);
	assert_ok(bulla_text_hex(BULLA_BYTES_LITERAL(PROGRAM_PCR0), sizeof(expected), expected));
	assert_memory_equal(pcr[0], expected, sizeof(expected));
	bulla_dev_measure(BULLA_BYTES_LITERAL("another program"), again);
	assert_memory_not_equal(pcr[0], again[0], sizeof(expected));
	assert_memory_equal(pcr[1], again[1], sizeof(expected));
	assert_memory_equal(pcr[2], again[2], sizeof(expected));
	for (unsigned i = 0; i < 3; i++)
		assert_false(bulla_bytes_is_zero_ct(BULLA_BYTES_ARRAY(pcr[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(measurements_are_those_of_an_image_file)};

	return cmocka_run_group_tests_name("image_measure", tests, NULL, NULL);
}
