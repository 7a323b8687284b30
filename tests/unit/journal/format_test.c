#include "test.h"

#include "base/limits.h"
#include "base/mem.h"
#include "journal/crc32c.h"
#include "journal/crc32c_table.h"
#include "journal/format.h"

static const bulla_journal_store STORE = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

/* RFC 3720 appendix B.4 */
static void crc_vectors(void **state)
{
	uint8_t bytes[32];

	(void)state;
	bulla_zero(bytes, 32);
	assert_int_equal(bulla_crc32c(0, BULLA_BYTES_ARRAY(bytes)), 0x8a9136aa);
	assert_int_equal(bulla_crc32c_slow(0, BULLA_BYTES_ARRAY(bytes)), 0x8a9136aa);
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = 0xff;
	assert_int_equal(bulla_crc32c(0, BULLA_BYTES_ARRAY(bytes)), 0x62a8ab43);
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = i;
	assert_int_equal(bulla_crc32c(0, BULLA_BYTES_ARRAY(bytes)), 0x46dd794e);
	assert_int_equal(bulla_crc32c(0, BULLA_BYTES_LITERAL("123456789")), 0xe3069283);
	for (size_t i = 0; i < 32; i++) {
		uint32_t part = bulla_crc32c(0, bulla_bytes_of(bytes, i));

		assert_int_equal(bulla_crc32c(part, bulla_bytes_of(bytes + i, 32 - i)), 0x46dd794e);
		assert_int_equal(bulla_crc32c_slow(0, bulla_bytes_of(bytes, i)), part);
	}
}

/* Long inputs go another way on some machines; all ways agree. */
static void crc_of_long_input(void **state)
{
	static uint8_t bytes[10000];
	uint32_t seed = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
	for (size_t n = 0; n < sizeof(bytes); n += n < 3060 || n > 3080 ? 97 : 1)
		assert_int_equal(bulla_crc32c(7, bulla_bytes_of(bytes + 3, n < 3 ? 0 : n - 3)),
			bulla_crc32c_slow(7, bulla_bytes_of(bytes + 3, n < 3 ? 0 : n - 3)));
}

/* A sealed batch of two records, in whole pages. */
static size_t a_batch(uint8_t memory[BULLA_JOURNAL_PAGE], struct bulla_journal_batch *batch)
{
	struct bulla_journal_record one = {.run_no = 7, .seq = 1, .type = 2, .flags = 3, .body = BULLA_BYTES_LITERAL("one")};
	struct bulla_journal_record two = {.run_no = 8, .seq = 0, .type = 1, .body = BULLA_BYTES_LITERAL("")};
	bulla_digest before = {{9}};
	BULLA_AUTO_BUF body;
	bulla_bytes pages;

	bulla_buf_init(&body, 1000);
	assert_ok(bulla_journal_record_put(&one, &body));
	assert_ok(bulla_journal_record_put(&two, &body));
	bulla_copy(memory + BULLA_JOURNAL_BATCH_HEADER, body.p, body.n);
	*batch = (struct bulla_journal_batch){.store = STORE, .count = 2, .lsn = 40, .time_ms = 1234,
		.body = bulla_bytes_of(memory + BULLA_JOURNAL_BATCH_HEADER, body.n)};
	batch->crc = bulla_crc32c(0, batch->body);
	assert_ok(bulla_journal_chain(batch, &before, &batch->chain));
	assert_ok(bulla_journal_batch_seal(batch, memory, BULLA_JOURNAL_PAGE, &pages));
	assert_int_equal(pages.n, BULLA_JOURNAL_PAGE);
	return batch->bytes;
}

