#include "test.h"
#include "wire/der.h"

static void elements(void **state)
{
	static const uint8_t good[] = {0x30, 0x06, 0x02, 0x01, 0x05, 0x04, 0x01, 0xaa, 0x05, 0x00};
	bulla_rd r = bulla_rd_of(BULLA_BYTES_ARRAY(good)), inner;
	struct bulla_der element;
	bulla_bytes value;
	uint64_t number = 0;

	(void)state;
	assert_true(bulla_der_next_is(&r, BULLA_DER_SEQUENCE));
	assert_rc(BULLA_E_FORMAT, bulla_der_rd_value(&r, BULLA_DER_SET, &value));
	assert_ok(bulla_der_rd_enter(&r, BULLA_DER_SEQUENCE, &inner));
	assert_ok(bulla_der_rd_uint(&inner, 5, &number));
	assert_int_equal(number, 5);
	assert_ok(bulla_der_rd_whole(&inner, BULLA_DER_OCTET_STRING, &value));
	assert_int_equal(value.n, 3);
	assert_ok(bulla_rd_end(&inner));
	assert_ok(bulla_der_rd(&r, &element));
	assert_int_equal(element.tag, BULLA_DER_NULL);
	assert_ok(bulla_rd_end(&r));
	assert_false(bulla_der_next_is(&r, BULLA_DER_NULL));
}

struct refused {
	uint8_t bytes[8];
	size_t size;
	bulla_rc rc;
};

static void only_one_form(void **state)
{
	static const struct refused cases[] = {
		{{0x04, 0x81, 0x01, 0xaa}, 4, BULLA_E_FORMAT},             /* long form of a short length */
		{{0x04, 0x82, 0x00, 0x80}, 4, BULLA_E_FORMAT},             /* leading zero */
		{{0x30, 0x80, 0x00, 0x00}, 4, BULLA_E_FORMAT},             /* indefinite */
		{{0x04, 0x85, 1, 1, 1, 1, 1}, 7, BULLA_E_FORMAT},          /* five octets */
		{{0x1f, 0x81, 0x01, 0x00}, 4, BULLA_E_FORMAT},             /* tag of more octets */
		{{0x04, 0x03, 0xaa}, 3, BULLA_E_TRUNCATED},
		{{0x04}, 1, BULLA_E_TRUNCATED},
		{{0x04, 0x84, 0xff, 0xff, 0xff, 0xff}, 6, BULLA_E_TRUNCATED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bulla_rd r = bulla_rd_of(bulla_bytes_of(cases[i].bytes, cases[i].size));
		struct bulla_der element;

		assert_rc(cases[i].rc, bulla_der_rd(&r, &element));
		assert_int_equal(r.at, 0);
	}
}

static void numbers(void **state)
{
	static const struct refused cases[] = {
		{{0x02, 0x00}, 2, BULLA_E_FORMAT},
		{{0x02, 0x02, 0x00, 0x01}, 4, BULLA_E_FORMAT},
		{{0x02, 0x02, 0xff, 0x80}, 4, BULLA_E_FORMAT},
		{{0x02, 0x01, 0x80}, 3, BULLA_E_FORMAT}, /* negative */
		{{0x02, 0x02, 0x01, 0x00}, 4, BULLA_E_LIMIT},
		{{0x02, 0x01, 0x7f}, 3, BULLA_OK},
		{{0x02, 0x02, 0x00, 0xff}, 4, BULLA_OK},
	};
	uint64_t number;
	bool flag;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bulla_rd r = bulla_rd_of(bulla_bytes_of(cases[i].bytes, cases[i].size));

		assert_rc(cases[i].rc, bulla_der_rd_uint(&r, 255, &number));
	}
	bulla_rd odd = bulla_rd_of(bulla_bytes_of("\x01\x01\x01", 3)), yes = bulla_rd_of(bulla_bytes_of("\x01\x01\xff", 3));
	assert_rc(BULLA_E_FORMAT, bulla_der_rd_bool(&odd, &flag));
	assert_ok(bulla_der_rd_bool(&yes, &flag));
	assert_true(flag);
}

