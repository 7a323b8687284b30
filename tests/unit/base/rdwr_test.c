#include "base/rd.h"
#include "base/wr.h"
#include "test.h"

static void what_is_written_is_read(void **state)
{
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes out, tail;
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	(void)state;
	bulla_wr_u8(&w, 1);
	bulla_wr_u16be(&w, 0x0203);
	bulla_wr_u32le(&w, 0x04050607);
	bulla_wr_u64be(&w, UINT64_C(0x08090a0b0c0d0e0f));
	bulla_wr_bytes(&w, BULLA_BYTES_LITERAL("tail"));
	assert_ok(bulla_wr_end(&w, &out));
	assert_int_equal(out.n, 19);
	bulla_rd r = bulla_rd_of(out);
	assert_ok(bulla_rd_u8(&r, &u8));
	assert_ok(bulla_rd_u16be(&r, &u16));
	assert_ok(bulla_rd_u32le(&r, &u32));
	assert_ok(bulla_rd_u64be(&r, &u64));
	assert_int_equal(u8, 1);
	assert_int_equal(u16, 0x0203);
	assert_int_equal(u32, 0x04050607);
	assert_true(u64 == UINT64_C(0x08090a0b0c0d0e0f));
	assert_rc(BULLA_E_TRAILING, bulla_rd_end(&r));
	assert_ok(bulla_rd_bytes(&r, 4, &tail));
	assert_bytes(tail, bulla_bytes_str("tail"));
	assert_ok(bulla_rd_end(&r));
}

static void every_truncation_is_refused_and_moves_nothing(void **state)
{
	uint8_t memory[8] = {1, 2, 3, 4, 5, 6, 7, 8};

	(void)state;
	for (size_t n = 0; n < 8; n++) {
		bulla_rd r = bulla_rd_of(bulla_bytes_of(memory, n));
		uint64_t value = 77;

		assert_rc(BULLA_E_TRUNCATED, bulla_rd_u64le(&r, &value));
		assert_int_equal(value, 77);
		assert_int_equal(r.at, 0);
	}
}

static void the_first_error_sticks(void **state)
{
	uint8_t memory[4];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes out;

	(void)state;
	bulla_wr_u64be(&w, 1);
	bulla_wr_u8(&w, 1);
	assert_int_equal(w.n, 0);
	assert_rc(BULLA_E_LIMIT, bulla_wr_end(&w, &out));
}

static void a_buffer_writer_returns_only_its_own_bytes(void **state)
{
	BULLA_AUTO_BUF buf;
	bulla_bytes out;

	(void)state;
	bulla_buf_init(&buf, 1024);
	assert_ok(bulla_buf_append(&buf, BULLA_BYTES_LITERAL("before")));
	bulla_wr w = bulla_wr_buf(&buf);
	bulla_wr_zeros(&w, 300);
	bulla_wr_u16le(&w, 0x0102);
	assert_ok(bulla_wr_end(&w, &out));
	assert_int_equal(out.n, 302);
	assert_int_equal(out.p[300], 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(every_truncation_is_refused_and_moves_nothing),
		cmocka_unit_test(the_first_error_sticks),
		cmocka_unit_test(a_buffer_writer_returns_only_its_own_bytes),
	};

	return cmocka_run_group_tests_name("base_rdwr", tests, NULL, NULL);
}