static void batch_round_trip(void **state)
{
	uint8_t memory[BULLA_JOURNAL_PAGE];
	struct bulla_journal_batch batch, found;
	struct bulla_journal_record record;
	bulla_journal_store other = {{1}};
	bulla_rd r;

	(void)state;
	a_batch(memory, &batch);
	assert_ok(bulla_journal_batch_parse(BULLA_BYTES_ARRAY(memory), &STORE, &found));
	assert_int_equal(found.lsn, 40);
	assert_int_equal(found.count, 2);
	assert_int_equal(found.time_ms, 1234);
	assert_int_equal(found.crc, batch.crc);
	assert_true(bulla_digest_eq(&found.chain, &batch.chain));
	r = bulla_rd_of(found.body);
	assert_ok(bulla_journal_record_next(&r, &record));
	assert_int_equal(record.run_no, 7);
	assert_int_equal(record.flags, 3);
	assert_bytes(record.body, BULLA_BYTES_LITERAL("one"));
	assert_ok(bulla_journal_record_next(&r, &record));
	assert_ok(bulla_rd_end(&r));
	assert_rc(BULLA_E_CORRUPT, bulla_journal_batch_parse(BULLA_BYTES_ARRAY(memory), &other, &found));
	assert_ok(bulla_journal_batch_parse(BULLA_BYTES_ARRAY(memory), NULL, &found));
}

/* Every flipped bit of header and body is found; padding is nobody's. Every cut says how much is missing. */
static void batch_sweep(void **state)
{
	uint8_t memory[BULLA_JOURNAL_PAGE];
	struct bulla_journal_batch batch, found;
	size_t bytes = a_batch(memory, &batch);

	(void)state;
	for (size_t i = 0; i < bytes * 8; i++) {
		bulla_rc rc;

		memory[i / 8] ^= (uint8_t)(1U << i % 8);
		rc = bulla_journal_batch_parse(BULLA_BYTES_ARRAY(memory), &STORE, &found);
		assert_true(rc == BULLA_E_CORRUPT || rc == BULLA_E_NOT_FOUND || rc == BULLA_E_TRUNCATED);
		memory[i / 8] ^= (uint8_t)(1U << i % 8);
	}
	for (size_t n = 0; n < bytes; n++)
		assert_rc(BULLA_E_TRUNCATED, bulla_journal_batch_parse(bulla_bytes_of(memory, n), &STORE, &found));
}

static void chain_binds(void **state)
{
	uint8_t memory[BULLA_JOURNAL_PAGE];
	struct bulla_journal_batch batch, other;
	bulla_digest before = {{9}}, chain;

	(void)state;
	a_batch(memory, &batch);
	assert_ok(bulla_journal_chain(&batch, &before, &chain));
	assert_true(bulla_digest_eq(&chain, &batch.chain));
	other = batch;
	other.lsn++;
	assert_ok(bulla_journal_chain(&other, &before, &chain));
	assert_false(bulla_digest_eq(&chain, &batch.chain));
	before.b[31] = 1;
	assert_ok(bulla_journal_chain(&batch, &before, &chain));
	assert_false(bulla_digest_eq(&chain, &batch.chain));
	other = batch;
	other.count = 1;
	assert_rc(BULLA_E_FORMAT, bulla_journal_chain(&other, &before, &chain));
	other.count = 2;
	other.body.n--;
	assert_rc(BULLA_E_TRUNCATED, bulla_journal_chain(&other, &before, &chain));
}

/* The host's chain binds the same things; of the records it holds the checksum. */
static void chain_by_crc(void **state)
{
	uint8_t memory[BULLA_JOURNAL_PAGE];
	struct bulla_journal_batch batch, other;
	bulla_digest before = {{9}}, chain, again;

	(void)state;
	a_batch(memory, &batch);
	batch.by_crc = true;
	assert_ok(bulla_journal_chain(&batch, &before, &chain));
	assert_false(bulla_digest_eq(&chain, &batch.chain));
	other = batch;
	other.crc ^= 1;
	assert_ok(bulla_journal_chain(&other, &before, &again));
	assert_false(bulla_digest_eq(&chain, &again));
	other = batch;
	other.time_ms++;
	assert_ok(bulla_journal_chain(&other, &before, &again));
	assert_false(bulla_digest_eq(&chain, &again));
	before.b[31] = 1;
	assert_ok(bulla_journal_chain(&batch, &before, &again));
	assert_false(bulla_digest_eq(&chain, &again));
	other = batch;
	other.count = 1;
	assert_rc(BULLA_E_FORMAT, bulla_journal_chain(&other, &before, &again));
}