static bulla_rc read_time(const char *text, unsigned tag, int64_t *ret)
{
	uint8_t memory[32];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes written;

	bulla_der_wr(&w, tag, bulla_bytes_str(text));
	BULLA_TRY(bulla_wr_end(&w, &written));
	bulla_rd r = bulla_rd_of(written);
	return bulla_der_rd_time(&r, ret);
}

static void times(void **state)
{
	int64_t time = 0;

	(void)state;
	assert_ok(read_time("700101000000Z", BULLA_DER_UTC_TIME, &time));
	assert_int_equal(time, 0);
	assert_ok(read_time("500101000000Z", BULLA_DER_UTC_TIME, &time));
	assert_int_equal(time, -631152000);
	assert_ok(read_time("491231235959Z", BULLA_DER_UTC_TIME, &time));
	assert_int_equal(time, INT64_C(2524607999));
	assert_ok(read_time("240229120000Z", BULLA_DER_UTC_TIME, &time));
	assert_int_equal(time, 1709208000);
	assert_ok(read_time("99991231235959Z", BULLA_DER_TIME, &time));
	assert_int_equal(time, INT64_C(253402300799));
	assert_rc(BULLA_E_FORMAT, read_time("230229120000Z", BULLA_DER_UTC_TIME, &time));
	assert_rc(BULLA_E_FORMAT, read_time("231301120000Z", BULLA_DER_UTC_TIME, &time));
	assert_rc(BULLA_E_FORMAT, read_time("230001120000Z", BULLA_DER_UTC_TIME, &time));
	assert_rc(BULLA_E_FORMAT, read_time("2301011200000", BULLA_DER_UTC_TIME, &time));
	assert_rc(BULLA_E_FORMAT, read_time("23010112000xZ", BULLA_DER_UTC_TIME, &time));
	assert_rc(BULLA_E_TRUNCATED, read_time("2301011200Z", BULLA_DER_UTC_TIME, &time));
	assert_rc(BULLA_E_TRAILING, read_time("230101120000ZZ", BULLA_DER_UTC_TIME, &time));
	assert_rc(BULLA_E_FORMAT, read_time("230101240000Z", BULLA_DER_UTC_TIME, &time));
}

static void times_travel(void **state)
{
	(void)state;
	for (int64_t day = 0; day < 2932896; day += 13) {
		uint8_t memory[32];
		bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
		bulla_bytes written;
		int64_t time = day * 86400 + day % 86400, back = -1;

		bulla_der_wr_time(&w, time);
		assert_ok(bulla_wr_end(&w, &written));
		bulla_rd r = bulla_rd_of(written);
		assert_ok(bulla_der_rd_time(&r, &back));
		assert_int_equal(back, time);
	}
}

static void written_is_read(void **state)
{
	static const size_t sizes[] = {0, 1, 127, 128, 255, 256, 65535, 65536};
	static uint8_t memory[70000], content[65536];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
		bulla_bytes written, value;

		bulla_der_wr(&w, BULLA_DER_OCTET_STRING, bulla_bytes_of(content, sizes[i]));
		assert_ok(bulla_wr_end(&w, &written));
		bulla_rd r = bulla_rd_of(written);
		assert_ok(bulla_der_rd_value(&r, BULLA_DER_OCTET_STRING, &value));
		assert_int_equal(value.n, sizes[i]);
		assert_ok(bulla_rd_end(&r));
	}
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes written, bits, number;
	bulla_der_wr_number(&w, bulla_bytes_of("\x00\x00\x80", 3));
	bulla_der_wr_bits(&w, bulla_bytes_of("ab", 2));
	assert_ok(bulla_wr_end(&w, &written));
	bulla_rd r = bulla_rd_of(written);
	assert_ok(bulla_der_rd_integer(&r, &number));
	assert_bytes(number, bulla_bytes_of("\x00\x80", 2));
	assert_ok(bulla_der_rd_bits(&r, &bits));
	assert_bytes(bits, bulla_bytes_of("ab", 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements),
		cmocka_unit_test(only_one_form),
		cmocka_unit_test(numbers),
		cmocka_unit_test(times),
		cmocka_unit_test(times_travel),
		cmocka_unit_test(written_is_read),
	};

	return cmocka_run_group_tests_name("wire_der", tests, NULL, NULL);
}