static void segment_header(void **state)
{
	uint8_t page[BULLA_JOURNAL_PAGE];
	struct bulla_journal_segment segment = {.store = STORE, .number = 3, .first_lsn = 99, .chain = {{5}}}, found;

	(void)state;
	assert_ok(bulla_journal_segment_put(&segment, page));
	assert_ok(bulla_journal_segment_parse(BULLA_BYTES_ARRAY(page), &found));
	assert_int_equal(found.number, 3);
	assert_int_equal(found.first_lsn, 99);
	assert_true(bulla_digest_eq(&found.chain, &segment.chain));
	for (size_t i = 0; i < 80 * 8; i++) {
		page[i / 8] ^= (uint8_t)(1U << i % 8);
		assert_rc(BULLA_E_CORRUPT, bulla_journal_segment_parse(BULLA_BYTES_ARRAY(page), &found));
		page[i / 8] ^= (uint8_t)(1U << i % 8);
	}
	page[8]++; /* another format, and meant */
	assert_rc(BULLA_E_CORRUPT, bulla_journal_segment_parse(BULLA_BYTES_ARRAY(page), &found));
	for (uint32_t crc = bulla_crc32c(bulla_crc32c(0, bulla_bytes_of(page + 8, 4)), bulla_bytes_of(page + 16, 64)), i = 0; i < 4; i++)
		page[12 + i] = (uint8_t)(crc >> 8 * i);
	assert_rc(BULLA_E_VERSION, bulla_journal_segment_parse(BULLA_BYTES_ARRAY(page), &found));
	bulla_zero(page, sizeof(page));
	assert_rc(BULLA_E_NOT_FOUND, bulla_journal_segment_parse(BULLA_BYTES_ARRAY(page), &found));
}

static void names(void **state)
{
	char name[BULLA_JOURNAL_NAME];
	uint64_t number = 0;

	(void)state;
	bulla_journal_name(UINT64_C(0xabc7), name);
	assert_string_equal(name, "000000000000abc7.seg");
	assert_ok(bulla_journal_name_parse(name, &number));
	assert_int_equal(number, 0xabc7);
	assert_rc(BULLA_E_NOT_FOUND, bulla_journal_name_parse("000000000000ABC7.seg", &number));
	assert_rc(BULLA_E_NOT_FOUND, bulla_journal_name_parse("0000000000000000.seg", &number));
	assert_rc(BULLA_E_NOT_FOUND, bulla_journal_name_parse("spare.tmp", &number));
	assert_rc(BULLA_E_NOT_FOUND, bulla_journal_name_parse("000000000000abc7.sego", &number));
}

static void limits(void **state)
{
	struct bulla_journal_record record = {.type = 1};
	BULLA_AUTO_BUF body;
	void *big = NULL;

	(void)state;
	bulla_buf_init(&body, 2 * BULLA_MAX_JOURNAL_BATCH);
	assert_ok(bulla_alloc(BULLA_MAX_JOURNAL_BATCH, 1, &big));
	record.body = bulla_bytes_of(big, BULLA_MAX_JOURNAL_BATCH - 100);
	assert_ok(bulla_journal_record_put(&record, &body));
	record.body.n++;
	assert_rc(BULLA_E_LIMIT, bulla_journal_record_put(&record, &body));
	bulla_free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc_vectors),
		cmocka_unit_test(batch_round_trip),
		cmocka_unit_test(batch_sweep),
		cmocka_unit_test(crc_of_long_input),
		cmocka_unit_test(chain_binds),
		cmocka_unit_test(chain_by_crc),
		cmocka_unit_test(segment_header),
		cmocka_unit_test(names),
		cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
